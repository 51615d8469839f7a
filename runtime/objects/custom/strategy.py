"""How custom resources are read, checked and changed.

After apiextensions-apiserver ``pkg/registry/customresource/{strategy,status_strategy,validator}.go`` and, for what is
unique in lists and for embedded resources, ``pkg/apiserver/schema/{listtype,objectmeta}/validation.go``.
"""

from __future__ import annotations

from typing import Any

from ..errors import FieldError, Obj, duplicate, invalid, required
from ..meta import finalizers_of
from ..registry import ScalePaths, Strategy
from ..selectors import label_key_errors
from ..validation.meta import check_meta, check_meta_update
from ..validation.names import label_1035, path_segment_name, subdomain_name
from .rules import blocked_rules, check_rules, has_rules
from .structural import Structural
from .values import ABSENT, Errors, check_values, same_json

_GARBAGE_COLLECTION = ("foregroundDeletion", "kubernetes", "orphan")
_MAX_REPLICAS = 2**31 - 1


class CustomStrategy(Strategy):
    """The rules of one version of a custom resource."""

    allow_unconditional_update = False

    def __init__(
        self, schema: Structural, *, namespaced: bool, status: bool, scale: ScalePaths | None
    ) -> None:
        self._schema = schema
        self._namespaced = namespaced
        self._status = status
        self._scale = scale
        self._has_rules = has_rules(schema)
        self.generation_counts_status = not status

    def prepare_for_create(self, obj: Obj) -> None:
        """Nobody sets a status on create where there is ``/status``."""
        if self._status:
            obj.pop("status", None)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep the status where there is ``/status``."""
        if self._status:
            super().prepare_for_update(new, old)

    def prepare_for_status_update(self, new: Obj, old: Obj) -> None:
        """Keep everything but the status, the metadata too."""
        metadata = {**old["metadata"], "resourceVersion": new["metadata"]["resourceVersion"]}
        metadata.pop("managedFields", None)
        if "managedFields" in new["metadata"]:
            metadata["managedFields"] = new["metadata"]["managedFields"]
        for name in [*new]:
            if name != "status":
                del new[name]
        new.update({name: value for name, value in old.items() if name != "status"})
        new["metadata"] = metadata

    def validate(self, obj: Obj) -> list[FieldError]:
        """Metadata, the schema, scale's numbers, embedded resources, lists that are sets and maps."""
        errors: Errors = []
        check_meta(obj, errors, namespaced=self._namespaced, name=subdomain_name)
        errors += check_values(obj, self._schema.raw)
        errors += [*self._common(obj), *check_lists(obj, self._schema)]
        return [*errors, *self._check_rules(obj, None, errors)]

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """As on create; values and lists that were wrong before and did not change may stay."""
        errors: Errors = []
        check_meta_update(new, old, errors)
        errors += check_values(new, self._schema.raw, old)
        errors += self._common(new)
        if not check_lists(old, self._schema):
            errors += check_lists(new, self._schema)
        return [*errors, *self._check_rules(new, old, errors)]

    def _check_rules(self, new: Obj, old: Obj | None, errors: Errors) -> Errors:
        """The schema's rules, unless the object is too wrong to ask them."""
        if not self._has_rules:
            return []
        return blocked_rules(errors) or check_rules(new, self._schema, old).errors

    def _common(self, obj: Obj) -> Errors:
        return [
            *_check_scale(obj, self._scale, spec=True),
            *check_embedded(obj, self._schema),
        ]

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """The status alone."""
        errors: Errors = []
        check_meta_update(new, old, errors)
        schema = self._schema.properties.get("status")
        if schema is not None and "status" in new:
            errors += check_values(new["status"], schema.raw, old.get("status", ABSENT), prefix="status")
            if not check_lists(old.get("status"), schema, "status"):
                errors += check_lists(new["status"], schema, "status")
        errors += _check_scale(new, self._scale, spec=False)
        return [*errors, *self._check_rules(new, old, errors)]

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        """Finalizers that were added and may clash with other people's, rules that were broken before already."""
        found: list[str] = []
        before = set(finalizers_of(old)) if old is not None else set()
        for name in sorted(set(finalizers_of(obj)) - before):
            shown = f'metadata.finalizers: "{name}"'
            found += [f"{shown}: {sentence}" for sentence in label_key_errors(name)]
            if "/" not in name and name not in _GARBAGE_COLLECTION:
                path = " including a path (/)" if "." in name else ""
                found.append(
                    f"{shown}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with "
                    "other finalizer writers"
                )
        if old is not None and self._has_rules:
            found += map(str, check_rules(obj, self._schema, old).tolerated)
        return found


# -- scale ---------------------------------------------------------------------------------------------------------


def _nested(obj: Obj, path: tuple[str, ...]) -> tuple[Any, str]:
    """The value at a path and, where the path leads through something that is no object, why there is none."""
    value: Any = obj
    for index, step in enumerate(path):
        if not isinstance(value, dict):
            place = "." + ".".join(path[:index])
            kind = f"{go_type(value)}, expected map[string]interface{{}}"
            return None, f"{place} accessor error: {go_value(value)} is of the type {kind}"
        if step not in value:
            return None, ""
        value = value[step]
    return value, ""


