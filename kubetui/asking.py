"""How an application asks its cluster: in the background, for a change, or for what the next screen needs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from kubetui.connection import Background, Connection
from kubetui.ordered import OrderedKeysApp
from kubetui.widgets.soon import soon

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
        self._discovery: asyncio.Future[None] | None = None
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def server_time(self) -> float:
        """Seconds since 1970 by the server's clock, which has set all the times that are shown."""
        client = self.connection.client
        return time.time() + (client.skew if client is not None else 0.0)

    def refresh_chrome(self) -> None:
        """Say in the header what has changed."""

    def kinds_known(self) -> None:
        """Discovery has answered."""

    def start_background(self, work: Callable[[KubeClient], Coroutine[Any, Any, None]]) -> Background:
        """Run work on the network thread until it ends or is cancelled."""
        return self.connection.background(work)

    async def call(self, work: Callable[[KubeClient], Awaitable[T]]) -> T:
        """Await ``work(client)`` done on the network thread."""
        return await self.connection.call(work)

    async def read(self, work: Callable[[KubeClient], Awaitable[T]]) -> T:
        """:meth:`call` for what the next screen needs: see :meth:`patiently`."""
        return await self.patiently(self.call(work))

    async def patiently(self, work: Awaitable[T]) -> T:
        """Await what the next screen needs: keys wait for it, the header says so when it takes long."""
        over = False

        def takes_long() -> None:
            if not over:
                self._show_waiting(True)

        timer = soon(self, 0.4, takes_long)
        try:
            return await self.expect(work)
        finally:
            over = True
            timer.cancel()
            self._show_waiting(False)

    def _show_waiting(self, waiting: bool) -> None:
        if waiting != self.waiting:
            self.waiting = waiting
            self.refresh_chrome()

    def turn(self, name: str) -> asyncio.Lock:
        """To be held by who reads an object in order to change it: presses that follow quickly come one by one."""
        return self._turns.setdefault(name, asyncio.Lock())

    async def rediscover(self) -> None:
        """Learn what kinds there are by now: definitions come and go. Who asks meanwhile waits for that answer."""
        if self._discovery is None or self._discovery.done():
            self._discovery = asyncio.ensure_future(self._discover())
        await asyncio.shield(self._discovery)

    async def _discover(self) -> None:
        from kubetui.live.discovery import discover
        from kubetui.live.errors import ApiError

        connection = self.connection
        with contextlib.suppress(ApiError, OSError):
            connection.catalog = await connection.call(discover)
            if connection is self.connection:
                self.kinds_known()

    @property
    def catalog(self) -> Catalog | None:
        """The kinds that the server has, once discovered."""
        return self.connection.catalog
