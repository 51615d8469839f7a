"""``stats/summary`` of a node: what its pods and the machine use, as one document.

Follows ``pkg/kubelet/server/stats``; the fields are those of ``k8s.io/kubelet/pkg/apis/stats/v1alpha1``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from runtime.kubelet.stats import StatsSampler, Usage
from runtime.objects.clock import format_time
from runtime.objects.errors import Obj
from runtime.podman.interface import ContainerStats, Sandbox


def total(samples: Iterable[ContainerStats | None], when: datetime) -> ContainerStats:
    """One sample for several containers."""
    found = [sample for sample in samples if sample is not None]
    return ContainerStats(
        container_id="",
        time=when,
        cpu_nanoseconds=sum(one.cpu_nanoseconds for one in found),
        memory=sum(one.memory for one in found),
        memory_usage=sum(one.memory_usage for one in found),
        memory_rss=sum(one.memory_rss for one in found),
    )


def node_summary(
    name: str,
    sandboxes: Iterable[Sandbox],
    samples: Mapping[str, ContainerStats],
    sampler: StatsSampler,
    when: datetime,
    capacity: int,
    folder: Path,
) -> Obj:
    """The whole document.

    Args:
        name: the node's.
        sandboxes: those that run on it.
        samples: by container id, taken now.
        sampler: who knows the rates.
        when: now.
        capacity: the node's memory in bytes.
        folder: where the pods' files are, for the file system's numbers.
    """
    found = list(sandboxes)
    every = total((samples.get(one.id) for sandbox in found for one in sandbox.containers), when)
    node: Obj = {
        "nodeName": name,
        "systemContainers": [
            {"name": "kubelet", **_numbers(_own_sample(when), None)},
            {"name": "pods", **_numbers(every, sampler.node(name))},
        ],
        **_numbers(every, sampler.node(name)),
    }
    node["memory"]["availableBytes"] = max(0, capacity - every.memory)
    disk = _file_system(folder, when)
    if disk:
        node["fs"] = disk
        node["runtime"] = {"imageFs": disk, "containerFs": disk}
    return {"node": node, "pods": [_pod(sandbox, samples, sampler, when) for sandbox in found]}


def _pod(
    sandbox: Sandbox, samples: Mapping[str, ContainerStats], sampler: StatsSampler, when: datetime
) -> Obj:
    containers: list[Obj] = []
    rates: list[float] = []
    for one in sandbox.containers:
        sample = samples.get(one.id)
        if sample is None:
            continue
        entry: Obj = {"name": one.name}
        if one.started_at is not None:
            entry["startTime"] = format_time(one.started_at)
        usage = sampler.container(one.id)
        if usage is not None:
            rates.append(usage.cpu)
        containers.append({**entry, **_numbers(sample, usage)})
    found = [samples.get(one.id) for one in sandbox.containers]
    result: Obj = {
        "podRef": {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid},
        "containers": containers,
        **_numbers(total(found, when), Usage(when, 0.0, sum(rates), 0) if rates else None),
    }
    if sandbox.created_at is not None:
        result["startTime"] = format_time(sandbox.created_at)
    network = next((one for one in found if one and (one.network_in or one.network_out)), None)
    if network is not None:
        traffic = {"name": "eth0", "rxBytes": network.network_in, "txBytes": network.network_out}
        result["network"] = {"time": format_time(network.time), **traffic, "interfaces": [traffic]}
    return result


def _numbers(sample: ContainerStats, usage: Usage | None) -> Obj:
    stamp = format_time(sample.time)
    cpu: Obj = {"time": stamp, "usageCoreNanoSeconds": sample.cpu_nanoseconds}
    if usage is not None:
        cpu["usageNanoCores"] = round(usage.cpu * 1e9)
    return {
        "cpu": cpu,
        "memory": {
            "time": stamp,
            "usageBytes": max(sample.memory_usage, sample.memory),
            "workingSetBytes": sample.memory,
            "rssBytes": sample.memory_rss,
        },
    }


def _own_sample(when: datetime) -> ContainerStats:
    """This program itself, which is the kubelet among other things."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        pages = 0
    size = pages * os.sysconf("SC_PAGE_SIZE")
    return ContainerStats("", when, time.process_time_ns(), size, memory_usage=size, memory_rss=size)


def _file_system(folder: Path, when: datetime) -> Obj:
    try:
        found = os.statvfs(folder)
    except OSError:
        return {}
    return {
        "time": format_time(when),
        "availableBytes": found.f_bavail * found.f_frsize,
        "capacityBytes": found.f_blocks * found.f_frsize,
        "usedBytes": (found.f_blocks - found.f_bfree) * found.f_frsize,
        "inodesFree": found.f_favail,
        "inodes": found.f_files,
        "inodesUsed": found.f_files - found.f_ffree,
    }
