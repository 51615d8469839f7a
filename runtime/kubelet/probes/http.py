"""One HTTP/1.1 GET over a byte stream: enough for a probe, and nothing that could hang on.

Follows ``pkg/probe/http``: 200 to 399 is a success, redirects to the same host are followed, the body is read up to
10 KiB, headers of the probe override ours, and an empty Accept header removes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from runtime.kubelet.probes.transport import ByteStream, DialFailure
from runtime.objects.errors import Obj

MAX_BODY = 10 * 1024
MAX_REQUESTS = 10
"""How many a chain of redirects may have."""
_MAX_HEAD = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
USER_AGENT = "kube-probe/1.36"
HOOK_AGENT = "kube-lifecycle/1.36"


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: bytes
    location: str = ""
    """Where else to ask, when it is a redirect."""


@dataclass(frozen=True, slots=True)
class Address:
    """What is asked, and where."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """As Go's client names it in its errors."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{request_target(self.path)}"

    def redirected(self, location: str) -> Address | None:
        """Where a ``Location`` leads; None when that is another host, or nowhere."""
        try:
            parts = urlsplit(urljoin(self.url, location))
            port = parts.port
        except ValueError:
            return None
        if parts.scheme not in ("http", "https") or parts.hostname != self.host.lower():
            return None
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return Address(parts.scheme, self.host, port or (443 if parts.scheme == "https" else 80), path)


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
    length, location = MAX_BODY, ""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = min(length, int(value))
        elif name.strip().lower() == b"location":
            location = value.strip().decode("utf-8", "replace")
    while len(body) < length:
        piece = await stream.read()
        if not piece:
            break
        body += piece
    status = int(words[1])
    return Response(status, body[:length], location if status in _REDIRECTS else "")
