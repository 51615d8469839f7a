from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane, control_plane, deployment

from runtime.client import EventRecorder
from runtime.controllers.context import Context
from runtime.controllers.hpa import HorizontalController
from runtime.controllers.hpa_math import PodMetrics
from runtime.objects import meta


@asynccontextmanager
async def autoscaled(tmp_path: Path, meter: Any) -> AsyncIterator[tuple[ControlPlane, HorizontalController]]:
    """A control plane and an autoscaler that reads ``meter``, not started."""
    async with control_plane(tmp_path) as plane:
        client = plane.client_for("horizontal-pod-autoscaler")
        recorder = EventRecorder(client, "horizontal-pod-autoscaler")
        context = Context(client, plane.informers, plane.clock, recorder, plane.registry)
        controller = HorizontalController(context, meter)
        await plane.informers.wait_for_sync()
        yield plane, controller
        await controller.stop()
        await recorder.stop()


def autoscaler(name: str, kind: str = "Deployment", **metric: Any) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 50}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"},
            "maxReplicas": 5,
            "metrics": [metric or {"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


class Nothing:
    async def pods(self, namespace: str, selector: Any) -> list[PodMetrics]:
        return []


QPS = {"metric": {"name": "qps"}, "target": {"type": "AverageValue", "averageValue": "1"}}


@pytest.mark.parametrize(
    ("metric", "reason", "inner", "outer"),
    [
        (
            {},
            "FailedGetResourceMetric",
            "failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)",
            "failed to get cpu resource metric value: ",
        ),
        (
            {"type": "Pods", "pods": QPS},
            "FailedGetPodsMetric",
            "unable to get metric qps: unable to fetch metrics from custom metrics API: no known available metric "
            "versions found",
            "failed to get pods metric value: ",
        ),
        (
            {"type": "External", "external": QPS},
            "FailedGetExternalMetric",
            "unable to get external metric default/qps: unable to fetch metrics from external metrics API: the "
            "server could not find the requested resource (get qps.external.metrics.k8s.io)",
            "failed to get qps external metric value: ",
        ),
    ],
)
async def test_what_can_not_be_measured_is_said_twice(
    tmp_path: Path, metric: dict[str, Any], reason: str, inner: str, outer: str
) -> None:
    async with autoscaled(tmp_path, Nothing()) as (plane, controller):
        await plane.client.create(deployment("web", 2))
        await plane.client.create(autoscaler("web", **metric))
        await controller.start()
        await plane.until(lambda: plane.events("FailedComputeMetricsReplicas"))
        assert plane.events("FailedComputeMetricsReplicas") == [
            f"invalid metrics (1 invalid out of 1), first error is: {outer}{inner}"
        ]
        await plane.until(lambda: plane.events(reason) == [inner])
        found = await plane.until(
            lambda: meta.condition(plane.get("horizontalpodautoscalers.autoscaling", "web"), "ScalingActive")
        )
        assert (found["reason"], found["message"]) == (
            reason,
            f"the HPA was unable to compute the replica count: {inner}",
        )


async def test_a_target_that_is_not_there_and_one_that_can_not_be_scaled(tmp_path: Path) -> None:
    async with autoscaled(tmp_path, Nothing()) as (plane, controller):
        await plane.client.create(autoscaler("web"))
        await plane.client.create(autoscaler("odd", kind="Oddity"))
        await controller.start()
        said = {
            'deployments.apps "web" not found',
            "unable to determine resource for scale target reference: no matches for kind "
            '"Oddity" in group "apps"',
        }
        await plane.until(lambda: set(plane.events("FailedGetScale")) == said)
        for name in ("web", "odd"):
            found = plane.get("horizontalpodautoscalers.autoscaling", name)
            text = meta.condition(found, "AbleToScale")["message"]
            assert (
                text.removeprefix("the HPA controller was unable to get the target's current scale: ") in said
            )


async def test_two_autoscalers_of_the_same_pods_do_nothing(tmp_path: Path) -> None:
    async with autoscaled(tmp_path, Nothing()) as (plane, controller):
        await plane.client.create(deployment("web", 2))
        await plane.client.create(autoscaler("one"))
        await plane.client.create(autoscaler("two"))
        await plane.until(lambda: len(plane.informers.informer("horizontalpodautoscalers.autoscaling")) == 2)
        await controller.start()
        text = "pods by selector app=web are controlled by multiple HPAs: [default/one default/two]"
        await plane.until(lambda: plane.events("AmbiguousSelector") == [text, text])


async def test_size_follows_use(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        use = {"cpu": 90}

        class Meter:
            async def pods(self, namespace, selector):
                return [
                    PodMetrics(pod["metadata"]["name"], plane.clock.now(), 15.0, {"web": dict(use)})
                    for pod in plane.all("pods", namespace)
                    if selector.matches(meta.labels_of(pod))
                ]

        client = plane.client_for("horizontal-pod-autoscaler")
        recorder = EventRecorder(client, "horizontal-pod-autoscaler")
        context = Context(client, plane.informers, plane.clock, recorder, plane.registry)
        controller = HorizontalController(context, Meter())
        await plane.informers.wait_for_sync()
        obj = deployment("web", 2)
        obj["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"memory": "100"}}
        await plane.client.create(obj)
        target = {"type": "Utilization", "averageUtilization": 50}
        await plane.client.create(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                    "minReplicas": 1,
                    "maxReplicas": 5,
                    "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": target}}],
                },
            }
        )
        use["memory"] = 90
        await plane.until(lambda: sum(meta.is_true(p, "Ready") for p in plane.all("pods")) == 2)
        await controller.start()
        await plane.until(lambda: plane.get("deployments.apps", "web")["spec"]["replicas"] == 4)
        await plane.until(lambda: plane.events("SuccessfulRescale"))
        assert plane.events("SuccessfulRescale") == [
            "New size: 4; reason: memory resource utilization (percentage of request) above target"
        ]
        status = plane.get("horizontalpodautoscalers.autoscaling", "web")["status"]
        assert status["desiredReplicas"] == 4
        assert status["currentMetrics"][0]["resource"]["current"]["averageUtilization"] == 90
        conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
        assert conditions["ScalingActive"] == ("True", "ValidMetricFound")
        assert conditions["AbleToScale"] == ("True", "SucceededRescale")
        await controller.stop()
        await recorder.stop()


