"""Objects as Kubernetes' protobuf: what Go's components and their generated clients ask for before JSON.

The counterpart of :mod:`.decode`, from the same facts: each message is compiled, on first use, into one closure that
writes an object's fields in the order the object holds them, which protobuf allows. What an object does not hold is
not written; Go reads an absent field as the zero value it would have written itself.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

import orjson

from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj
from runtime.objects.schema import TypeInfo, definition_of, type_of

from .facts import EXTENSIONS, MAGIC, META, fields_of

Writer = Callable[[Any, list[bytes]], None]
"""Appends one field, tag and all; the value is None only for an item that is a message."""
Encoder = Callable[[Any], bytes]
"""The bytes of one message, without a length."""


class NotEncodable(ValueError):
    """The schema does not know the kind, or a value is of another type than the schema says."""


def varint(number: int) -> bytes:
    """A whole number; negative ones as 64 bits, as Go writes them."""
    number &= 0xFFFFFFFFFFFFFFFF
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_VARINTS = tuple(varint(number) for number in range(16384))


def _size(number: int) -> bytes:
    return _VARINTS[number] if number < 16384 else varint(number)


def _tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def _field(number: int, body: bytes) -> bytes:
    return _tag(number, 2) + _size(len(body)) + body


# -- types with a form of their own ------------------------------------------------------------------------


@lru_cache(maxsize=16384)
def _seconds(text: str) -> bytes:
    seconds = int(parse_time(text).timestamp())
    return b"\x08" + varint(seconds) + b"\x10\x00"


def _time(value: Any) -> bytes:
    return _seconds(value)


def _micro_time(value: Any) -> bytes:
    moment = parse_time(value)
    return (
        b"\x08"
        + varint(int(moment.replace(microsecond=0).timestamp()))
        + b"\x10"
        + varint(moment.microsecond * 1000)
    )


@lru_cache(maxsize=4096)
def _quantity_text(text: str) -> bytes:
    return _field(1, text.encode())


def _quantity(value: Any) -> bytes:
    return _quantity_text(str(value))


def _int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + _field(3, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _raw_json(value: Any) -> bytes:
    return _field(1, orjson.dumps(value))


def _props(value: Any) -> bytes:
    return message(f"{EXTENSIONS}JSONSchemaProps")(value)


def _props_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x08" + (b"\x01" if value else b"\x00")
    return b"\x08\x01" + _field(2, _props(value))


def _props_or_array(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(_field(2, _props(one)) for one in value)
    return _field(1, _props(value))


def _props_or_strings(value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(_field(2, one.encode()) for one in value)
    return _field(1, _props(value))


_SPECIAL: dict[str, Encoder] = {
    f"{META}Time": _time,
    f"{META}MicroTime": _micro_time,
    f"{META}FieldsV1": _raw_json,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    f"{EXTENSIONS}JSON": _raw_json,
    f"{EXTENSIONS}JSONSchemaPropsOrBool": _props_or_bool,
    f"{EXTENSIONS}JSONSchemaPropsOrArray": _props_or_array,
    f"{EXTENSIONS}JSONSchemaPropsOrStringArray": _props_or_strings,
}


# -- compiled messages -------------------------------------------------------------------------------------


def _strings(value: Any) -> bytes:
    """A list that Go names a type of its own, such as ExtraValue."""
    return b"".join(_field(1, one.encode()) for one in value)


def _of_message(kind: str, info: TypeInfo) -> Encoder:
    """How values of a message type are encoded. Found out at first use: types may hold themselves."""
    definition = kind[1:]
    special = _SPECIAL.get(definition)
    if special is not None:
        return special
    if info.kind == "list":
        return _strings
    own = info.definition if info.kind == "struct" else definition
    found: Encoder | None = None

    def encode(value: Any) -> bytes:
        nonlocal found
        if found is None:
            found = _message(definition, type_of(own))
        return found(value)

    return encode


def _value_writer(number: int, kind: str, info: TypeInfo) -> Writer:
    """How one value of a field is written."""
    delimited, plain = _tag(number, 2), _tag(number, 0)
    if kind.startswith("@"):
        encode = _of_message(kind, info)

        def write_message(value: Any, out: list[bytes]) -> None:
            body = b"" if value is None else encode(value)
            out.append(delimited + _size(len(body)) + body)

        return write_message
    if kind == "string":

        def write_string(value: Any, out: list[bytes]) -> None:
            body = value.encode()
            out.append(delimited + _size(len(body)) + body)

        return write_string
    if kind == "bool":
        true, false = plain + b"\x01", plain + b"\x00"

        def write_bool(value: Any, out: list[bytes]) -> None:
            out.append(true if value else false)

        return write_bool
    if kind == "bytes":

        def write_bytes(value: Any, out: list[bytes]) -> None:
            body = base64.b64decode(value)
            out.append(delimited + _size(len(body)) + body)

        return write_bytes
    if kind == "double":
        fixed = _tag(number, 1)

        def write_double(value: Any, out: list[bytes]) -> None:
            out.append(fixed + struct.pack("<d", value))

        return write_double

    def write_number(value: Any, out: list[bytes]) -> None:
        out.append(plain + (_VARINTS[value] if 0 <= value < 16384 else varint(value)))

    return write_number


def _list_writer(one: Writer, zero: Any) -> Writer:
    def write(value: Any, out: list[bytes]) -> None:
        for item in value:
            one(zero if item is None else item, out)

    return write


def _map_writer(number: int, kind: str, info: TypeInfo) -> Writer:
    tag = _tag(number, 2)
    one = _value_writer(2, kind, info.element)
    zero = _zero(kind)

    def write(value: Any, out: list[bytes]) -> None:
        for key, item in value.items():
            raw = key.encode()
            entry = [b"\x0a", _size(len(raw)), raw]
            one(zero if item is None else item, entry)
            body = b"".join(entry)
            out.append(tag + _size(len(body)) + body)

    return write


_ZEROS: dict[str, Any] = {"string": "", "bytes": "", "bool": False, "double": 0.0}


def _zero(kind: str) -> Any:
    """What is written for a null in a list or a map; an empty message for a message."""
    return None if kind.startswith("@") else _ZEROS.get(kind, 0)


def _writer(number: int, kind: str, info: TypeInfo) -> Writer:
    if kind.startswith("[]"):
        one = _value_writer(number, kind[2:], info.element)
        return _list_writer(one, _zero(kind[2:]))
    if kind.startswith("{}"):
        return _map_writer(number, kind[2:], info)
    return _value_writer(number, kind, info)


def _message(definition: str, info: TypeInfo) -> Encoder:
    """The closure of one message; ``info`` says what its fields are, which a struct embedded in it shares."""
    writers: dict[str, Writer] = {}
    embedded: list[tuple[bytes, Encoder]] = []
    inner: dict[str, int] = {}
    for number, (name, kind) in fields_of(definition).items():
        field = info.fields.get(name)
        if field is None and kind.startswith("@"):
            # Go embeds this struct: a message of its own here, and no level in JSON.
            own = kind[1:]
            for held in _names(own, info):
                inner[held] = len(embedded)
            embedded.append((_tag(number, 2), _message(own, info)))
        else:
            writers[name] = _writer(number, kind, field or TypeInfo("any"))
    get = writers.get

    def encode(value: Any) -> bytes:
        out: list[bytes] = []
        for key, item in value.items():
            write = get(key)
            if write is not None and item is not None:
                write(item, out)
        return b"".join(out)

    if not embedded:
        return encode

    def encode_with_embedded(value: Any) -> bytes:
        parts: dict[int, Obj] = {}
        for key in value:
            index = inner.get(key)
            if index is not None:
                parts.setdefault(index, {})[key] = value[key]
        out = [encode(value)]
        for index, part in parts.items():
            tag, encode_part = embedded[index]
            body = encode_part(part)
            out += (tag, _size(len(body)), body)
        return b"".join(out)

    return encode_with_embedded


def _names(definition: str, info: TypeInfo) -> Iterable[str]:
    """The JSON fields of a struct that is embedded, those of structs embedded in it included."""
    for name, kind in fields_of(definition).values():
        if name not in info.fields and kind.startswith("@"):
            yield from _names(kind[1:], info)
        else:
            yield name


@cache
def message(definition: str) -> Encoder:
    """Encodes objects of a definition, without envelope and length."""
    return _message(definition, type_of(definition))


# -- whole bodies ------------------------------------------------------------------------------------------


def _partial(obj: Obj) -> bytes:
    return _field(1, message(f"{META}ObjectMeta")(obj.get("metadata") or {}))


@lru_cache(maxsize=1024)
def _encoder_of(api_version: str, kind: str) -> Encoder | None:
    if kind == "PartialObjectMetadata" and api_version in ("meta.k8s.io/v1", "meta.k8s.io/v1beta1"):
        return _partial
    group, _, version = api_version.rpartition("/")
    definition = definition_of(group, version, kind)
    return message(definition) if definition and fields_of(definition) else None


def is_encodable(api_version: str, kind: str) -> bool:
    """Whether objects of a kind have a protobuf form; those of custom resources have none."""
    return _encoder_of(api_version, kind) is not None


@lru_cache(maxsize=1024)
def _type_meta(api_version: str, kind: str) -> bytes:
    return _field(1, _field(1, api_version.encode()) + _field(2, kind.encode()))


_END = b"\x1a\x00\x22\x00"  # contentEncoding and contentType


def bare(obj: Obj, api_version: str, kind: str) -> bytes:
    """An object's own message, as lists hold it: without the envelope that names its kind.

    Raises:
        NotEncodable: see there.
    """
    encode = _encoder_of(api_version, kind)
    if encode is None:
        raise NotEncodable(f"{api_version} {kind} has no protobuf form")
    try:
        return encode(obj)
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise NotEncodable(f"{api_version} {kind}: {error}") from error


def enveloped(raw: bytes, api_version: str, kind: str) -> bytes:
    """A message in the envelope that names its kind: a whole body."""
    return b"".join((MAGIC, _type_meta(api_version, kind), b"\x12", _size(len(raw)), raw, _END))


def encode_body(obj: Obj) -> bytes:
    """An object as a body.

    Raises:
        NotEncodable: see there.
    """
    api_version, kind = obj.get("apiVersion") or "v1", obj["kind"]
    return enveloped(bare(obj, api_version, kind), api_version, kind)


def encode_list(items: Iterable[bytes], meta: Obj, api_version: str, kind: str) -> list[bytes]:
    """A list as a body, in pieces, from its items' messages; ``kind`` is the list's own.

    The list of metadata in ``meta.k8s.io/v1beta1`` has its items in the first field, its metadata in the second.
    """
    meta_number, item_tag = (2, b"\x0a") if api_version == "meta.k8s.io/v1beta1" else (1, b"\x12")
    head = _field(meta_number, message(f"{META}ListMeta")(meta))
    pieces = [head]
    size = len(head)
    for item in items:
        length = _size(len(item))
        pieces += (item_tag, length, item)
        size += 1 + len(length) + len(item)
    start = MAGIC + _type_meta(api_version, kind) + b"\x12" + _size(size)
    return [start, *pieces, _END]


def encode_event(kind: str, body: bytes) -> bytes:
    """One event of a watch as a frame: its length in four bytes, and a WatchEvent around an object's body."""
    event = _field(1, kind.encode()) + _field(2, _field(1, body))
    return struct.pack(">I", len(event)) + event
