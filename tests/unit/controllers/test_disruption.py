from __future__ import annotations

from pathlib import Path
from typing import Any

from control_plane import ControlPlane, control_plane

from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj

BUDGETS = "poddisruptionbudgets.policy"


def budget(**spec: Any) -> Obj:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def pod(name: str, owner: Obj | None = None, **spec: Any) -> Obj:
    metadata: Obj = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    if owner is not None:
        metadata["ownerReferences"] = [meta.controller_reference(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "image": "app:1"}], **spec},
    }


def _status(plane: ControlPlane) -> Obj:
    return (plane.get(BUDGETS, "web") or {}).get("status") or {}


def _allowed(plane: ControlPlane) -> Obj:
    return meta.condition(plane.get(BUDGETS, "web") or {}, "DisruptionAllowed") or {}


async def test_pods_of_nobody_are_left_out_of_a_percentage(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(budget(maxUnavailable="50%"))
        await plane.client.create(pod("lonely"))
        await plane.until(lambda: plane.events("UnmanagedPods"))
        [said] = plane.events("UnmanagedPods")
        assert said.startswith(
            "Pods selected by this PodDisruptionBudget (selector: app=web) were found to be"
        )
        await plane.until(lambda: _status(plane).get("currentHealthy") == 1)
        assert (_status(plane)["expectedPods"], _status(plane)["disruptionsAllowed"]) == (0, 0)
        assert _allowed(plane)["reason"] == "InsufficientPods"


async def test_what_can_not_be_scaled_is_named_and_nothing_allowed(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(budget(minAvailable="50%"))
        labels = {"app": "web"}
        await plane.client.create(
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "main", "image": "app:1"}]},
                    },
                },
            }
        )
        await plane.until(lambda: _allowed(plane).get("reason") == "SyncFailed")
        assert _allowed(plane)["message"] == "daemonsets.apps does not implement the scale subresource"
        assert _status(plane)["disruptionsAllowed"] == 0


async def test_finished_pods_are_expected_but_not_healthy(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.outcome = lambda entry: "Succeeded" if meta.name_of(entry) == "done" else "Running"
        await plane.client.create(pod("done", restartPolicy="Never"))
        await plane.client.create(pod("runs"))
        await plane.client.create(budget(minAvailable=1))
        await plane.until(
            lambda: _status(plane).get("expectedPods") == 2 and _status(plane)["currentHealthy"] == 1
        )
        assert _status(plane)["disruptionsAllowed"] == 0


async def test_a_disruption_that_did_not_come_is_taken_back(tmp_path: Path) -> None:
    async with control_plane(tmp_path, clock=ManualClock()) as plane:
        plane.step = 5.0
        plane.beating = {"node-0"}
        for name, reason in (("spared", "EvictionByEvictionAPI"), ("kubelets", "TerminationByKubelet")):
            made = await plane.client.create(pod(name))
            await plane.until(lambda name=name: meta.is_true(plane.get("pods", name) or {}, "Ready"))
            entry = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": reason,
                "message": "someone was about to end it",
                "lastTransitionTime": plane.manager.controllers[0].context.stamp(),  # type: ignore[attr-defined]
            }
            body = {"status": {"conditions": [entry]}}
            await plane.client.patch(
                "pods", meta.name_of(made), "default", body, type="strategic", subresource="status"
            )
        began = plane.clock.monotonic()
        await plane.until(
            lambda: (
                (meta.condition(plane.get("pods", "spared") or {}, "DisruptionTarget") or {})["status"]
                == "False"
            )
        )
        assert plane.clock.monotonic() - began >= 100
        assert meta.is_true(plane.get("pods", "kubelets") or {}, "DisruptionTarget")
