"""Driving the terminal in tests: a fake API, the app without a screen, and waiting for what should be seen."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fakeapi import FakeAPI
from fakeworld import World
from textual.pilot import Pilot

from kubetui.app import KubetuiApp
from kubetui.options import AppOptions
from kubetui.widgets.table import Table


class Terminal:
    """The app, its pilot and the API behind it."""

    def __init__(self, app: KubetuiApp, pilot: Pilot[Any], api: FakeAPI) -> None:
        self.app, self.pilot, self.api = app, pilot, api

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause(0.02)

    async def wait(self, condition: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Wait until ``condition()`` is true (an error counts as not yet); return its value."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
                value = condition()
                if value:
                    return value
            if time.monotonic() > deadline:
                raise AssertionError("not seen in time; the screen shows:\n" + self.text())
            await self.pilot.pause(0.02)

    async def sees(self, text: str, seconds: float = 5.0) -> None:
        await self.wait(lambda: text in self.text(), seconds)

    def text(self) -> str:
        """What the screen shows, without styles."""
        screen = self.app.screen
        width, height = screen.size
        lines = screen._compositor.render_strips(screen.size)
        return "\n".join(strip.text[:width].rstrip() for strip in lines[:height])

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
        await self.press("colon")
        await self.pilot.pause(0.05)
        await self.press(
            *[
                {" ": "space", "/": "slash", "-": "minus", "=": "equals_sign", ".": "full_stop"}.get(c, c)
                for c in line
            ]
        )
        await self.press("enter")

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
    """Run the app against the API; returns once the workloads are shown."""
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    app = KubetuiApp(AppOptions(kubeconfig=kubeconfig, config_path=str(tmp_path / "config.yaml"), **options))
    if prepare is not None:
        prepare(app)
    async with app.run_test(size=size, notifications=True) as pilot:
        found = Terminal(app, pilot, api)
        if wait:
            await found.wait(
                lambda: app.dashboard.session.pods.synced and app.dashboard.workloads.table.order, 10
            )
            await found.wait(lambda: all(w.synced for w in app.dashboard.session.workloads.values()), 10)
            await pilot.pause(0.05)
        yield found
        await asyncio.sleep(0)


def weather(now: float | None = None) -> FakeAPI:
    """An API with a namespace in which something of everything happens, running."""
    api = FakeAPI()
    World(api, now).weather()
    api.start()
    return api
