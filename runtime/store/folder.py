"""The state folder's files as a whole: who holds it, reading it back, checking, backing up and restoring.

========================  ====================================================================
``cluster.json``          the last snapshot, a plain TinyDB database
``journal.old``           batches after that snapshot, while the next one is being written
``journal``               batches after those
``lock``                  held (flock) by the one process that serves the folder; holds its pid
========================  ====================================================================

Everything here but :func:`restore` only reads, and may run while another process serves the folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from .database import HISTORY_LIMIT, Snapshot, write_snapshot
from .errors import Damaged, Foreign, InUse, StoreError
from .journal import Batch, JournalReader, sync_folder
from .records import Event, Key, Record, tombstone

SNAPSHOT = "cluster.json"
JOURNAL = "journal"
OLD_JOURNAL = "journal.old"
LOCK = "lock"
REPLACED = ".replaced"
"""Added to the name of a file that a restore took the place of."""
_PATIENCE_SECONDS = 0.1


class FolderLock:
    """Holds a state folder for this process. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it (0700) if need be.

        Raises:
            InUse: another process has it.
            StoreError: it can't be made or written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"can't use the state folder {folder}: {error.strerror}") from error
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                # Somebody may only be looking whether it is in use.
                if time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                pid = os.pread(self._fd, 32, 0).strip()
                os.close(self._fd)
                raise InUse(folder, int(pid) if pid.isdigit() else 0) from error
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError as error:
            os.close(self._fd)
            raise StoreError(f"can't use the state folder {folder}: {error.strerror}") from error

    def release(self) -> None:
        """Let the folder go."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


@dataclass(slots=True)
class State:
    """What a folder's files say."""

    epoch: str
    revision: int
    floor: int
    """The version of the snapshot: history begins after it."""
    records: dict[Key, Record] = field(default_factory=dict)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=HISTORY_LIMIT))
    journal_size: int = 0
    """Where the last good batch of ``journal`` ends; 0 when there is no journal to go on with."""
    torn: int = 0
    """Bytes behind it, written by a batch that was never acknowledged."""
    snapshot_size: int = 0

    def apply(self, batch: Batch) -> None:
        """Replay one batch; what the snapshot already holds is passed over."""
        now = time.monotonic()
        for version, changes in batch.transactions:
            if version <= self.revision:
                continue
            if version != self.revision + 1:
                raise StoreError(f"versions {self.revision + 1} to {version - 1} are missing")
            for resource, namespace, name, obj in changes:
                key = Key(resource, namespace, name)
                previous = self.records.get(key)
                if obj is not None:
                    record = self.records[key] = Record(key, obj, version)
                    kind = "MODIFIED" if previous else "ADDED"
                    self.events.append(Event(kind, record, previous, now))  # type: ignore[arg-type]
                elif previous is not None:
                    del self.records[key]
                    self.events.append(Event("DELETED", tombstone(previous, version), previous, now))
            self.revision = version

    def by_resource(self) -> list[tuple[str, list[Record]]]:
        """The records in the order of the files: by resource, namespace and name."""
        grouped: dict[str, list[Record]] = {}
        for key in sorted(self.records):
            grouped.setdefault(key.resource, []).append(self.records[key])
        return list(grouped.items())


def load(folder: Path) -> State:
    """Read a folder's state: snapshot, then journals.

    Raises:
        Damaged: a file does not hold what was written; the message says where.
        Foreign: a file is not ours, or of a newer version.
        StoreError: a file can't be read.
    """
    try:
        return _load(folder)
    except OSError as error:
        raise StoreError(f"can't read {error.filename or folder}: {error.strerror}") from error


