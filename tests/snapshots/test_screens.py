"""Every screen at three sizes with fixed data and a fixed clock, compared with what was agreed on.

A snapshot is the text of the screen; each line ends with a checksum of its styles, so that a change of colour is
seen as well. ``UPDATE_SNAPSHOTS=1`` writes them anew, for a person to look at in the difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit" / "kubetui"))

from fakeapi import FakeAPI  # noqa: E402
from fakeworld import World, waiting_file  # noqa: E402
from terminal import Terminal, terminal  # noqa: E402

from kubetui.app import KubetuiApp  # noqa: E402

NOW = 1_800_000_000.0
SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture(autouse=True)
def quiet_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    found = FakeAPI()
    World(found, NOW).weather()
    found.start()
    yield found
    found.stop()


def dump(term: Terminal) -> str:
    """The screen as text with a checksum of the styles of each line."""
    screen = term.app.screen
    lines = []
    for strip in screen._compositor.render_strips(screen.size)[: screen.size.height]:
        runs = "|".join(f"{len(s.text)}:{s.style}" for s in strip.simplify())
        lines.append(f"{strip.text}▏{zlib.crc32(runs.encode()) & 0xFFFF:04x}")
    return "\n".join(lines) + "\n"


async def compare(term: Terminal, name: str) -> None:
    path = HERE / "screens" / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(await at_rest(term), "utf-8")
        return
    assert path.exists(), f"no snapshot {path.name}: run with UPDATE_SNAPSHOTS=1 and look at it"
    expected = path.read_text("utf-8")
    # a screen fills as answers come in; what counts is what it comes to
    with contextlib.suppress(AssertionError):
        await term.wait(lambda: dump(term) == expected)
    assert dump(term) == expected


async def at_rest(term: Terminal) -> str:
    """The screen once two looks that follow each other see the same."""
    before = ""
    for _ in range(100):
        await term.pilot.pause(0.06)
        seen = dump(term)
        if seen == before:
            break
        before = seen
    return before


Step = Callable[[Terminal], Awaitable[None]]


async def dashboard(term: Terminal) -> None:
    await term.workload("web")
    await term.sees("ImagePullBackOff")
    await term.wait(lambda: term.app.catalog)  # the palette offers what it knows of when a key is pressed
    await logs_are_there(term)
    await use_is_there(term)


async def use_is_there(term: Terminal) -> None:
    usage = term.app.dashboard.usage
    await term.wait(lambda: not usage.display or usage.table.rows)


async def measured(term: Terminal, api: FakeAPI) -> None:
    """Two minutes of measurements."""
    await term.wait(lambda: term.app.measuring.book.nodes)
    term.app.measuring._stop()
    term.app.measuring.tick = lambda: None
    world = World(api, NOW)
    for step in range(12):
        found = world.metrics(120 - step * 10, step)
        pods = [m for m in found if m["kind"] == "PodMetrics"]
        term.app.dashboard.show_usage(term.app.measuring.book.take(pods, found[-1:]))


async def logs_are_there(term: Terminal) -> None:
    logs = term.app.dashboard.logs
    await term.wait(lambda: not logs.display or (logs.name_shown == "web" and len(logs.view.spool) == 36))
    await term.wait(lambda: not logs.display or "36 lines" in term.text())


async def on_web(term: Terminal, *keys: str) -> None:
    await dashboard(term)
    await term.press(*keys)


async def logs(term: Terminal) -> None:
    await on_web(term, "l")
    await term.wait(lambda: len(term.app.screen.logview.spool) == 36)


async def json_logs(term: Terminal) -> None:
    await term.workload("api")
    await term.press("l")
    await term.sees("database away")


async def describe(term: Terminal) -> None:
    await on_web(term, "d")
    await term.wait(lambda: any("Scaled up replica set" in row.text for row in term.app.screen.lines.lines))


async def describe_pod(term: Terminal) -> None:
    await term.workload("mailer")
    await term.pod("mailer-66d-pp2vd")
    await term.press("d")
    await term.wait(
        lambda: any("Back-off restarting failed" in row.text for row in term.app.screen.lines.lines)
    )


async def yaml(term: Terminal) -> None:
    await on_web(term, "y")
    await term.sees("apiVersion: apps/v1")


async def rollback(term: Terminal) -> None:
    await on_web(term, "r")
    await term.sees("release 1.26")


async def rollback_asks(term: Terminal) -> None:
    await rollback(term)
    await term.press("enter")
    await term.sees("back to revision 6?")


async def delete_asks(term: Terminal) -> None:
    await on_web(term, "ctrl+d")
    await term.sees("Delete deployment/web in default?")


async def scale_asks(term: Terminal) -> None:
    await on_web(term, "s")
    await term.sees("Scale deployment/web")


async def palette(term: Terminal) -> None:
    await on_web(term, "colon", "p", "o")
    await term.sees("pods")


async def namespaces(term: Terminal) -> None:
    await on_web(term, "n")
    await term.sees("monitoring")


async def help_page(term: Terminal) -> None:
    await on_web(term, "question_mark")
    await term.sees("Here and now")


async def browser(term: Terminal) -> None:
    await term.command("po")
    await term.sees("web-7c9d5bb6f-x2r9c")


async def tree(term: Terminal) -> None:
    await on_web(term, "t")
    await term.sees("container app")


async def manifests(term: Terminal) -> None:
    await dashboard(term)
    await term.press("6", "z")
    await term.sees("spec.replicas: file 2, live 3")


async def usage(term: Terminal) -> None:
    await dashboard(term)
    await term.press("a", "7", "z")
    await measured(term, term.api)
    await term.sees("└ exporter")


async def pulse(term: Terminal) -> None:
    await dashboard(term)
    await term.command("pulse")
    await measured(term, term.api)
    await term.sees("deployment/mailer")
    term.app.screen.redraw()


async def preview(term: Terminal) -> None:
    waiting_file(World(term.api, NOW))
    await dashboard(term)
    await term.press("6")
    await term.row(term.app.dashboard.manifests.table, "settings.yaml")
    await term.press("p")
    await term.sees("mode: slow")


async def copy_asks(term: Terminal) -> None:
    await on_web(term, "f")
    await term.sees("is in the container")
    term.app.screen.query_one("#to").value = "/home/ada/"


async def inside(term: Terminal) -> None:
    await term.workload("db")
    await term.pod("db-1")
    await term.press("I")
    await term.wait(lambda: any("podman ps" in row.text for row in term.app.screen.lines.lines))


SCREENS: dict[str, Step] = {
    f.__name__: f
    for f in (
        dashboard, logs, json_logs, describe, describe_pod, yaml, rollback, rollback_asks, delete_asks, scale_asks,
        palette, namespaces, help_page, browser, tree, manifests, usage, pulse, preview, copy_asks, inside,
    )
}  # fmt: skip


def still(app: KubetuiApp) -> None:
    app.clock = lambda: NOW


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", SCREENS)
async def test_screen(name: str, size: tuple[int, int], api: FakeAPI, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    async with terminal(api, tmp_path, size, prepare=still) as term:
        term.app.config_file = Path("~/.config/kubetui/config.yaml")
        await SCREENS[name](term)
        await compare(term, f"{name}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_light(size: tuple[int, int], api: FakeAPI, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("theme: kubetui-light\n")
    async with terminal(api, tmp_path, size, prepare=still) as term:
        await dashboard(term)
        await compare(term, f"light-{size[0]}x{size[1]}")


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_empty_cluster(size: tuple[int, int], tmp_path: Path) -> None:
    api = FakeAPI()
    World(api, NOW).namespace("default")
    api.start()
    try:
        async with terminal(api, tmp_path, size, prepare=still, wait=False, own_cluster=True) as term:
            await term.sees("Nothing runs in default yet")
            session = term.app.dashboard.session
            await term.wait(lambda: session.events.synced and session.sources.synced and session.pods.synced)
            await compare(term, f"empty-{size[0]}x{size[1]}")
    finally:
        await asyncio.to_thread(api.stop)
