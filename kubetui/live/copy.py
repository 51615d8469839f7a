"""Files to and from a container, as ``kubectl cp`` does it: a tar stream over exec.

Nothing is held in memory: a thread packs or unpacks at one end of a pipe, the network is at the other, and whichever
is slower holds the other up. What a container sends is unpacked with Python's ``data`` filter, so that it cannot
write outside of the place that was chosen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import tarfile
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Thread

import aiohttp

from kubetui.live.client import KubeClient
from kubetui.live.streams import PROTOCOLS, STATUS, STDERR, STDIN, STDOUT, Ended, connect, ended

CHUNK = 1 << 16
NO_TAR = "The container has no tar, which copying needs (kubectl cp needs it as well)."


class CopyError(Exception):
    """A copy that did not end well, in words for the person who asked for it."""


@dataclass(slots=True)
class Transfer:
    """One copy and how far it is. ``remote`` is a path in the container, ``local`` one on this machine."""

    path: str
    container: str
    remote: str
    local: Path
    upload: bool
    bytes: int = 0
    files: int = 0
    current: str = ""
    state: str = "starting"
    skipped: list[str] = field(default_factory=list)
    cancelled: bool = False

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state not in ("starting", "copying")


def download_command(remote: str) -> tuple[list[str], str]:
    """(command, name of the top of what it sends) for a path in the container."""
    folder, name = posixpath.split(posixpath.normpath(remote))
    if not name:
        return ["tar", "cf", "-", "-C", "/", "."], ""
    return ["tar", "cf", "-", "-C", folder or ".", f"./{name}"], name


def placed(member: str, top: str, target: str) -> str | None:
    """Where a member of the stream goes: its first part ``top`` becomes ``target``; None for what does not belong."""
    parts = [p for p in PurePosixPath(member).parts if p != "."]
    if ".." in parts or member.startswith("/"):
        return None
    if top:
        if not parts or parts[0] != top:
            return None
        parts = parts[1:]
    return "/".join([target, *parts])


async def run_transfer(client: KubeClient, transfer: Transfer) -> None:
    """Copy; ``transfer`` tells how far it is. Raises CopyError, ApiError or OSError."""
    transfer.state = "copying"
    try:
        await (_upload(client, transfer) if transfer.upload else _download(client, transfer))
    except BaseException:
        transfer.state = "cancelled" if transfer.cancelled else "failed"
        raise
    transfer.state = "done"


async def _exec(client: KubeClient, transfer: Transfer, command: Sequence[str], stdin: bool) -> _Socket:
    params = [("command", part) for part in command]
    params += [("container", transfer.container), ("stdin", str(stdin).lower()), ("stdout", "true")]
    params += [("stderr", "true"), ("tty", "false")]
    return _Socket(await connect(client, transfer.path, params, PROTOCOLS))


class _Socket:
    """One running command: what it wrote to stderr, and how it ended."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.errors = b""
        self.result: Ended | None = None

    async def output(self) -> bytes | None:
        """The next piece of stdout; None when the command has ended."""
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == STDOUT and data:
                return bytes(data)
            if channel == STDERR:
                self.errors = (self.errors + data)[-2000:]
            elif channel == STATUS:
                self.result = ended(data)
        return None

    def check(self) -> None:
        """Raise CopyError when the command failed."""
        result = self.result or Ended(1, "the connection was closed")
        if not result.code:
            return
        said = self.errors.decode("utf-8", "replace").strip()
        text = f"{said} {result.message}"
        missing = "executable file not found" in text or "tar: not found" in text
        if (
            missing
            or result.code == 127
            or ("no such file" in result.message.lower() and "tar" in result.message)
        ):
            raise CopyError(NO_TAR)
        raise CopyError(said or result.message or f"tar ended with exit code {result.code}")


def _in_thread(work: Future[None], function: object, *arguments: object) -> None:
    def run() -> None:
        try:
            function(*arguments)  # type: ignore[operator]
        except BaseException as error:
            work.set_exception(error)
        else:
            work.set_result(None)

    Thread(target=run, name="kubetui-copy", daemon=True).start()


