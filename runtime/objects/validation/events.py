"""The rules of events, old and new (pkg/apis/core/validation/events.go).

An event that has an ``eventTime`` has to say what happened and who saw it, whichever group it is written through;
one that has none only has to stand in the right namespace. What events.k8s.io/v1 asks on top, it asks of new events.
Upstream means to keep an event's fields from changing, but its strategy compares the new event with itself
(registry/core/event/strategy.go ``ValidateUpdate``), and its conformance tests rely on what follows from that.
"""

from __future__ import annotations

from ..errors import Obj, invalid, required
from ..selectors import label_key_errors
from .meta import Errors, add, check_meta, check_meta_update
from .names import path_segment_name, subdomain

DEFAULT = "default"
SYSTEM = "kube-system"
NOTE_LIMIT = 1024
NAME_LIMIT = 128


def _legacy(obj: Obj, involved: Obj, controller: str, note: str, errors: Errors) -> None:
    namespace = (obj.get("metadata") or {}).get("namespace") or ""
    about = involved.get("namespace") or ""
    timed = bool(obj.get("eventTime"))
    if about:
        fits = timed or namespace == about
    else:
        fits = namespace in ((DEFAULT, SYSTEM) if timed else ("", DEFAULT))
    if not fits:
        errors.append(invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if timed:
        _complete(obj, controller, note, errors)
    if namespace:
        add(errors, "namespace", namespace, subdomain(namespace))


def _complete(obj: Obj, controller: str, note: str, errors: Errors) -> None:
    if not controller:
        errors.append(required("reportingController"))
    add(errors, "reportingController", controller, label_key_errors(controller))
    for name in ("reportingInstance", "action", "reason"):
        value = obj.get(name) or ""
        if not value:
            errors.append(required(name))
        elif len(value.encode()) > NAME_LIMIT:
            errors.append(invalid(name, "", f"can have at most {NAME_LIMIT} characters"))
    if len(note.encode()) > NOTE_LIMIT:
        errors.append(invalid("message", "", f"can have at most {NOTE_LIMIT} characters"))


def _legacy_core(obj: Obj, errors: Errors) -> None:
    involved, note = obj.get("involvedObject") or {}, obj.get("message") or ""
    _legacy(obj, involved, obj.get("reportingComponent") or "", note, errors)


def _legacy_v1(obj: Obj, errors: Errors) -> None:
    involved, note = obj.get("regarding") or {}, obj.get("note") or ""
    _legacy(obj, involved, obj.get("reportingController") or "", note, errors)


def check_event(obj: Obj) -> Errors:
    """A new core event."""
    errors: Errors = []
    check_meta(obj, errors, name=path_segment_name)
    _legacy_core(obj, errors)
    return errors


def check_event_update(new: Obj, old: Obj) -> Errors:
    """A core event that happened again."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _legacy_core(new, errors)
    return errors


def check_event_v1(obj: Obj) -> Errors:
    """A new events.k8s.io event."""
    errors: Errors = []
    _legacy_v1(obj, errors)
    check_meta(obj, errors)
    series = obj.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            errors.append(invalid("series.count", "", "should be at least 2"))
        if not series.get("lastObservedTime"):
            errors.append(required("series.lastObservedTime"))
    if not obj.get("eventTime"):
        errors.append(required("eventTime"))
    kind = obj.get("type") or ""
    if kind not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {kind}"))
    for name, shown in (
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("deprecatedSource", "source"),
    ):
        if obj.get(name):
            errors.append(invalid(shown, "", "needs to be unset"))
    return errors


def check_event_v1_update(new: Obj, old: Obj) -> Errors:
    """A changed events.k8s.io event."""
    errors: Errors = []
    _legacy_v1(new, errors)
    check_meta_update(new, old, errors)
    return errors
