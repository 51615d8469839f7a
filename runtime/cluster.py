"""The composition root: builds every part of a cluster, starts them in order, stops them in reverse.

Nothing else knows how the parts fit together. :class:`Cluster` runs on the event loop it is started on;
:class:`ClusterThread` gives it a thread and a loop of its own beside a terminal, and :func:`serve` a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import logging
import secrets
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from runtime.api.api import API
from runtime.api.bootstrap import ensure_cluster
from runtime.api.context import User, system_user
from runtime.api.http import AddressUnavailable, HTTPServer, PortTaken, sign_request, write_kubeconfig
from runtime.api.http.pki import write_private
from runtime.api.node import Nodes
from runtime.client import Client, EventRecorder, InformerFactory
from runtime.controllers.manager import ControllerManager
from runtime.controllers.usage import ServedMetrics
from runtime.kubelet import Kubelet, KubeletOptions, RuntimeCache, metrics
from runtime.kubelet.stats import StatsSampler
from runtime.kubelet.volumes.places import own_address
from runtime.manifests import ManifestWatcher
from runtime.objects.clock import Clock, SystemClock
from runtime.objects.errors import StatusError
from runtime.objects.kinds import builtin_registry
from runtime.objects.meta import is_true
from runtime.podman.interface import ContainerRuntime, RuntimeFailure
from runtime.scheduler import Scheduler
from runtime.store import Damaged, FolderLock, InUse, Store, StoreError

from . import memory
from .options import ClusterError, ClusterOptions

log = logging.getLogger(__name__)

IDENTITY_FILE = "identity.json"
POD_SUBNET = "10.244.0.0/16"
SERVICE_SUBNET = "10.96.0.0/16"
KUBECONFIG = "kubeconfig"
SIMULATED_RECORD = "simulated.jsonl"
SIMULATED_MAX_PODS = 100_000
DEFAULT_MAX_PODS = 110

Report = Callable[[str], None]
"""Takes one line for the user: progress while starting, and what goes wrong later."""


def node_names(count: int) -> list[str]:
    """The nodes' names: ``kubetui``, ``kubetui-2``, … so that the first is the same whatever their number."""
    return ["kubetui" if number == 1 else f"kubetui-{number}" for number in range(1, count + 1)]


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same from start to start: the mark on containers, and the ranges of addresses in use."""

    id: str
    pod_subnet: str
    service_subnet: str
    storage: str = ""
    """Podman's storage that the containers are in; empty before the first start."""

    def save(self, state_dir: Path) -> None:
        """Remember it."""
        text = {"id": self.id, "podSubnet": self.pod_subnet, "serviceSubnet": self.service_subnet}
        if self.storage:
            text["storage"] = self.storage
        write_private(state_dir / IDENTITY_FILE, f"{json.dumps(text)}\n".encode())


def identity_of(options: ClusterOptions, *, make: bool = True) -> Identity | None:
    """The cluster's identity: stored, updated by what the options choose, made at the first start.

    Raises:
        ClusterError: the file can't be read as one.
    """
    path = options.state_dir / IDENTITY_FILE
    stored: dict[str, str] = {}
    if path.exists():
        try:
            stored = {str(key): str(value) for key, value in json.loads(path.read_text("utf-8")).items()}
        except (ValueError, AttributeError) as error:
            raise ClusterError(f"{path} can't be read: {error}") from error
    elif not make:
        return None
    identity = Identity(
        stored.get("id") or secrets.token_hex(4),
        options.pod_subnet or stored.get("podSubnet") or POD_SUBNET,
        options.service_subnet or stored.get("serviceSubnet") or SERVICE_SUBNET,
        stored.get("storage", ""),
    )
    if make:
        identity.save(options.state_dir)
    return identity


def make_runtime(options: ClusterOptions, identity: Identity, clock: Clock) -> ContainerRuntime:
    """The container runtime that the options ask for, not started."""
    if options.runtime == "simulated":
        from runtime.podman.simulated import SimulatedRuntime

        record = options.state_dir / SIMULATED_RECORD
        return SimulatedRuntime(identity.id, clock, subnet=identity.pod_subnet, record=record)
    from runtime.podman.runtime import PodmanRuntime

    url = options.podman_url or None
    return PodmanRuntime(identity.id, options.state_dir, podman_url=url, subnet=identity.pod_subnet)


