"""What a container uses, counted process by process, where no control group counts it.

An ordinary user's containers have no control group of their own on machines with the first version of control groups,
and Podman has no numbers there. The kernel still counts every process; a container's are those below its monitors
(one conmon for the container, one for each exec).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .interface import Container, ContainerStats

PROC = Path("/proc")
_TICK_NANOSECONDS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Process:
    name: str
    parent: int
    ticks: int
    """Of the processor: its own and of children that it has waited for."""
    resident: int
    children: list[int] = field(default_factory=list)


def container_stats(
    running: Mapping[str, Container], now: datetime, proc: Path = PROC
) -> list[ContainerStats]:
    """One sample of each container that has processes; blocks for some microseconds a process of the machine."""
    table = _processes(proc)
    tops: dict[str, set[int]] = {}
    for container in running.values():
        if container.pid in table:
            tops.setdefault(container.id, set()).add(container.pid)
    for pid, process in table.items():
        if process.name == "conmon" and process.children:
            container_id = _monitored(proc / str(pid))
            if container_id in running:
                tops.setdefault(container_id, set()).update(process.children)
    return [_sample(container_id, found, table, now, proc) for container_id, found in tops.items()]


def _sample(
    container_id: str, tops: set[int], table: Mapping[int, _Process], now: datetime, proc: Path
) -> ContainerStats:
    pids = set(_below(tops, table))
    received, sent = _network(proc / str(min(tops)) / "net" / "dev")
    memory = sum(_memory(proc / str(pid), table[pid]) for pid in pids)
    return ContainerStats(
        container_id=container_id,
        time=now,
        cpu_nanoseconds=sum(table[pid].ticks for pid in pids) * _TICK_NANOSECONDS,
        memory=memory,
        memory_usage=memory,
        memory_rss=memory,
        network_in=received,
        network_out=sent,
        pids=len(pids),
    )


def _below(tops: set[int], table: Mapping[int, _Process]) -> Iterator[int]:
    waiting = list(tops)
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(table[pid].children)


def _processes(proc: Path) -> dict[int, _Process]:
    table: dict[int, _Process] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text("utf-8", "replace")
        except OSError:  # gone meanwhile
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()
        ticks = sum(int(value) for value in fields[11:15])
        table[int(entry.name)] = _Process(name, int(fields[1]), ticks, int(fields[21]) * _PAGE)
    for pid, process in table.items():
        if process.parent in table:
            table[process.parent].children.append(pid)
    return table


def _monitored(folder: Path) -> str:
    """The container that a conmon is for: what follows ``-c``."""
    try:
        words = (folder / "cmdline").read_bytes().split(b"\0")
        return words[words.index(b"-c") + 1].decode("ascii", "replace")
    except (OSError, ValueError, IndexError):
        return ""


def _memory(folder: Path, process: _Process) -> int:
    """Bytes, pages that several processes share counted in parts; all that is resident where that can't be read."""
    try:
        for line in (folder / "smaps_rollup").read_text("ascii", "replace").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return process.resident


def _network(path: Path) -> tuple[int, int]:
    received = sent = 0
    try:
        lines = path.read_text("ascii", "replace").splitlines()[2:]
    except OSError:
        return 0, 0
    for line in lines:
        name, _, counters = line.partition(":")
        if name.strip() != "lo":
            values = counters.split()
            received, sent = received + int(values[0]), sent + int(values[8])
    return received, sent
