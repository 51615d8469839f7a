"""Certificate requests: what was approved is signed, and requests that are settled or forgotten go away.

After ``certificates/{signer/signer,cleaner/cleaner}.go`` and ``pkg/apis/certificates/helpers.go``. Of upstream's
signers there are those whose certificates this API believes: for clients, and for kubelets.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import name_of, uid_of

from .context import BaseController, Context

if TYPE_CHECKING:
    from cryptography import x509

RESOURCE: Final = "certificatesigningrequests.certificates.k8s.io"
CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"

LIFETIME: Final = timedelta(days=365)
"""Of a certificate whose request asks for nothing shorter (``--cluster-signing-duration``)."""
SHORTEST: Final = timedelta(minutes=10)
SETTLED: Final = timedelta(hours=1)
"""How long a request is kept after it was issued, denied or failed."""
PENDING: Final = timedelta(hours=24)
"""How long a request waits for a decision."""

Sign = Callable[[bytes, Sequence[str], timedelta], bytes]
"""Takes a request (PEM), the usages and a lifetime; gives the certificate (PEM)."""

_OPTIONAL = frozenset({"digital signature", "key encipherment"})


def objection(request: x509.CertificateSigningRequest, signer: str, usages: Sequence[str]) -> str:
    """Why a signer can't sign a request, in upstream's words; empty when it can."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    if signer == CLIENT:
        for usage in usages:
            if usage not in _OPTIONAL and usage != "client auth":
                return f"invalid usage for client certificate: {usage}"
        return "" if "client auth" in usages else "missing required usage for client certificate: client auth"
    groups = [part.value for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if groups != ["system:nodes"]:
        return "subject organization is not system:nodes"
    names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if not names or not names[0].startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    try:
        alternative = list(
            request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value,
        )
    except x509.ExtensionNotFound:
        alternative = []
    if signer == KUBELET_CLIENT:
        if alternative:
            return "subjectAltNames are not allowed"
        needed = "client auth"
    else:
        if any(not isinstance(name, x509.DNSName | x509.IPAddress) for name in alternative):
            return "only DNS and IP subjectAltNames are allowed"
        if not alternative:
            return "DNS or IP subjectAltName is required"
        needed = "server auth"
    if needed not in usages or "digital signature" not in usages or set(usages) - _OPTIONAL - {needed}:
        wanted = f"[digital signature key encipherment {needed}] or [digital signature {needed}]"
        return f"usages did not match {wanted}"
    return ""


def lifetime(spec: Obj) -> timedelta:
    """How long the certificate of a request is good for."""
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        return LIFETIME
    return max(SHORTEST, min(LIFETIME, timedelta(seconds=seconds)))


def goes_at(request: Obj) -> datetime:
    """When a request has been kept long enough."""
    status = request.get("status") or {}
    for kind in ("Approved", "Denied", "Failed"):
        entry = meta.condition(request, kind)
        if entry is None or (kind == "Approved" and not status.get("certificate")):
            continue
        moment = entry.get("lastUpdateTime") or request["metadata"]["creationTimestamp"]
        return parse_time(moment) + SETTLED
    return parse_time(request["metadata"]["creationTimestamp"]) + PENDING


class CertificateController(BaseController):
    """Signs approved requests and removes old ones."""

    name = "certificatesigningrequest"
    workers = 1

    def __init__(self, context: Context, sign: Sign) -> None:
        super().__init__(context)
        self._sign = sign
        self.requests = context.informers.informer(RESOURCE)
        self.requests.add_handler(self._on_requests)

    def _on_requests(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None:
                self.queue.add(name_of(delta.new))

    async def sync(self, key: str) -> float | None:
        """Sign the request, or wait until it may go."""
        request = self.requests.get(key)
        if request is None:
            return None
        left = (goes_at(request) - self.clock.now()).total_seconds()
        if left < 0:
            try:
                await self.client.delete(RESOURCE, key, uid=uid_of(request))
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
            return None
        await self._issue(request)
        return left

    async def _issue(self, request: Obj) -> None:
        from cryptography import x509

        spec, status = request["spec"], request.get("status") or {}
        decided = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
        if status.get("certificate") or "Approved" not in decided or "Failed" in decided:
            return
        if spec["signerName"] not in (CLIENT, KUBELET_CLIENT, KUBELET_SERVING):
            return
        pem = base64.b64decode(spec["request"])
        usages = spec.get("usages") or []
        why = objection(x509.load_pem_x509_csr(pem), spec["signerName"], usages)
        if why:
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "SignerValidationFailure",
                "message": why,
                "lastUpdateTime": self.context.stamp(),
            }
            new = {**status, "conditions": [*(status.get("conditions") or ()), failed]}
        else:
            certificate = self._sign(pem, usages, lifetime(spec))
            new = {**status, "certificate": base64.b64encode(certificate).decode()}
        await self.client.update_status({**request, "status": new})
