"""The gRPC health check in as much HTTP/2 as it takes: one unary call on one stream.

Request headers are sent as HPACK literals, so no table is kept; of the response only DATA frames are read, because
the answer is in them. Follows ``pkg/probe/grpc/grpc.go`` for results and words.
"""

from __future__ import annotations

import struct

from runtime.kubelet.probes.transport import ByteStream

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
_END_STREAM, _END_HEADERS, _ACK, _PADDED = 0x1, 0x4, 0x1, 0x8
_NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_MAX_FRAME = 1 << 20


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _length(number: int, prefix: int) -> bytes:
    limit = (1 << prefix) - 1
    if number < limit:
        return bytes([number])
    out = bytearray([limit])
    number -= limit
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    out.append(number)
    return bytes(out)


def _literal(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    return b"\x00" + _length(len(raw_name), 7) + raw_name + _length(len(raw_value), 7) + raw_value


def request(service: str, authority: str) -> bytes:
    """The connection preface and the whole call of grpc.health.v1.Health/Check."""
    headers = b"".join(
        _literal(name, value)
        for name, value in (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority),
            ("content-type", "application/grpc"),
            ("user-agent", "kube-probe/1.36"),
            ("te", "trailers"),
        )
    )
    name = service.encode()
    message = (b"\x0a" + _varint(len(name)) + name) if name else b""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, body)
    )


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    out.append(number)
    return bytes(out)


def serving_status(message: bytes) -> int:
    """The ``status`` of a HealthCheckResponse (0 when absent)."""
    position, result = 0, 0
    while position < len(message):
        tag = message[position]
        position += 1
        number = shift = 0
        while position < len(message):
            byte = message[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 128:
                break
        if tag == 0x08:
            result = number
        elif tag & 7 == 2:
            position += number
    return result


async def check(stream: ByteStream, service: str, authority: str) -> tuple[bool, str]:
    """Ask; returns (healthy, words)."""
    await stream.write(request(service, authority))
    buffered = b""
    body = b""
    while True:
        while len(buffered) < 9:
            piece = await stream.read()
            if not piece:
                return False, "error: health rpc probe failed: rpc error: code = Unavailable desc = EOF"
            buffered += piece
        size = int.from_bytes(buffered[:3], "big")
        if size > _MAX_FRAME:
            return (
                False,
                "error: health rpc probe failed: rpc error: code = Internal desc = not a gRPC server",
            )
        while len(buffered) < 9 + size:
            piece = await stream.read()
            if not piece:
                return False, "error: health rpc probe failed: rpc error: code = Unavailable desc = EOF"
            buffered += piece
        kind, flags = buffered[3], buffered[4]
        number = int.from_bytes(buffered[5:9], "big") & 0x7FFFFFFF
        payload, buffered = buffered[9 : 9 + size], buffered[9 + size :]
        if kind == _SETTINGS and not flags & _ACK:
            await stream.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            await stream.write(_frame(_PING, _ACK, 0, payload))
        elif kind in (_GOAWAY, _RST):
            return False, "error: health rpc probe failed: rpc error: code = Unavailable desc = stream closed"
        elif number == 1 and kind == _DATA:
            if flags & _PADDED and payload:
                payload = payload[1 : len(payload) - payload[0]]
            body += payload
            if len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5], "big"):
                status = serving_status(body[5:])
                if status == 1:
                    return True, 'service healthy (responded with "SERVING")'
                return False, f'service unhealthy (responded with "{_NAMES.get(status, str(status))}")'
        elif number == 1 and kind == _HEADERS and flags & _END_STREAM:
            return False, (
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health), "
                "or the service is unknown to it"
            )
