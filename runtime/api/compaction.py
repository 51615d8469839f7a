"""Versions that nobody may list at any more, as etcd's are forgotten upstream.

The store could give a list of long ago as long as nothing in it has changed. A client that takes its time over the
pages of a list is told all the same that its token has expired, after as long as Kubernetes takes to compact etcd:
what works here has to work there, and the token that comes with the refusal goes on with what is there now
(apiserver ``storage/etcd3/compact.go``).
"""

from __future__ import annotations

import asyncio

from runtime.store import Store

COMPACTION_SECONDS = 300.0
"""``--etcd-compaction-interval``: a version is forgotten at the second tick after it."""


class Compaction:
    """Remembers which version was the newest one interval ago."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._newest = 0
        self._attended = False
        self.oldest = 0
        """The oldest version that may be listed at."""

    def attend(self) -> None:
        """Go on from tick to tick."""
        if not self._attended:
            self._attended = True
            asyncio.get_running_loop().call_later(COMPACTION_SECONDS, self._tick)

    def _tick(self) -> None:
        self._attended = False
        self.tick()
        self.attend()

    def tick(self) -> None:
        """An interval has passed."""
        self.oldest, self._newest = self._newest, self._store.revision
