"""Watches over HTTP: JSON lines or protobuf frames in chunks, written a batch at a time.

The line of an event is the record's own JSON with a few bytes around it, and one watch rarely differs from
the next, so the last lines made are kept for whoever writes them next. A client that does not read is cut off
after :data:`STALL_SECONDS`; until then its events wait in the store's bounded buffer, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol, cast

import orjson
from aiohttp import web
from aiohttp.http_writer import StreamWriter

from runtime.api.context import BOOKMARK
from runtime.objects.errors import StatusError
from runtime.store import Record

from .streams.messages import MessageSocket, Unread

STALL_SECONDS = 30.0
"""How long a client may leave a full connection unread."""
HIGH_WATER = 256 * 1024
"""Bytes that may wait in a connection before the watch waits for it."""
MIN_TIMEOUT = 1800
"""Seconds a watch without a timeout of its own lasts at least; twice that at most (``MinRequestTimeout``)."""
BATCH_BYTES = 1024 * 1024
"""Bytes that are written at once."""
LENGTH_BYTES = 4
"""What stands before a frame, and not before a message."""

Render = Callable[[str, Record], bytes]
"""One event as a line or frame."""


class Stream(Protocol):
    """What the API's watch gives (see :mod:`runtime.api.watching`)."""

    async def next(self) -> list[tuple[str, Record]]:
        """The next events; none at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def default_timeout() -> int:
    """A length for watches that ask for none, spread so that they do not all end at once."""
    return MIN_TIMEOUT + random.randrange(MIN_TIMEOUT)


_last_event: tuple[str, Record | None, bytes] = ("", None, b"")


def object_line(kind: str, record: Record) -> bytes:
    """An event with its whole object. Kept for the next watcher, who most likely sends the same."""
    global _last_event
    last_kind, last_record, line = _last_event
    if last_record is record and last_kind == kind:
        return line
    line = b'{"type":"%b","object":%b}\n' % (kind.encode(), record.json)
    _last_event = (kind, record, line)
    return line


def transformed_line(transform: Callable[[Record, bool], bytes]) -> Render:
    """Events whose objects are rendered by ``transform(record, first)``."""
    first = True

    def line(kind: str, record: Record) -> bytes:
        nonlocal first
        body = transform(record, first)
        if kind != BOOKMARK:
            first = False
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), body)

    return line


def error_line(error: StatusError) -> bytes:
    """What a running watch sends when it can't go on."""
    return orjson.dumps({"type": "ERROR", "object": error.status}) + b"\n"


class Stalled(Exception):
    """The client does not read."""


async def _send(request: web.BaseRequest, writer: StreamWriter, data: bytes) -> None:
    await writer.write(data, drain=False)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("client is gone")
    if transport.get_write_buffer_size() > HIGH_WATER:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await writer.drain()
        except TimeoutError:
            raise Stalled from None


async def pump(
    request: web.BaseRequest,
    response: web.StreamResponse,
    stream: Stream,
    render: Render,
    counted: Callable[[int], None],
    failed: Callable[[StatusError], bytes] = error_line,
) -> bool:
    """Write a watch to its client until it ends; the response must have been prepared.

    Returns:
        False when the client was cut off because it did not read.
    """
    writer = cast(StreamWriter, request.writer)
    try:
        while True:
            try:
                batch = await stream.next()
            except StatusError as error:
                await _send(request, writer, failed(error))
                break
            if not batch:
                break
            counted(len(batch))
            pieces: list[bytes] = []
            size = 0
            for kind, record in batch:
                line = render(kind, record)
                pieces.append(line)
                size += len(line)
                if size > BATCH_BYTES:
                    await _send(request, writer, b"".join(pieces))
                    pieces, size = [], 0
            if pieces:
                await _send(request, writer, pieces[0] if len(pieces) == 1 else b"".join(pieces))
    except Stalled:
        if request.transport is not None:
            request.transport.abort()
        return False
    finally:
        stream.close()
    return True


async def pump_socket(
    socket: MessageSocket,
    stream: Stream,
    render: Render,
    counted: Callable[[int], None],
    failed: Callable[[StatusError], bytes],
    *,
    framed: bool,
) -> bool:
    """Write a watch to a WebSocket until it ends, a message for each event; ``framed`` ones lose their length.

    Returns:
        False when the client was cut off because it did not read.
    """

    async def send(event: bytes) -> None:
        await socket.send(event[LENGTH_BYTES:] if framed else event, text=not framed)

    try:
        while True:
            try:
                batch = await stream.next()
            except StatusError as error:
                await send(failed(error))
                break
            if not batch:
                break
            counted(len(batch))
            for kind, record in batch:
                await send(render(kind, record))
    except Unread:
        return False
    except ConnectionError:
        return True
    finally:
        stream.close()
    return True
