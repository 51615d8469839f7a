"""SPDY/3.1 framing as a state machine that does no I/O.

kubectl's port-forward speaks it (inside a WebSocket since 1.31), and so does exec before 1.30. No kept
Python library does. Bytes go in through :meth:`Connection.receive`, events come out; what has to be sent is
collected and taken with :meth:`Connection.outgoing`. Only what a server needs is here: it answers streams that
the client opens.

Kubernetes' own library (moby/spdystream) neither sends WINDOW_UPDATE nor waits for one. So a peer's window is
respected from the moment it shows that it keeps windows at all, and a window is granted for all that was
consumed; memory is bounded by not reading from the socket (see :mod:`.session`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 0x01

PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, UNSUPPORTED_VERSION, CANCEL, INTERNAL_ERROR = range(1, 7)

INITIAL_WINDOW = 64 * 1024
SETTING_INITIAL_WINDOW = 7
MAX_CONTROL_FRAME = 64 * 1024
MAX_HEADER_BLOCK = 128 * 1024
MAX_STREAMS = 4096
MAX_DATA_FRAME = 32 * 1024
"""Bytes in one data frame that is sent: small enough that streams take turns."""

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges "
    "age allow authorization cache-control connection content-base content-encoding content-language "
    "content-length content-location content-md5 content-range content-type date etag expect expires from "
    "host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location "
    "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """The dictionary that both sides' header compression starts from (SPDY/3 draft, 2.6.10.1)."""
    words = [
        *_WORDS.split(" "),
        "200 OK",
        "version",
        "HTTP/1.1",
        "url",
        "public",
        "set-cookie",
        "keep-alive",
        "origin",
    ]
    head = b"".join(struct.pack(">I", len(word)) + word.encode() for word in words)
    return head + _TAIL.encode()


DICTIONARY = _dictionary()


class ProtocolError(Exception):
    """The peer broke the protocol; the connection can't go on."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream. ``fin``: it will send nothing on it."""

    stream: int
    headers: dict[str, str]
    fin: bool


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of a stream, possibly less than a frame. ``fin``: the last one."""

    stream: int
    data: bytes
    fin: bool


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer gave a stream up."""

    stream: int
    status: int


@dataclass(frozen=True, slots=True)
class WindowOpened:
    """The peer takes more; stream 0 is the whole connection."""

    stream: int


@dataclass(frozen=True, slots=True)
class WentAway:
    """The peer opens no more streams."""

    status: int


Event = StreamOpened | DataReceived | StreamReset | WindowOpened | WentAway


