from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from http_fakes import Cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path / "state")
    await made.start()
    yield made
    await made.stop()


def client_tls(cluster: Cluster, *, certificate: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(cluster.server.pki.ca_certificate))
    if certificate:
        context.load_cert_chain(cluster.server.pki.admin_certificate, cluster.server.pki.admin_key)
    return context


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=client_tls(cluster))
    async with aiohttp.ClientSession(cluster.server.url, connector=connector) as session:
        yield session


@pytest.fixture
async def nobody(cluster: Cluster) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=client_tls(cluster, certificate=False))
    async with aiohttp.ClientSession(cluster.server.url, connector=connector) as session:
        yield session
