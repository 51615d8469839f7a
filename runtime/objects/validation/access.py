"""The rules of roles, bindings, certificate requests and access reviews.

Follows pkg/apis/{rbac,certificates,authorization}/validation/validation.go.
"""

from __future__ import annotations

import base64
import binascii

from cryptography import x509

from ..errors import Obj, duplicate, forbidden_field, invalid, required
from .meta import Errors, add, check_meta, check_meta_update, check_selector, immutable, unsupported
from .names import label, path_segment, path_segment_name, subdomain

RBAC = "rbac.authorization.k8s.io"
MIN_SECONDS = 600
USAGES = frozenset(
    {
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    }
)


def _rule(rule: Obj, namespaced: bool, path: str, errors: Errors) -> None:
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs") or []
    if urls:
        if namespaced:
            sentence = "namespaced rules cannot apply to non-resource URLs"
            errors.append(invalid(f"{path}.nonResourceURLs", urls, sentence))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            sentence = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(invalid(f"{path}.nonResourceURLs", urls, sentence))
        return
    if not rule.get("apiGroups"):
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))


def _rules(obj: Obj, namespaced: bool, errors: Errors) -> None:
    for index, rule in enumerate(obj.get("rules") or ()):
        _rule(rule, namespaced, f"rules[{index}]", errors)
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors") or ()
        place = "aggregationRule.clusterRoleSelectors"
        if not selectors:
            errors.append(
                required(place, "at least one clusterRoleSelector required if aggregationRule is non-nil")
            )
        for index, selector in enumerate(selectors):
            check_selector(selector, f"{place}[{index}]", errors)


def check_role(obj: Obj) -> Errors:
    """A new Role."""
    errors: Errors = []
    check_meta(obj, errors, name=path_segment_name)
    _rules(obj, True, errors)
    return errors


def check_role_update(new: Obj, old: Obj) -> Errors:
    """A changed Role."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _rules(new, True, errors)
    return errors


def check_cluster_role(obj: Obj) -> Errors:
    """A new ClusterRole."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False, name=path_segment_name)
    _rules(obj, False, errors)
    return errors


def check_cluster_role_update(new: Obj, old: Obj) -> Errors:
    """A changed ClusterRole."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    _rules(new, False, errors)
    return errors


def _subject(subject: Obj, namespaced: bool, path: str, errors: Errors) -> None:
    name, kind, group = (subject.get(key) or "" for key in ("name", "kind", "apiGroup"))
    if not name:
        errors.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            add(errors, f"{path}.name", name, subdomain(name))
        if group:
            errors.append(unsupported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != RBAC:
            errors.append(unsupported(f"{path}.apiGroup", group, (RBAC,)))
    else:
        errors.append(unsupported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))


def _binding(obj: Obj, namespaced: bool, errors: Errors) -> None:
    reference = obj.get("roleRef") or {}
    if reference.get("apiGroup") != RBAC:
        errors.append(unsupported("roleRef.apiGroup", reference.get("apiGroup") or "", (RBAC,)))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind") not in kinds:
        errors.append(unsupported("roleRef.kind", reference.get("kind") or "", kinds))
    name = reference.get("name") or ""
    if not name:
        errors.append(required("roleRef.name"))
    else:
        add(errors, "roleRef.name", name, path_segment(name))
    for index, subject in enumerate(obj.get("subjects") or ()):
        _subject(subject, namespaced, f"subjects[{index}]", errors)


def check_role_binding(obj: Obj) -> Errors:
    """A new RoleBinding."""
    errors: Errors = []
    check_meta(obj, errors, name=path_segment_name)
    _binding(obj, True, errors)
    return errors


def check_cluster_role_binding(obj: Obj) -> Errors:
    """A new ClusterRoleBinding."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False, name=path_segment_name)
    _binding(obj, False, errors)
    return errors


def _binding_update(new: Obj, old: Obj, namespaced: bool) -> Errors:
    errors: Errors = []
    check_meta_update(new, old, errors)
    _binding(new, namespaced, errors)
    if new.get("roleRef") != old.get("roleRef"):
        errors.append(invalid("roleRef", new.get("roleRef"), "cannot change roleRef"))
    return errors


def check_role_binding_update(new: Obj, old: Obj) -> Errors:
    """A changed RoleBinding; its role stays."""
    return _binding_update(new, old, True)


def check_cluster_role_binding_update(new: Obj, old: Obj) -> Errors:
    """A changed ClusterRoleBinding; its role stays."""
    return _binding_update(new, old, False)


def _signer(name: str, path: str, errors: Errors) -> None:
    """``domain/path`` (``ValidateSignerName``)."""
    if not name:
        errors.append(required(path))
        return
    domain, slash, rest = name.partition("/")
    if not slash or not rest:
        sentence = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        errors.append(invalid(path, name, sentence))
        return
    if len(name) > 571:
        errors.append(invalid(path, name, "must be no more than 571 bytes"))
    for part in domain.split("."):
        if found := label(part):
            errors.append(invalid(path, domain, f'validating label "{part}": {found[0]}'))
    if "." not in domain:
        errors.append(invalid(path, name, "should be a domain with at least two segments separated by dots"))
    for part in rest.split("."):
        if not part:
            errors.append(invalid(path, rest, 'validating label "": must be non-empty'))


