from __future__ import annotations

from pathlib import Path

import pytest
from control_plane import control_plane, deployment

from runtime.controllers import nodes
from runtime.controllers.housekeeping import TTL
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.scheduler import taints

GPU = {"key": "gpu", "value": "yes", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "gpu", "value": "yes", "effect": "NoExecute"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": "cpu", "operator": "Exists"}, False),
        ({"operator": "Equal", "value": "yes"}, False),
    ],
)
def test_tolerates(toleration: dict, expected: bool) -> None:
    assert taints.tolerates(toleration, GPU) is expected


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], 0.0),
        ([{"key": "gpu", "operator": "Exists"}], None),
        ([{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30}], 30.0),
        ([{"key": "gpu", "operator": "Exists", "tolerationSeconds": 0}], 0.0),
        (
            [
                {"key": "gpu", "operator": "Exists", "tolerationSeconds": 30},
                {"operator": "Exists", "tolerationSeconds": 10},
            ],
            10.0,
        ),
        ([{"key": "gpu", "operator": "Exists"}, {"operator": "Exists", "tolerationSeconds": 10}], 10.0),
    ],
)
def test_eviction_delay(tolerations: list, expected: float | None) -> None:
    assert taints.eviction_delay([GPU], tolerations) == expected


@pytest.mark.parametrize(
    ("ready", "not_ready", "state"),
    [
        (1, 0, "Normal"),
        (0, 1, "FullDisruption"),
        (2, 1, "Normal"),
        (1, 2, "Normal"),
        (2, 3, "PartialDisruption"),
        (10, 3, "Normal"),
    ],
)
def test_zone_state(ready: int, not_ready: int, state: str) -> None:
    assert nodes.zone_state(ready, not_ready) == state


async def test_a_silent_node_is_tainted_and_its_pods_evicted(tmp_path: Path) -> None:
    async with control_plane(tmp_path, nodes=2, clock=ManualClock()) as plane:
        plane.step = 1.0
        plane.beating = {"node-0", "node-1"}
        obj = deployment("web", 2)
        obj["spec"]["template"]["spec"]["tolerations"] = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
            for key in (taints.NOT_READY, taints.UNREACHABLE)
        ]
        await plane.client.create(obj)
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 2)
        victims = [p["metadata"]["name"] for p in plane.all("pods") if p["spec"]["nodeName"] == "node-1"]
        assert victims, "pods of one set spread over two equal nodes"
        plane.beating = {"node-0"}
        plane.kubelet.terminate = False

        def node(name: str = "node-1") -> dict:
            return plane.get("nodes", name, "")

        started = plane.clock.monotonic()
        await plane.until(lambda: meta.condition(node(), "Ready")["status"] == "Unknown", 30)
        assert 50 <= plane.clock.monotonic() - started <= 65
        ready = meta.condition(node(), "Ready")
        assert (ready["reason"], ready["message"]) == (
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        )
        await plane.until(
            lambda: (
                {(t["key"], t["effect"]) for t in node()["spec"].get("taints", ())}
                == {(taints.UNREACHABLE, "NoSchedule"), (taints.UNREACHABLE, "NoExecute")}
            )
        )
        assert not meta.is_true(plane.get("pods", victims[0]), "Ready")
        tainted = plane.clock.monotonic()
        await plane.until(lambda: all(meta.is_deleting(plane.get("pods", name)) for name in victims), 30)
        assert 25 <= plane.clock.monotonic() - tainted <= 40
        disrupted = meta.condition(plane.get("pods", victims[0]), "DisruptionTarget")
        assert disrupted["reason"] == "DeletionByTaintManager"
        assert meta.condition(node("node-0"), "Ready")["status"] == "True"
        assert not node("node-0")["spec"].get("taints")

        # the node object goes: nobody will ever finish those pods, so they are removed by force
        await plane.client.delete("nodes", "node-1")
        await plane.until(lambda: not any(plane.get("pods", name) for name in victims), 30)
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 2)


async def test_a_cordoned_node_gets_no_pods(tmp_path: Path) -> None:
    async with control_plane(tmp_path, nodes=2) as plane:
        await plane.client.patch("nodes", "node-0", "", {"spec": {"unschedulable": True}}, type="merge")
        await plane.until(lambda: plane.get("nodes", "node-0", "")["spec"].get("taints"))
        assert plane.get("nodes", "node-0", "")["spec"]["taints"][0]["key"] == taints.UNSCHEDULABLE
        await plane.client.create(deployment("web", 4))
        await plane.until(lambda: len([p for p in plane.all("pods") if p["spec"].get("nodeName")]) == 4)
        assert {p["spec"]["nodeName"] for p in plane.all("pods")} == {"node-1"}
        await plane.client.patch("nodes", "node-0", "", {"spec": {"unschedulable": None}}, type="merge")
        await plane.until(lambda: not plane.get("nodes", "node-0", "")["spec"].get("taints"))


async def test_kubelets_of_large_clusters_remember_for_longer(tmp_path: Path) -> None:
    async with control_plane(tmp_path, nodes=2) as plane:

        def told() -> set[str]:
            return {meta.annotations_of(node).get(TTL, "") for node in plane.all("nodes", "")}

        await plane.until(lambda: told() == {"0"})
        template = {"apiVersion": "v1", "kind": "Node", "spec": {}}
        for number in range(99):
            await plane.client.create({**template, "metadata": {"name": f"more-{number}"}})
        await plane.until(lambda: told() == {"15"})
        await plane.client.delete("nodes", "more-0")
        await plane.client.patch("nodes", "more-1", "", {"metadata": {"annotations": {TTL: "7"}}})
        await plane.until(lambda: told() == {"15"})  # at the edge it stays as it is
