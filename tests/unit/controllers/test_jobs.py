from __future__ import annotations

from pathlib import Path
from typing import Any

from control_plane import ControlPlane, control_plane

from runtime.controllers.job_math import INDEX, INDEX_FAILURES, INDEX_IGNORED, TRACKING
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj


def job(**spec: Any) -> Obj:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "sum", "namespace": "default"},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "main", "image": "app:1"}], "restartPolicy": "Never"}
            },
            **spec,
        },
    }


def _conditions(plane: ControlPlane) -> list[str]:
    found = plane.get("jobs.batch", "sum") or {}
    return [entry["type"] for entry in (found.get("status") or {}).get("conditions") or ()]


def _job_status(plane: ControlPlane) -> Obj:
    return (plane.get("jobs.batch", "sum") or {}).get("status") or {}


async def test_a_job_past_its_deadline_has_failed_when_its_pods_are_gone(tmp_path: Path) -> None:
    async with control_plane(tmp_path, clock=ManualClock()) as plane:
        plane.step = 0.5
        plane.beating = {"node-0"}
        plane.kubelet.terminate = False
        await plane.client.create(job(parallelism=3, completions=3, activeDeadlineSeconds=20))
        await plane.until(lambda: _job_status(plane).get("ready") == 3)
        await plane.until(lambda: _conditions(plane) == ["FailureTarget"])
        await plane.until(lambda: _job_status(plane).get("failed") == 3)
        assert _job_status(plane)["terminating"] == 3
        assert "active" not in _job_status(plane)
        assert _conditions(plane) == ["FailureTarget"]
        for pod in plane.all("pods"):
            await plane.kubelet.finish(pod)
        await plane.until(lambda: _conditions(plane) == ["FailureTarget", "Failed"])
        assert meta.condition(plane.get("jobs.batch", "sum") or {}, "Failed")["reason"] == "DeadlineExceeded"
        assert _job_status(plane)["failed"] == 3
        assert plane.all("pods") == []


