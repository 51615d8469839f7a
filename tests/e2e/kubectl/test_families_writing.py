"""kubectl's commands that change objects: create and its generators, apply, diff, edit, replace, patch, delete.

Words are compared with what Kubernetes prints. Sentences that differ between versions of kubectl are matched where
they agree.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubectls import InNamespace
from tests.support.serving import eventually

pytestmark = pytest.mark.kubectl

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web, tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: a
        image: nginx:1
        env: [{name: ONE, value: "1"}, {name: TWO, value: "2"}]
        ports: [{containerPort: 80}]
      - {name: b, image: "nginx:2"}
"""


def deployment(**changes: Any) -> str:
    """:data:`DEPLOYMENT` with other values in its spec."""
    obj = yaml.safe_load(DEPLOYMENT)
    obj["spec"].update(changes)
    return yaml.safe_dump(obj)


def config_map(name: str, **data: str) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def data(k: InNamespace, name: str) -> Any:
    return k.json("get", "configmap", name).get("data")


# -- create ------------------------------------------------------------------------------------------------


def test_generators_of_configuration(k: InNamespace, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("text\n")
    (tmp_path / "file.bin").write_bytes(b"\xff\x00")
    (tmp_path / "some.env").write_text("E=f\n")
    assert k("create", "configmap", "c", "--from-literal=a=b", f"--from-file={tmp_path}/file.txt",
             f"--from-file=x={tmp_path}/file.bin") == "configmap/c created\n"  # fmt: skip
    made = k.json("get", "configmap", "c")
    assert made["data"] == {"a": "b", "file.txt": "text\n"} and made["binaryData"] == {"x": "/wA="}
    k("create", "configmap", "e", f"--from-env-file={tmp_path}/some.env")
    assert data(k, "e") == {"E": "f"}
    assert k("create", "secret", "generic", "s", "--from-literal=a=b") == "secret/s created\n"
    assert k.json("get", "secret", "s")["data"] == {"a": base64.b64encode(b"b").decode()}
    k("create", "secret", "docker-registry", "d", "--docker-server=x.io", "--docker-username=u",
      "--docker-password=p", "--docker-email=e@x.io")  # fmt: skip
    made = k.json("get", "secret", "d")
    assert made["type"] == "kubernetes.io/dockerconfigjson"
    auths = json.loads(base64.b64decode(made["data"][".dockerconfigjson"]))["auths"]
    assert auths["x.io"]["username"] == "u"
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=x"],
        check=True, capture_output=True,
    )  # fmt: skip
    k("create", "secret", "tls", "t", f"--cert={cert}", f"--key={key}")
    assert set(k.json("get", "secret", "t")["data"]) == {"tls.crt", "tls.key"}
    rows = k.rows("get", "secrets")
    assert [(rows[n]["TYPE"], rows[n]["DATA"]) for n in "sdt"] == [
        ("Opaque", "1"), ("kubernetes.io/dockerconfigjson", "1"), ("kubernetes.io/tls", "2"),
    ]  # fmt: skip
    assert 'configmaps "c" already exists' in k.fails("create", "configmap", "c")
    refused = k.fails("create", "configmap", "Big_Name")
    assert "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters" in refused
    refused = k.fails("create", "configmap", "k", "--from-literal=a b=c")
    assert "a b" in refused


