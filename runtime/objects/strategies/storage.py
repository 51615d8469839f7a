"""Storage and node kinds (registry/{storage,node}/*/strategy.go)."""

from __future__ import annotations

from ..defaults.cluster import default_csi_driver, default_storage_class
from ..validation import storage as rules
from .base import KindStrategy

CSI_DRIVER = KindStrategy(
    default=default_csi_driver,
    check=rules.check_csi_driver,
    compare=rules.check_csi_driver_update,
    generation=True,
    unconditional_update=False,
)
CSI_NODE = KindStrategy(
    check=rules.check_csi_node, compare=rules.check_csi_node_update, unconditional_update=False
)
STORAGE_CAPACITY = KindStrategy(
    check=rules.check_storage_capacity,
    compare=rules.check_storage_capacity_update,
    unconditional_update=False,
)
STORAGE_CLASS = KindStrategy(
    default=default_storage_class,
    check=rules.check_storage_class,
    compare=rules.check_storage_class_update,
)
VOLUME_ATTACHMENT = KindStrategy(
    check=rules.check_attachment,
    compare=rules.check_attachment_update,
    status="storage.v1.VolumeAttachmentStatus",
    status_keeps="all",
    unconditional_update=False,
)
ATTRIBUTES_CLASS = KindStrategy(
    check=rules.check_attributes_class, compare=rules.check_attributes_class_update
)
RUNTIME_CLASS = KindStrategy(
    check=rules.check_runtime_class,
    compare=rules.check_runtime_class_update,
    unconditional_update=False,
)