async def _download(client: KubeClient, transfer: Transfer) -> None:
    command, top = download_command(transfer.remote)
    local = transfer.local.expanduser()
    target = local / top if local.is_dir() and top else local
    base, name = (target.parent, target.name) if top else (local, ".")
    await asyncio.to_thread(base.mkdir, parents=True, exist_ok=True)
    socket = await _exec(client, transfer, command, False)
    reading, writing = os.pipe()
    work: Future[None] = Future()
    _in_thread(work, _unpack, reading, transfer, base, top, name)
    try:
        while (data := await socket.output()) is not None:
            if transfer.cancelled:
                raise CopyError("The copy was stopped.")
            transfer.bytes += len(data)
            try:
                await asyncio.to_thread(_write_all, writing, data)
            except BrokenPipeError:
                break  # unpacking has ended: its own error says why
    finally:
        os.close(writing)
        await socket.socket.close()
        unpacked = await asyncio.gather(asyncio.wrap_future(work), return_exceptions=True)
    if isinstance(unpacked[0], OSError) and not isinstance(unpacked[0], BrokenPipeError):
        raise unpacked[0]
    socket.check()
    if isinstance(unpacked[0], tarfile.TarError | EOFError):
        raise CopyError(f"what the container sent is not a tar stream: {unpacked[0]}")
    if unpacked[0] is not None:
        raise unpacked[0]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unpack(reading: int, transfer: Transfer, base: Path, top: str, name: str) -> None:
    with (
        os.fdopen(reading, "rb") as stream,
        tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as archive,
    ):
        for member in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # a million files are no reason to remember them
            place = placed(member.name, top, name)
            if place is None:
                transfer.skipped.append(member.name)
                continue
            member.name = transfer.current = place
            if member.islnk():
                link = placed(member.linkname, top, name)
                if link is None:
                    transfer.skipped.append(member.name)
                    continue
                member.linkname = link
            if not _extract(archive, member, base):
                transfer.skipped.append(member.name)
                continue
            transfer.files += member.isfile()
        while stream.read(CHUNK):  # what pads the stream, so that the sender is not cut off
            pass


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, base: Path) -> bool:
    """Unpack one member; False when it would lead outside. Pythons before 3.11.4 cannot judge links: none then."""
    if not hasattr(tarfile, "data_filter"):
        if not (member.isreg() or member.isdir()):
            return False
        member.mode = 0o755 if member.isdir() else member.mode & 0o755 | 0o600
        archive.extract(member, base)
        return True
    try:
        archive.extract(member, base, filter="data")
    except tarfile.FilterError:
        return False
    return True


async def _upload(client: KubeClient, transfer: Transfer) -> None:
    local = transfer.local.expanduser()
    if not os.path.lexists(local):
        raise CopyError(f"{local}: there is no such file")
    remote = transfer.remote
    if remote.endswith("/") or await _is_folder(client, transfer, remote):
        folder, name = remote.rstrip("/") or "/", local.resolve().name
    else:
        folder, name = posixpath.split(posixpath.normpath(remote))
    socket = await _exec(client, transfer, ["tar", "xmf", "-", "-C", folder or "."], True)
    reading, writing = os.pipe()
    work: Future[None] = Future()
    _in_thread(work, _pack, writing, transfer, local, name)
    listening = asyncio.ensure_future(_listen(socket))
    try:
        while not listening.done() and (data := await asyncio.to_thread(os.read, reading, CHUNK)):
            if transfer.cancelled:
                raise CopyError("The copy was stopped.")
            await socket.socket.send_bytes(bytes((STDIN,)) + data)
            transfer.bytes += len(data)
        if not listening.done():
            if socket.socket.protocol == PROTOCOLS[0]:
                await socket.socket.send_bytes(bytes((255, STDIN)))
            await listening
    except (aiohttp.ClientError, ConnectionError):
        await listening  # the command has ended before it had everything: it says why
    finally:
        os.close(reading)
        listening.cancel()
        await socket.socket.close()
        packed = await asyncio.gather(asyncio.wrap_future(work), return_exceptions=True)
    if packed[0] is not None:
        raise packed[0]
    socket.check()


async def _listen(socket: _Socket) -> None:
    while await socket.output() is not None:
        pass


async def _is_folder(client: KubeClient, transfer: Transfer, remote: str) -> bool:
    socket = await _exec(client, transfer, ["test", "-d", remote], False)
    await _listen(socket)
    await socket.socket.close()
    return socket.result is not None and socket.result.code == 0


def _pack(writing: int, transfer: Transfer, local: Path, name: str) -> None:
    def count(member: tarfile.TarInfo) -> tarfile.TarInfo:
        transfer.current = member.name
        transfer.files += member.isfile()
        return member

    with (
        contextlib.suppress(BrokenPipeError),
        os.fdopen(writing, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w|", bufsize=CHUNK) as archive,
    ):
        archive.add(local, arcname=name, filter=count)
