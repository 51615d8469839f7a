"""Reads JSON into an object of a kind the way Kubernetes' decoder reads it into Go structs.

Every definition is compiled, on first use, into one closure that checks types, drops what Go would not keep (nulls,
unknown fields, zero values of fields that can't hold "absent") and writes quantities, times and base64 in their
canonical form. The closures build no paths and no messages: when something is wrong, a second, slow walk over the
same value finds the words. An object that needs no change is handed back as it is; a changed one shares what did not
change.

Follows sigs.k8s.io/json (strict, case-sensitive), apiserver ``endpoints/handlers/create.go``
(``transformDecodeError``) and the types' own ``UnmarshalJSON``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..clock import format_micro_time, format_time, parse_time
from ..errors import Obj, StatusError, bad_request
from ..quantity import QuantityError, canonical
from .facts import ANY, TypeInfo, type_of
from .mismatch import find_mismatch, find_unknown

if TYPE_CHECKING:
    from ..registry import Resource

Reader = Callable[[Any, list[str]], Any]
"""Takes a value that is not null and a list that receives the names of unknown fields; gives the clean value."""

METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TIME = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ")
_MICRO_TIME = re.compile(_TIME.pattern.removesuffix("Z") + r"\.\d{6}Z")
_DROP = object()


class _Mismatch(Exception):
    """Some value has the wrong type; the slow walk finds out which."""


def _read_string(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is str:
        return value
    raise _Mismatch


def _read_boolean(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is bool:
        return value
    raise _Mismatch


def _read_int32(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is int and -2147483648 <= value <= 2147483647:
        return value
    raise _Mismatch


def _read_int64(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is int and -9223372036854775808 <= value <= 9223372036854775807:
        return value
    raise _Mismatch


def _read_number(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is float or value.__class__ is int:
        return value
    raise _Mismatch


def _read_int_or_string(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is str:
        return value
    return _read_int32(value, unknown)


def _read_quantity(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is str or value.__class__ is int or value.__class__ is float:
        try:
            text = canonical(value)
        except QuantityError:
            raise _Mismatch from None
        return value if text == value else text
    raise _Mismatch


def _read_time(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is not str:
        raise _Mismatch
    if _TIME.fullmatch(value):
        return value
    try:
        return format_time(parse_time(value))
    except ValueError:
        raise _Mismatch from None


def _read_micro_time(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is not str:
        raise _Mismatch
    if _MICRO_TIME.fullmatch(value):
        return value
    try:
        return format_micro_time(parse_time(value))
    except ValueError:
        raise _Mismatch from None


def _read_byte(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is not str:
        raise _Mismatch
    try:
        binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return _read_broken_lines(value)
    return value


def _read_broken_lines(value: str) -> str:
    """Base64 that is written in lines, in one."""
    text = value.replace("\n", "").replace("\r", "")
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise _Mismatch from None
    return text


def _read_any(value: Any, unknown: list[str]) -> Any:
    return value


_SCALARS: dict[str, Reader] = {
    "string": _read_string,
    "boolean": _read_boolean,
    "int32": _read_int32,
    "int64": _read_int64,
    "number": _read_number,
    "int-or-string": _read_int_or_string,
    "quantity": _read_quantity,
    "date-time": _read_time,
    "micro-time": _read_micro_time,
    "byte": _read_byte,
}

_ZEROS: dict[str, Any] = {
    "string": "",
    "boolean": False,
    "int32": 0,
    "int64": 0,
    "number": 0,
    "int-or-string": 0,
    "quantity": "0",
    "date-time": None,
    "micro-time": None,
}
"""What an always-written field holds when it was left out. Bytes and collections stay absent."""

_STRUCTS: dict[str, Reader] = {}


def _reader(info: TypeInfo) -> Reader:
    """The closure for a type, compiled once per definition."""
    match info.kind:
        case "struct":
            reader = _STRUCTS.get(info.definition)
            if reader is None:
                reader = _STRUCTS[info.definition] = _struct_reader(type_of(info.definition))
            return reader
        case "list":
            return _list_reader(info.element)
        case "map":
            return _map_reader(info.element)
        case "scalar":
            return _SCALARS.get(info.format, _read_any)
        case _:
            return _read_any


def _zero(info: TypeInfo) -> Any:
    """What Go holds for a null among list items or map values."""
    if info.kind == "struct":
        return {}
    if info.kind == "scalar":
        return _ZEROS.get(info.format)
    return None


def _list_reader(element: TypeInfo) -> Reader:
    read, zero = _reader(element), _zero(element)
    strings = read is _read_string

    def read_list(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not list:
            raise _Mismatch
        result = None
        for index, item in enumerate(value):
            if strings and item.__class__ is str:
                continue
            new = read(zero, unknown) if item is None and zero is not None else read(item, unknown)
            if new is not item:
                if result is None:
                    result = list(value)
                result[index] = new
        return value if result is None else result

    return read_list


def _map_reader(element: TypeInfo) -> Reader:
    read, zero = _reader(element), _zero(element)
    strings = read is _read_string

    def read_map(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise _Mismatch
        result = None
        for key, item in value.items():
            if strings and item.__class__ is str:
                continue
            if item is None:
                new = read(zero, unknown) if zero is not None else None
            else:
                new = read(item, unknown)
            if new is not item:
                if result is None:
                    result = dict(value)
                result[key] = new
        return value if result is None else result

    return read_map


def _struct_reader(info: TypeInfo) -> Reader:
    """The closure of one struct. Readers of its fields are compiled when a field is first seen."""
    strings: set[str] = set()
    readers: dict[str, Reader] = {}
    keep: set[str] = set()
    nullable: set[str] = set()
    always: list[tuple[str, Any, TypeInfo | None]] = []
    for name, field in info.fields.items():
        if field.format == "string":
            strings.add(name)
        readers[name] = _lazy(field, readers, name)
        if field.pointer or field.written_when_zero or field.kind in ("struct", "any"):
            keep.add(name)
        if field.written_when_zero:
            if field.kind == "struct":
                always.append((name, None, field))
            elif field.format in _ZEROS:
                always.append((name, _ZEROS[field.format], None))
                if _ZEROS[field.format] is None:
                    nullable.add(name)
    get = readers.get

    def read_struct(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise _Mismatch
        changes: list[tuple[str, Any]] | None = None
        for key, item in value.items():
            if item.__class__ is str and item and key in strings:
                continue
            read = get(key)
            if read is None:
                unknown.append(key)
                new = _DROP
            elif item is None:
                new = None if key in nullable else _DROP
            else:
                new = read(item, unknown)
                if not new and key not in keep:
                    new = _DROP
            if new is not item:
                if changes is None:
                    changes = []
                changes.append((key, new))
        result: Obj = value
        if changes is not None:
            result = dict(value)
            for key, new in changes:
                if new is _DROP:
                    del result[key]
                else:
                    result[key] = new
        for name, zero, struct in always:
            if name not in result:
                if result is value:
                    result = dict(value)
                result[name] = zero if struct is None else _reader(struct)({}, unknown)
        return result

    return read_struct


def _lazy(field: TypeInfo, readers: dict[str, Reader], name: str) -> Reader:
    def first(value: Any, unknown: list[str]) -> Any:
        read = readers[name] = _reader(field)
        return read(value, unknown)

    return first


def handled_as(kind: str, version: str, why: str) -> StatusError:
    """400 as every failure to read a body is worded."""
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')


def decode_as(definition: str, obj: Obj, kind: str, version: str) -> tuple[Obj, list[str]]:
    """Read ``obj`` as the given definition, whatever resource or subresource it was sent to.

    Args:
        definition: the schema's name, ``io.k8s.api.autoscaling.v1.Scale``; not known means anything goes.
        obj: the parsed body; not changed.
        kind, version: for the error's sentence (``v1``, without the group).

    Returns:
        The clean object, sharing what did not change, and the unknown fields as ``unknown field "spec.foo"``, in
        the order they stand there. They are no longer in the object.

    Raises:
        StatusError: 400, with the sentence of Go's decoder.
    """
    info = type_of(definition)
    unknown: list[str] = []
    try:
        if info.kind == "struct":
            result = _reader(info)(obj, unknown)
        else:
            result = _read_schemaless(obj, unknown)
    except _Mismatch:
        raise handled_as(kind, version, find_mismatch(info, obj)) from None
    metadata = obj.get("metadata")
    if metadata and metadata.get("managedFields") == [] and "metadata" in result:
        result = {**result, "metadata": _with_reset(metadata, result["metadata"])}
    return result, find_unknown(info, obj) if unknown else []


def _with_reset(given: Obj, clean: Obj) -> Obj:
    """Metadata with the empty ``managedFields`` it was given: unlike any other empty list, it asks for something."""
    return {**clean, "managedFields": []} if given.get("managedFields") == [] else clean


def _read_schemaless(obj: Obj, unknown: list[str]) -> Obj:
    """A custom resource: its metadata has a schema even when the rest has none."""
    if obj.__class__ is not dict:
        raise _Mismatch
    metadata = obj.get("metadata")
    if metadata is None:
        return obj
    clean = _reader(type_of(METADATA))(metadata, [])
    return obj if clean is metadata else {**obj, "metadata": clean}


def read_metadata(metadata: Obj, kind: str, version: str) -> Obj:
    """ObjectMeta in the canonical form; unknown fields are dropped.

    Raises:
        StatusError: 400, with the sentence of Go's decoder.
    """
    try:
        clean: Obj = _reader(type_of(METADATA))(metadata, [])
    except _Mismatch:
        raise handled_as(kind, version, find_mismatch(ANY, {"metadata": metadata})) from None
    return _with_reset(metadata, clean)


def decode(resource: Resource, obj: Obj) -> tuple[Obj, list[str]]:
    """Read a body sent to ``resource``: :func:`decode_as` with the resource's own definition, or its schema.

    Raises:
        StatusError: 400, with the sentence of Go's decoder.
    """
    if resource.custom is not None:
        return resource.custom.read(obj)
    return decode_as(resource.definition, obj, resource.kind, resource.version)


def strict_error(resource: Resource, problems: str) -> StatusError:
    """400 for fieldValidation=Strict, naming every unknown or duplicate field."""
    return handled_as(resource.kind, resource.version, f"strict decoding error: {problems}")


def zero_of(definition: str) -> Obj:
    """A new object of a definition with only what Kubernetes always writes: ``{"replicas": 0}`` and the like."""
    result: Obj = _reader(type_of(definition))({}, [])
    return result
