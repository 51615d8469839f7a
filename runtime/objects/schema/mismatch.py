"""Finds the words for what the compiled decoder refused: which field, which type, in Go's sentence.

Only walked when something is wrong, so it is written for clarity. Paths follow Go's decoder: the struct's type name,
then the names of the fields from the top, without list indices or map keys.
"""

from __future__ import annotations

import re
from typing import Any

from ..clock import parse_time
from ..quantity import QuantityError, canonical
from .facts import TypeInfo, type_of

_METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_WIDTH = {"int32": 2**31, "int64": 2**63}
_NAMES = {
    "boolean": "bool",
    "number": "float64",
    "byte": "[]uint8",
    "micro-time": "string",
    "date-time": "string",
}
_RFC3339 = "2006-01-02T15:04:05Z07:00"
_RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"


def go_name(info: TypeInfo) -> str:
    """The Go type as ``reflect`` prints it: ``int32``, ``[]v1.Container``, ``map[string]string``."""
    if info.go_type:
        return info.go_type
    match info.kind:
        case "struct":
            package, _, name = info.definition.rpartition(".")
            return f"{package.rpartition('.')[2]}.{name}"
        case "list":
            return f"[]{go_name(info.element)}"
        case "map":
            return f"map[string]{go_name(info.element)}"
        case "scalar":
            return _NAMES.get(info.format, info.format)
        case _:
            return "interface {}"


def _json_name(value: Any, with_number: bool) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if with_number else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _wrong(value: Any, where: str, target: str, with_number: bool = False) -> str:
    place = f"Go struct field {where}" if where else "Go value"
    return f"json: cannot unmarshal {_json_name(value, with_number)} into {place} of type {target}"


def _bad_time(value: str, layout: str) -> str:
    """The parser's complaint, at the first element of the layout that does not fit."""
    shape = re.match(r"(\d{4})?(-)?(\d\d)?(-)?(\d\d)?([Tt])?(\d\d)?(:)?(\d\d)?(:)?(\d\d)?", value)
    elements = ("2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05")
    rest, missing = value, "Z07:00"
    groups = shape.groups() if shape else ()
    for element, found in zip(elements, groups, strict=False):
        if found is None:
            missing = element
            break
        rest = rest[len(found) :]
    return f'parsing time "{value}" as "{layout}": cannot parse "{rest}" as "{missing}"'


def _bad_base64(text: str) -> str:
    for index, letter in enumerate(text):
        if not re.match(r"[A-Za-z0-9+/\r\n]", letter):
            return f"illegal base64 data at input byte {index}"
    return f"illegal base64 data at input byte {len(text) - len(text) % 4}"


def _scalar(info: TypeInfo, value: Any, where: str) -> str:
    """The complaint about one scalar, or an empty string."""
    problem = ""
    match info.format:
        case "string":
            if not isinstance(value, str):
                problem = _wrong(value, where, go_name(info))
        case "boolean":
            if not isinstance(value, bool):
                problem = _wrong(value, where, go_name(info))
        case "int32" | "int64":
            if isinstance(value, bool) or not isinstance(value, int | float):
                problem = _wrong(value, where, go_name(info))
            elif isinstance(value, float) or not -_WIDTH[info.format] <= value < _WIDTH[info.format]:
                problem = _wrong(value, where, go_name(info), with_number=True)
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                problem = _wrong(value, where, go_name(info))
        case "int-or-string":
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                problem = _wrong(value, "", "int32")
            elif isinstance(value, float) or (isinstance(value, int) and not -(2**31) <= value < 2**31):
                problem = _wrong(value, "", "int32", with_number=True)
        case "quantity":
            problem = _quantity(value)
        case "date-time" | "micro-time":
            if not isinstance(value, str):
                problem = _wrong(value, "", "string")
            else:
                try:
                    parse_time(value)
                except ValueError:
                    problem = _bad_time(value, _RFC3339 if info.format == "date-time" else _RFC3339_MICRO)
        case "byte":
            problem = _byte(info, value, where)
    return problem


