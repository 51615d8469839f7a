"""What the tests of the actions do again and again: find, choose, answer, edit."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

from kubetui.commands.copy import CopyDialog, CopyScreen
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dialogs import Confirm, Picker, Prompt
from kubetui.screens.logs import LogScreen
from kubetui.screens.rollback import RollbackScreen


def current(term: Terminal) -> str:
    return term.app.dashboard.workloads.table.current.data["metadata"]["name"]


async def pane(term: Terminal, key: str, name: str) -> None:
    await term.press(key)
    found = term.app.dashboard.pane_of_focus()
    assert found.id == name
    assert found.display


async def resized(term: Terminal, key: str, attribute: str, sign: int) -> None:
    before = getattr(term.app.layout_state, attribute)
    await term.press(key)
    assert (getattr(term.app.layout_state, attribute) - before) * sign > 0


def shown(term: Terminal) -> list[str]:
    return [r.data["metadata"]["name"] for r in term.app.dashboard.workloads.table.order]


async def pick(term: Terminal, text: str) -> None:
    await term.wait(lambda: isinstance(term.app.screen, Picker))
    await term.press(*[{"-": "minus", " ": "space"}.get(c, c) for c in text], "enter")


async def open_logs(term: Terminal) -> LogScreen:
    await term.workload("web")
    await term.press("l")
    screen: LogScreen = await term.wait(lambda: isinstance(term.app.screen, LogScreen) and term.app.screen)
    await term.wait(lambda: len(screen.logview.spool) >= 36)
    spool = screen.logview.spool
    await term.wait(lambda: f" {len(spool):,} lines" in term.text())  # the view has taken them in
    return screen


def replicas(term: Terminal, name: str = "web") -> int:
    return term.api.get("Deployment", name)["spec"]["replicas"]


async def answer(term: Terminal, text: str) -> None:
    await term.wait(lambda: isinstance(term.app.screen, Prompt))
    term.app.screen.query_one("#value").value = text
    await term.press("enter")


async def open_rollback(term: Terminal, name: str = "web") -> RollbackScreen:
    await term.workload(name)
    await term.press("r")
    shown = lambda: isinstance(term.app.screen, RollbackScreen) and term.app.screen.chosen and term.app.screen  # noqa: E731
    return await term.wait(shown)


async def yes(term: Terminal) -> None:
    await term.wait(lambda: isinstance(term.app.screen, Confirm))
    await term.press("enter")


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDITOR", str(path))


async def nodes(term: Terminal) -> None:
    await term.command("nodes")
    await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)


async def copy(term: Terminal, source: str, target: str) -> CopyScreen:
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("f")
    dialog = await term.wait(lambda: isinstance(term.app.screen, CopyDialog) and term.app.screen)
    dialog.query_one("#from").value, dialog.query_one("#to").value = source, target
    await term.press("enter")
    return await term.wait(lambda: isinstance(term.app.screen, CopyScreen) and term.app.screen)


async def forward(term: Terminal) -> int:
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    await term.press("F")
    await answer(term, "0:8080")
    return await term.wait(lambda: term.app.forwarding.items[0].local)


async def echo(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello")
    data = await asyncio.wait_for(reader.read(100), 60)
    writer.close()
    return data


async def manifest(term: Terminal, name: str) -> None:
    await term.press("6")
    await term.row(term.app.dashboard.manifests.table, name)


async def requested(term: Terminal, name: str) -> dict[str, Any]:
    _, body = await term.request("PATCH", name)
    found: dict[str, Any] = json.loads(body["metadata"]["annotations"]["kubetui.io/request"])
    assert found.pop("id")
    return found


def paused_source(configmap: dict[str, Any]) -> None:
    status = json.loads(configmap["data"]["status.json"])
    configmap["data"]["status.json"] = json.dumps({**status, "paused": True})
