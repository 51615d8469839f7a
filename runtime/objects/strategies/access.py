"""Access: roles and bindings, certificate requests, and the reviews that are asked but not stored.

Follows registry/{rbac,certificates,authentication,authorization}/*.
"""

from __future__ import annotations

from ..defaults.cluster import default_role_binding
from ..errors import FieldError, Obj
from ..validation import access as rules
from .base import KindStrategy, keep


class SigningRequestStrategy(KindStrategy):
    """Certificate requests: conditions only through ``approval``, the certificate only through ``status``."""

    def prepare_for_subresource(self, subresource: str, new: Obj, old: Obj) -> None:
        """Each subresource changes its own part of the status."""
        super().prepare_for_subresource("status", new, old)
        before = old.get("status") or {}
        status = new.setdefault("status", {})
        if subresource == "approval":
            new["status"] = dict(before)
            keep(new["status"], status, "conditions")
        else:
            decided = ("Approved", "Denied")
            kept = [one for one in before.get("conditions") or () if one.get("type") in decided]
            free = [one for one in status.get("conditions") or () if one.get("type") not in decided]
            if kept or free:
                status["conditions"] = kept + free
            else:
                keep(status, {}, "conditions")

    def validate_subresource(self, subresource: str, new: Obj, old: Obj) -> list[FieldError]:
        """``approval`` changes the same conditions as ``status`` and keeps the same rules."""
        return self.validate_status_update(new, old)


CLUSTER_ROLE = KindStrategy(
    check=rules.check_cluster_role, compare=rules.check_cluster_role_update, create_on_update=True
)
ROLE = KindStrategy(check=rules.check_role, compare=rules.check_role_update, create_on_update=True)
CLUSTER_ROLE_BINDING = KindStrategy(
    default=default_role_binding,
    check=rules.check_cluster_role_binding,
    compare=rules.check_cluster_role_binding_update,
    create_on_update=True,
)
ROLE_BINDING = KindStrategy(
    default=default_role_binding,
    check=rules.check_role_binding,
    compare=rules.check_role_binding_update,
    create_on_update=True,
)
SIGNING_REQUEST = SigningRequestStrategy(
    check=rules.check_signing_request,
    compare=rules.check_signing_request_update,
    compare_status=rules.check_signing_request_status,
    status="certificates.v1.CertificateSigningRequestStatus",
)
ACCESS_REVIEW = KindStrategy(check=rules.check_access_review)
LOCAL_ACCESS_REVIEW = KindStrategy(check=rules.check_local_access_review)
SELF_ACCESS_REVIEW = KindStrategy(check=rules.check_self_access_review)
