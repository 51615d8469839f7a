"""How long a request may take: the ``timeout`` of its URL, within what the server allows.

Follows apiserver's ``endpoints/filters/request_deadline.go``; durations are written as Go writes them (``1m30s``).
Nearly all requests may take equally long and are done long before, so they share one timer: those that began first
are the first that are late.
"""

from __future__ import annotations

import asyncio
import re
from fractions import Fraction
from types import TracebackType
from typing import Any

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


class Deadlines:
    """Ends what takes longer than all requests may, with one timer for all of them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open: dict[Within, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def within(self) -> Within:
        """A context in which the current task is cancelled when it is late; it is left with TimeoutError then."""
        return Within(self)

    def begin(self, one: Within) -> None:
        """Watch over one, the last that will be late."""
        self._open[one] = None
        if self._timer is None:
            self._timer = one.loop.call_at(one.when, self._look)

    def end(self, one: Within) -> None:
        """It is done."""
        self._open.pop(one, None)

    def _look(self) -> None:
        self._timer = None
        for one in list(self._open):
            if one.when > one.loop.time():
                self._timer = one.loop.call_at(one.when, self._look)
                return
            del self._open[one]
            one.expire()


class Within:
    """One task's time, as ``asyncio.timeout`` would keep it."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_task", "loop", "when")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._expired = False
        self.loop = asyncio.get_running_loop()
        self.when = self.loop.time() + deadlines.seconds

    def __enter__(self) -> None:
        task = asyncio.current_task(self.loop)
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._deadlines.begin(self)

    def expire(self) -> None:
        """The time is over."""
        self._expired = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.end(self)
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        ):
            raise TimeoutError from error
