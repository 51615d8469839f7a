"""Exec and attach: a container's streams over WebSocket channels or SPDY streams.

Follows cri-streaming's ``remotecommand``: stdin, stdout, stderr, an error stream that carries how the command ended
(a ``v1.Status`` from v4 on, plain text before), and terminal sizes. When the command has ended, the server says so
and lets the *client* close: closing first would throw away output that a slow client has yet to read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from runtime.api.node import StreamSession
from runtime.objects.errors import Obj, StatusError, internal

from .channels import CLOSE, ChannelSocket, Closed
from .session import Session, Stream, StreamGone

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
V5, V4, V3, V2, V1 = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
)
SPDY_PROTOCOLS = (V4, V3, V2, V1)
WEBSOCKET_PROTOCOLS = (V5, V4, V3, V2, V1, "v4.base64.channel.k8s.io", "base64.channel.k8s.io")
STREAM_CREATION_SECONDS = 30.0
FINISH_SECONDS = 900.0
"""How long a client may take to read the rest of the output."""
TURN_AWAY_SECONDS = 1.0
"""How long a client that was opening its streams may take to learn that the server stops."""
_STRUCTURED = (V5, V4, "v4.base64.channel.k8s.io")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams a request asks for."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class Streams(Protocol):
    """The client's side of a session, whatever it is made of."""

    closed: asyncio.Event
    structured: bool
    """Whether the error stream takes a ``v1.Status``."""

    async def read_stdin(self) -> bytes:
        """The next input, or ``b""`` at its end. ConnectionError when the client is gone."""
        ...

    async def read_size(self) -> tuple[int, int] | None:
        """The next terminal size, or None when no more come."""
        ...

    async def write(self, channel: int, data: bytes) -> None:
        """Send output or, on :data:`ERROR`, how it ended. ConnectionError when the client is gone."""
        ...

    async def finish(self) -> None:
        """Nothing more is written: say so, and wait for the client to close."""
        ...


def parse_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a resize message; None when it is none."""
    try:
        size = orjson.loads(data)
        return int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return None


def exit_status(code: int) -> Obj:
    """The ``v1.Status`` of a command that ended with this code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def run(session: StreamSession, streams: Streams, wanted: Wanted, *, report_exit: bool) -> None:
    """Carry bytes both ways until the command ends or the client goes.

    The session stays open: its owner closes it. ``report_exit`` False (attach) tells the end, but not the exit code:
    that is in the pod's status.
    """
    helpers: list[asyncio.Task[None]] = []
    if wanted.stdin:
        helpers.append(asyncio.create_task(_copy_input(session, streams)))
    if wanted.tty:
        helpers.append(asyncio.create_task(_copy_sizes(session, streams)))
    output = asyncio.create_task(_copy_output(session, streams, wanted, report_exit))
    gone: asyncio.Task[Any] = asyncio.create_task(streams.closed.wait())
    try:
        watched: set[asyncio.Task[Any]] = {output, gone}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if output.done() and output.exception() is None:
            for task in helpers:
                task.cancel()
            await streams.finish()
    finally:
        for task in (*helpers, output, gone):
            task.cancel()
        await asyncio.gather(*helpers, output, gone, return_exceptions=True)


async def _copy_output(session: StreamSession, streams: Streams, wanted: Wanted, report_exit: bool) -> None:
    status: Obj
    try:
        while (piece := await session.read()) is not None:
            channel, data = piece
            if data and (wanted.stdout if channel == STDOUT else wanted.stderr):
                await streams.write(channel, data)
        code = await session.wait()
        status = exit_status(code if report_exit else 0)
    except StatusError as error:
        status = error.status
    except ConnectionError:
        raise
    except Exception as error:
        status = internal(str(error)).status
    if streams.structured:
        await streams.write(ERROR, orjson.dumps(status))
    elif status["status"] != "Success":
        await streams.write(ERROR, status.get("message", "").encode())


async def _copy_input(session: StreamSession, streams: Streams) -> None:
    try:
        while data := await streams.read_stdin():
            await session.write(data)
        await session.close_stdin()
    except (ConnectionError, StatusError):
        pass  # the command has closed its input, or the client is gone: the output says which


async def _copy_sizes(session: StreamSession, streams: Streams) -> None:
    with contextlib.suppress(ConnectionError, StatusError):
        while (size := await streams.read_size()) is not None:
            await session.resize(*size)


