"""What is wrong with this machine for running containers, each with the command that mends it.

The same findings serve ``kubetui doctor`` and the message of a start that failed. Looking changes nothing: a service
is started for a moment only to see that it can be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import machine as machines
from .interface import RuntimeFailure
from .machine import Machine, find_program, netavark
from .pause import pause_program
from .service import MINIMUM, PodmanService
from .transport import Transport

_LITTLE_SPACE = 1 << 30
_NO_SPACE = 16 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    id: str
    level: Literal["ok", "warn", "fail"]
    sentence: str
    command: str = ""
    """What mends it, to be typed as it is; empty when all is well."""


def install_command(package: str) -> str:
    """How this distribution installs a package."""
    for program, command in (
        ("apt-get", "apt-get install"),
        ("dnf", "dnf install"),
        ("pacman", "pacman -S"),
        ("zypper", "zypper install"),
        ("apk", "apk add"),
    ):
        if find_program(program):
            return as_root(f"{command} {package}")
    return f"install the package {package}"


def as_root(command: str) -> str:
    """The command as this user types it: root needs no sudo, and may not have it."""
    return command if os.geteuid() == 0 else f"sudo {command}"


async def examine(podman_url: str | None, state_dir: Path) -> list[Finding]:
    """Everything there is to say about this machine, in the order in which it matters."""
    machine = machines.survey()
    findings = list(_programs(machine))
    findings += _kernel(machine)
    if not machine.root:
        findings += _rootless(machine)
    findings += _disk(state_dir)
    if podman_url or not any(finding.level == "fail" and finding.id == "podman" for finding in findings):
        findings += await _service(podman_url, state_dir, machine)
    return findings


def _programs(machine: Machine) -> Iterable[Finding]:
    podman = find_program("podman")
    if podman is None:
        yield Finding("podman", "fail", "Podman is not installed", install_command("podman"))
        return
    yield Finding("podman", "ok", f"Podman is {podman}")
    if not machine.runtimes:
        yield Finding(
            "oci-runtime", "fail", "No OCI runtime (crun or runc) is installed", install_command("runc")
        )
    elif machine.cgroups == "hybrid" and "runc" not in machine.runtimes:
        yield Finding(
            "oci-runtime",
            "fail",
            "crun does not run where cgroup v1 and v2 are mounted side by side",
            install_command("runc"),
        )
    else:
        yield Finding("oci-runtime", "ok", f"OCI runtimes: {', '.join(machine.runtimes)}")
    if not find_program("conmon"):
        yield Finding(
            "conmon", "fail", "conmon, which watches over containers, is missing", install_command("conmon")
        )
    if netavark() is None:
        yield Finding(
            "netavark", "fail", "netavark, Podman's network, is missing", install_command("netavark")
        )
    if not (find_program("iptables") or find_program("nft")):
        yield Finding("firewall", "fail", "netavark needs iptables or nft", install_command("iptables"))
    if not Path("/etc/containers/policy.json").exists() and not _user_policy().exists():
        yield Finding(
            "policy",
            "warn",
            "There is no /etc/containers/policy.json: images can't be pulled",
            install_command("golang-github-containers-image")
            if find_program("apt-get")
            else install_command("containers-common"),
        )


def _user_policy() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers" / "policy.json"


def _kernel(machine: Machine) -> Iterable[Finding]:
    if machine.cgroups == "none":
        yield Finding(
            "cgroups",
            "fail",
            "No control groups are mounted",
            as_root("mount -t cgroup2 none /sys/fs/cgroup"),
        )
    elif machine.cgroups == "v2":
        yield Finding("cgroups", "ok", "Control groups are version 2")
    elif machine.root:
        yield Finding("cgroups", "ok", f"Control groups are {_named(machine.cgroups)}")
    else:
        yield Finding(
            "cgroups",
            "warn",
            f"Control groups are {_named(machine.cgroups)}: rootless containers have no CPU and memory limits",
            "sudo grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1"
            if find_program("grubby")
            else "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line",
        )
    settings = machines.needed_settings(machine)
    words = sorted(key for table in settings.values() for key in table)
    if words:
        yield Finding("settings", "ok", f"Podman gets settings of its own here: {', '.join(words)}")
    if pause_program(os.uname().machine) is None and not find_program("catatonit"):
        yield Finding(
            "pause", "fail", "Podman makes no pods here without catatonit", install_command("catatonit")
        )


def _named(cgroups: str) -> str:
    return "of both versions side by side" if cgroups == "hybrid" else f"version {cgroups.removeprefix('v')}"


def _rootless(machine: Machine) -> Iterable[Finding]:
    for program in ("newuidmap", "newgidmap"):
        if not find_program(program):
            yield Finding("uidmap", "fail", f"{program} is missing", install_command("uidmap"))
            break
    with contextlib.suppress(KeyError):
        name = pwd.getpwuid(machine.uid).pw_name
        for file in ("/etc/subuid", "/etc/subgid"):
            if not _has_range(Path(file), name, machine.uid):
                kind = "uids" if file.endswith("uid") else "gids"
                first = _free_range(Path(file))
                yield Finding(
                    "subordinate-ids",
                    "fail",
                    f"{name} has no range in {file}",
                    f"sudo usermod --add-sub{kind} {first}-{first + 65535} {name}; podman system migrate",
                )
    if not Path("/dev/net/tun").exists():
        yield Finding(
            "tun",
            "fail",
            "There is no /dev/net/tun, which rootless networks need",
            "sudo mkdir -p /dev/net; sudo mknod -m 0666 /dev/net/tun c 10 200",
        )
    elif not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        yield Finding(
            "tun", "fail", "/dev/net/tun can't be opened by this user", "sudo chmod 0666 /dev/net/tun"
        )
    if not (find_program("slirp4netns") or find_program("pasta")):
        yield Finding("user-network", "fail", "slirp4netns is missing", install_command("slirp4netns"))
    limit = Path("/proc/sys/user/max_user_namespaces")
    clone = Path("/proc/sys/kernel/unprivileged_userns_clone")
    if limit.exists() and limit.read_text("ascii").strip() == "0":
        yield Finding(
            "user-namespaces",
            "fail",
            "User namespaces are turned off",
            "sudo sysctl user.max_user_namespaces=15000",
        )
    elif clone.exists() and clone.read_text("ascii").strip() == "0":
        yield Finding(
            "user-namespaces",
            "fail",
            "User namespaces are turned off for users",
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        )


def _free_range(file: Path) -> int:
    """The first id after all ranges of a subordinate id file."""
    first = 100_000
    with contextlib.suppress(OSError):
        for line in file.read_text("utf-8", "replace").splitlines():
            numbers = line.split(":")[1:]
            if len(numbers) == 2 and all(number.isdigit() for number in numbers):
                first = max(first, int(numbers[0]) + int(numbers[1]))
    return first


def _has_range(file: Path, name: str, uid: int) -> bool:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in (name, str(uid)) for line in lines if line.count(":") == 2)


def _disk(state_dir: Path) -> Iterable[Finding]:
    folder = state_dir
    while not os.access(folder, os.F_OK) and folder != folder.parent:  # Path.exists may raise
        folder = folder.parent
    elsewhere = "kubetui --state-dir DIR   (a folder of yours)"
    if not folder.is_dir():
        yield Finding("state", "fail", f"{folder} is in the way: it is no folder", elsewhere)
        return
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        yield Finding("state", "fail", f"{folder} is on a read-only file system", elsewhere)
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        owned = folder == state_dir and folder != Path.home()
        command = f"sudo chown {os.geteuid()} {folder}" if owned else elsewhere
        yield Finding("state", "fail", f"{folder} can't be written to", command)
        return
    free = shutil.disk_usage(folder).free
    if free < _LITTLE_SPACE:
        level: Literal["warn", "fail"] = "fail" if free < _NO_SPACE else "warn"
        yield Finding("disk", level, f"Only {free >> 20} MiB are free at {folder}", "podman image prune")


async def _service(podman_url: str | None, state_dir: Path, machine: Machine) -> list[Finding]:
    with tempfile.TemporaryDirectory(prefix="kubetui-doctor-") as folder:
        # Beside a running cluster its own service is there to be asked; otherwise nothing is left in its folder.
        running = any(os.access(state_dir / name, os.F_OK) for name in ("podman.sock", "podman.pid"))
        service = PodmanService(state_dir if running else Path(folder), url=podman_url, machine=machine)
        try:
            await service.start()
        except RuntimeFailure as error:
            return [Finding("service", "fail", error.message, _mend_service(podman_url, error.message))]
        transport = Transport(service.url, service.version)
        try:
            info = await transport.get("/info")
            host = info["host"]
            kind = "a service of our own" if service.ours else service.url
            backend = str(host.get("networkBackend") or "netavark")
            findings = [Finding("service", "ok", f"Podman {service.version} answers ({kind})")]
            if backend != "netavark":
                findings.append(
                    Finding(
                        "network-backend",
                        "fail",
                        f"Podman uses the network {backend}: pods need netavark",
                        "podman system reset   (with netavark installed; removes all containers and images)",
                    )
                )
            return findings
        except RuntimeFailure as error:
            return [Finding("service", "fail", error.message, "podman info")]
        finally:
            await transport.close()
            await service.close()


def _mend_service(podman_url: str | None, message: str) -> str:
    if "too old" in message:
        return f"install Podman {'.'.join(str(part) for part in MINIMUM)} or newer"
    if podman_url:
        return "kubetui doctor   (without --podman-url: a service of our own)"
    if os.environ.get("CONTAINER_HOST") and "KUBETUI_PODMAN_ROOT" not in os.environ:
        return "unset CONTAINER_HOST   (a service of our own)"
    return "podman info   (says more)"


def static_findings(machine: Machine | None = None) -> list[Finding]:
    """What can be said without asking any service: quick enough for every start."""
    machine = machine or machines.survey()
    return [*_programs(machine), *_kernel(machine), *([] if machine.root else _rootless(machine))]


async def explain(error: RuntimeFailure) -> str:
    """A failed start in one line: what went wrong, and what on this machine may be the reason."""
    parts = [error.message]
    for finding in await asyncio.to_thread(static_findings):
        if finding.level == "fail":
            mended = f" (mended by: {finding.command})" if finding.command else ""
            if finding.id == "podman" and "not installed" in error.message:
                parts[0] += mended
            else:
                parts.append(finding.sentence + mended)
    return "; ".join(parts)
