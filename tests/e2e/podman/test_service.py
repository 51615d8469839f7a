"""The service behind the runtime: found, started, adopted, started again, and left in peace."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.podman import streams
from runtime.podman.bridge import remove_bridge
from runtime.podman.doctor import examine
from runtime.podman.interface import RuntimeFailure
from runtime.podman.runtime import PodmanRuntime
from runtime.podman.service import PodmanService
from runtime.podman.spec import bridge_name

pytestmark = pytest.mark.podman

SIOCBRADDBR = 0x89A0  # linux/sockios.h

KILLED = """
import asyncio, os, sys
from pathlib import Path
from runtime.podman.service import PodmanService
async def main():
    await PodmanService(Path(sys.argv[1])).start()
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


async def answers(url: str, wanted: bool, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while (await streams.ping(url) is not None) is not wanted:
        assert time.monotonic() < deadline, (
            f"the service {'did not answer' if wanted else 'went on answering'}"
        )
        await asyncio.sleep(0.05)


async def test_a_service_is_started_watched_and_stopped(podman_storage, tmp_path):
    service = PodmanService(tmp_path / "s")
    await service.start()
    assert service.ours
    pid = service_pid(tmp_path / "s")
    assert os.getsid(pid) == pid  # Ctrl+C in the terminal does not reach it
    os.kill(pid, signal.SIGKILL)
    await other_than(tmp_path / "s", pid)
    await answers(service.url, True)
    await service.close()
    await answers(service.url, False)
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["containers.conf", "podman.log"]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("runtime.podman.service._LOOK_SECONDS", 1.0)
    monkeypatch.setattr("runtime.podman.service._SILENT_SECONDS", 4.0)


def service_pid(folder: Path) -> int:
    return int((folder / "podman.pid").read_text().split()[0])


async def other_than(folder: Path, pid: int, seconds: float = 120.0) -> int:
    """The service's pid as soon as it is another."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError, IndexError):  # it is just being written
                if (found := service_pid(folder)) != pid:
                    return found
            await asyncio.sleep(0.05)


async def test_a_service_that_hangs_is_ended_and_started_again(cluster, impatient):
    container = await cluster.launch(await cluster.pod(), "exec sleep 1000")
    before = await cluster.state()
    folder = cluster.folder / "state"
    for _ in range(2):
        pid = service_pid(folder)
        os.killpg(pid, signal.SIGSTOP)  # rootless it serves from a child
        await other_than(folder, pid)
        await answers(cluster.runtime.service.url, True, 120)
    after = await cluster.state()
    assert (after.id, after.pid, after.state) == (container, before.pid, "running")


async def adopted(folder: Path) -> tuple[PodmanService, int]:
    """A service whose own program was killed, in the hands of another, and its process."""
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(folder), cwd=Path.cwd())
    assert await program.wait() == -signal.SIGKILL
    pid = service_pid(folder)
    service = PodmanService(folder)
    await service.start()
    assert service_pid(folder) == pid
    return service, pid


async def test_an_adopted_service_that_hangs_is_ended_too(podman_storage, tmp_path, impatient):
    folder = tmp_path / "s"
    service, pid = await adopted(folder)
    os.killpg(pid, signal.SIGSTOP)  # rootless it serves from a child
    await other_than(folder, pid)
    await answers(service.url, True, 120)
    await service.close()
    await answers(service.url, False)


async def test_the_users_own_service_is_never_ended(podman_storage, tmp_path, impatient):
    url = f"unix://{tmp_path}/own.sock"
    command = podman_storage.service.command("system", "service", "--time=0", url)
    own = await asyncio.create_subprocess_exec(
        *command, env=podman_storage.environment, start_new_session=True
    )
    try:
        await answers(url, True, 120)
        given = PodmanService(tmp_path / "other", url=url)
        await given.start()
        own.send_signal(signal.SIGSTOP)
        await asyncio.sleep(8)
        own.send_signal(signal.SIGCONT)
        await answers(url, True, 120)
        assert own.returncode is None
        await given.close()
    finally:
        os.killpg(own.pid, signal.SIGKILL)
        await own.wait()


async def test_a_service_that_outlived_its_program_is_adopted_and_looked_after(podman_storage, tmp_path):
    folder = tmp_path / "s"
    service, pid = await adopted(folder)
    os.kill(pid, signal.SIGKILL)
    await other_than(folder, pid)
    await answers(service.url, True)
    await service.close()
    await answers(service.url, False)


async def test_two_programs_share_one_service_and_its_owner_ends_it(podman_storage, tmp_path):
    first = PodmanService(tmp_path / "s")
    await first.start()
    line = (tmp_path / "s" / "podman.pid").read_text()
    # Another living program's line: its pid and the start of its life.
    code = "import sys; sys.stdin.read()"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=subprocess.PIPE)
    try:
        started = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        (tmp_path / "s" / "podman.pid").write_text(f"{line.split()[0]} {other.pid} {started}")
        second = PodmanService(tmp_path / "s")
        await second.start()
        await second.close()
        assert await streams.ping(first.url) is not None
    finally:
        await other.communicate(b"")
        await first.close()


async def test_a_url_is_taken_as_it_is(podman_storage, tmp_path):
    own = PodmanService(tmp_path / "own")
    await own.start()
    try:
        given = PodmanService(tmp_path / "other", url=own.url)
        await given.start()
        assert (given.url, given.ours) == (own.url, False)
        await given.close()
        assert await streams.ping(own.url) is not None
    finally:
        await own.close()


async def test_a_clash_of_addresses_is_named_and_leaves_nothing_running(cluster, tmp_path):
    other = PodmanRuntime("other", tmp_path / "other", subnet=cluster.runtime._pool.subnet)
    with pytest.raises(RuntimeFailure, match=f"kubetui-{cluster.runtime.cluster_id}"):
        await other.start()
    assert not (tmp_path / "other" / "podman.sock").exists()
    assert await other.remove_everything() == []
    await other.close()


async def test_everything_can_be_removed_without_a_start(cluster, tmp_path):
    sandbox = await cluster.pod()
    await cluster.launch(sandbox, "exec sleep 1000")
    down = PodmanRuntime(cluster.runtime.cluster_id, tmp_path / "down", subnet="10.99.0.0/16")
    removed = await down.remove_everything(volumes=True)
    await down.close()
    assert removed == ["pod default/pod-u1", f"network kubetui-{cluster.runtime.cluster_id}"]


async def test_a_start_that_was_begun_is_done_before_the_service_ends(cluster):
    """Otherwise its bridge and rules, of which Podman has no record, would stay for ever."""
    runtime = cluster.runtime
    bridge = Path("/sys/class/net", bridge_name(runtime.cluster_id))
    sandbox = await cluster.pod()
    start = asyncio.create_task(cluster.launch(sandbox, "exec sleep 1000"))
    deadline = time.monotonic() + 60
    while not bridge.exists() and not start.done():  # Netavark is at it; rootless its bridge is not seen here
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await runtime.close()
    await runtime.start()
    found = await cluster.state()
    assert found.state == "running"
    inside = cluster.run("container", "exec", found.id, "ip", "-4", "-o", "address", "show", "eth0")
    assert sandbox.ip in inside


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes bridges on the machine itself")
async def test_a_bridge_that_was_left_over_goes_too(cluster, tmp_path):
    bridge = Path("/sys/class/net", bridge_name(cluster.runtime.cluster_id))
    await cluster.runtime.remove_everything(volumes=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCBRADDBR, bridge.name.encode() + b"\0")
    assert bridge.exists()
    assert await cluster.runtime.remove_everything(volumes=True) == []
    assert not bridge.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has bridges on the machine itself")
async def test_a_bridge_that_carries_a_pod_is_left_alone(cluster):
    await cluster.launch(await cluster.pod(), "exec sleep 1000")
    bridge = bridge_name(cluster.runtime.cluster_id)
    assert not remove_bridge(bridge)
    assert Path("/sys/class/net", bridge).exists()
    assert not remove_bridge("lo")


async def test_the_doctor_finds_this_machine_well(podman_storage, tmp_path):
    findings = await examine(None, tmp_path / "state")
    assert {finding.id for finding in findings} >= {"podman", "oci-runtime", "cgroups", "service"}
    assert [finding for finding in findings if finding.level == "fail"] == []
    assert all(finding.command for finding in findings if finding.level != "ok")
    assert not (tmp_path / "state").exists()


async def test_the_doctor_names_what_is_missing(podman_storage, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.podman.machine.shutil.which", lambda *_, **__: None)
    findings = await examine(None, tmp_path)
    [podman] = [finding for finding in findings if finding.id == "podman"]
    assert podman.level == "fail"
    assert "podman" in podman.command
    with pytest.raises(RuntimeFailure, match="not installed"):
        await PodmanRuntime("x", tmp_path / "s").start()
