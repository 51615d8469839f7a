"""HorizontalPodAutoscalers, stored as autoscaling/v2 and shown as autoscaling/v1 too.

What v1 has no field for travels in annotations, as upstream's conversion does it
(pkg/apis/autoscaling/v1/conversion.go), so that a v1 client that writes back what it read loses nothing.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..defaults.workloads import default_autoscaler_v1, default_autoscaler_v2
from ..errors import Obj
from ..validation.autoscaling import check_autoscaler, check_autoscaler_status, check_autoscaler_update
from .base import KindStrategy

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_SPEC = ("scaleTargetRef", "minReplicas", "maxReplicas")
_STATUS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")


def _is_cpu(metric: Obj, part: str, member: str) -> bool:
    """Whether a metric is the average CPU utilization, which v1 has a field for."""
    resource = metric.get("resource") or {}
    value = (resource.get(part) or {}).get(member)
    return metric.get("type") == "Resource" and resource.get("name") == "cpu" and value is not None


def _split(metrics: list[Obj], part: str) -> tuple[int | None, list[Obj]]:
    """The CPU utilization, and the other metrics."""
    value: int | None = None
    others: list[Obj] = []
    for metric in metrics:
        if value is None and _is_cpu(metric, part, "averageUtilization"):
            value = metric["resource"][part]["averageUtilization"]
        else:
            others.append(metric)
    return value, others


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def hpa_v1_from_v2(obj: Obj) -> Obj:
    """The v1 view of a stored autoscaler."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    annotations: dict[str, str] = {}
    new_spec = {name: spec[name] for name in _SPEC if name in spec}
    target, others = _split(spec.get("metrics") or [], "target")
    if target is not None:
        new_spec["targetCPUUtilizationPercentage"] = target
    if others:
        annotations[METRICS] = _text(others)
    if spec.get("behavior"):
        annotations[BEHAVIOR] = _text(spec["behavior"])
    new_status = {name: status[name] for name in _STATUS if name in status}
    new_status.setdefault("currentReplicas", 0)
    new_status.setdefault("desiredReplicas", 0)
    if status.get("currentMetrics"):
        current, _ = _split(status["currentMetrics"], "current")
        if current is not None:
            new_status["currentCPUUtilizationPercentage"] = current
        annotations[CURRENT_METRICS] = _text(status["currentMetrics"])
    if status.get("conditions"):
        annotations[CONDITIONS] = _text(status["conditions"])
    metadata = obj.get("metadata") or {}
    if annotations:
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}}
    return {
        **obj,
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": new_spec,
        "status": new_status,
    }


def _from_annotation(annotations: dict[str, str], name: str) -> Any:
    """What an annotation of ours holds; nothing where somebody broke it."""
    text = annotations.pop(name, None)
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def hpa_v2_from_v1(obj: Obj) -> Obj:
    """What is stored of a v1 autoscaler."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    new_spec = {name: spec[name] for name in _SPEC if name in spec}
    metrics: list[Obj] = []
    if spec.get("targetCPUUtilizationPercentage") is not None:
        target = {"type": "Utilization", "averageUtilization": spec["targetCPUUtilizationPercentage"]}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    metrics += _from_annotation(annotations, METRICS) or []
    if metrics:
        new_spec["metrics"] = metrics
    if behavior := _from_annotation(annotations, BEHAVIOR):
        new_spec["behavior"] = behavior
    new_status = {name: status[name] for name in _STATUS if name in status}
    new_status.setdefault("desiredReplicas", 0)
    new_status["currentMetrics"] = _from_annotation(annotations, CURRENT_METRICS)
    new_status["conditions"] = _from_annotation(annotations, CONDITIONS)
    new_status = {name: value for name, value in new_status.items() if value is not None}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    new = {
        **obj,
        "apiVersion": "autoscaling/v2",
        "metadata": metadata,
        "spec": new_spec,
        "status": new_status,
    }
    default_autoscaler_v2(new)
    return new


HPA_V2 = KindStrategy(
    default=default_autoscaler_v2,
    check=check_autoscaler,
    compare=check_autoscaler_update,
    compare_status=check_autoscaler_status,
    status="autoscaling.v2.HorizontalPodAutoscalerStatus",
)
HPA_V1 = KindStrategy(
    default=default_autoscaler_v1,
    check=check_autoscaler,
    compare=check_autoscaler_update,
    compare_status=check_autoscaler_status,
    status="autoscaling.v1.HorizontalPodAutoscalerStatus",
)
