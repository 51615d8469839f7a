"""kubectl's commands that look: get in all its forms, describe, explain, events, api-resources, cluster-info.

Columns and words are compared with what Kubernetes prints, ages are not.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.support.kubectls import InNamespace
from tests.support.serving import eventually

pytestmark = pytest.mark.kubectl

WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      containers:
      - {name: nginx, image: "nginx:1.25", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""


def heads(text: str) -> list[str]:
    return re.findall(r"\S+(?: \S+)*", text.split("\n", 1)[0])


@pytest.fixture
def web(k: InNamespace) -> InNamespace:
    k("apply", "-f", "-", stdin=WORKLOADS)
    k("rollout", "status", "deployment/web", "--timeout=30s")
    return k


def test_every_output_form(web: InNamespace) -> None:
    as_json = json.loads(web("get", "deployment", "web", "-o", "json"))
    as_yaml = yaml.safe_load(web("get", "deployment", "web", "-o", "yaml"))
    for obj in (as_json, as_yaml):
        assert (obj["apiVersion"], obj["kind"]) == ("apps/v1", "Deployment")
        assert obj["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
        }
        assert obj["spec"]["revisionHistoryLimit"] == 10 and obj["spec"]["progressDeadlineSeconds"] == 600
        pod = obj["spec"]["template"]["spec"]
        assert pod["containers"][0]["imagePullPolicy"] == "IfNotPresent"
        assert pod["terminationGracePeriodSeconds"] == 30 and pod["dnsPolicy"] == "ClusterFirst"
        assert obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert web("get", "deployment", "web", "-o", "name") == "deployment.apps/web\n"
    assert web("get", "deploy", "-o", "jsonpath={.items[*].metadata.name}") == "web"
    assert (
        web("get", "pods", "-o", "jsonpath={range .items[?(@.status.phase=='Running')]}{.kind},{end}")
        == "Pod,Pod,Pod,"
    )
    columns = web(
        "get",
        "deploy",
        "web",
        "-o",
        "custom-columns=N:.metadata.name,I:.spec.template.spec.containers[*].image",
    )
    assert [line.split() for line in columns.splitlines()] == [["N", "I"], ["web", "nginx:1.25"]]
    template = "{{range .items}}{{.metadata.labels.tier}} {{end}}"
    assert web("get", "pods", "-o", f"go-template={template}") == "front front front "
    assert heads(web("get", "deploy", "-o", "wide")) == [
        "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR",
    ]  # fmt: skip
    managed = yaml.safe_load(
        web("get", "deploy", "web", "-o", "yaml", *(["--show-managed-fields"] if web.minor > 20 else []))
    )["metadata"]["managedFields"]
    assert {(entry["manager"], entry.get("subresource", "")) for entry in managed} >= {
        ("kubectl-client-side-apply", ""),
        ("kube-controller-manager", "status"),
    }


def test_several_kinds_selectors_and_columns(web: InNamespace) -> None:
    together = web("get", "deployment/web", "service/web")
    assert re.findall(r"^(\S+)/web ", together, re.M) == ["deployment.apps", "service"]
    assert [heads(part)[0] for part in web("get", "deploy,svc,rs").split("\n\n")] == ["NAME"] * 3
    everything = web("get", "all")
    for kind in ("pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/web-"):
        assert kind in everything
    assert len(web("get", "pods", "-l", "app in (web),tier!=back", "-o", "name").split()) == 3
    assert web("get", "pods", "-l", "app=other", "-o", "name") == ""
    running = web("get", "pods", "--field-selector=status.phase=Running,spec.nodeName=kubetui", "-o", "name")
    assert len(running.split()) == 3
    assert heads(web("get", "pods", "-L", "app,tier", "--show-labels"))[-3:] == ["APP", "TIER", "LABELS"]
    names = [
        line.split()[0]
        for line in web("get", "pods", "--sort-by=.metadata.name", "--no-headers").splitlines()
    ]
    assert names == sorted(names) and len(names) == 3
    assert len(web("get", "pods", "--chunk-size=1", "-o", "name").split()) == 3
    assert web("get", "pods", "--show-kind", "--no-headers").startswith("pod/web-")
    assert f"{web.namespace} " in web("get", "pods", "-A")
    assert web("get", "deployments.v1.apps", "web", "--no-headers").startswith("web ")


def test_what_is_not_there(k: InNamespace) -> None:
    assert k.fails("get", "pod", "nope") == 'Error from server (NotFound): pods "nope" not found\n'
    assert k("get", "pod", "nope", "--ignore-not-found") == ""
    assert k.run("get", "pods").stderr == f"No resources found in {k.namespace} namespace.\n"
    assert k.fails("get", "nonsense") == 'error: the server doesn\'t have a resource type "nonsense"\n'
    assert "field label not supported: foo" in k.fails("get", "pods", "--field-selector=foo=bar")
    assert '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"' in k.fails(
        "get", "configmaps", "--field-selector=foo=bar"
    )
    assert "unable to parse requirement" in k.fails("get", "pods", "-l", "a b c")
    assert "NotFound" in k.fails("get", "--raw", "/apis/nonsense/v1")


def watching(k: InNamespace, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        k.command("get", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=k.environment(),
    )


def test_watch_prints_each_change(k: InNamespace) -> None:
    k("create", "configmap", "one", "--from-literal=a=1")
    watch = watching(k, "configmap", "one", "--watch", "--output-watch-events")
    try:
        assert watch.stdout is not None
        assert watch.stdout.readline().split() == ["EVENT", "NAME", "DATA", "AGE"]
        assert watch.stdout.readline().split()[:3] == ["ADDED", "one", "1"]
        k("patch", "configmap", "one", "-p", '{"data":{"b":"2"}}')
        assert watch.stdout.readline().split()[:3] == ["MODIFIED", "one", "2"]
        k("delete", "configmap", "one")
        assert watch.stdout.readline().split()[:3] == ["DELETED", "one", "2"]
    finally:
        watch.kill()
        watch.communicate()


def test_watch_of_a_selection_in_json(k: InNamespace) -> None:
    watch = watching(k, "configmaps", "-l", "w=1", "--watch-only", "-o", "jsonpath={.metadata.name}{'\\n'}")
    try:
        assert watch.stdout is not None
        time.sleep(1.0)  # kubectl doesn't say when its watch stands
        k("create", "-f", "-", stdin=yaml.safe_dump_all(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}", "labels": {"w": str(n)}}}
            for n in (0, 1)
        ))  # fmt: skip
        assert watch.stdout.readline() == "c1\n"
        k("label", "configmap", "c1", "w=2", "--overwrite")
        assert watch.stdout.readline() == "c1\n", "leaving the selection is a deletion"
    finally:
        watch.kill()
        watch.communicate()


def test_describe_workloads(web: InNamespace) -> None:
    text = web("describe", "deployment", "web")
    revision = web("get", "rs", "-o", "jsonpath={.items[0].metadata.name}")
    for words in (
        r"Name: +web\n",
        r"Annotations: +deployment.kubernetes.io/revision: 1\n",
        r"Selector: +app=web\n",
        r"Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable",
        r"Available +True +MinimumReplicasAvailable",
        r"Progressing +True +NewReplicaSetAvailable",
        rf"NewReplicaSet: +{revision} \(3/3 replicas created\)",
        rf"ScalingReplicaSet +\S+ +deployment-controller +Scaled up replica set {revision} from 0 to 3",
    ):
        assert re.search(words, text), f"{words}\n{text}"
    text = web("describe", "rs", revision)
    assert re.search(r"Controlled By: +Deployment/web\nReplicas: +3 current / 3 desired", text), text
    assert re.search(r"Pods Status: +3 Running / 0 Waiting / 0 Succeeded / 0 Failed", text), text
    assert len(re.findall(r"SuccessfulCreate +\S+ +replicaset-controller +Created pod: web-", text)) == 3
    pod = web("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    text = web("describe", "pod", pod)
    for words in (
        r"Service Account: +default\n|Priority: +0\n",
        r"Node: +kubetui/",
        r"Status: +Running\nIP: +10\.",
        rf"Controlled By: +ReplicaSet/{revision}",
        r"State: +Running\n +Started: ",
        r"Restart Count: +0\n",
        r"/var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-\w{5} \(ro\)",
        r"ContainersReady +True *\n",
        r"TokenExpirationSeconds: +3607\n",
        r"QoS Class: +BestEffort\n",
        r"node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
        rf"Scheduled +\S+ +default-scheduler +Successfully assigned {web.namespace}/{pod} to kubetui",
        r"Pulled +\S+ +kubelet +",
        r"Started +\S+ +kubelet +.*[Ss]tarted",
    ):
        assert re.search(words, text), f"{words}\n{text}"
    text = web("describe", "service", "web")
    endpoints = eventually(
        "three endpoints",
        lambda: re.search(r"Endpoints: +((?:10\.[\d.]+:8080,?){3})\n", web("describe", "service", "web")),
    )
    assert endpoints[1].count(":8080") == 3
    for words in (
        r"Type: +ClusterIP\n",
        r"IP Families: +IPv4\n",
        r"Port: +http +80/TCP\nTargetPort: +8080/TCP\n",
        r"Session Affinity: +None\n",
    ):
        assert re.search(words, text), f"{words}\n{text}"


def test_describe_other_kinds(k: InNamespace) -> None:
    k("create", "-f", "-", stdin=f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: c, annotations: {{why: because}}}}
data: {{key: value}}
binaryData: {{bin: AAEC}}
---
apiVersion: v1
kind: Secret
metadata: {{name: s}}
stringData: {{password: hunter2}}
---
apiVersion: v1
kind: LimitRange
metadata: {{name: l}}
spec: {{limits: [{{type: Container, default: {{cpu: 500m}}, defaultRequest: {{cpu: 100m}}, max: {{memory: 1Gi}}}}]}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {{name: q}}
spec: {{hard: {{pods: "5", requests.cpu: "4", configmaps: "10"}}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: claim}}
spec: {{accessModes: [ReadWriteOnce], storageClassName: manual, resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: volume-{k.namespace}}}
spec:
  capacity: {{storage: 2Gi}}
  accessModes: [ReadWriteOnce, ReadOnlyMany]
  storageClassName: other
  hostPath: {{path: /tmp/x}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: np}}
spec: {{podSelector: {{matchLabels: {{a: b}}}}, policyTypes: [Ingress], ingress: [{{from: [{{podSelector: {{}}}}]}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: i}}
spec:
  ingressClassName: nginx
  tls: [{{hosts: [foo.com], secretName: sec}}]
  rules:
  - host: foo.com
    http: {{paths: [{{path: /bar, pathType: Prefix, backend: {{service: {{name: w, port: {{number: 80}}}}}}}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: ss}}
spec:
  replicas: 0
  serviceName: ss
  selector: {{matchLabels: {{a: ss}}}}
  template: {{metadata: {{labels: {{a: ss}}}}, spec: {{containers: [{{name: a, image: b}}]}}}}
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
""")  # fmt: skip
    try:
        text = k("describe", "configmap", "c")
        assert re.search(r"Data\n====\nkey:\n----\nvalue\n", text), text
        assert "bin: 3 bytes" in text or k.minor == 20
        text = k("describe", "secret", "s")
        assert re.search(r"Type: +Opaque\n", text) and re.search(r"password: +7 bytes", text)
        assert "hunter2" not in text
        text = k("describe", "limitrange", "l")
        assert re.search(r"Container +cpu +- +- +100m +500m +-\n", text), text
        assert re.search(r"Container +memory +- +1Gi +1Gi +1Gi +-\n", text), text
        text = eventually(
            "the quota is counted",
            lambda: (
                (found := k("describe", "quota", "q")) and re.search(r"configmaps +2 +10", found) and found
            ),
        )
        assert re.search(r"Resource +Used +Hard\n", text) and re.search(r"pods +0 +5\n", text)
        text = k("describe", "namespace", k.namespace)
        assert (
            re.search(r"Status: +Active\n", text) and "Resource Quotas" in text and "Resource Limits" in text
        )
        text = k("describe", "pvc", "claim")
        assert re.search(r"Status: +Pending\n", text) and re.search(r"Used By: +<none>\n", text), text
        text = k("describe", "pv", f"volume-{k.namespace}")
        assert re.search(r"Reclaim Policy: +Retain\nAccess Modes: +RWO,ROX\n", text), text
        assert re.search(r"Type: +HostPath \(bare host directory volume\)\n", text)
        text = k("describe", "networkpolicy", "np")
        assert re.search(r"PodSelector: +a=b\n", text) and "Policy Types: Ingress" in text, text
        if k.minor > 20:
            text = k("describe", "ingress", "i")
            assert re.search(r"Ingress Class: +nginx\n", text), text
            assert "sec terminates foo.com" in text and re.search(r"/bar +w:80 \(", text)
        text = k("describe", "statefulset", "ss")
        assert re.search(r"Replicas: +0 desired \| 0 total\n", text) and "Volume Claims:" in text, text
        text = k("describe", "serviceaccount", "default")
        assert re.search(r"Image pull secrets: +<none>\n", text)
    finally:
        k("delete", "pv", f"volume-{k.namespace}", "--wait=false")


