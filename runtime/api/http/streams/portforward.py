"""Port-forward: connections into a pod over SPDY (bare or inside a WebSocket) or over plain WebSocket channels.

Over SPDY every forwarded connection is a pair of streams, ``error`` and ``data``, that share a request id. Over plain
WebSocket each port has two channels, opened once, whose first message is the port's number. Follows
cri-streaming's ``portforward/{httpstream,websocket}.go``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from runtime.api.node import Connection
from runtime.objects.errors import StatusError, bad_request

from .channels import ChannelSocket, Closed
from .session import Session, Stream, StreamGone

PROTOCOL = "portforward.k8s.io"
TUNNEL_PREFIX = "SPDY/3.1+"
TUNNEL_PROTOCOL = TUNNEL_PREFIX + PROTOCOL
WEBSOCKET_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
STREAM_CREATION_SECONDS = 30.0

Dial = Callable[[int], Awaitable[Connection]]
"""Connects to a port inside the pod; StatusError or OSError when that fails."""


def parse_ports(values: Sequence[str]) -> list[int]:
    """The ports of a plain WebSocket request's ``ports`` parameters.

    Raises:
        StatusError: 400.
    """
    if not values:
        raise bad_request('query parameter "ports" is required')
    ports = []
    for value in values:
        if not value:
            raise bad_request('query parameter "ports" cannot be empty')
        for text in value.split(","):
            port = parse_port(text)
            if port is None:
                raise bad_request(f'unable to parse "{value}" as a port')
            ports.append(port)
    return ports


def parse_port(text: str) -> int | None:
    """A port number from 1 to 65535, else None."""
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        return None
    port = int(text)
    return port if 0 < port < 65536 else None


class PortForward:
    """The forwarded connections of one SPDY session."""

    def __init__(self, dial: Dial, pod: str) -> None:
        """``pod`` is the pod's name, for messages."""
        self._dial = dial
        self._pod = pod
        self._halves: dict[str, dict[str, Stream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: Session | None = None

    def bind(self, session: Session) -> None:
        """The session that the streams belong to."""
        self._session = session

    def on_stream(self, stream: Stream) -> str | None:
        """Take a stream the client opened, or say why not."""
        kind = stream.headers.get("streamtype", "")
        if parse_port(stream.headers.get("port", "")) is None:
            return '"port" header is required'
        if kind not in ("error", "data"):
            return f'invalid stream type "{kind}"'
        # Clients of old send no request id; their data stream follows their error stream.
        request = stream.headers.get("requestid") or str(stream.id if kind == "error" else stream.id - 2)
        pair = self._halves.setdefault(request, {})
        if kind in pair:
            return f"{kind} stream already assigned"
        pair[kind] = stream
        if len(pair) == 2:
            del self._halves[request]
            self._start(self._forward(pair["data"], pair["error"]))
        else:
            asyncio.get_running_loop().call_later(STREAM_CREATION_SECONDS, self._expire, request, pair)
        return None

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _expire(self, request: str, pair: dict[str, Stream]) -> None:
        """Give up on a pair whose other half has not come."""
        if self._halves.get(request) is pair:
            del self._halves[request]
            self._start(self._refuse(pair))

    async def _refuse(self, pair: dict[str, Stream]) -> None:
        with contextlib.suppress(ConnectionError):
            if "error" in pair:
                await pair["error"].write(b"timed out waiting for streams")
            for stream in pair.values():
                await stream.reset()

    async def _forward(self, data: Stream, error: Stream) -> None:
        port = int(data.headers["port"])
        try:
            failure = await carry(self._dial, port, data.read, data.write)
            if failure:
                text = f"error forwarding port {port} to pod {self._pod}, uid : {failure}"
                await error.write(text.encode())
            data.discard()
            await data.close_write()
            await error.close_write()
        except ConnectionError:
            pass  # the client gave this connection up
        finally:
            if self._session is not None:
                self._session.forget(data)
                self._session.forget(error)

    async def close(self) -> None:
        """Give up all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def carry(
    dial: Dial,
    port: int,
    read: Callable[[], Awaitable[bytes]],
    write: Callable[[bytes], Awaitable[None]],
) -> str:
    """One forwarded connection, until the pod has sent all it had; returns what went wrong, or "".

    Raises:
        ConnectionError: the client is gone or gave it up.
    """
    try:
        connection = await dial(port)
    except StatusError as error:
        return error.message
    except OSError as error:
        return str(error)

    async def upload() -> None:
        while data := await read():
            await connection.write(data)
        await connection.close_write()

    async def download() -> str:
        while True:
            try:
                data = await connection.read()
            except OSError as error:
                return str(error)
            if not data:
                return ""
            await write(data)

    sender = asyncio.create_task(upload())
    receiver = asyncio.create_task(download())
    try:
        await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        if not receiver.done() and isinstance(sender.exception(), (StreamGone, Closed)):
            raise ConnectionResetError("client is gone")
        return await receiver
    finally:
        for task in (sender, receiver):
            task.cancel()
        await asyncio.gather(sender, receiver, return_exceptions=True)
        await connection.close()


async def forward_channels(socket: ChannelSocket, dial: Dial, ports: Sequence[int], pod: str) -> None:
    """Forward one connection for each port over a plain WebSocket, until all have ended or the client goes."""
    inputs: list[asyncio.Queue[bytes] | None] = [asyncio.Queue(1) for _ in ports]

    async def receive() -> None:
        with contextlib.suppress(Closed):
            while (message := await socket.receive()) is not None:
                channel, data = message
                if channel % 2 == 0 and channel // 2 < len(inputs) and data:
                    queue = inputs[channel // 2]
                    if queue is not None:
                        await queue.put(data)

    async def forward(index: int, port: int) -> None:
        queue = inputs[index]
        assert queue is not None

        async def write(data: bytes) -> None:
            await socket.send(2 * index, data)

        number = port.to_bytes(2, "little")
        await socket.send(2 * index, number)
        await socket.send(2 * index + 1, number)
        failure = await carry(dial, port, queue.get, write)
        inputs[index] = None
        if not queue.empty():  # frees the receiver, should it wait to put
            queue.get_nowait()
        if failure:
            text = f"error forwarding port {port} to pod {pod}, uid : {failure}"
            await socket.send(2 * index + 1, text.encode())

    async def forward_all() -> None:
        async with asyncio.TaskGroup() as group:
            for index, port in enumerate(ports):
                group.create_task(forward(index, port))

    receiver = asyncio.create_task(receive())
    forwards = asyncio.create_task(forward_all())
    try:
        await asyncio.wait({receiver, forwards}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (receiver, forwards):
            task.cancel()
        await asyncio.gather(receiver, forwards, return_exceptions=True)
    await socket.close()
