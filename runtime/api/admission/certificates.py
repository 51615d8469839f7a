"""Certificate requests carry who made them and when they were decided on, whatever their author wrote there.

``pkg/registry/certificates/certificates/strategy.go`` (PrepareForCreate, populateConditionTimestamps).
"""

from __future__ import annotations

from runtime.objects import meta
from runtime.objects.clock import Clock, format_time

from .chain import CREATE, UPDATE, Attributes, Plugin


class CertificateRequests(Plugin):
    """Fills in the requesting user, and the times of conditions."""

    resources = frozenset({"certificatesigningrequests.certificates.k8s.io"})
    operations = frozenset({CREATE, UPDATE})
    subresources = frozenset({"", "approval", "status"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def admit(self, a: Attributes) -> None:
        """Complete the request."""
        if a.old is None:
            user = a.ctx.user
            spec = a.object.setdefault("spec", {})
            for field in ("uid", "groups", "extra"):
                spec.pop(field, None)
            spec["username"] = user.name
            if user.uid:
                spec["uid"] = user.uid
            if user.groups:
                spec["groups"] = list(user.groups)
            if user.extra:
                spec["extra"] = {key: list(values) for key, values in user.extra.items()}
            return
        now = format_time(self._clock.now())
        for condition in (a.object.get("status") or {}).get("conditions") or ():
            if not condition.get("lastUpdateTime"):
                condition["lastUpdateTime"] = now
            if not condition.get("lastTransitionTime"):
                before = meta.condition(a.old, condition.get("type", "")) or {}
                same = before.get("status") == condition.get("status")
                condition["lastTransitionTime"] = (same and before.get("lastTransitionTime")) or now
