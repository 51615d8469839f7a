"""Finding a Podman service that works, or being the one who runs it.

The user's own service is used when it answers and can run a container. Otherwise a child of ours serves the same
storage, with a ``containers.conf`` of its own where the machine needs one, in a session of its own so that Ctrl+C in
the terminal never reaches a container. Containers do not depend on it: it may die, and is started again; it may hang,
and is ended first.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import machine as machines
from . import streams
from .interface import RuntimeFailure, RuntimeUnavailable
from .machine import Machine
from .pause import PAUSE_IMAGE, pause_archive
from .transport import Transport

log = logging.getLogger(__name__)

MINIMUM = (4, 3)
"""The oldest Podman that is supported."""

_SOCKET_LIMIT = 100
_START_SECONDS = 20.0
_EXEC_SECONDS = 5
_BACK_OFF = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_LOOK_SECONDS = 5.0
_SILENT_SECONDS = 20.0
"""A service of ours that answers nothing for so long, not even a ping, does not come back by itself."""
_SILENT_LOOKS = 3
"""So often it is asked in vain: time also passes for a program that was stopped, or asleep with its machine."""


@dataclass(frozen=True, slots=True)
class StorageRoot:
    """A storage of one's own, apart from the user's: what tests must have, and some machines like."""

    path: Path

    @property
    def arguments(self) -> list[str]:
        """What every ``podman`` command needs to see this storage."""
        return ["--root", str(self.path / "root"), "--runroot", str(self.path / "run")]

    def settings(self) -> dict[str, dict[str, Any]]:
        """What Podman would otherwise share between storages: locks, events, exit files, network definitions."""
        return {
            "engine": {"tmp_dir": str(self.path / "tmp"), "lock_type": "file"},
            "network": {"network_config_dir": str(self.path / "networks")},
        }


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of ``4.3.1`` or ``5.0.0-rc1``; (0, 0) when there is none."""
    parts = text.lstrip("v").split(".")
    try:
        return int(parts[0]), int(parts[1].split("-")[0]) if len(parts) > 1 else 0
    except ValueError:
        return 0, 0


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; with the pid it names a process for ever. Empty: dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _signal(pid: int, number: int) -> bool:
    """Signal a service with all its processes; False when there are none.

    It leads a process group of its own. A rootless Podman that finds no user namespace to join makes one, and serves
    from a child in it, which does not always end with its parent. Containers are in other groups.
    """
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _pid_line(pid: int) -> str:
    """What the pid file says: the service, who looks after it, and since when that one lives."""
    return f"{pid} {os.getpid()} {_started(os.getpid())}"


