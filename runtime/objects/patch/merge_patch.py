"""JSON merge patch (RFC 7386): null removes, objects merge, everything else replaces."""

from __future__ import annotations

from typing import Any

from ..errors import Obj, bad_request


def apply_merge_patch(obj: Obj, patch: Any) -> Obj:
    """``obj`` with a merge patch applied; unchanged parts are shared, neither argument is changed.

    Raises:
        StatusError: 400 where the patch is no JSON object.
    """
    if not isinstance(patch, dict):
        raise bad_request("Invalid JSON Patch")
    try:
        return _merge(obj, patch)
    except RecursionError:
        raise bad_request("the patch is nested too deeply") from None


def _merge(target: Obj, patch: Obj) -> Obj:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            current = result.get(key)
            result[key] = _merge(current if isinstance(current, dict) else {}, value)
        else:
            result[key] = value
    return result
