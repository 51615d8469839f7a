"""Who owns what after a create, an update or a patch: what the manager changed is its own from then on.

Follows apimachinery ``pkg/util/managedfields/internal`` (fieldmanager, stripmeta, skipnonapplied,
managedfieldsupdater) and apiserver ``pkg/endpoints/handlers/fieldmanager/equality.go``.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from ..clock import format_time
from ..errors import Obj
from ..schema import TypeInfo
from .managers import UPDATE, Key, Managers, decode, is_reset, stored
from .nodes import Node, root_of
from .sets import FieldSet, FieldSetError, difference, from_paths, recursive_difference, union
from .walk import compare

Paths = tuple[tuple[str, ...], ...]
"""Field paths as tuples of names: ``(("status",), ("metadata", "labels"))``."""

_STRIPPED_METADATA: Final = frozenset(
    {
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    }
)
STRIPPED: Final = from_paths(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(("f:metadata", f"f:{name}") for name in sorted(_STRIPPED_METADATA)),
    ]
)
"""Never part of anyone's fields: the server's own, and those that name the object."""

_RESET: Final[dict[str, Paths]] = {
    "": (("status",),),
    "status": (
        ("spec",),
        ("metadata", "labels"),
        ("metadata", "finalizers"),
        ("metadata", "ownerReferences"),
        ("metadata", "deletionTimestamp"),
    ),
}


@lru_cache(maxsize=256)
def _excluded(reset: Paths) -> FieldSet:
    return from_paths([tuple(f"f:{name}" for name in path) for path in reset])


def excluded_for(subresource: str, reset: Paths | None) -> FieldSet:
    """What a request to this subresource can't set, and so can't own."""
    return _excluded(_RESET.get(subresource, ()) if reset is None else reset)


def set_managed_fields(obj: Obj, entries: list[Obj]) -> None:
    """Put the entries into an object that may be changed; no entries, no field."""
    metadata = obj["metadata"]
    if entries:
        metadata["managedFields"] = entries
    else:
        metadata.pop("managedFields", None)


def entries_of(obj: Obj) -> Any:
    """``metadata.managedFields`` as it is."""
    return (obj.get("metadata") or {}).get("managedFields")


def validate_managed_fields(entries: Any) -> str:
    """What is wrong with managedFields a client or a webhook sent; empty when nothing is."""
    try:
        decode(entries or [])
    except FieldSetError as error:
        return str(error)
    return ""


def _managers_of_request(old: Obj | None, new: Obj, subresource: str) -> Managers:
    """Where the managers are taken from: what the client sent, unless it sent none or nonsense."""
    before = entries_of(old) if old is not None else None
    sent = entries_of(new)
    if subresource or sent is None or sent is before or sent == before:
        return stored(before)
    if is_reset(sent):
        return Managers()
    try:
        managers = decode(sent)
    except FieldSetError:
        return stored(before)
    return managers if managers.entries else stored(before)


def track_update(
    old: Obj | None,
    new: Obj,
    type_info: TypeInfo,
    manager: str,
    *,
    now: datetime,
    api_version: str,
    subresource: str = "",
    reset: Paths | None = None,
) -> list[Obj]:
    """The managedFields of ``new`` after ``manager`` made it out of ``old`` (None for create) by anything but apply.

    The manager owns what it changed, beside what it owned; nobody else owns that any more; what was removed is
    nobody's. ``now`` becomes the time of the manager's entry, if it changed anything. Entries that stay as they are
    stay the same objects. An object whose managedFields were reset is not tracked until it is applied to.
    """
    managers = _managers_of_request(old, new, subresource)
    if old is not None and not managers.entries:
        return []
    node = root_of(type_info)
    if old is None and not managers.entries:
        # All that it has, and nobody to take it from.
        mine = recursive_difference(_set_by_creation(new, node), excluded_for(subresource, reset))
        managers.set((manager, UPDATE, api_version, subresource), mine, time=format_time(now))
        return managers.encode()
    changed, removed = compare(node.zero if old is None else old, new, node)
    if not changed and not removed:
        return managers.encode()
    excluded = excluded_for(subresource, reset)
    if excluded:
        changed, removed = recursive_difference(changed, excluded), recursive_difference(removed, excluded)
    if managers.entries and (changed or removed):
        own: Key = (manager, UPDATE, api_version, subresource)
        before = managers.fields(own)
        time = managers.entries[own].get("time") if own in managers.entries else None
        managers.take(changed, removed)
        mine = difference(changed, STRIPPED)
        if mine:
            managers.set(own, union(difference(before, removed), mine), time=format_time(now))
        elif time is not None:
            managers.set(own, managers.fields(own), time=time)
        managers.cap()
    else:
        mine = difference(changed, STRIPPED)
        managers.set((manager, UPDATE, api_version, subresource), mine, time=format_time(now))
    return managers.encode()


def _set_by_creation(new: Obj, node: Node) -> FieldSet:
    """What is new in a new object, without what is nobody's: left out before it is looked at."""
    bare = {name: value for name, value in new.items() if name not in ("apiVersion", "kind")}
    metadata = bare.get("metadata")
    if isinstance(metadata, dict):
        bare["metadata"] = {name: value for name, value in metadata.items() if name not in _STRIPPED_METADATA}
    changed, _ = compare(node.zero, bare, node)
    if "f:metadata" in changed:
        changed = difference(changed, STRIPPED)
    return changed


def is_noop(old: Obj, new: Obj) -> bool:
    """Whether storing ``new`` over ``old`` would change nothing but resourceVersion and the times of entries."""
    if old is new:
        return True
    if old.keys() != new.keys():
        return False
    for key, value in new.items():
        if key != "metadata" and old[key] is not value and old[key] != value:
            return False
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    for key in before.keys() | after.keys():
        if key not in ("resourceVersion", "managedFields") and before.get(key) != after.get(key):
            return False
    entries, others = before.get("managedFields") or [], after.get("managedFields") or []
    if entries is others:
        return True
    if len(entries) != len(others):
        return False
    timeless = {_timeless_key(entry): entry.get("fieldsV1") for entry in entries}
    return all(
        (fields := timeless.get(_timeless_key(entry))) is entry.get("fieldsV1")
        or (fields is not None and fields == entry.get("fieldsV1"))
        for entry in others
    )


def _timeless_key(entry: Obj) -> tuple[str, ...]:
    names = ("manager", "operation", "apiVersion", "subresource")
    return tuple([entry.get(name, "") for name in names])
