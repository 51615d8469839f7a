"""Pod addresses are handed out here, not by Podman's IPAM, so that they are known when the pod is made.

Podman assigns an address when the infra container starts, and only an inspect of that container tells which one.
With a static address per pod the kubelet needs no further call, a restarted pod keeps its address, and a label is
enough to know all addresses of a cluster from one listing.
"""

from __future__ import annotations

import ipaddress

from .interface import RuntimeFailure


class AddressPool:
    """The free addresses of one IPv4 subnet, handed out in rising order so that none is reused soon."""

    def __init__(self, subnet: str) -> None:
        """``subnet`` in CIDR form. Raises ValueError when it is not an IPv4 network of at least four addresses."""
        network = ipaddress.IPv4Network(subnet, strict=True)
        if network.num_addresses < 4:
            raise ValueError(f"{subnet} is too small for a pod network")
        self.subnet = str(network)
        self._base = int(network.network_address)
        self._first = self._base + 2  # .1 is the bridge
        self._last = self._base + network.num_addresses - 2
        self._next = self._first
        self._used: set[int] = set()

    @property
    def gateway(self) -> str:
        """The bridge's own address: the subnet's first."""
        return str(ipaddress.IPv4Address(self._base + 1))

    @property
    def used(self) -> int:
        """How many addresses are taken."""
        return len(self._used)

    def allocate(self) -> str:
        """A free address. Raises RuntimeFailure when there is none."""
        capacity = self._last - self._first + 1
        if len(self._used) >= capacity:
            raise RuntimeFailure(
                f"no free address in the pod network {self.subnet}", "FailedCreatePodSandBox"
            )
        candidate = self._next
        used = self._used
        while candidate in used:
            candidate = candidate + 1 if candidate < self._last else self._first
        used.add(candidate)
        self._next = candidate + 1 if candidate < self._last else self._first
        return f"{candidate >> 24}.{candidate >> 16 & 255}.{candidate >> 8 & 255}.{candidate & 255}"

    def reserve(self, address: str) -> None:
        """Mark an address as taken; one outside the subnet is ignored.

        The next allocation continues after the highest address learnt, so that a restarted program does not
        at once hand out what an old pod has just given back.
        """
        try:
            number = int(ipaddress.IPv4Address(address))
        except ValueError:
            return
        if self._first <= number <= self._last:
            self._used.add(number)
            if number >= self._next:
                self._next = number + 1 if number < self._last else self._first

    def release(self, address: str) -> None:
        """Give an address back; an unknown one is ignored."""
        try:
            self._used.discard(int(ipaddress.IPv4Address(address)))
        except ValueError:
            return
