"""The store's promises: order, conflicts, durability across restarts, history, snapshots."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import orjson
import pytest
from store_helpers import drop, pod, pod_key, put
from tinydb import TinyDB, where

from runtime.store import (
    Change,
    Compacted,
    Damaged,
    Foreign,
    InUse,
    Key,
    SlowReader,
    Store,
    StoreError,
    StoreFailed,
    StoreFull,
    VersionMismatch,
    back_up,
    check,
    restore,
)
from runtime.store import database as database_module
from runtime.store import pace as pace_module
from runtime.store import store as store_module
from runtime.store.journal import ROOM, JournalWriter


async def test_a_write_is_visible_when_it_is_durable_and_not_before(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    future = store.submit([put("a", 1, expected=0)])
    assert store.get(pod_key("a")) is None
    latest = store.latest(pod_key("a"))
    assert latest is not None and latest.version == 1
    (record,) = await future
    assert record.version == 1
    assert record.obj["metadata"]["resourceVersion"] == "1"
    assert orjson.loads(record.json) == record.obj
    assert store.get(pod_key("a")) is record
    assert b'"a"' in (tmp_path / "journal").read_bytes()
    await store.close()


async def test_expected_versions_are_checked_against_writes_on_their_way(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    first = store.submit([put("a", 1, expected=0)])
    with pytest.raises(VersionMismatch) as caught:
        store.submit([put("b", 1), put("a", 2, expected=0)])
    assert caught.value.key == pod_key("a")
    second = store.submit([put("a", 2, expected=1)])
    await asyncio.gather(first, second)
    assert store.get(pod_key("b")) is None, "a refused transaction leaves nothing"
    await store.submit([drop("a", expected=2)])
    with pytest.raises(VersionMismatch):
        store.submit([drop("a", expected=2)])
    await store.close()


async def test_an_object_that_is_not_json_changes_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(TypeError):
        store.submit([put("a", 1), Change(pod_key("b"), {"metadata": {"name": "b"}, "x": object()}, None)])
    assert store.latest(pod_key("a")) is None
    (record,) = await store.submit([put("a", 1)])
    assert record.version == 1
    await store.close()


async def test_a_transaction_has_one_version(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    records = await store.submit([put("a"), put("b"), put("c")])
    assert [record.version for record in records] == [1, 1, 1]
    assert store.revision == 1
    await store.close()


async def test_lists_are_sorted_and_by_namespace(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for namespace, name in [("b", "x"), ("a", "z"), ("a", "y"), ("ab", "q")]:
        await store.submit([put(name, namespace=namespace)])
    names = [(record.key.namespace, record.key.name) for record in store.list("pods")]
    assert names == [("a", "y"), ("a", "z"), ("ab", "q"), ("b", "x")]
    assert [record.key.name for record in store.list("pods", "a")] == ["y", "z"]
    assert store.list("pods", "none") == []
    assert store.count("pods") == 4
    await store.close()


async def test_everything_is_there_after_a_clean_stop_and_after_none(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for number in range(20):
        await store.submit([put(f"p{number:02}", number)])
    await store.submit([drop("p03")])
    await store.close()
    again = Store.open(tmp_path)
    assert again.revision == 21
    assert [record.obj["value"] for record in again.list("pods")] == [n for n in range(20) if n != 3]
    await again.submit([put("new", "x")])
    # no close: what a crash leaves
    state = check(tmp_path)
    assert state.revision == 22
    assert pod_key("new") in state.records
    await again.close()


async def test_the_file_is_a_plain_tinydb_after_a_clean_stop(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("ü", "snow ☃")])
    await store.submit([Change(Key("nodes", "", "n1"), {"metadata": {"name": "n1"}}, 0)])
    await store.close()
    with TinyDB(tmp_path / "cluster.json") as stock:
        assert stock.tables() == {"pods", "nodes", "_cluster"}
        (found,) = stock.table("pods").search(where("metadata").name == "ü")
        assert found["value"] == "snow ☃"


async def test_what_stock_tinydb_changed_is_read_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1), put("b", 1)])
    await store.close()
    with TinyDB(tmp_path / "cluster.json", indent=2) as stock:
        stock.table("pods").update({"value": 2}, where("metadata").name == "a")
        stock.table("pods").insert(pod("c", 3))
    store = Store.open(tmp_path)
    assert {r.key.name: r.obj["value"] for r in store.list("pods")} == {"a": 2, "b": 1, "c": 3}
    (record,) = await store.submit([put("d", 4)])
    assert record.version == 2
    await store.close()


@pytest.mark.parametrize(
    "text", ["{}", '{"_cluster": {}}', '{"pods": {"1": {}}}', '{"_cluster": {"1": 3}}', "[]"]
)
def test_a_foreign_database_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.json").write_text(text)
    with pytest.raises(Foreign):
        Store.open(tmp_path)
    assert (tmp_path / "cluster.json").read_text() == text


async def test_tinydb_queries_see_the_live_state_and_can_not_write(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1)])
    table = store.database.table("pods")
    assert table.count(where("value") == 1) == 1
    await store.submit([put("a", 2)])
    assert table.count(where("value") == 1) == 0
    with pytest.raises(TypeError):
        table.insert({"metadata": {"name": "b"}})
    await store.close()


async def test_a_watch_delivers_in_order_from_a_version(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put("a", 1)])
    await store.submit([put("b", 1, namespace="other")])
    watch = store.watch("pods", since=1)
    mine = store.watch("pods", "default")
    await store.submit([put("a", 2)])
    await store.submit([drop("a")])
    events = await watch.next()
    assert [(event.type, event.record.key.name, event.version) for event in events] == [
        ("ADDED", "b", 2),
        ("MODIFIED", "a", 3),
        ("DELETED", "a", 4),
    ]
    assert events[2].record.obj["value"] == 2
    assert events[2].record.obj["metadata"]["resourceVersion"] == "4"
    assert watch.version == 4
    assert [event.version for event in await mine.next()] == [3, 4]
    waiting = asyncio.ensure_future(watch.next())
    await asyncio.sleep(0)
    watch.close()
    assert await waiting == []
    await store.close()


async def test_history_is_bounded_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "HISTORY_KEPT", 5)
    monkeypatch.setattr(database_module, "HISTORY_LIMIT", 10)
    store = Store.open(tmp_path)
    for number in range(30):
        await store.submit([put("a", number)])
    assert [event.version for event in await store.watch("pods", since=20).next()] == list(range(21, 31))
    with pytest.raises(Compacted):
        store.watch("pods", since=19)
    with pytest.raises(Compacted):
        store.list_at("pods", "", 19)
    assert store.list_at("pods", "", 25)[0].obj["value"] == 24
    await store.close()


async def test_a_slow_reader_is_cut_off_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path)
    slow, fast = store.watch("pods"), store.watch("pods")
    slow._limit = 10
    for number in range(12):
        await store.submit([put("a", number)])
    with pytest.raises(SlowReader):
        await slow.next()
    assert len(await fast.next()) == 12
    await store.close()


async def test_a_list_can_be_had_as_it_was(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for name in "abc":
        await store.submit([put(name, 0)])
    await store.submit([put("b", 1)])
    await store.submit([drop("a")])
    await store.submit([put("d", 0)])
    assert [(r.key.name, r.obj["value"]) for r in store.list_at("pods", "", 3)] == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
    ]
    assert [r.key.name for r in store.list_at("pods", "default", 5)] == ["b", "c"]
    await store.close()


async def test_a_snapshot_is_taken_while_writes_go_on(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    stop = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            await store.submit([put(f"p{written % 50}", written)])
            written += 1

    writer = asyncio.ensure_future(write())
    for _ in range(5):
        await asyncio.sleep(0.01)
        await store.compact()
    stop.set()
    await writer
    assert not (tmp_path / "journal.old").exists()
    state = check(tmp_path)
    assert state.revision == written
    assert state.floor > 0
    await store.close()


async def test_the_journal_is_compacted_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "COMPACT_BYTES", 4096)
    store = Store.open(tmp_path)
    for number in range(200):
        await store.submit([put("a", number)])
    await store.close()
    assert (tmp_path / "journal").stat().st_size < 200
    store = Store.open(tmp_path)
    assert store.get(pod_key("a")).obj["value"] == 199  # type: ignore[union-attr]
    await store.close()


async def test_a_second_server_is_refused_with_the_pid(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(InUse) as caught:
        Store.open(tmp_path)
    assert str(os.getpid()) in str(caught.value)
    await store.close()
    await Store.open(tmp_path).close()


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/state"):
        Store.open(tmp_path / "file" / "state")


async def write_three(folder: Path) -> None:
    """Three batches, and no clean stop."""
    store = Store.open(folder)
    for name in "abc":
        await store.submit([put(name)])
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


@pytest.mark.parametrize("gone", [(0, 30), (20, 40), (-30, None)])
async def test_a_last_record_of_which_the_disk_has_only_parts_is_dropped(
    tmp_path: Path, gone: tuple[int, int | None]
) -> None:
    await write_three(tmp_path)
    journal = tmp_path / "journal"
    data = bytearray(journal.read_bytes().rstrip(b"\0"))
    last = data.rindex(b"\n", 0, -1) + 1
    line = data[last:]
    line[slice(*gone)] = bytes(len(line[slice(*gone)]))
    journal.write_bytes(data[:last] + line + bytes(100))
    state = check(tmp_path)
    assert sorted(key.name for key in state.records) == ["a", "b"]
    assert state.torn > 0


async def test_a_damaged_last_record_is_not_taken_for_a_torn_one(tmp_path: Path) -> None:
    await write_three(tmp_path)
    journal = tmp_path / "journal"
    good = journal.read_bytes()
    last = good.rindex(b"\n", 0, good.rindex(b"\n")) + 1
    for place in (last, last + 9, good.index(b'"name":"c"') + 8):
        data = bytearray(good)
        data[place] ^= 1
        journal.write_bytes(data)
        with pytest.raises(Damaged, match=rf"journal is damaged at byte {last} \(batch 3, the last\)"):
            Store.open(tmp_path)
        assert journal.read_bytes() == data


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


async def test_a_lone_writer_is_spared_the_thread_until_others_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "QUICK_SECONDS", 60.0)
    threads: list[bool] = []

    def sync(fd: int) -> None:
        threads.append(threading.current_thread() is threading.main_thread())
        time.sleep(0.001)

    monkeypatch.setattr(JournalWriter, "sync", staticmethod(sync))
    store = Store.open(tmp_path)
    for number in range(200):
        await store.submit([put("a", number)])
    assert sum(threads) > 150

    async def write(name: str) -> None:
        for number in range(100):
            await store.submit([put(name, number)])

    threads.clear()
    await asyncio.gather(*[write(name) for name in "bcde"])
    assert sum(threads) < len(threads) / 2
    await store.close()
    assert check(tmp_path).revision == 600


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


async def test_the_writer_is_woken_before_those_who_watch(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    watch = store.watch("pods")
    order: list[str] = []

    async def see() -> None:
        await watch.next()
        order.append("watcher")

    seeing = asyncio.ensure_future(see())
    await asyncio.sleep(0)
    await store.submit([put("a")])
    order.append("writer")
    await seeing
    assert order == ["writer", "watcher"]
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
        (b"", "not a kubetui"),
        (b"hello", "not a kubetui"),
    ]:
        snapshot.write_bytes(bad)
        with pytest.raises((Damaged, Foreign), match=what):
            Store.open(tmp_path)
        assert snapshot.read_bytes() == bad
    snapshot.unlink()
    with pytest.raises(Damaged, match="missing"):
        Store.open(tmp_path)
    snapshot.write_bytes(good.replace(b'"format":1', b'"format":2'))
    with pytest.raises(Foreign, match="format 2"):
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


async def test_a_backup_of_a_running_store_is_of_one_version(tmp_path: Path) -> None:
    folder, copies = tmp_path / "state", tmp_path / "copies"
    copies.mkdir()
    store = Store.open(folder)
    stop = threading.Event()
    problems: list[str] = []

    def copy_all_the_time() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            state = back_up(folder, copies / f"{number}.json")
            values = {record.obj["value"] for record in state.records.values()}
            if len(values) > 1:
                problems.append(f"mixed: {values}")

    await store.submit([put("a", -1), put("b", -1)])
    copier = threading.Thread(target=copy_all_the_time)
    copier.start()
    for number in range(300):
        await store.submit([put("a", number), put("b", number)])
        if number % 60 == 0:
            await store.compact()
    stop.set()
    await asyncio.to_thread(copier.join)
    await store.close()
    assert not problems
    assert len(list(copies.iterdir())) > 1


async def test_restore_brings_a_backup_back_with_rising_versions(tmp_path: Path) -> None:
    folder, copy = tmp_path / "state", tmp_path / "copy.json"
    store = Store.open(folder)
    await store.submit([put("a", 1)])
    back_up(folder, copy)
    for number in range(10):
        await store.submit([put("a", number), put("b", number)])
    with pytest.raises(InUse):
        restore(folder, copy)
    await store.close()
    before = (folder / "cluster.json").read_bytes()
    bad = tmp_path / "bad.json"
    for content in (copy.read_bytes()[:-9], b"{}", b"nonsense", b"\x00\xff"):
        bad.write_bytes(content)
        with pytest.raises((Damaged, Foreign)):
            restore(folder, bad)
    with pytest.raises(StoreError):
        restore(folder, tmp_path / "none.json")
    assert (folder / "cluster.json").read_bytes() == before
    assert restore(folder, copy) == 1
    store = Store.open(folder)
    assert store.revision == 12
    assert [(r.key.name, r.obj["value"]) for r in store.list("pods")] == [("a", 1)]
    (record,) = await store.submit([put("c", 1)])
    assert record.version == 13
    await store.close()


async def test_a_new_folder_can_be_restored_into(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "one")
    await store.submit([put("a", 1)])
    back_up(tmp_path / "one", tmp_path / "copy.json")
    await store.close()
    assert restore(tmp_path / "two", tmp_path / "copy.json") == 1
    assert check(tmp_path / "two").records[pod_key("a")].obj["value"] == pod("a", 1)["value"]


def test_a_folder_without_a_cluster_has_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no cluster"):
        back_up(tmp_path, tmp_path / "copy.json")
