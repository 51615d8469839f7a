"""CEL's arithmetic and conversions, and the checks of arguments that every function makes.

After cel-spec ``doc/langdef.md`` (standard definitions).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from .values import CelError, Uint, is_number, type_name

_INT: Final = 2**63
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[-+]\d\d:\d\d)")
_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}

MOST_JOINED: Final = 10_000_000
"""How long a text or list may become: what it costs grows with its length, and so does what it takes."""


def no_overload() -> CelError:
    """The types do not fit any form of the function."""
    return CelError("no such overload")


def text(value: Any) -> str:
    """A string argument."""
    if isinstance(value, str):
        return value
    raise no_overload()


def items(value: Any) -> list[Any]:
    """A list argument."""
    if isinstance(value, list):
        return value
    raise no_overload()


def whole(value: Any) -> int:
    """An int argument."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise no_overload()


def _ranged(value: int, like: Any = 0) -> int:
    if isinstance(like, Uint):
        if not 0 <= value < 2 * _INT:
            raise CelError("unsigned integer overflow")
        return Uint(value)
    if not -_INT <= value < _INT:
        raise CelError("integer overflow")
    return value


# -- arithmetic ----------------------------------------------------------------------------------------------------


def _pair(one: Any, other: Any) -> str:
    return f"{type_name(one)},{type_name(other)}"


def add(one: Any, other: Any) -> Any:
    """``+``"""
    if is_number(one) and type(one) is type(other):
        return one + other if isinstance(one, float) else _ranged(int(one) + int(other), one)
    long = isinstance(one, str | bytes | list) and isinstance(other, str | bytes | list)
    if long and len(one) + len(other) > MOST_JOINED:
        raise CelError("operation cancelled: actual cost limit exceeded")
    if isinstance(one, str) and isinstance(other, str):
        return one + other
    if isinstance(one, bytes) and isinstance(other, bytes):
        return one + other
    if isinstance(one, list) and isinstance(other, list):
        plus: Callable[[list[Any]], list[Any]] | None = getattr(one, "plus", None)
        return plus(other) if plus is not None else [*one, *other]
    if isinstance(one, timedelta) and isinstance(other, timedelta | datetime):
        return other + one
    if isinstance(one, datetime) and isinstance(other, timedelta):
        return one + other
    raise no_overload()


def subtract(one: Any, *rest: Any) -> Any:
    """``-``, with one operand or two."""
    if not rest:
        if isinstance(one, float):
            return -one
        if is_number(one) and not isinstance(one, Uint):
            return _ranged(-one)
        raise no_overload()
    (other,) = rest
    if is_number(one) and type(one) is type(other):
        return one - other if isinstance(one, float) else _ranged(int(one) - int(other), one)
    if isinstance(one, datetime) and isinstance(other, datetime | timedelta):
        return one - other
    if isinstance(one, timedelta) and isinstance(other, timedelta):
        return one - other
    raise no_overload()


def multiply(one: Any, other: Any) -> Any:
    """``*``"""
    if is_number(one) and type(one) is type(other):
        return one * other if isinstance(one, float) else _ranged(int(one) * int(other), one)
    raise no_overload()


def divide(one: Any, other: Any) -> Any:
    """``/``, towards zero."""
    if not (is_number(one) and type(one) is type(other)):
        raise no_overload()
    if isinstance(one, float):
        if other == 0:
            return (
                math.nan
                if one == 0 or math.isnan(one)
                else math.copysign(math.inf, one) * math.copysign(1, other)
            )
        return one / other
    if other == 0:
        raise CelError("division by zero")
    quotient = abs(int(one)) // abs(int(other))
    return _ranged(quotient if (one < 0) == (other < 0) else -quotient, one)


def modulo(one: Any, other: Any) -> Any:
    """``%``, with the sign of the dividend."""
    if not (is_number(one) and type(one) is type(other)) or isinstance(one, float):
        raise no_overload()
    if other == 0:
        raise CelError("modulus by zero")
    rest = abs(int(one)) % abs(int(other))
    return _ranged(-rest if one < 0 else rest, one)


