from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from http_fakes import Cluster, client_tls


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path / "state")
    await made.start()
    yield made
    await made.stop()


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
