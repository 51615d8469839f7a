"""A real `kubetui serve`, an HTTPS client that keeps its connections, and what the kernel says of a process."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from tests.support.serving import Serving

Obj = dict[str, Any]


def trust(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The server of a kubeconfig, and a context that knows its authority and carries its client's certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]))
        pair.write(base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return cluster["server"], context


class Live:
    """A server in a process of its own, and a client."""

    def __init__(self, serving: Serving, session: aiohttp.ClientSession, tls: ssl.SSLContext) -> None:
        self.serving = serving
        self.session = session
        self.tls = tls

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.serving.process is not None
        return self.serving.process.pid

    async def ask(self, method: str, path: str, body: Obj | None = None, **headers: str) -> Any:
        """One request; the JSON answer. Fails on any status of 400 or more."""
        data = None if body is None else orjson.dumps(body)
        kind = headers.pop("content_type", "application/json")
        async with self.session.request(
            method, path, data=data, headers={"Content-Type": kind, **headers}
        ) as answer:
            text = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
            return orjson.loads(text)

    async def events(self, path: str) -> AsyncIterator[tuple[str, Obj]]:
        """The events of a watch."""
        async with self.session.get(path, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            assert answer.status == 200, await answer.text()
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    event = orjson.loads(line)
                    yield event["type"], event["object"]

    async def until(self, path: str, done: Callable[[str, Obj], bool], seconds: float = 300.0) -> None:
        """Watch until an event is what was waited for."""
        async with asyncio.timeout(seconds):
            async with contextlib.aclosing(self.events(path)) as events:
                async for kind, obj in events:
                    if done(kind, obj):
                        return

    async def until_none(self, path: str, seconds: float = 300.0) -> None:
        """Wait until a collection is empty."""
        async with asyncio.timeout(seconds):
            while (await self.ask("GET", f"{path}?limit=1"))["items"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def live(
    folder: Path, *options: str, environment: dict[str, str] | None = None, timeout: float = 60.0
) -> AsyncIterator[Live]:
    """Start a server on ``folder`` and stop it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    serving = Serving(folder, options=options, environment=environment)
    try:
        await asyncio.to_thread(serving.start, timeout)
        server, tls = trust(serving.kubeconfig)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        async with aiohttp.ClientSession(server, connector=connector) as session:
            yield Live(serving, session, tls)
    finally:
        await asyncio.to_thread(serving.stop)


def cpu_seconds(pid: int) -> float:
    """What a process's living threads have used of the processors so far (to the nanosecond: idle ones need it)."""
    used = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            used += int((thread / "schedstat").read_text().split()[0])
    return used / 1e9


def resident(pid: int) -> float:
    """Resident memory of a process in MB (10^6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def cpu_share(pids: list[int], seconds: float) -> list[float]:
    """What each process uses of one core over a while, in percent."""
    before = [cpu_seconds(pid) for pid in pids]
    start = time.perf_counter()
    await asyncio.sleep(seconds)
    taken = time.perf_counter() - start
    return [100 * (cpu_seconds(pid) - was) / taken for pid, was in zip(pids, before, strict=True)]


def deployment(name: str, replicas: int, container: Obj, *, namespace: str = "default") -> Obj:
    """A Deployment of one container."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


async def roll_out(server: Live, name: str, replicas: int, container: Obj) -> float:
    """Apply a Deployment; seconds until its status says that all replicas are Ready."""
    body = deployment(name, replicas, container)
    start = time.perf_counter()
    made = await server.ask(
        "PATCH",
        f"{DEPLOYMENTS}/{name}?fieldManager=bench",
        body,
        content_type="application/apply-patch+yaml",
    )
    version = made["metadata"]["resourceVersion"]

    def ready(_: str, obj: Obj) -> bool:
        return bool((obj.get("status") or {}).get("readyReplicas", 0) == replicas)

    await server.until(
        f"{DEPLOYMENTS}?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3D{name}", ready
    )
    return time.perf_counter() - start
