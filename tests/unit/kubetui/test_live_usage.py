"""Use against requests and limits: sums, shares, history, and measuring only while somebody looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeAPI, Status
from fakeworld import World
from steps import answer
from terminal import terminal

from kubetui.live.layout import LayoutState, arrange
from kubetui.live.pulse import node_health, warnings_of
from kubetui.live.usage import HISTORY, Bounds, UsageBook, load_style, node_bounds, pod_bounds, sparkline
from kubetui.panes.usage import share
from kubetui.screens.browser import USE, BrowserScreen


def metrics(at: str, name: str = "a", **containers: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": name},
        "timestamp": at,
        "containers": [{"name": n, "usage": {"cpu": c, "memory": "1Mi"}} for n, c in containers.items()],
    }


def test_a_sample_is_counted_once_and_history_is_bounded() -> None:
    book = UsageBook()
    assert book.take([metrics("1", app="250m", side="50m")], []) == {("default", "a")}
    assert book.take([metrics("1", app="250m", side="50m")], []) == set()
    assert list(book.pods["default", "a"].cpu) == [pytest.approx(0.3)]
    for number in range(2, 200):
        book.take([metrics(str(number), app="1")], [])
    assert len(book.pods["default", "a"].cpu) == HISTORY
    assert ("default", "a", "side") not in book.containers
    assert book.take([metrics("1", "b", app="1")], []) == {("default", "a"), ("default", "b")}
    assert set(book.pods) == set(book.rows) == {("default", "b")}


def test_a_limit_counts_only_where_all_containers_have_one() -> None:
    limited = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    asking = {"resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}}}
    sidecar = {
        "restartPolicy": "Always",
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    }
    once = {"resources": {"requests": {"cpu": "64"}}}
    pod = {"spec": {"containers": [limited, asking], "initContainers": [sidecar, once]}}
    assert pod_bounds(pod) == Bounds(2.25, 0.0, 3 * 2.0**30, 3 * 2.0**30)


def test_a_node_carries_what_runs_on_it() -> None:
    def pod(node: str, phase: str) -> dict[str, Any]:
        spec = {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": "1"}}}]}
        return {"spec": spec, "status": {"phase": phase}}

    node = {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}}
    pods = [pod("n", "Running"), pod("n", "Succeeded"), pod("m", "Running"), pod("n", "Pending")]
    assert node_bounds(node, pods) == Bounds(2.0, 4.0, 0.0, 8 * 2.0**30)


@pytest.mark.parametrize(
    ("use", "bounds", "text", "style"),
    [
        (0.5, (0.0, 0.0), "-", "dim"),
        (0.5, (0.25, 0.0), "200%r", "dim"),
        (0.5, (0.25, 1.0), "50%", "ok"),
        (0.8, (0.25, 1.0), "80%", "warn"),
        (0.95, (0.0, 1.0), "95%", "bad"),
    ],
)
def test_share(use: float, bounds: tuple[float, float], text: str, style: str) -> None:
    assert share(use, bounds) == text
    assert load_style(use, bounds[1]) == style


def test_sparkline_against_a_limit() -> None:
    assert sparkline([0.0, 0.5, 1.0, 2.0], 1.0) == "▁▂▄█"
    assert sparkline([1.0, 1.0], 100.0) == "▁▁"


def test_warnings_by_minute() -> None:
    def event(kind: str, reason: str, at: str) -> dict[str, Any]:
        return {"metadata": {"name": "e"}, "type": kind, "reason": reason, "lastTimestamp": at}

    now = 1_800_000_000.0  # 2027-01-15T08:00:00Z
    found = warnings_of(
        [
            event("Warning", "BackOff", "2027-01-15T07:59:50Z"),
            event("Warning", "BackOff", "2027-01-15T07:58:30Z"),
            event("Warning", "Failed", "2027-01-15T07:40:00Z"),
            event("Warning", "Failed", "2027-01-15T06:00:00Z"),
            event("Normal", "Pulled", "2027-01-15T07:59:50Z"),
        ],
        now,
    )
    assert found.minutes[-2:] == (1, 1)
    assert sum(found.minutes) == 3
    assert found.rate == pytest.approx(0.4)
    assert found.reasons == (("BackOff", 2), ("Failed", 1))


def test_health_of_a_node() -> None:
    ready = {"type": "Ready", "status": "True"}
    assert node_health({"status": {"conditions": [ready]}}) == "ok"
    assert node_health({"spec": {"unschedulable": True}, "status": {"conditions": [ready]}}) == "warn"
    full = {"type": "DiskPressure", "status": "True"}
    assert node_health({"status": {"conditions": [ready, full]}}) == "warn"
    assert node_health({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}) == "bad"


def test_the_lower_row_holds_three_panes_where_there_is_room() -> None:
    def lower(width: int, slot: str, manifests: bool = True, usage: bool = True) -> list[str]:
        places = arrange(width, 60, LayoutState(slot=slot), manifests, usage)
        row = max(p.y for p in places)
        assert (
            sum(p.width for p in places if p.y == row) + len([p for p in places if p.y == row]) - 1 == width
        )
        return [p.pane for p in places if p.y == row]

    assert lower(200, "pods") == ["events", "manifests", "usage"]
    assert lower(120, "pods") == ["events", "manifests"]
    assert lower(120, "usage") == ["events", "usage"]
    assert lower(120, "pods", manifests=False) == ["events", "usage"]
    assert lower(120, "usage", usage=False) == ["events", "manifests"]


async def test_use_is_measured_only_while_it_is_seen(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path, (80, 24)) as term:
        assert not term.app.dashboard.shows_usage()
        await term.pilot.pause(1.2)
        assert not term.app.measuring.book.pods
        await term.press("7")
        await term.wait(lambda: term.app.measuring.book.pods)
        await term.sees("1770m")
        await term.press("4")
        await term.wait(lambda: term.app.measuring._job is None)


async def test_columns_of_the_pods_at_wide_widths(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path, (300, 80)) as term:
        await term.workload("db")
        await term.sees("272m")
        await term.sees("MEM")


async def test_the_tables_of_pods_and_nodes_show_their_use(api: FakeAPI, tmp_path: Path) -> None:
    api.closed["/apis/metrics.k8s.io/v1beta1/pods"] = Status(403, "Forbidden", "not all of them")
    async with terminal(api, tmp_path, (120, 40)) as term:
        await term.command("po default")  # another namespace than the chosen one is measured as well
        await term.sees("272m")
        await term.press("o")
        await term.press(*"CPU", "enter")
        table = await term.wait(lambda: term.app.screen.table)
        await term.wait(lambda: table.order[-1].cells[table.columns.index(USE[0])].text == "-")
        values = [row.cells[table.columns.index(USE[0])].sort or 0.0 for row in table.order]
        measured = [value for value in values if value]
        assert measured
        assert measured == sorted(measured)
        await term.press("K")
        await answer(term, "NAME, MEM")
        await term.wait(lambda: [c.title for c in term.app.screen.table.columns][1:] == ["NAME", "MEM"])
        await term.sees("Mi")
        await term.command("nodes")
        await term.sees("1770m")
        await term.command("deploy")
        await term.wait(lambda: term.app.measuring._job is None)


async def test_the_pulse_of_nodes_that_are_not_measured(api: FakeAPI, tmp_path: Path) -> None:
    api.closed["/apis/metrics.k8s.io/v1beta1/nodes"] = Status(403, "Forbidden", "not the nodes")
    async with terminal(api, tmp_path, (120, 40)) as term:
        await term.command("pulse")
        await term.sees("CPU 8, asked 600m (8%)")


async def test_a_cluster_that_does_not_measure(tmp_path: Path) -> None:
    found = FakeAPI()
    found.absent = {"metrics.k8s.io"}
    World(found).weather()
    found.start()
    try:
        async with terminal(found, tmp_path, (300, 80)) as term:
            assert not term.app.dashboard.usage.display
            assert "MEM" not in term.text()
            await term.command("po")
            await term.sees("RESTARTS")
            await term.wait(
                lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order
            )
            assert "MEM" not in term.text()
            await term.press("escape")
            await term.press("7")
            await term.sees("does not measure use")
    finally:
        found.stop()


async def test_use_of_a_namespace_needs_no_more_rights_than_that(api: FakeAPI, tmp_path: Path) -> None:
    api.closed["/apis/metrics.k8s.io/v1beta1/pods"] = Status(403, "Forbidden", "not all of them")
    api.closed["/apis/metrics.k8s.io/v1beta1/nodes"] = Status(403, "Forbidden", "not the nodes")
    async with terminal(api, tmp_path, (120, 40)) as term:
        await term.workload("db")
        await term.press("7", "z")
        await term.sees("272m")
        await term.press("0")
        await term.sees("forbidden: not all of them")
