"""ResourceQuotas: what of a namespace's quota is used.

After ``resourcequota/resource_quota_controller.go`` and ``quota/v1/evaluator/core`` (staging and pkg). Admission
refuses what would go beyond; this controller only counts, when objects come and go and every five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from runtime.client.informer import Delta
from runtime.objects import quantity
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import is_deleting, key_of, namespace_of

from .context import BaseController, Context
from .pods import is_finished

RESOURCE = "resourcequotas"
RESYNC = 300.0
PACE = 0.1
_COUNTED = {
    "configmaps": "configmaps",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "pods": "pods",
    "replicationcontrollers": "replicationcontrollers",
    "resourcequotas": "resourcequotas",
    "secrets": "secrets",
    "services": "services",
    "services.loadbalancers": "services",
    "services.nodeports": "services",
}
_COMPUTE = frozenset({"cpu", "memory", "ephemeral-storage"})


def _amount(total: dict[str, int], name: str, value: str | int | float) -> None:
    total[name] = total.get(name, 0) + quantity.parse(value).nano


def pod_usage(pod: Obj) -> dict[str, int]:
    """Billionths of each compute resource a pod's requests and limits take, and one pod."""
    usage: dict[str, int] = {"pods": quantity.NANO, "count/pods": quantity.NANO}
    if is_finished(pod):
        return {"count/pods": quantity.NANO}
    spec = pod["spec"]
    for field in ("requests", "limits"):
        running: dict[str, int] = {}
        peak: dict[str, int] = {}
        for container in spec.get("containers") or ():
            for name, value in ((container.get("resources") or {}).get(field) or {}).items():
                _amount(running, name, value)
        sidecars: dict[str, int] = {}
        for container in spec.get("initContainers") or ():
            own: dict[str, int] = {}
            for name, value in ((container.get("resources") or {}).get(field) or {}).items():
                _amount(own, name, value)
            if container.get("restartPolicy") == "Always":
                for name, value in own.items():
                    sidecars[name] = sidecars.get(name, 0) + value
                own = {}
            for name in {*own, *sidecars}:
                peak[name] = max(peak.get(name, 0), own.get(name, 0) + sidecars.get(name, 0))
        for name in {*running, *peak, *sidecars}:
            total = max(running.get(name, 0) + sidecars.get(name, 0), peak.get(name, 0))
            overhead = (spec.get("overhead") or {}).get(name)
            if overhead is not None:
                total += quantity.parse(overhead).nano
            usage[f"{field}.{name}"] = total
            if field == "requests" and name in _COMPUTE:
                usage[name] = total
    return usage


def claim_usage(claim: Obj) -> dict[str, int]:
    """What a PersistentVolumeClaim takes, in total and of its class."""
    asked = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", 0)
    amount = quantity.parse(asked).nano
    usage = {"requests.storage": amount}
    name = claim["spec"].get("storageClassName")
    if name:
        usage[f"{name}.storageclass.storage.k8s.io/requests.storage"] = amount
        usage[f"{name}.storageclass.storage.k8s.io/persistentvolumeclaims"] = quantity.NANO
    return usage


def service_usage(service: Obj) -> dict[str, int]:
    """What a Service takes: itself, a load balancer, node ports."""
    spec = service["spec"]
    kind = spec.get("type", "ClusterIP")
    ports = len(spec.get("ports") or ())
    usage = {}
    if kind == "LoadBalancer":
        usage["services.loadbalancers"] = quantity.NANO
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = sum(1 for port in spec.get("ports") or () if port.get("nodePort"))
    if kind in ("NodePort", "LoadBalancer"):
        usage["services.nodeports"] = ports * quantity.NANO
    return usage


def _best_effort(pod: Obj) -> bool:
    containers = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    return not any(
        (c.get("resources") or {}).get("requests") or (c.get("resources") or {}).get("limits")
        for c in containers
    )


def in_scope(pod: Obj, scope: str, operator: str = "Exists", values: Sequence[str] = ()) -> bool:
    """Whether a pod counts under a quota's scope."""
    match scope:
        case "Terminating":
            return pod["spec"].get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return pod["spec"].get("activeDeadlineSeconds") is None
        case "BestEffort":
            return _best_effort(pod)
        case "NotBestEffort":
            return not _best_effort(pod)
        case "PriorityClass":
            name = pod["spec"].get("priorityClassName") or ""
            match operator:
                case "In":
                    return name in values
                case "NotIn":
                    return name not in values
                case "Exists":
                    return bool(name)
                case "DoesNotExist":
                    return not name
        case "CrossNamespacePodAffinity":
            affinity = pod["spec"].get("affinity") or {}
            for side in ("podAffinity", "podAntiAffinity"):
                part = affinity.get(side) or {}
                terms = [
                    *(part.get("requiredDuringSchedulingIgnoredDuringExecution") or ()),
                    *(
                        e.get("podAffinityTerm") or {}
                        for e in part.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
                    ),
                ]
                if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
                    return True
            return False
    return False


