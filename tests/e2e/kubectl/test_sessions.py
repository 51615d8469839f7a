"""The command sessions of a Kubernetes course, typed as they stand, against real containers.

Columns and words are compared with what Kubernetes prints, ages are not. The images carry the names that the
manifests use, built on the spot.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PodmanStorage
from tests.support.serving import Kubectl, Serving, eventually, parse_table

MANIFESTS = Path(__file__).parents[3] / "manifests"
POD_WIDE = ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"]

pytestmark = [pytest.mark.podman, pytest.mark.kubectl]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, podman_storage: PodmanStorage) -> Iterator[Serving]:
    server = Serving(
        tmp_path_factory.mktemp("sessions"),
        environment=podman_storage.environment,
        options=["--pod-subnet", podman_storage.free_subnet()],
    )
    try:
        yield server.start()
    finally:
        server.stop()
        server.run("down")


@pytest.fixture
def kubectl(serving: Serving) -> Iterator[Kubectl]:
    client = serving.kubectl()
    yield client
    client("delete", "deployment,replicaset,rc,pod", "--all", "--wait=true", "--grace-period=1")


def heads(text: str) -> list[str]:
    return re.findall(r"\S+(?: \S+)*", text.split("\n", 1)[0])


def pods_running(kubectl: Kubectl, count: int, selector: str = "") -> list[dict[str, str]]:
    def look() -> list[dict[str, str]]:
        rows = kubectl.table("get", "pods", *(["-l", selector] if selector else []))
        assert len(rows) == count, rows
        assert all(row["STATUS"] == "Running" and row["READY"] == "1/1" for row in rows), rows
        return rows

    return eventually(f"{count} pods running", look)


FETCH = """
import json, sys, urllib.request
for _ in range(int(sys.argv[2])):
    with urllib.request.urlopen(sys.argv[1], timeout=10) as answer:
        found = [answer.status, answer.headers.get("Server", ""), answer.read().decode()]
