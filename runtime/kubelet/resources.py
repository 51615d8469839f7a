"""Quantities and quality of service, as the kubelet needs them: cores, bytes and three classes.

QoS follows ``pkg/apis/core/v1/helper/qos/qos.go``, the OOM score ``pkg/kubelet/qos/policy.go``.
"""

from __future__ import annotations

from typing import Any

from runtime.objects.errors import Obj
from runtime.objects.quantity import NANO, parse
from runtime.podman.interface import Limits


def cores(quantity: Any) -> float:
    """CPU in cores."""
    return parse(quantity).nano / NANO


def bytes_of(quantity: Any) -> int:
    """Memory or storage in bytes, rounded up."""
    return parse(quantity).value


def limits_of(resources: Obj) -> Limits:
    """A container's ``resources`` as the runtime takes them."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return Limits(
        cpu_request=cores(requests["cpu"]) if "cpu" in requests else 0.0,
        cpu_limit=cores(limits["cpu"]) if "cpu" in limits else 0.0,
        memory_limit=bytes_of(limits["memory"]) if "memory" in limits else 0,
    )


def ceil_divide(value: float, divisor: str) -> int:
    """How many times ``divisor`` fits into ``value``, rounded up."""
    return -(-round(value * NANO) // parse(divisor).nano)


def qos_class(pod: Obj) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``; init containers count, ephemeral ones do not."""
    spec = pod["spec"]
    pod_level = spec.get("resources")
    if pod_level and (pod_level.get("requests") or pod_level.get("limits")):
        return _class_of([pod_level])
    return _class_of(
        [entry.get("resources") or {} for entry in (*(spec.get("initContainers") or ()), *spec["containers"])]
    )


def _class_of(resources: list[Obj]) -> str:
    any_set = False
    guaranteed = True
    for entry in resources:
        requests, limits = entry.get("requests"), entry.get("limits")
        if not requests and not limits:
            guaranteed = False
            continue
        for name in ("cpu", "memory"):
            request = (requests or {}).get(name)
            limit = (limits or {}).get(name)
            asked = parse(request).nano if request is not None else 0
            allowed = parse(limit).nano if limit is not None else 0
            if asked or allowed:
                any_set = True
            if not allowed or (request is not None and asked != allowed):
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def oom_score_adj(pod: Obj, container: Obj, quality: str, memory_capacity: int) -> int:
    """How willingly the kernel kills this container when memory is short (-997 … 1000)."""
    if quality == "Guaranteed" or pod["spec"].get("priorityClassName") == "system-node-critical":
        return -997
    if quality == "BestEffort":
        return 1000
    request = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    used = bytes_of(request) if request is not None else 0
    score = 1000 - (1000 * used) // max(1, memory_capacity)
    return max(3, min(999, score))
