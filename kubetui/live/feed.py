"""The bridge between the network's thread and the screen: batches of changes, coalesced until somebody takes them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from kubetui.live.objects import Obj
from kubetui.live.target import Target

State = Literal["loading", "live", "reconnecting", "forbidden", "missing", "failed"]


@dataclass(slots=True)
class Batch:
    """What changed in one collection since the last batch. ``columns`` comes with tables only."""

    upserts: dict[str, Obj] = field(default_factory=dict)
    deletes: set[str] = field(default_factory=set)
    state: State | None = None
    detail: str = ""
    columns: list[Obj] | None = None

    def merge(self, later: Batch) -> None:
        """Fold a later batch into this one; the newest word about an object wins."""
        for uid in later.deletes:
            self.upserts.pop(uid, None)
            self.deletes.add(uid)
        for uid, obj in later.upserts.items():
            self.deletes.discard(uid)
            self.upserts[uid] = obj
        if later.state is not None:
            self.state, self.detail = later.state, later.detail
        if later.columns is not None:
            self.columns = later.columns


class Feed:
    """The only bridge between the network thread and the screen: coalesces batches until somebody takes them."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._pending: dict[Target, Batch] = {}

    def push(self, target: Target, batch: Batch) -> None:
        """Add a batch (any thread)."""
        with self._lock:
            present = self._pending.get(target)
            if present is None:
                self._pending[target] = batch
            else:
                present.merge(batch)
            first = len(self._pending) == 1 and present is None
        if first:
            self._wake()

    def drain(self, limit: int = 600) -> tuple[dict[Target, Batch], bool]:
        """Take at most ``limit`` changed objects (any thread); the second value says whether more is waiting.

        The limit keeps the first list of a big cluster from holding the screen for longer than a frame.
        """
        taken: dict[Target, Batch] = {}
        with self._lock:
            for target in list(self._pending):
                batch = self._pending[target]
                if len(batch.upserts) <= limit:
                    taken[target] = batch
                    limit -= len(batch.upserts)
                    del self._pending[target]
                    continue
                if limit > 0:
                    part = Batch(columns=batch.columns)
                    for uid in list(itertools.islice(batch.upserts, limit)):
                        part.upserts[uid] = batch.upserts.pop(uid)
                    batch.columns = None
                    taken[target] = part
                break
            return taken, bool(self._pending)

    def drop(self, target: Target) -> None:
        """Forget what waits for a collection that nobody looks at any more."""
        with self._lock:
            self._pending.pop(target, None)
