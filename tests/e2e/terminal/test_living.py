"""Starting, staying and leaving: failures at start, keys too early, a server that goes and comes, two terminals."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.clusters import Open, deployment, namespace
from tests.support.serving import Serving, eventually

SIMULATED = ["--runtime", "simulated", "--port", "0"]


def test_what_keeps_it_from_starting_is_said_in_one_line(terminal: Open, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        state = str(tmp_path / "state")
        window = terminal("--state-dir", state, "--runtime", "simulated", "--port", port, attach=False)
        window.shows(rf"^kubetui: port {port} on 127\.0\.0\.1 is already in use")
        window.shows("exit-code=1")
    podman = ["--podman-url", "unix:///nonexistent.sock", "--port", "0"]
    window = terminal("--state-dir", str(tmp_path / "other"), *podman, attach=False)
    window.shows(r"^kubetui: no Podman service answers at unix:///nonexistent\.sock")
    window.shows("exit-code=1")
    window = terminal("--kubeconfig", str(tmp_path / "none"), attach=False)
    window.shows(r"^kubetui: kubeconfig: \S*/none: no such file")
    window.shows("exit-code=1")
    assert len(window.screen().strip().splitlines()) == 2
    assert window.state("cursor_flag", "mouse_any_flag", "alternate_on") == ["1", "0", "0"]


@pytest.mark.parametrize("key", ["q", "C-c"])
def test_leaving_while_it_starts(terminal: Open, tmp_path: Path, key: str) -> None:
    window = terminal("--state-dir", str(tmp_path / "state"), *SIMULATED, attach=False)
    window.shows("kubetui")
    window.keys(key)
    window.shows("exit-code=0")
    assert "Traceback" not in window.screen()
    assert window.state("cursor_flag", "mouse_any_flag", "alternate_on") == ["1", "0", "0"]


def test_stopped_and_gone_on_and_ended_from_outside(terminal: Open, tmp_path: Path) -> None:
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    state = ("--state-dir", str(tmp_path / "state"))
    window = terminal(*state, *SIMULATED, attach=False, environment=posix)
    window.shows("⎈ kubetui")
    window.shows("Nothing runs in default")
    window.signal(signal.SIGTSTP)
    eventually(
        "the screen is given back", lambda: window.state("alternate_on", "mouse_any_flag") == ["0", "0"]
    )
    window.signal(signal.SIGCONT)
    window.shows("⎈ kubetui.*all well")
    window.shows("Nothing runs in default")
    window.signal(signal.SIGTERM)
    window.shows("Containers keep running")
    window.shows("exit-code=0")
    assert window.state("cursor_flag", "mouse_any_flag", "alternate_on") == ["1", "0", "0"]


def test_a_second_terminal_attaches(terminal: Open, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    manifest = tmp_path / "web.yaml"
    manifest.write_text(namespace("shop") + deployment("shop", replicas=3))
    first = terminal("--state-dir", state, *SIMULATED, "-n", "shop", str(manifest), attach=False)
    first.shows(r"web +.*3/3")
    second = terminal("--state-dir", state, "-n", "shop", attach=False)
    second.shows(r"web +.*3/3")
    second.keys("+")
    first.shows(r"web +.*4/4")
    second.keys("q")
    second.shows(r"keep running \(process \d+\)")
    second.shows("exit-code=0")
    first.shows(r"web +.*4/4")
    first.keys("C-c")
    first.shows(r"[Cc]ontainers keep running")
    first.shows("exit-code=0")


def test_a_server_that_goes_and_comes_again(terminal: Open, tmp_path: Path) -> None:
    manifest = tmp_path / "web.yaml"
    manifest.write_text(namespace("shop") + deployment("shop", replicas=2))
    serving = Serving(
        tmp_path, manifest, options=["--runtime", "simulated"], environment=dict(os.environ)
    ).start()
    try:
        window = terminal("--kubeconfig", str(serving.kubeconfig), "-n", "shop", attach=False)
        window.shows(r"web +.*2/2")
        window.shows(r"● ")
        serving.kill()
        window.shows(r"◍ .*reconnecting")
        assert "all well" not in window.screen(), "nothing stale is shown as live"
        manifest.write_text(namespace("shop") + deployment("shop", replicas=5))
        serving.start()
        window.hides("reconnecting")
        window.shows(r"web +.*5/5")
        eventually("five pods", lambda: window.screen().count("web-") >= 5)
        window.keys("q")
        window.shows("exit-code=0")
    finally:
        serving.stop()