class Cluster:
    """One cluster in this process."""

    def __init__(
        self, options: ClusterOptions, report: Report = log.warning, clock: Clock | None = None
    ) -> None:
        self.options = options
        self.url = ""
        """Where the API answers, once started."""
        self.kubeconfig = options.state_dir / KUBECONFIG
        self._report = report
        self._clock = clock or SystemClock()
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self._informers: InformerFactory | None = None
        self.api_ready: asyncio.Event = asyncio.Event()
        """Set when the API answers; nodes and manifests follow."""

    async def start(self) -> None:
        """Start everything; returns when the API answers, the nodes are Ready and the first manifests are applied.

        Raises:
            ClusterError: it can't be done; one line says why. What had been started is stopped again.
        """
        try:
            await self._start()
        except BaseException as error:
            await self.stop()
            if isinstance(error, RuntimeFailure):
                raise ClusterError(f"{error.message}; `kubetui doctor` says what to do") from error
            if isinstance(error, InUse):
                raise ClusterError(
                    f"{error}; stop that one first, or choose another folder with --state-dir"
                ) from error
            if isinstance(error, Damaged):
                raise ClusterError(f"{error}; `kubetui restore FILE` puts a backup in its place") from error
            if isinstance(error, StoreError | PortTaken | AddressUnavailable):
                raise ClusterError(str(error)) from error
            if isinstance(error, OSError):
                where = error.filename
                if where is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                    where = self.options.state_dir
                raise ClusterError(f"{f'{where}: ' if where else ''}{error.strerror or error}") from error
            raise

    async def _start(self) -> None:
        options, clock = self.options, self._clock
        lock = FolderLock(options.state_dir)
        self._undo.append(_soon(lock.release))
        identity = identity_of(options)
        assert identity is not None
        runtime = make_runtime(options, identity, clock)
        # Podman's service takes a while to come up, and needs nothing of ours.
        runtime_started = asyncio.create_task(runtime.start(), name="runtime start")
        self._undo.append(lambda: _close_runtime(runtime, runtime_started))

        store = Store.open(options.state_dir, lock=lock)
        self._undo.append(store.close)
        registry = builtin_registry()
        nodes: Nodes = {}
        api = API(registry, store, clock, nodes=nodes, service_cidr=identity.service_subnet)
        first_service = _first_address(identity.service_subnet)
        server = HTTPServer(
            api,
            registry,
            options.state_dir,
            options.host,
            options.port,
            addresses=[first_service],
            audit_log=options.audit_log,
        )
        port = await server.start()
        self._undo.append(server.stop)
        address = _advertised(options.host)
        await ensure_cluster(api, cluster_ip=first_service, port=port, address=address)
        self.url = write_kubeconfig(self.kubeconfig, server.pki, host=options.host, port=port)
        self.api_ready.set()

        def client(account: str) -> Client:
            user = system_user(f"system:serviceaccount:kube-system:{account}")
            return Client(api, user, field_manager="kube-controller-manager")

        informers = self._informers = InformerFactory(Client(api, system_user("system:kubetui")), clock)
        self._undo.append(informers.stop)
        manager = ControllerManager(
            client,
            informers,
            clock,
            registry,
            root_ca=server.pki.ca_certificate.read_text(),
            metrics=ServedMetrics(client("horizontal-pod-autoscaler")),
            sign=partial(sign_request, server.pki),
            sign_token=server.tokens.issue_for_secret,
        )
        scheduler = Scheduler(
            Client(api, system_user("system:kube-scheduler"), field_manager="kube-scheduler"),
            informers,
            clock,
        )
        await manager.start()
        self._undo.append(manager.stop)
        await scheduler.start()
        self._undo.append(scheduler.stop)

        await runtime_started
        storage = (await runtime.info()).storage
        if storage != identity.storage:
            replace(identity, storage=storage).save(options.state_dir)
        await self._start_kubelets(api, runtime, nodes)
        await self._start_manifests(api)
        # What is alive now lives as long as the cluster: the collector need not look at it again.
        gc.collect()
        gc.freeze()

    async def _start_kubelets(self, api: API, runtime: ContainerRuntime, nodes: Nodes) -> None:
        options, clock = self.options, self._clock
        assert self._informers is not None
        names = node_names(options.nodes)
        admin = Client(api, system_user("system:kubetui"), field_manager="kubetui")
        for node in (await admin.list("nodes")).items:
            if node["metadata"]["name"] not in names:
                # A node of an earlier start that asked for more of them: its pods go elsewhere.
                try:
                    await admin.delete("nodes", node["metadata"]["name"])
                except StatusError as error:
                    self._report(f"node {node['metadata']['name']} stays: {error.message}")
        simulated = options.runtime == "simulated"
        most = options.max_pods or (SIMULATED_MAX_PODS if simulated else DEFAULT_MAX_PODS)
        cache = RuntimeCache(runtime, clock)
        for name in names:
            identity = Client(api, _node_user(name), field_manager="kubelet")
            recorder = EventRecorder(identity, "kubelet", name, clock=clock)
            kubelet = Kubelet(
                identity,
                runtime,
                name,
                clock=clock,
                state_dir=options.state_dir,
                recorder=recorder,
                nodes=nodes,
                informers=self._informers,
                cache=cache,
                options=KubeletOptions(max_pods=most),
            )
            self._undo.append(recorder.stop)
            self._undo.append(kubelet.stop)
            await kubelet.start()
            sampler = kubelet.stats
        self._serve_metrics(api, sampler)
        for _ in range(600):
            listed = (await admin.list("nodes")).items
            if sum(is_true(node, "Ready") for node in listed) >= options.nodes:
                return
            await clock.sleep(0.05)
        self._report("the nodes are not Ready yet; the cluster goes on without waiting")

    def _serve_metrics(self, api: API, sampler: StatsSampler) -> None:
        """Offer ``metrics.k8s.io``: all kubelets here share one runtime, so any one's sampler knows all pods."""
        assert self._informers is not None
        nodes, pods = metrics.resources()
        api.computed[nodes.group_resource] = metrics.NodeMetrics(sampler, self._informers, self._clock)
        api.computed[pods.group_resource] = metrics.PodMetrics(sampler, self._informers, self._clock)
        for resource in (nodes, pods):
            api.registry.add(resource)

    async def _start_manifests(self, api: API) -> None:
        if not self.options.paths:
            return
        admin = User("kubernetes-admin", groups=("system:masters", "system:authenticated"))
        watcher = ManifestWatcher(
            Client(api, admin, field_manager="kubetui-manifests", field_validation="Strict"),
            api.registry,
            self.options.paths,
            self._clock,
            namespace=self.options.namespace,
            report=self._report,
        )
        self._undo.append(watcher.stop)
        await watcher.start()

    async def stop(self) -> None:
        """Stop everything, newest first. Containers go on running."""
        while self._undo:
            step = self._undo.pop()
            try:
                await step()
            except Exception:
                log.exception("a part did not stop cleanly")


