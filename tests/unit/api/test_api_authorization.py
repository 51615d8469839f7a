from __future__ import annotations

import pytest
from planes import config_map, deployment, pod

from runtime.api.authorization import Authorizer
from runtime.api.context import ListOptions, RequestContext, User
from runtime.api.rules import Request, missing, names_allowed
from runtime.objects.errors import StatusError

RBAC = "rbac.authorization.k8s.io"


def _binding(role: str, user: str, *, kind: str = "ClusterRole", namespace: str = "") -> dict:
    metadata = {"name": f"{role}-{user}"}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user, "apiGroup": RBAC}],
    }


@pytest.mark.parametrize(
    ("rule", "request_", "allowed"),
    [
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, Request("get", "", "pods"), True),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
            Request("get", "", "pods", "log"),
            False,
        ),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods/log"]},
            Request("get", "", "pods", "log"),
            True,
        ),
        (
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]},
            Request("get", "apps", "x", "scale"),
            True,
        ),
        (
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*/scale"]},
            Request("get", "apps", "x", "status"),
            False,
        ),
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, Request("get", path="/healthz"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/api/*"]}, Request("get", path="/api/v1"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/api"]}, Request("get", path="/api/v1"), False),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
            Request("get", "", "pods", name="b"),
            False,
        ),
    ],
)
def test_rules(rule, request_, allowed) -> None:
    names = names_allowed([rule], request_)
    assert (names is None or request_.name in names) is allowed


def test_rules_that_cover_others() -> None:
    owned = [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]
    assert missing(owned, owned) == []
    more = [{"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods", "secrets"]}]
    assert len(missing(owned, more)) == 3


async def test_refusals_are_worded_as_kubernetes_words_them(plane) -> None:
    jane = plane.as_user("jane")
    for call, message in (
        (
            jane.list("pods", "default"),
            'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            jane.get("deployments.apps", "web", "default"),
            'deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments" in API group "apps" '
            'in the namespace "default"',
        ),
        (
            jane.list("nodes"),
            'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (
            jane.patch("deployments.apps", "web", "default", {}, subresource="scale"),
            'deployments.apps "web" is forbidden: User "jane" cannot patch resource "deployments/scale" in API group '
            '"apps" in the namespace "default"',
        ),
    ):
        with pytest.raises(StatusError) as caught:
            await call
        assert caught.value.code == 403 and caught.value.message == message


async def test_bindings_take_effect_at_once_and_end_at_once(plane) -> None:
    jane = plane.as_user("jane")
    await plane.client.create(pod("p"), "default")
    await plane.client.create(_binding("view", "jane", namespace="default"))
    assert (await jane.get("pods", "p", "default"))["metadata"]["name"] == "p"
    with pytest.raises(StatusError):
        await jane.get("secrets", "s", "default")
    with pytest.raises(StatusError):
        await jane.list("pods", "kube-system")
    with pytest.raises(StatusError):
        await jane.create(deployment("web"), "default")
    await plane.client.create(_binding("edit", "jane"))
    await jane.create(deployment("web"), "default")
    await plane.client.delete(f"clusterrolebindings.{RBAC}", "edit-jane")
    await plane.client.delete(f"rolebindings.{RBAC}", "view-jane", "default")
    with pytest.raises(StatusError):
        await jane.get("pods", "p", "default")


async def test_service_accounts_and_groups_are_subjects(plane) -> None:
    binding = _binding("view", "x", namespace="default")
    binding["subjects"] = [
        {"kind": "ServiceAccount", "name": "robot"},
        {"kind": "Group", "name": "staff", "apiGroup": RBAC},
    ]
    await plane.client.create(binding)
    await plane.as_user("system:serviceaccount:default:robot").list("pods", "default")
    await plane.as_user("anyone", "staff").list("pods", "default")
    with pytest.raises(StatusError):
        await plane.as_user("system:serviceaccount:other:robot").list("pods", "default")


async def test_nobody_grants_what_he_does_not_hold(plane) -> None:
    await plane.client.create(_binding("admin", "jane", namespace="default"))
    jane = plane.as_user("jane")
    role = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "r", "namespace": "default"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    }
    await jane.create(role)
    greedy = {**role, "metadata": {"name": "g", "namespace": "default"}}
    greedy["rules"] = [{"verbs": ["delete"], "apiGroups": [""], "resources": ["nodes"]}]
    with pytest.raises(StatusError) as caught:
        await jane.create(greedy)
    assert caught.value.code == 403
    assert "is attempting to grant RBAC permissions not currently held:" in caught.value.message
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["delete"]}' in caught.value.message
    with pytest.raises(StatusError) as caught:
        await jane.create(_binding("cluster-admin", "jane", namespace="default"))
    assert caught.value.code == 403
    await jane.create(_binding("view", "bob", namespace="default"))


async def test_reviews(plane) -> None:
    await plane.client.create(_binding("view", "jane", namespace="default"))
    jane = plane.as_user("jane")
    group = "authorization.k8s.io/v1"

    async def may(client, **attributes) -> bool:
        body = {
            "apiVersion": group,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        return (await client.create(body))["status"]["allowed"]

    assert await may(jane, verb="get", resource="pods", namespace="default")
    assert not await may(jane, verb="delete", resource="pods", namespace="default")
    assert await may(plane.client, verb="delete", resource="nodes")
    body = {
        "apiVersion": group,
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "jane",
            "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"},
        },
    }
    assert (await plane.client.create(body))["status"]["allowed"] is True
    with pytest.raises(StatusError) as caught:
        await jane.create(body)
    assert caught.value.code == 403
    with pytest.raises(StatusError) as caught:
        await plane.client.create(
            {"apiVersion": group, "kind": "SubjectAccessReview", "spec": {"user": "jane"}}
        )
    assert caught.value.code == 422
    rules = {"apiVersion": group, "kind": "SelfSubjectRulesReview", "spec": {"namespace": "default"}}
    status = (await jane.create(rules))["status"]
    assert (
        any("pods" in rule["resources"] for rule in status["resourceRules"]) and status["incomplete"] is False
    )
    whoami = await jane.create({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    assert whoami["status"]["userInfo"] == {"username": "jane", "groups": ["system:authenticated"]}


async def test_a_selector_of_one_name_is_judged_by_resource_names(plane) -> None:
    rules = [
        {
            "verbs": ["list", "watch"],
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["mine"],
        }
    ]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "mine"}, "rules": rules}
    await plane.client.create(role)
    await plane.client.create(_binding("mine", "jane"))
    await plane.client.create(config_map("mine"), "default")
    ctx = RequestContext(User("jane"))
    resource = plane.resource("configmaps")
    found = await plane.api.list(ctx, resource, "default", ListOptions(field_selector="metadata.name=mine"))
    assert len(found.records) == 1
    with pytest.raises(StatusError):
        await plane.api.list(ctx, resource, "default", ListOptions())


async def test_the_bootstrap_is_there_and_repeats_without_writing(plane) -> None:
    from runtime.api.bootstrap import ensure_cluster

    admin = await plane.client.get(f"clusterroles.{RBAC}", "admin")
    assert admin["aggregationRule"] and len(admin["rules"]) > 20
    service = await plane.client.get("services", "kubernetes", "default")
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    listed = (await plane.client.list("apiservices.apiregistration.k8s.io")).items
    local = {one["metadata"]["name"]: one["spec"] for one in listed}
    assert {"v1.", "v1.apps", "v2.autoscaling", "v1.autoscaling"} <= local.keys()
    assert local["v2.autoscaling"]["versionPriority"] > local["v1.autoscaling"]["versionPriority"]
    before = plane.store.revision
    await ensure_cluster(plane.api, cluster_ip="10.96.0.1", port=6443)
    assert plane.store.revision == before


async def test_the_apis_own_endpoints_follow_where_it_listens(plane) -> None:
    from runtime.api.bootstrap import ensure_cluster

    for address, port in (("198.51.100.7", 6443), ("198.51.100.7", 6444), ("198.51.100.8", 6444)):
        await ensure_cluster(plane.api, cluster_ip="10.96.0.1", port=port, address=address)
        before = plane.store.revision
        await ensure_cluster(plane.api, cluster_ip="10.96.0.1", port=port, address=address)
        assert plane.store.revision == before
        subset = (await plane.client.get("endpoints", "kubernetes", "default"))["subsets"][0]
        slice_ = await plane.client.get("endpointslices.discovery.k8s.io", "kubernetes", "default")
        assert subset["addresses"] == [{"ip": address}]
        assert slice_["endpoints"] == [{"addresses": [address], "conditions": {"ready": True}}]
        wanted = [{"name": "https", "port": port, "protocol": "TCP"}]
        assert subset["ports"] == slice_["ports"] == wanted
    assert slice_["addressType"] == "IPv4"
    assert slice_["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}


class _Counting:
    def __init__(self) -> None:
        self.reads = 0

    def list(self, resource: str, namespace: str = "") -> list[dict]:
        self.reads += 1
        return []


def test_decisions_are_remembered_until_roles_change() -> None:
    reader = _Counting()
    authorizer = Authorizer(reader)
    for _ in range(50):
        assert not authorizer.allowed(User("jane"), Request("get", "", "pods", "", "default", "a"))
    assert reader.reads == 4
    authorizer.invalidate()
    authorizer.allowed(User("jane"), Request("get", "", "pods", "", "default", "a"))
    assert reader.reads == 8
