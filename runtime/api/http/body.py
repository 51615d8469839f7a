"""Reading request bodies: JSON and YAML, within limits, with an eye for keys that stand twice.

``orjson`` keeps the last of two equal keys without a word, so a client that asked to be told (fieldValidation Warn
or Strict) has its body read a second time by the standard library's parser, which calls back for each object.
YAML is read as Kubernetes' Go library reads it: no dates, no base-60 numbers, keys are strings.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
import yaml

from runtime.objects.errors import Obj, bad_request

from .protobuf import InvalidMessage, decode_body

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes in a request's body (apiserver's ``MaxRequestBodyBytes``)."""
MAX_NODES = 1_000_000
"""Values a YAML document may unfold to: aliases of aliases grow without bound."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, in order, repeated keys included."""


def _same_count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found


class _Repeated(Exception):
    pass


def duplicate_fields(body: bytes) -> list[str]:
    """The paths of keys that stand twice in one object of a JSON document, in order."""
    try:
        json.loads(body, object_pairs_hook=_same_count)
    except _Repeated:
        pass
    else:
        return []
    found: list[str] = []

    def walk(node: Any, path: str) -> None:
        if isinstance(node, _Pairs):
            seen: set[str] = set()
            for key, value in node:
                inner = f"{path}.{key}" if path else key
                if key in seen:
                    found.append(inner)
                else:
                    walk(value, inner)
                seen.add(key)
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{path}[{index}]")

    walk(json.loads(body, object_pairs_hook=_Pairs), "")
    return list(dict.fromkeys(found))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe loading with the scalars of Kubernetes' YAML library."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    (
        "bool",
        r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
        "yYnNtTfFoO",
    ),
    (
        "int",
        r"^(?:[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$",
        "-+0123456789",
    ),
    (
        "float",
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^(?:<<)$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _integer(loader: Any, node: Any) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith("0o"):
        return sign * int(digits[2:], 8)
    if digits[:2] in ("0x", "0b"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def _repeated_keys(document: bytes) -> list[str]:
    """Keys that stand twice in one mapping of a YAML document, with their lines."""
    found: list[str] = []
    pending = [yaml.compose(document, Loader=_Loader)]
    visited: set[int] = set()
    while pending:
        node = pending.pop(0)
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
                    seen.add(key.value)
                pending.append(value)
        elif isinstance(node, yaml.SequenceNode):
            pending.extend(node.value)
    return found


def _plain(value: Any, budget: list[int]) -> Any:
    """YAML values as JSON has them; refuses what has no JSON form and what unfolds without end."""
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError("document contains excessive aliasing")
    if isinstance(value, dict):
        return {_key(key): _plain(entry, budget) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry, budget) for entry in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"a {type(value).__name__} has no JSON form")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, (int, float)):
        return str(key)
    raise ValueError("keys must be strings")


def parse_yaml(body: bytes) -> Any:
    """A YAML document as JSON values.

    Raises:
        StatusError: 400 with the parser's own sentence.
    """
    try:
        return _plain(yaml.load(body, Loader=_Loader), [MAX_NODES])
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        text = " ".join(str(error).split())
        raise bad_request(f"error converting YAML to JSON: yaml: {text}") from error


def parse_json(body: bytes) -> Any:
    """A JSON document.

    Raises:
        StatusError: 400 with the parser's own sentence.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


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


def read_object(body: bytes, format_: str, validation: str) -> tuple[Obj, list[str]]:
    """The object in a body and, unless ``validation`` is Ignore, sentences on keys that stand twice.

    Raises:
        StatusError: 400: unreadable, or no object.
    """
    repeated: list[str] = []
    if format_ == "protobuf":
        value = parse_protobuf(body)
    elif format_ == "yaml":
        value = parse_yaml(body)
        if validation != "Ignore":
            repeated = _repeated_keys(body)
    else:
        value = parse_json(body)
        if validation != "Ignore":
            repeated = [f'duplicate field "{path}"' for path in duplicate_fields(body)]
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
