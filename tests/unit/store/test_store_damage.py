"""What the store does when the disk fails it: torn and damaged files, no room, failing calls, older formats."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pytest
from store_helpers import drop, pod, pod_key, put

from runtime.store import (
    Damaged,
    FolderLock,
    Foreign,
    Store,
    StoreError,
    StoreFailed,
    StoreFull,
    back_up,
    check,
    restore,
)
from runtime.store import pace as pace_module
from runtime.store.folder import load
from runtime.store.journal import ROOM, JournalWriter


async def write_three(folder: Path, value: Any = 0) -> None:
    """Three batches, and no clean stop."""
    store = Store.open(folder)
    for name in "abc":
        await store.submit([put(name, value)])
    store._jobs.put(None)
    store._thread.join()
    store._journal.close()
    assert store._lock is not None
    store._lock.release()


@pytest.mark.parametrize("behind", [0, 400])
@pytest.mark.parametrize("cut", [1, 5, 17, 18, 19, 60, -1])
async def test_a_torn_last_record_is_dropped(tmp_path: Path, cut: int, behind: int) -> None:
    await write_three(tmp_path)
    journal = tmp_path / "journal"
    data = journal.read_bytes().rstrip(b"\0")
    last = data.rindex(b"\n", 0, -1) + 1
    journal.write_bytes((data[: last + cut] if cut > 0 else data[:cut]) + bytes(behind))
    store = Store.open(tmp_path)
    assert [record.key.name for record in store.list("pods")] == ["a", "b"]
    (record,) = await store.submit([put("d")])
    assert record.version == 3
    await store.close()
    assert check(tmp_path).revision == 3


@pytest.mark.parametrize("missing", ["first", "middle", "last"])
async def test_a_last_record_of_which_the_disk_has_only_some_sectors_is_dropped(
    tmp_path: Path, missing: str
) -> None:
    await write_three(tmp_path, "x" * 2000)
    journal = tmp_path / "journal"
    data = bytearray(journal.read_bytes().rstrip(b"\0"))
    last = data.rindex(b"\n", 0, -1) + 1
    sector = last // 512 + {"first": 0, "middle": 2, "last": (len(data) - 1) // 512 - last // 512}[missing]
    gone = slice(max(last, sector * 512), min(len(data), sector * 512 + 512))
    data[gone] = bytes(gone.stop - gone.start)
    journal.write_bytes(data + bytes(100))
    state = check(tmp_path)
    assert sorted(key.name for key in state.records) == ["a", "b"]
    assert state.torn > 0


async def test_a_damaged_last_record_is_not_taken_for_a_torn_one(tmp_path: Path) -> None:
    await write_three(tmp_path)
    journal = tmp_path / "journal"
    good = journal.read_bytes()
    last = good.rindex(b"\n", 0, good.rindex(b"\n")) + 1
    end = len(good.rstrip(b"\0"))
    for place in (last, last + 8, last + 9, good.index(b'"name":"c"') + 8, end - 1):
        data = bytearray(good)
        data[place] ^= 1
        journal.write_bytes(data)
        with pytest.raises(Damaged, match=rf"journal is damaged at byte {last} \(batch 3, the last\)"):
            Store.open(tmp_path)
        assert journal.read_bytes() == data


async def test_no_bit_can_change_unnoticed(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1), put("b", "ü")])
    await store.close()
    store = Store.open(tmp_path)
    await store.submit([put("a", 2)])
    await store.submit([drop("b")])
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("cluster.json", "journal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes().rstrip(b"\0"))
    await store.close()
    good = check(copy)
    expected = {key: (record.version, record.obj) for key, record in good.records.items()}
    for name in ("cluster.json", "journal"):
        data = (copy / name).read_bytes()
        for place in range(len(data)):
            for bit in (0, 4, 5):
                bad = bytearray(data)
                bad[place] ^= 1 << bit
                (copy / name).write_bytes(bad)
                try:
                    state = load(copy)
                except StoreError:
                    continue
                found = {key: (record.version, record.obj) for key, record in state.records.items()}
                assert (found, state.revision) == (expected, good.revision), f"{name} at {place}, bit {bit}"
        (copy / name).write_bytes(data)


async def test_what_the_first_format_wrote_is_read_and_written_anew(tmp_path: Path) -> None:
    first, second = pod("a", 1), pod("b", 2)
    first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"] = "3", "4"
    body = b'{"pods":{"1":%b}' % orjson.dumps(first)
    meta = {"format": 1, "epoch": "e1", "revision": 3, "crc32": f"{crc32(body):08x}"}
    (tmp_path / "cluster.json").write_bytes(body + b',\n"_cluster":{"1":%b}}\n' % orjson.dumps(meta))
    batch = b'[[4,[["pods","default","b",%b]]]]' % orjson.dumps(second)
    (tmp_path / "journal").write_bytes(
        b"kubetui-journal 1 e1 3\n" + b"%08x %08x %b\n" % (len(batch), crc32(batch), batch)
    )
    store = Store.open(tmp_path)
    assert [record.obj["value"] for record in store.list("pods")] == [1, 2]
    await store.submit([put("c", 3)])
    assert check(tmp_path).revision == 5
    await store.close()
    assert b'"format":2' in (tmp_path / "cluster.json").read_bytes()
    assert (tmp_path / "journal").read_bytes().startswith(b"kubetui-journal 2 ")
    assert sorted(key.name for key in check(tmp_path).records) == ["a", "b", "c"]


async def test_a_journal_of_nothing_but_zeros_is_not_an_empty_one(tmp_path: Path) -> None:
    await write_three(tmp_path)
    journal = tmp_path / "journal"
    journal.write_bytes(bytes(journal.stat().st_size))
    with pytest.raises(Damaged, match="byte 0"):
        Store.open(tmp_path)


async def test_most_batches_leave_the_journals_length_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    sizes = set()
    for number in range(40):
        await store.submit([put("a", number)])
        sizes.add((tmp_path / "journal").stat().st_size)
    assert len(sizes) == 1
    assert check(tmp_path).torn == 0
    await store.submit([put("b", "x" * 2 * ROOM)])
    await store.submit([put("c")])
    assert check(tmp_path).revision == 42
    await store.close()
    assert (tmp_path / "journal").stat().st_size < 200


async def test_the_last_room_of_a_disk_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path)
    limit = 1000

    def write(fd: int, data: memoryview) -> int:
        left = limit - os.lseek(fd, 0, os.SEEK_CUR)
        if left <= 0:
            raise OSError(28, os.strerror(28))
        return os.write(fd, data[:left])

    monkeypatch.setattr(JournalWriter, "write", staticmethod(write))
    stored = 0
    with pytest.raises(StoreFull):
        while True:
            await store.submit([put(f"p{stored}")])
            stored += 1
    assert stored >= 4
    assert check(tmp_path).revision == stored
    await store.close()


async def test_a_failing_disk_is_told_of_wherever_the_batch_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "QUICK_SECONDS", 60.0)
    store = Store.open(tmp_path)
    for number in range(pace_module.LEAST_PROOF + 1):
        await store.submit([put("a", number)])
    assert store._pace.here(1, 100)
    monkeypatch.setattr(JournalWriter, "sync", staticmethod(Fault(5).sync))
    with pytest.raises(StoreFailed):
        await store.submit([put("b", 1)])
    assert store.get(pod_key("b")) is None
    with pytest.raises(StoreFailed):
        store.submit([put("c", 1)])
    await store.close()


async def test_damage_is_reported_with_its_place_and_nothing_is_emptied(tmp_path: Path) -> None:
    await write_three(tmp_path)
    journal = tmp_path / "journal"
    data = bytearray(journal.read_bytes())
    place = data.index(b'"name":"b"')
    data[place + 8] ^= 1
    journal.write_bytes(data)
    with pytest.raises(Damaged, match=r"journal is damaged at byte \d+ \(batch 2\)"):
        Store.open(tmp_path)
    assert journal.read_bytes() == data


async def test_a_damaged_snapshot_is_reported(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", "value")])
    await store.close()
    snapshot = tmp_path / "cluster.json"
    good = snapshot.read_bytes()
    for bad, what in [
        (good.replace(b'"value":"value"', b'"value":"velue"'), "checksum"),
        (good[: len(good) // 2], "missing"),
        (b"", "empty"),
        (bytes(4096), "empty"),
        (b"hello", "not a kubetui"),
    ]:
        snapshot.write_bytes(bad)
        with pytest.raises((Damaged, Foreign), match=what):
            Store.open(tmp_path)
        assert snapshot.read_bytes() == bad
    snapshot.unlink()
    with pytest.raises(Damaged, match="missing"):
        Store.open(tmp_path)
    snapshot.write_bytes(good.replace(b'"format":2', b'"format":3'))
    with pytest.raises(Foreign, match="format 3"):
        Store.open(tmp_path)


class Fault:
    """An injected failure of the disk."""

    def __init__(self, error: int, partial: int = 0, times: int = 1) -> None:
        self.error, self.partial, self.times = error, partial, times

    def write(self, fd: int, data: memoryview) -> int:
        if self.times <= 0:
            return os.write(fd, data)
        if self.partial and len(data) > self.partial:
            return os.write(fd, data[: self.partial])
        self.times -= 1
        raise OSError(self.error, os.strerror(self.error))

    def sync(self, fd: int) -> None:
        if self.times > 0:
            self.times -= 1
            raise OSError(self.error, os.strerror(self.error))
        os.fdatasync(fd)


async def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path)
    monkeypatch.setattr(JournalWriter, "write", staticmethod(lambda fd, data: os.write(fd, data[:7])))
    await store.submit([put("a", "x" * 100)])
    assert check(tmp_path).revision == 1
    await store.close()


async def test_a_full_disk_fails_the_write_keeps_the_rest_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1)])
    fault = Fault(28, partial=10)
    monkeypatch.setattr(JournalWriter, "write", staticmethod(fault.write))
    first = store.submit([put("b", 1)])
    await asyncio.sleep(0)
    second = store.submit([put("b", 2)])
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(result, StoreFull) for result in results)
    assert store.latest(pod_key("b")) is None
    (record,) = await store.submit([put("c", 1)])
    assert record.version == 2
    await store.close()
    assert sorted(key.name for key in check(tmp_path).records) == ["a", "c"]


async def test_after_a_failed_sync_nothing_more_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1)])
    monkeypatch.setattr(JournalWriter, "sync", staticmethod(Fault(5).sync))
    with pytest.raises(StoreFailed):
        await store.submit([put("b", 1)])
    with pytest.raises(StoreFailed):
        store.submit([put("c", 1)])
    assert store.get(pod_key("a")) is not None
    await store.close()


async def test_a_snapshot_that_finds_no_room_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1)])

    sync = os.fsync

    def fail(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            sync(fd)
        else:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        await store.compact()
    monkeypatch.undo()
    assert not (tmp_path / "cluster.json.new").exists()
    await store.submit([put("b", 1)])
    assert sorted(key.name for key in check(tmp_path).records) == ["a", "b"]
    await store.close()


async def test_a_write_into_a_deleted_journal_is_not_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = Store.open(folder)
    await store.submit([put("a", 1)])
    shutil.rmtree(folder)
    with pytest.raises(StoreFailed, match="was deleted"):
        await store.submit([put("b", 1)])
    with pytest.raises(StoreFailed):
        store.submit([put("c", 1)])
    assert store.get(pod_key("a")) is not None
    await store.close()


async def test_a_state_that_can_not_be_read_is_restored_and_kept_beside(tmp_path: Path) -> None:
    folder, copy = tmp_path / "state", tmp_path / "copy.json"
    store = Store.open(folder)
    await store.submit([put("a", 1)])
    await store.close()
    back_up(folder, copy)
    for damage in (b"", b"hello", copy.read_bytes().replace(b'"value":1', b'"value":2')):
        (folder / "cluster.json").write_bytes(damage)
        with pytest.raises(StoreError):
            Store.open(folder)
        assert restore(folder, copy) == 1
        assert (folder / "cluster.json.replaced").read_bytes() == damage
        assert (folder / "journal.replaced").exists()
        assert check(folder).records[pod_key("a")].obj["value"] == 1


async def test_a_restore_keeps_all_of_the_old_state_as_a_backup(tmp_path: Path) -> None:
    await write_three(tmp_path / "state")
    other = Store.open(tmp_path / "other")
    await other.submit([put("x")])
    await other.close()
    restore(tmp_path / "state", tmp_path / "other" / "cluster.json")
    assert [key.name for key in check(tmp_path / "state").records] == ["x"]
    assert restore(tmp_path / "state", tmp_path / "state" / "cluster.json.replaced") == 3
    assert sorted(key.name for key in check(tmp_path / "state").records) == ["a", "b", "c"]


def test_somebody_who_only_looks_does_not_keep_a_server_from_its_folder(tmp_path: Path) -> None:
    held = FolderLock(tmp_path)
    threading.Timer(0.03, held.release).start()
    FolderLock(tmp_path).release()
