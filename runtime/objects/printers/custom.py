"""Tables of custom resources: the columns a definition asks for, found by JSONPath.

Follows apiextensions-apiserver ``pkg/registry/customresource/tableconvertor``, with the JSONPath that such columns
use: names, quoted names, indexes, ``[*]`` and filters that compare one field with a literal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from ..errors import Obj
from ..registry import Column, Printer
from .duration import since
from .table import NAME, name_of

Path = Callable[[Any], list[Any]]
"""All the values a JSONPath finds in an object."""

_STEP = re.compile(
    r"""\.?(?:
        \[(?P<quote>['"])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\]
      | \[\?\(\s*@(?P<filter>[^=!<>]*?)\s*(?P<op>==|!=)\s*(?P<literal>'[^']*'|"[^"]*"|[^)\s]+)\s*\)\]
      | \[(?P<index>-?\d+)\]
      | \[?(?P<every>\*)\]?
      | (?P<name>(?:\\.|[^.\[\]*])+)
    )""",
    re.VERBOSE,
)
_AGE = Column("Age", "date", "", "Time since the object was created.")


class PathError(ValueError):
    """A JSONPath that can't be read, or that says more than a column may."""


def compile_path(text: str) -> Path:
    """A function that finds what the JSONPath points at.

    Raises:
        PathError: the text is no such path.
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    rest = rest.removeprefix("$")
    steps: list[Path] = []
    position = 0
    while position < len(rest):
        if rest[position:] == ".":
            break
        match = _STEP.match(rest, position)
        if match is None or match.end() == position:
            raise PathError(f"can't read JSONPath {text!r} at {rest[position:]!r}")
        steps.append(_step(match))
        position = match.end()

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = [result for item in found for result in step(item)]
        return found

    return find


def _step(match: re.Match[str]) -> Path:
    if match["op"] is not None:
        return _filter(compile_path(match["filter"]), match["op"] == "==", _literal(match["literal"]))
    if match["index"] is not None:
        index = int(match["index"])
        return lambda value: (
            [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []
        )
    if match["every"] is not None:
        return lambda value: (
            list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        )
    name = re.sub(r"\\(.)", r"\1", match["quoted"] if match["quoted"] is not None else match["name"])
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _filter(find: Path, wanted: bool, literal: Any) -> Path:
    def step(value: Any) -> list[Any]:
        if not isinstance(value, list):
            return []
        return [item for item in value if any((found == literal) is wanted for found in find(item))]

    return step


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _cell(kind: str, values: list[Any], now: datetime) -> Any:
    """The first value found as its column shows it, or None where its type is another."""
    value = values[0] if values else None
    if value is None:
        return None
    match kind:
        case "string":
            return value if isinstance(value, str) else orjson.dumps(value).decode()
        case "integer" if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str):
            return since(value, now)
        case _:
            return None


_UNDESCRIBED = "Custom resource definition column (in JSONPath format): "


def custom_printer(columns: Sequence[Obj] = ()) -> Printer:
    """The printer for a version's ``additionalPrinterColumns``; NAME and AGE where there are none.

    Raises:
        PathError: a column's ``jsonPath`` can't be read.
    """
    if not columns:
        columns = [
            {
                "name": "Age",
                "type": "date",
                "jsonPath": ".metadata.creationTimestamp",
                "description": _AGE.description,
            }
        ]
    made = [NAME]
    finders: list[tuple[str, Path]] = []
    for column in columns:
        kind = column.get("type", "string")
        description = column.get("description") or f"{_UNDESCRIBED}{column['jsonPath']}"
        made.append(
            Column(column["name"], kind, column.get("format", ""), description, column.get("priority", 0))
        )
        finders.append((kind, compile_path(column["jsonPath"])))

    def row(obj: Obj, now: datetime) -> list[Any]:
        return [name_of(obj), *(_cell(kind, find(obj), now) for kind, find in finders)]

    return Printer(tuple(made), row)
