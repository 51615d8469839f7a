"""``kubetui serve`` and the commands beside it, with real containers: start, stop, look, back up, restore, remove."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.serving import ROOT, Serving, eventually

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]

MANIFEST = """apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: http-go:v1
    imagePullPolicy: IfNotPresent
    volumeMounts:
    - {name: files, mountPath: /files}
  volumes:
  - {name: files, emptyDir: {}}
"""


@pytest.fixture
def serving(tmp_path: Path, podman_storage: PodmanStorage) -> Iterator[Serving]:
    """A cluster with one pod from a manifest; removed again at the end."""
    (tmp_path / "web.yaml").write_text(MANIFEST)
    subnet = podman_storage.free_subnet()
    found = Serving(
        tmp_path,
        tmp_path / "web.yaml",
        options=["--pod-subnet", subnet],
        environment=podman_storage.environment,
    )
    yield found
    found.stop()
    assert found.run("down").returncode == 0


def containers(storage: PodmanStorage) -> dict[str, str]:
    """The running containers' ids by their start times: both stay the same unless somebody restarts one."""
    listed = json.loads(storage.run("ps", "--format", "json") or "[]")
    return {one["Id"]: str(one["StartedAt"]) for one in listed}


def running(serving: Serving) -> bool:
    pod = serving.kubectl().json("get", "pod", "web")
    return pod["status"].get("phase") == "Running"


