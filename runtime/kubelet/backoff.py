"""Exponential back-off per pod and container (or image), as client-go's ``util/flowcontrol/backoff.go`` counts it.

Kept apart from any loop: the caller says when the failure happened and asks whether it is still too early.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from runtime.objects.clock import Clock


class Backoff:
    """Waiting times that double from ``initial`` to ``maximum`` seconds and are forgotten after twice ``maximum``."""

    def __init__(self, clock: Clock, initial: float = 10.0, maximum: float = 300.0) -> None:
        self._clock = clock
        self._initial = initial
        self._maximum = maximum
        self._entries: dict[str, dict[str, tuple[float, datetime]]] = {}

    def get(self, pod_uid: str, item: str) -> float:
        """The present waiting time in seconds; 0 when there is none."""
        entry = self._find(pod_uid, item)
        return entry[0] if entry else 0.0

    def next(self, pod_uid: str, item: str, event_time: datetime) -> float:
        """Count one more failure at ``event_time``; returns the new waiting time in seconds."""
        entry = self._find(pod_uid, item)
        if entry is None or self._expired(event_time, entry[1]):
            seconds = self._initial
        else:
            seconds = min(entry[0] * 2, self._maximum)
        self._entries.setdefault(pod_uid, {})[item] = (seconds, self._clock.now())
        return seconds

    def remaining_since(self, pod_uid: str, item: str, event_time: datetime) -> float:
        """Seconds still to wait, counted from ``event_time`` (IsInBackOffSince); 0 when it may go on."""
        entry = self._find(pod_uid, item)
        if entry is None or self._expired(event_time, entry[1]):
            return 0.0
        return max(0.0, entry[0] - (self._clock.now() - event_time).total_seconds())

    def remaining_since_update(self, pod_uid: str, item: str) -> float:
        """Seconds still to wait, counted from the last :meth:`next` (IsInBackOffSinceUpdate)."""
        entry = self._find(pod_uid, item)
        now = self._clock.now()
        if entry is None or self._expired(now, entry[1]):
            return 0.0
        return max(0.0, entry[0] - (now - entry[1]).total_seconds())

    def forget(self, pod_uid: str) -> None:
        """Drop all that is known of a pod."""
        self._entries.pop(pod_uid, None)

    def _find(self, pod_uid: str, item: str) -> tuple[float, datetime] | None:
        items = self._entries.get(pod_uid)
        return items.get(item) if items else None

    def _expired(self, event_time: datetime, last_update: datetime) -> bool:
        return event_time - last_update > timedelta(seconds=self._maximum * 2)


def go_duration(seconds: float) -> str:
    """Seconds as Go prints a time.Duration: ``10s``, ``1m20s``, ``5m0s``, ``1.25s``, ``310ms``."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{seconds * 1000:.6g}ms"
    whole, rest = divmod(round(seconds, 3), 60)
    minutes = int(whole)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail
