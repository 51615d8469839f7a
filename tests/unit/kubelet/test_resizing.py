"""New cpu and memory for pods that run: in place, with a restart, later, never."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from node_rig import Rig, one_container, rig

from runtime.kubelet import KubeletOptions
from runtime.podman.interface import Limits, RuntimeFailure


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Rig]:
    """A node of two cores."""
    async with rig(tmp_path) as found:
        await found.start(options=KubeletOptions(max_pods=100, cpu=2.0, memory=4 << 30))
        yield found


def amounts(cpu: str, memory: str = "") -> dict[str, Any]:
    return {"requests": {"cpu": cpu, **({"memory": memory} if memory else {})}}


async def resize(node: Rig, resources: dict[str, Any], name: str = "a") -> None:
    pod = await node.pod(name)
    containers = [{**pod["spec"]["containers"][0], "resources": resources}]
    await node.client.update_subresource("resize", {**pod, "spec": {**pod["spec"], "containers": containers}})


async def container(node: Rig, name: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = (await node.status(name))["containerStatuses"][0]
    return found


async def given(node: Rig, resources: dict[str, Any], name: str = "a") -> dict[str, Any]:
    async def check() -> Any:
        found = await container(node, name)
        return found if found["resources"] == resources and "running" in found["state"] else None

    found: dict[str, Any] = await node.until(check, f"{name} has {resources}")
    return found


async def condition(node: Rig, type_: str) -> Any:
    conditions = (await node.status("a"))["conditions"]
    return next((entry for entry in conditions if entry["type"] == type_), None)


async def test_a_running_container_is_given_more_as_it_is(
    small: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Limits] = []
    update = small.runtime.update_container

    async def recorded(container_id: str, limits: Limits) -> None:
        asked.append(limits)
        await update(container_id, limits)

    monkeypatch.setattr(small.runtime, "update_container", recorded)
    before = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
    after = {"requests": {"cpu": "300m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
    await small.make(one_container(resources=before))
    await small.phase("a", "Running")
    first = await given(small, before)
    await resize(small, after)
    found = await given(small, after)
    assert found["containerID"] == first["containerID"] and found["restartCount"] == 0
    assert found["allocatedResources"] == after["requests"]
    assert asked == [Limits(0.3, 1.0, 128 << 20)]
    assert await condition(small, "PodResizePending") is None
    completed = [text for _, reason, text in await small.events("a") if reason == "ResizeCompleted"]
    assert len(completed) == 1 and '"generation":2' in completed[0]

    await small.stop()
    await small.start(options=KubeletOptions(max_pods=100, cpu=2.0, memory=4 << 30))
    await small.quiet()
    assert (await container(small))["resources"] == after and len(asked) == 1


async def test_a_container_that_wants_a_restart_for_it_gets_one(small: Rig) -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    await small.make(one_container(resources=amounts("100m", "64Mi"), resizePolicy=policy))
    await small.phase("a", "Running")
    await resize(small, amounts("200m", "64Mi"))
    assert (await given(small, amounts("200m", "64Mi")))["restartCount"] == 0
    await resize(small, amounts("200m", "96Mi"))
    assert (await given(small, amounts("200m", "96Mi")))["restartCount"] == 1
    assert (
        "Normal",
        "Killing",
        "Container c resize requires restart, will be restarted",
    ) in await small.events("a")


async def test_what_the_node_cannot_give_now_is_given_when_it_can(small: Rig) -> None:
    await small.make(one_container("b", resources=amounts("1500m")))
    await small.make(one_container(resources=amounts("100m")))
    await small.phase("a", "Running")
    await small.phase("b", "Running")
    await resize(small, amounts("1"))

    async def pending() -> Any:
        return await condition(small, "PodResizePending")

    found = await small.until(pending)
    assert (found["status"], found["reason"]) == ("True", "Deferred")
    assert found["message"] == (
        "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"
    )
    status = await container(small)
    assert status["resources"] == amounts("100m") and status["allocatedResources"] == {"cpu": "100m"}
    small.runtime.crash(status["containerID"].removeprefix("podman://"))

    async def restarted() -> bool:
        return bool((await container(small))["restartCount"] == 1)

    await small.until(restarted)
    assert (await container(small))["resources"] == amounts("100m"), "its successor has no more than it had"
    await small.client.delete("pods", "b", "default")
    await small.gone("b")
    await small.advance(12)
    await given(small, amounts("1"))
    assert await condition(small, "PodResizePending") is None


async def test_what_the_node_can_never_give_is_said(small: Rig) -> None:
    await small.make(one_container(resources=amounts("100m")))
    await small.phase("a", "Running")
    await resize(small, amounts("3"))

    async def pending() -> Any:
        return await condition(small, "PodResizePending")

    found = await small.until(pending)
    assert found["reason"] == "Infeasible"
    assert found["message"] == "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"
    await resize(small, amounts("100m"))

    async def over() -> bool:
        return await condition(small, "PodResizePending") is None

    await small.until(over)


async def test_a_kernel_that_refuses_is_quoted_and_asked_again(
    small: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = small.runtime.update_container

    async def refuse(container_id: str, limits: Limits) -> None:
        raise RuntimeFailure("device or resource busy")

    monkeypatch.setattr(small.runtime, "update_container", refuse)
    await small.make(one_container(resources=amounts("100m")))
    await small.phase("a", "Running")
    await resize(small, amounts("200m"))

    async def failing() -> Any:
        return await condition(small, "PodResizeInProgress")

    found = await small.until(failing)
    assert (found["reason"], found["message"]) == ("Error", "device or resource busy")
    assert (await container(small))["resources"] == amounts("100m")
    monkeypatch.setattr(small.runtime, "update_container", update)
    await small.advance(12)
    await given(small, amounts("200m"))
    assert await condition(small, "PodResizeInProgress") is None


async def test_a_limit_below_what_is_used_is_not_set(small: Rig) -> None:
    before = {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    await small.make(
        one_container(
            resources=before, metadata={"annotations": {"simulated.kubetui.io/memory": str(50 << 20)}}
        )
    )
    await small.phase("a", "Running")
    await resize(small, {"requests": {"memory": "20Mi"}, "limits": {"memory": "20Mi"}})

    async def failing() -> Any:
        return await condition(small, "PodResizeInProgress")

    found = await small.until(failing)
    assert found["message"].startswith(
        "attempting to set container memory limit (20971520) below current usage"
    )
    assert (await container(small))["resources"] == before
