"""How long a request may take: the ``timeout`` of its URL, within what the server allows.

Follows apiserver's ``endpoints/filters/request_deadline.go``; durations are written as Go writes them (``1m30s``).
"""

from __future__ import annotations

import re
from fractions import Fraction

from runtime.objects.errors import bad_request

from .request import Query

_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PIECE = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)
_LONGEST = Fraction(2**63 - 1, 10**9)


def parse_duration(text: str) -> float:
    """A duration in seconds, as Go's ``time.ParseDuration`` reads it.

    Raises:
        ValueError: it is none; with Go's sentence.
    """
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total, position = Fraction(0), 0
    while position < len(rest):
        piece = _PIECE.match(rest, position)
        if piece is None:
            raise ValueError(f'time: invalid duration "{text}"')
        number, unit = piece.groups()
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += Fraction(number.rstrip(".")) * _UNITS[unit]
        position = piece.end()
    if not position or total > _LONGEST:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * float(total)


def deadline(query: Query, most: float) -> float:
    """The seconds a request that is no stream may take: what it asks for, at most ``most``.

    Raises:
        StatusError: 400, what it asks for is no duration.
    """
    text = query.get("timeout")
    if not text:
        return most
    try:
        asked = parse_duration(text)
    except ValueError as error:
        raise bad_request(f"invalid timeout specified in the request URL - {error}") from error
    return asked if 0 < asked < most else most
