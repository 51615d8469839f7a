"""Counting a container's processes where no control group does."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.podman import processes
from runtime.podman.interface import Container

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = "a" * 64
OTHER = "b" * 64
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
NET = """\
Inter-| Receive                                             | Transmit
 face | bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:   900       1    0    0    0    0    0    0     900       1    0    0    0    0    0    0
  eth0:  1000      10    0    0    0    0    0    0     300       4    0    0    0    0    0    0
"""


class Machine:
    """A /proc of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "meminfo").write_text("no process\n")

    def process(
        self,
        pid: int,
        parent: int,
        name: str,
        *words: str,
        ticks: tuple[int, ...] = (0, 0, 0, 0),
        pages: int = 0,
    ) -> Path:
        folder = self.folder / str(pid)
        (folder / "net").mkdir(parents=True)
        middle = " ".join(["0"] * 9)
        after = f"20 0 1 0 100 4096 {pages} 0"
        (folder / "stat").write_text(
            f"{pid} ({name}) S {parent} {middle} {' '.join(map(str, ticks))} {after}\n"
        )
        (folder / "cmdline").write_bytes("\0".join([name, *words, ""]).encode())
        (folder / "net" / "dev").write_text(NET)
        return folder

    def stats(self, **pids: int) -> dict[str, processes.ContainerStats]:
        running = {
            each: Container(each, "c", 0, "running", "image", "id", pid=pid)
            for each, pid in {ID: pids.get("pid", 0), OTHER: pids.get("other", 0)}.items()
            if pid
        }
        return {one.container_id: one for one in processes.container_stats(running, NOW, self.folder)}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.process(1, 0, "init", ticks=(999, 999, 999, 999), pages=999)
    machine.process(10, 1, "conmon", "--api-version", "1", "-c", ID, ticks=(50, 50, 0, 0), pages=50)
    machine.process(11, 10, "sh", "-c", "serve", ticks=(3, 4, 100, 10), pages=2)
    return machine


def test_all_that_runs_below_a_containers_monitors_counts(machine: Machine) -> None:
    machine.process(12, 11, "we(ird) name", ticks=(20, 0, 0, 0), pages=5)
    machine.process(20, 1, "conmon", "-c", ID, "--exec-attach")
    machine.process(21, 20, "top", ticks=(1, 0, 0, 0), pages=1)
    machine.process(30, 1, "conmon", "-c", OTHER)
    machine.process(31, 30, "sleep", ticks=(7, 0, 0, 0), pages=1)
    found = machine.stats(pid=11, other=31)
    assert found[ID].cpu_nanoseconds == (3 + 4 + 100 + 10 + 20 + 1) * TICK
    assert found[ID].memory == 8 * PAGE and found[ID].pids == 3
    assert (found[ID].network_in, found[ID].network_out) == (1000, 300)
    assert found[OTHER].cpu_nanoseconds == 7 * TICK and found[OTHER].pids == 1


def test_shared_pages_count_in_parts_where_that_is_known(machine: Machine) -> None:
    (machine.folder / "11" / "smaps_rollup").write_text("5500-7fff ---p [rollup]\nRss: 80 kB\nPss: 12 kB\n")
    assert machine.stats(pid=11)[ID].memory == 12 * 1024


def test_a_container_without_a_process_has_no_sample(machine: Machine) -> None:
    assert machine.stats(other=77) == {}
    assert list(machine.stats(pid=11, other=77)) == [ID]


def test_this_very_machine_can_be_read() -> None:
    running = {ID: Container(ID, "c", 0, "running", "image", "id", pid=os.getpid())}
    (found,) = processes.container_stats(running, NOW)
    assert found.memory > 1 << 20 and found.cpu_nanoseconds > 0 and found.pids >= 1
