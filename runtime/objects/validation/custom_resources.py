"""The rules of CustomResourceDefinitions (apiextensions-apiserver ``pkg/apis/apiextensions/validation``)."""

from __future__ import annotations

from collections.abc import Sequence

from ..custom.approval import ANNOTATION, approval_state, protected
from ..errors import FieldError, Obj, duplicate, forbidden_field, invalid, required
from .custom_schemas import check_schema, schema_warnings
from .extension import REVIEW_VERSIONS, check_client
from .meta import Errors, check_meta, check_meta_update, immutable, one_of
from .names import any_name, label_1035, subdomain

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
MOST_SELECTABLE = 8
LONGEST_WARNING = 256
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")


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


def _scale(scale: Obj, path: str, errors: Errors) -> None:
    """Where scale's numbers and its selector are."""
    for member, prefixes, where in (
        ("specReplicasPath", (".spec.",), ".spec"),
        ("statusReplicasPath", (".status.",), ".status"),
        ("labelSelectorPath", (".spec.", ".status."), "either .spec or .status"),
    ):
        value = scale.get(member) or ""
        place = f"{path}.{member}"
        if not value:
            if member != "labelSelectorPath":
                errors.append(required(place))
        elif not value.startswith("."):
            errors.append(invalid(place, value, "must be a simple json path starting with ."))
        elif not value.startswith(prefixes):
            errors.append(invalid(place, value, f"should be a json path under {where}"))


def _columns(columns: list[Obj], path: str, errors: Errors) -> None:
    for index, column in enumerate(columns):
        place = f"{path}[{index}]"
        if not column.get("name"):
            errors.append(required(f"{place}.name"))
        listed = ",".join(COLUMN_TYPES)
        if not column.get("type"):
            errors.append(required(f"{place}.type", f"must be one of {listed}"))
        elif column["type"] not in COLUMN_TYPES:
            errors.append(invalid(f"{place}.type", column["type"], f"must be one of {listed}"))
        if column.get("format") and column["format"] not in COLUMN_FORMATS:
            sentence = f"must be one of {','.join(COLUMN_FORMATS)}"
            errors.append(invalid(f"{place}.format", column["format"], sentence))
        json_path = column.get("jsonPath")
        if not json_path:
            errors.append(required(f"{place}.JSONPath"))
        elif not json_path.startswith("."):
            sentence = "must be a simple json path starting with ."
            errors.append(invalid(f"{place}.JSONPath", json_path, sentence))


def _selectable_fields(fields: list[Obj], schema: Obj | None, path: str, errors: Errors) -> None:
    """Fields to select by: simple paths to text, numbers and truths."""
    seen: set[str] = set()
    for index, field in enumerate(fields):
        place, value = f"{path}[{index}].jsonPath", field.get("jsonPath") or ""
        if not value:
            errors.append(required(place))
            continue
        node: Obj | None = schema or {}
        steps = value.removeprefix(".").split(".")
        for step in steps:
            node = ((node or {}).get("properties") or {}).get(step)
        if not value.startswith(".") or node is None:
            sentence = f"is an invalid path: does not refer to a valid field: {value}"
            errors.append(invalid(place, value, sentence))
            continue
        if steps[0] == "metadata":
            errors.append(invalid(place, value, "must not point to fields in metadata"))
        if node.get("type") not in ("string", "boolean", "integer"):
            sentence = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with "
                "formats are allowed."
            )
            errors.append(invalid(place, value, sentence))
        if value in seen:
            errors.append(duplicate(place, value))
        seen.add(value)
    if len(seen) > MOST_SELECTABLE:
        detail = f"must have at most {MOST_SELECTABLE} items"
        errors.append(FieldError("FieldValueTooMany", path, detail, len(seen)))


def _shared(versions: list[Obj], name: str) -> bool:
    """Whether all versions say the same: upstream then speaks of it as the definition's own."""
    first = versions[0].get(name) if versions else None
    return bool(first) and all(version.get(name) == first for version in versions)


def _schema_of(version: Obj) -> Obj | None:
    found: Obj | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


