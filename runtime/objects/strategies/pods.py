"""Pods: phase and quality of service on create, graceful deletion, and the subresources that take a whole pod.

Follows registry/core/pod/strategy.go.
"""

from __future__ import annotations

from ..defaults.core import default_pod_template
from ..defaults.pods import default_pod
from ..errors import FieldError, Obj
from ..qos import qos_class
from ..registry import Strategy
from ..validation.pods import (
    check_ephemeral_update,
    check_pod,
    check_pod_status,
    check_pod_template,
    check_pod_template_update,
    check_pod_update,
    check_resize,
)
from ..validation.warnings import pod_warnings
from .base import KindStrategy, keep


class PodStrategy(Strategy):
    """The rules of pods."""

    graceful_deletion = True

    def default(self, obj: Obj) -> None:
        """Fill in what was left out."""
        default_pod(obj)

    def prepare_for_create(self, obj: Obj) -> None:
        """Pending, with its class; not even looked at by the scheduler while gates are closed."""
        settle_label_keys(obj)
        obj["status"] = status = {"phase": "Pending", "qosClass": qos_class(obj)}
        if obj["spec"].get("schedulingGates"):
            status["conditions"] = [  # type: ignore[assignment]
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                }
            ]

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """The status stays."""
        keep(new, old, "status")

    def prepare_for_status_update(self, new: Obj, old: Obj) -> None:
        """Only status, labels and annotations change; the class, once given, stays."""
        new["spec"] = old["spec"]
        keep(new["metadata"], old["metadata"], "deletionTimestamp", "ownerReferences", "generation")
        before = old.get("status") or {}
        status = new.setdefault("status", {})
        if not status.get("qosClass") and before.get("qosClass"):
            status["qosClass"] = before["qosClass"]

    def prepare_for_subresource(self, subresource: str, new: Obj, old: Obj) -> None:
        """Let through what the subresource is for and nothing else."""
        if subresource == "status":
            self.prepare_for_status_update(new, old)
            return
        given = new["spec"]
        spec = dict(old["spec"])
        if subresource == "ephemeralcontainers":
            keep(spec, given, "ephemeralContainers")
        elif subresource == "resize":
            for kind in ("containers", "initContainers"):
                wanted = {one.get("name"): one for one in given.get(kind) or ()}
                if kind in spec:
                    spec[kind] = [_resized(one, wanted.get(one.get("name"))) for one in spec[kind]]
            keep(spec, given, "resources")
        new["spec"] = spec
        keep(new, old, "status")
        keep(new["metadata"], old["metadata"], "labels", "annotations", "ownerReferences", "finalizers")

    def validate(self, obj: Obj) -> list[FieldError]:
        """All rules on a new pod."""
        return check_pod(obj)

    def validate_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """All rules on a changed pod."""
        return check_pod_update(new, old)

    def validate_status_update(self, new: Obj, old: Obj) -> list[FieldError]:
        """All rules on a changed status."""
        return check_pod_status(new, old)

    def validate_subresource(self, subresource: str, new: Obj, old: Obj) -> list[FieldError]:
        """The rules of ``ephemeralcontainers``, ``resize`` and ``status``."""
        match subresource:
            case "ephemeralcontainers":
                return check_ephemeral_update(new, old)
            case "resize":
                return check_resize(new, old)
            case _:
                return super().validate_subresource(subresource, new, old)

    def warnings(self, obj: Obj, old: Obj | None) -> list[str]:
        """What is accepted and hardly meant."""
        return pod_warnings(obj, old)


def settle_label_keys(pod: Obj) -> None:
    """Write the pod's own values of ``matchLabelKeys`` and ``mismatchLabelKeys`` into the selectors they belong to.

    After ``applyMatchLabelKeysAndMismatchLabelKeys``: the pod's labels may change later, what it asked for does not.
    """
    labels = pod["metadata"].get("labels") or {}
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    terms: list[Obj] = []
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [
            entry.get("podAffinityTerm") or {}
            for entry in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
    terms += spec.get("topologySpreadConstraints") or ()
    for term in terms:
        selector = term.get("labelSelector")
        if selector is None:
            continue
        added = [
            {"key": key, "operator": operator, "values": [labels[key]]}
            for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
            for key in term.get(field) or ()
            if key in labels
        ]
        if added:
            term["labelSelector"] = {
                **selector,
                "matchExpressions": [*(selector.get("matchExpressions") or ()), *added],
            }


def _resized(container: Obj, wanted: Obj | None) -> Obj:
    """The stored container with the resources (and resize policy) that are asked for."""
    if wanted is None:
        return container
    resized = dict(container)
    keep(resized, wanted, "resources", "resizePolicy")
    return resized


POD = PodStrategy()
POD_TEMPLATE = KindStrategy(
    default=default_pod_template,
    check=check_pod_template,
    compare=check_pod_template_update,
    generation=True,
)
