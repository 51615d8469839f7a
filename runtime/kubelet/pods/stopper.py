"""Stopping things in order: hooks, signals, grace periods, sidecars last.

Follows killContainer in ``pkg/kubelet/kuberuntime/kuberuntime_container.go`` and its termination ordering.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.kubelet.pods.actions import Kill
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.policy import find_spec, is_running, is_sidecar
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.probes.prober import HookFailure, Target
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj
from runtime.podman.interface import Container, NoSuchItem, RuntimeFailure, RuntimeUnavailable

log = logging.getLogger(__name__)

MINIMUM_GRACE = 2.0


async def limited(clock: Clock, work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Wait for ``work`` up to ``seconds`` of the clock's time, and no longer."""
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        alarm.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Turn:
    """A container's place in the order in which a pod's containers are stopped."""

    after: tuple[asyncio.Event, ...]
    """Those that end first."""
    ended: asyncio.Event

    @staticmethod
    def order(pod: Obj, running: Sequence[Container]) -> dict[str, Turn]:
        """Sidecars wait for every app container and for the sidecars that were started after them.

        Ephemeral containers and other init containers wait for nobody (newTerminationOrdering).
        """
        ended = {container.name: asyncio.Event() for container in running}
        before = [ended[entry["name"]] for entry in pod["spec"]["containers"] if entry["name"] in ended]
        turns = {name: Turn((), event) for name, event in ended.items()}
        for entry in reversed(pod["spec"].get("initContainers") or ()):
            if is_sidecar(entry) and entry["name"] in ended:
                turns[entry["name"]] = Turn(tuple(before), ended[entry["name"]])
                before.append(ended[entry["name"]])
        return turns

    async def come(self) -> None:
        """Wait until it is this container's turn."""
        for event in self.after:
            await event.wait()


class Stopper:
    """Stops containers of one kubelet's pods."""

    def __init__(self, context: PodContext) -> None:
        self._context = context
        self._runtime = context.services.runtime
        self._cache = context.services.cache
        self._clock = context.services.clock

    def grace_of(self, pod: Obj, spec: Obj | None = None, reason: str = "") -> float:
        """Seconds a container is given (setTerminationGracePeriod)."""
        asked = pod["metadata"].get("deletionGracePeriodSeconds")
        if asked is not None:
            return float(asked)
        default = pod["spec"].get("terminationGracePeriodSeconds")
        if default is None:
            return MINIMUM_GRACE
        if spec is not None and reason in ("liveness", "startup"):
            own = (spec.get(f"{reason}Probe") or {}).get("terminationGracePeriodSeconds")
            if own is not None:
                return float(own)
        return float(default)

    async def kill(self, state: PodState, kill: Kill) -> None:
        """Stop one container for the planner's reason."""
        found = find_spec(state.pod, kill.container.name)
        grace = self.grace_of(state.pod, found[1] if found else None, kill.reason)
        await self.stop_one(state, kill.container, message=kill.message, grace=grace)

    async def stop_one(
        self,
        state: PodState,
        container: Container,
        *,
        message: str = "",
        grace: float | None = None,
        turn: Turn | None = None,
    ) -> None:
        """Stop one container: event, preStop, its turn, signal, grace, SIGKILL."""
        name = container.name
        found = find_spec(state.pod, name)
        say = self._context.speaker(state, found[0] if found else "containers", name)
        say("Normal", "Killing", message or f"Stopping container {name}")
        left = self.grace_of(state.pod) if grace is None else grace
        hook = ((found[1].get("lifecycle") or {}) if found else {}).get("preStop")
        try:
            if hook and found and left > 0:
                left -= await self._pre_stop(state, container, found[1], hook, left, found[0])
            if turn is not None and turn.after and left > 0:
                started = self._clock.monotonic()
                await self._interruptible(state, container.id, limited(self._clock, turn.come(), left))
                left -= self._clock.monotonic() - started
            await self._interruptible(
                state, container.id, self._runtime.stop_container(container.id, max(MINIMUM_GRACE, left))
            )
        except NoSuchItem:
            pass
        finally:
            self._context.probes.forget(container.id)
            if turn is not None:
                turn.ended.set()

    async def _interruptible(
        self, state: PodState, container_id: str, work: Coroutine[Any, Any, None]
    ) -> None:
        """Wait for ``work``; :meth:`hurry` ends the waiting."""
        task = asyncio.ensure_future(work)
        state.stopping[container_id] = task
        try:
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
        finally:
            task.cancel()
            state.stopping.pop(container_id, None)

    async def _pre_stop(
        self, state: PodState, container: Container, spec: Obj, hook: Obj, grace: float, field: str
    ) -> float:
        sandbox = self._cache.get(state.uid)
        target = Target(
            container.id,
            sandbox.id if sandbox else "",
            sandbox.ip if sandbox else "",
            spec,
            host_network=bool(state.pod["spec"].get("hostNetwork")),
        )
        started = self._clock.monotonic()
        try:
            run = self._context.services.prober.run_hook(hook, target, grace)
            await self._interruptible(state, container.id, limited(self._clock, run, grace))
        except HookFailure as failure:
            log.info("preStop of %s in %s: %s", spec["name"], state.full_name, failure)
            say = self._context.speaker(state, field, spec["name"])
            say("Warning", "FailedPreStopHook", "PreStopHook failed")
        return self._clock.monotonic() - started

    async def stop_all(
        self, state: PodState, containers: Sequence[Container], grace: float | None = None
    ) -> None:
        """Stop everything that runs, all at once but for the sidecars' signals, which wait for their turn.

        Raises:
            RuntimeFailure: one of them could not be stopped.
        """
        running = [container for container in containers if is_running(container)]
        if not running:
            return
        for container in running:
            self._context.probes.stop_liveness(container.id)
        left = self.grace_of(state.pod) if grace is None else grace
        if len(running) == 1:
            await self.stop_one(state, running[0], grace=left)
            return
        turns = Turn.order(state.pod, running)
        results = await asyncio.gather(
            *(self.stop_one(state, entry, grace=left, turn=turns[entry.name]) for entry in running),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def hurry(self, state: PodState) -> None:
        """End it now: the grace period was shortened while it ran."""
        sandbox = self._cache.get(state.uid)
        for container in sandbox.containers if sandbox else ():
            waiting = state.stopping.get(container.id)
            if waiting is None:
                continue
            try:
                await self._runtime.stop_container(container.id, 0)
            except RuntimeUnavailable:
                return
            except RuntimeFailure as failure:
                log.debug("killing %s: %s", container.id, failure.message)
            waiting.cancel()
