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
from ..validation import core as rules
from ..validation import services, storage, workloads
from ..validation.events import check_event, check_event_update
from .base import KindStrategy, keep, metadata_only
from .services import ServiceStrategy

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
        """Active, labelled with its name (generated or not), and held by the finalizer ``kubernetes``."""
        default_namespace(obj)
        obj["status"] = {"phase": "Active"}
        spec = obj.setdefault("spec", {})
        finalizers = list(spec.get("finalizers") or ())
        if NAMESPACE_FINALIZER not in finalizers:
            finalizers.append(NAMESPACE_FINALIZER)
        spec["finalizers"] = finalizers

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Finalizers and status have their own subresources; the label with the name comes back."""
        default_namespace(new)
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


CONFIG_MAP = KindStrategy(check=rules.check_config_map, compare=rules.check_config_map_update)
ENDPOINTS = KindStrategy(
    default=default_endpoints,
    check=rules.check_endpoints,
    compare=rules.check_endpoints_update,
    create_on_update=True,
)
EVENT = KindStrategy(check=check_event, compare=check_event_update, create_on_update=True)
LIMIT_RANGE = KindStrategy(
    default=default_limit_range,
    check=rules.check_limit_range,
    compare=rules.check_limit_range_update,
    create_on_update=True,
)
NAMESPACE = NamespaceStrategy(
    default=default_namespace,
    check=rules.check_namespace,
    compare=rules.check_namespace_update,
    compare_status=rules.check_namespace_status,
    status="core.v1.NamespaceStatus",
)
NODE = NodeStrategy(
    default=default_node,
    check=rules.check_node,
    compare=rules.check_node_update,
    compare_status=rules.check_node_update,
    status="core.v1.NodeStatus",
)
CLAIM = VolumeStrategy(
    default=default_persistent_volume_claim,
    check=storage.check_claim,
    compare=storage.check_claim_update,
    compare_status=storage.check_claim_status,
    status="core.v1.PersistentVolumeClaimStatus",
)
VOLUME = VolumeStrategy(
    default=default_persistent_volume,
    check=storage.check_volume,
    compare=storage.check_volume_update,
    compare_status=metadata_only,
    status="core.v1.PersistentVolumeStatus",
)
REPLICATION_CONTROLLER = KindStrategy(
    default=default_replication_controller,
    check=workloads.check_replication_controller,
    compare=workloads.check_replication_controller_update,
    compare_status=workloads.check_replica_set_status,
    status="core.v1.ReplicationControllerStatus",
    generation=True,
    propagation="Orphan",
)
RESOURCE_QUOTA = KindStrategy(
    default=default_resource_quota,
    check=rules.check_quota,
    compare=rules.check_quota_update,
    compare_status=metadata_only,
    status="core.v1.ResourceQuotaStatus",
)
SECRET = SecretStrategy(check=rules.check_secret, compare=rules.check_secret_update)
SERVICE_ACCOUNT = KindStrategy(
    check=rules.check_service_account, compare=metadata_only, unconditional_update=False
)
SERVICE = ServiceStrategy(
    default=default_service,
    check=services.check_service,
    compare=services.check_service_update,
    compare_status=services.check_service_status,
    status="core.v1.ServiceStatus",
    status_keeps="labels",
    create_on_update=True,
)
