"""Idle: what a cluster costs while nothing happens, against upstream's processes with an empty cluster.

Upstream's API server, controller manager, scheduler and etcd were measured on two such cores: 2.4 % of one and 496 MB
empty, 712 MB with 1,000 pods. Podman's service is a process of its own, and shown apart.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.processes import children

from .live import cpu_share, live, resident, roll_out
from .pods_rows import SLEEPER, podman_environment
from .rows import Row
from .start_rows import compiled

SECONDS = 25.0
SETTLE = 15.0
UPSTREAM = "upstream's four, empty"
UPSTREAM_FULL = "upstream's four, 1,000 pods"


async def measure() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="kubetui-bench-", dir=".") as name:
        folder = Path(name).absolute()
        with podman_environment(folder) as storage:
            if storage is not None:
                rows += await on_podman(folder, storage)
        async with live(folder / "many", "--runtime", "simulated", environment=compiled(folder)) as server:
            await roll_out(server, "web", 1000, {"name": "c", "image": "nginx:1.14.2"})
            [cpu] = await settled([server.pid])
            memory = resident(server.pid)
        share = "% of a core"
        rows += [
            Row("CPU idle, 1,000 simulated pods", cpu, UPSTREAM, 2.4, share, 2.0, limit=True),
            Row("Memory, 1,000 simulated pods", memory, UPSTREAM_FULL, 712, "MB", 250, limit=True),
        ]
    return rows


async def settled(pids: list[int]) -> list[float]:
    """Each process's share of a core, once what follows a rollout is done."""
    await cpu_share(pids, SETTLE)
    return await cpu_share(pids, SECONDS)


async def on_podman(folder: Path, storage: dict[str, str]) -> list[Row]:
    options = ["--pod-subnet", storage.pop("subnet")]
    environment = {**compiled(folder), **storage}
    async with live(folder / "real", *options, environment=environment) as server:
        await roll_out(server, "idle", 30, SLEEPER)
        services = [
            pid for pid in children(server.pid) if b"podman" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        if not services:
            print("Podman's service is not a child of ours: it is not counted", file=sys.stderr)
        cpu, *service_cpu = await settled([server.pid, *services])
        memory, service_memory = resident(server.pid), sum(map(resident, services))
        await server.ask("DELETE", "/apis/apps/v1/namespaces/default/deployments/idle")
        await server.until_none("/api/v1/namespaces/default/pods")
    share = "% of a core"
    return [
        Row("CPU idle, 30 pods on Podman", cpu, UPSTREAM, 2.4, share, 1.0, limit=True),
        Row("… Podman's service beside it", sum(service_cpu), UPSTREAM, 2.4, share, 1.0, limit=True),
        Row("Memory, 30 pods on Podman", memory, UPSTREAM, 496, "MB", 150, limit=True),
        Row("… Podman's service beside it", service_memory, UPSTREAM, 496, "MB", 150, limit=True),
    ]
