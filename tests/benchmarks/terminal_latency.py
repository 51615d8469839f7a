"""Key press to painted, in a real pseudo-terminal, with thousands of pods that change all the time.

The fake API server runs in one process, the terminal in another on a pseudo-terminal that this one reads. A key is
written to the terminal's input; the terminal notes after each display which row the cursor was painted on. The
difference is what a person waits. ``python tests/benchmarks/terminal_latency.py [pods] [changes per second]``.
"""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import yaml

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
FAKES = ROOT / "tests" / "unit" / "kubetui"


def child(kubeconfig: str, report: str) -> None:
    """The terminal with a note after each display."""
    from kubetui.app import KubetuiApp
    from kubetui.options import AppOptions

    notes = open(report, "w", buffering=1)  # noqa: SIM115

    class Noting(KubetuiApp):
        def _display(self, screen: object, renderable: object) -> None:
            super()._display(screen, renderable)  # type: ignore[arg-type]
            table = self.dashboard.pods.table
            notes.write(f"{time.monotonic()} {table._index} {len(table.order)}\n")

    app = Noting(AppOptions(kubeconfig=kubeconfig, config_path="/nonexistent"))
    app.dashboard.all_pods = True
    sys.setswitchinterval(0.002)
    app.run()


def resident(pid: int) -> float:
    """MB of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def revision(kubeconfig: str) -> int:
    """How many changes the fake server has seen."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{server}/api/v1/namespaces?limit=1", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return int(json.load(answer)["metadata"]["resourceVersion"])


def measure(pods: int, rate: float, presses: int = 300) -> dict[str, float]:
    """Return milliseconds (p50, p99, worst), seconds until all pods were shown, MB before and after."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig, report = f"{folder}/kubeconfig", f"{folder}/report"
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{FAKES}",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "XDG_STATE_HOME": folder,
            "XDG_CONFIG_HOME": folder,
            "COLUMNS": "120",
            "LINES": "40",
        }
        server = subprocess.Popen(
            [sys.executable, str(FAKES / "devserver.py"), kubeconfig, str(pods), str(rate)],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert server.stdout is not None
        server.stdout.readline()
        master, slave = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        began = time.monotonic()
        terminal = subprocess.Popen(
            [sys.executable, str(HERE), "--child", kubeconfig, report],
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )

        output = bytearray()

        def drain(seconds: float) -> None:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                if select.select([master], [], [], left)[0]:
                    output.extend(os.read(master, 1 << 16))
                    del output[:-20000]

        def notes() -> list[tuple[float, int, int]]:
            rows = [line.split() for line in Path(report).read_text().splitlines() if line.count(" ") == 2]
            return [(float(a), int(b), int(c)) for a, b, c in rows]

        try:
            while not (Path(report).exists() and notes() and notes()[-1][2] >= pods):
                drain(0.1)
                assert terminal.poll() is None, output.decode("utf-8", "replace")[-3000:]
                assert time.monotonic() - began < 60, "not loaded in a minute"
            loaded = next(t for t, _, n in notes() if n >= pods) - began
            drain(2)
            os.write(master, b"2")
            drain(0.5)
            start, memory = notes()[-1][1], resident(terminal.pid)
            seen_before = revision(kubeconfig)
            times = []
            for _ in range(presses):
                times.append(time.monotonic())
                os.write(master, b"j")
                drain(0.061)
            drain(1)
            seen = notes()
            waits = []
            for index, at in enumerate(times, 1):
                painted = next((t for t, row, _ in seen if t > at and row >= start + index), None)
                waits.append((painted - at) * 1000 if painted is not None else 10_000.0)
            waits.sort()
            grown = resident(terminal.pid)
            changes = revision(kubeconfig) - seen_before
            os.write(master, b"q")
            drain(1)
        finally:
            terminal.terminate()
            server.terminate()
            terminal.wait(10)
            server.wait(10)
        return {
            "p50": waits[len(waits) // 2],
            "p99": waits[int(len(waits) * 0.99)],
            "worst": waits[-1],
            "loaded": loaded,
            "changes": changes,
            "memory_before": memory,
            "memory_after": grown,
        }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    else:
        many = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
        speed = float(sys.argv[2]) if len(sys.argv) > 2 else 200
        print(json.dumps(measure(many, speed)))
