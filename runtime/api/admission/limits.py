"""LimitRanger: defaults and bounds for what containers, pods and claims may ask for.

``plugin/pkg/admission/limitranger/admission.go``, with its sentences.
"""

from __future__ import annotations

from collections.abc import Mapping

from runtime.objects.errors import Obj
from runtime.objects.quantity import Quantity, parse

from .chain import CREATE, UPDATE, Attributes, Plugin

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, str]


class LimitRanger(Plugin):
    """Applies every LimitRange of the namespace."""

    resources = frozenset({"pods", "persistentvolumeclaims"})
    operations = frozenset({CREATE, UPDATE})
    subresources = frozenset({"", "resize"})

    def admit(self, a: Attributes) -> None:
        """Fill in defaults on a new pod."""
        if a.resource.plural != "pods" or a.old is not None or not a.view.count("limitranges"):
            return
        for limit_range in a.view.list("limitranges", a.namespace):
            _set_defaults(a.object, limit_range)

    def validate(self, a: Attributes) -> None:
        """Check minima, maxima and ratios."""
        if not a.view.count("limitranges"):
            return
        if a.resource.plural == "pods" and a.operation == UPDATE and a.subresource != "resize":
            return  # only a resize changes what a running pod asks for
        for limit_range in a.view.list("limitranges", a.namespace):
            limits = (limit_range.get("spec") or {}).get("limits") or ()
            if a.resource.plural == "pods":
                problems = [p for limit in limits for p in _check_pod(a.object, limit)]
            else:
                problems = [p for limit in limits for p in _check_claim(a.object, limit)]
            if problems:
                text = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
                raise a.deny(text)


def _set_defaults(pod: Obj, limit_range: Obj) -> None:
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for entry in (limit_range.get("spec") or {}).get("limits") or ():
        if entry.get("type") == "Container":
            requests.update(entry.get("defaultRequest") or {})
            limits.update(entry.get("default") or {})
    if not requests and not limits:
        return
    notes: list[str] = []
    for field, title in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(field) or ():
            resources = container.setdefault("resources", {})
            for kind, defaults in (("requests", requests), ("limits", limits)):
                given = resources.get(kind) or {}
                added = {name: amount for name, amount in defaults.items() if name not in given}
                if added:
                    resources[kind] = given | added
                    word = "request" if kind == "requests" else "limit"
                    notes.append(f"{', '.join(sorted(added))} {word} for {title} {container.get('name')}")
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def _check_pod(pod: Obj, limit: Obj) -> list[str]:
    spec = pod["spec"]
    containers = spec.get("containers") or []
    inits = spec.get("initContainers") or []
    kind = limit.get("type", "")
    if kind == "Container":
        return [
            p
            for container in (*containers, *inits)
            for p in _check(kind, limit, container.get("resources") or {})
        ]
    if kind == "Pod":
        totals = {
            part: _pod_total(
                [(c.get("resources") or {}).get(part) or {} for c in containers],
                [(c.get("resources") or {}).get(part) or {} for c in inits],
            )
            for part in ("requests", "limits")
        }
        return _check(kind, limit, totals)
    return []


def _pod_total(containers: list[Amounts], inits: list[Amounts]) -> dict[str, str]:
    """Sums over containers of what every one of them names; an init container may raise the sum."""
    totals: dict[str, Quantity] = {}
    if containers:
        for name in containers[0]:
            if all(name in amounts for amounts in containers):
                total = Quantity(0)
                for amounts in containers:
                    total = total + parse(amounts[name])
                totals[name] = total
    for amounts in inits:
        for name, amount in amounts.items():
            wanted = parse(amount)
            if name in totals and wanted > totals[name]:
                totals[name] = wanted
    return {name: str(total) for name, total in totals.items()}


def _check_claim(claim: Obj, limit: Obj) -> list[str]:
    if limit.get("type") != "PersistentVolumeClaim":
        return []
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    problems = []
    for name, bound in sorted((limit.get("min") or {}).items()):
        if name not in requests:
            problems.append(
                f"minimum {name} usage per PersistentVolumeClaim is {bound}.  No request is specified"
            )
        elif parse(requests[name]) < parse(bound):
            problems.append(
                f"minimum {name} usage per PersistentVolumeClaim is {bound}, but request is {requests[name]}"
            )
    for name, bound in sorted((limit.get("max") or {}).items()):
        if name not in requests:
            problems.append(
                f"maximum {name} usage per PersistentVolumeClaim is {bound}.  No request is specified"
            )
        elif parse(requests[name]) > parse(bound):
            problems.append(
                f"maximum {name} usage per PersistentVolumeClaim is {bound}, but request is {requests[name]}"
            )
    return problems


def _check(kind: str, limit: Obj, resources: Obj) -> list[str]:
    requests: Amounts = resources.get("requests") or {}
    limits: Amounts = resources.get("limits") or {}
    problems: list[str] = []
    for name, bound in sorted((limit.get("min") or {}).items()):
        least = parse(bound)
        head = f"minimum {name} usage per {kind} is {bound}"
        if name not in requests:
            problems.append(f"{head}.  No request is specified")
        elif parse(requests[name]) < least:
            problems.append(f"{head}, but request is {requests[name]}")
        elif name in limits and parse(limits[name]) < least:
            problems.append(f"{head}, but limit is {limits[name]}")
    for name, bound in sorted((limit.get("max") or {}).items()):
        most = parse(bound)
        head = f"maximum {name} usage per {kind} is {bound}"
        if name not in limits:
            problems.append(f"{head}.  No limit is specified")
        elif parse(limits[name]) > most:
            problems.append(f"{head}, but limit is {limits[name]}")
        elif name in requests and parse(requests[name]) > most:
            problems.append(f"{head}, but request is {requests[name]}")
    for name, bound in sorted((limit.get("maxLimitRequestRatio") or {}).items()):
        head = f"{name} max limit to request ratio per {kind} is {bound}"
        if name not in requests or not parse(requests[name]):
            problems.append(f"{head}, but no request is specified or request is 0")
        elif name not in limits or not parse(limits[name]):
            problems.append(f"{head}, but no limit is specified or limit is 0")
        else:
            ratio = parse(limits[name]).nano / parse(requests[name]).nano
            if ratio > parse(bound).number:
                problems.append(f"{head}, but provided ratio is {ratio:f}")
    return problems
