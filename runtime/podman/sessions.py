"""Exec and attach: a hijacked connection as a session with input, output, terminal size and exit code.

Without a terminal Podman frames the output (byte 0 the stream, bytes 4 to 7 the length); with one it is raw. Input
is raw always, and its end is the half-close of the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

from .interface import RuntimeFailure, RuntimeUnavailable
from .streams import Response

_PIECE = 64 * 1024


class HijackedSession:
    """One exec or attach. ``exit_code`` asks for the exit code; ``set_size`` (width, height) resizes."""

    def __init__(
        self,
        answer: Response,
        *,
        tty: bool,
        wanted: frozenset[int],
        exit_code: Callable[[], Awaitable[int]],
        set_size: Callable[[int, int], Awaitable[None]],
    ) -> None:
        self._reader = answer.reader
        self._writer = answer.writer
        self._tty = tty
        self._wanted = wanted
        self._exit_code = exit_code
        self._set_size = set_size
        self._left = 0
        self._stream = 1
        self._ended = asyncio.Event()
        self._input_closed = False

    @property
    def ended(self) -> bool:
        """Whether there will be no more output."""
        return self._ended.is_set()

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece: (1 stdout or 2 stderr, bytes); None when the output has ended."""
        while not self._ended.is_set():
            try:
                if not self._tty and self._left == 0:
                    head = await self._reader.readexactly(8)
                    self._stream, self._left = head[0], struct.unpack(">I", head[4:])[0]
                    continue
                data = await self._reader.read(_PIECE if self._tty else min(self._left, _PIECE))
            except (asyncio.IncompleteReadError, OSError):
                data = b""
            if not data:
                self._ended.set()
                break
            if self._tty:
                return 1, data
            self._left -= len(data)
            if self._stream in self._wanted:
                return self._stream, data
        return None

    async def write(self, data: bytes) -> None:
        """Send to standard input; waits while the other side is full. What comes after its end is dropped."""
        if self._input_closed or self._ended.is_set():
            return
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            self._input_closed = True

    async def close_stdin(self) -> None:
        """End of standard input; output goes on."""
        if not self._input_closed:
            self._input_closed = True
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write_eof()

    async def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in cells. Right after the start it may not be there yet: tried for a second."""
        for delay in (0.01, 0.02, 0.04, 0.08, *[0.1] * 9):
            try:
                await self._set_size(width, height)
            except RuntimeUnavailable:
                raise
            except RuntimeFailure:
                await asyncio.sleep(delay)
            else:
                return

    async def wait(self) -> int:
        """The exit code, once the output has ended (somebody must be reading it)."""
        await self._ended.wait()
        return await self._exit_code()

    async def close(self) -> None:
        """Let go of it; an exec'd process is not killed by this."""
        self._ended.set()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class SocketConnection:
    """A connected socket as a byte stream with half-close and back-pressure."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, plug: socket.socket) -> SocketConnection:
        """Take over a connected socket."""
        plug.setblocking(False)
        return cls(*await asyncio.open_connection(sock=plug, limit=4 * _PIECE))

    async def read(self) -> bytes:
        """The next piece, or b"" at the end."""
        return await self._reader.read(_PIECE)

    async def write(self, data: bytes) -> None:
        """Send; waits while the other side is full."""
        self._writer.write(data)
        await self._writer.drain()

    async def close_write(self) -> None:
        """Half-close."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def close(self) -> None:
        """Close both ways."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
