"""What server-side apply has to know of a type, compiled from :class:`TypeInfo` into the smallest thing to walk by.

Upstream keeps this in the schema of structured-merge-diff, generated from the same OpenAPI extensions. Here a node is
made the first time a type is met, and remembers plans: for each set of field names that objects of this type really
have, the ready-made piece of a field set, so that the hundredth pod of a Deployment costs a few look-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ..schema import TIMES, TypeInfo, type_of
from .sets import EMPTY, SELF, FieldSet, key_element, value_element

LEAF, STRUCT, MAP, SET, KEYED, FREE = range(6)
"""LEAF is owned as a whole; FREE has no schema: objects are granular maps, everything else is a leaf."""

_MOST_PLANS: Final = 1024
_LONGEST_PLAN: Final = 48
"""Structs are shorter; a ConfigMap with a thousand keys is not worth remembering."""
_MOST_KEYS: Final = 16384

Plan = tuple[FieldSet, tuple[tuple[str, str, "Node"], ...]]
"""The field set with all leaves in place, and (name, element, node) of the children still to be filled in."""


class Node:
    """One type, as apply sees it."""

    __slots__ = ("_element", "_fields", "_items", "_zero", "defaults", "info", "keys", "kind", "plans")

    def __init__(self, info: TypeInfo, kind: int) -> None:
        self.info = info
        self.kind = kind
        self.keys: tuple[str, ...] = info.map_keys if kind == KEYED else ()
        self.defaults: Mapping[str, Any] = info.key_defaults if kind == KEYED else {}
        self.plans: dict[tuple[str, ...], Plan] = {}
        self._fields: dict[str, Node] | None = None
        self._element: Node | None = None
        self._items: dict[Any, str] = {}
        self._zero: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Node]:
        """Declared fields (STRUCT only)."""
        if self._fields is None:
            self._fields = {name: compiled(field) for name, field in self.info.fields.items()}
        return self._fields

    @property
    def element(self) -> Node:
        """What the values of a map or the items of a list are; for structs, what undeclared fields are."""
        if self._element is None:
            if self.kind == STRUCT:
                self._element = FREE_NODE if self.info.open else LEAF_NODE
            else:
                self._element = compiled(self.info.element)
        return self._element

    def child(self, name: str) -> Node:
        """The node of a field or of a map's value."""
        if self.kind == STRUCT:
            return self.fields.get(name) or self.element
        return FREE_NODE if self.kind == FREE else self.element

    @property
    def zero(self) -> dict[str, Any]:
        """What Go writes of an empty struct: the fields that can't be absent, at their zero values.

        On create, upstream compares with this, so such fields become nobody's merely by being there.
        """
        if self._zero is None:
            self._zero = {}
            for name, field in self.info.fields.items():
                if field.written_when_zero:
                    node = self.fields[name]
                    self._zero[name] = node.zero if node.kind == STRUCT else _zero_value(field)
        return self._zero

    def plan(self, names: tuple[str, ...]) -> Plan:
        """The ready-made set for an object with exactly these names."""
        found = self.plans.get(names)
        if found is None:
            if len(self.plans) >= _MOST_PLANS:
                self.plans.clear()
            children = [(name, f"f:{name}", self.child(name)) for name in names]
            whole: FieldSet = {SELF: EMPTY}
            whole.update((element, EMPTY) for element in sorted(element for _, element, _ in children))
            found = (whole, tuple(child for child in children if child[2].kind != LEAF))
            if len(names) <= _LONGEST_PLAN:
                self.plans[names] = found
        return found

    def item(self, item: Any) -> str | None:
        """The path element of a list item; None where it has none (upstream refuses those)."""
        if self.kind == SET:
            if isinstance(item, dict | list) or item is None:
                return None
            key: Any = (item, item.__class__)
        elif isinstance(item, dict):
            get = item.get
            key = get(self.keys[0]) if len(self.keys) == 1 else tuple([get(name) for name in self.keys])
        else:
            return None
        try:
            found = self._items.get(key)
        except TypeError:  # an unhashable key value
            return None
        if found is None:
            if len(self._items) >= _MOST_KEYS:
                self._items.clear()
            found = self._make_item(item)
            if found is not None:
                self._items[key] = found
        return found

    def _make_item(self, item: Any) -> str | None:
        if self.kind == SET:
            return value_element(item)
        keys: dict[str, Any] = {}
        for name in self.keys:
            value = item.get(name)
            if value is None:
                value = self.defaults.get(name)
            if value is not None:
                keys[name] = value
        return key_element(keys) if keys else None


def _zero_value(field: TypeInfo) -> Any:
    match field.kind:
        case "list":
            return []
        case "map" | "struct":
            return {}
        case _:
            zeros = {"integer": 0, "number": 0, "boolean": False, "quantity": "0", **dict.fromkeys(TIMES)}
            return zeros.get(field.scalar, "")


LEAF_NODE: Final = Node(TypeInfo("string"), LEAF)
FREE_NODE: Final = Node(TypeInfo("any"), FREE)


def compiled(info: TypeInfo) -> Node:
    """The node of a type inside an object."""
    found: Node | None = info.node
    if found is None:
        found = info.node = Node(info, kind) if (kind := _kind(info)) != LEAF else LEAF_NODE
    return found


def _kind(info: TypeInfo) -> int:
    match info.kind:
        case "struct":
            return LEAF if info.map_type == "atomic" else STRUCT
        case "map":
            return LEAF if info.map_type == "atomic" else MAP
        case "list":
            if info.list_type == "set":
                return SET
            return KEYED if info.list_type == "map" and info.map_keys else LEAF
        case "any":  # a granular one is a schemaless part of a custom resource; a built-in's is opaque
            return FREE if info.map_type == "granular" else LEAF
        case _:
            return LEAF


def root_of(info: TypeInfo) -> Node:
    """The node of a whole object. Without a schema, metadata is still ObjectMeta and the rest is FREE."""
    found: Node | None = info.root
    if found is None:
        if info.kind == "any":
            found = Node(info, STRUCT)
            found._fields = {
                "apiVersion": LEAF_NODE,
                "kind": LEAF_NODE,
                "metadata": compiled(type_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")),
            }
            found._element = FREE_NODE
            found._zero = {"metadata": {}}
        else:
            found = Node(info, STRUCT)
        info.root = found
    return found


def quoted(value: Any) -> str:
    """A value as messages print it."""
    return orjson.dumps(value).decode()
