from __future__ import annotations

from pathlib import Path

from control_plane import control_plane

from runtime.controllers.podgc import PodGCController, is_out_of_service, removal_rank
from runtime.objects.errors import Obj
from runtime.objects.meta import name_of

OUT = [{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]


def _node(ready: str, taints: list[Obj]) -> Obj:
    return {"spec": {"taints": taints}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_only_a_node_that_is_down_is_out_of_service() -> None:
    assert is_out_of_service(_node("Unknown", OUT))
    assert is_out_of_service(_node("False", OUT))
    assert not is_out_of_service(_node("True", OUT))
    assert not is_out_of_service(_node("Unknown", []))


def test_evicted_pods_go_before_older_ones() -> None:
    pods = [
        {
            "metadata": {"name": "old", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"phase": "Failed"},
        },
        {
            "metadata": {"name": "evicted", "creationTimestamp": "2026-01-02T00:00:00Z"},
            "status": {"phase": "Failed", "reason": "Evicted"},
        },
    ]
    assert [name_of(pod) for pod in sorted(pods, key=removal_rank)] == ["evicted", "old"]


async def test_a_pod_without_a_node_is_failed_before_it_goes(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        seen: list[str] = []
        plane.informers.pods().add_handler(
            lambda deltas: seen.extend((d.obj.get("status") or {}).get("phase", "") for d in deltas)
        )
        pod: Obj = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "held", "namespace": "default", "finalizers": ["example.com/hold"]},
            "spec": {"containers": [{"name": "main", "image": "app:1"}], "nodeSelector": {"no": "where"}},
        }
        await plane.client.create(pod)
        await plane.client.delete("pods", "held", "default")
        await plane.until(lambda: plane.informers.pods().get("default/held"))
        controller = next(c for c in plane.manager.controllers if isinstance(c, PodGCController))
        await plane.until(
            lambda: "deletionTimestamp" in plane.informers.pods().get("default/held")["metadata"]
        )
        await controller.collect()
        found = plane.get("pods", "held")
        assert found is not None
        assert found["status"]["phase"] == "Failed"
        await plane.until(lambda: "Failed" in seen)
