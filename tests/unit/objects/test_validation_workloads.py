# ruff: noqa: E501 -- tables read better than wrapped sentences
"""What the API server says about workloads that can't be, in upstream's sentences."""

from typing import Any

import pytest

from runtime.objects.validation.jobs import cron_problem

C = {"name": "c", "image": "i"}
LABELS = {"app": "x"}


def template(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [C], **spec}}


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    group = "v1" if kind == "ReplicationController" else "apps/v1"
    selector = LABELS if kind == "ReplicationController" else {"matchLabels": LABELS}
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {"selector": selector, "template": template(), **spec},
    }


def job(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "a"},
        "spec": {"template": template(restartPolicy="Never"), **spec},
    }


def cron(**spec: Any) -> dict[str, Any]:
    jobs = {"spec": {"template": template(restartPolicy="Never")}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "a"},
        "spec": {"schedule": "* * * * *", "jobTemplate": jobs, **spec},
    }


def hpa(**spec: Any) -> dict[str, Any]:
    target = {"kind": "Deployment", "name": "a"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": target, **spec},
    }


def budget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}, "spec": spec}


MISMATCH = "`selector` does not match template `labels`"


@pytest.mark.parametrize("obj", [workload("Deployment"), workload("ReplicaSet"), workload("StatefulSet"), workload("DaemonSet"), workload("ReplicationController"), job(), cron(), hpa(), budget(minAvailable=1)], ids=lambda obj: obj["kind"])  # fmt: skip
def test_good_ones(kinds, obj: dict) -> None:
    assert kinds.errors(obj) == []
    old = kinds.create(obj)
    assert kinds.update(old) == (old, [])


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (workload("Deployment", selector=None), ["spec.selector: Required value"]),
        (workload("Deployment", selector={}), ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]),
        (workload("Deployment", selector={"matchLabels": {"a": "b"}}), [f'spec.template.metadata.labels: Invalid value: {{"app":"x"}}: {MISMATCH}']),
        (workload("Deployment", replicas=-1), ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (workload("Deployment", template=template(restartPolicy="Never")), ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"']),
        (workload("Deployment", template={"metadata": {"labels": LABELS}}), ["spec.template.spec.containers: Required value"]),
        (workload("Deployment", strategy={"type": "Recreate", "rollingUpdate": {}}), ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]),
        (workload("Deployment", strategy={"type": "Blue"}), ['spec.strategy: Unsupported value: {"type":"Blue"}: supported values: "Recreate", "RollingUpdate"']),
        (workload("Deployment", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}), ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"]),
        (workload("Deployment", strategy={"rollingUpdate": {"maxUnavailable": "101%"}}), ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        (workload("Deployment", strategy={"rollingUpdate": {"maxSurge": "a lot"}}), ["spec.strategy.rollingUpdate.maxSurge: Invalid value: \"a lot\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"]),
        (workload("Deployment", minReadySeconds=600), ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"]),
        (workload("Deployment", template=template(activeDeadlineSeconds=3)), ["spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"]),
        (workload("ReplicaSet", selector={"matchExpressions": [{"key": "app", "operator": "In"}]}), ["spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"]),
        (workload("ReplicaSet", selector={"matchExpressions": [{"key": "app", "operator": "Like"}]}), ['spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator']),
        (workload("ReplicationController", selector={"a": "b"}), [f'spec.template.metadata.labels: Invalid value: {{"app":"x"}}: {MISMATCH}']),
        (workload("DaemonSet", selector={"matchLabels": {"a": "b"}}), [f'spec.template.metadata.labels: Invalid value: {{"app":"x"}}: {MISMATCH}']),
        (workload("DaemonSet", updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}), ["spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"]),
        (workload("StatefulSet", podManagementPolicy="Random"), ["spec.podManagementPolicy: Invalid value: \"Random\": must be 'OrderedReady' or 'Parallel'"]),
        (workload("StatefulSet", updateStrategy={"type": "OnDelete", "rollingUpdate": {"partition": 1}}), ["spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'"]),
        (job(template=template()), ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
        (job(backoffLimit=-1), ["spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"]),
        (job(completionMode="Indexed", parallelism=2), ["spec.completions: Required value: when completion mode is Indexed"]),
        (job(selector={"matchLabels": LABELS}), ['spec.selector: Invalid value: {"matchLabels":{"app":"x","batch.kubernetes.io/controller-uid":"uid-1"}}: `selector` not auto-generated']),
        (job(manualSelector=True), ["spec.selector: Required value"]),
        (job(manualSelector=True, selector={"matchLabels": LABELS}), []),
        (cron(schedule=None), ["spec.schedule: Required value"]),
        (cron(schedule="* * *"), ['spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]']),
        (cron(schedule="TZ=UTC * * * * *"), ['spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead']),
        (cron(timeZone="Nowhere/Land"), ['spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land']),
        (cron(concurrencyPolicy="Maybe"), ['spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"']),
        ({**cron(), "metadata": {"name": "a" * 53}}, ['metadata.name: Invalid value: "' + "a" * 53 + '": must be no more than 52 characters']),
        (hpa(maxReplicas=0), ["spec.maxReplicas: Invalid value: 0: must be greater than 0", "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`"]),
        (hpa(scaleTargetRef={"kind": "Deployment"}), ["spec.scaleTargetRef.name: Required value"]),
        (hpa(metrics=[{"type": "Resource"}]), ["spec.metrics[0].resource: Required value: must populate information for the given metric source"]),
        (budget(minAvailable=1, maxUnavailable=1), ['spec: Invalid value: {"maxUnavailable":1,"minAvailable":1}: minAvailable and maxUnavailable cannot be both set']),
        (budget(maxUnavailable="200%"), ['spec.maxUnavailable: Invalid value: "200%": must not be greater than 100%']),
        ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "system-x"}, "value": 1}, ["metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only"]),
        ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "x"}, "value": 2000000000}, ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
    ],
)  # fmt: skip
def test_bad_ones(kinds, obj: dict, expected: list[str]) -> None:
    assert kinds.errors(obj) == expected


