from __future__ import annotations

from pathlib import Path

from control_plane import control_plane, deployment

from runtime.client import EventRecorder
from runtime.controllers.context import Context
from runtime.controllers.hpa import HorizontalController
from runtime.controllers.hpa_math import PodMetrics
from runtime.objects import meta


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
