"""Pods on the user's own Podman: CRI's verbs over libpod's REST API.

Three requests make a pod with one container: create the pod, create the container, start the container. Everything
else that the kubelet asks is answered from one listing, labels and what the kernel tells, because Podman is slow
and its locks are slower. Containers belong to Podman: nothing here is needed for them to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.objects.clock import Clock, SystemClock

from . import doctor, execs, housekeeping, spec
from .addresses import AddressPool
from .attachments import Attachments, KeptSession
from .events import EventReader
from .hostports import check_host_ports
from .images import ImageStore
from .interface import (
    ContainerSpec,
    ContainerStats,
    ExecResult,
    Image,
    Limits,
    NoSuchItem,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeInfo,
    RuntimeUnavailable,
    Sandbox,
    SandboxSpec,
)
from .listing import Listing
from .machine import os_image
from .netns import NamespaceDialer
from .network import ensure_network
from .pause import PAUSE_COMMAND, PAUSE_IMAGE, pause_archive
from .service import PodmanService, parse_version
from .sessions import HijackedSession, SocketConnection
from .stopping import stop
from .subscribers import Subscribers
from .transport import Transport


class PodmanRuntime:
    """The container runtime of a real cluster. All methods run on the loop that called :meth:`start`."""

    def __init__(
        self,
        cluster_id: str,
        state_dir: Path,
        *,
        podman_url: str | None = None,
        subnet: str = "10.244.0.0/16",
        root: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``cluster_id``: letters, digits, ``-`` and ``.``; it marks everything this cluster owns in Podman.

        ``state_dir``: the cluster's state folder, for the socket and settings of a service of our own.
        ``root``: a Podman storage apart from the user's (also ``KUBETUI_PODMAN_ROOT``).
        """
        if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9.-]{0,62}", cluster_id):
            raise ValueError(f"not a cluster id: {cluster_id!r}")
        self.cluster_id = cluster_id
        self.service = PodmanService(state_dir, url=podman_url, root=root)
        self._clock: Clock = clock or SystemClock()
        self._pool = AddressPool(subnet)
        self._subscribers = Subscribers()
        self._locks: dict[str, asyncio.Lock] = {}
        self._following: asyncio.Task[None] | None = None
        self._infra_image = ""
        self._told: dict[str, Any] | None = None
        """What Podman says of the machine; asked once, for the answer costs it half a second of package queries."""
        self._rootless = False
        self._pid_folder: Path | None = None
        self._transport: Transport | None = None
        self._images: ImageStore | None = None
        self._listing: Listing | None = None
        self._dialer: NamespaceDialer | None = None
        self._attachments = Attachments(self._join)

    # -- life ---------------------------------------------------------------------------------------------------

    @property
    def transport(self) -> Transport:
        """How to ask Podman. RuntimeUnavailable before :meth:`start`."""
        if self._transport is None:
            raise RuntimeUnavailable("the runtime was not started")
        return self._transport

    async def start(self) -> None:
        """Find or start the service, check it, make the cluster's network, learn what is there.

        A start that fails leaves nothing running.
        """
        try:
            info = await self._open()
            await self._ensure_infra_image(str(info["host"].get("arch") or ""))
            local = self._pid_folder is not None and not self._rootless
            await ensure_network(self.transport, self.cluster_id, self._pool, local=local)
            for found in await self.sandboxes():
                self._pool.reserve(found.ip)
        except BaseException:
            await self.close()
            raise
        listing, images = self._list(), self._image_store()
        reader = EventReader(
            self.cluster_id, self.service, self.transport, listing, images, self._subscribers
        )
        self._following = asyncio.get_running_loop().create_task(reader.follow(), name="podman events")

    async def _open(self) -> dict[str, Any]:
        """Find or start the service; returns what it says of its machine."""
        try:
            await self.service.start()
        except RuntimeFailure as error:
            raise type(error)(await doctor.explain(error), error.reason, error.code) from error
        self._transport = Transport(self.service.url, self.service.version)
        info: dict[str, Any] = await self._transport.get("/info")
        self._told = info
        host, store = info["host"], info.get("store") or {}
        self._rootless = bool((host.get("security") or {}).get("rootless"))
        local = self.service.url.startswith("unix://")
        driver, images = store.get("graphDriverName", "overlay"), None
        if local and store.get("runRoot"):
            self._pid_folder = Path(store["runRoot"]) / f"{driver}-containers"
        if local and store.get("graphRoot"):
            images = Path(store["graphRoot"]) / f"{driver}-images"
        self._images = ImageStore(self._transport, images)
        self._listing = Listing(self._transport, self.cluster_id, self._pid_folder, self._subscribers)
        helper = self.service.command("unshare") if local and self._rootless else []
        self._dialer = NamespaceDialer(helper, self.service.environment)
        return info

    async def close(self) -> None:
        """Let go. Containers go on running; a service of our own is stopped."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await self._attachments.close()
        listing, self._listing = self._listing, None
        dialer, self._dialer = self._dialer, None
        transport, self._transport = self._transport, None
        self._images = None
        if listing is not None:
            await listing.close()
        if dialer is not None:
            await dialer.close()
        if transport is not None:
            await transport.close()
        await self.service.close()

    async def _ensure_infra_image(self, architecture: str) -> None:
        archive = pause_archive(architecture)
        if archive is None:
            return  # Podman's own, built from catatonit
        self._infra_image = PAUSE_IMAGE
        if not await self._image_store().exists(PAUSE_IMAGE):
            changes = [f'ENTRYPOINT ["{PAUSE_COMMAND}"]', "LABEL io.kubetui.pause=1"]
            await self.transport.post(
                "/images/import", archive, {"reference": PAUSE_IMAGE, "changes": changes}, raw=True
            )

    def _image_store(self) -> ImageStore:
        if self._images is None:
            raise RuntimeUnavailable("the runtime was not started")
        return self._images

    def _list(self) -> Listing:
        if self._listing is None:
            raise RuntimeUnavailable("the runtime was not started")
        return self._listing

    def _lock(self, key: str) -> asyncio.Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock

    async def info(self) -> RuntimeInfo:
        """The machine and Podman, as ``podman info`` told at the start."""
        if self._told is None:
            raise RuntimeUnavailable("the runtime was not started")
        found = self._told
        host, version = found["host"], found.get("version") or {}
        distribution = host.get("distribution") or {}
        image = " ".join(str(distribution.get(key) or "") for key in ("distribution", "version")).strip()
        findings = await asyncio.to_thread(doctor.static_findings, self.service.machine)
        return RuntimeInfo(
            name="podman",
            version=str(version.get("Version") or self.service.version),
            operating_system=str(host.get("os") or "linux"),
            os_image=os_image() or image,
            kernel_version=str(host.get("kernel") or ""),
            architecture=str(host.get("arch") or ""),
            cpus=int(host.get("cpus") or 1),
            memory=int(host.get("memTotal") or 0),
            rootless=self._rootless,
            cgroup_version=str(host.get("cgroupVersion") or ""),
            storage=str((found.get("store") or {}).get("graphRoot") or ""),
            handlers=tuple(filter(None, [str((host.get("ociRuntime") or {}).get("name") or "")])),
            warnings=tuple(finding.sentence for finding in findings if finding.level != "ok"),
        )

    # -- sandboxes ----------------------------------------------------------------------------------------------

    async def sandboxes(self) -> list[Sandbox]:
        """Every pod of this cluster: two calls, and one more for each container that ended since the last time."""
        found, vanished = await self._list().all()
        for address in vanished:
            self._pool.release(address)
        return found

    async def sandbox(self, uid: str) -> Sandbox | None:
        """One pod, by the Kubernetes uid: one call, and one more for a container that has ended meanwhile."""
        return await self._list().one(uid)

    async def create_sandbox(self, spec_: SandboxSpec) -> Sandbox:
        """Make the pod, with its address: one call. What a failed attempt left behind is removed."""
        async with self._lock(spec_.uid):
            name = spec.pod_name(self.cluster_id, spec_)
            if self._rootless and not spec_.host_network and self.service.url.startswith("unix://"):
                check_host_ports(spec_.ports)
            address = "" if spec_.host_network else self._pool.allocate()
            body = spec.pod_body(self.cluster_id, spec_, address, self._infra_image)
            try:
                for attempt in (1, 2):
                    try:
                        made = await self.transport.post("/pods/create", body, urgency=3)
                        break
                    except RuntimeUnavailable:
                        raise
                    except RuntimeFailure as error:
                        # The name is taken by a half-made pod of before, or this attempt has just made one.
                        await self._remove_pod(name)
                        if self._infra_image and "image not known" in error.message and attempt == 1:
                            await self._ensure_infra_image((await self.info()).architecture)
                        elif attempt == 2 or "is in use" not in error.message:
                            reason = error.reason or "FailedCreatePodSandBox"
                            raise RuntimeFailure(error.message, reason, error.code) from error
            except BaseException:
                if address:
                    self._pool.release(address)
                raise
            return self._list().made(str(made["Id"]), address, body["labels"], spec_, self._clock.now())

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Kill what runs in it and remove it; no error when it is gone."""
        uid = self._list().uid_of(sandbox_id)
        async with self._lock(uid or sandbox_id):
            self._list().prepare_removal(sandbox_id)
            await self._remove_pod(sandbox_id)
            address = self._list().removed(sandbox_id)
            if address:
                self._pool.release(address)
        self._locks.pop(uid or sandbox_id, None)

    async def _remove_pod(self, name: str) -> None:
        for attempt in (1, 2, 3):
            try:
                await self.transport.delete(f"/pods/{name}", {"force": True, "timeout": 0})
                return
            except NoSuchItem:
                return
            except RuntimeUnavailable:
                raise
            except RuntimeFailure as error:
                if attempt == 3:
                    raise
                if "paused" in error.message:
                    with contextlib.suppress(RuntimeFailure):
                        await self.transport.post(f"/pods/{name}/unpause")
                await asyncio.sleep(0.1 * attempt)

    # -- containers ---------------------------------------------------------------------------------------------

    async def create_container(self, sandbox_id: str, spec_: ContainerSpec) -> str:
        """Make a container; returns its id. NoSuchItem when the image or the sandbox is missing."""
        listing = self._list()
        labels = await listing.labels_of(sandbox_id)
        image = await self.image(spec_.image)
        if image is None:
            raise NoSuchItem(f"{spec_.image}: image not known", "ErrImageNeverPull", 404)
        if any(mount.sub_path for mount in spec_.mounts) and parse_version(self.service.version) < (5, 4):
            raise RuntimeFailure(
                f"Podman {self.service.version} can't mount a part of an image", "CreateContainerError"
            )
        if spec_.log_path:
            Path(spec_.log_path).parent.mkdir(parents=True, exist_ok=True)
        machine = self.service.machine
        floor = None if machine.may_raise_limits else machine.oom_score_adj
        body = spec.container_body(sandbox_id, labels, spec_, image.id, floor)
        async with self._lock(listing.uid_of(sandbox_id) or sandbox_id):
            try:
                made = await self.transport.post("/containers/create", body)
            except NoSuchItem as error:
                self._image_store().forget()
                if "image" in error.message:
                    raise NoSuchItem(f"{spec_.image}: image not known", "ErrImageNeverPull", 404) from error
                raise
            except RuntimeUnavailable:
                raise
            except RuntimeFailure as error:
                raise RuntimeFailure(error.message, "CreateContainerError", error.code) from error
        container_id = str(made["Id"])
        listing.belongs(container_id, sandbox_id)
        return container_id

    async def start_container(self, container_id: str) -> None:
        """Start it, and the sandbox with the first one. RuntimeFailure with reason RunContainerError, code 128."""
        listing = self._list()
        sandbox_id = listing.sandbox_of(container_id)
        start = f"/containers/{container_id}/start"
        async with self._lock(listing.uid_of(sandbox_id) or sandbox_id or container_id):
            try:
                try:
                    await self.transport.post(start, urgency=0)
                except RuntimeFailure as error:
                    if "internal libpod error" not in error.message:
                        raise
                    # It was the infra container, or was it? When that one starts now, what hindered it has passed:
                    # others that change the machine's packet filter at the same moment do.
                    await self._start_infra(sandbox_id)
                    await self.transport.post(start, urgency=0)
            except (NoSuchItem, RuntimeUnavailable):
                raise
            except RuntimeFailure as error:
                if "IPAM error" in error.message and "already allocated" in error.message:
                    # Somebody else has the address: keep it out of use, and let the pod be made anew.
                    await self._remove_pod(sandbox_id)
                    listing.removed(sandbox_id)
                    raise RuntimeFailure(error.message, "FailedCreatePodSandBox", error.code) from error
                if error.reason == "FailedCreatePodSandBox":
                    raise
                raise RuntimeFailure(error.message, "RunContainerError", 128) from error
        listing.started(container_id)

    async def _start_infra(self, sandbox_id: str) -> None:
        """Podman starts a pod's infra container with the first other one and keeps to itself why that failed: ask.

        RuntimeFailure with reason FailedCreatePodSandBox when it was that which failed.
        """
        pod = await self.transport.get(f"/pods/{sandbox_id}/json")
        try:
            await self.transport.post(f"/containers/{pod['InfraContainerID']}/start")
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            raise RuntimeFailure(error.message, "FailedCreatePodSandBox", error.code) from error

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        """The stop signal, the grace period, SIGKILL; returns when it has ended. A second call may hurry it."""
        await stop(self.transport, self._list(), container_id, grace_seconds)

    async def kill_container(self, container_id: str, signal: str) -> None:
        """Send one signal. RuntimeFailure when it does not run."""
        await self.transport.post(
            f"/containers/{container_id}/kill", params={"signal": spec.signal_number(signal)}
        )

    async def update_container(self, container_id: str, limits: Limits) -> None:
        """Other limits for a container that runs. RuntimeFailure when the kernel does not let us."""
        if self._rootless and self.service.machine.cgroups != "v2":
            raise RuntimeFailure(
                "an ordinary user's containers have no limits of cpu and memory on this machine"
            )
        try:
            await self.transport.post(f"/containers/{container_id}/update", spec.new_limits(limits))
        except (NoSuchItem, RuntimeUnavailable):
            raise
        except RuntimeFailure as error:
            raise RuntimeFailure(f"the new limits were refused: {error.message}", "", error.code) from error

    async def remove_container(self, container_id: str) -> None:
        """Remove it by force, with its anonymous volumes; no error when it is gone."""
        listing = self._list()
        async with self._lock(listing.uid_of(listing.sandbox_of(container_id)) or container_id):
            with contextlib.suppress(NoSuchItem):
                await self.transport.delete(
                    f"/containers/{container_id}", {"force": True, "timeout": 0, "v": True}
                )
        listing.forget(container_id)

    # -- images -------------------------------------------------------------------------------------------------

    async def image(self, name: str) -> Image | None:
        """A local image; ``localhost/`` and ``docker.io/`` are both meant by a short name."""
        return await self._image_store().find(name)

    async def pull_image(self, name: str, credentials: Sequence[Mapping[str, Any]] = ()) -> Image:
        """Pull; short names are docker.io's. Raises ImageFailure."""
        return await self._image_store().pull(name, credentials)

    # -- events -------------------------------------------------------------------------------------------------

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Hints, for ever; ``lost`` after a break."""
        return self._subscribers.events()

    # -- streams ------------------------------------------------------------------------------------------------

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command to its end. TimeoutError after ``timeout`` seconds; the command is killed then."""
        return await execs.exec_sync(self.transport, container_id, command, timeout)

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> HijackedSession:
        """Run a command with its streams."""
        wanted = execs.Streams(tty, stdin, stdout, stderr)
        return await execs.start(
            self.transport, await execs.create(self.transport, container_id, command, wanted), wanted
        )

    async def attach(
        self,
        container_id: str,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        keep_stdin: bool = False,
    ) -> HijackedSession | KeptSession:
        """Join the container's own streams. Input that is kept stays open until :meth:`close`."""
        wanted = execs.Streams(tty, stdin, stdout, stderr)
        if keep_stdin:
            return await self._attachments.attach(container_id, wanted.output)
        return await execs.attach(self.transport, container_id, wanted)

    async def _join(self, container_id: str) -> HijackedSession:
        every = execs.Streams(tty=False, stdin=True, stdout=True, stderr=True)
        return await execs.attach(self.transport, container_id, every)

    async def connect(
        self, sandbox_id: str, port: int, timeout: float = 5.0, *, host: str = ""
    ) -> SocketConnection:
        """A TCP connection made inside the pod's network: to its localhost, else to its address.

        Raises RuntimeFailure in Go's words (``dial tcp …: connect: connection refused``), TimeoutError.
        """
        labels = await self._list().labels_of(sandbox_id)
        address = labels.get(spec.POD_IP, "")
        hosts = [host] if host else [one for one in ("127.0.0.1", "::1", address) if one]
        target = f"{hosts[0]}:{port}"
        try:
            async with asyncio.timeout(timeout):
                if not address:  # the host's own network
                    return SocketConnection(*await asyncio.open_connection(host or "127.0.0.1", port))
                pid = await self._list().infra_pid(sandbox_id)
                if self._dialer is None or not pid:
                    raise RuntimeFailure(f"dial tcp {target}: the pod's network is not up")
                return await SocketConnection.of(await self._dialer.connect(pid, hosts, port, timeout))
        except TimeoutError:
            raise TimeoutError(f"dial tcp {target}: i/o timeout") from None
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                raise RuntimeFailure(f"dial tcp {target}: connect: connection refused") from error
            raise RuntimeFailure(f"dial tcp {target}: connect: {error.strerror or error}") from error

    # -- numbers ------------------------------------------------------------------------------------------------

    async def stats(self) -> list[ContainerStats]:
        """One sample of every running container of this cluster: a listing and one call for all numbers."""
        running = {
            one.id: one
            for found in await self.sandboxes()
            for one in found.containers
            if one.state == "running"
        }
        return await housekeeping.stats(self.transport, running)

    async def written(self, container_ids: Sequence[str]) -> dict[str, int]:
        """Bytes that each of them holds in its own root file system; those that are gone are left out."""
        return await housekeeping.written(self.transport, container_ids)

    async def remove_everything(self, volumes: bool = False) -> list[str]:
        """Remove every pod, container, network (and volume) with this cluster's label; what was removed.

        Works without :meth:`start`, which may be what fails.
        """
        if self._transport is None:
            await self._open()
        for known in await self.sandboxes():
            self._list().prepare_removal(known.id)
        return await housekeeping.remove_everything(self.transport, self.cluster_id, volumes=volumes)
