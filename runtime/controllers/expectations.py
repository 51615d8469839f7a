"""What a controller did and has not seen yet, so that a lagging informer does not make it do it twice.

After ``controller_utils.go``: creations are counted, deletions are tracked by key, and an expectation that was
not met in five minutes is dropped, since whatever was expected will not come any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from runtime.objects.clock import Clock

TIMEOUT = 300.0


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Expected creations and deletions, by the key of the owner."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[str, _Expected] = {}

    def satisfied(self, key: str) -> bool:
        """Whether everything expected was seen (or waited for in vain)."""
        entry = self._expected.get(key)
        if entry is None:
            return True
        if entry.creations <= 0 and not entry.deletions:
            return True
        return self._clock.monotonic() - entry.since > TIMEOUT

    def expect_creations(self, key: str, count: int) -> None:
        """``count`` creations are about to be asked for."""
        entry = self._entry(key)
        entry.creations += count

    def expect_deletions(self, key: str, objects: Iterable[str]) -> None:
        """These objects are about to be deleted."""
        self._entry(key).deletions.update(objects)

    def created(self, key: str) -> None:
        """A creation was seen, or was given up."""
        entry = self._expected.get(key)
        if entry is not None and entry.creations > 0:
            entry.creations -= 1

    def deleted(self, key: str, obj: str) -> None:
        """A deletion was seen (or its timestamp), or was given up."""
        entry = self._expected.get(key)
        if entry is not None:
            entry.deletions.discard(obj)

    def forget(self, key: str) -> None:
        """The owner is gone."""
        self._expected.pop(key, None)

    def _entry(self, key: str) -> _Expected:
        entry = self._expected.get(key)
        if entry is None or self.satisfied(key):
            entry = self._expected[key] = _Expected(self._clock.monotonic())
        entry.since = self._clock.monotonic()
        return entry
