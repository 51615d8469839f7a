"""ResourceQuotas: what of a namespace's quota is used.

After ``resourcequota/resource_quota_controller.go``. Admission refuses what would go beyond; this controller only
counts, by the same arithmetic, when objects come and go and every five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from runtime.api.admission.usage import in_scopes, usage_of
from runtime.client.informer import Delta
from runtime.objects import quantity
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import is_deleting, key_of, namespace_of

from .context import BaseController, Context
from .pods import is_finished

RESOURCE = "resourcequotas"
RESYNC = 300.0
PACE = 0.1
_OF_PODS = ("cpu", "memory", "ephemeral-storage", "hugepages-", "requests.", "limits.")
_OF_CLAIMS = ("requests.storage", ".storageclass.storage.k8s.io/requests.storage")
_OF_CLASS = ".storageclass.storage.k8s.io/"
_PLAIN = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
)


def kind_of(name: str) -> str:
    """The resource whose objects a name in ``spec.hard`` is about; empty when none that is counted here is."""
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name in _PLAIN:
        return name
    if name.startswith("services."):
        return "services"
    if name.endswith(_OF_CLAIMS) or _OF_CLASS in name:
        return "persistentvolumeclaims"
    return "pods" if name.startswith(_OF_PODS) else ""


def is_overdue(obj: Obj, now: datetime) -> bool:
    """Whether a pod should be gone by now: one that is stuck (its node is lost) is charged to nobody."""
    moment = obj["metadata"].get("deletionTimestamp")
    if moment is None:
        return False
    grace = int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
    return now > parse_time(moment) + timedelta(seconds=grace)


def used(quota: Obj, objects: Callable[[str], Iterable[Obj]], now: datetime) -> dict[str, str]:
    """``status.used`` for every name in ``spec.hard``.

    Args:
        quota: the ResourceQuota.
        objects: the objects of a resource (``pods``, ``deployments.apps``) in the quota's namespace.
        now: which pods are overdue depends on it.
    """
    hard = quota["spec"].get("hard") or {}
    totals = {name: quantity.Quantity(0, quantity.parse(amount).format) for name, amount in hard.items()}
    for resource in sorted({kind_of(name) for name in hard} - {""}):
        for obj in objects(resource):
            if not in_scopes(quota, resource, obj):
                continue
            overdue = resource == "pods" and is_overdue(obj, now)
            for name, amount in usage_of(resource, obj).items():
                if name in totals and (not overdue or name == "count/pods"):
                    total = totals[name].nano + amount.nano
                    totals[name] = quantity.Quantity(total, totals[name].format)
    return {name: str(total) for name, total in totals.items()}


class ResourceQuotaController(BaseController):
    """Keeps ``status.used``."""

    name = "resourcequota"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.quotas = context.informers.informer(RESOURCE)
        self.quotas.add_handler(self._on_quotas)
        self._watched: set[str] = set()
        for resource in _PLAIN:
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
        status = {"hard": hard, "used": used(quota, objects, self.clock.now())}
        if status != (quota.get("status") or {}):
            try:
                await self.client.update_status({**quota, "status": status})
            except StatusError as error:
                if error.code != 404:
                    raise
        return RESYNC
