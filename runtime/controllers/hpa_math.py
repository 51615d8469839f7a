"""The arithmetic of horizontal autoscaling, as pure functions.

After ``podautoscaler/{replica_calculator,horizontal}.go`` and ``podautoscaler/metrics/utilization.go``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runtime.objects import quantity
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj
from runtime.objects.meta import condition, is_deleting, name_of

from .pods import phase

TOLERANCE = 0.1
CPU_INITIALIZATION = 300.0
READINESS_DELAY = 30.0
DOWN_WINDOW = 300


class NoMetrics(Exception):
    """Nothing can be said: metrics or requests are missing."""


@dataclass(frozen=True, slots=True)
class PodMetrics:
    """What the pods of a moment used: millicores for ``cpu``, bytes for ``memory``, by container."""

    name: str
    timestamp: datetime
    window: float
    """Seconds the usage was measured over."""
    containers: Mapping[str, Mapping[str, int]]

    def usage(self, resource: str, container: str = "") -> int | None:
        """The use of all containers or of one; None when it was not measured."""
        if container:
            return self.containers.get(container, {}).get(resource)
        values = [amounts.get(resource) for amounts in self.containers.values()]
        if not values or any(value is None for value in values):
            return None
        return sum(value for value in values if value is not None)


@dataclass(slots=True)
class Groups:
    """Pods, sorted by what their metrics can be used for."""

    ready: int = 0
    metrics: dict[str, int] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)


def group_pods(
    pods: Sequence[Obj], measured: Mapping[str, PodMetrics], resource: str, container: str, now: datetime
) -> Groups:
    """Which pods count, which are too young, and which were not measured (``groupPods``)."""
    groups = Groups()
    for pod in pods:
        if is_deleting(pod) or phase(pod) == "Failed":
            continue
        name = name_of(pod)
        if phase(pod) == "Pending":
            groups.unready.add(name)
            continue
        found = measured.get(name)
        used = found.usage(resource, container) if found is not None else None
        if found is None or used is None:
            groups.missing.add(name)
            continue
        if resource == "cpu" and _too_young(pod, found, now):
            groups.unready.add(name)
            continue
        groups.metrics[name] = used
        groups.ready += 1
    return groups


def _too_young(pod: Obj, metrics: PodMetrics, now: datetime) -> bool:
    ready = condition(pod, "Ready")
    started = (pod.get("status") or {}).get("startTime")
    if ready is None or not started:
        return True
    start = parse_time(started)
    changed = parse_time(ready["lastTransitionTime"]) if ready.get("lastTransitionTime") else start
    if start + timedelta(seconds=CPU_INITIALIZATION) > now:
        return ready["status"] == "False" or metrics.timestamp < changed + timedelta(seconds=metrics.window)
    return ready["status"] == "False" and start + timedelta(seconds=READINESS_DELAY) > changed


def pod_request(pod: Obj, resource: str, container: str = "") -> int:
    """What a pod (or one container of it) asks for.

    Raises:
        NoMetrics: a container asks for none, so that a percentage means nothing.
    """
    total = 0
    containers = [
        *(pod["spec"].get("containers") or ()),
        *(c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"),
    ]
    for entry in containers:
        if container and entry["name"] != container:
            continue
        value = ((entry.get("resources") or {}).get("requests") or {}).get(resource)
        if value is None:
            raise NoMetrics(
                f"missing request for {resource} in container {entry['name']} of Pod {name_of(pod)}"
            )
        total += quantity.milli(value) if resource == "cpu" else quantity.whole(value)
    return total


def replicas_for(
    current: int,
    groups: Groups,
    requests: Mapping[str, int] | None,
    target: int,
    tolerance_up: float = TOLERANCE,
    tolerance_down: float = TOLERANCE,
) -> tuple[int, int, int]:
    """How many replicas one metric asks for.

    Args:
        current: the size there is.
        groups: the pods.
        requests: pod name → request for a utilization target in percent; None for an average value target.
        target: percent of requests, or the average value.
        tolerance_up: how far above the target changes nothing.
        tolerance_down: how far below.

    Returns:
        Replicas, the utilization in percent (0 for average values), and the average value.
    """
    if not groups.metrics:
        raise NoMetrics("did not receive metrics for targeted pods (pods might be unready)")
    metrics = dict(groups.metrics)

    def ratio_of(values: Mapping[str, int]) -> tuple[float, int, int]:
        total = sum(values.values())
        mean = total // len(values)
        if requests is None:
            return total / len(values) / target, 0, mean
        asked = sum(requests.get(name, 0) for name in values)
        if asked == 0:
            raise NoMetrics("no metrics returned matched known pods")
        utilization = total * 100 // asked
        return utilization / target, utilization, mean

    def close(ratio: float) -> bool:
        return 1.0 - tolerance_down <= ratio <= 1.0 + tolerance_up

    ratio, utilization, mean = ratio_of(metrics)
    up_with_unready = bool(groups.unready) and ratio > 1.0
    if not up_with_unready and not groups.missing:
        if close(ratio):
            return current, utilization, mean
        return math.ceil(ratio * groups.ready), utilization, mean
    for name in groups.missing:
        if ratio < 1.0:  # on the way down: as if it used all it asked for
            if requests is None:
                metrics[name] = target
            else:
                metrics[name] = requests.get(name, 0) * max(100, target) // 100
        elif ratio > 1.0:
            metrics[name] = 0
    if up_with_unready:
        for name in groups.unready:
            metrics[name] = 0
    again, _, _ = ratio_of(metrics)
    if close(again) or (ratio < 1.0) != (again < 1.0):
        return current, utilization, mean
    wanted = math.ceil(again * len(metrics))
    if (again < 1.0 and wanted > current) or (again > 1.0 and wanted < current):
        return current, utilization, mean
    return wanted, utilization, mean


@dataclass(frozen=True, slots=True)
class Change:
    """A change of size that was made, ``size`` replicas up or down."""

    size: int
    moment: float


@dataclass(frozen=True, slots=True)
class Limited:
    """A size within all limits, and which limit bound it."""

    replicas: int
    reason: str
    message: str


_DEFAULT_UP = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DEFAULT_DOWN = {
    "stabilizationWindowSeconds": DOWN_WINDOW,
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


def rules_of(hpa: Obj) -> tuple[Obj, Obj]:
    """(scaleUp, scaleDown) with defaults filled in."""
    behavior = hpa["spec"].get("behavior") or {}
    up = {**_DEFAULT_UP, **{k: v for k, v in (behavior.get("scaleUp") or {}).items() if v is not None}}
    down = {**_DEFAULT_DOWN, **{k: v for k, v in (behavior.get("scaleDown") or {}).items() if v is not None}}
    return up, down


def stabilize(
    wanted: int, current: int, recommendations: Sequence[tuple[int, float]], up: Obj, down: Obj, now: float
) -> tuple[int, str]:
    """The size that recent recommendations agree on: the lowest on the way up, the highest on the way down.

    Args:
        wanted: what the metrics ask for now.
        current: the size there is.
        recommendations: (replicas, moment) of the past.
        up: the scaleUp rules.
        down: the scaleDown rules.
        now: the moment, in the unit of ``recommendations``.
    """
    lowest = highest = wanted
    for replicas, moment in recommendations:
        if moment > now - int(up["stabilizationWindowSeconds"]):
            lowest = min(lowest, replicas)
        if moment > now - int(down["stabilizationWindowSeconds"]):
            highest = max(highest, replicas)
    result = current
    result = max(result, lowest)
    result = min(result, highest)
    if result == wanted:
        return result, ""
    return result, "ScaleUpStabilized" if wanted > result else "ScaleDownStabilized"


def _changed(changes: Sequence[Change], period: int, now: float) -> int:
    return sum(change.size for change in changes if change.moment > now - period)


def limit(
    hpa: Obj,
    current: int,
    wanted: int,
    ups: Sequence[Change],
    downs: Sequence[Change],
    now: float,
) -> Limited:
    """``wanted`` within the policies' speed and the HPA's minimum and maximum."""
    up, down = rules_of(hpa)
    minimum = int(hpa["spec"].get("minReplicas", 1))
    maximum = int(hpa["spec"]["maxReplicas"])
    if wanted > current:
        if hpa["spec"].get("behavior"):
            allowed = max(_up_limit(current, ups, downs, up, now), current)
        else:  # an autoscaler that says nothing of its behavior may double each time, and start with four
            allowed = max(2 * current, 4)
        top, bound = (maximum, "TooManyReplicas") if maximum <= allowed else (allowed, "ScaleUpLimit")
        if wanted > top:
            if bound == "TooManyReplicas":
                return Limited(top, bound, "the desired replica count is more than the maximum replica count")
            return Limited(
                top, bound, "the desired replica count is increasing faster than the maximum scale rate"
            )
    elif wanted < current:
        allowed = min(_down_limit(current, ups, downs, down, now), current)
        bottom, bound = (minimum, "TooFewReplicas") if minimum >= allowed else (allowed, "ScaleDownLimit")
        if wanted < bottom:
            if bound == "TooFewReplicas":
                return Limited(
                    bottom, bound, "the desired replica count is less than the minimum replica count"
                )
            return Limited(
                bottom, bound, "the desired replica count is decreasing faster than the maximum scale rate"
            )
    if wanted > maximum:
        return Limited(
            maximum, "TooManyReplicas", "the desired replica count is more than the maximum replica count"
        )
    if wanted < minimum:
        return Limited(
            minimum, "TooFewReplicas", "the desired replica count is less than the minimum replica count"
        )
    return Limited(wanted, "DesiredWithinRange", "the desired count is within the acceptable range")


def _up_limit(current: int, ups: Sequence[Change], downs: Sequence[Change], rules: Obj, now: float) -> int:
    select = rules.get("selectPolicy", "Max")
    if select == "Disabled":
        return current
    results = []
    for policy in rules["policies"]:
        period = int(policy["periodSeconds"])
        start = current - _changed(ups, period, now) + _changed(downs, period, now)
        if policy["type"] == "Pods":
            results.append(start + int(policy["value"]))
        else:
            results.append(math.ceil(start * (1 + int(policy["value"]) / 100)))
    return min(results) if select == "Min" else max(results)


def _down_limit(current: int, ups: Sequence[Change], downs: Sequence[Change], rules: Obj, now: float) -> int:
    select = rules.get("selectPolicy", "Max")
    if select == "Disabled":
        return current
    results = []
    for policy in rules["policies"]:
        period = int(policy["periodSeconds"])
        start = current - _changed(ups, period, now) + _changed(downs, period, now)
        if policy["type"] == "Pods":
            results.append(start - int(policy["value"]))
        else:
            results.append(int(start * (1 - int(policy["value"]) / 100)))
    return max(results) if select == "Min" else min(results)
