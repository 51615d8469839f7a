"""The HTTPS server: sockets, TLS and their end; what is said over them is :mod:`.handler`'s.

One aiohttp server without its application layer (paths are parsed, not routed), on a TLS socket that asks for a
client certificate without demanding one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from runtime.api.api import API
from runtime.objects.registry import Registry

from .audit import AuditLog
from .authentication import Authenticator, TokenReviewer, read_tokens
from .body import BODY_LIMIT
from .client_connection import ClientConnection
from .connections import Connections
from .documents import VERSION, Documents
from .handler import Handler
from .health import Health
from .kubeconfig import server_url
from .metrics import Metrics
from .pki import PKI, prepare_pki
from .proxy import Proxy
from .resources import Resources
from .tokens import ServiceAccountTokens

MAX_HEADER = 64 * 1024
"""Bytes in a request line or one header: selectors and tokens are long."""
MAX_HEADERS = 256
BACKLOG = 1024
TLS_BUFFER = 32 * 1024
"""Bytes that asyncio sets aside for what comes in on a TLS connection; its own 256 KiB make a thousand idle watches
cost a quarter of a gigabyte."""
DRAIN_SECONDS = 0.5
"""How long watches may take to write their end when the server stops."""
STOP_SECONDS = 2.0
"""How long open requests may take to end when the server stops."""


class PortTaken(Exception):
    """Somebody else listens on the port that was asked for."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} on {host} is already in use; choose another with --port (0 picks a free one)"
        )
        self.host = host
        self.port = port


class AddressUnavailable(Exception):
    """The address to listen on is not one of this machine's, or may not be used."""


class HTTPServer:
    """Serves an :class:`API` over HTTPS."""

    def __init__(
        self,
        api: API,
        registry: Registry,
        state_dir: Path,
        host: str = "127.0.0.1",
        port: int = 6443,
        *,
        names: Iterable[str] = (),
        addresses: Iterable[str] = (),
        version: str = VERSION,
        audit_log: Path | None = None,
    ) -> None:
        """Prepare the server; certificates and keys are made in ``state_dir/pki`` when they are missing.

        The API's token issuer is set to this server's.

        Args:
            api: what is served.
            registry: all kinds.
            state_dir: the cluster's state folder.
            host: the address to listen on.
            port: the port; 0 picks a free one.
            names: further names the server's certificate is good for.
            addresses: further addresses it is good for.
            version: the Kubernetes version to claim.
            audit_log: a file to write an audit log to.

        Raises:
            OSError: the state folder or the audit log can't be written.
        """
        self.host = host
        self.port = port
        self.pki: PKI = prepare_pki(state_dir, names=names, addresses=[host, *addresses])
        clock = api.clock
        self.tokens = ServiceAccountTokens(self.pki.service_account_key, api.view.get, clock)
        authenticator = Authenticator(read_tokens(self.pki.tokens), self.tokens)
        api.token_issuer = TokenReviewer(self.tokens, authenticator)
        self.health = Health()
        self.health.add("store", lambda: str(api.store.failure) if api.store.failure else None, live=True)
        self.metrics = Metrics(lambda: _counts(api, registry))
        self._audit = AuditLog(audit_log) if audit_log is not None else None
        self._resources = Resources(api, registry, clock, self.metrics)
        self._documents = Documents(
            api, registry, self.health, self.metrics, self.tokens, version, clock.now()
        )
        self._handler = Handler(
            authenticator=authenticator,
            authorizer=api.authorizer,
            resources=self._resources,
            connections=Connections(api),
            proxy=Proxy(api),
            documents=self._documents,
            metrics=self.metrics,
            clock=clock,
            audit=self._audit,
        )
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self.stopping = False

    @property
    def url(self) -> str:
        """``https://HOST:PORT``; the port is right once :meth:`start` returned."""
        return server_url(self.host, self.port)

    async def start(self) -> int:
        """Listen; returns the port.

        Raises:
            PortTaken: the port is in use.
            AddressUnavailable: the address can't be used.
        """
        loop = asyncio.get_running_loop()
        SSLProtocol.max_size = TLS_BUFFER
        listener = self._bind()
        self.stopping = False
        self.port = listener.getsockname()[1]
        self._documents.serve_at(self.url)

        def make_request(
            message: Any, payload: Any, protocol: Any, writer: Any, task: Any
        ) -> web.BaseRequest:
            return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)

        server = web.Server(self._handler, request_factory=make_request)
        self._server = server

        def connect() -> ClientConnection:
            return ClientConnection(
                server,
                accepting=lambda: not self.stopping,
                loop=loop,
                access_log=None,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
                max_headers=MAX_HEADERS,
                auto_decompress=False,
            )

        self._listener = await loop.create_server(
            connect,
            sock=listener,
            ssl=self._tls(),
            backlog=BACKLOG,
            ssl_handshake_timeout=10.0,
            ssl_shutdown_timeout=1.0,
        )
        return self.port

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(self.host, self.port) from error
            raise AddressUnavailable(f"can't listen on {self.host}:{self.port}: {error.strerror}") from error
        return listener

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.pki.server_certificate, self.pki.server_key)
        context.load_verify_locations(self.pki.ca_certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def stop(self) -> None:
        """Stop listening, end all watches and streams, and close every connection."""
        self.stopping = True
        if self._listener is not None:
            self._listener.close()
        await self._resources.close(DRAIN_SECONDS)
        if self._server is not None:
            connections = [one for one in self._server.connections if isinstance(one, ClientConnection)]
            streams = [task for one in connections if (task := one.end_stream()) is not None]
            if streams:
                await asyncio.wait(streams, timeout=STOP_SECONDS)
            await self._server.shutdown(STOP_SECONDS)
            self._server = None
        if self._listener is not None:
            # Newer Pythons wait here for connections whose handshake is still going on, too.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._listener.wait_closed()
            self._listener = None
        if self._audit is not None:
            self._audit.close()
            self._audit = None


def _counts(api: API, registry: Registry) -> Iterator[tuple[str, int]]:
    for resource in registry:
        if resource.stored and not resource.storage:
            yield resource.group_resource, api.view.count(resource.group_resource)
