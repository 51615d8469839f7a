"""Defaults of the core group's kinds other than pods (pkg/apis/core/v1/defaults.go)."""

from __future__ import annotations

from ..errors import Obj
from .pods import default_claim_spec, default_pod_spec, fill, round_to_milli

CLIENT_IP_TIMEOUT = 10800
"""Seconds that ClientIP affinity lasts."""


def default_replication_controller(obj: Obj) -> None:
    """Replicas, and selector and labels from the template."""
    spec = obj.setdefault("spec", {})
    template = spec.get("template")
    labels = ((template or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    if template is not None:
        default_pod_spec(template.setdefault("spec", {}))


def default_pod_template(obj: Obj) -> None:
    """A stored template."""
    default_pod_spec(obj.setdefault("template", {}).setdefault("spec", {}))


def externally_accessible(spec: Obj) -> bool:
    """Whether a service can be reached from outside (pkg/api/v1/service/util.go)."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def default_service(obj: Obj) -> None:
    """Type, affinity, ports and traffic policies."""
    spec = obj.setdefault("spec", {})
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if "timeoutSeconds" not in client:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_TIMEOUT}}
    kind = spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if externally_accessible(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def default_secret(obj: Obj) -> None:
    """The type. (``stringData`` is folded into ``data`` by the strategy.)"""
    obj.setdefault("type", "Opaque")


def default_persistent_volume(obj: Obj) -> None:
    """Phase, reclaim policy, mode and the defaults of sources."""
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    spec = obj.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    round_to_milli(spec.get("capacity"))
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")
    if "iscsi" in spec:
        spec["iscsi"].setdefault("iscsiInterface", "default")
    if "rbd" in spec:
        fill(spec["rbd"], {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"})
    if "azureDisk" in spec:
        values = {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False}
        fill(spec["azureDisk"], values)
    if "scaleIO" in spec:
        fill(spec["scaleIO"], {"storageMode": "ThinProvisioned", "fsType": "xfs"})


def default_persistent_volume_claim(obj: Obj) -> None:
    """Phase and mode."""
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    default_claim_spec(obj.setdefault("spec", {}))


def default_endpoints(obj: Obj) -> None:
    """The ports' protocol."""
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def default_namespace(obj: Obj) -> None:
    """The label with its own name, and the phase."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    obj.setdefault("status", {}).setdefault("phase", "Active")


def default_node(obj: Obj) -> None:
    """Allocatable is the capacity unless said otherwise."""
    status = obj.get("status")
    if not status:
        return
    if status.get("capacity"):
        round_to_milli(status["capacity"])
        if not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])
    round_to_milli(status.get("allocatable"))


def default_limit_range(obj: Obj) -> None:
    """For containers: default limits from max, default requests from default limits, then from min."""
    for item in (obj.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            limits = dict(item.get("default") or {})
            requests = dict(item.get("defaultRequest") or {})
            for name, amount in (item.get("max") or {}).items():
                limits.setdefault(name, amount)
            for source in (limits, item.get("min") or {}):
                for name, amount in source.items():
                    requests.setdefault(name, amount)
            if limits:
                item["default"] = limits
            if requests:
                item["defaultRequest"] = requests
        for name in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            round_to_milli(item.get(name))


def default_resource_quota(obj: Obj) -> None:
    """Amounts are no finer than a thousandth."""
    round_to_milli((obj.get("spec") or {}).get("hard"))
    status = obj.get("status") or {}
    round_to_milli(status.get("hard"))
    round_to_milli(status.get("used"))