def _load(folder: Path) -> State:
    snapshot = _read_snapshot(folder / SNAPSHOT)
    if snapshot is None:
        state = State(epoch="", revision=0, floor=0)
    else:
        state = State(snapshot.epoch, snapshot.revision, snapshot.revision, snapshot_size=snapshot.size)
        for resource, objects in snapshot.tables.items():
            for obj in objects:
                meta = obj["metadata"]
                key = Key(resource, meta.get("namespace", ""), meta["name"])
                state.records[key] = Record(key, obj, int(meta["resourceVersion"]))
    for name in (OLD_JOURNAL, JOURNAL):
        path = folder / name
        if not path.exists():
            continue
        reader = JournalReader(path)
        if reader.header is None:
            continue
        if snapshot is None and not state.epoch and reader.header.base == 0:
            state.epoch = reader.header.epoch
        if reader.header.epoch != state.epoch:
            if snapshot is None:
                raise Damaged(path, "byte 0", f"it continues {SNAPSHOT}, which is missing")
            continue  # left from before a restore
        if reader.header.base > state.revision:
            raise Damaged(
                path,
                "byte 0",
                f"it begins after version {reader.header.base}, and {state.revision} is the last known",
            )
        try:
            for batch in reader.batches():
                state.apply(batch)
        except Damaged:
            raise
        except (StoreError, ValueError, TypeError) as error:
            raise Damaged(path, f"byte {reader.size}", str(error)) from error
        if name == JOURNAL:
            state.journal_size = reader.size
            state.torn = reader.torn
    if not state.epoch:
        state.epoch = uuid.uuid4().hex
    return state


def _read_snapshot(path: Path) -> Snapshot | None:
    return Snapshot(path) if path.exists() else None


def _load_steady(folder: Path) -> State:
    """Read a folder that another process may be writing: its files change names while they are being read."""
    for attempt in range(20):
        try:
            return load(folder)
        except StoreError:
            if attempt == 19:
                raise
            time.sleep(0.05)
    raise AssertionError


def check(folder: Path) -> State:
    """Read everything and change nothing; raises what :func:`load` raises."""
    return _load_steady(folder)


def back_up(folder: Path, target: Path) -> State:
    """Write the newest durable state, all of one version, to a file: a plain TinyDB database.

    Raises:
        StoreError: the state can't be read, or the file can't be written.
    """
    # In the order in which what was written moves on from one to the next.
    if not any((folder / name).exists() for name in (JOURNAL, OLD_JOURNAL, SNAPSHOT)):
        raise StoreError(f"{folder} holds no cluster")
    state = _load_steady(folder)
    try:
        write_snapshot(target, state.by_resource(), state.epoch, state.revision)
    except OSError as error:
        raise StoreError(f"can't write {target}: {error.strerror}") from error
    return state


def restore(folder: Path, source: Path) -> int:
    """Put a backup in the place of a folder's state; returns how many objects it holds.

    The backup is read and checked first; until the one rename that puts it in place the old state is untouched.
    It starts a new epoch, so that the old journals no longer count, and versions go on rising from the higher
    of the two, so that no client sees one twice. The old state stays beside as ``cluster.json.replaced``, a backup
    like any other; if it can't be read, its files stay under their names with ``.replaced`` behind them.

    Raises:
        Damaged, Foreign: the backup is not good.
        InUse: a server holds the folder.
        StoreError: a file can't be read or written.
    """
    try:
        backup = Snapshot(source)
    except OSError as error:
        raise StoreError(f"can't read {source}: {error.strerror}") from error
    records = []
    for resource, objects in backup.tables.items():
        table = []
        for obj in objects:
            meta = obj["metadata"]
            key = Key(resource, meta.get("namespace", ""), meta["name"])
            table.append(Record(key, obj, int(meta["resourceVersion"])))
        records.append((resource, table))
    lock = FolderLock(folder)
    try:
        snapshot = folder / SNAPSHOT
        try:
            old = load(folder)
        except (Damaged, Foreign):
            # A restore is how a damaged state is mended; its versions can't be known, so leap well past them.
            revision = backup.revision + 1_000_000
            for name in (SNAPSHOT, OLD_JOURNAL, JOURNAL):
                if (folder / name).exists():
                    shutil.copy2(folder / name, folder / (name + REPLACED))
        else:
            revision = old.revision
            if revision:
                write_snapshot(folder / (SNAPSHOT + REPLACED), old.by_resource(), old.epoch, revision)
        write_snapshot(snapshot, records, uuid.uuid4().hex, max(revision, backup.revision) + 1)
        for name in (OLD_JOURNAL, JOURNAL):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
    except OSError as error:
        raise StoreError(f"can't restore to {folder}: {error.strerror}") from error
    finally:
        lock.release()
    return sum(len(table) for _, table in records)
