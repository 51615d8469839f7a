"""Tables of volumes, claims, storage classes and CSI objects.

Follows kubernetes ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..errors import Obj
from ..meta import annotations_of
from ..registry import Column
from .table import (
    AGE,
    NAME,
    NONE,
    UNSET,
    age,
    amount,
    boolean,
    integer,
    name_of,
    part,
    prints,
    text,
    wide,
)

_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_MODES = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)


def access_modes(modes: Sequence[str]) -> str:
    """Access modes as tables abbreviate them: ``RWO,ROX``."""
    return ",".join(short for mode, short in _MODES if mode in modes)


def _class(obj: Obj) -> str:
    beta = annotations_of(obj).get(_BETA_CLASS)
    return beta if beta is not None else part(obj, "spec").get("storageClassName") or ""


def _phase(obj: Obj) -> str:
    if part(obj, "metadata").get("deletionTimestamp"):
        return "Terminating"
    return str(part(obj, "status").get("phase", ""))


def _or_unset(value: str | None) -> str:
    return UNSET if value is None else value


@prints(
    ("", "PersistentVolume"),
    columns=(
        NAME,
        text("Capacity", "The volume's size."),
        text("Access Modes", "How it can be mounted."),
        text("Reclaim Policy", "What becomes of it when its claim goes."),
        text("Status", "Whether it is available, bound or released."),
        text("Claim", "The claim it is bound to."),
        text("StorageClass", "StorageClass of the pv"),
        text("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
        text("Reason", "Why it is in a state of failure."),
        AGE,
        wide("VolumeMode", "Filesystem or Block."),
    ),
)
def _persistent_volume(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    claim = spec.get("claimRef")
    return [
        name_of(obj),
        amount(part(spec, "capacity").get("storage")),
        access_modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        part(obj, "status").get("reason", ""),
        age(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]


@prints(
    ("", "PersistentVolumeClaim"),
    columns=(
        NAME,
        text("Status", "Whether it is pending, bound or lost."),
        text("Volume", "The volume it is bound to."),
        text("Capacity", "The size of the volume."),
        text("Access Modes", "How the volume can be mounted."),
        text("StorageClass", "StorageClass of the pvc"),
        text("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
        AGE,
        wide("VolumeMode", "Filesystem or Block."),
    ),
)
def _persistent_volume_claim(obj: Obj, now: datetime) -> list[Any]:
    spec, status = part(obj, "spec"), part(obj, "status")
    volume = spec.get("volumeName") or ""
    return [
        name_of(obj),
        _phase(obj),
        volume,
        amount(part(status, "capacity").get("storage")) if volume else "",
        access_modes(status.get("accessModes") or ()) if volume else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        age(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]


@prints(
    ("storage.k8s.io", "StorageClass"),
    columns=(
        NAME,
        text("Provisioner", "Who makes the volumes."),
        text("ReclaimPolicy", "What becomes of a volume when its claim goes."),
        text("VolumeBindingMode", "When a volume is made: at once, or for the first pod."),
        text("AllowVolumeExpansion", "Whether its volumes can grow."),
        AGE,
    ),
)
def _storage_class(obj: Obj, now: datetime) -> list[Any]:
    annotations = annotations_of(obj)
    default = any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)
    return [
        f"{name_of(obj)} (default)" if default else name_of(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


@prints(
    ("storage.k8s.io", "VolumeAttributesClass"),
    columns=(NAME, text("DriverName", "The CSI driver it is for."), AGE),
)
def _volume_attributes_class(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("driverName", ""), age(obj, now)]


@prints(
    ("storage.k8s.io", "VolumeAttachment"),
    columns=(
        NAME,
        Column("Attacher", "string", "name", "The CSI driver that attaches it."),
        text("PV", "The volume."),
        text("Node", "The node."),
        boolean("Attached", "Whether it is attached."),
        AGE,
    ),
)
def _volume_attachment(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    return [
        name_of(obj),
        spec.get("attacher", ""),
        part(spec, "source").get("persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool(part(obj, "status").get("attached")),
        age(obj, now),
    ]


@prints(
    ("storage.k8s.io", "CSINode"),
    columns=(NAME, integer("Drivers", "The number of CSI drivers registered on the node"), AGE),
)
def _csi_node(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), len(part(obj, "spec").get("drivers") or ()), age(obj, now)]


@prints(
    ("storage.k8s.io", "CSIDriver"),
    columns=(
        NAME,
        boolean("AttachRequired", "Whether volumes are attached before they are mounted."),
        boolean("PodInfoOnMount", "Whether the driver is told about the pod."),
        boolean("StorageCapacity", "Whether the scheduler heeds the driver's capacity."),
        text("TokenRequests", "Audiences of the tokens the driver gets."),
        boolean("RequiresRepublish", "Whether volumes are published again from time to time."),
        text("Modes", "The life cycles its volumes may have."),
        AGE,
    ),
)
def _csi_driver(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    tokens = spec.get("tokenRequests")
    return [
        name_of(obj),
        spec.get("attachRequired") is not False,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        UNSET if tokens is None else ",".join(token.get("audience", "") for token in tokens),
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or NONE,
        age(obj, now),
    ]


@prints(
    ("storage.k8s.io", "CSIStorageCapacity"),
    columns=(NAME, text("StorageClassName", "The storage class."), text("Capacity", "How much is left.")),
)
def _csi_storage_capacity(obj: Obj, now: datetime) -> list[Any]:
    capacity = obj.get("capacity")
    return [name_of(obj), obj.get("storageClassName", ""), UNSET if capacity is None else amount(capacity)]
