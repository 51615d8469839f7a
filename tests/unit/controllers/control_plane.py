"""A control plane for tests: real store, API, clients, controllers and scheduler, and a kubelet of a few lines."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.api.api import API
from runtime.api.bootstrap import ensure_cluster
from runtime.api.context import system_user
from runtime.client import Client, Delta, InformerFactory
from runtime.controllers.manager import ControllerManager
from runtime.objects.clock import ManualClock, SystemClock, format_micro_time, format_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.kinds import builtin_registry
from runtime.objects.meta import is_deleting, key_of, name_of, namespace_of
from runtime.scheduler import Scheduler
from runtime.store import Store

READY = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


class FakeKubelet:
    """Makes bound pods Running and Ready, and removes those that are to go."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.client = Client(plane.api, system_user("system:node:test"), field_manager="kubelet")
        self.started: set[str] = set()
        self.addresses = itertools.count()
        self.outcome: Callable[[Obj], str] = lambda pod: "Running"
        self.ready: Callable[[Obj], bool] = lambda pod: True
        self.terminate = True
        self.tasks: set[asyncio.Task[None]] = set()
        plane.informers.pods().add_handler(self.on_pods)

    def on_pods(self, deltas: Any) -> None:
        for delta in deltas:
            pod = delta.new
            if pod is None or not pod["spec"].get("nodeName"):
                continue
            uid = pod["metadata"]["uid"]
            if is_deleting(pod):
                if self.terminate:
                    self.spawn(self.finish(pod))
            elif uid not in self.started:
                self.started.add(uid)
                self.spawn(self.run(pod))

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self, pod: Obj, ready: bool | None = None) -> None:
        phase = self.outcome(pod)
        is_ready = self.ready(pod) if ready is None else ready
        stamp = format_time(self.plane.clock.now())
        status: Obj = {
            **(pod.get("status") or {}),
            "phase": phase,
            "podIP": f"10.244.{next(self.addresses) % 250}.{next(self.addresses) % 250 + 1}",
        }
        status["podIPs"] = [{"ip": status["podIP"]}]
        status["startTime"] = stamp
        conditions = [c for c in status.get("conditions") or () if c["type"] == "PodScheduled"]
        for kind in READY:
            good = phase == "Running" and (is_ready or kind in READY[:2])
            conditions.append(
                {"type": kind, "status": "True" if good else "False", "lastTransitionTime": stamp}
            )
        status["conditions"] = conditions
        if phase in ("Succeeded", "Failed"):
            code = 0 if phase == "Succeeded" else 1
            status["containerStatuses"] = [
                {
                    "name": c["name"],
                    "image": c["image"],
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"terminated": {"exitCode": code, "finishedAt": stamp, "startedAt": stamp}},
                }
                for c in pod["spec"]["containers"]
            ]
        for _ in range(5):
            try:
                await self.client.update_status({**pod, "status": status})
                return
            except StatusError as error:
                if error.code != 409:
                    return
                try:
                    pod = await self.client.get("pods", name_of(pod), namespace_of(pod))
                except StatusError:
                    return

    async def finish(self, pod: Obj) -> None:
        with suppress(StatusError):
            await self.client.delete("pods", name_of(pod), namespace_of(pod), grace_period_seconds=0)


