"""Cluster addresses and node ports for Services, each given out once.

``pkg/registry/core/service/storage/alloc.go`` and its allocators. What is taken is remembered in memory and
learned from the stored Services at first use, so it can't disagree with them; a write that fails gives back what
it took.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator
from typing import TypeVar

from runtime.api.view import StoreView
from runtime.objects import meta
from runtime.objects.addresses import ADDRESSES, MANAGED_BY, RANGES, Network, networks_of
from runtime.objects.errors import FieldError, Obj, invalid, invalid_object

from .chain import CREATE, UPDATE, Attributes, Plugin

NODE_PORTS = range(30000, 32768)
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
_T = TypeVar("_T", str, int)


def well_known_addresses(service_cidr: str) -> tuple[str, ...]:
    """The addresses of a range that have a use before anybody asks: the API's, the first, and the DNS', the tenth."""
    first = ipaddress.ip_network(service_cidr).network_address
    return (str(first + 1), str(first + 10))


class ServiceAllocation(Plugin):
    """Completes a Service with ``clusterIP(s)``, ``ipFamilies`` and node ports.

    Args:
        service_cidr: where cluster addresses come from, such as ``10.96.0.0/16``.
        reserved: addresses that only a request naming them gets (the API's own and the DNS').
        node_ports: the range node ports come from.
    """

    resources = frozenset({"services"})
    operations = frozenset({CREATE, UPDATE})
    last = True

    def __init__(
        self,
        service_cidr: str = "10.96.0.0/16",
        reserved: tuple[str, ...] = (),
        node_ports: range = NODE_PORTS,
    ) -> None:
        self._network = ipaddress.ip_network(service_cidr)
        self._reserved = frozenset(reserved)
        self._ports = node_ports
        self._addresses_taken: set[str] | None = None
        self._ports_taken: set[int] = set()

    def admit(self, a: Attributes) -> None:
        """Allocate what the Service asks for and lacks."""
        self._learn(a.view)
        new, old = a.object, a.old
        spec: Obj = new.setdefault("spec", {})
        old_spec: Obj = (old or {}).get("spec") or {}
        errors: list[FieldError] = []
        if spec.get("type") != "ExternalName":
            self._cluster_ip(a, spec, old_spec, errors)
        self._node_ports(a, spec, old_spec, errors)
        if errors:
            raise invalid_object("Service", "", new["metadata"].get("name", ""), errors)
        self._release_later(a, spec, old_spec)

    def removed(self, obj: Obj) -> None:
        """Give back all that a deleted Service held."""
        if self._addresses_taken is None:
            return
        spec = obj.get("spec") or {}
        self._addresses_taken.difference_update(_addresses(spec))
        self._ports_taken.difference_update(_node_ports(spec))

    def _learn(self, view: StoreView) -> None:
        if self._addresses_taken is None:
            self._addresses_taken = set()
            for service in view.list("services"):
                spec = service.get("spec") or {}
                self._addresses_taken.update(_addresses(spec))
                self._ports_taken.update(_node_ports(spec))

    def _cluster_ip(self, a: Attributes, spec: Obj, old_spec: Obj, errors: list[FieldError]) -> None:
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("ipFamilies", [f"IPv{self._network.version}"])
        if _has_address(old_spec):
            return  # one that was given stays for good: validation says so where it was changed
        asked: str = spec.get("clusterIP") or ""
        if asked and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [asked]
        if asked != next(iter(spec.get("clusterIPs") or ()), ""):
            return  # validation says how the two belong together
        if asked == "None":
            return
        if asked:
            why = self._refuse(a.view, asked)
            if why:
                errors.append(invalid("spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {why}"))
                return
            address = asked
        else:
            address = self._free_address(a.view)
            if not address:
                errors.append(
                    FieldError(
                        "InternalError", "spec.clusterIP", "failed to allocate a serviceIP: range is full"
                    )
                )
                return
        self._take(a, self._addresses, address)
        spec["clusterIP"], spec["clusterIPs"] = address, [address]

    @property
    def _addresses(self) -> set[str]:
        assert self._addresses_taken is not None
        return self._addresses_taken

    def _networks(self, view: StoreView) -> Iterator[Network]:
        """The cluster's own range, and those of other ServiceCIDRs that are ready and of the same family."""
        yield self._network
        for range_ in view.list(RANGES):
            ready = meta.condition(range_, "Ready")
            if meta.is_deleting(range_) or (ready is not None and ready["status"] != "True"):
                continue
            for network in networks_of(range_):
                if network.version == self._network.version and network != self._network:
                    yield network

    def _refuse(self, view: StoreView, asked: str) -> str:
        try:
            address = ipaddress.ip_address(asked)
        except ValueError:
            return ""  # validation names what is wrong with it
        network = next((one for one in self._networks(view) if address in one), None)
        if network is None:
            return "the provided network does not match the current range"
        if address in (network.network_address, network.broadcast_address):
            return f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {network}"
        if asked in self._addresses or _is_held(view, asked):
            return "provided IP is already allocated"
        return ""

    def _free_address(self, view: StoreView) -> str:
        """A free address of the first range that has one."""
        return next(filter(None, (self._free_in(view, network) for network in self._networks(view))), "")

    def _free_in(self, view: StoreView, network: Network) -> str:
        """A free address of one range, from its upper part while that has one.

        The lower part is left to requests that name their address (``ipallocator``'s dynamic block).
        """
        first = int(network.network_address) + 1
        size = network.num_addresses - 2
        offset = min(max(16, size // 16), 256) if size > 16 else 0
        for start, count in ((first + offset, size - offset), (first, offset)):
            if count <= 0:
                continue
            begin = random.randrange(count)
            for step in range(count):
                address = str(ipaddress.ip_address(start + (begin + step) % count))
                if address in self._addresses or address in self._reserved:
                    continue
                if not _is_held(view, address):
                    return address
        return ""

    def _node_ports(self, a: Attributes, spec: Obj, old_spec: Obj, errors: list[FieldError]) -> None:
        if spec.get("type") not in _WITH_NODE_PORTS:
            return
        held = _node_ports(old_spec)
        automatic = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
        by_number: dict[int, int] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            asked = port.get("nodePort") or 0
            if asked:
                field = f"spec.ports[{index}].nodePort"
                if asked in held or asked in by_number.values():
                    pass
                elif asked not in self._ports:
                    errors.append(
                        invalid(
                            field,
                            asked,
                            "provided port is not in the valid range. The range of valid ports is "
                            f"{self._ports.start}-{self._ports.stop - 1}",
                        )
                    )
                elif asked in self._ports_taken:
                    errors.append(invalid(field, asked, "provided port is already allocated"))
                else:
                    self._take(a, self._ports_taken, asked)
                by_number.setdefault(port.get("port", 0), asked)
            elif automatic:
                # the same port for TCP and UDP gets the same node port
                chosen = by_number.get(port.get("port", 0)) or self._free_port(a)
                if not chosen:
                    errors.append(
                        FieldError(
                            "InternalError",
                            f"spec.ports[{index}].nodePort",
                            "failed to allocate a nodePort: range is full",
                        )
                    )
                    return
                by_number[port.get("port", 0)] = port["nodePort"] = chosen
        if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            if not spec.get("healthCheckNodePort"):
                spec["healthCheckNodePort"] = self._free_port(a)
            elif spec["healthCheckNodePort"] not in held:
                if spec["healthCheckNodePort"] in self._ports_taken:
                    errors.append(
                        invalid(
                            "spec.healthCheckNodePort",
                            spec["healthCheckNodePort"],
                            "provided port is already allocated",
                        )
                    )
                else:
                    self._take(a, self._ports_taken, spec["healthCheckNodePort"])

    def _free_port(self, a: Attributes) -> int:
        count = len(self._ports)
        begin = random.randrange(count)
        for step in range(count):
            port = self._ports[(begin + step) % count]
            if port not in self._ports_taken:
                self._take(a, self._ports_taken, port)
                return port
        return 0

    @staticmethod
    def _take(a: Attributes, taken: set[_T], value: _T) -> None:
        taken.add(value)
        a.undo.append(lambda: taken.discard(value))

    def _release_later(self, a: Attributes, spec: Obj, old_spec: Obj) -> None:
        addresses = _addresses(old_spec) - _addresses(spec)
        ports = _node_ports(old_spec) - _node_ports(spec)
        if addresses:
            a.done.append(_discard(self._addresses, addresses))
        if ports:
            a.done.append(_discard(self._ports_taken, ports))


def _is_held(view: StoreView, address: str) -> bool:
    """Whether somebody else than a Service wrote an address down as theirs."""
    found = view.get(ADDRESSES, "", address)
    return found is not None and MANAGED_BY not in meta.labels_of(found)


def _discard(taken: set[_T], values: set[_T]) -> Callable[[], None]:
    return lambda: taken.difference_update(values)


def _addresses(spec: Obj) -> set[str]:
    found = {spec.get("clusterIP") or "", *(spec.get("clusterIPs") or ())}
    return found - {"", "None"}


def _node_ports(spec: Obj) -> set[int]:
    found = {port.get("nodePort") or 0 for port in spec.get("ports") or ()}
    found.add(spec.get("healthCheckNodePort") or 0)
    return found - {0}


def _has_address(spec: Obj) -> bool:
    """Whether it has one already; ``None`` counts as one."""
    return bool(spec.get("clusterIP")) and spec.get("type") != "ExternalName"
