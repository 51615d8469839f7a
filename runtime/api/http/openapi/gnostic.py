"""Swagger 2 as the protobuf message ``openapi.v2.Document`` that kubectl downloads.

kubectl before 1.27 asks for ``/openapi/v2`` in this form only and refuses to apply or create without it. The
message is the public one of gnostic-models (``openapiv2/OpenAPIv2.proto``); a writer for the few parts that a
Kubernetes document uses needs its field numbers and nothing else.
"""

from __future__ import annotations

from typing import Any

import orjson

from runtime.objects.errors import Obj


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _text(number: int, value: Any) -> bytes:
    return _bytes(number, str(value).encode()) if value else b""


def _flag(number: int, value: Any) -> bytes:
    return _varint(number << 3) + b"\x01" if value else b""


def _texts(number: int, values: Any) -> bytes:
    return b"".join(_bytes(number, str(value).encode()) for value in values or ())


def _any(value: Any) -> bytes:
    """An ``Any``, which holds a value as YAML; JSON is YAML."""
    return _bytes(2, orjson.dumps(value) + b"\n")


def _named(number: int, name: str, value: bytes) -> bytes:
    return _bytes(number, _text(1, name) + _bytes(2, value))


class _Cache:
    """The few values that stand in thousands of places, encoded once."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def extensions(self, number: int, holder: Obj) -> bytes:
        parts = []
        for key, value in holder.items():
            if not key.startswith("x-"):
                continue
            mark = f"{key}={value!r}"
            found = self._known.get(mark)
            if found is None:
                found = self._known[mark] = _text(1, key) + _bytes(2, _any(value))
            parts.append(_bytes(number, found))
        return b"".join(parts)


def encode_document(document: Obj) -> bytes:
    """The message for a Swagger 2 document."""
    cache = _Cache()
    info = document["info"]
    paths = b"".join(_named(2, path, _path_item(item, cache)) for path, item in document["paths"].items())
    definitions = b"".join(
        _named(1, name, _schema(schema, cache)) for name, schema in document["definitions"].items()
    )
    parameters = b"".join(
        _named(1, name, _parameter(one, cache)) for name, one in document.get("parameters", {}).items()
    )
    security = b"".join(
        _named(1, name, _bytes(2, _api_key(one)))
        for name, one in document.get("securityDefinitions", {}).items()
    )
    return b"".join(
        (
            _text(1, document["swagger"]),
            _bytes(2, _text(1, info["title"]) + _text(2, info["version"])),
            _bytes(8, paths),
            _bytes(9, definitions),
            _bytes(10, parameters),
            _bytes(13, security),
        )
    )


def _api_key(one: Obj) -> bytes:
    return (
        _text(1, one["type"]) + _text(2, one["name"]) + _text(3, one["in"]) + _text(4, one.get("description"))
    )


_OPERATIONS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def _path_item(item: Obj, cache: _Cache) -> bytes:
    parts = [
        _bytes(number, _operation(item[name], cache)) for name, number in _OPERATIONS.items() if name in item
    ]
    parts += [_bytes(9, _parameters_item(one, cache)) for one in item.get("parameters", ())]
    return b"".join(parts)


def _operation(operation: Obj, cache: _Cache) -> bytes:
    responses = b"".join(
        _named(1, code, _bytes(1, _response(one, cache))) for code, one in operation["responses"].items()
    )
    return b"".join(
        (
            _texts(1, operation.get("tags")),
            _text(3, operation.get("description")),
            _text(5, operation.get("operationId")),
            _texts(6, operation.get("produces")),
            _texts(7, operation.get("consumes")),
            *(_bytes(8, _parameters_item(one, cache)) for one in operation.get("parameters", ())),
            _bytes(9, responses),
            _texts(10, operation.get("schemes")),
            cache.extensions(13, operation),
        )
    )


def _response(response: Obj, cache: _Cache) -> bytes:
    schema = response.get("schema")
    return _text(1, response["description"]) + (
        _bytes(2, _bytes(1, _schema(schema, cache))) if schema is not None else b""
    )


def _parameters_item(parameter: Obj, cache: _Cache) -> bytes:
    if "$ref" in parameter:
        return _bytes(2, _text(1, parameter["$ref"]))
    return _bytes(1, _parameter(parameter, cache))


def _parameter(parameter: Obj, cache: _Cache) -> bytes:
    if parameter["in"] == "body":
        body = (
            _text(1, parameter.get("description"))
            + _text(2, parameter["name"])
            + _text(3, "body")
            + _flag(4, parameter.get("required"))
            + _bytes(5, _schema(parameter["schema"], cache))
        )
        return _bytes(1, body)
    where = parameter["in"]
    common = (
        _flag(1, parameter.get("required"))
        + _text(2, where)
        + _text(3, parameter.get("description"))
        + _text(4, parameter["name"])
    )
    if where == "path":
        return _bytes(
            2, _bytes(4, common + _text(5, parameter["type"]) + _flag(18, parameter.get("uniqueItems")))
        )
    return _bytes(
        2, _bytes(3, common + _text(6, parameter["type"]) + _flag(19, parameter.get("uniqueItems")))
    )


def _schema(schema: Obj, cache: _Cache) -> bytes:
    parts = [
        _text(1, schema.get("$ref")),
        _text(2, schema.get("format")),
        _text(4, schema.get("description")),
        _texts(19, schema.get("required")),
    ]
    parts += [_bytes(20, _any(value)) for value in schema.get("enum", ())]
    if "additionalProperties" in schema:
        parts.append(_bytes(21, _bytes(1, _schema(schema["additionalProperties"], cache))))
    if "type" in schema:
        parts.append(_bytes(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_bytes(23, _bytes(1, _schema(schema["items"], cache))))
    if "properties" in schema:
        inside = b"".join(_named(1, name, _schema(one, cache)) for name, one in schema["properties"].items())
        parts.append(_bytes(25, inside))
    parts.append(cache.extensions(31, schema))
    return b"".join(parts)
