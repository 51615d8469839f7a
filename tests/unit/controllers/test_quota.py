from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.controllers.quota import kind_of, used
from runtime.objects.errors import Obj

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(cpu: str = "", **more: Any) -> Obj:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return {
        "metadata": {"name": "p", **more.pop("metadata", {})},
        "spec": {"containers": [{"name": "main", "resources": resources}], **more.pop("spec", {})},
        **more,
    }


def _used(hard: Obj, things: dict[str, list[Obj]], **spec: Any) -> Obj:
    return used({"spec": {"hard": hard, **spec}}, lambda name: things.get(name, []), NOW)


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("pods", "pods"),
        ("count/pods", "pods"),
        ("count/jobs.batch", "jobs.batch"),
        ("limits.memory", "pods"),
        ("requests.nvidia.com/gpu", "pods"),
        ("hugepages-2Mi", "pods"),
        ("requests.storage", "persistentvolumeclaims"),
        ("fast.storageclass.storage.k8s.io/persistentvolumeclaims", "persistentvolumeclaims"),
        ("services.nodeports", "services"),
        ("example.com/unheard-of", ""),
    ],
)
def test_what_a_name_is_about(name: str, resource: str) -> None:
    assert kind_of(name) == resource


def test_requests_limits_and_counts() -> None:
    big = {
        "metadata": {"name": "big"},
        "spec": {
            "containers": [
                {"resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "1"}}},
                {"resources": {"requests": {"cpu": "0.5", "hugepages-2Mi": "4Mi", "example.com/gpu": "2"}}},
            ],
            "initContainers": [{"resources": {"requests": {"memory": "2Gi"}}}],
        },
    }
    hard = {
        "cpu": "4",
        "requests.memory": "10Gi",
        "limits.cpu": "9",
        "pods": "5",
        "count/pods": "9",
        "count/jobs.batch": "3",
        "secrets": "1",
        "hugepages-2Mi": "1Gi",
        "requests.example.com/gpu": "8",
    }
    things = {
        "pods": [big, big, {**big, "status": {"phase": "Succeeded"}}],
        "jobs.batch": [{}],
        "secrets": [],
    }
    assert _used(hard, things) == {
        "cpu": "1500m",
        "requests.memory": "4Gi",
        "limits.cpu": "2",
        "pods": "2",
        "count/pods": "3",
        "count/jobs.batch": "1",
        "secrets": "0",
        "hugepages-2Mi": "8Mi",
        "requests.example.com/gpu": "4",
    }


def test_what_a_pod_as_a_whole_asks_for_is_what_counts() -> None:
    whole = pod("250m", spec={"resources": {"requests": {"cpu": "3"}}})
    assert _used({"requests.cpu": "9"}, {"pods": [whole]}) == {"requests.cpu": "3"}


def test_a_pod_that_should_be_gone_is_not_charged() -> None:
    going = {"deletionTimestamp": "2026-01-01T11:59:50Z", "deletionGracePeriodSeconds": 30}
    stuck = {"deletionTimestamp": "2026-01-01T11:00:00Z", "deletionGracePeriodSeconds": 30}
    things = {"pods": [pod("1"), pod("1", metadata=going), pod("1", metadata=stuck)]}
    assert _used({"pods": "5", "requests.cpu": "5", "count/pods": "5"}, things) == {
        "pods": "2",
        "requests.cpu": "2",
        "count/pods": "3",
    }


def test_scopes() -> None:
    things = {"pods": [pod("1"), pod(), pod("1", spec={"activeDeadlineSeconds": 5})], "secrets": [{}]}
    assert _used({"pods": "9"}, things, scopes=["BestEffort"]) == {"pods": "1"}
    assert _used({"pods": "9"}, things, scopes=["NotBestEffort", "NotTerminating"]) == {"pods": "1"}
    terminating = {"matchExpressions": [{"scopeName": "Terminating", "operator": "Exists"}]}
    assert _used({"pods": "9"}, things, scopeSelector=terminating) == {"pods": "1"}


def test_claims_by_class_and_services() -> None:
    claim = {
        "metadata": {},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}},
    }
    service = {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}}
    hard = {
        "requests.storage": "20Gi",
        "persistentvolumeclaims": "5",
        "fast.storageclass.storage.k8s.io/requests.storage": "20Gi",
        "slow.storageclass.storage.k8s.io/persistentvolumeclaims": "2",
        "services": "3",
        "services.loadbalancers": "1",
        "services.nodeports": "4",
    }
    assert _used(hard, {"persistentvolumeclaims": [claim, claim], "services": [service]}) == {
        "requests.storage": "10Gi",
        "persistentvolumeclaims": "2",
        "fast.storageclass.storage.k8s.io/requests.storage": "10Gi",
        "slow.storageclass.storage.k8s.io/persistentvolumeclaims": "0",
        "services": "1",
        "services.loadbalancers": "1",
        "services.nodeports": "2",
    }
