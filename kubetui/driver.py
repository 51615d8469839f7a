"""The terminal that Textual writes to, made ready for a slow line and for its end: a connection that breaks.

Textual's writer is a thread with a short queue. Over a slow line the queue fills with frames that are out of date
before they are seen, and whoever paints waits for room: :attr:`TerminalDriver.congested` tells screens to wait with
painting. Should a write fail, that thread ends, and sooner or later whoever paints waits for room in the queue for
ever: a program that nobody sees, and that no signal ends.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from typing import IO, Any

from textual.drivers.linux_driver import LinuxDriver

FRAME_WRITES = 3  # begin, contents, end


def hang_up() -> None:
    """What the kernel does when a terminal goes away."""
    os.kill(os.getpid(), signal.SIGHUP)


class TerminalFile:
    """A terminal that may go away: from then on what is written is dropped. ``gone`` is called once."""

    def __init__(self, file: IO[str], gone: Callable[[], None] = hang_up) -> None:
        self._file = file
        self._gone = gone
        self._lost = False

    def write(self, text: str) -> None:
        """Write, as long as anybody reads."""
        if not self._lost:
            try:
                self._file.write(text)
            except OSError:
                self._lose()

    def flush(self) -> None:
        """Flush, as long as anybody reads."""
        if not self._lost:
            try:
                self._file.flush()
            except OSError:
                self._lose()

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Whether it is one."""
        return self._file.isatty()

    def look(self) -> None:
        """Whether anybody is still there, without writing: a screen on which nothing changes writes nothing."""
        poller = select.poll()
        poller.register(self._file.fileno(), 0)
        if not self._lost and any(found & (select.POLLHUP | select.POLLERR) for _, found in poller.poll(0)):
            self._lose()

    def _lose(self) -> None:
        self._lost = True
        self._gone()


class TerminalDriver(LinuxDriver):
    """Textual's own driver on such a terminal."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file: Any = TerminalFile(self._file)

    def look(self) -> None:
        """Once in a while: end with the terminal."""
        self._file.look()

    @property
    def congested(self) -> bool:
        """Whether a frame is still waiting to be written."""
        return self._writer_thread is not None and self._writer_thread._queue.qsize() >= FRAME_WRITES