def test_describe_node_and_its_columns(k: InNamespace) -> None:
    assert heads(k("get", "nodes", "-o", "wide")) == [
        "NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE",
        "KERNEL-VERSION", "CONTAINER-RUNTIME",
    ]  # fmt: skip
    text = k("describe", "node", "kubetui")
    for words in (
        r"Taints: +<none>\nUnschedulable: +false\n",
        r"Lease:\n  HolderIdentity: +kubetui\n",
        r"Ready +True +.* KubeletReady +kubelet is posting ready status\n",
        r"Capacity:\n(?:  .*\n)*  pods: ",
        r"Allocatable:\n(?:  .*\n)*  cpu: ",
        r"Container Runtime Version: +\S+://",
        r"Non-terminated Pods: +\(\d+ in total\)\n",
        r"Resource +Requests +Limits\n",
        r"Starting +\S+ +kubelet",
    ):
        assert re.search(words, text), f"{words}\n{text}"


def test_explain(k: InNamespace) -> None:
    text = k("explain", "pods")
    assert re.search(r"KIND: +Pod\nVERSION: +v1\n", text)
    assert "Pod is a collection of containers that can run on a host." in text
    assert re.search(r"spec\t<(Pod|\[\])?\w*>", text)
    text = k("explain", "pod.spec.containers.resources")
    assert re.search(r"limits\t<map\[string\]\w+>", text), text
    text = k("explain", "deployment", "--recursive")
    assert re.search(r"\n +rollingUpdate\t<\w+>\n +maxSurge\t<", text), text[:3000]
    text = k("explain", "hpa.spec", "--api-version=autoscaling/v1")
    assert (
        re.search(r"VERSION: +(autoscaling/)?v1\n", text)
        and "targetCPUUtilizationPercentage\t<integer>" in text
    )
    assert 'field "nope" does not exist' in k.fails("explain", "pod.spec.nope")
    assert (
        "couldn't find resource" in (refused := k.fails("explain", "nonsense")) or "doesn't have" in refused
    )


