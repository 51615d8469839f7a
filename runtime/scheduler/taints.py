"""Taints and tolerations, as the scheduler, the node controllers and DaemonSets compare them. Pure functions.

After ``component-helpers/scheduling/corev1/helpers.go`` and ``api/core/v1/toleration.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runtime.objects.errors import Obj

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def tolerates(toleration: Obj, taint: Obj) -> bool:
    """Whether one toleration covers one taint."""
    effect = toleration.get("effect")
    if effect and effect != taint.get("effect"):
        return False
    key = toleration.get("key")
    if key and key != taint.get("key"):
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")
        case "Lt" | "Gt" as operator:
            ours, theirs = _number(toleration.get("value") or ""), _number(taint.get("value") or "")
            if ours is None or theirs is None:
                return False
            return theirs < ours if operator == "Lt" else theirs > ours
    return False


def tolerated(tolerations: Iterable[Obj], taint: Obj) -> bool:
    """Whether any of the tolerations covers the taint."""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def untolerated(taints: Sequence[Obj], tolerations: Sequence[Obj], effects: Sequence[str]) -> Obj | None:
    """The first taint with one of these effects that nothing covers."""
    for taint in taints:
        if taint.get("effect") in effects and not tolerated(tolerations, taint):
            return taint
    return None


def eviction_delay(taints: Sequence[Obj], tolerations: Sequence[Obj]) -> float | None:
    """How long a pod may stay on a node with these NoExecute taints.

    Returns:
        0 when it has to go now, None when it may stay for good, else the smallest ``tolerationSeconds`` used.
    """
    shortest: float | None = None
    for taint in taints:
        used = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if not used:
            return 0.0
        for toleration in used:
            seconds = toleration.get("tolerationSeconds")
            if seconds is None:
                continue
            if seconds <= 0:
                return 0.0
            if shortest is None or seconds < shortest:
                shortest = float(seconds)
    return shortest
