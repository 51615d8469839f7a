"""From client-side to server-side apply: the annotation ``kubectl apply`` used to keep its last configuration in.

An object that ``kubectl apply`` manages can be taken over by ``kubectl apply --server-side`` without conflicts,
because what the annotation says is what kubectl already owned. From then on the annotation is kept up to date, so
that client-side apply goes on working. Follows apimachinery
``pkg/util/managedfields/internal/{lastapplied,lastappliedmanager,lastappliedupdater}.go``.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from ..errors import Obj
from .nodes import Node
from .sets import EMPTY, FieldSet, difference
from .walk import compare, field_set

ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL: Final = "kubectl"
"""Only kubectl's own server-side apply takes over; other managers ask for it by using this name."""
_MOST_ANNOTATION_BYTES: Final = 256 * 1024


def allowed_conflicts(live: Obj, node: Node, api_version: str) -> FieldSet:
    """Fields of the last client-side configuration that still have the values it gave them."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION)
    if not text:
        return EMPTY
    try:
        last: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return EMPTY
    if not isinstance(last, dict) or last.get("apiVersion") != api_version:
        return EMPTY
    changed, removed = compare(last, live, node)
    return difference(difference(field_set(last, node), changed), removed)


def with_last_applied(obj: Obj, config: Obj) -> Obj:
    """``obj`` with the annotation telling of ``config``, where it has one."""
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if not annotations.get(ANNOTATION):
        return obj
    own = (config.get("metadata") or {}).get("annotations") or {}
    if ANNOTATION in own:
        rest = {key: value for key, value in own.items() if key != ANNOTATION}
        config = {**config, "metadata": {**config["metadata"], "annotations": rest}}
    text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    for mark, escaped in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
    ):  # as Go's encoder writes them
        text = text.replace(mark, escaped)
    updated = {**annotations, ANNOTATION: text}
    if (
        sum(len(key.encode()) + len(value.encode()) for key, value in updated.items())
        > _MOST_ANNOTATION_BYTES
    ):
        del updated[ANNOTATION]  # too large to keep: client-side apply starts anew
    return {**obj, "metadata": {**metadata, "annotations": updated}}
