"""A real pseudo-terminal: tmux on a server of its own, keys in, screen text out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from .processes import children
from .serving import ROOT, eventually


class Terminal:
    """One program in one tmux window."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        width: int = 120,
        height: int = 40,
        environment: dict[str, str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        self._socket = f"kubetui-{uuid.uuid4().hex[:8]}"
        self._command = list(command)
        self._size = (width, height)
        self._environment = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **(environment or {})}
        self._folder = folder

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        if check and done.returncode != 0:
            raise AssertionError(f"tmux {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def start(self) -> Terminal:
        """Run the command. What it prints at its end stays on the screen."""
        exports = [f"{name}={value}" for name, value in self._environment.items()]
        line = shlex.join(["env", *exports, *self._command]) + "; echo exit-code=$?; exec sleep 1000"
        width, height = self._size
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("new-session", "-d", *size, "-c", str(self._folder), line)
        self._tmux("set-option", "-s", "set-clipboard", "on")  # so that clipboard() sees what programs do
        return self

    def stop(self) -> None:
        """End the window and tmux's server."""
        self._tmux("kill-server", check=False)

    def keys(self, *names: str) -> None:
        """Press keys, by tmux's names: ``Enter``, ``Escape``, ``C-d``, ``Down``, ``a``."""
        for name in names:
            self._tmux("send-keys", name)
            if name == "Escape":
                # What follows an escape at once may be taken for one key with it, as in any terminal.
                time.sleep(0.3)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        """What is on the screen now."""
        return self._tmux("capture-pane", "-p")

    def shows(self, pattern: str, timeout: float = 120.0) -> re.Match[str]:
        """Wait until the screen matches a regular expression; fails with the last screen."""

        def look() -> re.Match[str] | None:
            return re.search(pattern, self.screen(), re.M)

        try:
            found: re.Match[str] = eventually(f"the screen shows {pattern!r}", look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None
        return found

    def hides(self, pattern: str, timeout: float = 120.0) -> None:
        """Wait until nothing on the screen matches a regular expression any more."""
        try:
            eventually(f"{pattern!r} is gone", lambda: not re.search(pattern, self.screen(), re.M), timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def state(self, *names: str) -> list[str]:
        """What tmux knows of the window: ``cursor_flag``, ``mouse_any_flag``, ``alternate_on``, ``pane_title``…"""
        line = "\t".join(f"#{{{name}}}" for name in names)
        return self._tmux("display-message", "-p", line).rstrip("\n").split("\t")

    def signal(self, number: int) -> None:
        """Send a signal to the program (tmux's shell waits for it)."""
        (shell,) = self.state("pane_pid")
        os.kill(children(int(shell))[0], number)

    def clipboard(self) -> str:
        """What a program in the window has put there (OSC 52)."""
        return self._tmux("show-buffer", check=False)

    def resize(self, width: int, height: int) -> None:
        """Make the window another size."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))
