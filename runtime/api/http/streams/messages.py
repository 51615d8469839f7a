"""A WebSocket that only sends: watches and logs, as browsers read them.

JavaScript in a page can read neither chunks as they come nor set headers, so dashboards ask for the same addresses as
WebSockets: one message is one event, or a piece of a log. What the client sends is read and thrown away; that it has
gone is all that matters. Follows apiserver's ``endpoints/handlers/watch.go`` (HandleWS) and ``wsstream/stream.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web
from multidict import CIMultiDict

from .channels import choose_protocol, offered_protocols, open_socket

STALL_SECONDS = 30.0
"""How long a client may leave a full connection unread."""
TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."
"""A subprotocol that is none: it carries the client's token."""
LOG_PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io")


class Unread(ConnectionError):
    """The client does not read."""


class MessageSocket:
    """An open WebSocket to send on."""

    def __init__(self, request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
        self._request = request
        self.response = socket
        """What the request's handler returns in the end."""

    async def send(self, data: bytes, *, text: bool = False) -> None:
        """Send one message, of text if it is ``text``; waits while the client is slow.

        Raises:
            Unread: it has not read for too long, and is cut off.
            ConnectionError: it is gone.
        """
        try:
            async with asyncio.timeout(STALL_SECONDS):
                if text:
                    await self.response.send_str(data.decode())
                else:
                    await self.response.send_bytes(data)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise Unread("the client does not read") from None
        except RuntimeError as error:
            raise ConnectionResetError(str(error)) from error


def watch_protocol(request: web.BaseRequest) -> str:
    """The subprotocol of a watch: whichever the client offers first, since events have one form in all of them."""
    return next((one for one in offered_protocols(request) if not one.startswith(TOKEN_PROTOCOL)), "")


def log_protocol(request: web.BaseRequest, supported: Sequence[str] = LOG_PROTOCOLS) -> str:
    """The subprotocol of a log; "" when none was offered.

    Raises:
        StatusError: 400, none fits.
    """
    return choose_protocol(request, supported)


@asynccontextmanager
async def message_socket(
    request: web.BaseRequest, protocol: str, headers: CIMultiDict[str], gone: Callable[[], object]
) -> AsyncIterator[MessageSocket]:
    """Answer a WebSocket handshake; at the end the socket is closed. ``gone`` is called when the client leaves.

    Raises:
        StatusError: 400, the handshake is not one.
    """
    socket = await open_socket(request, protocol, headers)

    async def read() -> None:
        while (await socket.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
            pass
        gone()

    reader = asyncio.create_task(read())
    try:
        yield MessageSocket(request, socket)
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    await socket.close()
