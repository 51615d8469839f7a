"""DaemonSets: one pod on every node that wants it.

After ``daemon/{daemon_controller,update}.go`` and ``daemon/util/daemonset_util.go``. The scheduler binds the pods:
each one is tied to its node by a node affinity on ``metadata.name``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.client.informer import BY_CONTROLLER, Delta, controller_uids
from runtime.client.workqueue import RateLimiter
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    controller_of,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from runtime.objects.placement import required_nodes
from runtime.objects.selectors import label_selector
from runtime.scheduler import taints

from . import revisions
from .context import BaseController, Context, namespace_terminating
from .deployment_math import fenceposts
from .expectations import Expectations
from .lookup import ORPHANS, matching_owners, orphan_namespace, owner_key
from .pods import (
    PodControl,
    available_in,
    delete_all,
    gone,
    is_available,
    is_ready,
    phase,
    pod_from_template,
    slow_start,
)
from .refs import Matches, RefManager
from .revisions import HASH_LABEL, History

RESOURCE = "daemonsets.apps"
BURST = 250
GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_TOLERATED = (
    (taints.NOT_READY, "NoExecute"),
    (taints.UNREACHABLE, "NoExecute"),
    (taints.DISK_PRESSURE, "NoSchedule"),
    (taints.MEMORY_PRESSURE, "NoSchedule"),
    (taints.PID_PRESSURE, "NoSchedule"),
    (taints.UNSCHEDULABLE, "NoSchedule"),
)


def with_tolerations(spec: Obj) -> list[Obj]:
    """The template's tolerations and those that every daemon pod has."""
    wanted = list(_TOLERATED)
    if spec.get("hostNetwork"):
        wanted.append((taints.NETWORK_UNAVAILABLE, "NoSchedule"))
    result = list(spec.get("tolerations") or ())
    for key, effect in wanted:
        entry = {"key": key, "operator": "Exists", "effect": effect}
        if entry not in result:
            result.append(entry)
    return result


