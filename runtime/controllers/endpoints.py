"""Endpoints and EndpointSlices: the addresses behind a Service.

After ``endpointslice/reconciler.go`` (staging) and ``endpoint/endpoints_controller.go``. Both are made from the same
reading of the Service's pods; pods are gathered for a few milliseconds, since a rollout changes many at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from runtime.objects.selectors import from_labels

from .context import BaseController, Context, namespace_terminating
from .pods import is_finished, is_ready

SERVICES = "services"
SLICES = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
ENDPOINTS_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
PER_SLICE = 100
MAX_LEGACY = 1000
PACE = 0.02
"""Seconds in which a Service's pod events are gathered."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A pod behind a Service, and what is true of it there."""

    pod: Obj
    address: str
    ready: bool
    serving: bool
    terminating: bool


def find_port(pod: Obj, port: Obj) -> int | None:
    """The number of a Service's target port in a pod: by number, or by the name of a container's port."""
    target = port.get("targetPort")
    if target in (None, 0, ""):
        target = port.get("port")
    if isinstance(target, int):
        return target
    protocol = port.get("protocol") or "TCP"
    containers = [
        *(pod["spec"].get("containers") or ()),
        *(c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"),
    ]
    for container in containers:
        for entry in container.get("ports") or ():
            if entry.get("name") == target and (entry.get("protocol") or "TCP") == protocol:
                return int(entry["containerPort"])
    return None


def service_ports(service: Obj, pod: Obj) -> list[Obj]:
    """A Service's ports as they are in this pod; those it does not have are left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is None:
            continue
        entry: Obj = {
            "name": port.get("name") or "",
            "port": number,
            "protocol": port.get("protocol") or "TCP",
        }
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def backend_of(pod: Obj, family: str, publish: bool) -> Backend | None:
    """A pod as a backend; None while it has no address of the family, and when it has finished."""
    status = pod.get("status") or {}
    if is_finished(pod) or not status.get("podIP"):
        return None
    addresses = [entry["ip"] for entry in status.get("podIPs") or ()] or [status["podIP"]]
    address = next((ip for ip in addresses if (":" in ip) == (family == "IPv6")), None)
    if address is None:
        return None
    serving = is_ready(pod)
    terminating = is_deleting(pod)
    return Backend(pod, address, publish or (serving and not terminating), serving, terminating)


def hints_of(service: Obj, pod: Obj, zone: str) -> Obj | None:
    """Who should use an endpoint, as ``spec.trafficDistribution`` has it; None leaves it to everybody."""
    preference = service["spec"].get("trafficDistribution")
    node = pod["spec"].get("nodeName")
    hints: Obj = {}
    if preference in ("PreferClose", "PreferSameZone", "PreferSameNode") and zone:
        hints["forZones"] = [{"name": zone}]
    if preference == "PreferSameNode" and node:
        hints["forNodes"] = [{"name": node}]
    return hints or None


def endpoint_of(service: Obj, backend: Backend, zone: str = "") -> Obj:
    """A backend as an entry of an EndpointSlice."""
    pod = backend.pod
    entry: Obj = {
        "addresses": [backend.address],
        "conditions": {
            "ready": backend.ready,
            "serving": backend.serving,
            "terminating": backend.terminating,
        },
    }
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == name_of(service):
        entry["hostname"] = spec["hostname"]
    entry["targetRef"] = {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }
    if spec.get("nodeName"):
        entry["nodeName"] = spec["nodeName"]
    if zone:
        entry["zone"] = zone
    hints = hints_of(service, pod, zone)
    if hints is not None:
        entry["hints"] = hints
    return entry


def pack(
    existing: Sequence[Sequence[Obj]], wanted: dict[str, Obj]
) -> tuple[list[list[Obj] | None], list[list[Obj]]]:
    """Spread entries over slices with as few changed slices as possible.

    Args:
        existing: the entries of each slice there is.
        wanted: the entries that should be, by the uid of their pod (pods on the host's network share addresses).

    Returns:
        For each existing slice its new entries (None: it becomes superfluous), and the entries of new slices.
    """
    left = dict(wanted)
    kept: list[list[Obj]] = []
    for entries in existing:
        own: list[Obj] = []
        for entry in entries:
            fresh = left.pop((entry.get("targetRef") or {}).get("uid", ""), None)
            if fresh is not None:
                own.append(fresh)
        kept.append(own)
    rest = list(left.values())
    # first into slices that change in any case, then into any with room
    order = sorted(range(len(kept)), key=lambda i: (list(existing[i]) == kept[i], -len(kept[i])))
    for position in order:
        room = PER_SLICE - len(kept[position])
        if rest and room > 0 and (kept[position] or list(existing[position]) != kept[position]):
            kept[position].extend(rest[:room])
            rest = rest[room:]
    fresh_slices = [rest[i : i + PER_SLICE] for i in range(0, len(rest), PER_SLICE)]
    return [entries or None for entries in kept], fresh_slices


def subsets(service: Obj, backends: Sequence[Backend]) -> list[Obj]:
    """Backends as the subsets of an Endpoints object: grouped by ports, ready ones apart from the others."""
    groups: dict[bytes, Obj] = {}
    for backend in backends:
        if backend.terminating and not service["spec"].get("publishNotReadyAddresses"):
            continue
        ports = [
            {key: value for key, value in port.items() if value != ""}
            for port in service_ports(service, backend.pod)
        ]
        if not ports and service["spec"].get("ports"):
            continue
        address: Obj = {"ip": backend.address}
        spec = backend.pod["spec"]
        if spec.get("hostname") and spec.get("subdomain") == name_of(service):
            address["hostname"] = spec["hostname"]
        if spec.get("nodeName"):
            address["nodeName"] = spec["nodeName"]
        address["targetRef"] = {
            "kind": "Pod",
            "namespace": namespace_of(backend.pod),
            "name": name_of(backend.pod),
            "uid": uid_of(backend.pod),
        }
        group = groups.setdefault(orjson.dumps(ports), {"ports": ports})
        group.setdefault("addresses" if backend.ready else "notReadyAddresses", []).append(address)
    result = []
    for _, group in sorted(groups.items()):
        for name in ("addresses", "notReadyAddresses"):
            if name in group:
                group[name].sort(key=lambda entry: entry["ip"])
        if not group["ports"]:
            del group["ports"]
        result.append(group)
    return result


class EndpointsController(BaseController):
    """Keeps EndpointSlices and Endpoints. Keys are Services."""

    name = "endpointslice"
    workers = 5

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        informers = context.informers
        self.services = informers.informer(SERVICES)
        self.pods = informers.pods()
        self.nodes = informers.informer("nodes")
        self.slices = informers.informer(SLICES)
        self.slices.add_index(SERVICE_LABEL, service_index)
        self.endpoints = informers.informer("endpoints")
        self._written: dict[str, int] = {}
        """Per Service the version of the last slice written: slices have no names of their own to collide by."""
        self.services.add_handler(self._on_services)
        self.pods.add_handler(self._on_pods)
        self.slices.add_handler(self._on_slices)

    def _on_services(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_slices(self, deltas: Sequence[Delta]) -> None:
        """A slice that somebody else changed or deleted is put right."""
        for delta in deltas:
            if delta.old is not None and labels_of(delta.obj).get(MANAGED_BY) == MANAGER:
                name = labels_of(delta.obj).get(SERVICE_LABEL)
                if name:
                    self.queue.add_paced(f"{namespace_of(delta.obj)}/{name}", PACE)

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if old is not None and new is not None and not _matters(old, new):
                continue
            for pod in (old, new):
                if pod is None or (pod is old and new is not None and labels_of(old) == labels_of(new)):
                    continue
                labels = labels_of(pod)
                for service in self.services.list(namespace_of(pod)):
                    selector = service["spec"].get("selector")
                    if selector and selector.items() <= labels.items():
                        self.queue.add_paced(key_of(service), PACE)

    async def sync(self, key: str) -> float | None:
        """Bring the slices and the Endpoints of one Service up to date."""
        service = self.services.get(key)
        namespace, name = meta.split_key(key)
        if self._written.get(key, 0) > int(self.slices.version or 0):
            return PACE  # what this controller itself wrote is not in the cache yet
        self._written.pop(key, None)
        if service is None:
            for entry in self.slices.by_index(SERVICE_LABEL, key):
                if labels_of(entry).get(MANAGED_BY) == MANAGER:
                    await self._delete(SLICES, name_of(entry), namespace)
            found = self.endpoints.get(key)
            if found is not None and labels_of(found).get(ENDPOINTS_MANAGED_BY):
                await self._delete("endpoints", name, namespace)
            return None
        spec = service["spec"]
        if is_deleting(service) or not spec.get("selector") or spec.get("type") == "ExternalName":
            return None
        publish = bool(spec.get("publishNotReadyAddresses"))
        matches = from_labels(spec["selector"]).matches
        pods = [pod for pod in self.pods.list(namespace) if matches(labels_of(pod))]
        families = spec.get("ipFamilies") or ["IPv4"]
        try:
            for family in families:
                backends = [b for pod in pods if (b := backend_of(pod, family, publish)) is not None]
                await self._slices(service, family, backends)
            first = [b for pod in pods if (b := backend_of(pod, families[0], publish)) is not None]
            await self._endpoints(service, first)
        except StatusError as error:
            if namespace_terminating(error):
                return None
            raise
        return None

    async def _delete(self, resource: str, name: str, namespace: str) -> None:
        try:
            await self.client.delete(resource, name, namespace)
        except StatusError as error:
            if error.code != 404:
                raise

    def _zone(self, pod: Obj) -> str:
        node = self.nodes.get(pod["spec"].get("nodeName") or "")
        return labels_of(node).get("topology.kubernetes.io/zone", "") if node is not None else ""

    def _labels(self, service: Obj) -> dict[str, str]:
        labels = {
            key: value
            for key, value in labels_of(service).items()
            if key not in (SERVICE_LABEL, MANAGED_BY, HEADLESS)
        }
        labels[SERVICE_LABEL] = name_of(service)
        labels[MANAGED_BY] = MANAGER
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        return labels

    async def _slices(self, service: Obj, family: str, backends: Sequence[Backend]) -> None:
        groups: dict[bytes, tuple[list[Obj], dict[str, Obj]]] = {}
        for backend in backends:
            ports = service_ports(service, backend.pod)
            if not ports and service["spec"].get("ports"):
                continue
            group = groups.setdefault(orjson.dumps(ports), (ports, {}))
            group[1][uid_of(backend.pod)] = endpoint_of(service, backend, self._zone(backend.pod))
        if not groups:  # an empty slice says that there is nobody, which is something to know
            groups[b""] = ([], {})
        existing: dict[bytes, list[Obj]] = {}
        for entry in self.slices.by_index(SERVICE_LABEL, key_of(service)):
            if (
                labels_of(entry).get(MANAGED_BY) == MANAGER
                and entry.get("addressType") == family
                and not is_deleting(entry)
            ):
                existing.setdefault(orjson.dumps(_plain_ports(entry)), []).append(entry)
        labels = self._labels(service)
        for ports_key, (ports, wanted) in groups.items():
            there = existing.pop(orjson.dumps(ports) if ports_key else b"[]", [])
            packed, fresh = pack([entry.get("endpoints") or [] for entry in there], wanted)
            if not wanted:
                if there:
                    packed[0] = []
                else:
                    fresh = [[]]
            for entry, endpoints in zip(there, packed, strict=True):
                await self._put(entry, endpoints, labels)
            for endpoints in fresh:
                await self._make(service, family, ports, endpoints, labels)
        for superfluous in existing.values():
            for entry in superfluous:
                await self._delete(SLICES, name_of(entry), namespace_of(entry))

    async def _put(self, entry: Obj, endpoints: list[Obj] | None, labels: dict[str, str]) -> None:
        if endpoints is None:
            await self._delete(SLICES, name_of(entry), namespace_of(entry))
        elif endpoints != (entry.get("endpoints") or []) or labels_of(entry) != labels:
            changed = {**entry, "endpoints": endpoints, "metadata": {**entry["metadata"], "labels": labels}}
            self._note(await self.client.update(changed))

    async def _make(
        self, service: Obj, family: str, ports: list[Obj], endpoints: list[Obj], labels: dict[str, str]
    ) -> None:
        made = await self.client.create(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "generateName": f"{name_of(service)}-",
                    "namespace": namespace_of(service),
                    "labels": labels,
                    "ownerReferences": [controller_reference(service)],
                },
                "addressType": family,
                "endpoints": endpoints,
                "ports": ports,
            },
            namespace_of(service),
        )
        self._note(made)

    def _note(self, written: Obj) -> None:
        key = f"{namespace_of(written)}/{labels_of(written)[SERVICE_LABEL]}"
        self._written[key] = max(self._written.get(key, 0), int(meta.version_of(written)))

    async def _endpoints(self, service: Obj, backends: Sequence[Backend]) -> None:
        ready = [b for b in backends if b.ready]
        chosen = list(backends)
        annotations: dict[str, str] = {}
        if len(chosen) > MAX_LEGACY:
            chosen = [*ready, *(b for b in backends if not b.ready)][:MAX_LEGACY]
            annotations[OVER_CAPACITY] = "truncated"
        wanted = subsets(service, chosen)
        labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS}
        labels[ENDPOINTS_MANAGED_BY] = "endpoint-controller"
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        found = self.endpoints.get(key_of(service))
        if found is None:
            metadata: Obj = {"name": name_of(service), "namespace": namespace_of(service), "labels": labels}
            if annotations:
                metadata["annotations"] = annotations
            obj: Obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
            if wanted:
                obj["subsets"] = wanted
            await self.client.create(obj, namespace_of(service))
            return
        kept = {k: v for k, v in meta.annotations_of(found).items() if k != OVER_CAPACITY}
        if (
            (found.get("subsets") or []) == wanted
            and labels_of(found) == labels
            and {**kept, **annotations} == meta.annotations_of(found)
        ):
            return
        metadata = {**found["metadata"], "labels": labels, "annotations": {**kept, **annotations}}
        await self.client.update({**found, "metadata": metadata, "subsets": wanted})


def service_index(entry: Obj) -> tuple[str, ...]:
    """Index function for slices: the key of their Service."""
    name = labels_of(entry).get(SERVICE_LABEL)
    return (f"{namespace_of(entry)}/{name}",) if name else ()


def _plain_ports(entry: Obj) -> list[Obj]:
    """A stored slice's ports in the form :func:`service_ports` makes them."""
    result = []
    for port in entry.get("ports") or ():
        plain: Obj = {
            "name": port.get("name") or "",
            "port": port.get("port"),
            "protocol": port.get("protocol"),
        }
        if port.get("appProtocol"):
            plain["appProtocol"] = port["appProtocol"]
        result.append(plain)
    return result


def _matters(old: Obj, new: Obj) -> bool:
    """Whether a pod's change can change an endpoint."""
    before, after = old.get("status") or {}, new.get("status") or {}
    return (
        before.get("podIP") != after.get("podIP")
        or is_ready(old) != is_ready(new)
        or is_deleting(old) != is_deleting(new)
        or is_finished(old) != is_finished(new)
        or labels_of(old) != labels_of(new)
        or before.get("podIPs") != after.get("podIPs")
    )
