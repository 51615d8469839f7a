"""HorizontalPodAutoscalers: sizes that follow use.

After ``podautoscaler/horizontal.go``. Metrics come from a collaborator (:class:`Metrics`), which is whatever reads
the pods' cgroups; without one the controller is not started. Metric types that need an adapter upstream (Pods,
Object, External) are answered as upstream answers when no adapter is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from runtime.api.subresources import scale_of
from runtime.client.informer import Delta
from runtime.objects import quantity
from runtime.objects.clock import format_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import is_deleting, key_of, labels_of, namespace_of
from runtime.objects.registry import Resource
from runtime.objects.selectors import Selector, parse_label_selector

from . import hpa_math as math
from .context import BaseController, Context

RESOURCE = "horizontalpodautoscalers.autoscaling"
PERIOD = 15.0


class Metrics(Protocol):
    """Where usage comes from."""

    async def pods(self, namespace: str, selector: Selector) -> Sequence[math.PodMetrics]:
        """The use of the pods of a namespace that match, as far as it was measured."""
        ...


@dataclass(slots=True)
class _History:
    recommendations: list[tuple[int, float]] = field(default_factory=list)
    ups: list[math.Change] = field(default_factory=list)
    downs: list[math.Change] = field(default_factory=list)


class _Failure(Exception):
    """The size can't be told: which condition says so, and what the event says besides."""

    def __init__(self, condition: str, reason: str, message: str, event: str, event_reason: str = "") -> None:
        super().__init__(message)
        self.condition = condition
        self.reason = reason
        self.event = event
        self.event_reason = event_reason or reason