def test_generators_of_workloads(k: InNamespace) -> None:
    made = k("create", "deployment", "d", "--image=nginx:1", "--replicas=2", "--port=80")
    assert made == "deployment.apps/d created\n"
    spec = k.json("get", "deployment", "d")["spec"]
    assert spec["replicas"] == 2 and spec["template"]["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "protocol": "TCP"}
    ]
    assert k("create", "job", "j", "--image=sim/run:0", "--", "true") == "job.batch/j created\n"
    k("wait", "job/j", "--for=condition=Complete", "--timeout=20s")
    row = k.rows("get", "jobs", "-o", "wide")["j"]
    assert row["COMPLETIONS"] == "1/1" and row.get("STATUS", "Complete") == "Complete"
    refused = k.fails("create", "deployment", "Bad_Name", "--image=x")
    assert 'Deployment.apps "Bad_Name" is invalid' in refused and "metadata.name" in refused
    if k.minor == 20:  # it sends and reads CronJobs of batch/v1beta1, which no server has had since 1.25
        return
    made = k("create", "cronjob", "cj", "--image=sim/run:0", "--schedule=0 0 1 1 *")
    assert made == "cronjob.batch/cj created\n"
    row = k.rows("get", "cronjobs", "-o", "wide")["cj"]
    assert (row["SCHEDULE"], row["SUSPEND"], row["ACTIVE"], row["LAST SCHEDULE"], row["IMAGES"]) == (
        "0 0 1 1 *", "False", "0", "<none>", "sim/run:0",
    )  # fmt: skip
    k("create", "job", "again", "--from=cronjob/cj")
    again = k.json("get", "job", "again")["metadata"]
    assert again["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert again["ownerReferences"][0]["kind"] == "CronJob"
    assert "is invalid" in k.fails("create", "cronjob", "bad", "--image=x", "--schedule=nonsense")


def test_generators_of_policy(k: InNamespace) -> None:
    made = k("create", "quota", "q", "--hard=pods=3,cpu=4", "--scopes=NotTerminating")
    assert made == "resourcequota/q created\n"
    row = eventually(
        "counted", lambda: k.table("get", "quota") if k.table("get", "quota")[0]["REQUEST"] else ""
    )
    assert row[0]["REQUEST"] == "cpu: 0/4, pods: 0/3"
    name = f"pc-{k.namespace}"
    made = k("create", "priorityclass", name, "--value=1000", "--description=x", "--preemption-policy=Never")
    assert made == f"priorityclass.scheduling.k8s.io/{name} created\n"
    row = k.rows("get", "priorityclass")[name]
    assert (row["VALUE"], row["GLOBAL-DEFAULT"]) == ("1000", "false")
    assert "maximum allowed value of a user defined priority is 1000000000" in k.fails(
        "create", "priorityclass", "too-high", "--value=1000000001"
    )
    k("delete", "priorityclass", name)
    if k.minor > 20:  # 1.20 sends policy/v1beta1
        made = k("create", "pdb", "pdb", "--selector=app=web", "--min-available=50%")
        assert made == "poddisruptionbudget.policy/pdb created\n"
        row = k.rows("get", "pdb")["pdb"]
        assert (row["MIN AVAILABLE"], row["MAX UNAVAILABLE"], row["ALLOWED DISRUPTIONS"]) == (
            "50%",
            "N/A",
            "0",
        )


def test_generators_of_networking(k: InNamespace) -> None:
    k("create", "service", "clusterip", "one", "--tcp=80:8080")
    k("create", "service", "clusterip", "headless", "--clusterip=None")
    k("create", "service", "nodeport", "ports", "--tcp=80:8080", "--node-port=31999")
    k("create", "service", "loadbalancer", "balanced", "--tcp=80")
    k("create", "service", "externalname", "elsewhere", "--external-name=example.com")
    rows = k.rows("get", "services", "-o", "wide")
    assert (rows["one"]["TYPE"], rows["one"]["PORT(S)"], rows["one"]["SELECTOR"]) == (
        "ClusterIP",
        "80/TCP",
        "app=one",
    )
    assert rows["one"]["CLUSTER-IP"].startswith("10.") and rows["one"]["EXTERNAL-IP"] == "<none>"
    assert (rows["headless"]["CLUSTER-IP"], rows["headless"]["PORT(S)"]) == ("None", "<none>")
    assert (rows["ports"]["TYPE"], rows["ports"]["PORT(S)"]) == ("NodePort", "80:31999/TCP")
    assert rows["balanced"]["TYPE"] == "LoadBalancer" and rows["balanced"]["EXTERNAL-IP"]
    assert rows["elsewhere"]["CLUSTER-IP"] == "<none>" and rows["elsewhere"]["EXTERNAL-IP"] == "example.com"
    refused = k.fails("create", "service", "nodeport", "low", "--tcp=80", "--node-port=80")
    assert "provided port is not in the valid range. The range of valid ports is 30000-32767" in refused
    refused = k.fails("create", "service", "nodeport", "twice", "--tcp=80", "--node-port=31999")
    assert "spec.ports[0].nodePort: Invalid value: 31999: provided port is already allocated" in refused
    k("delete", "service", "ports")
    made = k("create", "ingress", "i", "--class=nginx", "--rule=foo.com/bar*=one:80,tls=sec",
             "--default-backend=one:80", "--annotation=a=b")  # fmt: skip
    assert made == "ingress.networking.k8s.io/i created\n"
    row = k.rows("get", "ingress")["i"]
    assert (row["CLASS"], row["HOSTS"], row["PORTS"]) == ("nginx", "foo.com", "80, 443")


def test_names_are_generated(k: InNamespace) -> None:
    made = k("create", "-f", "-", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: gen-}")
    assert made.startswith("configmap/gen-") and len(made) == len("configmap/gen-12345 created\n")


# -- apply -------------------------------------------------------------------------------------------------


def test_apply_merges_three_ways(k: InNamespace) -> None:
    assert k("apply", "-f", "-", stdin=DEPLOYMENT) == "deployment.apps/web created\n"
    assert k("apply", "-f", "-", stdin=DEPLOYMENT) == "deployment.apps/web unchanged\n"
    k("set", "env", "deployment/web", "-c", "a", "THREE=3")  # somebody else's: stays
    k("annotate", "deployment", "web", "note=kept")
    obj = yaml.safe_load(DEPLOYMENT)
    del obj["metadata"]["labels"]["tier"]
    del obj["spec"]["replicas"]
    containers = obj["spec"]["template"]["spec"]["containers"]
    containers[0]["env"] = [{"name": "ONE", "value": "eins"}]
    del containers[1]
    assert k("apply", "-f", "-", stdin=yaml.safe_dump(obj)) == "deployment.apps/web configured\n"
    live = k.json("get", "deployment", "web")
    assert live["metadata"]["labels"] == {"app": "web"} and live["metadata"]["annotations"]["note"] == "kept"
    assert live["spec"]["replicas"] == 1, "no longer asked for: the default"
    (container,) = live["spec"]["template"]["spec"]["containers"]
    assert sorted((env["name"], env["value"]) for env in container["env"]) == [
        ("ONE", "eins"),
        ("THREE", "3"),
    ]
    shown = k("apply", "view-last-applied", "deployment/web", "-o", "json")
    assert "replicas" not in json.loads(shown)["spec"]


def test_apply_takes_over_what_was_created(k: InNamespace) -> None:
    k("create", "configmap", "c", "--from-literal=a=1")
    done = k.run("apply", "-f", "-", stdin=config_map("c", b="2"))
    assert "missing the kubectl.kubernetes.io/last-applied-configuration annotation" in done.stderr
    assert done.stdout == "configmap/c configured\n" and data(k, "c") == {"a": "1", "b": "2"}
    assert k("apply", "-f", "-", stdin=config_map("c", b="2")) == "configmap/c unchanged\n"
    k("apply", "set-last-applied", "-f", "-", stdin=config_map("c", a="1", b="2"))
    k("apply", "-f", "-", stdin=config_map("c", b="2"))
    assert data(k, "c") == {"b": "2"}


def test_server_side_apply_shares_fields_between_managers(k: InNamespace) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert k(*apply, stdin=DEPLOYMENT) == "deployment.apps/web serverside-applied\n"
    assert k(*apply, stdin=DEPLOYMENT) == "deployment.apps/web serverside-applied\n"
    other = (*apply, "--field-manager=other")
    obj = yaml.safe_load(deployment(replicas=5))
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:9"
    changed = yaml.safe_dump(obj)
    refused = k.fails(*other, stdin=changed)
    assert 'Apply failed with 2 conflicts: conflicts with "kubectl"' in refused, refused
    assert '- .spec.replicas\n- .spec.template.spec.containers[name="a"].image\n' in refused
    assert k(*other, "--force-conflicts", stdin=changed) == "deployment.apps/web serverside-applied\n"
    live = k.json("get", "deployment", "web")
    assert live["spec"]["replicas"] == 5
    refused = k.fails(*apply, stdin=DEPLOYMENT)
    assert 'conflicts with "other"' in refused
    # What both ask for alike is shared; what neither asks for any more goes away.
    obj["metadata"]["labels"] = {"app": "web"}
    k(*apply, "--force-conflicts", stdin=yaml.safe_dump(obj))
    assert k.json("get", "deployment", "web")["metadata"]["labels"] == {"app": "web", "tier": "front"}
    k(*other, stdin=yaml.safe_dump(obj))
    assert k.json("get", "deployment", "web")["metadata"]["labels"] == {"app": "web"}
    # A client-side change takes what it changes.
    k("scale", "deployment", "web", "--replicas=1")
    refused = k.fails(*apply, stdin=yaml.safe_dump(obj))
    scaled = r'conflict with "kubectl[^"]*" with subresource "scale" using apps/v1: \.spec\.replicas'
    assert re.search(scaled, refused), refused  # its manager is the program's name


def test_from_client_side_to_server_side_apply(k: InNamespace) -> None:
    k("apply", "-f", "-", stdin=config_map("c", a="1", b="2"))
    k.needs(26, "migration of managed fields")
    assert (
        k("apply", "--server-side", "-f", "-", stdin=config_map("c", a="1"))
        == "configmap/c serverside-applied\n"
    )
    assert data(k, "c") == {"a": "1"}


def test_prune_by_label(k: InNamespace, tmp_path: Path) -> None:
    for name in "abc":
        obj = yaml.safe_load(config_map(name, x=name))
        obj["metadata"]["labels"] = {"part": "one"}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(obj))
    prune = ("apply", "-f", str(tmp_path), "--prune", "-l", "part=one")
    allow = "--prune-allowlist" if k.minor > 25 else "--prune-whitelist"
    k("create", "configmap", "bystander")
    k("label", "configmap", "bystander", "part=one")
    k(*prune, f"{allow}=core/v1/ConfigMap")
    (tmp_path / "b.yaml").unlink()
    text = k(*prune, f"{allow}=core/v1/ConfigMap")
    assert "configmap/b pruned\n" in text and "configmap/a unchanged\n" in text
    left = set(k("get", "configmaps", "-l", "part=one", "-o", "name").split())
    assert left == {"configmap/a", "configmap/c", "configmap/bystander"}, "only what was applied is pruned"


