"""Runs ``kubetui serve`` as a process of its own and kubectl against it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
READY = re.compile(r"^kubetui ready: server=(\S+) kubeconfig=(\S+)$")


def eventually(what: str, check: Callable[[], Any], timeout: float = 60.0, period: float = 0.1) -> Any:
    """The first true value of ``check``; fails with ``what`` and the last answer or error."""
    deadline = time.monotonic() + timeout
    last: Any = None
    while True:
        try:
            last = check()
            if last:
                return last
        except (AssertionError, subprocess.CalledProcessError, LookupError, ValueError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last: {last!r}")
        time.sleep(period)


class KubectlFailed(AssertionError):
    """kubectl ended with another exit code than expected."""


class Kubectl:
    """One kubectl binary against one cluster."""

    def __init__(self, kubeconfig: Path, cache: Path, binary: str = "kubectl") -> None:
        self.binary = shutil.which(binary) or binary
        self.kubeconfig = kubeconfig
        self._cache = cache

    def run(
        self, *arguments: str, stdin: str | bytes | None = None, timeout: float = 120, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run it; fails on a non-zero exit unless ``check`` is False."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            self.command(*arguments),
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=self.environment(),
        )
        text = subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )
        if check and text.returncode != 0:
            raise KubectlFailed(
                f"kubectl {' '.join(arguments)}: {text.returncode}\n{text.stdout}\n{text.stderr}"
            )
        return text

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return [self.binary, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self._cache}", *arguments]

    @staticmethod
    def environment() -> dict[str, str]:
        """Without anything that would lead kubectl to another cluster or through a proxy."""
        return {
            k: v
            for k, v in os.environ.items()
            if k.upper() not in ("KUBECONFIG", "HTTPS_PROXY", "HTTP_PROXY")
        }

    def __call__(self, *arguments: str, stdin: str | bytes | None = None) -> str:
        """What it prints on stdout."""
        return self.run(*arguments, stdin=stdin).stdout

    def json(self, *arguments: str) -> Any:
        """What it prints with ``-o json``."""
        return json.loads(self(*arguments, "-o", "json"))

    def table(self, *arguments: str) -> list[dict[str, str]]:
        """A printed table as one dictionary a row."""
        return parse_table(self(*arguments))

    @property
    def minor(self) -> int:
        """The client's minor version."""
        found = subprocess.run(
            [self.binary, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True
        )
        return int(re.sub(r"\D", "", json.loads(found.stdout)["clientVersion"]["minor"]))


def parse_table(text: str) -> list[dict[str, str]]:
    """kubectl's columns: two or more spaces part them, and each starts under its heading."""
    lines = text.rstrip("\n").split("\n")
    heads = [(match.start(), match.group().strip()) for match in re.finditer(r"\S+(?: \S+)*", lines[0])]
    rows = []
    for line in lines[1:]:
        ends = [start for start, _ in heads[1:]] + [len(line) + 1]
        rows.append({name: line[start:end].strip() for (start, name), end in zip(heads, ends, strict=True)})
    return rows


class Serving:
    """A running ``kubetui serve``."""

    def __init__(
        self,
        folder: Path,
        *paths: Path,
        options: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._paths = paths
        self._options = list(options)
        self._environment = {**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)}
        self.port = port
        self.process: subprocess.Popen[str] | None = None
        self.server = ""
        self.log = folder / "serve.log"

    def start(self, timeout: float = 60.0) -> Serving:
        """Start it and wait for its ready line."""
        command = [sys.executable, "-m", "kubetui", "serve", "--state-dir", str(self.state)]
        command += ["--port", str(self.port), *self._options, *map(str, self._paths)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                env=self._environment,
                cwd=self.folder,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        line = eventually("the ready line", self._read_line, timeout)
        found = READY.match(line.strip())
        assert found, f"unexpected on stdout: {line!r}\n{self.log.read_text()}"
        self.server = found.group(1)
        self.port = int(self.server.rpartition(":")[2])
        return self

    def _read_line(self) -> str:
        assert self.process is not None and self.process.stdout is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"serve ended with {self.process.returncode}:\n{self.log.read_text()}")
        return self.process.stdout.readline()

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def kubectl(self, binary: str = "kubectl") -> Kubectl:
        return Kubectl(self.kubeconfig, self.folder / f"cache-{self.port}", binary)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM; returns the exit code. Containers go on running."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"SIGTERM did not end it within {timeout:g} s\n{self.log.read_text()[-4000:]}"
            ) from None
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
        self.process = None
        return code

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run another kubetui command on the same state folder."""
        return subprocess.run(
            [sys.executable, "-m", "kubetui", arguments[0], "--state-dir", str(self.state), *arguments[1:]],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self._environment,
            cwd=self.folder,
            check=False,
        )
