"""Sets of field paths, kept in the very form managedFields store them in: nested ``fieldsV1`` dicts.

A set is a dict from path elements to what lies below them. The element ``f:name`` is a field, ``k:{"name":"x"}``
an item of a list with keys, ``v:"x"`` an item of a list of values. An empty dict below an element means "this path is
a member and nothing below it is"; ``"."`` beside other elements means "this path is a member too". Because the stored
form is the working form, nothing has to be parsed or encoded when an object changes, and sets share their unchanged
parts with each other. Sets are never changed in place once they are handed out.

Follows structured-merge-diff ``fieldpath/set.go``, ``serialize.go`` and ``element.go``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import orjson

FieldSet = dict[str, Any]

EMPTY: Final[FieldSet] = {}
"""Below an element: a member without children. As a whole set: nothing."""
SELF: Final = "."


class FieldSetError(ValueError):
    """A ``fieldsV1`` that can't be read."""


def ordered(items: FieldSet) -> FieldSet:
    """The elements in their order of serialization."""
    return dict(sorted(items.items())) if len(items) > 1 else items


def is_member(below: FieldSet) -> bool:
    """Whether the path whose children these are is itself in the set."""
    return not below or SELF in below


# --- algebra: the functions with a leading underscore work on what lies below one element --------------------------


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths in either set."""
    if not left or left is right:
        return right
    return _merge_children(left, right) if right else left


def _union(left: FieldSet, right: FieldSet) -> FieldSet:
    if left is right:
        return left
    if not left:
        return right if is_member(right) else {SELF: EMPTY, **right}
    if not right:
        return left if SELF in left else {SELF: EMPTY, **left}
    return _merge_children(left, right)


def _merge_children(left: FieldSet, right: FieldSet) -> FieldSet:
    result = left
    added = False
    for element, below in right.items():
        there = left.get(element)
        if there is None:
            merged = below
            added = True
        elif element == SELF:
            continue
        else:
            merged = _union(there, below)
            if merged is there:
                continue
        if result is left:
            result = left.copy()
        result[element] = merged
    return ordered(result) if added else result


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths in ``left`` that are not in ``right``; a path stays when only paths above or below it are removed."""
    if not right or not left:
        return left
    return _without_children(left, right)


def _without_children(left: FieldSet, right: FieldSet) -> FieldSet:
    result = left
    for element, below in right.items():
        there = left.get(element)
        if there is None or element == SELF:
            continue
        rest = _difference(there, below)
        if rest is there:
            continue
        if result is left:
            result = left.copy()
        if rest is None:
            del result[element]
        else:
            result[element] = rest
    return result


