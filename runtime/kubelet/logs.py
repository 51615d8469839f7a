"""Reading container logs in the CRI format, as little of them as was asked for.

A line is ``TIME stdout|stderr P|F TEXT``; P is a piece of a longer line. The tail of a big file is found from its
end, a moment in it by halving, and everything is passed on block by block, so memory stays small whatever the size.
Follows ``k8s.io/cri-client/pkg/logs/logs.go`` for what the options mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from runtime.objects.clock import Clock, parse_time

BLOCK = 64 * 1024
_HEAD = re.compile(rb"(\S{20,40}) (stdout|stderr) ([FP])[^ \n]* ?")
_FULL = re.compile(rb"(?:^|\n)\S{20,40} (?:stdout|stderr) ([FP])[^ \n]* ?")
_OVERLAP = 64
_IDLE_FIRST = 0.05
_IDLE_MAX = 0.5
_PUNCH_HOLE = 0x02
_KEEP_SIZE = 0x01


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a log is wanted, and how."""

    since: datetime | None = None
    tail: int | None = None
    timestamps: bool = False
    limit: int | None = None
    stream: str = ""
    """``stdout``, ``stderr`` or empty for both."""
    follow: bool = False


def data_start(file: BinaryIO) -> int:
    """Where the log begins: 0, or behind the part that :func:`trim` gave back, at the start of a line."""
    try:
        start = os.lseek(file.fileno(), 0, os.SEEK_DATA)
    except OSError:
        return 0
    if start == 0:
        return 0
    return _behind_newline(file, start)


def _behind_newline(file: BinaryIO, position: int) -> int:
    """Where the line after the one at ``position`` begins; the file's end when there is none."""
    file.seek(position)
    while block := file.read(BLOCK):
        newline = block.find(b"\n")
        if newline >= 0:
            return position + newline + 1
        position += len(block)
    return position


def tail_start(file: BinaryIO, lines: int, start: int = 0, end: int | None = None) -> int:
    """The offset of the last ``lines`` lines; a line in pieces counts once.

    Args:
        file: the log.
        lines: how many; 0 gives the end.
        start: where the log begins.
        end: where it ends; the file's end when it is not given.
    """
    if end is None:
        end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    position = end
    carried = b""
    found = 0
    any_full = False
    # Going back, a line begins behind the F before it. So look for one F more than lines are wanted.
    while position > start:
        size = min(BLOCK, position - start)
        position -= size
        file.seek(position)
        block = file.read(size) + carried
        limit = size  # heads that begin in the carried part were seen before
        heads = [match for match in _FULL.finditer(block) if match.start() < limit or position + size == end]
        if position > start:
            heads = [match for match in heads if match.start() > 0 or block[:1] == b"\n"]
        for match in reversed(heads):
            begins = match.start() + (1 if block[match.start() : match.start() + 1] == b"\n" else 0)
            if match.group(1) == b"F" or not any_full:
                # A piece without an end is the line still being written.
                if not any_full and match.group(1) == b"P":
                    if found == 0:
                        found = 1
                    continue
                found += 1
                if found > lines:
                    return min(_behind_newline(file, position + begins), end)
                any_full = True
        carried = block[:_OVERLAP]
    return start


def since_start(file: BinaryIO, since: datetime, start: int) -> int:
    """An offset at or before the first line not older than ``since``, found by halving."""
    low, high = start, file.seek(0, os.SEEK_END)
    while high - low > BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline(1 << 20)
        offset = file.tell()
        line = file.readline(256)
        moment = _moment(line)
        if offset >= high or moment is None:
            high = middle
        elif moment < since:
            low = offset
        else:
            high = middle
    return low


