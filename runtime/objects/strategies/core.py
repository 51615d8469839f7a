"""The core group's kinds other than pods (registry/core/*/strategy.go)."""

from __future__ import annotations

import base64

from ..defaults.core import (
    default_endpoints,
    default_limit_range,
    default_namespace,
    default_node,
    default_persistent_volume,
    default_persistent_volume_claim,
    default_replication_controller,
    default_resource_quota,
    default_secret,
    default_service,
)
from ..errors import Obj
from .base import KindStrategy, keep

NAMESPACE_FINALIZER = "kubernetes"


class SecretStrategy(KindStrategy):
    """Secrets: ``stringData`` is a way of writing ``data`` and is never kept."""

    def default(self, obj: Obj) -> None:
        """The type, and ``stringData`` folded into ``data``."""
        default_secret(obj)
        plain = obj.pop("stringData", None)
        if plain:
            data = dict(obj.get("data") or {})
            for name, text in plain.items():
                data[name] = base64.b64encode(text.encode()).decode()
            obj["data"] = data


class NamespaceStrategy(KindStrategy):
    """Namespaces: born Active with the finalizer that the namespace controller takes off last."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Active, and held by the finalizer ``kubernetes``."""
        obj["status"] = {"phase": "Active"}
        spec = obj.setdefault("spec", {})
        finalizers = list(spec.get("finalizers") or ())
        if NAMESPACE_FINALIZER not in finalizers:
            finalizers.append(NAMESPACE_FINALIZER)
        spec["finalizers"] = finalizers

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Finalizers and status have their own subresources."""
        new.setdefault("spec", {})
        keep(new["spec"], old.get("spec") or {}, "finalizers")
        keep(new, old, "status")

    def prepare_for_subresource(self, subresource: str, new: Obj, old: Obj) -> None:
        """``finalize`` changes the finalizers, ``status`` the status."""
        if subresource == "finalize":
            keep(new, old, "status")
        else:
            super().prepare_for_subresource(subresource, new, old)


class NodeStrategy(KindStrategy):
    """Nodes: a kubelet may register with its status, and labels may change together with it."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Keep what the kubelet says of itself."""
        obj.setdefault("status", self.new_status())


class VolumeStrategy(KindStrategy):
    """Volumes and claims begin as Pending."""

    def prepare_for_create(self, obj: Obj) -> None:
        """Pending."""
        obj["status"] = {"phase": "Pending"}


CONFIG_MAP = KindStrategy()
ENDPOINTS = KindStrategy(default=default_endpoints, create_on_update=True)
EVENT = KindStrategy(create_on_update=True)
LIMIT_RANGE = KindStrategy(default=default_limit_range, create_on_update=True)
NAMESPACE = NamespaceStrategy(default=default_namespace, status="core.v1.NamespaceStatus")
NODE = NodeStrategy(default=default_node, status="core.v1.NodeStatus")
CLAIM = VolumeStrategy(default=default_persistent_volume_claim, status="core.v1.PersistentVolumeClaimStatus")
VOLUME = VolumeStrategy(default=default_persistent_volume, status="core.v1.PersistentVolumeStatus")
REPLICATION_CONTROLLER = KindStrategy(
    default=default_replication_controller,
    status="core.v1.ReplicationControllerStatus",
    generation=True,
    propagation="Orphan",
)
RESOURCE_QUOTA = KindStrategy(default=default_resource_quota, status="core.v1.ResourceQuotaStatus")
SECRET = SecretStrategy()
SERVICE_ACCOUNT = KindStrategy(unconditional_update=False)
SERVICE = KindStrategy(
    default=default_service,
    status="core.v1.ServiceStatus",
    status_keeps="labels",
    create_on_update=True,
)
