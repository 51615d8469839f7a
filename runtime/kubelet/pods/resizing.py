"""New amounts of cpu and memory for containers that run: given in place, or with a restart where that is asked for.

Follows ``pkg/kubelet/allocation`` (what the node can't give now is deferred, what it never can is infeasible) and
computePodResizeAction in ``pkg/kubelet/kuberuntime``. What a container was given stands in its status; what its spec
says is what it is to have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from runtime.kubelet.pods.admission import Commitments, NodeRoom, resize_refusal
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.policy import Attempts, is_running, is_sidecar, latest
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.resources import bytes_of, limits_of
from runtime.kubelet.status import RESIZE_IN_PROGRESS, RESIZE_PENDING
from runtime.objects.errors import Obj
from runtime.podman.interface import Container, NoSuchItem, RuntimeFailure, RuntimeUnavailable

_RESIZABLE = ("cpu", "memory")


class Resizer:
    """Resizes the pods of one kubelet."""

    def __init__(self, context: PodContext, taken: Commitments) -> None:
        self._context = context
        self._runtime = context.services.runtime
        self._taken = taken

    async def sync(self, state: PodState, attempts: Attempts) -> bool:
        """Give the pod's containers what their specs say; whether to try again later.

        Raises:
            RuntimeUnavailable: nobody answers.
        """
        changed = [(spec, given) for spec, given in _resized(state) if given != (spec.get("resources") or {})]
        if not changed:
            state.resize = None
            state.allocated.clear()
            return False
        context = self._context
        room = NodeRoom(context.node_name, {}, context.allocatable, context.options.max_pods)
        refused = resize_refusal(state.uid, state.pod["spec"], self._taken, room)
        if refused is not None:
            state.allocated = {spec["name"]: given for spec, given in changed}
            self._say(state, (RESIZE_PENDING, refused.reason, refused.message), f"Resize{refused.reason}")
            return True
        self._taken.take(state.uid, state.pod["spec"])
        state.allocated.clear()
        return await self._carry_out(state, attempts, changed)

    async def _carry_out(self, state: PodState, attempts: Attempts, changed: list[tuple[Obj, Obj]]) -> bool:
        done = False
        for spec, given in changed:
            current = latest(attempts, spec["name"])
            if current is None or not is_running(current) or current.id in state.resize_restarts:
                continue  # its next attempt is made with what the spec says now
            if _restarts(spec, given):
                state.resize_restarts.add(current.id)
                continue
            try:
                await self._give(spec, given, current)
            except RuntimeUnavailable:
                raise
            except NoSuchItem:
                self._context.services.cache.mark_stale(state.uid)
                return True
            except RuntimeFailure as failure:
                self._say(state, (RESIZE_IN_PROGRESS, "Error", failure.message), "ResizeError")
                return True
            state.resized[current.id] = spec.get("resources") or {}
            done = True
        state.resize = None
        if done:
            self._context.say(
                state, "Normal", "ResizeCompleted", f"Pod resize completed: {_summary(state.pod)}"
            )
        return False

    async def _give(self, spec: Obj, given: Obj, container: Container) -> None:
        limits = limits_of(spec.get("resources") or {})
        before = (given.get("limits") or {}).get("memory")
        if limits.memory_limit and (before is None or limits.memory_limit < bytes_of(before)):
            used = next(
                (entry.memory for entry in await self._runtime.stats() if entry.container_id == container.id),
                0,
            )
            if used > limits.memory_limit:
                raise RuntimeFailure(
                    f"attempting to set container memory limit ({limits.memory_limit}) below current usage ({used})"
                )
        await self._runtime.update_container(container.id, limits)

    def _say(self, state: PodState, resize: tuple[str, str, str], event: str) -> None:
        if state.resize != resize:
            state.resize = resize
            self._context.say(state, "Warning", event, resize[2])


def _resized(state: PodState) -> Iterator[tuple[Obj, Obj]]:
    """Each container that may be resized, with what its status says it was given."""
    spec, status = state.pod["spec"], state.status or state.pod.get("status") or {}
    for field, statuses in (
        ("containers", "containerStatuses"),
        ("initContainers", "initContainerStatuses"),
    ):
        given = {
            entry["name"]: entry["resources"] for entry in status.get(statuses) or () if "resources" in entry
        }
        if given:
            for container in spec.get(field) or ():
                if container["name"] in given and (field == "containers" or is_sidecar(container)):
                    yield container, given[container["name"]]


def _restarts(spec: Obj, given: Obj) -> bool:
    """Whether the container asks to be restarted for what has changed."""
    wanted = spec.get("resources") or {}
    policies = {entry["resourceName"]: entry["restartPolicy"] for entry in spec.get("resizePolicy") or ()}
    return any(
        policies.get(name) == "RestartContainer"
        for name in _RESIZABLE
        if any(
            (wanted.get(part) or {}).get(name) != (given.get(part) or {}).get(name)
            for part in ("requests", "limits")
        )
    )


def _summary(pod: Obj) -> str:
    containers = [
        {"name": entry["name"], "resources": entry.get("resources") or {}}
        for entry in pod["spec"]["containers"]
    ]
    return json.dumps(
        {"containers": containers, "generation": pod["metadata"].get("generation", 1)}, separators=(",", ":")
    )
