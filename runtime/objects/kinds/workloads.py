"""The kinds that run and scale pods: apps, batch, autoscaling, policy and scheduling."""

from __future__ import annotations

from ..registry import Resource, ScalePaths
from ..strategies import workloads as strategies
from ..strategies.autoscaling import HPA_V1, HPA_V2, hpa_v1_from_v2, hpa_v2_from_v1
from .entry import ALL, entry, select


def apps() -> list[Resource]:
    """``apps/v1``."""
    return [
        entry(
            "apps",
            "v1",
            "ControllerRevision",
            "controllerrevisions",
            strategy=strategies.CONTROLLER_REVISION,
        ),
        entry(
            "apps",
            "v1",
            "DaemonSet",
            "daemonsets",
            short=("ds",),
            categories=ALL,
            status=True,
            strategy=strategies.DAEMON_SET,
        ),
        entry(
            "apps",
            "v1",
            "Deployment",
            "deployments",
            short=("deploy",),
            categories=ALL,
            status=True,
            strategy=strategies.DEPLOYMENT,
            scale=ScalePaths(),
        ),
        entry(
            "apps",
            "v1",
            "ReplicaSet",
            "replicasets",
            short=("rs",),
            categories=ALL,
            status=True,
            strategy=strategies.REPLICA_SET,
            fields=select("status.replicas", zero="0"),
            scale=ScalePaths(),
        ),
        entry(
            "apps",
            "v1",
            "StatefulSet",
            "statefulsets",
            short=("sts",),
            categories=ALL,
            status=True,
            strategy=strategies.STATEFUL_SET,
            scale=ScalePaths(),
        ),
    ]


def batch() -> list[Resource]:
    """``batch/v1``."""
    return [
        entry(
            "batch",
            "v1",
            "CronJob",
            "cronjobs",
            short=("cj",),
            categories=ALL,
            status=True,
            strategy=strategies.CRON_JOB,
        ),
        entry(
            "batch",
            "v1",
            "Job",
            "jobs",
            categories=ALL,
            status=True,
            strategy=strategies.JOB,
            fields=select("status.successful", zero="0"),
        ),
    ]


def autoscaling() -> list[Resource]:
    """``autoscaling/v2``, which owns the store, and ``autoscaling/v1``, which is a view of it."""
    return [
        entry(
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            short=("hpa",),
            categories=ALL,
            status=True,
            strategy=HPA_V2,
        ),
        entry(
            "autoscaling",
            "v1",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            short=("hpa",),
            categories=ALL,
            status=True,
            strategy=HPA_V1,
            storage="horizontalpodautoscalers.autoscaling",
            to_storage=hpa_v2_from_v1,
            from_storage=hpa_v1_from_v2,
        ),
    ]


def policy() -> list[Resource]:
    """``policy/v1``."""
    return [
        entry(
            "policy",
            "v1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            short=("pdb",),
            status=True,
            strategy=strategies.DISRUPTION_BUDGET,
        ),
    ]


def scheduling() -> list[Resource]:
    """``scheduling.k8s.io/v1``."""
    return [
        entry(
            "scheduling.k8s.io",
            "v1",
            "PriorityClass",
            "priorityclasses",
            namespaced=False,
            short=("pc",),
            strategy=strategies.PRIORITY_CLASS,
        ),
    ]
