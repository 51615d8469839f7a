"""The work queue every controller stands on: no key twice in line, no key worked on twice at once.

The shape is client-go's ``util/workqueue``: a line, a set of what needs work (dirty) and a set of what is being
worked on (processing). A key added while it is processed waits until :meth:`WorkQueue.done` and is then queued
once, however often it was added. Delays and retry back-off use the injected clock, one timer task for all keys.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from runtime.objects.clock import Clock

K = TypeVar("K", bound=Hashable)


class ShutDown(Exception):
    """The queue was shut down and nothing is left in it."""


class TokenBucket:
    """``burst`` tokens at most, ``rate`` new ones a second; :meth:`reserve` may go into debt."""

    def __init__(self, clock: Clock, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._last = clock.monotonic()

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now

    def try_take(self) -> bool:
        """Take a token if there is one."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self) -> float:
        """Take a token, present or future; the seconds until it is there."""
        self._refill()
        self._tokens -= 1
        return 0.0 if self._tokens >= 0 else -self._tokens / self._rate


class RateLimiter(Generic[K]):
    """How long a failed key waits: the longer of its own exponential and one bucket for all keys.

    Defaults are ``DefaultTypedControllerRateLimiter``'s: 5 ms doubling up to 1000 s; 10 a second, burst 100.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        base: float = 0.005,
        maximum: float = 1000.0,
        rate: float = 10.0,
        burst: float = 100.0,
    ) -> None:
        self._base = base
        self._maximum = maximum
        self._failures: dict[K, int] = {}
        self._bucket = TokenBucket(clock, rate, burst)

    def when(self, key: K) -> float:
        """Seconds until ``key`` may be tried again; counts one more failure."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        own = self._maximum if failures > 60 else min(self._base * (1 << failures), self._maximum)
        return max(own, self._bucket.reserve())

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure starts from the beginning."""
        self._failures.pop(key, None)


class WorkQueue(Generic[K]):
    """A deduplicating queue with delayed and rate-limited adds, for one event loop."""

    def __init__(self, clock: Clock, limiter: RateLimiter[K] | None = None) -> None:
        self._clock = clock
        self._limiter = limiter or RateLimiter(clock)
        self._line: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._order = itertools.count()
        self._delayed: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = 0.0
        self._down = False

    def __len__(self) -> int:
        return len(self._line)

    def add(self, key: K) -> None:
        """Ask for ``key`` to be worked on, as soon as a worker is free."""
        if self._down or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add ``key`` after a delay. A key already waiting keeps the earlier of the two moments."""
        if self._down:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        known = self._due.get(key)
        if known is not None and known <= due:
            return
        self._due[key] = due
        heapq.heappush(self._delayed, (due, next(self._order), key))
        if self._timer is None or due < self._timer_due:
            self._arm()

    def add_paced(self, key: K, seconds: float) -> None:
        """Like :meth:`add_after`, but nothing at all when the key is in line already.

        For keys with many events: the first one starts the delay, the others cost a dictionary look-up.
        """
        if key not in self._dirty:
            self.add_after(key, seconds)

    def add_rate_limited(self, key: K) -> None:
        """Add ``key`` after its back-off (see :class:`RateLimiter`)."""
        self.add_after(key, self._limiter.when(key))

    def forget(self, key: K) -> None:
        """Reset the back-off of ``key``."""
        self._limiter.forget(key)

    async def get(self) -> K:
        """The next key; it counts as being worked on until :meth:`done`.

        Raises:
            ShutDown: the queue was shut down and is empty.
        """
        while not self._line:
            if self._down:
                raise ShutDown
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and self._line:
                    self._wake()  # the turn this getter was given goes to another
                raise
        key = self._line.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on ``key`` ended; if it was added meanwhile, it is queued again."""
        self._processing.discard(key)
        if key in self._dirty:
            self._push(key)

    def shut_down(self) -> None:
        """Accept nothing more; getters are released once the line is empty."""
        self._down = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.clear()
        self._delayed.clear()
        while self._waiters:
            self._wake()

    def _push(self, key: K) -> None:
        self._line.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._delayed[0][0]
        self._timer = asyncio.get_running_loop().create_task(self._fire())

    async def _fire(self) -> None:
        while self._delayed:
            due, _, key = self._delayed[0]
            if self._due.get(key) != due:  # overtaken by an earlier moment
                heapq.heappop(self._delayed)
                continue
            left = due - self._clock.monotonic()
            if left > 1e-9:
                self._timer_due = due
                await self._clock.sleep(left)
                continue
            heapq.heappop(self._delayed)
            del self._due[key]
            self.add(key)
        self._timer = None
