"""The rules of HorizontalPodAutoscalers (pkg/apis/autoscaling/validation/validation.go)."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Obj, forbidden_field, invalid, required
from ..quantity import parse
from .meta import Errors, add, check_meta, check_meta_update, check_selector, non_negative, one_of
from .names import path_segment

METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
TARGET_TYPES = ("Utilization", "Value", "AverageValue")
MAX_PERIOD = 1800
MAX_WINDOW = 3600


def _reference(reference: Obj, path: str, errors: Errors) -> None:
    for name in ("kind", "name"):
        value = reference.get(name) or ""
        if not value:
            errors.append(required(f"{path}.{name}"))
        else:
            add(errors, f"{path}.{name}", value, path_segment(value))


def _target(target: Obj, path: str, errors: Errors) -> None:
    kind = target.get("type") or ""
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in TARGET_TYPES:
        sentence = "must be either Utilization, Value, or AverageValue"
        errors.append(invalid(f"{path}.type", kind, sentence))
    for name in ("value", "averageValue"):
        if target.get(name) is not None and parse(target[name]).nano <= 0:
            errors.append(invalid(f"{path}.{name}", target[name], "must be positive"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        errors.append(invalid(f"{path}.averageUtilization", utilization, "must be greater than 0"))


def _metric_name(metric: Obj, path: str, errors: Errors) -> None:
    name = metric.get("name") or ""
    if not name:
        errors.append(required(f"{path}.name", "must specify a metric name"))
    else:
        add(errors, f"{path}.name", name, path_segment(name))
    check_selector(metric.get("selector"), f"{path}.selector", errors)


def _resource(source: Obj, path: str, errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name", "must specify a resource name"))
    target = source.get("target") or {}
    _target(target, f"{path}.target", errors)
    utilization, average = target.get("averageUtilization"), target.get("averageValue")
    place = f"{path}.target.averageUtilization"
    if utilization is None and average is None:
        sentence = "must set either a target raw value or a target utilization"
        errors.append(required(place, sentence))
    if utilization is not None and average is not None:
        sentence = "may not set both a target raw value and a target utilization"
        errors.append(forbidden_field(f"{path}.target.averageValue", sentence))


def _container_resource(source: Obj, path: str, errors: Errors) -> None:
    _resource(source, path, errors)
    if not source.get("container"):
        errors.append(required(f"{path}.container", "must specify a container name"))


def _pods(source: Obj, path: str, errors: Errors) -> None:
    _metric_name(source.get("metric") or {}, f"{path}.metric", errors)
    target = source.get("target") or {}
    _target(target, f"{path}.target", errors)
    average = target.get("averageValue")
    if average is None or parse(average).nano <= 0:
        sentence = "must specify a positive target averageValue"
        errors.append(required(f"{path}.target.averageValue", sentence))


def _object(source: Obj, path: str, errors: Errors) -> None:
    _reference(source.get("describedObject") or {}, f"{path}.describedObject", errors)
    _metric_name(source.get("metric") or {}, f"{path}.metric", errors)
    target = source.get("target") or {}
    _target(target, f"{path}.target", errors)
    if target.get("value") is None and target.get("averageValue") is None:
        sentence = "must set either a target value or averageValue"
        errors.append(required(f"{path}.target.averageValue", sentence))


def _external(source: Obj, path: str, errors: Errors) -> None:
    _metric_name(source.get("metric") or {}, f"{path}.metric", errors)
    target = source.get("target") or {}
    _target(target, f"{path}.target", errors)
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        sentence = "must set either a target value for metric or a per-pod target"
        errors.append(required(f"{path}.target.averageValue", sentence))
    if value is not None and average is not None:
        sentence = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden_field(f"{path}.target.value", sentence))


_SOURCES: dict[str, tuple[str, Callable[[Obj, str, Errors], None]]] = {
    "ContainerResource": ("containerResource", _container_resource),
    "External": ("external", _external),
    "Object": ("object", _object),
    "Pods": ("pods", _pods),
    "Resource": ("resource", _resource),
}


def _metric(metric: Obj, path: str, errors: Errors) -> None:
    kind = metric.get("type") or ""
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    elif kind not in METRIC_TYPES:
        one_of(kind, METRIC_TYPES, f"{path}.type", errors)
    given = [name for name, _ in _SOURCES.values() if metric.get(name) is not None]
    for name, check in _SOURCES.values():
        if metric.get(name) is not None:
            if name != given[0]:
                sentence = "must populate the given metric source only"
                errors.append(forbidden_field(f"{path}.{name}", sentence))
            else:
                check(metric[name], f"{path}.{name}", errors)
    expected = _SOURCES[kind][0] if kind in _SOURCES else ""
    if expected and expected not in given:
        sentence = "must populate information for the given metric source"
        errors.append(required(f"{path}.{expected}", sentence))


def _rules(rules: Obj | None, path: str, errors: Errors) -> None:
    if rules is None:
        return
    window = rules.get("stabilizationWindowSeconds")
    place = f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.append(invalid(place, window, "must be greater than or equal to zero"))
    if window is not None and window > MAX_WINDOW:
        errors.append(invalid(place, window, f"must be less than or equal to {MAX_WINDOW}"))
    policy = rules.get("selectPolicy")
    one_of(policy, ("Disabled", "Max", "Min"), f"{path}.selectPolicy", errors, needed=False)
    policies = rules.get("policies") or ()
    if not policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, one in enumerate(policies):
        where = f"{path}.policies[{index}]"
        one_of(one.get("type") or "-", ("Percent", "Pods"), f"{where}.type", errors)
        for name in ("value", "periodSeconds"):
            if one.get(name, 0) <= 0:
                errors.append(invalid(f"{where}.{name}", one.get(name, 0), "must be greater than zero"))
        if one.get("periodSeconds", 0) > MAX_PERIOD:
            sentence = f"must be less than or equal to {MAX_PERIOD}"
            errors.append(invalid(f"{where}.periodSeconds", one["periodSeconds"], sentence))


def _spec(spec: Obj, errors: Errors) -> None:
    minimum, maximum = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if minimum is not None and minimum < 1:
        sentence = "must be greater than or equal to 1"
        errors.append(invalid("spec.minReplicas", minimum, sentence))
    if maximum < 1:
        errors.append(invalid("spec.maxReplicas", maximum, "must be greater than 0"))
    if minimum is not None and maximum < minimum:
        sentence = "must be greater than or equal to `minReplicas`"
        errors.append(invalid("spec.maxReplicas", maximum, sentence))
    _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef", errors)
    for index, metric in enumerate(spec.get("metrics") or ()):
        _metric(metric, f"spec.metrics[{index}]", errors)
    behavior = spec.get("behavior") or {}
    _rules(behavior.get("scaleUp"), "spec.behavior.scaleUp", errors)
    _rules(behavior.get("scaleDown"), "spec.behavior.scaleDown", errors)
    percentage = spec.get("targetCPUUtilizationPercentage")
    if percentage is not None and percentage < 1:
        place = "spec.targetCPUUtilizationPercentage"
        errors.append(invalid(place, percentage, "must be greater than 0"))


def check_autoscaler(obj: Obj) -> Errors:
    """A new autoscaler of either version."""
    errors: Errors = []
    check_meta(obj, errors)
    _spec(obj.get("spec") or {}, errors)
    return errors


def check_autoscaler_update(new: Obj, old: Obj) -> Errors:
    """A changed autoscaler of either version."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _spec(new["spec"], errors)
    return errors


def check_autoscaler_status(new: Obj, old: Obj) -> Errors:
    """An autoscaler's counts are counts."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    status = new.get("status") or {}
    for name in ("currentReplicas", "desiredReplicas"):
        non_negative(status.get(name), f"status.{name}", errors)
    return errors
