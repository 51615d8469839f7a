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
        assert message == '0/1 nodes are available: persistentvolumeclaim "nope" not found.'


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