class SocketStreams:
    """A session's streams as WebSocket channels."""

    def __init__(self, socket: ChannelSocket) -> None:
        self._socket = socket
        self.closed = asyncio.Event()
        self.structured = socket.protocol in _STRUCTURED
        self._input: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._sizes: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue(16)
        self._input_ended = False
        self._finishing = False
        self._reader = asyncio.create_task(self._read())

    async def begin(self, wanted: Wanted) -> None:
        """Tell the client that its streams are there: an empty message on the first channel that it reads."""
        if self._socket.protocol == V5:
            await self._socket.wait_for_reader()
        channel = STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR
        with contextlib.suppress(Closed):
            await self._socket.send(channel, b"")

    async def _read(self) -> None:
        """Sort what comes in; a full input queue stops reading, and so in the end the client."""
        try:
            while (message := await self._socket.receive()) is not None:
                channel, data = message
                if channel == STDIN and data and not self._input_ended and not self._finishing:
                    await self._input.put(data)
                elif channel == RESIZE:
                    size = parse_size(data)
                    if size is not None and not self._sizes.full():
                        self._sizes.put_nowait(size)
                elif channel == CLOSE and data[:1] == bytes((STDIN,)) and not self._input_ended:
                    self._input_ended = True
                    await self._input.put(b"")
        except Closed:
            pass
        finally:
            self.closed.set()

    async def read_stdin(self) -> bytes:
        """The next input, or ``b""`` at its end."""
        return await self._input.get()

    async def read_size(self) -> tuple[int, int] | None:
        """The next terminal size."""
        return await self._sizes.get()

    async def write(self, channel: int, data: bytes) -> None:
        """Send on a channel."""
        await self._socket.send(channel, data)

    async def finish(self) -> None:
        """Send the close frame and wait for the client's."""
        self._finishing = True
        while not self._input.empty():  # frees a reader that waits to put
            self._input.get_nowait()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def abandon(self) -> None:
        """Stop reading; the connection is closed by whoever owns it."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


class SPDYStreams:
    """A session's streams as SPDY streams, once the client has opened all of them."""

    _TYPES = ("stdin", "stdout", "stderr", "error", "resize")

    def __init__(self, protocol: str) -> None:
        self.structured = protocol == V4
        self._resizes = protocol in (V4, V3)
        self._streams: dict[str, Stream] = {}
        self._arrived = asyncio.Event()
        self._session: Session | None = None
        self.closed = asyncio.Event()
        self._partial = b""

    def on_stream(self, stream: Stream) -> str | None:
        """Take a stream the client opened, or say why not."""
        kind = stream.headers.get("streamtype", "")
        if kind not in self._TYPES or kind in self._streams:
            return f'unexpected stream type: "{kind}"'
        self._streams[kind] = stream
        self._arrived.set()
        return None

    def bind(self, session: Session) -> None:
        """The session whose end ends these streams."""
        self._session = session
        self.closed = session.closed

    async def complete(self, wanted: Wanted) -> bool:
        """Wait for the streams that were asked for; False when they do not come in time.

        When the server gives up meanwhile, a client that is still opening its streams is turned away first.
        """
        try:
            return await self._all_arrived(wanted)
        except asyncio.CancelledError:
            if self._session is not None:
                await self._session.turn_away(TURN_AWAY_SECONDS)
            raise

    async def _all_arrived(self, wanted: Wanted) -> bool:
        needed = {"error"}
        needed |= {name for name in ("stdin", "stdout", "stderr") if getattr(wanted, name)}
        if wanted.tty and self._resizes:
            needed.add("resize")
        try:
            async with asyncio.timeout(STREAM_CREATION_SECONDS):
                while not needed <= self._streams.keys() and not self.closed.is_set():
                    self._arrived.clear()
                    ended = asyncio.ensure_future(self.closed.wait())
                    more = asyncio.ensure_future(self._arrived.wait())
                    try:
                        await asyncio.wait({ended, more}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        ended.cancel()
                        more.cancel()
        except TimeoutError:
            return False
        return needed <= self._streams.keys()

    async def read_stdin(self) -> bytes:
        """The next input, or ``b""`` at its end."""
        return await self._streams["stdin"].read()

    async def read_size(self) -> tuple[int, int] | None:
        """The next terminal size: JSON objects that follow each other."""
        stream = self._streams.get("resize")
        while stream is not None:
            text, brace, rest = self._partial.partition(b"}")
            if brace:
                self._partial = rest
                size = parse_size(text + brace)
                if size is not None:
                    return size
                continue
            data = await stream.read()
            if not data:
                return None
            self._partial = (self._partial + data)[-4096:]
        return None

    async def write(self, channel: int, data: bytes) -> None:
        """Send on the stream of a channel."""
        stream = self._streams.get(self._TYPES[(STDIN, STDOUT, STDERR, ERROR, RESIZE).index(channel)])
        if stream is None:
            raise StreamGone("no such stream")
        await stream.write(data)

    async def finish(self) -> None:
        """End the output streams and wait for the client to close the connection."""
        for name in ("stdin", "resize"):
            if name in self._streams:
                self._streams[name].discard()
        for name in ("stdout", "stderr", "error"):
            if name in self._streams:
                await self._streams[name].close_write()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self.closed.wait()


def negotiate(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The stream protocol of a SPDY handshake: the client's first that the server has; None when none fits.

    A client that names none speaks the first version.
    """
    if not offered:
        return V1 if V1 in supported else supported[0]
    return next((protocol for protocol in offered if protocol in supported), None)
