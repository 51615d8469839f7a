"""ResourceQuota: a namespace may not use more than it was given.

``apiserver/pkg/admission/plugin/resourcequota``. Upstream raises the quota's usage in writes of their own before
the object is stored; here the new usage goes into the same transaction as the object, so that neither can be
there without the other. Usage goes down when the quota controller counts again.
"""

from __future__ import annotations

from runtime.objects.errors import Obj
from runtime.objects.quantity import Quantity, parse
from runtime.store import Change

from .chain import CREATE, UPDATE, Attributes, Plugin
from .usage import Usage, in_scopes, unset_compute, usage_of

_COUNTED_ON_UPDATE = frozenset({"services", "persistentvolumeclaims"})


class ResourceQuota(Plugin):
    """Charges what is created (or grows) against every quota of the namespace that matches."""

    operations = frozenset({CREATE, UPDATE})
    subresources = frozenset({"", "resize"})

    def validate(self, a: Attributes) -> None:
        """Refuse what is over a quota; note the new usage otherwise."""
        if not a.namespace or not a.view.count("resourcequotas"):
            return
        resource = a.resource.group_resource
        if a.operation == UPDATE and a.subresource != "resize" and resource not in _COUNTED_ON_UPDATE:
            return
        charged: Usage | None = None
        for listed in a.view.list("resourcequotas", a.namespace):
            record = a.view.record("resourcequotas", a.namespace, listed["metadata"]["name"])
            if record is None or not in_scopes(record.obj, resource, a.object):
                continue
            if charged is None:
                charged = _charge(resource, a)
            changed = self._check(a, resource, record.obj, charged)
            if changed is not None:
                a.changes.append(Change(record.key, changed, record.version))

    def _check(self, a: Attributes, resource: str, quota: Obj, charged: Usage) -> Obj | None:
        name = quota["metadata"]["name"]
        status = quota.get("status") or {}
        hard: Obj = status.get("hard") or (quota.get("spec") or {}).get("hard") or {}
        if resource == "pods" and a.operation == CREATE:
            unset = unset_compute(a.object, hard)
            if unset:
                raise a.deny(f"failed quota: {name}: must specify {unset}")
        asked = {item: amount for item, amount in charged.items() if item in hard and amount.nano > 0}
        if not asked:
            return None
        used = {item: parse(amount) for item, amount in (status.get("used") or {}).items()}
        if any(item not in used for item in asked):
            used = _count(a, quota, hard)
        totals = {item: used.get(item, Quantity(0)) + amount for item, amount in asked.items()}
        over = sorted(item for item, total in totals.items() if total > parse(hard[item]))
        if over:
            raise a.deny(
                f"exceeded quota: {name}, "
                f"requested: {','.join(f'{item}={asked[item]}' for item in over)}, "
                f"used: {','.join(f'{item}={used.get(item, Quantity(0))}' for item in over)}, "
                f"limited: {','.join(f'{item}={parse(hard[item])}' for item in over)}"
            )
        text = {item: str(amount) for item, amount in (used | totals).items()}
        return {
            **quota,
            "metadata": dict(quota["metadata"]),
            "status": {**status, "hard": hard, "used": text},
        }


def _charge(resource: str, a: Attributes) -> Usage:
    used = usage_of(resource, a.object)
    if a.old is None:
        return used
    before = usage_of(resource, a.old)
    return {item: amount - before[item] if item in before else amount for item, amount in used.items()}


def _count(a: Attributes, quota: Obj, hard: Obj) -> Usage:
    """What is used now, for a quota that its controller has not looked at yet."""
    total: Usage = {item: Quantity(0) for item in hard}
    kinds = {item.removeprefix("count/") for item in hard if item.startswith("count/")}
    kinds |= {item for item in hard if "." not in item and "/" not in item}
    kinds |= {"pods", "services", "persistentvolumeclaims"}
    for kind in kinds:
        for obj in a.view.list(kind, a.namespace):
            if in_scopes(quota, kind, obj):
                for item, amount in usage_of(kind, obj).items():
                    if item in total:
                        total[item] = total[item] + amount
    return total
