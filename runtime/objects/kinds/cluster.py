"""The kinds around the workloads: networking, storage, access, coordination, events, extension and flow control."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import Obj
from ..registry import Resource, Subresource
from ..strategies import access, aggregation, extension, networking, storage
from ..strategies import devices as allocation
from ..strategies.events import EVENTS_V1, core_event_from_v1, event_v1_from_core
from .core import REFERENCE_FIELDS, event_fields
from .entry import API_EXTENSIONS, CREATE, READ_WRITE, entry, select


def events_v1_fields(event: Obj) -> Mapping[str, str]:
    """The selectors of events.k8s.io/v1, which ask the stored core event under other names.

    Follows pkg/apis/events/v1/conversion.go, ``AddFieldLabelConversionsForEvent``.
    """
    core = event_fields(event if "involvedObject" in event else core_event_from_v1(event))
    found = {f"regarding.{name}": core[f"involvedObject.{name}"] for name in REFERENCE_FIELDS}
    found["reason"] = core["reason"]
    found["reportingController"] = core["reportingComponent"]
    found["type"] = core["type"]
    return found


EVENTS_V1_FIELDS = frozenset(
    {f"regarding.{name}" for name in REFERENCE_FIELDS} | {"reason", "reportingController", "type"}
)


def events() -> list[Resource]:
    """``events.k8s.io/v1``: another view of the core events' store."""
    return [
        entry(
            "events.k8s.io",
            "v1",
            "Event",
            "events",
            short=("ev",),
            strategy=EVENTS_V1,
            fields=(events_v1_fields, EVENTS_V1_FIELDS),
            storage="events",
            to_storage=core_event_from_v1,
            from_storage=event_v1_from_core,
        ),
    ]


def authentication() -> list[Resource]:
    """``authentication.k8s.io/v1``: asked, never stored."""
    group = "authentication.k8s.io"
    return [
        entry(
            group,
            "v1",
            "SelfSubjectReview",
            "selfsubjectreviews",
            namespaced=False,
            verbs=CREATE,
            stored=False,
        ),
        entry(
            group,
            "v1",
            "TokenReview",
            "tokenreviews",
            namespaced=False,
            verbs=CREATE,
            stored=False,
        ),
    ]


def authorization() -> list[Resource]:
    """``authorization.k8s.io/v1``: asked, never stored."""
    group = "authorization.k8s.io"
    return [
        entry(
            group,
            "v1",
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
            verbs=CREATE,
            stored=False,
            strategy=access.LOCAL_ACCESS_REVIEW,
        ),
        entry(
            group,
            "v1",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            namespaced=False,
            verbs=CREATE,
            stored=False,
            strategy=access.SELF_ACCESS_REVIEW,
        ),
        entry(
            group,
            "v1",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
            namespaced=False,
            verbs=CREATE,
            stored=False,
        ),
        entry(
            group,
            "v1",
            "SubjectAccessReview",
            "subjectaccessreviews",
            namespaced=False,
            verbs=CREATE,
            stored=False,
            strategy=access.ACCESS_REVIEW,
        ),
    ]


def certificates() -> list[Resource]:
    """``certificates.k8s.io/v1``."""
    kind, group = "CertificateSigningRequest", "certificates.k8s.io"
    return [
        entry(
            group,
            "v1",
            kind,
            "certificatesigningrequests",
            namespaced=False,
            short=("csr",),
            status=True,
            more=(Subresource("approval", kind, group, "v1", READ_WRITE),),
            strategy=access.SIGNING_REQUEST,
            fields=select("spec.signerName"),
        ),
    ]


def network() -> list[Resource]:
    """``networking.k8s.io/v1``."""
    group = "networking.k8s.io"
    return [
        entry(
            group,
            "v1",
            "IngressClass",
            "ingressclasses",
            namespaced=False,
            strategy=networking.INGRESS_CLASS,
        ),
        entry(
            group,
            "v1",
            "Ingress",
            "ingresses",
            short=("ing",),
            status=True,
            strategy=networking.INGRESS,
        ),
        entry(
            group,
            "v1",
            "IPAddress",
            "ipaddresses",
            namespaced=False,
            short=("ip",),
            strategy=networking.IP_ADDRESS,
        ),
        entry(
            group,
            "v1",
            "NetworkPolicy",
            "networkpolicies",
            short=("netpol",),
            strategy=networking.NETWORK_POLICY,
        ),
        entry(
            group,
            "v1",
            "ServiceCIDR",
            "servicecidrs",
            namespaced=False,
            status=True,
            strategy=networking.SERVICE_CIDR,
        ),
    ]


def rbac() -> list[Resource]:
    """``rbac.authorization.k8s.io/v1``."""
    group = "rbac.authorization.k8s.io"
    return [
        entry(
            group,
            "v1",
            "ClusterRoleBinding",
            "clusterrolebindings",
            namespaced=False,
            strategy=access.CLUSTER_ROLE_BINDING,
        ),
        entry(
            group,
            "v1",
            "ClusterRole",
            "clusterroles",
            namespaced=False,
            strategy=access.CLUSTER_ROLE,
        ),
        entry(group, "v1", "RoleBinding", "rolebindings", strategy=access.ROLE_BINDING),
        entry(group, "v1", "Role", "roles", strategy=access.ROLE),
    ]


