from __future__ import annotations

import pytest
from planes import config_map, deployment, pod

from runtime.api.context import IssuedToken, User
from runtime.objects import meta
from runtime.objects.errors import StatusError

BINDING = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n1"}}


async def test_scale(plane) -> None:
    await plane.client.create(deployment("web", 2), "default")
    resource = plane.resource("deployments.apps")
    scale = (await plane.api.get(plane.ctx(), resource, "default", "web", subresource="scale")).obj
    assert scale["kind"] == "Scale" and scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 0, "selector": "app=web"}
    scale = meta.copy(scale)
    scale["spec"]["replicas"] = 5
    done = await plane.api.update(plane.ctx(), resource, "default", "web", scale, subresource="scale")
    assert done.obj["spec"]["replicas"] == 5
    stored = await plane.client.get("deployments.apps", "web", "default")
    assert stored["spec"]["replicas"] == 5 and stored["metadata"]["generation"] == 2
    with pytest.raises(StatusError) as caught:
        await plane.api.update(plane.ctx(), resource, "default", "web", scale, subresource="scale")
    assert caught.value.reason == "Conflict"
    patched = await plane.client.patch(
        "deployments.apps", "web", "default", {"spec": {"replicas": 0}}, subresource="scale"
    )
    assert patched["kind"] == "Scale" and patched["spec"]["replicas"] == 0
    with pytest.raises(StatusError) as caught:
        await plane.client.patch(
            "deployments.apps", "web", "default", {"spec": {"replicas": -1}}, subresource="scale"
        )
    assert caught.value.code == 422
    managers = {
        e["manager"]: e
        for e in (await plane.client.get("deployments.apps", "web", "default"))["metadata"]["managedFields"]
        if e.get("subresource") == "scale"
    }
    assert managers["tests"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


async def test_binding(plane) -> None:
    await plane.client.create(pod("p"), "default")
    answer = await plane.client.create_subresource("pods", "p", "default", "binding", BINDING)
    assert answer["status"] == "Success"
    bound = await plane.client.get("pods", "p", "default")
    assert bound["spec"]["nodeName"] == "n1" and meta.is_true(bound, "PodScheduled")
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("pods", "p", "default", "binding", BINDING)
    assert caught.value.code == 409 and 'already assigned to node "n1"' in caught.value.message
    await plane.client.create(pod("gated", schedulingGates=[{"name": "example.com/g"}]), "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("pods", "gated", "default", "binding", BINDING)
    assert "non-empty .spec.schedulingGates" in caught.value.message
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("pods", "p", "default", "binding", {"target": {}})
    assert caught.value.code == 422
    await plane.client.create(pod("old-way"), "default")
    await plane.client.create({**BINDING, "metadata": {"name": "old-way"}}, "default")
    assert (await plane.client.get("pods", "old-way", "default"))["spec"]["nodeName"] == "n1"


async def _running(plane, name: str, ready: str = "True"):
    await plane.client.create(pod(name, labels={"app": "db"}), "default")
    await plane.client.create_subresource("pods", name, "default", "binding", BINDING)
    seen = await plane.client.get("pods", name, "default")
    status = {**seen["status"], "phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    return await plane.client.update_status({**seen, "status": status})


def _eviction(name: str, version: str = "policy/v1", **options) -> dict:
    body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}}
    return {**body, "deleteOptions": options} if options else body


async def _budget(plane, **status) -> None:
    made = await plane.client.create(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "db", "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
        }
    )
    full = {"currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2, "observedGeneration": 1}
    await plane.client.update_status({**made, "status": {**full, **status}})


async def test_eviction_within_the_budget(plane) -> None:
    await _running(plane, "a")
    await _running(plane, "b")
    await _budget(plane, disruptionsAllowed=1)
    await plane.client.create_subresource(
        "pods", "a", "default", "eviction", _eviction("a", gracePeriodSeconds=5)
    )
    evicted = await plane.client.get("pods", "a", "default")
    assert evicted["metadata"]["deletionGracePeriodSeconds"] == 5
    why = meta.condition(evicted, "DisruptionTarget")
    assert (why["status"], why["reason"], why["message"]) == (
        "True",
        "EvictionByEvictionAPI",
        "Eviction API: evicting",
    )
    assert meta.is_true(evicted, "Ready"), "the other conditions stay"
    budget = await plane.client.get("poddisruptionbudgets.policy", "db", "default")
    assert budget["status"]["disruptionsAllowed"] == 0 and set(budget["status"]["disruptedPods"]) == {"a"}
    assert meta.condition(budget, "DisruptionAllowed")["reason"] == "InsufficientPods"
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource(
            "pods", "b", "default", "eviction", _eviction("b", "policy/v1beta1")
        )
    assert caught.value.code == 429
    assert caught.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert caught.value.details["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget db needs 1 healthy pods and has 2 currently",
        }
    ]


async def test_evictions_that_need_no_budget(plane) -> None:
    await _running(plane, "sick", ready="False")
    await _budget(plane, disruptionsAllowed=0)
    await plane.client.create_subresource("pods", "sick", "default", "eviction", _eviction("sick"))
    assert meta.is_deleting(await plane.client.get("pods", "sick", "default"))
    await plane.client.create(pod("pending", labels={"app": "db"}), "default")
    await plane.client.create_subresource("pods", "pending", "default", "eviction", _eviction("pending"))
    with pytest.raises(StatusError):
        await plane.client.get("pods", "pending", "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource(
            "pods", "sick", "default", "eviction", _eviction("sick", "apps/v1")
        )
    assert caught.value.code == 400


