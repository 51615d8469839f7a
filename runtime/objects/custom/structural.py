"""A version's schema, compiled: the tree that pruning, defaulting, validation and apply all walk.

After apiextensions-apiserver ``pkg/apiserver/schema`` (structural.go, pruning/algorithm.go and
defaulting/{algorithm,prunenulls}.go). The tree holds what decides structure; value validations stay as they were
written in :attr:`Structural.raw`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import FieldError, Obj, StatusError, invalid
from ..meta import copy
from ..schema import TypeInfo, type_of
from ..schema.decode import read_metadata
from ..schema.mismatch import find_unknown

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})


class Structural:
    """One node of a schema."""

    __slots__ = (
        "additional",
        "allows_additional",
        "embedded",
        "has_defaults",
        "int_or_string",
        "items",
        "list_keys",
        "list_type",
        "map_type",
        "nullable",
        "open",
        "properties",
        "raw",
        "type",
    )

    def __init__(self, raw: Obj) -> None:
        self.raw = raw
        self.type: str = raw.get("type") or ""
        self.nullable = bool(raw.get("nullable"))
        self.open = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
        """Unknown fields stay."""
        self.embedded = bool(raw.get("x-kubernetes-embedded-resource"))
        self.int_or_string = bool(raw.get("x-kubernetes-int-or-string"))
        self.list_type: str = raw.get("x-kubernetes-list-type") or ""
        self.list_keys: tuple[str, ...] = tuple(raw.get("x-kubernetes-list-map-keys") or ())
        self.map_type: str = raw.get("x-kubernetes-map-type") or ""
        self.properties = {
            name: Structural(one)
            for name, one in (raw.get("properties") or {}).items()
            if isinstance(one, dict)
        }
        more = raw.get("additionalProperties")
        self.additional = Structural(more) if isinstance(more, dict) else None
        self.allows_additional: bool | None = None if more is None else more is not False
        """None: the schema does not say."""
        items = raw.get("items")
        self.items = Structural(items) if isinstance(items, dict) else None
        below = [
            *self.properties.values(),
            *(one for one in (self.additional, self.items) if one is not None),
        ]
        self.has_defaults: bool = any("default" in one.raw or one.has_defaults for one in below)
        """Whether anything below this node has a default."""

    @property
    def default(self) -> Any:
        """The value an absent field takes; None for none."""
        return self.raw.get("default")

    def field(self, name: str) -> Structural | None:
        """The schema of a member of an object."""
        return self.properties.get(name) or self.additional


def prune(value: Any, schema: Structural | None, *, root: bool = False, path: str = "") -> list[str]:
    """Take out of ``value``, in place, what the schema does not know; gives the paths of what went.

    At the root, and in embedded resources, apiVersion, kind and metadata are nobody's to prune.
    """
    unknown: list[str] = []
    _prune(value, schema, root, path, unknown)
    return sorted(unknown)


def _prune(value: Any, schema: Structural | None, root: bool, path: str, unknown: list[str]) -> None:
    if schema is not None and schema.open:
        _prune_open(value, schema, root, path, unknown)
    elif isinstance(value, list):
        items = schema.items if schema is not None else None
        for index, item in enumerate(value):
            _prune(item, items, False, f"{path}[{index}]", unknown)
    elif isinstance(value, dict):
        resource = root or (schema is not None and schema.embedded)
        for name in list(value):
            if resource and name in META_FIELDS:
                continue
            here = f"{path}.{name}" if path else name
            known = schema.properties.get(name) if schema is not None else None
            if known is not None:
                _prune(value[name], known, False, here, unknown)
            elif schema is not None and schema.allows_additional is not None:
                _prune(value[name], schema.additional, False, here, unknown)
            else:
                unknown.append(here)
                del value[name]


def _prune_open(value: Any, schema: Structural | None, root: bool, path: str, unknown: list[str]) -> None:
    """Unknown fields stay here, but what is described is pruned below all the same."""
    if schema is None:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            if (root or schema.embedded) and name in META_FIELDS:
                continue
            here = f"{path}.{name}" if path else name
            known = schema.properties.get(name)
            if known is not None or schema.allows_additional is not None:
                _prune(item, known or schema.additional, False, here, unknown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _prune_open(item, schema.items, False, f"{path}[{index}]", unknown)


def drop_nulls(value: Any, schema: Structural | None) -> None:
    """Take out, in place, the nulls that are neither allowed nor stand for a default."""
    if isinstance(value, dict):
        for name in list(value):
            known = schema.field(name) if schema is not None else None
            item = value[name]
            if item is None:
                if known is not None and not known.nullable and known.default is None:
                    del value[name]
            else:
                drop_nulls(item, known)
    elif isinstance(value, list):
        items = schema.items if schema is not None else None
        for item in value:
            drop_nulls(item, items)


def fill_defaults(value: Any, schema: Structural | None) -> None:
    """Put, in place, the schema's defaults where a field is absent (or a null that may not be one)."""
    if schema is None or not schema.has_defaults:
        return
    if isinstance(value, dict):
        for name, known in schema.properties.items():
            if known.default is not None and (
                name not in value or (value[name] is None and not known.nullable)
            ):
                value[name] = copy(known.default)
        for name in value:
            known_or_none = schema.field(name)
            if known_or_none is None:
                continue
            if value[name] is None and not known_or_none.nullable and known_or_none.default is not None:
                value[name] = copy(known_or_none.default)
            fill_defaults(value[name], known_or_none)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            if item is None and not schema.items.nullable and schema.items.default is not None:
                value[index] = copy(schema.items.default)
            fill_defaults(value[index], schema.items)


