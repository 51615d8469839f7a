"""The kubelet on real Podman: what only real processes, files and networks can show."""

from __future__ import annotations

import asyncio
import copy
import os
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from real_node import (
    Rig,
    config_map,
    ended,
    eventually,
    has_gone,
    running,
    shell,
    text_of,
)

from runtime.objects.errors import Obj
from tests.support.limits import limits_hold

if TYPE_CHECKING:
    from tests.e2e.conftest import PodmanStorage

pytestmark = pytest.mark.podman


async def test_another_image_replaces_the_container_alone(node: Rig) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 1; done"
    beside = {"name": "beside", "image": "busybox:1.36", "command": ["sh", "-c", script]}
    pod = shell("a", script)
    pod["spec"]["containers"].append({**beside, "imagePullPolicy": "IfNotPresent"})
    await node.make(no_token(pod))
    before = {s["name"]: s for s in (await running(node, "a"))["status"]["containerStatuses"]}
    live = copy.deepcopy(await node.pod("a"))
    changed = next(c["name"] for c in live["spec"]["containers"] if c["name"] != "beside")
    for container in live["spec"]["containers"]:
        if container["name"] == changed:
            container["image"] = "busybox:1.35"
    await node.client.update(live)

    async def replaced() -> Any:
        statuses = {s["name"]: s for s in (await node.pod("a"))["status"]["containerStatuses"]}
        ready = statuses[changed]["restartCount"] == 1 and statuses[changed]["ready"]
        return statuses if ready else None

    after = await eventually(replaced)
    assert after[changed]["containerID"] != before[changed]["containerID"]
    assert after["beside"]["containerID"] == before["beside"]["containerID"]
    assert after["beside"]["restartCount"] == 0


