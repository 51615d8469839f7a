"""What many clients at once cost the server."""

from __future__ import annotations

import aiohttp
from http_fakes import Cluster

from runtime.api.http.client_connection import ClientConnection
from runtime.api.http.server import TLS_BUFFER


async def test_an_idle_watch_sets_little_memory_aside(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    async with admin.get("/api/v1/namespaces?watch=1") as answer:
        assert answer.status == 200
        assert cluster.server._server is not None
        (connection,) = cluster.server._server.connections
        assert isinstance(connection, ClientConnection) and connection.transport is not None
        tls = connection.transport._ssl_protocol  # type: ignore[attr-defined]
        assert len(tls._ssl_buffer) == TLS_BUFFER


async def test_a_body_larger_than_the_buffer_arrives_whole(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    text = "x" * (20 * TLS_BUFFER)
    body = {"metadata": {"name": "large"}, "data": {"text": text}}
    async with admin.post("/api/v1/namespaces/default/configmaps", json=body) as answer:
        assert answer.status == 201, await answer.text()
    async with admin.get("/api/v1/namespaces/default/configmaps/large") as answer:
        assert (await answer.json())["data"]["text"] == text
