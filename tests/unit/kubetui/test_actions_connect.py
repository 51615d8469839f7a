"""Pilot tests of the actions for going into the cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from steps import copy, echo, forward
from terminal import Terminal
from textual import events


async def test_shell(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(loop: Any, stream: Any, output: Any, title: str, ahead: bytes) -> Any:
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


async def test_what_is_typed_while_a_shell_opens_goes_into_it(
    term: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(loop: Any, stream: Any, output: Any, title: str, ahead: bytes) -> Any:
        async def talk() -> Any:
            await stream.write(ahead + b"exit\r")
            return await stream.run()

        return asyncio.run_coroutine_threadsafe(talk(), loop).result(5)

    monkeypatch.setattr("kubetui.commands.connect.run_terminal", run)
    await term.workload("web")
    await term.pod("web-6b7c4d9f8-4kx2p")
    term.api.slow = 0.5
    for letter in ("s", "l", "s"):
        term.app.post_message(events.Key(letter, letter))
    term.app.post_message(events.Key("enter", "\r"))
    await term.wait(lambda: b"\x00ls\rexit\r" in term.api.exec_received)


async def test_attach(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    def run(loop: Any, stream: Any, output: Any, title: str, ahead: bytes) -> Any:
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
