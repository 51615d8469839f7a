"""Events are kept for an hour after they were last seen, as ``--event-ttl`` of upstream's API server has it.

Upstream gives each event a lease in etcd. Here a timer sweeps once a minute for as long as there are events; it
needs no task of its own and nobody to start or stop it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from runtime.objects.clock import Clock, format_time
from runtime.objects.errors import Obj
from runtime.store import Change, Record, Store, StoreError

EVENTS = "events"
EVENT_TTL_SECONDS = 3600
SWEEP_SECONDS = 60.0
_AT_ONCE = 500
"""Deletions in one transaction."""


class EventExpiry:
    """Removes events that nobody has seen again for :data:`EVENT_TTL_SECONDS`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def attend(self) -> None:
        """There are events: see to it that they go in time. Costs nothing when that is seen to already."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self.sweep()
        except StoreError:
            return  # the store takes no more writes; it says so itself
        if self._store.count(EVENTS):
            self.attend()

    def sweep(self) -> int:
        """Delete what is due now, without waiting for the disk; gives how many events that were.

        Raises:
            StoreError: the store takes no more writes.
        """
        limit = format_time(self._clock.now() - timedelta(seconds=EVENT_TTL_SECONDS))
        due = [record for record in self._store.list(EVENTS) if last_seen(record.obj) < limit]
        due = [record for record in due if self._store.latest(record.key) is record]
        for start in range(0, len(due), _AT_ONCE):
            changes = [Change(record.key, None, record.version) for record in due[start : start + _AT_ONCE]]
            self._store.submit(changes).add_done_callback(_forget)
        return len(due)


def last_seen(event: Obj) -> str:
    """The newest moment that an event tells of; moments in UTC compare as text."""
    metadata = event["metadata"]
    return max(
        metadata.get("creationTimestamp") or "",
        event.get("lastTimestamp") or "",
        event.get("eventTime") or "",
        (event.get("series") or {}).get("lastObservedTime") or "",
    )


def _forget(written: asyncio.Future[list[Record]]) -> None:
    """A sweep that failed is made again a minute later."""
    if not written.cancelled():
        written.exception()