def test_prune_by_apply_set(k: InNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    k.needs(27, "ApplySet")
    monkeypatch.setenv("KUBECTL_APPLYSET", "true")
    for name in "abc":
        (tmp_path / f"{name}.yaml").write_text(config_map(name, x=name))
    apply = ("apply", "-f", str(tmp_path), "--prune", "--applyset=mine")
    assert k(*apply) == "".join(f"configmap/{name} created\n" for name in "abc")
    (tmp_path / "b.yaml").unlink()
    assert k(*apply) == "configmap/a unchanged\nconfigmap/c unchanged\nconfigmap/b pruned\n"
    parent = k.json("get", "secret", "mine")["metadata"]
    assert "applyset.kubernetes.io/tooling" in parent["annotations"]
    assert parent["labels"]["applyset.kubernetes.io/id"].startswith("applyset-")


def test_kustomize_folders(k: InNamespace, tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(deployment(replicas=1))
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [d.yaml]\nnamePrefix: kz-\nconfigMapGenerator: [{name: gen, literals: [a=b]}]\n"
    )
    text = k("apply", "-k", str(tmp_path))
    assert "deployment.apps/kz-web created\n" in text and "configmap/kz-gen-" in text
    assert k("diff", "-k", str(tmp_path)) == ""
    assert "deployment.apps/kz-web" in k("get", "-k", str(tmp_path))
    assert 'deployment.apps "kz-web" deleted' in k("delete", "-k", str(tmp_path))


def test_diff(k: InNamespace) -> None:
    done = k.run("diff", "-f", "-", stdin=config_map("c", a="1"), check=False)
    assert done.returncode == 1 and "+kind: ConfigMap" in done.stdout
    assert k.run("get", "configmap", "c", check=False).returncode == 1, "diff changes nothing"
    k("apply", "-f", "-", stdin=config_map("c", a="1"))
    assert k.run("diff", "-f", "-", stdin=config_map("c", a="1")).stdout == ""
    done = k.run("diff", "-f", "-", stdin=config_map("c", a="2"), check=False)
    assert done.returncode == 1 and '-  a: "1"\n+  a: "2"\n' in done.stdout
    done = k.run(
        "diff", "--server-side", "--force-conflicts", "-f", "-", stdin=config_map("c", a="2"), check=False
    )
    assert done.returncode == 1 and '+  a: "2"\n' in done.stdout, done.stderr


# -- field validation --------------------------------------------------------------------------------------


def test_unknown_fields(k: InNamespace) -> None:
    wrong = yaml.safe_dump(
        {**yaml.safe_load(config_map("c", a="1")), "dta": {}, "metadata": {"name": "c", "nme": "x"}}
    )
    refused = k.fails("apply", "-f", "-", stdin=wrong)
    assert "dta" in refused and "nme" in refused
    k.needs(25, "--validate=warn")
    assert 'strict decoding error: unknown field "dta", unknown field "metadata.nme"' in refused
    done = k.run("apply", "--validate=warn", "-f", "-", stdin=wrong)
    assert done.stdout == "configmap/c created\n"
    assert 'Warning: unknown field "dta"\nWarning: unknown field "metadata.nme"\n' in done.stderr
    done = k.run("apply", "--validate=ignore", "-f", "-", stdin=wrong)
    assert "unknown field" not in done.stderr
    refused = k.fails("create", "--validate=strict", "--dry-run=server", "-f", "-", stdin=wrong)
    assert "strict decoding error" in refused


def test_wrong_types_and_values(k: InNamespace) -> None:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": "eighty"}]}]},
    }
    refused = k.fails("create", "--validate=false", "-f", "-", stdin=json.dumps(pod))
    assert "Go struct field ContainerPort.spec.containers.ports.containerPort of type int32" in refused
    pod["spec"]["containers"] = [
        {"name": "A_", "image": ""},
        {"name": "b", "image": "x", "imagePullPolicy": "Maybe"},
    ]
    refused = k.fails("create", "--validate=false", "-f", "-", stdin=json.dumps(pod))
    for words in (
        'The Pod "p" is invalid:',
        '* spec.containers[0].name: Invalid value: "A_": a lowercase RFC 1123 label must consist of',
        "* spec.containers[0].image: Required value",
        '* spec.containers[1].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", '
        '"IfNotPresent", "Never"',
    ):
        assert words in refused, refused
    pod["spec"] = {}
    assert "spec.containers: Required value" in k.fails(
        "create", "--validate=false", "-f", "-", stdin=json.dumps(pod)
    )
    assert 'no matches for kind "Foo" in version "v1"' in k.fails(
        "apply", "-f", "-", stdin="apiVersion: v1\nkind: Foo\nmetadata: {name: x}"
    )


