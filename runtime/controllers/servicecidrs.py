"""ServiceCIDRs and IPAddresses: the ranges that Services' addresses come from, and who holds each address.

After ``servicecidrs/servicecidrs_controller.go`` and ``registry/core/service/ipallocator/controller/repairip.go``.
The allocator gives out addresses by what the Services themselves hold; the IPAddress objects are made after them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from runtime.client.informer import Delta
from runtime.objects.addresses import ADDRESSES, MANAGED_BY, RANGES, networks_of
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import finalizers_of, is_deleting, labels_of, name_of, namespace_of

from .conditions import get_condition
from .context import BaseController, Context

FINALIZER: Final = "networking.k8s.io/service-cidr-finalizer"
FAMILY: Final = "ipaddress.kubernetes.io/ip-family"
ALLOCATOR: Final = "ipallocator.k8s.io"

DELETION_GRACE: Final = 10.0
"""Seconds for which a range that nobody needs any more stays, lest an address is given out from it meanwhile."""
_BLOCKED = (
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
)


def contains(range_: Obj, address: str) -> bool:
    """Whether an address is one of a ServiceCIDR's."""
    found = ipaddress.ip_address(address)
    return any(found.version == network.version and found in network for network in networks_of(range_))


def _has_parents(range_: Obj, ranges: Iterable[Obj]) -> bool:
    """Whether other ServiceCIDRs hold all that this one holds."""
    others = [
        network for other in ranges if name_of(other) != name_of(range_) for network in networks_of(other)
    ]
    return all(
        any(
            network.version == other.version
            and int(other.network_address) <= int(network.network_address)
            and int(network.broadcast_address) <= int(other.broadcast_address)
            for other in others
        )
        for network in networks_of(range_)
    )


class ServiceCIDRController(BaseController):
    """Makes ranges Ready, and lets go of one when no Service's address is left that only it holds."""

    name = "service-cidr"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.ranges = context.informers.informer(RANGES)
        self.addresses = context.informers.informer(ADDRESSES)
        self.ranges.add_handler(self._on_change)
        self.addresses.add_handler(self._on_change)

    def _on_change(self, deltas: Sequence[Delta]) -> None:
        """Ranges are few, and what happens to one or to an address may free another."""
        for range_ in self.ranges.list():
            self.queue.add(name_of(range_))

    async def sync(self, key: str) -> float | None:
        """Finalizer and Ready; or, on the way out, Terminating until the finalizer can go."""
        range_ = self.ranges.get(key)
        if range_ is None:
            return None
        try:
            if is_deleting(range_):
                return await self._finish(range_)
            if FINALIZER not in finalizers_of(range_):
                finalizers = [*finalizers_of(range_), FINALIZER]
                range_ = await self.client.update(
                    {**range_, "metadata": {**range_["metadata"], "finalizers": finalizers}}
                )
            await self._report(range_, "True", "", "Kubernetes Service CIDR is ready")
        except StatusError as error:
            if error.code not in (404, 409):  # changed or gone meanwhile: its event brings us back
                raise
        return None

    async def _finish(self, range_: Obj) -> float | None:
        if FINALIZER not in finalizers_of(range_):
            return None
        if not _has_parents(range_, self.ranges.list()) and self._held(range_):
            await self._report(range_, "False", "Terminating", _BLOCKED)
            return None
        since = parse_time(range_["metadata"]["deletionTimestamp"])
        left = DELETION_GRACE - (self.clock.now() - since).total_seconds()
        if left > 0:
            return left
        finalizers = [one for one in finalizers_of(range_) if one != FINALIZER]
        await self.client.update({**range_, "metadata": {**range_["metadata"], "finalizers": finalizers}})
        return None

    def _held(self, range_: Obj) -> bool:
        others = [other for other in self.ranges.list() if name_of(other) != name_of(range_)]
        return any(
            labels_of(address).get(MANAGED_BY) == ALLOCATOR
            and contains(range_, name_of(address))
            and not any(contains(other, name_of(address)) for other in others)
            for address in self.addresses.list()
        )

    async def _report(self, range_: Obj, status: str, reason: str, message: str) -> None:
        known = get_condition(range_.get("status") or {}, "Ready")
        if known is not None and known["status"] == status:
            return
        condition: Obj = {"type": "Ready", "status": status, "reason": reason, "message": message}
        condition["lastTransitionTime"] = self.context.stamp()
        others = [
            one for one in (range_.get("status") or {}).get("conditions") or () if one["type"] != "Ready"
        ]
        await self.client.update_status({**range_, "status": {"conditions": [*others, condition]}})


def addresses_of(service: Obj) -> tuple[str, ...]:
    """The cluster addresses that a Service holds."""
    return tuple(one for one in service["spec"].get("clusterIPs") or () if one and one != "None")


def ip_address(address: str, service: Obj) -> Obj:
    """The object that says which Service holds an address."""
    parent = {"resource": "services", "namespace": namespace_of(service), "name": name_of(service)}
    family = f"IPv{ipaddress.ip_address(address).version}"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": {FAMILY: family, MANAGED_BY: ALLOCATOR}},
        "spec": {"parentRef": parent},
    }


class ServiceIPAddressController(BaseController):
    """Keeps one IPAddress for each cluster address of a Service, and none whose Service is gone."""

    name = "service-ipaddress"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.services = context.informers.informer("services")
        self.addresses = context.informers.informer(ADDRESSES)
        self.services.add_index("address", addresses_of)
        self.services.add_handler(self._on_services)
        self.addresses.add_handler(self._on_addresses)

    def _on_services(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            for service in (delta.old, delta.new):
                if service is not None:
                    for address in addresses_of(service):
                        self.queue.add(address)

    def _on_addresses(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(name_of(delta.obj))

    async def sync(self, key: str) -> float | None:
        """Make, or remove, the object of one address; what others made is left alone."""
        known = self.addresses.get(key)
        holder = next(iter(self.services.by_index("address", key)), None)
        try:
            if known is None:
                if holder is not None:
                    await self.client.create(ip_address(key, holder))
            elif labels_of(known).get(MANAGED_BY) == ALLOCATOR and (
                holder is None or known["spec"] != ip_address(key, holder)["spec"]
            ):
                await self.client.delete(ADDRESSES, key, uid=known["metadata"]["uid"])
        except StatusError as error:
            if error.code not in (404, 409):  # changed or gone meanwhile: its event brings us back
                raise
        return None
