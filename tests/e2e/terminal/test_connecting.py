"""Into containers and back: a shell in a real terminal, attach, port-forwards that outlive their pods."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests.support.clusters import Cluster, Open
from tests.support.serving import eventually

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]


def test_a_shell_with_its_size_and_back(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "tools")
    window.shows(r"box .*Running")
    window.keys("2")
    window.type("/box")
    window.keys("Enter")
    window.hides(r"parrot .*Running")
    window.keys("s")
    window.shows(r"kubetui: box/main")
    window.type("echo $((6*7)) $TERM")
    window.keys("Enter")
    window.shows(r"^42 \S+")
    window.type("until stty size | grep '^40 140$'; do sleep 0.1; done")  # the size follows the start
    window.keys("Enter")
    window.shows(r"^40 140$")
    window.resize(100, 30)
    window.type("clear; until stty size | grep '^30 100$'; do sleep 0.1; done")
    window.keys("Enter")
    window.shows(r"^30 100$")
    window.type("exit")
    window.keys("Enter")
    window.shows(r"box .*Running")
    window.shows(r"\? Help  q Quit\s*\Z")  # drawn anew for the size that the window has now
    assert len(window.screen().rstrip("\n").split("\n")) == 30
    assert window.state("alternate_on", "cursor_flag") == ["1", "0"]
    window.keys("q")
    window.shows("exit-code=0")


def test_attach_to_what_runs_and_leave_it_running(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "tools")
    window.shows(r"parrot .*Running")
    window.keys("2", "G", "C-t")
    window.shows(r"kubetui: parrot/main.*ctrl\+p ctrl\+q leaves")
    window.type("polly")
    window.keys("Enter")
    window.shows(r"^polly")
    window.keys("C-p", "C-q")
    window.shows(r"parrot .*Running")
    kubectl = cluster.serving.kubectl()
    assert kubectl.json("get", "pod", "parrot", "-n", "tools")["status"]["phase"] == "Running"


def fetch(port: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/cgi-bin/index.cgi", timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def test_a_port_forward_outlives_its_pod(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "ports")
    window.shows(r"web +.*1/1")
    window.keys("F")
    window.shows(r"Port-forward to deployment/web")
    window.keys("C-u")
    window.type("0:8080")
    window.keys("Enter")
    port = window.shows(r"127\.0\.0\.1:(\d+) leads to deployment/web").group(1)
    first = eventually("the pod answers", lambda: fetch(port))
    assert first.startswith("Welcome! v1 web-")
    kubectl = cluster.serving.kubectl()
    kubectl("delete", "pod", "-n", "ports", "--all", "--wait=true", "--now")
    eventually(
        "its successor answers", lambda: (text := fetch(port)).startswith("Welcome!") and text != first
    )
    window.keys("P")
    window.shows(rf"127\.0\.0\.1:{port} → deployment/web -n ports:8080 +web-")
    window.keys("Enter")
    window.shows(rf"127\.0\.0\.1:{port} is closed")
    eventually("nobody listens", lambda: not fetch(port))
