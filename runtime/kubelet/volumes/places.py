"""Volumes that are places: emptyDir, hostPath and what a bound claim points to.

Follows ``pkg/volume/{emptydir,hostpath,local}`` and the errors of ``volumemanager``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Protocol

from runtime.kubelet.volumes.content import VolumeFailure
from runtime.objects.errors import Obj

_CHECKS = {
    "Directory": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


class ClaimSource(Protocol):
    """Where claims and volumes come from."""

    async def claim(self, namespace: str, name: str) -> Obj | None:
        """The PersistentVolumeClaim, or None."""
        ...

    async def volume(self, name: str) -> Obj | None:
        """The PersistentVolume, or None."""
        ...


def make_empty_dir(path: Path, *, in_memory: bool = False) -> None:
    """A folder for all users of the pod's containers (0777, whatever the umask); a tmpfs is sticky."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o1777 if in_memory else 0o777)


def make_sub_path(volume: Path, path: Path) -> None:
    """A folder inside a volume that is not there yet, for whom the volume itself is for.

    Raises:
        VolumeFailure: something that is no folder is in the way.
    """
    volume = volume.resolve()
    look = volume.stat()
    try:
        for folder in reversed((path, *path.parents)):
            if folder.is_relative_to(volume) and not folder.exists():
                folder.mkdir()
                with contextlib.suppress(PermissionError):  # rootless, the group may be out of our reach
                    os.chown(folder, -1, look.st_gid)
                folder.chmod(stat.S_IMODE(look.st_mode))
    except OSError as error:
        raise VolumeFailure(f"failed to create subPath directory: {error.strerror}") from None


def host_path(spec: Obj) -> Path:
    """Check or make a hostPath.

    Raises:
        VolumeFailure: it is not what its type says.
    """
    path = Path(spec["path"])
    kind = spec.get("type") or ""
    try:
        if kind == "DirectoryOrCreate":
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            kind = "Directory"
        elif kind == "FileOrCreate":
            if not path.exists():
                path.touch(mode=0o644)
            kind = "File"
    except OSError as error:
        raise VolumeFailure(f"hostPath type check failed: {path}: {error.strerror}") from None
    if not kind:
        if not path.exists():
            # Podman refuses a missing bind source; upstream's runtimes make the folder.
            try:
                path.mkdir(mode=0o755, parents=True, exist_ok=True)
            except OSError as error:
                raise VolumeFailure(f"hostPath {path}: {error.strerror}") from None
        return path
    check, words = _CHECKS[kind]
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if not check(mode):
        raise VolumeFailure(f"hostPath type check failed: {path} is not a {words}")
    return path


async def claimed(pod: Obj, claim_name: str, source: ClaimSource, *, check: bool) -> tuple[Path, bool]:
    """The path behind a claim, and whether the volume is read-only.

    Raises:
        VolumeFailure: the claim is missing or unbound, or its volume is of a kind this node can't mount.
    """
    namespace = str(pod["metadata"].get("namespace", ""))
    claim = await source.claim(namespace, claim_name)
    if claim is None:
        raise VolumeFailure(
            f"error processing PVC {namespace}/{claim_name}: failed to fetch PVC from API server: "
            f'persistentvolumeclaims "{claim_name}" not found'
        )
    name = claim["spec"].get("volumeName") or ""
    if (claim.get("status") or {}).get("phase") != "Bound" or not name:
        raise VolumeFailure(f"error processing PVC {namespace}/{claim_name}: PVC is not bound")
    if (claim["spec"].get("volumeMode") or "Filesystem") != "Filesystem":
        raise VolumeFailure(f"PVC {namespace}/{claim_name}: raw block volumes are not supported on this node")
    volume = await source.volume(name)
    if volume is None:
        raise VolumeFailure(f'error processing PV {name}: persistentvolumes "{name}" not found')
    spec = volume["spec"]
    read_only = spec.get("accessModes") == ["ReadOnlyMany"]
    if local := spec.get("local"):
        path = Path(local["path"])
        if check and not path.exists():
            raise VolumeFailure(f'path "{path}" does not exist')
        return path, read_only
    if host := spec.get("hostPath"):
        return (host_path(host) if check else Path(host["path"])), read_only
    kind = next((key for key in spec if key in _UNSUPPORTED), "its source")
    raise VolumeFailure(f'PersistentVolume "{name}": {kind} is not supported on this node')


_UNSUPPORTED = frozenset(
    {
        "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "ephemeral", "fc",
        "flexVolume", "flocker", "gcePersistentDisk", "gitRepo", "glusterfs", "image", "iscsi", "nfs",
        "photonPersistentDisk", "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
    }
)  # fmt: skip


def unsupported(volume: Obj) -> str:
    """The kind of a volume this node can't mount."""
    return next((key for key in volume if key != "name"), "emptyDir")


def check_sub_path(sub_path: str) -> None:
    """Refuse what would lead out of a volume.

    Raises:
        VolumeFailure: it is absolute, or goes up.
    """
    if sub_path.startswith("/"):
        raise VolumeFailure(f"error SubPath `{sub_path}` must not be an absolute path")
    if ".." in Path(sub_path).parts:
        raise VolumeFailure(f"unable to provision SubPath `{sub_path}`: must not contain '..'")


def within(root: Path, sub_path: str) -> Path:
    """A path inside a volume, symbolic links resolved.

    Raises:
        VolumeFailure: it leaves the volume.
    """
    check_sub_path(sub_path)
    path = (root / sub_path).resolve()
    if not path.is_relative_to(root.resolve()):
        raise VolumeFailure(f"subPath {sub_path!r} leads out of its volume")
    return path


def own_address() -> str:
    """This machine's address towards the world, or loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