def _moment(line: bytes) -> datetime | None:
    match = _HEAD.match(line)
    if match is None:
        return None
    try:
        return parse_time(match.group(1).decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None


class LineFormatter:
    """Turns raw log bytes into what the client reads; keeps what is unfinished until more comes."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._rest = b""
        self._inside: dict[bytes, bool] = {}
        self._since = selection.since
        self._only = selection.stream.encode()

    def feed(self, data: bytes) -> bytes:
        """The formatted text of every complete raw line so far."""
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:]
        out: list[bytes] = []
        timestamps = self._selection.timestamps
        for line in data[:end].split(b"\n")[:-1]:
            match = _HEAD.match(line)
            if match is None:
                continue
            stamp, stream, tag = match.groups()
            if self._only and stream != self._only:
                continue
            if self._since is not None:
                moment = _moment(line)
                if moment is not None and moment < self._since:
                    continue
                self._since = None  # lines are in order
            if timestamps and not self._inside.get(stream):
                # Go prints UTC as Z, however it was written.
                out.append(stamp[:-6] + b"Z " if stamp.endswith(b"+00:00") else stamp + b" ")
            out.append(line[match.end() :])
            partial = tag == b"P"
            if partial or stream in self._inside:
                self._inside[stream] = partial
            if not partial:
                out.append(b"\n")
        return b"".join(out)


async def read_log(
    path: Path, selection: Selection, clock: Clock, ended: Callable[[], bool] = lambda: True
) -> AsyncIterator[bytes]:
    """The log's text, block by block.

    Args:
        path: the log file; one that does not exist (yet) is empty.
        selection: what is wanted.
        clock: for waiting while following.
        ended: whether the container has ended; following stops when it has and everything was read.
    """
    file = await _open(path, selection, clock, ended)
    if file is None:
        return
    left = selection.limit
    try:
        # What is written from now on is for those who follow: others would never come to an end of a chatty one.
        end = file.seek(0, os.SEEK_END)
        start = data_start(file)
        if selection.since is not None:
            start = since_start(file, selection.since, start)
        if selection.tail is not None:
            start = max(start, tail_start(file, selection.tail, start, end))
        position = file.seek(start)
        formatter = LineFormatter(selection)
        idle = _IDLE_FIRST
        last_look = False
        while True:
            data = file.read(BLOCK if selection.follow else max(0, min(BLOCK, end - position)))
            if data:
                position += len(data)
                idle, last_look = _IDLE_FIRST, False
                text = formatter.feed(data)
                if left is not None:
                    text = text[:left]
                    left -= len(text)
                if text:
                    yield text
                if left == 0:
                    return
                await asyncio.sleep(0)
                continue
            if not selection.follow or last_look:
                return
            if ended():
                # What it printed last may still be on its way into the file.
                last_look = True
                await clock.sleep(_IDLE_FIRST)
                continue
            await clock.sleep(idle)
            idle = min(idle * 2, _IDLE_MAX)
            fresh = _replaced(path, file)
            if fresh is not None:
                file.close()
                file = fresh
    finally:
        file.close()


async def _open(path: Path, selection: Selection, clock: Clock, ended: Callable[[], bool]) -> BinaryIO | None:
    while True:
        try:
            return path.open("rb")
        except FileNotFoundError:
            if not selection.follow or ended():
                return None
        await clock.sleep(_IDLE_MAX)


def _replaced(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file anew, when it was renamed away or cut short under us."""
    try:
        now, ours = path.stat(), os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    if now.st_ino != ours.st_ino:
        return path.open("rb")
    if now.st_size < file.tell():
        file.seek(0)
    return None


def trim(path: Path, keep: int) -> bool:
    """Give back the disk space of all but the last ``keep`` bytes of a log that is being written.

    The head becomes a hole: nothing is copied, no line that is written meanwhile is lost, and readers keep their
    place. (Renaming needs the writer's help, and copy-and-truncate loses lines.) Says whether it was done; file
    systems that know no holes keep the whole log.
    """
    try:
        size = path.stat().st_size
        allocated = path.stat().st_blocks * 512
    except OSError:
        return False
    if size <= keep or allocated <= keep + keep // 5:
        return False
    length = (size - keep) // 4096 * 4096
    if length <= 0:
        return False
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        fallocate = libc.fallocate
    except (OSError, AttributeError):
        return False
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    with contextlib.suppress(OSError), path.open("rb+") as file:
        return bool(fallocate(file.fileno(), _PUNCH_HOLE | _KEEP_SIZE, 0, length) == 0)
    return False
