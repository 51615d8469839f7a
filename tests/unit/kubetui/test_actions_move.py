"""Pilot tests of the actions for moving about."""

from __future__ import annotations

from steps import current, pane, resized
from terminal import Terminal

from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dashboard import Dashboard
from kubetui.screens.logs import LogScreen
from kubetui.screens.text import TextScreen


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


async def test_wider(term: Terminal) -> None:
    await resized(term, "ctrl+right", "split", 1)


async def test_narrower(term: Terminal) -> None:
    await resized(term, "ctrl+left", "split", -1)


async def test_taller(term: Terminal) -> None:
    await resized(term, "ctrl+down", "top", 1)


async def test_shorter(term: Terminal) -> None:
    await resized(term, "ctrl+up", "top", -1)
