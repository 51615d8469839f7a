"""Reading logs: the right part of them, in little memory, while they grow."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.kubelet import logs
from runtime.kubelet.logs import Selection, data_start, read_log, since_start, tail_start, trim
from runtime.kubelet.server import log_attempt
from runtime.objects.clock import SystemClock
from runtime.objects.errors import StatusError

START = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int, text: str, *, stream: str = "stdout", tag: str = "F") -> str:
    moment = START + timedelta(seconds=number)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}123+00:00 {stream} {tag} {text}\n"


async def read(path: Path, selection: Selection = Selection()) -> bytes:  # noqa: B008
    return b"".join([text async for text in read_log(path, selection, SystemClock())])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    text = "".join(line(number, f"line {number}") for number in range(5))
    text += line(5, "one ", tag="P") + line(5, "two ", tag="P") + line(6, "three")
    text += line(7, "oops", stream="stderr") + line(8, "")
    path.write_text(text)
    return path


async def test_the_whole_log(log: Path) -> None:
    expected = b"".join(b"line %d\n" % number for number in range(5)) + b"one two three\noops\n\n"
    assert await read(log) == expected


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (0, b""),
        (1, b"\n"),
        (2, b"oops\n\n"),
        (3, b"one two three\noops\n\n"),
        (4, b"line 4\none two three\noops\n\n"),
        (100, None),
    ],
)
async def test_tail_counts_joined_lines(log: Path, tail: int, expected: bytes | None) -> None:
    assert await read(log, Selection(tail=tail)) == (await read(log) if expected is None else expected)


async def test_a_line_still_being_written_counts(log: Path) -> None:
    with log.open("a") as file:
        file.write(line(9, "half", tag="P"))
    assert await read(log, Selection(tail=1)) == b"half"
    assert await read(log, Selection(tail=2)) == b"\nhalf"


async def test_since_stream_timestamps_limit(log: Path) -> None:
    since = START + timedelta(seconds=7)
    assert await read(log, Selection(since=since)) == b"oops\n\n"
    assert await read(log, Selection(stream="stderr")) == b"oops\n"
    assert await read(log, Selection(limit=8)) == b"line 0\nl"
    stamped = await read(log, Selection(timestamps=True, tail=3))
    assert stamped.splitlines()[0] == b"2026-01-01T00:00:05.000000123Z one two three"
    assert await read(log.with_name("none"), Selection()) == b""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("FP"), st.text("ab \t日", max_size=300)), max_size=60),
    st.integers(0, 70),
)
def test_tail_is_the_end_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str]], tail: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "0.log"
    path.write_text("".join(line(number, text, tag=tag) for number, (tag, text) in enumerate(entries)))

    lines = [""]
    for tag, text in entries:
        lines[-1] += text
        if tag == "F":
            lines[-1] += "\n"
            lines.append("")
    if not entries or entries[-1][0] == "F":
        lines.pop()  # nothing was begun after the last line
    expected = "".join(lines[len(lines) - min(tail, len(lines)) :])
    for block in (97, 200, logs.BLOCK):
        with patch.object(logs, "BLOCK", block):
            assert asyncio.run(read(path, Selection(tail=tail))).decode() == expected


async def test_tail_of_lines_longer_than_the_overlap_of_blocks(tmp_path: Path) -> None:
    """The line before the tail ends in a block that was read before the one it begins in."""
    path = tmp_path / "0.log"
    path.write_text("".join(line(number, "x" * 16_000) for number in range(20)) + line(20, "end"))
    whole = (await read(path)).splitlines(keepends=True)
    for tail in range(1, 22):
        assert await read(path, Selection(tail=tail)) == b"".join(whole[-tail:])


async def test_a_big_log_costs_little(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    with path.open("w") as file:
        for number in range(300_000):
            file.write(line(number, f"line {number} " + "x" * 60))
    assert path.stat().st_size > 30_000_000
    tracemalloc.start()
    assert (await read(path, Selection(tail=3))).count(b"\n") == 3
    since = START + timedelta(seconds=299_990)
    assert (await read(path, Selection(since=since))).count(b"\n") == 10
    total = 0
    async for text in read_log(path, Selection(), SystemClock()):
        total += text.count(b"\n")
        if total > 50_000:
            break
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
    with path.open("rb") as file:
        assert tail_start(file, 1) > 30_000_000
        offset = since_start(file, since, 0)
        assert path.stat().st_size - offset < 200_000


async def test_follow_sees_new_lines_and_ends_with_the_container(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    ended = False
    seen: list[bytes] = []

    async def follow() -> None:
        async for text in read_log(path, Selection(follow=True), SystemClock(), lambda: ended):
            seen.append(text)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.02)
    path.write_text(line(0, "first"))
    for _ in range(200):
        await asyncio.sleep(0.01)
        if seen:
            break
    with path.open("a") as file:
        file.write(line(1, "second")[:20])
    await asyncio.sleep(0.1)
    ended = True
    with path.open("a") as file:
        file.write(line(1, "second")[20:])
    await asyncio.wait_for(task, 60)
    assert b"".join(seen) == b"first\nsecond\n"


async def test_trimming_loses_only_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    with path.open("w") as file:
        for number in range(20_000):
            file.write(line(number, f"line {number}"))
    size = path.stat().st_size
    os.sync()
    if not trim(path, 200_000):
        pytest.skip("this file system knows no holes")
    assert path.stat().st_size == size and path.stat().st_blocks * 512 < 300_000
    with path.open("rb") as file:
        assert data_start(file) >= size - 210_000
    whole = await read(path)
    assert whole.endswith(b"line 19999\n") and whole.startswith(b"line ") and whole.count(b"\n") > 3000
    with path.open("a") as file:
        file.write(line(20_000, "new"))
    assert (await read(path, Selection(tail=2))) == b"line 19999\nnew\n"
    assert not trim(path, 200_000)


def pod_with(
    state: dict[str, object], last: dict[str, object] | None = None, count: int = 0
) -> dict[str, object]:
    entry = {
        "name": "c",
        "state": state,
        "lastState": last or {},
        "restartCount": count,
        "containerID": "podman://2",
    }
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [entry]}}


ENDED = {"terminated": {"containerID": "podman://1", "exitCode": 1}}


@pytest.mark.parametrize(
    ("pod", "previous", "expected"),
    [
        (pod_with({"running": {}}), False, 0),
        (pod_with({"running": {}}, ENDED, 3), False, 3),
        (pod_with({"running": {}}, ENDED, 3), True, 2),
        (pod_with({"terminated": {"containerID": "podman://2"}}, None, 1), False, 1),
        (
            pod_with(
                {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"containerID": "podman://2"}}, 4
            ),
            False,
            4,
        ),
        (pod_with({"running": {}}), True, 'previous terminated container "c" in pod "p" not found'),
        (
            pod_with({"waiting": {"reason": "ContainerCreating"}}),
            False,
            'container "c" in pod "p" is waiting to start: ContainerCreating',
        ),
        (
            pod_with({"waiting": {"reason": "ImagePullBackOff"}}),
            False,
            'container "c" in pod "p" is waiting to start: trying and failing to pull image',
        ),
        ({"metadata": {"name": "p"}, "status": {}}, False, 'container "c" in pod "p" is not available'),
    ],
)
def test_which_attempt_is_meant(pod: dict[str, object], previous: bool, expected: int | str) -> None:
    if isinstance(expected, int):
        assert log_attempt(pod, "c", previous=previous) == expected
        return
    with pytest.raises(StatusError) as failure:
        log_attempt(pod, "c", previous=previous)
    assert (failure.value.code, failure.value.message) == (400, expected)


@pytest.mark.parametrize("tail", [None, 2])
async def test_who_does_not_follow_sees_what_was_there_when_he_asked(
    tmp_path: Path, tail: int | None
) -> None:
    """A container that prints faster than it is read must not keep ``kubectl logs`` for ever."""
    path = tmp_path / "0.log"
    line = b"2026-01-01T00:00:00.000000000+00:00 stdout F " + b"x" * 200 + b"\n"
    path.write_bytes(line * 1000)
    read = 0
    with path.open("ab", buffering=0) as writer:
        async for part in read_log(path, Selection(tail=tail), SystemClock()):
            read += part.count(b"\n")
            writer.write(line * 1000)
    assert read == (1000 if tail is None else tail)
