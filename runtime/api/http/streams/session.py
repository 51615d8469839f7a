"""SPDY streams as things that can be awaited, over a TLS connection or inside a WebSocket.

Memory is bounded by refusing to read: while any stream holds more than :data:`HIGH_WATER` bytes that nobody
took, nothing is read from the wire, and TCP does the rest. Sending waits for the wire to drain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Protocol

from . import spdy

HIGH_WATER = 256 * 1024
PING_INTERVAL = 30.0
"""Seconds between signs of life asked for while the wire is not being read."""


class Wire(Protocol):
    """What a session runs over."""

    async def read(self) -> bytes:
        """The next bytes, or ``b""`` when the other side is gone."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, and wait while the other side is slow. Raises ConnectionError when it is gone."""
        ...

    def close(self) -> None:
        """Close at once."""
        ...


class StreamGone(ConnectionError):
    """The stream was reset, or its connection ended."""


class Stream:
    """One of the client's streams."""

    def __init__(self, session: Session, identifier: int, headers: dict[str, str], fin: bool) -> None:
        self.id = identifier
        self.headers = headers
        self._session = session
        self._pieces: deque[bytes] = deque()
        self.buffered = 0
        self._ended = fin
        self._lost = False
        self._discarding = False
        self._wake: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """The next piece, or ``b""`` at the end.

        Raises:
            StreamGone: it was reset, or the connection broke, before its end.
        """
        while not self._pieces:
            if self._ended:
                return b""
            if self._lost:
                raise StreamGone("stream reset")
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        piece = self._pieces.popleft()
        self.buffered -= len(piece)
        await self._session.consumed(self, len(piece))
        return piece

    async def write(self, data: bytes) -> None:
        """Send; waits while the client is slow.

        Raises:
            StreamGone: nobody is there to read it.
        """
        await self._session.send(self, data)

    async def close_write(self) -> None:
        """Half-close: the client sees the end of this stream."""
        await self._session.finish(self)

    async def reset(self) -> None:
        """Give it up both ways."""
        await self._session.reset(self)

    def discard(self) -> None:
        """Throw away what was and will be received: nobody is going to read it."""
        self._discarding = True
        self._pieces.clear()
        self.buffered = 0
        self._session.relieved()

    def push(self, data: bytes, fin: bool) -> None:
        """Data from the wire."""
        if data and not self._discarding:
            self._pieces.append(data)
            self.buffered += len(data)
        self._ended = self._ended or fin
        self._rouse()

    def lose(self) -> None:
        """The stream is no more."""
        self._lost = True
        self._rouse()

    @property
    def lost(self) -> bool:
        """Whether it was reset or its connection ended."""
        return self._lost

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Session:
    """One SPDY connection. :meth:`run` reads until the client is gone."""

    def __init__(self, wire: Wire, on_stream: Callable[[Stream], str | None]) -> None:
        """``on_stream`` takes a new stream, or refuses it by returning a reason."""
        self._wire = wire
        self._on_stream = on_stream
        self._connection = spdy.Connection()
        self._streams: dict[int, Stream] = {}
        self._writing = asyncio.Lock()
        self._progress = asyncio.Event()
        self._window = asyncio.Event()
        self._refusing = ""
        self.closed = asyncio.Event()

    async def run(self) -> None:
        """Serve until the client goes or breaks the protocol."""
        try:
            while True:
                data = await self._wire.read()
                if not data:
                    break
                for event in self._connection.receive(data):
                    self._handle(event)
                await self._flush()
                while any(stream.buffered > HIGH_WATER for stream in self._streams.values()):
                    self._progress.clear()
                    try:
                        async with asyncio.timeout(PING_INTERVAL):
                            await self._progress.wait()
                    except TimeoutError:
                        self._connection.ping()
                        await self._flush()
        except (spdy.ProtocolError, ConnectionError):
            pass
        finally:
            await self._end()

    async def _end(self) -> None:
        self.closed.set()
        for stream in self._streams.values():
            stream.lose()
        self._streams.clear()
        self._window.set()
        self._connection.go_away()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._flush()
        self._wire.close()

    def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.StreamOpened():
                stream = Stream(self, event.stream, event.headers, event.fin)
                refusal = self._refusing or self._on_stream(stream)
                if refusal is None:
                    self._streams[stream.id] = stream
                    self._connection.reply(stream.id)
                else:
                    self._connection.reset(stream.id, spdy.REFUSED_STREAM)
            case spdy.DataReceived():
                found = self._streams.get(event.stream)
                if found is not None:
                    found.push(event.data, event.fin)
            case spdy.StreamReset():
                found = self._streams.pop(event.stream, None)
                if found is not None:
                    found.lose()
                    self._window.set()
            case spdy.WindowOpened():
                self._window.set()
            case spdy.WentAway():
                pass  # its open streams go on; the end comes with the end of the wire

    async def turn_away(self, seconds: float) -> None:
        """Refuse every further stream, and wait at most ``seconds`` for the client to go.

        Clients of Go's spdystream wait up to half a minute for the answer to a stream they open, even on a
        connection that has ended meanwhile: one that is still opening its streams must be told on each of them.
        """
        self._refusing = "the server is stopping"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.closed.wait()

    async def _flush(self) -> None:
        async with self._writing:
            data = self._connection.outgoing()
            if data:
                await self._wire.write(data)

    def relieved(self) -> None:
        """Somebody took or threw away data: reading may go on."""
        self._progress.set()

    async def consumed(self, stream: Stream, size: int) -> None:
        """A reader took ``size`` bytes of a stream."""
        self._connection.consumed(stream.id, size)
        if stream.buffered <= HIGH_WATER:
            self._progress.set()
        if not self.closed.is_set():
            await self._quietly()  # when the wire is gone, what has arrived can still be read

    async def send(self, stream: Stream, data: bytes) -> None:
        """Send all of ``data`` on a stream, in frames."""
        view = memoryview(data)
        while view:
            if stream.lost or self.closed.is_set() or not self._connection.is_writable(stream.id):
                raise StreamGone("stream reset")
            room = self._connection.room(stream.id)
            if not room:
                self._window.clear()
                await self._window.wait()
                continue
            self._connection.send(stream.id, bytes(view[:room]))
            view = view[room:]
            await self._flush()

    async def finish(self, stream: Stream) -> None:
        """Half-close a stream."""
        if self._connection.is_writable(stream.id) and not self.closed.is_set():
            self._connection.send(stream.id, b"", fin=True)
            await self._quietly()

    async def reset(self, stream: Stream) -> None:
        """Reset a stream and forget it."""
        if self._streams.pop(stream.id, None) is not None:
            self._connection.reset(stream.id)
            stream.lose()
            self.relieved()
            await self._quietly()

    def forget(self, stream: Stream) -> None:
        """Both sides are done with a stream."""
        self._streams.pop(stream.id, None)
        self.relieved()

    async def _quietly(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._flush()

    def close(self) -> None:
        """Close the wire; :meth:`run` ends."""
        self._wire.close()
