"""What concerns a whole cluster's containers at once: counting what they use, and removing all of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from . import exits, processes, spec
from .bridge import remove_bridge
from .interface import Container, ContainerStats, NoSuchItem, RuntimeFailure
from .pause import PAUSE_IMAGE
from .transport import Transport


async def stats(transport: Transport, running: Mapping[str, Container]) -> list[ContainerStats]:
    """One sample of each of these containers, in one call. Page cache that can be reclaimed is not counted."""
    if not running:
        return []
    try:
        answer = await transport.get("/containers/stats", {"stream": False, "containers": list(running)})
    except RuntimeFailure as error:
        if "only available for cgroup v2" in error.message:  # rootless on cgroup v1: Podman does not count
            return await asyncio.to_thread(processes.container_stats, running, datetime.now(UTC))
        raise
    now = datetime.now(UTC)
    return [
        _sample(running[str(item.get("ContainerID"))], item, now)
        for item in (answer or {}).get("Stats") or []
        if str(item.get("ContainerID")) in running
    ]


def _sample(container: Container, item: Mapping[str, Any], now: datetime) -> ContainerStats:
    group = exits.cgroup_of(container.pid) if container.pid else None
    limit = container.labels.get(spec.CONTAINER_MEMORY, "")
    network = item.get("Network")
    if isinstance(network, dict):  # 5.x: per interface
        received = sum(int(one.get("RxBytes") or 0) for one in network.values())
        sent = sum(int(one.get("TxBytes") or 0) for one in network.values())
    else:
        received, sent = int(item.get("NetInput") or 0), int(item.get("NetOutput") or 0)
    usage = int(item.get("MemUsage") or 0)
    cache, processes_own = exits.memory_parts(group) if group else (0, 0)
    return ContainerStats(
        container_id=container.id,
        time=now,
        cpu_nanoseconds=int(item.get("CPUNano") or 0),
        memory=max(0, usage - cache),
        memory_usage=usage,
        memory_rss=processes_own,
        memory_limit=int(limit) if limit.isdigit() else 0,
        network_in=received,
        network_out=sent,
        pids=int(item.get("PIDs") or 0),
    )


async def written(transport: Transport, container_ids: Sequence[str]) -> dict[str, int]:
    """Bytes in each container's own layer."""
    found: dict[str, int] = {}
    for container_id in container_ids:
        with contextlib.suppress(NoSuchItem):
            item = await transport.get(f"/containers/{container_id}/json", {"size": True})
            found[container_id] = int(item.get("SizeRw") or 0)
    return found


async def remove_everything(transport: Transport, cluster_id: str, *, volumes: bool) -> list[str]:
    """Remove every pod, container, network (and volume) with this cluster's label; what was removed."""
    removed: list[str] = []
    label = {"label": [f"{spec.CLUSTER}={cluster_id}"]}
    force = {"force": True, "timeout": 0}

    async def remove(kind: str, path: str, name: str, params: Mapping[str, Any]) -> None:
        with contextlib.suppress(NoSuchItem):
            try:
                await transport.delete(path, params)
            except RuntimeFailure as error:
                if "paused" not in error.message:
                    raise
                await transport.post(f"{path}/unpause")  # somebody froze it
                await transport.delete(path, params)
            removed.append(f"{kind} {name}")

    pods = await transport.get("/pods/json", {"filters": label}) or []
    await asyncio.gather(*(remove("pod", f"/pods/{pod['Id']}", _pod_name(pod), force) for pod in pods))
    for pod in pods:
        exits.sweep_control_groups(str(pod["Id"]))
    for one in await transport.get("/containers/json", {"all": True, "filters": label}) or []:
        await remove("container", f"/containers/{one['Id']}", (one.get("Names") or [one["Id"]])[0], force)
    for one in await transport.get("/networks/json", {"filters": label}) or []:
        await remove("network", f"/networks/{one['name']}", str(one["name"]), {"force": True})
    await asyncio.to_thread(remove_bridge, spec.bridge_name(cluster_id))
    if volumes:
        for one in await transport.get("/volumes/json", {"filters": label}) or []:
            await remove("volume", f"/volumes/{one['Name']}", str(one["Name"]), {"force": True})
    with contextlib.suppress(RuntimeFailure):  # another cluster's pods may use it
        await transport.delete(f"/images/{PAUSE_IMAGE}")
    return removed


def _pod_name(pod: Mapping[str, Any]) -> str:
    labels = pod.get("Labels") or {}
    return f"{labels.get(spec.POD_NAMESPACE, '')}/{labels.get(spec.POD_NAME, '')}"