# -- conversions ---------------------------------------------------------------------------------------------------


def to_int(value: Any) -> int:
    """``int(x)``"""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, float):
        if not -_INT < value < _INT:
            raise CelError("integer overflow")
        return int(value)
    if isinstance(value, str):
        if not re.fullmatch(r"[-+]?\d+", value, re.ASCII):
            raise CelError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return _ranged(int(value))
    if is_number(value):
        return _ranged(int(value))
    raise no_overload()


def to_uint(value: Any) -> int:
    """``uint(x)``"""
    if isinstance(value, str):
        if not re.fullmatch(r"\d+", value, re.ASCII):
            raise CelError(f'strconv.ParseUint: parsing "{value}": invalid syntax')
        return _ranged(int(value), Uint())
    if is_number(value):
        return _ranged(int(value), Uint())
    raise no_overload()


def to_double(value: Any) -> float:
    """``double(x)``"""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise CelError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None
    if is_number(value):
        return float(value)
    raise no_overload()


def to_bool(value: Any) -> bool:
    """``bool(x)``"""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value in ("1", "t", "T", "true", "TRUE", "True"):
            return True
        if value in ("0", "f", "F", "false", "FALSE", "False"):
            return False
        raise CelError(f'strconv.ParseBool: parsing "{value}": invalid syntax')
    raise no_overload()


def number_text(value: int | float) -> str:
    """A double as Go prints the shortest form of it."""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "+Inf" if value > 0 else "-Inf"
        if value.is_integer() and abs(value) < 1e21:
            return str(int(value))
        return repr(value)
    return str(int(value))


def span_text(value: timedelta) -> str:
    """A duration in seconds, as protobuf writes it."""
    total = value / timedelta(microseconds=1)
    whole_seconds, rest = divmod(abs(int(total)), 1_000_000)
    sign = "-" if total < 0 else ""
    return (
        f"{sign}{whole_seconds}.{rest:06d}".rstrip("0").rstrip(".") + "s"
        if rest
        else f"{sign}{whole_seconds}s"
    )


def to_string(value: Any) -> str:
    """``string(x)``"""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise CelError("invalid UTF-8 in bytes, cannot convert to string") from None
        case datetime():
            shown = value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
            return shown.rstrip("0").rstrip(".") + "Z"
        case timedelta():
            return span_text(value)
    if is_number(value):
        return number_text(value)
    shown_by: Callable[[], str] | None = getattr(value, "cel_text", None)
    if shown_by is not None:
        return shown_by()
    raise no_overload()


def to_bytes(value: Any) -> bytes:
    """``bytes(x)``"""
    if isinstance(value, bytes):
        return value
    return text(value).encode()


def to_duration(value: Any) -> timedelta:
    """``duration("1h30m")``"""
    if isinstance(value, timedelta):
        return value
    shown = text(value)
    body = shown.lstrip("+-")
    if body == "0":
        return timedelta()
    if not re.fullmatch(f"(?:{_SPAN.pattern})+", body):
        raise CelError(f'time: invalid duration "{shown}"')
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(body))
    return timedelta(seconds=-seconds if shown.startswith("-") else seconds)


def to_timestamp(value: Any) -> datetime:
    """``timestamp("2026-01-01T00:00:00Z")``"""
    if isinstance(value, datetime):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    shown = text(value)
    match = _MOMENT.fullmatch(shown)
    if match is None:
        raise CelError(
            f'parsing time "{shown}" as "2006-01-02T15:04:05Z07:00": cannot parse "{shown}" as "2006"'
        )
    zone = "+00:00" if match[3] == "Z" else match[3]
    fraction = (match[2] or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{match[1]}.{fraction}{zone}")
    except ValueError as error:
        raise CelError(f'parsing time "{shown}": {error}') from None
