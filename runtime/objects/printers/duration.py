"""Ages as Kubernetes writes them: two or three significant figures, ``5d3h`` and not ``123h12m``.

Follows apimachinery's ``pkg/util/duration/duration.go``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..clock import parse_time

UNKNOWN = "<unknown>"


def human_duration(duration: timedelta | float) -> str:
    """A duration (a timedelta, or seconds) for people: ``45s``, ``3m20s``, ``7h5m``, ``2d4h``, ``3y20d``.

    A second in the future passes for now, because clocks differ; more is ``<invalid>``.
    """
    exact = duration.total_seconds() if isinstance(duration, timedelta) else duration
    seconds = int(exact)  # towards zero, as Go converts
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        rest = seconds % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    if days < 2920:
        rest = days % 365
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


def since(timestamp: Any, now: datetime) -> str:
    """The time from a JSON timestamp until ``now``, for people; ``<unknown>`` where there is no timestamp."""
    if not timestamp:
        return UNKNOWN
    try:
        return human_duration(now - parse_time(timestamp))
    except (ValueError, TypeError):
        return "<invalid>"
