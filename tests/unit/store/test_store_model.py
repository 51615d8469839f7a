"""Any sequence of operations, with restarts and crashes in between, against a plain dictionary."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_helpers import drop, pod_key, put

from runtime.store import Key, Record, Store, VersionMismatch, check
from runtime.store.database import FEW, ObjectDatabase

NAMES = st.sampled_from([f"p{number}" for number in range(6)])
VALUES = st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=20), st.none(), st.booleans())


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.loop = asyncio.new_event_loop()
        self.model: dict[str, tuple[int, Any]] = {}
        self.past: dict[int, dict[str, tuple[int, Any]]] = {}
        self.revision = 0
        self.floor = 0

    @initialize()
    def open(self) -> None:
        self.store = Store.open(self.folder)

    def run(self, future: Any) -> Any:
        async def wait() -> Any:
            return await future()

        return self.loop.run_until_complete(wait())

    def commit(self, *changes: Any) -> None:
        async def submit() -> Any:
            future = self.store.submit(list(changes))
            if self.revision % 2:
                self.store.push()
            return await future

        self.run(submit)
        self.past[self.revision] = dict(self.model)
        self.revision += 1
        assert self.store.revision == self.revision

    @rule(name=NAMES, value=VALUES)
    def put_any(self, name: str, value: Any) -> None:
        self.commit(put(name, value))
        self.model[name] = (self.revision, value)

    @rule(name=NAMES, value=VALUES, right=st.booleans())
    def put_expecting(self, name: str, value: Any, right: bool) -> None:
        stored = self.model.get(name, (0, None))[0]
        if right:
            self.commit(put(name, value, expected=stored))
            self.model[name] = (self.revision, value)
            return
        try:
            self.commit(put(name, value, expected=stored + 1))
        except VersionMismatch:
            return
        raise AssertionError("a wrong expectation was accepted")

    @rule(first=NAMES, second=NAMES, value=VALUES)
    def put_two(self, first: str, second: str, value: Any) -> None:
        if first == second:
            return
        self.commit(put(first, value), put(second, value))
        self.model[first] = self.model[second] = (self.revision, value)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.model:
            self.commit(drop(name))
            del self.model[name]

    @rule()
    def compact(self) -> None:
        self.run(self.store.compact)

    @rule()
    def restart(self) -> None:
        self.run(self.store.close)
        self.store = Store.open(self.folder)
        self.floor = self.revision
        self.past.clear()

    @rule()
    def crash(self) -> None:
        """What is on disk, taken as it is, is what a killed process leaves."""
        copy = Path(tempfile.mkdtemp(prefix="store-model-"))
        for file in self.folder.iterdir():
            shutil.copy(file, copy / file.name)
        self.run(self.store.close)
        shutil.rmtree(self.folder)
        self.folder = copy
        self.store = Store.open(copy)
        assert self.store.revision == self.revision
        self.past.clear()

    @rule(back=st.integers(1, 8))
    def look_back(self, back: int) -> None:
        version = self.revision - back
        if version in self.past:
            then = {r.key.name: (r.version, r.obj["value"]) for r in self.store.list_at("pods", "", version)}
            assert then == self.past[version]

    @invariant()
    def same_as_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        stored = {r.key.name: (r.version, r.obj["value"]) for r in self.store.list("pods")}
        assert stored == self.model
        for name in self.model:
            assert self.store.get(pod_key(name)) is not None
        assert check(self.folder).revision == self.revision

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close)
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase


PLACES = st.tuples(st.sampled_from("ab"), st.integers(0, 2 * FEW).map(str))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(PLACES, max_size=2 * FEW)),
        st.tuples(st.just("drop"), st.lists(PLACES, max_size=3)),
        st.tuples(st.just("list"), st.just([])),
    ),
    max_size=8,
)


@given(STEPS)
def test_however_many_records_come_between_two_looks_they_are_in_order(
    steps: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    table = ObjectDatabase(Path("unused")).objects("pods")
    model: dict[tuple[str, str], Record] = {}
    for step, places in [*steps, ("list", [])]:
        for namespace, name in places:
            key = Key("pods", namespace, name)
            if step == "put":
                record = Record(key, {}, 1)
                assert table.put(record) is model.get((namespace, name))
                model[(namespace, name)] = record
            else:
                assert table.drop(key) is model.pop((namespace, name), None)
        if step == "list":
            assert table.select() == [model[place] for place in sorted(model)]
            assert table.select("a") == [model[place] for place in sorted(model) if place[0] == "a"]
