"""Tables of everything that makes pods: controllers, jobs, autoscalers, revisions.

Follows kubernetes ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..clock import parse_time
from ..errors import Obj, qualified
from ..meta import controller_of
from ..selectors import SelectorError, format_label_selector, format_labels, label_selector
from .duration import human_duration, since
from .table import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    age,
    amount,
    boolean,
    condition_status,
    container_cells,
    integer,
    name_of,
    part,
    prints,
    template_spec,
    text,
    true_or_false,
    wide,
)

_SELECTOR = wide("Selector", "The label query over pods.")
_REPLICAS = (
    NAME,
    integer("Desired", "The number of pods asked for."),
    integer("Current", "The number of pods there are."),
    integer("Ready", "The number of pods that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    _SELECTOR,
)


def _replicas(obj: Obj, now: datetime) -> list[Any]:
    status = part(obj, "status")
    return [
        name_of(obj),
        part(obj, "spec").get("replicas") or 0,
        status.get("replicas") or 0,
        status.get("readyReplicas") or 0,
        age(obj, now),
        *container_cells(template_spec(obj)),
    ]


@prints(("", "ReplicationController"), columns=_REPLICAS)
def _replication_controller(obj: Obj, now: datetime) -> list[Any]:
    return [*_replicas(obj, now), format_labels(part(obj, "spec").get("selector"))]


@prints(("apps", "ReplicaSet"), columns=_REPLICAS)
def _replica_set(obj: Obj, now: datetime) -> list[Any]:
    return [*_replicas(obj, now), format_label_selector(part(obj, "spec").get("selector"))]


@prints(
    ("apps", "Deployment"),
    columns=(
        NAME,
        text("Ready", "Number of the pod with ready state"),
        text("Up-to-date", "The number of pods of the newest template."),
        text("Available", "The number of pods ready for at least minReadySeconds."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
)
def _deployment(obj: Obj, now: datetime) -> list[Any]:
    spec, status = part(obj, "spec"), part(obj, "status")
    try:
        selector = str(label_selector(spec.get("selector")))
    except SelectorError:
        selector = "<invalid>"
    return [
        name_of(obj),
        f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
        status.get("updatedReplicas") or 0,
        status.get("availableReplicas") or 0,
        age(obj, now),
        *container_cells(template_spec(obj)),
        selector,
    ]


@prints(
    ("apps", "StatefulSet"),
    columns=(NAME, text("Ready", "Number of the pod with ready state"), AGE, CONTAINERS, IMAGES),
)
def _stateful_set(obj: Obj, now: datetime) -> list[Any]:
    ready = f"{part(obj, 'status').get('readyReplicas') or 0}/{part(obj, 'spec').get('replicas') or 0}"
    return [name_of(obj), ready, age(obj, now), *container_cells(template_spec(obj))]


@prints(
    ("apps", "DaemonSet"),
    columns=(
        NAME,
        integer("Desired", "The number of nodes that should run the pod."),
        integer("Current", "The number of nodes that should and do run it."),
        integer("Ready", "The number of nodes where it is ready."),
        integer("Up-to-date", "The number of nodes with a pod of the newest template."),
        integer("Available", "The number of nodes where it is ready for at least minReadySeconds."),
        text("Node Selector", "The labels a node must have."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
)
def _daemon_set(obj: Obj, now: datetime) -> list[Any]:
    status, pod_spec = part(obj, "status"), template_spec(obj)
    return [
        name_of(obj),
        status.get("desiredNumberScheduled") or 0,
        status.get("currentNumberScheduled") or 0,
        status.get("numberReady") or 0,
        status.get("updatedNumberScheduled") or 0,
        status.get("numberAvailable") or 0,
        format_labels(pod_spec.get("nodeSelector")),
        age(obj, now),
        *container_cells(pod_spec),
        format_label_selector(part(obj, "spec").get("selector")),
    ]


_JOB_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def _job_status(obj: Obj) -> str:
    for condition, shown in _JOB_STATES:
        if condition:
            if condition_status(obj, condition) == "True":
                return shown
        elif part(obj, "metadata").get("deletionTimestamp"):
            return shown
    return "Running"


@prints(
    ("batch", "Job"),
    columns=(
        NAME,
        text("Status", "Status of the job."),
        text("Completions", "The number of pods that succeeded."),
        text("Duration", "Time required to complete the job."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
)
def _job(obj: Obj, now: datetime) -> list[Any]:
    spec, status = part(obj, "spec"), part(obj, "status")
    succeeded, parallelism = status.get("succeeded") or 0, spec.get("parallelism") or 0
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    elif parallelism > 1:
        completions = f"{succeeded}/1 of {parallelism}"
    else:
        completions = f"{succeeded}/1"
    lasted = ""
    if started := status.get("startTime"):
        ended = status.get("completionTime")
        lasted = human_duration((parse_time(ended) if ended else now) - parse_time(started))
    return [
        name_of(obj),
        _job_status(obj),
        completions,
        lasted,
        age(obj, now),
        *container_cells(template_spec(obj)),
        format_label_selector(spec.get("selector")),
    ]


@prints(
    ("batch", "CronJob"),
    columns=(
        NAME,
        text("Schedule", "The schedule in Cron format."),
        text("Timezone", "The time zone of the schedule."),
        boolean("Suspend", "Whether no more runs are started."),
        integer("Active", "The number of jobs that run now."),
        text("Last Schedule", "Time since the last run was started."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
)
def _cron_job(obj: Obj, now: datetime) -> list[Any]:
    spec, status = part(obj, "spec"), part(obj, "status")
    job_spec = part(part(spec, "jobTemplate"), "spec")
    last = status.get("lastScheduleTime")
    return [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        true_or_false(spec.get("suspend")),
        len(status.get("active") or ()),
        since(last, now) if last else NONE,
        age(obj, now),
        *container_cells(part(part(job_spec, "template"), "spec")),
        format_label_selector(job_spec.get("selector")),
    ]


def _percent(value: Any, absent: str) -> str:
    return absent if value is None else f"{value}%"


def _metric(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """One metric of an autoscaler as ``current/target``."""
    kind = spec.get("type", "")
    field = kind[:1].lower() + kind[1:]
    if kind not in ("External", "Pods", "Object", "Resource", "ContainerResource"):
        return "<unknown type>"
    source, seen = part(spec, field), status.get(field)
    target, current = part(source, "target"), part(seen or {}, "current")
    average = target.get("averageValue")
    if kind in ("Resource", "ContainerResource"):
        prefix = f"{source.get('name', '')}: "
        if average is not None:
            return f"{prefix}{amount(current.get('averageValue')) if seen else UNKNOWN}/{amount(average)}"
        now_at = _percent(current.get("averageUtilization"), UNKNOWN)
        return f"{prefix}{now_at}/{_percent(target.get('averageUtilization'), '<auto>')}"
    if kind == "Pods":
        return f"{amount(current.get('averageValue')) if seen else UNKNOWN}/{amount(average)}"
    if average is not None:
        reading = current.get("averageValue")
        return f"{UNKNOWN if reading is None else amount(reading)}/{amount(average)} (avg)"
    return f"{amount(current.get('value')) if seen else UNKNOWN}/{amount(target.get('value'))}"


def _metrics(specs: Sequence[Any], statuses: Sequence[Any]) -> str:
    if not specs:
        return NONE
    shown = [_metric(spec, statuses[i] if i < len(statuses) else {}) for i, spec in enumerate(specs)]
    more = f" + {len(shown) - 2} more..." if len(shown) > 2 else ""
    return ", ".join(shown[:2]) + more


@prints(
    ("autoscaling", "HorizontalPodAutoscaler"),
    columns=(
        NAME,
        text("Reference", "What is scaled."),
        text("Targets", "The metrics: current and wanted."),
        text("MinPods", "The fewest replicas."),
        text("MaxPods", "The most replicas."),
        text("Replicas", "The replicas there are."),
        AGE,
    ),
)
def _autoscaler(obj: Obj, now: datetime) -> list[Any]:
    spec, status = part(obj, "spec"), part(obj, "status")
    reference = part(spec, "scaleTargetRef")
    wanted = spec.get("targetCPUUtilizationPercentage")
    if wanted is not None:  # autoscaling/v1 has one metric, in fields of its own
        targets = f"cpu: {_percent(status.get('currentCPUUtilizationPercentage'), UNKNOWN)}/{wanted}%"
    else:
        targets = _metrics(spec.get("metrics") or (), status.get("currentMetrics") or ())
    minimum = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        targets,
        UNSET if minimum is None else str(minimum),
        spec.get("maxReplicas") or 0,
        status.get("currentReplicas") or 0,
        age(obj, now),
    ]


@prints(
    ("autoscaling", "Scale"),
    columns=(
        text("Name", NAME.description),
        integer("Desired", "The number of instances asked for."),
        integer("Available", "The number of instances there are."),
        AGE,
    ),
)
def _scale(obj: Obj, now: datetime) -> list[Any]:
    desired, there = part(obj, "spec").get("replicas") or 0, part(obj, "status").get("replicas") or 0
    return [name_of(obj), desired, there, age(obj, now)]


@prints(
    ("apps", "ControllerRevision"),
    columns=(
        NAME,
        text("Controller", "Controller of the object"),
        text("Revision", "The number of the revision."),
        AGE,
    ),
)
def _controller_revision(obj: Obj, now: datetime) -> list[Any]:
    owner = controller_of(obj)
    controller = NONE
    if owner is not None:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        controller = f"{qualified(owner.get('kind', ''), group).lower()}/{owner.get('name', '')}"
    return [name_of(obj), controller, obj.get("revision", 0), age(obj, now)]


@prints(
    ("policy", "PodDisruptionBudget"),
    columns=(
        NAME,
        text("Min Available", "The minimum number of pods that must be available."),
        text("Max Unavailable", "The maximum number of pods that may be unavailable."),
        integer("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time."),
        AGE,
    ),
)
def _disruption_budget(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        name_of(obj),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        part(obj, "status").get("disruptionsAllowed") or 0,
        age(obj, now),
    ]
