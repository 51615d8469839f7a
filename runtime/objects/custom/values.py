"""Does a custom resource fit its schema? Every violation as a field error, in the words of upstream's validator.

After kube-openapi ``pkg/validation/validate`` and apiextensions-apiserver ``pkg/apiserver/validation`` (the field
errors made of its results, and ratcheting: on an update, what stands as it stood before is not judged again).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from ..errors import FieldError, Obj, invalid, required, too_long
from ..regexps import go_pattern
from .formats import FORMATS, known_format, normal

NOWHERE: Final = "<nil>"
"""The field of an error that is about no field in particular."""
ABSENT: Final = object()
"""There is no old value to compare with."""

Errors = list[FieldError]


def check_values(value: Any, schema: Obj, old: Any = ABSENT, *, prefix: str = "") -> Errors:
    """What is wrong with ``value``; of an update, only where it is not what ``old`` is.

    Args:
        value: the object, or a part of it.
        schema: its schema, as the definition has it.
        old: what stood there before.
        prefix: where the part is, in front of every field named (but not in the sentences, as upstream has it).
    """
    found: dict[str, FieldError] = {}
    for error in _check(value, schema, old, ""):
        found.setdefault(str(error), error)
    errors = list(found.values())
    if not prefix:
        return errors
    return [
        replace(error, field=prefix if error.field in ("", NOWHERE) else f"{prefix}.{error.field}")
        for error in errors
    ]


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


def _named(path: str) -> str:
    return path.removeprefix(".")


def _check(value: Any, schema: Obj, old: Any, path: str) -> Errors:
    if old is not ABSENT and same_json(value, old):
        return []
    errors = _check_type(value, schema, path)
    if value is None:
        return [*errors, *_check_enum(value, schema, path)]
    errors += _check_combinations(value, schema, old, path)
    match value:
        case str():
            errors += _check_string(value, schema, path)
        case bool():
            pass
        case int() | float():
            errors += _check_number(value, schema, path)
        case list():
            errors += _check_list(value, schema, old, path)
    errors += _check_enum(value, schema, path)
    if isinstance(value, dict):
        errors += _check_object(value, schema, old, path)
    return errors


def json_type(value: Any) -> str:
    """The JSON schema type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
    return "object"


def _type_error(path: str, wanted: str, shown: Any) -> FieldError:
    tail = f': "{shown}"' if isinstance(shown, str) else ""
    detail = f"{path} in body must be of type {wanted}{tail}"
    return FieldError("FieldValueTypeInvalid", _named(path), detail, shown)


def _check_type(value: Any, schema: Obj, path: str) -> Errors:
    either = schema.get("x-kubernetes-int-or-string")
    wanted: tuple[str, ...] = ("integer", "string") if either else (schema.get("type") or "",)
    wanted = tuple(filter(None, wanted))
    if not wanted:
        return []
    kind = json_type(value)
    if value is None:
        if schema.get("nullable"):
            return []
        return [_type_error(path, ",".join(wanted), kind)]
    if kind in wanted:
        return []
    if kind == "integer" and "number" in wanted:
        return []
    if kind == "number" and "integer" in wanted and float(value).is_integer():
        return []
    format_ = schema.get("format") or ""
    if (
        kind in ("string", "array")
        and known_format(wanted[0], format_)
        and wanted[0] not in ("integer", "number")
    ):
        return []  # as upstream: the format speaks for such values
    return [_type_error(path, ",".join(wanted), kind)]


def _check_enum(value: Any, schema: Obj, path: str) -> Errors:
    allowed = schema.get("enum")
    if not allowed or any(same_json(value, one) for one in allowed if one is not None):
        return []
    listed = tuple(one if isinstance(one, str) else json.dumps(one) for one in allowed)
    return [FieldError("FieldValueNotSupported", _named(path), "", value, listed)]


def _invalid(path: str, value: Any, what: str) -> FieldError:
    return invalid(_named(path), value, f"{path} in body {what}")


def _check_string(value: str, schema: Obj, path: str) -> Errors:
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    errors: Errors = []
    if longest is not None and len(value) > longest:
        errors.append(too_long(_named(path), "", longest))
    elif shortest is not None and len(value) < shortest:
        errors.append(_invalid(path, value, f"should be at least {shortest} chars long"))
    elif schema.get("pattern"):
        pattern = go_pattern(schema["pattern"])
        if pattern is not None and pattern.search(value) is None:
            errors.append(_invalid(path, value, f"should match '{schema['pattern']}'"))
    format_ = schema.get("format") or ""
    check = FORMATS.get(normal(format_)) if schema.get("type") in (None, "", "string") else None
    if check is not None and not check(value):
        detail = f"{path} in body must be of type {format_}: {json.dumps(value, ensure_ascii=False)}"
        errors.append(FieldError("FieldValueTypeInvalid", _named(path), detail, value))
    return errors


def go_number(value: float) -> str:
    """A number as Go's ``%v`` prints it."""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e21):
        return str(int(value))
    text = repr(float(value))
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        sign = "-" if exponent.startswith("-") else "+"
        text = f"{mantissa}e{sign}{exponent.lstrip('+-').rjust(2, '0')}"
    return text


