"""TinyDB with its slow half replaced, through its own extension points.

Stock TinyDB reads and rewrites the whole file for each write. Here the tables live in memory
(:class:`ObjectTable`), and :class:`SnapshotStorage` writes the file only as a whole, atomically: on a clean stop
and when the journal has grown. The file stays a plain TinyDB database, one table a resource and one document an
object, so stock TinyDB opens it. Its last table, ``_cluster``, carries format, revision and a checksum.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Table

from .errors import Compacted, Damaged, Foreign
from .journal import sync_folder
from .records import Event, Key, Obj, Record
from .watch import Watch

FORMAT = 2
"""Format 1 had no checksum over what ``_cluster`` itself says, and is read as well."""
_META = b'"_cluster":{"1":'
_RECORDS_AT_ONCE = 50
_SYNC_EVERY = 8 * 1024 * 1024

FEW = 64
"""New records that are put in their places one by one; of more, all are sorted, which takes one look at each."""

HISTORY_KEPT = 512
"""Events a table always keeps for watches that resume."""
HISTORY_SECONDS = 300.0
"""How long further events are kept (etcd is compacted every five minutes upstream)."""
HISTORY_LIMIT = 10_000
"""Events a table keeps at the most."""
UNFOLDED = 256
"""How many of the newest events keep the objects that they replaced at hand, for watches that are not yet there."""
HISTORY_BYTES = 64 * 1024 * 1024
"""Bytes of JSON in a table's events at the most, so that large objects that change often don't fill the memory."""


class ObjectTable(Table):
    """The objects of one resource, in memory, sorted by namespace and name, with their recent history.

    TinyDB's own queries work on it (``db.table("pods").search(...)``). Writes come from the store alone.
    """

    def __init__(self, storage: Storage, name: str, **options: Any) -> None:
        super().__init__(storage, name, cache_size=0, **options)
        self.records: dict[tuple[str, str], Record] = {}
        self._order: list[tuple[str, str]] = []
        self._unordered: list[tuple[str, str]] = []
        """Places of new records that nobody asked the order of yet."""
        self.history: deque[Event] = deque()
        self.history_size = 0
        """Bytes of JSON in those events."""
        self.watches: list[Watch] = []
        self.forgotten = 0
        """The newest version of which this table no longer has the event."""

    @property
    def order(self) -> list[tuple[str, str]]:
        """The places of all records, sorted. Not kept after a change: to put each new record in its place at once
        takes the longer the more there are, and is seldom asked for."""
        fresh = self._unordered
        if fresh:
            if len(fresh) <= FEW:
                for place in fresh:
                    insort(self._order, place)
            else:
                self._order += fresh
                self._order.sort()
            fresh.clear()
        return self._order

    def put(self, record: Record) -> Record | None:
        """Store a record; returns the one it replaces."""
        place = (record.key.namespace, record.key.name)
        previous = self.records.get(place)
        self.records[place] = record
        if previous is None:
            self._unordered.append(place)
        return previous

    def drop(self, key: Key) -> Record | None:
        """Remove and return a record."""
        place = (key.namespace, key.name)
        previous = self.records.pop(place, None)
        if previous is not None:
            order = self.order
            del order[bisect_left(order, place)]
        return previous

    def remember(self, event: Event) -> None:
        """Keep an event for watches that resume, and let old ones go."""
        history = self.history
        history.append(event)
        self.history_size += event.size
        if len(history) > UNFOLDED:
            old = history[-UNFOLDED - 1]
            if old.previous is not None:
                old.previous.fold()
            if old.type == "DELETED":
                old.record.fold()
        while len(history) > HISTORY_KEPT and (
            len(history) > HISTORY_LIMIT or history[0].time < event.time - HISTORY_SECONDS
        ):
            self._forget()
        while self.history_size > HISTORY_BYTES and len(history) > 1:
            self._forget()

    def _forget(self) -> None:
        oldest = self.history.popleft()
        self.history_size -= oldest.size
        self.forgotten = oldest.version

    def select(self, namespace: str = "") -> list[Record]:
        """All records (of a namespace), in order."""
        records = self.records
        if not namespace:
            return [records[place] for place in self.order]
        order = self.order
        start = bisect_left(order, (namespace, ""))
        end = bisect_left(order, (namespace + "\0", ""))
        return [records[place] for place in order[start:end]]

    def select_at(self, version: int, namespace: str = "") -> list[Record]:
        """All records (of a namespace) as they were at an earlier version.

        Raises:
            Compacted: the history does not reach back that far.
        """
        if version < self.forgotten:
            raise Compacted(version, self.forgotten)
        undone: dict[tuple[str, str], Record | None] = {}
        for event in reversed(self.history):
            if event.version <= version:
                break
            undone[(event.record.key.namespace, event.record.key.name)] = event.previous
        if not undone:
            return self.select(namespace)
        places = dict(self.records)
        for place, record in undone.items():
            if record is None:
                places.pop(place, None)
            else:
                places[place] = record
        return [places[place] for place in sorted(places) if not namespace or place[0] == namespace]

    def since(self, version: int) -> list[Event]:
        """The events after a version.

        Raises:
            Compacted: some of them are no longer kept.
        """
        if version < self.forgotten:
            raise Compacted(version, self.forgotten)
        events: list[Event] = []
        for event in reversed(self.history):
            if event.version <= version:
                break
            events.append(event)
        events.reverse()
        return events

    def __len__(self) -> int:
        return len(self.records)

    def _read_table(self) -> dict[int, Obj]:  # type: ignore[override]
        return {number: record.obj for number, record in enumerate(self.select(), 1)}

    def _update_table(self, updater: Any) -> None:
        raise TypeError("objects are written through Store.submit, which journals them first")


class SnapshotStorage(Storage):
    """A TinyDB storage that writes the whole file, atomically, from the tables' records."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, dict[str, Any]] | None:
        """TinyDB's view of the file: table → document id → document; None when there is none."""
        if not self.path.exists():
            return None
        data: dict[str, dict[str, Any]] = orjson.loads(self.path.read_bytes())
        return data

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """TinyDB's own write path is not used: see :meth:`save`."""
        raise TypeError("objects are written through Store.submit, which journals them first")

    def save(self, tables: Iterable[tuple[str, list[Record]]], epoch: str, revision: int) -> int:
        """Write all records as one TinyDB file; durable and in place when it returns. The size in bytes."""
        return write_snapshot(self.path, tables, epoch, revision)


