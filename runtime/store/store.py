"""The store: transactions in, durable records and events out.

A write is checked against the newest state at once (:meth:`Store.submit`), joins the batch that is being
gathered, and becomes visible when its batch is on disk. One batch is on its way at a time, so the next one
grows while the disk works: with one writer each write has its own ``fdatasync``, with many they share.

Everything but the disk runs on one event loop; the disk has a thread, which a lone writer's batches are spared
(:mod:`.pace`). ``latest`` and ``submit`` do not wait, so a read-modify-write
without an ``await`` between them can't conflict.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from .database import ObjectDatabase, ObjectTable, SnapshotStorage
from .errors import StoreError, StoreFailed, StoreFull, VersionMismatch
from .folder import JOURNAL, OLD_JOURNAL, SNAPSHOT, FolderLock, load
from .journal import Header, JournalWriter, sync_folder
from .pace import Pace
from .records import Change, Event, EventType, Key, Record, dumps, tombstone
from .watch import Watch

log = logging.getLogger(__name__)

Records = list[Record]
Tables = list[tuple[str, Records]]

COMPACT_BYTES = 32 * 1024 * 1024
"""The journal's size at which a snapshot is written, if that is more than the last snapshot's size."""


@dataclass(slots=True)
class _Transaction:
    version: int
    changes: list[tuple[Key, Record | None]]
    future: asyncio.Future[Records]


@dataclass(slots=True)
class _Batch:
    transactions: list[_Transaction] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


class Store:
    """All objects of one cluster. Make it with :meth:`open`."""

    def __init__(self, folder: Path, lock: FolderLock | None) -> None:
        state = load(folder)
        if state.torn:
            log.warning("dropped %d bytes of a write that was not acknowledged", state.torn)
        self.folder = folder
        self.failure: StoreError | None = None
        """Why the store takes no more writes, if so."""
        self._lock = lock
        self._epoch = state.epoch
        self._revision = state.revision
        self._next = state.revision + 1
        self._floor = state.floor
        self._snapshot_size = state.snapshot_size
        self._database = ObjectDatabase(folder / SNAPSHOT)
        for key, record in state.records.items():
            table = self._table(key.resource)
            table.put(record)
        for event in state.events:
            self._table(event.record.key.resource).remember(event)
        self._pending: dict[Key, tuple[int, Record | None]] = {}
        self._gathering = _Batch()
        self._busy = False
        self._flush_soon = False
        self._closed = False
        self._held = False
        self._idle: asyncio.Future[None] | None = None
        self._compacting: asyncio.Task[None] | None = None
        self._retry_compaction_at = 0.0
        self._journal = self._open_journal(state.journal_size)
        self._pace = Pace()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Callable[[Exception | None], None]] | None]
        self._jobs = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run_jobs, name="store-writer", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, folder: Path, *, lock: FolderLock | None = None) -> Store:
        """Read the folder's state and be ready for writes.

        ``lock`` is the folder's lock when the caller already holds it; otherwise the store takes it.

        Raises:
            InUse: another process serves the folder.
            Damaged, Foreign: its files can't be used; the message names file and place.
            StoreError: the folder can't be read or written.
        """
        own = lock or FolderLock(folder)
        try:
            return cls(folder, None if lock else own)
        except OSError as error:
            own.release()
            raise StoreError(f"can't use the state folder {folder}: {error.strerror}") from error
        except BaseException:
            if lock is None:
                own.release()
            raise

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """The newest durable version."""
        return self._revision

    @property
    def oldest(self) -> int:
        """The oldest version from which every resource can still be watched."""
        return max((table.forgotten for table in self._database.loaded.values()), default=self._floor)

    @property
    def database(self) -> ObjectDatabase:
        """The TinyDB, for queries."""
        return self._database

    def get(self, key: Key) -> Record | None:
        """The durable state of one object."""
        table = self._database._tables.get(key.resource)
        return table.records.get((key.namespace, key.name)) if isinstance(table, ObjectTable) else None

    def latest(self, key: Key) -> Record | None:
        """One object with the writes that are still on their way to disk: what a writer computes from."""
        if self._pending:
            pending = self._pending.get(key)
            if pending is not None:
                return pending[1]
        return self.get(key)

    def list(self, resource: str, namespace: str = "") -> Records:
        """All durable objects of a resource (and namespace), sorted by namespace and name."""
        return self._table(resource).select(namespace)

    def list_at(self, resource: str, namespace: str, version: int) -> Records:
        """The same as of an earlier version.

        Raises:
            Compacted: the history does not reach back that far.
        """
        return self._table(resource).select_at(version, namespace)

    def count(self, resource: str) -> int:
        """How many objects of a resource are stored."""
        return len(self._table(resource).records)

    def watch(self, resource: str, namespace: str = "", since: int | None = None) -> Watch:
        """The changes strictly after version ``since`` (None: from now on).

        Raises:
            Compacted: some of them are no longer kept.
        """
        table = self._table(resource)
        backlog = [] if since is None else table.since(since)
        if namespace:
            backlog = [event for event in backlog if event.record.key.namespace == namespace]
        watch = Watch(namespace, backlog, lambda: self._revision, table.watches.remove)
        table.watches.append(watch)
        return watch

    def _table(self, resource: str) -> ObjectTable:
        table = self._database._tables.get(resource)
        if isinstance(table, ObjectTable):
            return table
        made = self._database.objects(resource)
        made.forgotten = self._floor
        return made

    # -- writing ---------------------------------------------------------------------------------------------

    def submit(self, changes: Sequence[Change]) -> asyncio.Future[Records]:
        """Write one transaction: all of it or nothing, at one version.

        The checks happen now; the future is done when the disk has it, with the records written (for a
        deletion the last state, at the deletion's version).

        Raises:
            VersionMismatch: a change expected another version.
            StoreFailed: the store takes no more writes.
            TypeError, ValueError: an object is not JSON.
        """
        if self.failure is not None:
            raise self.failure
        if self._closed:
            raise StoreFailed("the store is closed")
        version = self._next
        writes: list[tuple[Key, Record | None]] = []
        lines: list[bytes] = []
        for change in changes:
            key = change.key
            current = self.latest(key)
            if change.expected is not None and (current.version if current else 0) != change.expected:
                raise VersionMismatch(key, current)
            place = orjson.dumps((key.resource, key.namespace, key.name))[:-1]
            if change.obj is None:
                writes.append((key, None))
                lines.append(place + b",null]")
                continue
            change.obj["metadata"]["resourceVersion"] = str(version)
            json = dumps(change.obj)
            writes.append((key, Record(key, change.obj, version, json)))
            lines.append(place + b"," + json + b"]")
        self._next = version + 1
        for key, record in writes:
            self._pending[key] = (version, record)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Records] = self._loop.create_future()
        self._gathering.transactions.append(_Transaction(version, writes, future))
        self._gathering.lines.append(b"[%d,[%s]]" % (version, b",".join(lines)))
        self._schedule_flush()
        return future

    def _schedule_flush(self) -> None:
        if not self._busy and not self._held and not self._flush_soon and self._loop is not None:
            self._flush_soon = True
            # Not at once: what else is submitted in this turn of the loop shares the batch.
            self._loop.call_soon(self._flush)

    def push(self) -> None:
        """Write what is gathered now, unless others may still join it in this turn of the loop.

        For who has submitted all there is and waits for it. A lone writer is spared the turns of the loop until the
        batch is begun, and, where the loop writes, until its end is told.
        """
        # What is ready to run may submit as well; the flush that is to come stands among it. A loop that does not
        # let that be seen goes its usual way.
        ready = getattr(self._loop, "_ready", None)
        if self._flush_soon and ready is not None and len(ready) == 1:
            self._flush()

    def _flush(self) -> None:
        self._flush_soon = False
        if self._busy or self._held or not self._gathering.transactions:
            return
        batch, self._gathering = self._gathering, _Batch()
        payload = b"[" + b",".join(batch.lines) + b"]"
        if self._pace.here(len(batch.transactions), len(payload)):
            self._write_here(batch, payload)
        else:
            self._write_beside(batch, payload)

    def _write_here(self, batch: _Batch, payload: bytes) -> None:
        error: Exception | None = None
        started = time.perf_counter()
        try:
            self._journal.append(payload)
        except Exception as raised:
            error = raised
        self._pace.wrote_here(time.perf_counter() - started)
        self._written(batch, error)

    def _write_beside(self, batch: _Batch, payload: bytes) -> None:
        seconds = 0.0

        def write() -> None:
            nonlocal seconds
            started = time.perf_counter()
            self._journal.append(payload)
            seconds = time.perf_counter() - started

        def written(error: Exception | None) -> None:
            self._busy = False
            self._pace.wrote_beside(seconds, waiting=bool(self._gathering.transactions))
            self._written(batch, error)
            self._flush()

        self._busy = True
        self._jobs.put((write, written))

    def _run_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            error: Exception | None = None
            try:
                work()
            except Exception as raised:
                error = raised
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(done, error)
            except RuntimeError:  # the loop was closed without closing the store; the disk has the truth
                return

    def _written(self, batch: _Batch, error: Exception | None) -> None:
        if error is not None:
            self._refuse(batch, error)
        else:
            self._publish(batch)
            self._maybe_compact()
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _publish(self, batch: _Batch) -> None:
        now = time.monotonic()
        for transaction in batch.transactions:
            version = transaction.version
            results: Records = []
            told: list[tuple[ObjectTable, Event]] = []
            for key, record in transaction.changes:
                if self._pending.get(key, (0, None))[0] == version:
                    del self._pending[key]
                table = self._table(key.resource)
                if record is not None:
                    previous = table.put(record)
                    kind: EventType = "MODIFIED" if previous else "ADDED"
                    event = Event(kind, record, previous, now, len(record.json))
                else:
                    previous = table.drop(key)
                    if previous is None:
                        continue
                    event = Event("DELETED", tombstone(previous, version), previous, now)
                results.append(event.record)
                table.remember(event)
                told.append((table, event))
            self._revision = version
            # The writer is woken before those who watch: it waits for this one answer, they have work of their own.
            if not transaction.future.done():
                transaction.future.set_result(results)
            for table, event in told:
                for watch in tuple(table.watches):
                    watch.offer(event)

    def _refuse(self, batch: _Batch, error: Exception) -> None:
        """A batch did not reach the disk: it fails, and so does what was computed from it."""
        if not isinstance(error, StoreFull):
            self.failure = error if isinstance(error, StoreError) else StoreFailed(str(error))
            log.error("the store takes no more writes: %s", error)
        failed = [*batch.transactions, *self._gathering.transactions]
        self._gathering = _Batch()
        self._pending.clear()
        self._next = self._revision + 1
        for transaction in failed:
            if not transaction.future.done():
                transaction.future.set_exception(error)

    # -- snapshots -------------------------------------------------------------------------------------------

    def _open_journal(self, size: int) -> JournalWriter:
        path = self.folder / JOURNAL
        if size:
            return JournalWriter.resume(path, size)
        if path.exists() and path.stat().st_size:
            path.replace(path.with_name(JOURNAL + ".replaced"))
        return JournalWriter.create(path, Header(self._epoch, self._revision))

    def _maybe_compact(self) -> None:
        if self._compacting is not None or self._closed or self.failure is not None:
            return
        if self._journal.size < max(COMPACT_BYTES, self._snapshot_size):
            return
        if time.monotonic() >= self._retry_compaction_at:
            self.compact()

    def compact(self) -> asyncio.Task[None]:
        """Write a snapshot and start a new journal, while writes go on. Usually done by itself."""
        if self._compacting is None:
            self._compacting = asyncio.get_running_loop().create_task(self._compact())
            self._compacting.add_done_callback(self._compacted)
        return self._compacting

    def _compacted(self, task: asyncio.Task[None]) -> None:
        self._compacting = None
        if not task.cancelled() and (error := task.exception()) is not None:
            # The journals still hold everything; only the room they take is at stake.
            log.warning("the snapshot could not be written: %s", error)
            self._retry_compaction_at = time.monotonic() + 30.0

    async def _compact(self) -> None:
        # Between two batches, so that snapshot and new journal meet at one version.
        self._held = True
        try:
            if self._busy:
                self._idle = asyncio.get_running_loop().create_future()
                await self._idle
                self._idle = None
            revision, tables = self._revision, self._tables()
            if not (self.folder / OLD_JOURNAL).exists():
                await self._job(lambda: self._rotate(revision))
        finally:
            self._held = False
            self._flush()
        loop = asyncio.get_running_loop()
        self._snapshot_size = await loop.run_in_executor(None, self._save, tables, revision)
        (self.folder / OLD_JOURNAL).unlink(missing_ok=True)

    def _tables(self) -> Tables:
        return [(name, table.select()) for name, table in sorted(self._database.loaded.items())]

    def _save(self, tables: Tables, revision: int) -> int:
        storage = self._database.storage
        assert isinstance(storage, SnapshotStorage)
        return storage.save(tables, self._epoch, revision)

    def _rotate(self, revision: int) -> None:
        path, old = self.folder / JOURNAL, self.folder / OLD_JOURNAL
        beside = path.with_name(JOURNAL + ".new")
        try:
            fresh = JournalWriter.create(beside, Header(self._epoch, revision))
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise StoreFull(f"{beside}: {error.strerror}") from error
        # Who reads the folder meanwhile (a backup) finds the batches under one name or both, never under none.
        try:
            os.link(path, old)
        except OSError:  # a file system without links
            path.replace(old)
        beside.replace(path)
        fresh.path = path
        self._journal.close()
        self._journal = fresh
        try:
            sync_folder(self.folder)
        except OSError as error:
            self.failure = StoreFailed(f"{self.folder}: {error.strerror}")
            raise self.failure from error

    async def _job(self, work: Callable[[], None]) -> None:
        """Run something on the writer thread, between two batches."""
        loop = self._loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()

        def done(error: Exception | None) -> None:
            if error is None:
                finished.set_result(None)
            else:
                finished.set_exception(error)

        self._jobs.put((work, done))
        await finished

    async def close(self) -> None:
        """Finish what was submitted, write a snapshot, let the folder go."""
        if self._closed:
            return
        self._closed = True
        while self._busy or self._gathering.transactions or self._compacting is not None:
            if self._compacting is not None:
                await asyncio.wait([self._compacting])
            await asyncio.sleep(0.001)
        try:
            if self.failure is None:
                loop = asyncio.get_running_loop()
                tables, revision = self._tables(), self._revision
                await loop.run_in_executor(None, self._save, tables, revision)
                self._journal.close()
                self._journal = JournalWriter.create(self.folder / JOURNAL, Header(self._epoch, revision))
                (self.folder / OLD_JOURNAL).unlink(missing_ok=True)
                sync_folder(self.folder)
        except OSError as error:
            log.warning("the snapshot could not be written: %s; the journal holds everything", error)
        finally:
            for table in self._database.loaded.values():
                for watch in tuple(table.watches):
                    watch.close()
            self._jobs.put(None)
            self._thread.join()
            self._journal.close()
            if self._lock is not None:
                self._lock.release()
