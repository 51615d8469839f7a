"""Walks over objects along their types: which fields are there, which differ, merging, and taking fields away.

Follows structured-merge-diff ``typed/tofieldset.go``, ``compare.go``, ``merge.go`` and ``remove.go``. Subtrees that
are the same Python object, or equal, are never entered: updates share what they leave alone.
"""

from __future__ import annotations

from typing import Any, Final

from .nodes import FREE, KEYED, LEAF, MAP, SET, STRUCT, Node
from .sets import EMPTY, SELF, FieldSet, is_member, ordered

_ABSENT: Final = object()


def granular(value: Any, node: Node) -> bool:
    """Whether the value is owned part by part."""
    if node.kind == LEAF:
        return False
    return isinstance(value, list if node.kind in (SET, KEYED) else dict)


# --- which fields are there ----------------------------------------------------------------------------------------


def full_set(value: Any, node: Node) -> FieldSet:
    """What lies below an element whose whole value is new: every path in it is a member."""
    kind = node.kind
    if kind == LEAF or not value:
        return EMPTY
    if kind in (KEYED, SET):
        return _full_list(value, node) if isinstance(value, list) else EMPTY
    if not isinstance(value, dict):
        return EMPTY
    whole, children = node.plans.get(names := tuple(value)) or node.plan(names)
    if not children:
        return whole
    result = whole.copy()
    for name, element, child in children:
        below = full_set(value[name], child)
        if below:
            result[element] = below
    return result


def _full_list(items: list[Any], node: Node) -> FieldSet:
    result: FieldSet = {SELF: EMPTY}
    element_node = node.element
    for item in items:
        element = node.item(item)
        if element is None:
            continue
        result[element] = EMPTY if element in result or node.kind == SET else full_set(item, element_node)
    return ordered(result)


def field_set(value: Any, node: Node) -> FieldSet:
    """What a configuration mentions (``ToFieldSet``): leaves, items, map entries; not the structs they are in."""
    result: FieldSet = {}
    if node.kind in (KEYED, SET):
        if not isinstance(value, list):
            return EMPTY
        duplicates: set[str] = set()
        for item in value:
            element = node.item(item)
            if element is None:
                continue
            if element in result:
                duplicates.add(element)
                continue
            below = field_set(item, node.element) if granular(item, node.element) else EMPTY
            result[element] = {SELF: EMPTY, **below} if below else EMPTY
        for element in duplicates:
            result[element] = EMPTY
        return ordered(result)
    if not isinstance(value, dict):
        return EMPTY
    declared = node.fields if node.kind == STRUCT else {}
    for name, item in value.items():
        child = node.child(name)
        if child.kind == LEAF or not granular(item, child):
            result[f"f:{name}"] = EMPTY
            continue
        below = field_set(item, child)
        if below:
            result[f"f:{name}"] = below if name in declared else {SELF: EMPTY, **below}
        elif isinstance(item, dict) or name not in declared:
            result[f"f:{name}"] = EMPTY
    return ordered(result)


# --- which fields differ -------------------------------------------------------------------------------------------


def compare(old: Any, new: Any, node: Node) -> tuple[FieldSet, FieldSet]:
    """The paths that ``new`` adds or modifies, and the paths that it removes, below a value both have."""
    if old is new:
        return EMPTY, EMPTY
    if node.kind in (KEYED, SET):
        return _compare_lists(old, new, node)
    changed: FieldSet = {}
    removed: FieldSet = {}
    fields = node.fields if node.kind == STRUCT else None
    for name, value in new.items():
        before = old.get(name, _ABSENT)
        if before is value:
            continue
        child = node.child(name) if fields is None else fields.get(name) or node.element
        if before is _ABSENT or before is None:
            changed[f"f:{name}"] = full_set(value, child)
        elif value is None:  # set to null, which is a change; left out would be a removal
            changed[f"f:{name}"] = EMPTY
        elif child.kind == LEAF:
            if before != value:
                changed[f"f:{name}"] = EMPTY
        elif before != value:
            if granular(before, child) and granular(value, child):
                more, less = compare(before, value, child)
                if more:
                    changed[f"f:{name}"] = more
                if less:
                    removed[f"f:{name}"] = less
            else:
                changed[f"f:{name}"] = full_set(value, child)
    for name, before in old.items():
        if before is not None and name not in new:
            removed[f"f:{name}"] = full_set(before, node.child(name))
    return ordered(changed), ordered(removed)


