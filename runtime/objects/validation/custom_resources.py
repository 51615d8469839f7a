"""The rules of CustomResourceDefinitions (apiextensions-apiserver ``pkg/apis/apiextensions/validation``)."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Obj, forbidden_field, invalid, required
from .extension import check_client
from .meta import Errors, check_meta, check_meta_update, immutable, one_of, unsupported
from .names import any_name, label_1035, subdomain

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
SCHEMA_TYPES = ("array", "boolean", "integer", "number", "object", "string")


def _joined(value: str, path: str, sentences: Sequence[str], errors: Errors, prefix: str = "") -> None:
    if sentences:
        errors.append(invalid(path, value, prefix + ",".join(sentences)))


def _names(names: Obj, path: str, errors: Errors) -> None:
    mixed = "may have mixed case, but should otherwise match: "
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            errors.append(required(f"{path}.{name}"))
    for name in ("plural", "singular"):
        if names.get(name):
            _joined(names[name], f"{path}.{name}", label_1035(names[name]), errors)
    for name in ("kind", "listKind"):
        if names.get(name):
            _joined(names[name], f"{path}.{name}", label_1035(names[name].lower()), errors, mixed)
    for name in ("shortNames", "categories"):
        for index, one in enumerate(names.get(name) or ()):
            _joined(one, f"{path}.{name}[{index}]", label_1035(one), errors)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        sentence = "kind and listKind may not be the same"
        errors.append(invalid(f"{path}.listKind", names["listKind"], sentence))


def _schema(schema: Obj, path: str, errors: Errors, *, root: bool = False) -> None:
    """The part of structural schemas that decides how objects are pruned: every node has a type."""
    kind = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if root and kind != "object":
        sentence = "must be object at the root"
        errors.append(invalid(f"{path}.type", kind, sentence) if kind else required(f"{path}.type", sentence))
    elif not kind and not free:
        errors.append(required(f"{path}.type", "must not be empty for specified object fields"))
    elif kind and kind not in SCHEMA_TYPES:
        errors.append(unsupported(f"{path}.type", kind, SCHEMA_TYPES))
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        place = f"{path}.x-kubernetes-preserve-unknown-fields"
        errors.append(invalid(place, False, "must be true or undefined"))
    if schema.get("uniqueItems"):
        sentence = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(forbidden_field(f"{path}.uniqueItems", sentence))
    more = schema.get("additionalProperties")
    if schema.get("properties") and isinstance(more, dict):
        sentence = "additionalProperties and properties are mutual exclusive"
        errors.append(forbidden_field(f"{path}.additionalProperties", sentence))
    for name, one in (schema.get("properties") or {}).items():
        if not (root and name == "metadata"):
            _schema(one, f"{path}.properties[{name}]", errors)
    if isinstance(more, dict):
        _schema(more, f"{path}.additionalProperties", errors)
    items = schema.get("items")
    if kind == "array" and items is None:
        errors.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _schema(items, f"{path}.items", errors)


def _version(version: Obj, path: str, errors: Errors) -> None:
    name = version.get("name") or ""
    _joined(name, f"{path}.name", label_1035(name), errors)
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        errors.append(required(f"{path}.schema.openAPIV3Schema", "schemas are required"))
    else:
        _schema(schema, f"{path}.schema.openAPIV3Schema", errors, root=True)
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        for member, prefix in (
            ("specReplicasPath", ".spec."),
            ("statusReplicasPath", ".status."),
            ("labelSelectorPath", (".spec.", ".status.")),
        ):
            value = scale.get(member)
            place = f"{path}.subresources.scale.{member}"
            if not value:
                if member != "labelSelectorPath":
                    errors.append(required(place))
            elif not value.startswith(prefix):
                shown = prefix if isinstance(prefix, str) else " or ".join(prefix)
                name = shown.strip(".")
                errors.append(invalid(place, value, f"should be a json path under .{name}"))
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        place = f"{path}.additionalPrinterColumns[{index}]"
        for member in ("name", "jsonPath"):
            if not column.get(member):
                errors.append(required(f"{place}.{'JSONPath' if member == 'jsonPath' else member}"))
        listed = ",".join(COLUMN_TYPES)
        if not column.get("type"):
            errors.append(required(f"{place}.type", f"must be one of {listed}"))
        elif column["type"] not in COLUMN_TYPES:
            errors.append(invalid(f"{place}.type", column["type"], f"must be one of {listed}"))
        if column.get("format") and column["format"] not in COLUMN_FORMATS:
            sentence = f"must be one of {','.join(COLUMN_FORMATS)}"
            errors.append(invalid(f"{place}.format", column["format"], sentence))


def _definition(obj: Obj, errors: Errors) -> None:
    spec = obj.get("spec") or {}
    group = spec.get("group") or ""
    if not group:
        errors.append(required("spec.group"))
    elif found := subdomain(group):
        _joined(group, "spec.group", found, errors)
    elif "." not in group:
        errors.append(invalid("spec.group", group, "should be a domain with at least one dot"))
    one_of(spec.get("scope"), ("Cluster", "Namespaced"), "spec.scope", errors)
    if spec.get("preserveUnknownFields"):
        instead = "set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        sentence = f"cannot set to true, {instead}"
        errors.append(invalid("spec.preserveUnknownFields", True, sentence))
    versions = spec.get("versions") or []
    for index, version in enumerate(versions):
        _version(version, f"spec.versions[{index}]", errors)
    names = [version.get("name") for version in versions]
    if len(set(names)) != len(names):
        errors.append(invalid("spec.versions", versions, "must contain unique version names"))
    if sum(1 for version in versions if version.get("storage")) != 1:
        sentence = "must have exactly one version marked as storage version"
        errors.append(invalid("spec.versions", versions, sentence))
    _names(spec.get("names") or {}, "spec.names", errors)
    conversion = spec.get("conversion") or {}
    if conversion.get("strategy") == "Webhook":
        client = (conversion.get("webhook") or {}).get("clientConfig")
        place = "spec.conversion.webhook.clientConfig"
        if client is None:
            errors.append(required(place, "required when strategy is set to Webhook"))
        else:
            check_client(client, place, errors)
    else:
        one_of(conversion.get("strategy"), ("None", "Webhook"), "spec.conversion.strategy", errors)
        if conversion.get("webhook") is not None:
            sentence = "should not be set when strategy is not set to Webhook"
            errors.append(forbidden_field("spec.conversion.webhook", sentence))


def check_custom_resource_definition(obj: Obj) -> Errors:
    """A new CustomResourceDefinition; its name says what it defines."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False, name=any_name)
    spec = obj.get("spec") or {}
    expected = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    name = (obj.get("metadata") or {}).get("name") or ""
    if name and name != expected:
        errors.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    _definition(obj, errors)
    return errors


