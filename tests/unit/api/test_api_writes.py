from __future__ import annotations

import asyncio

import pytest
from planes import config_map, deployment, pod

from runtime.api.context import ListOptions, RequestContext, system_user
from runtime.objects import meta
from runtime.objects.errors import StatusError
from runtime.store import Key
from runtime.store import pace as pace_module
from runtime.store.journal import JournalWriter


async def test_create_fills_in_what_only_the_server_knows(plane) -> None:
    made = await plane.client.create(deployment("web", 2), "default")
    metadata = made["metadata"]
    assert metadata["uid"] and metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert metadata["generation"] == 1 and int(metadata["resourceVersion"]) == plane.store.revision
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"


async def test_the_callers_object_stays_as_it_was_and_is_not_stored(plane) -> None:
    mine = config_map("a", x="1")
    before = meta.copy(mine)
    made = await plane.client.create(mine, "default")
    assert mine == before
    mine["data"]["x"] = "2"
    assert made["data"] == {"x": "1"}
    assert (await plane.client.get("configmaps", "a", "default"))["data"] == {"x": "1"}


async def test_generate_name(plane) -> None:
    made = await asyncio.gather(*(plane.client.create(pod(), "default") for _ in range(30)))
    names = {obj["metadata"]["name"] for obj in made}
    assert len(names) == 30
    for name in names:
        assert (
            name.startswith("web-") and set(name[4:]) <= set("bcdfghjklmnpqrstvwxz2456789") and len(name) == 9
        )


async def test_generate_name_gives_up_with_its_own_sentence(plane, monkeypatch) -> None:
    monkeypatch.setattr("runtime.api.writing.generate_name", lambda base: base + "taken")
    await plane.client.create(pod(), "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.create(pod(), "default")
    assert caught.value.reason == "AlreadyExists"
    assert "the server was not able to generate a unique name for the object" in caught.value.message


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (
            lambda o: o["metadata"].update(namespace="other"),
            400,
            "does not match the namespace sent on the request",
        ),
        (lambda o: o["metadata"].update(resourceVersion="5"), 500, "resourceVersion should not be set"),
        (lambda o: o.update(data={"x": 1}), 400, "cannot be handled as a ConfigMap"),
        (
            lambda o: o["metadata"].pop("name"),
            422,
            "metadata.name: Required value: name or generateName is required",
        ),
        (lambda o: o["metadata"].update(name="Bad_Name"), 422, "metadata.name: Invalid value"),
    ],
)
async def test_create_refuses(plane, change, code, words) -> None:
    obj = config_map("a", x="1")
    change(obj)
    with pytest.raises(StatusError) as caught:
        await plane.client.create(obj, "default")
    assert caught.value.code == code and words in caught.value.message


async def test_a_missing_namespace_is_404_and_a_terminating_one_403(plane) -> None:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(config_map("a"), "nowhere")
    assert caught.value.code == 404 and caught.value.message == 'namespaces "nowhere" not found'
    await plane.namespace("going")
    gone = await plane.client.delete("namespaces", "going")
    assert gone["status"]["phase"] == "Terminating" and gone["metadata"]["deletionTimestamp"]
    with pytest.raises(StatusError) as caught:
        await plane.client.create(config_map("a"), "going")
    assert caught.value.code == 403
    assert caught.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    finished = meta.copy(await plane.client.get("namespaces", "going"))
    finished["spec"]["finalizers"] = []
    await plane.client.update_subresource("finalize", finished)
    with pytest.raises(StatusError):
        await plane.client.get("namespaces", "going")


async def test_system_namespaces_may_not_be_deleted(plane) -> None:
    with pytest.raises(StatusError) as caught:
        await plane.client.delete("namespaces", "kube-system")
    assert caught.value.message == 'namespaces "kube-system" is forbidden: this namespace may not be deleted'


