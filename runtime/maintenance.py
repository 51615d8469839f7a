"""The commands beside the cluster: look at the machine, clean up, back up, restore.

They work on the state folder and on Podman, not on a running cluster; where a running one would be in the way they
say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.kubelet.volumes import memory
from runtime.podman.firewall import remove_unused_chains
from runtime.podman.interface import RuntimeFailure
from runtime.podman.machine import find_program
from runtime.store import Damaged, FolderLock, Foreign, InUse, StoreError, back_up, check
from runtime.store import restore as restore_store

from .cluster import IDENTITY_FILE, KUBECONFIG, SIMULATED_RECORD, Identity, identity_of, make_runtime
from .objects.clock import SystemClock
from .options import ClusterError, ClusterOptions

if TYPE_CHECKING:
    from runtime.podman.doctor import Finding

_STATE = (
    *("cluster.json", "cluster.json.new", "journal", "journal.old", IDENTITY_FILE, KUBECONFIG, "pki"),
    *("journal.new", "cluster.json.replaced", "journal.replaced", "journal.old.replaced"),
    *("containers.conf", "podman.log", "podman.sock", "podman.pid", "lock"),
    *("kubetui.log", "kubetui.log.1", SIMULATED_RECORD),
)
"""What a cluster keeps in the state folder, the pods' files apart."""


def doctor(state_dir: Path, podman_url: str = "") -> tuple[list[str], bool]:
    """What was found on this machine, a line each with the command that mends it; and whether all is well."""
    from runtime.podman.doctor import Finding, examine, install_command

    findings = asyncio.run(examine(podman_url or None, state_dir))
    findings += _examine_port(state_dir)
    if not any(finding.id == "state" for finding in findings):
        findings += _examine_store(state_dir)
    if find_program("kubectl") is None:
        package = "kubernetes-client" if find_program("apt-get") or find_program("dnf") else "kubectl"
        findings.append(
            Finding("kubectl", "warn", "There is no kubectl; kubetui needs none", install_command(package))
        )
    lines: list[str] = []
    for finding in findings:
        mark = {"ok": "✓", "warn": "!", "fail": "✗"}[finding.level]
        lines.append(f"{mark} {finding.sentence}")
        if finding.command:
            lines.append(f"    {finding.command}")
    return lines, all(finding.level != "fail" for finding in findings)


def _examine_port(state_dir: Path) -> Iterator[Finding]:
    from runtime.podman.doctor import Finding

    pid = serving_pid(state_dir)
    if pid:
        yield Finding(
            "serving", "ok", f"The cluster in {state_dir} runs{f' (process {pid})' if pid > 0 else ''}"
        )
        return
    usual = ClusterOptions(state_dir)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((usual.host, usual.port))
        except OSError as error:
            sentence = f"Port {usual.port} of {usual.host} can't be had: {error.strerror}"
            yield Finding("port", "fail", sentence, "kubetui --port 0   (any free port)")


def _examine_store(state_dir: Path) -> Iterator[Finding]:
    from runtime.podman.doctor import Finding

    try:
        state = check(state_dir)
    except StoreError as error:
        damaged = isinstance(error, Damaged | Foreign)
        yield Finding("store", "fail", str(error), "kubetui restore FILE   (a backup)" if damaged else "")
        return
    if not state.revision:
        yield Finding("store", "ok", f"No cluster in {state_dir} yet")
        return
    torn = f"; {state.torn} bytes of a torn last write will be dropped" if state.torn else ""
    sentence = f"{state_dir}: {len(state.records)} objects, version {state.revision}{torn}"
    yield Finding("store", "ok", sentence)


def down(state_dir: Path, podman_url: str = "", *, volumes: bool = False) -> list[str]:
    """Remove everything this cluster owns from Podman, and with ``volumes`` its state; says what was removed.

    Raises:
        ClusterError: the cluster is running, Podman can't be reached, or the containers are in another storage.
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
        removed = asyncio.run(_remove_simulated(options, identity))
        removed += asyncio.run(_remove(options, identity, volumes=volumes))
        memory.remove_all(state_dir / "pods")
        _remove_folder(state_dir / "pods")
        if volumes:
            _forget(state_dir)
            removed.append(f"state {state_dir}")
    except RuntimeFailure as error:
        raise ClusterError(error.message) from error
    finally:
        lock.release()
    if not removed:
        return ["Nothing to remove"]
    return [*removed, f"Removed {len(removed)} item{'s' if len(removed) > 1 else ''}"]


async def _remove(options: ClusterOptions, identity: Identity, *, volumes: bool) -> list[str]:
    runtime = make_runtime(options, identity, SystemClock())
    try:
        removed = await runtime.remove_everything(volumes)
        storage = (await runtime.info()).storage
        if not removed and identity.storage and storage != identity.storage:
            raise RuntimeFailure(
                f"this cluster's containers are in Podman's storage {identity.storage}, and this Podman's is "
                f"{storage}: nothing was removed; run it as the user, and with the --podman-url, of the start"
            )
        await asyncio.to_thread(remove_unused_chains)
        return removed
    finally:
        await runtime.close()


async def _remove_simulated(options: ClusterOptions, identity: Identity) -> list[str]:
    record = options.state_dir / SIMULATED_RECORD
    if not record.exists():
        return []
    runtime = make_runtime(replace(options, runtime="simulated"), identity, SystemClock())
    try:
        await runtime.start()
        return await runtime.remove_everything()
    finally:
        await runtime.close()
        record.unlink(missing_ok=True)


def _remove_folder(folder: Path) -> None:
    """Remove a folder in which rootless containers may have left files that belong to their users."""
    shutil.rmtree(folder, ignore_errors=True)
    podman = find_program("podman")
    if folder.exists() and podman:
        subprocess.run([podman, "unshare", "rm", "-rf", str(folder)], capture_output=True, check=False)


def _forget(state_dir: Path) -> None:
    """Remove the state's files, and the folder when nothing of somebody else's is in it."""
    for name in _STATE:
        path = state_dir / name
        if path.is_dir() and not path.is_symlink():
            _remove_folder(path)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        state_dir.rmdir()


def serving_pid(state_dir: Path) -> int:
    """The process that serves a state folder now; 0 when none does."""
    if not os.access(state_dir / "lock", os.F_OK):  # Path.exists raises where we may not look
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
