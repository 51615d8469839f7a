"""The terminal: keys among thousands of changing pods, a million log lines, two hundred pods' logs at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time

from kubetui.live.logspool import LogSource, LogSpool
from tests.support.serving import ROOT

from .rows import Row
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


def follow(pods: int, lines: int) -> float:
    """Seconds to take in lines that arrive from many pods in turn, a few at a time."""
    spool = LogSpool()
    sources = [spool.add_source(LogSource(f"pod-{n}", "app")) for n in range(pods)]
    batches = [
        [f"2026-01-01T00:00:00.{i + n:09}Z request {i + n} took {n} ms".encode() for n in range(10)]
        for i in range(0, lines, 10)
    ]
    start = time.perf_counter()
    for number, batch in enumerate(batches):
        spool.append(sources[number % pods], batch)
    return time.perf_counter() - start


async def measure() -> list[Row]:
    keys = await asyncio.to_thread(key_to_painted, 5000, 200.0)
    logs = await asyncio.to_thread(a_million_lines)
    # as many changes as an hour brings, as fast as the server can make them
    churn = await asyncio.to_thread(key_to_painted, 5000, 2000.0)
    one = min(follow(1, 200_000) for _ in range(3))
    many = min(follow(200, 200_000) for _ in range(3))
    note = f"half of them within {keys['p50']:.0f} ms, the worst {keys['worst']:.0f} ms"
    return [
        Row("key → painted, p99", keys["p99"] / 1000, "a 60 Hz frame", FRAME, "s", 3, note=note),
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
        Row("200,000 lines of 200 pods", many, "the same of one pod", one, "s", 1.5),
    ]