async def test_unknown_fields_by_directive(plane) -> None:
    obj = config_map("a") | {"bogus": 1}
    resource = plane.resource("configmaps")
    strict = plane.ctx(field_validation="Strict")
    with pytest.raises(StatusError) as caught:
        await plane.api.create(strict, resource, "default", obj)
    assert 'strict decoding error: unknown field "bogus"' in caught.value.message
    warned = plane.ctx()
    answer = await plane.api.create(warned, resource, "default", obj)
    assert warned.warnings == ['unknown field "bogus"'] and "bogus" not in answer.obj
    quiet = plane.ctx(field_validation="Ignore")
    await plane.api.create(quiet, resource, "default", config_map("b") | {"bogus": 1})
    assert quiet.warnings == []


async def test_dry_run_writes_nothing(plane) -> None:
    before = plane.store.revision
    resource = plane.resource("services")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    }
    answer = await plane.api.create(plane.ctx(dry_run=True), resource, "default", service)
    assert answer.obj["spec"]["clusterIP"] and answer.code == 201
    assert plane.store.revision == before
    with pytest.raises(StatusError) as caught:
        await plane.api.create(
            plane.ctx(dry_run=True), plane.resource("namespaces"), "", {"metadata": {"name": "default"}}
        )
    assert caught.value.reason == "AlreadyExists"


async def test_a_version_on_creation_is_refused_last_and_not_in_dry_runs(plane) -> None:
    """Only the store minds it, which a dry run does not reach."""
    resource = plane.resource("configmaps")

    def versioned(name: str) -> dict:
        return {**config_map(name), "metadata": {"name": name, "resourceVersion": "1"}}

    made = await plane.api.create(plane.ctx(dry_run=True), resource, "default", versioned("a"))
    assert made.code == 201 and "resourceVersion" not in made.obj["metadata"]
    for ctx in (plane.ctx(), plane.ctx(dry_run=True)):
        with pytest.raises(StatusError) as caught:
            await plane.api.create(ctx, resource, "default", versioned("Not A Name"))
        assert caught.value.code == 422
    with pytest.raises(StatusError) as caught:
        await plane.api.create(plane.ctx(), resource, "default", versioned("a"))
    assert caught.value.message == "resourceVersion should not be set on objects to be created"
    assert plane.store.latest(Key("configmaps", "default", "a")) is None


async def test_update_conflicts_and_unconditional_updates(plane) -> None:
    first = await plane.client.create(config_map("a", x="1"), "default")
    second = await plane.client.update({**first, "data": {"x": "2"}})
    with pytest.raises(StatusError) as caught:
        await plane.client.update({**first, "data": {"x": "3"}})
    assert (
        caught.value.reason == "Conflict"
        and "please apply your changes to the latest version" in caught.value.message
    )
    loose = meta.copy(second)
    del loose["metadata"]["resourceVersion"]
    loose["data"]["x"] = "4"
    assert (await plane.client.update(loose))["data"]["x"] == "4"
    other = meta.copy(loose)
    other["metadata"]["uid"] = "11111111-1111-4111-8111-111111111111"
    with pytest.raises(StatusError) as caught:
        await plane.client.update(other)
    assert caught.value.code == 409 and "Precondition failed: UID" in caught.value.message


async def test_kinds_that_demand_a_version(plane) -> None:
    account = meta.copy(await plane.client.get("serviceaccounts", "default", "default"))
    del account["metadata"]["resourceVersion"]
    with pytest.raises(StatusError) as caught:
        await plane.client.update(account)
    assert caught.value.code == 422 and "must be specified for an update" in caught.value.message


async def test_an_update_that_changes_nothing_writes_nothing(plane) -> None:
    made = await plane.client.create(deployment("web"), "default")
    before = plane.store.revision
    assert (await plane.client.update(meta.copy(made)))["metadata"]["resourceVersion"] == made["metadata"][
        "resourceVersion"
    ]
    patched = await plane.client.patch("deployments.apps", "web", "default", {"spec": {"replicas": 1}})
    assert patched is made and plane.store.revision == before


async def test_generation_counts_changes_of_the_spec_only(plane) -> None:
    made = await plane.client.create(deployment("web"), "default")
    labelled = await plane.client.patch(
        "deployments.apps", "web", "default", {"metadata": {"labels": {"a": "b"}}}
    )
    assert labelled["metadata"]["generation"] == 1
    scaled = await plane.client.patch("deployments.apps", "web", "default", {"spec": {"replicas": 3}})
    assert scaled["metadata"]["generation"] == 2
    cheated = meta.copy(scaled)
    cheated["metadata"]["generation"] = 77
    cheated["metadata"]["annotations"] = {"x": "y"}
    assert (await plane.client.update(cheated))["metadata"]["generation"] == 2
    assert made["metadata"]["generation"] == 1


