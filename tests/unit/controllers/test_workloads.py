from __future__ import annotations

from pathlib import Path

import pytest
from control_plane import control_plane

from runtime.objects import meta
from runtime.objects.meta import name_of


def _workload(kind, api, name, replicas=None, **spec):
    labels = {"app": name}
    obj = {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "app:1"}]},
            },
            **spec,
        },
    }
    if replicas is not None:
        obj["spec"]["replicas"] = replicas
    return obj


def _status(plane, resource, name):
    found = plane.get(resource, name) or {}
    status = found.get("status") or {}
    return status if status.get("observedGeneration") == found.get("metadata", {}).get("generation") else {}


async def test_statefulset_in_order_and_rolling(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        order = []
        plane.informers.pods().add_handler(
            lambda deltas: order.extend(name_of(d.new) for d in deltas if d.old is None and d.new)
        )
        await plane.client.create(_workload("StatefulSet", "apps/v1", "db", 3, serviceName="db"))
        await plane.until(lambda: _status(plane, "statefulsets.apps", "db").get("availableReplicas") == 3)
        assert order == ["db-0", "db-1", "db-2"]
        pod = plane.get("pods", "db-1")
        assert pod["spec"]["hostname"] == "db-1"
        assert pod["spec"]["subdomain"] == "db"
        assert meta.labels_of(pod)["apps.kubernetes.io/pod-index"] == "1"
        status = _status(plane, "statefulsets.apps", "db")
        assert status["currentRevision"] == status["updateRevision"]
        await plane.until(
            lambda: "create Pod db-2 in StatefulSet db successful" in plane.events("SuccessfulCreate")
        )

        order.clear()
        body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
        await plane.client.patch("statefulsets.apps", "db", "default", body, type="strategic")
        await plane.until(
            lambda: (
                _status(plane, "statefulsets.apps", "db").get("updatedReplicas") == 3
                and _status(plane, "statefulsets.apps", "db")["currentRevision"]
                == _status(plane, "statefulsets.apps", "db")["updateRevision"]
            )
        )
        assert order == ["db-2", "db-1", "db-0"]
        assert len(plane.all("controllerrevisions.apps")) == 2

        await plane.client.patch("statefulsets.apps", "db", "default", {"spec": {"replicas": 1}})
        await plane.until(lambda: [name_of(p) for p in plane.all("pods")] == ["db-0"])


async def test_statefulset_partition_keeps_the_old_revision(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        plane.scheduler.volumes.of = lambda shape: type(
            "C", (), {"problem": "", "unbound": [], "refuse": lambda self, node: None}
        )()
        obj = _workload(
            "StatefulSet",
            "apps/v1",
            "db",
            3,
            serviceName="db",
            updateStrategy=strategy,
            volumeClaimTemplates=[claim],
        )
        await plane.client.create(obj)
        await plane.until(lambda: _status(plane, "statefulsets.apps", "db").get("availableReplicas") == 3)
        assert {name_of(c) for c in plane.all("persistentvolumeclaims")} == {
            "data-db-0",
            "data-db-1",
            "data-db-2",
        }
        body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
        await plane.client.patch("statefulsets.apps", "db", "default", body, type="strategic")
        await plane.until(lambda: _status(plane, "statefulsets.apps", "db").get("updatedReplicas") == 1)
        await plane.until(lambda: _status(plane, "statefulsets.apps", "db").get("availableReplicas") == 3)
        before = meta.uid_of(plane.get("pods", "db-0"))
        await plane.client.delete("pods", "db-0", "default")
        await plane.until(
            lambda: plane.get("pods", "db-0") and meta.uid_of(plane.get("pods", "db-0")) != before
        )
        images = {name_of(p): p["spec"]["containers"][0]["image"] for p in plane.all("pods")}
        assert images == {"db-0": "app:1", "db-1": "app:1", "db-2": "app:2"}


async def test_daemonset_on_every_node_it_tolerates(tmp_path: Path) -> None:
    async with control_plane(tmp_path, nodes=3) as plane:
        await plane.client.create(_workload("DaemonSet", "apps/v1", "agent"))
        await plane.until(lambda: _status(plane, "daemonsets.apps", "agent").get("numberAvailable") == 3)
        assert {p["spec"]["nodeName"] for p in plane.all("pods")} == {"node-0", "node-1", "node-2"}
        await plane.add_node("node-3")
        await plane.until(lambda: _status(plane, "daemonsets.apps", "agent").get("numberAvailable") == 4)
        body = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "app:2"}]}}}}
        await plane.client.patch("daemonsets.apps", "agent", "default", body, type="strategic")
        await plane.until(
            lambda: (
                _status(plane, "daemonsets.apps", "agent").get("updatedNumberScheduled") == 4
                and _status(plane, "daemonsets.apps", "agent").get("numberAvailable") == 4
            )
        )
        taints = {"spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoExecute"}]}}
        await plane.client.patch("nodes", "node-3", "", taints, type="merge")
        await plane.until(
            lambda: _status(plane, "daemonsets.apps", "agent").get("desiredNumberScheduled") == 3
        )
        await plane.until(lambda: len(plane.all("pods")) == 3)


