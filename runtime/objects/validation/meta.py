"""The rules of ObjectMeta and of label selectors.

Follows apimachinery ``api/validation/objectmeta.go`` and ``apis/meta/v1/validation/validation.go``. What the API
itself sets or keeps (uid, timestamps) is compared all the same: it costs nothing and catches our own mistakes.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import orjson

from ..errors import FieldError, Obj, duplicate, forbidden_field, invalid, required, too_long
from ..selectors import label_key_errors, label_value_errors
from .names import IMMUTABLE, NEGATIVE, NameCheck, label, subdomain_name

Errors = list[FieldError]
ANNOTATIONS_LIMIT = 256 * 1024
_IMMUTABLE = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def add(errors: Errors, field: str, value: Any, sentences: Sequence[str]) -> None:
    """Every sentence as an "Invalid value" of one field."""
    for sentence in sentences:
        errors.append(invalid(field, value, sentence))


def check_labels(labels: dict[str, str] | None, path: str, errors: Errors) -> None:
    """Keys and values of labels (``ValidateLabels``)."""
    for key, value in (labels or {}).items():
        if found := label_key_errors(key):
            add(errors, path, key, found)
        if found := label_value_errors(value):
            add(errors, path, value, found)


def check_annotations(annotations: dict[str, str] | None, path: str, errors: Errors) -> None:
    """Keys, and the size of all together (``ValidateAnnotations``)."""
    if not annotations:
        return
    size = 0
    for key, value in annotations.items():
        if found := label_key_errors(key.lower()):
            add(errors, path, key, found)
        size += len(key) + len(value)
    if size > ANNOTATIONS_LIMIT // 4:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        if size > ANNOTATIONS_LIMIT:
            errors.append(too_long(path, "", ANNOTATIONS_LIMIT))


def check_owners(owners: list[Obj] | None, path: str, errors: Errors) -> None:
    """Owner references: complete, and one controller at most."""
    controller = ""
    for owner in owners or ():
        version, kind = owner.get("apiVersion") or "", owner.get("kind") or ""
        if not version.rpartition("/")[2]:
            errors.append(invalid(f"{path}.apiVersion", version, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                errors.append(invalid(f"{path}.{name}", owner.get(name) or "", "must not be empty"))
        if version == "v1" and kind == "Event":
            errors.append(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            current = f"{kind}/{owner.get('name') or ''}"
            if controller:
                sentence = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {current}"
                )
                errors.append(invalid(path, owners, sentence))
            controller = current


def check_finalizers(finalizers: list[str] | None, path: str, errors: Errors) -> None:
    """Names of finalizers, and the two that exclude each other."""
    if not finalizers:
        return
    for finalizer in finalizers:
        add(errors, path, finalizer, label_key_errors(finalizer))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        sentence = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid(path, finalizers, sentence))


def check_managed_fields(entries: list[Obj] | None, path: str, errors: Errors) -> None:
    """Operation and type of each entry (``ValidateManagedFields``)."""
    for index, entry in enumerate(entries or ()):
        if entry.get("operation") not in ("Apply", "Update"):
            errors.append(
                invalid(
                    f"{path}[{index}].operation", entry.get("operation") or "", "must be `Apply` or `Update`"
                )
            )
        if entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            errors.append(invalid(f"{path}[{index}].fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
        if len(entry.get("manager") or "") > 128:
            errors.append(too_long(f"{path}[{index}].manager", "", 128))


def _common(meta: Obj, path: str, errors: Errors) -> None:
    check_labels(meta.get("labels"), f"{path}.labels", errors)
    check_annotations(meta.get("annotations"), f"{path}.annotations", errors)
    if "ownerReferences" in meta:
        check_owners(meta["ownerReferences"], f"{path}.ownerReferences", errors)
    if "managedFields" in meta:
        check_managed_fields(meta["managedFields"], f"{path}.managedFields", errors)


def check_meta(
    obj: Obj,
    errors: Errors,
    *,
    namespaced: bool = True,
    name: NameCheck = subdomain_name,
    path: str = "metadata",
) -> None:
    """ObjectMeta of a new object (``ValidateObjectMeta``).

    Args:
        obj: the object whose metadata is checked.
        errors: receives what is wrong.
        namespaced: whether it must have a namespace or must not.
        name: the format of this kind's names.
        path: where the metadata stands.
    """
    meta = obj.get("metadata") or {}
    if meta.get("generateName"):
        add(errors, f"{path}.generateName", meta["generateName"], name(meta["generateName"], True))
    if not meta.get("name"):
        errors.append(required(f"{path}.name", "name or generateName is required"))
    elif found := name(meta["name"], False):
        add(errors, f"{path}.name", meta["name"], found)
    namespace = meta.get("namespace")
    if namespaced:
        if not namespace:
            errors.append(required(f"{path}.namespace"))
        elif found := label(namespace):
            add(errors, f"{path}.namespace", namespace, found)
    elif namespace:
        errors.append(forbidden_field(f"{path}.namespace", "not allowed on this type"))
    if meta.get("generation", 0) < 0:
        errors.append(invalid(f"{path}.generation", meta["generation"], NEGATIVE))
    _common(meta, path, errors)
    if "finalizers" in meta:
        check_finalizers(meta["finalizers"], f"{path}.finalizers", errors)


def check_meta_update(new: Obj, old: Obj, errors: Errors, path: str = "metadata") -> None:
    """ObjectMeta of a changed object (``ValidateObjectMetaUpdate``)."""
    meta, before = new["metadata"], old["metadata"]
    if before.get("deletionTimestamp"):
        extra = sorted(set(meta.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if extra:
            listed = ", ".join(f'"{name}"' for name in extra)
            errors.append(
                forbidden_field(
                    f"{path}.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    f"[]string{{{listed}}}",
                )
            )
    if not meta.get("resourceVersion"):
        errors.append(invalid(f"{path}.resourceVersion", "", "must be specified for an update"))
    if meta.get("generation", 0) < before.get("generation", 0):
        errors.append(invalid(f"{path}.generation", meta.get("generation", 0), "must not be decremented"))
    for name in _IMMUTABLE:
        if meta.get(name) != before.get(name):
            errors.append(invalid(f"{path}.{name}", meta.get(name), IMMUTABLE))
    _common(meta, path, errors)


def check_selector(selector: Obj | None, path: str, errors: Errors) -> None:
    """A LabelSelector (``ValidateLabelSelector``)."""
    if not selector:
        return
    check_labels(selector.get("matchLabels"), f"{path}.matchLabels", errors)
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        place = f"{path}.matchExpressions[{index}]"
        values = term.get("values") or ()
        match term.get("operator"):
            case "In" | "NotIn":
                if not values:
                    sentence = "must be specified when `operator` is 'In' or 'NotIn'"
                    errors.append(required(f"{place}.values", sentence))
            case "Exists" | "DoesNotExist":
                if values:
                    sentence = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    errors.append(forbidden_field(f"{place}.values", sentence))
            case other:
                errors.append(invalid(f"{place}.operator", other or "", "not a valid selector operator"))
        add(errors, f"{place}.key", term.get("key") or "", label_key_errors(term.get("key") or ""))
        for number, value in enumerate(values):
            add(errors, f"{place}.values[{number}]", value, label_value_errors(value))


def immutable(new: Any, old: Any, path: str, errors: Errors) -> None:
    """The field must be what it was (``ValidateImmutableField``)."""
    if new != old:
        errors.append(invalid(path, new, IMMUTABLE))


def non_negative(value: int | None, path: str, errors: Errors) -> None:
    """Zero or more (``ValidateNonnegativeField``)."""
    if value is not None and value < 0:
        errors.append(invalid(path, value, NEGATIVE))


def unsupported(path: str, value: Any, supported: Sequence[str]) -> FieldError:
    """None of the enumeration's values, which are listed in the order upstream lists them."""
    return FieldError("FieldValueNotSupported", path, "", value, tuple(supported))


