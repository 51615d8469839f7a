"""Connections into a pod's network namespace.

Rootless bridges can't be reached from the host, and even rootful a server that listens on localhost alone is out
of reach from outside; port-forward must reach both. A socket belongs for life to the namespace in which it was
made, so all that is needed is a place to make it: a thread that enters the namespace, or, when the namespace
belongs to a rootless user namespace, a helper process inside that, which sends the connected socket back. No byte
of the conversation passes through a relay.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import ctypes
import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(path: str) -> None:
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(namespace, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(namespace)


def connect_inside(pid: int, hosts: Sequence[str], port: int, timeout: float) -> socket.socket:
    """A TCP socket connected to the first of ``hosts`` that answers, inside the network of process ``pid``.

    The calling thread is in its own network again afterwards. Raises OSError (the first host's, when all fail).
    """
    back = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(f"/proc/{pid}/ns/net")
        try:
            return _first(hosts, port, timeout)
        finally:
            if _libc.setns(back, _CLONE_NEWNET) != 0:  # a thread lost in a pod must not serve anybody else
                os._exit(70)
    finally:
        os.close(back)


def _first(hosts: Sequence[str], port: int, timeout: float) -> socket.socket:
    failure: OSError | None = None
    for host in hosts:
        plug = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            plug.settimeout(timeout)
            plug.connect((host, port))
            return plug
        except OSError as error:
            plug.close()
            failure = failure or error
    raise failure or OSError(f"no address to connect to port {port}")


class NamespaceDialer:
    """Makes sockets inside pods. ``helper``: the command line prefix that runs a program in the user namespace."""

    def __init__(self, helper: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        self._helper = list(helper)
        self._environment = environment
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="pod-network")
        self._process: _Helper | None = None
        self._starting = asyncio.Lock()

    async def connect(self, pid: int, hosts: Sequence[str], port: int, timeout: float) -> socket.socket:
        """A connected, non-blocking socket. Raises OSError; ProcessLookupError when the process is gone."""
        loop = asyncio.get_running_loop()
        if not self._helper:
            plug = await loop.run_in_executor(self._threads, connect_inside, pid, list(hosts), port, timeout)
        else:
            async with self._starting:
                if self._process is None or not self._process.alive:
                    if self._process is not None:
                        await self._process.close()
                    self._process = await _Helper.start(self._helper, self._environment)
            plug = await loop.run_in_executor(
                self._threads, self._process.connect, pid, list(hosts), port, timeout
            )
        plug.setblocking(False)
        return plug

    async def close(self) -> None:
        """End the helper."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._process is not None:
            await self._process.close()
            self._process = None


class _Helper:
    """One helper process; each request has a socket pair of its own, sent along with the request."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lock = threading.Lock()

    @classmethod
    async def start(cls, prefix: list[str], environment: dict[str, str] | None) -> _Helper:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            # Standard input is the one descriptor that every wrapper command passes on.
            process = await asyncio.create_subprocess_exec(
                *prefix,
                sys.executable,
                "-S",
                str(Path(__file__).resolve()),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(process, ours)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def connect(self, pid: int, hosts: list[str], port: int, timeout: float) -> socket.socket:
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with answer:
            with theirs:
                request = json.dumps([pid, hosts, port, timeout]).encode()
                with self._lock:
                    socket.send_fds(self._control, [request], [theirs.fileno()])
            answer.settimeout(timeout * len(hosts) + 5.0)
            reply, descriptors, _, _ = socket.recv_fds(answer, 4096, 1)
        if descriptors:
            return socket.socket(fileno=descriptors[0])
        if not reply:
            raise ConnectionAbortedError("the helper in the rootless network ended")
        number, text = json.loads(reply)
        raise OSError(number, text) if number else OSError(text)

    async def close(self) -> None:
        self._control.close()
        if self._process.returncode is None:
            try:
                async with asyncio.timeout(2.0):
                    await self._process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()


def _serve(control: socket.socket) -> None:
    """The helper's whole life: one thread per request, until the other side hangs up."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not request:
            return
        if descriptors:
            answer = socket.socket(fileno=descriptors[0])
            threading.Thread(target=_answer, args=(request, answer), daemon=True).start()


def _answer(request: bytes, answer: socket.socket) -> None:
    with answer:
        try:
            pid, hosts, port, timeout = json.loads(request)
            _enter(f"/proc/{pid}/ns/net")  # for good: the way back is not open here, and this thread ends
            with _first(hosts, port, timeout) as plug:
                descriptors = array.array("i", [plug.fileno()])
                answer.sendmsg([b"ok"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        except (OSError, ValueError, struct.error) as error:
            number = error.errno if isinstance(error, OSError) and error.errno else 0
            with contextlib.suppress(OSError):
                answer.send(
                    json.dumps(
                        [number, os.strerror(number) if number else str(error) or "timed out"]
                    ).encode()
                )


if __name__ == "__main__":
    with socket.socket(fileno=os.dup(0)) as _control:
        _serve(_control)
