"""kubectl's commands around running workloads: rollout, scale, autoscale, expose, run, wait, logs, exec and nodes.

Containers are simulated (``tests/e2e/kubectl/test_families_containers.py`` has the real ones); words are compared
with what Kubernetes prints.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from tests.support.kubectls import InNamespace
from tests.support.serving import eventually

pytestmark = pytest.mark.kubectl

SETS = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds}
spec:
  selector: {matchLabels: {app: ds}}
  template:
    metadata: {labels: {app: ds}}
    spec: {containers: [{name: a, image: "nginx:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ss}
spec:
  replicas: 2
  serviceName: ss
  selector: {matchLabels: {app: ss}}
  template:
    metadata: {labels: {app: ss}}
    spec: {containers: [{name: a, image: "nginx:1"}]}
"""


def revisions(k: InNamespace, what: str) -> list[str]:
    return re.findall(r"^(\d+) +", k("rollout", "history", what), re.M)


def rolled_out(k: InNamespace, what: str) -> str:
    return k("rollout", "status", what, "--timeout=60s")


def test_rollout_of_a_deployment(k: InNamespace) -> None:
    k("create", "deployment", "web", "--image=nginx:1", "--replicas=2")
    assert rolled_out(k, "deployment/web").endswith('deployment "web" successfully rolled out\n')
    k("annotate", "deployment", "web", "kubernetes.io/change-cause=first")
    k("set", "image", "deployment/web", "nginx=nginx:2")
    rolled_out(k, "deployment/web")
    eventually(
        "the cause of the first revision",
        lambda: re.search(
            r"^deployment.apps/web \nREVISION  CHANGE-CAUSE\n1         first\n2         first\n",
            k("rollout", "history", "deployment/web"),
        ),
    )
    text = k("rollout", "history", "deployment/web", "--revision=1")
    assert text.startswith("deployment.apps/web with revision #1\nPod Template:\n  Labels:\tapp=web\n")
    assert "nginx:1\n" in text
    assert k("rollout", "undo", "deployment/web", "--dry-run=server").startswith("deployment.apps/web ")
    assert revisions(k, "deployment/web") == ["1", "2"]
    assert k("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back\n"
    rolled_out(k, "deployment/web")
    assert revisions(k, "deployment/web") == ["2", "3"]
    assert "unable to find specified revision 7 in history" in k.fails(
        "rollout", "undo", "deployment/web", "--to-revision=7"
    )
    k("rollout", "undo", "deployment/web", "--to-revision=2")
    rolled_out(k, "deployment/web")
    assert k("get", "deployment", "web", "-o", "jsonpath={..image}") == "nginx:2"
    assert k("rollout", "pause", "deployment/web") == "deployment.apps/web paused\n"
    assert 'deployments.apps "web" is already paused' in k.fails("rollout", "pause", "deployment/web")
    assert "resume it first" in k.fails("rollout", "undo", "deployment/web")
    assert "can't restart paused deployment" in k.fails("rollout", "restart", "deployment/web")
    assert k("rollout", "resume", "deployment/web") == "deployment.apps/web resumed\n"
    assert k("rollout", "restart", "deployment/web") == "deployment.apps/web restarted\n"
    rolled_out(k, "deployment/web")
    template = k.json("get", "deployment", "web")["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]


def test_a_rollout_past_its_deadline(k: InNamespace) -> None:
    k("create", "-f", "-", stdin="""
apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck}
spec:
  progressDeadlineSeconds: 1
  selector: {matchLabels: {app: stuck}}
  template: {metadata: {labels: {app: stuck}}, spec: {containers: [{name: a, image: "missing:1"}]}}
""")  # fmt: skip
    done = k.run("rollout", "status", "deployment/stuck", "--timeout=30s", check=False)
    assert done.returncode == 1
    assert 'error: deployment "stuck" exceeded its progress deadline' in done.stdout + done.stderr
    row = eventually(
        "it says why",
        lambda: [r for r in k.table("get", "pods") if r["STATUS"] in ("ErrImagePull", "ImagePullBackOff")],
    )[0]
    assert row["READY"] == "0/1"


@pytest.mark.parametrize("what", ["daemonset/ds", "statefulset/ss"])
def test_rollout_of_other_sets(k: InNamespace, what: str) -> None:
    k("create", "-f", "-", stdin=SETS)
    words = {
        "daemonset/ds": 'daemon set "ds" successfully rolled out',
        "statefulset/ss": "roll out complete",
    }[what]
    full = what.replace("/", ".apps/")
    assert words in rolled_out(k, what)
    k("set", "image", what, "a=nginx:2")
    rolled_out(k, what)
    assert revisions(k, what) == ["1", "2"]
    assert "nginx:1\n" in k("rollout", "history", what, "--revision=1")
    assert k("rollout", "undo", what) == f"{full} rolled back\n"
    rolled_out(k, what)
    assert k("get", what, "-o", "jsonpath={..image}") == "nginx:1"
    assert revisions(k, what) == ["2", "3"]
    k("rollout", "undo", what, "--to-revision=2")
    rolled_out(k, what)
    assert k("get", what, "-o", "jsonpath={..image}") == "nginx:2"
    if k.minor >= 34:  # older ones write a creationTimestamp of null, which no server of this version has
        already = "skipped rollback (current template already matches revision 4)"
        assert already in k("rollout", "undo", what, "--to-revision=4")
    assert k("rollout", "restart", what) == f"{full} restarted\n"
    rolled_out(k, what)
    assert "is not supported" in k.fails("rollout", "pause", what)
    row = k.table("get", "controllerrevisions")[0]
    assert row["CONTROLLER"] in ("daemonset.apps/ds", "statefulset.apps/ss")
    row = k.table("get", what, "-o", "wide")[0]
    assert row["IMAGES"] == "nginx:2"


def test_scale(k: InNamespace) -> None:
    k("create", "deployment", "web", "--image=nginx")
    k("create", "-f", "-", stdin=SETS)
    assert k("scale", "deployment/web", "--replicas=3") == "deployment.apps/web scaled\n"
    eventually(
        "three pods", lambda: k("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}") == "3"
    )
    refused = k.fails("scale", "deployment/web", "--replicas=4", "--current-replicas=9")
    assert "xpected replicas to be 9, was 3" in refused
    k("scale", "deployment/web", "--replicas=1", "--current-replicas=3")
    refused = k.fails("scale", "deployment/web", "--replicas=1", "--resource-version=1")
    assert "xpected resource version to be 1, was" in refused
    k("scale", "statefulset/ss", "--replicas=1")
    k("scale", "deployment", "--all", "--replicas=2")
    assert k("get", "deployment,statefulset", "-o", "jsonpath={.items[*].spec.replicas}") == "2 1"
    assert "could not find the requested resource" in k.fails("scale", "daemonset/ds", "--replicas=1")
    refused = k.fails("scale", "deployment/none", "--replicas=1")
    assert 'deployments.apps "none" not found' in refused or refused == "error: no objects passed to scale\n"


def test_autoscale(k: InNamespace) -> None:
    k("create", "deployment", "web", "--image=nginx")
    made = k("autoscale", "deployment", "web", "--min=1", "--max=3", "--cpu-percent=80")
    assert made == "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    row = k.rows("get", "hpa")["web"]
    assert (row["REFERENCE"], row["MINPODS"], row["MAXPODS"]) == ("Deployment/web", "1", "3")
    assert re.match(r"(cpu: )?<unknown>/80%", row["TARGETS"])
    spec = k.json("get", "horizontalpodautoscalers.v2.autoscaling", "web")["spec"]
    assert spec["metrics"] == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }
    ]
    old = k.json("get", "horizontalpodautoscalers.v1.autoscaling", "web")
    assert old["apiVersion"] == "autoscaling/v1" and old["spec"]["targetCPUUtilizationPercentage"] == 80
    text = k("describe", "hpa", "web")
    assert re.search(r"Reference: +Deployment/web\n", text) and re.search(r"Max replicas: +3\n", text), text
    assert re.search(r"resource cpu on pods +\(as a percentage of request\): +<unknown> / 80%", text) or (
        re.search(r"Target CPU utilization: +80%\n", text)
    ), text


