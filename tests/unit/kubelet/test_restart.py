"""What happens when the kubelet, its runtime, or a pod's infra process goes away and comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from node_rig import NODE, Rig, one_container, rig

from runtime.client import Client
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj
from runtime.podman.interface import RuntimeUnavailable, Sandbox, SandboxSpec
from runtime.podman.simulated import SimulatedRuntime


class Faulty(SimulatedRuntime):
    """Answers to nobody while ``down``."""

    down = False
    _calls = frozenset(
        {"sandboxes", "sandbox", "create_sandbox", "start_container", "stop_container", "image"}
    )

    def __getattribute__(self, name: str) -> Any:
        if name in Faulty._calls and self.down:

            async def refuse(*_: Any, **__: Any) -> Any:
                raise RuntimeUnavailable("dial unix podman.sock: connect: connection refused")

            return refuse
        return super().__getattribute__(name)


async def test_running_pods_are_adopted_untouched(node: Rig) -> None:
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}
    await node.make(one_container("a"))
    await node.make(one_container("b", readinessProbe=probe))
    await node.phase("a", "Running")
    await node.phase("b", "Running")
    await node.advance(6)

    async def ready() -> Any:
        return (await node.status("b"))["containerStatuses"][0]["ready"]

    await node.until(ready)
    before = {name: await node.pod(name) for name in ("a", "b")}
    await node.stop()
    await node.start()
    await node.quiet()
    for name, pod in before.items():
        now = await node.pod(name)
        assert now["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"], "nothing to write"
        assert now["status"]["containerStatuses"][0]["restartCount"] == 0
    # and they are looked after: probed, restarted, deleted
    uid = before["b"]["metadata"]["uid"]
    container = (await node.runtime.sandbox(uid)).containers[0].id
    node.runtime.crash(container)

    async def again() -> Any:
        status = (await node.status("b"))["containerStatuses"][0]
        return status["restartCount"] == 1 and status["state"].get("running")

    await node.until(again)
    await node.client.delete("pods", "a", "default")
    await node.gone("a")


RESTART_ALL = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}


async def test_a_rule_restarts_all_containers_of_a_pod_without_their_hooks(node: Rig) -> None:
    hook = {"preStop": {"sleep": {"seconds": 20}}}
    never = {"image": "web:1", "restartPolicy": "Never"}
    source = {"name": "source", **never, "restartPolicyRules": [RESTART_ALL]}
    other = {"name": "other", **never, "lifecycle": hook}
    side = {"name": "side", "image": "web:1", "restartPolicy": "Always"}
    await node.make(
        {
            "metadata": {"name": "a"},
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [{"name": "init", "image": "sim/exit:0"}, side],
                "containers": [other, source],
            },
        }
    )
    pod = await node.phase("a", "Running")
    sandbox = await node.runtime.sandbox(pod["metadata"]["uid"])
    condition = next(e for e in pod["status"]["conditions"] if e["type"] == "AllContainersRestarting")
    assert condition["status"] == "False"
    watch = node.client.watch("pods", "default", resource_version=pod["metadata"]["resourceVersion"])
    node.runtime.crash(next(entry.id for entry in sandbox.containers if entry.name == "source"), 42)

    async def again() -> Any:
        status = (await node.pod("a"))["status"]
        entries = [*status["containerStatuses"], *status["initContainerStatuses"]]
        return status if status["phase"] == "Running" and all(e["restartCount"] for e in entries) else None

    status = await node.until(again)
    assert {e["name"]: e["restartCount"] for e in status["containerStatuses"]} == {"other": 1, "source": 1}
    ends = {e["name"]: e["lastState"]["terminated"]["exitCode"] for e in status["containerStatuses"]}
    assert ends == {"source": 42, "other": 0}
    inits = status["initContainerStatuses"]
    assert [e["restartCount"] for e in inits] == [1, 1] and inits[1]["state"].get("running")
    after = await node.runtime.sandbox(pod["metadata"]["uid"])
    assert after.id == sandbox.id and after.ip == sandbox.ip
    told: list[str] = []
    while not told or told[-1] != "False" or "True" not in told:
        for _, obj in await watch.next():
            told += [
                e["status"] for e in obj["status"]["conditions"] if e["type"] == "AllContainersRestarting"
            ]
    watch.close()
    events = [message for _, reason, message in await node.events("a") if reason == "Killing"]
    assert sorted(events) == ["Stopping container other", "Stopping container side"]


async def test_a_pod_that_restarts_as_a_whole_again_and_again_backs_off(node: Rig) -> None:
    await node.make(
        {
            "metadata": {"name": "a"},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {"name": "other", "image": "web:1"},
                    {
                        "name": "source",
                        "image": "sim/exit:42",
                        "restartPolicy": "Never",
                        "restartPolicyRules": [RESTART_ALL],
                    },
                ],
            },
        }
    )
    entry = await node.waiting("a", "CrashLoopBackOff")
    assert (entry["name"], entry["restartCount"]) == ("source", 1)
    status = await node.status("a")
    assert status["phase"] == "Running" and "running" in status["containerStatuses"][0]["state"]
    await node.advance(11)

    async def counts() -> Any:
        return [e["restartCount"] for e in (await node.status("a"))["containerStatuses"]] == [2, 2]

    await node.until(counts)


async def test_what_ended_meanwhile_is_restarted_with_its_count(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("podman://")
    await node.stop()
    node.runtime.crash(container, 7)
    await node.start()

    async def again() -> Any:
        status = (await node.status("a"))["containerStatuses"][0]
        return status if status["restartCount"] == 1 and status["state"].get("running") else None

    status = await node.until(again)
    assert status["lastState"]["terminated"]["exitCode"] == 7


class Counting(SimulatedRuntime):
    """Counts what it is asked about its pods."""

    looks = 0

    async def sandbox(self, uid: str) -> Sandbox | None:
        self.looks += 1
        return await super().sandbox(uid)

    async def sandboxes(self) -> list[Sandbox]:
        self.looks += 1
        return await super().sandboxes()


@pytest.mark.parametrize("oom_killed", [False, True])
async def test_a_successor_starts_on_what_the_end_itself_told(tmp_path: Path, oom_killed: bool) -> None:
    clock = ManualClock()
    runtime = Counting(clock=clock)
    async with rig(tmp_path, clock=clock, runtime=runtime) as found:
        await found.start()
        await found.make(one_container())
        pod = await found.phase("a", "Running")
        await found.quiet()
        first = pod["status"]["containerStatuses"][0]
        looks = runtime.looks
        runtime.crash(first["containerID"].removeprefix("podman://"), 7, oom_killed=oom_killed)

        async def again() -> Any:
            status = (await found.status("a"))["containerStatuses"][0]
            return status if status["restartCount"] == 1 and status["state"].get("running") else None

        ended = (await found.until(again))["lastState"]["terminated"]
        assert runtime.looks == looks
        assert (ended["exitCode"], ended["reason"]) == ((137, "OOMKilled") if oom_killed else (7, "Error"))
        assert ended["containerID"] == first["containerID"]
        assert ended["startedAt"] == first["state"]["running"]["startedAt"]
        assert ended.get("signal") == (9 if oom_killed else None)


async def test_an_end_during_a_look_is_not_lost(tmp_path: Path) -> None:
    """What was asked before an end may be answered after it, with what was true before."""

    class Slow(SimulatedRuntime):
        meanwhile: Any = None

        async def sandbox(self, uid: str) -> Sandbox | None:
            seen = await super().sandbox(uid)
            if self.meanwhile is not None:
                act, self.meanwhile = self.meanwhile, None
                act()
                for _ in range(5):
                    await asyncio.sleep(0)  # the event is heard first
            return seen

    clock = ManualClock()
    runtime = Slow(clock=clock)
    async with rig(tmp_path, clock=clock, runtime=runtime) as found:
        kubelet = await found.start()
        await found.make(one_container())
        pod = await found.phase("a", "Running")
        await found.quiet()
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("podman://")
        runtime.meanwhile = lambda: runtime.crash(container, 7)
        uid = pod["metadata"]["uid"]
        kubelet.workers._cache.mark_stale(uid)
        kubelet.workers.wake_uid(uid)

        async def again() -> Any:
            status = (await found.status("a"))["containerStatuses"][0]
            return status["restartCount"] == 1 and status["state"].get("running")

        await found.until(again)


async def test_what_was_made_but_not_started_is_no_restart(node: Rig) -> None:
    await node.stop()
    pod = await node.make(one_container())
    await node.runtime.pull_image("web:1")
    meta = pod["metadata"]
    sandbox = await node.runtime.create_sandbox(
        SandboxSpec(uid=meta["uid"], namespace="default", name="a", node=NODE)
    )
    from runtime.podman.interface import ContainerSpec

    await node.runtime.create_container(sandbox.id, ContainerSpec("c", 0, "web:1"))
    await node.start()
    found = await node.phase("a", "Running")
    assert found["status"]["containerStatuses"][0]["restartCount"] == 0
    assert len((await node.runtime.sandbox(meta["uid"])).containers) == 1


async def test_orphans_are_removed_and_strangers_left_alone(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    await node.stop()
    await node.client.delete("pods", "a", "default", grace_period_seconds=0)
    await node.runtime.create_sandbox(
        SandboxSpec(uid="ghost", namespace="default", name="g", node="vanished")
    )
    (node.folder / "pods" / "leftover" / "volumes").mkdir(parents=True)
    await node.start()

    async def empty() -> bool:
        return not await node.runtime.sandboxes()

    await node.until(empty)
    assert not (node.folder / "pods" / pod["metadata"]["uid"]).exists()
    await node.advance(1)
    await node.until(lambda: not (node.folder / "pods" / "leftover").exists())


async def test_other_nodes_pods_are_not_touched(tmp_path: Path) -> None:
    async with rig(tmp_path) as found:
        await found.start("n1", "n2")
        await found.make(one_container("a"))
        await found.make(one_container("b", spec={"nodeName": "n2"}))
        await found.phase("a", "Running")
        await found.phase("b", "Running")
        await found.advance(40)
        nodes = {sandbox.name: sandbox.node for sandbox in await found.runtime.sandboxes()}
        assert nodes == {"a": "n1", "b": "n2"}


async def test_a_second_sandbox_of_a_pod_is_removed(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    first = await node.runtime.sandbox(pod["metadata"]["uid"])
    double = SandboxSpec(uid="other", namespace="default", name="a", node=NODE)
    made = await node.runtime.create_sandbox(double)
    inner = node.runtime._pods[made.id]
    from dataclasses import replace

    inner.spec = replace(double, uid=pod["metadata"]["uid"])
    inner.view = None
    await node.advance(20)
    left = await node.runtime.sandboxes()
    assert [sandbox.id for sandbox in left] == [first.id]


async def test_a_broken_sandbox_is_made_anew(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    node.runtime.break_sandbox(pod["metadata"]["uid"])

    async def again() -> Any:
        status = (await node.status("a"))["containerStatuses"][0]
        return status if status["restartCount"] == 1 and status["state"].get("running") else None

    status = await node.until(again)
    assert status["lastState"]["terminated"]["exitCode"] == 137
    reasons = [reason for _, reason, _ in await node.events("a")]
    assert "SandboxChanged" in reasons


async def test_a_sandbox_lost_without_a_trace_counts_as_a_restart(node: Rig) -> None:
    await node.make(one_container())
    pod = await node.phase("a", "Running")
    await node.stop()
    await node.runtime.remove_everything()
    await node.start()

    async def again() -> Any:
        status = (await node.status("a"))["containerStatuses"][0]
        return status if status["restartCount"] == 1 and status["state"].get("running") else None

    status = await node.until(again)
    assert status["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert status["containerID"] != pod["status"]["containerStatuses"][0]["containerID"]


async def test_runtime_down_and_up_again(tmp_path: Path) -> None:
    from runtime.objects.clock import ManualClock

    clock = ManualClock()
    runtime = Faulty(clock=clock)
    async with rig(tmp_path, clock, runtime) as node:
        await node.start()
        await node.make(one_container("before"))
        await node.phase("before", "Running")
        runtime.down = True
        await node.make(one_container("during"))
        await node.quiet()
        await node.advance(20)

        async def ready() -> tuple[str, str]:
            found = await node.client.get("nodes", NODE)
            entry = next(each for each in found["status"]["conditions"] if each["type"] == "Ready")
            return entry["status"], entry["message"]

        assert await ready() == ("False", "container runtime is down")
        assert (await node.status("before"))["phase"] == "Running"
        await node.client.delete("pods", "before", "default")
        runtime.down = False
        await node.advance(5)
        await node.phase("during", "Running")
        await node.gone("before")
        await node.advance(1)
        assert await ready() == ("True", "kubelet is posting ready status")


async def test_a_sandbox_that_cannot_be_made_is_said_and_tried_again(tmp_path: Path) -> None:
    from runtime.objects.clock import ManualClock
    from runtime.podman.interface import RuntimeFailure

    class Refuses(SimulatedRuntime):
        left = 2

        async def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
            if self.left:
                self.left -= 1
                raise RuntimeFailure("no network")
            return await super().create_sandbox(spec)

    clock = ManualClock()
    async with rig(tmp_path, clock, Refuses(clock=clock)) as node:
        await node.start()
        await node.make(one_container())
        await node.waiting("a", "ContainerCreating")
        assert (
            "Warning",
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: no network",
        ) in await node.events("a")
        await node.advance(22)
        await node.phase("a", "Running")


async def test_a_runtime_that_hangs_is_down(tmp_path: Path) -> None:
    import asyncio

    from runtime.objects.clock import ManualClock

    class Hangs(SimulatedRuntime):
        answer = asyncio.Event()

        async def sandboxes(self) -> list[Sandbox]:
            await self.answer.wait()
            return await super().sandboxes()

    clock = ManualClock()
    runtime = Hangs(clock=clock)
    runtime.answer.set()
    async with rig(tmp_path, clock, runtime) as node:
        await node.start()

        async def ready() -> str:
            found = await node.client.get("nodes", NODE)
            return next(each["status"] for each in found["status"]["conditions"] if each["type"] == "Ready")

        runtime.answer.clear()
        await node.advance(40)
        assert await ready() == "False"
        runtime.answer.set()
        await node.advance(5)
        assert await ready() == "True"


async def test_a_deletion_does_not_wait_for_a_pull(tmp_path: Path) -> None:
    from runtime.objects.clock import ManualClock

    clock = ManualClock()
    async with rig(tmp_path, clock, SimulatedRuntime(clock=clock, pull_seconds=600)) as node:
        await node.start()
        await node.make(one_container("a"))
        await node.make(one_container("b"))
        await node.quiet()
        await node.advance(1)
        await node.waiting("a", "ContainerCreating")
        await node.client.delete("pods", "a", "default")
        await node.gone("a")
        await node.advance(601)
        await node.phase("b", "Running")  # the pull it shared went on


async def test_a_node_that_others_write_to_at_once_registers_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As controllers do: a new Node gets taints and annotations before its kubelet has reported."""
    report = Client.update_status
    touched: list[str] = []

    async with rig(tmp_path) as found:

        async def after_somebody_else(client: Client, obj: Obj) -> Obj:
            if obj["kind"] == "Node" and len(touched) < 2:
                touched.append(obj["metadata"]["name"])
                body = {"metadata": {"annotations": {"touched": str(len(touched))}}}
                await found.client.patch("nodes", obj["metadata"]["name"], "", body)
            return await report(client, obj)

        monkeypatch.setattr(Client, "update_status", after_somebody_else)
        await found.start()
        node = await found.client.get("nodes", NODE)
        assert node["metadata"]["annotations"]["touched"] == "2"
        assert meta.is_true(node, "Ready")


async def test_resources_advertised_by_hand_stay_and_can_be_allocated(node: Rig) -> None:
    body = {"status": {"capacity": {"example.com/dongle": "4"}}}
    await node.client.patch("nodes", NODE, "", body, subresource="status")

    async def told() -> bool:
        fresh = await node.client.get("nodes", NODE)
        return bool(fresh["status"]["allocatable"].get("example.com/dongle") == "4")

    for _ in range(3):
        await node.clock.advance(10)
    await node.until(told)
    assert (await node.client.get("nodes", NODE))["status"]["capacity"]["example.com/dongle"] == "4"
