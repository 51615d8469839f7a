"""All containers of a pod begin anew, its init containers first, in the sandbox and with the volumes it has.

What a container's rule ``RestartAllContainers`` asks for. The containers are ended without their hooks and removed,
so that the planner finds a pod that has not begun; those whose end asked for it are removed last, so that whoever is
interrupted in between finds the task again.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.observer import Observer
from runtime.kubelet.pods.policy import find_spec, is_running
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.pods.stopper import Stopper
from runtime.objects.errors import Obj
from runtime.podman.interface import Container, Sandbox

_FIELDS = ("initContainers", "containers")


class Restarter:
    """Restarts whole pods of one kubelet."""

    def __init__(self, context: PodContext, stopper: Stopper, observer: Observer) -> None:
        self._runtime = context.services.runtime
        self._cache = context.services.cache
        self._volumes = context.services.volumes
        self._probes = context.probes
        self._stopper = stopper
        self._observer = observer

    async def restart_all(
        self, state: PodState, sandbox: Sandbox, sources: Sequence[tuple[str, Obj]]
    ) -> None:
        """End and remove every container of the spec; ephemeral ones are ended."""
        state.restarting_all = True
        try:
            self._observer.report(state)
            await self._observer.reporter.flush(state)
            await self._stopper.stop_all(state, sandbox.containers, 0.0)
            await self._cache.refresh(state.uid)
            ended = self._observer.status(state)
            current = self._cache.get(state.uid)
            asked = {spec["name"] for _, spec in sources}
            found = [entry for entry in current.containers if _begins_anew(state, entry)] if current else []
            found.sort(key=lambda entry: entry.name in asked)
            for container in found:
                await self._runtime.remove_container(container.id)
                self._probes.forget(container.id)
                state.forget_container(container)
                if container.attempt:
                    # What its predecessor left; its own log is the previous one from now on.
                    self._volumes.remove_attempt(state.uid, container.name, container.attempt - 1)
            await self._cache.refresh(state.uid)
            state.waiting.clear()
            state.status = _begun_anew(ended)
        finally:
            state.restarting_all = False


def _begins_anew(state: PodState, container: Container) -> bool:
    found = find_spec(state.pod, container.name)
    return found is None or found[0] in _FIELDS or not is_running(container)


def _begun_anew(status: Obj) -> Obj:
    """The status of a pod whose containers all wait, which remembers how each ended."""
    reason = "PodInitializing" if status.get("initContainerStatuses") else "ContainerCreating"
    result = dict(status)
    for field in ("initContainerStatuses", "containerStatuses"):
        if field in status:
            result[field] = [_waits(entry, reason) for entry in status[field]]
    return result


def _waits(entry: Obj, reason: str) -> Obj:
    ended = entry["state"].get("terminated")
    result = {key: value for key, value in entry.items() if key != "containerID"}
    result["state"] = {"waiting": {"reason": reason}}
    result["lastState"] = {"terminated": ended} if ended else entry.get("lastState") or {}
    return result