async def test_a_budget_that_was_not_looked_at_yet_holds(plane) -> None:
    await _running(plane, "a")
    await _budget(plane, disruptionsAllowed=1, observedGeneration=0)
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("pods", "a", "default", "eviction", _eviction("a"))
    assert caught.value.code == 429 and caught.value.headers == {"Retry-After": "10"}


class Signer:
    """Signs nothing, but says what it was asked."""

    def issue(self, *, service_account, audiences, expiration_seconds, bound):
        where = bound["metadata"]["name"] if bound else "-"
        return IssuedToken(f"{service_account['metadata']['name']}/{where}", "2026-01-01T01:00:00Z")

    def review(self, token, audiences):
        return (User("system:serviceaccount:default:x"), list(audiences)) if token == "good" else None


async def test_tokens(plane) -> None:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["a"]}}
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("serviceaccounts", "default", "default", "token", request)
    assert caught.value.code == 503
    plane.api.token_issuer = Signer()
    made = await plane.client.create_subresource("serviceaccounts", "default", "default", "token", request)
    assert made["status"] == {"token": "default/-", "expirationTimestamp": "2026-01-01T01:00:00Z"}
    assert made["spec"]["expirationSeconds"] == 3600
    await plane.client.create(pod("p"), "default")
    bound = {"spec": {"audiences": [], "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}}
    made = await plane.client.create_subresource("serviceaccounts", "default", "default", "token", bound)
    assert made["status"]["token"] == "default/p"
    await plane.account("default", "other")
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("serviceaccounts", "other", "default", "token", bound)
    assert caught.value.code == 400
    short = {"spec": {"audiences": [], "expirationSeconds": 10}}
    with pytest.raises(StatusError) as caught:
        await plane.client.create_subresource("serviceaccounts", "default", "default", "token", short)
    assert "may not specify a duration less than 10 minutes" in caught.value.message
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "good"}}
    assert (await plane.client.create(review))["status"]["authenticated"] is True
    review["spec"]["token"] = "bad"
    assert "authenticated" not in (await plane.client.create(review))["status"]


async def test_ephemeral_containers_and_resize_change_only_their_part(plane) -> None:
    sized = pod("p")
    sized["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "50m"}}
    await plane.client.create(sized, "default")
    seen = meta.copy(await plane.client.get("pods", "p", "default"))
    seen["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    seen["spec"]["containers"][0]["image"] = "other"
    done = await plane.client.update_subresource("ephemeralcontainers", seen)
    assert done["spec"]["ephemeralContainers"][0]["name"] == "debug"
    assert done["spec"]["containers"][0]["image"] == "nginx" and done["metadata"]["generation"] == 2
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "100m"}}}]}}
    sized = await plane.client.patch("pods", "p", "default", patch, type="strategic", subresource="resize")
    assert sized["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "100m"}


async def test_paths_and_verbs_that_are_not_there(plane) -> None:
    await plane.client.create(config_map("a"), "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("configmaps", "a", "default", {}, subresource="status")
    assert caught.value.code == 404
    await plane.client.create(pod("p"), "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("pods", "p", "default", {}, subresource="log")
    assert caught.value.code == 405
    with pytest.raises(StatusError) as caught:
        await plane.client.list("tokenreviews.authentication.k8s.io")
    assert caught.value.code == 405


async def test_apply_through_the_client(plane) -> None:
    wanted = deployment("web", 2)
    wanted["metadata"]["namespace"] = "default"
    made = await plane.client.apply(wanted, field_manager="files")
    assert made["metadata"]["generation"] == 1
    entry = made["metadata"]["managedFields"][0]
    assert entry["manager"] == "files" and entry["operation"] == "Apply" and "f:spec" in entry["fieldsV1"]
    before = plane.store.revision
    assert (await plane.client.apply(wanted, field_manager="files"))["metadata"]["resourceVersion"] == made[
        "metadata"
    ]["resourceVersion"]
    assert plane.store.revision == before
    await plane.client.patch(
        "deployments.apps", "web", "default", {"spec": {"replicas": 7}}, subresource="scale"
    )
    with pytest.raises(StatusError) as caught:
        await plane.client.apply(wanted, field_manager="files")
    assert caught.value.code == 409 and caught.value.details["causes"][0]["field"] == ".spec.replicas"
    assert (await plane.client.apply(wanted, field_manager="files", force=True))["spec"]["replicas"] == 2
    less = meta.copy(wanted)
    less["spec"]["template"]["metadata"]["labels"]["extra"] = "1"
    assert (
        "extra"
        in (await plane.client.apply(less, field_manager="files"))["spec"]["template"]["metadata"]["labels"]
    )
    assert (
        "extra"
        not in (await plane.client.apply(wanted, field_manager="files"))["spec"]["template"]["metadata"][
            "labels"
        ]
    )
    with pytest.raises(StatusError) as caught:
        await plane.api.patch(plane.ctx(), plane.resource("pods"), "default", "new", {}, "merge")
    assert caught.value.code == 404
    anonymous = plane.ctx()
    anonymous.field_manager = ""
    with pytest.raises(StatusError) as caught:
        await plane.api.patch(
            anonymous, plane.resource("deployments.apps"), "default", "web", wanted, "apply"
        )
    assert (
        caught.value.code == 422
        and "fieldManager: Required value: is required for apply patch" in caught.value.message
    )
    ghost = meta.copy(wanted)
    ghost["metadata"].update(name="ghost", uid="u")
    with pytest.raises(StatusError) as caught:
        await plane.client.apply(ghost, field_manager="files")
    assert caught.value.code == 409 and "uid mismatch" in caught.value.message
    tried = await plane.client.apply(
        meta.copy(wanted) | {"metadata": {"name": "dry", "namespace": "default"}}, dry_run=True
    )
    assert tried["metadata"]["uid"]
    with pytest.raises(StatusError):
        await plane.client.get("deployments.apps", "dry", "default")
