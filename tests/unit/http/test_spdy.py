from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.api.http.streams import spdy
from tests.support import spdy_peer
from tests.support.spdy_peer import Peer, control


def opened(*streams: int) -> tuple[spdy.Connection, Peer]:
    connection, peer = spdy.Connection(), Peer()
    for stream in streams:
        connection.receive(peer.syn_stream(stream, {"streamtype": "data"}))
    return connection, peer


def test_the_dictionary_is_the_drafts() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


def test_a_stream_is_opened_replied_to_and_carries_data() -> None:
    connection, peer = spdy.Connection(), Peer()
    events = connection.receive(peer.syn_stream(1, {"StreamType": "error", "port": "80"}, fin=True))
    assert events == [spdy.StreamOpened(1, {"streamtype": "error", "port": "80"}, True)]
    connection.reply(1, {"x": "y"})
    connection.send(1, b"hello", fin=True)
    assert peer.read(connection.outgoing()) == [("reply", 1, {"x": "y"}), ("data", 1, b"hello", True)]
    assert not connection.is_writable(1)
    assert connection.outgoing() == b""


def test_header_compression_keeps_its_state_between_streams() -> None:
    connection, peer = spdy.Connection(), Peer()
    for stream in (1, 3, 5):
        events = connection.receive(peer.syn_stream(stream, {"requestid": str(stream)}))
        assert events[0].headers == {"requestid": str(stream)}  # type: ignore[union-attr]


@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_data_arrives_whole_however_it_is_cut(pieces: list[bytes], draw: st.DataObject) -> None:
    connection, _ = opened(1, 3)
    wire = b"".join(spdy_peer.data(1 if index % 2 else 3, piece) for index, piece in enumerate(pieces))
    wire += spdy_peer.data(1, b"", fin=True)
    got = {1: b"", 3: b""}
    ends = []
    while wire:
        cut = draw.draw(st.integers(1, len(wire)))
        for event in connection.receive(wire[:cut]):
            assert isinstance(event, spdy.DataReceived)
            got[event.stream] += event.data
            if event.fin:
                ends.append(event.stream)
        wire = wire[cut:]
    assert got[3] == b"".join(pieces[0::2]) and got[1] == b"".join(pieces[1::2])
    assert ends == [1]


def test_a_large_frame_is_handed_out_as_it_comes() -> None:
    connection, _ = opened(1)
    head = struct.pack(">II", 1, 1 << 24 | 10_000_000)
    assert connection.receive(head + b"abc") == [spdy.DataReceived(1, b"abc", False)]


def test_windows_are_granted_for_what_was_consumed() -> None:
    connection, peer = opened(1)
    connection.receive(spdy_peer.data(1, b"x" * 40_000))
    assert peer.read(connection.outgoing()) == [(9, 0, 40_000)]  # the connection's, at once
    connection.consumed(1, 20_000)
    assert connection.outgoing() == b""
    connection.consumed(1, 20_000)
    assert peer.read(connection.outgoing()) == [(9, 1, 40_000)]


def test_a_peer_without_windows_is_sent_as_much_as_there_is() -> None:
    connection, _ = opened(1)
    for _ in range(10):
        assert connection.room(1) == spdy.MAX_DATA_FRAME
        connection.send(1, b"x" * spdy.MAX_DATA_FRAME)


def test_a_peer_that_keeps_windows_is_waited_for() -> None:
    connection, _ = opened(1, 3)
    assert connection.receive(spdy_peer.window(1, 1000)) == [spdy.WindowOpened(1)]
    sent = 0
    while room := connection.room(1):
        connection.send(1, b"x" * room)
        sent += room
    assert sent == spdy.INITIAL_WINDOW  # the connection's window is the narrower one
    assert connection.room(3) == 0
    connection.receive(spdy_peer.window(0, 50_000))
    assert connection.room(1) == 1000
    assert connection.room(3) == spdy.MAX_DATA_FRAME


def test_settings_change_the_initial_window() -> None:
    connection, peer = opened(1)
    connection.receive(control(4, 0, struct.pack(">III", 1, 7, 10)))
    assert connection.room(1) == 10
    connection.receive(peer.syn_stream(3, {}))
    assert connection.room(3) == 10


def test_ping_is_answered_and_our_own_is_not_echoed() -> None:
    connection, peer = opened()
    connection.receive(control(6, 0, struct.pack(">I", 5)))
    assert peer.read(connection.outgoing()) == [(6, 5)]
    connection.ping()
    assert peer.read(connection.outgoing()) == [(6, 2)]
    connection.receive(control(6, 0, struct.pack(">I", 2)))
    assert connection.outgoing() == b""


def test_reset_ends_a_stream_both_ways() -> None:
    connection, _ = opened(1)
    assert connection.receive(control(3, 0, struct.pack(">II", 1, 5))) == [spdy.StreamReset(1, 5)]
    assert connection.room(1) == 0
    assert connection.receive(spdy_peer.data(1, b"late")) == []


def test_after_going_away_new_streams_are_refused() -> None:
    connection, peer = opened(1)
    connection.go_away()
    assert peer.read(connection.outgoing()) == [(7, 1, 0)]
    assert connection.receive(peer.syn_stream(3, {})) == []
    assert peer.read(connection.outgoing()) == [(3, 3, spdy.REFUSED_STREAM)]


def test_stream_numbers_must_be_odd_and_rise() -> None:
    connection, peer = opened(5)
    connection.outgoing()
    for wrong in (3, 6):
        assert connection.receive(peer.syn_stream(wrong, {})) == []
        assert peer.read(connection.outgoing()) == [(3, wrong, spdy.PROTOCOL_ERROR)]


@pytest.mark.parametrize(
    "wire",
    [
        spdy_peer.data(9, b"never opened"),
        struct.pack(">HHI", 0x8002, 6, 4) + b"\0\0\0\1",
        control(1, 0, b"short"),
        control(1, 0, struct.pack(">IIBB", 1, 0, 0, 0) + b"not zlib at all"),
        struct.pack(">HHI", 0x8003, 1, 0xFFFFFF),
        control(4, 0, struct.pack(">I", 1000)),
    ],
)
def test_a_broken_peer_is_told_and_given_up(wire: bytes) -> None:
    connection, peer = opened()
    with pytest.raises(spdy.ProtocolError):
        connection.receive(wire)
    assert peer.read(connection.outgoing())[-1][0] == 7


def test_a_header_bomb_is_refused() -> None:
    connection, peer = opened()
    with pytest.raises(spdy.ProtocolError):
        connection.receive(peer.syn_stream(1, {"x": "a" * 10_000_000}))


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_garbage_never_breaks_the_codec(wire: bytes) -> None:
    connection, _ = opened(1)
    with contextlib.suppress(spdy.ProtocolError):
        connection.receive(wire)
