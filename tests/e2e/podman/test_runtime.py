"""The runtime's whole interface against a real Podman."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.podman.interface import (
    ContainerSpec,
    ImageFailure,
    Mount,
    NoSuchItem,
    PortMapping,
    RuntimeFailure,
    RuntimeUnavailable,
    SandboxSpec,
)
from runtime.podman.runtime import PodmanRuntime

pytestmark = pytest.mark.podman
SLEEP = "exec sleep 1000"


async def wait_for(check, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def ended(cluster, uid="u1", name="c"):
    async def check():
        found = await cluster.state(uid, name)
        return found if found.state == "exited" else None

    return await wait_for(check)


async def test_a_pod_costs_three_requests_and_has_its_address_at_once(cluster):
    await cluster.runtime.image("busybox")
    before = cluster.runtime.transport.calls
    sandbox = await cluster.pod(labels={"app": "x"}, hostname="web-0")
    container = await cluster.launch(sandbox, "echo hello", SLEEP)
    assert cluster.runtime.transport.calls - before == 3
    assert sandbox.ip
    found = await cluster.runtime.sandbox("u1")
    assert (found.state, found.ip, found.node, found.labels["app"]) == ("ready", sandbox.ip, "node-1", "x")
    [one] = found.containers
    assert (one.id, one.name, one.attempt, one.state, one.image) == (container, "c", 0, "running", "busybox")
    assert abs(datetime.now(UTC) - one.started_at) < timedelta(minutes=10)
    inside = await cluster.runtime.exec_sync(container, ["sh", "-c", "hostname; ip -4 addr show eth0"], 60)
    assert b"web-0" in inside.output
    assert sandbox.ip.encode() in inside.output


async def test_logs_are_in_the_cri_format(cluster):
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, "echo out", "echo err >&2", "printf partial")
    await ended(cluster)
    lines = (cluster.folder / "logs" / "u1" / "c.0.log").read_text().splitlines()
    parts = [line.split(" ", 3)[1:] for line in lines]
    assert ["stdout", "F", "out"] in parts
    assert ["stderr", "F", "err"] in parts
    assert ["stdout", "P", "partial"] in parts


async def test_two_containers_share_localhost_and_volumes(cluster, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    mount = (Mount("/data", str(shared)),)
    sandbox = await cluster.pod()
    await cluster.launch(
        sandbox, "echo page >/data/index.html", "httpd -f -p 127.0.0.1:9000 -h /data", mounts=mount
    )
    other = await cluster.launch(
        sandbox, SLEEP, name="other", mounts=(Mount("/data", str(shared), read_only=True),)
    )
    answer = await cluster.runtime.exec_sync(other, ["wget", "-qO-", "http://localhost:9000/"], 60)
    assert answer.output == b"page\n"
    assert (await cluster.runtime.exec_sync(other, ["touch", "/data/x"], 5)).exit_code == 1


async def test_environment_arguments_user_and_limits_arrive(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(
        sandbox,
        "echo $A",
        SLEEP,
        env={"A": "1 2"},
        working_dir="/tmp",
        user="1000:2000",
        groups=(3000,),
        cpu_limit=0.5,
        cpu_request=0.25,
        memory_limit=64 << 20,
        cap_drop=("ALL",),
        allow_privilege_escalation=False,
        read_only_root=True,
    )
    run = cluster.runtime.exec_sync
    seen = (
        await run(
            container,
            ["sh", "-c", "echo $A; pwd; id; touch /x; grep -E 'CapEff|NoNewPrivs' /proc/self/status"],
            5,
        )
    ).output
    for piece in (
        b"1 2\n",
        b"/tmp\n",
        b"uid=1000(1000) gid=2000(2000)",
        b"3000",
        b"Read-only",
        b"CapEff:\t0000000000000000",
        b"NoNewPrivs:\t1",
    ):
        assert piece in seen
    if not await cluster.limits_hold():
        return
    inspected = await cluster.runtime.transport.get(f"/containers/{container}/json")
    host = inspected["HostConfig"]
    assert (host["Memory"], host["CpuQuota"], host["CpuShares"]) == (64 << 20, 50_000, 256)
    assert host["PidsLimit"] <= 0, "as many processes as it likes"


async def test_the_image_decides_what_is_not_given(cluster):
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, image="nginx:1.14.2")

    async def page():
        try:
            connection = await cluster.runtime.connect(sandbox.id, 80)
        except RuntimeFailure:
            return None
        await connection.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := await connection.read():
            answer += piece
        await connection.close()
        return answer

    answer = await wait_for(page)
    assert b"Server: nginx/1.14.2" in answer
    assert b"Welcome to nginx!" in answer


async def test_an_exit_is_told_at_once_with_its_code(cluster):
    events = cluster.runtime.events()
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, "sleep 0.3", "exit 3")

    async def died():
        async for event in events:
            if event.action == "died" and event.container_id == container:
                return event
        return None

    event = await asyncio.wait_for(died(), 60)
    now = datetime.now(UTC)
    one = await cluster.state()
    assert (event.exit_code, event.sandbox_uid) == (3, "u1")
    assert (one.state, one.exit_code) == ("exited", 3)
    assert one.started_at + timedelta(seconds=0.2) < one.finished_at <= now


async def test_the_end_of_what_runs_is_told_in_full_without_a_request(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    before = (
        await cluster.state()
    )  # the listing names the infra container, whose life is watched from then on
    events, calls = cluster.runtime.events(), cluster.runtime.transport.calls
    os.kill(before.pid, signal.SIGKILL)

    async def died():
        async for event in events:
            if event.action == "died" and event.container_id == container:
                return event
        return None

    event = await asyncio.wait_for(died(), 60)
    assert cluster.runtime.transport.calls == calls
    assert (event.exit_code, event.oom_killed) == (137, False)
    after = await cluster.state()
    assert cluster.runtime.transport.calls == calls + 1, "a listing, and no look at the container"
    assert (after.state, after.exit_code, after.finished_at) == ("exited", 137, event.finished_at)
    inspected = cluster.run("inspect", "--format", "{{.State.FinishedAt.UnixMilli}}", container)
    assert int(inspected) == int(event.finished_at.timestamp() * 1000)


async def test_an_end_with_that_of_the_infra_container_makes_one_look_at_all(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    await cluster.state()
    events = cluster.runtime.events()
    cluster.run("pod", "kill", sandbox.id)
    told = {}

    async def died():
        async for event in events:
            if event.action == "died":
                told.setdefault(event.type, event)
            if len(told) == 2:
                return

    await asyncio.wait_for(died(), 60)
    assert told["container"].container_id == container
    assert (await cluster.runtime.sandbox("u1")).state == "notready"


async def test_images_are_listed_again_only_when_the_storage_has_others(cluster):
    runtime = cluster.runtime
    found = await runtime.image("busybox:1.36")
    runtime._image_store()._listed -= 3600
    calls = runtime.transport.calls
    assert await runtime.image("docker.io/library/busybox:1.36") == found
    assert runtime.transport.calls == calls
    cluster.run("tag", "busybox:1.36", "localhost/just-tagged:1")
    try:
        assert (await runtime.image("just-tagged:1")).id == found.id
    finally:
        cluster.run("untag", found.id, "localhost/just-tagged:1")
    assert await runtime.image("just-tagged:1") is None


async def test_stop_waits_for_the_grace_period_and_may_be_hurried(cluster):
    sandbox = await cluster.pod()
    polite = await cluster.launch(
        sandbox, "trap 'exit 7' TERM", "echo up", "while :; do sleep 0.05; done", name="polite"
    )
    deaf = await cluster.launch(
        sandbox, "trap '' TERM", "echo up", "while :; do sleep 0.05; done", name="deaf"
    )
    for name in ("polite", "deaf"):
        log = cluster.folder / "logs" / "u1" / f"{name}.0.log"

        async def up(log=log):
            return log.exists() and "up" in log.read_text()

        await wait_for(up, 60)
    await cluster.runtime.stop_container(polite, 300)
    assert (await cluster.state(name="polite")).exit_code == 7
    stopping = asyncio.ensure_future(cluster.runtime.stop_container(deaf, 300))
    await asyncio.sleep(0.5)
    assert not stopping.done()
    assert (await cluster.state(name="deaf")).state == "running"
    await cluster.runtime.stop_container(deaf, 0)
    await asyncio.wait_for(stopping, 120)
    assert (await cluster.state(name="deaf")).exit_code == 137
    await cluster.runtime.stop_container(deaf, 5)  # nothing to do
    await cluster.runtime.stop_container("0" * 64, 5)  # nothing there


async def test_a_container_killed_for_memory_is_told_apart(cluster):
    if not Path("/dev/kmsg").exists() or not os.access("/dev/kmsg", os.R_OK):
        pytest.skip("the kernel's log can't be read here")
    if not await cluster.limits_hold():
        pytest.skip("rootless Podman on cgroup v1 has no limits")
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, "x=a; while true; do x=$x$x; done", memory_limit=24 << 20)
    killed = await cluster.launch(sandbox, SLEEP, name="killed", memory_limit=24 << 20)
    await cluster.runtime.kill_container(killed, "SIGKILL")
    greedy, other = await ended(cluster), await ended(cluster, name="killed")
    assert (greedy.exit_code, greedy.oom_killed) == (137, True)
    assert (other.exit_code, other.oom_killed) == (137, False)


async def test_failures_have_names(cluster):
    sandbox = await cluster.pod()
    with pytest.raises(NoSuchItem, match="no-such-image:1"):
        await cluster.runtime.create_container(
            sandbox.id, ContainerSpec(name="a", attempt=0, image="no-such-image:1")
        )
    container = await cluster.runtime.create_container(
        sandbox.id, ContainerSpec(name="b", attempt=0, image="busybox", command=("/nope",))
    )
    with pytest.raises(RuntimeFailure, match="/nope") as failure:
        await cluster.runtime.start_container(container)
    assert (failure.value.reason, failure.value.code) == ("RunContainerError", 128)
    assert "\n" not in failure.value.message
    with pytest.raises(NoSuchItem):
        await cluster.runtime.create_container("0" * 64, ContainerSpec(name="c", attempt=0, image="busybox"))
    with pytest.raises(NoSuchItem):
        await cluster.runtime.start_container("0" * 64)
    with pytest.raises(RuntimeFailure, match="refused"):
        await cluster.launch(sandbox, SLEEP, name="up")
        await cluster.runtime.connect(sandbox.id, 1)


async def test_images_are_found_by_every_name_and_never_asked_of_a_registry(cluster):
    runtime = cluster.runtime
    names = [
        "busybox",
        "busybox:latest",
        "docker.io/library/busybox",
        "docker.io/busybox:latest",
        "library/busybox",
    ]
    found = {(await runtime.image(name)).id for name in names}
    assert len(found) == 1
    assert (await runtime.image(found.pop())) is not None
    assert (await runtime.image("kubetui-demo:v1")) is not None  # tagged localhost/ only
    assert await runtime.image("quay.io/library/busybox") is None
    assert await runtime.image("Not::Valid") is None
    nginx = await runtime.image("nginx:1.16.1")
    assert nginx.command[0] == "nginx"
    assert nginx.stop_signal


async def test_pulls_fail_with_a_reason(cluster):
    with pytest.raises(ImageFailure) as failure:
        await cluster.runtime.pull_image("localhost:1/nothing:1")
    assert failure.value.reason == "RegistryUnavailable"
    with pytest.raises(ImageFailure) as failure:
        await cluster.runtime.pull_image("UPPER::")
    assert failure.value.reason == "InvalidImageName"


async def test_connections_reach_servers_on_localhost_only_unless_an_address_is_asked_for(cluster):
    sandbox = await cluster.pod()
    await cluster.launch(
        sandbox, "mkdir /w", "echo hi >/w/index.html", "exec httpd -f -p 127.0.0.1:8080 -h /w"
    )

    async def answer():
        try:
            return await cluster.runtime.connect(sandbox.id, 8080)
        except RuntimeFailure:
            return None

    connection = await wait_for(answer)
    await connection.write(b"GET / HTTP/1.0\r\n\r\n")
    await connection.close_write()
    text = b""
    while piece := await connection.read():
        text += piece
    assert text.endswith(b"hi\n")
    await connection.close()
    with pytest.raises(RuntimeFailure, match="refused"):
        await cluster.runtime.connect(sandbox.id, 8080, host=sandbox.ip)


async def test_a_large_stream_goes_both_ways_through_a_connection(cluster):
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, "exec nc -l -p 7000 -e cat")
    size, piece = 16 << 20, os.urandom(1 << 16)

    async def open_it():
        try:
            return await cluster.runtime.connect(sandbox.id, 7000, host=sandbox.ip)
        except RuntimeFailure:
            return None

    connection = await wait_for(open_it)

    async def send():
        for _ in range(size // len(piece)):
            await connection.write(piece)
        await connection.close_write()

    sending = asyncio.ensure_future(send())
    back = bytearray()
    while got := await connection.read():
        back += got
    await sending
    assert len(back) == size
    assert bytes(back[: len(piece)]) == piece
    await connection.close()


async def test_exec_has_full_duplex_half_close_and_an_exit_code(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    flags = {"tty": False, "stdin": True, "stdout": True, "stderr": True}
    session = await cluster.runtime.exec(container, ["sh", "-c", "cat; echo done >&2; exit 4"], **flags)
    payload = os.urandom(1 << 16) * 64

    async def send():
        for start in range(0, len(payload), 1 << 16):
            await session.write(payload[start : start + (1 << 16)])
        await session.close_stdin()

    sending = asyncio.ensure_future(send())
    out, err = bytearray(), b""
    while (piece := await session.read()) is not None:
        if piece[0] == 1:
            out += piece[1]
        else:
            err += piece[1]
    await sending
    assert bytes(out) == payload
    assert err == b"done\n"
    assert await session.wait() == 4
    await session.close()


async def test_exec_with_a_terminal_has_a_size(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    session = await cluster.runtime.exec(container, ["sh"], tty=True, stdin=True, stdout=True, stderr=True)
    await session.resize(77, 33)
    await session.write(b"stty size; exit 9\r")
    text = b""
    while (piece := await session.read()) is not None:
        text += piece[1]
    assert b"33 77" in text
    assert await session.wait() == 9


async def test_a_short_command_that_hangs_is_given_up_and_killed(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    async with asyncio.timeout(600):
        with pytest.raises(TimeoutError):
            await cluster.runtime.exec_sync(container, ["sleep", "4242"], 0.5)

    async def gone():
        return b"4242" not in (await cluster.runtime.exec_sync(container, ["ps"], 60)).output

    await wait_for(gone)


async def test_attach_joins_the_containers_own_streams(cluster):
    sandbox = await cluster.pod()
    script = "while read line; do echo got $line; done; exit 5"
    container = await cluster.launch(sandbox, script, stdin=True)
    session = await cluster.runtime.attach(container, tty=False, stdin=True, stdout=True, stderr=True)
    await session.write(b"one\n")
    assert await asyncio.wait_for(session.read(), 60) == (1, b"got one\n")
    await session.close_stdin()
    assert await asyncio.wait_for(session.read(), 60) is None
    assert await session.wait() == 5
    await session.close()


async def test_a_containers_input_stays_open_from_client_to_client(cluster):
    sandbox = await cluster.pod()
    script = "while read line; do echo got $line; echo saw $line >&2; done; exit 5"
    container = await cluster.launch(sandbox, script, stdin=True)

    async def attach(**streams):
        wanted = {"stdin": True, "stdout": True, "stderr": True, **streams}
        return await cluster.runtime.attach(container, tty=False, keep_stdin=True, **wanted)

    watching = await attach(stdin=False, stderr=False)
    first = await attach()
    await first.write(b"one\n")
    assert await asyncio.wait_for(watching.read(), 60) == (1, b"got one\n")
    await watching.close()
    heard = [await asyncio.wait_for(first.read(), 60) for _ in range(2)]
    assert sorted(heard) == [(1, b"got one\n"), (2, b"saw one\n")]
    waiting = asyncio.create_task(first.read())
    await first.close_stdin()
    assert await asyncio.wait_for(waiting, 60) is None
    assert await first.wait() == 0
    await first.close()
    second = await attach(stderr=False)
    await second.write(b"two\n")
    assert await asyncio.wait_for(second.read(), 60) == (1, b"got two\n")
    assert (await cluster.runtime.sandbox("u1")).containers[0].state == "running"
    await cluster.runtime.stop_container(container, 0)
    assert await asyncio.wait_for(second.read(), 60) is None
    assert await second.wait() == 137
    await second.close()


async def test_what_containers_wrote_into_their_root_file_systems(cluster):
    sandbox = await cluster.pod()
    idle = await cluster.launch(sandbox, SLEEP, name="idle")
    busy = await cluster.launch(sandbox, "head -c 300000 /dev/zero >/file", SLEEP, name="busy")

    async def wrote():
        found = await cluster.runtime.written([idle, busy, "f" * 64])
        return found if found[busy] >= 300_000 else None

    found = await wait_for(wrote)
    assert found.keys() == {idle, busy} and found[busy] < 400_000 and found[idle] < 100_000


async def test_hosts_names_and_host_aliases(cluster):
    sandbox = await cluster.pod(
        dns_servers=("10.96.0.10",),
        dns_searches=("default.svc.cluster.local", "cluster.local"),
        dns_options=("ndots:5",),
        host_aliases=(("10.1.2.3", ("foo", "bar")),),
    )
    container = await cluster.launch(sandbox, SLEEP)
    text = (
        await cluster.runtime.exec_sync(container, ["cat", "/etc/resolv.conf", "/etc/hosts"], 60)
    ).output.decode()
    assert "nameserver 10.96.0.10" in text
    assert "search default.svc.cluster.local cluster.local" in text
    assert "ndots:5" in text
    assert "10.1.2.3" in text
    assert "foo" in text


async def test_shared_processes_host_network_and_memory_volumes(cluster):
    shared = await cluster.pod("shared", share_process_namespace=True)
    await cluster.launch(shared, "exec sleep 31337")
    other = await cluster.launch(
        shared, SLEEP, name="other", mounts=(Mount("/mem", type="tmpfs", options=("size=1m",)),)
    )
    seen = (await cluster.runtime.exec_sync(other, ["sh", "-c", "ps; df -k /mem"], 5)).output
    assert b"31337" in seen
    assert b"/pause" in seen
    assert b"tmpfs" in seen
    host = await cluster.pod("host", host_network=True, host_pid=True, host_ipc=True, hostname="")
    assert host.ip == ""
    container = await cluster.launch(host, SLEEP)
    spaces = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("ipc", "pid", "net")]
    script = "for kind in ipc pid net; do readlink /proc/self/ns/$kind; done"
    seen = (await cluster.runtime.exec_sync(container, ["sh", "-c", script], 60)).output
    assert seen.decode().split() == spaces
    seen = (await cluster.runtime.exec_sync(container, ["sh", "-c", "ls /sys/class/net; ps"], 5)).output
    assert b"eth0" in seen or b"lo" in seen
    assert b"31337" in seen


async def test_another_runtime_adopts_what_runs(cluster):
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    runtime = cluster.runtime
    pool = runtime._pool.subnet
    second = PodmanRuntime(runtime.cluster_id, cluster.folder / "second", subnet=pool)
    await second.start()
    try:
        [found] = await second.sandboxes()
        assert (found.id, found.ip, found.containers[0].id) == (sandbox.id, sandbox.ip, container)
        assert found.containers[0].log_path.endswith("c.0.log")
        other = await second.create_sandbox(cluster.spec("u2"))
        assert other.ip != sandbox.ip
        [first] = [one for one in await second.stats() if one.container_id == container]
        assert first.memory > 0
        if await cluster.limits_hold():  # counted in ticks otherwise, and a sleeper has none
            assert first.cpu_nanoseconds > 0
    finally:
        await second.close()
    assert (await cluster.state()).state == "running"


async def test_a_half_made_pod_of_the_same_uid_is_replaced(cluster):
    first = await cluster.pod()
    again = await cluster.pod()
    assert again.id != first.id
    assert [one.id for one in await cluster.runtime.sandboxes()] == [again.id]
    await cluster.launch(again, SLEEP)
    await cluster.runtime.remove_sandbox(again.id)
    await cluster.runtime.remove_sandbox(again.id)
    assert await cluster.runtime.sandboxes() == []
    assert await cluster.runtime.sandbox("u1") is None


async def test_what_others_run_is_never_touched(cluster, podman_storage):
    podman_storage.run("create", "--name", "foreign", "docker.io/library/busybox", "true")
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, SLEEP)
    assert len(await cluster.runtime.sandboxes()) == 1
    removed = await cluster.runtime.remove_everything()
    assert "pod default/pod-u1" in removed
    assert "foreign" in podman_storage.run("ps", "-a", "--format", "{{.Names}}")
    podman_storage.run("rm", "foreign")


async def test_the_service_is_started_again_and_containers_never_notice(cluster):
    events = cluster.runtime.events()
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, SLEEP)

    async def stream_is_open():
        await cluster.launch(sandbox, SLEEP, name=f"c{uuid.uuid4().hex[:8]}")
        async with asyncio.timeout(60):
            async for event in events:
                if event.action == "start":
                    return True
        return False

    await wait_for(stream_is_open)
    before = await cluster.state()
    os.kill(cluster.runtime.service._process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeUnavailable):
        for _ in range(50):
            await cluster.runtime.sandboxes()

    async def lost():
        async for event in events:
            if event.type == "lost":
                return True
        return False

    assert await asyncio.wait_for(lost(), 60)
    after = await cluster.state()
    assert (after.id, after.pid, after.state) == (before.id, before.pid, "running")


async def test_a_dead_infra_process_is_noticed(cluster):
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, SLEEP)
    await cluster.runtime.sandboxes()
    pid = await cluster.runtime._list().infra_pid(sandbox.id)
    os.kill(pid, signal.SIGKILL)

    async def notready():
        found = await cluster.runtime.sandbox("u1")
        return found.state == "notready"

    await wait_for(notready)


async def test_a_long_name_a_host_port_and_an_init_that_ends(cluster):
    port = 20_000 + os.getpid() % 10_000
    sandbox = await cluster.runtime.create_sandbox(
        SandboxSpec(
            uid="8e0f2ca9-fd06-4ff2-9cb8-ab2e77c8459d",
            namespace="n" * 63,
            name="p" * 80,
            node="node-1",
            ports=(PortMapping(8080, port, "127.0.0.1"),),
        )
    )
    await cluster.launch(sandbox, "exit 0", name="init")
    await ended(cluster, sandbox.uid, "init")
    assert (await cluster.runtime.sandbox(sandbox.uid)).state == "ready"  # a pod outlives its containers
    await cluster.launch(sandbox, image="http-go:v2")

    async def answer():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return None
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        text = await reader.read()
        writer.close()
        return text

    assert b"Welcome! v2" in await wait_for(answer)


async def test_what_somebody_froze_can_be_stopped_and_removed(cluster, podman_storage):
    if not await cluster.limits_hold():
        pytest.skip("rootless Podman on cgroup v1 can't freeze a container")
    sandbox = await cluster.pod()
    container = await cluster.launch(sandbox, SLEEP)
    podman_storage.run("pause", container)
    await cluster.runtime.stop_container(container, 0)
    assert (await cluster.state("u1", "c")).state == "exited"
    other = await cluster.pod(uid="u2")
    podman_storage.run("pause", await cluster.launch(other, SLEEP))
    await cluster.runtime.remove_sandbox(other.id)
    assert await cluster.runtime.sandbox("u2") is None
    third = await cluster.pod(uid="u3")
    podman_storage.run("pause", await cluster.launch(third, SLEEP))
    await cluster.runtime.remove_everything()
    assert await cluster.runtime.sandboxes() == []


async def test_any_number_of_containers_is_told_to_stop_at_once(cluster):
    """One that takes its time must not keep others from hearing that they are to end."""
    sandbox = await cluster.pod()
    script = ("trap 'echo told' TERM", "echo up", "while :; do sleep 0.2; done")
    names = [f"c{number}" for number in range(min(3 * (os.cpu_count() or 1) + 3, 15))]
    containers = [await cluster.launch(sandbox, *script, name=name) for name in names]

    async def all_say(word):
        logs = [cluster.folder / "logs" / "u1" / f"{name}.0.log" for name in names]
        return all(log.exists() and word in log.read_text() for log in logs)

    await wait_for(lambda: all_say("up"))  # a signal before the trap is set would be lost
    stopping = [asyncio.ensure_future(cluster.runtime.stop_container(one, 600)) for one in containers]
    await wait_for(lambda: all_say("told"))
    assert not any(task.done() for task in stopping)
    await asyncio.gather(*(cluster.runtime.stop_container(one, 0) for one in containers))
    await asyncio.wait_for(asyncio.gather(*stopping), 120)
    assert {(await cluster.state(name=name)).exit_code for name in names} == {137}
