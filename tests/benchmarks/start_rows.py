"""Starting: the terminal's first frame, and a server that answers.

Every process here starts with its bytecode compiled, as an installed program does, and with a fresh state folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from tests.support.serving import ROOT

from .rows import Row

UPSTREAM_SECONDS = 2.8
TIMES = 7
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_].*?\x1b\\|[@-Z\\^_=>])", re.S
)


def compiled(folder: Path) -> dict[str, str]:
    """An environment whose bytecode is kept apart from the source tree, whatever this shell's own settings say."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }


def first_frame(folder: Path, environment: dict[str, str]) -> float:
    """Seconds from the start of ``kubetui`` to the first text on its screen, in a pseudo-terminal of 120 by 40."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    command = [sys.executable, "-m", "kubetui", "--runtime", "simulated", "--port", "0"]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--state-dir", str(folder)], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    output = bytearray()
    try:
        while True:
            if not select.select([master], [], [], 30)[0]:
                raise RuntimeError(f"nothing on the screen: {bytes(output)!r}")
            output += os.read(master, 1 << 16)
            # A screenful, not the few bytes that only switch the terminal's modes.
            if len(_ESCAPES.sub(b"", output).split()) >= 20:
                return time.perf_counter() - start
    finally:
        process.terminate()
        drain(master, process)
        os.close(master)


def drain(master: int, process: subprocess.Popen[bytes]) -> None:
    """Read what a program still says, so that it can end."""
    deadline = time.monotonic() + 15
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if select.select([master], [], [], 0.05)[0]:
                os.read(master, 1 << 16)
    if process.poll() is None:
        process.kill()
        process.wait()


def import_textual(environment: dict[str, str]) -> float:
    """Seconds of ``python -c "import textual"``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import textual"], env=environment, check=True)
    return time.perf_counter() - start


async def api_ready(state: Path, environment: dict[str, str]) -> float:
    """Seconds from the start of ``kubetui serve`` to its first ``200`` on /readyz, over TLS."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    command = [sys.executable, "-m", "kubetui", "serve", "--runtime", "simulated", "--port", str(port)]
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        "--state-dir",
        str(state),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
                if b" 200 " in line:
                    return time.perf_counter() - start
            if process.returncode is not None:
                raise RuntimeError(f"serve ended with {process.returncode}")
            await asyncio.sleep(0.005)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="kubetui-bench-", dir=".") as name:
        folder = Path(name).absolute()
        environment = compiled(folder)
        frames, imports, serving = [], [], []
        for number in range(TIMES + 1):  # the first of each compiles
            frames.append(first_frame(folder / f"terminal-{number}", environment))
            imports.append(import_textual(environment))
            serving.append(await api_ready(folder / f"serve-{number}", environment))
    frame, bare = statistics.median(frames[1:]), statistics.median(imports[1:])
    ready = statistics.median(serving[1:])
    return [
        Row("kubetui → first frame", frame, 'python -c "import textual"', bare, "s", 4),
        Row("serve → API ready", ready, "upstream's API server with etcd", UPSTREAM_SECONDS, "s", 0.3),
    ]
