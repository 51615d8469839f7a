"""Driving the terminal in tests: a fake API, the app without a screen, and waiting for what should be seen."""

from __future__ import annotations

import asyncio
import contextlib
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fakeapi import FakeAPI
from fakeworld import World
from textual import events
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot

from kubetui.app import KubetuiApp
from kubetui.options import AppOptions
from kubetui.widgets.table import Table

PATIENCE = 60.0  # seconds; how long a thing takes says how busy the machine is, not whether it works


def key_event(key: str) -> events.Key:
    """A key by Textual's name of it, or a character that is typed."""
    name = _character_to_key(key) if len(key) == 1 else key
    if len(key) == 1:
        return events.Key(name, key)
    try:
        return events.Key(name, unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(name, name))))
    except KeyError:
        return events.Key(name, None)


class Terminal:
    """The app, its pilot and the API behind it."""

    def __init__(self, app: KubetuiApp, pilot: Pilot[Any], api: FakeAPI) -> None:
        self.app, self.pilot, self.api = app, pilot, api

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, each once the one before it has been dealt with."""
        for key in keys:
            self.app.post_message(key_event(key))
            await self.settled()

    async def settled(self) -> None:
        """Wait until the keys have come to who takes them, or wait for the server, and all widgets have heard of it.

        Textual's own pilot takes a process that gets no processor for one that is done.
        """
        app = self.app

        def arrived() -> bool:
            on_its_way = app._key_on_its_way
            gone = app._key_taker is None or not app._key_taker.is_attached
            done = not app._waiting_keys and (on_its_way is None or on_its_way._stop_propagation or gone)
            return done or bool(app._expected) or app._exit

        await self.pilot.pause(0)
        await self.wait(arrived)
        await self.pilot.pause(0)

    async def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until ``condition()`` is true (an error counts as not yet); return its value."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError, FileNotFoundError):
                value = condition()
                if value:
                    return value
            if time.monotonic() > deadline:
                raise AssertionError("not seen in time; the screen shows:\n" + self.text())
            await self.pilot.pause(0.02)

    async def sees(self, text: str, seconds: float = PATIENCE) -> None:
        await self.wait(lambda: text in self.text(), seconds)

    def text(self) -> str:
        """What the screen shows, without styles."""
        screen = self.app.screen
        width, height = screen.size
        lines = screen._compositor.render_strips(screen.size)
        return "\n".join(strip.text[:width].rstrip() for strip in lines[:height])

    async def filled(self) -> None:
        """Wait until what a dashboard begins with has arrived."""
        await self.wait(lambda: self.app.dashboard.workloads.table.order)
        session = self.app.dashboard.session
        for kind in (*session.workloads.values(), session.pods, session.events, session.sources):
            await self.wait(lambda kind=kind: kind.synced)

    async def workload(self, name: str) -> None:
        """Put the cursor on a workload."""
        await self.row(self.app.dashboard.workloads.table, name)
        self.app.dashboard.workloads.table.focus()
        await self.pilot.pause(0.02)

    async def pod(self, name: str) -> None:
        """Put the cursor on a pod of the selected workload."""
        table = self.app.dashboard.pods.table
        await self.row(table, name)
        table.focus()
        await self.pilot.pause(0.02)

    async def row(self, table: Table, name: str) -> None:
        """Put a table's cursor on the row whose cells contain a text."""

        def find() -> bool:
            for index, row in enumerate(table.order):
                if any(name == c.text or c.text.endswith(name) for c in row.cells):
                    table.move_to(index)
                    return True
            return False

        await self.wait(find)

    async def command(self, line: str) -> None:
        """Type a line into the palette."""
        await self.press("colon", *line, "enter")

    def sent(self, method: str) -> list[Any]:
        """Bodies of the requests of that method, oldest first."""
        return [body for m, _, body in self.api.requests if m == method]

    async def request(self, method: str, ending: str = "") -> Any:
        """The last request of that method, once there is one."""
        return await self.wait(
            lambda: next(
                (
                    (path, body)
                    for m, path, body in reversed(self.api.requests)
                    if m == method and path.endswith(ending)
                ),
                None,
            )
        )


@contextlib.asynccontextmanager
async def terminal(
    api: FakeAPI,
    tmp_path: Path,
    size: tuple[int, int] = (120, 40),
    *,
    wait: bool = True,
    prepare: Callable[[KubetuiApp], None] | None = None,
    **options: Any,
) -> AsyncIterator[Terminal]:
    """Run the app against the API; returns once all that a dashboard begins with has arrived."""
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    app = KubetuiApp(AppOptions(kubeconfig=kubeconfig, config_path=str(tmp_path / "config.yaml"), **options))
    if prepare is not None:
        prepare(app)
    async with app.run_test(size=size, notifications=True) as pilot:
        found = Terminal(app, pilot, api)
        if wait:
            await found.filled()
            await found.wait(lambda: app.catalog)
            await pilot.pause(0.05)
        yield found
        await asyncio.sleep(0)


def weather(now: float | None = None) -> FakeAPI:
    """An API with a namespace in which something of everything happens, running."""
    api = FakeAPI()
    World(api, now).weather()
    api.start()
    return api
