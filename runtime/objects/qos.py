"""A pod's quality of service class, computed from its containers' cpu and memory.

Follows pkg/apis/core/v1/helper/qos/qos.go (``ComputePodQOS``). The API sets it on create, the kubelet and eviction
read it.
"""

from __future__ import annotations

from collections.abc import Iterable

from .errors import Obj
from .quantity import Quantity, parse

GUARANTEED = "Guaranteed"
BURSTABLE = "Burstable"
BEST_EFFORT = "BestEffort"
_COUNTED = ("cpu", "memory")


def _sum(total: dict[str, Quantity], amounts: Obj | None) -> set[str]:
    """Add the counted, non-zero amounts; the names that were there."""
    found: set[str] = set()
    for name in _COUNTED:
        text = (amounts or {}).get(name)
        if text is not None and (amount := parse(text)).nano > 0:
            total[name] = total[name] + amount if name in total else amount
            found.add(name)
    return found


def _holders(spec: Obj) -> Iterable[Obj]:
    if spec.get("resources"):
        return (spec,)  # pod-level resources decide alone
    return (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))


def qos_class(pod: Obj) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``."""
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    guaranteed = True
    for holder in _holders(pod.get("spec") or {}):
        resources = holder.get("resources")
        if not resources:
            guaranteed = False
            continue
        _sum(requests, resources.get("requests"))
        if len(_sum(limits, resources.get("limits"))) != len(_COUNTED):
            guaranteed = False
    if not requests and not limits:
        return BEST_EFFORT
    if guaranteed and len(requests) == len(limits) and all(limits[n] == requests[n] for n in requests):
        return GUARANTEED
    return BURSTABLE
