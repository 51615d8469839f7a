"""Attaching to a container whose input outlives its clients.

Podman's monitor ends a container's input with the first connection that ends, whichever that is and whatever it was
for. To a container that is to go on reading (``stdin`` without ``stdinOnce``) a connection is therefore never ended
before the container is: when a client lets go, what still comes is read and dropped, and the next client takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from .interface import RuntimeFailure
from .sessions import HijackedSession

_LINGER_SECONDS = 0.3

Connect = Callable[[str], Awaitable[HijackedSession]]


class KeptSession:
    """A client's turn at a connection that stays. The end of its input ends the turn, as with containerd."""

    def __init__(
        self, inner: HijackedSession, output: frozenset[int], let_go: Callable[[HijackedSession], None]
    ) -> None:
        self._inner = inner
        self._output = output
        self._let_go = let_go
        self._left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed = False

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of a stream that is wanted; None at the end of the output or of the turn."""
        while not self._closed:
            piece = asyncio.ensure_future(self._inner.read())
            either: set[asyncio.Future[Any]] = {piece, self._left}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not piece.done():  # what answers the last of the input may still be on its way
                    await asyncio.wait({piece}, timeout=_LINGER_SECONDS)
                if not piece.done():
                    break
                found = piece.result()
            finally:
                piece.cancel()
                await asyncio.gather(piece, return_exceptions=True)
            if found is None or found[0] in self._output:
                return found
        return None

    async def write(self, data: bytes) -> None:
        """Send to standard input; waits while the other side is full."""
        if not self._left.done():
            await self._inner.write(data)

    async def close_stdin(self) -> None:
        """This client has said all it had to say; the container's input stays open."""
        if not self._left.done():
            self._left.set_result(None)

    async def resize(self, width: int, height: int) -> None:
        """There is no terminal."""

    async def wait(self) -> int:
        """The exit code, 0 where only the turn ended."""
        return 0 if self._left.done() else await self._inner.wait()

    async def close(self) -> None:
        """Let go of it."""
        await self.close_stdin()
        if not self._closed:
            self._closed = True
            self._let_go(self._inner)


class Attachments:
    """The connections that stay, by container."""

    def __init__(self, connect: Connect) -> None:
        """``connect`` joins all streams of a container."""
        self._connect = connect
        self._idle: dict[str, list[tuple[HijackedSession, asyncio.Task[None]]]] = {}

    async def attach(self, container_id: str, output: frozenset[int]) -> KeptSession:
        """A turn at a connection that is idle, or at a new one."""
        inner = await self._take(container_id) or await self._connect(container_id)
        return KeptSession(inner, output, lambda session: self._keep(container_id, session))

    async def _take(self, container_id: str) -> HijackedSession | None:
        idle = self._idle.get(container_id)
        while idle:
            session, reading = idle.pop()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            if not session.ended:
                return session
        return None

    def _keep(self, container_id: str, session: HijackedSession) -> None:
        reading = asyncio.get_running_loop().create_task(self._drop(container_id, session))
        self._idle.setdefault(container_id, []).append((session, reading))

    async def _drop(self, container_id: str, session: HijackedSession) -> None:
        """Read what nobody wants until the container has ended."""
        with contextlib.suppress(RuntimeFailure):
            while await session.read() is not None:
                pass
        idle = [entry for entry in self._idle.pop(container_id, []) if entry[0] is not session]
        if idle:
            self._idle[container_id] = idle
        await session.close()

    async def close(self) -> None:
        """End them all: this program ends."""
        kept = [entry for idle in self._idle.values() for entry in idle]
        self._idle.clear()
        for _, reading in kept:
            reading.cancel()
        await asyncio.gather(*(reading for _, reading in kept), return_exceptions=True)
        for session, _ in kept:
            await session.close()
