"""Any sequence of operations, with restarts and crashes in between, against a plain dictionary."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_helpers import drop, pod_key, put

from runtime.store import Store, VersionMismatch, check

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
            return await self.store.submit(list(changes))

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
