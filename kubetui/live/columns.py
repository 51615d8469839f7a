"""Custom columns of the configuration: a title of the server's table, or ``TITLE:.json.path``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubetui.live.objects import Obj

_PART = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+|\*)\]|\['([^']+)'\]")

_PATH = re.compile(rf"(?:{_PART.pattern})+")


@dataclass(frozen=True, slots=True)
class CustomColumn:
    """``path`` is None for a column that the server already has."""

    title: str
    path: tuple[str | int, ...] | None

    def value(self, obj: Obj) -> str:
        """The value at the path; several are joined by commas."""
        return ",".join(_text(v) for v in _walk(obj, self.path or ()))


def needs_object(columns: Sequence[CustomColumn]) -> bool:
    """Whether a path leads outside of the metadata that a table's rows carry anyway."""
    return any(c.path and c.path[0] not in ("metadata", "kind", "apiVersion") for c in columns)


def parse_columns(texts: Sequence[str]) -> list[CustomColumn]:
    """Read the configuration's list."""
    found = []
    for text in texts:
        title, colon, path = text.partition(":")
        parts: list[str | int] = []
        for match in _PART.finditer(path.strip()):
            if match[1] or match[3]:
                parts.append(match[1] or match[3])
            else:
                parts.append(-1 if match[2] == "*" else int(match[2]))
        found.append(CustomColumn(title.strip().upper(), tuple(parts) if colon else None))
    return found


def column_problem(text: str) -> str:
    """Why a column cannot be read; empty when it can."""
    title, colon, path = text.partition(":")
    if not title.strip():
        return f"{text!r} has no title"
    if colon and not _PATH.fullmatch(path.strip()):
        return f"{text!r} has no path such as .metadata.labels.app or .spec.containers[*].image"
    return ""


def _walk(value: Any, path: tuple[str | int, ...]) -> list[Any]:
    if not path:
        return [] if value is None else [value]
    head, rest = path[0], path[1:]
    if head == -1:
        return [v for item in value for v in _walk(item, rest)] if isinstance(value, list) else []
    if isinstance(head, int):
        return _walk(value[head], rest) if isinstance(value, list) and head < len(value) else []
    return _walk(value.get(head), rest) if isinstance(value, dict) else []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
