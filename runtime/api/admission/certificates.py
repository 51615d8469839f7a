"""Certificate requests carry who made them and when they were decided on, whatever their author wrote there.

``pkg/registry/certificates/certificates/strategy.go`` (PrepareForCreate, populateConditionTimestamps) and
``plugin/pkg/admission/certificates/subjectrestriction``.
"""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.x509.oid import NameOID

from runtime.api.context import MASTERS
from runtime.objects import meta
from runtime.objects.clock import Clock, format_time

from .chain import CREATE, UPDATE, Attributes, Plugin

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateRequests(Plugin):
    """Fills in the requesting user, and the times of conditions; nobody asks to become a master."""

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

    def validate(self, a: Attributes) -> None:
        """Refuse a request for a client certificate of the group that may do everything."""
        if a.old is not None or a.object["spec"].get("signerName") != CLIENT_SIGNER:
            return
        request = x509.load_pem_x509_csr(base64.b64decode(a.object["spec"]["request"]))
        groups = [part.value for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        if MASTERS in groups:
            raise a.deny(f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
