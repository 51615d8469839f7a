"""The commands of every day with every kubectl on the machine, from the oldest on.

The versions differ in how they learn what the server offers (discovery, OpenAPI), how they patch, list and watch, and
how their streams travel; the words they print are compared in the families.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import yaml

from tests.support.kubectls import InNamespace, each_kubectl
from tests.support.serving import Serving, eventually

pytestmark = pytest.mark.kubectl

_NUMBERS = itertools.count(1)

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: a, image: "nginx:1", env: [{name: ONE, value: "1"}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {key: value}
"""


@pytest.fixture
def k(simulated: Serving, binary: str) -> InNamespace:
    everywhere = simulated.kubectl(binary)
    name = f"v{next(_NUMBERS)}"
    found = InNamespace(everywhere, name)
    found._cache = simulated.folder / f"cache-{found.minor}"
    everywhere("create", "namespace", name)
    return found


@pytest.mark.parametrize("binary", each_kubectl())
def test_the_commands_of_every_day(k: InNamespace, binary: str, tmp_path: Path) -> None:
    made = k("apply", "-f", "-", stdin=MANIFEST)
    assert made == "deployment.apps/web created\nservice/web created\nconfigmap/c created\n"
    assert k("apply", "-f", "-", stdin=MANIFEST).count("unchanged") == 3
    assert "successfully rolled out" in k("rollout", "status", "deployment/web", "--timeout=60s")
    changed = MANIFEST.replace("nginx:1", "nginx:2").replace(
        '[{name: ONE, value: "1"}]', '[{name: TWO, value: "2"}]'
    )
    assert "deployment.apps/web configured\n" in k("apply", "-f", "-", stdin=changed)
    live = k.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert live["image"] == "nginx:2" and live["env"] == [{"name": "TWO", "value": "2"}]
    k("rollout", "status", "deployment/web", "--timeout=60s")
    assert k("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back\n"
    k("rollout", "status", "deployment/web", "--timeout=60s")
    eventually("two pods", lambda: len(k.rows("get", "pods", "-o", "wide")) == 2)
    assert "web" in k("get", "deploy,svc,cm,rs", "-o", "name")
    assert k("get", "configmap", "c", "-o", "jsonpath={.data.key}") == "value"
    assert "Replicas:" in k("describe", "deployment", "web")
    assert "FIELD" in k("explain", "deployment.spec.strategy")
    assert k("scale", "deployment/web", "--replicas=1") == "deployment.apps/web scaled\n"
    assert k("label", "configmap", "c", "a=b") == "configmap/c labeled\n"
    assert k("patch", "configmap", "c", "-p", '{"data":{"more":"1"}}') == "configmap/c patched\n"
    assert k("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}, "data": {"a": "1"}}
    )) == "configmap/ssa serverside-applied\n"  # fmt: skip
    assert k.run("diff", "-f", "-", stdin=MANIFEST, check=False).returncode in (0, 1)
    pod = k("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    k("wait", f"pod/{pod}", "--for=condition=Ready", "--timeout=30s")
    assert k("exec", pod, "--", "echo", "hi") == "hi\n"
    assert k.run("exec", pod, "--", "sh", "-c", "exit 3", check=False).returncode == 3
    assert k("exec", "-i", pod, "--", "sh", stdin="echo in\n") == "in\n"
    assert k("auth", "can-i", "get", "pods").strip() == "yes"
    assert json.loads(k("version", "-o", "json"))["serverVersion"]["minor"] == "36"
    assert k("delete", "-f", "-", "--wait=true", "--timeout=60s", stdin=MANIFEST).count("deleted") == 3
    eventually("no pods", lambda: k("get", "pods", "-o", "name") == "")
    k("delete", "namespace", k.namespace, "--timeout=60s")