print(json.dumps(found))
"""


@pytest.fixture
def fetch(podman_storage: PodmanStorage) -> Callable[..., tuple[int, str, str]]:
    """Gets an address of a pod as ``curl`` on the node would; rootless, pods have a network of their own."""
    inside = podman_storage.service.command("unshare", "--rootless-netns") if os.geteuid() else []

    def get(url: str, times: int = 1) -> tuple[int, str, str]:
        command = [*inside, sys.executable, "-c", FETCH, url, str(times)]
        done = subprocess.run(
            command, env=podman_storage.environment, capture_output=True, text=True, check=True
        )
        status, server, body = json.loads(done.stdout)
        return status, server, body

    return get


def test_1_a_pod_from_a_file(kubectl: Kubectl, fetch: Callable[..., tuple[int, str, str]]) -> None:
    assert kubectl("apply", "-f", str(MANIFESTS / "nginx-pod.yaml")) == "pod/nginx created\n"
    pods_running(kubectl, 1)
    wide = kubectl("get", "pod", "-o", "wide")
    assert heads(wide) == POD_WIDE
    row = kubectl.table("get", "pod", "nginx", "-o", "wide")[0]
    assert (row["READY"], row["STATUS"], row["RESTARTS"]) == ("1/1", "Running", "0")
    assert re.match(r"10\.\d+\.\d+\.\d+$", row["IP"])
    assert row["NOMINATED NODE"] == row["READINESS GATES"] == "<none>"
    assert row["NODE"] == kubectl.table("get", "nodes")[0]["NAME"]
    status, server, _ = fetch(f"http://{row['IP']}/")
    assert status == 200 and server.startswith("nginx")

    top = eventually("usage is known", lambda: kubectl.run("top", "pod", check=False).stdout)
    assert heads(top) == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    before = parse_table(top)[0]
    assert before["NAME"] == "nginx" and re.match(r"\d+Mi$", before["MEMORY(bytes)"])

    def busier() -> bool:
        fetch(f"http://{row['IP']}/", 500)
        now = parse_table(kubectl("top", "pod"))[0]
        return int(now["CPU(cores)"].rstrip("m")) > int(before["CPU(cores)"].rstrip("m"))

    eventually("the load shows", busier, 60)
    assert kubectl("delete", "pod", "nginx").startswith('pod "nginx" deleted')
    done = kubectl.run("get", "pods")
    assert done.stdout == "" and done.stderr == "No resources found in default namespace.\n"


def test_2_a_deployment_of_three(kubectl: Kubectl) -> None:
    assert (
        kubectl("apply", "-f", str(MANIFESTS / "nginx-deployment.yaml"))
        == "deployment.apps/nginx-deployment created\n"
    )
    pods = pods_running(kubectl, 3, "app=nginx")
    deployments = kubectl("get", "deployment", "-o", "wide")
    assert heads(deployments) == [
        "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR",
    ]  # fmt: skip
    row = eventually(
        "3/3 ready",
        lambda: [r for r in kubectl.table("get", "deployment", "-o", "wide") if r["READY"] == "3/3"],
    )[0]
    assert (row["UP-TO-DATE"], row["AVAILABLE"]) == ("3", "3")
    assert (row["CONTAINERS"], row["IMAGES"], row["SELECTOR"]) == ("nginx", "nginx:1.14.2", "app=nginx")
    sets = kubectl("get", "replicaset", "-o", "wide")
    assert heads(sets) == ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    replica_set = kubectl.table("get", "rs")[0]
    name = replica_set["NAME"]
    assert re.match(r"nginx-deployment-[bcdf-hj-np-tv-xz2456789]{6,10}$", name)
    assert (replica_set["DESIRED"], replica_set["CURRENT"], replica_set["READY"]) == ("3", "3", "3")
    assert all(pod["NAME"].startswith(name + "-") for pod in pods)

    kubectl("delete", "pod", pods[0]["NAME"], "--wait=false")
    eventually(
        "a successor",
        lambda: {r["NAME"] for r in kubectl.table("get", "pods")} - {pod["NAME"] for pod in pods},
    )
    after = pods_running(kubectl, 3)
    assert pods[0]["NAME"] not in {row["NAME"] for row in after}

    scaled = kubectl("scale", "deployment", "nginx-deployment", "--replicas=2")
    assert scaled == "deployment.apps/nginx-deployment scaled\n"
    pods_running(kubectl, 2)
    described = kubectl("describe", "deployment", "nginx-deployment")
    for words in (
        r"StrategyType: +RollingUpdate",
        r"RollingUpdateStrategy: +25% max unavailable, 25% max surge",
        r"Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable",
        r"Available +True +MinimumReplicasAvailable",
        r"Progressing +True +NewReplicaSetAvailable",
        rf"NewReplicaSet: +{name} \(2/2 replicas created\)",
        rf"Normal +ScalingReplicaSet +\S+ +deployment-controller +Scaled up replica set {name} (from 0 )?to 3",
        rf"Normal +ScalingReplicaSet +\S+ +deployment-controller +Scaled down replica set {name} (from 3 )?to 2",
    ):
        assert re.search(words, described), f"{words}\n{described}"
    assert kubectl("delete", "deployment", "nginx-deployment").startswith("deployment.apps")
    for kind in ("deployment", "replicaset", "pod"):
        eventually(f"no {kind} left", lambda kind=kind: kubectl("get", kind) == "", 30)


def test_4_create_annotate_and_delete_a_file(
    kubectl: Kubectl, fetch: Callable[..., tuple[int, str, str]]
) -> None:
    file = str(MANIFESTS / "http-go.yaml")
    assert kubectl("create", "-f", file) == "pod/http-go created\n"
    pods_running(kubectl, 1)
    row = kubectl.table("get", "pod", "http-go", "-o", "wide")[0]
    _, _, body = fetch(f"http://{row['IP']}:8080/")
    assert "http-go" in body
    assert kubectl("annotate", "pod", "http-go", "key=value") in (
        "pod/http-go annotated\n",
        "pod/http-go annotate\n",
    )
    assert kubectl.json("get", "pod", "http-go")["metadata"]["annotations"]["key"] == "value"
    refused = kubectl.run("create", "-f", file, check=False)
    assert refused.returncode == 1
    assert 'pods "http-go" already exists' in refused.stderr
    assert kubectl("delete", "-f", file).startswith('pod "http-go" deleted')
    kubectl("create", "-f", file)
    assert kubectl("delete", "pod", "--all").startswith('pod "http-go" deleted')


def test_6_labels(kubectl: Kubectl) -> None:
    kubectl("create", "-f", str(MANIFESTS / "http-go.yaml"))
    kubectl("apply", "-f", str(MANIFESTS / "nginx-pod.yaml"))
    assert kubectl("label", "pod", "http-go", "env=test") == "pod/http-go labeled\n"
    refused = kubectl.run("label", "pod", "http-go", "env=prod", check=False)
    assert refused.returncode == 1
    assert "'env' already has a value (test), and --overwrite is false" in refused.stderr
    assert kubectl("label", "pod", "http-go", "env=prod", "--overwrite") == "pod/http-go labeled\n"
    shown = kubectl.table("get", "pod", "http-go", "--show-labels")[0]
    assert shown["LABELS"] == "env=prod,run=http-go"
    columns = kubectl("get", "pod", "-L", "env,run")
    assert heads(columns)[-2:] == ["ENV", "RUN"]

    def names(selector: str) -> set[str]:
        text = kubectl("get", "pod", "-l", selector, "-o", "name")
        return set(text.split())

    assert names("env") == {"pod/http-go"}
    assert names("!env") == {"pod/nginx"}
    assert names("env=prod") == {"pod/http-go"}
    assert names("env!=prod") == {"pod/nginx"}
    assert names("env in (prod,test),run") == {"pod/http-go"}
    assert names("env notin (prod)") == {"pod/nginx"}
    assert kubectl("label", "pod", "http-go", "env-") in ("pod/http-go unlabeled\n", "pod/http-go labeled\n")
    assert names("env") == set()


def test_8_a_replicaset_with_expressions(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(MANIFESTS / "replicaset.yaml"))
    pods_running(kubectl, 2)
    row = eventually("2 ready", lambda: [r for r in kubectl.table("get", "rs") if r["READY"] == "2"])[0]
    assert (row["NAME"], row["DESIRED"], row["CURRENT"]) == ("colours", "2", "2")
    described = kubectl("describe", "rs", "colours")
    assert re.search(r"Selector: +app in \(blue,yellow\)", described)
    assert re.search(r"Replicas: +2 current / 2 desired", described)
    assert re.search(r"Pods Status: +2 Running / 0 Waiting / 0 Succeeded / 0 Failed", described)
    assert re.search(
        r"Normal +SuccessfulCreate +\S+ +replicaset-controller +Created pod: colours-\w+", described
    )
    # Loose coupling: a pod that no longer fits is let go and replaced; one that fits is taken in.
    pods = kubectl.table("get", "pods")
    kubectl("label", "pod", pods[0]["NAME"], "app=green", "--overwrite")
    eventually("a replacement", lambda: len(kubectl.table("get", "pods", "-l", "app=blue")) == 2)
    assert "ownerReferences" not in kubectl.json("get", "pod", pods[0]["NAME"])["metadata"]
    kubectl("label", "pod", pods[0]["NAME"], "app=yellow", "--overwrite")
    eventually("one too many is removed", lambda: len(kubectl.table("get", "pods")) == 2)


def test_9_rollout_history_pause_and_undo(kubectl: Kubectl) -> None:
    manifest = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: http-go
spec:
  replicas: 3
  selector: {matchLabels: {app: http-go}}
  template:
    metadata: {labels: {app: http-go}, name: http-go}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: http-go, image: "http-go:v1", imagePullPolicy: IfNotPresent}
"""
    kubectl("create", "-f", "-", "--save-config", stdin=manifest)
    kubectl("annotate", "deployment", "http-go", "kubernetes.io/change-cause=first", "--overwrite")
    status = kubectl("rollout", "status", "deployment", "http-go", "--timeout=60s")
    assert status.endswith('deployment "http-go" successfully rolled out\n')
    history = kubectl("rollout", "history", "deployment", "http-go")
    assert history.startswith("deployment.apps/http-go \nREVISION  CHANGE-CAUSE\n1         first\n")

    patched = kubectl("patch", "deployment", "http-go", "-p", '{"spec":{"minReadySeconds":1}}')
    assert patched == "deployment.apps/http-go patched\n"
    images = kubectl("set", "image", "deployment", "http-go", "http-go=http-go:v2")
    assert images == "deployment.apps/http-go image updated\n"
    kubectl("annotate", "deployment", "http-go", "kubernetes.io/change-cause=second", "--overwrite")
    assert kubectl("rollout", "pause", "deployment", "http-go") == "deployment.apps/http-go paused\n"
    described = eventually(
        "paused is told",
        lambda: (
            (text := kubectl("describe", "deployment", "http-go")) and "DeploymentPaused" in text and text
        ),
    )
    assert re.search(r"Progressing +Unknown +DeploymentPaused", described)
    refused = kubectl.run("rollout", "undo", "deployment", "http-go", check=False)
    assert refused.returncode == 1 and "paused" in refused.stderr
    assert kubectl("rollout", "resume", "deployment", "http-go") == "deployment.apps/http-go resumed\n"
    kubectl("rollout", "status", "deployment", "http-go", "--timeout=90s")
    assert versions(kubectl) == {"http-go:v2"}

    history = kubectl("rollout", "history", "deployment", "http-go").split("\n")
    assert history[2:4] == ["1         first", "2         second"]
    revision = kubectl("rollout", "history", "deployment", "http-go", "--revision=1")
    assert "http-go:v1" in revision and "pod-template-hash" in revision

    assert kubectl("rollout", "undo", "deployment", "http-go") == "deployment.apps/http-go rolled back\n"
    kubectl("rollout", "status", "deployment", "http-go", "--timeout=90s")
    assert versions(kubectl) == {"http-go:v1"}
    revisions = re.findall(r"^(\d+)", kubectl("rollout", "history", "deployment", "http-go"), re.M)
    assert revisions == ["2", "3"]
    kubectl("rollout", "undo", "deployment", "http-go", "--to-revision=2")
    kubectl("rollout", "status", "deployment", "http-go", "--timeout=90s")
    assert versions(kubectl) == {"http-go:v2"}
    before = {pod["metadata"]["uid"] for pod in kubectl.json("get", "pods")["items"]}
    assert kubectl("rollout", "restart", "deployment", "http-go") == "deployment.apps/http-go restarted\n"
    kubectl("rollout", "status", "deployment", "http-go", "--timeout=90s")
    eventually(
        "all pods are new",
        lambda: not before & {pod["metadata"]["uid"] for pod in kubectl.json("get", "pods")["items"]},
    )