def _versions(versions: list[Obj], errors: Errors) -> None:
    shared = {
        name: _shared(versions, name)
        for name in ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
    }
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name") or ""
        _joined(name, f"{path}.name", label_1035(name), errors)
        _deprecation(version, path, errors)
        schema = _schema_of(version)
        if schema is None:
            errors.append(required(f"{path}.schema.openAPIV3Schema", "schemas are required"))

        def place(what: str, top: str, own: str, index: int = index, path: str = path) -> str:
            """Where a part is spoken of; empty when it was spoken of already."""
            if shared[what]:
                return top if index == 0 else ""
            return f"{path}.{own}"

        subresources = version.get("subresources") or {}
        here = place("schema", "spec.validation", "schema")
        if schema is not None and here:
            status = subresources.get("status") is not None
            check_schema(schema, f"{here}.openAPIV3Schema", errors, status=status)
        here = place("subresources", "spec.subresources", "subresources")
        if subresources.get("scale") is not None and here:
            _scale(subresources["scale"], f"{here}.scale", errors)
        here = place("additionalPrinterColumns", "spec.additionalPrinterColumns", "additionalPrinterColumns")
        if here:
            _columns(version.get("additionalPrinterColumns") or [], here, errors)
        here = place("selectableFields", "spec.selectableFields", "selectableFields")
        if here:
            _selectable_fields(version.get("selectableFields") or [], schema, here, errors)


def _deprecation(version: Obj, path: str, errors: Errors) -> None:
    warning = version.get("deprecationWarning")
    place = f"{path}.deprecationWarning"
    if warning is None:
        return
    if not version.get("deprecated"):
        errors.append(invalid(place, warning, "can only be set for deprecated versions"))
        return
    if len(warning.encode()) > LONGEST_WARNING:
        errors.append(invalid(place, warning, f"must be <= {LONGEST_WARNING} characters long"))
    if not warning:
        errors.append(invalid(place, warning, "must not be an empty string"))
    for index, letter in enumerate(warning):
        if not letter.isprintable():
            sentence = f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            errors.append(invalid(place, warning, sentence))
            break


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
    _versions(versions, errors)
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
        place = "spec.conversion.webhookClientConfig"
        if client is None:
            errors.append(required(place, "required when strategy is set to Webhook"))
        else:
            check_client(client, place, errors)
        _review_versions((conversion.get("webhook") or {}).get("conversionReviewVersions") or [], errors)
    else:
        one_of(conversion.get("strategy"), ("None", "Webhook"), "spec.conversion.strategy", errors)
        if conversion.get("webhook") is not None:
            sentence = "should not be set when strategy is not set to Webhook"
            errors.append(forbidden_field("spec.conversion.webhookClientConfig", sentence))


def _review_versions(versions: list[str], errors: Errors) -> None:
    """A converter knows at least one version of the review that is sent to it."""
    place = "spec.conversion.conversionReviewVersions"
    if not versions:
        errors.append(required(place))
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.append(invalid(f"{place}[{index}]", version, "duplicate version"))
            continue
        errors.extend(invalid(f"{place}[{index}]", version, sentence) for sentence in label_1035(version))
    if not set(versions) & set(REVIEW_VERSIONS):
        sentence = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        errors.append(invalid(place, versions, sentence))


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
    _approval(obj, None, errors)
    return errors


def _approval(new: Obj, old: Obj | None, errors: Errors) -> None:
    """Kubernetes' own groups need to be approved; what was not before may stay so."""
    if not protected((new.get("spec") or {}).get("group") or ""):
        return
    annotations = (new.get("metadata") or {}).get("annotations") or {}
    state, sentence = approval_state(annotations)
    if old is not None and approval_state(old["metadata"].get("annotations") or {})[0] == state:
        return
    place = f"metadata.annotations[{ANNOTATION}]"
    if state == "missing":
        errors.append(required(place, sentence))
    elif state == "invalid":
        errors.append(invalid(place, annotations[ANNOTATION], sentence))


def definition_warnings(new: Obj, old: Obj | None) -> list[str]:
    """What is accepted and means nothing here; of a change, only what it brings."""

    def of(definition: Obj | None) -> list[str]:
        found: list[str] = []
        for version in (definition or {}).get("spec", {}).get("versions") or ():
            found += schema_warnings(_schema_of(version) or {})
        return list(dict.fromkeys(found))

    before = of(old)
    return [sentence for sentence in of(new) if sentence not in before]


def check_custom_resource_definition_update(new: Obj, old: Obj) -> Errors:
    """A changed definition: once it is served, its names and scope stay."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _definition(new, errors)
    _approval(new, old, errors)
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
