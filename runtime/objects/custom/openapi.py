"""A custom resource's schema as the OpenAPI documents publish it.

After apiextensions-apiserver ``pkg/controller/openapi/{builder/builder.go,v2/conversion.go}``: OpenAPI 3 shows the
schema as it is, with Kubernetes' own fields put in; Swagger 2 leaves out what its readers can't cope with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import Obj
from ..schema import description_of
from .structural import OBJECT_META

LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_COMBINATIONS = ("allOf", "oneOf", "anyOf", "not")
Reference = Callable[[str], Obj]
"""Gives the reference to a definition, which thereby becomes part of the document."""


def model_name(group: str, version: str, kind: str) -> str:
    """``com.example.stable.v1.CronTab`` of ``stable.example.com``."""
    return ".".join([*reversed(group.split(".")), version, kind])


def published(schema: Obj | None, gvk: tuple[str, str, str], refer: Reference, *, v3: bool) -> Obj:
    """The schema of a kind.

    Args:
        schema: as the definition has it.
        gvk: group, version and kind.
        refer: makes references to built-in definitions.
        v3: for OpenAPI 3, else for Swagger 2.
    """
    result: Obj
    if schema is None or (not v3 and schema.get("x-kubernetes-preserve-unknown-fields")):
        result = {"type": "object"}  # anything more would make kubectl refuse every other field
    else:
        result = _shown(schema, refer, v3=v3)
        properties = {**(result.get("properties") or {}), **_type_meta(_META)}
        properties["metadata"] = _metadata(refer, OBJECT_META, v3, _META)
        result["properties"] = properties
    group, version, kind = gvk
    result["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": kind}]
    return result


_META = "io.k8s.api.core.v1.Pod"
"""A kind whose descriptions of apiVersion, kind and metadata are everybody's."""


def published_list(
    gvk: tuple[str, str, str], list_kind: str, plural: str, refer: Reference, *, v3: bool
) -> Obj:
    """The schema of a kind's list."""
    group, version, kind = gvk
    more = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
    items: Obj = {
        "type": "array",
        "description": f"List of {plural}. More info: {more}",
        "items": refer(model_name(group, version, kind)),
    }
    return {
        "description": f"{list_kind} is a list of {kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_type_meta(_META),
            "items": items,
            "metadata": _metadata(refer, LIST_META, v3, "io.k8s.api.core.v1.PodList"),
        },
        "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": list_kind}],
    }


def _type_meta(like: str) -> Obj:
    return {
        name: {"type": "string", "description": description_of(like, name)} for name in ("apiVersion", "kind")
    }


def _metadata(refer: Reference, definition: str, v3: bool, like: str) -> Obj:
    reference = refer(definition)
    text = description_of(like, "metadata")
    return {"allOf": [reference], "description": text} if v3 else {**reference, "description": text}


def _shown(schema: Obj, refer: Reference, *, v3: bool) -> Obj:
    """A node and all below it."""
    result = dict(schema)
    if not v3:
        _simplify(result)
    if isinstance(result.get("properties"), dict):
        result["properties"] = {key: _shown(one, refer, v3=v3) for key, one in result["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(result.get(name), dict):
            result[name] = _shown(result[name], refer, v3=v3)
    if result.get("x-kubernetes-int-or-string") and v3 and "anyOf" not in result:
        either: list[Any] = [{"type": "integer"}, {"type": "string"}]
        result["anyOf"] = either
    if schema.get("x-kubernetes-embedded-resource") and (
        v3 or not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        properties = {**(result.get("properties") or {}), **_type_meta(_META)}
        properties["metadata"] = _metadata(refer, OBJECT_META, v3, _META)
        result["properties"] = properties
        result["required"] = sorted({*(result.get("required") or ()), "apiVersion", "kind"})
    return result


def _simplify(node: Obj) -> None:
    """Take out of a node what Swagger 2, and kubectl's reader of it, does not know (``ToStructuralOpenAPIV2``)."""
    for name in (*_COMBINATIONS, "x-kubernetes-validations"):
        node.pop(name, None)
    if node.pop("nullable", False):
        for name in ("type", "items", "properties"):
            node.pop(name, None)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        node.pop("items", None)
        node.pop("properties", None)
        if node.get("type") == "object":
            del node["type"]
    if node.get("type") == "array" and "items" not in node:
        del node["type"]
    nullable = {
        name
        for name, one in (node.get("properties") or {}).items()
        if isinstance(one, dict) and one.get("nullable")
    }
    if node.get("required") and nullable:
        node["required"] = [name for name in node["required"] if name not in nullable]
        if not node["required"]:
            del node["required"]
