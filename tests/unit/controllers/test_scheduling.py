from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from control_plane import control_plane, deployment

from runtime.objects import meta
from runtime.objects.errors import Obj


def pod(name: str, cpu: str = "", **spec: Any) -> Obj:
    container: Obj = {"name": "main", "image": "app:1"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


async def test_what_fits_nowhere_says_why_and_goes_when_it_can(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(pod("huge", cpu="100"))
        said = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 "
        await plane.until(lambda: meta.condition(plane.get("pods", "huge"), "PodScheduled"))
        condition = meta.condition(plane.get("pods", "huge"), "PodScheduled")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["observedGeneration"] == plane.get("pods", "huge")["metadata"]["generation"]
        assert condition["message"] == said + "Preemption is not helpful for scheduling."
        await plane.until(lambda: plane.events("FailedScheduling") == [condition["message"]])
        await plane.add_node("large", cpu="200")
        await plane.until(lambda: plane.get("pods", "huge")["spec"].get("nodeName") == "large")
        await plane.until(lambda: meta.is_true(plane.get("pods", "huge"), "PodScheduled"))


async def test_higher_priority_ends_lower(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        for name, value in (("high", 1000), ("low", 10)):
            await plane.client.create(
                {
                    "apiVersion": "scheduling.k8s.io/v1",
                    "kind": "PriorityClass",
                    "metadata": {"name": name},
                    "value": value,
                }
            )
        for number in range(2):
            await plane.client.create(pod(f"low-{number}", cpu="30", priorityClassName="low"))
        await plane.until(lambda: all(meta.is_true(p, "Ready") for p in plane.all("pods")))
        await plane.client.create(pod("vip", cpu="30", priorityClassName="high"))
        await plane.until(lambda: plane.get("pods", "vip")["spec"].get("nodeName"))
        left = [p["metadata"]["name"] for p in plane.all("pods")]
        assert len(left) == 2
        assert "vip" in left
        await plane.until(lambda: plane.events("Preempted"))


async def test_gates_hold_a_pod(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(pod("held", schedulingGates=[{"name": "example.com/wait"}]))
        await plane.client.create(pod("free"))
        await plane.until(lambda: plane.get("pods", "free")["spec"].get("nodeName"))
        await asyncio.sleep(0.05)
        held = plane.get("pods", "held")
        assert not held["spec"].get("nodeName")
        await plane.client.patch("pods", "held", "default", {"spec": {"schedulingGates": None}}, type="merge")
        await plane.until(lambda: plane.get("pods", "held")["spec"].get("nodeName"))


async def test_a_missing_claim_is_named(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "nope"}}]
        await plane.client.create(pod("needy", volumes=volumes))
        await plane.until(lambda: meta.condition(plane.get("pods", "needy"), "PodScheduled"))
        message = meta.condition(plane.get("pods", "needy"), "PodScheduled")["message"]
        assert message == (
            '0/1 nodes are available: persistentvolumeclaim "nope" not found. preemption: 0/1 nodes are available: 1 '
            "Preemption is not helpful for scheduling."
        )


async def test_the_deadline_is_reported_and_a_paused_rollout_waits(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.ready = lambda entry: False
        await plane.client.create(deployment("stuck", 1, progressDeadlineSeconds=2))
        await plane.until(
            lambda: (
                (meta.condition(plane.get("deployments.apps", "stuck"), "Progressing") or {}).get("reason")
                == "ProgressDeadlineExceeded"
            )
        )
        plane.kubelet.ready = lambda entry: True
        await plane.client.create(deployment("calm", 2))
        await plane.until(
            lambda: (plane.get("deployments.apps", "calm").get("status") or {}).get("availableReplicas") == 2
        )
        await plane.client.patch("deployments.apps", "calm", "default", {"spec": {"paused": True}})
        body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:9"}]}}}}
        await plane.client.patch("deployments.apps", "calm", "default", body, type="strategic")
        await plane.until(
            lambda: (
                (meta.condition(plane.get("deployments.apps", "calm"), "Progressing") or {}).get("reason")
                == "DeploymentPaused"
            )
        )
        await plane.client.patch("deployments.apps", "calm", "default", {"spec": {"replicas": 4}})
        await plane.until(
            lambda: (plane.get("deployments.apps", "calm").get("status") or {}).get("availableReplicas") == 4
        )
        images = {
            p["spec"]["containers"][0]["image"] for p in plane.all("pods") if "calm" in p["metadata"]["name"]
        }
        assert images == {"web:1"}
        await plane.client.patch("deployments.apps", "calm", "default", {"spec": {"paused": False}})
        await plane.until(
            lambda: (
                {
                    p["spec"]["containers"][0]["image"]
                    for p in plane.all("pods")
                    if "calm" in p["metadata"]["name"]
                }
                == {"web:9"}
            )
        )


async def test_a_pod_killed_by_hand_is_replaced(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(deployment("web", 3))
        await plane.until(lambda: sum(meta.is_true(p, "Ready") for p in plane.all("pods")) == 3)
        victim = plane.all("pods")[0]
        await plane.client.delete("pods", victim["metadata"]["name"], "default")
        await plane.until(
            lambda: (
                sum(meta.is_true(p, "Ready") for p in plane.all("pods")) == 3
                and not plane.get("pods", victim["metadata"]["name"])
            )
        )
        # a pod whose label no longer matches is released and replaced
        other = plane.all("pods")[0]
        name = other["metadata"]["name"]
        body = {"metadata": {"labels": {"pod-template-hash": None}}}
        await plane.client.patch("pods", name, "default", body, type="merge")
        await plane.until(lambda: len(plane.all("pods")) == 4 and not meta.owners_of(plane.get("pods", name)))


def priority_class(name: str, value: int) -> Obj:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


async def test_a_kept_node_is_given_up_for_a_more_important_pod(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        for name, value in (("low", 10), ("mid", 100), ("high", 1000)):
            await plane.client.create(priority_class(name, value))
        plane.kubelet.terminate = False
        await plane.client.create(pod("low", cpu="60", priorityClassName="low"))
        await plane.until(lambda: meta.is_true(plane.get("pods", "low"), "Ready"))

        def nominated(name: str) -> str:
            return ((plane.get("pods", name) or {}).get("status") or {}).get("nominatedNodeName") or ""

        await plane.client.create(pod("mid", cpu="60", priorityClassName="mid"))
        await plane.until(lambda: nominated("mid") == "node-0")
        assert (
            meta.condition(plane.get("pods", "low"), "DisruptionTarget")["reason"] == "PreemptionByScheduler"
        )
        await plane.client.create(pod("high", cpu="60", priorityClassName="high"))
        await plane.until(lambda: nominated("high") == "node-0" and not nominated("mid"))
        await plane.kubelet.finish(plane.get("pods", "low"))
        await plane.until(lambda: plane.get("pods", "high")["spec"].get("nodeName"))
        assert not nominated("high"), "a pod that has its node needs none kept"
        assert not plane.get("pods", "mid")["spec"].get("nodeName")


async def test_a_kept_node_is_free_again_when_its_pod_is_deleted(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        for name, value in (("low", 10), ("high", 1000)):
            await plane.client.create(priority_class(name, value))
        plane.kubelet.terminate = False
        await plane.client.create(pod("victim", cpu="60", priorityClassName="low"))
        await plane.until(lambda: meta.is_true(plane.get("pods", "victim"), "Ready"))
        await plane.client.create(pod("high", cpu="60", priorityClassName="high"))
        await plane.until(lambda: (plane.get("pods", "high")["status"]).get("nominatedNodeName"))
        await plane.kubelet.finish(plane.get("pods", "victim"))
        await plane.client.delete("pods", "high", "default")
        await plane.client.create(pod("small", cpu="30", priorityClassName="low"))
        await plane.until(lambda: plane.get("pods", "small")["spec"].get("nodeName"))


async def test_label_keys_become_part_of_what_a_pod_asked_for(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        term = {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["rev"],
            "mismatchLabelKeys": ["tenant"],
        }
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["rev", "absent"],
        }
        anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        obj = pod("web", affinity=anti, topologySpreadConstraints=[spread])
        obj["metadata"]["labels"] = {"app": "web", "rev": "1", "tenant": "a"}
        made = await plane.client.create(obj)
        rules = made["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        same = {"key": "rev", "operator": "In", "values": ["1"]}
        assert rules[0]["labelSelector"] == {
            "matchLabels": {"app": "web"},
            "matchExpressions": [same, {"key": "tenant", "operator": "NotIn", "values": ["a"]}],
        }
        [constraint] = made["spec"]["topologySpreadConstraints"]
        assert constraint["labelSelector"]["matchExpressions"] == [same]


async def test_a_pod_tied_to_one_node_says_so_of_the_others(tmp_path: Path) -> None:
    async with control_plane(tmp_path, nodes=3) as plane:
        fields = [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]
        required = {"nodeSelectorTerms": [{"matchFields": fields}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        await plane.client.create(pod("tied", cpu="100", affinity=affinity))
        await plane.until(lambda: meta.condition(plane.get("pods", "tied"), "PodScheduled"))
        assert meta.condition(plane.get("pods", "tied"), "PodScheduled")["message"] == (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        )
