"""Defaults of networking, storage, access and extension kinds (pkg/apis/*/v1/defaults.go)."""

from __future__ import annotations

from ..errors import Obj

RBAC_GROUP = "rbac.authorization.k8s.io"


def default_network_policy(obj: Obj) -> None:
    """TCP ports, and the policy types that the rules imply."""
    spec = obj.setdefault("spec", {})
    for direction in ("ingress", "egress"):
        for rule in spec.get(direction) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def default_ingress_class(obj: Obj) -> None:
    """Parameters are cluster-wide unless said otherwise."""
    parameters = (obj.get("spec") or {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def default_endpoint_slice(obj: Obj) -> None:
    """Names and protocols of ports."""
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def default_storage_class(obj: Obj) -> None:
    """Delete, bound at once."""
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def default_csi_driver(obj: Obj) -> None:
    """What a driver needs of the system when it does not say."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("attachRequired", True)
    spec.setdefault("podInfoOnMount", False)
    spec.setdefault("storageCapacity", False)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]
    spec.setdefault("requiresRepublish", False)
    spec.setdefault("seLinuxMount", False)


def _default_device_requests(spec: Obj) -> None:
    """How many devices and which tolerations a request means when it does not say."""
    for request in (spec.get("devices") or {}).get("requests") or ():
        exactly = request.get("exactly")
        for wanted in (*([exactly] if exactly is not None else []), *(request.get("firstAvailable") or ())):
            if not wanted.get("allocationMode"):
                wanted["allocationMode"] = "ExactCount"
            if wanted["allocationMode"] == "ExactCount" and not wanted.get("count"):
                wanted["count"] = 1
            for toleration in wanted.get("tolerations") or ():
                if not toleration.get("operator"):
                    toleration["operator"] = "Equal"


def default_claim(obj: Obj) -> None:
    """A claim for devices (pkg/apis/resource/v1/defaults.go)."""
    _default_device_requests(obj.get("spec") or {})


def default_claim_template(obj: Obj) -> None:
    """The claims that a template stands for."""
    _default_device_requests((obj.get("spec") or {}).get("spec") or {})


def default_role_binding(obj: Obj) -> None:
    """The API groups of the role and of the subjects (pkg/apis/rbac/v1/defaults.go)."""
    role = obj.get("roleRef")
    if role is not None and not role.get("apiGroup"):
        role["apiGroup"] = RBAC_GROUP
    for subject in obj.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = RBAC_GROUP


def _client_service(config: Obj | None) -> None:
    service = (config or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)


def default_webhooks(obj: Obj) -> None:
    """Webhooks of either configuration."""
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    for webhook in obj.get("webhooks") or ():
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("matchPolicy", "Equivalent")
        webhook.setdefault("namespaceSelector", {})
        webhook.setdefault("objectSelector", {})
        webhook.setdefault("timeoutSeconds", 10)
        if mutating:
            webhook.setdefault("reinvocationPolicy", "Never")
        _client_service(webhook.get("clientConfig"))
        for rule in webhook.get("rules") or ():
            rule.setdefault("scope", "*")


def _default_match(match: Obj | None) -> None:
    if match is None:
        return
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    for kind in ("resourceRules", "excludeResourceRules"):
        for rule in match.get(kind) or ():
            rule.setdefault("scope", "*")


def default_admission_policy(obj: Obj) -> None:
    """Fail closed, match equivalents."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    _default_match(spec.get("matchConstraints"))


def default_policy_binding(obj: Obj) -> None:
    """The binding's own match."""
    _default_match((obj.get("spec") or {}).get("matchResources"))


def default_custom_resource_definition(obj: Obj) -> None:
    """Names from the kind, no conversion, the webhook's port (apiextensions v1/defaults.go)."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    if kind:
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    conversion = spec.setdefault("conversion", {})
    conversion.setdefault("strategy", "None")
    _client_service((conversion.get("webhook") or {}).get("clientConfig"))


def default_flow_schema(obj: Obj) -> None:
    """The precedence in the middle."""
    spec = obj.setdefault("spec", {})
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def default_priority_level(obj: Obj) -> None:
    """Shares and queues (pkg/apis/flowcontrol/v1/defaults.go)."""
    spec = obj.setdefault("spec", {})
    if spec.get("type") == "Exempt":
        exempt = spec.setdefault("exempt", {})
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    limited = spec.get("limited")
    if limited is not None:
        limited.setdefault("nominalConcurrencyShares", 30)
        limited.setdefault("lendablePercent", 0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            queuing["handSize"] = queuing.get("handSize") or 8
            queuing["queues"] = queuing.get("queues") or 64
            queuing["queueLengthLimit"] = queuing.get("queueLengthLimit") or 50
