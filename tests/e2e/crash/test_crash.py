"""``kill -9`` of the server, and of Podman's service, in the middle of work on real containers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.serving import Kubectl, Serving, eventually

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "http-go:v1", imagePullPolicy: IfNotPresent}
"""


@pytest.fixture
def serving(tmp_path: Path, podman_storage: PodmanStorage) -> Iterator[Serving]:
    server = Serving(
        tmp_path,
        environment=podman_storage.environment,
        options=["--pod-subnet", podman_storage.free_subnet()],
    )
    try:
        yield server.start()
    finally:
        server.stop()
        done = server.run("down")
        assert done.returncode == 0, done.stderr


def containers(kubectl: Kubectl) -> dict[str, str]:
    """Pod name → container id, of running pods that are not on their way out."""
    found = {}
    for pod in kubectl.json("get", "pods")["items"]:
        statuses = pod["status"].get("containerStatuses") or [{}]
        if statuses[0].get("ready") and not pod["metadata"].get("deletionTimestamp"):
            found[pod["metadata"]["name"]] = statuses[0]["containerID"].removeprefix("podman://")
    return found


def running(storage: PodmanStorage) -> set[str]:
    """Ids of the containers that run, without the pods' own."""
    text = storage.run("ps", "--no-trunc", "--format", "{{.ID}} {{.IsInfra}}")
    return {line.split()[0] for line in text.splitlines() if line.endswith("false")}


def rolled_out(kubectl: Kubectl, image: str) -> dict[str, str]:
    kubectl("rollout", "status", "deployment", "web", "--timeout=90s")

    def look() -> dict[str, str]:
        pods = kubectl.json("get", "pods")["items"]
        assert len(pods) == 4, [pod["metadata"]["name"] for pod in pods]
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {image}
        found = containers(kubectl)
        assert len(found) == 4
        return found

    return eventually("four pods of the new image", look)


def test_the_server_is_killed_during_a_rollout(serving: Serving, podman_storage: PodmanStorage) -> None:
    kubectl = serving.kubectl()
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    before = rolled_out(kubectl, "http-go:v1")
    kubectl("set", "image", "deployment", "web", "web=http-go:v2")
    eventually("a first new pod", lambda: set(containers(kubectl)) - set(before))
    alive = containers(kubectl)
    serving.kill()
    assert set(alive.values()) <= running(podman_storage), "containers belong to Podman, not to the server"

    serving.start()
    after = rolled_out(kubectl, "http-go:v2")
    for name in set(alive) & set(after):
        assert alive[name] == after[name], "restarted needlessly"
    restarts = {
        status["restartCount"]
        for pod in kubectl.json("get", "pods")["items"]
        for status in pod["status"]["containerStatuses"]
    }
    assert restarts == {0}
    eventually("nothing is left over", lambda: running(podman_storage) == set(after.values()))


