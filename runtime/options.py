"""What a cluster is asked to be, and the one exception that its start and its commands raise.

Apart from the rest so that the command line can name them without loading a control plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class ClusterError(Exception):
    """Something that a user has to hear of, in one line: port taken, folder in use, no Podman, …"""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Everything that can be chosen about a cluster."""

    state_dir: Path
    runtime: Literal["podman", "simulated"] = "podman"
    nodes: int = 1
    port: int = 6443
    host: str = "127.0.0.1"
    podman_url: str = ""
    paths: tuple[Path, ...] = ()
    """Manifest files and folders to follow."""
    namespace: str = "default"
    """Where documents without a namespace go."""
    pod_subnet: str = ""
    """Where pods' addresses come from; empty takes the cluster's own, 10.244.0.0/16 at first."""
    service_subnet: str = ""
    """Where Services' addresses come from; empty takes the cluster's own, 10.96.0.0/16 at first."""
    audit_log: Path | None = None
    max_pods: int = 0
    """Per node; 0 takes 110 on Podman and as many as there is memory for on the simulated runtime."""
