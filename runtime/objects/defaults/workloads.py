"""Defaults of apps, batch, autoscaling, policy and scheduling kinds (pkg/apis/*/v1/defaults.go)."""

from __future__ import annotations

from typing import Any

from ..errors import Obj
from .core import default_persistent_volume_claim
from .pods import default_pod_spec

SCALE_UP: Obj = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
SCALE_DOWN: Obj = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


def _template(spec: Obj) -> None:
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def default_deployment(obj: Obj) -> None:
    """One replica, a rolling update of a quarter, ten revisions, ten minutes."""
    spec = obj.setdefault("spec", {})
    _template(spec)
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def default_replica_set(obj: Obj) -> None:
    """One replica."""
    spec = obj.setdefault("spec", {})
    _template(spec)
    spec.setdefault("replicas", 1)


def default_daemon_set(obj: Obj) -> None:
    """A rolling update one node at a time, ten revisions."""
    spec = obj.setdefault("spec", {})
    _template(spec)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)


def default_stateful_set(obj: Obj) -> None:
    """Ordered pods, rolling update from ordinal 0, claims retained, ten revisions."""
    spec = obj.setdefault("spec", {})
    _template(spec)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    for claim in spec.get("volumeClaimTemplates") or ():
        # a template is written as a whole claim, with its type, as upstream writes it
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        default_persistent_volume_claim(claim)


def _pod_failure_policy(spec: Obj) -> None:
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):  # this field is written empty where it was left out
                pattern["status"] = "True"


def default_job_spec(spec: Obj) -> None:
    """What a job's spec lacks, whether its own or a CronJob's template."""
    _template(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    if "backoffLimitPerIndex" in spec:
        spec.setdefault("backoffLimit", 2147483647)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    _pod_failure_policy(spec)


def default_job(obj: Obj) -> None:
    """One completion, six retries, labels from the template."""
    spec = obj.setdefault("spec", {})
    default_job_spec(spec)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    metadata = obj.setdefault("metadata", {})
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def default_cron_job(obj: Obj) -> None:
    """Concurrent runs allowed, three successes and one failure kept. The job template keeps its own gaps."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    _template(job)
    _pod_failure_policy(job)


def _rules(given: Obj | None, otherwise: Obj) -> Obj:
    """Scaling rules with the gaps filled (``copyHPAScalingRules``)."""
    rules: dict[str, Any] = {**otherwise, "policies": [dict(one) for one in otherwise["policies"]]}
    rules.update(given or {})
    return rules


def default_autoscaler_v2(obj: Obj) -> None:
    """One replica at least, 80 % CPU, and whole rules where behaviour is given at all."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if "behavior" in spec:
        behavior = spec["behavior"]
        behavior["scaleUp"] = _rules(behavior.get("scaleUp"), SCALE_UP)
        behavior["scaleDown"] = _rules(behavior.get("scaleDown"), SCALE_DOWN)


def default_autoscaler_v1(obj: Obj) -> None:
    """One replica at least; the CPU default comes with the conversion to v2."""
    obj.setdefault("spec", {}).setdefault("minReplicas", 1)


def default_priority_class(obj: Obj) -> None:
    """Lower priorities may be preempted."""
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