class _NoScale(_Failure):
    """There is no size to be read."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "AbleToScale",
            "FailedGetScale",
            f"the HPA controller was unable to get the target's current scale: {why}",
            why,
        )


class _Unmeasured(Exception):
    """One metric can't be had; the text says why, ``outer`` what that is to the whole."""

    def __init__(self, reason: str, outer: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.outer = f"{outer}: {why}"


class HorizontalController(BaseController):
    """Scales what HPAs point at, every 15 seconds."""

    name = "horizontal-pod-autoscaler"
    workers = 2

    def __init__(self, context: Context, metrics: Metrics) -> None:
        super().__init__(context)
        self.metrics = metrics
        self.hpas = context.informers.informer(RESOURCE)
        self.pods = context.informers.pods()
        self._history: dict[str, _History] = {}
        self.hpas.add_handler(self._on_hpas)

    def _on_hpas(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self._history.pop(key_of(old), None)
            elif old is None or old["spec"] != new["spec"]:
                self.queue.add(key_of(new))

    async def sync(self, key: str) -> float | None:
        """Measure, decide, scale, report."""
        hpa = self.hpas.get(key)
        if hpa is None or is_deleting(hpa):
            self._history.pop(key, None)
            return None
        status = dict(hpa.get("status") or {})
        conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
        try:
            await self._reconcile(key, hpa, status, conditions)
        except _Failure as failure:
            self._set(conditions, failure.condition, "False", failure.reason, str(failure))
            self.recorder.event(hpa, "Warning", failure.event_reason, failure.event)
        status["observedGeneration"] = int(hpa["metadata"].get("generation") or 0)
        status["conditions"] = list(conditions.values())
        status.setdefault("desiredReplicas", 0)
        if status != (hpa.get("status") or {}):
            await self.client.update_status({**hpa, "status": status})
        return PERIOD

    def _set(self, conditions: dict[str, Obj], kind: str, status: str, reason: str, message: str) -> None:
        old = conditions.get(kind)
        since = (
            old["lastTransitionTime"] if old is not None and old["status"] == status else self.context.stamp()
        )
        conditions[kind] = {
            "type": kind,
            "status": status,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }

    async def _scale_of(self, hpa: Obj) -> tuple[Resource, Obj]:
        """The kind of the target and its Scale, whatever kind that is.

        Raises:
            _NoScale: there is none.
        """
        reference = hpa["spec"]["scaleTargetRef"]
        resource = self.context.registry.by_kind(reference.get("apiVersion") or "v1", reference["kind"])
        if resource is None or resource.scale is None or resource.subresource("scale") is None:
            group = str(reference.get("apiVersion") or "").rpartition("/")[0]
            raise _NoScale(
                "unable to determine resource for scale target reference: no matches for kind "
                f'"{reference["kind"]}" in group "{group}"'
            )
        try:
            target = await self.client.get(resource.group_resource, reference["name"], namespace_of(hpa))
        except StatusError as error:
            raise _NoScale(error.message) from None
        return resource, scale_of(resource.scale, target)

    async def _reconcile(self, key: str, hpa: Obj, status: Obj, conditions: dict[str, Obj]) -> None:
        resource, scale = await self._scale_of(hpa)
        self._set(
            conditions,
            "AbleToScale",
            "True",
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        )
        current = int(scale["spec"]["replicas"])
        minimum = int(hpa["spec"].get("minReplicas", 1))
        status["currentReplicas"] = int(scale["status"]["replicas"])
        history = self._history.setdefault(key, _History([(current, self.clock.monotonic())]))
        reason = ""
        if current == 0 and minimum != 0:
            status["desiredReplicas"] = 0
            self._set(
                conditions,
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            )
            return
        if current > int(hpa["spec"]["maxReplicas"]):
            wanted, reason = (
                int(hpa["spec"]["maxReplicas"]),
                "Current number of replicas above Spec.MaxReplicas",
            )
        elif current < minimum:
            wanted, reason = minimum, "Current number of replicas below Spec.MinReplicas"
        else:
            proposal, metric = await self._proposal(hpa, scale, current, status, conditions)
            wanted = self._limited(hpa, current, proposal, history, conditions)
            if proposal > current:
                reason = f"{metric} above target"
            elif proposal < current:
                reason = "All metrics below target"
        status["desiredReplicas"] = wanted
        if wanted == current:
            return
        await self._scale(hpa, resource.group_resource, current, wanted, reason, conditions)
        moment = self.clock.monotonic()
        changes = history.ups if wanted > current else history.downs
        changes.append(math.Change(abs(wanted - current), moment))
        history.ups = [c for c in history.ups if c.moment > moment - 1800]
        history.downs = [c for c in history.downs if c.moment > moment - 1800]
        status["lastScaleTime"] = format_time(self.clock.now())

    def _limited(
        self, hpa: Obj, current: int, proposal: int, history: _History, conditions: dict[str, Obj]
    ) -> int:
        up, down = math.rules_of(hpa)
        moment = self.clock.monotonic()
        wanted, held = math.stabilize(proposal, current, history.recommendations, up, down, moment)
        window = max(int(up["stabilizationWindowSeconds"]), int(down["stabilizationWindowSeconds"]))
        history.recommendations = [r for r in history.recommendations if r[1] > moment - window]
        history.recommendations.append((proposal, moment))
        if held:
            text = (
                "recent recommendations were lower than current one, applying the lowest recent recommendation"
                if held == "ScaleUpStabilized"
                else "recent recommendations were higher than current one, applying the highest recent recommendation"
            )
            self._set(conditions, "AbleToScale", "True", held, text)
        else:
            self._set(
                conditions, "AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size"
            )
        limited = math.limit(hpa, current, wanted, history.ups, history.downs, moment)
        bound = limited.reason != "DesiredWithinRange"
        self._set(conditions, "ScalingLimited", "True" if bound else "False", limited.reason, limited.message)
        return limited.replicas

    async def _proposal(
        self, hpa: Obj, scale: Obj, current: int, status: Obj, conditions: dict[str, Obj]
    ) -> tuple[int, str]:
        """The most that any metric asks for (``computeReplicasForMetrics``)."""
        text = scale["status"].get("selector")
        matcher = parse_label_selector(text or "")
        if not text:
            why = "selector is required"
            self.recorder.event(hpa, "Warning", "SelectorRequired", why)
            raise self._no_size("InvalidSelector", "the HPA target's scale is missing a selector", why)
        namespace = namespace_of(hpa)
        pods = [pod for pod in self.pods.list(namespace) if matcher.matches(labels_of(pod))]
        await self._check_alone(hpa, matcher, pods)
        measured = {entry.name: entry for entry in await self.metrics.pods(namespace, matcher)}
        best, best_name = 0, ""
        failures: list[_Unmeasured] = []
        reports: list[Obj] = []
        metrics = hpa["spec"].get("metrics") or ()
        for metric in metrics:
            try:
                replicas, report, name = self._metric(hpa, metric, current, pods, measured)
            except _Unmeasured as error:
                self.recorder.event(hpa, "Warning", error.reason, str(error))
                failures.append(error)
                continue
            reports.append(report)
            if replicas > best or not best_name:
                best, best_name = replicas, name
        status["currentMetrics"] = reports or None
        if failures and (not best_name or best < current):
            # an unknown metric might have asked for more: never scale down past it
            first = failures[0]
            raise self._no_size(
                first.reason,
                f"the HPA was unable to compute the replica count: {first}",
                f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {first.outer}",
            )
        self._set(
            conditions,
            "ScalingActive",
            "True",
            "ValidMetricFound",
            f"the HPA was able to successfully calculate a replica count from {best_name}",
        )
        return best, best_name

    @staticmethod
    def _no_size(reason: str, message: str, why: str) -> _Failure:
        return _Failure("ScalingActive", reason, message, why, "FailedComputeMetricsReplicas")

    async def _check_alone(self, hpa: Obj, matcher: Selector, pods: Sequence[Obj]) -> None:
        """Two autoscalers over the same pods would work against each other: neither does anything."""
        rivals = [hpa]
        for other in self.hpas.list(namespace_of(hpa)):
            if other["metadata"]["name"] == hpa["metadata"]["name"]:
                continue
            if other["spec"]["scaleTargetRef"] == hpa["spec"]["scaleTargetRef"]:
                rivals.append(other)
                continue
            try:
                _, scale = await self._scale_of(other)
            except _NoScale:
                continue
            theirs = parse_label_selector(scale["status"].get("selector") or "")
            if not theirs.everything and any(theirs.matches(labels_of(pod)) for pod in pods):
                rivals.append(other)
        if len(rivals) > 1:
            names = " ".join(sorted(key_of(rival) for rival in rivals))
            why = f"pods by selector {matcher} are controlled by multiple HPAs: [{names}]"
            self.recorder.event(hpa, "Warning", "AmbiguousSelector", why)
            raise self._no_size("AmbiguousSelector", why, why)

    def _metric(
        self, hpa: Obj, metric: Obj, current: int, pods: Sequence[Obj], measured: dict[str, math.PodMetrics]
    ) -> tuple[int, Obj, str]:
        kind = metric["type"]
        if kind not in ("Resource", "ContainerResource"):
            raise _without_adapter(hpa, metric)
        field_name = "resource" if kind == "Resource" else "containerResource"
        source = metric[field_name]
        resource, container = source["name"], source.get("container", "")
        goal = source["target"]
        up, down = math.rules_of(hpa)
        try:
            groups = math.group_pods(pods, measured, resource, container, self.clock.now())
            requests = None
            if goal.get("averageUtilization") is not None:
                wanted = int(goal["averageUtilization"])
                requests = {
                    pod["metadata"]["name"]: math.pod_request(pod, resource, container) for pod in pods
                }
            else:
                value = goal.get("averageValue", "1")
                wanted = quantity.milli(value) if resource == "cpu" else quantity.whole(value)
            replicas, utilization, mean = math.replicas_for(
                current, groups, requests, wanted, _tolerance(up), _tolerance(down)
            )
        except math.NoMetrics as error:
            what = "utilization" if goal.get("averageUtilization") is not None else "usage"
            word = "container resource" if container else "resource"
            raise _Unmeasured(
                f"FailedGet{kind}Metric",
                f"failed to get {resource} {word} metric value",
                f"failed to get {resource} {what}: {error}",
            ) from None
        now: dict[str, Any] = {"averageValue": f"{mean}m" if resource == "cpu" else str(mean)}
        label = f"{resource} resource"
        if requests is not None:
            now["averageUtilization"] = utilization
            label += " utilization (percentage of request)"
        report: Obj = {"name": resource, "current": now}
        if container:
            report["container"] = container
            label = f"{resource} container resource" + label.removeprefix(f"{resource} resource")
        return replicas, {"type": kind, field_name: report}, label

    async def _scale(
        self,
        hpa: Obj,
        resource: str,
        current: int,
        wanted: int,
        reason: str,
        conditions: dict[str, Obj],
    ) -> None:
        try:
            await self.client.patch(
                resource,
                hpa["spec"]["scaleTargetRef"]["name"],
                namespace_of(hpa),
                {"spec": {"replicas": wanted}},
                type="merge",
                subresource="scale",
            )
        except StatusError as error:
            raise _Failure(
                "AbleToScale",
                "FailedUpdateScale",
                f"the HPA controller was unable to update the target scale: {error.message}",
                f"New size: {wanted}; reason: {reason}; error: {error.message}",
                "FailedRescale",
            ) from None
        self._set(
            conditions,
            "AbleToScale",
            "True",
            "SucceededRescale",
            f"the HPA controller was able to update the target scale to {wanted}",
        )
        self.recorder.event(hpa, "Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")


def _without_adapter(hpa: Obj, metric: Obj) -> _Unmeasured:
    """What upstream says of metrics that come from an adapter where none is installed."""
    kind = metric["type"]
    if kind == "External":
        name = metric["external"]["metric"]["name"]
        return _Unmeasured(
            "FailedGetExternalMetric",
            f"failed to get {name} external metric value",
            f"unable to get external metric {namespace_of(hpa)}/{name}: unable to fetch metrics from external "
            f"metrics API: the server could not find the requested resource (get {name}.external.metrics.k8s.io)",
        )
    name = metric[kind.lower()]["metric"]["name"]
    return _Unmeasured(
        f"FailedGet{kind}Metric",
        f"failed to get {kind.lower()} metric value",
        f"unable to get metric {name}: unable to fetch metrics from custom metrics API: no known available metric "
        "versions found",
    )


def _tolerance(rules: Obj) -> float:
    value = rules.get("tolerance")
    return math.TOLERANCE if value is None else float(quantity.to_number(value))
