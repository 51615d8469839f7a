"""Scale: replicas on the simulated runtime, applied over HTTPS → all Ready by the Deployment's status.

Each size gets a fresh server process and a fresh state folder. The other side is a constant: upstream's own API
server, controller manager and scheduler with their client limits lifted create and bind 475 pods a second on two
such cores; there was no kubelet, so nothing became Ready there. "Flat" compares the largest with the smallest size
of this run.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from .live import cpu_seconds, live, roll_out
from .rows import Row

UPSTREAM = 475.0
GOAL = 500.0
SIZES = ((100, 3), (1000, 3), (5000, 1))


async def pods_per_second(folder: Path, replicas: int) -> tuple[float, float]:
    """Pods a second, and the seconds of processor that the server used for each."""
    async with live(folder, "--runtime", "simulated") as server:
        before = cpu_seconds(server.pid)
        taken = await roll_out(server, "web", replicas, {"name": "c", "image": "nginx:1.14.2"})
        return replicas / taken, (cpu_seconds(server.pid) - before) / replicas


async def measure() -> list[Row]:
    rates, rows = {}, []
    with tempfile.TemporaryDirectory(prefix="kubetui-bench-", dir=".") as name:
        for replicas, times in SIZES:
            folders = [Path(name).absolute() / f"{replicas}-{number}" for number in range(times)]
            found = [await pods_per_second(folder, replicas) for folder in folders]
            rates[replicas] = statistics.median(rate for rate, _ in found)
            used = statistics.median(each for _, each in found)
            rows.append(
                Row(
                    f"{replicas:,} replicas applied → all Ready",
                    rates[replicas],
                    "upstream, created and bound",
                    UPSTREAM,
                    "pods/s",
                    round(GOAL / UPSTREAM, 2),
                    higher_is_better=True,
                    note=f"{used * 1000:.2f} ms of one processor a pod",
                )
            )
    sizes = list(rates)
    rows.append(
        Row(
            f"Pods a second at {sizes[-1]:,} replicas",
            rates[sizes[-1]],
            f"at {sizes[0]:,}",
            rates[sizes[0]],
            "pods/s",
            0.8,
            higher_is_better=True,
        )
    )
    return rows