def processes_of(folder: Path) -> list[str]:
    """Every process that names this folder in its command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(entry.parent.name) != os.getpid():
            found.append(line)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_and_containers_go_on(
    serving: Serving, podman_storage: PodmanStorage, number: signal.Signals
) -> None:
    serving.start()
    assert serving.process is not None and serving.process.stdout is not None
    assert serving.server == f"https://127.0.0.1:{serving.port}"
    eventually("the pod runs", lambda: running(serving))
    before = containers(podman_storage)
    assert len(before) == 2  # the pod's own, and web
    serving.process.send_signal(number)
    os.set_blocking(serving.process.stdout.fileno(), True)
    assert serving.process.wait(20) == 0
    assert serving.process.stdout.read() == "", "the ready line is all that stdout ever gets"
    assert "Traceback" not in serving.log.read_text()
    assert containers(podman_storage) == before
    serving.start()
    eventually("the pod is known again", lambda: running(serving))
    assert containers(podman_storage) == before, "adopted, not restarted"


@pytest.mark.parametrize("sign", ["lock", "journal", "kubeconfig"])
def test_a_signal_while_it_starts_is_no_failure(
    tmp_path: Path, podman_storage: PodmanStorage, sign: str
) -> None:
    """Stopped as soon as a file of the state folder is there, whatever was being started then."""
    state = tmp_path / "state"
    command = [sys.executable, "-m", "kubetui", "serve", "--state-dir", str(state), "--port", "0"]
    environment = {**podman_storage.environment, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, "--pod-subnet", podman_storage.free_subnet()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    eventually("it begins", (state / sign).exists, 30, 0.005)
    process.send_signal(signal.SIGTERM)
    printed, error = process.communicate(timeout=30)
    assert (process.returncode, printed, error) == (0, "", "")
    assert processes_of(state) == [], "no service is left behind"
    assert Serving(tmp_path, environment=podman_storage.environment).run("down").returncode == 0


def test_what_stands_in_the_state_folder(serving: Serving) -> None:
    serving.start()
    printed = serving.run("kubeconfig")
    assert printed.stdout == f"{serving.state}/kubeconfig\n" and printed.returncode == 0
    assert stat.S_IMODE(serving.state.stat().st_mode) == 0o700
    assert stat.S_IMODE(serving.kubeconfig.stat().st_mode) == 0o600
    assert serving.kubectl()("config", "current-context") == "kubetui\n"
    assert serving.server in serving.kubeconfig.read_text()


def test_a_backup_is_made_while_it_serves_and_restored_when_it_does_not(
    serving: Serving, podman_storage: PodmanStorage
) -> None:
    serving.start()
    kubectl = serving.kubectl()
    kubectl("create", "configmap", "kept", "--from-literal=a=1")
    backup = serving.folder / "backup"
    done = serving.run("backup", str(backup))
    assert re.match(rf"Wrote \d+ objects of version \d+ to {backup}\n$", done.stdout), done.stderr
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600, "secrets are in it"
    kubectl("delete", "configmap", "kept")
    kubectl("create", "configmap", "later", "--from-literal=a=1")
    version = int(kubectl.json("get", "configmap", "later")["metadata"]["resourceVersion"])
    eventually("the pod runs", lambda: running(serving))
    before = containers(podman_storage)
    assert serving.stop() == 0
    done = serving.run("restore", str(backup))
    assert re.match(rf"Restored \d+ objects from {backup}\n$", done.stdout), done.stderr
    serving.start()
    kubectl = serving.kubectl()
    assert kubectl.json("get", "configmap", "kept")["data"] == {"a": "1"}
    assert kubectl.run("get", "configmap", "later", check=False).returncode == 1
    listed = json.loads(kubectl("get", "--raw", "/api/v1/configmaps"))
    newest = int(listed["metadata"]["resourceVersion"])
    assert newest > version, "versions never go backwards"
    eventually("the pod runs", lambda: running(serving))
    assert containers(podman_storage).keys() == before.keys()


def test_the_doctor_beside_a_running_cluster_and_after_it(serving: Serving) -> None:
    serving.start()
    assert serving.process is not None
    seen = serving.run("doctor")
    assert seen.returncode == 0, seen.stdout
    assert f"✓ The cluster in {serving.state} runs (process {serving.process.pid})" in seen.stdout
    assert re.search(rf"✓ {serving.state}: \d+ objects, version \d+$", seen.stdout, re.MULTILINE)
    assert "✓ Podman " in seen.stdout and "✗" not in seen.stdout and seen.stderr == ""
    assert serving.kubectl()("get", "nodes"), "it was not disturbed"
    serving.kill()
    # The socket and the pid file of a service that died with the machine.
    service = next(iter(serving.state.glob("podman.pid")), None)
    if service is not None:
        pid = int(service.read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
    seen = serving.run("doctor")
    assert f"{serving.state}: " in seen.stdout and "✓ Podman " in seen.stdout
    assert not any("podman system service" in line for line in processes_of(serving.state))


def test_down_leaves_nothing(serving: Serving, podman_storage: PodmanStorage) -> None:
    serving.start()
    eventually("the pod runs", lambda: running(serving))
    identity = json.loads((serving.state / "identity.json").read_text())
    assert identity["podSubnet"].startswith("10.") and identity["podSubnet"] != "10.244.0.0/16"
    assert serving.stop() == 0
    done = serving.run("down")  # without the subnet that the start was given
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "pod default/web",
        f"network kubetui-{identity['id']}",
        "Removed 2 items",
    ]
    assert podman_storage.run("ps", "--all", "--quiet") == ""
    assert podman_storage.run("pod", "ps", "--quiet") == ""
    assert identity["id"] not in podman_storage.run("network", "ls")
    assert not (serving.state / "pods").exists()
    assert processes_of(serving.state) == []
    assert str(serving.state) not in Path("/proc/self/mounts").read_text()
    assert serving.run("down").stdout == "Nothing to remove\n"
    serving.start()
    eventually("the state was kept: the pod runs again", lambda: running(serving))


def test_down_with_volumes_takes_the_state_too(serving: Serving, podman_storage: PodmanStorage) -> None:
    serving.start()
    eventually("the pod runs", lambda: running(serving))
    assert serving.stop() == 0
    (serving.state / "mine.txt").write_text("not kubetui's")
    done = serving.run("down", "--volumes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [f"state {serving.state}", "Removed 3 items"]
    assert [path.name for path in serving.state.iterdir()] == ["mine.txt"]
    assert serving.run("down").stdout == f"No cluster in {serving.state}: nothing to remove\n"
    assert podman_storage.run("volume", "ls", "--quiet") == ""
    serving.start()
    eventually("a new cluster has its pod", lambda: running(serving))


def test_down_on_another_storage_says_so(serving: Serving, podman_storage: PodmanStorage) -> None:
    serving.start()
    eventually("the pod runs", lambda: running(serving))
    before = containers(podman_storage)
    assert serving.stop() == 0
    other = PodmanStorage(Path(tempfile.mkdtemp(prefix="kto-")))  # Podman's paths have to be short
    elsewhere = Serving(serving.folder, environment=other.environment)
    try:
        done = elsewhere.run("down")
    finally:
        other.destroy()
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"{podman_storage.folder}/podman/root" in done.stderr
    assert f"{other.folder}/podman/root" in done.stderr
    assert containers(podman_storage) == before
    left = [line for line in processes_of(serving.state) if " system service " in line]
    assert left == [], "a service that made its own user namespace has gone, too"
