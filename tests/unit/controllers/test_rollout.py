from __future__ import annotations

import asyncio
from pathlib import Path

from control_plane import control_plane, deployment

from runtime.controllers.deployment_math import REVISION
from runtime.objects import meta


def _status(plane, name):
    """The status, once it speaks of the newest generation."""
    found = plane.get("deployments.apps", name) or {}
    status = found.get("status") or {}
    return status if status.get("observedGeneration") == found.get("metadata", {}).get("generation") else {}


async def test_a_deployment_comes_up(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(deployment("web", 3))
        await plane.until(lambda: _status(plane, "web").get("availableReplicas") == 3)
        [rs] = plane.all("replicasets.apps")
        assert rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        assert rs["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "3"
        assert rs["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "4"
        template_hash = rs["metadata"]["labels"]["pod-template-hash"]
        assert rs["metadata"]["name"] == f"web-{template_hash}"
        pods = plane.all("pods")
        assert {pod["metadata"]["labels"]["pod-template-hash"] for pod in pods} == {template_hash}
        conditions = {c["type"]: c for c in _status(plane, "web")["conditions"]}
        await plane.until(
            lambda: (
                meta.condition(plane.get("deployments.apps", "web"), "Progressing")["reason"]
                == "NewReplicaSetAvailable"
            )
        )
        conditions = {c["type"]: c for c in _status(plane, "web")["conditions"]}
        assert (
            conditions["Progressing"]["message"]
            == f'ReplicaSet "{rs["metadata"]["name"]}" has successfully progressed.'
        )
        assert conditions["Available"]["reason"] == "MinimumReplicasAvailable"
        await plane.until(lambda: len(plane.events("Scheduled")) == 3)
        await plane.until(lambda: len(plane.events("SuccessfulCreate")) == 3)
        await plane.until(
            lambda: (
                plane.events("ScalingReplicaSet")
                == [f"Scaled up replica set {rs['metadata']['name']} from 0 to 3"]
            )
        )


async def test_rollout_keeps_its_promises_and_rolls_back(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(deployment("web", 4))
        await plane.until(lambda: _status(plane, "web").get("availableReplicas") == 4)
        lowest, highest = [99], [0]

        def watch(deltas) -> None:
            pods = plane.informers.pods().list("default")
            lowest[0] = min(
                lowest[0], sum(meta.is_true(pod, "Ready") and not meta.is_deleting(pod) for pod in pods)
            )
            highest[0] = max(highest[0], sum(not meta.is_deleting(pod) for pod in pods))

        plane.informers.pods().add_handler(watch)
        body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
        await plane.client.patch("deployments.apps", "web", "default", body, type="strategic")
        await plane.until(
            lambda: (
                _status(plane, "web").get("updatedReplicas") == 4
                and _status(plane, "web").get("replicas") == 4
                and _status(plane, "web").get("availableReplicas") == 4
            )
        )
        assert lowest[0] >= 3
        assert highest[0] <= 5
        sets = {meta.annotations_of(rs)[REVISION]: rs for rs in plane.all("replicasets.apps")}
        assert set(sets) == {"1", "2"}
        assert sets["1"]["spec"]["replicas"] == 0

        body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}
        await plane.client.patch("deployments.apps", "web", "default", body, type="strategic")
        await plane.until(
            lambda: (
                meta.annotations_of(plane.get("deployments.apps", "web")).get(
                    "deployment.kubernetes.io/revision"
                )
                == "3"
                and _status(plane, "web").get("updatedReplicas") == 4
                and _status(plane, "web").get("replicas") == 4
            )
        )
        old = plane.get("replicasets.apps", sets["1"]["metadata"]["name"])
        assert meta.annotations_of(old)["deployment.kubernetes.io/revision"] == "3"
        assert meta.annotations_of(old)["deployment.kubernetes.io/revision-history"] == "1"


async def test_recreate_never_mixes_revisions(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(deployment("web", 3, strategy={"type": "Recreate"}))
        await plane.until(lambda: _status(plane, "web").get("availableReplicas") == 3)
        mixed = []

        def watch(deltas) -> None:
            images = {pod["spec"]["containers"][0]["image"] for pod in plane.informers.pods().list("default")}
            mixed.append(len(images) > 1)

        plane.informers.pods().add_handler(watch)
        body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}
        await plane.client.patch("deployments.apps", "web", "default", body, type="strategic")
        await plane.until(
            lambda: (
                _status(plane, "web").get("updatedReplicas") == 3
                and _status(plane, "web").get("availableReplicas") == 3
            )
        )
        assert mixed and not any(mixed)


async def test_cascades(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        for name in ("back", "fore", "orphan"):
            await plane.client.create(deployment(name, 2))
        for name in ("back", "fore", "orphan"):
            await plane.until(lambda name=name: _status(plane, name).get("availableReplicas") == 2)
        for name, policy in (("back", "Background"), ("fore", "Foreground"), ("orphan", "Orphan")):
            await plane.client.delete("deployments.apps", name, "default", propagation_policy=policy)
        await plane.until(lambda: not plane.all("deployments.apps"))
        await plane.until(lambda: len(plane.all("replicasets.apps")) == 1 and len(plane.all("pods")) == 2)
        [rs] = plane.all("replicasets.apps")
        assert rs["metadata"]["name"].startswith("orphan-")
        assert not meta.owners_of(rs)


async def test_a_namespace_is_emptied_and_goes(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await plane.until(lambda: plane.get("serviceaccounts", "default", "team"))
        await plane.until(lambda: plane.get("configmaps", "kube-root-ca.crt", "team"))
        obj = deployment("web", 3)
        obj["metadata"]["namespace"] = "team"
        await plane.client.create(obj)
        await plane.until(lambda: len(plane.all("pods", "team")) == 3)
        await plane.client.delete("namespaces", "team")
        await plane.until(
            lambda: (
                plane.store.list("namespaces")
                and "team"
                not in {record.obj["metadata"]["name"] for record in plane.store.list("namespaces")}
            )
        )
        assert not plane.all("pods", "team")
        assert not plane.all("deployments.apps", "team")


async def test_a_reference_across_namespaces_harms_only_its_bearer(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
        await plane.until(lambda: plane.get("serviceaccounts", "default", "other"))
        owner = await plane.client.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": "default"}}
        )
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": meta.uid_of(owner)}
        for name, namespace in (("bad", "other"), ("good", "default")):
            await plane.client.create(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name, "namespace": namespace, "ownerReferences": [reference]},
                }
            )
        await plane.until(lambda: not plane.get("secrets", "bad", "other"))
        # the owner is gone for that namespace only; its real dependent is looked at again and stays
        body = {"metadata": {"ownerReferences": [{**reference, "blockOwnerDeletion": True}]}}
        await plane.client.patch("secrets", "good", "default", body, type="merge")
        collector = next(c for c in plane.manager.controllers if c.name == "garbagecollector")
        collector.queue.add(f"d:{meta.uid_of(plane.get('secrets', 'good'))}")
        await asyncio.sleep(0.1)
        assert plane.get("secrets", "good")
        await plane.client.delete("configmaps", "owner", "default")
        await plane.until(lambda: not plane.get("secrets", "good"))
