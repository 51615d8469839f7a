"""Log lines on disk with a small index in memory: a million lines scroll as ten do.

All streams of one view share a spool file in arrival order; per line the index keeps offset, time and stream
(18 bytes). Views read only what they show. Lines are kept in order of their timestamps: streams that are fetched in
parallel are woven together, and a pod that joins later slots into place.
"""

from __future__ import annotations

import os
import re
import tempfile
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, islice
from operator import le

SHOWN_BYTES = 64 * 1024
CHUNK_BYTES = 512 * 1024
_CACHED_LINES = 4096


@dataclass(frozen=True, slots=True)
class LogSource:
    """One stream of lines: a container of a pod, or the events of the selection."""

    pod: str
    container: str
    previous: bool = False
    kind: str = "log"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as read back: ``number`` is its identity in the spool, ``length`` its size in bytes before cutting."""

    number: int
    source: int
    time: float
    text: str
    length: int


def parse_stamp(raw: bytes, seconds: dict[bytes, float]) -> tuple[float, int]:
    """Split ``2026-01-01T00:00:00.123456789Z text``: (seconds since 1970, where the text begins); (0.0, 0) if absent.

    ``seconds`` caches the whole-second part, which thousands of lines share.
    """
    # Nearly every line, as kubelets write it: nine digits, in a second that is known.
    if raw[29:31] == b"Z " and raw[19:20] == b"." and (base := seconds.get(raw[:19])) is not None:
        try:
            return base + float(raw[19:29]), 31
        except ValueError:
            pass
    end = raw.find(b" ", 0, 40)
    if end < 20:
        if end < 0 and 20 <= len(raw) <= 40 and raw[4:5] == b"-" and raw[10:11] == b"T":
            end = len(raw)  # an empty line still has its time
        else:
            return 0.0, 0
    head = raw[:19]
    base = seconds.get(head)
    if base is None:
        zone = raw[19:end].lstrip(b".0123456789").decode("ascii", "replace") or "Z"
        try:
            base = datetime.fromisoformat(head.decode("ascii") + zone).timestamp()
        except ValueError:
            return 0.0, 0
        if len(seconds) > 4096:
            seconds.clear()
        seconds[head] = base
    digits = raw[20:end].rstrip(b"Z") if raw[19:20] == b"." else b""
    if digits and not digits.isdigit():
        digits = re.match(rb"\d*", digits).group()  # type: ignore[union-attr]
    return (base + int(digits) / 10 ** len(digits) if digits else base), min(end + 1, len(raw))


class LogSpool:
    """Appends happen on one thread and reads on another: the index grows only after the bytes are in the file."""

    def __init__(self, folder: str | None = None) -> None:
        self._file = tempfile.TemporaryFile(prefix="kubetui-log-", dir=folder, buffering=0)  # noqa: SIM115
        self._fd = self._file.fileno()
        self._offsets = array("Q", [0])
        self._times = array("d")
        self._sources = array("H")
        self._count = 0  # what readers may see: raised when a batch is complete in every array
        self._order: array[int] | None = None  # None: arrival order is the order of time
        self._newest = float("-inf")
        self._cache: OrderedDict[int, LogLine] = OrderedDict()
        self._seconds: dict[bytes, float] = {}
        self.sources: list[LogSource] = []
        self.version = 0  # grows when lines were inserted before the end

    def close(self) -> None:
        """Delete the spool."""
        self._file.close()

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return int(self._offsets[-1])

    def add_source(self, source: LogSource) -> int:
        """Register a stream; return its number."""
        self.sources.append(source)
        return len(self.sources) - 1

    def append(self, source: int, lines: list[bytes], *, fallback: float = 0.0) -> int:
        """Add lines of one source, see :meth:`append_all`."""
        return self.append_all([(source, lines)], fallback=fallback)

    def append_all(self, batches: Iterable[tuple[int, list[bytes]]], *, fallback: float = 0.0) -> int:
        """Add lines (each with its timestamp, as ``timestamps=true`` delivers them) of some sources; return how many.

        Lines of many sources cost least together: the order by time is made once for all of them. A line without a
        readable time takes that of the line before it in its batch, or ``fallback``.

        Raises:
            OSError: there is no room for them; none of them was added.
        """
        texts: list[bytes] = []
        times, sources = array("d"), array("H")
        base = self._offsets[-1]
        seconds = self._seconds
        for source, lines in batches:
            last = fallback
            for raw in lines:
                stamp, begin = parse_stamp(raw, seconds)
                if stamp:
                    last = stamp
                times.append(last)
                texts.append(raw[begin:] + b"\n")
            sources.extend(array("H", [source]) * len(lines))
        if not times:
            return 0
        view = memoryview(b"".join(texts))
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:  # what was written of them must not shift the next ones
            os.ftruncate(self._fd, base)
            os.lseek(self._fd, base, os.SEEK_SET)
            raise
        first = len(self._sources)
        self._times.extend(times)
        self._offsets.extend(islice(accumulate(map(len, texts), initial=base), 1, None))
        self._sources.extend(sources)
        self._place(first, times)
        self._count = first + len(times)
        return len(times)

    def _place(self, first: int, times: array[float]) -> None:
        """Keep the order by time: nearly always the new lines are the newest, otherwise merge the tail."""
        ascending = all(map(le, times, islice(times, 1, None)))
        if ascending and times[0] >= self._newest:
            if self._order is not None:
                self._order.extend(range(first, first + len(times)))
            self._newest = times[-1]
            return
        order = self._order if self._order is not None else array("I", range(first))
        stamps = self._times
        low, high, earliest = 0, len(order), min(times)
        while low < high:
            middle = (low + high) // 2
            if stamps[order[middle]] <= earliest:
                low = middle + 1
            else:
                high = middle
        tail = sorted([*order[low:], *range(first, first + len(times))], key=stamps.__getitem__)
        replaced = order[:low]
        replaced.extend(tail)
        self._order = replaced
        self._newest = stamps[tail[-1]]
        self.version += 1

    def number_at(self, position: int) -> int:
        """The identity of the line at ``position`` in order of time."""
        return self._order[position] if self._order is not None else position

    def time_of(self, number: int) -> float:
        """When a line was written."""
        return self._times[number]

    def position_at_time(self, time: float) -> int:
        """The position of the first line at or after ``time``."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._times[self.number_at(middle)] < time:
                low = middle + 1
            else:
                high = middle
        return low

    def read(self, number: int) -> LogLine:
        """Read one line by identity; at most :data:`SHOWN_BYTES` of it."""
        found = self._cache.get(number)
        if found is not None:
            self._cache.move_to_end(number)
            return found
        start, end = self._offsets[number], self._offsets[number + 1] - 1
        raw = os.pread(self._fd, min(end - start, SHOWN_BYTES), start)
        text = raw.decode("utf-8", "replace")
        line = LogLine(number, self._sources[number], self._times[number], text, end - start)
        self._cache[number] = line
        if len(self._cache) > _CACHED_LINES:
            self._cache.popitem(last=False)
        return line

    def raw(self, number: int) -> bytes:
        """All bytes of one line."""
        start, end = self._offsets[number], self._offsets[number + 1] - 1
        return os.pread(self._fd, end - start, start)

    def search(
        self, pattern: re.Pattern[bytes], start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, list[int]]]:
        """Yield (first line not searched yet, numbers of matching lines) per chunk of the file, in arrival order.

        Chunks end at line ends, so that a search can give way between them and holds the interpreter briefly.
        """
        offsets = self._offsets
        number = start
        end = len(self) if stop is None else stop
        while number < end:
            first, limit = number, offsets[number] + CHUNK_BYTES
            low, high = number + 1, end
            while low < high:
                middle = (low + high + 1) // 2
                if offsets[middle] <= limit:
                    low = middle
                else:
                    high = middle - 1
            number = low
            begin = offsets[first]
            data = os.pread(self._fd, offsets[number] - begin, begin)
            found: list[int] = []
            line = first
            position = 0
            while (match := pattern.search(data, position)) is not None:
                at = begin + match.start()
                low, high = line, number - 1
                while low < high:
                    middle = (low + high + 1) // 2
                    if offsets[middle] <= at:
                        low = middle
                    else:
                        high = middle - 1
                # a class of characters may have gone on over the line's end, where a line by itself ends
                whole = b"\n" not in match.group() or pattern.search(
                    data, offsets[low] - begin, offsets[low + 1] - begin - 1
                )
                if whole:
                    found.append(low)
                line = low + 1
                if line >= number:
                    break
                position = offsets[line] - begin
            yield number, found


def compile_bytes(text: str) -> re.Pattern[bytes]:
    """Compile user input for :meth:`LogSpool.search`: smart case, literal where it is no expression.

    ``^`` and ``$`` are the ends of a line.
    """
    flags = re.MULTILINE | (re.IGNORECASE if text == text.lower() else re.NOFLAG)
    try:
        compiled = re.compile(text.encode(), flags)
    except re.error:
        compiled = re.compile(re.escape(text.encode()), flags)
    if compiled.match(b""):  # an expression that matches nothing would match everywhere
        compiled = re.compile(re.escape(text.encode()), flags)
    return compiled