def _check_number(value: float, schema: Obj, path: str) -> Errors:
    errors: Errors = []
    format_ = schema.get("format") or ""
    if schema.get("type") == "integer" and format_ == "int32" and not -(2**31) <= value < 2**31:
        sentence = f"Checked value must be of type integer with format int32 in {path}"
        errors.append(invalid(NOWHERE, "", sentence))
    whole = isinstance(value, int)

    def bound(limit: float) -> str:
        return str(int(limit)) if whole else go_number(limit)

    factor = schema.get("multipleOf")
    if factor is not None and factor > 0 and not _is_multiple(value, factor):
        errors.append(_invalid(path, value, f"should be a multiple of {bound(factor)}"))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        open_ = bool(schema.get("exclusiveMinimum"))
        if value < low or (open_ and value == low):
            word = "greater than" if open_ else "greater than or equal to"
            errors.append(_invalid(path, value, f"should be {word} {bound(low)}"))
    if high is not None:
        open_ = bool(schema.get("exclusiveMaximum"))
        if value > high or (open_ and value == high):
            word = "less than" if open_ else "less than or equal to"
            errors.append(_invalid(path, value, f"should be {word} {bound(high)}"))
    return errors


def _is_multiple(value: float, factor: float) -> bool:
    if isinstance(value, int) and float(factor).is_integer():
        return value % int(factor) == 0
    quotient = 1 / factor * value if factor < 1 else value / factor
    return abs(quotient - round(quotient)) < 1e-9


def _too_many(path: str, count: int, limit: int) -> FieldError:
    detail = f"must have at most {limit} {'item' if limit == 1 else 'items'}"
    return FieldError("FieldValueTooMany", _named(path), detail, count)


def _check_list(value: list[Any], schema: Obj, old: Any, path: str) -> Errors:
    errors: Errors = []
    items = schema.get("items")
    if isinstance(items, dict):
        before = _by_key(old, schema)
        for index, item in enumerate(value):
            earlier = before.get(_key(item, schema), ABSENT) if before else ABSENT
            errors += _check(item, items, earlier, f"{path}[{index}]")
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if fewest is not None and len(value) < fewest:
        errors.append(_invalid(path, len(value), f"should have at least {fewest} items"))
    if most is not None and len(value) > most:
        errors.append(_too_many(path, len(value), most))
    return errors


def _key(item: Any, schema: Obj) -> str:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if not isinstance(item, dict):
        return ""
    return json.dumps([item.get(key) for key in keys], sort_keys=True)


def _by_key(old: Any, schema: Obj) -> dict[str, Any]:
    """The items of a list of type map, by which old and new ones belong together."""
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map":
        return {}
    return {_key(item, schema): item for item in old}


def _check_object(value: Obj, schema: Obj, old: Any, path: str) -> Errors:
    errors: Errors = []
    fewest, most = schema.get("minProperties"), schema.get("maxProperties")
    if fewest is not None and len(value) < fewest:
        errors.append(_invalid(path, len(value), f"should have at least {fewest} properties"))
    if most is not None and len(value) > most:
        errors.append(_too_many(path, len(value), most))
    properties: Obj = schema.get("properties") or {}
    more = schema.get("additionalProperties")
    earlier: Obj = old if isinstance(old, dict) else {}
    for name, item in value.items():
        if name in properties:
            below, here = properties[name], f"{path}.{name}" if path else name
        elif more is False:
            errors.append(invalid(_named(path), name, f"{path}.{name} in body is a forbidden property"))
            continue
        elif isinstance(more, dict):
            below, here = more, f"{path}.{name}"
        else:
            continue
        errors += _check(item, below, earlier.get(name, ABSENT), here)
    errors += [
        required(_named(f"{path}.{name}")) for name in schema.get("required") or () if name not in value
    ]
    return errors


def _check_combinations(value: Any, schema: Obj, old: Any, path: str) -> Errors:
    errors: Errors = []
    place = path

    def composite(sentence: str) -> FieldError:
        return invalid(NOWHERE, "", sentence)

    any_of = schema.get("anyOf") or ()
    if any_of:
        results = [_check(value, one, old, path) for one in any_of]
        if all(results):
            errors.append(composite(f'"{place}" must validate at least one schema (anyOf)'))
            errors += _shortest(results)
    one_of = schema.get("oneOf") or ()
    if one_of:
        results = [_check(value, one, old, path) for one in one_of]
        valid = sum(1 for result in results if not result)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            errors.append(composite(f'"{place}" must validate one and only one schema (oneOf). {found}'))
            if not valid:
                errors += _shortest(results)
    all_of = schema.get("allOf") or ()
    if all_of:
        results = [_check(value, one, old, path) for one in all_of]
        for result in results:
            errors += result
        if any(results):
            tail = "" if not all(results) else ". None validated"
            errors.append(composite(f'"{place}" must validate all the schemas (allOf){tail}'))
    if schema.get("not") is not None and not _check(value, schema["not"], ABSENT, path):
        errors.append(composite(f'"{place}" must not validate the schema (not)'))
    return errors


def _shortest(results: list[Errors]) -> Errors:
    """The failures of the alternative that was nearest to fitting."""
    return min(results, key=lambda errors: len(errors))
