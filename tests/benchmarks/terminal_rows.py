"""The terminal: keys among thousands of changing pods, a million log lines, two hundred pods' logs at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from tests.support.serving import ROOT

from .rows import Row
from .terminal_follow import measure as followed_at_once
from .terminal_latency import measure as key_to_painted

FRAME = 1 / 60
LINES = 1_000_000


def a_million_lines() -> dict[str, float]:
    """Measured in a process of its own, so that its memory is nobody else's."""
    script = ROOT / "tests" / "benchmarks" / "terminal_logs.py"
    done = subprocess.run(
        [sys.executable, str(script), str(LINES)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def measure() -> list[Row]:
    keys = await asyncio.to_thread(key_to_painted, 5000, 200.0)
    logs = await asyncio.to_thread(a_million_lines)
    # as many changes as an hour brings, as fast as the server can make them
    churn = await asyncio.to_thread(key_to_painted, 5000, 2000.0)
    follow = await asyncio.to_thread(followed_at_once)
    note = f"half of them within {keys['p50']:.0f} ms, the worst {keys['worst']:.0f} ms"
    return [
        Row("key → painted, p99", keys["p99"] / 1000, "a 60 Hz frame", FRAME, "s", 3, note=note),
        Row(
            "a million log lines taken in",
            logs["take_in_s"],
            "written to a file",
            logs["write_s"],
            "s",
            5,
            limit=True,
        ),
        Row("a page of a million log lines", logs["page_of_40_ms"] / 1000, "a 60 Hz frame", FRAME, "s", 0.5),
        Row("memory of a million lines", logs["memory_mb"], "the lines", logs["spool_mb"], "MB", 0.5),
        Row("search a million lines", logs["search_rare_s"], "one second", 1, "s", 1),
        Row("its longest hold-up", logs["search_rare_longest_step_ms"] / 1000, "a frame", FRAME, "s", 1),
        Row(
            "memory after an hour of churn, compressed",
            churn["memory_after"],
            "before it",
            churn["memory_before"],
            "MB",
            1.1,
            note=f"{churn['changes']:,.0f} changes among 5,000 pods, {churn['changes'] / 3600:.1f} a second",
        ),
        Row(
            "200 pods' logs followed at once, 1,000 lines each, until all are there in order of time",
            follow["followed"],
            "a client that reads and drops them",
            follow["read"],
            "s",
            5,
        ),
    ]