def check_custom_resource_definition_update(new: Obj, old: Obj) -> Errors:
    """A changed definition: once it is served, its names and scope stay."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _definition(new, errors)
    spec, before = new["spec"], old["spec"]
    established = any(
        one.get("type") == "Established" and one.get("status") == "True"
        for one in (old.get("status") or {}).get("conditions") or ()
    )
    if established:
        immutable(spec.get("scope"), before.get("scope"), "spec.scope", errors)
        kind, was = (spec.get("names") or {}).get("kind"), (before.get("names") or {}).get("kind")
        immutable(kind, was, "spec.names.kind", errors)
    immutable(spec.get("group"), before.get("group"), "spec.group", errors)
    plural, was = (spec.get("names") or {}).get("plural"), (before.get("names") or {}).get("plural")
    immutable(plural, was, "spec.names.plural", errors)
    return errors


def check_custom_resource_definition_status(new: Obj, old: Obj) -> Errors:
    """The stored versions name versions that exist."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    stored = (new.get("status") or {}).get("storedVersions") or []
    place = "status.storedVersions"
    if not stored:
        errors.append(invalid(place, stored, "must have at least one stored version"))
        return errors
    names = [version.get("name") for version in new["spec"].get("versions") or ()]
    for version in new["spec"].get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            errors.append(invalid(place, stored, f"must have the storage version {version.get('name')}"))
    for index, name in enumerate(stored):
        if name not in names:
            sentence = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            errors.append(invalid(f"{place}[{index}]", name, sentence))
    return errors