def _compare_lists(old: list[Any], new: list[Any], node: Node) -> tuple[FieldSet, FieldSet]:
    changed: FieldSet = {}
    removed: FieldSet = {}
    before, after = _by_element(old, node), _by_element(new, node)
    element_node = node.element
    for element, items in after.items():
        olds = before.get(element)
        if olds is None:
            changed[element] = EMPTY if len(items) > 1 else full_set(items[0], element_node)
        elif len(items) > 1 or len(olds) > 1:
            # Duplicates are owned as one; there only ever are such in lists that were stored by an update.
            if items != olds:
                changed[element] = EMPTY
        elif items[0] is not olds[0] and items[0] != olds[0]:
            if granular(items[0], element_node) and granular(olds[0], element_node):
                more, less = compare(olds[0], items[0], element_node)
                if more:
                    changed[element] = more
                if less:
                    removed[element] = less
            else:
                changed[element] = EMPTY
    for element, olds in before.items():
        if element not in after:
            removed[element] = EMPTY if len(olds) > 1 else full_set(olds[0], element_node)
    return ordered(changed), ordered(removed)


def _by_element(items: list[Any], node: Node) -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for item in items:
        element = node.item(item)
        if element is not None:
            result.setdefault(element, []).append(item)
    return result


# --- merging -------------------------------------------------------------------------------------------------------


def merge(live: Any, config: Any, node: Node) -> Any:
    """``live`` with everything that ``config`` says laid over it, nulls too; nothing is removed."""
    if config is live or live is None or config is None or node.kind == LEAF:
        return config
    if not granular(config, node) or not granular(live, node):
        return config
    if not live or not config:
        return live or config
    if node.kind in (KEYED, SET):
        return _merge_lists(live, config, node)
    result = dict(live)
    for name, value in config.items():
        before = live.get(name)
        result[name] = value if before is None else merge(before, value, node.child(name))
    return result


def _merge_lists(live: list[Any], config: list[Any], node: Node) -> list[Any]:
    """Items in the order of ``config`` where it names them, the others where they stood."""
    lefts = [node.item(item) for item in live]
    rights = [node.item(item) for item in config]
    by_left: dict[str, Any] = {}
    for element, item in zip(lefts, live, strict=True):
        if element is not None:
            # Items that stand twice are not merged with: there is no saying which one is meant.
            by_left[element] = None if element in by_left else item
    by_right = dict(zip(rights, config, strict=True))
    shared = [element for element in rights if element in by_left]
    turn = 0  # how many of the shared items have been placed
    placed: set[str | None] = set()
    result: list[Any] = []

    def place(element: str | None) -> None:
        placed.add(element)
        left = by_left.get(element) if element is not None else None
        result.append(merge(left, by_right[element], node.element))

    left = right = 0
    while left < len(lefts) or right < len(rights):
        if left < len(lefts) and right < len(rights):
            element = lefts[left]
            if element == rights[right]:
                place(element)
                left, right, turn = left + 1, right + 1, turn + 1
                continue
            if element in by_right and turn < len(shared) and shared[turn] != element:
                left += 1  # shared, but its turn comes later
                continue
        if left < len(lefts):
            element = lefts[left]
            if element not in by_right:
                result.append(live[left])
                left += 1
                continue
            if element in placed:
                left += 1
        if right < len(rights):
            element = rights[right]
            place(element)
            right += 1
            if turn < len(shared) and shared[turn] == element:
                turn += 1
    return result


# --- taking fields away --------------------------------------------------------------------------------------------


def remove(value: Any, gone: FieldSet, node: Node) -> Any:
    """The value without the fields and items in ``gone``; what is emptied but not itself gone stays, empty."""
    if not gone or not granular(value, node):
        return value
    if node.kind in (KEYED, SET):
        items: list[Any] = []
        for item in value:
            below = gone.get(node.item(item) or "")
            if below is None:
                items.append(item)
            elif not is_member(below):
                items.append(remove(item, below, node.element))
        return items
    result: dict[str, Any] = {}
    for name, item in value.items():
        below = gone.get(f"f:{name}")
        if below is None:
            result[name] = item
        elif not is_member(below):
            result[name] = remove(item, below, node.child(name))
    return result


def with_named_parents(fields: FieldSet, node: Node) -> FieldSet:
    """The set with every declared field a member that has members below it (``EnsureNamedFieldsAreMembers``)."""
    result: FieldSet = {}
    for element, below in fields.items():
        if element == SELF or not below:
            result[element] = below
            continue
        if element[0] == "f":
            name = element[2:]
            inner = with_named_parents(below, node.child(name)) if node.kind in (STRUCT, MAP, FREE) else below
            named = node.kind == STRUCT and name in node.fields
        else:
            inner = with_named_parents(below, node.element) if node.kind in (KEYED, SET) else below
            named = False
        result[element] = {SELF: EMPTY, **inner} if named and SELF not in inner else inner
    return result


def without_nulls(value: Any) -> Any:
    """The value without fields that are null, as it is stored; itself where there are none."""
    if isinstance(value, dict):
        result = value
        for name, item in value.items():
            clean = item if item is None else without_nulls(item)
            if clean is not item or item is None:
                if result is value:
                    result = dict(value)
                if clean is None:
                    del result[name]
                else:
                    result[name] = clean
        return result
    if isinstance(value, list):
        items = [without_nulls(item) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