def go_type(value: Any) -> str:
    """The Go type of a JSON value."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case str():
            return "string"
        case int():
            return "int64"
        case float():
            return "float64"
        case list():
            return "[]interface {}"
    return "map[string]interface {}"


def go_value(value: Any) -> str:
    """A JSON value as Go's ``%v`` prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{key}:{go_value(value[key])}" for key in sorted(value)) + "]"
        case list():
            return "[" + " ".join(map(go_value, value)) + "]"
    return str(value)


def _check_replicas(obj: Obj, path: tuple[str, ...]) -> Errors:
    place = "." + ".".join(path)
    value, problem = _nested(obj, path)
    if not problem and value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        problem = f"{place} accessor error: {go_value(value)} is of the type {go_type(value)}, expected int64"
    if problem:
        return [invalid(place, 0, problem)]
    if value is None:
        return []
    if value < 0:
        return [invalid(place, value, "should be a non-negative integer")]
    if value > _MAX_REPLICAS:
        return [invalid(place, value, f"should be less than or equal to {_MAX_REPLICAS}")]
    return []


def _check_scale(obj: Obj, scale: ScalePaths | None, *, spec: bool) -> Errors:
    """Where the scale subresource looks there are numbers, and a selector that is text."""
    if scale is None:
        return []
    errors = _check_replicas(obj, scale.spec_replicas) if spec else []
    errors += _check_replicas(obj, scale.status_replicas)
    if scale.selector:
        place = "." + ".".join(scale.selector)
        value, problem = _nested(obj, scale.selector)
        if not problem and value is not None and not isinstance(value, str):
            problem = (
                f"{place} accessor error: {go_value(value)} is of the type {go_type(value)}, expected string"
            )
        if problem:
            errors.append(invalid(place, "", problem))
    return errors


# -- lists and embedded resources ----------------------------------------------------------------------------------


def _below(path: str, name: str, schema: Structural) -> str:
    """A member's path: fields after a dot, keys of maps in brackets."""
    if name in schema.properties:
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]"


def check_lists(value: Any, schema: Structural | None, path: str = "") -> Errors:
    """Nothing stands twice in a list that is a set, nor a key in one that is a map."""
    errors: Errors = []
    if schema is None:
        return errors
    if isinstance(value, dict):
        for name, item in value.items():
            errors += check_lists(item, schema.field(name), _below(path, name, schema))
    elif isinstance(value, list):
        if schema.list_type == "set":
            errors += [duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value)]
        elif schema.list_type == "map":
            errors += _check_map(value, schema, path)
        for index, item in enumerate(value):
            errors += check_lists(item, schema.items, f"{path}[{index}]")
    return errors


def _repeated(items: list[Any]) -> list[int]:
    """Where an item stands for the second time."""
    seen: list[list[Any]] = []
    found: list[int] = []
    for index, item in enumerate(items):
        for entry in seen:
            if same_json(entry[0], item):
                entry[1] += 1
                if entry[1] == 2:
                    found.append(index)
                break
        else:
            seen.append([item, 1])
    return found


def _check_map(items: list[Any], schema: Structural, path: str) -> Errors:
    for index, item in enumerate(items):
        if item is not None and not isinstance(item, dict):
            return [invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")]
    keys = [{key: item[key] for key in schema.list_keys if key in item} if item else {} for item in items]
    return [duplicate(f"{path}[{index}]", keys[index]) for index in _repeated(keys)]


def check_embedded(value: Any, schema: Structural | None, path: str = "") -> Errors:
    """Embedded resources say what they are, and their metadata is in order."""
    errors: Errors = []
    if schema is None:
        return errors
    if isinstance(value, dict):
        if schema.embedded:
            errors += _check_resource(value, path)
        for name, item in value.items():
            errors += check_embedded(item, schema.field(name), _below(path, name, schema))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            errors += check_embedded(item, schema.items, f"{path}[{index}]")
    return errors


def _check_resource(value: Obj, path: str) -> Errors:
    errors: Errors = [required(f"{path}.{name}") for name in ("apiVersion", "kind") if name not in value]
    for name in ("apiVersion", "kind"):
        given = value.get(name, "?")
        if not isinstance(given, str):
            errors.append(invalid(f"{path}.{name}", given, "must be a string"))
        elif not given:
            errors.append(invalid(f"{path}.{name}", given, "must not be empty"))
        elif name == "apiVersion" and given.count("/") > 1:
            errors.append(invalid(f"{path}.apiVersion", given, f"unexpected GroupVersion string: {given}"))
        elif name == "kind" and name in value and (found := label_1035(given.lower())):
            mixed = "may have mixed case, but should otherwise match: "
            errors.append(invalid(f"{path}.kind", given, mixed + ",".join(found)))
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        named = {"metadata": {**metadata, "name": metadata.get("name") or "fakename"}}
        check_meta(
            named,
            errors,
            namespaced=bool(metadata.get("namespace")),
            name=path_segment_name,
            path=f"{path}.metadata",
        )
    return errors
