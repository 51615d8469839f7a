"""Commands run inside containers, and joining a container's own streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import exits, state
from .interface import ExecResult, NoSuchItem, RuntimeFailure
from .sessions import HijackedSession
from .transport import Transport

_OUTPUT_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Streams:
    """Which streams are wanted; with a terminal stderr comes out of stdout."""

    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool

    @property
    def output(self) -> frozenset[int]:
        """The numbers of the output streams."""
        return frozenset(number for number, on in ((1, self.stdout), (2, self.stderr)) if on)


async def create(transport: Transport, container_id: str, command: Sequence[str], wanted: Streams) -> str:
    """Prepare a command; returns the exec session's id."""
    body: dict[str, Any] = {
        "AttachStdin": wanted.stdin,
        "AttachStdout": wanted.stdout,
        "AttachStderr": wanted.stderr and not wanted.tty,
        "Tty": wanted.tty,
        "Cmd": list(command),
    }
    if wanted.tty:
        body["Env"] = ["TERM=xterm"]  # as containerd does; a container without a terminal has none
    made = await transport.post(f"/containers/{container_id}/exec", body, urgency=0)
    return str(made["Id"])


async def start(transport: Transport, exec_id: str, wanted: Streams) -> HijackedSession:
    """Start it with its streams."""
    answer = await transport.stream(
        "POST",
        f"/exec/{exec_id}/start",
        body={"Detach": False, "Tty": wanted.tty},
        upgrade=True,
        timeout=30.0,
    )

    async def exit_code() -> int:
        delay = 0.005
        while True:
            try:
                found = await transport.get(f"/exec/{exec_id}/json")
            except NoSuchItem:
                return 137  # its container was removed meanwhile
            if not found.get("Running"):
                return int(found.get("ExitCode") or 0)
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, 0.25)

    return HijackedSession(
        answer,
        tty=wanted.tty,
        wanted=wanted.output,
        exit_code=exit_code,
        set_size=_resizer(transport, f"/exec/{exec_id}/resize"),
    )


async def exec_sync(
    transport: Transport, container_id: str, command: Sequence[str], timeout: float
) -> ExecResult:
    """Run a command to its end; of its output the first mebibyte is kept. TimeoutError, and the command is killed."""
    output = bytearray()
    wanted = Streams(tty=False, stdin=False, stdout=True, stderr=True)
    exec_id = await create(transport, container_id, command, wanted)
    session = await start(transport, exec_id, wanted)
    try:
        async with asyncio.timeout(timeout if timeout > 0 else None):
            while (piece := await session.read()) is not None:
                if len(output) < _OUTPUT_LIMIT:
                    output += piece[1]
            code = await session.wait()
    except TimeoutError:
        await _kill(transport, exec_id, container_id)
        raise TimeoutError(f"command {' '.join(command)!r} timed out after {timeout:g} s") from None
    finally:
        await session.close()
    return ExecResult(code, bytes(output))


async def _kill(transport: Transport, exec_id: str, container_id: str) -> None:
    with contextlib.suppress(RuntimeFailure):
        found = await transport.get(f"/exec/{exec_id}/json")
        pid = int(found.get("Pid") or 0)
        if found.get("Running") and pid > 0:
            exits.kill_process(pid, container_id)


async def attach(transport: Transport, container_id: str, wanted: Streams) -> HijackedSession:
    """Join the container's own streams."""
    params = {
        "stream": True,
        "logs": False,
        "stdin": wanted.stdin,
        "stdout": wanted.stdout,
        "stderr": wanted.stderr and not wanted.tty,
    }
    answer = await transport.stream(
        "POST", f"/containers/{container_id}/attach", params=params, upgrade=True, timeout=30.0
    )

    async def exit_code() -> int:
        # The streams end a moment before Podman knows of the container's end; of a mere detaching it never does.
        for delay in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.0):
            try:
                found = state.inspected_container(await transport.get(f"/containers/{container_id}/json"))
            except NoSuchItem:
                break
            if found.state == "exited":
                return found.exit_code
            await asyncio.sleep(delay)
        return 0

    return HijackedSession(
        answer,
        tty=wanted.tty,
        wanted=wanted.output,
        exit_code=exit_code,
        set_size=_resizer(transport, f"/containers/{container_id}/resize"),
    )


def _resizer(transport: Transport, path: str) -> Callable[[int, int], Awaitable[None]]:
    async def resize(width: int, height: int) -> None:
        await transport.post(path, params={"h": height, "w": width}, urgency=0)

    return resize
