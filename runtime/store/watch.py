"""A reader's place in the stream of changes to one resource."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from .errors import SlowReader
from .records import Event

LIMIT = 20_000
"""Undelivered events after which a reader is cut off, so that it can't hold memory without bound."""
LIMIT_BYTES = 64 * 1024 * 1024
"""The same for the JSON in them."""


class Watch:
    """Delivers the events of one resource (and namespace), in order, in batches.

    Used on the store's event loop only. The store calls :meth:`offer`; the reader calls :meth:`next`.
    """

    def __init__(
        self,
        namespace: str,
        backlog: Iterable[Event],
        revision: Callable[[], int],
        on_close: Callable[[Watch], None],
        limit: int = LIMIT,
    ) -> None:
        self.namespace = namespace
        self._events: list[Event] = list(backlog)
        self._size = 0
        self._revision = revision
        self._on_close = on_close
        self._limit = limit
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._overrun = False

    @property
    def version(self) -> int:
        """The store's revision when nothing is undelivered: all up to it has been seen. For bookmarks."""
        return self._events[0].version - 1 if self._events else self._revision()

    def offer(self, event: Event) -> None:
        """Take one event (called by the store)."""
        if self.namespace and event.record.key.namespace != self.namespace:
            return
        self._size += event.size
        if len(self._events) >= self._limit or (self._size > LIMIT_BYTES and self._events):
            self._overrun = True
            self._events.clear()
            self.close()
            return
        self._events.append(event)
        self._wake()

    async def next(self) -> list[Event]:
        """All events there are, waiting for the first; an empty list once closed.

        Raises:
            SlowReader: the reader fell behind by more than the limit; it has to list again.
        """
        while not self._events:
            if self._overrun:
                raise SlowReader("the watch fell too far behind")
            if self._closed:
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        events, self._events, self._size = self._events, [], 0
        return events

    def close(self) -> None:
        """Stop; a waiting reader gets what is left and then an empty list."""
        if not self._closed:
            self._closed = True
            self._on_close(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