async def test_status_changes_status_and_annotations_alone(plane) -> None:
    made = await plane.client.create(deployment("web"), "default")
    wanted = meta.copy(made)
    wanted["spec"]["replicas"] = 9
    wanted["metadata"]["labels"] = {"sneaky": "true"}
    wanted["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    wanted["status"] = {"observedGeneration": 1, "replicas": 1}
    done = await plane.client.update_status(wanted)
    assert done["spec"]["replicas"] == 1 and "labels" not in done["metadata"]
    assert done["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    assert done["status"]["observedGeneration"] == 1 and done["metadata"]["generation"] == 1
    through_main = meta.copy(done)
    through_main["status"]["replicas"] = 5
    assert (await plane.client.update(through_main))["status"]["replicas"] == 1


async def test_patches(plane) -> None:
    await plane.client.create(deployment("web"), "default")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}}
    both = await plane.client.patch("deployments.apps", "web", "default", patch, type="strategic")
    assert {c["name"] for c in both["spec"]["template"]["spec"]["containers"]} == {"main", "side"}
    json = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
    assert (await plane.client.patch("deployments.apps", "web", "default", json, type="json"))["spec"][
        "replicas"
    ] == 4
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("deployments.apps", "web", "default", {"spec": {"replicas": "many"}})
    assert caught.value.code == 422
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("deployments.apps", "nope", "default", {})
    assert caught.value.code == 404
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("deployments.apps", "web", "default", {"metadata": {"resourceVersion": "1"}})
    assert caught.value.code == 409
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("deployments.apps", "web", "default", {"metadata": {"uid": "x"}})
    assert caught.value.code == 422 and "metadata.uid" in caught.value.message
    with pytest.raises(StatusError) as caught:
        await plane.client.patch("deployments.apps", "web", "default", {}, type="text/plain")
    assert caught.value.code == 415


async def test_put_creates_where_the_kind_allows(plane) -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "default"},
    }
    answer = await plane.api.update(
        plane.ctx(), plane.resource("leases.coordination.k8s.io"), "default", "l", lease
    )
    assert answer.code == 201 and answer.obj["metadata"]["uid"]
    with pytest.raises(StatusError) as caught:
        await plane.client.update(config_map("new") | {"metadata": {"name": "new", "namespace": "default"}})
    assert caught.value.code == 404


async def test_patched_parts_are_never_shared_with_what_defaulting_changes(plane) -> None:
    made = await plane.client.create(deployment("web"), "default")
    frozen = meta.copy(made)
    await plane.client.patch(
        "deployments.apps",
        "web",
        "default",
        {
            "spec": {
                "template": {
                    "spec": {
                        "containers": [{"name": "main", "image": "x:1", "ports": [{"containerPort": 1}]}]
                    }
                }
            }
        },
        type="strategic",
    )
    assert made == frozen


async def test_owner_references_that_stand_twice_are_kept_once(plane) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    obj = config_map("a")
    obj["metadata"]["ownerReferences"] = [owner, dict(owner)]
    ctx = plane.ctx()
    answer = await plane.api.create(ctx, plane.resource("configmaps"), "default", obj)
    assert len(answer.obj["metadata"]["ownerReferences"]) == 1 and "duplicate entries" in ctx.warnings[0]


async def test_an_object_over_the_limit_is_refused(plane) -> None:
    big = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}, "revision": 1}
    big["data"] = {"blob": "x" * 1_600_000}
    ctx = RequestContext(system_user("t"), "t", body_size=1_600_100)
    with pytest.raises(StatusError) as caught:
        await plane.api.create(ctx, plane.resource("controllerrevisions.apps"), "default", big)
    assert caught.value.code == 413