# -- edit, replace, patch ----------------------------------------------------------------------------------


def edited(k: InNamespace, script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    editor = folder / "editor"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o755)
    return subprocess.run(
        k.command("edit", *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**k.environment(), "KUBE_EDITOR": str(editor)},
    )


def test_edit(k: InNamespace, tmp_path: Path) -> None:
    k("create", "-f", "-", stdin=DEPLOYMENT)
    done = edited(k, 'sed -i "s/replicas: 2/replicas: 3/" "$1"', tmp_path, "deployment/web")
    assert done.stdout == "deployment.apps/web edited\n", done
    assert k.json("get", "deployment", "web")["spec"]["replicas"] == 3
    done = edited(k, "true", tmp_path, "deployment/web")
    assert "Edit cancelled, no changes made." in done.stdout + done.stderr
    # A refused edit is shown again, with the server's reason on top; leaving it as it is gives up.
    seen = tmp_path / "seen"
    script = f'[ -f {seen} ] && {{ cp "$1" {seen}; exit; }}; touch {seen}; sed -i "s/replicas: 3/replicas: -1/" "$1"'
    done = edited(k, script, tmp_path, "deployment/web")
    assert done.returncode == 1 and "is invalid" in done.stderr, done
    assert "# * spec.replicas: Invalid value: -1: must be greater than or equal to 0" in seen.read_text() or (
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in seen.read_text()
    )
    assert k.json("get", "deployment", "web")["spec"]["replicas"] == 3


