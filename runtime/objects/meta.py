"""Reading ObjectMeta: the few questions every part asks of an object, asked in one place.

Nothing here changes an object. ``copy`` is the only way to get something that may be changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from .clock import parse_time
from .errors import Obj


def copy(obj: Obj) -> Obj:
    """A deep copy that may be changed. JSON in, JSON out: about three times as fast as ``copy.deepcopy``."""
    result: Obj = orjson.loads(orjson.dumps(obj))
    return result


def name_of(obj: Obj) -> str:
    """``metadata.name``, or an empty string."""
    return str(obj.get("metadata", {}).get("name") or "")


def namespace_of(obj: Obj) -> str:
    """``metadata.namespace``, or an empty string."""
    return str(obj.get("metadata", {}).get("namespace") or "")


def uid_of(obj: Obj) -> str:
    """``metadata.uid``, or an empty string."""
    return str(obj.get("metadata", {}).get("uid") or "")


def version_of(obj: Obj) -> str:
    """``metadata.resourceVersion``, or an empty string."""
    return str(obj.get("metadata", {}).get("resourceVersion") or "")


def key_of(obj: Obj) -> str:
    """``namespace/name``, or ``name`` for what has no namespace: the key of caches and work queues."""
    meta = obj.get("metadata", {})
    namespace = meta.get("namespace")
    return f"{namespace}/{meta.get('name', '')}" if namespace else str(meta.get("name", ""))


def split_key(key: str) -> tuple[str, str]:
    """The namespace (may be empty) and name of a :func:`key_of` key."""
    namespace, slash, name = key.rpartition("/")
    return (namespace, name) if slash else ("", key)


def labels_of(obj: Obj) -> dict[str, str]:
    """``metadata.labels``; not to be changed."""
    return obj.get("metadata", {}).get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    """``metadata.annotations``; not to be changed."""
    return obj.get("metadata", {}).get("annotations") or {}


def owners_of(obj: Obj) -> list[Obj]:
    """``metadata.ownerReferences``; not to be changed."""
    return obj.get("metadata", {}).get("ownerReferences") or []


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with ``controller: true``, if any."""
    for reference in owners_of(obj):
        if reference.get("controller"):
            return reference
    return None


def controller_reference(owner: Obj) -> Obj:
    """An owner reference that makes ``owner`` the managing controller (metav1.NewControllerRef)."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def observed(obj: Obj) -> Obj:
    """What a condition says of the generation it is about: its ``observedGeneration``, where the object has one."""
    generation = obj["metadata"].get("generation")
    return {"observedGeneration": generation} if generation else {}


def is_deleting(obj: Obj) -> bool:
    """Whether ``metadata.deletionTimestamp`` is set."""
    return bool(obj.get("metadata", {}).get("deletionTimestamp"))


def finalizers_of(obj: Obj) -> list[str]:
    """``metadata.finalizers``; not to be changed."""
    return obj.get("metadata", {}).get("finalizers") or []


def created_at(obj: Obj) -> datetime | None:
    """``metadata.creationTimestamp`` as aware UTC, or None."""
    text = obj.get("metadata", {}).get("creationTimestamp")
    return parse_time(text) if text else None


def condition(obj: Obj, kind: str) -> Obj | None:
    """The entry of ``status.conditions`` with this type, if any."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            found: Obj = entry
            return found
    return None


def is_true(obj: Obj, kind: str) -> bool:
    """Whether the condition of this type is there and ``"True"``."""
    entry = condition(obj, kind)
    return bool(entry) and entry is not None and entry.get("status") == "True"


def dig(obj: Any, *path: str | int, default: Any = None) -> Any:
    """A value deep inside, or ``default`` where any step is missing."""
    for step in path:
        try:
            obj = obj[step]
        except (KeyError, IndexError, TypeError):
            return default
        if obj is None:
            return default
    return obj