@pytest.mark.parametrize(
    ("obj", "changes", "expected"),
    [
        (workload("Deployment"), {"spec__replicas": 5}, []),
        (
            workload("Deployment"),
            {"spec__selector": {"matchLabels": {"app": "x", "b": "c"}}, "spec__template__metadata__labels": {"app": "x", "b": "c"}},
            ['spec.selector: Invalid value: {"matchLabels":{"app":"x","b":"c"}}: field is immutable'],
        ),
        (workload("StatefulSet"), {"spec__replicas": 5, "spec__template__spec__hostname": "h"}, []),
        (
            workload("StatefulSet"),
            {"spec__serviceName": "other"},
            ["spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"],
        ),
        (job(), {"spec__parallelism": 5, "spec__suspend": True}, []),
        (job(), {"spec__completions": 5}, ["spec.completions: Invalid value: 5: field is immutable"]),
        (job(suspend=True), {"spec__template__spec__nodeSelector": {"a": "b"}}, []),
        (cron(), {"spec__schedule": "bad"}, ['spec.schedule: Invalid value: "bad": expected exactly 5 fields, found 1: [bad]']),
    ],
)  # fmt: skip
def test_changes(kinds, obj: dict, changes: dict, expected: list[str]) -> None:
    assert kinds.update(kinds.create(obj), **changes)[1] == expected


def test_stateful_pods_mount_claims_that_only_they_get(kinds) -> None:
    mounted = template(containers=[{**C, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}])
    claims = [
        {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    ]
    assert kinds.errors(workload("StatefulSet", template=mounted, volumeClaimTemplates=claims)) == []
    assert kinds.errors(workload("Deployment", template=mounted)) == [
        'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'
    ]


def test_a_running_jobs_template_stays(kinds) -> None:
    found = kinds.update(kinds.create(job()), spec__template__spec__nodeSelector={"a": "b"})[1]
    assert len(found) == 1
    assert found[0].startswith("spec.template: Invalid value: {")
    assert found[0].endswith("field is immutable")


def test_jobs_select_their_own_pods(kinds) -> None:
    spec = kinds.create(job())["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "uid-1"}}
    assert spec["template"]["metadata"]["labels"] == {
        "app": "x",
        "batch.kubernetes.io/controller-uid": "uid-1",
        "batch.kubernetes.io/job-name": "a",
        "controller-uid": "uid-1",
        "job-name": "a",
    }


def test_jobs_without_labels_have_those_of_their_template(kinds) -> None:
    wanted = job()
    del wanted["spec"]["template"]["metadata"]["labels"]
    found = kinds.create(wanted)
    assert found["metadata"]["labels"] == found["spec"]["template"]["metadata"]["labels"]
    assert found["metadata"]["labels"]["job-name"] == "a"


def test_daemon_sets_count_their_templates(kinds) -> None:
    old = kinds.create(workload("DaemonSet"))
    key = "deprecated.daemonset.template.generation"
    assert old["metadata"]["annotations"] == {key: "1"}
    assert kinds.update(old, spec__minReadySeconds=3)[0]["metadata"]["annotations"] == {key: "1"}
    assert kinds.update(old, spec__template__spec__hostname="h")[0]["metadata"]["annotations"] == {key: "2"}


def test_counts_fit_each_other(kinds) -> None:
    old = kinds.create(workload("ReplicaSet"))
    new = {**old, "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 2}}
    found = [str(error) for error in kinds.resource(old).strategy.validate_status_update(new, old)]
    assert found == [
        "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
        "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas",
    ]


def test_status_comes_through_status_only(kinds) -> None:
    old = kinds.create(workload("Deployment"))
    assert old["status"] == {}
    new, errors = kinds.update(old, status={"replicas": 9}, spec__paused=True)
    assert (new["status"], errors) == ({}, [])
    new = {
        **old,
        "spec": {},
        "status": {"replicas": 1},
        "metadata": {**old["metadata"], "labels": {"a": "b"}},
    }
    kinds.resource(old).strategy.prepare_for_status_update(new, old)
    assert new == {**old, "status": {"replicas": 1}}


def test_flags(kinds) -> None:
    strategies = {
        kind: kinds.resource(workload(kind)).strategy for kind in ("ReplicaSet", "ReplicationController")
    }
    assert strategies["ReplicaSet"].default_propagation == "Background"
    assert strategies["ReplicationController"].default_propagation == "Orphan"
    assert kinds.resource(job()).strategy.default_propagation == "Orphan"
    assert not kinds.resource(budget()).strategy.allow_unconditional_update
    assert kinds.resource(job()).strategy.has_generation
    assert not kinds.resource(hpa()).strategy.has_generation


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "*/5 0-6 1,15 jan-dec mon-fri", "@hourly", "@every 1h30m", "0 0 ? * 6", "5/15 * * * *"],
)
def test_good_schedules(schedule: str) -> None:
    assert cron_problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
        ("", "expected exactly 5 fields, found 0: []"),
    ],
)
def test_bad_schedules(schedule: str, problem: str) -> None:
    assert cron_problem(schedule) == problem
