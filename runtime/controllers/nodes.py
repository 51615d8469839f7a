"""Node life cycle: who is still there, who has fallen silent, and what becomes of the pods.

After ``nodelifecycle/node_lifecycle_controller.go``, ``tainteviction/taint_eviction.go``. A kubelet shows that it
lives by its Lease (every 10 s) or its status. After 50 s of silence the node's conditions become Unknown, its pods
are no longer Ready, and it is tainted; the taints evict pods as their tolerations allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.client.informer import BY_NODE, Delta
from runtime.client.workqueue import TokenBucket
from runtime.objects import meta
from runtime.objects.clock import format_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    condition,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    observed,
    split_key,
    uid_of,
)
from runtime.scheduler import taints

from .context import BaseController, Context
from .pods import is_finished, is_ready

PERIOD = 5.0
GRACE = 50.0
STARTUP_GRACE = 60.0
LEASES = "kube-node-lease"
REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
EVICTION_RATE = 0.1
LARGE_CLUSTER = 50
UNHEALTHY_SHARE = 0.55

_BY_CONDITION = {
    ("Ready", "False"): taints.NOT_READY,
    ("Ready", "Unknown"): taints.UNREACHABLE,
    ("MemoryPressure", "True"): taints.MEMORY_PRESSURE,
    ("DiskPressure", "True"): taints.DISK_PRESSURE,
    ("PIDPressure", "True"): taints.PID_PRESSURE,
    ("NetworkUnavailable", "True"): taints.NETWORK_UNAVAILABLE,
}
_MANAGED = frozenset({*_BY_CONDITION.values(), taints.UNSCHEDULABLE})


def schedule_taints(node: Obj) -> set[str]:
    """The keys of the NoSchedule taints that a node's conditions and ``spec.unschedulable`` ask for."""
    wanted = set()
    for entry in (node.get("status") or {}).get("conditions") or ():
        key = _BY_CONDITION.get((entry["type"], entry["status"]))
        if key is not None:
            wanted.add(key)
    if node["spec"].get("unschedulable"):
        wanted.add(taints.UNSCHEDULABLE)
    return wanted


def execute_taint(node: Obj) -> str | None:
    """The key of the NoExecute taint that the Ready condition asks for."""
    ready = condition(node, "Ready")
    if ready is None or ready["status"] == "Unknown":
        return taints.UNREACHABLE if ready is not None else taints.NOT_READY
    return taints.NOT_READY if ready["status"] == "False" else None


def zone_state(ready: int, not_ready: int) -> str:
    """``Normal``, ``PartialDisruption`` or ``FullDisruption`` (``ComputeZoneState``)."""
    if ready == 0 and not_ready > 0:
        return "FullDisruption"
    if not_ready > 2 and not_ready / (ready + not_ready) >= UNHEALTHY_SHARE:
        return "PartialDisruption"
    return "Normal"


def eviction_rate(state: str, nodes: int) -> float:
    """Nodes a second that may get their NoExecute taint."""
    if state == "Normal":
        return EVICTION_RATE
    if state == "PartialDisruption" and nodes > LARGE_CLUSTER:
        return EVICTION_RATE / 10
    return 0.0


def unknown_conditions(node: Obj, now: str) -> list[Obj]:
    """The conditions of a node that has gone silent."""
    conditions = [dict(entry) for entry in (node.get("status") or {}).get("conditions") or ()]
    known = {entry["type"]: entry for entry in conditions}
    for kind in REPORTED:
        entry = known.get(kind)
        if entry is None:
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
                    "lastTransitionTime": now,
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                }
            )
        elif entry["status"] != "Unknown":
            entry.update(
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=now,
            )
    return conditions


@dataclass(slots=True)
class _Health:
    """When a node was last heard of, in this process's monotonic time."""

    uid: str
    heard: float
    grace: float
    lease: str = ""
    beat: str = ""
    ready: str = ""


