"""The rules of what runs pods: Deployments, ReplicaSets and their kin, budgets, priorities.

Follows pkg/apis/apps/validation/validation.go, pkg/apis/core/validation (ReplicationController),
pkg/apis/policy/validation and pkg/apis/scheduling/validation.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import Obj, forbidden_field, invalid, required
from ..selectors import SelectorError, from_labels, label_selector
from .meta import (
    Errors,
    add,
    check_annotations,
    check_labels,
    check_meta,
    check_meta_update,
    check_selector,
    immutable,
    non_negative,
    one_of,
    unsupported,
)
from .names import label_name, percent
from .podspec import check_template

MISMATCH = "`selector` does not match template `labels`"
STATUS_LIMIT = "cannot be greater than status.replicas"
READY_LIMIT = "cannot be greater than readyReplicas"
STATEFUL_MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
HIGHEST_PRIORITY = 1000000000


def template_labels(spec: Obj) -> dict[str, str]:
    """The labels of a template; none where there is no template."""
    labels: dict[str, str] | None = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    return labels or {}


def _selector(spec: Obj, what: str, errors: Errors, *, needed: bool = True) -> None:
    """A selector that selects something, and the template's pods among it."""
    selector = spec.get("selector")
    if selector is None:
        if needed:
            errors.append(required("spec.selector"))
        else:
            errors.append(invalid("spec.template.metadata.labels", template_labels(spec), MISMATCH))
        return
    before = len(errors)
    check_selector(selector, "spec.selector", errors)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", selector, f"empty selector is invalid for {what}"))
    if len(errors) > before:
        return
    try:
        matches = label_selector(selector).matches(template_labels(spec))
    except SelectorError as error:
        errors.append(invalid("spec.selector", selector, error.message))
        return
    if not matches:
        errors.append(invalid("spec.template.metadata.labels", template_labels(spec), MISMATCH))