async def test_environment_volumes_and_logs(node: Rig) -> None:
    await node.client.create(config_map("settings", {"a": "1", "b": "two"}), "default")
    pod = shell(
        "a",
        "echo $WORD $IP; cat /etc/settings/b; echo; cat /labels/labels; echo; ls -l /scratch | wc -l;"
        " cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; echo done >&2",
        env=[
            {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        volumeMounts=[
            {"name": "settings", "mountPath": "/etc/settings"},
            {"name": "labels", "mountPath": "/labels"},
            {"name": "scratch", "mountPath": "/scratch"},
        ],
        metadata={"labels": {"app": "web"}},
        spec={
            "restartPolicy": "Never",
            "volumes": [
                {"name": "settings", "configMap": {"name": "settings"}},
                {
                    "name": "labels",
                    "downwardAPI": {
                        "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
                    },
                },
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    )
    # tokens need the API server's keys, which this rig has none of
    await node.make({**pod, "spec": {**pod["spec"], "automountServiceAccountToken": False}})
    found = await ended(node, "a")
    ip = found["status"]["podIP"]
    text = await text_of(node, "a")
    assert text.splitlines()[:3] == [f"1 {ip}", "two", 'app="web"']
    assert await text_of(node, "a", stream="Stderr") != "" and "done" in await text_of(
        node, "a", tail_lines=1
    )


async def test_a_killed_container_comes_back_quickly(node: Rig) -> None:
    await node.make(no_token(shell("a", "echo up; sleep 1000")))
    pod = await running(node, "a")
    first = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("podman://")
    started = time.monotonic()
    await node.runtime.kill_container(first, "SIGKILL")

    async def again() -> Any:
        status = (await node.status("a"))["containerStatuses"][0]
        return status if status["restartCount"] == 1 and "running" in status["state"] else None

    status = await eventually(again)
    assert time.monotonic() - started < 5
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert "up" in await text_of(node, "a", previous=True)


def no_token(pod: Obj) -> Obj:
    return {**pod, "spec": {**pod["spec"], "automountServiceAccountToken": False}}


async def test_files_follow_their_config_map(node: Rig) -> None:
    await node.client.create(config_map("settings", {"a": "1"}), "default")
    await node.make(
        no_token(
            shell(
                "a",
                "while sleep 0.1; do cat /s/a; echo; done",
                volumeMounts=[{"name": "s", "mountPath": "/s"}],
                spec={"volumes": [{"name": "s", "configMap": {"name": "settings"}}]},
            )
        )
    )
    await running(node, "a")
    found = await node.client.get("configmaps", "settings", "default")
    await node.client.update({**found, "data": {"a": "2"}})

    async def seen() -> bool:
        return "2\n" in await text_of(node, "a", tail_lines=3)

    await eventually(seen)


async def test_files_of_an_optional_config_map_come_and_go_with_it(node: Rig) -> None:
    pod = no_token(shell("a", "exec sleep 1000", volumeMounts=[{"name": "v", "mountPath": "/settings"}]))
    pod["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "later", "optional": True}}]
    await node.make(pod)
    container_id = (await running(node, "a"))["status"]["containerStatuses"][0]["containerID"]

    async def files(wanted: str) -> None:
        async def check() -> bool:
            found = await node.runtime.exec_sync(
                container_id.removeprefix("podman://"), ["sh", "-c", "cd /settings && echo *"], 10
            )
            return bool(found.output.decode().strip() == wanted)

        await eventually(check)

    await files("*")
    await node.client.create(config_map("later", {"a": "1", "b": "2"}), "default")
    await files("a b")
    await node.client.delete("configmaps", "later", "default")
    await files("*")


async def test_termination_messages_and_exit_codes(node: Rig) -> None:
    await node.make(
        no_token(shell("file", "echo -n why > /dev/termination-log; exit 3", spec={"restartPolicy": "Never"}))
    )
    await node.make(
        no_token(
            shell(
                "logs",
                "echo the end; exit 4",
                terminationMessagePolicy="FallbackToLogsOnError",
                spec={"restartPolicy": "Never"},
            )
        )
    )
    for name, code, message in (("file", 3, "why"), ("logs", 4, "the end\n")):
        state = (await ended(node, name))["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (state["exitCode"], state["message"], state["reason"]) == (code, message, "Error")


async def test_probes_reach_the_pod(node: Rig) -> None:
    ready = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    web = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 30}
    script = "echo hello > /tmp/index.html; sleep 1; exec httpd -f -p 8080 -h /tmp"
    await node.make(no_token(shell("a", script, readinessProbe=ready, startupProbe=web)))

    async def is_ready() -> bool:
        return bool((await node.status("a"))["containerStatuses"][0]["ready"])

    await running(node, "a")
    assert not await is_ready()
    await eventually(is_ready)
    stream = await node.nodes["n1"].port_forward(await node.pod("a"), 8080)
    await stream.write(b"GET / HTTP/1.0\r\n\r\n")
    data = b""
    while piece := await stream.read():
        data += piece
    await stream.close()
    assert b"hello" in data


async def test_exec_liveness_restarts(node: Rig) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/healthy"]}, "periodSeconds": 1, "failureThreshold": 1}
    await node.make(
        no_token(shell("a", "touch /tmp/healthy; sleep 2; rm /tmp/healthy; sleep 600", livenessProbe=probe))
    )
    await running(node, "a")

    async def restarted() -> bool:
        return int((await node.status("a"))["containerStatuses"][0]["restartCount"]) >= 1

    await eventually(restarted)
    messages = [message for _, reason, message in await node.events("a") if reason == "Unhealthy"]
    assert any("can't open '/tmp/healthy'" in message for message in messages)


async def test_sidecars_and_shared_memory_volume(node: Rig) -> None:
    mount = [{"name": "m", "mountPath": "/m"}]
    busybox = {"image": "busybox:1.36", "imagePullPolicy": "IfNotPresent", "volumeMounts": mount}
    pod = {
        "metadata": {"name": "a"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}],
            "initContainers": [
                {"name": "first", **busybox, "command": ["sh", "-c", "echo one > /m/log"]},
                {
                    "name": "side",
                    **busybox,
                    "restartPolicy": "Always",
                    "command": ["sh", "-c", "trap 'exit 0' TERM; tail -f /m/log & wait"],
                },
            ],
            "containers": [
                {"name": "c", **busybox, "command": ["sh", "-c", "echo two >> /m/log; df /m; sleep 2"]}
            ],
        },
    }
    await node.make(pod)
    found = await ended(node, "a")
    assert found["status"]["phase"] == "Succeeded"
    assert "one\ntwo\n" in await text_of(node, "a", container="side")
    assert "shm" in await text_of(node, "a", container="c") or "tmpfs" in await text_of(
        node, "a", container="c"
    )


async def test_users_groups_and_subpaths(node: Rig) -> None:
    await node.make(
        no_token(
            shell(
                "a",
                "id -u; id -G; touch /data/x && stat -c %g /data/x; cat /one/b",
                volumeMounts=[
                    {"name": "data", "mountPath": "/data"},
                    {"name": "s", "mountPath": "/one/b", "subPath": "b"},
                ],
                spec={
                    "restartPolicy": "Never",
                    "securityContext": {"runAsUser": 1000, "runAsGroup": 1001, "fsGroup": 2000},
                    "volumes": [
                        {"name": "data", "emptyDir": {}},
                        {"name": "s", "configMap": {"name": "settings"}},
                    ],
                },
            )
        )
    )
    await node.client.create(config_map("settings", {"b": "bee"}), "default")
    await ended(node, "a")
    lines = (await text_of(node, "a")).splitlines()
    assert lines[0] == "1000" and set(lines[1].split()) == {"1001", "2000"}
    assert lines[3] == "bee"
    if os.geteuid() == 0:  # an ordinary user may not give files to other groups
        assert lines[2] == "2000"


@pytest.fixture(scope="module")
def grouped_image(podman_storage: PodmanStorage) -> Iterator[str]:
    """An image whose user 1000 is in a group of it, as a layer of its own says."""
    name = "localhost/grouped:1"
    script = "echo app:x:1000:1001::/:/bin/sh >> /etc/passwd; echo more:x:50000:app >> /etc/group"
    made = ("--name", "grouped", "--network", "none", "busybox:1.36", "sh", "-c", script)
    podman_storage.run("run", *made)
    podman_storage.run("commit", "grouped", name)
    podman_storage.run("rm", "--force", "grouped")
    yield name
    podman_storage.run("rmi", "--force", name)


@pytest.mark.parametrize(
    ("context", "gid", "groups"),
    [
        ({"runAsUser": 1000}, 1001, {50000, 60000}),
        ({"runAsUser": 1000, "runAsGroup": 7}, 7, {50000, 60000}),
        ({"runAsUser": 1000, "supplementalGroupsPolicy": "Merge"}, 1001, {50000, 60000}),
        ({"runAsUser": 1000, "supplementalGroupsPolicy": "Strict"}, 1001, {60000}),
        ({"runAsUser": 1000, "runAsGroup": 7, "supplementalGroupsPolicy": "Strict"}, 7, {60000}),
    ],
)
async def test_a_users_groups_in_the_image_come_with_it_unless_the_pod_is_strict(
    node: Rig, grouped_image: str, context: Obj, gid: int, groups: set[int]
) -> None:
    pod = shell("a", "id -u; id -g; id -G", spec={"restartPolicy": "Never"})
    pod["spec"]["securityContext"] = {**context, "supplementalGroups": [60000]}
    pod["spec"]["containers"][0]["image"] = grouped_image
    await node.make(no_token(pod))
    await ended(node, "a")
    uid, primary, all_groups = (await text_of(node, "a")).splitlines()
    assert (int(uid), int(primary)) == (1000, gid)
    assert {int(group) for group in all_groups.split()} == {gid, *groups}
    shown = (await node.status("a"))["containerStatuses"][0]["user"]
    assert shown == {"linux": {"uid": 1000, "gid": gid, "supplementalGroups": sorted({gid, *groups})}}


async def test_adoption_keeps_containers_and_deletion_cleans_up(node: Rig) -> None:
    await node.make(no_token(shell("a", "sleep 1000")))
    before = await running(node, "a")
    await node.stop()
    await node.start()
    await asyncio.sleep(1)
    after = await node.pod("a")
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    await node.client.delete("pods", "a", "default")
    await has_gone(node, "a")
    assert not await node.runtime.sandboxes()
    assert not (node.folder / "pods" / before["metadata"]["uid"]).exists()


async def test_many_pods_at_once(node: Rig) -> None:
    started = time.monotonic()
    await asyncio.gather(*(node.make(no_token(shell(f"p{number}", "sleep 1000"))) for number in range(12)))
    for number in range(12):
        await running(node, f"p{number}")
    print(f"12 pods in {time.monotonic() - started:.2f} s")
    await asyncio.gather(*(node.client.delete("pods", f"p{number}", "default") for number in range(12)))
    for number in range(12):
        await has_gone(node, f"p{number}")
    print(f"and gone after {time.monotonic() - started:.2f} s")


async def memory_limit(node: Rig, pod: Obj) -> int:
    """What the kernel holds the pod's first container to, read where the container itself sees it."""
    container_id = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("podman://")
    where = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    found = await node.runtime.exec_sync(container_id, ["sh", "-c", f"cat {where} 2>/dev/null"], 10)
    return int(found.output.decode().split()[0])


async def test_a_resize_that_the_machine_has_no_limits_for_is_told(node: Rig) -> None:
    if await limits_hold(node.runtime):
        pytest.skip("this machine's containers have limits")
    await node.make(no_token(shell("a", "exec sleep 1000", resources={"limits": {"memory": "32Mi"}})))
    pod = await running(node, "a")
    containers = [{**pod["spec"]["containers"][0], "resources": {"limits": {"memory": "64Mi"}}}]
    await node.client.update_subresource("resize", {**pod, "spec": {**pod["spec"], "containers": containers}})

    async def told() -> Any:
        conditions = (await node.status("a"))["conditions"]
        return [
            one for one in conditions if one["type"] == "PodResizeInProgress" and one.get("reason") == "Error"
        ]

    [condition] = await eventually(told)
    assert "no limits of cpu and memory on this machine" in condition["message"]
    given = (await node.status("a"))["containerStatuses"][0]["resources"]
    assert given["limits"] == {"memory": "32Mi"}


async def test_a_resize_reaches_the_process_that_runs(node: Rig) -> None:
    if not await limits_hold(node.runtime):
        pytest.skip("rootless Podman on cgroup v1 has no limits")

    def amounts(memory: str) -> Obj:
        return {"requests": {"cpu": "50m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": memory}}

    await node.make(no_token(shell("a", "exec sleep 1000", resources=amounts("32Mi"))))
    first = (await running(node, "a"))["status"]["containerStatuses"][0]
    for memory, size in (("64Mi", 64 << 20), ("24Mi", 24 << 20)):
        pod = await node.pod("a")
        containers = [{**pod["spec"]["containers"][0], "resources": amounts(memory)}]
        await node.client.update_subresource(
            "resize", {**pod, "spec": {**pod["spec"], "containers": containers}}
        )

        wanted = amounts(memory)

        async def given(wanted: Obj = wanted) -> Any:
            found = await node.pod("a")
            return found if found["status"]["containerStatuses"][0]["resources"] == wanted else None

        resized = await eventually(given)
        assert await memory_limit(node, resized) == size
        status = resized["status"]["containerStatuses"][0]
        assert (status["containerID"], status["restartCount"]) == (first["containerID"], 0)


async def test_the_pod_sees_kubernetes_hosts_and_its_working_directory(node: Rig) -> None:
    spec = {
        "restartPolicy": "Never",
        "subdomain": "web",
        "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["far.example", "away.example"]}],
    }
    script = "pwd; cat /etc/hosts; grep -c 'Kubernetes-managed' /other /etc/hosts"
    mine = {"name": "other", "hostPath": {"path": "/etc/hosts", "type": "File"}}
    pod = no_token(shell("a", script, workingDir="/not/there/yet", spec={**spec, "volumes": [mine]}))
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "other", "mountPath": "/other"}]
    await node.make(pod)
    await ended(node, "a")
    lines = (await text_of(node, "a")).splitlines()
    assert lines[:2] == ["/not/there/yet", "# Kubernetes-managed hosts file."]
    ip = (await node.pod("a"))["status"]["podIP"]
    assert f"{ip}\ta.web.default.svc.cluster.local\ta" in lines
    assert "192.0.2.9\tfar.example\taway.example" in lines
    assert not any("host.containers.internal" in line for line in lines)
    assert lines[-2:] == ["/other:0", "/etc/hosts:1"]


async def test_resolver_settings_count_on_the_machines_network_too(node: Rig) -> None:
    config = {
        "nameservers": ["192.0.2.53"],
        "searches": ["a.example"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    for name, more in (("own", {}), ("machines", {"hostNetwork": True})):
        spec = {"restartPolicy": "Never", "dnsPolicy": "None", "dnsConfig": config, **more}
        await node.make(no_token(shell(name, "cat /etc/resolv.conf", spec=spec)))
        await ended(node, name)
        lines = (await text_of(node, name)).splitlines()
        assert sorted(lines) == ["nameserver 192.0.2.53", "options ndots:2", "search a.example"]


async def test_a_host_port_that_is_taken_is_named(node: Rig) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        ports = [{"containerPort": 80, "hostPort": port}]
        await node.make(no_token(shell("a", "exec sleep 1000", ports=ports)))

        async def said() -> Any:
            events = await node.events("a")
            return [text for _, reason, text in events if reason == "FailedCreatePodSandBox"]

        message = (await eventually(said))[0]
        assert "address already in use" in message and str(port) in message
        status = await node.status("a")
        assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    await running(node, "a")


async def test_what_an_image_holds_is_a_volume(node: Rig) -> None:
    mounts = [{"name": "site", "mountPath": "/site"}]
    pod = no_token(
        shell("a", "cat /site/usr/share/nginx/html/index.html; touch /site/x", volumeMounts=mounts)
    )
    pod["spec"]["volumes"] = [{"name": "site", "image": {"reference": "nginx:1.20.2"}}]
    pod["spec"]["restartPolicy"] = "Never"
    await node.make(pod)
    await ended(node, "a")
    text = await text_of(node, "a")
    assert "nginx" in text and "Read-only file system" in text
    pod["metadata"]["name"] = "b"
    pod["spec"]["volumes"] = [
        {"name": "site", "image": {"reference": "no.such/image:1", "pullPolicy": "Never"}}
    ]
    await node.make(pod)

    async def waiting() -> Any:
        statuses = (await node.status("b")).get("containerStatuses") or ()
        return [entry for entry in statuses if entry["state"]["waiting"]["reason"] == "ErrImageNeverPull"]

    await eventually(waiting)


async def test_capabilities_are_those_of_any_cluster(node: Rig) -> None:
    script = "grep CapEff /proc/self/status"
    user = {"securityContext": {"runAsUser": 1000}}
    for name, more in (
        ("root", {}),
        ("user", user),
        ("few", {"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}}),
    ):
        await node.make(no_token(shell(name, script, spec={"restartPolicy": "Never"}, **more)))
    found = {}
    for name in ("root", "user", "few"):
        await ended(node, name)
        found[name] = (await text_of(node, name)).split()[1]
    assert found == {"root": "00000000a80425fb", "user": "0" * 16, "few": "0000000000001000"}


async def test_the_environment_is_the_images_and_the_pods_alone(node: Rig) -> None:
    spec = {"restartPolicy": "Never", "enableServiceLinks": False}
    await node.make(no_token(shell("plain", "env", env=[{"name": "A", "value": "1"}], spec=spec)))
    await ended(node, "plain")
    names = {line.partition("=")[0] for line in (await text_of(node, "plain")).splitlines()}
    assert {"A", "HOME", "HOSTNAME", "PATH"} <= names
    assert not names & {"container", "TERM"}
    await node.make(no_token(shell("own", "env", env=[{"name": "TERM", "value": "dumb"}], spec=spec)))
    await ended(node, "own")
    assert "TERM=dumb" in (await text_of(node, "own")).splitlines()


async def test_a_terminal_has_a_kind(node: Rig) -> None:
    await node.make(no_token(shell("a", "exec sleep 3600")))
    pod = await running(node, "a")
    session = await node.nodes["n1"].exec(
        pod, "c", ["sh", "-c", "echo $TERM"], tty=True, stdin=False, stdout=True, stderr=False
    )
    found = b""
    while (piece := await asyncio.wait_for(session.read(), 60)) is not None:
        found += piece[1]
    assert found == b"xterm\r\n"
    await session.close()
