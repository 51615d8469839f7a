"""The subresources that connect to a node: log, exec, attach, port-forward and proxy.

Each is authorized like an object of its own (``create`` or ``get`` of ``pods/exec``), finds its pod and the kubelet
that runs it, and only then answers the upgrade: what can fail with a sentence fails before the protocol
changes, because clients can show it then.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from aiohttp import web
from multidict import MultiMapping

from runtime.api import connect
from runtime.api.api import API
from runtime.api.node import Connection, NodeConnection, StreamSession
from runtime.objects.errors import Obj, StatusError, bad_request, method_not_allowed, not_found
from runtime.objects.registry import Resource, Subresource

from .request import flag
from .resources import Exchange
from .streams import portforward, remotecommand
from .streams.channels import ChannelSocket, SocketWire, is_websocket, offered_protocols, open_socket
from .streams.messages import log_protocol, message_socket
from .streams.session import Session, Wire
from .streams.takeover import take_over

CONNECT = frozenset({"log", "exec", "attach", "portforward", "proxy"})
FIRST_LOG_SECONDS = 0.1
"""How long a log waits for its first piece, so that a failure can still be answered with its code."""
SPDY = "SPDY/3.1"


def is_spdy(request: web.BaseRequest) -> bool:
    """Whether a request asks to become a SPDY connection."""
    headers = request.headers
    return (
        headers.get("Upgrade", "").lower() == SPDY.lower()
        and "upgrade" in headers.get("Connection", "").lower()
    )


class Connections:
    """Answers requests that reach into a pod."""

    def __init__(self, api: API) -> None:
        self._api = api

    async def handle(self, exchange: Exchange, resource: Resource, sub: Subresource) -> web.StreamResponse:
        """Answer a request for a log or a stream of a pod.

        Raises:
            StatusError: before anything was sent.
        """
        verb = exchange.info.verb
        if verb not in sub.verbs or verb not in ("get", "create"):
            raise method_not_allowed(f"{resource.plural}/{sub.name}", verb, resource.group)
        exchange.verb = verb
        pod = self._pod(exchange, resource, verb)
        if sub.name == "log":
            return await self._log(exchange, pod)
        options = connect_options(sub.name, exchange.request.query)
        info = exchange.info
        await self._api.admit_connect(
            exchange.context, resource, sub.name, info.namespace, info.name, options
        )
        match sub.name:
            case "exec" | "attach":
                return await self._command(exchange, pod, sub.name)
        return await self._port_forward(exchange, pod)

    def _pod(self, exchange: Exchange, resource: Resource, verb: str) -> Obj:
        info = exchange.info
        self._api.authorize(exchange.context, verb, resource, info.namespace, info.name, info.subresource)
        pod = self._api.view.get(resource.group_resource, info.namespace, info.name)
        if pod is None:
            raise not_found(resource.plural, info.name, resource.group)
        return pod

    # -- log -----------------------------------------------------------------------------------------------

    async def _log(self, exchange: Exchange, pod: Obj) -> web.StreamResponse:
        request = exchange.request
        options = connect.parse_log_options(request.query)
        options = replace(options, container=connect.choose_container(pod, options.container))
        source = self._api.node_connection(pod).logs(pod, options)
        pieces = aiter(source)
        first: asyncio.Task[bytes | None] = asyncio.create_task(_next(pieces))
        try:
            done, _ = await asyncio.wait({first}, timeout=FIRST_LOG_SECONDS)
            if done:
                first.result()  # a failure is answered as one
            if is_websocket(request):
                return await self._log_socket(exchange, pieces, first)
            headers = exchange.headers
            headers["Content-Type"] = "text/plain"
            response = web.StreamResponse(headers=headers)
            response.enable_chunked_encoding()
            exchange.response = response
            await response.prepare(request)
            piece = await first
            while piece is not None:
                await response.write(piece)
                piece = await _next(pieces)
        except BaseException:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            raise
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()
        return response

    async def _log_socket(
        self, exchange: Exchange, pieces: AsyncIterator[bytes], first: asyncio.Task[bytes | None]
    ) -> web.StreamResponse:
        """A log in messages; the first one is empty, so that a page learns at once that it is connected."""
        request = exchange.request
        current = asyncio.current_task()
        assert current is not None
        protocol = log_protocol(request)
        encoded = protocol.startswith("base64.")
        async with message_socket(request, protocol, exchange.headers, current.cancel) as socket:
            exchange.response = socket.response
            await socket.send(b"", text=encoded)
            piece = await first
            while piece is not None:
                await socket.send(base64.b64encode(piece) if encoded else piece, text=encoded)
                piece = await _next(pieces)
        return socket.response

    # -- exec and attach -----------------------------------------------------------------------------------

    async def _command(self, exchange: Exchange, pod: Obj, kind: str) -> web.StreamResponse:
        request = exchange.request
        query = request.query
        tty = flag(query, "tty")
        wanted = remotecommand.Wanted(
            stdin=flag(query, "stdin"),
            stdout=flag(query, "stdout"),
            stderr=flag(query, "stderr") and not tty,
            tty=tty,
        )
        if not (wanted.stdin or wanted.stdout or wanted.stderr):
            raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
        container = connect.choose_container(pod, query.get("container", ""))
        node = self._api.node_connection(pod)

        async def start() -> StreamSession:
            streams = {
                "tty": wanted.tty,
                "stdin": wanted.stdin,
                "stdout": wanted.stdout,
                "stderr": wanted.stderr,
            }
            if kind == "attach":
                return await node.attach(pod, container, **streams)
            return await node.exec(pod, container, query.getall("command", []), **streams)

        if kind == "exec" and not query.getall("command", []):
            raise bad_request("you must specify at least one command for the container")
        report_exit = kind == "exec"
        if is_websocket(request):
            return await self._command_socket(exchange, wanted, start, report_exit)
        if is_spdy(request):
            return await self._command_spdy(exchange, wanted, start, report_exit)
        raise bad_request("Upgrade request required")

    async def _command_socket(
        self,
        exchange: Exchange,
        wanted: remotecommand.Wanted,
        start: Callable[[], Awaitable[StreamSession]],
        report_exit: bool,
    ) -> web.StreamResponse:
        session = await start()
        streams: remotecommand.SocketStreams | None = None
        try:
            socket = await ChannelSocket.accept(
                exchange.request, remotecommand.WEBSOCKET_PROTOCOLS, exchange.headers
            )
            exchange.response = socket.response
            streams = remotecommand.SocketStreams(socket)
            await streams.begin(wanted)
            await remotecommand.run(session, streams, wanted, report_exit=report_exit)
        finally:
            await session.close()
            if streams is not None:
                await streams.abandon()
        return socket.response

    async def _command_spdy(
        self,
        exchange: Exchange,
        wanted: remotecommand.Wanted,
        start: Callable[[], Awaitable[StreamSession]],
        report_exit: bool,
    ) -> web.StreamResponse:
        protocol = _negotiate(exchange.request, remotecommand.SPDY_PROTOCOLS)
        session = await start()
        streams = remotecommand.SPDYStreams(protocol)
        try:
            spdy = Session(_upgrade(exchange, protocol), streams.on_stream)
            streams.bind(spdy)
            reader = asyncio.create_task(spdy.run())
            try:
                if await streams.complete(wanted):
                    await remotecommand.run(session, streams, wanted, report_exit=report_exit)
            finally:
                await _end(spdy, reader)
        finally:
            await session.close()
        return web.Response()

    # -- port-forward --------------------------------------------------------------------------------------

    async def _port_forward(self, exchange: Exchange, pod: Obj) -> web.StreamResponse:
        request = exchange.request
        node = self._api.node_connection(pod)
        name = exchange.info.name
        dial = _dialer(node, pod)
        if is_websocket(request):
            if portforward.TUNNEL_PROTOCOL in offered_protocols(request):
                exchange.response = socket = await open_socket(
                    request, portforward.TUNNEL_PROTOCOL, exchange.headers
                )
                await self._forward_session(SocketWire(socket), dial, name)
                await socket.close()
                return socket
            ports = portforward.parse_ports(request.query.getall("ports", []))
            channels = await ChannelSocket.accept(request, portforward.WEBSOCKET_PROTOCOLS, exchange.headers)
            exchange.response = channels.response
            await portforward.forward_channels(channels, dial, ports, name)
            return channels.response
        if is_spdy(request):
            protocol = _negotiate(request, (portforward.PROTOCOL,))
            await self._forward_session(_upgrade(exchange, protocol), dial, name)
            return web.Response()
        raise bad_request("Upgrade request required")

    async def _forward_session(self, wire: Wire, dial: portforward.Dial, pod: str) -> None:
        forward = portforward.PortForward(dial, pod)
        session = Session(wire, forward.on_stream)
        forward.bind(session)
        try:
            await session.run()
        finally:
            await forward.close()


def connect_options(subresource: str, query: MultiMapping[str]) -> Obj:
    """The options of a connection as admission sees them (PodExecOptions and its like)."""
    kind = {"exec": "PodExecOptions", "attach": "PodAttachOptions"}.get(subresource, "PodPortForwardOptions")
    options: Obj = {"kind": kind, "apiVersion": "v1"}
    if kind == "PodPortForwardOptions":
        texts = [part for value in query.getall("ports", []) for part in value.split(",")]
        ports = [number for number in map(portforward.parse_port, texts) if number is not None]
        return {**options, "ports": ports} if ports else options
    for name in ("stdin", "stdout", "stderr", "tty"):
        if flag(query, name):
            options[name] = True
    if query.get("container"):
        options["container"] = query["container"]
    if kind == "PodExecOptions":
        options["command"] = query.getall("command", [])
    return options


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    """The next piece, or None at the end."""
    return await anext(pieces, None)


def _dialer(node: NodeConnection, pod: Obj) -> portforward.Dial:
    async def dial(port: int) -> Connection:
        return await node.port_forward(pod, port)

    return dial


def _negotiate(request: web.BaseRequest, supported: tuple[str, ...]) -> str:
    """The stream protocol of a SPDY request.

    Raises:
        StatusError: 403, as upstream's handshake answers when none fits.
    """
    values = request.headers.getall("X-Stream-Protocol-Version", [])
    offered = [part.strip() for value in values for part in value.split(",") if part.strip()]
    protocol = remotecommand.negotiate(offered, supported)
    if protocol is None:
        raise StatusError(
            403,
            "Forbidden",
            f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(offered)}], "
            f"server accepts [{' '.join(supported)}]",
            headers={"X-Accepted-Stream-Protocol-Versions": ", ".join(supported)},
        )
    return protocol


def _upgrade(exchange: Exchange, protocol: str) -> Wire:
    """Answer 101 and take the connection."""
    named = "X-Stream-Protocol-Version" in exchange.request.headers
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {SPDY}"]
    if named:
        lines.append(f"X-Stream-Protocol-Version: {protocol}")
    lines.append(f"Audit-Id: {exchange.headers['Audit-Id']}")
    return take_over(exchange.request, ("\r\n".join(lines) + "\r\n\r\n").encode())


async def _end(session: Session, reader: asyncio.Task[None]) -> None:
    session.close()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
