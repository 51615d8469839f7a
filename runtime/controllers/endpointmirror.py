"""EndpointSlices for Endpoints that somebody wrote by hand, so that everybody need only read slices.

After ``endpointslicemirroring/{endpointslicemirroring_controller,reconciler,utils}.go``. A Service without a
selector has the Endpoints that were made for it; what they say is mirrored, and kept so while both exist.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    annotations_of,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
)

from .context import BaseController, Context, namespace_terminating
from .endpoints import MANAGED_BY, PER_SLICE, SERVICE_LABEL, SERVICES, SKIP_MIRROR, SLICES, service_index

MANAGER = "endpointslicemirroring-controller.k8s.io"
LEADER = "control-plane.alpha.kubernetes.io/leader"
UNMIRRORED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "endpoints.kubernetes.io/last-change-trigger-time",
)
PER_SUBSET = 1000


def is_mirrored(endpoints: Obj) -> bool:
    """Whether an Endpoints object asks for slices: not when it says otherwise, or only elects a leader."""
    skip = labels_of(endpoints).get(SKIP_MIRROR, "").lower() in ("1", "t", "true")
    return not skip and LEADER not in annotations_of(endpoints) and not is_deleting(endpoints)


def _endpoint(address: Obj, ready: bool) -> Obj:
    entry: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for name in ("targetRef", "nodeName", "hostname"):
        if address.get(name):
            entry[name] = address[name]
    return entry


def _ports(subset: Obj) -> list[Obj]:
    found = []
    for port in subset.get("ports") or ():
        entry = {
            "name": port.get("name") or "",
            "port": port["port"],
            "protocol": port.get("protocol") or "TCP",
        }
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def mirrored(endpoints: Obj) -> list[tuple[str, list[Obj], list[Obj]]]:
    """(address type, ports, entries) of every slice that mirrors an Endpoints object.

    Addresses beyond the first thousand of a subset are left out.
    """
    groups: dict[tuple[str, bytes], tuple[list[Obj], dict[str, Obj]]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = _ports(subset)
        addresses = [(address, True) for address in subset.get("addresses") or ()]
        addresses += [(address, False) for address in subset.get("notReadyAddresses") or ()]
        for address, ready in addresses[:PER_SUBSET]:
            family = "IPv6" if ":" in address["ip"] else "IPv4"
            _, entries = groups.setdefault((family, orjson.dumps(ports)), (ports, {}))
            entries.setdefault(address["ip"], _endpoint(address, ready))
    result = []
    for (family, _), (ports, by_address) in groups.items():
        listed = list(by_address.values())
        result += [(family, ports, listed[i : i + PER_SLICE]) for i in range(0, len(listed), PER_SLICE)]
    return result


class EndpointSliceMirroringController(BaseController):
    """Keeps the mirroring slices. Keys are Endpoints, which have the names of their Services."""

    name = "endpointslicemirroring"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        informers = context.informers
        self.services = informers.informer(SERVICES)
        self.endpoints = informers.informer("endpoints")
        self.slices = informers.informer(SLICES)
        self.slices.add_index(SERVICE_LABEL, service_index)
        self.services.add_handler(self._on_objects)
        self.endpoints.add_handler(self._on_objects)
        self.slices.add_handler(self._on_slices)
        self._written: dict[str, int] = {}

    def _on_objects(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_slices(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            labels = labels_of(delta.obj)
            if labels.get(MANAGED_BY) == MANAGER and labels.get(SERVICE_LABEL):
                self.queue.add(f"{namespace_of(delta.obj)}/{labels[SERVICE_LABEL]}")

    async def sync(self, key: str) -> float | None:
        """Bring the slices of one Endpoints object up to date."""
        if self._written.get(key, 0) > int(self.slices.version or 0):
            return 0.02  # what this controller itself wrote is not in the cache yet
        self._written.pop(key, None)
        there = [
            entry
            for entry in self.slices.by_index(SERVICE_LABEL, key)
            if labels_of(entry).get(MANAGED_BY) == MANAGER
        ]
        endpoints, service = self.endpoints.get(key), self.services.get(key)
        if endpoints is None or service is None or not is_mirrored(endpoints):
            for entry in there:
                await self._delete(entry)
            return None
        if service["spec"].get("selector"):
            return None
        try:
            await self._reconcile(key, endpoints, there)
        except StatusError as error:
            if not namespace_terminating(error):
                raise
        return None

    async def _reconcile(self, key: str, endpoints: Obj, there: Sequence[Obj]) -> None:
        left = sorted(there, key=name_of)
        metadata: Obj = {
            "namespace": namespace_of(endpoints),
            "labels": {**labels_of(endpoints), SERVICE_LABEL: name_of(endpoints), MANAGED_BY: MANAGER},
            "ownerReferences": [controller_reference(endpoints)],
        }
        notes = {k: v for k, v in annotations_of(endpoints).items() if k not in UNMIRRORED}
        for family, ports, entries in mirrored(endpoints):
            same = next(
                (s for s in left if s.get("addressType") == family and (s.get("ports") or []) == ports), None
            )
            if same is None:
                made = {**metadata, "generateName": f"{name_of(endpoints)}-", "annotations": notes}
                written = await self.client.create(
                    {
                        "apiVersion": "discovery.k8s.io/v1",
                        "kind": "EndpointSlice",
                        "metadata": made,
                        "addressType": family,
                        "endpoints": entries,
                        "ports": ports,
                    },
                    namespace_of(endpoints),
                )
                self._written[key] = int(meta.version_of(written))
                continue
            left.remove(same)
            if (
                (same.get("endpoints") or []) != entries
                or labels_of(same) != metadata["labels"]
                or annotations_of(same) != notes
            ):
                kept = {**same["metadata"], **metadata, "annotations": notes}
                written = await self.client.update({**same, "endpoints": entries, "metadata": kept})
                self._written[key] = int(meta.version_of(written))
        for superfluous in left:
            await self._delete(superfluous)

    async def _delete(self, entry: Obj) -> None:
        try:
            await self.client.delete(SLICES, name_of(entry), namespace_of(entry))
        except StatusError as error:
            if error.code != 404:
                raise
