"""Webhooks and mutating policies as kubectl's users meet them: what they apply is completed, converted and judged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubectls import InNamespace
from tests.support.serving import Serving, eventually
from tests.support.webhooks import Review, WebhookServer, patch, webhooks_beside

pytestmark = pytest.mark.kubectl
GROUP = "admissionregistration.k8s.io/v1"


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[WebhookServer]:
    with webhooks_beside(tmp_path) as server:
        yield server


def configuration(kind: str, name: str, client: dict, rules: list[dict], **more: Any) -> str:
    webhook = {
        "name": "hook.example.com",
        "clientConfig": client,
        "rules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "scope": "Namespaced", **rule} for rule in rules
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
        "timeoutSeconds": 30,
        **more,
    }
    return json.dumps(
        {
            "apiVersion": GROUP,
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [webhook],
        }
    )


def test_what_is_applied_is_completed_and_judged(k: InNamespace, hooks: WebhookServer) -> None:
    name = k.namespace

    def complete(review: Review) -> dict:
        labels = review["request"]["object"]["metadata"].get("labels") or {}
        return patch({"op": "add", "path": "/metadata/labels", "value": {**labels, "injected": "yes"}})

    def judge(review: Review) -> dict:
        request = review["request"]
        match request.get("subResource"):
            case "exec":
                return {
                    "allowed": False,
                    "status": {"message": f"no {' '.join(request['object']['command'])}"},
                }
            case "scale":
                few = request["object"]["spec"]["replicas"] < 3
                return {"allowed": few, "status": {"code": 403, "message": "at most two"}}
        if request["operation"] == "DELETE":
            kept = request["oldObject"]["metadata"].get("labels", {}).get("keep")
            return {"allowed": not kept, "status": {"message": "it is kept"}}
        return {"allowed": True, "warnings": ["seen by a webhook"]}

    rule = {"operations": ["CREATE"], "resources": ["pods", "configmaps"]}
    rules = [
        {"operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["configmaps", "deployments/scale"]},
        {"operations": ["CONNECT"], "resources": ["pods/exec"]},
    ]
    try:
        k("apply", "-f", "-", stdin=configuration("Mutating", name, hooks.on("/complete", complete), [rule]))
        k("apply", "-f", "-", stdin=configuration("Validating", name, hooks.on("/judge", judge), rules))
        done = k.run("create", "configmap", "plain", "--from-literal=a=b")
        assert "Warning: seen by a webhook" in done.stderr
        assert k.json("get", "configmap", "plain")["metadata"]["labels"] == {"injected": "yes"}
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kept", "labels": {"keep": "it"}},
        }
        k("apply", "--server-side", "-f", "-", stdin=json.dumps(made))
        assert k.json("get", "configmap", "kept")["metadata"]["labels"] == {"injected": "yes", "keep": "it"}
        k("apply", "--server-side", "-f", "-", stdin=json.dumps(made))  # what it was given is not taken back
        assert k.json("get", "configmap", "kept")["metadata"]["labels"] == {"injected": "yes", "keep": "it"}
        done = k.run("delete", "configmap", "kept", check=False)
        assert done.returncode == 1
        assert 'admission webhook "hook.example.com" denied the request: it is kept' in done.stderr
        # controllers go through the same door
        k("create", "deployment", "web", "--image=nginx:1.27")
        pods = eventually("a pod", lambda: k.json("get", "pods", "-l", "app=web")["items"])
        assert pods[0]["metadata"]["labels"]["injected"] == "yes"
        k("scale", "deployment/web", "--replicas=2")
        done = k.run("scale", "deployment/web", "--replicas=3", check=False)
        assert done.returncode == 1
        assert 'admission webhook "hook.example.com" denied the request: at most two' in done.stderr
        assert k.json("get", "deployment", "web")["spec"]["replicas"] == 2
        pod = pods[0]["metadata"]["name"]
        k("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")
        done = k.run("exec", pod, "--", "rm", "-rf", "/", check=False)
        assert done.returncode == 1
        assert 'admission webhook "hook.example.com" denied the request: no rm -rf /' in done.stderr
    finally:
        k("delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", name)
    k("delete", "configmap", "kept")


def test_a_webhook_that_is_gone(k: InNamespace, hooks: WebhookServer) -> None:
    name = k.namespace
    rule = {"operations": ["CREATE"], "resources": ["configmaps"]}
    service = {"service": {"name": "gone", "namespace": name, "path": "/x"}, "caBundle": hooks.bundle}
    try:
        k("apply", "-f", "-", stdin=configuration("Validating", name, service, [rule]))
        done = k.run("create", "configmap", "c", check=False)
        assert done.returncode == 1
        called = f'Post "https://gone.{name}.svc:443/x?timeout=30s": '
        sentence = f'failed calling webhook "hook.example.com": failed to call webhook: {called}'
        assert f"Internal error occurred: {sentence}" in done.stderr
        text = configuration("Validating", name, service, [rule], failurePolicy="Ignore")
        k("apply", "-f", "-", stdin=text)
        k("create", "configmap", "c")
    finally:
        k("delete", "validatingwebhookconfiguration", name)


DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.NAME.example.com}
spec:
  group: NAME.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab}
  conversion:
    strategy: Webhook
    webhook: {conversionReviewVersions: [v1], clientConfig: CLIENT}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {
      spec: {type: object, properties: {hostPort: {type: string}}}}}}}
  - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object, properties: {
      spec: {type: object, properties: {host: {type: string}, port: {type: string}}}}}}}
"""


