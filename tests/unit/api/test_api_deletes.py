from __future__ import annotations

import pytest
from planes import config_map, deployment, pod

from runtime.api.context import ListOptions
from runtime.objects import meta
from runtime.objects.errors import StatusError


async def _bound(plane, name: str, **spec):
    await plane.client.create(pod(name, **spec), "default")
    await plane.client.create_subresource(
        "pods", name, "default", "binding", {"target": {"kind": "Node", "name": "n1"}}
    )
    return await plane.client.get("pods", name, "default")


async def test_what_is_gone_is_answered_with_a_status(plane) -> None:
    made = await plane.client.create(deployment("web"), "default")
    gone = await plane.client.delete("deployments.apps", "web", "default")
    assert gone["kind"] == "Status" and gone["status"] == "Success"
    assert gone["details"] == {
        "name": "web",
        "group": "apps",
        "kind": "deployments",
        "uid": made["metadata"]["uid"],
    }
    with pytest.raises(StatusError) as caught:
        await plane.client.delete("deployments.apps", "web", "default")
    assert caught.value.message == 'deployments.apps "web" not found'


async def test_a_pod_that_runs_nowhere_goes_at_once(plane) -> None:
    await plane.client.create(pod("p"), "default")
    assert (await plane.client.delete("pods", "p", "default"))["kind"] == "Pod"
    with pytest.raises(StatusError):
        await plane.client.get("pods", "p", "default")


async def test_graceful_deletion_waits_and_may_only_be_shortened(plane) -> None:
    await _bound(plane, "p")
    going = await plane.client.delete("pods", "p", "default")
    assert going["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30 and going["metadata"]["generation"] == 2
    longer = await plane.client.delete("pods", "p", "default", grace_period_seconds=60)
    assert longer["metadata"]["resourceVersion"] == going["metadata"]["resourceVersion"]
    await plane.clock.advance(4)
    shorter = await plane.client.delete("pods", "p", "default", grace_period_seconds=10)
    assert shorter["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:10Z"
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 10 and shorter["metadata"]["generation"] == 2
    await plane.clock.advance(20)
    past = await plane.client.delete("pods", "p", "default", grace_period_seconds=5)
    assert past["metadata"]["deletionGracePeriodSeconds"] == 1
    await plane.client.delete("pods", "p", "default", grace_period_seconds=0)
    with pytest.raises(StatusError):
        await plane.client.get("pods", "p", "default")


async def test_a_finished_pod_gets_no_grace(plane) -> None:
    bound = await _bound(plane, "p")
    await plane.client.update_status({**bound, "status": {**bound["status"], "phase": "Succeeded"}})
    await plane.client.delete("pods", "p", "default")
    with pytest.raises(StatusError):
        await plane.client.get("pods", "p", "default")


async def test_a_deletion_can_not_be_taken_back(plane) -> None:
    await _bound(plane, "p")
    going = meta.copy(await plane.client.delete("pods", "p", "default"))
    del going["metadata"]["deletionTimestamp"], going["metadata"]["deletionGracePeriodSeconds"]
    going["metadata"]["annotations"] = {"a": "b"}
    kept = await plane.client.update(going)
    assert kept["metadata"]["deletionTimestamp"] and kept["metadata"]["deletionGracePeriodSeconds"] == 30


async def test_finalizers_hold_an_object_until_the_last_is_removed(plane) -> None:
    obj = config_map("a", x="1")
    obj["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    await plane.client.create(obj, "default")
    marked = await plane.client.delete("configmaps", "a", "default")
    assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["deletionGracePeriodSeconds"] == 0
    again = await plane.client.delete("configmaps", "a", "default")
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    with pytest.raises(StatusError) as caught:
        await plane.client.create(config_map("a"), "default")
    assert caught.value.message == 'object is being deleted: configmaps "a" already exists'
    one = meta.copy(marked)
    one["metadata"]["finalizers"] = ["example.com/two"]
    await plane.client.update(one)
    last = await plane.client.patch("configmaps", "a", "default", {"metadata": {"finalizers": None}})
    assert last["metadata"]["name"] == "a"
    with pytest.raises(StatusError):
        await plane.client.get("configmaps", "a", "default")


@pytest.mark.parametrize(
    ("policy", "finalizer"),
    [("Foreground", "foregroundDeletion"), ("Orphan", "orphan"), ("Background", None)],
)
async def test_propagation_policies(plane, policy, finalizer) -> None:
    await plane.client.create(deployment("web"), "default")
    answer = await plane.client.delete("deployments.apps", "web", "default", propagation_policy=policy)
    if finalizer is None:
        assert answer["kind"] == "Status"
    else:
        assert answer["metadata"]["finalizers"] == [finalizer] and answer["metadata"]["generation"] == 2


async def test_jobs_orphan_by_default(plane) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        },
    }
    await plane.client.create(job, "default")
    assert (await plane.client.delete("jobs.batch", "j", "default"))["metadata"]["finalizers"] == ["orphan"]


async def test_preconditions_and_options(plane) -> None:
    made = await plane.client.create(config_map("a"), "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.delete("configmaps", "a", "default", uid="other")
    assert caught.value.code == 409 and "does not match the UID in record" in caught.value.message
    with pytest.raises(StatusError) as caught:
        await plane.client.delete("configmaps", "a", "default", resource_version="1")
    assert caught.value.code == 409
    resource = plane.resource("configmaps")
    for options in (
        {"propagationPolicy": "Sideways"},
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        {"dryRun": ["Some"]},
    ):
        with pytest.raises(StatusError) as caught:
            await plane.api.delete(plane.ctx(), resource, "default", "a", options)
        assert caught.value.code == 422
    await plane.api.delete(plane.ctx(), resource, "default", "a", {"dryRun": ["All"]})
    assert (await plane.client.get("configmaps", "a", "default"))["metadata"]["uid"] == made["metadata"][
        "uid"
    ]


async def test_deletecollection_takes_what_the_list_shows(plane) -> None:
    for index in range(6):
        await plane.client.create(config_map(f"c{index}", labels={"keep": str(index % 2)}), "default")
    gone = await plane.client.delete_collection("configmaps", "default", label_selector="keep=0")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["c0", "c2", "c4"]
    left = await plane.api.list(plane.ctx(), plane.resource("configmaps"), "default", ListOptions())
    assert [record.key.name for record in left.records] == ["c1", "c3", "c5"]


@pytest.mark.parametrize(
    "obj",
    [
        {"apiVersion": "v1", "kind": "ServiceAccount"},
        {"apiVersion": "v1", "kind": "ConfigMap"},
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "a.b/c"},
        {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "spec": {}},
        {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "spec": {"drivers": []}},
    ],
    ids=lambda obj: obj["kind"],
)
async def test_some_kinds_answer_with_what_is_gone(plane, obj) -> None:
    resource = plane.api.registry.by_kind(obj["apiVersion"], obj["kind"])
    namespace = "default" if resource.namespaced else ""
    await plane.client.create({**obj, "metadata": {"name": "one"}}, namespace)
    gone = await plane.client.delete(resource.group_resource, "one", namespace)
    assert gone["kind"] == ("Status" if obj["kind"] == "ConfigMap" else obj["kind"])