def one_of(
    value: str | None, supported: Sequence[str], path: str, errors: Errors, needed: bool = True
) -> None:
    """One of an enumeration; ``needed`` says whether it may be absent."""
    if not value:
        if needed:
            errors.append(required(path))
    elif value not in supported:
        errors.append(unsupported(path, value, supported))


def check_conditions(conditions: list[Obj] | None, path: str, errors: Errors) -> None:
    """A list of metav1.Condition (``ValidateConditions``)."""
    seen: set[str] = set()
    for index, condition in enumerate(conditions or ()):
        kind = condition.get("type") or ""
        place = f"{path}[{index}]"
        if kind in seen:
            errors.append(duplicate(f"{place}.type", kind))
        seen.add(kind)
        add(errors, f"{place}.type", kind, label_key_errors(kind))
        if condition.get("status") not in ("True", "False", "Unknown"):
            supported = ("False", "True", "Unknown")
            errors.append(unsupported(f"{place}.status", condition.get("status") or "", supported))
        for name in ("lastTransitionTime", "reason"):
            if not condition.get(name):
                errors.append(required(f"{place}.{name}"))


def difference(new: Obj, old: Obj) -> str:
    """What changed, line by line."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    before, after = (orjson.dumps(one, option=option).decode().splitlines() for one in (old, new))
    lines = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
    return "\n".join(line for line in lines if not line.startswith("@@"))