def test_replace(k: InNamespace) -> None:
    k("create", "-f", "-", stdin=config_map("c", a="1"))
    first = k("get", "configmap", "c", "-o", "yaml")
    assert k("replace", "-f", "-", stdin=config_map("c", b="2")) == "configmap/c replaced\n"
    assert data(k, "c") == {"b": "2"}
    refused = k.fails("replace", "-f", "-", stdin=first)
    assert (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes '
        "to the latest version and try again" in refused
    )
    uid = k.json("get", "configmap", "c")["metadata"]["uid"]
    assert k("replace", "--force", "-f", "-", stdin=config_map("c", d="4")).endswith("configmap/c replaced\n")
    assert k.json("get", "configmap", "c")["metadata"]["uid"] != uid
    assert 'configmaps "none" not found' in k.fails("replace", "-f", "-", stdin=config_map("none"))
    k("create", "-f", "-", stdin=DEPLOYMENT)
    obj = yaml.safe_load(DEPLOYMENT)
    obj["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    obj["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    refused = k.fails("replace", "-f", "-", stdin=yaml.safe_dump(obj))
    assert "spec.selector: Invalid value" in refused and "field is immutable" in refused


def test_patch_in_three_languages(k: InNamespace) -> None:
    k("create", "-f", "-", stdin=DEPLOYMENT)

    def containers() -> dict[str, str]:
        found = k.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"]
        return {one["name"]: one["image"] for one in found}

    strategic = '{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"nginx:7"}]}}}}'
    assert k("patch", "deployment", "web", "-p", strategic) == "deployment.apps/web patched\n"
    assert containers() == {"a": "nginx:7", "b": "nginx:2"}
    k("rollout", "status", "deployment", "web", "--timeout=60s")  # from here on nobody else writes
    assert k("patch", "deployment", "web", "-p", strategic) == "deployment.apps/web patched (no change)\n"
    directive = '{"spec":{"template":{"spec":{"containers":[{"name":"b","$patch":"delete"}]}}}}'
    k("patch", "deployment", "web", "-p", directive)
    assert containers() == {"a": "nginx:7"}
    k("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":3,"paused":null}}')
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 3},
        {"op": "replace", "path": "/spec/replicas", "value": 1},
        {"op": "add", "path": "/metadata/annotations/a~1b", "value": "c"},
    ]
    k("patch", "deployment", "web", "--type=json", "-p", json.dumps(operations))
    live = k.json("get", "deployment", "web")
    assert live["spec"]["replicas"] == 1 and live["metadata"]["annotations"]["a/b"] == "c"
    refused = k.fails("patch", "deployment", "web", "--type=json", "-p", json.dumps(operations))
    assert refused.startswith("The request is invalid")
    if k.minor > 20:
        assert refused.endswith("invalid: the server rejected our request due to an error in our request\n")
    refused = k.fails("patch", "deployment", "web", "-p", '{"spec":{"replicas":"x"}}')
    assert "The request is invalid: patch: Invalid value:" in refused
    assert 'deployments.apps "none" not found' in k.fails("patch", "deployment", "none", "-p", "{}")
    refused = k.fails("patch", "deployment", "web", "-p", '{"metadata":{"name":"other"}}')
    assert "the name of the object (other) does not match the name on the URL (web)" in refused
    k.needs(24, "--subresource")
    k("patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":2}}')
    assert k.json("get", "deployment", "web")["spec"]["replicas"] == 2


