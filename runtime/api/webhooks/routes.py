"""Where a Service's requests go: a ready endpoint, as apiserver's ``util/proxy`` (ResolveEndpoint) finds one.

The control plane is not inside the pods' network, so a pod is reached through its kubelet, as port-forward does;
an endpoint that is no pod is dialed as it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.api.connect import node_connection
from runtime.api.node import Connection, Nodes
from runtime.api.view import StoreView
from runtime.objects.errors import Obj, StatusError, not_found, unavailable

SLICES = "endpointslices.discovery.k8s.io"
SLICE_SERVICE = "kubernetes.io/service-name"
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port of a Service; ``pod`` is the pod that has it, if one does."""

    address: str
    port: int
    pod: Obj | None = None


def service_port(service: Obj, port: str) -> Obj:
    """The port of a Service that a name or a number means; a Service's only port may be left out.

    Raises:
        StatusError: 503, it has no such port.
    """
    ports: list[Obj] = (service.get("spec") or {}).get("ports") or []
    if not port and len(ports) == 1:
        return ports[0]
    for one in ports:
        if port in (one.get("name") or "", str(one.get("port"))):
            return one
    raise unavailable(f'no service port "{port}" found for service "{service["metadata"]["name"]}"')


def find_service(view: StoreView, namespace: str, name: str) -> Obj:
    """A Service.

    Raises:
        StatusError: 404.
    """
    service = view.get("services", namespace, name)
    if service is None:
        raise not_found("services", name)
    return service


def endpoints(view: StoreView, service: Obj, port: str) -> list[Endpoint]:
    """The ready endpoints of a Service's port (its name or its number).

    Raises:
        StatusError: 503, it has no such port.
    """
    wanted = service_port(service, port).get("name") or ""
    return list(_ready(view, service["metadata"]["namespace"], service["metadata"]["name"], wanted))


def no_endpoints(name: str) -> StatusError:
    """503, nobody answers for a Service."""
    return unavailable(f'no endpoints available for service "{name}"')


def _ready(view: StoreView, namespace: str, name: str, wanted: str) -> Iterator[Endpoint]:
    for piece in view.list(SLICES, namespace):
        if (piece["metadata"].get("labels") or {}).get(SLICE_SERVICE) != name:
            continue
        number = next(
            (one.get("port") for one in piece.get("ports") or () if (one.get("name") or "") == wanted), None
        )
        if not number:
            continue
        for endpoint in piece.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            reference = endpoint.get("targetRef") or {}
            pod = None
            if reference.get("kind") == "Pod":
                pod = view.get("pods", reference.get("namespace") or namespace, reference.get("name", ""))
                if pod is None:
                    continue
            for address in endpoint.get("addresses") or ():
                yield Endpoint(str(address), int(number), pod)


def resolve(view: StoreView, namespace: str, name: str, port: str) -> Endpoint:
    """An endpoint of a Service, any of those that are ready.

    Raises:
        StatusError: 404 or 503, there is none.
    """
    service = find_service(view, namespace, name)
    spec: Obj = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return Endpoint(spec.get("externalName") or "", int(port))
    found = endpoints(view, service, port)
    if not found:
        raise no_endpoints(name)
    return random.choice(found)


async def dial(nodes: Nodes, endpoint: Endpoint) -> tuple[socket.socket, asyncio.Task[None] | None]:
    """A connected socket to an endpoint, and the task that carries its bytes where it ends in a pod.

    Raises:
        OSError, StatusError: it can't be reached.
    """
    if endpoint.pod is None or (endpoint.pod.get("spec") or {}).get("hostNetwork"):
        return await _connect(endpoint.address, endpoint.port), None
    connection = await node_connection(nodes, endpoint.pod).port_forward(endpoint.pod, endpoint.port)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, asyncio.create_task(_carry(theirs, connection))


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            failure = failure or error
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or OSError(f"lookup {host}: no such host")


async def _carry(inner: socket.socket, connection: Connection) -> None:
    """Bytes both ways between a socket and a connection into a pod, until either side is done."""
    loop = asyncio.get_running_loop()

    async def upload() -> None:
        while data := await loop.sock_recv(inner, _PIECE):
            await connection.write(data)

    async def download() -> None:
        while data := await connection.read():
            await loop.sock_sendall(inner, data)

    tasks = [asyncio.create_task(upload()), asyncio.create_task(download())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        inner.close()
        with contextlib.suppress(OSError, StatusError):
            await connection.close()
