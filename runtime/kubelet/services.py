"""What the kubelets of one machine share: the runtime's state, alarms, images, volumes, objects.

``--nodes 10`` is ten kubelets on one Podman. Each has its own pods, lease and status; everything here exists once.
"""

from __future__ import annotations

from pathlib import Path

from runtime.client.informer import InformerFactory
from runtime.kubelet.cache import RuntimeCache
from runtime.kubelet.objects import ObjectCache
from runtime.kubelet.pods.images import ImageManager
from runtime.kubelet.pods.spec import HostDNS
from runtime.kubelet.ports import APIClient
from runtime.kubelet.probes.prober import Prober
from runtime.kubelet.stats import StatsSampler
from runtime.kubelet.timers import Timers
from runtime.kubelet.volumes.manager import VolumeManager
from runtime.objects.clock import Clock
from runtime.podman.interface import ContainerRuntime, RuntimeInfo
from runtime.podman.simulated import SimulatedRuntime


class NodeServices:
    """Shared by every :class:`Kubelet` of one :class:`RuntimeCache`; started and stopped with the first and last.

    Args:
        cache: what the runtime does.
        client: as a node; used for what pods refer to.
        informers: where watches are shared with the rest of the process.
        runtime: started already.
        clock: the cluster's.
        state_dir: STATE; pods live in ``STATE/pods/<uid>``.
    """

    def __init__(
        self,
        cache: RuntimeCache,
        client: APIClient,
        informers: InformerFactory,
        runtime: ContainerRuntime,
        clock: Clock,
        state_dir: Path,
    ) -> None:
        self.informers = informers
        self.runtime = runtime
        self.clock = clock
        self.state_dir = state_dir
        self.pods = informers.pods()
        self.timers = Timers(clock)
        self.cache = cache
        self.objects = ObjectCache(client, informers, clock)
        self.images = ImageManager(runtime, clock)
        # A runtime that runs nothing has no use for files; what volumes refer to is looked up all the same.
        # Rootless, files of a container's users belong to ids that only the runtime's user namespace may touch.
        self.volumes = VolumeManager(
            state_dir / "pods",
            self.objects,
            clock,
            files=not isinstance(runtime, SimulatedRuntime),
            remove_tree=getattr(runtime, "remove_tree", None),
        )
        self.prober = Prober(runtime, clock)
        self.stats = StatsSampler(runtime, cache, self.timers, clock)
        self.host_dns = HostDNS.read()
        self.info: RuntimeInfo | None = None
        self.node_names: list[str] = []
        """The kubelets that run here, in the order in which they were started."""
        self._users = 0

    @classmethod
    def shared(
        cls,
        cache: RuntimeCache,
        client: APIClient,
        informers: InformerFactory,
        runtime: ContainerRuntime,
        clock: Clock,
        state_dir: Path,
    ) -> NodeServices:
        """The services of this cache: made by the first kubelet that asks, the same for all after it."""
        found = cache.companion
        if not isinstance(found, cls):
            found = cache.companion = cls(cache, client, informers, runtime, clock, state_dir)
        return found

    async def start(self) -> None:
        """Begin to follow the runtime and the objects pods refer to; further calls only count the users."""
        self._users += 1
        if self._users == 1:
            self.pods.start()
            self.objects.start()
            await self.cache.start()

    async def stop(self) -> None:
        """Stop following when the last kubelet has stopped; containers go on running."""
        self._users -= 1
        if self._users == 0:
            self.timers.close()
            self.stats.stop()
            await self.cache.stop()
