"""Long-lived conversations with Podman's service, straight on its socket.

podman-py speaks through ``requests``: good for questions and answers, but it can't hand over a hijacked connection,
half-close it, or wait for events without occupying a thread. Events, exec, attach, pulls and stops go through
here: a few lines of HTTP/1.1 on an asyncio stream, which gives back-pressure in both directions for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import orjson

from .interface import RuntimeUnavailable

Params = Mapping[str, Any]
_LIMIT = 256 * 1024


def socket_path(url: str) -> str | None:
    """The path of a ``unix://`` (or ``http+unix://``) URL, None for any other."""
    parts = urlsplit(url)
    if parts.scheme in ("unix", "http+unix"):
        return unquote(parts.netloc) + unquote(parts.path)
    return None


async def dial(url: str, timeout: float = 5.0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the service. RuntimeUnavailable when nobody is there."""
    path = socket_path(url)
    try:
        async with asyncio.timeout(timeout):
            if path is not None:
                return await asyncio.open_unix_connection(path, limit=_LIMIT)
            parts = urlsplit(url)
            return await asyncio.open_connection(parts.hostname, parts.port, limit=_LIMIT)
    except (OSError, TimeoutError) as error:
        raise RuntimeUnavailable(f"Podman does not answer at {url}: {str(error) or 'timed out'}") from error


def encode_params(params: Params | None) -> str:
    """A query string: booleans as words, objects as JSON, lists repeated."""
    if not params:
        return ""
    pairs: list[tuple[str, str]] = []
    for key, value in params.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, bool):
                pairs.append((key, "true" if item else "false"))
            elif isinstance(item, dict):
                pairs.append((key, orjson.dumps(item).decode()))
            else:
                pairs.append((key, str(item)))
    return "?" + urlencode(pairs, quote_via=quote)


class Response:
    """An answer whose body is still coming."""

    def __init__(
        self, status: int, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.status = status
        self.headers = headers
        self.reader = reader
        self.writer = writer

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. RuntimeUnavailable when it breaks off."""
        reader = self.reader
        try:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                while True:
                    size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
                    if size == 0:
                        return
                    left = size
                    while left:
                        piece = await reader.read(min(left, _LIMIT))
                        if not piece:
                            raise RuntimeUnavailable(
                                "Podman closed the connection in the middle of an answer"
                            )
                        left -= len(piece)
                        yield piece
                    await reader.readexactly(2)
            elif "content-length" in self.headers:
                left = int(self.headers["content-length"])
                while left:
                    piece = await reader.read(min(left, _LIMIT))
                    if not piece:
                        raise RuntimeUnavailable("Podman closed the connection in the middle of an answer")
                    left -= len(piece)
                    yield piece
            elif self.status not in (204, 304):
                while piece := await reader.read(_LIMIT):
                    yield piece
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise RuntimeUnavailable(f"the connection to Podman broke: {error}") from error

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.chunks()])

    async def objects(self) -> AsyncIterator[dict[str, Any]]:
        """The body as newline-delimited JSON objects; what is no object is skipped (``null`` lines happen)."""
        rest = b""
        async for piece in self.chunks():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                found = _object(line)
                if found is not None:
                    yield found
        found = _object(rest)
        if found is not None:
            yield found

    def close(self) -> None:
        """Hang up."""
        self.writer.close()

    async def __aenter__(self) -> Response:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def _object(line: bytes) -> dict[str, Any] | None:
    with contextlib.suppress(orjson.JSONDecodeError):
        found = orjson.loads(line)
        if isinstance(found, dict):
            return found
    return None


async def request(
    url: str,
    method: str,
    path: str,
    *,
    params: Params | None = None,
    body: Any = None,
    headers: Sequence[tuple[str, str]] = (),
    upgrade: bool = False,
    timeout: float | None = 30.0,
) -> Response:
    """Send one request on a connection of its own and read the answer's head.

    ``upgrade``: take over the connection afterwards (exec, attach). ``timeout``: seconds until the head is there,
    None waits for ever. Raises RuntimeUnavailable.
    """
    reader, writer = await dial(url)
    data = b"" if body is None else orjson.dumps(body)
    lines = [f"{method} {path}{encode_params(params)} HTTP/1.1", "Host: podman"]
    if upgrade:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    if data or method in ("POST", "PUT"):
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    try:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        async with asyncio.timeout(timeout):
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
    except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, IndexError) as error:
        writer.close()
        raise RuntimeUnavailable(f"Podman does not answer at {url}: {error or 'timed out'}") from error
    except BaseException:
        writer.close()
        raise
    fields = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return Response(status, fields, reader, writer)


async def ping(url: str, timeout: float = 2.0) -> str | None:
    """The server's ``Libpod-API-Version``, or None when no Podman answers there."""
    try:
        async with asyncio.timeout(timeout), await request(url, "GET", "/_ping", timeout=timeout) as answer:
            return answer.headers.get("libpod-api-version") if answer.status == 200 else None
    except (RuntimeUnavailable, TimeoutError):
        return None