def counts_pod(quota: Obj, pod: Obj) -> bool:
    """Whether all of a quota's scopes include the pod."""
    spec = quota["spec"]
    if not all(in_scope(pod, scope) for scope in spec.get("scopes") or ()):
        return False
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(
        in_scope(pod, e["scopeName"], e.get("operator", "Exists"), e.get("values") or ()) for e in expressions
    )


def has_scopes(quota: Obj) -> bool:
    """Whether the quota counts pods of some scopes only."""
    spec = quota["spec"]
    return bool(spec.get("scopes") or (spec.get("scopeSelector") or {}).get("matchExpressions"))


def used(quota: Obj, objects: Callable[[str], Iterable[Obj]]) -> dict[str, str]:
    """``status.used`` for every name in ``spec.hard``.

    Args:
        quota: the ResourceQuota.
        objects: the objects of a resource (``pods``, ``deployments.apps``) in the quota's namespace.
    """
    hard = quota["spec"].get("hard") or {}
    totals = dict.fromkeys(hard, 0)
    scoped = has_scopes(quota)

    def gather(usages: Iterable[dict[str, int]]) -> None:
        for usage in usages:
            for name, amount in usage.items():
                if name in totals:
                    totals[name] += amount

    compute = {
        n
        for n in hard
        if n in _COMPUTE or n.startswith(("requests.", "limits.")) or n in ("pods", "count/pods")
    }
    if compute - {"requests.storage"}:
        gather(pod_usage(pod) for pod in objects("pods") if not scoped or counts_pod(quota, pod))
    if not scoped:
        if any(
            n.endswith(("requests.storage", "persistentvolumeclaims")) and n != "persistentvolumeclaims"
            for n in hard
        ):
            gather(claim_usage(claim) for claim in objects("persistentvolumeclaims"))
        if "services.loadbalancers" in hard or "services.nodeports" in hard:
            gather(service_usage(service) for service in objects("services"))
        for name in hard:
            plain = name.removeprefix("count/")
            if name in ("pods", "count/pods", "services.loadbalancers", "services.nodeports"):
                continue
            if name in _COUNTED or name.startswith("count/"):
                totals[name] = sum(1 for _ in objects(plain)) * quantity.NANO
    return {
        name: str(quantity.Quantity(amount, quantity.parse(hard[name]).format))
        for name, amount in totals.items()
    }


class ResourceQuotaController(BaseController):
    """Keeps ``status.used``."""

    name = "resourcequota"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.quotas = context.informers.informer(RESOURCE)
        self.quotas.add_handler(self._on_quotas)
        self._watched: set[str] = set()
        self._watch("pods")
        for resource in dict.fromkeys(_COUNTED.values()):
            self._watch(resource)

    def _watch(self, resource: str) -> bool:
        if self.context.registry.find(resource) is None:
            return False
        if resource not in self._watched:
            self._watched.add(resource)
            self.context.informers.informer(resource).add_handler(self._on_objects)
        return True

    def _on_quotas(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None or is_deleting(new):
                continue
            for name in new["spec"].get("hard") or ():
                if name.startswith("count/"):
                    self._watch(name.removeprefix("count/"))
            status = new.get("status") or {}
            if old is None or old["spec"] != new["spec"] or status.get("hard") != new["spec"].get("hard"):
                self.queue.add(key_of(new))

    def _on_objects(self, deltas: Sequence[Delta]) -> None:
        if not len(self.quotas):
            return
        for old, new in deltas:
            changed = old is None or new is None or old.get("spec") != new.get("spec")
            if not changed and (old is None or new is None or is_finished(old) == is_finished(new)):
                continue
            obj = new if new is not None else old
            assert obj is not None
            for quota in self.quotas.list(namespace_of(obj)):
                self.queue.add_paced(key_of(quota), PACE)

    async def sync(self, key: str) -> float | None:
        """Count one quota."""
        quota = self.quotas.get(key)
        if quota is None or is_deleting(quota):
            return None
        namespace = namespace_of(quota)

        def objects(resource: str) -> list[Obj]:
            return self.context.informers.informer(resource).list(namespace) if self._watch(resource) else []

        hard = quota["spec"].get("hard") or {}
        for name in hard:
            if name.startswith("count/") and self._watch(name.removeprefix("count/")):
                await self.context.informers.informer(name.removeprefix("count/")).wait_for_sync()
        status = {"hard": hard, "used": used(quota, objects)}
        if status != (quota.get("status") or {}):
            try:
                await self.client.update_status({**quota, "status": status})
            except StatusError as error:
                if error.code != 404:
                    raise
        return RESYNC
