"""Networking, discovery and coordination kinds (registry/{networking,discovery,coordination}/*/strategy.go)."""

from __future__ import annotations

from ..defaults.cluster import default_endpoint_slice, default_ingress_class, default_network_policy
from .base import KindStrategy

INGRESS = KindStrategy(status="networking.v1.IngressStatus", generation=True)
INGRESS_CLASS = KindStrategy(default=default_ingress_class, generation=True)
NETWORK_POLICY = KindStrategy(default=default_network_policy, generation=True)
IP_ADDRESS = KindStrategy()
SERVICE_CIDR = KindStrategy(status="networking.v1.ServiceCIDRStatus")
ENDPOINT_SLICE = KindStrategy(default=default_endpoint_slice, generation=True)
LEASE = KindStrategy(create_on_update=True, unconditional_update=False)
