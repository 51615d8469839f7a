"""The commands beside the cluster: look at the machine, clean up, back up, restore.

They work on the state folder and on Podman, not on a running cluster; where a running one would be in the way they
say so.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from runtime.podman.interface import RuntimeFailure
from runtime.store import FolderLock, InUse, StoreError, back_up, check
from runtime.store import restore as restore_store

from .cluster import Identity, identity_of, make_runtime
from .objects.clock import SystemClock
from .options import ClusterError, ClusterOptions


def doctor(state_dir: Path, podman_url: str = "") -> tuple[list[str], bool]:
    """What was found on this machine, a line each with the command that mends it; and whether all is well."""
    from runtime.podman.doctor import examine

    lines: list[str] = []
    healthy = True
    for finding in asyncio.run(examine(podman_url or None, state_dir)):
        mark = {"ok": "✓", "warn": "!", "fail": "✗"}[finding.level]
        lines.append(f"{mark} {finding.sentence}")
        if finding.command:
            lines.append(f"    {finding.command}")
        healthy = healthy and finding.level != "fail"
    line, good = _examine_store(state_dir)
    lines.append(line)
    return lines, healthy and good


def _examine_store(state_dir: Path) -> tuple[str, bool]:
    if not (state_dir / "journal").exists() and not (state_dir / "cluster.json").exists():
        return f"✓ No cluster in {state_dir} yet", True
    try:
        state = check(state_dir)
    except StoreError as error:
        return f"✗ {error}\n    kubetui restore FILE   (a backup)", False
    torn = f"; {state.torn} bytes of a torn last write will be dropped" if state.torn else ""
    return f"✓ {state_dir}: {len(state.records)} objects, version {state.revision}{torn}", True


def down(state_dir: Path, podman_url: str = "", *, volumes: bool = False) -> list[str]:
    """Remove everything this cluster owns from Podman; says what was removed.

    Raises:
        ClusterError: the cluster is running, or Podman can't be reached.
    """
    options = ClusterOptions(state_dir, podman_url=podman_url)
    identity = identity_of(options, make=False)
    if identity is None:
        return [f"No cluster in {state_dir}: nothing to remove"]
    try:
        lock = FolderLock(state_dir)
    except InUse as error:
        raise ClusterError(f"{error}: it would start everything again; stop it first") from error
    except StoreError as error:
        raise ClusterError(str(error)) from error
    try:
        removed = asyncio.run(_remove(options, identity, volumes=volumes))
        shutil.rmtree(state_dir / "pods", ignore_errors=True)
    except RuntimeFailure as error:
        raise ClusterError(error.message) from error
    finally:
        lock.release()
    return [*removed, f"Removed {len(removed)} items"] if removed else ["Nothing to remove"]


async def _remove(options: ClusterOptions, identity: Identity, *, volumes: bool) -> list[str]:
    runtime = make_runtime(options, identity, SystemClock())
    try:
        return await runtime.remove_everything(volumes)
    finally:
        await runtime.close()


def serving_pid(state_dir: Path) -> int:
    """The process that serves a state folder now; 0 when none does."""
    if not (state_dir / "lock").exists():
        return 0
    try:
        FolderLock(state_dir).release()
    except InUse as error:
        return error.pid or -1
    except StoreError:
        return 0
    return 0


def backup(state_dir: Path, target: Path) -> str:
    """Write the cluster's newest durable state to a file; it may be running.

    Raises:
        ClusterError: there is none, it is damaged, or the file can't be written.
    """
    try:
        state = back_up(state_dir, target)
    except StoreError as error:
        raise ClusterError(str(error)) from error
    return f"Wrote {len(state.records)} objects of version {state.revision} to {target}"


def restore(state_dir: Path, source: Path) -> str:
    """Put a backup in the state's place.

    Raises:
        ClusterError: the file is not a good backup (nothing is changed then), or the cluster is running.
    """
    try:
        count = restore_store(state_dir, source)
    except StoreError as error:
        raise ClusterError(str(error)) from error
    return f"Restored {count} objects from {source}"
