"""One node for tests: the real store, API and client, a kubelet, and a runtime that runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runtime.api.api import API
from runtime.api.context import User, system_user
from runtime.client import Client, EventRecorder, InformerFactory
from runtime.kubelet import Kubelet, KubeletOptions, RuntimeCache
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj, StatusError
from runtime.objects.kinds import builtin_registry
from runtime.podman.simulated import SimulatedRuntime
from runtime.store import Store

NODE = "n1"


def config_map(name: str, data: dict[str, str]) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def one_container(name: str = "a", **container: Any) -> Obj:
    """A pod of one container ``c``; what is for the pod's spec goes into ``spec``."""
    spec = container.pop("spec", {})
    metadata = {"name": name, **container.pop("metadata", {})}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "web:1", **container}], **spec},
    }


class Rig:
    """A control plane of one node."""

    def __init__(self, folder: Path, store: Store, clock: Any, runtime: Any = None) -> None:
        self.folder = folder
        self.store = store
        self.clock = clock
        self.runtime = runtime or SimulatedRuntime(clock=clock)
        self.nodes: dict[str, Any] = {}
        self.api = API(builtin_registry(), store, clock, nodes=self.nodes)
        self.client = Client(self.api, system_user("admin"), field_manager="test")
        self.kubelets: list[Kubelet] = []
        self.informers: InformerFactory | None = None
        self.recorders: list[EventRecorder] = []

    async def namespaces(self, *names: str) -> None:
        for name in ("default", "kube-system", "kube-node-lease", *names):
            for obj, place in (
                ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, ""),
                ({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}, name),
                (config_map("kube-root-ca.crt", {"ca.crt": "CA"}), name),
            ):
                try:
                    await self.client.create(obj, place)
                except StatusError as error:
                    assert error.code == 409

    async def start(self, *names: str, options: KubeletOptions | None = None) -> Kubelet:
        self.informers = InformerFactory(Client(self.api, system_user("informers")), self.clock)
        cache = RuntimeCache(self.runtime, self.clock)
        self.kubelets = []
        for name in names or (NODE,):
            user = User(
                f"system:node:{name}", groups=("system:nodes", "system:masters", "system:authenticated")
            )
            client = Client(self.api, user, field_manager="kubelet")
            recorder = EventRecorder(client, "kubelet", name, clock=self.clock)
            self.recorders.append(recorder)
            kubelet = Kubelet(
                client,
                self.runtime,
                name,
                clock=self.clock,
                state_dir=self.folder,
                recorder=recorder,
                nodes=self.nodes,
                informers=self.informers,
                cache=cache,
                options=options or KubeletOptions(max_pods=10_000),
            )
            self.kubelets.append(kubelet)
            await self.settled(kubelet.start())
        return self.kubelets[0]

    async def settled(self, work: Any) -> Any:
        """Await something that may need the manual clock to move."""
        task = asyncio.ensure_future(work)
        for _ in range(1000):
            done, _ = await asyncio.wait({task}, timeout=0.02)
            if done:
                return task.result()
            if isinstance(self.clock, ManualClock):
                await self.clock.advance(0.01)
        raise AssertionError("did not settle")

    async def stop(self) -> None:
        for kubelet in self.kubelets:
            await kubelet.stop()
        self.kubelets = []
        if self.informers is not None:
            await self.informers.stop()

    # -- what tests do

    async def make(self, pod: Obj, namespace: str = "default") -> Obj:
        body: Obj = {"apiVersion": "v1", "kind": "Pod", **pod}
        body["spec"] = {"nodeName": NODE, **body["spec"]}
        return await self.client.create(body, namespace)

    async def pod(self, name: str, namespace: str = "default") -> Obj:
        return await self.client.get("pods", name, namespace)

    async def status(self, name: str, namespace: str = "default") -> Obj:
        status: Obj = (await self.pod(name, namespace))["status"]
        return status

    async def until(self, check: Callable[[], Any], what: str = "") -> Any:
        """Let the loop run until ``check`` (a coroutine function or function) is true; time stands still."""
        found: Any = None
        for _ in range(3000):
            found = check()
            if asyncio.iscoroutine(found):
                try:
                    found = await found
                except StatusError as error:
                    if error.code != 404:
                        raise
                    found = None
            if found:
                return found
            await asyncio.sleep(0.002)
        raise AssertionError(f"never came true: {what or check}")

    async def phase(self, name: str, phase: str) -> Obj:
        async def check() -> Any:
            pod = await self.pod(name)
            return pod if pod.get("status", {}).get("phase") == phase else None

        return await self.until(check, f"{name} {phase}")

    async def waiting(self, name: str, reason: str) -> Obj:
        async def check() -> Any:
            status = await self.status(name)
            for field in ("containerStatuses", "initContainerStatuses"):
                for entry in status.get(field) or ():
                    if entry["state"].get("waiting", {}).get("reason") == reason:
                        return entry
            return None

        return await self.until(check, f"{name} waiting {reason}")

    async def gone(self, name: str) -> None:
        async def check() -> bool:
            try:
                await self.pod(name)
            except StatusError as error:
                assert error.code == 404
                return True
            return False

        await self.until(check, f"{name} gone")

    async def quiet(self) -> None:
        """Let everything that does not wait for time run to its end."""
        for _ in range(30):
            await asyncio.sleep(0.002)

    async def advance(self, seconds: float) -> None:
        """Move time, in steps, and let what wakes run to the disk and back."""
        left = seconds
        while left > 0:
            step = min(left, 1.0)
            await self.clock.advance(step)
            await asyncio.sleep(0.003)
            left -= step

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        """(type, reason, message) of an object's events, oldest first."""
        for recorder in self.recorders:
            await self.settled(recorder.flush())
        found = (await self.client.list("events", "")).items
        mine = [event for event in found if event["involvedObject"]["name"] == name]
        mine.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(event["type"], event["reason"], event["message"]) for event in mine]


@asynccontextmanager
async def rig(folder: Path, clock: Any = None, runtime: Any = None) -> AsyncIterator[Rig]:
    """A rig that is stopped at the end, with the kubelet not yet started."""
    store = Store.open(folder)
    found = Rig(folder, store, clock or ManualClock(), runtime)
    await found.namespaces()
    try:
        yield found
    finally:
        await found.stop()
        close = getattr(found.runtime, "close", None)
        if close is not None:
            await close()
        await store.close()
