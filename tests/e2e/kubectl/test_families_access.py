"""kubectl's commands about who may do what: auth, roles, tokens, certificates, config; and namespaces.

Words are compared with what Kubernetes prints.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.kubectls import InNamespace
from tests.support.serving import Kubectl, Serving, eventually

pytestmark = pytest.mark.kubectl


def answer(k: InNamespace, *arguments: str) -> str:
    done = k.run("auth", "can-i", *arguments, check=False)
    assert done.returncode == (0 if done.stdout.startswith("yes") else 1), done
    return done.stdout.split()[0]


def test_can_i(k: InNamespace) -> None:
    assert answer(k, "create", "pods") == "yes" and answer(k, "*", "*") == "yes"
    assert answer(k, "create", "pods", "--as=jane") == "no"
    k("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,deployments.apps")
    k(
        "create",
        "rolebinding",
        "jane",
        "--role=reader",
        "--user=jane",
        "--serviceaccount=" + k.namespace + ":default",
    )
    assert answer(k, "list", "pods", "--as=jane") == "yes"
    assert answer(k, "list", "pods", "--as=jane", "-n", "default") == "no"
    assert answer(k, "delete", "pods", "--as=jane") == "no"
    assert answer(k, "get", "pods", "--subresource=log", "--as=jane") == "no"
    assert answer(k, "get", "deployments", f"--as=system:serviceaccount:{k.namespace}:default") == "yes"
    assert answer(k, "get", "/healthz", "--as=jane", "--as-group=system:authenticated") == "yes"
    assert answer(k, "get", "/metrics", "--as=jane") == "no"
    text = k("auth", "can-i", "--list", "--as=jane")
    assert re.search(r"Resources +Non-Resource URLs +Resource Names +Verbs\n", text)
    assert re.search(r"pods +\[\] +\[\] +\[get list watch\]\n", text), text
    assert k("get", "pods", "--as=jane") == ""
    refused = k.fails("delete", "pod", "x", "--as=jane")
    assert refused == (
        'Error from server (Forbidden): pods "x" is forbidden: User "jane" cannot delete resource "pods" in API '
        f'group "" in the namespace "{k.namespace}"\n'
    )
    assert (
        'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope'
        in (k.fails("get", "nodes", "--as=jane"))
    )
    assert 'User "jane" cannot get path "/metrics"' in k.fails("get", "--raw", "/metrics", "--as=jane")


def test_whoami(k: InNamespace) -> None:
    k.needs(27, "auth whoami")
    assert re.search(r"ATTRIBUTE +VALUE\nUsername +kubernetes-admin\nGroups +\[system:masters system:authenticated\]",
                     k("auth", "whoami"))  # fmt: skip
    seen = k.json("auth", "whoami", "--as=jane", "--as-group=devs")["status"]["userInfo"]
    assert seen == {"username": "jane", "groups": ["devs", "system:authenticated"]}


def test_reconcile_and_roles(k: InNamespace) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": k.namespace},
        "rules": rules,
    }
    binding = {
        **{key: role[key] for key in ("apiVersion", "metadata")},
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    done = k.run("auth", "reconcile", "-f", "-", stdin=yaml.safe_dump_all([role, binding]))
    assert done.stdout.splitlines() == [
        "role.rbac.authorization.k8s.io/r reconciled",
        "rolebinding.rbac.authorization.k8s.io/r reconciled",
    ]
    assert answer(k, "get", "pods", "--as=jane") == "yes"
    rules[0]["verbs"] = ["get", "list"]
    done = k.run("auth", "reconcile", "-f", "-", stdin=yaml.safe_dump_all([role, binding]))
    assert "missing rules added" in done.stdout + done.stderr
    assert answer(k, "list", "pods", "--as=jane") == "yes"
    row = k.rows("get", "rolebinding", "-o", "wide")["r"]
    assert (row["ROLE"], row["USERS"]) == ("Role/r", "jane")
    text = k("describe", "role", "r")
    assert re.search(r"pods +\[\] +\[\] +\[get list\]", text), text
    # A binding's role is for ever.
    refused = k.fails("patch", "rolebinding", "r", "-p", '{"roleRef":{"name":"other"}}')
    assert "cannot change roleRef" in refused


def test_cluster_roles_and_aggregation(k: InNamespace) -> None:
    name = f"agg-{k.namespace}"
    k("create", "clusterrole", name, f"--aggregation-rule=example.com/{name}=true")
    k("create", "clusterrole", f"{name}-part", "--verb=get", "--resource=pods")
    k("create", "clusterrole", f"{name}-url", "--verb=get", "--non-resource-url=/logs/*")
    k("create", "clusterrolebinding", name, f"--clusterrole={name}", "--group=devs")
    try:
        k("label", "clusterrole", f"{name}-part", f"example.com/{name}=true")
        eventually(
            "the rules are gathered", lambda: answer(k, "get", "pods", "--as=x", "--as-group=devs") == "yes"
        )
        row = k.rows("get", "clusterrolebinding", "-o", "wide")[name]
        assert (row["ROLE"], row["GROUPS"]) == (f"ClusterRole/{name}", "devs")
        assert re.search(r"\[/logs/\*\] +\[\] +\[get\]", k("describe", "clusterrole", f"{name}-url"))
        for role in ("admin", "edit", "view", "cluster-admin", "system:node", "system:discovery"):
            assert (
                k("get", "clusterrole", role, "-o", "name")
                == f"clusterrole.rbac.authorization.k8s.io/{role}\n"
            )
    finally:
        k("delete", "clusterrolebinding", name)
        k("delete", "clusterrole", name, f"{name}-part", f"{name}-url")


def test_service_account_tokens(k: InNamespace, simulated: Serving, tmp_path: Path) -> None:
    assert k("create", "serviceaccount", "robot") == "serviceaccount/robot created\n"
    k("create", "rolebinding", "robot", "--clusterrole=view", f"--serviceaccount={k.namespace}:robot")
    k.needs(24, "create token")
    token = k(
        "create", "token", "robot", "--duration=1h", "--audience=https://kubernetes.default.svc.cluster.local"
    )
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == f"system:serviceaccount:{k.namespace}:robot"
    assert (
        claims["kubernetes.io"]["serviceaccount"]["name"] == "robot" and claims["exp"] - claims["iat"] == 3600
    )
    copy = tmp_path / "kubeconfig"
    copy.write_bytes(simulated.kubeconfig.read_bytes())
    other = Kubectl(copy, tmp_path / "cache", k.binary)
    other("config", "set-credentials", "robot", f"--token={token.strip()}")
    other("config", "set-context", "robot", "--cluster=kubetui", "--user=robot", f"--namespace={k.namespace}")
    assert other("config", "use-context", "robot") == 'Switched to context "robot".\n'
    assert other("config", "current-context") == "robot\n"
    assert other.run("get", "pods").stderr == f"No resources found in {k.namespace} namespace.\n"
    refused = other.run("create", "configmap", "x", check=False).stderr
    assert f'User "system:serviceaccount:{k.namespace}:robot" cannot create resource "configmaps"' in refused
    refused = other.run("get", "secrets", check=False).stderr
    assert "forbidden" in refused, "view shows no secrets"
    k("delete", "serviceaccount", "robot")

    def refused_now() -> bool:
        said = other.run("get", "pods", check=False).stderr
        return "nauthorized" in said or "must be logged in" in said

    eventually("the token dies with its account", refused_now)
    bound = k.fails("create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name=none")
    assert 'pods "none" not found' in bound


def test_certificates(k: InNamespace, simulated: Serving, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", tmp_path / "u.key", "-out", tmp_path / "u.csr", "-subj", "/CN=bob/O=devs"],
        check=True, capture_output=True,
    )  # fmt: skip
    name = f"bob-{k.namespace}"

    def request(name: str) -> str:
        return yaml.safe_dump(
            {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "metadata": {"name": name},
                "spec": {
                    "request": base64.b64encode((tmp_path / "u.csr").read_bytes()).decode(),
                    "signerName": "kubernetes.io/kube-apiserver-client",
                    "usages": ["client auth"],
                },
            }
        )

    made = k("create", "-f", "-", stdin=request(name))
    assert made == f"certificatesigningrequest.certificates.k8s.io/{name} created\n"
    row = k.rows("get", "csr")[name]
    assert (row["SIGNERNAME"], row["REQUESTOR"], row["CONDITION"]) == (
        "kubernetes.io/kube-apiserver-client", "kubernetes-admin", "Pending",
    )  # fmt: skip
    k.needs(22, "certificates.k8s.io/v1")
    assert (
        k("certificate", "approve", name)
        == f"certificatesigningrequest.certificates.k8s.io/{name} approved\n"
    )
    eventually("it is signed", lambda: k.rows("get", "csr")[name]["CONDITION"] == "Approved,Issued")
    certificate = base64.b64decode(k("get", "csr", name, "-o", "jsonpath={.status.certificate}"))
    (tmp_path / "u.crt").write_bytes(certificate)
    copy = tmp_path / "kubeconfig"
    copy.write_bytes(simulated.kubeconfig.read_bytes())
    bob = Kubectl(copy, tmp_path / "cache", k.binary)
    bob(
        "config",
        "set-credentials",
        "bob",
        f"--client-certificate={tmp_path}/u.crt",
        f"--client-key={tmp_path}/u.key",
    )
    bob("config", "set-context", "bob", "--cluster=kubetui", "--user=bob")
    bob("config", "use-context", "bob")
    assert 'User "bob" cannot list resource "pods"' in bob.run("get", "pods", check=False).stderr
    text = k("describe", "csr", name)
    assert re.search(r"Requesting User: +kubernetes-admin\n", text) and re.search(
        r"Common Name: +bob\n", text
    )
    assert "is already Approved" in k.fails("certificate", "deny", name)
    k("create", "-f", "-", stdin=request(f"{name}-2"))
    assert k("certificate", "deny", f"{name}-2").endswith("denied\n")
    assert k.rows("get", "csr")[f"{name}-2"]["CONDITION"] == "Denied"
    k("delete", "csr", name, f"{name}-2")


def test_namespaces(k: InNamespace) -> None:
    other = f"{k.namespace}-other"
    k("create", "namespace", other)
    k("create", "deployment", "web", "--image=nginx", "-n", other)
    k("create", "configmap", "c", "-n", other)
    assert k.rows("get", "namespaces")[other]["STATUS"] == "Active"
    assert k("delete", "namespace", other).startswith(f'namespace "{other}" deleted')
    assert k.fails("create", "configmap", "c", "-n", other).endswith(f'namespaces "{other}" not found\n')
    assert other not in k("get", "all", "-A")
    for name in ("default", "kube-system", "kube-public"):
        refused = k.fails("delete", "namespace", name)
        assert f'namespaces "{name}" is forbidden: this namespace may not be deleted' in refused


def test_config(k: InNamespace) -> None:
    shown = yaml.safe_load(k("config", "view"))
    assert shown["current-context"] == "kubetui" and shown["kind"] == "Config"
    assert shown["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")
    row = k.table("config", "get-contexts")[0]
    assert (row["CURRENT"], row["NAME"], row["CLUSTER"], row["AUTHINFO"]) == (
        "*",
        "kubetui",
        "kubetui",
        "kubetui",
    )