def test_label_and_annotate(k: InNamespace) -> None:
    k("create", "configmap", "c")
    assert k("label", "configmap", "c", "a=b") == "configmap/c labeled\n"
    assert "'a' already has a value (b), and --overwrite is false" in k.fails(
        "label", "configmap", "c", "a=c"
    )
    k("label", "configmap", "c", "a=c", "--overwrite")
    assert k("label", "configmap", "--all", "every=one", "-o", "name").count("configmap/") == 2
    assert k("label", "configmap", "c", "a-") in ("configmap/c unlabeled\n", "configmap/c labeled\n")
    assert k.json("get", "configmap", "c")["metadata"]["labels"] == {"every": "one"}
    version = k("get", "configmap", "c", "-o", "jsonpath={.metadata.resourceVersion}")
    k("annotate", "configmap", "c", "note=1")
    refused = k.fails("label", "configmap", "c", "x=y", f"--resource-version={version}")
    assert (
        "the object has been modified; please apply your changes to the latest version and try again"
        in refused
    )
    assert k("annotate", "configmap", "c", "note-").startswith("configmap/c annotat")
    assert "annotations" not in k.json("get", "configmap", "c")["metadata"]


def test_set(k: InNamespace) -> None:
    k("create", "-f", "-", stdin=DEPLOYMENT)
    k("create", "configmap", "env", "--from-literal=KEY=v")
    k("create", "serviceaccount", "robot")
    k("create", "service", "clusterip", "svc", "--tcp=80")
    k("create", "rolebinding", "rb", "--clusterrole=view", "--user=u")
    assert k("set", "image", "deployment/web", "a=nginx:8") == "deployment.apps/web image updated\n"
    assert (
        k("set", "env", "deployment/web", "-c", "a", "ONE=x", "TWO-") == "deployment.apps/web env updated\n"
    )
    k("set", "env", "deployment/web", "-c", "a", "--from=configmap/env", "--prefix=P_")
    listed = k("set", "env", "deployment/web", "--list")
    assert "# Deployment web, container a\nONE=x\n# P_KEY from configmap env, key KEY\n" in listed.replace(
        "# Deployment web, container b\n", ""
    )
    done = k(
        "set",
        "resources",
        "deployment/web",
        "-c",
        "b",
        "--limits=cpu=200m,memory=64Mi",
        "--requests=cpu=100m",
    )
    assert done == "deployment.apps/web resource requirements updated\n"
    k("set", "serviceaccount", "deployment", "web", "robot")
    assert k("set", "selector", "service", "svc", "app=web") == "service/svc selector updated\n"
    done = k("set", "subject", "rolebinding", "rb", "--user=x", "--group=g")
    assert done == "rolebinding.rbac.authorization.k8s.io/rb subjects updated\n"
    pod = k.json("get", "deployment", "web")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "robot"
    a, b = pod["containers"]
    assert a["image"] == "nginx:8" and {env["name"] for env in a["env"]} == {"ONE", "P_KEY"}
    assert b["resources"] == {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
    assert k.json("get", "service", "svc")["spec"]["selector"] == {"app": "web"}
    row = k.rows("get", "rolebinding", "-o", "wide")["rb"]
    assert (row["ROLE"], row["USERS"], row["GROUPS"]) == ("ClusterRole/view", "u, x", "g")


# -- dry run and delete ------------------------------------------------------------------------------------


def test_dry_run_on_the_server_changes_nothing(k: InNamespace) -> None:
    k("apply", "-f", "-", stdin=DEPLOYMENT)
    k("create", "configmap", "c", "--from-literal=a=1")
    k("rollout", "status", "deployment/web", "--timeout=30s")

    def state() -> list[Any]:
        found = k.json("get", "deployments,configmaps,services,rolebindings,horizontalpodautoscalers")[
            "items"
        ]
        return sorted(
            (one["kind"], one["metadata"]["name"], one["metadata"]["resourceVersion"]) for one in found
        )

    before = state()
    dry = "--dry-run=server"
    assert k("create", "configmap", "d", dry) == "configmap/d created (server dry run)\n"
    assert k("apply", "-f", "-", dry, stdin=deployment(replicas=9)).startswith(
        "deployment.apps/web configured (server"
    )
    k("apply", "--server-side", "--force-conflicts", "-f", "-", dry, stdin=deployment(replicas=9))
    k("patch", "configmap", "c", "-p", '{"data":{"b":"2"}}', dry)
    k("label", "configmap", "c", "x=y", dry)
    k("annotate", "configmap", "c", "x=y", dry)
    k("set", "image", "deployment/web", "a=nginx:9", dry)
    k("replace", "-f", "-", dry, stdin=config_map("c", z="1"))
    k("run", "p", "--image=nginx", dry)
    k("expose", "deployment", "web", "--port=80", dry)
    k("create", "rolebinding", "rb", "--clusterrole=view", "--user=u", dry)
    k("delete", "configmap", "c", dry)
    if k.minor > 20:  # 1.20 sends autoscaling/v1 too, but knows no dry run for these two
        k("autoscale", "deployment", "web", "--max=3", dry)
        k("scale", "deployment", "web", "--replicas=9", dry)
    made = yaml.safe_load(k("create", "deployment", "full", "--image=x", dry, "-o", "yaml"))
    assert made["metadata"]["uid"] and made["spec"]["strategy"]["type"] == "RollingUpdate", (
        "defaulted, as if stored"
    )
    assert state() == before
    assert k("get", "pods", "-o", "name").count("\n") == 2


def test_delete_by_name_selector_and_all(k: InNamespace) -> None:
    k("create", "-f", "-", stdin=yaml.safe_dump_all(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}", "labels": {"odd": str(n % 2)}}}
        for n in range(7)
    ))  # fmt: skip
    assert k("delete", "configmap", "c0").startswith('configmap "c0" deleted')
    assert k.fails("delete", "configmap", "c0") == 'Error from server (NotFound): configmaps "c0" not found\n'
    assert k("delete", "configmap", "c0", "--ignore-not-found") == ""
    assert k("delete", "configmap", "-l", "odd=1").count("deleted") == 3
    assert k("delete", "configmap", "--field-selector=metadata.name=c2").count("deleted") == 1
    assert k("delete", "configmap", "--all", "--dry-run=client").count("(dry run)") == 3
    assert "c4" in k("delete", "configmap", "--all", "-o", "name")
    assert k("get", "configmaps", "-l", "odd", "-o", "name") == ""
    k("create", "-f", "-", stdin=config_map("x"))
    assert k("delete", "-f", "-", stdin=config_map("x")).startswith('configmap "x" deleted')