def pinned(affinity: Obj | None, node: str) -> Obj:
    """The affinity with every term narrowed to one node (``ReplaceDaemonSetPodNodeNameNodeAffinity``)."""
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    result = dict(affinity or {})
    result["nodeAffinity"] = {
        **(result.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
    }
    return result


def pinned_node(pod: Obj) -> str:
    """The node a daemon pod is on or meant for."""
    node = pod["spec"].get("nodeName")
    if node:
        return str(node)
    terms = meta.dig(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        default=(),
    )
    for term in terms:
        for entry in term.get("matchFields") or ():
            if entry.get("key") == "metadata.name" and entry.get("operator") == "In" and entry.get("values"):
                return str(entry["values"][0])
    return ""


def should_run(ds: Obj, node: Obj) -> tuple[bool, bool]:
    """(a pod should be started on the node, a pod there may go on)."""
    spec = ds["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != name_of(node):
        return False, False
    test = required_nodes(spec)
    if test is not None and not test(name_of(node), labels_of(node)):
        return False, False
    tolerations = with_tolerations(spec)
    there = node["spec"].get("taints") or ()
    if taints.untolerated(there, tolerations, ("NoSchedule", "NoExecute")) is not None:
        return False, taints.untolerated(there, tolerations, ("NoExecute",)) is None
    return True, True


@dataclass(slots=True)
class Plan:
    """What one pass wants done."""

    create_on: list[str] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)
    succeeded: list[Obj] = field(default_factory=list)


def manage(ds: Obj, nodes: Sequence[Obj], by_node: dict[str, list[Obj]], surge: bool) -> Plan:
    """Which pods are missing and which are too many (``manage``, ``podsShouldBeOnNode``)."""
    plan = Plan()
    known = set()
    for node in nodes:
        name = name_of(node)
        known.add(name)
        run, go_on = should_run(ds, node)
        pods = by_node.get(name, [])
        if run and not pods:
            plan.create_on.append(name)
        elif go_on:
            running = []
            for pod in pods:
                if is_deleting(pod):
                    continue
                if phase(pod) == "Failed":
                    plan.failed.append(pod)
                elif phase(pod) == "Succeeded":
                    plan.succeeded.append(pod)
                else:
                    running.append(pod)
            keep = 2 if surge else 1
            if len(running) > keep:
                running.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", name_of(pod)))
                plan.delete.extend(running[keep:])
        else:
            plan.delete.extend(pod for pod in pods if not is_deleting(pod))
    for name, pods in by_node.items():  # meant for a node that does not exist
        if name not in known:
            plan.delete.extend(
                pod for pod in pods if not pod["spec"].get("nodeName") and not is_deleting(pod)
            )
    return plan


class DaemonSetController(BaseController):
    """Keeps one pod per node."""

    name = "daemonset"
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        informers = context.informers
        self.sets = informers.informer(RESOURCE)
        self.revisions = informers.informer(revisions.RESOURCE)
        self.revisions.add_index(BY_CONTROLLER, controller_uids)
        self.revisions.add_index(ORPHANS, orphan_namespace)
        self.nodes = informers.informer("nodes")
        self.pods = informers.pods()
        self.pods.add_index(ORPHANS, orphan_namespace)
        self.expectations = Expectations(context.clock)
        self.control = PodControl(self.client, self.recorder)
        self.failures: RateLimiter[str] = RateLimiter(
            context.clock, base=1.0, maximum=900.0, rate=1000.0, burst=1000.0
        )
        self._killed: dict[str, float] = {}
        self.sets.add_handler(self._on_sets)
        self.nodes.add_handler(self._on_nodes)
        self.pods.add_handler(self._on_pods)

    def _on_sets(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_nodes(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if (
                old is not None
                and new is not None
                and old["spec"] == new["spec"]
                and labels_of(old) == labels_of(new)
            ):
                continue
            for ds in self.sets.list():
                self.queue.add(key_of(ds))

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            pod = new if new is not None else old
            assert pod is not None
            key = owner_key(self.sets, pod, "DaemonSet")
            if key is None:
                if (
                    new is not None
                    and controller_of(new) is None
                    and (old is None or labels_of(old) != labels_of(new))
                ):
                    for owner in matching_owners(self.sets, new):
                        self.queue.add(owner)
                continue
            if old is None:
                self.expectations.created(key)
            if new is None or is_deleting(new):
                self.expectations.deleted(key, key_of(pod))
            self.queue.add(key)

    async def sync(self, key: str) -> float | None:
        """One pass over one DaemonSet."""
        ds = self.sets.get(key)
        if ds is None:
            self.expectations.forget(key)
            return None
        if ds["spec"].get("selector") == {}:
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self.recorder.event(ds, "Warning", "SelectingAll", text)
            return None
        selector = label_selector(ds["spec"].get("selector"))
        history = History(self.client, ds, RESOURCE, self.revisions)
        known = await history.list(selector.matches)
        current = await self._current(ds, history, known)
        current_hash = revisions.revision_hash(current)
        pods = await self._pods(ds, selector.matches)
        again: float | None = None
        if not is_deleting(ds) and self.expectations.satisfied(key):
            again = await self._manage(key, ds, pods, current_hash)
            pods = await self._pods(ds, selector.matches)
            rolling = (ds["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
            if rolling and self.expectations.satisfied(key):
                await self._roll(key, ds, pods, current_hash)
            live = {
                name_of(entry)
                for entry in known
                if any(labels_of(pod).get(HASH_LABEL) == revisions.revision_hash(entry) for pod in pods)
            }
            await history.truncate(known, {*live, name_of(current)}, ds["spec"].get("revisionHistoryLimit"))
        soonest = await self._report(ds, pods, current_hash)
        return min((seconds for seconds in (again, soonest) if seconds is not None), default=None)

    async def _current(self, ds: Obj, history: History, known: list[Obj]) -> Obj:
        labels = (ds["spec"]["template"].get("metadata") or {}).get("labels") or {}
        collisions = (ds.get("status") or {}).get("collisionCount")
        collided = False

        def on_collision() -> None:
            nonlocal collided
            collided = True

        try:
            return await history.ensure(
                known,
                collisions,
                lambda revision_hash: {**labels, HASH_LABEL: revision_hash},
                on_collision,
            )
        except StatusError:
            if collided:
                status = {**(ds.get("status") or {}), "collisionCount": int(collisions or 0) + 1}
                await self.client.update_status({**ds, "status": status})
            raise

    async def _pods(self, ds: Obj, matches: Matches) -> list[Obj]:
        candidates = [
            *self.pods.by_index(BY_CONTROLLER, uid_of(ds)),
            *self.pods.by_index(ORPHANS, namespace_of(ds)),
        ]
        return await RefManager(self.client, ds, RESOURCE, matches, "pods").claim(candidates)

    def _limits(self, ds: Obj, wanted: int) -> tuple[int, int]:
        rolling = (ds["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        surge = rolling.get("maxSurge")
        unavailable = rolling.get("maxUnavailable", 1 if not surge else 0)
        more, less = fenceposts(surge, None, wanted)[0], 0
        # upstream rounds both up here
        text = unavailable if isinstance(unavailable, str) else ""
        less = -(-int(text[:-1]) * wanted // 100) if text.endswith("%") else int(unavailable or 0)
        return more, (1 if not more and not less else less)

    async def _manage(self, key: str, ds: Obj, pods: Sequence[Obj], current_hash: str) -> float | None:
        nodes = self.nodes.list()
        by_node = group_by_node(pods)
        surge, _ = self._limits(ds, len(nodes))
        plan = manage(ds, nodes, by_node, surge > 0)
        again: float | None = None
        delete = list(plan.delete)
        moment = self.clock.monotonic()
        for pod in plan.failed:
            backoff_key = f"{uid_of(ds)}/{ds['metadata'].get('generation')}/{pinned_node(pod)}"
            due = self._killed.get(backoff_key, 0.0)
            if moment < due:
                again = min(again or due - moment, due - moment)
                continue
            self._killed[backoff_key] = moment + self.failures.when(backoff_key)
            where = f"{key_of(pod)} on node {pinned_node(pod)}"
            self.recorder.event(
                ds, "Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it"
            )
            delete.append(pod)
        for pod in plan.succeeded:
            where = f"{key_of(pod)} on node {pinned_node(pod)}"
            self.recorder.event(
                ds,
                "Normal",
                "SucceededDaemonPod",
                f"Found succeeded daemon pod {where}, will try to delete it",
            )
            delete.append(pod)
        await self._apply(key, ds, plan.create_on, delete, current_hash)
        return again

    async def _apply(
        self, key: str, ds: Obj, create_on: Sequence[str], delete: Sequence[Obj], current_hash: str
    ) -> None:
        create_on, delete = create_on[:BURST], delete[:BURST]
        self.expectations.expect_creations(key, len(create_on))
        self.expectations.expect_deletions(key, [key_of(pod) for pod in delete])
        template = meta.copy(ds["spec"]["template"])
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[HASH_LABEL] = current_hash
        generation = meta.annotations_of(ds).get(GENERATION)
        if generation:
            labels[GENERATION_LABEL] = generation
        spec = template["spec"]
        spec["tolerations"] = with_tolerations(spec)
        reference = controller_reference(ds)

        async def create(position: int) -> None:
            pod = pod_from_template(template, ds, reference)
            pod["spec"] = {**spec, "affinity": pinned(spec.get("affinity"), create_on[position])}
            try:
                await self.control.create(pod, ds)
            except StatusError as error:
                if not namespace_terminating(error):
                    raise
                self.expectations.created(key)

        done, failure = await slow_start(len(create_on), create)
        for _ in range(len(create_on) - done):
            self.expectations.created(key)
        failures = await delete_all(self.control, delete, ds)
        for pod_key, error in failures:
            self.expectations.deleted(key, pod_key)
            if failure is None and not gone(error):
                failure = error
        if failure is not None:
            raise failure

    async def _roll(self, key: str, ds: Obj, pods: Sequence[Obj], current_hash: str) -> None:
        min_ready = int(ds["spec"].get("minReadySeconds") or 0)
        generation = meta.annotations_of(ds).get(GENERATION)
        now = self.clock.now()
        nodes = [node for node in self.nodes.list() if should_run(ds, node)[0]]
        more, less = self._limits(ds, len(nodes))
        by_node = group_by_node(pods)
        down = surging = 0
        replace_first: list[Obj] = []
        replace_later: list[Obj] = []
        new_first: list[str] = []
        new_later: list[str] = []
        for node in nodes:
            there = [pod for pod in by_node.get(name_of(node), []) if not is_deleting(pod)]
            new = next((pod for pod in there if is_updated(pod, current_hash, generation)), None)
            old = next((pod for pod in there if not is_updated(pod, current_hash, generation)), None)
            if more:
                if old is None:
                    continue
                if new is None:
                    (new_later if is_available(old, min_ready, now) else new_first).append(name_of(node))
                elif is_available(new, min_ready, now):
                    replace_first.append(old)
                else:
                    surging += 1
                continue
            if (new is None) == (old is None):
                down += 1
            elif new is not None:
                down += not is_available(new, min_ready, now)
            elif old is not None:
                if is_available(old, min_ready, now):
                    replace_later.append(old)
                else:
                    replace_first.append(old)
                    down += 1
        if more:
            room = max(0, more - surging)
            await self._apply(key, ds, [*new_first, *new_later[:room]], replace_first, current_hash)
            return
        room = max(0, less - down)
        chosen = [*replace_first, *replace_later[:room]]
        if chosen:
            await self._apply(key, ds, [], chosen, current_hash)

    async def _report(self, ds: Obj, pods: Sequence[Obj], current_hash: str) -> float | None:
        min_ready = int(ds["spec"].get("minReadySeconds") or 0)
        generation = meta.annotations_of(ds).get(GENERATION)
        now = self.clock.now()
        by_node = group_by_node(pods)
        desired = current = misplaced = ready = available = updated = 0
        soonest: float | None = None
        for node in self.nodes.list():
            there = sorted(
                (pod for pod in by_node.get(name_of(node), [])),
                key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", name_of(pod)),
            )
            if not should_run(ds, node)[0]:
                misplaced += bool(there)
                continue
            desired += 1
            if not there:
                continue
            current += 1
            pod = next((entry for entry in there if is_ready(entry)), there[0])
            left = available_in(pod, min_ready, now)
            if left is not None:
                ready += 1
                if left == 0:
                    available += 1
                elif soonest is None or left < soonest:
                    soonest = left
            newest = there[-1]
            updated += is_updated(newest, current_hash, generation)
        status: Obj = {
            "currentNumberScheduled": current,
            "numberMisscheduled": misplaced,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": int(ds["metadata"].get("generation") or 0),
        }
        for name, count in (
            ("updatedNumberScheduled", updated),
            ("numberAvailable", available),
            ("numberUnavailable", desired - available),
        ):
            if count:
                status[name] = count
        old = ds.get("status") or {}
        for name in ("collisionCount", "conditions"):
            if old.get(name) is not None:
                status[name] = old[name]
        if status != old:
            await self.client.update_status({**ds, "status": status})
        return None if soonest is None else soonest + 1.0


def group_by_node(pods: Sequence[Obj]) -> dict[str, list[Obj]]:
    """Pods by the node they are on or meant for."""
    result: dict[str, list[Obj]] = {}
    for pod in pods:
        result.setdefault(pinned_node(pod), []).append(pod)
    return result


def is_updated(pod: Obj, current_hash: str, generation: str | None) -> bool:
    """Whether a pod is of the DaemonSet's present template."""
    labels = labels_of(pod)
    if generation and labels.get(GENERATION_LABEL) == generation:
        return True
    return labels.get(HASH_LABEL) == current_hash
