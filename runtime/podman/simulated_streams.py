"""The byte streams of the simulated runtime: an exec session around the small shell, and a server that answers."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Callable, Sequence
from http import HTTPStatus
from itertools import groupby

from runtime.objects.clock import Clock

Printed = list[tuple[int, bytes]]
"""Pieces of output with their descriptors: 1 or 2."""
_PROMPT = b"/ # "
# A script that ends by becoming a shell: exec sh, exec $(command -v bash || echo sh).
_BECOMES_SHELL = re.compile(
    r"(?:^|[;&\n])\s*exec\s+(?:\$\([^()]*\bsh\s*\)|(?:/\w+)*/?(?:ba|a)?sh)(?:\s+-\S+)*\s*$"
)


class SimulatedExec:
    """One exec or attach. ``cat`` returns its input, ``sh`` runs it line by line, the rest runs once."""

    def __init__(
        self,
        run: Callable[[Sequence[str]], tuple[Printed, int, float]],
        command: tuple[str, ...],
        clock: Clock,
        *,
        tty: bool,
        stdin: bool,
    ) -> None:
        self._run = run
        self._clock = clock
        self._tty = tty
        self._output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(maxsize=64)
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._line = b""
        word = command[0].rpartition("/")[2] if command else ""
        self._mode = "run"
        if stdin and word == "cat" and len(command) == 1:
            self._mode = "cat"
        elif stdin and _is_shell(word, command):
            self._mode = "sh"
            if tty:
                self._output.put_nowait((1, _PROMPT))
        else:
            self._task = asyncio.get_running_loop().create_task(self._run_once(command))

    async def _run_once(self, command: Sequence[str]) -> None:
        printed, code, seconds = self._run(command)
        await self._say(printed)
        if seconds:
            await self._clock.sleep(min(seconds, 86_400.0 * 365))
        await self._finish(code)

    async def _say(self, printed: Printed) -> None:
        """Output as one piece for as long as it goes to the same descriptor; a terminal has only one."""
        for descriptor, pieces in groupby(printed, key=lambda piece: 1 if self._tty else piece[0]):
            data = b"".join(text for _, text in pieces)
            await self._output.put((descriptor, data.replace(b"\n", b"\r\n") if self._tty else data))

    async def _finish(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)
            await self._output.put(None)

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output; None at its end."""
        if self._exit.done() and self._output.empty():
            return None
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        """Give it input; waits while the output is not taken."""
        if self._mode == "cat":
            await self._output.put((1, data))
        elif self._mode == "sh":
            if self._tty:
                data = await self._edited(data)
            self._line += data
            while b"\n" in self._line and not self._exit.done():
                line, self._line = self._line.split(b"\n", 1)
                await self._command(line.decode("utf-8", "replace").strip())

    async def _edited(self, data: bytes) -> bytes:
        """What a terminal's line discipline does: echo, erase, interrupt, end of input."""
        typed = bytearray()
        for byte in data:
            if byte == 0x04:  # ctrl+d
                if not typed and not self._line:
                    await self._finish(0)
                    break
            elif byte in (0x7F, 0x08):
                if typed or self._line:
                    self._line, typed = (self._line, typed[:-1]) if typed else (self._line[:-1], typed)
                    await self._output.put((1, b"\b \b"))
            elif byte == 0x03:  # ctrl+c
                self._line = b""
                typed.clear()
                await self._output.put((1, b"^C\r\n" + _PROMPT))
            elif byte == 0x0D:
                typed += b"\n"
                await self._output.put((1, b"\r\n"))
            else:
                typed.append(byte)
                await self._output.put((1, bytes((byte,))))
        return bytes(typed)

    async def _command(self, line: str) -> None:
        words = shlex.split(line) if line.count("'") % 2 == 0 and line.count('"') % 2 == 0 else line.split()
        if words and words[0] in ("exit", "logout"):
            await self._finish(int(words[1]) & 255 if len(words) > 1 and words[1].isdigit() else 0)
            return
        if line:
            printed, _, seconds = self._run(("sh", "-c", line))
            await self._say(printed)
            if seconds:
                await self._clock.sleep(min(seconds, 86_400.0))
        if self._tty:
            await self._output.put((1, _PROMPT))

    async def close_stdin(self) -> None:
        """The input has ended: ``cat`` and ``sh`` end too."""
        if self._mode != "run":
            if self._mode == "sh" and self._line.strip():
                line, self._line = self._line, b""
                await self._command(line.decode("utf-8", "replace").strip())
            await self._finish(0)

    async def resize(self, width: int, height: int) -> None:
        """A simulated terminal has no size."""

    async def wait(self) -> int:
        """The exit code, once it ended."""
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        """Let go of it."""
        if not self._exit.done():
            self._exit.set_result(137)
        while not self._output.empty():
            self._output.get_nowait()
        self._output.put_nowait(None)


def _is_shell(word: str, command: Sequence[str]) -> bool:
    """Whether a command reads its commands from its input."""
    if word not in ("sh", "bash", "ash"):
        return False
    if len(command) == 3 and command[1] == "-c":
        return _BECOMES_SHELL.search(command[2]) is not None
    return all(part.startswith("-") for part in command[1:])


class SimulatedConnection:
    """A connection that answers HTTP requests with the pod's name and echoes everything else."""

    def __init__(self, pod: str, image: str, status: int) -> None:
        self._pod = pod
        self._image = image
        self._status = status
        self._ready: asyncio.Queue[bytes] = asyncio.Queue(maxsize=64)
        self._request = b""
        self._http: bool | None = None
        self._ended = False

    async def read(self) -> bytes:
        """The next piece, or b"" at the end."""
        if self._ended and self._ready.empty():
            return b""
        return await self._ready.get()

    async def write(self, data: bytes) -> None:
        """Send; waits while the answers are not read."""
        if self._ended:
            raise ConnectionResetError("the connection is closed")
        if self._http is None:
            self._http = data[:4] in (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"DELE", b"PATC")
        if not self._http:
            await self._ready.put(data)
            return
        self._request += data
        if b"\r\n\r\n" in self._request:
            head = self._request.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            body = f"{self._pod} {self._image} {head[1] if len(head) > 1 else '/'}\n".encode()
            try:
                phrase = HTTPStatus(self._status).phrase
            except ValueError:
                phrase = "Unknown"
            answer = (
                f"HTTP/1.1 {self._status} {phrase}\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            ).encode()
            await self._ready.put(answer if head[0] == "HEAD" else answer + body)
            await self.close_write()

    async def close_write(self) -> None:
        """Half-close: what was sent is answered, then it ends."""
        if not self._ended:
            self._ended = True
            await self._ready.put(b"")

    async def close(self) -> None:
        """Close both ways."""
        self._ended = True
        while not self._ready.empty():
            self._ready.get_nowait()
        self._ready.put_nowait(b"")
