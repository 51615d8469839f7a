"""The log spool: order, bounded reading, searching in steps."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubetui.live import logspool
from kubetui.live.logfollow import LogFollower, containers_of
from kubetui.live.logquery import LogQuery
from kubetui.live.logspool import SHOWN_BYTES, LogSource, LogSpool, compile_bytes, parse_stamp


def stamped(second: float, text: str) -> bytes:
    return f"2026-01-01T00:{int(second) // 60:02}:{second % 60:012.9f}Z {text}".encode()


@pytest.fixture
def spool() -> LogSpool:
    found = LogSpool()
    found.add_source(LogSource("a", "app"))
    found.add_source(LogSource("b", "app"))
    return found


def texts(spool: LogSpool) -> list[str]:
    return [spool.read(spool.number_at(i)).text for i in range(len(spool))]


def test_streams_are_woven_by_time(spool: LogSpool) -> None:
    spool.append(0, [stamped(1, "one"), stamped(3, "three"), stamped(5, "five")])
    assert spool.version == 0
    spool.append(1, [stamped(2, "two"), stamped(4, "four")])
    assert texts(spool) == ["one", "two", "three", "four", "five"]
    spool.append(0, [stamped(6, "six")])
    assert texts(spool)[-1] == "six"
    assert spool.read(spool.number_at(1)).source == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(0, 59), max_size=8)), max_size=8))
def test_any_arrival_ends_in_order(batches: list[tuple[int, list[int]]]) -> None:
    spool = LogSpool()
    spool.add_source(LogSource("a", "app"))
    spool.add_source(LogSource("b", "app"))
    for source, seconds in batches:
        spool.append(source, [stamped(s, str(s)) for s in seconds])
    found = [int(t) for t in texts(spool)]
    assert found == sorted(s for _, seconds in batches for s in seconds)
    spool.close()


def test_lines_without_a_time_stay_behind_their_neighbour(spool: LogSpool) -> None:
    spool.append(0, [stamped(1, "one"), b"no stamp at all", stamped(2, "two")])
    assert texts(spool) == ["one", "no stamp at all", "two"]


def test_a_line_of_ten_megabytes_is_read_in_part(spool: LogSpool) -> None:
    spool.append(0, [stamped(1, "x" * 10_000_000)])
    line = spool.read(0)
    assert len(line.text) == SHOWN_BYTES
    assert line.length == 10_000_000
    assert len(spool.raw(0)) == 10_000_000


def test_binary_lines(spool: LogSpool) -> None:
    spool.append(0, [b"2026-01-01T00:00:01Z \xff\xfe\x00\x1b[2J"])
    assert "\ufffd" in spool.read(0).text


def test_stamps() -> None:
    cache: dict[bytes, float] = {}
    base, begin = parse_stamp(b"2026-01-01T00:00:00.5Z hello", cache)
    assert begin == 23
    assert parse_stamp(b"2026-01-01T01:00:00.500000000+01:00 x", cache)[0] == base
    assert parse_stamp(b"plain text without a stamp here", cache) == (0.0, 0)
    assert parse_stamp(b"2026-01-01T00:00:00Z", cache) == (base - 0.5, 20)
    assert parse_stamp(b"2026-01-01T00:00:00.500000000Z ", cache) == (base, 31)  # an empty line of a kubelet
    assert parse_stamp(b"2026-01-01T00:00:00.x00000000Z text", cache) == (base - 0.5, 31)
    assert parse_stamp(b"2026-01-01T00:00:00.Z text", cache) == (base - 0.5, 22)


@given(
    st.integers(0, 59),
    st.integers(0, 999_999_999),
    st.text(st.characters(exclude_characters="\n"), max_size=20),
)
def test_a_stamp_is_the_same_when_its_second_is_known(second: int, nanoseconds: int, text: str) -> None:
    raw = f"2026-01-01T00:00:{second:02}.{nanoseconds:09}Z {text}".encode()
    cache: dict[bytes, float] = {}
    first = parse_stamp(raw, cache)
    assert parse_stamp(raw, cache) == first
    assert first[0] % 60 == pytest.approx(second + nanoseconds / 1e9, abs=1e-6)
    assert raw[first[1] :] == text.encode()


def test_search_and_filter_step_by_step(spool: LogSpool) -> None:
    spool.append(0, [stamped(i / 100, f"line {i} {'needle' if i % 100 == 0 else ''}") for i in range(5000)])
    query = LogQuery(spool, "needle")
    while query.step(0):
        pass
    assert list(query.numbers()) == list(range(0, 5000, 100))
    assert query.neighbour(150, forward=True) == 200
    assert query.neighbour(200, forward=True) == 300
    assert query.neighbour(200, forward=False) == 100
    assert query.neighbour(0, forward=False) is None
    rest = LogQuery(spool, "needle", inverse=True)
    while rest.step():
        pass
    assert len(rest) == 4950
    spool.append(1, [stamped(0.005, "needle that came late")])
    while query.step():
        pass
    assert spool.read(query.numbers()[1]).text == "needle that came late"


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("^b", [1]),
        ("c$", [0, 3]),
        ("^a b c$", [0]),
        ("c[^x]b", [3]),  # not over the end of the first line
        (r"c\s+b", [3]),
        (r"b\s", [0, 1, 3]),
        ("[^z]x", [1]),
    ],
)
def test_an_expression_sees_one_line_at_a_time(spool: LogSpool, text: str, hits: list[int]) -> None:
    spool.append(0, [stamped(i, line) for i, line in enumerate(["a b c", "b x", "x", "c b c"])])
    query = LogQuery(spool, text)
    while query.step():
        pass
    assert list(query.numbers()) == hits


def test_expressions() -> None:
    assert compile_bytes("Error").flags & re.IGNORECASE == 0
    assert compile_bytes("error").search(b"an ERROR")
    assert compile_bytes("[").search(b"a [ b")
    assert not compile_bytes(".*").search(b"abc")


def test_the_spool_has_no_name(tmp_path: Path) -> None:
    spool = LogSpool(str(tmp_path))
    spool.append(spool.add_source(LogSource("a", "b")), [b"secret"])
    assert list(tmp_path.iterdir()) == []


def test_containers_that_can_be_read() -> None:
    pod = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "status": {
            "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}],
            "containerStatuses": [
                {"name": "a", "state": {"running": {}}},
                {"name": "b", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
                {"name": "c", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
            ],
        },
    }
    assert [c.container for c in containers_of(pod)] == ["i", "a", "c"]
    assert [c.container for c in containers_of(pod, previous=True)] == ["c"]
    assert [c.container for c in containers_of(pod, only="a")] == ["a"]


async def test_lines_of_many_containers_are_put_in_order_together(spool: LogSpool) -> None:
    """Each of fifty containers brings lines of the same minutes: one pass over all, not one for each."""
    told = asyncio.Event()
    follower = LogFollower(spool, lambda work: pytest.fail("nothing is opened"), told.set)
    sources = [spool.add_source(LogSource(f"pod-{n}", "app")) for n in range(50)]
    for source in sources:
        follower._take(source, [stamped(second, f"{second} of {source}") for second in range(10)])
    assert len(spool) == 0
    await told.wait()
    assert len(spool) == 500 and spool.version <= 1
    assert texts(spool) == [f"{second} of {source}" for second in range(10) for source in sources]


async def test_lines_that_find_no_room_are_told(spool: LogSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = os.write, 0

    def full(descriptor: int, data: memoryview) -> int:
        nonlocal written
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, data[:2])
        return written

    told = asyncio.Event()
    follower = LogFollower(spool, lambda work: pytest.fail("nothing is opened"), told.set)
    source = spool.add_source(LogSource("web", "app"))
    with monkeypatch.context() as patched:
        patched.setattr(logspool.os, "write", full)
        follower._take(source, [stamped(1, "lost")])
        await told.wait()
    assert follower.errors == {"web": "log lines can't be kept: No space left on device"}
    told.clear()
    follower._take(source, [stamped(2, "kept")])
    await told.wait()
    assert texts(spool) == ["kept"]