def test_events(web: InNamespace) -> None:
    rows = web.table("get", "events", "--sort-by=.lastTimestamp")
    assert {row["REASON"] for row in rows} >= {
        "Scheduled",
        "Started",
        "SuccessfulCreate",
        "ScalingReplicaSet",
    }
    assert heads(web("get", "events", "-o", "wide")) == [
        "LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE", "FIRST SEEN", "COUNT", "NAME",
    ]  # fmt: skip
    one = web.table(
        "get", "events", "--field-selector=involvedObject.kind=Deployment,involvedObject.name=web"
    )
    assert [row["OBJECT"] for row in one] == ["deployment/web"]
    assert web("get", "events", "--field-selector=type=Warning", "-o", "name") == ""
    web.needs(26, "events")
    text = web("events", "--for", "deployment/web")
    assert re.search(
        r"Normal +ScalingReplicaSet +Deployment/web +Scaled up replica set web-\w+ from 0 to 3", text
    )


def test_api_resources_and_versions(k: InNamespace) -> None:
    rows = {(row["NAME"], row["APIVERSION" if "APIVERSION" in row else "APIGROUP"]): row
            for row in k.table("api-resources")}  # fmt: skip
    versioned = k.minor > 19
    for name, group, short, kind, namespaced in (
        ("pods", "v1", "po", "Pod", "true"),
        ("namespaces", "v1", "ns", "Namespace", "false"),
        ("deployments", "apps/v1", "deploy", "Deployment", "true"),
        ("horizontalpodautoscalers", "autoscaling/v2", "hpa", "HorizontalPodAutoscaler", "true"),
        ("cronjobs", "batch/v1", "cj", "CronJob", "true"),
        ("poddisruptionbudgets", "policy/v1", "pdb", "PodDisruptionBudget", "true"),
        ("networkpolicies", "networking.k8s.io/v1", "netpol", "NetworkPolicy", "true"),
        ("priorityclasses", "scheduling.k8s.io/v1", "pc", "PriorityClass", "false"),
        ("clusterroles", "rbac.authorization.k8s.io/v1", "", "ClusterRole", "false"),
        (
            "customresourcedefinitions",
            "apiextensions.k8s.io/v1",
            "crd,crds",
            "CustomResourceDefinition",
            "false",
        ),
    ):
        row = rows[(name, group if versioned else group.rpartition("/")[0])]
        assert (row["SHORTNAMES"], row["KIND"], row["NAMESPACED"]) == (short, kind, namespaced), row
    wide = k("api-resources", "-o", "wide", "--api-group=apps")
    assert "VERBS" in wide.split("\n")[0]
    for verb in ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"):
        assert verb in wide
    assert k("api-resources", "--namespaced=false", "-o", "name").split().count("nodes") == 1
    assert {"v1", "apps/v1", "batch/v1", "autoscaling/v1", "autoscaling/v2", "events.k8s.io/v1"} <= set(
        k("api-versions").split()
    )


