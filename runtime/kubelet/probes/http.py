"""One HTTP/1.1 GET over a byte stream: enough for a probe, and nothing that could hang on.

Follows ``pkg/probe/http``: 200 to 399 is a success, the body is read up to 10 KiB, headers of the probe override
ours, and an empty Accept header removes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from runtime.kubelet.probes.transport import ByteStream, DialFailure
from runtime.objects.errors import Obj

MAX_BODY = 10 * 1024
_MAX_HEAD = 64 * 1024
USER_AGENT = "kube-probe/1.36"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: bytes


def request_target(path: str) -> str:
    """The request line's target for a probe's ``path``."""
    if not path.startswith("/"):
        path = "/" + path
    parts = urlsplit(path)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return f"{target}?{parts.query}" if parts.query else target


def request_bytes(path: str, host: str, port: int, headers: Sequence[Obj], agent: str = USER_AGENT) -> bytes:
    """The whole request."""
    fields: list[tuple[str, str]] = []
    given: set[str] = set()
    host_header = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    for header in headers:
        name, value = header["name"], header.get("value") or ""
        given.add(name.lower())
        if name.lower() == "host":
            host_header = value or host_header
        elif name.lower() == "accept" and not value:
            continue
        else:
            fields.append((name, value))
    if "user-agent" not in given:
        fields.append(("User-Agent", agent))
    if "accept" not in given:
        fields.append(("Accept", "*/*"))
    lines = [f"GET {request_target(path)} HTTP/1.1", f"Host: {host_header}"]
    lines += [f"{name}: {value}" for name, value in fields]
    lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").replace("\r\n\r\n\r\n", "\r\n\r\n").encode("utf-8", "replace")


async def get(stream: ByteStream, request: bytes) -> Response:
    """Send a request and read the status and the beginning of the body.

    Raises:
        DialFailure: what came back is no HTTP.
    """
    await stream.write(request)
    data = b""
    while b"\r\n\r\n" not in data and b"\n\n" not in data:
        piece = await stream.read()
        if not piece:
            raise DialFailure("EOF" if not data else "unexpected EOF")
        data += piece
        if not b"HTTP/".startswith(data[:5]) or len(data) > _MAX_HEAD:
            raise DialFailure(f"malformed HTTP response {data[:32]!r}")
        if data.startswith(b"HTTP/1.1 100"):
            _, _, data = data.partition(b"\r\n\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        raise DialFailure(f"malformed HTTP response {head[:32]!r}")
    length = MAX_BODY
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = min(length, int(value))
    while len(body) < length:
        piece = await stream.read()
        if not piece:
            break
        body += piece
    return Response(int(words[1]), body[:length])
