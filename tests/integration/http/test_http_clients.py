"""The server as a Python client library uses it: kr8s, unmodified."""

from __future__ import annotations

import asyncio

import kr8s
import kr8s.asyncio
from http_fakes import Cluster
from kr8s.asyncio.objects import ConfigMap, Pod

from tests.support.ports import quiet_port


async def test_kr8s(cluster: Cluster) -> None:
    await cluster.run_pod()
    api = await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig))
    assert (await api.version())["gitVersion"].startswith("v1.36.")
    assert await api.whoami() == "kubernetes-admin"
    made = await ConfigMap(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}, api=api
    )
    await made.create()
    await made.patch({"data": {"a": "b"}})
    await made.refresh()
    assert made.data == {"a": "b"}
    assert [found.name async for found in api.get("configmaps", namespace="default")] == ["c"]
    await made.label({"x": "y"})
    async for kind, seen in api.watch("configmaps", namespace="default"):
        assert kind == "ADDED" and seen.labels == {"x": "y"}
        break
    await made.delete()
    assert not await made.exists()

    pod = await Pod.get("p", namespace="default", api=api)
    result = await pod.exec(["sh", "-c", "echo out; echo err >&2"])
    assert (result.stdout, result.stderr, result.returncode) == (b"out\n", b"err\n", 0)
    failed = await pod.exec(["sh", "-c", "exit 4"], check=False)
    assert failed.returncode == 4
    assert [line async for line in pod.logs(tail_lines=1)] == ["line 4"]


async def test_kr8s_port_forward(cluster: Cluster) -> None:
    await cluster.run_pod()

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    api = await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig))
    pod = await Pod.get("p", namespace="default", api=api)
    async with pod.portforward(server.sockets[0].getsockname()[1], local_port=quiet_port()) as local:
        for text in (b"one\n", b"two\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", local)
            writer.write(text)
            assert await asyncio.wait_for(reader.readline(), 60) == text.upper()
            writer.close()
    server.close()
