"""Where Services' addresses come from, and who holds them: what the allocator and the controllers both know."""

from __future__ import annotations

import ipaddress
from typing import Final

from .errors import Obj

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

RANGES: Final = "servicecidrs.networking.k8s.io"
ADDRESSES: Final = "ipaddresses.networking.k8s.io"
MANAGED_BY: Final = "ipaddress.kubernetes.io/managed-by"
"""The label of an IPAddress that follows a Service; one without it is somebody else's."""


def networks_of(range_: Obj) -> list[Network]:
    """The networks of a ServiceCIDR."""
    return [ipaddress.ip_network(cidr, strict=False) for cidr in range_["spec"].get("cidrs") or ()]
