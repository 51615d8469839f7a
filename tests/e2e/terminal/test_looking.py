"""Looking at things by keys: describe, YAML, filters, namespaces, any kind, sizes, hostile logs, leaving no trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.support.clusters import Cluster, Open
from tests.support.serving import eventually

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]


def test_describe_yaml_filter_and_any_kind(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "look")
    window.shows(r"web +.*1/1")
    window.keys("d")
    window.shows(r"^ *Name: +web")
    window.shows(r"ScalingReplicaSet")
    window.keys("Escape")
    window.shows(r"1 +Workloads")
    window.keys("y")
    window.shows(r"apiVersion: apps/v1")
    window.type("/http-go")
    window.keys("Enter")
    window.shows(r"image: http-go:v1")
    window.keys("Escape", "Escape")
    window.shows(r"1 +Workloads")
    # typed without a pause, with a slip taken back: nothing is lost and nothing overtakes
    window.keys("2")
    window.type("/nowherx")
    window.keys("BSpace")
    window.type("e")
    window.shows(r"/nowhere")
    window.hides(r"web-\S+ +1/1")
    window.keys("Escape")
    window.shows(r"web-\S+ +1/1")
    for typed, seen in (
        (":nodes", r"kubetui +Ready"),
        (":cm", r"kube-root-ca\.crt"),
        (":events", r"ScalingReplicaSet"),
        (":deploy", r"web +1/1"),
    ):
        window.type(typed)
        window.keys("Enter")
        window.shows(seen)
    window.keys("Escape", "Escape", "Escape", "Escape")
    window.shows(r"1 +Workloads")


def test_namespaces(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "look")
    window.shows(r"ns look")
    window.keys("n")
    window.shows(r"kube-system")
    window.type("tools")
    window.keys("Enter")
    window.shows(r"ns tools")
    window.shows(r"parrot +1/1 +Running")
    window.keys("0")
    window.shows(r"ns all namespaces")
    window.shows(r"drift +web")


def test_every_size(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "look", width=80, height=24)
    window.shows(r"web +.*1/1")
    for width, height in ((200, 60), (120, 40), (80, 24), (300, 80), (61, 16)):
        window.resize(width, height)

        def fits(width: int = width, height: int = height) -> bool:
            lines = window.screen().rstrip("\n").split("\n")
            return len(lines) == height and "q Quit" in lines[-1] and len(lines[-1].rstrip()) <= width

        eventually(f"drawn for {width}×{height}", fits)
        window.shows(r"web +.*1/1")
    window.resize(40, 10)
    window.shows(r"This terminal has 40×10 cells")
    window.resize(100, 30)
    window.shows(r"web +.*1/1")
    window.keys("q")
    window.shows("exit-code=0")


def test_hostile_output_is_harmless_and_nothing_is_left_behind(cluster: Cluster, terminal: Open) -> None:
    window = terminal("-n", "hostile")
    title = window.state("pane_title")
    window.shows(r"bad +1/1 +Running")
    window.keys("2", "l")
    window.shows(r"last line")
    window.keys("g")
    window.shows(r"begin")
    screen = window.screen()
    assert "cleared" in screen and "new text" in screen and "bytes" in screen and "wide" in screen
    assert "שלום" in screen or "םולש" in screen
    assert "こん" in screen
    lines = screen.rstrip("\n").split("\n")
    assert "kubetui" in lines[0] and "Quit" in lines[-1], "the frame is whole"
    window.keys("w")  # wrapped: the long line alone is more than any screen
    window.keys("w", "G")
    window.shows(r"last line")
    assert window.clipboard() == "" and window.state("pane_title") == title
    assert window.state("cursor_flag", "alternate_on") == ["0", "1"]
    window.keys("Escape", "q")
    window.shows("exit-code=0")
    names = "cursor_flag", "mouse_any_flag", "alternate_on", "bracket_paste_flag", "focus_flag"
    assert window.state(*names)[:3] == ["1", "0", "0"], "as it was before"


def test_read_only_offers_nothing_that_changes(cluster: Cluster, terminal: Open) -> None:
    window = terminal("--read-only", "-n", "look")
    window.shows(r"web +.*1/1")
    window.shows(r"read-only")
    assert not re.search(r"Scale|Roll back|Restart|Edit|Delete|Pause", window.screen().splitlines()[-1])
    kubectl = cluster.serving.kubectl()
    before = kubectl.json("get", "deploy", "web", "-n", "look")["metadata"]["resourceVersion"]
    window.keys("+", "-", "s", "r", "R", "Space", "e", "C-d", "i", "C-l", "u")
    window.type(":delete")
    window.shows(r"nothing|no match|none")
    window.keys("Escape", "?")
    window.shows(r"Describe")
    assert "Scale up" not in window.screen()
    after = kubectl.json("get", "deploy", "web", "-n", "look")["metadata"]["resourceVersion"]
    assert after == before


def test_another_context(cluster: Cluster, terminal: Open, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.serving.kubeconfig.read_text())
    context = config["contexts"][0]
    first = {**context, "name": "first", "context": {**context["context"], "namespace": "look"}}
    second = {**context, "name": "second", "context": {**context["context"], "namespace": "tools"}}
    config["contexts"], config["current-context"] = [first, second], "first"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    window = terminal("--kubeconfig", str(file), "--context", "second", attach=False)
    window.shows(r"second v1\.\d+.* ns tools")
    window.shows(r"parrot +1/1 +Running")
    window.keys("C-k")
    window.shows(r"first")
    window.type("first")
    window.keys("Enter")
    window.shows(r"first v1\.\d+.* ns look")
    window.shows(r"web-\S+ +1/1")
    window.keys("q")
    window.shows("exit-code=0")
