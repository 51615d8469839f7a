"""A cluster without kubelets: real store, API and server, and a node whose containers are local processes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import ssl
import struct
import termios
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from runtime.api.api import API
from runtime.api.context import RequestContext, system_user
from runtime.api.http import HTTPServer, write_kubeconfig
from runtime.api.node import LogOptions, NodeAnswer, Nodes
from runtime.objects.clock import SystemClock
from runtime.objects.errors import Obj, StatusError
from runtime.objects.kinds import builtin_registry
from runtime.objects.registry import Registry
from runtime.store import Store


class ProcessSession:
    """Exec of a local command."""

    def __init__(self, process: asyncio.subprocess.Process, stdin: bool, master: int | None) -> None:
        self.process = process
        self._queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(4)
        self._master = master
        self.sizes: list[tuple[int, int]] = []
        readers = []
        if master is not None:
            readers.append(asyncio.create_task(self._pump_tty(master)))
        else:
            assert process.stdout and process.stderr
            readers.append(asyncio.create_task(self._pump(1, process.stdout)))
            readers.append(asyncio.create_task(self._pump(2, process.stderr)))
            if not stdin and process.stdin:
                process.stdin.close()
        self._readers = readers
        self._end = asyncio.create_task(self._finish())

    async def _pump(self, channel: int, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(65536):
            await self._queue.put((channel, data))

    async def _pump_tty(self, master: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.run_in_executor(None, os.read, master, 65536)
            except OSError:
                return
            if not data:
                return
            await self._queue.put((1, data))

    async def _finish(self) -> None:
        await asyncio.gather(*self._readers)
        await self._queue.put(None)

    async def read(self) -> tuple[int, bytes] | None:
        return await self._queue.get()

    async def write(self, data: bytes) -> None:
        if self._master is not None:
            os.write(self._master, data)
        elif self.process.stdin:
            self.process.stdin.write(data)
            await self.process.stdin.drain()

    async def close_stdin(self) -> None:
        if self._master is None and self.process.stdin:
            self.process.stdin.close()

    async def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))
        if self._master is not None:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    async def wait(self) -> int:
        return await self.process.wait()

    async def close(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        self._end.cancel()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(self._end, *self._readers, return_exceptions=True)
        # A process counts as ended only when its pipes are: one that nobody reads any more never is by itself.
        self.process._transport.close()  # type: ignore[attr-defined]
        await self.process.wait()
        if self._master is not None:
            with contextlib.suppress(OSError):
                os.close(self._master)


class SocketConnection:
    """A connection to a local port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(65536)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close_write(self) -> None:
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()


class LocalNode:
    """A node connection whose containers are this machine."""

    def __init__(self) -> None:
        self.sessions: list[ProcessSession] = []
        self.log = [b"line %d\n" % number for number in range(5)]

    async def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        if options.container == "absent":
            raise StatusError(400, "BadRequest", 'container "absent" in pod "p" is waiting to start')
        for line in self.log if options.tail_lines is None else self.log[-options.tail_lines :]:
            yield line
        while options.follow:
            await asyncio.sleep(0.02)
            yield b"more\n"

    async def exec(
        self,
        pod: Obj,
        container: str,
        command: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    ) -> ProcessSession:
        if command[0] == "refused":
            raise StatusError(500, "InternalError", 'container not found ("c")')
        if tty:
            master, slave = pty.openpty()
            process = await asyncio.create_subprocess_exec(
                *command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
            )
            os.close(slave)
            session = ProcessSession(process, stdin, master)
        else:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
            session = ProcessSession(process, stdin, None)
        self.sessions.append(session)
        return session

    async def attach(
        self, pod: Obj, container: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> ProcessSession:
        command = ("sh", "-c", "echo attached; cat; exit 9")
        return await self.exec(pod, container, command, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr)

    async def page(self, path: str) -> NodeAnswer:
        if path == "logs/this":
            return NodeAnswer(200, "text/plain; charset=utf-8", b"", Path(__file__))
        return NodeAnswer(404 if path == "nothing" else 200, "text/plain", f"page {path}".encode())

    async def port_forward(self, pod: Obj, port: int) -> SocketConnection:
        return SocketConnection(*await asyncio.open_connection("127.0.0.1", port))


class Cluster:
    """Everything between the disk and the socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = LocalNode()
        self.nodes: Nodes = {"node1": self.node}
        self.store = Store.open(folder)
        self.registry: Registry = builtin_registry()
        self.api = API(self.registry, self.store, SystemClock(), nodes=self.nodes)
        self.server = HTTPServer(self.api, self.registry, folder, port=0, audit_log=folder / "audit.log")
        self.context = RequestContext(system_user("test"))
        self.kubeconfig = folder / "kubeconfig"

    async def start(self) -> None:
        await self.server.start()
        write_kubeconfig(self.kubeconfig, self.server.pki, port=self.server.port)
        await self.create("namespaces", "", {"metadata": {"name": "default"}})
        await self.create(
            "serviceaccounts", "default", {"metadata": {"name": "default", "namespace": "default"}}
        )

    async def create(self, resource: str, namespace: str, obj: Obj) -> Obj:
        kind = self.registry.find(resource)
        assert kind is not None
        full = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        return (await self.api.create(self.context, kind, namespace, full)).obj

    async def run_pod(self, name: str = "p", containers: Sequence[str] = ("c",)) -> Obj:
        pods = self.registry.find("pods")
        assert pods is not None
        spec = {
            "nodeName": "node1",
            "containers": [{"name": container, "image": "busybox"} for container in containers],
        }
        await self.create(
            "pods", "default", {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        )
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        status = {"status": {"phase": "Running", "conditions": ready}}
        answer = await self.api.patch(
            self.context, pods, "default", name, status, "merge", subresource="status"
        )
        return answer.obj

    async def stop(self) -> None:
        for session in self.node.sessions:
            await session.close()
        await self.server.stop()
        await self.store.close()


def client_tls(cluster: Cluster, *, certificate: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(cluster.server.pki.ca_certificate))
    if certificate:
        context.load_cert_chain(cluster.server.pki.admin_certificate, cluster.server.pki.admin_key)
    return context