class ObjectDatabase(TinyDB):
    """A TinyDB whose tables are :class:`ObjectTable`."""

    table_class = ObjectTable  # type: ignore[assignment]
    default_storage_class = SnapshotStorage  # type: ignore[assignment]

    def objects(self, resource: str) -> ObjectTable:
        """The table of a resource, made when it is first asked for."""
        table = self.table(resource)
        assert isinstance(table, ObjectTable)
        return table

    @property
    def loaded(self) -> dict[str, ObjectTable]:
        """Resource → table, of those in use."""
        return {name: table for name, table in self._tables.items() if isinstance(table, ObjectTable)}


def encode_snapshot(tables: Iterable[tuple[str, list[Record]]], epoch: str, revision: int) -> Iterator[bytes]:
    """The pieces of a snapshot file, each small enough that what is done with it keeps nobody waiting for long."""
    checksum, separator = 0, b"{"
    for name, records in tables:
        if not records:
            continue
        head = separator + orjson.dumps(name) + b":{"
        for start in range(0, len(records), _RECORDS_AT_ONCE):
            some = records[start : start + _RECORDS_AT_ONCE]
            lines = [b'"%d":%b' % (number, record.written()) for number, record in enumerate(some, start + 1)]
            piece = head + b",".join(lines)
            head = b","
            checksum = crc32(piece, checksum)
            yield piece
        checksum = crc32(b"}", checksum)
        yield b"}"
        separator = b",\n"
    meta = {"format": FORMAT, "epoch": epoch, "revision": revision, "crc32": f"{checksum:08x}"}
    meta["own"] = _own_checksum(meta)
    yield (separator if separator == b"{" else b",\n") + _META + orjson.dumps(meta) + b"}}\n"


