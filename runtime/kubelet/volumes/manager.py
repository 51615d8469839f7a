"""Sets up a pod's volumes, keeps their files current, and cleans up after the pod.

Everything of a pod lives in ``STATE/pods/<uid>``: ``volumes/<name>``, ``logs/<container>/<attempt>.log`` and
``containers/<name>/<attempt>`` (the termination message). With ``files=False`` (a runtime that runs nothing) what a
volume refers to is still looked up, so that a missing ConfigMap fails a simulated pod too, but nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from runtime.kubelet.env import expand
from runtime.kubelet.resources import bytes_of
from runtime.kubelet.volumes import atomic, memory, places
from runtime.kubelet.volumes.content import (
    ContentContext,
    ContentSource,
    VolumeFailure,
    references,
    volume_content,
)
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj
from runtime.podman.interface import Mount

log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"(?<!\$)\$\(([^)]*)\)")
_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
_FILES = ("configMap", "secret", "downwardAPI", "projected")


class VolumeSource(ContentSource, places.ClaimSource, Protocol):
    """All that volumes are made from."""


@dataclass(slots=True)
class PodVolumes:
    """A pod's volumes, set up."""

    paths: dict[str, Path] = field(default_factory=dict)
    read_only: set[str] = field(default_factory=set)
    references: set[tuple[str, str]] = field(default_factory=set)
    downward: bool = False
    renew_at: datetime | None = None


