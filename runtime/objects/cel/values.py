"""CEL's values as Python has them, and what all operations need of them: types, equality, order, errors.

int, double, bool, string, bytes, null, list and map are Python's own; unsigned numbers, optionals and the few
Kubernetes types have classes here. Timestamps are aware datetimes, durations timedeltas.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final


class CelError(Exception):
    """An evaluation that has no result: ``no such key: x``, ``division by zero``, …"""


class Uint(int):
    """An unsigned number."""

    __slots__ = ()


class Type:
    """A type as a value: what ``type(x)`` gives."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class Optional:
    """A value that may not be there."""

    __slots__ = ("present", "value")

    def __init__(self, present: bool, value: Any = None) -> None:
        self.present = present
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Optional) or self.present is not other.present:
            return False
        return not self.present or equal(self.value, other.value)

    def __hash__(self) -> int:
        return hash(self.present)


NO_VALUE: Final = Optional(False)


class Struct(dict[str, Any]):
    """An object made of a named type, such as ``Object.spec{...}``: its fields, and the type's name."""

    __slots__ = ("cel_name",)

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.cel_name = name


_NAMES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null_type",
    Type: "type",
    Optional: "optional_type",
}


def type_name(value: Any) -> str:
    """The name of a value's type."""
    found = _NAMES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, Struct):
        return value.cel_name
    if isinstance(value, datetime):
        return "google.protobuf.Timestamp"
    if isinstance(value, timedelta):
        return "google.protobuf.Duration"
    for kind, name in _NAMES.items():
        if isinstance(value, kind):
            return name
    return str(getattr(value, "cel_type", type(value).__name__))


def is_number(value: Any) -> bool:
    """int, uint or double."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(one: Any, other: Any) -> bool:
    """CEL's equality: numbers by value, everything else within its type; never an error."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    if isinstance(one, list) and isinstance(other, list):
        same: Callable[[list[Any], list[Any]], bool] | None = getattr(one, "same", None) or getattr(
            other, "same", None
        )
        if same is not None:
            return same(one, other)
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(
            key in other and equal(item, other[key]) for key, item in one.items()
        )
    if type_name(one) != type_name(other):
        return False
    return bool(one == other)


def compare(one: Any, other: Any) -> int:
    """Order: below zero, zero, above zero.

    Raises:
        CelError: the two have none.
    """
    if (is_number(one) and is_number(other)) or (
        type_name(one) == type_name(other) and isinstance(one, str | bytes | bool | datetime | timedelta)
    ):
        return int(one > other) - int(one < other)
    raise CelError("no such overload")


class SetList(list[Any]):
    """A list of which the order means nothing (x-kubernetes-list-type: set)."""

    @staticmethod
    def same(one: list[Any], other: list[Any]) -> bool:
        """Equality without order."""
        return len(one) == len(other) and all(any(equal(item, o) for o in other) for item in one)

    def plus(self, other: list[Any]) -> SetList:
        """Union: what is new goes to the end."""
        result = SetList(self)
        result.extend(item for item in other if not any(equal(item, mine) for mine in result))
        return result


class MapList(list[Any]):
    """A list whose items are found by keys (x-kubernetes-list-type: map)."""

    keys: tuple[str, ...] = ()

    def _key(self, item: Any) -> Any:
        return [item.get(key) if isinstance(item, dict) else None for key in self.keys]

    def same(self, one: list[Any], other: list[Any]) -> bool:
        """Equality without order."""
        return len(one) == len(other) and all(any(equal(item, o) for o in other) for item in one)

    def plus(self, other: list[Any]) -> MapList:
        """What has the same keys is replaced in its place, the rest is added."""
        result = MapList(self)
        result.keys = self.keys
        for item in other:
            key = self._key(item)
            for index, mine in enumerate(result):
                if equal(self._key(mine), key):
                    result[index] = item
                    break
            else:
                result.append(item)
        return result
