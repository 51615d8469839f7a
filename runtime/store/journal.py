"""The journal: every write, in order, on disk before it is answered.

One file of text lines. The first names format, epoch and base revision, with a checksum; each further line is one
*batch*, the transactions that shared one ``fdatasync``::

    kubetui-journal 2 6d0f2b… 1207 51c2e90b
    0000003c 8f1e77a2 [[1208,[["pods","default","web-1",{…}]]]]

Length and CRC-32 (hexadecimal) cover the JSON. A batch is written in one piece and followed by none until it
is durable, so only the last can be torn by a crash; it was never acknowledged and is dropped. Zeros stand behind
the last batch: room made ahead, so that most batches leave the file's length, and what a file system has to note
of it, alone. As JSON holds no zero, what is missing of a torn batch shows; a bad batch that was written to its
end, or that has good ones behind it, is damage, and is reported with its place.

Format 1 had no checksum in its first line, and is read as well.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from zlib import crc32

import orjson

from .errors import Damaged, Foreign, StoreFailed, StoreFull

FORMAT = 2
_MAGIC = b"kubetui-journal"
_FRAME = 18  # two hexadecimal words of eight, a space after each
ROOM = 512 * 1024
"""Bytes of zeros that are written behind a batch when the room before them is used up."""
_ZEROS = bytes(ROOM)
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Header:
    """What the first line says: which state this journal continues."""

    epoch: str
    base: int

    def encode(self) -> bytes:
        """The line."""
        line = b"%s %d %s %d" % (_MAGIC, FORMAT, self.epoch.encode(), self.base)
        return b"%s %08x\n" % (line, crc32(line))


Transaction = tuple[int, list[tuple[str, str, str, dict[str, Any] | None]]]
"""Version, and (resource, namespace, name, object or None) of each change."""


def frame(payload: bytes) -> bytes:
    """One batch as it stands in the file."""
    return b"%08x %08x %s\n" % (len(payload), crc32(payload), payload)


class JournalWriter:
    """Appends batches. Not thread-safe: one thread writes.

    ``write``, ``sync`` and ``truncate`` are attributes so that tests can put faults in their place.
    """

    write = staticmethod(os.write)
    sync = staticmethod(os.fdatasync)
    truncate = staticmethod(os.ftruncate)

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self.size = size
        """Where the last batch ends."""
        self._fd = fd
        self._room = 0
        """Zeros behind that."""

    @classmethod
    def create(cls, path: Path, header: Header) -> JournalWriter:
        """Start an empty journal, durable together with its name."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            line = header.encode()
            os.write(fd, line)
            os.fdatasync(fd)
            sync_folder(path.parent)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, len(line))

    @classmethod
    def resume(cls, path: Path, size: int) -> JournalWriter:
        """Go on after the last good batch; a torn one behind it is cut off."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            os.lseek(fd, size, os.SEEK_SET)
            os.fdatasync(fd)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, size)

    def append(self, payload: bytes) -> None:
        """Write one batch and wait until the disk has it.

        Raises:
            StoreFull: there was no room; the file is as before.
            StoreFailed: the file can't be trusted any more.
        """
        data = frame(payload)
        if len(data) <= self._room:
            self._put(data)
            self._room -= len(data)
        else:
            self._put_with_room(data)
        try:
            self.sync(self._fd)
        except OSError as error:
            # The kernel may have dropped the pages, and would report success next time.
            raise StoreFailed(f"{self.path}: {error.strerror}") from error
        if not os.fstat(self._fd).st_nlink:
            # The disk has it, under no name: it would be gone with this process.
            raise StoreFailed(f"{self.path} was deleted")
        self.size += len(data)

    def _put(self, data: bytes) -> None:
        rest, written = memoryview(data), 0
        try:
            while written < len(rest):
                written += self.write(self._fd, rest[written:])
        except OSError as error:
            self._roll_back(error)

    def _put_with_room(self, data: bytes) -> None:
        """Write a batch and new room behind it, or the batch alone where there is no place for both."""
        try:
            self._put(data + _ZEROS)
        except StoreFull:
            self._put(data)
            self._room = 0
        else:
            os.lseek(self._fd, self.size + len(data), os.SEEK_SET)
            self._room = ROOM

    def _roll_back(self, cause: OSError) -> NoReturn:
        self._room = 0
        try:
            self.truncate(self._fd, self.size)
            os.lseek(self._fd, self.size, os.SEEK_SET)
        except OSError as error:
            raise StoreFailed(f"{self.path}: {error.strerror}") from cause
        if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreFull(f"{self.path}: {cause.strerror}") from cause
        raise StoreFailed(f"{self.path}: {cause.strerror}") from cause

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


@dataclass(frozen=True, slots=True)
class Batch:
    """One good batch and where it ends."""

    transactions: list[Transaction]
    end: int


class JournalReader:
    """Reads a journal from its start. ``size`` is where the last good batch ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        whole = path.read_bytes()
        self._data = whole.rstrip(b"\0")
        line, newline, _ = self._data.partition(b"\n")
        if not newline and len(whole) < 200 and _MAGIC.startswith(line[: len(_MAGIC)]):
            # Torn while it was being created: nothing was ever written to it.
            self.header: Header | None = None
            self.size = 0
            return
        if not newline or not line.startswith(_MAGIC + b" "):
            raise Damaged(path, "byte 0", "it does not begin with a journal's first line")
        self.header = self._read_header(line)
        self.size = len(line) + 1

    def _read_header(self, line: bytes) -> Header:
        try:
            _, number, epoch, base, *rest = line.decode("ascii").split(" ")
            if int(number) > FORMAT:
                raise Foreign(f"{self.path} has format {int(number)}; this program reads up to {FORMAT}")
            expected = [] if int(number) == 1 else [f"{crc32(line.rpartition(b' ')[0]):08x}"]
            if rest != expected or int(number) < 1 or int(base) < 0:
                raise ValueError
        except ValueError as error:
            raise Damaged(self.path, "byte 0", "its first line is not what was written") from error
        return Header(epoch, int(base))

    def batches(self) -> Iterator[Batch]:
        """The good batches; a torn last one is left out.

        Raises:
            Damaged: a bad batch has good ones behind it, or was written whole.
        """
        data, position, number = self._data, self.size, 0
        while position < len(data):
            number += 1
            payload = self._payload(position)
            if payload is None:
                behind = self._good_batch_behind(position)
                if behind is not None:
                    raise Damaged(
                        self.path,
                        f"byte {position} (batch {number})",
                        f"its checksum does not fit, and good batches follow from byte {behind}",
                    )
                if self._written_whole(position):
                    raise Damaged(
                        self.path,
                        f"byte {position} (batch {number}, the last)",
                        "it was written to its end, and its checksum does not fit",
                    )
                return
            position += _FRAME + len(payload) + 1
            self.size = position
            yield Batch(orjson.loads(payload), position)

    def _payload(self, position: int) -> bytes | None:
        data = self._data
        head = data[position : position + _FRAME]
        if len(head) < _FRAME or head[8] != 32 or head[17] != 32:
            return None
        try:
            length, checksum = int(head[:8], 16), int(head[9:17], 16)
        except ValueError:
            return None
        end = position + _FRAME + length
        payload = data[position + _FRAME : end]
        if len(payload) < length or data[end : end + 1] != b"\n" or crc32(payload) != checksum:
            return None
        return payload

    def _written_whole(self, position: int) -> bool:
        """Whether a bad last batch once reached the disk from its first byte to its last.

        Of a torn one sectors are missing, and were zeros before, or the file ends too early.
        """
        rest = self._data[position:]
        gaps = [match.span() for match in re.finditer(b"\0+", rest)]
        if gaps:
            return not all(start == 0 or (position + start) % _SECTOR == 0 for start, _ in gaps) or not all(
                (position + end) % _SECTOR == 0 for _, end in gaps
            )
        try:
            length = int(rest[:8], 16)
        except ValueError:
            length = -1
        return rest.endswith(b"\n") or len(rest) == _FRAME + length + 1

    @property
    def torn(self) -> int:
        """Bytes behind the last good batch, zeros left out: a write that was never acknowledged."""
        return len(self._data) - self.size

    def _good_batch_behind(self, position: int) -> int | None:
        while True:
            newline = self._data.find(b"\n", position)
            if newline < 0:
                return None
            position = newline + 1
            if self._payload(position) is not None:
                return position


def sync_folder(folder: Path) -> None:
    """Make a file's creation or renaming in ``folder`` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
