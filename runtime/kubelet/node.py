"""The Node object and its lease: what this machine is, that it lives, and how it is.

Follows ``pkg/kubelet/kubelet_node_status.go``, ``pkg/kubelet/nodestatus/setters.go`` and component-helpers'
``apimachinery/lease``: a lease every ten seconds says that the node lives; the status is written when it changes,
and every five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.kubelet.cache import RUNTIME_DOWN, RuntimeCache
from runtime.kubelet.options import KubeletOptions
from runtime.kubelet.pods.images import ImageManager
from runtime.kubelet.ports import APIClient, Recorder
from runtime.objects.clock import Clock, format_micro_time, format_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.quantity import canonical
from runtime.podman.interface import RuntimeInfo

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
_EVICTION_MEMORY = 100 << 20
_EVICTION_DISK = 256 << 20
_REGISTER_ATTEMPTS = 5
_MAX_IMAGES = 50


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    return ""


def memory_available() -> int | None:
    """MemAvailable in bytes, or None where /proc does not tell."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


class NodeFacts:
    """What does not change while the process runs."""

    def __init__(
        self, name: str, ip: str, info: RuntimeInfo, options: KubeletOptions, state_dir: Path
    ) -> None:
        self.name = name
        self.ip = ip
        self.info = info
        self.options = options
        self.cpus = options.cpu or float(info.cpus)
        self.memory = options.memory or info.memory
        try:
            self.disk = shutil.disk_usage(state_dir).total
        except OSError:
            self.disk = 0
        self.machine_id = _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id") or name
        self.boot_id = _read("/proc/sys/kernel/random/boot_id") or self.machine_id
        self.system_uuid = _read("/sys/class/dmi/id/product_uuid") or self.machine_id

    def labels(self) -> dict[str, str]:
        """The well-known labels and those that were asked for."""
        os_name, arch = self.info.operating_system, self.info.architecture
        return {
            "beta.kubernetes.io/arch": arch,
            "beta.kubernetes.io/os": os_name,
            "kubernetes.io/arch": arch,
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": os_name,
            **self.options.labels,
        }

    def allocatable(self) -> dict[str, float]:
        """Cores and bytes that pods may have."""
        return {
            "cpu": self.cpus,
            "memory": float(max(0, self.memory - _EVICTION_MEMORY)),
            "ephemeral-storage": float(self.disk * 9 // 10),
        }

    def node_info(self) -> Obj:
        """status.nodeInfo, all ten fields."""
        return {
            "architecture": self.info.architecture,
            "bootID": self.boot_id,
            "containerRuntimeVersion": f"{self.info.name}://{self.info.version}",
            "kernelVersion": self.info.kernel_version,
            "kubeProxyVersion": "",
            "kubeletVersion": self.options.kubelet_version,
            "machineID": self.machine_id,
            "operatingSystem": self.info.operating_system,
            "osImage": self.info.os_image,
            "systemUUID": self.system_uuid,
        }

    def resources(self) -> tuple[Obj, Obj]:
        """status.capacity and status.allocatable."""
        milli = round(self.cpus * 1000)
        cpu = str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
        common = {"cpu": cpu, "hugepages-1Gi": "0", "hugepages-2Mi": "0", "pods": str(self.options.max_pods)}
        capacity = {
            **common,
            "ephemeral-storage": f"{self.disk // 1024}Ki",
            "memory": f"{self.memory // 1024}Ki",
        }
        free = self.allocatable()
        allocatable = {
            **common,
            "ephemeral-storage": str(int(free["ephemeral-storage"])),
            "memory": f"{int(free['memory']) // 1024}Ki",
        }
        # As the server writes them, or every check would find a difference.
        return tuple(  # type: ignore[return-value]
            {key: canonical(value) for key, value in each.items()} for each in (capacity, allocatable)
        )


class NodeReporter:
    """Registers a Node and keeps it and its lease current."""

    def __init__(
        self,
        client: APIClient,
        recorder: Recorder,
        clock: Clock,
        facts: NodeFacts,
        cache: RuntimeCache,
        images: ImageManager,
        state_dir: Path,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self.facts = facts
        self._cache = cache
        self._images = images
        self._state_dir = state_dir
        # A kubelet's events name its node in place of the node's uid; that is how kubectl describe finds them.
        self._reference: Obj = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": facts.name, "uid": facts.name},
        }
        self._options = facts.options
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._reported = float("-inf")
        self._lease: Obj | None = None
        self._ready: str | None = None

    async def start(self) -> None:
        """Register the Node, write its first status and lease, and go on; what is refused is tried again later."""
        for step in (self._register, self._renew):
            try:
                await step()
            except StatusError as error:
                # A webhook can't be asked, say: perhaps until this kubelet runs its pod.
                log.warning("registering node %s: %s", self.facts.name, error.message)
        loop = asyncio.get_running_loop()
        name = self.facts.name
        self._tasks = [
            loop.create_task(self._leasing(), name=f"kubelet-lease {name}"),
            loop.create_task(self._reporting(), name=f"kubelet-node {name}"),
        ]

    async def stop(self) -> None:
        """Stop; the Node stays as it is and its lease runs out."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def look_again(self) -> None:
        """Something about the node may have changed: check now."""
        self._wake.set()

    # -- the Node

    async def _register(self) -> None:
        facts = self.facts
        try:
            node = await self._client.get("nodes", facts.name)
        except StatusError as error:
            if error.code != 404:
                raise
            fresh: Obj = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": facts.name,
                    "labels": facts.labels(),
                    "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
                },
                "spec": {},
            }
            if self._options.pod_cidr:
                fresh["spec"] = {"podCIDR": self._options.pod_cidr, "podCIDRs": [self._options.pod_cidr]}
            try:
                node = await self._client.create(fresh)
            except StatusError as again:
                if again.code != 409:
                    raise
                node = await self._client.get("nodes", facts.name)
        self._recorder.event(self._reference, "Normal", "Starting", "Starting kubelet.")
        labels = node["metadata"].get("labels") or {}
        if any(labels.get(key) != value for key, value in facts.labels().items()):
            metadata = {**node["metadata"], "labels": {**labels, **facts.labels()}}
            with contextlib.suppress(StatusError):
                node = await self._client.update({**node, "metadata": metadata})
        for attempt in range(_REGISTER_ATTEMPTS):  # others write to a new Node too: taints, annotations
            try:
                await self._report(node)
                return
            except StatusError as error:
                if error.code != 409 or attempt == _REGISTER_ATTEMPTS - 1:
                    raise
            node = await self._client.get("nodes", facts.name)

    def status_of(self, node: Obj) -> Obj:
        """The status the Node should have now, heartbeats included."""
        facts = self.facts
        old: Obj = node.get("status") or {}
        capacity, allocatable = facts.resources()
        for name, amount in (old.get("capacity") or {}).items():
            if "/" in name:  # whoever advertised an extended resource by hand keeps it; all of it may be used
                capacity[name] = allocatable[name] = amount
        images = [
            {"names": list(dict.fromkeys((*image.digests[:1], *image.names)))[:5], "sizeBytes": image.size}
            for image in self._images.images()[:_MAX_IMAGES]
        ]
        status: Obj = {
            **old,
            "addresses": [
                {"type": "InternalIP", "address": facts.ip},
                {"type": "Hostname", "address": facts.name},
            ],
            "allocatable": allocatable,
            "capacity": capacity,
            "conditions": self._conditions(old),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._options.port}},
            "nodeInfo": facts.node_info(),
            "features": {"supplementalGroupsPolicy": True},
        }
        if images:
            status["images"] = images
        return status

    def _conditions(self, old: Obj) -> list[Obj]:
        now = format_time(self._clock.now())
        healthy = self._cache.healthy
        memory = memory_available()
        try:
            disk: int | None = shutil.disk_usage(self._state_dir).free
        except OSError:
            disk = None
        no_memory = memory is not None and memory < _EVICTION_MEMORY
        no_disk = disk is not None and disk < _EVICTION_DISK
        wanted = [
            (
                "MemoryPressure",
                no_memory,
                "KubeletHasInsufficientMemory" if no_memory else "KubeletHasSufficientMemory",
                "kubelet has insufficient memory available"
                if no_memory
                else "kubelet has sufficient memory available",
            ),
            (
                "DiskPressure",
                no_disk,
                "KubeletHasDiskPressure" if no_disk else "KubeletHasNoDiskPressure",
                "kubelet has disk pressure" if no_disk else "kubelet has no disk pressure",
            ),
            ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            (
                "Ready",
                healthy,
                "KubeletReady" if healthy else "KubeletNotReady",
                "kubelet is posting ready status" if healthy else RUNTIME_DOWN,
            ),
        ]
        before = {entry["type"]: entry for entry in old.get("conditions") or ()}
        own = {kind for kind, *_ in wanted}
        result = [entry for entry in old.get("conditions") or () if entry["type"] not in own]
        for kind, value, reason, message in wanted:
            status = "True" if value else "False"
            last = before.get(kind)
            moved = last is None or last.get("status") != status
            result.append(
                {
                    "type": kind,
                    "status": status,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now if moved or last is None else last["lastTransitionTime"],
                    "reason": reason,
                    "message": message,
                }
            )
        return result

    async def _report(self, node: Obj) -> None:
        status = self.status_of(node)
        due = self._clock.monotonic() - self._reported >= self._options.status_report_period
        if not due and _without_heartbeats(status) == _without_heartbeats(node.get("status") or {}):
            return
        await self._client.update_status({**node, "status": status})
        self._reported = self._clock.monotonic()
        ready = "True" if self._cache.healthy else "False"
        if ready != self._ready:
            self._ready = ready
            word = "NodeReady" if ready == "True" else "NodeNotReady"
            self._recorder.event(
                self._reference, "Normal", word, f"Node {self.facts.name} status is now: {word}"
            )
            if ready == "False":
                message = f"{RUNTIME_DOWN}: {self._cache.message}"
                self._recorder.event(self._reference, "Warning", "ContainerRuntimeDown", message)

    async def _reporting(self) -> None:
        while True:
            await _either(self._wake, self._clock, self._options.status_check_period)
            self._wake.clear()
            try:
                try:
                    node = await self._client.get("nodes", self.facts.name)
                except StatusError as error:
                    if error.code != 404:
                        raise
                    self._ready = None
                    await self._register()  # somebody deleted the Node; it is here all the same
                    continue
                await self._report(node)
            except StatusError as error:
                if error.code == 409:
                    self._wake.set()
                    await self._clock.sleep(0.05)
                else:
                    log.warning("status of node %s: %s", self.facts.name, error.message)
            except Exception:
                log.exception("status of node %s", self.facts.name)

    # -- the lease

    async def _leasing(self) -> None:
        while True:
            await self._clock.sleep(self._options.lease_period)
            try:
                await self._renew()
            except StatusError as error:
                log.warning("lease of node %s: %s", self.facts.name, error.message)
            except Exception:
                log.exception("lease of node %s", self.facts.name)

    async def _renew(self) -> None:
        name = self.facts.name
        now = format_micro_time(self._clock.now())
        for _ in range(5):
            try:
                if self._lease is None:
                    self._lease = await self._client.get("leases.coordination.k8s.io", name, LEASE_NAMESPACE)
                spec = {**self._lease.get("spec", {}), "renewTime": now}
                self._lease = await self._client.update({**self._lease, "spec": spec})
                return
            except StatusError as error:
                self._lease = None
                if error.code == 409:
                    continue
                if error.code != 404:
                    raise
            try:
                self._lease = await self._client.create(await self._new_lease(now), LEASE_NAMESPACE)
                return
            except StatusError as error:
                if error.code != 409:
                    raise

    async def _new_lease(self, now: str) -> Obj:
        name = self.facts.name
        metadata: Obj = {"name": name, "namespace": LEASE_NAMESPACE}
        with contextlib.suppress(StatusError):
            node = await self._client.get("nodes", name)
            metadata["ownerReferences"] = [
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
            ]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": self._options.lease_seconds,
                "renewTime": now,
            },
        }


async def _either(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    waits: set[asyncio.Future[Any]] = {
        asyncio.ensure_future(event.wait()),
        asyncio.ensure_future(clock.sleep(seconds)),
    }
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _without_heartbeats(status: Mapping[str, Any]) -> Obj:
    conditions = [
        {key: value for key, value in entry.items() if key != "lastHeartbeatTime"}
        for entry in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}


def default_node_name() -> str:
    """This machine's host name as a node name."""
    return os.uname().nodename.lower().rstrip(".")
