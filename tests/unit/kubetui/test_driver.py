"""A terminal that goes away: the program is told once, and nothing waits for it any more."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest
from terminal import Terminal
from textual.drivers._writer_thread import WriterThread

from kubetui.driver import TerminalDriver, TerminalFile

NOBODY_THERE = """\
apiVersion: v1
kind: Config
current-context: absent
contexts: [{name: absent, context: {cluster: absent, user: absent}}]
clusters: [{name: absent, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: absent, user: {token: none}}]
"""


class Gone:
    """A terminal whose other side is closed."""

    def write(self, text: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    flush = fileno = isatty = write


def test_writes_are_dropped_and_the_program_is_told_once() -> None:
    told: list[None] = []
    writer = WriterThread(TerminalFile(Gone(), lambda: told.append(None)))  # type: ignore[arg-type]
    writer.start()

    def draw() -> None:
        for _ in range(200):  # more than the writer's queue holds
            writer.write("frame")
        writer.stop()

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    drawing.join(20)
    assert not drawing.is_alive() and told == [None]


def test_a_closed_window_is_seen_without_a_write() -> None:
    ours, theirs = pty.openpty()
    told: list[None] = []
    with os.fdopen(theirs, "w") as file:
        terminal = TerminalFile(file, lambda: told.append(None))
        terminal.look()
        assert told == []
        os.close(ours)
        terminal.look()
        terminal.look()
        assert told == [None]


def test_a_terminal_that_takes_its_time_is_congested() -> None:
    takes = threading.Event()

    class Slow(Gone):
        def write(self, text: str) -> None:
            takes.wait(60)

        flush = fileno = isatty = lambda self: None

    driver = TerminalDriver.__new__(TerminalDriver)
    driver._writer_thread = None
    assert not driver.congested
    driver._writer_thread = WriterThread(Slow())  # type: ignore[arg-type]
    driver._writer_thread.start()
    assert not driver.congested
    for _ in range(5):
        driver.write("part of a frame")
    assert driver.congested
    takes.set()
    driver._writer_thread.stop()
    assert not driver.congested


async def test_nothing_is_painted_until_the_terminal_takes_it(
    term: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await term.workload("web")
    painted: list[object] = []
    monkeypatch.setattr(term.app, "_display", lambda screen, update: painted.append(update))
    monkeypatch.setattr(term.app._driver, "congested", True, raising=False)
    await term.press("colon", *"deploy")  # keys are taken all the same, dialogs open
    await term.wait(lambda: term.app.screen._paints_later and term.app.screen is not term.app.dashboard)
    assert not painted
    term.app._driver.congested = False
    await term.wait(lambda: painted)


def test_what_can_be_written_is(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        terminal = TerminalFile(file, lambda: pytest.fail("it is there"))
        terminal.write("frame")
        terminal.flush()
        assert terminal.fileno() == file.fileno() and not terminal.isatty()
    assert (tmp_path / "out").read_text() == "frame"


def test_a_closed_window_ends_the_program(tmp_path: Path) -> None:
    """Also when no signal says so: the program hears of it when it draws."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(NOBODY_THERE)
    process = subprocess.Popen(  # in a session without a terminal of its own: nobody sends SIGHUP
        [sys.executable, "-m", "kubetui", "--kubeconfig", str(kubeconfig)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "HOME": str(tmp_path)},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        try:
            drawn = b""
            while b"absent" not in drawn:  # the header names the context: it runs, and goes on running
                drawn += os.read(ours, 65536)
        finally:
            os.close(ours)
        assert process.wait(60) in (0, 1, -signal.SIGHUP)
    finally:
        process.kill()