class VolumeManager:
    """One for all kubelets of a machine."""

    def __init__(
        self,
        root: Path,
        source: VolumeSource,
        clock: Clock,
        *,
        files: bool = True,
        remove_tree: Callable[[Path], Awaitable[None]] | None = None,
    ) -> None:
        self.root = root
        self.files = files
        self._source = source
        self._clock = clock
        self._remove_tree = remove_tree

    # -- places

    def pod_dir(self, uid: str) -> Path:
        """Everything of one pod."""
        return self.root / uid

    def log_path(self, uid: str, container: str, attempt: int) -> Path:
        """The log of one attempt."""
        return self.root / uid / "logs" / container / f"{attempt}.log"

    def message_path(self, uid: str, container: str, attempt: int) -> Path:
        """The file bound to terminationMessagePath."""
        return self.root / uid / "containers" / container / str(attempt)

    def prepare_container(self, uid: str, container: Obj, attempt: int) -> tuple[str, tuple[Mount, ...]]:
        """The log file's path and the mount for the termination message; makes what they need."""
        path = self.log_path(uid, container["name"], attempt)
        if not self.files:
            return str(path), ()
        path.parent.mkdir(parents=True, exist_ok=True)
        target = container.get("terminationMessagePath") or ""
        if not target:
            return str(path), ()
        message = self.message_path(uid, container["name"], attempt)
        message.parent.mkdir(parents=True, exist_ok=True)
        message.touch()
        message.chmod(0o666)
        return str(path), (Mount(target, str(message)),)

    def file_mount(self, uid: str, place: str, text: str) -> tuple[Mount, ...]:
        """Write a file that all containers of the pod see at ``place``; the mount that shows it."""
        if not self.files:
            return ()
        path = self.root / uid / place.strip("/").replace("/", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
            # In place: containers that run already have the file itself mounted.
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)
        return (Mount(place, str(path)),)

    def remove_attempt(self, uid: str, container: str, attempt: int) -> None:
        """The log and message of an attempt nobody can ask for any more."""
        self.log_path(uid, container, attempt).unlink(missing_ok=True)
        self.message_path(uid, container, attempt).unlink(missing_ok=True)

    # -- set-up

    async def set_up(self, pod: Obj, context: ContentContext) -> PodVolumes:
        """Make every volume of a pod; doing it twice changes nothing.

        Raises:
            VolumeFailure: one of them can't be made (yet). The message names the volume.
        """
        volumes = PodVolumes(references=references(pod))
        used = {
            mount["name"]
            for field_ in ("initContainers", "containers", "ephemeralContainers")
            for container in pod["spec"].get(field_) or ()
            for mount in container.get("volumeMounts") or ()
        }
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            try:
                await self._set_up_one(pod, volume, volumes, context, used=name in used)
            except VolumeFailure as failure:
                raise VolumeFailure(f'MountVolume.SetUp failed for volume "{name}" : {failure}') from None
            except OSError as error:
                raise VolumeFailure(f'MountVolume.SetUp failed for volume "{name}" : {error}') from None
        return volumes

    async def refresh(self, pod: Obj, volumes: PodVolumes, context: ContentContext) -> None:
        """Bring files up to date with their ConfigMaps, Secrets, labels and tokens.

        Raises:
            VolumeFailure: what they came from is gone; the files stay as they are, as upstream leaves them.
        """
        volumes.renew_at = None
        for volume in pod["spec"].get("volumes") or ():
            if any(kind in volume for kind in _FILES):
                await self._set_up_one(pod, volume, volumes, context, used=True)

    async def _set_up_one(
        self, pod: Obj, volume: Obj, volumes: PodVolumes, context: ContentContext, *, used: bool
    ) -> None:
        name = volume["name"]
        uid = pod["metadata"]["uid"]
        path = self.root / uid / "volumes" / name
        if any(kind in volume for kind in _FILES):
            volumes.downward = volumes.downward or "downwardAPI" in volume or "projected" in volume
            content = await volume_content(pod, volume, self._source, context, tokens=self.files)
            if content.renew_at is not None:
                volumes.renew_at = min(content.renew_at, volumes.renew_at or content.renew_at)
            if self.files:
                try:
                    changed = atomic.write(
                        path, content.files, self._clock.now(), _owner(pod, writable=False)
                    )
                except atomic.BadPath as error:
                    raise VolumeFailure(str(error)) from None
                if changed:
                    log.debug("volume %s of pod %s: files replaced", name, uid)
        elif "emptyDir" in volume:
            if self.files:
                path = await asyncio.to_thread(self._make_empty_dir, uid, name, volume["emptyDir"] or {})
                _owner(pod)(path)
        elif len(volume) == 1:  # no source at all is an emptyDir (SetDefaults_Volume)
            if self.files:
                places.make_empty_dir(path)
                _owner(pod)(path)
        elif "hostPath" in volume:
            path = places.host_path(volume["hostPath"]) if self.files else Path(volume["hostPath"]["path"])
        elif "image" in volume:
            return  # the runtime's own; it is pulled before the container that mounts it
        elif "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]
            path, read_only = await places.claimed(pod, claim["claimName"], self._source, check=self.files)
            if read_only or claim.get("readOnly"):
                volumes.read_only.add(name)
        elif used or not self.files:
            raise VolumeFailure(f"volume type {places.unsupported(volume)} is not supported on this node")
        volumes.paths[name] = path

    def _make_empty_dir(self, uid: str, name: str, spec: Obj) -> Path:
        path = self.root / uid / "volumes" / name
        in_memory = None
        if spec.get("medium") == "Memory":
            self.root.mkdir(parents=True, exist_ok=True)
            in_memory = memory.memory_root(self.root)
        if in_memory is not None:
            path = in_memory / uid / name
        places.make_empty_dir(path, in_memory=spec.get("medium") == "Memory")
        if in_memory is not None and spec.get("sizeLimit") is not None:
            memory.limit_size(path, bytes_of(spec["sizeLimit"]))
        return path

    # -- what a container sees

    def mounts(
        self,
        pod: Obj,
        container: Obj,
        volumes: PodVolumes,
        env: Mapping[str, str],
        images: Mapping[str, str] | None = None,
    ) -> list[Mount]:
        """The mounts of one container.

        Args:
            pod: its pod.
            container: its entry in the spec.
            volumes: the pod's, set up.
            env: its environment, for subPathExpr.
            images: volume name → id of the local image that is mounted for it.

        Raises:
            VolumeFailure: a mount that can't be as it is asked for (CreateContainerConfigError).
        """
        result: list[Mount] = []
        by_name = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
        for mount in container.get("volumeMounts") or ():
            name = mount["name"]
            if mount.get("recursiveReadOnly") == "Enabled":
                words = "requested recursive read-only mode, but it is not supported by the runtime"
                raise VolumeFailure(f'volume "{name}" {words}')
            sub = mount.get("subPath") or ""
            if mount.get("subPathExpr"):
                sub = expand(mount["subPathExpr"], env)
                missing = sorted(
                    {name for name in _VARIABLE.findall(mount["subPathExpr"]) if not env.get(name)}
                )
                if missing:
                    raise VolumeFailure(f"missing value for {', '.join(missing)}")
            if images and name in images:
                places.check_sub_path(sub)
                result.append(Mount(mount["mountPath"], images[name], "image", read_only=True, sub_path=sub))
                continue
            path = volumes.paths.get(name)
            if path is None:
                raise VolumeFailure(f'no volume is called "{name}"')
            volume = by_name[name]
            if sub and self.files:
                path = places.within(path, sub)
                if not path.exists():
                    places.make_sub_path(volumes.paths[name], path)
            elif sub:
                path = path / sub
            target = mount["mountPath"]
            result.append(
                Mount(
                    target if target.startswith("/") else f"/{target}",
                    str(path),
                    read_only=bool(
                        mount.get("readOnly")
                        or name in volumes.read_only
                        or any(kind in volume for kind in _FILES)
                    ),
                    propagation=_PROPAGATION.get(mount.get("mountPropagation") or "", ""),
                )
            )
        return result

    # -- the end

    def known_pods(self) -> list[str]:
        """The uids that have a folder here."""
        if not self.root.is_dir():
            return []
        return [entry.name for entry in self.root.iterdir() if entry.is_dir()]

    async def clean_up(self, uid: str) -> None:
        """Remove everything of a pod, logs too. What can't be removed is said and left."""
        folder = self.root / uid
        in_memory = memory.memory_root(self.root)
        for path in (in_memory / uid if in_memory else None, folder):
            if path is None or not path.exists():
                continue
            if path is not folder:
                await asyncio.to_thread(memory.unmount_below, path)
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            if path.exists() and self._remove_tree is not None:
                # Files of a rootless container's users belong to ids that only its user namespace may touch.
                await self._remove_tree(path)
            if path.exists():
                log.warning("%s could not be removed", path)
        memory.forget_if_empty(self.root)


def _owner(pod: Obj, *, writable: bool = True) -> Callable[[Path], None]:
    """Gives files to the pod's fsGroup, or opens them where the kernel will not let us."""
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    if group is None:
        return lambda _: None

    def own(path: Path) -> None:
        mode = path.stat().st_mode & 0o7777
        folder = path.is_dir()
        try:
            os.chown(path, -1, group)
            path.chmod(mode | (0o2110 if folder else 0) | (0o660 if writable else 0o440))
        except PermissionError:
            # Rootless: the group's id is one of the user's subordinate ids, out of our reach. The state folder
            # is 0700, so "others" are only the pod's own users.
            path.chmod(mode | (0o777 if folder else 0o444))

    return own
