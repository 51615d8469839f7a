"""What can be set for a node, with the defaults of a workstation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KubeletOptions:
    """Settings of one kubelet. Times are in seconds."""

    max_pods: int = 110
    """Capacity ``pods``."""
    cpu: float = 0.0
    """Cores to report; 0 reports the machine's."""
    memory: int = 0
    """Bytes to report; 0 reports the machine's."""
    node_ip: str = ""
    """InternalIP and hostIP; empty finds the machine's own address."""
    pod_cidr: str = ""
    """spec.podCIDR of the Node when it is registered."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels the Node is registered with, beside the well-known ones."""
    cluster_dns: tuple[str, ...] = ()
    """Name servers for dnsPolicy ClusterFirst; empty falls back to the machine's."""
    cluster_domain: str = "cluster.local"
    kubelet_version: str = "v1.36.2"
    port: int = 10250
    """daemonEndpoints.kubeletEndpoint.Port; nothing listens there, the API server reaches us in this process."""
    lease_seconds: int = 40
    lease_period: float = 10.0
    status_check_period: float = 10.0
    status_report_period: float = 300.0
    creating_delay: float = 0.05
    """How long a start may take before ``ContainerCreating`` is written; a start within it is one write, not two."""
    retry_period: float = 10.0
    """Between two tries of a pod whose sync failed (pod_workers.go backOffPeriod)."""
    log_keep_bytes: int = 50 * 1024 * 1024
    """How much of one container log is kept: containerLogMaxSize 10Mi times containerLogMaxFiles 5."""
    housekeeping_period: float = 60.0