def embedded_metadata(value: Any, schema: Structural | None, path: str = "") -> list[str]:
    """The unknown fields in the metadata of embedded resources, which are taken out in place."""
    found: list[str] = []
    if schema is None:
        return found
    if isinstance(value, dict):
        if schema.embedded and isinstance(value.get("metadata"), dict):
            found += strip_metadata(value["metadata"], f"{path}.metadata" if path else "metadata")
        for name, item in value.items():
            found += embedded_metadata(item, schema.field(name), f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += embedded_metadata(item, schema.items, f"{path}[{index}]")
    return found


def mistyped(value: Any, schema: Structural | None, path: str = "") -> Iterator[FieldError]:
    """What embedded resources have of a wrong type in their apiVersion, kind and metadata."""
    if schema is None:
        return
    if isinstance(value, dict):
        if schema.embedded:
            for name in ("apiVersion", "kind"):
                if not isinstance(value.get(name, ""), str):
                    yield invalid(f"{path}.{name}", value[name], "must be a string")
            metadata = value.get("metadata")
            if metadata is not None:
                try:
                    read_metadata(metadata, "", "")
                except StatusError as error:
                    why = error.message.partition(" cannot be handled as a : ")[2]
                    yield invalid(f"{path}.metadata", metadata, why)
        for name, item in value.items():
            yield from mistyped(item, schema.field(name), f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from mistyped(item, schema.items, f"{path}[{index}]")


def strip_metadata(metadata: Obj, path: str) -> list[str]:
    """Take out, in place, what ObjectMeta does not have; gives the paths."""
    known = type_of(OBJECT_META)
    unknown = [
        sentence.removeprefix('unknown field "').removesuffix('"')
        for sentence in find_unknown(known, metadata)
    ]
    for name in list(metadata):
        if name not in known.fields:
            del metadata[name]
    return [f"{path}.{one}" for one in unknown]


# -- types ---------------------------------------------------------------------------------------------------------


class CustomType(TypeInfo):
    """A schema's node as the rest of the server sees types: a :class:`TypeInfo` that no definition stands behind."""

    __slots__ = ("_defaults",)

    def __init__(self, kind: str, scalar: str = "") -> None:
        super().__init__("any")
        self.kind = kind
        self.scalar = self.format = scalar
        self._defaults: Obj = {}

    def __repr__(self) -> str:
        return f"CustomType({self.kind!r}, {self.scalar!r})"

    @property
    def key_defaults(self) -> Obj:
        """List with map keys: what a key left out of an item stands for."""
        return self._defaults


def _free() -> CustomType:
    """A value without a schema: objects are owned part by part."""
    info = CustomType("any")
    info.map_type = "granular"
    return info


def type_info(schema: Structural, *, root: bool = False) -> TypeInfo:
    """The type that server-side apply walks a custom resource by (``BuildOpenAPIV3`` and its type converter)."""
    if schema.int_or_string:
        return CustomType("scalar", "int-or-string")
    if schema.type == "object" or (root and not schema.type) or schema.properties:
        return _object_type(schema, root)
    if schema.type == "array" and schema.items is not None:
        info = CustomType("list")
        info._element = type_info(schema.items)
        info.list_type, info.map_keys = schema.list_type, schema.list_keys
        info._defaults = {
            key: known.default
            for key in schema.list_keys
            if (known := schema.items.properties.get(key)) is not None and known.default is not None
        }
        return info
    if schema.type in ("string", "integer", "number", "boolean"):
        return CustomType("scalar", schema.type)
    return _free()


def _object_type(schema: Structural, root: bool) -> TypeInfo:
    if schema.additional is not None and not schema.properties:
        info = CustomType("map")
        info._element = type_info(schema.additional)
        info.map_type = schema.map_type
        return info
    fields: dict[str, TypeInfo] = {name: type_info(one) for name, one in schema.properties.items()}
    if root or schema.embedded:
        fields["apiVersion"] = fields["kind"] = CustomType("scalar", "string")
        fields["metadata"] = type_of(OBJECT_META)
    if not fields and schema.map_type != "atomic":
        return _free()  # an object whose members nobody described
    info = CustomType("struct")
    info._fields = fields
    info.map_type = schema.map_type
    info.open = schema.open or schema.allows_additional is True
    return info