def _always_running(spec: Obj, what: str, errors: Errors) -> None:
    """A template whose pods never end by themselves.

    A StatefulSet's template is not looked into further: its mounts may name claims that only its pods get, and
    upstream leaves the rest to the pods as well.
    """
    template = spec.get("template") or {}
    if what == "StatefulSet":
        metadata = template.get("metadata") or {}
        check_labels(metadata.get("labels"), "spec.template.labels", errors)
        check_annotations(metadata.get("annotations"), "spec.template.annotations", errors)
    else:
        check_template(template, "spec.template", errors)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") != "Always":
        place = "spec.template.spec.restartPolicy"
        errors.append(unsupported(place, pod.get("restartPolicy") or "", ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        place = "spec.template.spec.activeDeadlineSeconds"
        errors.append(forbidden_field(place, f"activeDeadlineSeconds in {what} is not Supported"))


def _numbers(spec: Obj, *names: str, errors: Errors, path: str = "spec") -> None:
    for name in names:
        non_negative(spec.get(name), f"{path}.{name}", errors)


def check_int_or_percent(value: Any, path: str, errors: Errors) -> None:
    """A count or a percentage (``ValidatePositiveIntOrPercent``)."""
    if isinstance(value, str):
        add(errors, path, value, percent(value))
    else:
        non_negative(value, path, errors)


def _percent_of(value: Any) -> int:
    found = re.fullmatch(r"(\d+)%", value) if isinstance(value, str) else None
    return int(found.group(1)) if found else 0


def at_most_all(value: Any, path: str, errors: Errors) -> None:
    """Not more than everything (``IsNotMoreThan100Percent``)."""
    if _percent_of(value) > 100:
        errors.append(invalid(path, value, "must not be greater than 100%"))


def _is_zero(value: Any) -> bool:
    return value in (None, 0) or (isinstance(value, str) and _percent_of(value) == 0)


def _deployment_strategy(strategy: Obj, errors: Errors) -> None:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    place = "spec.strategy.rollingUpdate"
    if kind == "Recreate":
        if rolling is not None:
            sentence = "may not be specified when strategy `type` is 'Recreate'"
            errors.append(forbidden_field(place, sentence))
    elif kind == "RollingUpdate":
        if rolling is None:
            errors.append(required(place, "this should be defaulted and never be nil"))
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        check_int_or_percent(unavailable, f"{place}.maxUnavailable", errors)
        check_int_or_percent(surge, f"{place}.maxSurge", errors)
        if _is_zero(unavailable) and _is_zero(surge):
            sentence = "may not be 0 when `maxSurge` is 0"
            errors.append(invalid(f"{place}.maxUnavailable", unavailable, sentence))
        at_most_all(unavailable, f"{place}.maxUnavailable", errors)
    elif not kind:
        errors.append(required("spec.strategy"))
    else:
        errors.append(unsupported("spec.strategy", strategy, ("Recreate", "RollingUpdate")))


def _deployment_spec(spec: Obj, errors: Errors) -> None:
    _numbers(spec, "replicas", errors=errors)
    _selector(spec, "deployment", errors)
    _always_running(spec, "ReplicaSet", errors)
    _deployment_strategy(spec.get("strategy") or {}, errors)
    _numbers(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", errors=errors)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        place = "spec.progressDeadlineSeconds"
        errors.append(invalid(place, deadline, "must be greater than minReadySeconds"))


def check_deployment(obj: Obj) -> Errors:
    """A new Deployment."""
    errors: Errors = []
    check_meta(obj, errors)
    _deployment_spec(obj.get("spec") or {}, errors)
    return errors


def check_deployment_update(new: Obj, old: Obj) -> Errors:
    """A changed Deployment; its selector stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    if new["spec"] != old["spec"]:
        _deployment_spec(new["spec"], errors)
        immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", errors)
    return errors


def _status_numbers(status: Obj, names: tuple[str, ...], errors: Errors) -> None:
    _numbers(status, "replicas", *names, errors=errors, path="status")
    total = status.get("replicas", 0)
    for name in names:
        if status.get(name, 0) > total:
            errors.append(invalid(f"status.{name}", status[name], STATUS_LIMIT))
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        errors.append(invalid("status.availableReplicas", available, READY_LIMIT))


def check_deployment_status(new: Obj, old: Obj) -> Errors:
    """A Deployment's counts fit each other."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    status, before = new.get("status") or {}, old.get("status") or {}
    _status_numbers(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), errors)
    collisions = before.get("collisionCount")
    if collisions is not None and (status.get("collisionCount") or 0) < collisions:
        value = status.get("collisionCount")
        errors.append(invalid("status.collisionCount", value, "cannot be decremented"))
    return errors


def _replica_set_spec(spec: Obj, errors: Errors) -> None:
    _numbers(spec, "replicas", "minReadySeconds", errors=errors)
    _selector(spec, "deployment", errors)
    if spec.get("template") is None:
        errors.append(required("spec.template"))
        return
    _always_running(spec, "ReplicaSet", errors)


def check_replica_set(obj: Obj) -> Errors:
    """A new ReplicaSet."""
    errors: Errors = []
    check_meta(obj, errors)
    _replica_set_spec(obj.get("spec") or {}, errors)
    return errors


def check_replica_set_update(new: Obj, old: Obj) -> Errors:
    """A changed ReplicaSet; its selector stays. Most changes are of the count alone."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    if new["spec"] != old["spec"]:
        _replica_set_spec(new["spec"], errors)
        immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", errors)
    return errors


def check_replica_set_status(new: Obj, old: Obj) -> Errors:
    """Counts of a ReplicaSet or ReplicationController fit each other."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    names = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    _status_numbers(new.get("status") or {}, names, errors)
    return errors


def _controller_spec(spec: Obj, errors: Errors) -> None:
    _numbers(spec, "minReadySeconds", "replicas", errors=errors)
    selector = spec.get("selector") or {}
    if not selector:
        errors.append(required("spec.selector"))
    if spec.get("template") is None:
        errors.append(required("spec.template"))
        return
    if selector and not from_labels(selector).matches(template_labels(spec)):
        errors.append(invalid("spec.template.metadata.labels", template_labels(spec), MISMATCH))
    _always_running(spec, "ReplicationController", errors)


def check_replication_controller(obj: Obj) -> Errors:
    """A new ReplicationController."""
    errors: Errors = []
    check_meta(obj, errors)
    _controller_spec(obj.get("spec") or {}, errors)
    return errors


def check_replication_controller_update(new: Obj, old: Obj) -> Errors:
    """A changed ReplicationController; its selector may change."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _controller_spec(new["spec"], errors)
    return errors


def _daemon_set_spec(spec: Obj, errors: Errors) -> None:
    _selector(spec, "daemonset", errors, needed=False)
    _always_running(spec, "DaemonSet", errors)
    _numbers(spec, "minReadySeconds", "revisionHistoryLimit", errors=errors)
    strategy = spec.get("updateStrategy") or {}
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    place = "spec.updateStrategy.rollingUpdate"
    if kind == "RollingUpdate":
        if rolling is None:
            errors.append(required(place))
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        check_int_or_percent(unavailable, f"{place}.maxUnavailable", errors)
        check_int_or_percent(surge, f"{place}.maxSurge", errors)
        at_most_all(unavailable, f"{place}.maxUnavailable", errors)
        at_most_all(surge, f"{place}.maxSurge", errors)
        if not _is_zero(unavailable) and not _is_zero(surge):
            sentence = "may not be set when maxUnavailable is non-zero"
            errors.append(invalid(f"{place}.maxSurge", surge, sentence))
        elif _is_zero(unavailable) and _is_zero(surge):
            errors.append(required(f"{place}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    elif kind != "OnDelete":
        supported = ("RollingUpdate", "OnDelete")
        errors.append(unsupported("spec.updateStrategy", strategy, supported))


def check_daemon_set(obj: Obj) -> Errors:
    """A new DaemonSet."""
    errors: Errors = []
    check_meta(obj, errors)
    _daemon_set_spec(obj.get("spec") or {}, errors)
    return errors


def check_daemon_set_update(new: Obj, old: Obj) -> Errors:
    """A changed DaemonSet; its selector stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    if new["spec"] != old["spec"]:
        _daemon_set_spec(new["spec"], errors)
        immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector", errors)
    return errors


def check_daemon_set_status(new: Obj, old: Obj) -> Errors:
    """A DaemonSet's counts are counts."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    names = (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    )
    _numbers(new.get("status") or {}, *names, errors=errors, path="status")
    return errors


def _stateful_set_spec(spec: Obj, errors: Errors) -> None:
    policy = spec.get("podManagementPolicy")
    if policy not in ("OrderedReady", "Parallel"):
        sentence = "must be 'OrderedReady' or 'Parallel'"
        place = "spec.podManagementPolicy"
        errors.append(invalid(place, policy, sentence) if policy else required(place))
    strategy = spec.get("updateStrategy") or {}
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        errors.append(required("spec.updateStrategy"))
    elif kind == "OnDelete":
        if rolling is not None:
            sentence = "only allowed for updateStrategy 'RollingUpdate'"
            errors.append(invalid("spec.updateStrategy.rollingUpdate", rolling, sentence))
    elif kind == "RollingUpdate":
        place = "spec.updateStrategy.rollingUpdate"
        _numbers(rolling or {}, "partition", errors=errors, path=place)
        unavailable = (rolling or {}).get("maxUnavailable")
        if unavailable is not None:
            check_int_or_percent(unavailable, f"{place}.maxUnavailable", errors)
            if _is_zero(unavailable):
                sentence = "cannot be 0"
                errors.append(invalid(f"{place}.maxUnavailable", unavailable, sentence))
            at_most_all(unavailable, f"{place}.maxUnavailable", errors)
    else:
        sentence = "must be 'RollingUpdate' or 'OnDelete'"
        errors.append(invalid("spec.updateStrategy", strategy, sentence))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled"):
        place = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        one_of(retention.get(name), ("Retain", "Delete"), place, errors, needed=False)
    _numbers(spec, "replicas", "minReadySeconds", errors=errors)
    start = (spec.get("ordinals") or {}).get("start")
    non_negative(start, "spec.ordinals.start", errors)
    _selector(spec, "statefulset", errors)
    _always_running(spec, "StatefulSet", errors)


def check_stateful_set(obj: Obj) -> Errors:
    """A new StatefulSet."""
    errors: Errors = []
    check_meta(obj, errors, name=label_name)
    _stateful_set_spec(obj.get("spec") or {}, errors)
    return errors


def check_stateful_set_update(new: Obj, old: Obj) -> Errors:
    """A changed StatefulSet: only a few fields may differ."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    spec, before = new["spec"], old["spec"]
    if spec == before:
        return errors
    _stateful_set_spec(spec, errors)
    for name in spec.keys() | before.keys():
        if name not in STATEFUL_MUTABLE and spec.get(name) != before.get(name):
            sentence = (
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                "'minReadySeconds' are forbidden"
            )
            errors.append(forbidden_field("spec", sentence))
            break
    return errors


def check_stateful_set_status(new: Obj, old: Obj) -> Errors:
    """A StatefulSet's counts fit each other."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    names = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    _status_numbers(new.get("status") or {}, names, errors)
    return errors


def check_controller_revision(obj: Obj) -> Errors:
    """A new ControllerRevision."""
    errors: Errors = []
    check_meta(obj, errors)
    if obj.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    non_negative(obj.get("revision"), "revision", errors)
    return errors


def check_controller_revision_update(new: Obj, old: Obj) -> Errors:
    """What a revision holds never changes."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    non_negative(new.get("revision"), "revision", errors)
    immutable(new.get("data"), old.get("data"), "data", errors)
    return errors


def _budget_spec(spec: Obj, errors: Errors) -> None:
    minimum, maximum = spec.get("minAvailable"), spec.get("maxUnavailable")
    if minimum is not None and maximum is not None:
        sentence = "minAvailable and maxUnavailable cannot be both set"
        errors.append(invalid("spec", spec, sentence))
    for name, value in (("minAvailable", minimum), ("maxUnavailable", maximum)):
        if value is not None:
            check_int_or_percent(value, f"spec.{name}", errors)
            at_most_all(value, f"spec.{name}", errors)
    check_selector(spec.get("selector"), "spec.selector", errors)
    policies = ("AlwaysAllow", "IfHealthyBudget")
    place = "spec.unhealthyPodEvictionPolicy"
    one_of(spec.get("unhealthyPodEvictionPolicy"), policies, place, errors, needed=False)


def check_budget(obj: Obj) -> Errors:
    """A new PodDisruptionBudget."""
    errors: Errors = []
    check_meta(obj, errors)
    _budget_spec(obj.get("spec") or {}, errors)
    return errors


def check_budget_update(new: Obj, old: Obj) -> Errors:
    """A changed PodDisruptionBudget."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _budget_spec(new["spec"], errors)
    return errors


def check_budget_status(new: Obj, old: Obj) -> Errors:
    """A budget's counts are counts."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    names = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    _numbers(new.get("status") or {}, *names, errors=errors, path="status")
    return errors


def check_priority_class(obj: Obj) -> Errors:
    """A new PriorityClass; the system's own two are fixed."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    name = (obj.get("metadata") or {}).get("name") or ""
    value = obj.get("value", 0)
    if name.startswith("system-"):
        known = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}
        if known.get(name) != value:
            sentence = "priority class names with 'system-' prefix are reserved for system use only"
            errors.append(forbidden_field("metadata.name", sentence))
    elif value > HIGHEST_PRIORITY:
        sentence = f"maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}"
        errors.append(forbidden_field("value", sentence))
    policies = ("Never", "PreemptLowerPriority")
    one_of(obj.get("preemptionPolicy"), policies, "preemptionPolicy", errors, needed=False)
    return errors


def check_priority_class_update(new: Obj, old: Obj) -> Errors:
    """The value and the policy stay."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    if new.get("value", 0) != old.get("value", 0):
        errors.append(forbidden_field("value", "may not be changed in an update."))
    immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy", errors)
    return errors
