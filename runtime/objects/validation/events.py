"""The rules of events, old and new (pkg/apis/core/validation/events.go).

Events written through events.k8s.io/v1 have to be complete; those written through the core group only have to stand
in the right namespace.
"""

from __future__ import annotations

from ..errors import Obj, invalid, required
from .meta import Errors, add, check_meta, check_meta_update, immutable, one_of
from .names import subdomain

DEFAULT = "default"
SYSTEM = "kube-system"
NOTE_LIMIT = 1024
NAME_LIMIT = 128


def _involved(obj: Obj, involved: Obj, path: str, errors: Errors) -> None:
    namespace = (obj.get("metadata") or {}).get("namespace") or ""
    about = involved.get("namespace") or ""
    if not about:
        if namespace not in ("", DEFAULT, SYSTEM):
            errors.append(invalid(f"{path}.namespace", about, "does not match event.namespace"))
    elif namespace != about:
        errors.append(invalid(f"{path}.namespace", about, "does not match event.namespace"))
    if namespace:
        add(errors, "metadata.namespace", namespace, subdomain(namespace))


def check_event(obj: Obj) -> Errors:
    """A new core event."""
    errors: Errors = []
    check_meta(obj, errors)
    _involved(obj, obj.get("involvedObject") or {}, "involvedObject", errors)
    return errors


def check_event_update(new: Obj, old: Obj) -> Errors:
    """A core event that happened again."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _involved(new, new.get("involvedObject") or {}, "involvedObject", errors)
    return errors


def _complete(obj: Obj, errors: Errors) -> None:
    controller, instance = obj.get("reportingController") or "", obj.get("reportingInstance") or ""
    if not controller:
        errors.append(required("reportingController"))
    if not instance:
        errors.append(required("reportingInstance"))
    elif len(instance) > NAME_LIMIT:
        sentence = f"can have at most {NAME_LIMIT} characters"
        errors.append(invalid("reportingInstance", "", sentence))
    for name in ("action", "reason"):
        value = obj.get(name) or ""
        if not value:
            errors.append(required(name))
        elif len(value) > NAME_LIMIT:
            errors.append(invalid(name, "", f"can have at most {NAME_LIMIT} characters"))
    if len(obj.get("note") or "") > NOTE_LIMIT:
        errors.append(invalid("message", "", f"can have at most {NOTE_LIMIT} characters"))
    one_of(obj.get("type") or "-", ("Normal", "Warning"), "type", errors)
    series = obj.get("series")
    if series is not None and series.get("count", 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))


def check_event_v1(obj: Obj) -> Errors:
    """A new events.k8s.io event."""
    errors: Errors = []
    check_meta(obj, errors)
    _involved(obj, obj.get("regarding") or {}, "involvedObject", errors)
    if not obj.get("eventTime"):
        errors.append(required("eventTime"))
    _complete(obj, errors)
    for name, shown in (
        ("deprecatedCount", "count"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedSource", "source"),
    ):
        if obj.get(name):
            errors.append(invalid(shown, "", "needs to be unset"))
    return errors


def check_event_v1_update(new: Obj, old: Obj) -> Errors:
    """A changed events.k8s.io event: only its series goes on."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    for name, shown in (
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("eventTime", "eventTime"),
        ("type", "type"),
    ):
        immutable(new.get(name), old.get(name), shown, errors)
    return errors
