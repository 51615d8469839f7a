"""A byte stream to a port of a pod, plain or TLS, for probes and lifecycle hooks.

Probes run in this process and reach the pod through the runtime, so no image needs ``curl``. A host that the probe
names itself, and pods on the machine's own network, are dialled directly.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol

from runtime.podman.interface import ContainerRuntime


class DialFailure(Exception):
    """No connection; the message is worded as Go's net package words it."""


class ByteStream(Protocol):
    """What a probe needs of a connection."""

    async def read(self) -> bytes:
        """The next piece, or b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send."""
        ...

    async def close(self) -> None:
        """Close both ways."""
        ...


class _Direct:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        return await self._reader.read(65536)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()


class _Secure:
    """TLS over any byte stream; certificates are not verified, as upstream's probes don't."""

    def __init__(self, inner: ByteStream, server_name: str, protocols: list[str]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(protocols)
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name or None)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._inner.write(self._outgoing.read())

    async def _fill(self) -> bool:
        data = await self._inner.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                await self._flush()
                return
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise DialFailure("EOF") from None

    async def read(self) -> bytes:
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def write(self, data: bytes) -> None:
        self._tls.write(data)
        await self._flush()

    async def close(self) -> None:
        await self._inner.close()


async def dial(
    runtime: ContainerRuntime,
    sandbox_id: str,
    host: str,
    port: int,
    timeout: float,
    *,
    direct: bool = False,
) -> ByteStream:
    """Connect to ``host:port``.

    Args:
        runtime: the way into the pod's network.
        sandbox_id: the pod.
        host: the pod's address, or where ``direct`` any host.
        port: the port.
        timeout: seconds.
        direct: dial from this machine instead of from inside the pod.

    Raises:
        DialFailure: refused, unreachable or too slow.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if direct:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(host, port)
            return _Direct(reader, writer)
        return await runtime.connect(sandbox_id, port, timeout, host=host)
    except TimeoutError:
        raise DialFailure(f"dial tcp {where}: i/o timeout") from None
    except ConnectionRefusedError:
        raise DialFailure(f"dial tcp {where}: connect: connection refused") from None
    except OSError as error:
        raise DialFailure(f"dial tcp {where}: connect: {(error.strerror or str(error)).lower()}") from None


async def secure(inner: ByteStream, server_name: str, protocols: list[str] | None = None) -> ByteStream:
    """TLS over an open stream.

    Raises:
        DialFailure: the other side does not speak TLS.
    """
    stream = _Secure(inner, server_name, protocols or [])
    try:
        await stream.handshake()
    except ssl.SSLError as error:
        raise DialFailure(f"tls: {(error.reason or str(error)).lower().replace('_', ' ')}") from None
    return stream
