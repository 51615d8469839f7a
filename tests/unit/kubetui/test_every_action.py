"""One pilot test for each action of the registry; an action without one fails the build."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeAPI, Status
from fakeworld import World, waiting_file
from terminal import Terminal, terminal

from kubetui.actions import ACTIONS
from kubetui.commands.copy import CopyDialog, CopyScreen
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dashboard import Dashboard
from kubetui.screens.dialogs import Confirm, Picker, Prompt
from kubetui.screens.logs import LogScreen
from kubetui.screens.rollback import RollbackScreen
from kubetui.screens.text import TextScreen


@pytest.fixture
async def term(api: FakeAPI, tmp_path: Path) -> AsyncIterator[Terminal]:
    async with terminal(api, tmp_path) as found:
        yield found


def test_every_action_has_a_test() -> None:
    missing = [a.id for a in ACTIONS if f"test_{a.id.replace('-', '_')}" not in globals()]
    assert not missing


def test_every_handler_exists() -> None:
    for action in ACTIONS:
        assert asyncio.iscoroutinefunction(action.load()), action.id


# -- move --------------------------------------------------------------------------------------------------------


def current(term: Terminal) -> str:
    return term.app.dashboard.workloads.table.current.data["metadata"]["name"]


async def test_up(term: Terminal) -> None:
    await term.workload("api")
    await term.press("up")
    assert current(term) == "agent"


async def test_down(term: Terminal) -> None:
    await term.workload("agent")
    await term.press("j")
    assert current(term) == "api"


async def test_page_up(term: Terminal) -> None:
    await term.workload("worker")
    await term.press("pageup")
    assert current(term) == "agent"


async def test_page_down(term: Terminal) -> None:
    await term.workload("agent")
    await term.press("pagedown")
    assert current(term) == "worker"


async def test_first(term: Terminal) -> None:
    await term.workload("worker")
    await term.press("g")
    assert current(term) == "agent"


async def test_last(term: Terminal) -> None:
    await term.press("G")
    assert current(term) == "worker"


async def test_left(term: Terminal) -> None:
    await term.press("4")
    view = term.app.dashboard.logs.view
    view.left = 16
    await term.press("left")
    assert view.left == 8


async def test_right(term: Terminal) -> None:
    await term.press("4", "right")
    assert term.app.dashboard.logs.view.left == 8


async def test_open(term: Terminal) -> None:
    await term.workload("web")
    await term.press("enter")
    assert term.app.dashboard.pane_of_focus().id == "pods"
    await term.press("enter")
    await term.wait(lambda: isinstance(term.app.screen, LogScreen))


async def test_back(term: Terminal) -> None:
    await term.press("y")
    await term.wait(lambda: isinstance(term.app.screen, TextScreen))
    await term.press("escape")
    assert isinstance(term.app.screen, Dashboard)
    await term.press("escape", "escape", "escape")
    assert term.app.is_running


async def test_forward(term: Terminal) -> None:
    await term.command("svc")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen))
    await term.press("escape")
    await term.press("right_square_bracket")
    await term.wait(
        lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.kind.kind == "Service"
    )


async def test_next_pane(term: Terminal) -> None:
    await term.press("tab")
    assert term.app.dashboard.pane_of_focus().id == "pods"


async def test_previous_pane(term: Terminal) -> None:
    await term.press("shift+tab")
    assert term.app.dashboard.pane_of_focus().id == "manifests"


async def pane(term: Terminal, key: str, name: str) -> None:
    await term.press(key)
    found = term.app.dashboard.pane_of_focus()
    assert found.id == name
    assert found.display


async def test_pane_1(term: Terminal) -> None:
    await term.press("4")
    await pane(term, "1", "workloads")


async def test_pane_2(term: Terminal) -> None:
    await pane(term, "2", "pods")


async def test_pane_3(term: Terminal) -> None:
    await pane(term, "3", "rollout")


async def test_pane_4(term: Terminal) -> None:
    await pane(term, "4", "logs")


async def test_pane_5(term: Terminal) -> None:
    await pane(term, "5", "events")


async def test_pane_6(term: Terminal) -> None:
    await pane(term, "6", "manifests")


async def test_pane_7(term: Terminal) -> None:
    await pane(term, "7", "usage")
    await term.press("z")
    await term.workload("db")
    await term.press("7")
    await term.sees("kubetui")
    await term.sees("└ exporter")
    table = term.app.dashboard.usage.table
    await term.wait(lambda: [r.cells[0].text for r in table.order[:2]] == ["kubetui", "db-0"])
    row = table.rows["uid-pods-default-db-1"]
    by_title = {c.title: cell.text for c, cell in zip(table.columns, row.cells, strict=True)}
    assert (by_title["C-REQ"], by_title["C-LIM"], by_title["C%"]) == ("300m", "550m", "49%")
    assert (by_title["M-REQ"], by_title["M-LIM"], by_title["M%"]) == ("576Mi", "1088Mi", "91%")
    assert row.health == "bad"
    node = table.rows["uid-nodes--kubetui"]
    assert node.cells[3].text == "-"  # other namespaces' pods are not seen
    await term.press("0")
    await term.wait(lambda: table.rows["uid-nodes--kubetui"].cells[3].text == "600m")


async def test_pulse(term: Terminal) -> None:
    await term.command("pulse")
    await term.sees("Pods and nodes")
    await term.sees("2 broken")
    await term.sees("of 8, asked 600m (8%)")
    await term.sees("1770m 22%")
    await term.sees("0.4 a minute")
    await term.sees("BackOff")
    term.api.change("Node", "kubetui", lambda n: n["spec"].update(unschedulable=True))
    await term.sees("cordoned")


async def test_maximise(term: Terminal) -> None:
    await term.press("3", "z")
    assert [n for n, p in term.app.dashboard.panes.items() if p.display] == ["rollout"]
    await term.press("z")
    assert all(p.display for n, p in term.app.dashboard.panes.items() if n != "usage")


async def test_hide_pane(term: Terminal) -> None:
    await term.press("5", "H")
    assert not term.app.dashboard.events_pane.display
    await term.press("5")
    assert term.app.dashboard.events_pane.display


async def resized(term: Terminal, key: str, attribute: str, sign: int) -> None:
    before = getattr(term.app.layout_state, attribute)
    await term.press(key)
    assert (getattr(term.app.layout_state, attribute) - before) * sign > 0


async def test_wider(term: Terminal) -> None:
    await resized(term, "ctrl+right", "split", 1)


async def test_narrower(term: Terminal) -> None:
    await resized(term, "ctrl+left", "split", -1)


async def test_taller(term: Terminal) -> None:
    await resized(term, "ctrl+down", "top", 1)


async def test_shorter(term: Terminal) -> None:
    await resized(term, "ctrl+up", "top", -1)


# -- choose ------------------------------------------------------------------------------------------------------


def shown(term: Terminal) -> list[str]:
    return [r.data["metadata"]["name"] for r in term.app.dashboard.workloads.table.order]


async def test_filter(term: Terminal) -> None:
    await term.press("slash", "w", "e", "b")
    await term.wait(lambda: shown(term) == ["web"])
    await term.press("enter")
    assert shown(term) == ["web"]
    await term.press("escape")
    assert "api" in shown(term)


async def test_mark(term: Terminal) -> None:
    await term.workload("api")
    await term.press("m", "m")
    assert {r.name for r in term.app.dashboard.refs()} == {"api", "db"}


async def test_mark_range(term: Terminal) -> None:
    await term.workload("agent")
    await term.press("m", "down", "M")
    assert {r.name for r in term.app.dashboard.refs()} == {"agent", "api", "db"}


async def test_mark_all(term: Terminal) -> None:
    await term.press("ctrl+a")
    assert len(term.app.dashboard.refs()) == 7


async def test_broken(term: Terminal) -> None:
    await term.press("b")
    await term.wait(lambda: shown(term) == ["mailer", "web", "worker"])


async def test_first_error(term: Terminal) -> None:
    await term.workload("agent")
    await term.press("exclamation_mark")
    await term.wait(lambda: current(term) == "mailer")


async def test_all_pods(term: Terminal) -> None:
    await term.workload("agent")
    await term.press("a")
    await term.wait(lambda: len(term.app.dashboard.pods.table.order) == 11)
    await term.press("a")
    await term.wait(lambda: len(term.app.dashboard.pods.table.order) == 0)


async def pick(term: Terminal, text: str) -> None:
    await term.wait(lambda: isinstance(term.app.screen, Picker))
    await term.press(*[{"-": "minus", " ": "space"}.get(c, c) for c in text], "enter")


async def test_sort(term: Terminal) -> None:
    await term.press("o")
    await pick(term, "STATE")
    await term.wait(lambda: term.app.dashboard.workloads.table.sort_key == "state")


async def test_sort_age(term: Terminal) -> None:
    await term.press("A")
    await term.wait(lambda: shown(term)[0] == "mailer")
    await term.press("A")
    await term.wait(lambda: shown(term)[-1] == "mailer")


async def test_sort_name(term: Terminal) -> None:
    await term.press("A", "N")
    await term.wait(lambda: shown(term) == sorted(shown(term)))


async def test_wide(term: Terminal) -> None:
    await term.command("pods")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)
    assert "NODE" not in term.text()
    await term.press("w")
    await term.sees("NODE")


async def test_columns(term: Terminal) -> None:
    await term.command("pods")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)
    await term.press("K")
    await answer(term, "NAME, STATUS, IMG:.spec.containers[0].image, APP:.metadata.labels.app")
    await term.sees("IMG")
    await term.sees("ghcr.io/acme/mailer:1.0")
    assert "RESTARTS" not in term.text()
    await term.press("escape")
    await term.command("pods")
    await term.sees("ghcr.io/acme/mailer:1.0")
    await term.press("K")
    await answer(term, "")
    await term.sees("RESTARTS")


async def test_namespace(term: Terminal) -> None:
    await term.press("n")
    await pick(term, "monitoring")
    await term.wait(lambda: term.app.namespaces == ("monitoring",))
    await term.press("n")
    await term.wait(lambda: isinstance(term.app.screen, Picker))
    await term.press("down", "space", "space", "enter")
    await term.wait(lambda: term.app.namespaces == ("default", "kube-system"))
    await term.wait(lambda: "web" in shown(term))


async def test_all_namespaces(term: Terminal) -> None:
    await term.press("0")
    await term.wait(lambda: term.app.namespaces == ())
    await term.sees("NAMESPACE")
    await term.press("0")
    await term.wait(lambda: term.app.namespaces == ("default",))


async def test_context(term: Terminal) -> None:
    await term.press("ctrl+k")
    await pick(term, "other")
    await term.wait(lambda: term.app.connection_state.context == "other", 10)
    await term.wait(lambda: term.app.namespaces == ("kube-system",))


async def test_palette(term: Terminal) -> None:
    await term.command("deploy /web")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen))
    await term.wait(lambda: [r.data["metadata"]["name"] for r in term.app.screen.table.order] == ["web"])


async def test_theme(term: Terminal) -> None:
    await term.press("ctrl+y")
    await pick(term, "kubetui-light")
    await term.wait(lambda: term.app.theme == "kubetui-light")


# -- look --------------------------------------------------------------------------------------------------------


async def open_logs(term: Terminal) -> LogScreen:
    await term.workload("web")
    await term.press("l")
    screen: LogScreen = await term.wait(lambda: isinstance(term.app.screen, LogScreen) and term.app.screen)
    await term.wait(lambda: len(screen.logview.spool) >= 36)
    return screen


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


# -- change ------------------------------------------------------------------------------------------------------


def replicas(term: Terminal, name: str = "web") -> int:
    return term.api.get("Deployment", name)["spec"]["replicas"]


async def test_scale_up(term: Terminal) -> None:
    await term.workload("web")
    await term.press("plus", "plus", "plus")
    await term.sees("Scaling 4→7", 1)
    await term.wait(lambda: replicas(term) == 7)
    assert len(term.sent("PATCH")) == 1
    await term.wait(lambda: not term.app.dashboard.workloads.wanted)


async def test_scale_down(term: Terminal) -> None:
    await term.workload("worker")
    await term.press("minus", "minus", "minus")
    await term.wait(lambda: replicas(term, "worker") == 0)


async def answer(term: Terminal, text: str) -> None:
    await term.wait(lambda: isinstance(term.app.screen, Prompt))
    term.app.screen.query_one("#value").value = text
    await term.press("enter")


async def test_scale(term: Terminal) -> None:
    await term.workload("api")
    await term.press("m", "s")
    await answer(term, "many")
    await term.sees("Type a number")
    await answer(term, "9")
    await term.wait(lambda: replicas(term, "api") == 9)


async def open_rollback(term: Terminal, name: str = "web") -> RollbackScreen:
    await term.workload(name)
    await term.press("r")
    return await term.wait(lambda: isinstance(term.app.screen, RollbackScreen) and term.app.screen)


async def test_rollback(term: Terminal) -> None:
    screen = await open_rollback(term)
    assert [e.number for e in screen.history] == [7, 6, 5]
    assert screen.chosen.number == 6
    await term.sees("nginx:1.26")
    await term.sees("release 1.26")


async def yes(term: Terminal) -> None:
    await term.wait(lambda: isinstance(term.app.screen, Confirm))
    await term.press("enter")


async def test_rollback_now(term: Terminal) -> None:
    await open_rollback(term)
    await term.press("enter")
    await yes(term)
    image = lambda: term.api.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"]  # noqa: E731
    await term.wait(lambda: image() == "docker.io/library/nginx:1.26")
    template = term.api.get("Deployment", "web")["spec"]["template"]
    assert "pod-template-hash" not in template["metadata"]["labels"]
    assert (
        term.api.get("Deployment", "web")["metadata"]["annotations"]["kubernetes.io/change-cause"]
        == "release 1.26"
    )
    await term.wait(lambda: isinstance(term.app.screen, Dashboard))


async def test_rollback_of_a_stateful_set(term: Terminal) -> None:
    await open_rollback(term, "db")
    await term.press("enter")
    await yes(term)
    await term.wait(
        lambda: (
            term.api.get("StatefulSet", "db")["spec"]["template"]["spec"]["containers"][0]["image"]
            == "postgres:15"
        )
    )


async def test_rollback_base(term: Terminal) -> None:
    screen = await open_rollback(term)
    await term.press("down", "c", "up")
    assert screen.current.number == 5
    await term.sees("#5 now → #6")


async def test_restart(term: Terminal) -> None:
    await term.workload("api")
    await term.press("R")
    await yes(term)
    await term.wait(
        lambda: (
            "kubectl.kubernetes.io/restartedAt"
            in term.api.get("Deployment", "api")["spec"]["template"]["metadata"].get("annotations", {})
        )
    )


async def test_pause(term: Terminal) -> None:
    await term.workload("api")
    await term.press("space")
    await term.wait(lambda: term.api.get("Deployment", "api")["spec"].get("paused") is True)
    await term.sees("Paused")
    await term.press("space")
    await term.wait(lambda: term.api.get("Deployment", "api")["spec"].get("paused") is False)


async def test_set_image(term: Terminal) -> None:
    await term.workload("api")
    await term.press("i")
    await answer(term, "ghcr.io/acme/api:3")
    await term.wait(
        lambda: (
            term.api.get("Deployment", "api")["spec"]["template"]["spec"]["containers"][0]["image"]
            == "ghcr.io/acme/api:3"
        )
    )


async def test_label(term: Terminal) -> None:
    await term.workload("api")
    await term.press("ctrl+l")
    await answer(term, "tier=backend app-")
    await term.wait(lambda: term.api.get("Deployment", "api")["metadata"]["labels"] == {"tier": "backend"})


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDITOR", str(path))


async def test_edit(term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(tmp_path, monkeypatch, 'sed -i "s/replicas: 3/replicas: 6/" "$1"')
    await term.workload("api")
    await term.press("e")
    await term.wait(lambda: replicas(term, "api") == 6)


async def test_edit_shows_the_servers_errors_at_their_line(
    term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(
        tmp_path, monkeypatch, f'cp "$1" {tmp_path}/seen; sed -i "s/replicas: 3/replicas: 6/; /^#!/d" "$1"'
    )
    term.api.refuse = Status(
        422, "Invalid", "it is invalid", [{"field": "spec.replicas", "message": "too many"}]
    )
    await term.workload("api")
    await term.press("e")
    await term.wait(lambda: "too many" in (tmp_path / "seen").read_text())
    lines = (tmp_path / "seen").read_text().splitlines()
    at = next(i for i, row in enumerate(lines) if "too many" in row)
    assert lines[at + 1].strip() == "replicas: 6"
    await term.wait(lambda: replicas(term, "api") == 6)


async def test_edit_keeps_the_text_when_the_editor_fails(
    term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "exit 3")
    await term.workload("api")
    await term.press("e")
    await term.wait(lambda: any("text is kept in" in n.message for n in term.app._notifications))
    assert replicas(term, "api") == 3


async def test_delete(term: Terminal) -> None:
    await term.workload("api")
    await term.press("ctrl+d")
    await term.wait(lambda: isinstance(term.app.screen, Confirm))
    await term.press("down", "enter")
    _, body = await term.request("DELETE")
    assert body["propagationPolicy"] == "Foreground"
    assert body["preconditions"] == {"uid": "uid-deployments-default-api"}
    await term.wait(lambda: "api" not in shown(term))


async def test_delete_in_a_protected_namespace_asks_for_the_name(term: Terminal) -> None:
    await term.command("cm kube-system")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)
    await term.press("ctrl+d")
    await term.wait(lambda: isinstance(term.app.screen, Confirm))
    await term.press("enter")
    await term.sees("That is not manifest-api")
    term.app.screen.query_one("#name").value = "manifest-api"
    await term.press("enter")
    await term.request("DELETE", "manifest-api")


async def test_undo(term: Terminal) -> None:
    await term.workload("api")
    await term.press("ctrl+d")
    await yes(term)
    await term.wait(lambda: "api" not in shown(term))
    await term.press("u")
    await term.sees("Undo: delete deployment/api")
    await yes(term)
    await term.wait(lambda: "api" in shown(term))


async def test_undo_of_an_edit(term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(tmp_path, monkeypatch, 'sed -i "s/replicas: 3/replicas: 6/" "$1"')
    await term.workload("api")
    await term.press("e")
    await term.wait(lambda: replicas(term, "api") == 6)
    await term.wait(lambda: term.app.undo_stack)
    await term.press("u")
    await yes(term)
    await term.wait(lambda: replicas(term, "api") == 3)


async def test_suspend(term: Terminal) -> None:
    await term.workload("nightly")
    await term.press("S")
    await term.wait(lambda: term.api.get("CronJob", "nightly")["spec"]["suspend"] is True)


async def test_trigger(term: Terminal) -> None:
    await term.workload("nightly")
    await term.press("T")
    _, body = await term.request("POST", "/jobs")
    assert body["metadata"]["name"].startswith("nightly-manual-")
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "backup:3"


async def nodes(term: Terminal) -> None:
    await term.command("nodes")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)


async def test_cordon(term: Terminal) -> None:
    await nodes(term)
    await term.press("C")
    await term.wait(lambda: term.api.get("Node", "kubetui")["spec"].get("unschedulable") is True)


async def test_uncordon(term: Terminal) -> None:
    await nodes(term)
    await term.press("C", "U")
    await term.wait(lambda: term.api.get("Node", "kubetui")["spec"].get("unschedulable") is False)


async def test_drain(term: Terminal) -> None:
    await nodes(term)
    await term.press("D")
    await yes(term)
    await term.sees("11 of 11 pods are gone", 10)
    assert term.api.get("Node", "kubetui")["spec"]["unschedulable"] is True


# -- connect -----------------------------------------------------------------------------------------------------


async def test_shell(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(loop: Any, stream: Any, output: Any, title: str) -> Any:
        async def talk() -> Any:
            await stream.resize(80, 24)
            await stream.write(b"exit\r")
            return await stream.run()

        seen.append(title)
        return asyncio.run_coroutine_threadsafe(talk(), loop).result(5)

    monkeypatch.setattr("kubetui.commands.connect.run_terminal", run)
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("s")
    await term.wait(lambda: b"\x00exit\r" in term.api.exec_received)
    assert b'\x04{"Width":80,"Height":24}' in term.api.exec_received
    assert "web-6b7c4d9f8-4kx2p/app" in seen[0]


async def test_attach(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    def run(loop: Any, stream: Any, output: Any, title: str) -> Any:
        async def talk() -> Any:
            await stream.write(b"exit")
            return await stream.run()

        found = asyncio.run_coroutine_threadsafe(talk(), loop).result(5)
        term.app.call_soon(ended.set)
        return found

    monkeypatch.setattr("kubetui.commands.connect.run_terminal", run)
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("ctrl+t")
    await term.wait(ended.is_set)
    assert any(path.endswith("/attach") for m, path, _ in term.api.requests if m == "EXEC")


async def copy(term: Terminal, source: str, target: str) -> CopyScreen:
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("f")
    dialog = await term.wait(lambda: isinstance(term.app.screen, CopyDialog) and term.app.screen)
    dialog.query_one("#from").value, dialog.query_one("#to").value = source, target
    await term.press("enter")
    return await term.wait(lambda: isinstance(term.app.screen, CopyScreen) and term.app.screen)


async def test_copy_files(term: Terminal, tmp_path: Path) -> None:
    term.api.files = {"/etc/app/a.conf": b"one\n", "/etc/app/big": bytes(300_000), "/etc/other": b"no"}
    term.api.evil = ["../outside", "/etc/absolute", "./app/../../outside"]
    screen = await copy(term, ":/etc/app", str(tmp_path))
    await term.wait(lambda: screen.transfer.state == "done")
    assert (tmp_path / "app" / "a.conf").read_text() == "one\n"
    assert (tmp_path / "app" / "big").stat().st_size == 300_000
    assert not (tmp_path / "other").exists() and not (tmp_path.parent / "outside").exists()
    assert len(screen.transfer.skipped) == 3
    await term.sees("2 files")
    await term.press("escape")
    (tmp_path / "app" / "sub").mkdir()
    (tmp_path / "app" / "sub" / "b").write_bytes(b"two")
    screen = await copy(term, str(tmp_path / "app"), ":/tmp")
    await term.wait(lambda: screen.transfer.state == "done")
    assert term.api.files["/tmp/app/sub/b"] == b"two"
    assert term.api.files["/tmp/app/big"] == bytes(300_000)
    assert term.app.command_log[-1].line.endswith("default/web-6b7c4d9f8-4kx2p:/tmp -c app")
    await term.press("escape")
    screen = await copy(term, ":/etc/other", str(tmp_path / "renamed"))
    await term.wait(lambda: screen.transfer.state == "done")
    assert (tmp_path / "renamed").read_bytes() == b"no"


async def test_copy_files_that_fail(term: Terminal, tmp_path: Path) -> None:
    await copy(term, ":/nowhere", str(tmp_path))
    await term.sees("No such file or directory")
    await term.press("escape")
    term.api.no_tar = True
    await copy(term, ":/etc/x", str(tmp_path))
    await term.sees("The container has no tar")
    await term.press("escape")
    await copy(term, str(tmp_path / "absent"), ":/tmp/x")
    await term.sees("there is no such file")


async def test_copy_stop(term: Terminal, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as sparse:
        sparse.truncate(1 << 40)
    screen = await copy(term, str(tmp_path / "huge"), ":/tmp/")
    await term.wait(lambda: screen.transfer.bytes > 100_000)
    await term.press("x")
    await term.wait(lambda: screen.transfer.state == "cancelled")


async def forward(term: Terminal) -> int:
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("F")
    await answer(term, "0:8080")
    return await term.wait(lambda: term.app.forwarding.items[0].local)


async def echo(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    data = await asyncio.wait_for(reader.read(100), 5)
    writer.close()
    return data


async def test_forward_port(term: Terminal) -> None:
    port = await forward(term)
    assert await echo(port) == b"echo:hello"
    term.api.remove("Pod", "web-6b7c4d9f8-4kx2p")
    assert await echo(port) == b"echo:hello"
    assert term.app.forwarding.items[0].pod != "web-6b7c4d9f8-4kx2p"


async def test_forwards(term: Terminal) -> None:
    port = await forward(term)
    await term.press("P")
    await term.sees(f"127.0.0.1:{port}")
    await term.press("enter")
    await term.wait(lambda: not term.app.forwarding.items)


# -- logs --------------------------------------------------------------------------------------------------------


async def test_log_wrap(term: Terminal) -> None:
    screen = await open_logs(term)
    term.api.log("web-6b7c4d9f8-4kx2p", "app", "x" * 300 + "END")
    await term.wait(lambda: len(screen.logview.spool) == 37)
    assert "END" not in term.text()
    await term.press("w")
    await term.sees("END")


async def test_log_stamps(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("t")
    assert screen.logview.stamps


async def test_log_names(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.sees("│")
    await term.press("N")
    assert not screen.logview.names


async def test_log_json(term: Terminal) -> None:
    await term.workload("api")
    await term.press("l")
    await term.sees("ERROR database away attempt=3")
    await term.press("J")
    await term.sees('"msg":"database away"')


async def test_log_follow(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("f")
    assert not screen.logview.follow
    term.api.log("web-6b7c4d9f8-4kx2p", "app", "later")
    await term.sees("1 new lines")
    await term.press("f")
    await term.sees("later")


async def test_search(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("slash", "slash", "7", "space", "h", "enter")
    await term.wait(lambda: len(screen.logview.hits_query) == 3)
    await term.sees("/8 HTTP")
    await term.press("escape")
    assert screen.logview.hits_query is None


async def test_log_filter(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("ampersand", "slash", "7", "space", "enter")
    await term.wait(lambda: screen.logview.line_total() == 3)
    await term.press("ampersand", "home", "exclamation_mark", "enter")
    await term.wait(lambda: screen.logview.line_total() == 33)


async def test_log_events(term: Terminal) -> None:
    await open_logs(term)
    await term.press("E")
    await term.sees("⚑ pod/web-7c9d5bb6f-hd5lm Failed")


async def test_log_range(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("h")
    await pick(term, "last hour")
    await term.wait(
        lambda: any(q.get("sinceSeconds") == "3600" for m, _, q in term.api.requests if m == "LOG")
    )
    assert screen.range[0] == "last hour"


async def test_log_previous(term: Terminal) -> None:
    await term.workload("mailer")
    await term.press("l")
    await term.sees("SMTP_HOST is not set")
    assert "\x1b" not in term.text()
    await term.press("p")
    await term.sees("was not set then either")


async def test_next_hit(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("g", "slash", "H", "T", "T", "P", "enter")
    first = await term.wait(lambda: screen.logview.hit >= 0 and (screen.logview.hit, 1))
    await term.press("n")
    assert screen.logview.hit != first[0]


async def test_previous_hit(term: Terminal) -> None:
    await term.workload("web")
    await term.press("y")
    screen = await term.wait(lambda: isinstance(term.app.screen, TextScreen) and term.app.screen)
    await term.sees("kind: Deployment")
    await term.press("slash", "w", "e", "b", "enter")
    await term.wait(lambda: len(screen.lines.hits) > 2)
    await term.press("N")
    assert screen.lines.hit == len(screen.lines.hits) - 1


# -- text and manifests ------------------------------------------------------------------------------------------


async def test_managed_fields(term: Terminal) -> None:
    term.api.change(
        "Deployment", "web", lambda d: d["metadata"].update(managedFields=[{"manager": "somebody"}])
    )
    await term.workload("web")
    await term.press("y")
    await term.sees("kind: Deployment")
    assert "somebody" not in term.text()
    await term.press("M")
    await term.wait(lambda: any("somebody" in found.text for found in term.app.screen.lines.lines))


async def manifest(term: Terminal, name: str) -> None:
    await term.press("6")
    await term.row(term.app.dashboard.manifests.table, name)


async def requested(term: Terminal, name: str) -> dict[str, Any]:
    _, body = await term.request("PATCH", name)
    found: dict[str, Any] = json.loads(body["metadata"]["annotations"]["kubetui.io/request"])
    assert found.pop("id")
    return found


async def test_manifest_apply(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("A")
    assert await requested(term, "manifest-api") == {"action": "apply"}


async def test_manifest_apply_is_taken_back(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("A")
    await requested(term, "manifest-api")
    await term.wait(lambda: term.app.undo_stack)
    term.api.change("Deployment", "api", lambda d: d["spec"].update(replicas=2))
    await term.press("u")
    await term.sees("Undo: apply api.yaml")
    await term.sees("- 2")
    await term.sees("+ 3")
    await yes(term)
    await term.wait(lambda: replicas(term, "api") == 3)


async def test_manifest_preview(term: Terminal) -> None:
    waiting_file(World(term.api))
    await manifest(term, "settings.yaml")
    await term.press("p")
    await term.sees("changes data.mode")
    await term.sees("would be created")
    await term.sees("1 to be deleted")
    await term.sees("mode: fast")
    await term.sees("mode: slow")
    await term.press("down", "down")
    await term.sees("Deployment/worker: live → file")
    await term.sees("image: ghcr.io/acme/worker:9")
    await term.press("A")
    await term.sees("is gone from the file")
    await term.press("up", "up", "A")
    assert await requested(term, "manifest-settings") == {"action": "apply", "document": 0}


async def test_manifest_apply_file(term: Terminal) -> None:
    waiting_file(World(term.api))
    await manifest(term, "settings.yaml")
    await term.press("F")
    await term.sees("Deployment default/worker")
    await yes(term)
    assert await requested(term, "manifest-settings") == {"action": "apply"}
    await term.wait(lambda: term.app.undo_stack)
    term.api.remove("Deployment", "worker")
    term.api.change("ConfigMap", "settings", lambda c: c["data"].update(mode="slow"))
    term.api.put(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "fresh", "namespace": "default"}}
    )
    await term.press("u")
    await yes(term)
    await term.wait(lambda: "worker" in shown(term))
    assert term.api.get("ConfigMap", "settings")["data"]["mode"] == "fast"
    assert ("default", "fresh") not in term.api.objects[term.api.kind("ConfigMap")]


async def test_manifest_diff(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("d")
    await term.sees("spec.replicas")
    await term.sees("file  2")


async def test_manifest_accept(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("down", "c")
    assert await requested(term, "manifest-api") == {"action": "accept", "document": 0}


async def test_manifest_mode(term: Terminal) -> None:
    await manifest(term, "web.yaml")
    await term.press("o")
    assert await requested(term, "manifest-web") == {"action": "mode", "mode": "manual"}


def paused_source(configmap: dict[str, Any]) -> None:
    status = json.loads(configmap["data"]["status.json"])
    configmap["data"]["status.json"] = json.dumps({**status, "paused": True})


async def test_manifest_pause(term: Terminal) -> None:
    await manifest(term, "web.yaml")
    await term.press("space")
    assert await requested(term, "manifest-api") == {"action": "pause", "all": True}
    await term.wait(lambda: term.app.undo_stack)
    term.api.change("ConfigMap", "manifest-web", paused_source, "kube-system")
    await term.sees("❚❚ files paused")
    await term.press("u")
    await yes(term)
    await term.wait(lambda: len(term.sent("PATCH")) == 2)
    assert await requested(term, "manifest-api") == {"action": "resume", "all": True}


# -- program -----------------------------------------------------------------------------------------------------


async def test_help(term: Terminal) -> None:
    await term.workload("web")
    await term.press("question_mark")
    await term.sees("Roll back")
    await term.sees("kubectl scale --replicas=N")


async def test_quit(term: Terminal) -> None:
    await term.press("q")
    await term.wait(lambda: term.app.return_code == 0 or not term.app.is_running)
