"""A Podman of the tests' own for everything under tests/e2e.

``podman_storage`` (session) is a private storage: root, run folder, locks, events, networks and settings in one
temporary folder, filled once with the images of ``tests.images``. While it lives, ``KUBETUI_PODMAN_ROOT`` names it,
so that every server, kubelet or ``kubetui`` command that a test starts uses it without being told. Nothing of the
user's Podman is read or written. At the end containers, networks, processes, mounts and firewall rules are removed.

* ``podman_storage.run("ps", "-a")`` runs a podman command there and returns its output;
* ``podman_storage.environment`` is the environment for child processes;
* ``podman_storage.free_subnet()`` is a /16 for pods that nobody on this machine uses;
* ``podman_storage.remove_all()`` removes every pod, container and network between two tests.

Where Podman is missing these tests fail: they never pass by being skipped.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from manifests.images import local_podman
from runtime.podman.firewall import remove_unused_chains
from runtime.podman.interface import RuntimeFailure
from runtime.podman.network import host_routes
from runtime.podman.service import PodmanService
from tests.images.build import build_all


class PodmanStorage:
    """A private Podman storage and the commands that see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = PodmanService(folder / "state", root=folder / "podman")
        self.service.prepare()
        self._taken: set[str] = set()
        self._locks: list[IO[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        return {**self.service.environment, "KUBETUI_PODMAN_ROOT": str(self.folder / "podman")}

    def run(self, *arguments: str, check: bool = True) -> str:
        result = subprocess.run(
            self.service.command(*arguments),
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(f"podman {' '.join(arguments)}: {result.stderr.strip()}")
        return result.stdout

    def free_subnet(self) -> str:
        """Locked until :meth:`destroy`: the range of a network is on no route before its first container runs."""
        taken = [network for network, _ in host_routes(Path("/proc/net/route").read_text())]
        for _ in range(500):
            subnet = f"10.{random.randrange(100, 240)}.0.0/16"  # Podman's own network is 10.88.0.0/16
            network = ipaddress.IPv4Network(subnet)
            if subnet not in self._taken and not any(
                other.prefixlen and other.overlaps(network) for other in taken
            ):
                self._taken.add(subnet)
                if self._lock(subnet):
                    return subnet
        raise AssertionError("no free range for pods on this machine")

    def _lock(self, subnet: str) -> bool:
        """Keep other test runs on this machine from using the same range; whether none does."""
        path = Path(tempfile.gettempdir()) / f"ktp-subnet-{subnet.split('.')[1]}.lock"
        try:
            lock = path.open("w")
        except OSError:
            return False  # another user's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                raise BlockingIOError("removed by its owner meanwhile")
        except OSError:
            lock.close()
            return False
        self._locks.append(lock)
        return True

    def remove_all(self) -> None:
        self.run("pod", "rm", "--all", "--force", "--time", "0", check=False)
        self.run("rm", "--all", "--force", "--time", "0", check=False)
        for name in self.run("network", "ls", "--format", "{{.Name}}", check=False).split():
            if name != "podman":
                self.run("network", "rm", "--force", name, check=False)

    def destroy(self) -> None:
        self.remove_all()
        self._end_processes()
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        ours = [line.split(" ")[1] for line in mounts if line.split(" ")[1].startswith(str(self.folder))]
        for mount in sorted(ours, reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        if os.geteuid():
            keeper = (
                self.folder / "podman" / "tmp" / "pause.pid"
            )  # who keeps the user namespace for this storage
            keepers = [int(keeper.read_text())] if keeper.exists() else []
            subprocess.run(
                self.service.command("unshare", "rm", "-rf", str(self.folder / "podman")),
                env=self.environment,
                check=False,
                capture_output=True,
            )
            for pid in keepers:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_unused_chains()
        for lock in self._locks:
            Path(lock.name).unlink(missing_ok=True)
            lock.close()

    def _end_processes(self) -> None:
        """What still runs on this storage (services, monitors) names its folder in its command line."""
        needle = os.fsencode(self.folder)
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            program = Path(os.fsdecode(words[0])).name
            if program in ("podman", "conmon") and any(needle in word for word in words[1:]):
                try:
                    os.kill(int(entry.name), signal.SIGKILL)
                except ProcessLookupError:
                    continue


@pytest.fixture(scope="session")
def podman_storage() -> Iterator[PodmanStorage]:
    folder = Path(tempfile.mkdtemp(prefix="ktp-"))
    storage = PodmanStorage(folder)
    try:
        storage.service.command()
    except RuntimeFailure as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.fail(f"{error.message}: these tests need it", pytrace=False)
    before = os.environ.get("KUBETUI_PODMAN_ROOT")
    os.environ["KUBETUI_PODMAN_ROOT"] = str(folder / "podman")
    try:
        build_all(local_podman(storage.service.command(), storage.environment))
        yield storage
    finally:
        if before is None:
            del os.environ["KUBETUI_PODMAN_ROOT"]
        else:
            os.environ["KUBETUI_PODMAN_ROOT"] = before
        storage.destroy()
