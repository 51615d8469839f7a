"""Reading Kubernetes JSON without tripping over what is not there.

Objects are plain dicts with Kubernetes' own field names; these are the few accessors that every view needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Obj: TypeAlias = dict[str, Any]


def meta(obj: Obj) -> Obj:
    """The object's metadata, an empty dict when it has none."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name_of(obj: Obj) -> str:
    """``metadata.name``."""
    return str(meta(obj).get("name") or "")


def namespace_of(obj: Obj) -> str:
    """``metadata.namespace``, empty for cluster-scoped objects."""
    return str(meta(obj).get("namespace") or "")


def uid_of(obj: Obj) -> str:
    """``metadata.uid``, or namespace/name for the rare server that leaves it out."""
    found = meta(obj)
    return str(found.get("uid") or f"{found.get('namespace', '')}/{found.get('name', '')}")


def labels_of(obj: Obj) -> Mapping[str, str]:
    """``metadata.labels``."""
    return meta(obj).get("labels") or {}


def annotations_of(obj: Obj) -> Mapping[str, str]:
    """``metadata.annotations``."""
    return meta(obj).get("annotations") or {}


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference with ``controller: true``."""
    for reference in meta(obj).get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def dig(obj: Any, *path: str | int, default: Any = None) -> Any:
    """Follow ``path`` through dicts and lists; ``default`` as soon as something is missing or null."""
    for part in path:
        if isinstance(part, int):
            if not isinstance(obj, list) or not -len(obj) <= part < len(obj):
                return default
            obj = obj[part]
        else:
            if not isinstance(obj, dict):
                return default
            obj = obj.get(part)
        if obj is None:
            return default
    return obj


def condition(obj: Obj, kind: str) -> Obj | None:
    """The condition of that type in ``status.conditions``."""
    for found in dig(obj, "status", "conditions", default=()) or ():
        if found.get("type") == kind:
            return dict(found)
    return None


def is_true(obj: Obj, kind: str) -> bool:
    """Whether the condition of that type has status True."""
    found = condition(obj, kind)
    return bool(found and found.get("status") == "True")
