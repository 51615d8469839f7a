"""Is an applied configuration of its kind's shape? Upstream's typed validation, with its sentences.

Unlike other writes, apply refuses unknown fields, wrong types and doubled list items before anything is merged,
because ownership can't be told without a schema. Follows structured-merge-diff ``typed/validate.go``.
"""

from __future__ import annotations

from typing import Any

from .nodes import FREE, KEYED, LEAF, SET, STRUCT, Node, compiled, quoted
from .sets import element_text

_NUMERIC = ("integer", "number")
_NO_TEXT = (*_NUMERIC, "boolean")


def check(value: Any, node: Node) -> list[str]:
    """What is wrong, each with its path in front: ``.spec.replicas: expected numeric …``."""
    if value is None:
        return []
    if node.kind == FREE:
        return []
    if node.kind == STRUCT:
        return _check_object(value, node)
    if node.kind in (KEYED, SET):
        return _check_list(value, node)
    return []


def _check_object(value: Any, node: Node) -> list[str]:
    if not isinstance(value, dict):
        return [f": expected map, got {quoted(value)}"]
    errors: list[str] = []
    fields = node.info.fields
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            if node.element.kind != FREE:
                errors.append(f".{name}: field not declared in schema")
        elif item.__class__ is str and field.kind == "scalar" and field.scalar not in _NO_TEXT:
            continue  # most of what there is
        elif problems := _check_type(item, field):
            errors += [f".{name}{error}" for error in problems]
    return errors


def _check_type(item: Any, field: Any) -> list[str]:
    """By kind of type, leaves too: an atomic struct's fields are checked though they are owned together."""
    if item is None:
        return []
    match field.kind:
        case "struct":
            return _check_object(
                item, Node(field, STRUCT) if compiled(field).kind == LEAF else compiled(field)
            )
        case "map":
            if not isinstance(item, dict):
                return [f": expected map, got {quoted(item)}"]
            return [
                f".{name}{error}" for name, one in item.items() for error in _check_type(one, field.element)
            ]
        case "list":
            node = compiled(field)
            if node.kind in (KEYED, SET):
                return _check_list(item, node)
            if not isinstance(item, list):
                return [f": expected list, got {quoted(item)}"]
            return [
                f"[{i}]{error}" for i, one in enumerate(item) for error in _check_type(one, field.element)
            ]
        case "scalar":
            return _check_scalar(item, field.scalar)
        case _:
            return []


def _check_scalar(item: Any, scalar: str) -> list[str]:
    if scalar in ("int-or-string", "quantity"):
        if isinstance(item, dict | list):
            return [f": expected any scalar, got {quoted(item)}"]
    elif scalar in _NUMERIC:
        if isinstance(item, bool) or not isinstance(item, int | float):
            kind = (
                "string"
                if isinstance(item, str)
                else "bool"
                if isinstance(item, bool)
                else type(item).__name__
            )
            return [f": expected numeric (int or float), got {kind}"]
    elif scalar == "boolean":
        if not isinstance(item, bool):
            return [f": expected boolean, got {quoted(item)}"]
    elif not isinstance(item, str):
        return [f": expected string, got {quoted(item)}"]
    return []


def _check_list(value: Any, node: Node) -> list[str]:
    if not isinstance(value, list):
        return [f": expected list, got {quoted(value)}"]
    errors: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = node.item(item)
        if element is None:
            return [*errors, f": element {index}: {_no_element(item, node)}"]
        shown = element_text(element)
        if element in seen:
            errors.append(f": duplicate entries for key {shown}")
        seen.add(element)
        errors += [f"{shown}{error}" for error in _check_type(item, node.info.element)]
    return errors


def _no_element(item: Any, node: Node) -> str:
    if node.kind == SET:
        if isinstance(item, dict):
            return "associative list without keys has an element that's a map type"
        if isinstance(item, list):
            return "not supported: associative list with lists as elements"
        return "associative list without keys has an element that's an explicit null"
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    keys = " ".join(quoted(key) for key in node.keys)
    return (
        f"associative list with keys has an element that omits all key fields [{keys}] "
        "(and doesn't have default values for any key fields)"
    )