def storages() -> list[Resource]:
    """``storage.k8s.io/v1``."""
    group = "storage.k8s.io"
    return [
        entry(group, "v1", "CSIDriver", "csidrivers", namespaced=False, strategy=storage.CSI_DRIVER),
        entry(group, "v1", "CSINode", "csinodes", namespaced=False, strategy=storage.CSI_NODE),
        entry(
            group,
            "v1",
            "CSIStorageCapacity",
            "csistoragecapacities",
            strategy=storage.STORAGE_CAPACITY,
        ),
        entry(
            group,
            "v1",
            "StorageClass",
            "storageclasses",
            namespaced=False,
            short=("sc",),
            strategy=storage.STORAGE_CLASS,
        ),
        entry(
            group,
            "v1",
            "VolumeAttachment",
            "volumeattachments",
            namespaced=False,
            status=True,
            strategy=storage.VOLUME_ATTACHMENT,
        ),
        entry(
            group,
            "v1",
            "VolumeAttributesClass",
            "volumeattributesclasses",
            namespaced=False,
            short=("vac",),
            strategy=storage.ATTRIBUTES_CLASS,
        ),
    ]


def admission() -> list[Resource]:
    """``admissionregistration.k8s.io/v1``."""
    group = "admissionregistration.k8s.io"
    kinds = (
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", extension.ADMISSION_POLICY),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", extension.POLICY_BINDING),
        ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", extension.MUTATING_WEBHOOKS),
        ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", extension.VALIDATING_POLICY),
        ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", extension.POLICY_BINDING),
        ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", extension.VALIDATING_WEBHOOKS),
    )
    return [
        entry(
            group,
            "v1",
            kind,
            plural,
            namespaced=False,
            categories=API_EXTENSIONS,
            status=kind == "ValidatingAdmissionPolicy",
            strategy=strategy,
        )
        for kind, plural, strategy in kinds
    ]


def api_registration() -> list[Resource]:
    """``apiregistration.k8s.io/v1``."""
    return [
        entry(
            "apiregistration.k8s.io",
            "v1",
            "APIService",
            "apiservices",
            namespaced=False,
            categories=API_EXTENSIONS,
            status=True,
            strategy=aggregation.API_SERVICE,
        ),
    ]


def api_extensions() -> list[Resource]:
    """``apiextensions.k8s.io/v1``."""
    return [
        entry(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            namespaced=False,
            short=("crd", "crds"),
            categories=API_EXTENSIONS,
            status=True,
            strategy=extension.CUSTOM_RESOURCE_DEFINITION,
        ),
    ]


def coordination() -> list[Resource]:
    """``coordination.k8s.io/v1``."""
    return [entry("coordination.k8s.io", "v1", "Lease", "leases", strategy=networking.LEASE)]


def node() -> list[Resource]:
    """``node.k8s.io/v1``."""
    return [
        entry(
            "node.k8s.io",
            "v1",
            "RuntimeClass",
            "runtimeclasses",
            namespaced=False,
            strategy=storage.RUNTIME_CLASS,
        ),
    ]


def discovery() -> list[Resource]:
    """``discovery.k8s.io/v1``."""
    return [
        entry(
            "discovery.k8s.io",
            "v1",
            "EndpointSlice",
            "endpointslices",
            strategy=networking.ENDPOINT_SLICE,
        ),
    ]


def flow_control() -> list[Resource]:
    """``flowcontrol.apiserver.k8s.io/v1``: stored and shown; this server limits by a simpler rule."""
    group = "flowcontrol.apiserver.k8s.io"
    return [
        entry(
            group,
            "v1",
            "FlowSchema",
            "flowschemas",
            namespaced=False,
            status=True,
            strategy=extension.FLOW_SCHEMA,
        ),
        entry(
            group,
            "v1",
            "PriorityLevelConfiguration",
            "prioritylevelconfigurations",
            namespaced=False,
            status=True,
            strategy=extension.PRIORITY_LEVEL,
        ),
    ]


def devices() -> list[Resource]:
    """``resource.k8s.io/v1``: kept for schedulers and drivers of one's own; no device is allocated here."""
    group = "resource.k8s.io"
    return [
        entry(group, "v1", "DeviceClass", "deviceclasses", namespaced=False, strategy=allocation.CLASS),
        entry(group, "v1", "ResourceClaim", "resourceclaims", status=True, strategy=allocation.CLAIM),
        entry(group, "v1", "ResourceClaimTemplate", "resourceclaimtemplates", strategy=allocation.TEMPLATE),
        entry(
            group,
            "v1",
            "ResourceSlice",
            "resourceslices",
            namespaced=False,
            strategy=allocation.SLICE,
            fields=select("spec.nodeName", "spec.driver"),
        ),
    ]