def _parse_request(text: str) -> str:
    """What is wrong with a PEM request; empty when it can be read."""
    try:
        pem = base64.b64decode(text)
    except binascii.Error as error:
        return str(error)
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        x509.load_pem_x509_csr(pem)
    except ValueError as error:
        return str(error)
    return ""


def _request_spec(spec: Obj, errors: Errors) -> None:
    if problem := _parse_request(spec.get("request") or ""):
        errors.append(invalid("spec.request", spec.get("request") or "", problem))
    usages = spec.get("usages") or []
    if not usages:
        errors.append(required("spec.usages"))
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            errors.append(unsupported(f"spec.usages[{index}]", usage, sorted(USAGES)))
        if usage in usages[:index]:
            errors.append(duplicate(f"spec.usages[{index}]", usage))
    _signer(spec.get("signerName") or "", "spec.signerName", errors)
    if spec.get("signerName") == "kubernetes.io/legacy-unknown":
        sentence = "kubernetes.io/legacy-unknown is not allowed for new requests"
        errors.append(invalid("spec.signerName", spec["signerName"], sentence))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < MIN_SECONDS:
        sentence = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, sentence))


def check_signing_request(obj: Obj) -> Errors:
    """A new CertificateSigningRequest."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False, name=path_segment_name)
    _request_spec(obj.get("spec") or {}, errors)
    return errors


def check_signing_request_update(new: Obj, old: Obj) -> Errors:
    """A changed request: what was asked for stays."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("spec"), old.get("spec"), "spec", errors)
    return errors


def check_signing_request_status(new: Obj, old: Obj) -> Errors:
    """Conditions are complete; approved and denied exclude each other; nothing decided is taken back."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    kinds: set[str] = set()
    conditions = (new.get("status") or {}).get("conditions") or ()
    for index, condition in enumerate(conditions):
        place = f"status.conditions[{index}]"
        kind, status = condition.get("type") or "", condition.get("status") or ""
        if not kind:
            errors.append(required(f"{place}.type"))
        if not status:
            errors.append(required(f"{place}.status"))
        elif status not in ("True", "False", "Unknown"):
            errors.append(unsupported(f"{place}.status", status, ("True", "False", "Unknown")))
        elif kind in ("Approved", "Denied", "Failed") and status != "True":
            errors.append(unsupported(f"{place}.status", status, ("True",)))
        for one, other in (("Approved", "Denied"), ("Denied", "Approved")):
            if kind == one and other in kinds:
                sentence = f"{one} and {other} conditions are mutually exclusive"
                errors.append(invalid(f"{place}.type", kind, sentence))
        kinds.add(kind)
    for condition in (old.get("status") or {}).get("conditions") or ():
        kind = condition.get("type")
        if kind in ("Approved", "Denied", "Failed") and kind not in kinds:
            sentence = f'updates may not remove a condition of type "{kind}"'
            errors.append(forbidden_field("status.conditions", sentence))
    was = (old.get("status") or {}).get("certificate")
    now = (new.get("status") or {}).get("certificate")
    if was and now != was:
        errors.append(forbidden_field("status.certificate", "updates may not set certificate content"))
    return errors


def check_access_review(obj: Obj) -> Errors:
    """A SubjectAccessReview asks about somebody and something."""
    errors = check_self_access_review(obj)
    spec = obj.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    return errors


def check_self_access_review(obj: Obj) -> Errors:
    """A review asks about a resource or about a URL, not both."""
    errors: Errors = []
    spec = obj.get("spec") or {}
    resource, url = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and url is not None:
        sentence = "cannot be specified in combination with resourceAttributes"
        errors.append(invalid("spec.nonResourceAttributes", url, sentence))
    elif resource is None and url is None:
        sentence = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        errors.append(invalid("spec.resourceAttributes", None, sentence))
    return errors


def check_local_access_review(obj: Obj) -> Errors:
    """A LocalSubjectAccessReview asks about its own namespace."""
    errors = check_access_review(obj)
    namespace = (obj.get("metadata") or {}).get("namespace") or ""
    attributes = (obj.get("spec") or {}).get("resourceAttributes")
    if attributes is not None and (attributes.get("namespace") or "") != namespace:
        place = "spec.resourceAttributes.namespace"
        errors.append(invalid(place, attributes.get("namespace") or "", "must match metadata.namespace"))
    if (obj.get("spec") or {}).get("nonResourceAttributes") is not None:
        sentence = "disallowed on this kind of request"
        value = obj["spec"]["nonResourceAttributes"]
        errors.append(invalid("spec.nonResourceAttributes", value, sentence))
    return errors
