"""An applied configuration laid over an object that nobody's ownership is kept of: what a mutating policy does.

After apiserver ``pkg/admission/plugin/policy/mutating/patch/smd.go``. What is owned as a whole (an atomic list, map
or struct) can't be changed so: whoever names one field of it would remove all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import Obj
from ..schema import TypeInfo
from .check import check
from .nodes import KEYED, LEAF, SET, Node, root_of
from .sets import element_text
from .walk import merge


class OverlayError(Exception):
    """The configuration does not fit."""


def overlay(live: Obj, config: Obj, type_info: TypeInfo) -> Obj:
    """``live`` with all that ``config`` says; parts are shared with both.

    Raises:
        OverlayError: the configuration is not of the type's shape, or says something of what is atomic.
    """
    node = root_of(type_info)
    if problems := check(config, node):
        shown = problems[0] if len(problems) == 1 else "errors:\n  " + "\n  ".join(problems)
        raise OverlayError(f"failed to convert patch object to typed object: {shown}")
    atomic = list(_atomics(config, node, ""))
    if atomic:
        said = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise OverlayError(f"invalid ApplyConfiguration: {said}")
    merged: Obj = merge(live, config, node)
    return merged


def _atomics(value: Any, node: Node, path: str) -> Iterator[str]:
    if node.kind == LEAF:
        if isinstance(value, dict | list):
            yield path
    elif node.kind in (KEYED, SET):
        for item in value if isinstance(value, list) else ():
            element = node.item(item)
            if element is not None:
                yield from _atomics(item, node.element, path + element_text(element))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _atomics(item, node.child(name), f"{path}.{name}")
