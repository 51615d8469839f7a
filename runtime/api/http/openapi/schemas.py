"""The schemas of an OpenAPI document, written from the facts that validation itself uses.

One generator makes both flavours: OpenAPI 3 (references wrapped in ``allOf`` so that a description may stand beside
them, unions where a field takes two types) and Swagger 2. The definitions carry Kubernetes' extensions: group version
kinds, patch strategies and list types, from which kubectl builds its patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runtime.objects.errors import Obj
from runtime.objects.registry import CustomKind
from runtime.objects.schema import TypeInfo, description_of, kinds_of, type_of

NAMED_SCALARS = {
    "int-or-string": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "date-time": "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
    "micro-time": "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
}
_NAMES = frozenset(NAMED_SCALARS.values())
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"

_V3_SCALARS: dict[str, Obj] = {
    "int-or-string": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "date-time": {"type": "string", "format": "date-time"},
    "micro-time": {"type": "string", "format": "date-time"},
}
_V2_SCALARS: dict[str, Obj] = {
    "int-or-string": {"type": "string", "format": "int-or-string"},
    "quantity": {"type": "string"},
    "date-time": {"type": "string", "format": "date-time"},
    "micro-time": {"type": "string", "format": "date-time"},
}


class Schemas:
    """Definitions of one document, collected as they are referred to."""

    def __init__(self, *, v3: bool) -> None:
        self._v3 = v3
        self._prefix = "#/components/schemas/" if v3 else "#/definitions/"
        self._pending: list[str] = []
        self._seen: set[str] = set()
        self._custom: dict[str, Callable[[], Obj]] = {}

    def add_custom(self, kind: CustomKind) -> None:
        """Make a custom resource's own definitions known."""
        self._custom.update(kind.definitions(self.reference, v3=self._v3))

    def reference(self, definition: str) -> Obj:
        """A bare reference to a definition, which will then be part of :meth:`collect`."""
        if definition not in self._seen:
            self._seen.add(definition)
            self._pending.append(definition)
        return {"$ref": self._prefix + definition}

    def collect(self, extra: Iterable[str] = ()) -> dict[str, Obj]:
        """All definitions that were referred to, and what they refer to in turn, by name."""
        for definition in extra:
            self.reference(definition)
        found: dict[str, Obj] = {}
        while self._pending:
            definition = self._pending.pop()
            found[definition] = self._definition(definition)
        return dict(sorted(found.items()))

    def _definition(self, name: str) -> Obj:
        custom = self._custom.get(name)
        if custom is not None:
            return custom()
        description = description_of(name)
        schema: Obj = {"description": description} if description else {}
        if name in _NAMES:
            scalar = next(key for key, value in NAMED_SCALARS.items() if value == name)
            return {**schema, **(_V3_SCALARS if self._v3 else _V2_SCALARS)[scalar]}
        info = type_of(name)
        if info.kind != "struct":
            return {**schema, "type": "object"}
        schema["type"] = "object"
        properties = {
            field: self._field(one, description_of(name, field)) for field, one in info.fields.items()
        }
        if properties:
            schema["properties"] = properties
        if info.required:
            schema["required"] = sorted(info.required)
        if info.map_type:
            schema["x-kubernetes-map-type"] = info.map_type
        kinds = kinds_of(name)
        if kinds:
            schema["x-kubernetes-group-version-kind"] = [
                {"group": group, "version": version, "kind": kind} for group, version, kind in kinds
            ]
        return schema

    def _field(self, info: TypeInfo, description: str) -> Obj:
        schema = self._type(info)
        if "$ref" in schema and self._v3:
            schema = {"allOf": [schema]}
        if description:
            schema["description"] = description
        if info.enum:
            schema["enum"] = list(info.enum)
        if info.kind == "list":
            if info.list_type:
                schema["x-kubernetes-list-type"] = info.list_type
            if info.map_keys:
                schema["x-kubernetes-list-map-keys"] = list(info.map_keys)
        if (
            info.kind in ("map", "struct")
            and info.map_type
            and "$ref" not in schema
            and "allOf" not in schema
        ):
            schema["x-kubernetes-map-type"] = info.map_type
        if info.patch_strategy:
            schema["x-kubernetes-patch-strategy"] = info.patch_strategy
        if info.merge_key:
            schema["x-kubernetes-patch-merge-key"] = info.merge_key
        return schema

    def _type(self, info: TypeInfo) -> Obj:
        match info.kind:
            case "struct":
                return self.reference(info.definition)
            case "list":
                return {"type": "array", "items": self._inner(info.element)}
            case "map":
                return {"type": "object", "additionalProperties": self._inner(info.element)}
            case "any":
                return {}
        return self._scalar(info)

    def _inner(self, info: TypeInfo) -> Obj:
        schema = self._type(info)
        return {"allOf": [schema]} if "$ref" in schema and self._v3 else schema

    def _scalar(self, info: TypeInfo) -> Obj:
        named = NAMED_SCALARS.get(info.scalar)
        if named:
            return self.reference(named)
        schema: dict[str, Any] = {"type": "string" if info.scalar == "byte" else info.scalar}
        if info.scalar == "integer":
            schema["format"] = info.format
        elif info.scalar == "byte":
            schema["format"] = "byte"
        elif info.scalar == "number":
            schema["format"] = "double"
        return schema