def test_cluster_info_and_version(k: InNamespace, tmp_path: Path) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", k("cluster-info"))
    assert re.match(r"Kubernetes (control plane|master) is running at https://127.0.0.1:\d+\n", plain)
    k("cluster-info", "dump", f"--namespaces={k.namespace}", f"--output-directory={tmp_path}")
    assert (tmp_path / "nodes.json").exists() and (tmp_path / k.namespace / "pods.json").exists()
    version = json.loads(k("version", "-o", "json"))["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "36") and version["gitVersion"].startswith("v1.36.")
    assert k("get", "--raw", "/healthz") == "ok"
    assert "readyz check passed" in k("get", "--raw", "/readyz?verbose")


def test_old_kinds_carry_a_warning(k: InNamespace) -> None:
    done = k.run("get", "endpoints")
    assert (
        "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" in done.stderr
    )
    done = k.run("get", "componentstatuses")
    assert "Warning: v1 ComponentStatus is deprecated in v1.19+" in done.stderr


def test_subresources(web: InNamespace) -> None:
    web.needs(24, "--subresource")
    scale = json.loads(web("get", "deployment", "web", "--subresource=scale", "-o", "json"))
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 3)
    assert scale["status"] == {"replicas": 3, "selector": "app=web"}
    row = web.table("get", "deployment", "web", "--subresource=scale")[0]
    assert (row["NAME"], row["DESIRED"], row["AVAILABLE"]) == ("web", "3", "3")
    assert web("get", "deployment", "web", "--subresource=status", "-o", "jsonpath={.status.replicas}") == "3"


def test_secret_values_are_base64(k: InNamespace) -> None:
    k("create", "secret", "generic", "s", "--from-literal=a=bc")
    assert base64.b64decode(k("get", "secret", "s", "-o", "jsonpath={.data.a}")) == b"bc"
