"""Writing responses: the headers every answer has, errors as ``v1.Status``, compression where it pays."""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson
import yaml
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from runtime.objects.errors import StatusError

from .negotiation import JSON, PROTOBUF, YAML, error_media
from .protobuf import encode_body

COMPRESS_FROM = 128 * 1024
"""Bytes from which a body is compressed when the client takes gzip (apiserver's ``defaultGzipThresholdBytes``)."""
WHOLE_UP_TO = 512 * 1024
"""Bytes up to which a body is written at once."""
PIECE = 256 * 1024
STALL_SECONDS = 60.0
"""How long a client may leave a full connection unread."""
_OFF_LOOP_FROM = 1024 * 1024
WARNINGS_LIMIT = 4096
"""Bytes of Warning headers in one answer (apiserver's ``truncateAtTotalRunes``)."""

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def base_headers(audit_id: str) -> CIMultiDict[str]:
    """The headers of every answer."""
    headers: CIMultiDict[str] = CIMultiDict()
    headers["Audit-Id"] = audit_id
    headers["Cache-Control"] = "no-cache, private"
    return headers


def warning_headers(warnings: Iterable[str]) -> list[str]:
    """``Warning`` header values (RFC 7234, code 299), cut off where they become too long."""
    found, size = [], 0
    for text in warnings:
        # Sentences quote what clients sent, which may hold what no header can.
        plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
        clean = plain.replace("\\", "\\\\").replace('"', '\\"')
        value = f'299 - "{clean}"'
        size += len(value)
        if size > WARNINGS_LIMIT:
            break
        found.append(value)
    return found


def indent(body: bytes) -> bytes:
    """JSON, indented for people."""
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2) + b"\n"


def as_yaml(body: bytes) -> bytes:
    """JSON as YAML."""
    text: str = yaml.dump(orjson.loads(body), Dumper=_Dumper, sort_keys=True, default_flow_style=False)
    return text.encode()


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    for entry in header.split(","):
        name, _, quality = entry.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _gzip(pieces: list[bytes]) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])


async def respond(
    headers: CIMultiDict[str],
    body: bytes | list[bytes],
    *,
    code: int = 200,
    media: str = JSON,
    pretty: bool = False,
    accept_encoding: str = "",
) -> web.StreamResponse:
    """An answer whose body, whole or in pieces, is JSON, given as ``media`` wants it, or already what it is."""
    pieces = body if isinstance(body, list) else [body]
    size = sum(map(len, pieces))
    if media == YAML:
        body = b"".join(pieces)
        body = as_yaml(body) if size < _OFF_LOOP_FROM else await asyncio.to_thread(as_yaml, body)
        pieces, size = [body], len(body)
    elif pretty and media == JSON:
        body = indent(b"".join(pieces))
        pieces, size = [body], len(body)
    headers["Content-Type"] = media
    if size > COMPRESS_FROM and accept_encoding and accepts_gzip(accept_encoding):
        # zlib lets go of the interpreter while it works, so the loop goes on beside it.
        body = await asyncio.to_thread(_gzip, pieces)
        pieces, size = [body], len(body)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    if size > WHOLE_UP_TO:
        return LargeResponse(pieces, size, code, headers)
    return WholeResponse(pieces[0] if len(pieces) == 1 else b"".join(pieces), code, headers)


class _Date:
    """The Date header, which is the same for all answers of a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


_date = _Date()
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def head(version: tuple[int, int], code: int, headers: CIMultiDict[str]) -> bytes:
    """An answer's first line and headers as they go over the wire.

    Raises:
        ValueError: a value holds what no header can: who wrote it wants to write further headers.
    """
    lines = [f"HTTP/{version[0]}.{version[1]} {code} {_PHRASES.get(code, '')}"]
    for name, value in headers.items():
        if not value.isprintable() and _CONTROL.search(value):
            raise ValueError(f"the header {name} can't hold {value!r}")
        lines.append(f"{name}: {value}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class WholeResponse(web.StreamResponse):
    """A body that is there as a whole, written together with its head.

    Nearly all answers are such, and what a general response looks for (cookies, compression, chunks) costs more than
    making most of them did.
    """

    def __init__(self, body: bytes, code: int, headers: CIMultiDict[str]) -> None:
        super().__init__(status=code, headers=headers)
        self.body = body
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Take note of whom the answer is for."""
        self._request = request
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write all of it, once."""
        request, self._request = self._request, None
        if request is None:
            return
        headers = self._headers
        headers["Content-Length"] = str(len(self.body))
        headers["Date"] = _date.now()
        version = request.version
        if not self._keep_alive:
            headers["Connection"] = "close"
        elif version < (1, 1):
            headers["Connection"] = "keep-alive"
        whole = head(version, self._status, headers)
        if request.method != "HEAD":
            whole += self.body
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(whole)
        await request.writer.drain()


class LargeResponse(web.StreamResponse):
    """A body that is written piece by piece.

    Encrypting all of a large list before any of it is sent costs twice the time and memory, and everybody else's
    patience.
    """

    def __init__(self, pieces: list[bytes], size: int, code: int, headers: CIMultiDict[str]) -> None:
        super().__init__(status=code, headers=headers)
        self.content_length = size
        self._pieces = pieces
        self._empty = False
        self._client: asyncio.Transport | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the head."""
        self._empty = request.method == "HEAD"
        self._client = request.transport
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the body."""
        if not self._empty:
            for piece in self._pieces:
                view = memoryview(piece)
                while view:
                    await self._write_piece(view[:PIECE])
                    view = view[PIECE:]
        await super().write_eof(data)

    async def _write_piece(self, piece: memoryview) -> None:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self.write(piece)
        except TimeoutError:
            if self._client is not None:
                self._client.abort()
            raise ConnectionResetError("the client does not read") from None


def status_response(headers: CIMultiDict[str], error: StatusError, accept: str = "") -> WholeResponse:
    """A failure as ``v1.Status``, in the representation that the Accept header prefers."""
    for name, value in error.headers.items():
        headers[name] = value
    seconds = (error.details or {}).get("retryAfterSeconds")
    if seconds:
        headers["Retry-After"] = str(seconds)
    if error.code == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="kubernetes"'
    accepted = error_media(accept)
    headers["Content-Type"] = accepted.media
    body: bytes = orjson.dumps(
        error.status, option=orjson.OPT_INDENT_2 if accepted.pretty else 0, default=str
    )
    if accepted.media == PROTOBUF:
        body = encode_body(orjson.loads(body))
    elif accepted.media == YAML:
        body = as_yaml(body)
    return WholeResponse(body, error.code, headers)


def text_response(headers: CIMultiDict[str], text: str, *, code: int = 200) -> WholeResponse:
    """Plain text."""
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["X-Content-Type-Options"] = "nosniff"
    return WholeResponse(text.encode(), code, headers)
