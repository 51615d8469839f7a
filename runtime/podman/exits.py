"""Knowing at once that a container has ended, how, and whether the kernel killed it for want of memory.

Podman's file event log is polled four times a second, too slow for a restart that takes a sixth of one. The kernel
tells sooner: a pidfd becomes readable the moment a process ends. Containers' processes are on this machine (they
are when Podman is), so each is watched that way; events remain for everything that is not. How it ended is read
where Podman reads it: in the file that conmon, each container's monitor, writes when it has written the last of the
log.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


class ExitWatcher:
    """Watches container processes from one event loop. ``ended`` is called with the key, in the loop."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._descriptors: dict[str, int] = {}

    def watch(self, key: str, pid: int) -> bool:
        """Start watching; False when that can't be (process gone, or of another machine). Twice does nothing."""
        if key in self._descriptors:
            return True
        if pid <= 0 or not belongs_to(pid, key):
            return False
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return False
        self._descriptors[key] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._readable, key)
        return True

    def watching(self, key: str) -> bool:
        """Whether the process of this key is known to be alive."""
        return key in self._descriptors

    def _readable(self, key: str) -> None:
        self.forget(key)
        self._ended(key)

    def forget(self, key: str) -> None:
        """Stop watching; an unknown key is ignored."""
        descriptor = self._descriptors.pop(key, None)
        if descriptor is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Stop watching everything."""
        for key in list(self._descriptors):
            self.forget(key)


def belongs_to(pid: int, container_id: str) -> bool:
    """Whether a process id still means this container: its control group carries the container's id."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text("utf-8", "replace")
    except OSError:
        return False
    return container_id in groups or not re.search(r"[0-9a-f]{64}", groups)


def read_pid(path: Path) -> int:
    """The number in a pid file, 0 without one."""
    try:
        return int(path.read_text("ascii").strip() or 0)
    except (OSError, ValueError):
        return 0


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended."""

    exit_code: int
    finished_at: datetime
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class Traces:
    """Where word of a container's end is left."""

    exit_file: Path
    memory_files: tuple[Path, ...]
    """One of them is made when the kernel tells the monitor that memory ran out."""
    memory_group: Path | None
    """The container's control group, which counts what the kernel killed in it until it is removed."""

    def end(self) -> End | None:
        """How it ended; None while that is not written."""
        try:
            text = self.exit_file.read_text("ascii").strip()
            written = self.exit_file.stat().st_ctime  # what Podman takes for the time of the end
        except (OSError, ValueError):
            return None
        if not text.lstrip("-").isdigit():
            return None
        return End(int(text), datetime.fromtimestamp(written, UTC))

    def out_of_memory(self) -> bool | None:
        """Whether the kernel killed something in it for want of memory; None when that can't be told any more."""
        if any(path.exists() for path in self.memory_files):
            return True
        killed = None if self.memory_group is None else killed_in(self.memory_group)
        return None if killed is None else killed > 0


def traces_of(pid_folder: Path, container_id: str) -> Traces | None:
    """What the command line of a container's monitor says of its files; None when there is no monitor here."""
    folder = pid_folder / container_id / "userdata"
    monitor, pid = read_pid(folder / "conmon.pid"), read_pid(folder / "pidfile")
    try:
        words = [os.fsdecode(word) for word in Path(f"/proc/{monitor}/cmdline").read_bytes().split(b"\0")]
    except OSError:
        return None
    if container_id not in words:
        return None  # the number means another process by now
    own = itertools.takewhile(lambda word: word != "--exit-command", words)
    options = dict(itertools.pairwise(own))
    if "--exit-dir" not in options:
        return None
    folders = [options[name] for name in ("-b", "--bundle", "--persist-dir") if name in options]
    group = cgroup_of(pid)
    if group is not None and container_id not in str(group):
        group = None  # of the whole session: a rootless container may have none of its own
    return Traces(
        Path(options["--exit-dir"]) / container_id, tuple(Path(folder) / "oom" for folder in folders), group
    )


def cgroup_of(pid: int, controller: str = "memory") -> Path | None:
    """The folder of a process's control group: cgroup v1's hierarchy of the controller, or v2's."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path("/sys/fs/cgroup") / controller / path.lstrip("/")
        if number == "0" and not any(controller in other.split(":")[1].split(",") for other in lines):
            return Path("/sys/fs/cgroup") / path.lstrip("/")
    return None


def killed_in(cgroup: Path) -> int | None:
    """How many processes of a control group the kernel killed for want of memory; None when it is gone."""
    for name in ("memory.events", "memory.oom_control"):
        try:
            text = (cgroup / name).read_text("ascii", "replace")
        except OSError:
            continue
        for line in text.splitlines():
            word, _, number = line.partition(" ")
            if word == "oom_kill" and number.isdigit():
                return int(number)
    return None


def memory_parts(cgroup: Path) -> tuple[int, int]:
    """Bytes of page cache that the kernel would take back first (not part of a working set), and of processes."""
    try:
        text = (cgroup / "memory.stat").read_text("ascii", "replace")
    except OSError:
        return 0, 0
    found = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)

    def first(*names: str) -> int:
        value = next((found[name] for name in names if name in found), "0")
        return int(value) if value.isdigit() else 0

    return first("total_inactive_file", "inactive_file"), first("total_rss", "anon")


def kernel_says_out_of_memory(container_id: str) -> bool:
    """Whether the kernel's log names this container's control group as the victim of its memory limit.

    The log survives the control group, which is gone by the time anybody asks. Not readable everywhere; then no.
    """
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    needle = container_id.encode()
    try:
        while True:
            try:
                record = os.read(log, 16_384)
            except BrokenPipeError:
                continue  # overwritten while reading: go on with the next
            except OSError:
                return False
            if not record:
                return False
            if b"oom-kill:" in record and needle in record.split(b"task_memcg=")[-1]:
                return True
    finally:
        os.close(log)


def kill_process(pid: int, container_id: str) -> None:
    """Kill a process of a container, if that is what the number still means."""
    if belongs_to(pid, container_id):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_exec_monitors(infra_pid: int) -> None:
    """Kill the monitors of ended (and running) exec sessions of a pod that is about to be removed.

    Podman keeps a conmon for minutes after an exec made through its API; on cgroupfs they sit in the pod's control
    group, and removing the pod waits three seconds for them.
    """
    group = cgroup_of(infra_pid)
    if group is None:
        return
    try:
        monitors = (group.parent / "conmon" / "cgroup.procs").read_text("ascii").split()
    except OSError:
        return
    for pid in monitors:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"--exec-process-spec" in words and Path(os.fsdecode(words[0])).name == "conmon":
                os.kill(int(pid), signal.SIGKILL)


def sweep_control_groups(sandbox_id: str) -> None:
    """Remove the empty control groups that runc and Podman leave behind on cgroup v1 and hybrid machines."""
    for folder in Path("/sys/fs/cgroup").glob(f"*/libpod_parent/{sandbox_id}"):
        for group in (folder / "conmon", folder):
            with contextlib.suppress(OSError):
                group.rmdir()
