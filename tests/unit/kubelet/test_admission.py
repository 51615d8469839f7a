"""What a node takes and what it refuses, whoever bound it there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from node_rig import NODE, one_container, rig

from runtime.kubelet import KubeletOptions
from runtime.kubelet.pods.admission import Commitments, NodeRoom, dotted, refusal

ROOM = NodeRoom(NODE, {"disk": "ssd"}, {"cpu": 2.0, "memory": 1 << 30, "ephemeral-storage": 1 << 30}, 2)


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def asking(**requests: str) -> dict[str, Any]:
    return pod(containers=[{"name": "c", "image": "i", "resources": {"requests": requests}}])


def host_port(port: int, **more: str) -> dict[str, Any]:
    ports = [{"containerPort": 80, "hostPort": port, **more}]
    return pod(containers=[{"name": "c", "image": "i", "ports": ports}])


def sysctl(name: str, **spec: Any) -> dict[str, Any]:
    return pod(securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)


@pytest.mark.parametrize(
    ("wanted", "reason", "message"),
    [
        (pod(), "", ""),
        (asking(cpu="1500m", memory="512Mi"), "", ""),
        (
            asking(cpu="1501m"),
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1501, used: 500, capacity: 2000",
        ),
        (
            asking(memory="1Gi", cpu="1m"),
            "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 1073741824, used: 1024, capacity: 1073741824",
        ),
        (asking(**{"ephemeral-storage": "2Gi"}), "OutOfephemeral-storage", ""),
        (pod(nodeSelector={"disk": "ssd"}), "", ""),
        (
            pod(nodeSelector={"disk": "hdd"}),
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        (host_port(8081), "", ""),
        (host_port(8080, protocol="UDP"), "", ""),
        (host_port(8080, hostIP="127.0.0.1"), "NodePorts", ""),
        (
            host_port(8080),
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
        ),
        (sysctl("kernel.shm_rmid_forced"), "", ""),
        (sysctl("net/ipv4/tcp_syncookies"), "", ""),
        (sysctl("kernel.msgmax"), "SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (
            sysctl("net.ipv4.tcp_syncookies", hostNetwork=True),
            "SysctlForbidden",
            'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
        ),
        (sysctl("kernel.shm_rmid_forced", hostIPC=True), "SysctlForbidden", ""),
        (pod(os={"name": "windows"}), "PodOSNotSupported", ""),
    ],
)
def test_what_is_refused_and_why(wanted: dict[str, Any], reason: str, message: str) -> None:
    taken = Commitments()
    taken.take("first", asking(cpu="500m", memory="1Ki")["spec"])
    taken.ports.update([("0.0.0.0", "TCP", 8080)])
    found = refusal(wanted, taken, ROOM)
    assert (found.reason if found else "") == reason
    assert found is None or not message or found.message == message


def test_only_so_many_pods_and_room_again_when_one_ends() -> None:
    taken = Commitments()
    for uid in ("a", "b"):
        taken.take(uid, host_port(80)["spec"])
    found = refusal(pod(), taken, ROOM)
    assert found and found.reason == "OutOfpods" and found.message.endswith("used: 2, capacity: 2")
    taken.release("a")
    taken.release("a")
    assert refusal(pod(), taken, ROOM) is None and refusal(host_port(80), taken, ROOM)
    taken.release("b")
    assert refusal(host_port(80), taken, ROOM) is None


def test_names_of_sysctls() -> None:
    assert dotted("net/ipv4/conf/eth0.100/x") == "net.ipv4.conf.eth0/100.x"
    assert dotted("net.ipv4.conf.eth0/100.x") == "net.ipv4.conf.eth0/100.x"


async def test_a_refused_pod_fails_with_the_reason_and_is_never_made(tmp_path: Path) -> None:
    async with rig(tmp_path) as node:
        await node.start(options=KubeletOptions(max_pods=10_000, cpu=2.0, memory=8 << 30))
        await node.make(one_container(resources={"requests": {"cpu": "100"}}))
        failed = (await node.phase("a", "Failed"))["status"]
        words = "Node didn't have enough resource: cpu, requested: 100000, used: 0, capacity: 2000"
        assert failed["reason"] == "OutOfcpu" and failed["message"] == f"Pod was rejected: {words}"
        assert failed["startTime"] and "containerStatuses" not in failed
        assert ("Warning", "OutOfcpu", words) in await node.events("a")
        assert await node.runtime.sandboxes() == []
        await node.make(one_container("b", resources={"requests": {"cpu": "2"}}))
        await node.phase("b", "Running")

        await node.stop()
        await node.start(options=KubeletOptions(max_pods=10_000, cpu=1.0, memory=8 << 30))
        await node.quiet()
        assert (await node.status("a")) == failed, "the next kubelet has nothing to add"
        assert (await node.status("b"))["phase"] == "Running", "what was taken once stays"
        await node.client.delete("pods", "a", "default")
        await node.gone("a")


async def test_a_place_is_free_again_when_a_pod_has_ended(tmp_path: Path) -> None:
    async with rig(tmp_path) as node:
        await node.start(options=KubeletOptions(max_pods=1, cpu=2.0, memory=8 << 30))
        never: dict[str, Any] = {"restartPolicy": "Never"}
        await node.make(one_container(image="sim/run:5", spec=never))
        await node.phase("a", "Running")
        await node.make(one_container("b", spec=never))
        assert (await node.phase("b", "Failed"))["status"]["reason"] == "OutOfpods"
        await node.advance(6)
        await node.phase("a", "Succeeded")
        await node.quiet()
        await node.make(one_container("c", spec=never))
        await node.phase("c", "Running")


@pytest.mark.parametrize("how", ["ends", "deleted", "forced"])
async def test_a_place_is_free_before_anybody_can_know_of_it(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler sends the next pod as soon as it sees the end of the last one, faster than it is cleaned up."""
    async with rig(tmp_path) as node:
        await node.start(options=KubeletOptions(max_pods=10, cpu=2.0, memory=8 << 30))
        asks = {"requests": {"cpu": "2"}}
        never: dict[str, Any] = {"restartPolicy": "Never"}
        await node.make(one_container(image="sim/run:5", resources=asks, spec=never))
        await node.phase("a", "Running")
        held = asyncio.Event()
        remove, clean_up = node.runtime.remove_sandbox, node.kubelets[0]._services.volumes.clean_up

        async def slow_remove(sandbox_id: str) -> None:
            await held.wait()
            await remove(sandbox_id)

        async def slow_clean_up(uid: str) -> None:
            await held.wait()
            await clean_up(uid)

        monkeypatch.setattr(node.runtime, "remove_sandbox", slow_remove)
        monkeypatch.setattr(node.kubelets[0]._services.volumes, "clean_up", slow_clean_up)
        if how == "ends":
            await node.advance(6)
            await node.phase("a", "Succeeded")
        else:
            await node.client.delete(
                "pods", "a", "default", grace_period_seconds=0 if how == "forced" else None
            )
            await node.advance(3)
        await node.quiet()
        await node.make(one_container("b", resources=asks, spec=never))
        await node.quiet()
        assert (await node.status("b"))["phase"] != "Failed"
        held.set()
        await node.phase("b", "Running")