def _quantity(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return str(_refusal("x")) if not isinstance(value, bool) else str(_refusal(str(value).lower()))
    return str(_refusal(value) or "")


def _refusal(value: str | int | float) -> QuantityError | None:
    try:
        canonical(value)
    except QuantityError as error:
        return error
    return None


def _byte(info: TypeInfo, value: Any, where: str) -> str:
    if not isinstance(value, str):
        return _wrong(value, where, go_name(info))
    text = value.replace("\n", "").replace("\r", "")
    body = text.rstrip("=")
    padding = len(text) - len(body)
    if re.fullmatch(r"[A-Za-z0-9+/]*", body) and len(text) % 4 == 0 and padding <= 2:
        return ""
    return _bad_base64(value)


def _find(info: TypeInfo, value: Any, struct: str, stack: tuple[str, ...]) -> str:
    where = f"{struct}.{'.'.join(stack)}" if struct else ""
    if value is None or info.kind == "any":
        return ""
    if info.kind == "scalar":
        return _scalar(info, value, where)
    if info.kind == "list":
        if not isinstance(value, list):
            return _wrong(value, where, go_name(info))
        return next(filter(None, (_find(info.element, item, struct, stack) for item in value)), "")
    if not isinstance(value, dict):
        return _wrong(value, where, go_name(info))
    if info.kind == "struct":
        name = info.definition.rpartition(".")[2]
        for key, item in value.items():
            field = info.fields.get(key)
            if field is not None and (problem := _find(field, item, name, (*stack, key))):
                return problem
        return ""
    return next(filter(None, (_find(info.element, item, struct, stack) for item in value.values())), "")


def find_mismatch(info: TypeInfo, value: Any) -> str:
    """What Go's decoder says about the first value of a wrong type."""
    if info.kind == "any" and isinstance(value, dict):
        return _find(type_of(_METADATA), value.get("metadata"), "ObjectMeta", ("metadata",))
    return _find(info, value, "", ()) or "json: cannot unmarshal the object"


_GO_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}


def _unrestorable(info: TypeInfo, value: Any) -> str:
    if value is None or info.kind == "any":
        return ""
    kind = _GO_KINDS[type(value)]
    if info.kind == "scalar":
        return _unrestorable_scalar(info, value, kind)
    if info.kind == "list":
        if not isinstance(value, list):
            return f"cannot restore slice from {kind}"
        return next(filter(None, (_unrestorable(info.element, item) for item in value)), "")
    if not isinstance(value, dict):
        return f"cannot restore {'map from' if info.kind == 'map' else 'struct from:'} {kind}"
    if info.kind == "map":
        return next(filter(None, (_unrestorable(info.element, item) for item in value.values())), "")
    below = (_unrestorable(field, value[name]) for name, field in info.fields.items() if name in value)
    return next(filter(None, below), "")


def _unrestorable_scalar(info: TypeInfo, value: Any, kind: str) -> str:
    if info.format in ("int-or-string", "quantity", "date-time", "micro-time"):
        return _scalar(info, value, "")  # these read themselves
    if info.format == "byte":
        return _byte(info, value, "") if isinstance(value, str) else f"cannot restore slice from {kind}"
    wanted = _NAMES.get(info.format, info.format)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if info.format in _WIDTH:
        if number and float(value).is_integer():
            return ""
        return f"cannot convert {kind} to {wanted}" if number else f"unrecognized type: {wanted}"
    if info.format == "number":
        return "" if number else f"unrecognized type: {wanted}"
    if kind == wanted:
        return ""
    if wanted == "string" and isinstance(value, int) and number:
        return f"cannot convert int64 to {go_name(info)}"
    return f"unrecognized type: {wanted}"


def find_unrestorable(info: TypeInfo, value: Any) -> str:
    """What a strategic merge patch says of the first value of a wrong type, or an empty string.

    Upstream does not decode such a result as JSON but copies it field by field (apimachinery
    ``pkg/runtime/converter.go``), and its sentences name neither field nor value.
    """
    return _unrestorable(info, value)


def _unknown(info: TypeInfo, value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, dict):
        if info.kind == "struct":
            for key, item in value.items():
                field = info.fields.get(key)
                here = f"{path}.{key}" if path else key
                if field is None:
                    found.append(f'unknown field "{here}"')
                else:
                    _unknown(field, item, here, found)
        elif info.kind == "map":
            for key, item in value.items():
                _unknown(info.element, item, f"{path}.{key}", found)
    elif isinstance(value, list) and info.kind == "list":
        for index, item in enumerate(value):
            _unknown(info.element, item, f"{path}[{index}]", found)


def find_unknown(info: TypeInfo, value: Any) -> list[str]:
    """The unknown fields as ``unknown field "spec.containers[0].foo"``, in the order they stand there."""
    found: list[str] = []
    _unknown(info, value, "", found)
    return found