def scalable() -> dict[str, Any]:
    """The definition of a kind of its own that can be scaled, its selector in its status."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    names = {"plural": "fleets", "singular": "fleet", "kind": "Fleet", "listKind": "FleetList"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"scale": paths},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "fleets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


async def test_custom_resources_are_scaled_and_counted_like_any_workload(tmp_path: Path) -> None:
    class Busy:
        async def pods(self, namespace: str, selector: Any) -> list[PodMetrics]:
            return [
                PodMetrics(meta.name_of(pod), plane.clock.now(), 15.0, {"main": {"memory": 90}})
                for pod in plane.all("pods", namespace)
                if selector.matches(meta.labels_of(pod))
            ]

    async with autoscaled(tmp_path, Busy()) as (plane, controller):
        await plane.client.create(scalable())
        await plane.until(lambda: plane.registry.find("fleets.example.com"))
        fleet = await plane.client.create(
            {
                "apiVersion": "example.com/v1",
                "kind": "Fleet",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"replicas": 2},
                "status": {"replicas": 2, "selector": "app=web"},
            }
        )
        for number in range(2):
            container = {"name": "main", "image": "app:1", "resources": {"requests": {"memory": "100"}}}
            await plane.client.create(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": f"web-{number}",
                        "namespace": "default",
                        "labels": {"app": "web"},
                        "ownerReferences": [meta.controller_reference(fleet)],
                    },
                    "spec": {"containers": [container]},
                }
            )
        await plane.client.create(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": "50%"},
            }
        )
        await plane.until(lambda: sum(meta.is_true(pod, "Ready") for pod in plane.all("pods")) == 2)
        await plane.until(
            lambda: (
                (plane.get("poddisruptionbudgets.policy", "web") or {})
                .get("status", {})
                .get("currentHealthy")
                == 2
            )
        )
        status = plane.get("poddisruptionbudgets.policy", "web")["status"]
        assert (status["expectedPods"], status["disruptionsAllowed"]) == (2, 1)
        target = {"type": "Utilization", "averageUtilization": 50}
        obj = autoscaler("web", kind="Fleet", type="Resource", resource={"name": "memory", "target": target})
        obj["spec"]["scaleTargetRef"]["apiVersion"] = "example.com/v1"
        await plane.client.create(obj)
        await controller.start()
        await plane.until(lambda: plane.get("fleets.example.com", "web")["spec"]["replicas"] == 4)
