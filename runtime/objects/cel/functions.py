"""CEL's operators and standard functions by name; those of strings, lists and times are here.

After cel-spec ``doc/langdef.md`` (standard definitions) and cel-go ``ext/{strings,lists,math,sets}.go``. A member
call ``a.f(b)`` comes as ``f(a, b)``; a wrong number of arguments is the TypeError that the caller words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cmp_to_key
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from ..regexps import go_pattern
from .arithmetic import (
    add,
    divide,
    items,
    modulo,
    multiply,
    no_overload,
    number_text,
    subtract,
    text,
    to_bool,
    to_bytes,
    to_double,
    to_duration,
    to_int,
    to_string,
    to_timestamp,
    to_uint,
    whole,
)
from .libraries import LIBRARY, LIBRARY_QUALIFIED
from .structs import escape_key
from .values import NO_VALUE, CelError, Optional, Type, compare, equal, is_number, type_name

# -- strings and lists ---------------------------------------------------------------------------------------------


def size(value: Any) -> int:
    """``size(x)``"""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_overload()


def contains(one: Any, other: Any) -> bool:
    """``s.contains(t)``"""
    return text(other) in text(one)


def matches(value: Any, pattern: Any) -> bool:
    """``s.matches(re)``"""
    found = go_pattern(text(pattern))
    if found is None:
        raise CelError(f"error parsing regexp: `{pattern}`")
    return found.search(text(value)) is not None


def _char_at(value: Any, index: Any) -> str:
    if not 0 <= whole(index) <= len(text(value)):
        raise CelError(f"index out of range: {index}")
    return text(value)[index : index + 1]


def _index_of(value: Any, part: Any, start: Any = 0) -> int:
    if isinstance(value, list):
        return next((index for index, item in enumerate(value) if equal(item, part)), -1)
    if not 0 <= whole(start) <= len(text(value)):
        raise CelError(f"index out of range: {start}")
    return text(value).find(text(part), start)


def _last_index_of(value: Any, part: Any, *last: Any) -> int:
    if isinstance(value, list):
        return max((index for index, item in enumerate(value) if equal(item, part)), default=-1)
    if last:
        return text(value).rfind(text(part), 0, whole(last[0]) + len(part))
    return text(value).rfind(text(part))


def _ascii(change: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: "".join(change(c) if c.isascii() else c for c in text(value))


def _replace(value: Any, old: Any, new: Any, limit: Any = -1) -> str:
    return text(value).replace(text(old), text(new), whole(limit))


def _split(value: Any, separator: Any, limit: Any = -1) -> list[str]:
    if whole(limit) == 0:
        return []
    if not text(separator):
        letters = list(text(value))
        return letters if limit < 0 else [*letters[: limit - 1], "".join(letters[limit - 1 :])]
    return text(value).split(separator, limit - 1 if limit > 0 else -1)


def _substring(value: Any, start: Any, *end: Any) -> str:
    stop = whole(end[0]) if end else len(text(value))
    for bound in (whole(start), stop):
        if not 0 <= bound <= len(text(value)):
            raise CelError(f"index out of range: {bound}")
    if start > stop:
        raise CelError(f"invalid substring range. start: {start}, end: {stop}")
    return text(value)[start:stop]


def _join(values: Any, separator: Any = "") -> str:
    return text(separator).join(text(one) for one in items(values))


def _reverse(value: Any) -> Any:
    return value[::-1] if isinstance(value, str) else items(value)[::-1]


_RAISED: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _format(pattern: Any, arguments: Any) -> str:
    values = iter(items(arguments))

    def clause(match: re.Match[str]) -> str:
        verb = match[2]
        if verb == "%":
            return "%"
        try:
            value = next(values)
        except StopIteration:
            raise CelError("index out of range") from None
        precision = int(match[1][1:]) if match[1] else 6
        match verb:
            case "s":
                return _shown(value)
            case "d":
                return number_text(value) if is_number(value) else _shown(value)
            case "f":
                return f"{float(value):.{precision}f}"
            case "e":
                mantissa, _, exponent = f"{float(value):.{precision}e}".partition("e")
                return f"{mantissa}×10{exponent.removeprefix('+').translate(_RAISED)}"
            case "b":
                return f"{int(value):b}"
            case "o":
                return f"{int(value):o}"
        shown = (
            (value.encode() if isinstance(value, str) else value).hex()
            if isinstance(value, str | bytes)
            else f"{int(value):x}"
        )
        return shown.upper() if verb == "X" else shown

    return re.sub(r"%(\.\d+)?([sdfebxXo%])", clause, text(pattern))


def _shown(value: Any) -> str:
    match value:
        case None:
            return "null"
        case list():
            return "[" + ", ".join(map(_shown, value)) + "]"
        case dict():
            return (
                "{"
                + ", ".join(f"{_shown(key)}: {_shown(value[key])}" for key in sorted(value, key=str))
                + "}"
            )
        case Type():
            return value.name
    return to_string(value)


def _ordered(values: list[Any]) -> list[Any]:
    for one, other in pairwise(values):
        compare(one, other)
    return values


def _sorted(values: Any) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(items(values)))


def _sum(values: Any) -> Any:
    if not items(values):
        return 0
    total = values[0]
    for one in values[1:]:
        total = add(total, one)
    return total


def _extreme(sign: int) -> Callable[[Any], Any]:
    def find(values: Any) -> Any:
        if not items(values):
            raise CelError(f"{'min' if sign < 0 else 'max'} called on empty list")
        best = values[0]
        for one in values[1:]:
            if compare(one, best) * sign > 0:
                best = one
        return best

    return find


def _arguments(find: Callable[[Any], Any]) -> Callable[..., Any]:
    """``math.greatest`` and ``math.least`` take their numbers one by one, or a list."""
    return lambda *values: find(
        values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    )


def _flatten(values: Any, depth: Any = 1) -> list[Any]:
    result: list[Any] = []
    if whole(depth) < 0:
        raise CelError("level must be non-negative")
    for one in items(values):
        if isinstance(one, list) and whole(depth) > 0:
            result += _flatten(one, depth - 1)
        else:
            result.append(one)
    return result


def _distinct(values: Any) -> list[Any]:
    result: list[Any] = []
    for one in items(values):
        if not any(equal(one, other) for other in result):
            result.append(one)
    return result


def _sort(values: Any) -> list[Any]:
    return sorted(_ordered(items(values)), key=cmp_to_key(compare))


def sort_by(pairs: list[tuple[Any, Any]]) -> list[Any]:
    """Items in the order of what was worked out of them (the macro ``sortBy``)."""
    keys = _ordered([key for key, _ in pairs])

    def order(one: int, other: int) -> int:
        return compare(keys[one], keys[other])

    return [pairs[index][1] for index in sorted(range(len(keys)), key=cmp_to_key(order))]


LONGEST_RANGE: Final = 1_000_000
"""Numbers that ``lists.range`` makes at most: each of them takes memory at once, whatever is done with it."""


def _range(count: Any) -> list[int]:
    if whole(count) > LONGEST_RANGE:
        raise CelError(f"lists.range() would have more than {LONGEST_RANGE} elements")
    return list(range(count))


def _slice(values: Any, start: Any, end: Any) -> list[Any]:
    what = f"cannot slice({start}, {end})"
    if whole(start) < 0 or whole(end) < 0:
        raise CelError(f"{what}, negative indexes not supported")
    if start > end:
        raise CelError(f"{what}, start index must be less than or equal to end index")
    if end > len(items(values)):
        raise CelError(f"{what}, list is length {len(values)}")
    return items(values)[start:end]


# -- times ---------------------------------------------------------------------------------------------------------


def _zone(name: Any) -> Any:
    shown = text(name)
    offset = re.fullmatch(r"([-+]?)(\d\d):(\d\d)", shown)
    if offset:
        delta = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-delta if offset[1] == "-" else delta)
    try:
        return ZoneInfo(shown)
    except (KeyError, ValueError, OSError):
        raise CelError(f"unknown time zone {shown}") from None


def _part(
    read: Callable[[datetime], int], span: Callable[[timedelta], float] | None = None
) -> Callable[..., int]:
    def ask(value: Any, *zone: Any) -> int:
        if isinstance(value, timedelta) and span is not None:
            return int(span(value))
        if isinstance(value, datetime):
            return read(value.astimezone(_zone(zone[0]) if zone else UTC))
        raise no_overload()

    return ask


def _value_of(value: Any) -> Any:
    if not isinstance(value, Optional):
        raise no_overload()
    if not value.present:
        raise CelError("optional.none() dereference")
    return value.value


_FIRST_MOMENT: Final = datetime(1, 1, 1, tzinfo=UTC)


def _zeroless(value: Any) -> Optional:
    empty = value == _FIRST_MOMENT if isinstance(value, datetime) else not value
    return NO_VALUE if empty else Optional(True, value)


def _has_value(value: Any) -> bool:
    if not isinstance(value, Optional):
        raise no_overload()
    return value.present


_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_MILLI = timedelta(milliseconds=1)

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **LIBRARY,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "int": to_int,
    "uint": to_uint,
    "double": to_double,
    "bool": to_bool,
    "string": to_string,
    "bytes": to_bytes,
    "duration": to_duration,
    "timestamp": to_timestamp,
    "dyn": lambda value: value,
    "type": lambda value: Type(type_name(value)),
    "size": size,
    "contains": contains,
    "startsWith": lambda one, other: text(one).startswith(text(other)),
    "endsWith": lambda one, other: text(one).endswith(text(other)),
    "matches": matches,
    "charAt": _char_at,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "lowerAscii": _ascii(str.lower),
    "upperAscii": _ascii(str.upper),
    "replace": _replace,
    "split": _split,
    "substring": _substring,
    "trim": lambda value: text(value).strip(),
    "join": _join,
    "reverse": _reverse,
    "format": _format,
    "isSorted": _sorted,
    "sum": _sum,
    "min": _extreme(-1),
    "max": _extreme(1),
    "flatten": _flatten,
    "distinct": _distinct,
    "sort": _sort,
    "slice": _slice,
    "getFullYear": _part(lambda moment: moment.year),
    "getMonth": _part(lambda moment: moment.month - 1),
    "getDate": _part(lambda moment: moment.day),
    "getDayOfMonth": _part(lambda moment: moment.day - 1),
    "getDayOfWeek": _part(lambda moment: moment.isoweekday() % 7),
    "getDayOfYear": _part(lambda moment: moment.timetuple().tm_yday - 1),
    "getHours": _part(lambda moment: moment.hour, lambda span: span / _HOUR),
    "getMinutes": _part(lambda moment: moment.minute, lambda span: span / _MINUTE),
    "getSeconds": _part(lambda moment: moment.second, lambda span: span / _SECOND),
    "getMilliseconds": _part(lambda moment: moment.microsecond // 1000, lambda span: span / _MILLI),
    "hasValue": _has_value,
    "value": _value_of,
}
QUALIFIED: Final[dict[str, Callable[..., Any]]] = {
    **LIBRARY_QUALIFIED,
    "optional.of": lambda value: Optional(True, value),
    "optional.none": lambda: NO_VALUE,
    "optional.ofNonZeroValue": _zeroless,
    "math.greatest": _arguments(_extreme(1)),
    "math.least": _arguments(_extreme(-1)),
    "math.abs": abs,
    "math.ceil": lambda value: float(math.ceil(value)),
    "math.floor": lambda value: float(math.floor(value)),
    "math.sign": lambda value: type(value)((value > 0) - (value < 0)),
    "sets.contains": lambda one, other: all(any(equal(a, b) for b in items(one)) for a in items(other)),
    "sets.intersects": lambda one, other: any(any(equal(a, b) for b in items(one)) for a in items(other)),
    "sets.equivalent": lambda one, other: (
        all(any(equal(a, b) for b in items(one)) for a in items(other))
        and all(any(equal(a, b) for b in other) for a in one)
    ),
    "lists.range": _range,
    "jsonpatch.escapeKey": escape_key,
}
