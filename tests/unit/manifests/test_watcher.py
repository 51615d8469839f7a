"""Files against a real API and store: what is applied, kept, pruned and told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from runtime.api.api import API
from runtime.api.bootstrap import ensure_cluster
from runtime.api.context import system_user
from runtime.client import Client
from runtime.manifests import ManifestWatcher
from runtime.manifests.sources import REQUEST_ANNOTATION
from runtime.objects.clock import ManualClock
from runtime.objects.errors import StatusError
from runtime.objects.kinds import builtin_registry
from runtime.store import Store


class World:
    """A control plane without controllers, and a watcher whose passes the test makes."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "manifests"
        self.files.mkdir()
        self.store = Store.open(folder / "state")
        self.clock = ManualClock()
        self.registry = builtin_registry()
        self.api = API(self.registry, self.store, self.clock, nodes={})
        self.client = Client(self.api, system_user("system:admin"), field_manager="kubectl")
        self.said: list[str] = []
        self.watcher = self.watch()

    def watch(self, *paths: Path) -> ManifestWatcher:
        client = Client(self.api, system_user("system:admin"), field_validation="Strict")
        return ManifestWatcher(
            client, self.registry, list(paths) or [self.files], self.clock, report=self.said.append
        )

    def write(self, name: str, text: str) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    async def sync(self) -> None:
        self.said.clear()
        await self.watcher.sync()

    async def prune(self) -> None:
        await self.sync()
        await self.clock.advance(3)
        await self.sync()

    async def get(self, resource: str, name: str, namespace: str = "default") -> Any:
        try:
            return await self.client.get(resource, name, namespace)
        except StatusError as error:
            assert error.code == 404
            return None

    async def status(self, path: Path) -> Any:
        source = self.watcher.sources[path]
        configmap = await self.client.get("configmaps", source.configmap, "kube-system")
        return orjson.loads(configmap["data"]["status.json"])

    async def state(self, path: Path, index: int = 0) -> str:
        return (await self.status(path))["documents"][index]["state"]

    async def ask(self, path: Path, **request: Any) -> None:
        """A request as the terminal makes it, and the pass that obeys it."""
        source = self.watcher.sources[path]
        self.number = getattr(self, "number", 0) + 1
        annotation = orjson.dumps({"id": str(self.number), **request}).decode()
        body = {"metadata": {"annotations": {REQUEST_ANNOTATION: annotation}}}
        changed = await self.client.patch("configmaps", source.configmap, "kube-system", body)
        self.watcher._requests.configmaps.start()
        for _ in range(12_000):
            known = self.watcher._requests.configmaps.get(f"kube-system/{source.configmap}")
            if (
                known is not None
                and known["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]
            ):
                break
            await asyncio.sleep(0.005)
        await self.sync()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await ensure_cluster(made.api, cluster_ip="10.96.0.1", port=6443)
    yield made
    await made.watcher.stop()
    await made.store.close()


def config(name: str, value: str = "1", **more: str) -> str:
    data = "".join(f"  {key}: '{item}'\n" for key, item in {"value": value, **more}.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{data}"


def deployment(name: str, replicas: int = 3, image: str = "nginx") -> str:
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
      - name: main
        image: {image}
"""


async def test_everything_is_applied_with_its_files_name_in_the_right_order(world: World) -> None:
    path = world.write("a.yaml", config("a", "1").replace("name: a", "name: a\n  namespace: dev"))
    world.write("deep/er/z.yml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: dev}\n")
    world.write("list.json", orjson.dumps({"apiVersion": "v1", "kind": "List", "items": []}).decode())
    world.write(".hidden.yaml", config("hidden"))
    world.write("b.yaml~", config("backup"))
    world.write("4913", config("vim"))
    world.write("notes.txt", "nothing")
    await world.sync()
    found = await world.get("configmaps", "a", "dev")
    assert found["metadata"]["annotations"] == {"kubetui.io/manifest-file": str(path)}
    managers = [entry["manager"] for entry in found["metadata"]["managedFields"]]
    assert managers == ["kubetui-manifests"]
    for name in ("hidden", "backup", "vim"):
        assert await world.get("configmaps", name) is None
    assert (await world.status(path))["state"] == "applied"
    assert sum("applied" in line for line in world.said) == 2


async def test_only_what_changed_is_applied_again(world: World) -> None:
    path = world.write("a.yaml", config("a") + "---\n" + config("b"))
    await world.sync()
    a, b = await world.get("configmaps", "a"), await world.get("configmaps", "b")
    path.touch()
    await world.sync()
    assert world.said == []
    world.write("a.yaml", config("a", "2") + "---\n" + config("b"))
    await world.sync()
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    assert (await world.get("configmaps", "a"))["metadata"]["uid"] == a["metadata"]["uid"]
    assert (await world.get("configmaps", "b"))["metadata"]["resourceVersion"] == b["metadata"][
        "resourceVersion"
    ]


async def test_a_field_removed_from_the_file_goes_and_others_fields_stay(world: World) -> None:
    world.write("a.yaml", config("a", "1", extra="x"))
    await world.sync()
    await world.client.patch("configmaps", "a", "default", {"data": {"theirs": "y"}})
    world.write("a.yaml", config("a", "1"))
    await world.sync()
    assert (await world.get("configmaps", "a"))["data"] == {"value": "1", "theirs": "y"}


async def test_a_change_by_hand_stays_is_shown_and_loses_when_the_document_changes(world: World) -> None:
    path = world.write("web.yaml", deployment("web", 3))
    await world.sync()
    await world.client.patch(
        "deployments.apps", "web", "default", {"spec": {"replicas": 5}}, subresource="scale"
    )
    world.watcher.sources[path].entries  # noqa: B018
    await settle(world)
    await world.sync()
    assert (await world.get("deployments.apps", "web"))["spec"]["replicas"] == 5
    (document,) = (await world.status(path))["documents"]
    assert document["state"] == "drifted"
    assert document["drift"] == [{"path": "spec.replicas", "file": 3, "live": 5}]

    world.watcher = world.watch()
    await world.watcher.start()
    assert (await world.get("deployments.apps", "web"))["spec"]["replicas"] == 5, "a restart is no change"
    await world.watcher.stop()

    world.watcher = world.watch()
    await world.watcher._load()
    world.write("web.yaml", deployment("web", 3, "nginx:1.16"))
    await world.sync()
    live = await world.get("deployments.apps", "web")
    assert (live["spec"]["replicas"], live["spec"]["template"]["spec"]["containers"][0]["image"]) == (
        3,
        "nginx:1.16",
    )


async def settle(world: World) -> None:
    """Let the informers hear of what was written."""
    for _ in range(50):
        await asyncio.sleep(0.002)


async def test_drift_can_be_accepted_or_applied_again(world: World) -> None:
    path = world.write("a.yaml", config("a", "1"))
    await world.sync()
    await world.client.patch("configmaps", "a", "default", {"data": {"value": "2"}})
    await settle(world)
    await world.sync()
    assert await world.state(path) == "drifted"
    await world.ask(path, action="accept")
    assert await world.state(path) == "in-sync"
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    await world.client.patch("configmaps", "a", "default", {"data": {"value": "3"}})
    await settle(world)
    await world.sync()
    assert await world.state(path) == "drifted", "another drift than the accepted one"
    await world.ask(path, action="apply", document=0)
    assert (await world.get("configmaps", "a"))["data"]["value"] == "1"
    assert await world.state(path) == "in-sync"


async def test_manual_mode_and_pause_wait_and_show_what_would_change(world: World) -> None:
    path = world.write("a.yaml", config("a", "1"))
    await world.sync()
    await world.ask(path, action="mode", mode="manual")
    world.write("a.yaml", config("a", "2"))
    await world.sync()
    status = await world.status(path)
    assert (status["mode"], status["state"]) == ("manual", "pending")
    assert status["documents"][0]["drift"] == [{"path": "data.value", "file": "2", "live": "1"}]
    assert (await world.get("configmaps", "a"))["data"]["value"] == "1"
    await world.ask(path, action="apply")
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    await world.ask(path, action="mode", mode="auto")
    await world.ask(path, action="pause", all=True)
    world.write("a.yaml", config("a", "3"))
    await world.sync()
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    await world.ask(path, action="resume", all=True)
    assert (await world.get("configmaps", "a"))["data"]["value"] == "3"


async def test_one_document_of_a_waiting_file_is_applied_alone(world: World) -> None:
    path = world.write("a.yaml", config("a") + "---\n" + config("b"))
    await world.sync()
    await world.ask(path, action="mode", mode="manual")
    world.write("a.yaml", config("a", "2") + "---\n" + config("b", "2"))
    await world.sync()
    await world.ask(path, action="apply", document=1)
    assert (await world.get("configmaps", "a"))["data"]["value"] == "1"
    assert (await world.get("configmaps", "b"))["data"]["value"] == "2"
    assert [await world.state(path, i) for i in (0, 1)] == ["pending", "in-sync"]
    await world.sync()
    assert (await world.get("configmaps", "a"))["data"]["value"] == "1"
    world.write("a.yaml", config("a", "3") + "---\n" + config("b", "3"))
    await world.sync()
    assert [await world.state(path, i) for i in (0, 1)] == ["pending", "pending"]


async def test_a_waiting_file_says_what_it_would_prune_and_does_it_when_asked(world: World) -> None:
    path = world.write("a.yaml", config("a") + "---\n" + config("b"))
    await world.sync()
    await world.ask(path, action="mode", mode="manual")
    world.write("a.yaml", config("a", "2"))
    await world.prune()
    entry = (await world.status(path))["documents"][1]
    assert (entry["name"], entry["state"], entry["prune"]) == ("b", "pending", True)
    await world.ask(path, action="apply", document=0)
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    assert await world.get("configmaps", "b") is not None
    assert world.watcher._until_next() > 1.0  # it waits for somebody, not for a moment
    await world.ask(path, action="apply")
    assert await world.get("configmaps", "b") is None
    assert len((await world.status(path))["documents"]) == 1


async def test_an_accepted_drift_can_be_unaccepted(world: World) -> None:
    path = world.write("a.yaml", config("a"))
    await world.sync()
    await world.client.patch("configmaps", "a", "default", {"data": {"value": "9"}})
    await settle(world)
    await world.sync()
    await world.ask(path, action="accept")
    assert await world.state(path) == "in-sync"
    await world.ask(path, action="unaccept")
    assert await world.state(path) == "drifted"


async def test_one_bad_document_stops_its_file_and_no_other(world: World) -> None:
    good = world.write("good.yaml", config("good"))
    bad = world.write(
        "bad.yaml", config("first") + "---\n" + deployment("web").replace("replicas: 3", "replicas: -1")
    )
    await world.sync()
    assert await world.get("configmaps", "good") is not None
    assert await world.get("configmaps", "first") is None
    status = await world.status(bad)
    assert status["state"] == "invalid"
    assert status["error"]["line"] == 13
    assert "spec.replicas: Invalid value: -1" in status["error"]["message"]
    assert world.said[-1].startswith(f"{bad}:13: ")
    assert (await world.status(good))["state"] == "applied"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("replicas: 3", "replicas: many", 6, "replicas"),
        ("replicas: 3", "replica: 3", 6, 'unknown field "spec.replica"'),
        ("name: main", "name: Main", 14, "spec.template.spec.containers[0].name"),
        ("apps/v1", "apps/v7", 2, 'no matches for kind "Deployment" in version "apps/v7"'),
        ("labels: {app: web}", "labels: {app: other}", 11, "`selector` does not match template `labels`"),
    ],
)
async def test_errors_name_line_and_reason_and_the_last_good_state_stays(
    world: World, old: str, new: str, line: int, words: str
) -> None:
    path = world.write("web.yaml", deployment("web"))
    await world.sync()
    before = await world.get("deployments.apps", "web")
    world.write("web.yaml", deployment("web", image="nginx:2").replace(old, new))
    await world.sync()
    error = (await world.status(path))["error"]
    assert words in error["message"]
    assert error["line"] == line
    assert await world.get("deployments.apps", "web") == before
    world.write("web.yaml", deployment("web", image="nginx:2"))
    await world.sync()
    assert (await world.status(path))["error"] is None
    assert (await world.get("deployments.apps", "web"))["metadata"]["generation"] == 2


async def test_an_error_taken_back_leaves_no_trace(world: World) -> None:
    path = world.write("web.yaml", deployment("web"))
    await world.sync()
    world.write("web.yaml", deployment("web").replace("replicas: 3", "replicas: many"))
    await world.sync()
    assert (await world.status(path))["state"] == "invalid"
    world.write("web.yaml", deployment("web"))
    await world.sync()
    status = await world.status(path)
    assert status["state"] == "applied"
    assert [(d["state"], d.get("message", "")) for d in status["documents"]] == [("in-sync", "")]


async def test_broken_yaml_keeps_the_last_good_state(world: World) -> None:
    path = world.write("a.yaml", config("a"))
    await world.sync()
    world.write("a.yaml", config("a") + "  - [\n")
    await world.prune()
    assert (await world.status(path))["state"] == "invalid"
    assert await world.get("configmaps", "a") is not None


async def test_a_removed_document_is_pruned_after_a_grace_and_only_if_it_is_the_files(world: World) -> None:
    path = world.write("a.yaml", config("a") + "---\n" + config("b") + "---\n" + config("c"))
    await world.sync()
    await world.client.patch(
        "configmaps",
        "c",
        "default",
        {"metadata": {"annotations": {"kubetui.io/manifest-file": "/elsewhere"}}},
    )
    world.write("a.yaml", config("a"))
    await world.sync()
    assert await world.get("configmaps", "b") is not None
    await world.clock.advance(3)
    await world.sync()
    assert await world.get("configmaps", "b") is None
    assert await world.get("configmaps", "c") is not None
    assert await world.get("configmaps", "a") is not None
    path.unlink()
    await world.prune()
    assert await world.get("configmaps", "a") is None
    assert path not in world.watcher.sources
    assert (
        await world.client.list("configmaps", "kube-system", label_selector="kubetui.io/manifest-source")
    ).items == []


async def test_a_document_that_moves_to_another_file_is_not_pruned(world: World) -> None:
    path = world.write("a.yaml", config("a"))
    await world.sync()
    uid = (await world.get("configmaps", "a"))["metadata"]["uid"]
    path.unlink()
    other = world.write("b.yaml", config("a"))
    await world.prune()
    found = await world.get("configmaps", "a")
    assert found["metadata"]["uid"] == uid
    assert found["metadata"]["annotations"]["kubetui.io/manifest-file"] == str(other)


async def test_what_was_removed_while_nobody_watched_is_pruned(world: World) -> None:
    world.write("a.yaml", config("a"))
    path = world.write("b.yaml", config("b"))
    await world.sync()
    path.unlink()
    world.watcher = world.watch()
    await world.watcher._load()
    await world.prune()
    assert await world.get("configmaps", "b") is None
    assert await world.get("configmaps", "a") is not None


async def test_what_was_deleted_while_nobody_watched_is_made_again(world: World) -> None:
    world.write("a.yaml", config("a"))
    await world.sync()
    await world.client.delete("configmaps", "a", "default")
    world.watcher = world.watch()
    await world.watcher._load()
    await world.sync()
    assert await world.get("configmaps", "a") is not None


async def test_a_save_that_left_nothing_removes_nothing(world: World) -> None:
    path = world.write("a.yaml", config("a"))
    await world.sync()
    for nothing in ("", "\n \n"):
        path.write_text(nothing)
        await world.prune()
        assert await world.get("configmaps", "a") is not None
        assert "the file is empty" in (await world.status(path))["error"]["message"]
    path.write_text(config("a", "2"))
    await world.sync()
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    assert (await world.status(path))["error"] is None
    new = world.write("new.yaml", "")
    await world.sync()
    assert world.watcher.sources[new].error is None, "a file that never said anything may be empty"
    path.unlink()
    await world.prune()
    assert await world.get("configmaps", "a") is None


async def test_a_file_that_is_written_slowly_keeps_what_is_to_come(world: World) -> None:
    whole = [config("a"), config("b"), config("c")]
    path = world.write("a.yaml", "---\n".join(whole))
    await world.sync()
    for written in range(3):
        path.write_text("---\n".join([*whole[:written], f"# {written}\n"]))
        await world.sync()
        await world.clock.advance(1.5)
    assert await world.get("configmaps", "c") is not None
    path.write_text("---\n".join(whole))
    await world.prune()
    assert all([await world.get("configmaps", name) for name in "abc"])


async def test_what_is_no_file_of_text_is_named_and_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, big = world.files / "pipe.yaml", world.write("big.yaml", config("big"))
    os.mkfifo(pipe)
    monkeypatch.setattr("runtime.manifests.files.FILE_LIMIT", 10)
    await asyncio.wait_for(world.sync(), 20)
    errors = {path: source.error.message for path, source in world.watcher.sources.items() if source.error}
    assert errors[pipe] == "can't be read: this is no regular file"
    assert errors[big].endswith("at most 10 are read")


async def test_a_vanished_folder_is_not_an_empty_one(world: World) -> None:
    path = world.write("a.yaml", config("a"))
    await world.sync()
    away = world.files.with_name("away")
    world.files.rename(away)
    await world.prune()
    assert await world.get("configmaps", "a") is not None
    assert (await world.status(path))["state"] == "missing"
    away.rename(world.files)
    await world.prune()
    assert (await world.status(path))["state"] == "applied"


async def test_namespaces_and_claims_are_kept_unless_asked(world: World) -> None:
    world.write("ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: keep}\n")
    world.write(
        "gone.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: gone\n  annotations: {kubetui.io/prune: 'true'}\n",
    )
    await world.sync()
    for file in world.files.iterdir():
        file.unlink()
    await world.prune()
    kept = await world.get("namespaces", "keep", "")
    assert not kept["metadata"].get("deletionTimestamp")
    gone = await world.get("namespaces", "gone", "")
    assert gone is None or gone["metadata"]["deletionTimestamp"]


async def test_one_object_in_two_files_is_an_error_that_names_both(world: World) -> None:
    first = world.write("a.yaml", config("same", "1"))
    second = world.write("b.yaml", config("other") + "---\n" + config("same", "2"))
    await world.sync()
    assert (await world.get("configmaps", "same"))["data"]["value"] == "1"
    assert await world.get("configmaps", "other") is None
    status = await world.status(second)
    assert status["error"] == {"line": 8, "message": f"ConfigMap default/same is also in {first}:1"}
    first.unlink()
    await world.prune()
    assert (await world.get("configmaps", "same"))["data"]["value"] == "2"
    twice = world.write("c.yaml", config("twice") + "---\n" + config("twice"))
    await world.sync()
    assert (await world.status(twice))["error"]["line"] == 8


async def test_a_missing_namespace_is_waited_for(world: World) -> None:
    path = world.write("a.yaml", config("a").replace("name: a", "name: a\n  namespace: later"))
    await world.sync()
    status = await world.status(path)
    assert status["state"] == "pending"
    assert 'namespaces "later" not found' in status["documents"][0]["message"]
    await world.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
    await world.clock.advance(2)
    await world.sync()
    assert await world.get("configmaps", "a", "later") is not None


async def test_a_single_file_may_be_watched_and_replaced_as_editors_do(world: World) -> None:
    path = world.write("a.yaml", config("a", "1"))
    world.watcher = world.watch(path)
    await world.sync()
    (world.files / "a.yaml.new").write_text(config("a", "2"))
    (world.files / "a.yaml.new").rename(path)
    await world.sync()
    assert (await world.get("configmaps", "a"))["data"]["value"] == "2"
    path.unlink()
    await world.prune()
    assert await world.get("configmaps", "a") is not None


async def test_files_are_followed_without_being_asked(world: World) -> None:
    world.clock = None  # type: ignore[assignment]
    from runtime.objects.clock import SystemClock

    client = Client(world.api, system_user("system:admin"), field_validation="Strict")
    world.watcher = ManifestWatcher(
        client, world.registry, [world.files], SystemClock(), report=world.said.append
    )
    await world.watcher.start()
    world.write("a.yaml", config("a", "1"))

    async def applied(value: str) -> bool:
        found = await world.get("configmaps", "a")
        return found is not None and found["data"]["value"] == value

    for value in ("1", "2"):
        world.write("a.yaml", config("a", value))
        for _ in range(300):
            if await applied(value):
                break
            await asyncio.sleep(0.02)
        assert await applied(value)


WIDGETS = "widgets.example.com"
DEFINITION = f"""apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {WIDGETS}
spec:
  group: example.com
  scope: Namespaced
  names: {{plural: widgets, kind: Widget}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
WIDGET = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: a\nspec: {size: 1}\n"


async def accept_names(world: World) -> None:
    """What a controller does with a definition."""
    made = await world.get("customresourcedefinitions.apiextensions.k8s.io", WIDGETS, "")
    if made is None:
        return
    stamp = made["metadata"]["creationTimestamp"]
    condition = {
        "type": "NamesAccepted",
        "status": "True",
        "lastTransitionTime": stamp,
        "reason": "",
        "message": "",
    }
    status = {**made["status"], "acceptedNames": made["spec"]["names"], "conditions": [condition]}
    await world.client.update_status({**made, "status": status})


async def test_a_definition_and_its_instance_in_one_file(world: World) -> None:
    path = world.write("all.yaml", WIDGET + "---\n" + DEFINITION)
    passing = asyncio.create_task(world.watcher.sync())
    while not passing.done():
        if world.registry.find(WIDGETS) is None:
            await accept_names(world)
        await world.clock.advance(0.05)
        await asyncio.sleep(0.005)
    await passing
    assert (await world.get(WIDGETS, "a"))["spec"] == {"size": 1}
    assert {await world.state(path, 0), await world.state(path, 1)} == {"in-sync"}


async def test_a_file_that_waits_for_a_kind_is_taken_up_when_it_comes(world: World) -> None:
    path = world.write("instance.yaml", WIDGET)
    await world.watcher.start()
    assert "no matches for kind" in (await world.status(path))["error"]["message"]
    await world.client.create(yaml.safe_load(DEFINITION))
    await accept_names(world)
    for _ in range(400):
        if await world.get(WIDGETS, "a") if world.registry.find(WIDGETS) else None:
            break
        await asyncio.sleep(0.01)
    assert (await world.get(WIDGETS, "a"))["spec"] == {"size": 1}
