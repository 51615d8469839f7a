"""How deep a value may be nested: far deeper than any schema, less deep than what can no longer be written as JSON.

The JSON library writes 254 levels, and lists and events put objects some levels deeper than they came.
"""

from __future__ import annotations

from typing import Any, Final

DEPTH_LIMIT: Final = 200
"""Arrays and objects within each other, in bodies, manifests and stored objects."""


def too_deep(value: Any) -> bool:
    """Whether arrays and objects lie within each other deeper than :data:`DEPTH_LIMIT`."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        below: list[Any] = []
        for one in level:
            children = one.values() if isinstance(one, dict) else one
            below += [child for child in children if child.__class__ is dict or child.__class__ is list]
        if not below:
            return False
        level = below
    return True