class PodmanService:
    """One service: where it is, and the child process behind it when it is ours."""

    def __init__(
        self,
        state_dir: Path,
        *,
        url: str | None = None,
        root: Path | None = None,
        machine: Machine | None = None,
    ) -> None:
        """``url``: the user's choice; None looks around. ``root``: a storage apart (or ``KUBETUI_PODMAN_ROOT``)."""
        chosen = root or (
            Path(os.environ["KUBETUI_PODMAN_ROOT"]) if os.environ.get("KUBETUI_PODMAN_ROOT") else None
        )
        self.state_dir = state_dir
        self.storage = StorageRoot(chosen.absolute()) if chosen else None
        self.machine = machine or machines.survey()
        self.url = ""
        self.version = ""
        self.ours = False
        """Whether the service is a child of this program (or one that it left behind)."""
        self._wanted_url = url
        self._process: asyncio.subprocess.Process | None = None
        self._adopted_pid = 0
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    # Every command that must see the same storage and settings runs with these two.

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every ``podman`` command of ours."""
        found = dict(os.environ)
        if self.ours:
            found["CONTAINERS_CONF"] = str(self._settings_file)
        return found

    def command(self, *arguments: str) -> list[str]:
        """A ``podman`` command line that sees the same storage. RuntimeUnavailable when there is no Podman."""
        program = machines.find_program("podman")
        if program is None:
            raise RuntimeUnavailable("Podman is not installed: there is no podman on the PATH")
        return [program, *(self.storage.arguments if self.storage else []), *arguments]

    def prepare(self) -> bool:
        """Write the settings, so that :attr:`environment` names them; returns whether they changed."""
        self.ours = True
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self._settings()
        if self._settings_file.exists() and self._settings_file.read_text("utf-8") == settings:
            return False
        self._settings_file.write_text(settings, "utf-8")
        return True

    @property
    def _settings_file(self) -> Path:
        return self.state_dir / "containers.conf"

    def _settings(self) -> str:
        """The text of our ``containers.conf``: the machine's own settings, and over them what we need."""
        # Every exec through the API leaves a monitor process behind for this long; Podman's default is 300 s.
        needed = machines.merge_settings(
            machines.needed_settings(self.machine),
            {
                "engine": {"exit_command_delay": _EXEC_SECONDS},
                "containers": {"default_capabilities": list(machines.DEFAULT_CAPABILITIES)},
            },
        )
        if self.storage:
            needed = machines.merge_settings(needed, self.storage.settings())
        merged = machines.merge_settings(machines.existing_settings(self.machine), needed)
        return (
            "# Written by kubetui: the machine's settings, and what Podman needs here.\n"
            + machines.to_toml(merged)
        )

    def socket(self) -> Path:
        """Where our own service listens: in the state folder, unless that path is too long for a socket."""
        path = self.state_dir / "podman.sock"
        if len(os.fsencode(path)) <= _SOCKET_LIMIT:
            return path
        digest = hashlib.sha256(os.fsencode(self.state_dir)).hexdigest()[:12]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(base) / f"kubetui-{os.geteuid()}-{digest}" / "podman.sock"

    async def start(self) -> None:
        """Find or start a service. RuntimeUnavailable, RuntimeFailure (too old) with a sentence for the user."""
        self._closing = False
        explicit = self._wanted_url or (None if self.storage else os.environ.get("CONTAINER_HOST"))
        if explicit:
            await self._use_explicit(explicit)
            return
        if not self.storage:
            for candidate in self._standard_sockets():
                url = f"unix://{candidate}"
                version = await streams.ping(url) if candidate.exists() else None
                if (
                    version
                    and parse_version(version) >= MINIMUM
                    and await self._runs_containers(url, version)
                ):
                    self.url, self.version = url, version
                    return
        await self._start_own()

    async def _use_explicit(self, url: str) -> None:
        if url.partition("://")[0] not in ("unix", "http+unix", "tcp", "http"):
            raise RuntimeFailure(
                f"{url}: the Podman service is reached by unix:// or tcp:// only; "
                "forward a remote socket with: ssh -L /tmp/podman.sock:/run/podman/podman.sock HOST"
            )
        version = await streams.ping(url, timeout=5.0)
        if version is None:
            raise RuntimeUnavailable(f"no Podman service answers at {url}")
        self._check_version(version)
        self.url, self.version = url, version

    def _standard_sockets(self) -> list[Path]:
        found = []
        runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
        if not self.machine.root:
            found.append(Path(runtime_dir or f"/run/user/{self.machine.uid}") / "podman" / "podman.sock")
        else:
            found.append(Path("/run/podman/podman.sock"))
        return found

    @staticmethod
    def _check_version(version: str) -> None:
        if parse_version(version) < MINIMUM:
            wanted = ".".join(str(part) for part in MINIMUM)
            raise RuntimeFailure(f"Podman {version} is too old: kubetui needs Podman {wanted} or newer")

    async def _runs_containers(self, url: str, version: str) -> bool:
        """Whether this service runs containers: tried out on machines where Podman's defaults would fail."""
        if not machines.needed_settings(self.machine):
            return True
        transport = Transport(url, version)
        name = f"kubetui-try-{os.getpid()}"
        try:
            info = await transport.get("/info")
            archive = pause_archive(str(info["host"].get("arch")))
            if archive is None:
                return False
            await transport.post("/images/import", archive, {"reference": PAUSE_IMAGE}, raw=True)
            body = {"name": name, "image": PAUSE_IMAGE, "entrypoint": ["/pause"], "netns": {"nsmode": "none"}}
            await transport.post("/containers/create", body)
            try:
                await transport.post(f"/containers/{name}/start")
            finally:
                await transport.delete(f"/containers/{name}", {"force": True})
        except RuntimeFailure:
            return False
        finally:
            await transport.close()
        return True

    # -- our own --

    async def _start_own(self) -> None:
        self.command()  # names the missing program
        await self._check_program()
        changed = self.prepare()
        path = self.socket()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent.stat().st_uid != os.geteuid():
            raise RuntimeFailure(
                f"{path.parent} belongs to another user: nobody else may hold Podman's socket"
            )
        self.url = f"unix://{path}"
        left_behind, shared = self._left_behind()
        if left_behind:
            version = await streams.ping(self.url) if shared or not changed else None
            if version:
                self.version = version
                if not shared:
                    self._adopted_pid = left_behind
                    self._pid_file.write_text(_pid_line(left_behind), "ascii")
                    self._keeper = asyncio.create_task(self._keep(), name="podman service")
                return
            _signal(left_behind, signal.SIGTERM)
        await self._launch()
        self._keeper = asyncio.create_task(self._keep(), name="podman service")

    async def _check_program(self) -> None:
        process = await asyncio.create_subprocess_exec(
            self.command()[0],
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await process.communicate()
        words = output.decode("utf-8", "replace").split()
        if words:
            self._check_version(words[-1])

    @property
    def _pid_file(self) -> Path:
        return self.socket().with_suffix(".pid")

    def _left_behind(self) -> tuple[int, bool]:
        """A service of ours that runs already: (its pid or 0, whether another program of ours looks after it)."""
        try:
            pid, owner, owner_start = self._pid_file.read_text("ascii").split()
            words = Path(f"/proc/{int(pid)}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0, False
        if os.fsencode(self.url) not in words:
            return 0, False
        return int(pid), int(owner) != os.getpid() and _started(int(owner)) == owner_start

    async def _launch(self) -> None:
        if self._process is not None:
            _signal(self._process.pid, signal.SIGKILL)  # what may be left of the one that died
        path = self.socket()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        told = self.state_dir / "podman.log"
        with told.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command("system", "service", "--time=0", self.url),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.state_dir,  # conmon leaves a file "oom" where it was started
                start_new_session=True,  # Ctrl+C in the terminal is not for containers
            )
        self._pid_file.write_text(_pid_line(self._process.pid), "ascii")
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        delay = 0.01
        while True:
            version = await streams.ping(self.url) if path.exists() else None
            if version:
                self.version = version
                return
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                await self._terminate()
                lines = told.read_text("utf-8", "replace").strip().splitlines()
                raise RuntimeUnavailable(
                    "the Podman service did not start: " + (lines[-1] if lines else "no message")
                )
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, 0.2)

    async def _keep(self) -> None:
        """Start the child again whenever it dies, sooner at first, and end it when it hangs."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            watch = asyncio.create_task(self._end_when_silent(), name="podman service's answers")
            try:
                await self._ended()
            finally:
                watch.cancel()
            if self._closing:
                return
            if loop.time() - began > 30:
                failures = 0
            await asyncio.sleep(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
            failures += 1
            try:
                await self._launch()
            except (RuntimeFailure, OSError) as error:
                log.warning("%s", error)

    async def _end_when_silent(self) -> None:
        """Kill the process behind the service when it lives and answers nothing."""
        loop = asyncio.get_running_loop()
        answered, misses = loop.time(), 0
        while misses < _SILENT_LOOKS or loop.time() - answered < _SILENT_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            if await streams.ping(self.url, timeout=_LOOK_SECONDS) is None:
                misses += 1
            else:
                answered, misses = loop.time(), 0
        pid = self._process.pid if self._process is not None else self._adopted_pid
        if pid:
            log.warning(
                "the Podman service has answered nothing for %d s: starting it again", _SILENT_SECONDS
            )
            _signal(pid, signal.SIGKILL)

    async def _ended(self) -> None:
        """Wait for the end of the process behind the service, child or adopted."""
        if self._process is not None:
            await self._process.wait()
            return
        try:
            descriptor = os.pidfd_open(self._adopted_pid) if self._adopted_pid else -1
        except OSError:
            descriptor = -1
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if descriptor >= 0:
            loop = asyncio.get_running_loop()
            loop.add_reader(descriptor, gone.cancel)
            try:
                await asyncio.wait([gone])
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        self._adopted_pid = 0

    async def ready(self, timeout: float = 10.0) -> bool:
        """Whether a service answers, waiting for one that is being started again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while await streams.ping(self.url) is None:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    async def close(self) -> None:
        """Stop the child; containers go on. A service of the user's is left alone."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._terminate()

    async def _terminate(self) -> None:
        if self._process is not None:
            pid = self._process.pid
            _signal(pid, signal.SIGTERM)
            try:
                async with asyncio.timeout(5.0):
                    await self._process.wait()
            except TimeoutError:
                _signal(pid, signal.SIGKILL)
                await self._process.wait()
            for _ in range(100):
                if not _signal(pid, 0):
                    break
                await asyncio.sleep(0.02)
            else:
                _signal(pid, signal.SIGKILL)
            self._process = None
        elif self._adopted_pid and self._left_behind()[0] == self._adopted_pid:
            _signal(self._adopted_pid, signal.SIGTERM)
            for _ in range(100):
                if not _signal(self._adopted_pid, 0):
                    break
                await asyncio.sleep(0.05)
        else:
            return
        self._adopted_pid = 0
        for leftover in (self._pid_file, self.socket()):
            with contextlib.suppress(OSError):
                leftover.unlink()
