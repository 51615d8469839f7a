"""The distilled facts of every definition, read once and turned into :class:`TypeInfo` only when asked for.

A control plane touches a few dozen of the several hundred definitions, so the file is parsed into plain dicts
(a few milliseconds) and each definition gets its typed view on first use. Descriptions lie in a file of their own
that is opened when something is to be explained.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

HERE = Path(__file__).parent
NOTHING: Mapping[str, Any] = MappingProxyType({})

KEY_DEFAULTS = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
}
"""Defaults of list-map keys, which the swagger leaves out: two entries without a protocol are the same TCP port."""


@cache
def _facts() -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(gzip.decompress((HERE / "facts.json.gz").read_bytes()))
    return content


@cache
def _descriptions() -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(gzip.decompress((HERE / "descriptions.json.gz").read_bytes()))
    return content


class TypeInfo:
    """What is known of one type, and of the field it was reached through.

    ``kind`` is ``struct``, ``map``, ``list``, ``scalar`` or ``any`` (JSON without a schema). ``scalar`` is one of
    string, int32, int64, integer, number, boolean, byte, quantity, int-or-string, date-time, micro-time; ask
    :attr:`scalar` for the family (``int32`` and ``int64`` are ``integer``) and :attr:`format` for the width.
    """

    __slots__ = (
        "_element",
        "_fields",
        "definition",
        "enum",
        "expression",
        "format",
        "go_type",
        "kind",
        "list_type",
        "map_keys",
        "map_type",
        "merge_key",
        "node",
        "open",
        "patch_strategy",
        "pointer",
        "required",
        "root",
        "scalar",
        "written_when_zero",
    )

    def __init__(self, expression: str, facts: Mapping[str, Any] = NOTHING, go: str = "") -> None:
        self.expression = expression
        self.definition = ""
        self.kind = "scalar"
        self.scalar = self.format = ""
        self.required: frozenset[str] = frozenset()
        """Struct: names of the fields that the swagger lists as required."""
        self.enum: tuple[str, ...] = tuple(facts.get("e", ()))
        self.patch_strategy: str = facts.get("ps", "")
        """``merge``, ``replace``, ``retainKeys``, ``merge,retainKeys`` or nothing."""
        self.merge_key: str = facts.get("mk", "")
        """The key strategic merge finds list items by."""
        self.list_type: str = facts.get("lt", "")
        """``atomic``, ``set``, ``map`` or nothing, which means atomic to server-side apply."""
        self.map_keys: tuple[str, ...] = tuple(facts.get("lk", ()))
        """The keys server-side apply finds list items by."""
        self.map_type: str = facts.get("mt", "")
        """``atomic``, ``granular`` or nothing, which means granular."""
        self.pointer = go.startswith("*")
        """Whether an absent value is told apart from a zero one."""
        self.written_when_zero = go.startswith("!")
        """Whether Kubernetes always writes the field, even when it is zero."""
        self.go_type = go.lstrip("*!")
        """The name of the enumeration type in decoding errors, where it has one."""
        self.open = False
        """Struct: whether fields that are not declared may stand in it (custom resources that keep them)."""
        self.node: Any = None
        self.root: Any = None
        """What server-side apply compiled of the type, inside an object and as a whole object."""
        self._fields: Mapping[str, TypeInfo] | None = None
        self._element: TypeInfo | None = None
        if expression.startswith("@"):
            self.kind, self.definition = "struct", expression[1:]
            entry = _facts()["definitions"].get(self.definition)
            if entry is None:
                self.kind = "any"
            else:
                self.required = frozenset(entry.get("r", ()))
                self.map_type = self.map_type or entry.get("m", "")
        elif expression.startswith("[]"):
            self.kind = "list"
        elif expression.startswith("{}"):
            self.kind = "map"
        elif expression == "any":
            self.kind = "any"
        elif expression in ("int32", "int64"):
            self.scalar, self.format = "integer", expression
        else:
            self.scalar = self.format = expression

    def __repr__(self) -> str:
        return f"TypeInfo({self.expression!r})"

    @property
    def fields(self) -> Mapping[str, TypeInfo]:
        """Struct: field name → its type. Empty for everything else."""
        if self._fields is None:
            self._fields = _fields_of(self.definition) if self.kind == "struct" else MappingProxyType({})
        return self._fields

    @property
    def element(self) -> TypeInfo:
        """Map and list: the type of the values or items. ``any`` for everything else."""
        if self._element is None:
            if self.kind in ("map", "list"):
                named = self.go_type[2:] if self.go_type.startswith("[]") else ""
                self._element = TypeInfo(self.expression[2:], go=named)
            else:
                self._element = ANY
        return self._element

    @property
    def atomic(self) -> bool:
        """Whether server-side apply owns it as a whole (lists without a list type are)."""
        if self.kind == "list":
            return self.list_type not in ("set", "map")
        return self.map_type == "atomic" if self.kind in ("map", "struct") else True

    @property
    def key_defaults(self) -> Mapping[str, Any]:
        """List with map keys: what a key left out of an item stands for."""
        found = {
            key: KEY_DEFAULTS[(self.element.definition, key)]
            for key in self.map_keys
            if (self.element.definition, key) in KEY_DEFAULTS
        }
        return found or NOTHING


TIMES = ("date-time", "micro-time")
_LEFT_OUT = ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "creationTimestamp")
"""The one time that is left out when it is zero (``omitzero``)."""


@cache
def _fields_of(definition: str) -> Mapping[str, TypeInfo]:
    facts = _facts()
    go = facts["goTypes"].get(definition, {})
    found = {
        name: TypeInfo(one, go=go.get(name, ""))
        if isinstance(one, str)
        else TypeInfo(one["t"], one, go.get(name, ""))
        for name, one in facts["definitions"][definition]["f"].items()
    }
    for name, info in found.items():
        # A time is a struct to Go, which omitempty never leaves out: where it is no pointer, zero is null.
        if info.format in TIMES and not info.pointer and (definition, name) != _LEFT_OUT:
            info.written_when_zero = True
    return MappingProxyType(found)


ANY = TypeInfo("any")


@cache
def type_of(definition: str) -> TypeInfo:
    """The type of a definition such as ``io.k8s.api.apps.v1.Deployment``; ``any`` when it is not known."""
    return TypeInfo(f"@{definition}") if definition in _facts()["definitions"] else ANY


def definitions() -> tuple[str, ...]:
    """The names of all definitions, sorted."""
    return tuple(_facts()["definitions"])


@cache
def _by_kind() -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for name, entry in _facts()["definitions"].items():
        for group, version, kind in entry.get("k", ()):
            found[(group, version, kind)] = name
    return found


def definition_of(group: str, version: str, kind: str) -> str:
    """The definition of a kind, by group, version and kind; empty when there is none."""
    return _by_kind().get((group, version, kind), "")


def kinds_of(definition: str) -> tuple[tuple[str, str, str], ...]:
    """The (group, version, kind) triples a definition is served as."""
    entry = _facts()["definitions"].get(definition, NOTHING)
    return tuple((group, version, kind) for group, version, kind in entry.get("k", ()))


def description_of(definition: str, field: str = "") -> str:
    """What upstream says of a definition, or of one of its fields; empty when it says nothing."""
    entry = _descriptions().get(definition)
    if entry is None:
        return ""
    text: str = entry[1].get(field, "") if field else entry[0]
    return text
