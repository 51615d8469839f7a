"""One heap of alarms for the whole node.

Probes, back-offs, deadlines, leases and refreshes all need "call me at"; a task each, asleep, would cost memory and
wake-ups by the thousand. Here they are entries of one heap, and one task sleeps until the earliest.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable

from runtime.objects.clock import Clock

log = logging.getLogger(__name__)


class Timer:
    """One alarm; :meth:`cancel` may be called at any time."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None


class Timers:
    """Alarms on an injected clock. Callbacks run on the event loop and must not block."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._sleeper: asyncio.Task[None] | None = None
        self._due = 0.0
        self._closed = False

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` once after ``delay`` seconds of the clock's time."""
        timer = Timer(self._clock.monotonic() + max(0.0, delay), callback)
        heapq.heappush(self._heap, (timer.when, next(self._order), timer))
        if self._sleeper is None or timer.when < self._due:
            self._arm()
        return timer

    def close(self) -> None:
        """Forget every alarm."""
        self._closed = True
        self._heap.clear()
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    def _arm(self) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        if self._heap and not self._closed:
            self._due = self._heap[0][0]
            self._sleeper = asyncio.get_running_loop().create_task(self._sleep(), name="kubelet-timers")

    async def _sleep(self) -> None:
        await self._clock.sleep(self._due - self._clock.monotonic())
        self._sleeper = None
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is None:
                continue
            try:
                callback()
            except Exception:
                log.exception("an alarm failed")
        self._arm()
