"""A million log lines: time to take them in, memory, time to show any part, to search and to filter all of them.

``python tests/benchmarks/terminal_logs.py [lines]`` prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time

from kubetui.live.logquery import LogQuery
from kubetui.live.logspool import LogSource, LogSpool


def rss() -> float:
    """Resident memory in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def measure(lines: int) -> dict[str, float]:
    """Seconds, milliseconds and megabytes, named."""
    template = (
        "2026-01-01T{:02}:{:02}:{:02}.{:09}Z request {} from 10.244.0.{} took {} ms and all is as it was"
    )
    batches = []
    for first in range(0, lines, 2000):
        batch = []
        for i in range(first, min(lines, first + 2000)):
            second = i // 50
            batch.append(
                template.format(
                    second // 3600 % 24, second // 60 % 60, second % 60, i % 50 * 1000, i, i % 250, i % 97
                ).encode()
            )
        batches.append(batch)
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for batch in batches:
            file.write(b"\n".join(batch))
        file.flush()
        written = time.perf_counter() - began
    before = rss()
    spool = LogSpool()
    source = spool.add_source(LogSource("pod", "app"))
    began = time.perf_counter()
    longest = 0.0
    for batch in batches:
        at = time.perf_counter()
        spool.append(source, batch)
        longest = max(longest, time.perf_counter() - at)
    taken = time.perf_counter() - began
    memory = rss() - before
    began = time.perf_counter()
    for position in range(0, lines, max(1, lines // 1000)):
        for row in range(position, min(lines, position + 40)):
            spool.read(spool.number_at(row))
    page = (time.perf_counter() - began) / 1000
    results: dict[str, float] = {
        "lines": lines, "take_in_s": taken, "write_s": written, "longest_batch_ms": longest * 1000,
        "memory_mb": memory, "page_of_40_ms": page * 1000, "spool_mb": spool.size / 1e6,
    }  # fmt: skip
    for name, text, inverse in (
        ("search_rare", f"request {lines - 7} ", False),
        ("filter_inverse", "took 7 ms", True),
    ):
        query = LogQuery(spool, text, inverse=inverse)
        began = time.perf_counter()
        longest = 0.0
        while True:
            at = time.perf_counter()
            more = query.step()
            longest = max(longest, time.perf_counter() - at)
            if not more:
                break
        results[f"{name}_s"] = time.perf_counter() - began
        results[f"{name}_longest_step_ms"] = longest * 1000
    return {k: round(v, 3) for k, v in results.items()}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
