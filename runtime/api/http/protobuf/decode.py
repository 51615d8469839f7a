"""Kubernetes' protobuf, decoded to the JSON an object would have been sent as.

A body is the bytes ``k8s\\0`` and a ``runtime.Unknown`` that names kind and version and wraps the object's own
message. Go writes every field that is no pointer, zero or not, so a zero value is dropped unless the schema says that
absent and zero differ. Go's embedded structs are messages of their own here and no level in JSON.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from runtime.objects.clock import format_micro_time, format_time
from runtime.objects.errors import Obj
from runtime.objects.schema import TypeInfo, definition_of, type_of

from .facts import EXTENSIONS, MAGIC, META, fields_of

MAX_DEPTH = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidMessage(ValueError):
    """The bytes are no such message."""


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise InvalidMessage("unexpected end of a number")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, position
        shift += 7


def _walk(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message in order: number, and a whole number or bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise InvalidMessage("field number 0")
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise InvalidMessage(f"wire type {wire}")
        if position + size > len(data):
            raise InvalidMessage("unexpected end of a field")
        yield number, data[position : position + size]
        position += size


def _first(data: memoryview, number: int) -> int | memoryview | None:
    found: int | memoryview | None = None
    for key, value in _walk(data):
        if key == number:
            found = value
    return found


def _text(value: int | memoryview | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        raise InvalidMessage("a number where text is expected")
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidMessage("text is not UTF-8") from error


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _number(value: int | memoryview | None) -> int:
    if value is None:
        return 0
    if not isinstance(value, int):
        raise InvalidMessage("bytes where a number is expected")
    return _signed(value)


def _moment(data: memoryview) -> datetime | None:
    seconds, nanos = _number(_first(data, 1)), _number(_first(data, 2))
    if not data:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError as error:
        raise InvalidMessage("a time out of range") from error


def _time(data: memoryview) -> Any:
    moment = _moment(data)
    return None if moment is None else format_time(moment)


def _micro_time(data: memoryview) -> Any:
    moment = _moment(data)
    return None if moment is None else format_micro_time(moment)


def _int_or_string(data: memoryview) -> Any:
    return _text(_first(data, 3)) if _number(_first(data, 1)) else _number(_first(data, 2))


def _raw_json(data: memoryview) -> Any:
    raw = _first(data, 1)
    if not isinstance(raw, memoryview) or not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidMessage(f"embedded JSON: {error}") from error


_PROPS = TypeInfo(f"@{EXTENSIONS}JSONSchemaProps")


def _props_or_bool(data: memoryview) -> Any:
    schema = _first(data, 2)
    return _message(schema, _PROPS, 0) if isinstance(schema, memoryview) else bool(_first(data, 1))


def _props_or_array(data: memoryview) -> Any:
    single = _first(data, 1)
    if isinstance(single, memoryview):
        return _message(single, _PROPS, 0)
    return [_message(value, _PROPS, 0) for number, value in _walk(data) if number == 2 and _is_bytes(value)]


def _props_or_strings(data: memoryview) -> Any:
    single = _first(data, 1)
    if isinstance(single, memoryview):
        return _message(single, _PROPS, 0)
    return [_text(value) for number, value in _walk(data) if number == 2]


def _is_bytes(value: int | memoryview) -> bool:
    return isinstance(value, memoryview)


_SPECIAL: dict[str, Callable[[memoryview], Any]] = {
    f"{META}Time": _time,
    f"{META}MicroTime": _micro_time,
    f"{META}FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": lambda data: _text(_first(data, 1)),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    f"{EXTENSIONS}JSON": _raw_json,
    f"{EXTENSIONS}JSONSchemaPropsOrBool": _props_or_bool,
    f"{EXTENSIONS}JSONSchemaPropsOrArray": _props_or_array,
    f"{EXTENSIONS}JSONSchemaPropsOrStringArray": _props_or_strings,
}


def _value(raw: int | memoryview, kind: str, info: TypeInfo, depth: int) -> Any:
    """One value of a field; ``kind`` is its message type, ``info`` what the schema knows of it."""
    if kind.startswith("@"):
        if isinstance(raw, int):
            raise InvalidMessage("a number where a message is expected")
        definition = kind[1:]
        special = _SPECIAL.get(definition)
        if special is not None:
            return special(raw)
        if info.kind == "list":  # a list that Go names a type of its own, such as ExtraValue
            return [_text(value) for number, value in _walk(raw) if number == 1]
        return _message(raw, info if info.kind == "struct" else type_of(definition), depth + 1, definition)
    match kind:
        case "string":
            return _text(raw)
        case "bool":
            return bool(_number(raw))
        case "bytes":
            if isinstance(raw, int):
                raise InvalidMessage("a number where bytes are expected")
            return base64.b64encode(raw).decode()
        case "double":
            if isinstance(raw, int) or len(raw) != 8:
                raise InvalidMessage("not a floating point number")
            return struct.unpack("<d", raw)[0]
    return _number(raw)


def _entry(raw: int | memoryview, kind: str, info: TypeInfo, depth: int) -> tuple[str, Any]:
    """One entry of a map."""
    if isinstance(raw, int):
        raise InvalidMessage("a number where a map entry is expected")
    key, value = _first(raw, 1), _first(raw, 2)
    if value is None:
        value = 0 if kind in ("bool", "int32", "int64", "uint32", "uint64") else memoryview(b"")
    return _text(key), _value(value, kind, info.element, depth)


def _message(data: int | memoryview, info: TypeInfo, depth: int, definition: str = "") -> Obj:
    """A message as a JSON object."""
    if isinstance(data, int):
        raise InvalidMessage("a number where a message is expected")
    if depth > MAX_DEPTH:
        raise InvalidMessage("nested too deeply")
    known = fields_of(definition or info.definition)
    found: Obj = {}
    for number, raw in _walk(data):
        field = known.get(number)
        if field is None:
            continue  # newer than this server: unknown fields are dropped, as Go does
        name, kind = field
        inside = info.fields.get(name)
        if inside is None and kind.startswith("@"):
            found.update(_message(raw, info, depth + 1, kind[1:]))  # a struct embedded in this one
            continue
        inside = inside or TypeInfo("any")
        if kind.startswith("[]"):
            found.setdefault(name, []).append(_value(raw, kind[2:], inside.element, depth))
        elif kind.startswith("{}"):
            key, value = _entry(raw, kind[2:], inside, depth)
            found.setdefault(name, {})[key] = value
        else:
            value = _value(raw, kind, inside, depth)
            if value is not None and (
                inside.pointer
                or (kind == "bytes" and inside.written_when_zero)
                or inside.kind == "any"
                or value not in ("", 0, False, {}, [])
            ):
                found[name] = value
    return found


def decode_body(body: bytes) -> Obj:
    """The object in a protobuf body, with its apiVersion and kind.

    Raises:
        InvalidMessage: the bytes are none, or of a kind that the schema does not know.
    """
    if not body.startswith(MAGIC):
        raise InvalidMessage(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    envelope = memoryview(body)[len(MAGIC) :]
    type_meta, raw = _first(envelope, 1), _first(envelope, 2)
    if not isinstance(type_meta, memoryview):
        raise InvalidMessage("the message does not name its kind")
    api_version, kind = _text(_first(type_meta, 1)), _text(_first(type_meta, 2))
    group, _, version = api_version.rpartition("/")
    definition = definition_of(group, version, kind)
    if not definition:
        raise InvalidMessage(f'no kind "{kind}" is registered for version "{api_version}"')
    data = raw if isinstance(raw, memoryview) else memoryview(b"")
    return {"kind": kind, "apiVersion": api_version, **_message(data, type_of(definition), 0)}
