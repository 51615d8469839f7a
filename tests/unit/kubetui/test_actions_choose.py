"""Pilot tests of the actions for choosing what to see, and the program itself."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import pytest
from fakeapi import FakeAPI, now_text
from fakeworld import World
from steps import answer, current, pick, shown
from terminal import Terminal, terminal
from textual import events

from kubetui.app import KubetuiApp
from kubetui.connection import Access
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dialogs import Picker


async def test_filter(term: Terminal) -> None:
    await term.press("slash", "w", "e", "b", "q")
    await term.sees("nothing matches webq: esc shows all 7")
    await term.press("backspace")
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


async def test_a_pod_that_stays_pending_is_broken(term: Terminal) -> None:
    began = time.time()
    term.app.clock = lambda: began
    pod = copy.deepcopy(term.api.get("Pod", "db-0"))
    pod["metadata"].update(name="stays", uid="stays", creationTimestamp=now_text(began - 30))
    pod["status"] = {"phase": "Pending"}
    term.api.put(pod)
    await term.command("pods")
    await term.sees("stays")
    table = term.app.screen.table
    await term.press("b")
    await term.wait(lambda: not table.rows["stays"].shown)
    term.app.clock = lambda: began + 40
    await term.wait(lambda: table.rows["stays"].shown)


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


async def test_namesakes_stand_in_the_order_of_their_namespaces(api: FakeAPI, tmp_path: Path) -> None:
    for number in range(8):  # their uids stand in another order
        space = f"team-{number}"
        World(api, namespace=space).deployment("web", "web:1", 1, 10)
        api.change("Deployment", "web", lambda d, n=number: d["metadata"].update(uid=f"uid-{9 - n}"), space)
    async with terminal(api, tmp_path) as term:
        await term.press("0")
        await term.wait(lambda: shown(term).count("web") == 9)
        spaces = [
            row.data["metadata"]["namespace"]
            for row in term.app.dashboard.workloads.table.order
            if row.data["metadata"]["name"] == "web"
        ]
        assert spaces == sorted(spaces)


async def test_sort_status(term: Terminal) -> None:
    await term.workload("api")
    await term.press("S")
    await term.wait(lambda: term.app.dashboard.workloads.table.sort_key == "state")


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
    await term.wait(lambda: "Workloads 7" not in term.text() and "2 stuck ─" not in term.text())
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
    await term.wait(lambda: term.app.connection_state.context == "other")
    await term.wait(lambda: term.app.namespaces == ("kube-system",))


async def test_palette(term: Terminal) -> None:
    await term.command("deploy /web")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen))
    await term.wait(lambda: [r.data["metadata"]["name"] for r in term.app.screen.table.order] == ["web"])


async def test_theme(term: Terminal) -> None:
    await term.press("ctrl+y")
    await pick(term, "kubetui-light")
    await term.wait(lambda: term.app.theme == "kubetui-light")


async def test_help(term: Terminal) -> None:
    await term.workload("web")
    await term.press("question_mark")
    await term.sees("Roll back")
    await term.sees("kubectl scale --replicas=N")


async def test_quit(term: Terminal) -> None:
    await term.press("q")
    await term.wait(lambda: term.app.return_code == 0 or not term.app.is_running)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("ctx", "other"),
        ("pulses", "Pods and nodes"),
        ("pf", "There are no port-forwards"),
        ("help", "Here and now"),
        ("xray deploy", "trees of deployments"),
        ("zq", "There is no kind or action like"),
    ],
)
async def test_words_that_fingers_know(term: Terminal, line: str, seen: str) -> None:
    await term.command(line)
    await term.sees(seen)


async def test_a_word_for_a_pane_leads_back_to_it(term: Terminal) -> None:
    await term.command("svc")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen))
    await term.command("wk")
    await term.wait(lambda: term.app.dashboard.pane_of_focus().id == "workloads")
    assert term.app.screen is term.app.dashboard


async def test_quit_by_word(term: Terminal) -> None:
    await term.command("q!")
    await term.wait(lambda: term.app.return_code == 0)


async def test_another_context_and_back_to_the_own_cluster(
    api: FakeAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", api.kubeconfig(tmp_path / "mine"))

    def embedded(app: KubetuiApp) -> None:
        app.connection._access = Access(lambda: str(tmp_path / "kubeconfig"), None)
        app.options.kubeconfig = lambda: "started twice"

    async with terminal(api, tmp_path, prepare=embedded, own_cluster=True) as term:
        await term.command("ctx nowhere")
        await term.sees("There is no context 'nowhere'. There are: fake, other.")
        await term.command("ctx other")
        await term.wait(lambda: term.app.connection_state.context == "other")
        assert not term.app.options.own_cluster
        await term.press("ctrl+k")
        await pick(term, "this machine")
        await term.wait(lambda: term.app.connection_state.context == "fake")
        assert term.app.options.own_cluster
        await term.wait(lambda: "web" in shown(term))


async def test_what_is_typed_behind_a_key_is_meant_for_its_dialog(term: Terminal) -> None:
    term.api.slow = 0.6
    term.app.post_message(events.Key("n", "n"))
    for letter in "monitoring":
        term.app.post_message(events.Key(letter, letter))
    await term.sees("the server is being asked")
    term.app.post_message(events.Key("enter", None))
    await term.wait(lambda: term.app.namespaces == ("monitoring",))
    assert term.app.screen is term.app.dashboard
    assert not term.sent("PATCH")


async def test_what_is_pasted_behind_a_key_is_meant_for_its_dialog(term: Terminal) -> None:
    term.api.slow = 0.6
    term.app.post_message(events.Key("n", "n"))
    term.app.post_message(events.Paste("monitor"))
    for letter in "ing":
        term.app.post_message(events.Key(letter, letter))
    term.app.post_message(events.Key("enter", None))
    await term.wait(lambda: term.app.namespaces == ("monitoring",))


async def test_escape_gives_up_waiting(term: Terminal) -> None:
    term.api.slow = 3.0
    await term.press("n")
    await term.sees("the server is being asked")
    await term.press("s", "escape")
    await term.wait(lambda: "the server is being asked" not in term.text())
    await term.press("2")
    assert term.app.dashboard.pane_of_focus().id == "pods"
