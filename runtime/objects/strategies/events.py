"""events.k8s.io/v1: the same stored events as the core group's, under newer names.

Follows pkg/apis/core/v1/conversion.go and pkg/apis/events/v1/conversion.go.
"""

from __future__ import annotations

from ..errors import Obj
from ..validation.events import check_event_v1, check_event_v1_update
from .base import KindStrategy

_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_LEFT_OUT = ("reportingController", "reportingInstance")
"""What the core group always writes, and this one only when it is not empty."""
_CORE_NAMES = {new: old for old, new in _NAMES.items()}


def event_v1_from_core(event: Obj) -> Obj:
    """The events.k8s.io/v1 view of a stored core event."""
    found = {_NAMES.get(name, name): value for name, value in event.items()}
    found["apiVersion"] = "events.k8s.io/v1"
    for name in _LEFT_OUT:
        if not found.get(name):
            found.pop(name, None)
    return found


def core_event_from_v1(event: Obj) -> Obj:
    """What is stored of an events.k8s.io/v1 event."""
    core = {_CORE_NAMES.get(name, name): value for name, value in event.items()}
    core["apiVersion"] = "v1"
    core.setdefault("involvedObject", {})
    core.setdefault("source", {})
    for name in _LEFT_OUT:
        core.setdefault(_CORE_NAMES.get(name, name), "")
    return core


EVENTS_V1 = KindStrategy(check=check_event_v1, compare=check_event_v1_update, create_on_update=True)
