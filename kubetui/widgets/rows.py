"""What a table shows: columns, cells and rows, and the order of their values. No screen is needed to build them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubetui.live.health import Health
from kubetui.live.text import clean, human_duration


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``grow`` takes what is left, ``drop`` > 0 may vanish when it is narrow (greatest first)."""

    key: str
    title: str
    right: bool = False
    grow: bool = False
    minimum: int = 0
    maximum: int = 60
    wide: bool = False
    drop: int = 0
    middle: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its text (or a time whose age is shown), its style by meaning, and what it sorts by."""

    text: str
    style: str = "text"
    sort: Any = None
    since: float | None = None

    def shown(self, now: float) -> str:
        """The text at this moment."""
        return human_duration(now - self.since) if self.since is not None else self.text


@dataclass(slots=True)
class Row:
    """One object as a line."""

    uid: str
    cells: Sequence[Cell]
    labels: Mapping[str, str] = field(default_factory=dict)
    health: Health = "ok"
    data: Any = None
    key: tuple[Any, ...] = ()
    shown: bool = True


def cell(text: object, style: str = "text", sort: Any = None) -> Cell:
    """A cell of harmless text."""
    return Cell(clean(str(text)), style, sort)


def since(timestamp: float, style: str = "dim") -> Cell:
    """A cell that shows an age and sorts by it, youngest first."""
    return Cell("", style, -timestamp, timestamp) if timestamp else Cell("<unknown>", style, 0)


def rank(value: Any) -> tuple[int, Any]:
    """Make values of any type comparable: numbers, then text, then nothing; tuples among themselves."""
    if isinstance(value, tuple):
        return 3, value
    if isinstance(value, bool):
        return 0, int(value)
    if isinstance(value, int | float):
        return 0, value
    if value is None:
        return 2, ""
    return 1, str(value)


class Reversed:
    """Turns an order around for one value."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reversed) and bool(self.value == other.value)
