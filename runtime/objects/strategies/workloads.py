"""The kinds that run pods for somebody: apps, batch, policy and scheduling (registry/*/strategy.go)."""

from __future__ import annotations

from ..defaults.workloads import (
    default_cron_job,
    default_daemon_set,
    default_deployment,
    default_job,
    default_priority_class,
    default_replica_set,
    default_stateful_set,
)
from ..errors import Obj
from ..meta import annotations_of
from ..validation import jobs
from ..validation import workloads as rules
from ..validation.warnings import cron_job_warnings, template_warnings
from .base import KindStrategy

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
TRACKING = "batch.kubernetes.io/job-tracking"


class DaemonSetStrategy(KindStrategy):
    """DaemonSets count the changes of their template in an annotation."""

    def prepare_for_create(self, obj: Obj) -> None:
        """The first template."""
        super().prepare_for_create(obj)
        _count_template(obj, 1)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """One more where the template changed."""
        super().prepare_for_update(new, old)
        counted = annotations_of(old).get(TEMPLATE_GENERATION, "1")
        number = int(counted) if counted.isdigit() else 1
        changed = new["spec"].get("template") != old["spec"].get("template")
        _count_template(new, number + 1 if changed else number)


def _count_template(obj: Obj, number: int) -> None:
    metadata = obj["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: str(number)}


class JobStrategy(KindStrategy):
    """Jobs get a selector that only their own pods can match."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Selector and template labels from the job's uid, unless the manifest brings its own."""
        super().prepare_for_create(obj)
        spec = obj["spec"]
        if spec.get("manualSelector") is True:
            return
        metadata = obj["metadata"]
        uid, name = metadata.get("uid", ""), metadata.get("name", "")
        template = spec.setdefault("template", {}).setdefault("metadata", {})
        labels = template["labels"] = dict(template.get("labels") or {})
        for key, value in (
            ("controller-uid", uid),
            ("job-name", name),
            (CONTROLLER_UID, uid),
            (JOB_NAME, name),
        ):
            labels.setdefault(key, value)
        selector = spec.setdefault("selector", {})
        matched = selector["matchLabels"] = dict(selector.get("matchLabels") or {})
        matched.setdefault(CONTROLLER_UID, uid)
        if not metadata.get("labels"):  # as defaulting does with every Job that is read back from storage
            metadata["labels"] = dict(labels)


CONTROLLER_REVISION = KindStrategy(
    check=rules.check_controller_revision, compare=rules.check_controller_revision_update
)
DAEMON_SET = DaemonSetStrategy(
    default=default_daemon_set,
    check=rules.check_daemon_set,
    compare=rules.check_daemon_set_update,
    compare_status=rules.check_daemon_set_status,
    warn=template_warnings,
    status="apps.v1.DaemonSetStatus",
    generation=True,
)
DEPLOYMENT = KindStrategy(
    default=default_deployment,
    check=rules.check_deployment,
    compare=rules.check_deployment_update,
    compare_status=rules.check_deployment_status,
    warn=template_warnings,
    status="apps.v1.DeploymentStatus",
    status_keeps="labels",
    generation=True,
)
REPLICA_SET = KindStrategy(
    default=default_replica_set,
    check=rules.check_replica_set,
    compare=rules.check_replica_set_update,
    compare_status=rules.check_replica_set_status,
    warn=template_warnings,
    status="apps.v1.ReplicaSetStatus",
    generation=True,
)
STATEFUL_SET = KindStrategy(
    default=default_stateful_set,
    check=rules.check_stateful_set,
    compare=rules.check_stateful_set_update,
    compare_status=rules.check_stateful_set_status,
    warn=template_warnings,
    status="apps.v1.StatefulSetStatus",
    generation=True,
)
CRON_JOB = KindStrategy(
    default=default_cron_job,
    check=jobs.check_cron_job,
    compare=jobs.check_cron_job_update,
    warn=cron_job_warnings,
    status="batch.v1.CronJobStatus",
    generation=True,
)
JOB = JobStrategy(
    default=default_job,
    check=jobs.check_job,
    compare=jobs.check_job_update,
    compare_status=jobs.check_job_status,
    warn=template_warnings,
    status="batch.v1.JobStatus",
    generation=True,
    propagation="Orphan",
)
DISRUPTION_BUDGET = KindStrategy(
    check=rules.check_budget,
    compare=rules.check_budget_update,
    compare_status=rules.check_budget_status,
    status="policy.v1.PodDisruptionBudgetStatus",
    generation=True,
    unconditional_update=False,
)
PRIORITY_CLASS = KindStrategy(
    default=default_priority_class,
    check=rules.check_priority_class,
    compare=rules.check_priority_class_update,
    generation=True,
)
