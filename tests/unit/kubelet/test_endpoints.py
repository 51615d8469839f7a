"""The pages of a node's own HTTP server, through ``nodes/NAME/proxy``."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from node_rig import NODE, Rig, one_container

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^}]*\})? ([0-9.e+-]+)$")


async def page(node: Rig, path: str, status: int = 200) -> bytes:
    found = await node.nodes[NODE].page(path)
    assert found.status == status
    body: bytes = found.body
    return body


async def samples(node: Rig, path: str) -> dict[str, float]:
    """Name and labels → value; everything else has to be a comment."""
    found: dict[str, float] = {}
    for line in (await page(node, path)).decode().splitlines():
        match = SAMPLE.match(line)
        assert match or line.startswith(("# HELP ", "# TYPE ")), line
        if match:
            found[f"{match[1]}{match[2] or ''}"] = float(match[3])
    return found


async def test_the_pages_tell_of_the_nodes_pods(node: Rig) -> None:
    memory = {"annotations": {"simulated.kubetui.io/memory": "5000000"}}
    made = await node.make(one_container(metadata=memory))
    await node.phase("a", "Running")
    assert await page(node, "healthz") == b"ok" == await page(node, "healthz/syncloop")
    (pod,) = orjson.loads(await page(node, "pods"))["items"]
    assert pod["metadata"]["uid"] == made["metadata"]["uid"]
    (running,) = orjson.loads(await page(node, "runningpods/"))["items"]
    assert running["spec"]["containers"][0]["image"] == "web:1"
    summary: dict[str, Any] = orjson.loads(await page(node, "stats/summary"))
    assert summary["node"]["nodeName"] == NODE
    (stats,) = summary["pods"]
    assert stats["podRef"] == {"name": "a", "namespace": "default", "uid": made["metadata"]["uid"]}
    for place in (stats["containers"][0], stats, summary["node"]):
        assert place["memory"]["workingSetBytes"] == 5_000_000
        assert place["memory"]["usageBytes"] == place["memory"]["rssBytes"] == 5_000_000
        assert place["cpu"]["usageCoreNanoSeconds"] >= 0
    whole = summary["node"]
    assert {entry["name"] for entry in whole["systemContainers"]} == {"kubelet", "pods"}
    assert whole["fs"]["capacityBytes"] > whole["fs"]["usedBytes"] > 0 < whole["fs"]["inodes"]
    assert whole["runtime"]["imageFs"]["capacityBytes"] == whole["fs"]["capacityBytes"]

    async def rates() -> list[int | None]:  # old metrics-servers go by them
        await node.advance(1)
        found = orjson.loads(await page(node, "stats/summary"))
        places = (found["pods"][0]["containers"][0], found["pods"][0], found["node"])
        return [place["cpu"].get("usageNanoCores") for place in places]

    async def told() -> bool:
        return await rates() == [1_000_000] * 3

    await node.until(told)
    assert orjson.loads(await page(node, "configz"))["kubeletconfig"]["maxPods"] == 10_000
    assert b"not found" in await page(node, "no/such/page", 404)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("metrics", 'kubelet_running_containers{container_state="running"}'),
        ("metrics/resource", 'container_memory_working_set_bytes{container="c",namespace="default",pod="a"}'),
        ("metrics/resource", 'pod_memory_working_set_bytes{namespace="default",pod="a"}'),
        ("metrics/resource", "node_memory_working_set_bytes"),
    ],
)
async def test_metrics_are_in_prometheus_format(node: Rig, path: str, name: str) -> None:
    await node.make(one_container(metadata={"annotations": {"simulated.kubetui.io/memory": "5000000"}}))
    await node.phase("a", "Running")
    assert (await samples(node, path))[name] in (1, 5_000_000)
    cadvisor = await samples(node, "metrics/cadvisor")
    assert any(key.startswith("container_cpu_usage_seconds_total{") for key in cadvisor)
