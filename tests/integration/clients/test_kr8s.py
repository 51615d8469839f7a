"""kr8s, unmodified: create, watch, patch, scale, exec, forward, logs, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import kr8s.asyncio
import pytest
from kr8s.asyncio.objects import ConfigMap, Deployment, Namespace, Pod, Service

from tests.support.ports import quiet_port


async def until(check: Callable[[], bool]) -> None:
    for _ in range(200):
        if check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within 10 s")


async def test_kr8s(kubeconfig: Path) -> None:
    api = await kr8s.asyncio.api(kubeconfig=str(kubeconfig))
    space = await Namespace({"metadata": {"name": "kr8s"}}, api=api)
    await space.create()
    made = await ConfigMap({"metadata": {"name": "c", "namespace": "kr8s"}, "data": {"a": "1"}}, api=api)
    await made.create()
    await made.patch({"data": {"b": "2"}})
    await made.label(one="two")
    await made.annotate(three="four")
    again = await ConfigMap.get("c", namespace="kr8s", api=api)
    assert again.data == {"a": "1", "b": "2"} and again.labels == {"one": "two"}
    assert again.annotations == {"three": "four"}
    found = [one.name async for one in api.get("configmaps", namespace="kr8s", label_selector={"one": "two"})]
    assert found == ["c"]

    seen: list[str] = []

    async def follow() -> None:
        async for kind, _ in api.watch("configmaps", namespace="kr8s", field_selector="metadata.name=c"):
            seen.append(kind)
            if kind == "DELETED":
                return

    following = asyncio.create_task(follow())
    await until(lambda: bool(seen))
    await made.patch([{"op": "replace", "path": "/data/a", "value": "3"}], type="json")
    await made.delete()
    await asyncio.wait_for(following, 60)
    assert seen == ["ADDED", "MODIFIED", "DELETED"]
    assert not await made.exists()
    with pytest.raises(kr8s.NotFoundError):
        await ConfigMap.get("c", namespace="kr8s", api=api)


async def test_kr8s_workloads_and_streams(kubeconfig: Path) -> None:
    api = await kr8s.asyncio.api(kubeconfig=str(kubeconfig))
    space = await Namespace({"metadata": {"name": "kr8s-work"}}, api=api)
    await space.create()
    meta = {"name": "w", "namespace": "kr8s-work"}
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", "echo started; sleep 1000"],
        "ports": [{"containerPort": 80}],
    }
    deployment = await Deployment(
        {
            "metadata": meta,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "w"}},
                "template": {
                    "metadata": {"labels": {"app": "w"}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
                },
            },
        },
        api=api,
    )
    await deployment.create()
    await asyncio.wait_for(deployment.wait("condition=Available"), 30)
    await deployment.scale(2)
    await asyncio.wait_for(deployment.wait("jsonpath='{.status.readyReplicas}'=2"), 30)
    pods = await deployment.pods()
    assert len(pods) == 2
    pod: Pod = pods[0]
    done = await pod.exec(["echo", "hi"])
    assert (done.stdout, done.returncode) == (b"hi\n", 0)
    failed = await pod.exec(["sh", "-c", "exit 4"], check=False)
    assert failed.returncode == 4
    assert [line async for line in pod.logs()] == ["started"]
    async with pod.portforward(80, local_port=quiet_port()) as port, httpx.AsyncClient() as client:
        answers = [await client.get(f"http://127.0.0.1:{port}/x") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    service = await Service(
        {"metadata": meta, "spec": {"selector": {"app": "w"}, "ports": [{"port": 8000, "targetPort": 80}]}},
        api=api,
    )
    await service.create()
    assert len(await service.ready_pods()) == 2
    await deployment.delete(propagation_policy="Foreground")
    await asyncio.wait_for(deployment.wait("delete"), 20)
    assert [one async for one in api.get("pods", namespace="kr8s-work")] == []
    await space.delete()
    await asyncio.wait_for(space.wait("delete"), 20)
