from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane, control_plane

from runtime.controllers.statefulset_math import claim_owners
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj
from runtime.objects.meta import name_of

TEMPLATE = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def stateful_set(replicas: int = 1, **spec: Any) -> Obj:
    labels = {"app": "db"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "app:1"}]},
            },
            **spec,
        },
    }


def _without_volumes(plane: ControlPlane) -> None:
    """Let the scheduler place pods whose claims nobody binds."""
    plane.scheduler.volumes.of = lambda shape: type(  # type: ignore[method-assign]
        "C", (), {"problem": "", "unbound": [], "refuse": lambda self, node: None}
    )()


def _policy(deleted: str, scaled: str) -> Obj:
    return {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled}}


SET = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "set"}
POD = {"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "pod"}
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "keeper", "uid": "keeper"}
CONTROL = {"controller": True, "blockOwnerDeletion": True}


@pytest.mark.parametrize(
    ("deleted", "scaled", "replicas", "before", "after"),
    [
        ("Retain", "Retain", 1, [], []),
        ("Retain", "Retain", 1, [{**SET, **CONTROL}, OTHER], [OTHER]),
        ("Delete", "Retain", 1, [], [{**SET, **CONTROL}]),
        ("Delete", "Retain", 0, [], [{**SET, **CONTROL}]),
        ("Retain", "Delete", 1, [{**POD, **CONTROL}], []),
        ("Retain", "Delete", 0, [], [{**POD, **CONTROL}]),
        ("Delete", "Delete", 1, [{**POD, **CONTROL}], [{**SET, **CONTROL}]),
        ("Delete", "Delete", 0, [{**SET, **CONTROL}], [{**POD, **CONTROL}]),
        # controlled by somebody else: not ours to give
        ("Delete", "Delete", 0, [{**OTHER, **CONTROL}], [{**OTHER, **CONTROL}]),
        ("Delete", "Delete", 0, [{**OTHER, **CONTROL}, SET], [{**OTHER, **CONTROL}]),
        # left behind by a set of the same name
        ("Delete", "Retain", 1, [{**SET, "uid": "gone"}], [{**SET, "uid": "gone"}]),
    ],
)
def test_who_owns_a_claim(
    deleted: str, scaled: str, replicas: int, before: list[Obj], after: list[Obj]
) -> None:
    owner = stateful_set(replicas, **_policy(deleted, scaled))
    owner["metadata"]["uid"] = "set"
    pod = {"metadata": {"name": "db-0", "uid": "pod", "namespace": "default"}}
    assert claim_owners(owner, {"metadata": {"ownerReferences": before}}, pod) == after


async def test_claims_follow_a_changed_policy_and_size(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        _without_volumes(plane)
        await plane.client.create(stateful_set(2, volumeClaimTemplates=[TEMPLATE]))
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 2)

        def owners(name: str) -> list[str]:
            claim = plane.get("persistentvolumeclaims", name) or {"metadata": {}}
            return [reference["kind"] for reference in meta.owners_of(claim)]

        assert owners("data-db-0") == owners("data-db-1") == []
        await plane.client.patch("statefulsets.apps", "db", "default", {"spec": _policy("Delete", "Delete")})
        await plane.until(lambda: owners("data-db-0") == owners("data-db-1") == ["StatefulSet"])
        first = meta.uid_of(plane.get("persistentvolumeclaims", "data-db-1") or {})
        await plane.client.patch("statefulsets.apps", "db", "default", {"spec": {"replicas": 1}})
        await plane.until(lambda: plane.get("persistentvolumeclaims", "data-db-1") is None)
        assert owners("data-db-0") == ["StatefulSet"]
        await plane.client.patch("statefulsets.apps", "db", "default", {"spec": {"replicas": 2}})
        again = await plane.until(lambda: plane.get("persistentvolumeclaims", "data-db-1"))
        assert meta.uid_of(again) != first
        await plane.client.patch("statefulsets.apps", "db", "default", {"spec": _policy("Retain", "Retain")})
        await plane.until(lambda: owners("data-db-0") == owners("data-db-1") == [])


async def test_a_pod_waits_for_the_claim_of_its_predecessor_to_go(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        _without_volumes(plane)
        obj = stateful_set(
            1, volumeClaimTemplates=[TEMPLATE], podManagementPolicy="Parallel", **_policy("Retain", "Delete")
        )
        claim = {
            **TEMPLATE,
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "data-db-1",
                "namespace": "default",
                "finalizers": ["example.com/hold"],
            },
        }
        await plane.client.create(obj)
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 1)
        claim["metadata"]["ownerReferences"] = [{**POD, "name": "db-1", "uid": "gone"}]
        await plane.client.create(claim)
        await plane.client.patch("statefulsets.apps", "db", "default", {"spec": {"replicas": 3}})
        # the others do not wait for it
        await plane.until(lambda: {name_of(pod) for pod in plane.all("pods")} == {"db-0", "db-2"})
        body = {"metadata": {"finalizers": None}}
        await plane.client.patch("persistentvolumeclaims", "data-db-1", "default", body)
        await plane.until(lambda: plane.get("pods", "db-1"))
        assert not meta.owners_of(plane.get("persistentvolumeclaims", "data-db-1") or {})


async def test_a_pod_keeps_the_labels_that_name_it(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(stateful_set(1))
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 1)
        body = {"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": "somebody"}}}
        await plane.client.patch("pods", "db-0", "default", body)
        await plane.until(
            lambda: (
                meta.labels_of(plane.get("pods", "db-0") or {})["statefulset.kubernetes.io/pod-name"]
                == "db-0"
            )
        )


async def test_a_broken_update_is_replaced_although_its_pods_are_down(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.ready = lambda pod: pod["spec"]["containers"][0]["image"] != "app:broken"
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "partition": 0}}
        await plane.client.create(stateful_set(3, podManagementPolicy="Parallel", updateStrategy=strategy))
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 3)

        def images() -> dict[str, str]:
            return {
                name_of(pod): pod["spec"]["containers"][0]["image"]
                for pod in plane.all("pods")
                if not meta.is_deleting(pod)
            }

        for image in ("app:broken", "app:2"):
            body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
            await plane.client.patch("statefulsets.apps", "db", "default", body, type="strategic")
            await plane.until(lambda image=image: images().get("db-2") == image)
        await plane.until(lambda: set(images().values()) == {"app:2"} and len(images()) == 3)


async def test_a_pod_that_ends_at_once_is_not_replaced_at_every_turn(tmp_path: Path) -> None:
    async with control_plane(tmp_path, clock=ManualClock()) as plane:
        plane.step = 0.1
        plane.beating = {"node-0"}
        plane.kubelet.outcome = lambda pod: "Failed"
        made: list[str] = []
        plane.informers.pods().add_handler(
            lambda deltas: made.extend(meta.uid_of(d.obj) for d in deltas if d.old is None)
        )
        await plane.client.create(stateful_set(1))
        await plane.until(lambda: len(made) == 2)
        began = plane.clock.monotonic()
        await plane.until(lambda: len(made) == 5)
        assert plane.clock.monotonic() - began >= 2.5
