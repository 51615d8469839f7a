"""Pods waiting to be scheduled: the ones to try now, the ones backing off, and the ones that can't go anywhere.

After ``scheduler/backend/queue/scheduling_queue.go``. The next pod is the one of highest priority that waits
longest. A pod that fitted nowhere rests until something happens that could change that; it then waits out its
back-off (1 s doubling to 10 s per attempt). What rested five minutes is tried again in any case.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field

from runtime.client.workqueue import WorkQueue
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj
from runtime.objects.meta import key_of, uid_of

INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 10.0
LEFTOVER_AFTER = 300.0
LEFTOVER_EVERY = 30.0


@dataclass(slots=True, eq=False)
class Waiting:
    """A pod in the queue."""

    pod: Obj
    since: float
    attempts: int = 0
    failed_at: float = 0.0
    plugins: frozenset[str] = frozenset()
    """Which plugins refused it; empty when the attempt failed for another reason."""
    where: str = field(default="active")
    order: int = 0


class SchedulingQueue:
    """All pods without a node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, Waiting] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._resting: set[str] = set()
        self._order = itertools.count(1)
        self._ready = asyncio.Event()
        self.backoff: WorkQueue[str] = WorkQueue(clock)
        self.moves = 0
        """Rises with every event that may have helped a pod: a failure before it is not a reason to rest."""

    def __len__(self) -> int:
        return len(self._known)

    def add(self, pod: Obj) -> None:
        """A new pod, or one whose scheduling gates were lifted."""
        key = key_of(pod)
        entry = self._known.get(key)
        if entry is not None and uid_of(entry.pod) == uid_of(pod):
            self.update(pod)
            return
        entry = Waiting(pod, self._clock.monotonic())
        self._known[key] = entry
        self._resting.discard(key)
        self._activate(key, entry)

    def update(self, pod: Obj, *, retry: bool = False) -> None:
        """The pod changed; ``retry`` when the change may make it fit."""
        key = key_of(pod)
        entry = self._known.get(key)
        if entry is None:
            self.add(pod)
            return
        entry.pod = pod
        if retry and key in self._resting:
            self._move(key, entry)

    def remove(self, key: str) -> None:
        """The pod is gone or has a node."""
        self._known.pop(key, None)
        self._resting.discard(key)

    async def wait(self) -> None:
        """Wait until there is a pod to try."""
        await self._ready.wait()

    def pop(self) -> Waiting | None:
        """The next pod to try, or None."""
        while self._active:
            _, _, order, key = heapq.heappop(self._active)
            entry = self._known.get(key)
            if entry is not None and entry.where == "active" and entry.order == order:
                entry.where = "trying"
                entry.attempts += 1
                return entry
        self._ready.clear()
        return None

    def failed(self, entry: Waiting, plugins: frozenset[str], moves: int) -> None:
        """The attempt failed. ``moves`` is :attr:`moves` as it was when the attempt began."""
        key = key_of(entry.pod)
        if self._known.get(key) is not entry:
            return
        entry.failed_at = self._clock.monotonic()
        entry.plugins = plugins
        if not plugins or moves != self.moves:
            self._move(key, entry)
        else:
            entry.where = "resting"
            self._resting.add(key)

    def moved(self, plugins: frozenset[str] | None = None) -> None:
        """Something happened that may help pods that one of ``plugins`` refused (None: any)."""
        self.moves += 1
        if self._resting:
            for key in [
                key for key in self._resting if plugins is None or self._known[key].plugins & plugins
            ]:
                self._move(key, self._known[key])

    def flush_leftover(self) -> None:
        """Try again what has rested for five minutes."""
        now = self._clock.monotonic()
        for key in list(self._resting):
            entry = self._known[key]
            if now - entry.failed_at > LEFTOVER_AFTER:
                self._move(key, entry)

    def backoff_over(self, key: str) -> None:
        """A key came out of :attr:`backoff`."""
        entry = self._known.get(key)
        if entry is not None and entry.where == "backoff":
            self._activate(key, entry)

    def _move(self, key: str, entry: Waiting) -> None:
        self._resting.discard(key)
        pause = min(INITIAL_BACKOFF * 2 ** min(max(entry.attempts - 1, 0), 10), MAX_BACKOFF)
        left = entry.failed_at + pause - self._clock.monotonic()
        if left > 0:
            entry.where = "backoff"
            self.backoff.add_after(key, left)
        else:
            self._activate(key, entry)

    def _activate(self, key: str, entry: Waiting) -> None:
        entry.where = "active"
        entry.order = next(self._order)
        priority = int(entry.pod["spec"].get("priority") or 0)
        heapq.heappush(self._active, (-priority, entry.since, entry.order, key))
        self._ready.set()
