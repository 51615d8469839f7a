from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from control_plane import control_plane

from runtime.controllers.daemonset_math import group_by_node, in_order, manage
from runtime.controllers.revisions import template_patch
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj
from runtime.objects.meta import name_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def daemon_set(**spec: Any) -> Obj:
    labels = {"app": "agent"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "app:1"}]},
            },
            **spec,
        },
    }


def test_a_revision_is_written_as_gos_encoder_writes_it() -> None:
    """Clients compare its bytes with what they make of the owner themselves."""
    template = {
        "spec": {"containers": [{"name": "b", "image": "a"}]},
        "metadata": {"labels": {"z": "1", "a": "2"}},
    }
    assert orjson.dumps(template_patch({"spec": {"template": template}})) == (
        b'{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"a":"2","z":"1"}},'
        b'"spec":{"containers":[{"image":"a","name":"b"}]}}}}'
    )


def pod(name: str, revision: str, ready: bool = True, node: str = "n", **more: Any) -> Obj:
    metadata = {
        "name": name,
        "creationTimestamp": more.get("made", "2026-01-01T11:00:00Z"),
        "labels": {"controller-revision-hash": revision},
    }
    if more.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-01T11:59:00Z"
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": "2026-01-01T11:59:55Z",
    }
    return {
        "metadata": metadata,
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": more.get("phase", "Running"), "conditions": [condition]},
    }


NODE: Obj = {"metadata": {"name": "n"}, "spec": {}}


@pytest.mark.parametrize(
    ("pods", "min_ready", "deleted", "created"),
    [
        # the new one does not serve yet, the old one does: both stay
        ([pod("old", "a"), pod("new", "b", ready=False)], 0, [], []),
        ([pod("old", "a"), pod("new", "b")], 0, ["old"], []),
        ([pod("old", "a"), pod("new", "b")], 30, [], []),
        ([pod("old", "a", ready=False), pod("new", "b", ready=False)], 0, ["old"], []),
        # of each revision the oldest
        (
            [pod("new2", "b", made="2026-01-01T11:30:00Z"), pod("new", "b", ready=False), pod("old", "a")],
            0,
            ["new2"],
            [],
        ),
        # the last one is on its way out: surging leaves no gap
        ([pod("old", "a", deleting=True)], 0, [], ["n"]),
    ],
)
def test_surging_keeps_one_old_and_one_new_pod(
    pods: list[Obj], min_ready: int, deleted: list[str], created: list[str]
) -> None:
    plan = manage(daemon_set(minReadySeconds=min_ready), [NODE], {"n": pods}, True, "b", NOW)
    assert [name_of(entry) for entry in plan.delete] == deleted
    assert plan.create_on == created


def test_without_surging_a_scheduled_pod_stays_before_an_older_one_that_waits() -> None:
    waiting = pod("waiting", "a", node="", made="2026-01-01T10:00:00Z")
    assert [name_of(entry) for entry in in_order([waiting, pod("bound", "a")])] == ["bound", "waiting"]
    plan = manage(daemon_set(), [NODE], {"n": [waiting, pod("bound", "a")]}, False, "a", NOW)
    assert [name_of(entry) for entry in plan.delete] == ["waiting"]
    plan = manage(daemon_set(), [NODE], {"n": [pod("old", "a", deleting=True)]}, False, "a", NOW)
    assert plan.create_on == []


def test_a_pod_that_ended_and_is_held_by_a_finalizer_leaves_its_node_free() -> None:
    held = pod("held", "a", deleting=True, phase="Failed")
    assert group_by_node([held, pod("there", "a", node="m")]).keys() == {"m"}


async def test_twin_revisions_become_one_and_take_their_pods_along(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(daemon_set())
        await plane.until(lambda: plane.all("pods") and plane.all("controllerrevisions.apps"))
        [first] = plane.all("controllerrevisions.apps")
        twin = {
            **first,
            "metadata": {
                "name": "agent-twin",
                "namespace": "default",
                "labels": {**meta.labels_of(first), "controller-revision-hash": "twin"},
                "ownerReferences": first["metadata"]["ownerReferences"],
            },
            "revision": 2,
        }
        await plane.client.create(twin, "default")
        labels = {"metadata": {"labels": {"touched": "yes"}}}
        await plane.client.patch("daemonsets.apps", "agent", "default", labels)
        await plane.until(
            lambda: [name_of(entry) for entry in plane.all("controllerrevisions.apps")] == ["agent-twin"]
        )
        [only] = plane.all("pods")
        assert meta.labels_of(only)["controller-revision-hash"] == "twin"


async def test_a_surging_pod_takes_over_when_it_has_been_ready_long_enough(tmp_path: Path) -> None:
    async with control_plane(tmp_path, nodes=2, clock=ManualClock()) as plane:
        plane.step = 0.5
        plane.beating = {"node-0", "node-1"}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}
        await plane.client.create(daemon_set(updateStrategy=strategy, minReadySeconds=5))

        def status() -> Obj:
            found = plane.get("daemonsets.apps", "agent") or {"metadata": {}}
            told: Obj = found.get("status") or {}
            return told if told.get("observedGeneration") == found["metadata"].get("generation") else {}

        await plane.until(lambda: status().get("numberAvailable") == 2)
        body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
        await plane.client.patch("daemonsets.apps", "agent", "default", body, type="strategic")
        await plane.until(lambda: sum(meta.is_true(entry, "Ready") for entry in plane.all("pods")) == 4)
        began = plane.clock.monotonic()
        await plane.until(
            lambda: status().get("updatedNumberScheduled") == 2 and status().get("numberAvailable") == 2
        )
        assert 3 <= plane.clock.monotonic() - began <= 10
        await plane.until(lambda: len(plane.all("pods")) == 2)


async def test_a_daemon_set_on_its_way_out_makes_no_history(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        obj = daemon_set()
        obj["metadata"]["finalizers"] = ["example.com/hold"]
        await plane.client.create(obj)
        await plane.until(lambda: plane.all("controllerrevisions.apps"))
        await plane.client.delete("daemonsets.apps", "agent", "default")
        [revision] = plane.all("controllerrevisions.apps")
        await plane.client.delete("controllerrevisions.apps", name_of(revision), "default")
        labels = {"metadata": {"labels": {"touched": "yes"}}}
        await plane.client.patch("daemonsets.apps", "agent", "default", labels)
        controller = next(c for c in plane.manager.controllers if c.name == "daemonset")
        await plane.until(
            lambda: meta.labels_of(plane.informers.informer("daemonsets.apps").get("default/agent")).get(
                "touched"
            )
        )
        await controller.sync("default/agent")
        assert plane.all("controllerrevisions.apps") == []
