"""Pilot tests of the actions for changing things, and taking it back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from fakeapi import Status
from steps import answer, editor, nodes, open_rollback, pick, replicas, shown, yes
from terminal import Terminal, key_event

from kubetui.commands.drain import DrainScreen
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dashboard import Dashboard
from kubetui.screens.dialogs import Confirm

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


async def test_scale_up(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubetui.commands.scaler.SCALE_DELAY", 3.0)  # a busy machine is no slow finger
    await term.workload("web")
    await term.press("plus", "plus", "plus")
    await term.sees("Scaling 4→7")
    await term.wait(lambda: replicas(term) == 7)
    assert len(term.sent("PATCH")) == 1
    await term.wait(lambda: not term.app.dashboard.workloads.wanted)


async def test_scale_down(term: Terminal) -> None:
    await term.workload("worker")
    await term.press("minus", "minus", "minus")
    await term.wait(lambda: replicas(term, "worker") == 0)


async def test_scale(term: Terminal) -> None:
    await term.workload("api")
    await term.press("m", "s")
    await answer(term, "many")
    await term.sees("Type a number")
    await answer(term, "9")
    await term.wait(lambda: replicas(term, "api") == 9)


async def test_rollback(term: Terminal) -> None:
    screen = await open_rollback(term)
    assert [e.number for e in screen.history] == [7, 6, 5]
    assert screen.chosen.number == 6
    await term.sees("nginx:1.26")
    await term.sees("release 1.26")


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
    await term.sees("❚❚ Paused")
    await term.press("space")
    await term.wait(lambda: term.api.get("Deployment", "api")["spec"].get("paused") is False)


async def test_pause_and_resume_pressed_quickly(term: Terminal) -> None:
    await term.workload("api")
    for _ in range(3):
        term.app.post_message(key_event("space"))
    await term.wait(lambda: len(term.sent("PATCH")) == 3)
    assert [body["spec"]["paused"] for body in term.sent("PATCH")] == [True, False, True]


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


async def test_the_image_of_a_pod_and_of_a_cronjob(term: Terminal) -> None:
    await term.workload("nightly")
    await term.press("i")
    await answer(term, "backup:4")

    def spec() -> Any:
        return term.api.get("CronJob", "nightly")["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    await term.wait(lambda: spec()["containers"][0]["image"] == "backup:4")
    await term.workload("api")
    await term.pod("api-59f8d7c45-2mb8k")
    await term.press("i")
    await answer(term, "ghcr.io/acme/api:9")
    found = lambda: term.api.get("Pod", "api-59f8d7c45-2mb8k")["spec"]["containers"][0]["image"]  # noqa: E731
    await term.wait(lambda: found() == "ghcr.io/acme/api:9")
    await term.wait(lambda: "pod/api" in term.app.undo_stack.last()[0].title)
    await term.press("u")
    await term.sees("kubectl set image pod/api-59f8d7c45-2mb8k")
    await yes(term)
    await term.wait(lambda: found() != "ghcr.io/acme/api:9")


async def test_the_image_of_an_init_container(term: Terminal) -> None:
    init = [{"name": "migrate", "image": "migrate:1"}]
    term.api.change("Deployment", "api", lambda d: d["spec"]["template"]["spec"].update(initContainers=init))
    await term.workload("api")
    await term.wait(lambda: "initContainers" in term.app.dashboard.refs()[0].obj["spec"]["template"]["spec"])
    await term.press("i")
    await pick(term, "migrate")
    await answer(term, "migrate:2")
    _, body = await term.request("PATCH", "/api")
    assert body["spec"]["template"]["spec"] == {"initContainers": [{"name": "migrate", "image": "migrate:2"}]}


async def test_label(term: Terminal) -> None:
    await term.workload("api")
    await term.press("ctrl+l")
    await answer(term, "tier=backend app-")
    await term.wait(lambda: term.api.get("Deployment", "api")["metadata"]["labels"] == {"tier": "backend"})


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


@pytest.mark.parametrize(
    ("command", "said"),
    [("/nonexistent/editor", "No such file or directory"), ("vi 'oops", "cannot be understood: No closing")],
)
async def test_an_editor_that_cannot_be_run_is_said(
    term: Terminal, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    monkeypatch.setenv("EDITOR", command)
    await term.workload("api")
    await term.press("e")
    found = await term.wait(
        lambda: next((n.message for n in term.app._notifications if said in n.message), None)
    )
    Path(found.rpartition("kept in ")[2].rstrip(".")).unlink()


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
    await term.wait(lambda: "api" not in shown(term) and term.app.undo_stack)
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
    await term.sees("11 of 11 pods are gone")
    assert term.api.get("Node", "kubetui")["spec"]["unschedulable"] is True


async def held_drain(term: Terminal) -> DrainScreen:
    term.api.budgeted = {"web-6b7c4d9f8-4kx2p"}
    await nodes(term)
    await term.press("D")
    await yes(term)
    await term.sees("10 of 11 pods are gone")
    await term.sees("waiting: Cannot evict pod")
    assert isinstance(term.app.screen, DrainScreen)
    return term.app.screen


async def test_drain_stop(term: Terminal) -> None:
    screen = await held_drain(term)
    await term.press("x")
    await term.sees("stays: the drain was stopped")
    await term.wait(lambda: screen.ended)
    term.api.budgeted.clear()
    assert term.api.get("Node", "kubetui")["spec"]["unschedulable"] is True
    assert term.api.get("Pod", "web-6b7c4d9f8-4kx2p")


async def test_a_drain_ends_when_its_cordon_is_taken_back(
    term: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubetui.commands.drain.AGAIN_SECONDS", 0.05)
    screen = await held_drain(term)
    await term.press("escape", "u")
    await yes(term)
    await term.wait(lambda: screen.ended)
    term.api.budgeted.clear()
    assert term.api.get("Pod", "web-6b7c4d9f8-4kx2p")


async def test_drain_takes_every_marked_node(term: Terminal) -> None:
    other = copy.deepcopy(term.api.get("Node", "kubetui"))
    other["metadata"].update(name="second", uid="node-second")
    term.api.put(other)
    await nodes(term)
    await term.wait(lambda: len(term.app.screen.table.order) == 2)
    term.api.change("Pod", "db-1", lambda p: p["spec"].update(nodeName="second"))
    await term.press("ctrl+a", "D")
    await term.sees("Drain 2 nodes?")
    await term.sees("11 pods will be evicted")
    await yes(term)
    await term.sees("11 of 11 pods are gone")
    assert all(term.api.get("Node", n)["spec"].get("unschedulable") for n in ("kubetui", "second"))


async def test_edit_keeps_what_somebody_else_changed_meanwhile(
    term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(
        tmp_path,
        monkeypatch,
        f'sed -i "s/replicas: 3/replicas: 6/" "$1"; touch {tmp_path}/open; '
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done",
    )
    await term.workload("api")
    await term.press("e")
    await term.wait((tmp_path / "open").exists)
    term.api.change("Deployment", "api", lambda d: d["spec"].update(minReadySeconds=7))
    (tmp_path / "go").touch()
    await term.wait(lambda: replicas(term, "api") == 6)
    assert term.api.get("Deployment", "api")["spec"]["minReadySeconds"] == 7
    await term.wait(lambda: any("both changes are in" in n.message for n in term.app._notifications))


async def test_edit_of_a_field_that_somebody_else_changed_asks_first(
    term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(
        tmp_path,
        monkeypatch,
        f'cp "$1" {tmp_path}/seen; if [ -e {tmp_path}/go ]; then touch "$1"; exit; fi; '
        f'sed -i "s/replicas: 3/replicas: 6/" "$1"; touch {tmp_path}/open; '
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done",
    )
    await term.workload("api")
    await term.press("e")
    await term.wait((tmp_path / "open").exists)
    term.api.change("Deployment", "api", lambda d: d["spec"].update(replicas=9, minReadySeconds=7))
    (tmp_path / "go").touch()
    await term.wait(lambda: "somebody else has made it 9" in (tmp_path / "seen").read_text())
    lines = (tmp_path / "seen").read_text().splitlines()
    at = next(i for i, row in enumerate(lines) if "made it 9" in row)
    assert lines[at + 1].strip() == "replicas: 6"
    await term.wait(lambda: replicas(term, "api") == 6)
    assert term.api.get("Deployment", "api")["spec"]["minReadySeconds"] == 7


async def test_edit_keeps_the_text_when_the_server_goes(
    term: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(
        tmp_path,
        monkeypatch,
        f'sed -i "s/replicas: 3/replicas: 6/" "$1"; echo "$1" > {tmp_path}/open; '
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done",
    )
    await term.workload("api")
    await term.press("e")
    await term.wait((tmp_path / "open").exists)
    term.api.down = True
    term.api.cut()
    (tmp_path / "go").touch()
    await term.wait(lambda: any("The text is kept in" in n.message for n in term.app._notifications))
    kept = Path((tmp_path / "open").read_text().strip())
    assert "replicas: 6" in kept.read_text()
    kept.unlink()


async def test_undo_leaves_what_somebody_else_changed_since(term: Terminal) -> None:
    await term.workload("api")
    await term.press("R")
    await yes(term)
    await term.wait(lambda: term.app.undo_stack)
    term.api.change("Deployment", "api", lambda d: d["spec"].update(replicas=9))
    await term.press("u")
    await yes(term)
    await term.wait(lambda: "restartedAt" not in json.dumps(term.api.get("Deployment", "api")["spec"]))
    assert replicas(term, "api") == 9 and not term.app.undo_stack


async def test_undo_says_what_would_be_lost(term: Terminal) -> None:
    await term.workload("api")
    await term.press("plus")
    await term.wait(lambda: replicas(term, "api") == 4)
    await term.wait(lambda: term.app.undo_stack)
    term.api.change("Deployment", "api", lambda d: d["spec"].update(replicas=9))
    await term.press("u")
    await term.sees("spec.replicas has become 9 since")
    await term.press("escape")
    assert replicas(term, "api") == 9


async def test_undo_of_what_is_gone(term: Terminal) -> None:
    await term.workload("api")
    await term.press("plus")
    await term.wait(lambda: term.app.undo_stack)
    term.api.remove("Deployment", "api")
    await term.press("u")
    await term.wait(lambda: not term.app.undo_stack)
    await term.wait(lambda: any("not found" in n.message for n in term.app._notifications))


async def test_many_are_deleted_at_once(term: Terminal) -> None:
    await term.press("ctrl+a", "ctrl+d")
    await yes(term)
    await term.wait(lambda: not shown(term))
    assert len(term.sent("DELETE")) == 7


async def test_what_one_press_did_to_many_is_taken_back_with_one(term: Terminal) -> None:
    before = shown(term)
    await term.press("ctrl+a", "ctrl+d")
    await yes(term)
    await term.wait(lambda: not shown(term) and len(term.app.undo_stack.last()) == 7)
    await term.press("u")
    await term.sees(", and 6 more")
    await yes(term)
    await term.wait(lambda: sorted(shown(term)) == sorted(before))
    assert not term.app.undo_stack


async def test_an_undo_of_many_takes_back_what_it_can(term: Terminal) -> None:
    names = ("api", "web", "worker")
    before = {name: replicas(term, name) for name in names}
    for name in names:
        await term.workload(name)
        await term.press("m")
    await term.press("plus")
    await term.wait(lambda: term.app.undo_stack and len(term.app.undo_stack.last()) == 3)
    term.api.remove("Deployment", "api")
    await term.press("u")
    await term.wait(lambda: isinstance(term.app.screen, Confirm))
    term.api.refuse = Status(403, "Forbidden", "not today")
    await yes(term)
    await term.wait(lambda: any("1 of 2 changes" in n.message for n in term.app._notifications))
    assert any("api" in n.message and "not found" in n.message for n in term.app._notifications)
    [left] = term.app.undo_stack.last()
    back = {name for name in names[1:] if replicas(term, name) == before[name]}
    assert len(back) == 1 and not back & {left.title.split()[2].partition("/")[2]}


async def test_many_failures_leave_room_on_the_screen(
    term: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(term.app, "notify", lambda text, **_: said.append(text))
    monkeypatch.setattr("kubetui.app.FAILURE_SECONDS", 1e6)
    for number in range(50):
        term.app.fail(f"failure {number}")
        term.app.fail(f"failure {number}")
    assert said == [*(f"failure {n}" for n in range(4)), "More has failed: L shows all of it."]


async def test_delete_spares_a_namesake(term: Terminal) -> None:
    await term.workload("db")
    await term.pod("db-0")
    await term.press("ctrl+d")
    await term.wait(lambda: isinstance(term.app.screen, Confirm))
    pod = copy.deepcopy(term.api.get("Pod", "db-0"))
    term.api.remove("Pod", "db-0")
    pod["metadata"]["uid"] = "another"
    term.api.put(pod)
    await term.press("enter")
    await term.wait(lambda: any("is another one by now" in n.message for n in term.app._notifications))
    assert not term.sent("DELETE")


async def test_a_change_while_nobody_answers_is_said_in_words(term: Terminal) -> None:
    await term.workload("web")
    term.api.down = True
    term.api.cut()
    await term.press("space")
    await term.wait(
        lambda: any("the server closed the connection" in n.message for n in term.app._notifications)
    )
    assert not term.app.undo_stack


async def test_roll_back_keeps_what_changed_while_one_looked(term: Terminal) -> None:
    await open_rollback(term)
    term.api.change("Deployment", "web", lambda d: d["metadata"]["annotations"].update({LAST_APPLIED: "new"}))
    await term.press("enter")
    await yes(term)
    _, body = await term.request("PATCH", "deployments/web")
    assert next(op["value"] for op in body if op["path"] == "/metadata/annotations")[LAST_APPLIED] == "new"


async def test_marks_that_a_filter_hides_are_counted_and_spared(term: Terminal) -> None:
    await term.press("ctrl+a")
    await term.sees("7 marked")
    await term.press("slash", "w", "e", "b", "enter")
    await term.sees("7 marked (6 hidden)")
    assert [r.name for r in term.app.dashboard.refs()] == ["web"]


async def test_the_difference_can_be_searched_from_its_revisions(term: Terminal) -> None:
    screen = await open_rollback(term)
    await term.press("slash", "i", "m", "a", "g", "e", "enter")
    await term.wait(lambda: len(screen.difference.hits) >= 1)
    before = screen.difference.hit
    await term.press("n")
    assert len(screen.difference.hits) == 1 or screen.difference.hit != before