async def test_pods_that_the_job_itself_does_without_are_no_failures(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(job(parallelism=3, completions=9, backoffLimit=0))
        await plane.until(lambda: _job_status(plane).get("ready") == 3)
        await plane.client.patch("jobs.batch", "sum", "default", {"spec": {"parallelism": 1}})
        await plane.until(lambda: _job_status(plane).get("ready") == 1 and len(plane.all("pods")) == 1)
        await plane.client.patch("jobs.batch", "sum", "default", {"spec": {"suspend": True}})
        await plane.until(lambda: "Suspended" in _conditions(plane) and not plane.all("pods"))
        await plane.client.patch("jobs.batch", "sum", "default", {"spec": {"suspend": False}})
        await plane.until(lambda: _job_status(plane).get("ready") == 1)
        assert _job_status(plane).get("failed", 0) == 0
        assert "Failed" not in _conditions(plane)


async def test_pods_of_a_job_that_let_them_go_can_be_deleted(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(job(parallelism=2, completions=2))
        await plane.until(lambda: _job_status(plane).get("ready") == 2)
        await plane.client.delete("jobs.batch", "sum", "default", propagation_policy="Orphan")
        await plane.until(lambda: plane.get("jobs.batch", "sum") is None)
        await plane.until(
            lambda: not any(meta.owners_of(pod) or meta.finalizers_of(pod) for pod in plane.all("pods"))
        )
        assert len(plane.all("pods")) == 2
        for pod in plane.all("pods"):
            await plane.client.delete("pods", meta.name_of(pod), "default")
        await plane.until(lambda: not plane.all("pods"))


async def test_what_a_success_policy_ends_is_no_failure(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        plane.kubelet.outcome = lambda pod: (
            "Succeeded" if meta.annotations_of(pod)[INDEX] == "0" else "Running"
        )
        policy = {"rules": [{"succeededIndexes": "0"}]}
        await plane.client.create(
            job(parallelism=3, completions=3, completionMode="Indexed", successPolicy=policy)
        )
        await plane.until(lambda: _conditions(plane) == ["SuccessCriteriaMet", "Complete"])
        status = _job_status(plane)
        assert (status["succeeded"], status.get("failed", 0), status["completedIndexes"]) == (1, 0, "0")
        await plane.until(lambda: len(plane.all("pods")) == 1)
        assert not meta.finalizers_of(plane.all("pods")[0])


async def test_an_index_with_a_limit_of_its_own_waits_for_its_own_failures(tmp_path: Path) -> None:
    async with control_plane(tmp_path, clock=ManualClock()) as plane:
        plane.step = 0.5
        plane.beating = {"node-0"}

        def outcome(pod: Obj) -> str:
            return "Failed" if meta.annotations_of(pod)[INDEX] == "1" else "Succeeded"

        plane.kubelet.outcome = outcome
        await plane.client.create(
            job(
                completions=3,
                parallelism=3,
                completionMode="Indexed",
                backoffLimitPerIndex=1,
                maxFailedIndexes=2,
            )
        )
        await plane.until(lambda: _job_status(plane).get("completedIndexes") == "0,2")

        def failed() -> list[Obj]:
            return [pod for pod in plane.all("pods") if meta.annotations_of(pod)[INDEX] == "1"]

        [first] = failed()
        # it says how often the index failed, so it stays until its successor does
        await plane.until(lambda: (failed()[0].get("status") or {}).get("phase") == "Failed")
        began = plane.clock.monotonic()
        assert TRACKING in meta.finalizers_of(failed()[0])
        assert meta.annotations_of(first)[INDEX_FAILURES] == "0"
        await plane.until(lambda: len(failed()) == 2)
        assert 8 <= plane.clock.monotonic() - began <= 14
        second = next(pod for pod in failed() if meta.uid_of(pod) != meta.uid_of(first))
        assert meta.annotations_of(second)[INDEX_FAILURES] == "1"
        await plane.until(lambda: meta.is_true(plane.get("jobs.batch", "sum") or {}, "Failed"))
        status = _job_status(plane)
        assert (status["failedIndexes"], status["failed"], status["succeeded"]) == ("1", 2, 2)
        assert meta.condition(plane.get("jobs.batch", "sum") or {}, "Failed")["reason"] == "FailedIndexes"
        assert not any(meta.finalizers_of(pod) for pod in plane.all("pods"))


async def test_ignored_failures_of_an_index_are_told_apart(tmp_path: Path) -> None:
    async with control_plane(tmp_path, clock=ManualClock()) as plane:
        plane.step = 0.5
        plane.beating = {"node-0"}
        plane.kubelet.outcome = lambda pod: "Failed"
        policy = {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}]}
        await plane.client.create(
            job(
                completions=1,
                completionMode="Indexed",
                backoffLimitPerIndex=0,
                podFailurePolicy=policy,
            )
        )
        await plane.until(lambda: len(plane.all("pods")) == 2)
        noted = [meta.annotations_of(pod).get(INDEX_IGNORED) for pod in plane.all("pods")]
        assert sorted(noted, key=str) == ["1", None]
        assert not _job_status(plane).get("failed")


async def test_every_is_counted_from_the_last_start(tmp_path: Path) -> None:
    async with control_plane(tmp_path, clock=ManualClock()) as plane:
        plane.step = 1.0
        plane.beating = {"node-0"}
        plane.kubelet.outcome = lambda pod: "Succeeded"
        made = await plane.client.create(
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "tick", "namespace": "default"},
                "spec": {"schedule": "@every 1m30s", "jobTemplate": {"spec": job()["spec"]}},
            }
        )
        created = meta.created_at(made)
        assert created is not None
        starts: list[float] = []

        def last() -> str:
            return str(
                ((plane.get("cronjobs.batch", "tick") or {}).get("status") or {}).get("lastScheduleTime")
            )

        seen = last()
        for _ in range(2):
            await plane.until(lambda seen=seen: last() != seen)
            seen = last()
            starts.append((plane.clock.now() - created).total_seconds())
        assert 90 <= starts[0] <= 95
        assert 180 <= starts[1] <= 185
        assert plane.events("UnparseableSchedule") == []