async def test_job_counts_every_pod_once(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.outcome = lambda pod: "Succeeded"
        job = _workload("Job", "batch/v1", "sum", completions=5, parallelism=2)
        del job["spec"]["selector"]
        job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        await plane.client.create(job)
        await plane.until(lambda: meta.is_true(plane.get("jobs.batch", "sum"), "Complete"))
        status = plane.get("jobs.batch", "sum")["status"]
        assert status["succeeded"] == 5
        assert "active" not in status
        assert status["completionTime"]
        assert not any(meta.finalizers_of(pod) for pod in plane.all("pods"))
        await plane.until(lambda: plane.events("Completed") == ["Job completed"])


async def test_indexed_job(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.outcome = lambda pod: "Succeeded"
        job = _workload("Job", "batch/v1", "parts", completions=3, parallelism=3, completionMode="Indexed")
        del job["spec"]["selector"]
        job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        await plane.client.create(job)
        await plane.until(lambda: meta.is_true(plane.get("jobs.batch", "parts"), "Complete"))
        assert plane.get("jobs.batch", "parts")["status"]["completedIndexes"] == "0-2"
        assert {p["spec"]["hostname"] for p in plane.all("pods")} == {"parts-0", "parts-1", "parts-2"}


async def test_job_gives_up(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.outcome = lambda pod: "Failed"
        job = _workload("Job", "batch/v1", "bad", backoffLimit=0)
        del job["spec"]["selector"]
        job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        await plane.client.create(job)
        await plane.until(lambda: meta.is_true(plane.get("jobs.batch", "bad"), "Failed"))
        found = plane.get("jobs.batch", "bad")
        assert meta.condition(found, "Failed")["reason"] == "BackoffLimitExceeded"
        assert found["status"]["failed"] == 1


async def test_service_addresses_follow_pods(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
            }
        )
        await plane.client.create(_workload("ReplicaSet", "apps/v1", "web", 3))

        def ready():
            slices = [
                s
                for s in plane.all("endpointslices.discovery.k8s.io")
                if meta.labels_of(s).get("kubernetes.io/service-name") == "web"
            ]
            return (
                [e for s in slices for e in s["endpoints"] if e["conditions"]["ready"]]
                if len(slices) == 1
                else []
            )

        await plane.until(lambda: len(ready()) == 3)
        assert {e["nodeName"] for e in ready()} == {"node-0"}
        found = await plane.until(lambda: plane.get("endpoints", "web"))
        await plane.until(
            lambda: len((plane.get("endpoints", "web").get("subsets") or [{}])[0].get("addresses", ())) == 3
        )
        found = plane.get("endpoints", "web")
        assert found["subsets"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
        await plane.client.patch("replicasets.apps", "web", "default", {"spec": {"replicas": 1}})
        await plane.until(lambda: len(ready()) == 1)


async def test_budget_and_quota_count(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1},
            }
        )
        await plane.client.create(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "all", "namespace": "default"},
                "spec": {"hard": {"pods": "10", "count/replicasets.apps": "5", "secrets": "7"}},
            }
        )
        await plane.client.create(_workload("ReplicaSet", "apps/v1", "web", 3))
        await plane.until(
            lambda: (
                (plane.get("poddisruptionbudgets.policy", "web").get("status") or {}).get("currentHealthy")
                == 3
            )
        )
        status = plane.get("poddisruptionbudgets.policy", "web")["status"]
        assert (status["disruptionsAllowed"], status["desiredHealthy"], status["expectedPods"]) == (1, 2, 3)
        await plane.until(
            lambda: (
                (plane.get("resourcequotas", "all").get("status") or {}).get("used")
                == {"pods": "3", "count/replicasets.apps": "1", "secrets": "0"}
            )
        )


