"""How much CPU and memory containers use, for ``top``, the terminal and autoscaling.

Samples are taken only while somebody asks: the runtime's answer costs it real work, and an idle cluster should cost
nothing. CPU is a rate between two samples, as the metrics API wants it, never a lifetime average.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime

from runtime.kubelet.cache import RuntimeCache
from runtime.kubelet.timers import Timer, Timers
from runtime.objects.clock import Clock
from runtime.podman.interface import ContainerRuntime, ContainerStats, RuntimeFailure

log = logging.getLogger(__name__)

PERIOD = 15.0
FIRST_PERIOD = 1.0
INTEREST = 90.0


@dataclass(frozen=True, slots=True)
class Usage:
    """One container's use over a window that ends at ``time``."""

    time: datetime
    window: float
    """Seconds between the two samples behind ``cpu``."""
    cpu: float
    """Cores."""
    memory: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """A container's name and use."""

    name: str
    usage: Usage


def usage_between(before: ContainerStats, after: ContainerStats) -> Usage | None:
    """The rate between two samples of one container; None when time or the counter went back."""
    window = (after.time - before.time).total_seconds()
    used = after.cpu_nanoseconds - before.cpu_nanoseconds
    if window <= 0 or used < 0:
        return None
    return Usage(after.time, window, used / 1e9 / window, after.memory)


class StatsSampler:
    """Samples of all containers of a machine, while anybody is interested."""

    def __init__(self, runtime: ContainerRuntime, cache: RuntimeCache, timers: Timers, clock: Clock) -> None:
        self._runtime = runtime
        self._cache = cache
        self._timers = timers
        self._clock = clock
        self._last: dict[str, ContainerStats] = {}
        self._usage: dict[str, Usage] = {}
        self._asked = float("-inf")
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None

    def container(self, container_id: str) -> Usage | None:
        """What a container used lately; None until two samples were taken. Asking starts the sampling."""
        self.ask()
        return self._usage.get(container_id)

    def pod(self, uid: str) -> list[ContainerUsage]:
        """The use of each running container of a pod that is known yet."""
        self.ask()
        sandbox = self._cache.get(uid)
        if sandbox is None:
            return []
        return [
            ContainerUsage(container.name, usage)
            for container in sandbox.containers
            if container.state == "running" and (usage := self._usage.get(container.id)) is not None
        ]

    def node(self, name: str) -> Usage | None:
        """The sum over the pods of a node; None until two samples were taken."""
        self.ask()
        if not self._usage and not self._last:
            return None
        found = [
            usage
            for sandbox in self._cache.all()
            if sandbox.node == name
            for container in sandbox.containers
            if (usage := self._usage.get(container.id)) is not None
        ]
        if not found:
            return Usage(self._clock.now(), PERIOD, 0.0, 0)
        return Usage(
            max(usage.time for usage in found),
            max(usage.window for usage in found),
            sum(usage.cpu for usage in found),
            sum(usage.memory for usage in found),
        )

    def ask(self) -> None:
        """Somebody wants to know: sample now and for a while on."""
        idle = self._timer is None and self._task is None
        self._asked = self._clock.monotonic()
        if idle:
            self._sample_soon()

    def hurry(self) -> None:
        """Somebody waits for a container that is too new to have been measured: do not wait for the next turn."""
        self.ask()
        if self._timer is not None and self._timer.when - self._clock.monotonic() > FIRST_PERIOD:
            self._timer.cancel()
            self._sample_soon()

    def stop(self) -> None:
        """Sample no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def sample(self) -> None:
        """Take one sample now."""
        try:
            samples = await self._runtime.stats()
        except RuntimeFailure as failure:
            log.debug("stats: %s", failure.message)
            return
        fresh = {sample.container_id: sample for sample in samples}
        usage: dict[str, Usage] = {}
        for container_id, after in fresh.items():
            before = self._last.get(container_id)
            found = usage_between(before, after) if before is not None else None
            if found is not None:
                usage[container_id] = found
        self._last, self._usage = fresh, usage

    def _sample_soon(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._sample_and_go_on(), name="kubelet-stats")

    async def _sample_and_go_on(self) -> None:
        await self.sample()
        self._task = None
        if self._clock.monotonic() - self._asked < INTEREST:
            new = any(container_id not in self._usage for container_id in self._last)
            self._timer = self._timers.call_later(FIRST_PERIOD if new else PERIOD, self._sample_soon)
        else:
            self._last.clear()
            self._usage.clear()
