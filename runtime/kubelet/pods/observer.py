"""What a pod's worker sees, and what it says of it: containers as the planner wants them, status, messages.

Between the runtime's bare facts and the pure planner stand a few corrections: a container whose start failed is an
ended one, one that an earlier process made but did not live to start is none at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runtime.kubelet.container_status import Resources
from runtime.kubelet.pods.actions import sandbox_changed
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.messages import termination_message
from runtime.kubelet.pods.policy import attempts_of, is_running
from runtime.kubelet.pods.reporter import StatusReporter
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.status import StatusInput, make_status
from runtime.objects.errors import Obj
from runtime.podman.interface import Container, Sandbox


class Observer:
    """Looks at pods and reports them."""

    def __init__(self, context: PodContext, reporter: StatusReporter) -> None:
        self._context = context
        self._services = context.services
        self._runtime = context.services.runtime
        self._cache = context.services.cache
        self._clock = context.services.clock
        self.reporter = reporter

    def view(self, state: PodState, sandbox: Sandbox | None) -> list[Container]:
        """The runtime's containers as the planner sees them."""
        if sandbox is None:
            return []
        result: list[Container] = []
        for container in sandbox.containers:
            if container.state == "created":
                broken = state.broken.get(container.id)
                if broken is None:
                    continue
                when, message = broken
                container = replace(container, state="exited", exit_code=128, finished_at=when, error=message)
            result.append(container)
        return result

    async def containers(self, state: PodState, sandbox: Sandbox | None) -> list[Container]:
        """The same, after removing what an earlier process made and did not live to start."""
        if sandbox is None:
            return []
        stray = [
            container
            for container in sandbox.containers
            if container.state == "created" and container.id not in state.broken
        ]
        for container in stray:
            await self._runtime.remove_container(container.id)
        if stray:
            self._drop(state, stray)
        view = self.view(state, self._cache.get(state.uid))
        self._read_messages(state, view)
        return view

    def _read_messages(self, state: PodState, view: Sequence[Container]) -> None:
        """What containers that have ended left to be said of them, once for each."""
        for container in view:
            if container.state == "exited" and container.id not in state.messages:
                self._context.probes.forget(container.id)
                state.messages[container.id] = termination_message(
                    state.pod, container, self._services.volumes
                )

    async def prune(self, state: PodState) -> None:
        """Keep one ended attempt of each container beside the current one."""
        sandbox = self._cache.get(state.uid)
        if sandbox is None or len(sandbox.containers) < 3:
            return
        old = [
            container
            for entries in attempts_of(sandbox.containers).values()
            for container in entries[2:]
            if not is_running(container)
        ]
        for container in old:
            await self._runtime.remove_container(container.id)
            state.forget_container(container)
            self._services.volumes.remove_attempt(state.uid, container.name, container.attempt)
        if old:
            self._drop(state, old)

    def _drop(self, state: PodState, removed: Sequence[Container]) -> None:
        """Take removed containers from the record, which may be another than before their removal."""
        current = self._cache.get(state.uid)
        if current is not None:
            gone = {container.id for container in removed}
            kept = tuple(entry for entry in current.containers if entry.id not in gone)
            self._cache.put(state.uid, replace(current, containers=kept))

    def status(self, state: PodState, *, terminal: bool = False) -> Obj:
        """The pod's status as it should be now."""
        sandbox = self._cache.get(state.uid)
        ips: Sequence[str] = ()
        if sandbox is not None:
            ips = sandbox.ips or ((sandbox.ip,) if sandbox.ip else ())
        view = self.view(state, sandbox)
        self._read_messages(state, view)
        return make_status(
            StatusInput(
                pod=state.pod,
                attempts=attempts_of(view),
                old=state.status or state.pod.get("status") or {},
                now=self._clock.now(),
                sandbox_ready=not sandbox_changed(state.pod, sandbox),
                pod_ips=ips,
                host_ips=self._context.host_ips,
                waiting=state.waiting,
                messages=state.messages,
                image_refs=self._services.images.refs,
                probes=self._context.probes,
                terminal=terminal,
                failed=state.failed,
                restarting_all=state.restarting_all,
                resize=state.resize,
                resources=Resources(state.resized, state.allocated, state.users),
            )
        )

    def report(self, state: PodState) -> None:
        """Make the status and have it written."""
        if state.gone:
            return
        self.reporter.report(state, self.status(state))