def versions(kubectl: Kubectl) -> set[str]:
    """The images of the pods that are not on their way out."""
    pods = kubectl.json("get", "pods", "-l", "app=http-go")["items"]
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return {pod["spec"]["containers"][0]["image"] for pod in living}


def test_a_rollout_that_can_not_succeed_says_why_and_is_undone(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=http-go:v1", "--replicas=2")
    kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
    kubectl("set", "image", "deployment", "web", "http-go=http-go:does-not-exist")
    stuck = eventually(
        "a pod that can't pull",
        lambda: [
            row
            for row in kubectl.table("get", "pods")
            if row["STATUS"] in ("ErrImagePull", "ImagePullBackOff")
        ],
    )
    assert len(pods := kubectl.table("get", "pods")) == 3, pods
    events = kubectl("describe", "pod", stuck[0]["NAME"])
    assert 'Failed to pull image "http-go:does-not-exist"' in events
    kubectl("rollout", "undo", "deployment", "web")
    kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
    pods_running(kubectl, 2)


def test_10_namespaces(kubectl: Kubectl, serving: Serving) -> None:
    names = {row["NAME"]: row["STATUS"] for row in kubectl.table("get", "ns")}
    assert names["default"] == names["kube-system"] == names["kube-public"] == "Active"
    assert kubectl("create", "ns", "dev") == "namespace/dev created\n"
    dry = kubectl("create", "ns", "dry", "--dry-run=client", "-o", "yaml")
    assert "kind: Namespace" in dry and "name: dry" in dry
    assert kubectl.run("get", "ns", "dry", check=False).stderr == (
        'Error from server (NotFound): namespaces "dry" not found\n'
    )
    made = kubectl("create", "deploy", "nginx", "--image", "nginx:1.14.2", "--port", "80", "-n", "dev")
    assert made == "deployment.apps/nginx created\n"
    eventually(
        "running in dev",
        lambda: [r for r in kubectl.table("get", "po", "-n", "dev") if r["STATUS"] == "Running"],
    )
    everywhere = kubectl.table("get", "pods", "-A")
    assert {row["NAMESPACE"] for row in everywhere} == {"dev"}
    assert kubectl.run("get", "po").stderr == "No resources found in default namespace.\n"

    copy = serving.folder / "dev-kubeconfig"
    copy.write_bytes(serving.kubeconfig.read_bytes())
    other = Kubectl(copy, serving.folder / "cache-dev")
    other("config", "set-context", "--current", "--namespace=dev")
    assert other.table("get", "pods")[0]["NAME"].startswith("nginx-")

    assert kubectl("delete", "ns", "dev").startswith('namespace "dev" deleted')
    assert kubectl.run("get", "pods", "-A").stdout == ""
    assert kubectl.run("get", "deploy", "-n", "dev").stdout == ""
    refused = kubectl.run("create", "deploy", "x", "--image=x", "-n", "dev", check=False)
    assert 'namespaces "dev" not found' in refused.stderr
