"""Tables of who may do what: role bindings, certificates, admission, flow control, and devices to claim.

Follows kubernetes ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..errors import Obj
from ..selectors import format_label_selector, format_labels
from .duration import human_duration, since
from .table import (
    AGE,
    NAME,
    NONE,
    UNSET,
    age,
    condition_status,
    integer,
    name_of,
    part,
    prints,
    text,
    wide,
    with_more,
)

_ADMISSION = "admissionregistration.k8s.io"


@prints(
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    columns=(
        NAME,
        text("Role", "The role that is granted."),
        AGE,
        wide("Users", "Users it is granted to."),
        wide("Groups", "Groups it is granted to."),
        wide("ServiceAccounts", "ServiceAccounts it is granted to."),
    ),
)
def _role_binding(obj: Obj, now: datetime) -> list[Any]:
    role = part(obj, "roleRef")
    found: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        if kind in found:
            found[kind].append(f"{subject.get('namespace', '')}/{name}" if kind == "ServiceAccount" else name)
    return [
        name_of(obj),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        age(obj, now),
        *(", ".join(names) for names in found.values()),
    ]


@prints(
    ("certificates.k8s.io", "CertificateSigningRequest"),
    columns=(
        NAME,
        AGE,
        text("SignerName", "Who is asked to sign."),
        text("Requestor", "Who asks."),
        text("RequestedDuration", "How long the certificate should be valid."),
        text("Condition", "Whether it is pending, approved, denied, failed or issued."),
    ),
)
def _signing_request(obj: Obj, now: datetime) -> list[Any]:
    spec, status = part(obj, "spec"), part(obj, "status")
    types = {condition.get("type") for condition in status.get("conditions") or ()}
    condition = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    condition += ",Failed" if "Failed" in types else ""
    condition += ",Issued" if status.get("certificate") else ""
    seconds = spec.get("expirationSeconds")
    return [
        name_of(obj),
        age(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else human_duration(seconds),
        condition,
    ]


@prints(
    ("certificates.k8s.io", "ClusterTrustBundle"),
    columns=(NAME, text("SignerName", "The signer it is for.")),
)
def _trust_bundle(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), part(obj, "spec").get("signerName") or NONE]


@prints(
    ("certificates.k8s.io", "PodCertificateRequest"),
    columns=(
        NAME,
        text("PodName", "The pod it is for."),
        text("ServiceAccountName", "The pod's service account."),
        text("NodeName", "The pod's node."),
        text("SignerName", "Who is asked to sign."),
        text("State", "Is the request Pending, Issued, Denied, or Failed?"),
        text("UnverifiedUserAnnotations", "What the pod says for the signer to read."),
    ),
)
def _pod_certificate_request(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    state = "Pending"
    for condition in part(obj, "status").get("conditions") or ():
        if condition.get("type") in ("Issued", "Denied", "Failed"):
            state = condition["type"]
    fields = [spec.get(key, "") for key in ("podName", "serviceAccountName", "nodeName", "signerName")]
    return [name_of(obj), *fields, state, format_labels(spec.get("unverifiedUserAnnotations"))]


@prints(
    (_ADMISSION, "MutatingWebhookConfiguration"),
    (_ADMISSION, "ValidatingWebhookConfiguration"),
    columns=(NAME, integer("Webhooks", "The number of webhooks registered in this configuration"), AGE),
)
def _webhooks(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), len(obj.get("webhooks") or ()), age(obj, now)]


def _param_kind(obj: Obj) -> str:
    kind = part(obj, "spec").get("paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET


_PARAM_KIND = text("ParamKind", "The kind of resources used to parameterize this policy")


@prints(
    (_ADMISSION, "ValidatingAdmissionPolicy"),
    columns=(NAME, integer("Validations", "The number of validation rules"), _PARAM_KIND, AGE),
)
def _validating_policy(obj: Obj, now: datetime) -> list[Any]:
    rules = part(obj, "spec").get("validations") or ()
    return [name_of(obj), len(rules), _param_kind(obj), age(obj, now)]


@prints(
    (_ADMISSION, "MutatingAdmissionPolicy"),
    columns=(NAME, integer("Mutations", "The number of mutation rules"), _PARAM_KIND, AGE),
)
def _mutating_policy(obj: Obj, now: datetime) -> list[Any]:
    rules = part(obj, "spec").get("mutations") or ()
    return [name_of(obj), len(rules), _param_kind(obj), age(obj, now)]


@prints(
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"),
    columns=(
        NAME,
        text("PolicyName", "The policy that is bound."),
        text("ParamRef", "Where its parameters come from."),
        AGE,
    ),
)
def _policy_binding(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    reference = part(spec, "paramRef")
    parameter = UNSET
    if name := reference.get("name"):
        parameter = f"{reference.get('namespace') or '*'}/{name}"
    elif reference.get("selector") is not None:
        parameter = format_label_selector(reference["selector"])
    return [name_of(obj), spec.get("policyName", ""), parameter, age(obj, now)]


@prints(
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    columns=(
        NAME,
        text("PriorityLevel", "Where its requests go."),
        text("MatchingPrecedence", "Its place among the schemas: the lowest that matches wins."),
        text("DistinguisherMethod", "What tells its flows apart."),
        AGE,
        text("MissingPL", "Whether its priority level does not exist."),
    ),
)
def _flow_schema(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    return [
        name_of(obj),
        part(spec, "priorityLevelConfiguration").get("name", ""),
        spec.get("matchingPrecedence") or 0,
        part(spec, "distinguisherMethod").get("type") or NONE,
        age(obj, now),
        condition_status(obj, "Dangling") or "?",
    ]


@prints(
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    columns=(
        NAME,
        text("Type", "Exempt or Limited."),
        text("NominalConcurrencyShares", "Its share of the server's concurrency."),
        text("Queues", "The number of queues."),
        text("HandSize", "How many queues a flow may use."),
        text("QueueLengthLimit", "How many requests a queue holds."),
        AGE,
    ),
)
def _priority_level(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    limited = spec.get("limited")
    queuing = part(part(limited or {}, "limitResponse"), "queuing")
    return [
        name_of(obj),
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares") if limited else NONE,
        *(queuing.get(key, NONE) for key in ("queues", "handSize", "queueLengthLimit")),
        age(obj, now),
    ]


@prints(
    ("internal.apiserver.k8s.io", "StorageVersion"),
    columns=(
        NAME,
        text("CommonEncodingVersion", "The version all servers store."),
        text("StorageVersions", "The version each server stores."),
        AGE,
    ),
)
def _storage_version(obj: Obj, now: datetime) -> list[Any]:
    status = part(obj, "status")
    servers = [
        f"{entry.get('apiServerID', '')}={entry.get('encodingVersion', '')}"
        for entry in status.get("storageVersions") or ()
    ]
    common = status.get("commonEncodingVersion")
    return [
        name_of(obj),
        UNSET if common is None else common,
        with_more(servers, len(servers)),
        age(obj, now),
    ]


@prints(("resource.k8s.io", "DeviceClass"), ("resource.k8s.io", "ResourceClaimTemplate"), columns=(NAME, AGE))
def _name_and_age(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), age(obj, now)]


@prints(
    ("resource.k8s.io", "ResourceClaim"),
    columns=(NAME, text("State", "Whether it is pending, allocated, reserved or deleted."), AGE),
)
def _resource_claim(obj: Obj, now: datetime) -> list[Any]:
    status = part(obj, "status")
    deleted = bool(part(obj, "metadata").get("deletionTimestamp"))
    states = ["deleted"] if deleted else []
    if status.get("allocation") is None:
        states += [] if deleted else ["pending"]
    else:
        states += ["allocated", "reserved"] if status.get("reservedFor") else ["allocated"]
    return [name_of(obj), ",".join(states), age(obj, now)]


@prints(
    ("resource.k8s.io", "ResourceSlice"),
    columns=(
        NAME,
        text("Node", "The node that has the devices."),
        text("Driver", "The driver that offers them."),
        text("Pool", "The pool they belong to."),
        AGE,
    ),
)
def _resource_slice(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    pool = part(spec, "pool").get("name", "")
    return [name_of(obj), spec.get("nodeName") or "", spec.get("driver", ""), pool, age(obj, now)]


@prints(
    ("resource.k8s.io", "DeviceTaintRule"),
    columns=(
        NAME,
        text("Key", "The taint's key."),
        text("Value", "The taint's value."),
        text("Effect", "What the taint does."),
        text("TimeAdded", "Time since it was added."),
        AGE,
    ),
)
def _device_taint(obj: Obj, now: datetime) -> list[Any]:
    taint = part(part(obj, "spec"), "taint")
    added = taint.get("timeAdded")
    fields = [taint.get(key, "") for key in ("key", "value", "effect")]
    return [name_of(obj), *fields, since(added, now) if added else "", age(obj, now)]
