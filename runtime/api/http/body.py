"""Reading request bodies: JSON and YAML, within limits, with an eye for keys that stand twice.

``orjson`` keeps the last of two equal keys without a word, so a client that asked to be told (fieldValidation Warn
or Strict) has its body read a second time by the standard library's parser, which calls back for each object;
unless it is written as most clients write it, which shows at once that nothing was lost.
YAML is read as Kubernetes' Go library reads it (:mod:`runtime.objects.yamltext`). What is nested so deep that it
could not be written again is refused here, before anything recurses into it.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from runtime.api.repeated import Repeated
from runtime.objects.depth import DEPTH_LIMIT, too_deep
from runtime.objects.errors import Obj, bad_request
from runtime.objects.jsonerrors import go_json_error
from runtime.objects.yamltext import YAMLTextError, build, compose

from .protobuf import InvalidMessage, decode_body

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes in a request's body (apiserver's ``MaxRequestBodyBytes``)."""

_YAML_ERRORS = "yaml: unmarshal errors:"
"""What go-yaml's strict reader says before the lines that it found wrong."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, in order, repeated keys included."""


def _same_count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found


class _Repeated(Exception):
    pass


def duplicate_fields(body: bytes, prefix: str = "") -> Repeated:
    """The keys that stand twice in one object of a JSON document, in order; ``prefix`` begins each sentence."""
    try:
        json.loads(body, object_pairs_hook=_same_count)
    except _Repeated:
        pass
    else:
        return Repeated()
    places: list[tuple[str, bool]] = []

    def walk(node: Any, path: str) -> None:
        if isinstance(node, _Pairs):
            seen: set[str] = set()
            for key, value in node:
                inner = f"{path}.{key}" if path else key
                places.append((inner, key in seen))
                walk(value, inner)
                seen.add(key)
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{path}[{index}]")

    walk(json.loads(body, object_pairs_hook=_Pairs), "")
    found = dict.fromkeys(path for path, again in places if again)
    return Repeated([f'{prefix}duplicate field "{path}"' for path in found], places)


def _yaml(body: bytes, repeated: list[str]) -> Any:
    try:
        documents = compose(body.decode("utf-8-sig"), repeated)
        if len(documents) > 1:
            raise YAMLTextError("expected a single document in the stream", documents[1].line)
        return build(documents[0]) if documents else None
    except YAMLTextError as error:
        where = f"line {error.line}: " if error.line else ""
        text = " ".join(error.message.split())
        raise bad_request(f"error converting YAML to JSON: yaml: {where}{text}") from error
    except UnicodeDecodeError as error:
        raise bad_request("error converting YAML to JSON: yaml: invalid leading UTF-8 octet") from error


def parse_yaml(body: bytes) -> Any:
    """A YAML document as JSON values; of keys that stand twice the last counts.

    Raises:
        StatusError: 400 with the parser's own sentence, or for a document beyond the limits.
    """
    return _yaml(body, [])


def is_json(body: bytes) -> bool:
    """Whether a body that may be YAML is JSON, which YAML includes and which is read much faster."""
    if not body.lstrip().startswith(b"{"):
        return False
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def parse_json(body: bytes) -> Any:
    """A JSON document.

    Raises:
        StatusError: 400 with the parser's own sentence.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        why = go_json_error(body) or str(error)
        raise bad_request(f"couldn't get version/kind; json parse error: {why}") from error
    # Nearly no body has so many brackets; of those that have, nearly all are wide rather than deep.
    if body.count(b"{") + body.count(b"[") > DEPTH_LIMIT and too_deep(value):
        raise bad_request(
            f"couldn't get version/kind; json parse error: nested deeper than {DEPTH_LIMIT} levels"
        )
    return value


def written_alike(body: bytes, value: Any) -> bool:
    """Whether a body is, byte for byte, what its value is written as; then no key can stand in it twice."""
    return orjson.dumps(value) == body.strip()


def parse_protobuf(body: bytes) -> Obj:
    """An object in Kubernetes' protobuf encoding.

    Raises:
        StatusError: 400.
    """
    try:
        return decode_body(body)
    except InvalidMessage as error:
        raise bad_request(f"couldn't get version/kind; protobuf error: {error}") from error


def parse(body: bytes, format_: str) -> Any:
    """A body in any of the formats, without a look at repeated keys.

    Raises:
        StatusError: 400.
    """
    match format_:
        case "protobuf":
            return parse_protobuf(body)
        case "yaml":
            return parse_yaml(body)
    return parse_json(body)


def read_object(body: bytes, format_: str, validation: str) -> tuple[Obj, Repeated]:
    """The object in a body and, unless ``validation`` is Ignore, the keys that stand twice in it.

    Raises:
        StatusError: 400: unreadable, or no object.
    """
    repeated = Repeated()
    if format_ == "protobuf":
        value = parse_protobuf(body)
    elif format_ == "yaml":
        lines: list[str] = []
        value = _yaml(body, lines)
        if validation != "Ignore":
            repeated = Repeated(lines, alphabetic=True, heading=_YAML_ERRORS)
    else:
        value = parse_json(body)
        if validation != "Ignore" and not written_alike(body, value):
            repeated = duplicate_fields(body)
    if not isinstance(value, dict):
        raise bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal "
            f"{_json_type(value)} into Go value of type struct {{ APIVersion string; Kind string }}"
        )
    return value, repeated


def _json_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
        case None:
            return "null"
    return "number"
