"""One server with real containers, and terminals on it, for everything under tests/e2e/terminal.

``cluster`` serves a folder of manifests, a namespace for each flow so that none disturbs another. ``terminal`` opens
``kubetui`` in a tmux window of its own, attached to that server unless it is told otherwise, and closes it after the
test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.clusters import HOSTILE, Cluster, Open, deployment, pod
from tests.support.terminal import Terminal


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, podman_storage: PodmanStorage) -> Iterator[Cluster]:
    found = Cluster(
        tmp_path_factory.mktemp("terminal"),
        ["--pod-subnet", podman_storage.free_subnet()],
        podman_storage.environment,
    )
    shell = "trap 'exit 0' TERM; while :; do sleep 1; done"
    found.write("tools", pod("tools", "box", "sh", "-c", shell) + "---\n" + pod("tools", "parrot", "cat"))
    found.write("hostile", pod("hostile", "bad", "sh", "-c", HOSTILE))
    for space in ("look", "rolling", "edits", "ports", "drift"):
        found.write(space, deployment(space))
    try:
        found.serving.start(120)
        yield found
    finally:
        found.serving.stop()
        down = found.serving.run("down", "--volumes")
        assert down.returncode == 0, down.stderr


@pytest.fixture
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Terminal] = []

    def start(
        *arguments: str,
        width: int = 140,
        height: int = 40,
        environment: dict[str, str] | None = None,
        attach: bool = True,
    ) -> Terminal:
        command = [sys.executable, "-m", "kubetui"]
        if attach:
            state = request.getfixturevalue("cluster").serving.state
            command += ["--state-dir", str(state)]
        home = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "home")}
        window = Terminal(
            [*command, *arguments], width=width, height=height, environment={**home, **(environment or {})}
        )
        opened.append(window)
        return window.start()

    yield start
    for window in opened:
        window.stop()
