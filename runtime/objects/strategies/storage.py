"""Storage and node kinds (registry/{storage,node}/*/strategy.go)."""

from __future__ import annotations

from ..defaults.cluster import default_csi_driver, default_storage_class
from .base import KindStrategy

CSI_DRIVER = KindStrategy(default=default_csi_driver, generation=True, unconditional_update=False)
CSI_NODE = KindStrategy(unconditional_update=False)
STORAGE_CAPACITY = KindStrategy(unconditional_update=False)
STORAGE_CLASS = KindStrategy(default=default_storage_class)
VOLUME_ATTACHMENT = KindStrategy(status="storage.v1.VolumeAttachmentStatus", unconditional_update=False)
ATTRIBUTES_CLASS = KindStrategy()
RUNTIME_CLASS = KindStrategy(unconditional_update=False)
