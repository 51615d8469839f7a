"""What the kubelet asks of a container runtime, and nothing about how it is done.

Two classes answer it: ``podman.runtime.PodmanRuntime`` and ``podman.simulated.SimulatedRuntime``. The shape is
CRI's (sandbox, container, image, exec), reduced to what a pod needs; times are aware UTC datetimes, sizes are
bytes, CPU is in cores.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from runtime.objects.streams import Connection, StreamSession

from .accounts import Accounts


class RuntimeFailure(Exception):
    """The runtime refused or broke. ``reason`` is a Kubernetes reason where one fits."""

    def __init__(self, message: str, reason: str = "", code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code


class RuntimeUnavailable(RuntimeFailure):
    """Nobody answers at the runtime's socket (it was killed, or never started)."""


class NoSuchItem(RuntimeFailure):
    """The sandbox, container or image is not there (any more)."""


class ImageFailure(RuntimeFailure):
    """A pull failed. ``reason``: ErrImagePull, InvalidImageName, RegistryUnavailable, ErrImageNeverPull."""


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """The machine and the runtime, as the Node object reports them."""

    name: str
    version: str
    operating_system: str
    os_image: str
    kernel_version: str
    architecture: str
    cpus: int
    memory: int
    rootless: bool = False
    cgroup_version: str = ""
    storage: str = ""
    """Where images and containers are kept; what another storage holds is not seen."""
    warnings: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    """What a RuntimeClass may name; empty where any will do."""


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A hostPort."""

    container_port: int
    host_port: int
    host_ip: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A pod without its containers: namespaces, address, names."""

    uid: str
    namespace: str
    name: str
    node: str = ""
    hostname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool = False
    dns_servers: tuple[str, ...] = ()
    dns_searches: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    host_aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(address, names) pairs for /etc/hosts."""
    ports: tuple[PortMapping, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine, memory, or what an image holds, shown inside a container."""

    destination: str
    source: str = ""
    type: Literal["bind", "tmpfs", "volume", "image"] = "bind"
    read_only: bool = False
    propagation: str = ""
    options: tuple[str, ...] = ()
    sub_path: str = ""
    """The part of an image that is shown."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What of the machine a container gets: cores and bytes, 0 where nothing is said."""

    cpu_request: float = 0.0
    cpu_limit: float = 0.0
    memory_limit: int = 0


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container, everything resolved: no Kubernetes reference is left in it."""

    name: str
    attempt: int
    image: str
    command: tuple[str, ...] | None = None
    """Replaces the image's entrypoint."""
    args: tuple[str, ...] | None = None
    """Replaces the image's command."""
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    mounts: tuple[Mount, ...] = ()
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    cpu_limit: float = 0.0
    """Cores; 0 is no limit."""
    cpu_request: float = 0.0
    memory_limit: int = 0
    memory_request: int = 0
    oom_score_adj: int | None = None
    user: str = ""
    """``uid`` or ``uid:gid``; empty is the image's user."""
    groups: tuple[int, ...] = ()
    privileged: bool = False
    read_only_root: bool = False
    allow_privilege_escalation: bool = True
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    selinux: Mapping[str, str] = field(default_factory=dict)
    unset_env: tuple[str, ...] = ()
    """Variables that the runtime would add of its own accord, and is not to."""
    seccomp_profile: str = ""
    """``unconfined``, a file's path, or empty for the runtime's default."""
    unmask_proc: bool = False
    stop_signal: str = ""
    log_path: str = ""
    """The k8s-file log: CRI format, one line ``TIME stdout|stderr F|P TEXT``."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    process_target: str = ""
    """The id of another container of the pod whose processes this one sees: it joins that one's namespace."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the runtime knows it now."""

    id: str
    name: str
    """The Kubernetes container's name (from the label), not the runtime's."""
    attempt: int
    state: Literal["created", "running", "paused", "exited", "removing", "unknown"]
    image: str
    image_id: str
    sandbox_id: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    signal: int = 0
    oom_killed: bool = False
    pid: int = 0
    log_path: str = ""
    error: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A pod as the runtime knows it now."""

    id: str
    uid: str
    namespace: str
    name: str
    node: str
    state: Literal["ready", "notready"]
    ip: str = ""
    ips: tuple[str, ...] = ()
    created_at: datetime | None = None
    containers: tuple[Container, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """A local image."""

    id: str
    names: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    stop_signal: str = ""
    accounts: Accounts | None = None
    """Its users and groups, where they can be read."""
    env: frozenset[str] = frozenset()
    """The names of the variables it sets."""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """A hint that something changed: look at this pod again. Events may be lost or doubled."""

    type: Literal["container", "sandbox", "lost"]
    """``lost``: the stream broke and came back; look at everything."""
    action: str = ""
    container_id: str = ""
    sandbox_uid: str = ""
    exit_code: int | None = None
    finished_at: datetime | None = None
    """With ``died``: how the container ended is told in full, and nothing else of its sandbox has changed."""
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """One sample. ``cpu_nanoseconds`` only rises; rates are the caller's business. ``memory`` is the working set."""

    container_id: str
    time: datetime
    cpu_nanoseconds: int
    memory: int
    memory_limit: int = 0
    network_in: int = 0
    network_out: int = 0
    pids: int = 0
    memory_usage: int = 0
    """The page cache that can be reclaimed included; 0 where it is not known."""
    memory_rss: int = 0


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a short command printed and how it ended."""

    exit_code: int
    output: bytes


class ContainerRuntime(Protocol):
    """All that the kubelet needs. Every method may raise RuntimeUnavailable."""

    async def start(self) -> None:
        """Find or start the service; check its version; make the cluster's network."""
        ...

    async def close(self) -> None:
        """Let go. Containers go on running."""
        ...

    async def info(self) -> RuntimeInfo:
        """The machine and the runtime."""
        ...

    async def sandboxes(self) -> list[Sandbox]:
        """Every pod of this cluster with its containers: one or two calls whatever their number."""
        ...

    async def sandbox(self, uid: str) -> Sandbox | None:
        """One pod, by the Kubernetes uid, looked up fresh with exact container states."""
        ...

    async def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """Make the pod and give it its address. A half-made pod of the same uid is removed first."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Kill what runs in it and remove it; no error when it is gone."""
        ...

    async def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        """Make a container; returns its id. NoSuchItem with the image's name when the image is missing."""
        ...

    async def start_container(self, container_id: str) -> None:
        """Start it (and the sandbox with the first one)."""
        ...

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        """The stop signal, the grace period, SIGKILL; returns when it has ended."""
        ...

    async def kill_container(self, container_id: str, signal: str) -> None:
        """Send one signal."""
        ...

    async def update_container(self, container_id: str, limits: Limits) -> None:
        """Give a running container other limits; it goes on as it is."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Remove it by force; no error when it is gone."""
        ...

    async def image(self, name: str) -> Image | None:
        """A local image by name (short names resolve as Podman resolves them), tag, digest or id."""
        ...

    async def pull_image(self, name: str, credentials: Sequence[Mapping[str, Any]] = ()) -> Image:
        """Pull; raises ImageFailure."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Hints, for ever; reconnects by itself and then yields a ``lost`` event."""
        ...

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command to its end. Raises TimeoutError after ``timeout`` seconds."""
        ...

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> StreamSession:
        """Run a command with its streams."""
        ...

    async def attach(
        self,
        container_id: str,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        keep_stdin: bool = False,
    ) -> StreamSession:
        """Join the container's own streams. ``keep_stdin``: its input stays open when this client's has ended."""
        ...

    async def connect(
        self, sandbox_id: str, port: int, timeout: float = 5.0, *, host: str = ""
    ) -> Connection:
        """A TCP connection to a port inside the pod's network, as from its own localhost or its address.

        ``host``: this address only, as seen from inside the pod. A probe gives the pod's own address, because
        a server that listens on localhost alone must not pass it.
        """
        ...

    async def stats(self) -> list[ContainerStats]:
        """One sample of every running container of this cluster."""
        ...

    async def written(self, container_ids: Sequence[str]) -> dict[str, int]:
        """Bytes that each of them holds in its own root file system; those that are gone are left out.

        Costs a walk over what they wrote.
        """
        ...

    async def remove_everything(self, volumes: bool = False) -> list[str]:
        """Remove every pod, container, network (and volume) with this cluster's label; what was removed."""
        ...
