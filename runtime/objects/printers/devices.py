"""Tables of dynamic resource allocation. Follows kubernetes ``pkg/printers/internalversion/printers.go``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..errors import Obj
from .table import AGE, NAME, age, name_of, part, prints, text

_GROUP = "resource.k8s.io"


@prints((_GROUP, "DeviceClass"), (_GROUP, "ResourceClaimTemplate"), columns=(NAME, AGE))
def _plain(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), age(obj, now)]


def claim_state(obj: Obj) -> str:
    """What became of a claim: ``pending``, ``allocated``, ``allocated,reserved``, ``deleted,…``."""
    deleted = bool(part(obj, "metadata").get("deletionTimestamp"))
    status = part(obj, "status")
    found = ["deleted"] if deleted else []
    if status.get("allocation") is None:
        found += [] if deleted else ["pending"]
    else:
        found += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    return ",".join(found)


@prints(
    (_GROUP, "ResourceClaim"),
    columns=(
        NAME,
        text("State", "A summary of the current state (allocated, pending, reserved, etc.)."),
        AGE,
    ),
)
def _claim(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), claim_state(obj), age(obj, now)]


@prints(
    (_GROUP, "ResourceSlice"),
    columns=(
        NAME,
        text("Node", "The node providing the resource."),
        text("Driver", "The driver that published the resource."),
        text("Pool", "The pool that the resource belongs to."),
        AGE,
    ),
)
def _slice(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    node = spec.get("nodeName")
    return [
        name_of(obj),
        "<unset>" if node is None else node,
        spec.get("driver", ""),
        part(spec, "pool").get("name", ""),
        age(obj, now),
    ]
