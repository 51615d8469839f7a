"""The terminal's picture of the cluster: one mirror per watched collection, shared by all panes that look at it.

Mirrors live on the screen's thread and change only in :meth:`Hub.pump`, so panes read them without locks. A mirror
that nobody looks at any more stops its watch after a while (switching back and forth costs nothing).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kubetui.live.feed import Batch, Feed, State
from kubetui.live.objects import Obj
from kubetui.live.target import Target

LINGER_SECONDS = 30.0


@dataclass(slots=True)
class Change:
    """What one pump changed in one mirror."""

    upserts: dict[str, Obj]
    deletes: set[str]
    state_changed: bool
    columns_changed: bool


Listener = Callable[["Mirror", Change], None]


@dataclass(slots=True)
class Mirror:
    """One collection as last seen: objects (or table rows) by uid, and how far that can be trusted."""

    target: Target
    objects: dict[str, Obj] = field(default_factory=dict)
    state: State = "loading"
    detail: str = ""
    columns: list[Obj] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    unused_since: float = 0.0
    synced: bool = False

    def apply(self, batch: Batch) -> Change:
        """Take a batch in."""
        deletes = {uid for uid in batch.deletes if self.objects.pop(uid, None) is not None}
        self.objects.update(batch.upserts)
        state_changed = batch.state is not None and (batch.state, batch.detail) != (self.state, self.detail)
        if batch.state is not None:
            self.state, self.detail = batch.state, batch.detail
            self.synced = self.synced or batch.state == "live"
        columns_changed = batch.columns is not None and batch.columns != self.columns
        if batch.columns is not None:
            self.columns = batch.columns
        return Change(batch.upserts, deletes, state_changed, columns_changed)


class Watcher(Protocol):
    """Who runs caches: the connection."""

    def start_cache(self, target: Target) -> None:
        """Begin to list and watch."""

    def stop_cache(self, target: Target) -> None:
        """Stop."""


class Hub:
    """All mirrors. Used on the screen's thread only, except for the feed that it drains."""

    def __init__(self, watcher: Watcher, feed: Feed, clock: Callable[[], float] = time.monotonic) -> None:
        self.mirrors: dict[Target, Mirror] = {}
        self._watcher = watcher
        self._feed = feed
        self._clock = clock

    def watch(self, target: Target, listener: Listener) -> Mirror:
        """Look at a collection; the listener hears of every change from now on."""
        mirror = self.mirrors.get(target)
        if mirror is None:
            mirror = self.mirrors[target] = Mirror(target)
            self._watcher.start_cache(target)
        mirror.listeners.append(listener)
        mirror.unused_since = 0.0
        return mirror

    def unwatch(self, mirror: Mirror, listener: Listener) -> None:
        """Stop looking."""
        if listener in mirror.listeners:
            mirror.listeners.remove(listener)
        if not mirror.listeners:
            mirror.unused_since = self._clock()

    def pump(self) -> bool:
        """Apply some of what the network brought and tell the listeners; return whether more is waiting."""
        taken, more = self._feed.drain()
        for target, batch in taken.items():
            mirror = self.mirrors.get(target)
            if mirror is None:
                continue
            change = mirror.apply(batch)
            for listener in list(mirror.listeners):
                listener(mirror, change)
        return more

    def sweep(self) -> None:
        """Stop watches that nobody has looked at for a while."""
        now = self._clock()
        for target, mirror in list(self.mirrors.items()):
            if not mirror.listeners and mirror.unused_since and now - mirror.unused_since > LINGER_SECONDS:
                del self.mirrors[target]
                self._watcher.stop_cache(target)
                self._feed.drop(target)

    def clear(self) -> None:
        """Forget everything (another cluster)."""
        for target in list(self.mirrors):
            self._watcher.stop_cache(target)
            self._feed.drop(target)
        self.mirrors.clear()
