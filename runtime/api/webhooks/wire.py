"""One HTTP exchange over TLS: a JSON body out, a bounded body back.

A webhook is not trusted to be well-behaved: what it sends is bounded in size, redirects are not followed, and
whatever is wrong has a sentence for the failure policy to tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
"""Bytes of an answer's head, or of one line of a chunked body."""
BODY_LIMIT = 3 * 1024 * 1024
"""Bytes of an answer's body: what the largest object needs twice, once as it is and once in base64."""


class BadAnswer(Exception):
    """What came back is no HTTP, or too much of it."""


@dataclass(frozen=True, slots=True)
class Response:
    """A code, the headers (names in lower case), and the body."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(
    sock: socket.socket,
    context: ssl.SSLContext,
    server_name: str,
    request: bytes,
    *,
    body_limit: int = BODY_LIMIT,
) -> Response:
    """Send a whole request over a connected socket, which is closed afterwards, and read the answer.

    Raises:
        OSError: the connection or its TLS failed.
        BadAnswer: the answer can't be read.
    """
    try:
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=context, server_hostname=server_name, limit=HEAD_LIMIT
        )
    except BaseException:
        sock.close()
        raise
    try:
        writer.write(request)
        await writer.drain()
        return await _read(reader, body_limit)
    except (asyncio.LimitOverrunError, ValueError) as error:
        raise BadAnswer("the head of the answer is too long") from error
    except asyncio.IncompleteReadError as error:
        raise BadAnswer("unexpected EOF") from error
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, limit: int) -> Response:
    while True:
        status, headers = await _read_head(reader)
        if status >= 200:
            break
    if status in (204, 304):
        return Response(status, headers, b"")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Response(status, headers, await _read_chunks(reader, limit))
    length = headers.get("content-length")
    if length is None:
        return Response(status, headers, await _read_all(reader, limit))
    if not length.isascii() or not length.isdigit() or int(length) > limit:
        raise BadAnswer(f"the body of the answer is larger than {limit} bytes")
    return Response(status, headers, await reader.readexactly(int(length)))


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    parts = first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit() or len(parts[1]) != 3:
        raise BadAnswer(f'malformed HTTP response "{first[:100]}"')
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(parts[1]), headers


async def _read_chunks(reader: asyncio.StreamReader, limit: int) -> bytes:
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        text = line.split(b";", 1)[0].strip()
        try:
            size = int(text, 16)
        except ValueError:
            raise BadAnswer("invalid byte in chunk length") from None
        if size < 0 or len(body) + size > limit:
            raise BadAnswer(f"the body of the answer is larger than {limit} bytes")
        if not size:
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)


async def _read_all(reader: asyncio.StreamReader, limit: int) -> bytes:
    body = bytearray()
    while data := await reader.read(64 * 1024):
        body += data
        if len(body) > limit:
            raise BadAnswer(f"the body of the answer is larger than {limit} bytes")
    return bytes(body)
