"""Conditions of Deployments and ReplicaSets: a list in ``status`` with one entry per type.

After ``deployment/util/deployment_util.go``. The ``set`` and ``remove`` functions change a status the caller owns.
"""

from __future__ import annotations

from datetime import datetime

from runtime.objects.clock import format_time
from runtime.objects.errors import Obj


def get_condition(status: Obj, kind: str) -> Obj | None:
    """A condition of a status by type."""
    for entry in status.get("conditions") or ():
        if entry.get("type") == kind:
            found: Obj = entry
            return found
    return None


def new_condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Obj:
    """A Deployment condition that changed now."""
    moment = format_time(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def set_condition(status: Obj, condition: Obj) -> None:
    """Replace the condition of its type, unless status and reason are what they were."""
    current = get_condition(status, condition["type"])
    if current is not None and current["status"] == condition["status"]:
        if current.get("reason") == condition["reason"]:
            return
        condition = {**condition, "lastTransitionTime": current.get("lastTransitionTime")}
    remove_condition(status, condition["type"])
    status["conditions"].append(condition)


def remove_condition(status: Obj, kind: str) -> None:
    """Drop the condition of this type."""
    status["conditions"] = [entry for entry in status.get("conditions") or () if entry.get("type") != kind]