def pack_headers(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """A name/value header block before compression."""
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    parts = [struct.pack(">I", len(pairs))]
    for name, value in pairs:
        raw_name, raw_value = name.lower().encode(), value.encode()
        parts.append(struct.pack(">I", len(raw_name)) + raw_name)
        parts.append(struct.pack(">I", len(raw_value)) + raw_value)
    return b"".join(parts)


def unpack_headers(block: bytes) -> dict[str, str]:
    """The names (lower case) and values of a decompressed header block.

    Raises:
        ProtocolError: the block ends early or says more than it holds.
    """
    position = 0

    def number() -> int:
        nonlocal position
        if position + 4 > len(block):
            raise ProtocolError("header block ends early")
        (value,) = struct.unpack_from(">I", block, position)
        position += 4
        return int(value)

    def text() -> str:
        nonlocal position
        length = number()
        if position + length > len(block):
            raise ProtocolError("header block ends early")
        piece = block[position : position + length]
        position += length
        return piece.decode("utf-8", "replace")

    headers: dict[str, str] = {}
    for _ in range(number()):
        name = text()
        headers[name.lower()] = text()
    return headers


def control_frame(kind: int, flags: int, payload: bytes) -> bytes:
    """One control frame."""
    return struct.pack(">HHI", 0x8003, kind, (flags << 24) | len(payload)) + payload


class Connection:
    """The server's half of one SPDY/3.1 connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._out: list[bytes] = []
        self._last_stream = 0
        self._readable: set[int] = set()
        """Streams the peer may still send on."""
        self._writable: dict[int, int] = {}
        """Streams that may still be sent on, and what is left of their window."""
        self._window = INITIAL_WINDOW
        self._initial_window = INITIAL_WINDOW
        self._keeps_windows = False
        self._owed: dict[int, int] = {}
        self._data: tuple[int, int, bool] | None = None
        """The data frame being read: stream, bytes left, fin."""
        self._ping = 0
        self._gone = False

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the peer and say what happened.

        Raises:
            ProtocolError: nothing more can be understood; a GOAWAY is ready to be sent.
        """
        self._buffer += data
        events: list[Event] = []
        try:
            while self._step(events):
                pass
        except ProtocolError:
            self.go_away(1)
            raise
        return events

    def outgoing(self) -> bytes:
        """All bytes that are to be sent now."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _step(self, events: list[Event]) -> bool:
        buffer = self._buffer
        if self._data is not None:
            stream, left, fin = self._data
            if not buffer and left:
                return False
            piece = bytes(buffer[:left])
            del buffer[:left]
            left -= len(piece)
            self._data = (stream, left, fin) if left else None
            self._on_data(stream, piece, fin and not left, events)
            return True
        if len(buffer) < 8:
            return False
        first, second = struct.unpack_from(">II", buffer)
        flags, length = second >> 24, second & 0xFFFFFF
        if not first & 0x80000000:
            del buffer[:8]
            self._data = (first, length, bool(flags & FLAG_FIN))
            return True
        if length > MAX_CONTROL_FRAME:
            raise ProtocolError(f"control frame of {length} bytes")
        if len(buffer) < 8 + length:
            return False
        payload = bytes(buffer[8 : 8 + length])
        del buffer[: 8 + length]
        if (first >> 16) & 0x7FFF != 3:
            raise ProtocolError("not SPDY version 3")
        self._on_control(first & 0xFFFF, flags, payload, events)
        return True

    def _on_data(self, stream: int, piece: bytes, fin: bool, events: list[Event]) -> None:
        self._owe(0, len(piece))
        if stream not in self._readable:
            if stream > self._last_stream:
                raise ProtocolError(f"data for stream {stream}, which was never opened")
            return  # what is still under way to a stream that was closed or reset is dropped
        if fin:
            self._readable.discard(stream)
        if piece or fin:
            events.append(DataReceived(stream, piece, fin))

    def _on_control(self, kind: int, flags: int, payload: bytes, events: list[Event]) -> None:
        try:
            if kind == SYN_STREAM:
                (stream,) = struct.unpack_from(">I", payload)
                self._on_open(
                    stream & 0x7FFFFFFF, self._headers(payload[10:]), bool(flags & FLAG_FIN), events
                )
            elif kind in (SYN_REPLY, HEADERS):
                self._headers(payload[4:])  # nothing in them matters, but the compression must stay in step
                (stream,) = struct.unpack_from(">I", payload)
                if flags & FLAG_FIN:
                    self._on_data(stream & 0x7FFFFFFF, b"", True, events)
            elif kind == RST_STREAM:
                stream, status = struct.unpack_from(">II", payload)
                self._readable.discard(stream)
                self._writable.pop(stream, None)
                self._owed.pop(stream, None)
                events.append(StreamReset(stream, status))
            elif kind == PING:
                (identifier,) = struct.unpack_from(">I", payload)
                if identifier % 2:  # the client's own numbers are odd; an even one answers ours
                    self._out.append(control_frame(PING, 0, payload[:4]))
            elif kind == GOAWAY:
                _, status = struct.unpack_from(">II", payload)
                events.append(WentAway(status))
            elif kind == WINDOW_UPDATE:
                stream, delta = struct.unpack_from(">II", payload)
                self._on_window(stream & 0x7FFFFFFF, delta & 0x7FFFFFFF, events)
            elif kind == SETTINGS:
                self._on_settings(payload, events)
        except struct.error as error:
            raise ProtocolError(f"control frame {kind} ends early") from error

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, MAX_HEADER_BLOCK)
        except zlib.error as error:
            raise ProtocolError(f"header compression: {error}") from error
        if self._inflate.unconsumed_tail:
            raise ProtocolError("header block too large")
        return unpack_headers(plain)

    def _on_open(self, stream: int, headers: dict[str, str], fin: bool, events: list[Event]) -> None:
        if stream <= self._last_stream or stream % 2 == 0:
            self._out.append(control_frame(RST_STREAM, 0, struct.pack(">II", stream, PROTOCOL_ERROR)))
            return
        self._last_stream = stream
        if self._gone or len(self._writable) >= MAX_STREAMS:
            self._out.append(control_frame(RST_STREAM, 0, struct.pack(">II", stream, REFUSED_STREAM)))
            return
        self._writable[stream] = self._initial_window
        if not fin:
            self._readable.add(stream)
        events.append(StreamOpened(stream, headers, fin))

    def _on_window(self, stream: int, delta: int, events: list[Event]) -> None:
        self._keeps_windows = True
        if stream == 0:
            self._window += delta
        elif stream in self._writable:
            self._writable[stream] += delta
        events.append(WindowOpened(stream))

    def _on_settings(self, payload: bytes, events: list[Event]) -> None:
        (count,) = struct.unpack_from(">I", payload)
        if len(payload) < 4 + 8 * count:
            raise ProtocolError("settings frame ends early")
        for index in range(count):
            key, value = struct.unpack_from(">II", payload, 4 + 8 * index)
            if key & 0xFFFFFF != SETTING_INITIAL_WINDOW or value > 0x7FFFFFFF:
                continue
            self._keeps_windows = True
            change = value - self._initial_window
            self._initial_window = value
            for stream in self._writable:
                self._writable[stream] += change
            events.append(WindowOpened(0))

    def _owe(self, stream: int, size: int) -> None:
        owed = self._owed.get(stream, 0) + size
        if owed >= INITIAL_WINDOW // 2:
            self._out.append(control_frame(WINDOW_UPDATE, 0, struct.pack(">II", stream, owed)))
            owed = 0
        self._owed[stream] = owed

    def consumed(self, stream: int, size: int) -> None:
        """Grant the peer ``size`` more bytes on a stream: somebody has taken them."""
        if stream in self._readable:
            self._owe(stream, size)

    def room(self, stream: int) -> int:
        """How many bytes may be sent on a stream now; 0 means wait, for :class:`WindowOpened`."""
        left = self._writable.get(stream)
        if left is None:
            return 0
        if not self._keeps_windows:
            return MAX_DATA_FRAME
        return max(0, min(left, self._window, MAX_DATA_FRAME))

    def is_writable(self, stream: int) -> bool:
        """Whether anything can still be sent on a stream."""
        return stream in self._writable

    def reply(self, stream: int, headers: Mapping[str, str] | None = None) -> None:
        """Accept a stream (SYN_REPLY)."""
        block = self._deflate.compress(pack_headers(headers or {})) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._out.append(control_frame(SYN_REPLY, 0, struct.pack(">I", stream) + block))

    def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Send a data frame; the caller keeps to :meth:`room`. ``fin`` half-closes."""
        if stream not in self._writable:
            return
        self._writable[stream] -= len(data)
        self._window -= len(data)
        self._out.append(struct.pack(">II", stream, (FLAG_FIN if fin else 0) << 24 | len(data)))
        self._out.append(data)
        if fin:
            del self._writable[stream]

    def reset(self, stream: int, status: int = CANCEL) -> None:
        """Give a stream up, both ways."""
        self._readable.discard(stream)
        self._writable.pop(stream, None)
        self._owed.pop(stream, None)
        self._out.append(control_frame(RST_STREAM, 0, struct.pack(">II", stream, status)))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._ping = self._ping % 0x7FFFFFFE + 2
        self._out.append(control_frame(PING, 0, struct.pack(">I", self._ping)))

    def go_away(self, status: int = 0) -> None:
        """Take no more streams and say so (0: no fault, 1: protocol error, 2: internal error)."""
        if not self._gone:
            self._gone = True
            self._out.append(control_frame(GOAWAY, 0, struct.pack(">II", self._last_stream, status)))
