"""How an application asks its cluster: in the background, for a change, or for what the next screen needs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from kubetui.connection import Background, Connection
from kubetui.ordered import OrderedKeysApp

if TYPE_CHECKING:
    from kubetui.live.client import KubeClient
    from kubetui.live.discovery import Catalog

T = TypeVar("T")


class AskingApp(OrderedKeysApp):
    """An application with a connection."""

    connection: Connection

    def __init__(self) -> None:
        super().__init__()
        self.waiting = False

    def server_time(self) -> float:
        """Seconds since 1970 by the server's clock, which has set all the times that are shown."""
        client = self.connection.client
        return time.time() + (client.skew if client is not None else 0.0)

    def refresh_chrome(self) -> None:
        """Say in the header what has changed."""

    def start_background(self, work: Callable[[KubeClient], Coroutine[Any, Any, None]]) -> Background:
        """Run work on the network thread until it ends or is cancelled."""
        return self.connection.background(work)

    async def call(self, work: Callable[[KubeClient], Awaitable[T]]) -> T:
        """Await ``work(client)`` done on the network thread."""
        return await self.connection.call(work)

    async def read(self, work: Callable[[KubeClient], Awaitable[T]]) -> T:
        """:meth:`call` for what the next screen needs: keys wait for it, the header says so when it takes long."""
        timer = self.set_timer(0.4, lambda: self._show_waiting(True))
        try:
            return await self.expect(self.call(work))
        finally:
            timer.stop()
            self._show_waiting(False)

    def _show_waiting(self, waiting: bool) -> None:
        if waiting != self.waiting:
            self.waiting = waiting
            self.refresh_chrome()

    async def rediscover(self) -> None:
        """Learn what kinds there are by now: definitions come and go."""
        from kubetui.live.discovery import discover
        from kubetui.live.errors import ApiError

        if self.connection.catalog is not None:
            with contextlib.suppress(ApiError, OSError):
                self.connection.catalog = await self.call(discover)

    @property
    def catalog(self) -> Catalog | None:
        """The kinds that the server has, once discovered."""
        return self.connection.catalog
