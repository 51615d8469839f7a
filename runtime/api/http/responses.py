"""Writing responses: the headers every answer has, errors as ``v1.Status``, compression where it pays."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
import yaml
from aiohttp import web
from multidict import CIMultiDict

from runtime.objects.errors import StatusError

from .negotiation import JSON, YAML

COMPRESS_FROM = 128 * 1024
"""Bytes from which a body is compressed when the client takes gzip (apiserver's ``defaultGzipThresholdBytes``)."""
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
        clean = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
        value = f'299 - "{clean}"'
        size += len(value)
        if size > WARNINGS_LIMIT:
            break
        found.append(value.encode("utf-8").decode("utf-8", "replace"))
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


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


async def respond(
    headers: CIMultiDict[str],
    body: bytes,
    *,
    code: int = 200,
    media: str = JSON,
    pretty: bool = False,
    accept_encoding: str = "",
) -> web.Response:
    """An answer whose body is JSON, given as ``media`` wants it."""
    if media == YAML:
        body = as_yaml(body) if len(body) < _OFF_LOOP_FROM else await asyncio.to_thread(as_yaml, body)
    elif pretty:
        body = indent(body)
    headers["Content-Type"] = media
    if len(body) > COMPRESS_FROM and accept_encoding and accepts_gzip(accept_encoding):
        # zlib lets go of the interpreter while it works, so the loop goes on beside it.
        body = await asyncio.to_thread(_gzip, body)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    return web.Response(status=code, body=body, headers=headers)


def status_response(headers: CIMultiDict[str], error: StatusError, *, pretty: bool = False) -> web.Response:
    """A failure as ``v1.Status``."""
    for name, value in error.headers.items():
        headers[name] = value
    if error.code == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="kubernetes"'
    headers["Content-Type"] = JSON
    option = orjson.OPT_INDENT_2 if pretty else 0
    return web.Response(
        status=error.code, body=orjson.dumps(error.status, option=option, default=str), headers=headers
    )


def text_response(headers: CIMultiDict[str], text: str, *, code: int = 200) -> web.Response:
    """Plain text."""
    headers["Content-Type"] = "text/plain; charset=utf-8"
    headers["X-Content-Type-Options"] = "nosniff"
    return web.Response(status=code, body=text.encode(), headers=headers)