class ControlPlane:
    """Everything together."""

    def __init__(self, store: Store, clock: Any, sign: Any = None) -> None:
        self.clock = clock
        self.store = store
        self.registry = builtin_registry()
        self.api = API(self.registry, store, clock, nodes={})
        self.client = Client(self.api, system_user("admin"), field_manager="test")
        self.informers = InformerFactory(Client(self.api, system_user("system:informers")), clock)
        self.manager = ControllerManager(
            self.client_for,
            self.informers,
            clock,
            self.registry,
            root_ca="CA DATA",
            sign=sign,
            sign_token=lambda account, secret: f"token of {name_of(account)} in {name_of(secret)}",
        )
        self.scheduler = Scheduler(
            Client(self.api, system_user("system:kube-scheduler"), field_manager="kube-scheduler"),
            self.informers,
            clock,
        )
        self.kubelet = FakeKubelet(self)
        self.step = 0.05
        """Seconds a ManualClock goes on per look in :meth:`until`."""
        self.beating: set[str] = set()
        """Nodes whose lease is renewed at every look."""

    def client_for(self, account: str) -> Client:
        return Client(
            self.api,
            system_user(f"system:serviceaccount:kube-system:{account}"),
            field_manager="kube-controller-manager",
        )

    async def start(self, nodes: int = 1) -> None:
        await ensure_cluster(self.api, cluster_ip="10.96.0.1", port=6443)
        for number in range(nodes):
            await self.add_node(f"node-{number}")
        await self.manager.start()
        await self.scheduler.start()
        await self.until(
            lambda: self.informers.informer("serviceaccounts").get("default/default") is not None
        )

    async def stop(self) -> None:
        for task in list(self.kubelet.tasks):
            task.cancel()
        await self.scheduler.stop()
        await self.manager.stop()
        await self.informers.stop()

    async def add_node(self, name: str, cpu: str = "64", **more: Any) -> Obj:
        node = await self.client.create(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "name": name,
                    "labels": {"kubernetes.io/hostname": name, **more.pop("labels", {})},
                },
                "spec": more,
            }
        )
        amounts = {"cpu": cpu, "memory": "256Gi", "pods": "6000", "ephemeral-storage": "1Ti"}
        stamp = format_time(self.clock.now())
        status = {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [
                {
                    "type": kind,
                    "status": "True" if kind == "Ready" else "False",
                    "lastHeartbeatTime": stamp,
                    "lastTransitionTime": stamp,
                    "reason": "Test",
                    "message": "",
                }
                for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
            ],
        }
        node = await self.client.update_status({**node, "status": status})
        await self.heartbeat(name)
        # a real kubelet's node starts tainted not-ready (admission); the controller lifts it
        return node

    async def heartbeat(self, name: str) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "renewTime": format_micro_time(self.clock.now())},
        }
        try:
            await self.client.create(lease, "kube-node-lease")
        except StatusError:
            body = {"spec": {"renewTime": format_micro_time(self.clock.now())}}
            await self.client.patch("leases.coordination.k8s.io", name, "kube-node-lease", body, type="merge")

    async def until(self, check: Callable[[], Any], seconds: float = 60.0) -> Any:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not (found := check()):
            if loop.time() > end:
                raise AssertionError("it did not come to pass in time")
            if isinstance(self.clock, ManualClock):
                await self.clock.advance(self.step)
                for name in self.beating:
                    await self.heartbeat(name)
            await asyncio.sleep(0.005)
        return found

    def all(self, resource: str, namespace: str = "default") -> list[Obj]:
        return [record.obj for record in self.store.list(resource, namespace)]

    def get(self, resource: str, name: str, namespace: str = "default") -> Obj | None:
        return next((obj for obj in self.all(resource, namespace) if name_of(obj) == name), None)

    def events(self, reason: str = "") -> list[str]:
        found = sorted(self.all("events", ""), key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [event["message"] for event in found if not reason or event["reason"] == reason]


@asynccontextmanager
async def control_plane(
    folder: Path, nodes: int = 1, clock: Any = None, sign: Any = None
) -> AsyncIterator[ControlPlane]:
    store = Store.open(folder / "state")
    plane = ControlPlane(store, clock or SystemClock(), sign)
    try:
        await plane.start(nodes)
        yield plane
    finally:
        await plane.stop()
        await store.close()


def deployment(name: str, replicas: int = 3, image: str = "web:1", **spec: Any) -> Obj:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
            **spec,
        },
    }


__all__ = ["ControlPlane", "Delta", "control_plane", "deployment", "key_of"]
