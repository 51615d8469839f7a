"""Kubernetes' WebSocket framing: one byte (or one digit and base64) in front says which channel a message is of.

``v5.channel.k8s.io`` adds a way to half-close: the byte 255 followed by the channel. See apimachinery's
``util/httpstream/wsstream`` and ``util/remotecommand/constants.go``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Sequence

from aiohttp import WSMessage, WSMsgType, web
from multidict import CIMultiDict

from runtime.objects.errors import bad_request

CLOSE = 255
"""The channel that says which other channel is closed (v5)."""
MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes in one message that is received; clients send some ten kilobytes."""
SEND_PIECE = 32 * 1024
PONG_SECONDS = 0.25
"""How long the answer to a ping is waited for."""
SETTLE_SECONDS = 0.01
"""How long a client that has begun to read may take to open its channels."""


class Closed(ConnectionError):
    """The client has closed the connection, or broke its rules."""


def is_websocket(request: web.BaseRequest) -> bool:
    """Whether a request asks to become a WebSocket."""
    headers = request.headers
    return (
        headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in headers.get("Connection", "").lower()
    )


def offered_protocols(request: web.BaseRequest) -> list[str]:
    """The subprotocols a client offers, in its order."""
    values = request.headers.getall("Sec-WebSocket-Protocol", [])
    return [protocol.strip() for value in values for protocol in value.split(",") if protocol.strip()]


def choose_protocol(request: web.BaseRequest, supported: Sequence[str]) -> str:
    """The first offered subprotocol that is supported; "" when none was offered.

    Raises:
        StatusError: 400, none fits.
    """
    offered = offered_protocols(request)
    for protocol in offered:
        if protocol in supported:
            return protocol
    if offered:
        raise bad_request(
            f"unable to upgrade: requested protocol(s) are not supported: [{' '.join(offered)}]; "
            f"server supports [{' '.join(supported)}]"
        )
    return ""


class ChannelSocket:
    """A WebSocket whose messages belong to numbered channels."""

    def __init__(self, socket: web.WebSocketResponse, protocol: str) -> None:
        self._socket = socket
        self.protocol = protocol
        self._text = "base64" in protocol
        self._sending = asyncio.Lock()
        self._answered = asyncio.Event()
        """A ping was answered, or the client is gone."""

    @classmethod
    async def accept(
        cls, request: web.BaseRequest, supported: Sequence[str], headers: CIMultiDict[str]
    ) -> ChannelSocket:
        """Answer the upgrade.

        Raises:
            StatusError: 400 when no subprotocol fits or the request is no proper WebSocket handshake.
        """
        protocol = choose_protocol(request, supported)
        socket = await open_socket(request, protocol, headers, autoping=False)
        return cls(socket, protocol)

    @property
    def response(self) -> web.WebSocketResponse:
        """What the request's handler returns in the end."""
        return self._socket

    async def send(self, channel: int, data: bytes) -> None:
        """Send on a channel; waits while the client is slow.

        Raises:
            Closed: the client is gone.
        """
        if not data:
            await self._send_piece(channel, b"")
        for start in range(0, len(data), SEND_PIECE):
            await self._send_piece(channel, data[start : start + SEND_PIECE])

    async def _send_piece(self, channel: int, data: bytes) -> None:
        try:
            async with self._sending:
                if self._text:
                    await self._socket.send_str(chr(48 + channel) + base64.b64encode(data).decode())
                else:
                    await self._socket.send_bytes(bytes((channel,)) + data)
        except (ConnectionError, RuntimeError) as error:
            raise Closed(str(error)) from error

    async def wait_for_reader(self) -> None:
        """Wait until the client reads and has had a moment to open its channels.

        Go's client of v5 opens them while it reads already (until 1.33), and discards what comes for one that is
        not open yet: the output of a command that ends at once would be lost. An answered ping says that it reads.
        Somebody has to be in :meth:`receive` meanwhile. A client that answers no ping is waited for no longer than
        :data:`PONG_SECONDS`.
        """
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(PONG_SECONDS):
                await self._socket.ping()
                await self._answered.wait()
            await asyncio.sleep(SETTLE_SECONDS)

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message: its channel (255: the byte names a channel to close) and data; None at the end.

        Raises:
            Closed: the message is none of this protocol's.
        """
        while True:
            message = await self._socket.receive()
            if message.type == WSMsgType.PING:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await self._socket.pong(message.data)
                continue
            if message.type == WSMsgType.PONG:
                self._answered.set()
                continue
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                self._answered.set()
                return None
            data = self._decoded(message)
            if data:
                return data[0], data[1:]

    def _decoded(self, message: WSMessage) -> bytes:
        """A message's bytes, its channel first."""
        if message.type == WSMsgType.BINARY:
            if self._text:
                raise Closed("binary message in a text protocol")
            return bytes(message.data)
        text: str = message.data
        if not self._text:
            return text.encode()
        if not text:
            return b""
        try:
            return bytes((ord(text[0]) - 48,)) + base64.b64decode(text[1:], validate=True)
        except (ValueError, binascii.Error) as error:
            raise Closed("message is not base64") from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame and wait for the client's answer, at most :data:`FINISH_SECONDS`."""
        await self._socket.close(code=code, message=reason.encode()[:120])


FINISH_SECONDS = 900.0
"""How long a client may take to read what is left and to answer a close frame."""


async def open_socket(
    request: web.BaseRequest, protocol: str, headers: CIMultiDict[str], *, autoping: bool = True
) -> web.WebSocketResponse:
    """Answer a WebSocket handshake with a chosen subprotocol.

    Without ``autoping`` pings and their answers reach whoever receives.

    Raises:
        StatusError: 400, the handshake is not one.
    """
    socket = web.WebSocketResponse(
        timeout=FINISH_SECONDS,
        protocols=(protocol,) if protocol else (),
        compress=False,
        max_msg_size=MAX_MESSAGE,
        autoclose=True,
        autoping=autoping,
    )
    for name in ("Audit-Id",):
        if name in headers:
            socket.headers[name] = headers[name]
    try:
        await socket.prepare(request)
    except web.HTTPException as error:
        raise bad_request(f"unable to upgrade: {error.text or error.reason}") from error
    return socket


class SocketWire:
    """A WebSocket as plain bytes: what a tunnelled SPDY session runs over."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        """The next bytes, or ``b""`` when the client is gone."""
        while True:
            message = await self._socket.receive()
            if message.type != WSMsgType.BINARY:
                return b""
            data: bytes = message.data
            if data:
                return data

    async def write(self, data: bytes) -> None:
        """Send, and wait while the client is slow."""
        try:
            await self._socket.send_bytes(data)
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error

    def close(self) -> None:
        """The close frame is sent when the handler returns."""
