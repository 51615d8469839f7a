"""The kubelet of one node: registers it, follows the pods bound to it, and keeps them running.

It learns of pods by watching the API and of containers from the shared runtime cache, and hands both to the pod
workers. Stopping it stops nothing else: containers belong to the runtime, and the next kubelet of this name adopts
them by their labels.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from runtime.api.node import Nodes
from runtime.client.informer import Delta, InformerFactory
from runtime.kubelet.backoff import Backoff
from runtime.kubelet.cache import RuntimeCache
from runtime.kubelet.logs import trim
from runtime.kubelet.node import NodeFacts, NodeReporter
from runtime.kubelet.options import KubeletOptions
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.eviction import PERIOD as EVICTION_PERIOD
from runtime.kubelet.pods.spec import GRACE_LABEL
from runtime.kubelet.pods.workers import PodWorkers
from runtime.kubelet.ports import APIClient, Recorder
from runtime.kubelet.probes.manager import ProbeManager
from runtime.kubelet.server import NodeServer
from runtime.kubelet.services import NodeServices
from runtime.kubelet.stats import StatsSampler
from runtime.kubelet.timers import Timer
from runtime.kubelet.volumes.places import own_address
from runtime.objects.clock import Clock
from runtime.podman.interface import ContainerRuntime, RuntimeFailure, RuntimeInfo, Sandbox

log = logging.getLogger(__name__)

_UNKNOWN = RuntimeInfo("podman", "unknown", "linux", "Linux", "unknown", "amd64", 1, 1 << 30)


class Kubelet:
    """One node.

    Args:
        client: as ``system:node:NAME``.
        runtime: started already.
        node_name: the Node's name.
        clock: the cluster's.
        state_dir: STATE; pods live in ``STATE/pods/<uid>``.
        recorder: writes events as ``kubelet`` of this node.
        nodes: where the API server finds this node's logs, exec and port-forward.
        informers: the process' shared watches.
        cache: what the runtime does; the same one for all kubelets of one runtime.
        options: see :class:`KubeletOptions`.
    """

    def __init__(
        self,
        client: APIClient,
        runtime: ContainerRuntime,
        node_name: str,
        *,
        clock: Clock,
        state_dir: Path,
        recorder: Recorder,
        nodes: Nodes,
        informers: InformerFactory,
        cache: RuntimeCache | None = None,
        options: KubeletOptions | None = None,
    ) -> None:
        self.node_name = node_name
        self._services = NodeServices.shared(
            cache or RuntimeCache(runtime, clock), client, informers, runtime, clock, state_dir
        )
        self._client = client
        self._recorder = recorder
        self._nodes = nodes
        self._options = options or KubeletOptions()
        self._workers: PodWorkers | None = None
        self._reporter: NodeReporter | None = None
        self._probes: ProbeManager | None = None
        self._orphans: dict[str, asyncio.Task[None]] = {}
        self._housekeeping: Timer | None = None
        self._eviction: asyncio.Task[None] | None = None
        self._running = False
        self._learning: asyncio.Task[None] | None = None

    @property
    def stats(self) -> StatsSampler:
        """CPU and memory of this machine's containers, sampled while somebody asks."""
        return self._services.stats

    @property
    def workers(self) -> PodWorkers:
        """The pods of this node; only after :meth:`start`."""
        assert self._workers is not None
        return self._workers

    # -- life

    async def start(self) -> None:
        """Register the node and begin to run its pods. Returns when the Node's status is written.

        Raises:
            StatusError: the API refused the Node.
        """
        services, options = self._services, self._options
        await services.start()
        if services.info is None:
            try:
                services.info = await services.runtime.info()
            except RuntimeFailure as failure:
                log.warning("the container runtime does not say what it is: %s", failure.message)
        info = services.info or _UNKNOWN
        address = options.node_ip or own_address()
        facts = NodeFacts(self.node_name, address, info, options, services.state_dir)
        self._reporter = NodeReporter(
            self._client,
            self._recorder,
            services.clock,
            facts,
            services.cache,
            services.images,
            services.state_dir,
        )
        self._probes = ProbeManager(
            services.prober, services.timers, services.clock, self._recorder, self._verdict_changed
        )
        context = PodContext(
            services=services,
            client=self._client,
            recorder=self._recorder,
            node_name=self.node_name,
            options=options,
            probes=self._probes,
            crashes=Backoff(services.clock),
            host_ips=(address,),
            allocatable=facts.allocatable(),
            memory_capacity=facts.memory,
            rootless=info.rootless,
        )
        self._workers = PodWorkers(context)
        self._running = True
        services.node_names.append(self.node_name)
        await self._reporter.start()
        services.cache.subscribe(self)
        services.objects.subscribe(self._workers.files.object_changed)
        services.pods.add_handler(self._pods_changed)
        self._nodes[self.node_name] = NodeServer(context, self._workers)
        await services.pods.wait_for_sync()
        self.runtime_listed()
        self._keep_house(0.0)
        if services.volumes.files:
            self._eviction = asyncio.get_running_loop().create_task(self._evicting(), name="kubelet-eviction")

    async def stop(self) -> None:
        """Stop following. Containers go on running; the node's lease runs out."""
        if not self._running:
            return
        self._running = False
        services = self._services
        self._nodes.pop(self.node_name, None)
        services.pods.remove_handler(self._pods_changed)
        services.cache.unsubscribe(self)
        services.objects.unsubscribe(self.workers.files.object_changed)
        services.node_names.remove(self.node_name)
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        if self._reporter is not None:
            await self._reporter.stop()
        tasks = [*self._orphans.values(), *(task for task in (self._learning, self._eviction) if task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.workers.stop()
        if self._probes is not None:
            await self._probes.stop()
        await services.stop()

    # -- what happens

    def _pods_changed(self, deltas: Sequence[Delta]) -> None:
        workers, mine = self.workers, self.node_name
        for old, new in deltas:
            if new is not None and new["spec"].get("nodeName") == mine:
                workers.update(new)
                if old is not None:
                    before, after = old["metadata"], new["metadata"]
                    if before.get("labels") != after.get("labels") or before.get("annotations") != after.get(
                        "annotations"
                    ):
                        workers.labels_changed(new)
            elif old is not None and old["spec"].get("nodeName") == mine:
                workers.remove(old["metadata"]["uid"])

    def _verdict_changed(self, uid: str) -> None:
        self.workers.verdict_changed(uid)

    def runtime_changed(self, uid: str) -> None:
        """Something happened to this pod's sandbox or containers."""
        self.workers.wake_uid(uid)

    def runtime_health(self, healthy: bool) -> None:
        """The runtime went away or came back."""
        if self._reporter is not None:
            self._reporter.look_again()
        if healthy:
            self.workers.wake_all()
            if self._services.info is None:
                self._learning = asyncio.get_running_loop().create_task(self._learn())

    async def _learn(self) -> None:
        """The runtime was down when this kubelet started: ask it now what machine this is."""
        services = self._services
        try:
            info = services.info = await services.runtime.info()
        except RuntimeFailure as failure:
            log.warning("the container runtime does not say what it is: %s", failure.message)
            return
        if self._reporter is not None:
            facts = self._reporter.facts
            self._reporter.facts = NodeFacts(facts.name, facts.ip, info, self._options, services.state_dir)
            self.workers.learn(self._reporter.facts.allocatable(), self._reporter.facts.memory, info.rootless)
            self._reporter.look_again()

    def runtime_listed(self) -> None:
        """Look for sandboxes whose pod nobody knows any more."""
        services = self._services
        if not services.pods.has_synced or not services.cache.listed:
            return
        first = services.node_names[:1] == [self.node_name]
        for sandbox in services.cache.all():
            mine = sandbox.node == self.node_name or (first and sandbox.node not in services.node_names)
            if not mine or sandbox.uid in self.workers.states or sandbox.uid in self._orphans:
                continue
            pod = services.pods.get(f"{sandbox.namespace}/{sandbox.name}")
            if pod is not None and pod["metadata"].get("uid") == sandbox.uid:
                continue
            task = asyncio.get_running_loop().create_task(self._remove_orphan(sandbox), name="kubelet-orphan")
            self._orphans[sandbox.uid] = task

    async def _remove_orphan(self, sandbox: Sandbox) -> None:
        text = sandbox.labels.get(GRACE_LABEL, "")
        try:
            await self.workers.remove_orphan(sandbox, float(text) if text.isdigit() else 2.0)
        except RuntimeFailure as failure:
            log.warning("orphan %s/%s: %s", sandbox.namespace, sandbox.name, failure.message)
        finally:
            self._orphans.pop(sandbox.uid, None)

    # -- housekeeping

    async def _evicting(self) -> None:
        while True:
            await self._services.clock.sleep(EVICTION_PERIOD)
            try:
                await self.workers.evict_what_is_too_large()
            except Exception:
                log.exception("looking at what volumes hold")

    def _keep_house(self, delay: float) -> None:
        self._housekeeping = self._services.timers.call_later(delay, self._clean)

    def _clean(self) -> None:
        self._keep_house(self._options.housekeeping_period)
        services = self._services
        if services.node_names[:1] != [self.node_name]:
            return
        known = {pod["metadata"]["uid"] for pod in services.pods.list()}
        for uid in services.volumes.known_pods():
            if uid in known:
                for path in (services.volumes.pod_dir(uid) / "logs").glob("*/*.log"):
                    trim(path, self._options.log_keep_bytes)
            elif services.cache.listed and services.cache.get(uid) is None and uid not in self._orphans:
                task = asyncio.get_running_loop().create_task(services.volumes.clean_up(uid))
                self._orphans[uid] = task
                task.add_done_callback(partial(self._cleaned, uid))

    def _cleaned(self, uid: str, _: asyncio.Task[None]) -> None:
        self._orphans.pop(uid, None)