async def test_cronjob_starts_jobs(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.outcome = lambda pod: "Succeeded"
        template = {"spec": {"containers": [{"name": "main", "image": "app:1"}], "restartPolicy": "Never"}}
        made = await plane.client.create(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "tick", "namespace": "default"},
                "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}},
            }
        )
        # as if it had last run two hours ago
        await plane.client.update_status({**made, "status": {"lastScheduleTime": "2020-01-01T00:00:00Z"}})
        [job] = await plane.until(lambda: plane.all("jobs.batch"))
        assert name_of(job).startswith("tick-2")
        await plane.until(lambda: meta.is_true(plane.get("jobs.batch", name_of(job)), "Complete"))
        await plane.until(lambda: plane.events("SawCompletedJob"))
        assert "active" not in plane.get("cronjobs.batch", "tick")["status"]
        assert any("too many missed start times" in text for text in plane.events("TooManyMissedTimes"))


async def test_a_status_that_somebody_else_wrote_is_put_right(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(_workload("ReplicaSet", "apps/v1", "web", 2))

        def ready():
            return _status(plane, "replicasets.apps", "web").get("readyReplicas")

        await plane.until(lambda: ready() == 2)
        await plane.until(lambda: not any(len(c.queue) for c in plane.manager.controllers))
        mark = {"type": "Marked", "status": "True"}
        body = {"status": {"readyReplicas": 0, "availableReplicas": 0, "conditions": [mark]}}
        await plane.client.patch("replicasets.apps", "web", "default", body, subresource="status")
        await plane.until(lambda: ready() == 2)
        assert meta.is_true(plane.get("replicasets.apps", "web"), "Marked")


@pytest.mark.parametrize(
    ("kind", "api", "resource"),
    [
        ("ReplicaSet", "apps/v1", "replicasets.apps"),
        ("StatefulSet", "apps/v1", "statefulsets.apps"),
        ("DaemonSet", "apps/v1", "daemonsets.apps"),
        ("Job", "batch/v1", "jobs.batch"),
    ],
)
async def test_a_pod_whose_owner_was_taken_off_is_adopted_again(
    tmp_path: Path, kind: str, api: str, resource: str
) -> None:
    async with control_plane(tmp_path) as plane:
        obj = _workload(kind, api, "web", **({"serviceName": "web"} if kind == "StatefulSet" else {}))
        if kind == "Job":
            del obj["spec"]["selector"]
            obj["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        made = await plane.client.create(obj)
        [pod] = await plane.until(lambda: [p for p in plane.all("pods") if meta.is_true(p, "Ready")])
        await plane.until(lambda: not any(len(c.queue) for c in plane.manager.controllers))
        body = {"metadata": {"ownerReferences": None}}
        await plane.client.patch("pods", name_of(pod), "default", body)

        def owners():
            return [reference["uid"] for reference in meta.owners_of(plane.get("pods", name_of(pod)))]

        await plane.until(lambda: owners() == [meta.uid_of(made)])
        assert len(plane.all("pods")) == 1
