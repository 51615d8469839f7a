"""Whether this node takes a pod that was bound to it: the last word before anything of it is made.

The scheduler has asked the same, but a pod may name its node itself, and a node may have changed since. Follows
``pkg/kubelet/lifecycle/predicate.go`` and ``pkg/kubelet/sysctl``; a refused pod has failed, in upstream's words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from runtime.kubelet.pods.policy import is_terminal
from runtime.objects.errors import Obj
from runtime.objects.placement import Resources, host_ports, pod_requests, required_nodes

_SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced": "ipc",
    "net.ipv4.ip_local_port_range": "net",
    "net.ipv4.tcp_syncookies": "net",
    "net.ipv4.ping_group_range": "net",
    "net.ipv4.ip_unprivileged_port_start": "net",
    "net.ipv4.ip_local_reserved_ports": "net",
    "net.ipv4.tcp_keepalive_time": "net",
    "net.ipv4.tcp_fin_timeout": "net",
    "net.ipv4.tcp_keepalive_intvl": "net",
    "net.ipv4.tcp_keepalive_probes": "net",
    "net.ipv4.tcp_rmem": "net",
    "net.ipv4.tcp_wmem": "net",
}
"""What a pod may set without asking (``sysctl/safe_sysctls.go``), and whose namespace it is in."""


class Refusal(NamedTuple):
    """Why the pod has failed: ``status.reason`` and what its message says."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """What the node has to give."""

    name: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, float]
    """Cores (``cpu``) and bytes (``memory``, ``ephemeral-storage``)."""
    max_pods: int


class Commitments:
    """What the pods that the node has taken hold of it, added up."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Resources, tuple[tuple[str, str, int], ...]]] = {}
        self.used = Resources()
        self.ports: Counter[tuple[str, str, int]] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, uid: str, spec: Obj) -> None:
        """The pod is taken, or asks for something else than before."""
        self.release(uid)
        held = self._held[uid] = (pod_requests(spec), host_ports(spec))
        self.used.add(held[0])
        self.ports.update(held[1])

    def release(self, uid: str) -> None:
        """The pod has ended; a pod that was never taken is ignored."""
        held = self._held.pop(uid, None)
        if held is not None:
            self.used.add(held[0], -1)
            self.ports -= Counter(held[1])

    def held(self, uid: str) -> Resources:
        """What the pod asked for when it was taken."""
        return self._held[uid][0] if uid in self._held else Resources()

    def holds(self, uid: str) -> bool:
        """Whether the pod was taken and has not ended."""
        return uid in self._held


def needs_admission(pod: Obj) -> bool:
    """A pod that this node once took stays, whatever has changed since: its status has a start time."""
    status = pod.get("status") or {}
    return not (status.get("startTime") or is_terminal(pod) or pod["metadata"].get("deletionTimestamp"))


def refusal(pod: Obj, others: Commitments, room: NodeRoom) -> Refusal | None:
    """Why the pod can't be taken; None when it can.

    Args:
        pod: the newcomer.
        others: what the pods hold that the node has taken.
        room: the node.
    """
    spec = pod["spec"]
    found = _wrong_system(pod) or _sysctls(spec)
    if found is not None:
        return found
    fits = required_nodes(spec)
    if fits is not None and not fits(room.name, room.labels):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if len(others) >= room.max_pods:
        return _short("pods", 1, len(others), room.max_pods)
    asked, used = pod_requests(spec), others.used
    for name, wanted, has, capacity in (
        ("cpu", asked.cpu, used.cpu, room.allocatable.get("cpu", 0.0) * 1000),
        ("memory", asked.memory, used.memory, room.allocatable.get("memory", 0.0)),
        ("ephemeral-storage", asked.storage, used.storage, room.allocatable.get("ephemeral-storage", 0.0)),
    ):
        if wanted and wanted + has > round(capacity):
            return _short(name, wanted, has, round(capacity))
    if any(_clash(port, other) for port in host_ports(spec) for other in others.ports):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    return None


def resize_refusal(uid: str, spec: Obj, others: Commitments, room: NodeRoom) -> Refusal | None:
    """Why the pod can't have what its spec now asks for; None when it can.

    Args:
        uid: the pod, which holds what it asked for before.
        spec: what it asks for now.
        others: what all pods hold, this one too.
        room: the node.
    """
    asked, own, used = pod_requests(spec), others.held(uid), others.used
    amounts = (
        ("memory", asked.memory, own.memory, used.memory, room.allocatable.get("memory", 0.0)),
        ("cpu", asked.cpu, own.cpu, used.cpu, room.allocatable.get("cpu", 0.0) * 1000),
    )
    for name, wanted, _, _, capacity in amounts:
        if wanted > round(capacity):
            words = (
                f"Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {round(capacity)}"
            )
            return Refusal("Infeasible", words)
    for name, wanted, had, has, capacity in reversed(amounts):
        if wanted > had and wanted + has - had > round(capacity):
            return Refusal("Deferred", _short(name, wanted, has - had, round(capacity)).message)
    return None


def _wrong_system(pod: Obj) -> Refusal | None:
    if (pod["spec"].get("os") or {}).get("name", "linux") != "linux":
        return Refusal("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    if (pod["metadata"].get("labels") or {}).get("kubernetes.io/os", "linux") != "linux":
        return Refusal(
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        )
    return None


def _sysctls(spec: Obj) -> Refusal | None:
    for entry in (spec.get("securityContext") or {}).get("sysctls") or ():
        name = dotted(entry["name"])
        namespace = _SAFE_SYSCTLS.get(name)
        if namespace is None:
            return Refusal("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
        if spec.get("hostIPC" if namespace == "ipc" else "hostNetwork"):
            return Refusal(
                "SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host {namespace} enabled'
            )
    return None


def dotted(name: str) -> str:
    """A sysctl's name with dots between its parts, however it was written (ConvertSysctlVariableToDotsSeparator)."""
    first = next((char for char in name if char in "./"), "")
    return name.translate(str.maketrans("./", "/.")) if first == "/" else name


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or "0.0.0.0" in (one[0], other[0]))


def _predicate(name: str, words: str) -> Refusal:
    return Refusal(name, f"Predicate {name} failed: {words}")


def _short(name: str, wanted: int, used: int, capacity: int) -> Refusal:
    return Refusal(
        f"OutOf{name}",
        f"Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}",
    )