def test_containers_go_on_running_between_two_servers(
    serving: Serving, podman_storage: PodmanStorage
) -> None:
    kubectl = serving.kubectl()
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    before = rolled_out(kubectl, "http-go:v1")
    assert serving.stop() == 0
    victim = sorted(before)[0]
    podman_storage.run("kill", before[victim])
    serving.start()
    assert rolled_out(kubectl, "http-go:v1").keys() == before.keys()

    def restarted() -> bool:
        status = kubectl.json("get", "pod", victim)["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    eventually("the one that died is started again", restarted)
    now = containers(kubectl)
    assert {name: now[name] for name in now if name != victim} == {
        name: before[name] for name in before if name != victim
    }


def test_a_container_without_a_pod_is_removed(serving: Serving, podman_storage: PodmanStorage) -> None:
    kubectl = serving.kubectl()
    kubectl("run", "lonely", "--image=http-go:v1", "--image-pull-policy=IfNotPresent")
    eventually("it runs", lambda: "lonely" in containers(kubectl))
    stranger = podman_storage.run("run", "-d", "--network=none", "busybox", "sleep", "1000").strip()
    state = serving.folder / "backup.json"
    assert serving.stop() == 0
    assert serving.run("backup", str(state)).returncode == 0
    data = json.loads(state.read_text())
    assert any(pod["metadata"]["name"] == "lonely" for pod in data["pods"].values())
    for file in ("cluster.json", "journal"):  # a state in which the pod never was
        (serving.state / file).unlink()
    serving.start()
    eventually("only the stranger runs", lambda: running(podman_storage) == {stranger})
    podman_storage.run("rm", "-f", "-t", "0", stranger)


def test_podmans_service_is_killed_and_the_cluster_recovers_by_itself(
    serving: Serving, podman_storage: PodmanStorage
) -> None:
    kubectl = serving.kubectl()
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    before = rolled_out(kubectl, "http-go:v1")
    os.kill(int((serving.state / "podman.pid").read_text().split()[0]), signal.SIGKILL)
    kubectl("scale", "deployment", "web", "--replicas=5")
    eventually("new pods can be made", lambda: len(containers(kubectl)) == 5)
    now = containers(kubectl)
    assert {name: now[name] for name in before} == before, "pods went on as they were"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_service_that_is_not_ours_goes_away_and_the_node_says_so(
    tmp_path: Path, podman_storage: PodmanStorage, how: signal.Signals
) -> None:
    socket = podman_storage.folder / f"own-{how}.sock"
    services: list[subprocess.Popen[bytes]] = []

    def start_podman() -> None:
        command = podman_storage.service.command("system", "service", "--time=0", f"unix://{socket}")
        services.append(
            subprocess.Popen(
                command,
                env=podman_storage.environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # rootless, a child in a user namespace does the work
            )
        )
        eventually("Podman answers", socket.exists)

    def states(kubectl: Kubectl) -> set[str]:
        return {row["STATUS"] for row in kubectl.table("get", "nodes")}

    start_podman()
    url = f"unix://{socket}"
    server = Serving(
        tmp_path,
        environment=podman_storage.environment,
        options=["--podman-url", url, "--pod-subnet", podman_storage.free_subnet()],
    )
    try:
        kubectl = server.start().kubectl()
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        before = rolled_out(kubectl, "http-go:v1")
        os.killpg(services[-1].pid, how)
        eventually("NotReady", lambda: states(kubectl) == {"NotReady"}, 90)
        assert "container runtime is down" in kubectl("describe", "nodes")
        assert set(before.values()) <= running(podman_storage), "pods go on"
        if how == signal.SIGSTOP:
            os.killpg(services[-1].pid, signal.SIGCONT)
        else:
            services[-1].wait()
            socket.unlink(missing_ok=True)
            start_podman()
        eventually("Ready again", lambda: states(kubectl) == {"Ready"}, 60)
        assert rolled_out(kubectl, "http-go:v1") == before
    finally:
        server.stop()
        done = server.run("down", "--podman-url", url)
        for service in services:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(service.pid, signal.SIGKILL)
            service.wait()
        assert done.returncode == 0, done.stderr


SIMULATED = """
apiVersion: v1
kind: Pod
metadata: {name: short}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: "web:1", command: [sh, -c, "sleep 5"]}
---
apiVersion: v1
kind: Pod
metadata: {name: long}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: "web:1"}
"""


def test_simulated_containers_go_on_as_real_ones_do(tmp_path: Path, podman_storage: PodmanStorage) -> None:
    server = Serving(tmp_path, environment=podman_storage.environment, options=["--runtime", "simulated"])
    try:
        kubectl = server.start().kubectl()
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        before = rolled_out(kubectl, "http-go:v1")
        kubectl("apply", "-f", "-", stdin=SIMULATED)

        def status(name: str) -> dict:
            return kubectl.json("get", "pod", name)["status"]

        eventually("short has begun", lambda: status("short").get("startTime"))
        eventually("long runs", lambda: "long" in containers(kubectl))
        long = containers(kubectl)["long"]
        server.kill()
        server.start()
        eventually("short has ended", lambda: status("short")["phase"] == "Succeeded")
        assert status("long")["phase"] == "Running"
        assert containers(kubectl) == {**before, "long": long}
        assert server.stop() == 0
        done = server.run("down")
        assert "pod default/long" in done.stdout.splitlines(), done.stderr
        assert not (server.state / "simulated.jsonl").exists()
    finally:
        server.stop()