def test_expose(k: InNamespace) -> None:
    k("create", "deployment", "web", "--image=nginx", "--port=80", "--replicas=2")
    assert k("expose", "deployment", "web", "--target-port=8080") == "service/web exposed\n"
    k("expose", "deployment", "web", "--name=outside", "--type=NodePort", "--port=90")
    k("expose", "service", "web", "--name=again", "--port=91")
    rows = k.rows("get", "services", "-o", "wide")
    assert (rows["web"]["PORT(S)"], rows["web"]["SELECTOR"]) == ("80/TCP", "app=web")
    assert re.match(r"90:3\d{4}/TCP$", rows["outside"]["PORT(S)"])
    assert rows["again"]["SELECTOR"] == "app=web"
    k("wait", "deployment/web", "--for=condition=Available", "--timeout=30s")
    eventually("endpoints", lambda: k.rows("get", "endpoints")["web"]["ENDPOINTS"].count(":8080") == 2)
    slices = k.json("get", "endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    assert len(slices) == 1 and slices[0]["ports"][0]["port"] == 8080 and len(slices[0]["endpoints"]) == 2
    assert "endpointslice-controller.k8s.io" in k("get", "endpointslices", "--show-labels")


def test_run(k: InNamespace) -> None:
    assert k("run", "p", "--image=nginx", "--labels=a=b", "--env=X=Y", "--port=80", "--expose").splitlines() == [
        "service/p created", "pod/p created",
    ]  # fmt: skip
    pod = k.json("get", "pod", "p")
    assert pod["metadata"]["labels"] == {"a": "b"} and pod["spec"]["containers"][0]["env"] == [
        {"name": "X", "value": "Y"}
    ]
    dry = yaml.safe_load(k("run", "q", "--image=nginx", "--restart=Never", "--dry-run=client", "-o", "yaml"))
    assert dry["spec"]["restartPolicy"] == "Never"
    done = k.run(
        "run", "once", "--rm", "-i", "--image=busybox", "--restart=Never", "--", "echo", "from inside"
    )
    assert "from inside\n" in done.stdout and 'pod "once" deleted' in done.stdout + done.stderr
    assert "not found" in k.fails("get", "pod", "once")


@pytest.fixture
def talker(k: InNamespace) -> InNamespace:
    k("create", "-f", "-", stdin="""
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}, annotations: {kubectl.kubernetes.io/default-container: b}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers: [{name: i, image: busybox, command: [sh, -c, "echo init"]}]
  containers:
  - {name: a, image: busybox, command: [sh, -c, "echo one; echo two; echo three; sleep 1000"]}
  - name: b
    image: busybox
    command: [sh, -c, "while true; do echo tick; sleep 1; done"]
    ports: [{containerPort: 80}]
""")  # fmt: skip
    k("wait", "pod/p", "--for=condition=Ready", "--timeout=30s")
    return k


def test_logs(talker: InNamespace) -> None:
    k = talker
    eventually("the lines", lambda: k("logs", "p", "-c", "a") == "one\ntwo\nthree\n")
    assert k("logs", "p", "-c", "a", "--tail=1") == "three\n"
    assert k("logs", "p", "-c", "a", "--limit-bytes=5") == "one\nt"
    assert k("logs", "p", "-c", "i") == "init\n"
    stamped = k("logs", "p", "-c", "a", "--timestamps").splitlines()
    assert len(stamped) == 3
    for line in stamped:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (one|two|three)$", line), line
    assert k("logs", "p", "-c", "a", "--since=1h") == "one\ntwo\nthree\n"
    assert k("logs", "p", "-c", "a", "--since-time=2035-01-01T00:00:00Z") == ""
    prefixed = k("logs", "p", "--all-containers", "--prefix")
    assert "[pod/p/i] init\n" in prefixed and "[pod/p/a] one\n" in prefixed
    assert "one\n" in k("logs", "-l", "app=p", "--all-containers")
    assert "container nope is not valid for pod p" in k.fails("logs", "p", "-c", "nope")
    assert 'previous terminated container "a" in pod "p" not found' in k.fails(
        "logs", "p", "-c", "a", "--previous"
    )
    assert 'pods "none" not found' in k.fails("logs", "none")
    follow = subprocess.Popen(k.command("logs", "-f", "p", "-c", "b", "--tail=1"), stdout=subprocess.PIPE,
                              text=True, env=k.environment())  # fmt: skip
    try:
        assert follow.stdout is not None
        assert [follow.stdout.readline() for _ in range(3)] == ["tick\n"] * 3
        k("delete", "pod", "p", "--wait=false")
        assert follow.wait(15) == 0, "the log ends with its container"
    finally:
        follow.kill()
        follow.communicate()


def test_logs_of_a_crashed_container(k: InNamespace) -> None:
    k("run", "cr", "--image=busybox", "--", "sh", "-c", "echo crash; exit 3")
    row = eventually("it crashed twice", lambda: [
        r for r in k.table("get", "pods") if r["STATUS"] == "CrashLoopBackOff"
    ])[0]  # fmt: skip
    assert re.match(r"\d+ \(\d+s ago\)$", row["RESTARTS"])
    assert k("logs", "cr", "--previous") == "crash\n"
    text = k("describe", "pod", "cr")
    assert re.search(r"State: +Waiting\n +Reason: +CrashLoopBackOff\n", text), text
    assert re.search(r"Last State: +Terminated\n +Reason: +Error\n +Exit Code: +3\n", text), text
    assert re.search(r"BackOff +.*Back-off restarting failed container cr in pod cr_", text), text


def test_exec_and_attach(talker: InNamespace) -> None:
    k = talker
    assert k("exec", "p", "--", "echo", "hi") == "hi\n"
    assert k("exec", "p", "-c", "a", "--", "hostname") == "p\n"
    done = k.run("exec", "p", "--", "sh", "-c", "exit 7", check=False)
    assert done.returncode == 7 and "command terminated with exit code 7" in done.stderr
    assert k("exec", "-i", "p", "--", "sh", stdin="echo from stdin\n") == "from stdin\n"
    assert 'pods "none" not found' in k.fails("exec", "none", "--", "true")
    assert "container zz is not valid for pod p" in (
        refused := k.fails("exec", "p", "-c", "zz", "--", "true")
    ) or ("container not found" in refused)
    assert "typed\n" in k("attach", "-i", "p", "-c", "a", stdin="typed\n")


@contextlib.contextmanager
def forwarding(k: InNamespace, *arguments: str) -> Iterator[int]:
    process = subprocess.Popen(k.command("port-forward", *arguments), stdout=subprocess.PIPE, text=True,
                               env=k.environment())  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> ", process.stdout.readline())
        assert found
        yield int(found[1])
    finally:
        process.kill()
        process.communicate()


def test_port_forward(talker: InNamespace) -> None:
    k = talker
    k("expose", "pod", "p", "--port=8000", "--target-port=80")
    for what in ("pod/p", "service/p"):
        with forwarding(k, what, f":{80 if what == 'pod/p' else 8000}") as port:
            for _ in range(2):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/x", timeout=10) as answer:
                    assert answer.status == 200 and answer.read()
    path = f"/api/v1/namespaces/{k.namespace}"
    assert k("get", "--raw", f"{path}/pods/p:80/proxy/x")
    eventually("an endpoint", lambda: k("get", "--raw", f"{path}/services/p:8000/proxy/x"))


def test_debug_with_an_ephemeral_container(talker: InNamespace) -> None:
    k = talker
    k.needs(23, "debug with ephemeral containers")
    k("debug", "p", "--image=busybox", "--target=a", "-c", "dbg", "--", "sh", "-c", "echo looking; sleep 100")
    state = eventually(
        "the debugger runs",
        lambda: k("get", "pod", "p", "-o", "jsonpath={.status.ephemeralContainerStatuses[0].state.running}"),
    )
    assert "startedAt" in state
    eventually("its output", lambda: k("logs", "p", "-c", "dbg") == "looking\n")
    spec = k.json("get", "pod", "p")["spec"]["ephemeralContainers"]
    assert [(one["name"], one["targetContainerName"]) for one in spec] == [("dbg", "a")]
    text = k("describe", "pod", "p")
    assert re.search(r"Ephemeral Containers:\n  dbg:\n", text)
    k("debug", "p", "--copy-to=copy", "--image=busybox", "-c", "extra", "--", "sleep", "100")
    assert {one["name"] for one in k.json("get", "pod", "copy")["spec"]["containers"]} == {"a", "b", "extra"}
    k("debug", "node/kubetui", "--image=busybox", "--", "sleep", "1")
    assert "node-debugger-kubetui-" in k("get", "pods")


def test_wait(k: InNamespace) -> None:
    k("create", "deployment", "web", "--image=nginx")
    assert k("wait", "deployment/web", "--for=condition=Available", "--timeout=30s") == (
        "deployment.apps/web condition met\n"
    )
    assert k("wait", "pod", "--all", "--for=condition=Ready", "--timeout=30s").count("condition met") == 1
    assert "timed out waiting for the condition" in k.fails(
        "wait", "deployment/web", "--for=condition=Available=False", "--timeout=1s"
    )
    assert 'deployments.apps "none" not found' in k.fails(
        "wait", "deployment/none", "--for=condition=Available"
    )
    pod = k("get", "pods", "-o", "name").strip()
    waiting = subprocess.Popen(k.command("wait", pod, "--for=delete", "--timeout=30s"), env=k.environment())
    time.sleep(0.5)  # kubectl doesn't say when its watch stands
    k("delete", pod, "--wait=false", "--grace-period=1")
    assert waiting.wait(30) == 0
    k.needs(23, "--for=jsonpath")
    assert k("wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=1", "--timeout=30s")
    k.needs(31, "--for=create")
    waiting = subprocess.Popen(k.command("wait", "configmap/later", "--for=create", "--timeout=30s"),
                               env=k.environment())  # fmt: skip
    k("create", "configmap", "later")
    assert waiting.wait(30) == 0


@pytest.fixture
def node(k: InNamespace) -> Iterator[str]:
    yield "kubetui"
    k("uncordon", "kubetui")
    for key in ("test.example", "other.example"):
        k.run("taint", "node", "kubetui", f"{key}-", check=False)


def test_cordon_taint_and_label_a_node(k: InNamespace, node: str) -> None:
    assert k("cordon", node) == f"node/{node} cordoned\n"
    assert k("cordon", node) == f"node/{node} already cordoned\n"
    assert k.rows("get", "nodes")[node]["STATUS"] == "Ready,SchedulingDisabled"
    k("run", "pending", "--image=nginx")
    found = eventually(
        "the scheduler's reason",
        lambda: re.search(
            r"FailedScheduling .*0/1 nodes are available: 1 .*unschedulable", k("describe", "pod", "pending")
        ),
    )
    assert found and k.rows("get", "pods")["pending"]["STATUS"] == "Pending"
    assert k("uncordon", node) == f"node/{node} uncordoned\n"
    k("wait", "pod/pending", "--for=condition=Ready", "--timeout=30s")
    assert k("taint", "node", node, "test.example=b:NoSchedule") == f"node/{node} tainted\n"
    assert "already has" in k.fails("taint", "node", node, "test.example=b:NoSchedule")
    assert k("taint", "node", node, "test.example=c:NoSchedule", "--overwrite") == f"node/{node} modified\n"
    assert re.search(r"Taints: +test.example=c:NoSchedule\n", k("describe", "node", node))
    k("run", "tainted", "--image=nginx")
    eventually(
        "the taint is named",
        lambda: "had untolerated taint" in k("describe", "pod", "tainted"),
    )
    assert k("taint", "node", node, "test.example:NoSchedule-") == f"node/{node} untainted\n"
    k("wait", "pod/tainted", "--for=condition=Ready", "--timeout=30s")
    k("label", "node", node, "test.example/disk=ssd")
    assert k.table("get", "node", "-L", "test.example/disk")[0]["DISK"] == "ssd"
    k("label", "node", node, "test.example/disk-")


def test_drain_respects_budgets(k: InNamespace, node: str) -> None:
    k("create", "deployment", "web", "--image=nginx", "--replicas=2")
    rolled_out(k, "deployment/web")
    drain = ("drain", node, f"--pod-selector=run={k.namespace}")
    k("create", "-f", "-", stdin=SETS.split("---")[0])
    k("rollout", "status", "daemonset/ds", "--timeout=30s")
    k("run", "bare", "--image=nginx", f"--labels=run={k.namespace}")
    for pod in k("get", "pods", "-l", "app", "-o", "name").split():
        k("label", pod, f"run={k.namespace}")
    k("wait", "pod/bare", "--for=condition=Ready", "--timeout=30s")
    refused = k.fails(*drain, "--timeout=5s")
    assert "use --force to override" in refused and "use --ignore-daemonsets to ignore" in refused
    k("create", "-f", "-", stdin="""
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: pdb}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
""")  # fmt: skip
    eventually(
        "the budget counts", lambda: k("get", "pdb", "pdb", "-o", "jsonpath={.status.currentHealthy}") == "2"
    )
    done = k.run(*drain, "--force", "--ignore-daemonsets", "--timeout=2s", check=False)
    assert done.returncode == 1
    assert "Cannot evict pod as it would violate the pod's disruption budget." in done.stderr, done.stderr
    k("delete", "pdb", "pdb")
    done = k.run(*drain, "--force", "--ignore-daemonsets", "--timeout=30s")
    assert re.search(rf"^node/{node} (drained|evicted)$", done.stdout, re.M)
    assert "ignoring daemonset-managed pods" in done.stderr.lower()
    assert "pod/web-" in done.stdout and "evicted" in done.stdout
    left = k.table("get", "pods")
    assert {row["STATUS"] for row in left if row["NAME"].startswith("web")} <= {"Pending"}
    assert [row["STATUS"] for row in left if row["NAME"].startswith("ds")] == ["Running"]


def test_deletion_with_grace(k: InNamespace) -> None:
    k("create", "-f", "-", stdin="""
apiVersion: v1
kind: Pod
metadata: {name: slow, annotations: {simulated.kubetui.io/ignore-term: "true"}}
spec: {containers: [{name: a, image: busybox}]}
""")  # fmt: skip
    k("wait", "pod/slow", "--for=condition=Ready", "--timeout=30s")
    k("delete", "pod", "slow", "--wait=false")
    assert k.rows("get", "pods")["slow"]["STATUS"] == "Terminating"
    deleting = k.json("get", "pod", "slow")["metadata"]
    assert deleting["deletionGracePeriodSeconds"] == 30
    done = k.run("delete", "pod", "slow", "--grace-period=0", "--force")
    assert "Immediate deletion does not wait for confirmation" in done.stderr
    assert "not found" in k.fails("get", "pod", "slow")
    k("run", "now", "--image=nginx")
    k("delete", "pod", "now", "--now", "--timeout=20s")
    assert json.loads(k("get", "pods", "-o", "json"))["items"] == []


def test_top(k: InNamespace) -> None:
    k("run", "p", "--image=nginx")
    k("wait", "pod/p", "--for=condition=Ready", "--timeout=30s")

    def shown(*arguments: str) -> list[str]:
        done = k.run("top", *arguments, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert eventually("the pod is measured", lambda: shown("pod", "p"), 60, 1.0)[:4] == [
        "NAME", "CPU(cores)", "MEMORY(bytes)", "p",
    ]  # fmt: skip
    assert shown("pod", "p", "--containers")[:2] == ["POD", "NAME"]
    words = eventually("the node is measured", lambda: shown("node"), 60, 1.0)
    assert words[:2] == ["NAME", "CPU(cores)"] and "kubetui" in words
    assert 'pods.metrics.k8s.io "none" not found' in k.fails("top", "pod", "none")
