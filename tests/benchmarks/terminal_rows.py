"""The terminal: how long a key press takes to be seen while 5,000 pods change 200 times a second."""

from __future__ import annotations

import asyncio

from . import terminal_latency
from .rows import Row

PODS = 5000
CHANGES = 200.0
FRAME = 1 / 60


async def measure() -> list[Row]:
    found = await asyncio.to_thread(terminal_latency.measure, PODS, CHANGES)
    middle, late = found["p50"] / 1000, found["p99"] / 1000
    note = f"300 presses; the worst took {found['worst']:.0f} ms"
    return [
        Row("Key press → painted, p99", late, "one 60 Hz frame", FRAME, "s", 3, note=note),
        Row("Key press → painted, median", middle, "one 60 Hz frame", FRAME, "s", 3),
    ]
