from __future__ import annotations

import asyncio
import struct

from runtime.api.http.streams.session import HIGH_WATER, Session, Stream, StreamGone
from tests.support import spdy_peer
from tests.support.spdy_peer import Peer, control


class Wire:
    """A wire whose client side is the test."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = b""
        self.reads = 0
        self.closed = False

    async def read(self) -> bytes:
        self.reads += 1
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Setup:
    def __init__(self) -> None:
        self.wire, self.peer = Wire(), Peer()
        self.streams: list[Stream] = []

        def take(stream: Stream) -> str | None:
            if stream.headers.get("refuse"):
                return "no"
            self.streams.append(stream)
            return None

        self.session = Session(self.wire, take)
        self.task = asyncio.create_task(self.session.run())

    async def feed(self, data: bytes) -> None:
        self.wire.incoming.put_nowait(data)
        await settle()

    def frames(self) -> list[tuple]:
        data, self.wire.sent = self.wire.sent, b""
        return self.peer.read(data)


async def test_streams_carry_data_both_ways_and_end() -> None:
    setup = Setup()
    await setup.feed(setup.peer.syn_stream(1, {"a": "b"}) + spdy_peer.data(1, b"in", fin=True))
    stream = setup.streams[0]
    assert await stream.read() == b"in" and await stream.read() == b""
    await stream.write(b"x" * 70_000)
    await stream.close_write()
    frames = [frame for frame in setup.frames() if frame[0] == "data"]
    assert b"".join(frame[2] for frame in frames) == b"x" * 70_000
    assert [frame[3] for frame in frames] == [False, False, False, True]
    await setup.feed(b"")
    await setup.task
    assert setup.wire.closed


async def test_a_refused_stream_is_reset() -> None:
    setup = Setup()
    await setup.feed(setup.peer.syn_stream(1, {"refuse": "1"}))
    assert setup.frames() == [(3, 1, 3)]
    setup.task.cancel()


async def test_an_unread_stream_stops_the_wire_until_it_is_read() -> None:
    setup = Setup()
    await setup.feed(setup.peer.syn_stream(1, {}) + spdy_peer.data(1, b"y" * (HIGH_WATER + 1)))
    reads = setup.wire.reads
    await setup.feed(spdy_peer.data(1, b"z"))
    assert setup.wire.reads == reads
    assert await setup.streams[0].read() == b"y" * (HIGH_WATER + 1)
    await settle()
    assert setup.wire.reads > reads
    assert await setup.streams[0].read() == b"z"
    setup.task.cancel()


async def test_discarding_a_stream_lets_the_wire_go_on() -> None:
    setup = Setup()
    await setup.feed(setup.peer.syn_stream(1, {}) + spdy_peer.data(1, b"y" * (HIGH_WATER + 1)))
    reads = setup.wire.reads
    setup.streams[0].discard()
    await settle()
    assert setup.wire.reads > reads
    setup.task.cancel()


async def test_a_writer_waits_for_the_window_and_is_released_by_a_reset() -> None:
    setup = Setup()
    await setup.feed(setup.peer.syn_stream(1, {}) + spdy_peer.window(0, 1))
    writing = asyncio.create_task(setup.streams[0].write(b"w" * 100_000))
    await settle()
    assert not writing.done()
    await setup.feed(spdy_peer.window(1, 60_000) + spdy_peer.window(0, 60_000))
    await asyncio.wait_for(writing, 60)
    blocked = asyncio.create_task(setup.streams[0].write(b"w" * 100_000))
    await settle()
    await setup.feed(control(3, 0, struct.pack(">II", 1, 5)))
    try:
        await asyncio.wait_for(blocked, 60)
    except StreamGone:
        pass
    else:
        raise AssertionError("a write to a reset stream has to fail")
    setup.task.cancel()


async def test_the_end_of_the_wire_ends_all_readers() -> None:
    setup = Setup()
    await setup.feed(setup.peer.syn_stream(1, {}))
    reading = asyncio.create_task(setup.streams[0].read())
    await setup.feed(b"")
    try:
        await asyncio.wait_for(reading, 60)
    except StreamGone:
        return
    raise AssertionError("an unfinished stream has to end with an error")
