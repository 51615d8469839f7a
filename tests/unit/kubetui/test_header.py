"""The first line: where one is and how the connection is come before how one got there."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakeapi import FakeAPI
from fakeworld import World
from rich.cells import cell_len
from steps import open_logs
from terminal import Terminal, terminal

from kubetui.frame import trail_of
from kubetui.screens.browser import BrowserScreen


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (40, "  ›  pods  ›  services  ›  nodes"),
        (30, "  …  ›  services  ›  nodes"),
        (20, "  …  ›  nodes"),
        (13, "  …  ›  nodes"),
        (12, ""),
    ],
)
def test_the_way_is_cut_at_its_start(room: int, shown: str) -> None:
    assert "".join(t for t, _ in trail_of(["pods", "services", "nodes"], room)) == shown


def test_a_title_that_does_not_fit_alone_is_cut() -> None:
    trail = "".join(t for t, _ in trail_of(["pods", "describe pod/" + "x" * 200], 60))
    assert cell_len(trail) == 60
    assert trail.startswith("  …  ›  describe pod/x")


async def test_after_many_commands_the_last_one_is_named(term: Terminal) -> None:
    for _ in range(4):
        await term.command("deploy")
        await term.command("nodes")
    await term.sees("›  nodes")


async def test_a_table_of_another_namespace_says_which(term: Terminal) -> None:
    await term.command("po kube-system,default")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen))
    await term.sees("ns kube-system, default")
    await term.command("po all")
    await term.sees("ns all namespaces")
    await term.command("cm nowhere")
    await term.sees("no configmaps in nowhere")


@pytest.mark.parametrize("width", [80, 100])
async def test_a_lost_connection_is_named_on_every_screen(api: FakeAPI, tmp_path: Path, width: int) -> None:
    async with terminal(api, tmp_path, (width, 24)) as term:
        await term.command("deploy /web")
        screen = await open_logs_from_table(term)
        assert screen
        await term.sees("● follow")
        api.down = True
        api.cut()
        await term.sees("reconnecting")
        await term.sees("◍ follow")
        api.down = False
        await term.sees("● follow")


async def open_logs_from_table(term: Terminal) -> object:
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)
    await term.press("l")
    return await term.wait(lambda: getattr(term.app.screen, "logview", None))


async def test_the_logs_pane_does_not_say_that_it_follows_what_is_gone(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await open_logs(term)
        await term.press("escape")
        api.down = True
        api.cut()
        await term.sees("◍ follow")


@pytest.mark.parametrize(
    ("watched", "said"),
    [
        (None, "Save a manifest in a watched file"),
        (("/srv/app", "/srv/more.yaml"), "Save a manifest in /srv/app, /srv/more.yaml"),
        ((), "Start kubetui with a folder"),
    ],
)
async def test_an_empty_cluster_names_where_manifests_go(
    tmp_path: Path, watched: tuple[str, ...] | None, said: str
) -> None:
    api = FakeAPI()
    World(api).namespace("default")
    api.start()
    try:
        async with terminal(api, tmp_path, wait=False, own_cluster=True, watched=watched) as term:
            await term.sees(said)
    finally:
        api.stop()


async def test_what_has_to_be_known_is_said_once_the_cluster_is_shown(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path, warning="./app is not watched.") as term:
        await term.wait(lambda: [n.message for n in term.app._notifications] == ["./app is not watched."])


async def test_a_kind_that_is_asked_for_again_takes_its_own_place(term: Terminal) -> None:
    await term.command("po")
    await term.command("po /web")
    await term.wait(lambda: getattr(term.app.screen, "kind", None) and term.app.screen.table.filter)
    assert [s.TITLE_TEXT for s in term.app.screen_stack[1:]] == ["pods"]
    await term.command("deploy")
    await term.command("po")
    await term.wait(lambda: len(term.app.screen_stack) == 4)
