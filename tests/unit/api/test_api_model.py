"""Any sequence of requests against a plain dictionary, with a watcher that has to end up seeing the same."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from planes import Plane, config_map

from runtime.api.bootstrap import ensure_cluster
from runtime.api.context import ListOptions, WatchOptions
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import StatusError
from runtime.store import Store

NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.sampled_from(["0", "1", "2"])
LABELS = st.sampled_from(["red", "blue"])
HOLD = "example.com/hold"


class Requests(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, dict] = {}
        self.seen: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    def refused(self, awaitable, code: int) -> None:
        try:
            self.run(awaitable)
        except StatusError as error:
            assert error.code == code, error.message
        else:
            raise AssertionError("not refused")

    @initialize()
    def begin(self) -> None:
        async def start() -> None:
            self.plane = Plane(Store.open(Path(self.folder.name) / "state"), ManualClock())
            await ensure_cluster(self.plane.api, cluster_ip="10.96.0.1", port=6443)

        self.run(start())
        self.resource = self.plane.resource("configmaps")
        self.stream = self.run(self._watch())

    async def _watch(self):
        options = WatchOptions(label_selector="colour=red", resource_version=str(self.plane.store.revision))
        return self.plane.api.watch(self.plane.ctx(), self.resource, "default", options)

    @rule(name=NAMES, value=VALUES, colour=LABELS, held=st.booleans())
    def create(self, name: str, value: str, colour: str, held: bool) -> None:
        obj = config_map(name, labels={"colour": colour}, value=value)
        if held:
            obj["metadata"]["finalizers"] = [HOLD]
        if name in self.model:
            self.refused(self.plane.client.create(obj, "default"), 409)
        else:
            self.model[name] = self.run(self.plane.client.create(obj, "default"))

    @rule(name=NAMES, value=VALUES, colour=LABELS)
    def update(self, name: str, value: str, colour: str) -> None:
        if name not in self.model:
            return
        stored = self.model[name]
        changed = meta.copy(stored)
        changed["data"] = {"value": value}
        changed["metadata"]["labels"] = {"colour": colour}
        after = self.run(self.plane.client.update(changed))
        same = (
            stored["data"] == changed["data"]
            and stored["metadata"]["labels"] == changed["metadata"]["labels"]
        )
        assert (after["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]) is same
        self.model[name] = after

    @rule(name=NAMES)
    def update_with_an_old_version(self, name: str) -> None:
        if name in self.model:
            old = meta.copy(self.model[name])
            old["metadata"]["resourceVersion"] = "1"
            self.refused(self.plane.client.update(old), 409)

    @rule(name=NAMES, value=VALUES)
    def patch(self, name: str, value: str) -> None:
        patching = self.plane.client.patch("configmaps", name, "default", {"data": {"value": value}})
        if name in self.model:
            self.model[name] = self.run(patching)
            assert self.model[name]["data"]["value"] == value
        else:
            self.refused(patching, 404)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        deleting = self.plane.client.delete("configmaps", name, "default")
        if name not in self.model:
            self.refused(deleting, 404)
            return
        answer = self.run(deleting)
        if self.model[name]["metadata"].get("finalizers"):
            assert answer["metadata"]["deletionTimestamp"]
            self.model[name] = answer
        else:
            assert answer["status"] == "Success"
            del self.model[name]

    @rule(name=NAMES)
    def let_go(self, name: str) -> None:
        if name not in self.model:
            return
        after = self.run(
            self.plane.client.patch("configmaps", name, "default", {"metadata": {"finalizers": None}})
        )
        if meta.is_deleting(self.model[name]):
            del self.model[name]
        else:
            self.model[name] = after

    @rule(limit=st.integers(1, 3))
    def pages(self, limit: int) -> None:
        found: list[str] = []
        token = ""
        while True:
            options = ListOptions(limit=limit, continue_=token)
            page = self.run(self.plane.api.list(self.plane.ctx(), self.resource, "default", options))
            found += [record.key.name for record in page.records]
            token = page.continue_
            if not token:
                break
        assert found == sorted(self.model)

    @invariant()
    def stored_is_what_the_model_says(self) -> None:
        if not hasattr(self, "plane"):
            return
        listed = self.run(self.plane.client.list("configmaps", "default"))
        assert {obj["metadata"]["name"]: obj for obj in listed.items} == self.model
        for name, obj in self.model.items():
            version = int(obj["metadata"]["resourceVersion"])
            assert version >= self.versions.get(obj["metadata"]["uid"], 0), name
            self.versions[obj["metadata"]["uid"]] = version

    @invariant()
    def the_watcher_sees_the_red_ones(self) -> None:
        if not hasattr(self, "plane"):
            return
        wanted = {
            name: obj["metadata"]["resourceVersion"]
            for name, obj in self.model.items()
            if obj["metadata"]["labels"]["colour"] == "red"
        }

        async def drain() -> None:
            while self.seen != wanted:
                for kind, record in await asyncio.wait_for(self.stream.next(), 60):
                    if kind == "DELETED":
                        del self.seen[record.key.name]
                    else:
                        assert (record.key.name in self.seen) is (kind == "MODIFIED")
                        self.seen[record.key.name] = record.obj["metadata"]["resourceVersion"]

        self.run(drain())

    def teardown(self) -> None:
        if hasattr(self, "plane"):
            self.stream.close()
            self.run(self.plane.store.close())
        self.loop.close()
        self.folder.cleanup()


TestRequests = Requests.TestCase
TestRequests.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