def _difference(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """What is left below one element; None when neither it nor anything below it is."""
    gone = is_member(right)
    if not left:
        return None if gone else left
    children = _without_children(left, right) if right else left
    if gone and SELF in children:
        children = {element: below for element, below in children.items() if element != SELF}
        return children or None
    if children is left:
        return left
    if SELF in children:
        return EMPTY if len(children) == 1 else children
    return children or None


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths in ``left`` that are not in ``right`` and not below a path in ``right``."""
    result = left
    for element, below in right.items():
        there = left.get(element)
        if there is None or element == SELF:
            continue
        rest: FieldSet | None
        if is_member(below):
            rest = None
        else:
            rest = recursive_difference(there, below)
            if rest is there:
                continue
            if not rest:
                rest = None  # all that was there lay below what is removed, or the element was no member
            elif len(rest) == 1 and SELF in rest:
                rest = EMPTY
        if result is left:
            result = left.copy()
        if rest is None:
            del result[element]
        else:
            result[element] = rest
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Paths in both sets."""
    result: FieldSet = {}
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    for element, below in small.items():
        there = large.get(element)
        if there is None or element == SELF:
            continue
        common = _intersection(below, there)
        if common is not None:
            result[element] = common
    return ordered(result)


def _intersection(left: FieldSet, right: FieldSet) -> FieldSet | None:
    children = intersection(left, right)
    if is_member(left) and is_member(right):
        return {SELF: EMPTY, **children} if children else EMPTY
    return children or None


def includes(large: FieldSet, small: FieldSet) -> bool:
    """Whether every path of ``small`` is in ``large``."""
    if large is small:
        return True
    for element, below in small.items():
        there = large.get(element)
        if there is None:
            if element == SELF:
                continue  # judged with the element it belongs to
            return False
        if element != SELF and not ((is_member(there) or not is_member(below)) and includes(there, below)):
            return False
    return True


def has(fields: FieldSet, path: tuple[str, ...]) -> bool:
    """Whether one path is in the set."""
    for element in path:
        below = fields.get(element)
        if below is None:
            return False
        fields = below
    return bool(path) and is_member(fields)


def paths(fields: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All paths of the set: those of one level first, then those below them."""
    for element, below in fields.items():
        if element != SELF and is_member(below):
            yield (*prefix, element)
    for element, below in fields.items():
        if below:
            yield from paths(below, (*prefix, element))


def from_paths(members: list[tuple[str, ...]]) -> FieldSet:
    """The set of these paths."""
    result: FieldSet = {}
    for path in members:
        one: FieldSet = EMPTY
        for element in reversed(path):
            one = {element: one}
        result = union(result, one)
    return result


# --- path elements ------------------------------------------------------------------------------------------------


def value_element(value: Any) -> str:
    """The element of an item in a list of values."""
    return f"v:{orjson.dumps(value).decode()}"


def key_element(keys: dict[str, Any]) -> str:
    """The element of an item in a list with keys."""
    return f"k:{orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()}"


def canonical_set(fields: Any) -> FieldSet:
    """A set as a client sent it, with its elements in the form this module writes.

    Raises:
        FieldSetError: it is no ``fieldsV1``.
    """
    if not isinstance(fields, dict):
        raise FieldSetError("fieldsV1 must be an object")
    try:
        return _canonical(fields)
    except RecursionError:
        raise FieldSetError("fieldsV1 is nested too deeply") from None


def _canonical(fields: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for element, below in fields.items():
        if not isinstance(below, dict):
            raise FieldSetError(f"the value of {element!r} must be an object")
        if element == SELF:
            result[SELF] = EMPTY
            continue
        found = _canonical_element(element)
        if found is not None:
            result[found] = _canonical(below)
    return ordered(result)


@lru_cache(maxsize=8192)
def _canonical_element(element: str) -> str | None:
    """One element in canonical form; None for a kind of element that is not known, which upstream drops too."""
    kind, colon, content = element[:1], element[1:2], element[2:]
    if colon != ":":
        raise FieldSetError(f"missing colon: {element}")
    match kind:
        case "f":
            return element
        case "k" | "v":
            try:
                value = orjson.loads(content)
            except orjson.JSONDecodeError as error:
                raise FieldSetError(f"{element}: {error}") from None
            if kind == "v":
                return value_element(value)
            if not isinstance(value, dict):
                raise FieldSetError(f"{element}: the key must be an object")
            return key_element(value)
        case "i":
            if not content.removeprefix("-").isdecimal():
                raise FieldSetError(f"{element}: the index must be a number")
            return f"i:{int(content)}"
        case _:
            return None


def path_text(path: tuple[str, ...]) -> str:
    """A path as messages print it: ``.spec.containers[name="web"].image``."""
    return "".join(map(element_text, path))


def element_text(element: str) -> str:
    """One element as messages print it."""
    kind, content = element[0], element[2:]
    if kind == "f":
        return f".{content}"
    if kind == "k":
        keys: dict[str, Any] = orjson.loads(content)
        return "[" + ",".join(f"{name}={orjson.dumps(value).decode()}" for name, value in keys.items()) + "]"
    return f"[={content}]" if kind == "v" else f"[{content}]"