class NodeLifecycleController(BaseController):
    """Watches heartbeats and keeps conditions and taints true. Queue keys are node names."""

    name = "node-lifecycle"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informers.informer("nodes")
        self.leases = context.informers.informer("leases.coordination.k8s.io", namespace=LEASES)
        self.pods = context.informers.pods()
        self._health: dict[str, _Health] = {}
        self._evictions = TokenBucket(context.clock, EVICTION_RATE, 1)
        self.nodes.add_handler(self._on_nodes)
        self.pods.add_handler(self._on_pods)

    async def start(self) -> None:
        """Begin to monitor."""
        await super().start()
        self.every(PERIOD, self.monitor)

    def _on_nodes(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self._health.pop(name_of(old), None)
                self._node_event(old, "RemovingNode", f"Removing Node {name_of(old)} from Controller")
            elif (
                old is None
                or schedule_taints(old) != schedule_taints(new)
                or old["spec"].get("taints") != new["spec"].get("taints")
                or execute_taint(old) != execute_taint(new)
            ):
                self.queue.add(name_of(new))

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        """A pod that turns up on a node that is not ready is not ready either."""
        for old, new in deltas:
            if new is None:
                continue
            node_name = new["spec"].get("nodeName")
            if node_name and (old is None or not old["spec"].get("nodeName")) and is_ready(new):
                node = self.nodes.get(node_name)
                ready = condition(node, "Ready") if node is not None else None
                if ready is not None and ready["status"] != "True":
                    self.queue.add(node_name)

    def _node_event(self, node: Obj, reason: str, text: str) -> None:
        self.recorder.event(node, "Normal", reason, f"Node {name_of(node)} event: {text}")

    async def monitor(self) -> None:
        """Compare every node's last sign of life with the clock (``monitorNodeHealth``)."""
        moment = self.clock.monotonic()
        for node in self.nodes.list():
            name = name_of(node)
            health = self._health.get(name)
            if health is None or health.uid != uid_of(node):
                if health is None:
                    self._node_event(node, "RegisteredNode", f"Registered Node {name} in Controller")
                health = _Health(uid_of(node), moment, GRACE)
                if condition(node, "Ready") is None:
                    health.grace = STARTUP_GRACE
                self._health[name] = health
            ready = condition(node, "Ready")
            lease = self.leases.get(f"{LEASES}/{name}")
            renewed = ((lease or {}).get("spec") or {}).get("renewTime") or ""
            beat = (ready or {}).get("lastHeartbeatTime") or ""
            status = (ready or {}).get("status") or ""
            if renewed != health.lease or (beat != health.beat and status != "Unknown"):
                health.heard = moment
                health.grace = GRACE
            health.lease, health.beat = renewed, beat
            try:
                await self._judge(node, health, status, moment)
            except StatusError as error:
                if error.code not in (404, 409):
                    raise

    async def _judge(self, node: Obj, health: _Health, status: str, moment: float) -> None:
        if moment - health.heard > health.grace and status != "Unknown":
            conditions = unknown_conditions(node, format_time(self.clock.now()))
            if conditions != (node.get("status") or {}).get("conditions"):
                changed = {**node, "status": {**(node.get("status") or {}), "conditions": conditions}}
                await self.client.update_status(changed)
            status = "Unknown"
        if health.ready == "True" and status != "True":
            name = name_of(node)
            self.recorder.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        if status and status != "True" and health.ready != status:
            await self._pods_not_ready(node)
        health.ready = status

    async def sync(self, key: str) -> float | None:
        """Put one node's taints right, and its pods' readiness if it is not ready."""
        node = self.nodes.get(key)
        if node is None:
            return None
        ready = condition(node, "Ready")
        if ready is not None and ready["status"] != "True":
            await self._pods_not_ready(node)
        return await self._taint(node)

    async def _taint(self, node: Obj) -> float | None:
        old = node["spec"].get("taints") or []
        now = self.context.stamp()
        wanted = schedule_taints(node)
        kept = [
            taint
            for taint in old
            if not (
                taint["effect"] == "NoSchedule" and taint["key"] in _MANAGED and taint["key"] not in wanted
            )
        ]
        have = {taint["key"] for taint in kept if taint["effect"] == "NoSchedule"}
        kept += [
            {"key": key, "effect": "NoSchedule", "timeAdded": now}
            for key in sorted(wanted)
            if key not in have
        ]
        evicting = execute_taint(node)
        again: float | None = None
        present = {
            taint["key"]
            for taint in kept
            if taint["effect"] == "NoExecute" and taint["key"] in (taints.NOT_READY, taints.UNREACHABLE)
        }
        if present - {evicting}:
            kept = [t for t in kept if not (t["effect"] == "NoExecute" and t["key"] in present - {evicting})]
        if evicting is not None and condition(node, "Ready") is not None and evicting not in present:
            states = [
                (condition(other, "Ready") or {}).get("status") == "True" for other in self.nodes.list()
            ]
            rate = eviction_rate(zone_state(sum(states), len(states) - sum(states)), len(states))
            # a switch from not-ready to unreachable (or back) is no new eviction
            if present or (rate > 0 and self._evictions.try_take()):
                kept.append({"key": evicting, "effect": "NoExecute", "timeAdded": now})
            else:
                again = PERIOD
        if kept != old:
            changed = meta.copy(node)
            changed["spec"]["taints"] = kept
            if not kept:
                del changed["spec"]["taints"]
            await self.client.update(changed)
        return again

    async def _pods_not_ready(self, node: Obj) -> None:
        """``MarkPodsNotReady``: nobody vouches for these pods any more."""
        for pod in self.pods.by_index(BY_NODE, name_of(node)):
            if not is_ready(pod) or is_finished(pod):
                continue
            conditions = [
                {**entry, **observed(pod), "status": "False", "lastTransitionTime": self.context.stamp()}
                if entry["type"] == "Ready"
                else entry
                for entry in pod["status"]["conditions"]
            ]
            try:
                await self.client.update_status(
                    {**pod, "status": {**pod["status"], "conditions": conditions}}
                )
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
                continue
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


class TaintEvictionController(BaseController):
    """Deletes pods that do not tolerate their node's NoExecute taints (any longer). Keys are pods."""

    name = "taint-eviction-controller"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informers.informer("nodes")
        self.pods = context.informers.pods()
        self._since: dict[str, tuple[str, float]] = {}
        self._tainted: dict[str, list[Obj]] = {}
        self.nodes.add_handler(self._on_nodes)
        self.pods.add_handler(self._on_pods)

    def _on_nodes(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            name = name_of(delta.obj)
            before = self._tainted.get(name)
            now = [
                taint
                for taint in (delta.new or {}).get("spec", {}).get("taints") or ()
                if taint["effect"] == "NoExecute"
            ]
            if delta.new is None or not now:
                self._tainted.pop(name, None)
            else:
                self._tainted[name] = now
            if (before or []) != now:
                for pod in self.pods.by_index(BY_NODE, name):
                    self.queue.add(key_of(pod))

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self._since.pop(key_of(old), None)
            elif (
                self._tainted
                and new["spec"].get("nodeName") in self._tainted
                and (
                    old is None
                    or not old["spec"].get("nodeName")
                    or old["spec"].get("tolerations") != new["spec"].get("tolerations")
                )
            ):
                self.queue.add(key_of(new))

    async def sync(self, key: str) -> float | None:
        """Evict the pod now, later or never."""
        pod = self.pods.get(key)
        if pod is None or is_deleting(pod) or is_finished(pod):
            self._since.pop(key, None)
            return None
        found = self._tainted.get(pod["spec"].get("nodeName") or "")
        delay = taints.eviction_delay(found, pod["spec"].get("tolerations") or ()) if found else None
        if delay is None:
            if self._since.pop(key, None) is not None:
                self._event(pod, f"Cancelling deletion of Pod {key}")
            return None
        moment = self.clock.monotonic()
        uid, since = self._since.get(key, ("", moment))
        if uid != uid_of(pod):
            since = moment
            self._since[key] = (uid_of(pod), since)
        left = since + delay - moment
        if left > 0:
            return left
        await self._evict(pod)
        return None

    def _event(self, pod: Obj, message: str) -> None:
        self.recorder.event(pod, "Normal", "TaintManagerEviction", message)

    async def _evict(self, pod: Obj) -> None:
        key = key_of(pod)
        self._event(pod, f"Marking for deletion Pod {key}")
        await mark_disrupted(
            self.context, pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"
        )
        namespace, name = split_key(key)
        await self.client.delete("pods", name, namespace, uid=uid_of(pod))
        self._since.pop(key, None)


async def mark_disrupted(context: Context, pod: Obj, reason: str, message: str, *, phase: str = "") -> None:
    """Set the DisruptionTarget condition (and a phase), which says that the pod did not end by its own doing."""
    known = condition(pod, "DisruptionTarget")
    status = pod.get("status") or {}
    if known is not None and known["status"] == "True" and (not phase or status.get("phase") == phase):
        return
    entry = {
        **observed(pod),
        "type": "DisruptionTarget",
        "status": "True",
        "lastTransitionTime": context.stamp(),
        "reason": reason,
        "message": message,
    }
    body: Obj = {"status": {"conditions": [entry]}}
    if phase:
        body["status"]["phase"] = phase
    body["metadata"] = {"uid": uid_of(pod)}
    try:
        await context.client.patch(
            "pods", name_of(pod), namespace_of(pod), body, type="strategic", subresource="status"
        )
    except StatusError as error:
        if error.code not in (404, 409):
            raise
