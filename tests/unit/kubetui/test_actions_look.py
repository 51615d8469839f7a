"""Pilot tests of the actions for looking closer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from steps import editor, open_logs
from terminal import Terminal

from kubetui.live.lines import Line, line
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dialogs import Prompt
from kubetui.screens.logs import LogScreen
from kubetui.screens.text import TextScreen


async def test_logs(term: Terminal) -> None:
    screen = await open_logs(term)
    assert {s.pod for s in screen.logview.spool.sources} >= {"web-6b7c4d9f8-4kx2p", "web-6b7c4d9f8-9jw7q"}
    texts = [screen.logview.spool.time_of(screen.logview.spool.number_at(i)) for i in range(36)]
    assert texts == sorted(texts)
    term.api.log("web-6b7c4d9f8-4kx2p", "app", "just now")
    await term.sees("just now")


async def test_previous_logs(term: Terminal) -> None:
    await term.workload("mailer")
    await term.press("p")
    await term.sees("was not set then either")


async def test_describe(term: Terminal) -> None:
    await term.workload("web")
    await term.press("d")
    await term.sees("StrategyType:")
    await term.press("G")
    await term.sees("Scaled up replica set")


async def test_yaml(term: Terminal) -> None:
    await term.workload("web")
    await term.press("y")
    await term.sees("progressDeadlineSeconds: 600")
    term.api.change("Deployment", "web", lambda d: d["spec"].update(progressDeadlineSeconds=601))
    await term.sees("progressDeadlineSeconds: 601")


async def test_logs_that_cannot_come_say_what_keeps_them(term: Terminal) -> None:
    await term.workload("web")
    await term.pod("web-7c9d5bb6f-hd5lm")
    await term.press("l")
    await term.sees("no lines yet: ImagePullBackOff")


async def test_an_event_leads_to_what_it_is_about(term: Terminal) -> None:
    await term.command("ev /hd5lm")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)
    await term.press("enter")
    await term.sees("describe pod/web-7c9d5bb6f-hd5lm")


async def test_from_one_page_about_an_object_to_the_others(
    term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, 'sed -i "s/replicas: 3/replicas: 6/" "$1"')
    await term.workload("api")
    await term.press("d")
    await term.sees("StrategyType:")
    await term.press("y")
    await term.sees("progressDeadlineSeconds: 600")
    await term.press("e")
    await term.sees("replicas: 6")
    await term.press("l")
    await term.wait(lambda: isinstance(term.app.screen, LogScreen))
    await term.press("escape", "d")
    await term.sees("StrategyType:")


async def test_tree(term: Terminal) -> None:
    await term.workload("web")
    await term.press("t")
    await term.sees("ReplicaSet web-7c9d5bb6f")
    await term.sees("container app")


async def test_inside(term: Terminal) -> None:
    def more(pod: dict[str, Any]) -> None:
        pod["spec"]["volumes"] = [
            {"name": "conf", "configMap": {"name": "settings"}},
            {"name": "tmp", "emptyDir": {}},
        ]
        pod["spec"]["containers"][0]["volumeMounts"] = [
            {"name": "conf", "mountPath": "/etc/app", "readOnly": True, "subPath": "x"},
            {"name": "tmp", "mountPath": "/tmp"},
        ]
        pod["status"]["containerStatuses"][0]["imageID"] = "docker.io/library/nginx@sha256:" + "ab" * 32

    term.api.change("Pod", "web-6b7c4d9f8-4kx2p", more)
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("I")
    await term.sees("0123456789abcdef")
    await term.sees("sha256:" + "ab" * 32)
    await term.sees("/etc/app  ro  configMap settings (conf), below x")
    await term.sees("/tmp  rw  emptyDir (tmp)")
    await term.sees("podman inspect 0123456789ab")
    await term.sees("io.kubetui.pod.uid=uid-pods-default-web-6b7c4d9f8-4kx2p")
    term.api.change(
        "Pod",
        "web-6b7c4d9f8-4kx2p",
        lambda p: p["status"]["containerStatuses"][0].update(containerID="containerd://fedcba98"),
    )
    await term.sees("fedcba98")
    assert "podman" not in term.text()


async def test_object_events(term: Terminal) -> None:
    await term.workload("web")
    await term.press("E")
    await term.sees("Scaled up replica set web-7c9d5bb6f")


async def test_goto_owner(term: Terminal) -> None:
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("J")
    await term.sees("describe replicaset/web-6b7c4d9f8")


async def test_goto_node(term: Terminal) -> None:
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("O")
    await term.sees("describe node/kubetui")
    await term.sees("Allocatable")


async def test_decode(term: Terminal) -> None:
    await term.command("secrets")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)
    await term.press("x")
    await term.sees("hunter2")


async def test_copy_name(term: Terminal) -> None:
    await term.workload("web")
    await term.press("c")
    await term.wait(lambda: term.app.clipboard == "web")


async def test_save_table(term: Terminal, tmp_path: Path) -> None:
    screen = await open_logs(term)
    await term.press("ctrl+s")
    await term.wait(lambda: isinstance(term.app.screen, Prompt))
    target = tmp_path / "saved.log"
    term.app.screen.query_one("#value").value = str(target)
    await term.press("enter")
    await term.wait(target.exists)
    await term.wait(lambda: len(target.read_text().splitlines()) == len(screen.logview.spool))


async def test_command_log(term: Terminal) -> None:
    await term.workload("web")
    await term.press("d", "escape", "L")
    await term.sees("kubectl describe deployment web -n default")


async def test_forest(term: Terminal) -> None:
    await term.press("X")
    await term.sees("trees of default")
    await term.sees("Deployment mailer")
    await term.sees("container")
    await term.press("escape")
    await term.command("xray sts")
    await term.sees("StatefulSet db")
    assert "Deployment" not in term.text()


async def test_long_lines_of_a_page_are_folded(term: Terminal) -> None:
    def annotate(deployment: dict[str, Any]) -> None:
        deployment["metadata"]["annotations"] = {
            "note": " ".join(f"word{i}" for i in range(60)),
            "wide": "日本" * 90,
        }

    term.api.change("Deployment", "web", annotate)
    await term.workload("web")
    await term.press("d")
    await term.sees("word59")
    view = term.app.screen.lines
    rows = term.text().splitlines()
    first = next(row for row in rows if "word0 " in row)
    later = next(row for row in rows if "word59" in row)
    assert first.index("note") == len(later) - len(later.lstrip())
    assert view.line_total() > len(view.lines)
    await term.press("slash", *"word59", "enter")
    assert len(view.hits) == 1
    await term.press("w")
    assert "word58" not in term.text()
    assert view.line_total() == len(view.lines)
    strips = term.app.screen._compositor.render_strips(term.app.screen.size)
    assert all(strip.cell_length == term.app.screen.size.width for strip in strips)


async def test_copy_text(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(term.app, "copy_to_clipboard", copied.append)
    await open_logs(term)
    await term.press("c")
    await term.wait(lambda: copied)
    assert "GET /" in copied[0]
    await term.press("escape", "y")
    await term.sees("kind: Deployment")
    await term.press("c")
    await term.wait(lambda: len(copied) == 2)
    assert copied[1].startswith("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n")
    await term.sees("Copied")


async def test_a_page_that_is_slow_to_draw_leaves_time_for_keys(
    term: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    now = 0.0

    def slowly() -> list[Line]:
        nonlocal now
        now += 0.1
        drawn.append(now)
        return [line(str(len(drawn)))]

    monkeypatch.setattr("kubetui.screens.text.monotonic", lambda: now)
    screen = TextScreen("slow", slowly)
    screen.is_stale = lambda: True
    term.app.open_screen(screen)
    await term.wait(lambda: drawn)
    first = len(drawn)
    for _ in range(20):
        screen.after_pump()
    assert len(drawn) == first
    now += 2
    await term.wait(lambda: len(drawn) > first)
