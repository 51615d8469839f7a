"""Networking, discovery and coordination kinds (registry/{networking,discovery,coordination}/*/strategy.go)."""

from __future__ import annotations

from ..defaults.cluster import default_endpoint_slice, default_ingress_class, default_network_policy
from ..validation import networking as rules
from .base import KindStrategy

INGRESS = KindStrategy(
    check=rules.check_ingress,
    compare=rules.check_ingress_update,
    compare_status=rules.check_ingress_status,
    status="networking.v1.IngressStatus",
    generation=True,
)
INGRESS_CLASS = KindStrategy(
    default=default_ingress_class,
    check=rules.check_ingress_class,
    compare=rules.check_ingress_class_update,
    generation=True,
)
NETWORK_POLICY = KindStrategy(
    default=default_network_policy,
    check=rules.check_network_policy,
    compare=rules.check_network_policy_update,
    generation=True,
)
IP_ADDRESS = KindStrategy(check=rules.check_ip_address, compare=rules.check_ip_address_update)
SERVICE_CIDR = KindStrategy(
    check=rules.check_service_cidr,
    compare=rules.check_service_cidr_update,
    compare_status=rules.check_service_cidr_status,
    status="networking.v1.ServiceCIDRStatus",
)
ENDPOINT_SLICE = KindStrategy(
    default=default_endpoint_slice,
    check=rules.check_endpoint_slice,
    compare=rules.check_endpoint_slice_update,
    generation=True,
)
LEASE = KindStrategy(
    check=rules.check_lease,
    compare=rules.check_lease_update,
    create_on_update=True,
    unconditional_update=False,
)