def _own_checksum(meta: Obj) -> str:
    """The checksum over what ``_cluster`` says: an epoch that changed by itself would disown the journal."""
    words = [str(meta[name]) for name in ("format", "epoch", "revision", "crc32")]
    return f"{crc32(' '.join(words).encode()):08x}"


def write_snapshot(path: Path, tables: Iterable[tuple[str, list[Record]]], epoch: str, revision: int) -> int:
    """Write a snapshot beside ``path``, then put it in its place. The size in bytes."""
    beside = path.with_name(path.name + ".new")
    size = synced = 0
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for piece in encode_snapshot(tables, epoch, revision):
                size += file.write(piece)
                if size - synced > _SYNC_EVERY:
                    # All at once at the end, it would keep the disk from the journal for as long as it takes.
                    file.flush()
                    os.fdatasync(file.fileno())
                    synced = size
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        # Half a file is of no use to anybody, and the disk may be full.
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return size


def _read(path: Path) -> bytearray:
    with path.open("rb") as file:
        data = bytearray(os.fstat(file.fileno()).st_size)
        del data[file.readinto(data) :]
    return data


class Snapshot:
    """A snapshot file, read and checked."""

    def __init__(self, path: Path) -> None:
        data = _read(path)
        self.path = path
        self.size = len(data)
        self.epoch, self.revision = "", 0
        self.tables: dict[str, list[Obj]] = {}
        start = data.rfind(_META)
        if start < 1:
            self._read_plain(data)
        else:
            self._read_own(data, start)

    def _read_own(self, data: bytearray, start: int) -> None:
        path = self.path
        try:
            meta = orjson.loads(data[start + len(_META) :].rstrip()[:-2])
            self._take(meta)
            checksum = str(meta["crc32"])
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(path, f"byte {start}", "the table _cluster can't be read") from error
        end = start - 2 if data[start - 2 : start] == b",\n" else 0
        # Views, not copies: it may be hundreds of megabytes.
        if f"{crc32(memoryview(data)[:end]):08x}" != checksum:
            raise Damaged(path, f"bytes 0 to {start}", "the checksum does not fit the contents")
        tables: dict[str, dict[str, Obj]] = {}
        if end:
            data[end] = ord("}")
            try:
                tables = orjson.loads(memoryview(data)[: end + 1])
            except orjson.JSONDecodeError as error:
                raise Damaged(path, f"byte {error.pos}", str(error)) from error
        self.tables = {name: list(documents.values()) for name, documents in tables.items()}

    def _read_plain(self, data: bytearray) -> None:
        """A file that stock TinyDB wrote: somebody opened ours with it and saved a change. It has no checksum."""
        path = self.path
        if not data.strip(b"\0 \n"):
            raise Damaged(path, "byte 0", "it is empty")
        if data.lstrip()[:1] != b"{":
            raise Foreign(f"{path} is not a kubetui database")
        try:
            tables = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Damaged(
                path, f"byte {error.pos} of {len(data)}", "the end, with its checksum, is missing"
            ) from error
        try:
            (meta,) = tables.pop("_cluster").values()
            self._take(meta)
            for name, documents in tables.items():
                self.tables[name] = [self._object(obj) for obj in documents.values()]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Foreign(f"{path} is not a kubetui database") from error

    def _object(self, obj: Obj) -> Obj:
        meta = obj["metadata"]
        if not isinstance(meta["name"], str) or not isinstance(meta.get("namespace", ""), str):
            raise TypeError("an object without a name")
        meta.setdefault("resourceVersion", str(self.revision))
        int(meta["resourceVersion"])
        return obj

    def _take(self, meta: Obj) -> None:
        self.epoch, self.revision = str(meta["epoch"]), int(meta["revision"])
        if int(meta["format"]) > FORMAT:
            raise Foreign(f"{self.path} has format {meta['format']}; this program reads up to {FORMAT}")
        if ("own" in meta or meta["format"] != 1) and meta["own"] != _own_checksum(meta):
            raise Damaged(self.path, "its last line", "the checksum of the table _cluster does not fit")