def test_delete_with_each_propagation(k: InNamespace) -> None:
    orphan, background, foreground = (
        ("--cascade=orphan", "--cascade=background", "--cascade=foreground")
        if k.minor >= 20
        else ("--cascade=false", "--cascade=true", "--cascade=true")
    )
    k("create", "deployment", "web", "--image=nginx", "--replicas=2")
    k("rollout", "status", "deployment/web", "--timeout=30s")
    k("delete", "deployment", "web", orphan)
    replica_sets = k("get", "rs", "-o", "name").split()
    assert len(replica_sets) == 1 and len(k("get", "pods", "-o", "name").split()) == 2
    eventually(
        "the orphan has no owner",
        lambda: "ownerReferences" not in k.json("get", *replica_sets)["metadata"],
    )
    k("delete", *replica_sets, foreground)
    assert k("get", "rs,pods", "-o", "name") == "", "foreground: the dependents went first"
    k("create", "deployment", "web", "--image=nginx")
    k("rollout", "status", "deployment/web", "--timeout=30s")
    k("delete", "deployment", "web", background)
    eventually("everything is gone", lambda: k("get", "rs,pods", "-o", "name") == "")


def test_finalizers_hold_an_object(k: InNamespace) -> None:
    obj = yaml.safe_load(config_map("held", a="1"))
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    k("create", "-f", "-", stdin=yaml.safe_dump(obj))
    k("delete", "configmap", "held", "--wait=false")
    held = k.json("get", "configmap", "held")["metadata"]
    assert held["deletionTimestamp"] and held["deletionGracePeriodSeconds"] == 0
    refused = k.fails(
        "patch",
        "configmap",
        "held",
        "-p",
        '{"metadata":{"finalizers":["example.com/other","example.com/hold"]}}',
    )
    assert "no new finalizers can be added if the object is being deleted" in refused
    k("patch", "configmap", "held", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    assert 'configmaps "held" not found' in k.fails("get", "configmap", "held")


def test_raw_requests(k: InNamespace) -> None:
    path = f"/api/v1/namespaces/{k.namespace}/configmaps"
    made = json.loads(k("create", "--raw", path, "-f", "-", stdin='{"metadata":{"name":"raw"}}'))
    assert (made["kind"], made["metadata"]["name"]) == ("ConfigMap", "raw")
    gone = json.loads(k("delete", "--raw", f"{path}/raw"))
    assert (gone["kind"], gone["status"]) == ("Status", "Success") and gone["details"]["name"] == "raw"
    assert 'configmaps "raw" not found' in k.fails("get", "--raw", f"{path}/raw")
