"""What an object counts for in a ResourceQuota: pure arithmetic, shared by admission and the quota controller.

``pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims}.go`` and ``generic/evaluator.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.objects.errors import Obj
from runtime.objects.quantity import Quantity, parse

Usage = dict[str, Quantity]

_ONE = Quantity(10**9)
_NAMED_COUNTS = frozenset(
    {
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
    }
)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_MUST_BE_SET = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_BETA_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"


def usage_of(group_resource: str, obj: Obj) -> Usage:
    """What one object of this kind uses, by the names quotas use."""
    used: Usage = {f"count/{group_resource}": _ONE}
    if group_resource == "pods":
        if (obj.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            used["pods"] = _ONE
            used.update(_compute(pod_total(obj, "requests"), pod_total(obj, "limits")))
        return used
    if group_resource in _NAMED_COUNTS:
        used[group_resource] = _ONE
    if group_resource == "services":
        used.update(_service(obj))
    elif group_resource == "persistentvolumeclaims":
        used.update(_claim(obj))
    return used


def _service(obj: Obj) -> Usage:
    spec = obj.get("spec") or {}
    ports = len(spec.get("ports") or ())
    if spec.get("type") == "NodePort":
        return {"services.nodeports": Quantity(ports * 10**9)}
    if spec.get("type") == "LoadBalancer":
        used = {"services.loadbalancers": _ONE}
        if spec.get("allocateLoadBalancerNodePorts") is not False:
            used["services.nodeports"] = Quantity(ports * 10**9)
        else:
            fixed = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
            used["services.nodeports"] = Quantity(fixed * 10**9)
        return used
    return {}


def _claim(obj: Obj) -> Usage:
    spec = obj.get("spec") or {}
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    storage_class = annotations.get(_BETA_STORAGE_CLASS) or spec.get("storageClassName") or ""
    used: Usage = {}
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if amount is not None:
        used["requests.storage"] = parse(amount)
    if storage_class:
        used[f"{storage_class}.storageclass.storage.k8s.io/persistentvolumeclaims"] = _ONE
        if amount is not None:
            used[f"{storage_class}.storageclass.storage.k8s.io/requests.storage"] = parse(amount)
    return used


def pod_total(pod: Obj, part: str) -> Usage:
    """A pod's effective ``requests`` or ``limits`` (component-helpers ``resource.PodRequests``).

    The sum over containers and sidecars, or the largest init container with the sidecars started before it,
    whichever is more; plus the overhead.
    """
    spec = pod.get("spec") or {}
    total: Usage = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, part))
    sidecars: Usage = {}
    peak: Usage = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, part)
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(sidecars, amounts)
            amounts = sidecars
        else:
            together = dict(amounts)
            _add(together, sidecars)
            amounts = together
        for name, amount in amounts.items():
            if name not in peak or amount > peak[name]:
                peak[name] = amount
    for name, amount in peak.items():
        if name not in total or amount > total[name]:
            total[name] = amount
    whole_pod = ((spec.get("resources") or {}).get(part)) or {}
    for name, text in whole_pod.items():
        total[name] = parse(text)
    for name, text in (spec.get("overhead") or {}).items():
        if part == "requests" or name in total:
            _add(total, {name: parse(text)})
    return total


def _amounts(container: Obj, part: str) -> Usage:
    given = (container.get("resources") or {}).get(part)
    return {name: parse(text) for name, text in given.items()} if given else {}


def _add(total: Usage, more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _compute(requests: Usage, limits: Usage) -> Usage:
    used: Usage = {}
    for name in _COMPUTE:
        if name in requests:
            used[name] = used[f"requests.{name}"] = requests[name]
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if name.startswith("hugepages-"):
            used[name] = used[f"requests.{name}"] = amount
        elif "/" in name and not name.startswith("kubernetes.io/"):
            used[f"requests.{name}"] = amount
    return used


def unset_compute(pod: Obj, hard: Iterable[str]) -> str:
    """The complaint when a quota on cpu or memory meets containers that don't name it; empty if all do."""
    required = _MUST_BE_SET & set(hard)
    if not required:
        return ""
    missing: dict[str, set[str]] = {}
    spec = pod.get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        named = _compute(_amounts(container, "requests"), _amounts(container, "limits"))
        for name in required - named.keys():
            missing.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def in_scopes(quota: Obj, group_resource: str, obj: Obj) -> bool:
    """Whether all of a quota's scopes hold for the object; scopes speak of pods only."""
    spec = quota.get("spec") or {}
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not wanted:
        return True
    return group_resource == "pods" and all(_in_scope(selector, obj) for selector in wanted)


def _in_scope(selector: Obj, pod: Obj) -> bool:
    spec = pod.get("spec") or {}
    match selector.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return _best_effort(pod)
        case "NotBestEffort":
            return not _best_effort(pod)
        case "PriorityClass":
            name = spec.get("priorityClassName") or ""
            values = selector.get("values") or ()
            match selector.get("operator"):
                case "In":
                    return name in values
                case "NotIn":
                    return name not in values
                case "DoesNotExist":
                    return not name
            return bool(name)
        case "CrossNamespacePodAffinity":
            return _reaches_other_namespaces(spec.get("affinity") or {})
    return False


def _best_effort(pod: Obj) -> bool:
    return not any(
        amount and name in ("cpu", "memory")
        for part in ("requests", "limits")
        for name, amount in pod_total(pod, part).items()
    )


def _reaches_other_namespaces(affinity: Obj) -> bool:
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += [
            weighted.get("podAffinityTerm") or {}
            for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
