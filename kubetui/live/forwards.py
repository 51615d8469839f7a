"""Port-forwards that outlive their pods: a local port, and whichever ready pod is there when it is used.

Each accepted connection opens one WebSocket (``v4.channel.k8s.io``, channels 0 data and 1 error, each starting with
the port as two bytes). When a pod has gone, the next connection finds its successor by the target's selector.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError
from kubetui.live.streams import connect

FindPod = Callable[[KubeClient], Awaitable["tuple[str, str, int] | None"]]


@dataclass(slots=True)
class Forward:
    """One local port. ``find`` returns (path of the pod's portforward subresource, pod name, port)."""

    title: str
    local: int
    remote: str
    find: FindPod
    pod: str = ""
    connections: int = 0
    bytes: int = 0
    state: str = "starting"
    server: asyncio.Server | None = field(default=None, repr=False)


class Forwards:
    """All forwards of this terminal. Methods that start and stop run on the network thread."""

    def __init__(self) -> None:
        self.items: list[Forward] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, client: KubeClient, forward: Forward) -> Forward:
        """Listen on loopback (a free port when 0); raises OSError when the port is taken."""
        found = await forward.find(client)
        if found is None:
            raise ApiError(404, "NotFound", "there is no ready pod behind it")
        forward.pod = found[1]

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(client, forward, reader, writer)

        forward.server = await asyncio.start_server(accept, "127.0.0.1", forward.local)
        forward.local = int(forward.server.sockets[0].getsockname()[1])
        forward.state = "listening"
        self.items.append(forward)
        return forward

    async def stop(self, forward: Forward) -> None:
        """Close one."""
        if forward.server is not None:
            forward.server.close()
        if forward in self.items:
            self.items.remove(forward)

    def stop_all(self) -> None:
        """Close all (the loop is about to end)."""
        for forward in self.items:
            server = forward.server
            if server is not None:
                with contextlib.suppress(RuntimeError):
                    server.get_loop().call_soon_threadsafe(server.close)
        self.items.clear()

    async def _serve(
        self, client: KubeClient, forward: Forward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        forward.connections += 1
        try:
            for attempt in (0, 1, 2):
                found = await forward.find(client)
                if found is None:
                    forward.state = "waiting for a ready pod"
                    await asyncio.sleep(1 + attempt)
                    continue
                path, forward.pod, port = found
                try:
                    socket = await connect(client, path, [("ports", str(port))], ("v4.channel.k8s.io",))
                except (ApiError, aiohttp.ClientError, OSError) as error:
                    forward.state = str(error) or type(error).__name__
                    await asyncio.sleep(0.5)
                    continue
                forward.state = "listening"
                await self._bridge(forward, socket, reader, writer)
                return
        finally:
            forward.connections -= 1
            writer.close()

    async def _bridge(
        self,
        forward: Forward,
        socket: aiohttp.ClientWebSocketResponse,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        async def upload() -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    forward.bytes += len(data)
                    await socket.send_bytes(b"\0" + data)

        task = asyncio.create_task(upload())
        seen: set[int] = set()
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                    continue
                channel, data = message.data[0], message.data[1:]
                if channel not in seen:  # the first frame of each channel only says the port
                    seen.add(channel)
                    data = data[2:]
                if channel == 0 and data:
                    forward.bytes += len(data)
                    writer.write(data)
                    await writer.drain()
                elif channel == 1 and data:
                    forward.state = data.decode("utf-8", "replace").strip()
        except ConnectionError:
            pass
        finally:
            task.cancel()
            await socket.close()