def _node_user(name: str) -> User:
    return User(f"system:node:{name}", groups=("system:nodes", "system:masters", "system:authenticated"))


def _soon(action: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        action()

    return run


async def _close_runtime(runtime: ContainerRuntime, starting: asyncio.Task[None]) -> None:
    if not starting.done():
        starting.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await starting
    await runtime.close()


def _advertised(host: str) -> str:
    """The address that the API's own Service stands for, which can't be loopback; empty where there is no other."""
    import ipaddress

    with contextlib.suppress(ValueError):  # a host name says nothing of addresses
        bound = ipaddress.ip_address(host)
        if not (bound.is_loopback or bound.is_unspecified):
            return host
    address = own_address()
    return "" if ipaddress.ip_address(address).is_loopback else address


def _first_address(subnet: str) -> str:
    import ipaddress

    return str(ipaddress.ip_network(subnet)[1])


class ClusterThread:
    """A cluster on a thread and an event loop of its own, so that neither it nor the terminal stalls the other."""

    def __init__(self, options: ClusterOptions, report: Report) -> None:
        self._options = options
        self._report = report
        self.kubeconfig: Future[str] = Future()
        """The kubeconfig's path once the API answers; a ClusterError if it never will."""
        self.stopped: Future[str] = Future()
        """Why it stopped, if it stopped by itself after the API had answered."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="cluster", daemon=True)

    def start(self) -> None:
        """Begin to start the cluster; does not wait."""
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Stop it and wait. Containers go on running."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            if not self.kubeconfig.done():
                self.kubeconfig.set_exception(error)
            else:
                self._report(f"the cluster stopped: {error}")
                self.stopped.set_result(str(error) or type(error).__name__)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        cluster = Cluster(self._options, self._report)
        starting = asyncio.create_task(cluster.start())
        stopping = asyncio.create_task(self._stop.wait())
        ready = asyncio.create_task(cluster.api_ready.wait())
        try:
            await asyncio.wait({starting, stopping, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not self.kubeconfig.done():
                self.kubeconfig.set_result(str(cluster.kubeconfig))
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await stopping
        finally:
            for task in (starting, stopping, ready):
                task.cancel()
            await asyncio.gather(starting, stopping, ready, return_exceptions=True)
            await cluster.stop()


def serve(options: ClusterOptions) -> int:
    """Run a cluster until SIGTERM or SIGINT; prints the ready line on stdout and everything else on stderr.

    Raises:
        ClusterError: it can't be started.
    """
    memory.spare_the_old()
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    return asyncio.run(_serve(options, report))


async def _serve(options: ClusterOptions, report: Report) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    cluster = Cluster(options, report)
    starting = asyncio.create_task(cluster.start())
    stopping = asyncio.create_task(stop.wait())
    collecting = asyncio.create_task(memory.collect_rarely(SystemClock()))
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if starting.done():
            starting.result()
            line = f"kubetui ready: server={cluster.url} kubeconfig={cluster.kubeconfig}"
            with contextlib.suppress(BrokenPipeError):
                print(line, flush=True)
            await stopping
    finally:
        for task in (starting, stopping, collecting):
            task.cancel()
        await asyncio.gather(starting, stopping, collecting, return_exceptions=True)
        await cluster.stop()
    return 0
