"""The rules of custom resources' schemas: structural, OpenAPI v3 as far as it is supported, defaults that fit.

After apiextensions-apiserver ``pkg/apiserver/schema/{validation.go,defaulting/validation.go}`` and
``pkg/apis/apiextensions/validation/validation.go``. Schemas are walked as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..custom.formats import known_format
from ..custom.rule_checks import check_rule_expressions, check_rule_texts
from ..custom.structural import META_FIELDS, Structural, prune
from ..custom.values import check_values, same_json
from ..errors import Obj, forbidden_field, invalid, required
from ..meta import copy
from ..regexps import go_pattern
from .meta import Errors, unsupported

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_AT_ROOT = "at the root of the schema if the status subresource is enabled"
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_EITHER = [{"type": "integer"}, {"type": "string"}]
_NESTED_FORBIDDEN = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)
_ROOT_FIELDS = (
    "Description",
    "Type",
    "Format",
    "Title",
    "Maximum",
    "ExclusiveMaximum",
    "Minimum",
    "ExclusiveMinimum",
    "MaxLength",
    "MinLength",
    "Pattern",
    "MaxItems",
    "MinItems",
    "UniqueItems",
    "MultipleOf",
    "Required",
    "Items",
    "Properties",
    "ExternalDocs",
    "Example",
    "XPreserveUnknownFields",
    "XValidations",
)
_ROOT_NAMES = frozenset(
    {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"}
    | {name[0].lower() + name[1:] for name in _ROOT_FIELDS if not name.startswith("X")}
)


def check_schema(schema: Obj, path: str, errors: Errors, *, status: bool) -> None:
    """All rules of a version's schema.

    Args:
        schema: the schema of the whole object.
        path: where it stands.
        errors: receives what is wrong.
        status: whether the version has ``/status``, whose schema is taken out by itself.
    """
    if status:
        _check_root(schema, path, errors)
    if schema.get("nullable"):
        errors.append(forbidden_field(f"{path}.nullable", "nullable cannot be true at the root"))
    tree = Structural(schema)
    structural: Errors = []
    _structure(schema, path, structural, "root")
    for name in _JUNCTORS:
        for index, one in enumerate(schema.get(name) or ()):
            _complete(one, schema, path, f"{path}.{name}[{index}]", structural)
    if isinstance(schema.get("not"), dict):
        _complete(schema["not"], schema, path, f"{path}.not", structural)
    structural.sort(key=str)
    if not structural:
        _defaults(tree, path, structural)
    errors += structural
    _openapi(schema, path, errors, root=True)
    check_rule_texts(tree, path, errors)
    if not errors:
        check_rule_expressions(tree, path, errors)


def _check_root(schema: Obj, path: str, errors: Errors) -> None:
    if schema.get("type") and schema["type"] != "object":
        sentence = f'only "object" is allowed as the type {_AT_ROOT}'
        errors.append(invalid(f"{path}.type", schema["type"], sentence))
    elif any(value and name not in _ROOT_NAMES for name, value in schema.items()):
        sentence = f"only [{' '.join(_ROOT_FIELDS)}] fields are allowed {_AT_ROOT}"
        errors.append(invalid(path, schema, sentence))


# -- structure -----------------------------------------------------------------------------------------------------


def _either_integer_or_string(alternatives: Any) -> bool:
    return isinstance(alternatives, list) and alternatives == _EITHER


def _structure(schema: Obj, path: str, errors: Errors, level: str) -> None:
    """The invariants of a node outside of value validations (``validateStructuralInvariants``)."""
    kind = schema.get("type") or ""
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    open_ = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    either = bool(schema.get("x-kubernetes-int-or-string"))
    properties: Obj = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    items = schema.get("items")
    if kind == "array" and items is None:
        errors.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _structure(items, f"{path}.items", errors, "item")
    for name, one in properties.items():
        _structure(one, f"{path}.properties[{name}]", errors, "field")
    if more is not None and level == "root":
        errors.append(forbidden_field(f"{path}.additionalProperties", "must not be used at the root"))
    if isinstance(more, dict):
        _structure(more, f"{path}.additionalProperties", errors, "field")
    for flag, name in ((open_, "preserve-unknown-fields"), (embedded, "embedded-resource")):
        if either and flag:
            sentence = "must be false if x-kubernetes-int-or-string is true"
            errors.append(invalid(f"{path}.x-kubernetes-{name}", True, sentence))
    _values(schema, path, errors)
    if embedded and kind != "object":
        sentence = "must be object if x-kubernetes-embedded-resource is true"
        errors.append(invalid(f"{path}.type", kind, sentence) if kind else required(f"{path}.type", sentence))
    elif not kind and not either and not open_:
        where = {
            "root": "at the root",
            "item": "for specified array items",
            "field": "for specified object fields",
        }
        errors.append(required(f"{path}.type", f"must not be empty {where[level]}"))
    if embedded and more is not None:
        sentence = "must not be used if x-kubernetes-embedded-resource is set"
        errors.append(forbidden_field(f"{path}.additionalProperties", sentence))
    if level == "root" and kind and kind != "object":
        errors.append(invalid(f"{path}.type", kind, "must be object at the root"))
    if level == "root" or embedded:
        for name in ("kind", "apiVersion"):
            if name in properties and properties[name].get("type") != "string":
                place = f"{path}.properties[{name}].type"
                errors.append(invalid(place, properties[name].get("type") or "", "must be string"))
    if isinstance(properties.get("metadata"), dict):
        _metadata(
            properties["metadata"], level, level == "root" or embedded, f"{path}.properties[metadata]", errors
        )
    if embedded and not open_ and not properties:
        without = "without x-kubernetes-preserve-unknown-fields"
        sentence = f"must not be empty if x-kubernetes-embedded-resource is true {without}"
        errors.append(required(f"{path}.properties", sentence))


def _metadata(schema: Obj, level: str, checked: bool, path: str, errors: Errors) -> None:
    if checked and schema.get("type") != "object":
        errors.append(invalid(f"{path}.type", schema.get("type") or "", "must be object"))
    if level != "root":
        return
    known = set(schema.get("properties") or {}) - {"name", "generateName"}
    allowed = ("type", "properties", "default", "description", *_JUNCTORS, "not", "required")
    if known or any(value and name not in allowed for name, value in schema.items()):
        sentence = (
            "must not specify anything other than name and generateName, but metadata is implicitly specified"
        )
        errors.append(forbidden_field(path, sentence))


def _values(schema: Obj, path: str, errors: Errors) -> None:
    """The value validations of a node: what stands in them may only restrict."""
    for name in _JUNCTORS:
        alternatives = schema.get(name) or ()
        if name == "anyOf" and _either_integer_or_string(alternatives):
            continue
        for index, one in enumerate(alternatives):
            first = name == "allOf" and index == 0 and _either_integer_or_string(one.get("anyOf"))
            _nested(one, f"{path}.{name}[{index}]", errors, skip_any=first)
    if isinstance(schema.get("not"), dict):
        _nested(schema["not"], f"{path}.not", errors)
    pattern = schema.get("pattern")
    if pattern and go_pattern(pattern) is None:
        sentence = "must be a valid regular expression, but isn't: error parsing regexp"
        errors.append(invalid(f"{path}.pattern", pattern, sentence))


def _nested(schema: Obj, path: str, errors: Errors, *, skip_any: bool = False) -> None:
    _values({**schema, "anyOf": ()} if skip_any else schema, path, errors)
    if isinstance(schema.get("items"), dict):
        _nested(schema["items"], f"{path}.items", errors)
    for name, one in (schema.get("properties") or {}).items():
        _nested(one, f"{path}.properties[{name}]", errors)
    for name, sentence in _NESTED_FORBIDDEN:
        if schema.get(name) or (name in ("default", "additionalProperties") and schema.get(name) is not None):
            errors.append(forbidden_field(f"{path}.{name}", sentence))
    if "metadata" in (schema.get("properties") or {}):
        sentence = "must not be specified in a nested context"
        errors.append(forbidden_field(f"{path}.properties[metadata]", sentence))


def _complete(schema: Obj, structure: Obj | None, place: str, path: str, errors: Errors) -> None:
    """What value validations are about is described outside of them too (``validateStructuralCompleteness``)."""
    if structure is None:
        errors.append(required(place, f"because it is defined in {path}"))
        return
    for name in _JUNCTORS:
        for index, one in enumerate(schema.get(name) or ()):
            _complete(one, structure, place, f"{path}.{name}[{index}]", errors)
    if isinstance(schema.get("not"), dict):
        _complete(schema["not"], structure, place, f"{path}.not", errors)
    if isinstance(schema.get("items"), dict):
        _complete(schema["items"], structure.get("items"), f"{place}.items", f"{path}.items", errors)
    for name, one in (schema.get("properties") or {}).items():
        below = (structure.get("properties") or {}).get(name)
        _complete(one, below, f"{place}.properties[{name}]", f"{path}.properties[{name}]", errors)


def _defaults(schema: Structural, path: str, errors: Errors, meta: bool = False) -> None:
    """Defaults fit the schema that they are part of.

    ``meta``: inside of an embedded resource's apiVersion, kind or metadata, whose unknown fields are left out later.
    """
    if schema.default is not None:
        value = copy(schema.default)
        prune(value, schema, root=schema.embedded)
        if not meta and not same_json(value, schema.default):
            errors.append(invalid(f"{path}.default", schema.default, "must not have unknown fields"))
        errors += check_values(schema.default, schema.raw, prefix=f"{path}.default")
    if schema.items is not None:
        _defaults(schema.items, f"{path}.items", errors, meta)
    for name, one in schema.properties.items():
        inside = meta or (schema.embedded and name in ("apiVersion", "kind", "metadata"))
        _defaults(one, f"{path}.properties[{name}]", errors, inside)


# -- OpenAPI -------------------------------------------------------------------------------------------------------


def _openapi(
    schema: Obj, path: str, errors: Errors, *, root: bool = False, meta: bool = False, no: str = ""
) -> None:
    """The rules of one node and of all below it (``ValidateCustomResourceDefinitionOpenAPISchema``).

    ``meta``: inside of apiVersion, kind or metadata; ``no``: why no default may stand here.
    """
    kind = schema.get("type") or ""
    if kind and kind not in TYPES:
        errors.append(unsupported(f"{path}.type", kind, TYPES))
    if "default" in schema and no:
        errors.append(forbidden_field(f"{path}.default", f"must not be set {no}"))
    errors += [
        forbidden_field(f"{path}.{name}", f"{name} is not supported")
        for name in _UNSUPPORTED
        if schema.get(name) not in (None, "", {})
    ]
    if kind == "null":
        sentence = "type cannot be set to null, use nullable as an alternative"
        errors.append(forbidden_field(f"{path}.type", sentence))
    if isinstance(schema.get("items"), list):
        errors.append(forbidden_field(f"{path}.items", "items must be a schema object and not an array"))
    if meta and schema.get("x-kubernetes-embedded-resource"):
        sentence = "must not be used inside of resource meta"
        errors.append(forbidden_field(f"{path}.x-kubernetes-embedded-resource", sentence))
    if schema.get("uniqueItems"):
        sentence = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(forbidden_field(f"{path}.uniqueItems", sentence))
    more = schema.get("additionalProperties")
    if more is not None and schema.get("properties") and more is not True:
        sentence = "additionalProperties and properties are mutual exclusive"
        errors.append(forbidden_field(f"{path}.additionalProperties", sentence))
    if isinstance(more, dict):
        inside = "inside additionalProperties applying to object metadata" if meta else no
        _openapi(more, f"{path}.additionalProperties", errors, meta=meta, no=inside)
    for name, one in (schema.get("properties") or {}).items():
        own = (root or bool(schema.get("x-kubernetes-embedded-resource"))) and name in META_FIELDS
        why = f"in top-level {name}" if own and root else no
        _openapi(one, f"{path}.properties[{name}]", errors, meta=meta or own, no=why)
    for name in _JUNCTORS:
        for index, one in enumerate(schema.get(name) or ()):
            _openapi(one, f"{path}.{name}[{index}]", errors, meta=meta, no=no)
    if isinstance(schema.get("not"), dict):
        _openapi(schema["not"], f"{path}.not", errors, meta=meta, no=no)
    if isinstance(schema.get("items"), dict):
        _openapi(schema["items"], f"{path}.items", errors, meta=meta, no=no)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        place = f"{path}.x-kubernetes-preserve-unknown-fields"
        errors.append(invalid(place, False, "must be true or undefined"))
    _extension(schema, "map", "object", ("atomic", "granular"), path, errors)
    _extension(schema, "list", "array", ("atomic", "set", "map"), path, errors)
    _list_keys(schema, path, errors)


def _extension(
    schema: Obj, what: str, needed: str, allowed: tuple[str, ...], path: str, errors: Errors
) -> None:
    name = f"x-kubernetes-{what}-type"
    value, kind = schema.get(name), schema.get("type") or ""
    if value is None:
        return
    if kind != needed:
        sentence = f"must be {needed} if {name} is specified"
        errors.append(invalid(f"{path}.type", kind, sentence) if kind else required(f"{path}.type", sentence))
    elif value == "set" and isinstance(schema.get("items"), dict):
        below = schema["items"]
        sentence = "must be atomic as item of a list with x-kubernetes-list-type=set"
        if below.get("type") == "array" and below.get("x-kubernetes-list-type") not in (None, "atomic"):
            place = f"{path}.items.x-kubernetes-list-type"
            errors.append(invalid(place, below.get("x-kubernetes-list-type"), sentence))
        if below.get("type") == "object" and below.get("x-kubernetes-map-type") != "atomic":
            place = f"{path}.items.x-kubernetes-map-type"
            errors.append(invalid(place, below.get("x-kubernetes-list-type"), sentence))
    if value not in allowed:
        errors.append(unsupported(f"{path}.{name}", value, allowed))


def _list_keys(schema: Obj, path: str, errors: Errors) -> None:
    keys, kind = schema.get("x-kubernetes-list-map-keys") or [], schema.get("x-kubernetes-list-type")
    place = f"{path}.x-kubernetes-list-type"
    if keys and kind != "map":
        sentence = "must be map if x-kubernetes-list-map-keys is non-empty"
        errors.append(invalid(place, kind, sentence) if kind else required(place, sentence))
    items = schema.get("items")
    if kind in ("map", "set") and isinstance(items, dict) and items.get("nullable"):
        sentence = f"cannot be nullable when x-kubernetes-list-type is {kind}"
        errors.append(forbidden_field(f"{path}.items.nullable", sentence))
    if kind != "map":
        return
    place = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        errors.append(required(place, "must not be empty if x-kubernetes-list-type is map"))
    if not isinstance(items, dict):
        errors.append(required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
        return
    if items.get("type") != "object":
        sentence = "must be object if parent array's x-kubernetes-list-type is map"
        errors.append(invalid(f"{path}.items.type", items.get("type") or "", sentence))
        return
    for index, key in enumerate(keys):
        field = (items.get("properties") or {}).get(key)
        here = f"{path}.items.properties[{key}]"
        if field is None:
            errors.append(invalid(place, keys, "entries must all be names of item properties"))
        elif field.get("type") in ("array", "object"):
            sentence = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(invalid(f"{here}.type", items.get("type"), sentence))
        if key in keys[:index]:
            errors.append(invalid(place, keys, "must not contain duplicate entries"))
        if field is None:
            continue
        listed = "this property is in x-kubernetes-list-map-keys, so it"
        if key not in (items.get("required") or ()) and field.get("default") is None:
            errors.append(
                required(f"{here}.default", f"{listed} must have a default or be a required property")
            )
        if field.get("nullable"):
            errors.append(forbidden_field(f"{here}.nullable", f"{listed} cannot be nullable"))


# -- warnings ------------------------------------------------------------------------------------------------------


def _nodes(schema: Obj) -> Iterator[Obj]:
    yield schema
    for name in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(name), dict):
            yield from _nodes(schema[name])
    for one in (schema.get("properties") or {}).values():
        yield from _nodes(one)
    for name in _JUNCTORS:
        for one in schema.get(name) or ():
            yield from _nodes(one)


def schema_warnings(schema: Obj) -> list[str]:
    """What is accepted in a schema and means nothing, or less than it seems to."""
    found: list[str] = []
    for node in _nodes(schema):
        if node.get("format") and not known_format(node.get("type") or "", node["format"]):
            found.append(f'unrecognized format "{node["format"]}"')
        items = node.get("items") if node.get("x-kubernetes-list-type") == "set" else None
        if isinstance(items, dict) and items.get("type") in ("object", "array"):
            found.append(
                f'x-kubernetes-list-type: set for items of type "{items["type"]}" is not supported by '
                "server-side apply or CEL validation rules"
            )
    return found