async def test_two_versions_of_one_kind_share_their_objects(plane) -> None:
    hpa = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "default"},
        "spec": {
            "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "targetCPUUtilizationPercentage": 70,
        },
    }
    made = await plane.client.create(hpa)
    assert made["apiVersion"] == "autoscaling/v1" and made["spec"]["targetCPUUtilizationPercentage"] == 70
    v2 = plane.registry.by_path("autoscaling", "v2", "horizontalpodautoscalers")
    seen = (await plane.api.get(plane.ctx(), v2, "default", "h")).obj
    assert seen["apiVersion"] == "autoscaling/v2" and seen["metadata"]["uid"] == made["metadata"]["uid"]
    assert seen["spec"]["metrics"][0]["resource"]["name"] == "cpu"
    v1 = plane.registry.by_path("autoscaling", "v1", "horizontalpodautoscalers")
    patched = await plane.api.patch(plane.ctx(), v1, "default", "h", {"spec": {"maxReplicas": 9}}, "merge")
    assert patched.obj["spec"]["maxReplicas"] == 9
    assert (await plane.api.get(plane.ctx(), v2, "default", "h")).obj["spec"]["maxReplicas"] == 9


async def test_writers_never_lose_an_update_to_each_other(plane) -> None:
    await plane.client.create(config_map("counter", n="0"), "default")

    async def add() -> None:
        while True:
            seen = await plane.client.get("configmaps", "counter", "default")
            try:
                await plane.client.update({**seen, "data": {"n": str(int(seen["data"]["n"]) + 1)}})
                return
            except StatusError as error:
                assert error.reason == "Conflict"

    await asyncio.gather(*(add() for _ in range(20)))
    assert (await plane.client.get("configmaps", "counter", "default"))["data"]["n"] == "20"


async def test_a_status_body_from_outside_is_read_whole(plane) -> None:
    made = await plane.client.create(deployment("web"), "default")
    resource = plane.resource("deployments.apps")
    body = meta.copy(made)
    body["spec"]["replicas"] = "many"
    with pytest.raises(StatusError) as caught:
        await plane.api.update(
            plane.ctx(owns_body=True), resource, "default", "web", body, subresource="status"
        )
    assert caught.value.code == 400
    body = meta.copy(made)
    body["spec"]["bogus"] = 1
    ctx = plane.ctx(owns_body=True)
    await plane.api.update(ctx, resource, "default", "web", body, subresource="status")
    assert ctx.warnings == ['unknown field "spec.bogus"']


async def test_a_lone_writer_waits_for_the_disk_alone(plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "QUICK_SECONDS", 60.0)
    push, written = plane.store.push, []

    def note() -> None:
        key = plane.store._gathering.transactions[-1].changes[0][0]
        push()
        written.append(plane.store.get(key) is not None)

    monkeypatch.setattr(plane.store, "push", note)
    for number in range(64):
        await asyncio.sleep(0)
        await plane.client.create(config_map(f"a{number}"), "default")
    assert len(written) == 64
    assert sum(written) > 32, "most are on disk before the loop turns"


async def test_who_deletes_many_waits_for_the_disk_once(plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "QUICK_SECONDS", 60.0)
    for number in range(64):
        await plane.client.create(config_map(f"a{number}"), "default")
    sync, syncs = JournalWriter.sync, []

    def note(fd: int) -> None:
        syncs.append(fd)
        sync(fd)

    monkeypatch.setattr(JournalWriter, "sync", staticmethod(note))
    await plane.api.delete_collection(plane.ctx(), plane.resource("configmaps"), "default", ListOptions(), {})
    assert (await plane.client.list("configmaps", "default")).items == []
    assert len(syncs) <= 2


@pytest.mark.parametrize("forgotten", [[], [{}]])
async def test_managed_fields_can_be_forgotten(plane, forgotten) -> None:
    await plane.client.create(config_map("a", x="1"), "default")
    resource = plane.resource("configmaps")
    obj = config_map("a", x="1")
    obj["metadata"]["managedFields"] = forgotten
    answer = await plane.api.update(plane.ctx(), resource, "default", "a", obj)
    assert "managedFields" not in answer.obj["metadata"]
    answer = await plane.api.patch(plane.ctx(), resource, "default", "a", {"data": {"x": "2"}}, "merge")
    assert "managedFields" not in answer.obj["metadata"], "it is not tracked until it is applied to"
