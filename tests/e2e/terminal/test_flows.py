"""By keys, in a real terminal, with real containers: from a folder to a rollout, a rollback and back again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.serving import Kubectl, Serving, eventually
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]

WEB = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: http-go:v1
        imagePullPolicy: IfNotPresent
"""


@pytest.fixture
def home(tmp_path: Path, podman_storage: PodmanStorage) -> Iterator[Path]:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "web.yaml").write_text(WEB)
    yield tmp_path
    down = Serving(tmp_path, environment=podman_storage.environment).run("down")
    assert down.returncode == 0, down.stderr


def kubetui(home: Path, storage: PodmanStorage, subnet: str) -> Terminal:
    command = [sys.executable, "-m", "kubetui", "--state-dir", str(home / "state"), "--port", "0"]
    environment = {
        "KUBETUI_PODMAN_ROOT": storage.environment["KUBETUI_PODMAN_ROOT"],
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    return Terminal(
        [*command, "--pod-subnet", subnet, str(home / "manifests")], environment=environment, width=140
    ).start()


def ids(kubectl: Kubectl) -> set[str]:
    pods = kubectl.json("get", "pods")["items"]
    return {status["containerID"] for pod in pods for status in pod["status"].get("containerStatuses") or []}


def test_from_a_folder_to_a_rollback_by_keys(home: Path, podman_storage: PodmanStorage) -> None:
    subnet = podman_storage.free_subnet()
    terminal = kubetui(home, podman_storage, subnet)
    try:
        terminal.shows(r"web +.*2/2")
        kubectl = Kubectl(home / "state" / "kubeconfig", home / "cache")
        assert len(re.findall(r"web-\w+-\w+ .*Running", terminal.screen())) == 2

        # The file is edited: a rollout without a key pressed.
        (home / "manifests" / "web.yaml").write_text(WEB.replace("http-go:v1", "http-go:v2"))
        eventually(
            "the new image is out",
            lambda: (
                {pod["spec"]["containers"][0]["image"] for pod in kubectl.json("get", "pods")["items"]}
                == {"http-go:v2"}
            ),
        )
        kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
        terminal.shows(r"http-go:v2")

        terminal.keys("+")
        eventually("scaled up", lambda: kubectl.json("get", "deploy", "web")["spec"]["replicas"] == 3)
        terminal.shows(r"web +.*3/3")
        terminal.keys("-")
        eventually("scaled down", lambda: kubectl.json("get", "deploy", "web")["spec"]["replicas"] == 2)
        terminal.shows(r"web +.*2/2")

        terminal.keys("r")
        terminal.shows(r"-.*http-go:v2.*│\+.*http-go:v1")  # the difference, before it is done
        terminal.keys("Enter")
        terminal.shows(r"Roll deployment/web back to revision 1\?")
        terminal.keys("Enter")
        eventually(
            "rolled back",
            lambda: (
                kubectl.json("get", "deploy", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
                == "http-go:v1"
            ),
        )
        kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
        terminal.shows(r"web +.*2/2")

        terminal.keys("l")
        terminal.shows(r"listens on port", 30)
        terminal.keys("Escape")
        eventually("two pods are left", lambda: len(ids(kubectl)) == 2)
        before = ids(kubectl)
        terminal.keys("q")
        terminal.shows(r"[Cc]ontainers keep running")
        terminal.shows(r"exit-code=0")
    finally:
        terminal.stop()

    terminal = kubetui(home, podman_storage, subnet)
    try:
        terminal.shows(r"web +.*2/2")
        assert ids(Kubectl(home / "state" / "kubeconfig", home / "cache-2")) == before, "the same containers"
        terminal.keys("q")
        terminal.shows(r"exit-code=0")
    finally:
        terminal.stop()
