"""Exec and attach over WebSockets: ``v5.channel.k8s.io`` with ``v4`` as a fallback.

Binary frames carry the channel in their first byte: 0 stdin, 1 stdout, 2 stderr, 3 status (a ``v1.Status``), 4 resize
(``{"Width","Height"}``), 255 closes a channel (v5). See ``k8s.io/apimachinery/pkg/util/remotecommand``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError

STDIN, STDOUT, STDERR, STATUS, RESIZE = 0, 1, 2, 3, 4
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, and what the server said when it could not run it."""

    code: int
    message: str = ""


def ended(status: bytes) -> Ended:
    """Read the status channel."""
    try:
        found: dict[str, Any] = orjson.loads(status)
    except orjson.JSONDecodeError:
        return Ended(1, status.decode("utf-8", "replace"))
    if found.get("status") == "Success":
        return Ended(0)
    for cause in (found.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode" and str(cause.get("message")).isdigit():
            return Ended(int(cause["message"]), "")
    return Ended(1, str(found.get("message") or ""))


class ExecStream:
    """One running command. Lives on the network thread; ``output`` is called there with (channel, bytes)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, output: Callable[[int, bytes], None]) -> None:
        self._socket = socket
        self._output = output

    @classmethod
    async def open(
        cls,
        client: KubeClient,
        path: str,
        output: Callable[[int, bytes], None],
        *,
        container: str,
        command: Sequence[str] = (),
        tty: bool = True,
        stdin: bool = True,
    ) -> ExecStream:
        """Connect; raises ApiError when the server refuses."""
        params: list[tuple[str, str]] = [("command", part) for part in command]
        params += [
            ("container", container),
            ("stdin", str(stdin).lower()),
            ("stdout", "true"),
            ("stderr", str(not tty).lower()),
            ("tty", str(tty).lower()),
        ]
        return cls(await connect(client, path, params, PROTOCOLS), output)

    async def run(self) -> Ended:
        """Deliver output until the command ends."""
        result: Ended | None = None
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == STATUS:
                result = ended(data)
            elif channel in (STDOUT, STDERR) and data:
                self._output(channel, data)
        if result is not None:
            return result
        return Ended(1, "the connection was closed")

    async def write(self, data: bytes) -> None:
        """Send input."""
        if not self._socket.closed:
            await self._socket.send_bytes(bytes((STDIN,)) + data)

    async def end_input(self) -> None:
        """No more input (only v5 can say so)."""
        if not self._socket.closed and self._socket.protocol == PROTOCOLS[0]:
            await self._socket.send_bytes(bytes((255, STDIN)))

    async def resize(self, width: int, height: int) -> None:
        """Tell the size of the terminal."""
        if not self._socket.closed:
            await self._socket.send_bytes(bytes((RESIZE,)) + orjson.dumps({"Width": width, "Height": height}))

    async def close(self) -> None:
        """Hang up."""
        await self._socket.close()


async def connect(
    client: KubeClient, path: str, params: Sequence[tuple[str, str]], protocols: Sequence[str]
) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket to the API server; a refusal becomes an ApiError with the server's words."""
    from yarl import URL

    credentials = client.credentials
    url = URL(credentials.server.rstrip("/") + path).with_query(list(params))
    options = client.request_options(None)
    try:
        socket: aiohttp.ClientWebSocketResponse = await client.session.ws_connect(
            url, protocols=protocols, max_msg_size=0, autoping=True, heartbeat=30, **options
        )
        return socket
    except aiohttp.WSServerHandshakeError as error:
        # the handshake's answer is not readable any more: ask again without the upgrade to learn the reason
        try:
            async with asyncio.timeout(5):
                response = await client.session.get(url, **options)
                body = await response.read()
            raise ApiError.from_body(response.status, body) from error
        except (aiohttp.ClientError, TimeoutError):
            raise ApiError(error.status, "", error.message) from error
