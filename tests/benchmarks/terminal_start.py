"""From the start of the process to the first frame on a pseudo-terminal, against ``python -c "import textual"``."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (
    "from kubetui.app import run; from kubetui.options import AppOptions; "
    "run(AppOptions(kubeconfig='/nonexistent'))"
)


def first_frame() -> float:
    """Seconds until the key bar is painted."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    seen = b""
    while b"Quit" not in seen:
        if select.select([master], [], [], 20)[0]:
            seen += os.read(master, 1 << 16)
    taken = time.perf_counter() - began
    process.terminate()
    process.wait(10)
    os.close(master)
    os.close(slave)
    return taken


def import_textual() -> float:
    """Seconds of the yardstick."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import textual"], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    rounds = [(import_textual(), first_frame()) for _ in range(5)]
    floor, frame = min(r[0] for r in rounds), min(r[1] for r in rounds)
    print(
        json.dumps(
            {
                "import_textual_s": round(floor, 3),
                "first_frame_s": round(frame, 3),
                "ratio": round(frame / floor, 2),
            }
        )
    )
