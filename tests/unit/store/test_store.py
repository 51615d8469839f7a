"""The store's promises: order, conflicts, durability across restarts, history, snapshots."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    Record,
    SlowReader,
    Store,
    StoreError,
    VersionMismatch,
    back_up,
    check,
    restore,
)
from runtime.store import database as database_module
from runtime.store import pace as pace_module
from runtime.store import store as store_module
from runtime.store import watch as watch_module
from runtime.store.folder import load
from runtime.store.journal import JournalWriter


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


async def test_large_objects_shorten_the_history_and_what_a_reader_may_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "HISTORY_BYTES", 50_000)
    monkeypatch.setattr(watch_module, "LIMIT_BYTES", 100_000)
    store = Store.open(tmp_path)
    slow, fast = store.watch("pods"), store.watch("pods")
    seen = 0
    for number in range(30):
        await store.submit([put("a", f"{number:010000}")])
        seen += len(await fast.next())
    table = store.database.objects("pods")
    assert seen == 30
    assert sum(len(event.record.json) for event in table.history) <= 50_000
    assert len(await store.watch("pods", since=27).next()) == 3
    with pytest.raises(Compacted):
        store.watch("pods", since=20)
    with pytest.raises(SlowReader):
        await slow.next()
    for number in range(1000):
        await store.submit([put("a", number)])
    assert len(table.history) > 100
    assert table.history_size == sum(event.size for event in table.history)
    await store.close()


async def test_what_was_replaced_long_ago_is_kept_as_text_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "UNFOLDED", 5)
    store = Store.open(tmp_path)
    first = (await store.submit([put("a", 0)]))[0]
    for number in range(1, 10):
        await store.submit([put("a", number)])
    await store.submit([drop("a")])
    for number in range(10):
        await store.submit([put("b", number)])
    assert first._obj is None
    assert (first.obj["value"], first.obj["metadata"]["resourceVersion"]) == (0, "1")
    history = store.database.objects("pods").history
    folded = [event.previous._obj is None for event in history if event.previous is not None]
    assert folded == sorted(folded, reverse=True) and 2 <= folded.count(False) <= 5
    gone = next(event for event in history if event.type == "DELETED")
    assert gone.record._obj is None and gone.record.obj["value"] == 9
    current = store.get(pod_key("b"))
    assert current is not None and current._obj is current.obj
    assert [event.record.obj["value"] for event in await store.watch("pods", since=0).next()] == [
        *range(10),
        9,
        *range(10),
    ]
    await store.close()


def test_text_that_is_kept_takes_no_more_room_than_it_is_long() -> None:
    records = [Record(pod_key(f"p{number}"), pod(f"p{number}"), number) for number in range(200)]
    tracemalloc.start()
    size = sum(len(record.json) for record in records)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < size + 100 * len(records)


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


async def test_a_snapshot_is_written_in_small_pieces_and_keeps_no_text(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    await store.submit([put(f"p{number:04}", "x" * 1000) for number in range(2000)])
    await store.close()
    store = Store.open(tmp_path)
    records = store.list("pods")
    pieces = list(database_module.encode_snapshot([("pods", records)], "e", 1))
    assert sum(map(len, pieces)) > 2_000_000
    assert max(map(len, pieces)) < 128 * 1024
    await store.compact()
    assert all(record._json is None for record in records)
    await store.close()
    assert list(check(tmp_path).records) == [record.key for record in records]


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


class Syncs:
    """Notes each write to the disk: by the loop, or beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by_loop: list[bool] = []
        monkeypatch.setattr(JournalWriter, "sync", staticmethod(self._sync))
        monkeypatch.setattr(pace_module, "QUICK_SECONDS", 60.0)

    def _sync(self, fd: int) -> None:
        self.by_loop.append(threading.current_thread() is threading.main_thread())

    async def prove(self, store: Store) -> None:
        """Let the store see a lone writer on a quick disk, up to where the next batch is not a look at others."""
        while not (self.by_loop and self.by_loop[-1]):
            await store.submit([put("proof")])
        self.by_loop.clear()


async def test_who_waits_for_nobody_else_is_not_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, syncs = Store.open(tmp_path), Syncs(monkeypatch)
    await syncs.prove(store)
    await asyncio.sleep(0)
    watch = store.watch("pods")
    future = store.submit([put("a", 1)])
    assert not future.done() and store.get(pod_key("a")) is None
    store.push()
    assert future.done() and syncs.by_loop == [True]
    (record,) = future.result()
    assert store.get(pod_key("a")) is record and store.latest(pod_key("a")) is record
    assert [event.record for event in await watch.next()] == [record]
    store.push()
    assert syncs.by_loop == [True]
    await store.close()


async def test_one_turn_of_the_loop_writes_once_however_often_it_is_pushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes one thing after the other must not keep the loop to himself."""
    store, syncs = Store.open(tmp_path), Syncs(monkeypatch)
    await syncs.prove(store)
    await asyncio.sleep(0)
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if turns < 1000:
            asyncio.get_running_loop().call_soon(turn)

    for number in range(100):
        future = store.submit([put("a", number)])
        store.push()
        if number == 0:
            asyncio.get_running_loop().call_soon(turn)
        await future
    assert turns >= 50
    await store.close()


async def test_what_others_are_about_to_write_shares_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, syncs = Store.open(tmp_path), Syncs(monkeypatch)
    await syncs.prove(store)

    async def write(name: str) -> None:
        future = store.submit([put(name)])
        store.push()
        await future

    await asyncio.gather(*[write(name) for name in "abcdefgh"])
    assert len(syncs.by_loop) <= 2, "the last of a turn may find itself alone, no other"
    assert all(store.get(pod_key(name)) for name in "abcdefgh")
    await store.close()


async def test_a_write_that_fails_at_once_fails_for_who_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, syncs = Store.open(tmp_path), Syncs(monkeypatch)
    await syncs.prove(store)
    await asyncio.sleep(0)

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(JournalWriter, "sync", staticmethod(fail))
    future = store.submit([put("a")])
    store.push()
    with pytest.raises(StoreError):
        await future
    assert store.get(pod_key("a")) is None and store.failure is not None
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


async def test_a_reader_never_finds_the_folder_without_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read at every step that changes a name while the journal is being put aside."""
    store = Store.open(tmp_path)
    await store.submit([put("a")])
    await store.submit([put("b")])
    seen: list[int] = []

    def looking(call: Callable[..., Any]) -> Callable[..., Any]:
        def look(*arguments: Any, **options: Any) -> Any:
            done = call(*arguments, **options)
            seen.append(load(tmp_path).revision)
            return done

        return look

    for owner, name in ((os, "link"), (Path, "replace"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, looking(getattr(owner, name)))
    await store.compact()
    await store.submit([put("c")])
    monkeypatch.undo()
    assert len(seen) >= 4
    assert set(seen) == {2}
    assert check(tmp_path).revision == 3
    await store.close()


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
