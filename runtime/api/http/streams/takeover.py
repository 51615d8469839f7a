"""Taking a connection away from aiohttp, for a protocol that it does not know.

aiohttp's parsers know one upgrade, WebSocket. A request for SPDY reaches its handler like any other, after the same
authentication, and nothing follows it on the wire before the 101 answer; so at that moment the transport can be
given to another protocol. aiohttp is told that its connection is lost, without closing it.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..client_connection import connection_of

READ_LIMIT = 256 * 1024
"""Bytes that are read ahead from a connection nobody reads."""


class StreamWire:
    """A connection as plain bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """The next bytes, or ``b""`` when the client is gone."""
        try:
            return await self._reader.read(READ_LIMIT)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send, and wait while the client is slow."""
        if self._writer.is_closing():
            raise ConnectionResetError("client is gone")
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """Close, after what was written has been sent."""
        self._writer.close()


def take_over(request: web.BaseRequest, head: bytes) -> StreamWire:
    """Answer a request with ``head`` and go on with its connection as plain bytes.

    Raises:
        ConnectionError: the client is gone already.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("client is gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(READ_LIMIT, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    connection_of(request).detach()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.write(head)
    return StreamWire(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
