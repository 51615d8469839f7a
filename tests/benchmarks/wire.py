"""A client that does as little as can be: requests made ahead, written to bare sockets, answers hardly looked at.

What a row compares is the servers; a client that parses and schedules would be most of what is measured, and would
take the processor from the side that needs it more. Both sides of a comparison are driven with this one.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence


def written(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """A request as it goes over the wire."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: {kind}\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Wire:
    """One blocking connection, with TLS if it is given some, that speaks just enough HTTP."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="127.0.0.1")
        self._buffer = bytearray(1 << 20)

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> None:
        """Send one."""
        self.socket.sendall(written(method, path, body, kind))

    def answer(self) -> bytes:
        """The answer's body, which must have a Content-Length or come in chunks."""
        data = bytearray()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._read()
        head, data = bytes(data[:end]).lower(), data[end + 4 :]
        if not head.startswith((b"http/1.1 200", b"http/1.1 201")):
            raise RuntimeError(f"{head!r} {bytes(data)!r}")
        if b"content-length:" in head:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(data) < length:
                data += self._read()
        else:
            while not data.endswith(b"0\r\n\r\n"):
                data += self._read()
        return bytes(data)

    def _read(self) -> memoryview:
        count = self.socket.recv_into(self._buffer)
        if not count:
            raise RuntimeError("the server closed the connection")
        return memoryview(self._buffer)[:count]

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def exchanges(wires: Sequence[Wire], make: Callable[[int], tuple[str, str, bytes]], count: int) -> float:
    """Requests a second, one at a time on each connection, written and read with as little work as can be."""
    requests = iter([written(*make(number)) for number in range(count)])
    start = time.perf_counter()
    if len(wires) == 1:
        for request in requests:
            wires[0].socket.sendall(request)
            wires[0].answer()
        return count / (time.perf_counter() - start)
    with selectors.DefaultSelector() as selector:
        for wire, request in zip(wires, requests):  # noqa: B905 - as many as there are connections
            selector.register(wire.socket, selectors.EVENT_READ, wire)
            wire.socket.sendall(request)
        done = 0
        while done < count:
            for key, _ in selector.select():
                wire = key.data
                wire.answer()  # small, and here as a whole once its first byte is
                done += 1
                if request := next(requests, b""):
                    wire.socket.sendall(request)
    return count / (time.perf_counter() - start)


@contextlib.contextmanager
def connected(port: int, tls: ssl.SSLContext | None, count: int) -> Iterator[list[Wire]]:
    """So many connections, closed afterwards."""
    wires = [Wire(port, tls) for _ in range(count)]
    try:
        yield wires
    finally:
        for wire in wires:
            wire.close()
