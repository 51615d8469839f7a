"""Definitions in Kubernetes' own groups need the community's approval, said in an annotation.

After apiextensions-apiserver ``pkg/apihelpers/helpers.go`` (``GetAPIApprovalState``) and
``pkg/controller/apiapproval/apiapproval_controller.go``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from ..errors import Obj

ANNOTATION = "api-approved.kubernetes.io"
POLICY = "https://github.com/kubernetes/enhancements/pull/1111"


def protected(group: str) -> bool:
    """Whether a group is Kubernetes' own."""
    return group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))


def approval_state(annotations: Obj) -> tuple[str, str]:
    """``missing``, ``invalid``, ``approved`` or ``bypassed``, and the sentence that says so."""
    text = str(annotations.get(ANNOTATION) or "")
    url = urlsplit(text) if text else None
    if not text:
        return "missing", f'protected groups must have approval annotation "{ANNOTATION}", see {POLICY}'
    if text.startswith("unapproved"):
        return "bypassed", f'not approved: "{text}"'
    if url is not None and url.scheme and url.netloc:
        return "approved", f"approved in {text}"
    sentence = (
        f'protected groups must have approval annotation "{ANNOTATION}" with either a URL or a reason starting with '
        f'"unapproved", see {POLICY}'
    )
    return "invalid", sentence


def approval(definition: Obj) -> Obj | None:
    """The condition KubernetesAPIApprovalPolicyConformant (without a time); None for everybody else's groups."""
    if not protected(definition["spec"]["group"]):
        return None
    state, sentence = approval_state(definition["metadata"].get("annotations") or {})
    reasons = {
        "missing": ("False", "MissingAnnotation"),
        "invalid": ("False", "InvalidAnnotation"),
        "approved": ("True", "ApprovedAnnotation"),
        "bypassed": ("False", "UnapprovedAnnotation"),
    }
    status, reason = reasons[state]
    return {
        "type": "KubernetesAPIApprovalPolicyConformant",
        "status": status,
        "reason": reason,
        "message": sentence,
    }
