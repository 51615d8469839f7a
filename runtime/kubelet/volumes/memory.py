"""emptyDirs of medium Memory: folders in the machine's shared memory, one tree for each cluster, removed with it.

Every container of a pod sees the same folder. Where we may mount, a volume with a size limit is a tmpfs of that size
of its own; elsewhere it is a folder among the others, and its limit is kept by looking (see ``pods.eviction``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

MEMORY_ROOT = Path("/dev/shm")


def memory_root(pods_root: Path) -> Path | None:
    """Where this cluster's memory volumes live; None where there is no shared memory to write to."""
    if not (MEMORY_ROOT.is_dir() and os.access(MEMORY_ROOT, os.W_OK) and pods_root.is_dir()):
        return None
    return MEMORY_ROOT / f"kubetui-{os.getuid()}-{pods_root.stat().st_ino}"


def limit_size(path: Path, size: int) -> None:
    """Make the folder a tmpfs of so many bytes, if it is none yet and if we may."""
    program = shutil.which("mount")
    if os.geteuid() != 0 or program is None or path.is_mount():
        return
    subprocess.run(
        [program, "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )


def unmount_below(folder: Path) -> None:
    """Give back every tmpfs at or below a folder, so that the folder can be removed."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    found = [Path(line.split(" ")[1]) for line in lines if line.count(" ") > 1]
    program = shutil.which("umount")
    if program is None:
        return
    for mount in sorted(found, reverse=True):
        if mount == folder or mount.is_relative_to(folder):
            subprocess.run([program, "-l", str(mount)], capture_output=True, check=False)


def remove_all(pods_root: Path) -> None:
    """Remove a cluster's memory volumes, all of them."""
    folder = memory_root(pods_root)
    if folder is not None and folder.is_dir():
        unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def forget_if_empty(pods_root: Path) -> None:
    """Leave nothing behind of the last memory volume but the next one's place."""
    folder = memory_root(pods_root)
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.rmdir()
