"""What the steps of a pod worker work with: one kubelet's own things beside the shared services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.kubelet.backoff import Backoff
from runtime.kubelet.options import KubeletOptions
from runtime.kubelet.pods.images import Say
from runtime.kubelet.pods.state import PodState
from runtime.kubelet.ports import APIClient, Recorder
from runtime.kubelet.probes.manager import ProbeManager
from runtime.kubelet.services import NodeServices


@dataclass(slots=True)
class PodContext:
    """Shared by the starter, the stopper and the workers of one kubelet."""

    services: NodeServices
    client: APIClient
    recorder: Recorder
    node_name: str
    options: KubeletOptions
    probes: ProbeManager
    crashes: Backoff
    host_ips: tuple[str, ...]
    allocatable: Mapping[str, float]
    memory_capacity: int
    rootless: bool

    def say(self, state: PodState, type: str, reason: str, message: str) -> None:
        """An event about the pod."""
        self.recorder.event(state.pod, type, reason, message)

    def speaker(self, state: PodState, field: str, name: str) -> Say:
        """Events about one container of the pod."""
        path = f"spec.{field}{{{name}}}"

        def say(type: str, reason: str, message: str) -> None:
            self.recorder.event(state.pod, type, reason, message, field_path=path)

        return say
