"""The cluster: a Kubernetes control plane in one process, with pods on the user's own Podman.

The terminal imports from here only what starts and stops a cluster, and gets a kubeconfig back; everything else is
reached through the Kubernetes API. Names load what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .options import ClusterError, ClusterOptions

if TYPE_CHECKING:
    from .cluster import Cluster, ClusterThread, serve
    from .maintenance import backup, doctor, down, restore, serving_pid

_HOMES = {
    "Cluster": "cluster",
    "ClusterThread": "cluster",
    "serve": "cluster",
    "backup": "maintenance",
    "doctor": "maintenance",
    "down": "maintenance",
    "restore": "maintenance",
    "serving_pid": "maintenance",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


__all__ = [
    "Cluster",
    "ClusterError",
    "ClusterOptions",
    "ClusterThread",
    "backup",
    "doctor",
    "down",
    "restore",
    "serve",
    "serving_pid",
]
