"""``pods/NAME/proxy`` and ``services/NAME/proxy``: an HTTP request passed on into a pod. ``nodes/NAME/proxy``: to a
kubelet.

The request is written to a connection into the pod with ``Connection: close``, and then the client's connection is
handed over: what the pod answers goes back byte for byte, so that streams and upgrades (WebSocket) need nothing of
their own. Names are ``[http:]NAME[:PORT]``, as upstream's ``SplitSchemeNamePort`` reads them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from runtime.api.api import API
from runtime.api.node import Connection
from runtime.api.webhooks.routes import endpoints, find_service, no_endpoints
from runtime.objects.errors import Obj, StatusError, bad_request, method_not_allowed, not_found, unavailable
from runtime.objects.registry import Resource, Subresource

from .request import METHOD_VERBS
from .resources import Exchange
from .streams.portforward import parse_port
from .streams.takeover import StreamWire, take_over

_DROPPED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """A port of a pod."""

    pod: Obj
    port: int


def split_name(text: str) -> tuple[str, str, str]:
    """Scheme, name and port of ``[scheme:]name[:port]``; parts that are left out are empty.

    Raises:
        StatusError: 400.
    """
    parts = text.split(":")
    match parts:
        case [name]:
            found = ("", name, "")
        case ["http" | "https" | "" as scheme, name, port]:
            found = (scheme, name, port)
        case [name, port]:
            found = ("", name, port)
        case _:
            raise bad_request(f'invalid proxy request "{text}"')
    if not found[1]:
        raise bad_request(f'invalid proxy request "{text}"')
    if found[0] == "https":
        raise unavailable("the proxy reaches pods over plain HTTP only")
    return found


class Proxy:
    """Answers requests for the ``proxy`` subresource."""

    def __init__(self, api: API) -> None:
        self._api = api

    async def handle(self, exchange: Exchange, resource: Resource, sub: Subresource) -> web.StreamResponse:
        """Pass a request on.

        Raises:
            StatusError: it may not be made, or the pod can't be reached.
        """
        request, info = exchange.request, exchange.info
        verb = METHOD_VERBS.get(request.method, "")
        if verb not in sub.verbs:
            raise method_not_allowed(
                f"{resource.plural}/proxy", verb or request.method.lower(), resource.group
            )
        exchange.verb = verb
        self._api.authorize(exchange.context, verb, resource, info.namespace, info.name, "proxy")
        options = {"kind": f"{resource.kind}ProxyOptions", "apiVersion": "v1", "path": f"/{info.rest}"}
        await self._api.admit_connect(exchange.context, resource, "proxy", info.namespace, info.name, options)
        if resource.plural == "nodes":
            return await self._node_page(info.name, info.rest, request.method)
        _, name, port = split_name(info.name)
        if resource.plural == "pods":
            target = self._pod(info.namespace, name, port)
        else:
            target = self._service(info.namespace, name, port)
        node = self._api.node_connection(target.pod)
        try:
            connection = await node.port_forward(target.pod, target.port)
        except OSError as error:
            raise unavailable(f"error trying to reach service: {error}") from error
        try:
            await _send_request(exchange, connection, target)
            wire = take_over(request, b"")
            await _relay(wire, connection)
        except OSError as error:
            raise unavailable(f"error trying to reach service: {error}") from error
        finally:
            await connection.close()
        return web.Response()

    async def _node_page(self, name: str, path: str, method: str) -> web.StreamResponse:
        """A page of the node's kubelet, which has no port of its own."""
        name = name.removeprefix("https:").partition(":")[0]
        if self._api.view.get("nodes", "", name) is None:
            raise not_found("nodes", name)
        node = self._api.nodes.get(name)
        if node is None:
            raise unavailable(f"error trying to reach service: node {name} is not connected")
        if method not in ("GET", "HEAD"):
            return web.Response(status=405, text="Method Not Allowed\n")
        page = await node.page(path)
        if page.file is not None:
            return web.FileResponse(page.file, headers={"Content-Type": page.content_type})
        return web.Response(status=page.status, body=page.body, headers={"Content-Type": page.content_type})

    def _pod(self, namespace: str, name: str, port: str) -> Target:
        pod = self._api.view.get("pods", namespace, name)
        if pod is None:
            raise not_found("pods", name)
        ports = [
            one for container in pod["spec"].get("containers") or () for one in container.get("ports") or ()
        ]
        if not port:
            return Target(pod, int(ports[0]["containerPort"]) if ports else 80)
        named = next((one["containerPort"] for one in ports if one.get("name") == port), None)
        number = named or parse_port(port)
        if number is None:
            raise bad_request(f'invalid port "{port}"')
        return Target(pod, int(number))

    def _service(self, namespace: str, name: str, port: str) -> Target:
        view = self._api.view
        for endpoint in endpoints(view, find_service(view, namespace, name), port):
            if endpoint.pod is not None:
                return Target(endpoint.pod, endpoint.port)
        raise no_endpoints(name)


async def _send_request(exchange: Exchange, connection: Connection, target: Target) -> None:
    """Write the request, body and all."""
    request, info = exchange.request, exchange.info
    path = "/" + info.rest
    query = request.rel_url.raw_query_string
    if query:
        path = f"{path}?{query}"
    headers = [f"Host: {target.pod['metadata']['name']}:{target.port}"]
    headers += [
        f"{name}: {value}"
        for name, value in request.headers.items()
        if name.lower() not in _DROPPED and not name.lower().startswith("impersonate-")
    ]
    upgrade = request.headers.get("Upgrade", "")
    if upgrade:
        headers += ["Connection: Upgrade", f"Upgrade: {upgrade}"]
    else:
        headers.append("Connection: close")
    headers += ["X-Forwarded-Proto: https", f"X-Forwarded-For: {request.remote or ''}"]
    has_body = request.can_read_body
    length = request.content_length
    if has_body:
        headers.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    head = "\r\n".join([f"{request.method} {path} HTTP/1.1", *headers]) + "\r\n\r\n"
    await connection.write(head.encode())
    if not has_body:
        return
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for data in request.content.iter_any():
        if length is not None:
            await connection.write(data)
        elif data:
            await connection.write(b"%x\r\n%b\r\n" % (len(data), data))
    if length is None:
        await connection.write(b"0\r\n\r\n")


async def _relay(wire: StreamWire, connection: Connection) -> None:
    """Carry bytes both ways until the pod has sent all it had."""

    async def upload() -> None:
        while data := await wire.read():
            await connection.write(data)
        await connection.close()

    sender = asyncio.create_task(upload())
    try:
        while data := await connection.read():
            await wire.write(data)
    except (ConnectionError, StatusError):
        pass  # one side is gone, and the answer has begun
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        wire.close()
