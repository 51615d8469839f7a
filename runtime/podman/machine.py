"""What this machine is like, as far as running containers depends on it, and what Podman must be told because of it.

Podman's defaults suit a distribution with systemd and one cgroup hierarchy. Elsewhere (containers, small virtual
machines, hardened hosts) the same Podman works once a few settings are made; they go into a ``containers.conf`` of
our own, laid over the machine's, so that nothing on the system is changed.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_HELPERS = ("/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman", "/usr/lib/podman")
_CAP_SYS_RESOURCE = 24
_PODMAN_NOFILE = 1_048_576
"""What Podman asks for when nobody says otherwise."""


DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""What a container has that asks for nothing, with the runtimes that Kubernetes is used with. Podman's own are fewer,
and what was made for a cluster may miss them: raw sockets for ping, device nodes, audit for sshd."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about this machine and this user."""

    uid: int = 0
    systemd: bool = True
    journald: bool = True
    cgroups: Literal["v1", "v2", "hybrid", "none"] = "v2"
    nofile: int = _PODMAN_NOFILE
    """Hard limit on open files."""
    nproc: int = 1 << 22
    """Hard limit on processes."""
    pid_max: int = 1 << 22
    may_raise_limits: bool = True
    """CAP_SYS_RESOURCE."""
    oom_score_adj: int = 0
    """This process's own; without CAP_SYS_RESOURCE no child can have a lower one."""
    runtimes: tuple[str, ...] = ("crun",)
    """OCI runtimes on the PATH, Podman's favourite first."""
    firewall: str = ""
    """The one tool that Netavark has to program the packet filter with, where it would take another."""

    @property
    def root(self) -> bool:
        """Whether we are root, and Podman is rootful."""
        return self.uid == 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def _cgroups(mounts: str) -> Literal["v1", "v2", "hybrid", "none"]:
    """Read the hierarchy from ``/proc/self/mounts``."""
    kinds = set()
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) > 2 and fields[2] in ("cgroup", "cgroup2") and fields[1].startswith("/sys/fs/cgroup"):
            kinds.add((fields[2], fields[1] == "/sys/fs/cgroup"))
    if ("cgroup2", True) in kinds:
        return "v2"
    if ("cgroup", False) in kinds:
        return "hybrid" if ("cgroup2", False) in kinds else "v1"
    return "none"


def find_program(name: str) -> str | None:
    """A program's path, the system folders included that are not on a normal user's PATH."""
    return shutil.which(name) or shutil.which(
        name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
    )


def survey() -> Machine:
    """Look at this machine."""
    status = _read("/proc/self/status")
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    pid_max = _read("/proc/sys/kernel/pid_max").strip()
    score = _read("/proc/self/oom_score_adj").strip()

    def hard(which: int) -> int:
        limit = resource.getrlimit(which)[1]
        return 1 << 30 if limit == resource.RLIM_INFINITY else limit

    uid = os.geteuid()
    return Machine(
        uid=uid,
        systemd=Path("/run/systemd/system").is_dir(),
        journald=Path("/run/systemd/journal/socket").exists(),
        cgroups=_cgroups(_read("/proc/self/mounts")),
        nofile=hard(resource.RLIMIT_NOFILE),
        nproc=hard(resource.RLIMIT_NPROC),
        pid_max=int(pid_max) if pid_max.isdigit() else 32_768,
        may_raise_limits=uid == 0 and bool(int(effective, 16) >> _CAP_SYS_RESOURCE & 1),
        oom_score_adj=int(score) if score.lstrip("-").isdigit() else 0,
        runtimes=tuple(name for name in ("crun", "runc") if find_program(name)),
        firewall=_firewall(),
    )


def netavark() -> Path | None:
    """Podman's network program, which is on nobody's PATH."""
    return next((path for path in (Path(folder, "netavark") for folder in _HELPERS) if path.exists()), None)


def _firewall() -> str:
    """``iptables`` where there is no ``nft``, which a Netavark from 1.10 on may have as its default."""
    program = netavark()
    if program is None or find_program("nft") or not find_program("iptables"):
        return ""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = re.search(r"(\d+)\.(\d+)", told.stdout)
    return "iptables" if version and (int(version[1]), int(version[2])) >= (1, 10) else ""


def needed_settings(machine: Machine) -> dict[str, dict[str, Any]]:
    """The ``containers.conf`` tables without which Podman does not run containers here; empty on most machines."""
    containers: dict[str, Any] = {}
    engine: dict[str, Any] = {}
    network: dict[str, Any] = {}
    if not machine.systemd:
        engine["cgroup_manager"] = "cgroupfs"
    if not machine.journald:
        engine["events_logger"] = "file"
        containers["log_driver"] = "k8s-file"
    if machine.cgroups == "hybrid" and "runc" in machine.runtimes:
        engine["runtime"] = "runc"  # crun: "cgroups in hybrid mode not supported"
    if not machine.may_raise_limits and machine.nofile < _PODMAN_NOFILE:
        processes = min(machine.nproc, machine.pid_max)  # Podman lowers its own limit to pid_max
        containers["default_ulimits"] = [
            f"nofile={machine.nofile}:{machine.nofile}",
            f"nproc={processes}:{processes}",
        ]
    if machine.firewall:
        network["firewall_driver"] = machine.firewall
    tables = {"containers": containers, "engine": engine, "network": network}
    return {name: table for name, table in tables.items() if table}


def existing_settings(machine: Machine) -> dict[str, Any]:
    """The machine's and the user's own ``containers.conf``, merged in Podman's order.

    Files that can't be read are skipped; Podman itself complains of them.
    """
    explicit = os.environ.get("CONTAINERS_CONF")
    if explicit:
        files = [Path(explicit)]
    else:
        files = [Path("/usr/share/containers/containers.conf"), Path("/etc/containers/containers.conf")]
        files += sorted(Path("/etc/containers/containers.conf.d").glob("*.conf"))
        if not machine.root:
            home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers"
            files += [home / "containers.conf", *sorted((home / "containers.conf.d").glob("*.conf"))]
    merged: dict[str, Any] = {}
    for file in files:
        try:
            merged = merge_settings(merged, tomllib.loads(file.read_text("utf-8")))
        except (OSError, ValueError):
            continue
    return merged


def merge_settings(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merged key by key; the second one wins."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge_settings(old, value) if both and old is not None else value
    return merged


def to_toml(settings: Mapping[str, Any]) -> str:
    """The text of a ``containers.conf``."""
    return "\n".join(_table((), settings)) + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterable[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and (plain or not table):
        yield f"[{'.'.join(_key(part) for part in path)}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _table((*path, key), value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, int | float):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(char if char >= " " and char != "\x7f" else f"\\u{ord(char):04x}" for char in escaped)
        + '"'
    )


def os_image() -> str:
    """``PRETTY_NAME`` of this machine, as the kubelet reports it."""
    try:
        text = Path("/etc/os-release").read_text("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', text, re.MULTILINE)
    return found[1] if found else ""
