"""kube-scheduler: gives every pod that has no node the best node there is, or says why none will do.

After ``scheduler/{scheduler,schedule_one,eventhandlers}.go`` with the default plugins. Decisions are plain
function calls on the :class:`Cache`; only binding waits for the API, many pods at once, while further pods are
decided on already.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from runtime.client.controller import Controller
from runtime.client.informer import Delta, InformerFactory
from runtime.client.recorder import EventRecorder
from runtime.objects.clock import Clock, format_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    condition,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    observed,
    uid_of,
)

from . import preemption
from .filters import Refusal, Unschedulable, room, static
from .nodeinfo import Cache, NodeInfo
from .nominations import Nominations
from .queue import LEFTOVER_EVERY, SchedulingQueue, Waiting
from .scores import totals
from .shape import Shape
from .topology import Situation
from .volumes import SELECTED_NODE, Claims, Volumes

if TYPE_CHECKING:
    from runtime.client.client import Client

log = logging.getLogger(__name__)

NAME = "default-scheduler"
SLICE = 0.005
BATCH = 256
_ROOM = frozenset({"NodeResourcesFit", "NodePorts", "InterPodAffinity", "PodTopologySpread"})
_PEERS = frozenset({"InterPodAffinity", "PodTopologySpread"})
_STORAGE = frozenset({"VolumeBinding"})


class Scheduler(Controller):
    """The scheduler. The keys of its work queue are pods whose back-off is over.

    Args:
        client: its identity at the API (``system:kube-scheduler``).
        informers: shared with the controllers.
        clock: time.
        recorder: where its events go; one with component ``default-scheduler`` is made when left out.
    """

    name = NAME
    workers = 0

    def __init__(
        self,
        client: Client,
        informers: InformerFactory,
        clock: Clock,
        recorder: EventRecorder | None = None,
        *,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(clock)
        self.client = client
        self.recorder = recorder or EventRecorder(client, NAME, clock=clock)
        self.cache = Cache()
        self.pending = SchedulingQueue(clock)
        self._informers = informers
        self._random = rng or random.Random()
        self.nominations = Nominations()
        self.pods = informers.pods()
        self.nodes = informers.informer("nodes")
        self.namespaces = informers.informer("namespaces")
        self.budgets = informers.informer("poddisruptionbudgets.policy")
        claims = informers.informer("persistentvolumeclaims")
        volumes = informers.informer("persistentvolumes")
        classes = informers.informer("storageclasses.storage.k8s.io")
        self.volumes = Volumes(claims, volumes, classes)
        self.nodes.add_handler(self._on_nodes)
        self.pods.add_handler(self._on_pods)
        for informer in (claims, volumes, classes):
            informer.add_handler(self._on_storage)

    async def start(self) -> None:
        """Wait for the informers, then schedule until :meth:`stop`."""
        self._informers.start()
        await self._informers.wait_for_sync()
        self.spawn(self._run())
        self.spawn(self._back_from_rest())
        self.every(LEFTOVER_EVERY, self._flush)

    async def stop(self) -> None:
        """Stop deciding and binding, write what events are left."""
        self.pending.backoff.shut_down()
        await super().stop()
        await self.recorder.stop()

    async def sync(self, key: str) -> float | None:
        """Unused: pods come by priority, not in the order of keys."""
        return None

    async def _flush(self) -> None:
        self.pending.flush_leftover()

    async def _back_from_rest(self) -> None:
        while True:
            key = await self.pending.backoff.get()
            self.pending.backoff.done(key)
            self.pending.backoff_over(key)

    # -- what it hears

    def _on_nodes(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self.cache.remove_node(name_of(old))
                self.pending.moved(_PEERS)
                continue
            self.cache.set_node(new)
            if old is None or self._node_matters(old, new):
                self.pending.moved()

    @staticmethod
    def _node_matters(old: Obj, new: Obj) -> bool:
        before, after = old.get("status") or {}, new.get("status") or {}
        return (
            old["spec"] != new["spec"]
            or labels_of(old) != labels_of(new)
            or before.get("allocatable") != after.get("allocatable")
        )

    def _on_storage(self, deltas: Sequence[Delta]) -> None:
        self.pending.moved(_STORAGE)

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        freed = peers = False
        for old, new in deltas:
            if new is None:
                assert old is not None
                key = key_of(old)
                self.pending.remove(key)
                freed = self.nominations.release(key) or freed
                if old["spec"].get("nodeName") or self.cache.is_assumed(key):
                    self.cache.pod_gone(key)
                    freed = True
                continue
            key = key_of(new)
            if not new["spec"].get("nodeName"):
                self._unassigned(key, old, new)
            elif (new.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                if self.cache.placed(key) is not None:
                    self.cache.pod_gone(key)
                    freed = True
            else:
                if old is None or not old["spec"].get("nodeName"):
                    self.pending.remove(key)
                    self.nominations.release(key)
                    peers = True
                elif labels_of(old) != labels_of(new):
                    peers = True
                self.cache.pod_bound(new)
        if freed:
            self.pending.moved(_ROOM)
        elif peers:
            self.pending.moved(_PEERS)

    def _unassigned(self, key: str, old: Obj | None, new: Obj) -> None:
        spec = new["spec"]
        if (
            (spec.get("schedulerName") or NAME) != NAME
            or spec.get("schedulingGates")
            or is_deleting(new)
            or (new.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        ):
            self.pending.remove(key)
            if self.nominations.release(key):
                self.pending.moved(_ROOM)
            return
        if self.cache.is_assumed(key):
            return
        nominated = (new.get("status") or {}).get("nominatedNodeName")
        if nominated:
            self.nominations.keep(key, nominated, self.cache.shapes.of(new))
        elif (
            old is not None
            and (old.get("status") or {}).get("nominatedNodeName")
            and self.nominations.release(key)
        ):
            self.pending.moved(_ROOM)
        if old is None:
            self.pending.add(new)
        else:
            changed = old["spec"] is not new["spec"] and old["spec"] != new["spec"]
            self.pending.update(new, retry=changed or labels_of(old) != labels_of(new))

    # -- the loop

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.pending.wait()
            started = loop.time()
            decided: list[tuple[Waiting, str]] = []
            failures: list[Callable[[], Awaitable[None]]] = []
            while len(decided) < BATCH and loop.time() - started < SLICE:
                entry = self.pending.pop()
                if entry is None:
                    break
                self._attempt(entry, decided, failures)
            if decided:
                self.spawn(self._bind_all(decided))
            for failure in failures:
                try:
                    await failure()
                except StatusError as error:
                    log.debug("scheduler: %s", error.message)
                except Exception:
                    log.exception("scheduler")
            await asyncio.sleep(0)

    def _attempt(
        self,
        entry: Waiting,
        decided: list[tuple[Waiting, str]],
        failures: list[Callable[[], Awaitable[None]]],
    ) -> None:
        """Decide on one pod: assume it somewhere, or note what there is to say about its failure."""
        moves = self.pending.moves
        pod = entry.pod
        try:
            shape = self.cache.shapes.of(pod)
            claims = self.volumes.of(shape) if shape.claims else None
            node = self.choose(pod, shape, claims)
        except Unschedulable as found:
            why = found
            failures.append(lambda: self._refused(entry, why, moves))
            return
        except Exception as error:
            log.exception("scheduler: %s", key_of(pod))
            text = str(error)
            self.pending.failed(entry, frozenset(), moves)
            failures.append(lambda: self._say_failed(pod, "SchedulerError", text))
            return
        if claims is not None and claims.unbound:
            self.pending.failed(entry, frozenset({"VolumeBinding"}), moves)
            failures.append(lambda: self._select_node(claims.unbound, node))
            return
        self.cache.assume(pod, shape, node)
        decided.append((entry, node))

    # -- deciding

    def _namespace_labels(self, name: str) -> Mapping[str, str]:
        found = self.namespaces.get(name)
        return labels_of(found) if found is not None else {}

    def choose(self, pod: Obj, shape: Shape, claims: Claims | None = None) -> str:
        """The best node's name.

        Raises:
            Unschedulable: no node will do.
        """
        nodes = list(self.cache)
        if not nodes:
            raise Unschedulable({}, 0, plugin="")
        if claims is not None and claims.problem:
            raise Unschedulable({}, len(nodes), claims.problem, "VolumeBinding")
        situation = None
        if self.cache.choosy or shape.spread or shape.has_pod_terms:
            situation = Situation(shape, self.cache, self._namespace_labels)
        key = key_of(pod)
        fitting: list[NodeInfo] = []
        refusals: dict[str, Refusal] = {}
        for node in nodes:
            refusal = self._refuse(key, shape, node, claims, situation)
            if refusal is None:
                fitting.append(node)
            else:
                refusals[node.name] = refusal
        if not fitting:
            raise Unschedulable(refusals, len(nodes))
        if len(fitting) == 1:
            return fitting[0].name
        nominated = (pod.get("status") or {}).get("nominatedNodeName")
        if nominated and any(node.name == nominated for node in fitting):
            return str(nominated)
        reference = controller_of(pod)
        scores = totals(shape, fitting, self.cache, reference["uid"] if reference else "", situation)
        best = max(scores)
        return self._random.choice(
            [node.name for node, score in zip(fitting, scores, strict=True) if score == best]
        )

    def _refuse(
        self, key: str, shape: Shape, node: NodeInfo, claims: Claims | None, situation: Situation | None
    ) -> Refusal | None:
        fact = shape.static.get(node.name)
        if fact is None or fact.version != node.version:
            fact = static(shape, node)
        refusal: Refusal | None = fact.refusal
        if refusal is None:
            nominees = self.nominations.before(node.name, key, shape) if self.nominations else ()
            refusal = room(shape, node, nominees)
        if refusal is None and claims is not None:
            refusal = claims.refuse(node)
        if refusal is None and situation is not None:
            refusal = situation.refuse(node)
        return refusal

    # -- binding

    async def _bind_all(self, decided: Sequence[tuple[Waiting, str]]) -> None:
        await asyncio.gather(*(self._bind(entry, node) for entry, node in decided))

    async def _bind(self, entry: Waiting, node: str) -> None:
        pod = entry.pod
        key = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "target": {"kind": "Node", "name": node},
        }
        try:
            await self.client.create_subresource("pods", name_of(pod), namespace_of(pod), "binding", binding)
        except StatusError as error:
            self.cache.forget(key)
            self.pending.moved(_ROOM)
            if error.code in (404, 409) and (self.pods.get(key) is None or self._is_bound(key)):
                self.pending.remove(key)
                return
            self.pending.failed(entry, frozenset(), -1)
            await self._say_failed(pod, "SchedulerError", f"binding rejected: {error.message}")
            return
        except Exception as error:
            log.exception("scheduler: binding %s", key)
            self.cache.forget(key)
            self.pending.failed(entry, frozenset(), -1)
            await self._say_failed(pod, "SchedulerError", f"binding rejected: {error}")
            return
        self.pending.remove(key)
        self.recorder.event(pod, "Normal", "Scheduled", f"Successfully assigned {key} to {node}")

    def _is_bound(self, key: str) -> bool:
        pod = self.pods.get(key)
        return pod is not None and bool(pod["spec"].get("nodeName"))

    async def _select_node(self, claims: Sequence[Obj], node: str) -> None:
        for claim in claims:
            body = {"metadata": {"annotations": {SELECTED_NODE: node}}}
            await self.client.patch(
                "persistentvolumeclaims", name_of(claim), namespace_of(claim), body, type="merge"
            )

    # -- failing

    async def _refused(self, entry: Waiting, why: Unschedulable, moves: int) -> None:
        pod = entry.pod
        shape = self.cache.shapes.of(pod)
        if not why.total:
            self.pending.failed(entry, why.plugins or frozenset({"Nodes"}), moves)
            await self._say_failed(pod, "Unschedulable", why.message())
            return
        nominated: str | None = None
        known = (pod.get("status") or {}).get("nominatedNodeName") or ""
        after = preemption.hindrance(shape, self.cache.nodes.get(known), why.refusals.get(known))
        if not after:
            candidate = self._find_victims(pod, shape, why)
            if candidate is not None:
                nominated = candidate.node.name
                await self._preempt(pod, candidate)
            else:
                after = preemption.explain(why.refusals, why.total)
                nominated = ""  # a node that was kept for it is no use any more
                self.nominations.release(key_of(pod))
        self.pending.failed(entry, why.plugins or frozenset({"Nodes"}), moves)
        await self._say_failed(pod, "Unschedulable", why.message(after), nominated)

    def _find_victims(self, pod: Obj, shape: Shape, why: Unschedulable) -> preemption.Candidate | None:
        key = key_of(pod)
        claims = self.volumes.of(shape) if shape.claims else None
        budgets = self.budgets.list()
        topological = bool(self.cache.choosy or shape.spread or shape.has_pod_terms)

        def fits(node: NodeInfo) -> bool:
            situation = Situation(shape, self.cache, self._namespace_labels) if topological else None
            return self._refuse(key, shape, node, claims, situation) is None

        candidates = []
        for name, refusal in why.refusals.items():
            node = self.cache.nodes.get(name)
            if node is not None and not refusal.final:
                found = preemption.select_victims(shape, node, fits, budgets)
                if found is not None:
                    candidates.append(found)
        return preemption.pick(candidates)

    async def _preempt(self, pod: Obj, candidate: preemption.Candidate) -> None:
        """End the victims and keep their place for the pod."""
        shape = self.cache.shapes.of(pod)
        node = candidate.node.name
        weaker = self.nominations.weaker(node, shape)
        self.nominations.keep(key_of(pod), node, shape)
        for key in weaker:  # they may no longer fit there: let them look again
            self.nominations.release(key)
            await self._clear_nomination(key)
        for placed in candidate.victims:
            victim = placed.pod
            if is_deleting(victim):
                continue
            disrupted = {
                **observed(victim),
                "type": "DisruptionTarget",
                "status": "True",
                "reason": preemption.BY_SCHEDULER,
                "message": f"{NAME}: preempting to accommodate a higher priority pod",
                "lastTransitionTime": format_time(self.clock.now()),
            }
            where = (name_of(victim), namespace_of(victim))
            try:
                body = {"status": {"conditions": [disrupted]}}
                await self.client.patch("pods", *where, body, type="strategic", subresource="status")
                await self.client.delete("pods", *where, uid=uid_of(victim))
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
                continue
            self.recorder.event(
                victim, "Normal", "Preempted", f"Preempted by pod {uid_of(pod)} on node {candidate.node.name}"
            )

    async def _clear_nomination(self, key: str) -> None:
        pod = self.pods.get(key)
        if pod is None or not (pod.get("status") or {}).get("nominatedNodeName"):
            return
        body = {"status": {"nominatedNodeName": None}}
        try:
            await self.client.patch(
                "pods", name_of(pod), namespace_of(pod), body, type="merge", subresource="status"
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise
        self.pending.update(pod, retry=True)

    async def _say_failed(self, pod: Obj, reason: str, message: str, nominated: str | None = None) -> None:
        """The FailedScheduling event and the PodScheduled condition, each only when it says something new.

        ``nominated`` is the node kept for the pod: None changes nothing, an empty one takes it back.
        """
        self.recorder.event(pod, "Warning", "FailedScheduling", message)
        current = self.pods.get(key_of(pod)) or pod
        status = current.get("status") or {}
        known = condition(current, "PodScheduled")
        same = (
            known is not None
            and known["status"] == "False"
            and known.get("reason") == reason
            and known.get("message") == message
            and known.get("observedGeneration") == current["metadata"].get("generation")
        )
        if same and (nominated is None or (status.get("nominatedNodeName") or "") == nominated):
            return
        now = format_time(self.clock.now())
        since = known.get("lastTransitionTime", now) if known and known["status"] == "False" else now
        entry = {
            **observed(current),
            "type": "PodScheduled",
            "status": "False",
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
        body: Obj = {"status": {"conditions": [entry]}}
        if nominated or (nominated == "" and status.get("nominatedNodeName")):
            body["status"]["nominatedNodeName"] = nominated or None
        try:
            await self.client.patch(
                "pods", name_of(pod), namespace_of(pod), body, type="strategic", subresource="status"
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise
