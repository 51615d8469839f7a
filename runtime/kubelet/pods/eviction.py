"""Pods that have filled more disk or memory than their limits allow are ended.

Follows localStorageEviction in ``pkg/kubelet/eviction``: a look now and then, at the pods that have such a limit
only, since the runtime has to walk over what a container wrote into its own root file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from runtime.kubelet.pods.policy import is_sidecar
from runtime.kubelet.resources import bytes_of
from runtime.objects.errors import Obj

REASON = "Evicted"
PERIOD = 10.0
"""Seconds between two looks (monitoringInterval)."""
GRACE = 1.0
"""An evicted pod is not given the time it asked for."""


class StorageLimits(NamedTuple):
    """What a pod may hold on disk and in memory volumes."""

    volumes: Mapping[str, tuple[int, str]]
    """Volume name → bytes, and as the spec writes it."""
    containers: Mapping[str, tuple[int, str]]
    """Container name → bytes of its root file system and logs, and as the spec writes it."""
    total: int
    """Bytes of all its emptyDirs on disk, its logs and its containers' root file systems; 0 is no limit."""


def storage_limits(pod: Obj) -> StorageLimits | None:
    """The limits of a pod; None for most."""
    spec = pod["spec"]
    volumes: dict[str, tuple[int, str]] = {}
    for volume in spec.get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None and (size := bytes_of(limit)):
            volumes[volume["name"]] = size, str(limit)
    containers = _ephemeral(spec["containers"])
    inits = spec.get("initContainers") or ()
    beside = _ephemeral([entry for entry in inits if is_sidecar(entry)])
    before = _ephemeral([entry for entry in inits if not is_sidecar(entry)])
    # Containers without a limit add nothing to the pod's, as upstream (PodLimits).
    lasting = sum(size for size, _ in (*containers.values(), *beside.values()))
    total = max((lasting, *(size for size, _ in before.values())))
    return StorageLimits(volumes, containers, total) if volumes or total else None


def _ephemeral(specs: Iterable[Obj]) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for entry in specs:
        limit = ((entry.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
        if limit is not None and (size := bytes_of(limit)):
            found[entry["name"]] = size, str(limit)
    return found


def exceeded(
    pod: Obj, limits: StorageLimits, paths: Mapping[str, Path], logs: Path, layers: Mapping[str, int]
) -> str:
    """What the pod holds too much of, in upstream's words; empty while it keeps its limits. Blocking.

    Args:
        pod: the pod.
        limits: its own.
        paths: where its volumes are.
        logs: the folder of its logs, with one for each container.
        layers: container name → bytes in its root file system.
    """
    for name, (size, text) in limits.volumes.items():
        if name in paths and used(paths[name]) > size:
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{text}". '
    if limits.total:
        folders = [
            paths[volume["name"]]
            for volume in pod["spec"].get("volumes") or ()
            if "emptyDir" in volume
            and (volume["emptyDir"] or {}).get("medium") != "Memory"
            and volume["name"] in paths
        ]
        if sum(used(folder) for folder in (*folders, logs)) + sum(layers.values()) > limits.total:
            return (
                "Pod ephemeral local storage usage exceeds the total limit of containers "
                f"{_largest(limits.total)}. "
            )
    for name, (size, text) in limits.containers.items():
        if used(logs / name) + layers.get(name, 0) > size:
            return f'Container {name} exceeded its local ephemeral storage limit "{text}". '
    return ""


def used(folder: Path) -> int:
    """Bytes that a folder takes up; what can't be seen is not counted."""
    total = 0
    stack = [folder]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    try:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(Path(entry.path))
                    except OSError:
                        continue
        except OSError:
            continue
    return total


def _largest(size: int) -> str:
    for unit, factor in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
