"""A SPDY client made for tests: frames by hand, so that the server's codec is not tested against itself."""

from __future__ import annotations

import struct
import zlib

from runtime.api.http.streams.spdy import DICTIONARY, pack_headers, unpack_headers


class Peer:
    def __init__(self) -> None:
        self.deflate = zlib.compressobj(zdict=DICTIONARY)
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)
        self.buffer = b""

    def syn_stream(self, stream: int, headers: dict[str, str], *, fin: bool = False) -> bytes:
        block = self.deflate.compress(pack_headers(headers)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        return control(1, int(fin), struct.pack(">IIBB", stream, 0, 0, 0) + block)

    def read(self, data: bytes) -> list[tuple]:
        """The frames in some bytes: ('data', stream, bytes, fin), ('reply', stream, headers), (kind, words…)."""
        self.buffer += data
        frames: list[tuple] = []
        while len(self.buffer) >= 8:
            first, second = struct.unpack_from(">II", self.buffer)
            length = second & 0xFFFFFF
            if len(self.buffer) < 8 + length:
                break
            payload, self.buffer = self.buffer[8 : 8 + length], self.buffer[8 + length :]
            if not first & 0x80000000:
                frames.append(("data", first, payload, bool(second >> 24 & 1)))
                continue
            kind = first & 0xFFFF
            assert first >> 16 == 0x8003
            if kind == 2:
                (stream,) = struct.unpack_from(">I", payload)
                frames.append(("reply", stream, unpack_headers(self.inflate.decompress(payload[4:]))))
            else:
                frames.append((kind, *struct.unpack(f">{len(payload) // 4}I", payload)))
        return frames


def control(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    return struct.pack(">II", stream, int(fin) << 24 | len(payload)) + payload


def window(stream: int, delta: int) -> bytes:
    return control(9, 0, struct.pack(">II", stream, delta))
