"""A server of its own, on the simulated runtime, for each module of client tests."""

from __future__ import annotations

import base64
import itertools
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.support.serving import Serving

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    server = Serving(tmp_path_factory.mktemp("clients"), options=["--runtime", "simulated"])
    try:
        yield server.start()
        log = server.log.read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]
    finally:
        server.stop()


@pytest.fixture(scope="module")
def trust(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """What the kubeconfig's user presents and believes."""
    config = yaml.safe_load(serving.kubeconfig.read_text())
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    folder = tmp_path_factory.mktemp("trust")
    for name, data in (
        ("cert", user["client-certificate-data"]),
        ("key", user["client-key-data"]),
        ("ca", cluster["certificate-authority-data"]),
    ):
        (folder / name).write_bytes(base64.b64decode(data))
    context = ssl.create_default_context(cafile=str(folder / "ca"))
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.fixture
async def http(serving: Serving, trust: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(
        serving.server, connector=connector, timeout=aiohttp.ClientTimeout(total=30)
    ) as session:
        yield session


@pytest.fixture
async def namespace(http: aiohttp.ClientSession) -> str:
    """A fresh namespace, with its default ServiceAccount."""
    name = f"n{next(_NUMBERS)}"
    async with http.post("/api/v1/namespaces", json={"metadata": {"name": name}}) as answer:
        assert answer.status == 201, await answer.text()
    return name


@pytest.fixture
def kubeconfig(serving: Serving) -> Path:
    return serving.kubeconfig