def test_versions_that_a_webhook_converts(k: InNamespace, hooks: WebhookServer) -> None:
    group = f"{k.namespace}.example.com"

    def convert(review: Review) -> dict:
        wanted, made = review["request"]["desiredAPIVersion"], []
        for obj in review["request"]["objects"]:
            spec = obj["spec"]
            if wanted.endswith("/v2"):
                host, _, port = spec.get("hostPort", "").partition(":")
                spec = {"host": host, "port": port}
            else:
                spec = {"hostPort": f"{spec.get('host')}:{spec.get('port')}"}
            made.append({**obj, "apiVersion": wanted, "spec": spec})
        return {"convertedObjects": made, "result": {"status": "Success"}}

    client = json.dumps(hooks.on("/convert", convert))
    definition = DEFINITION.replace("NAME", k.namespace).replace("CLIENT", client)
    tab = {"apiVersion": f"{group}/v1", "kind": "CronTab", "metadata": {"name": "t"}}
    try:
        k("apply", "-f", "-", stdin=definition)
        k("wait", "--for=condition=Established", f"crd/crontabs.{group}", "--timeout=60s")
        k("apply", "-f", "-", stdin=json.dumps({**tab, "spec": {"hostPort": "h:80"}}))
        assert k.json("get", f"crontabs.v2.{group}", "t")["spec"] == {"host": "h", "port": "80"}
        k("patch", f"crontabs.v2.{group}", "t", "--type=merge", "-p", '{"spec":{"port":"81"}}')
        assert k.json("get", f"crontabs.v1.{group}")["items"][0]["spec"] == {"hostPort": "h:81"}
        failure = {"result": {"status": "Failure", "message": "no idea"}}
        hooks.on("/convert", failure)
        k("patch", f"crontabs.v1.{group}", "t", "--type=merge", "-p", '{"spec":{"hostPort":"x:1"}}')
        done = k.run("get", f"crontabs.v2.{group}", check=False)
        assert f"conversion webhook for {group}/v1, Kind=CronTab failed: no idea" in done.stderr
        hooks.on("/convert", convert)
    finally:
        k("delete", "crd", f"crontabs.{group}", "--timeout=60s")


POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: NAME}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  matchConditions:
  - {name: unset, expression: "!has(object.metadata.labels) || !('tier' in object.metadata.labels)"}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: 'Object{metadata: Object.metadata{labels: {"tier": "web"}}, spec: Object.spec{replicas: 2}}'
  - patchType: JSONPatch
    jsonPatch:
      expression: '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("a.b/c"), value: "d"}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: NAME}
"""


def test_a_mutating_policy_completes(k: InNamespace) -> None:
    name = k.namespace
    try:
        k("apply", "-f", "-", stdin=POLICY.replace("NAME", name))
        k("create", "deployment", "web", "--image=nginx:1.27")
        made = k.json("get", "deployment", "web")
        assert made["metadata"]["labels"] == {"app": "web", "tier": "web", "a.b/c": "d"}
        assert made["spec"]["replicas"] == 2
    finally:
        k("delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", name)


def test_a_cluster_starts_though_no_webhook_answers(tmp_path: Path) -> None:
    """A restart finds webhooks that nobody answers yet: their own pods wait for this cluster."""
    dead = {"url": "https://127.0.0.1:1/gone"}
    everything = {"operations": ["*"], "resources": ["*/*"], "scope": "*"}
    server = Serving(tmp_path, options=["--runtime", "simulated"])
    try:
        k = server.start().kubectl(os.environ.get("KUBETUI_KUBECTL", "kubectl"))
        definition = DEFINITION.replace("NAME", "a").replace("CLIENT", json.dumps(dead))
        k("apply", "-f", "-", stdin=definition)
        k("wait", "--for=condition=Established", "crd/crontabs.a.example.com", "--timeout=60s")
        tab = {"apiVersion": "a.example.com/v1", "kind": "CronTab", "metadata": {"name": "t"}, "spec": {}}
        k("apply", "-f", "-", stdin=json.dumps(tab))
        k("create", "deployment", "web", "--image=nginx:1.27")
        k("rollout", "status", "deployment/web", "--timeout=60s")
        text = configuration("Validating", "dead", dead, [everything], namespaceSelector={})
        k("apply", "-f", "-", stdin=text)
        assert server.stop() == 0
        k = server.start(120).kubectl(os.environ.get("KUBETUI_KUBECTL", "kubectl"))
        done = k.run("scale", "deployment/web", "--replicas=2", check=False)
        assert 'failed calling webhook "hook.example.com"' in done.stderr
        k("delete", "validatingwebhookconfiguration", "dead")
        k("scale", "deployment/web", "--replicas=2")
        k("rollout", "status", "deployment/web", "--timeout=60s")
        k("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")
        k("delete", "crd", "crontabs.a.example.com", "--timeout=60s")
        assert "Traceback" not in server.log.read_text()
    finally:
        server.stop()
