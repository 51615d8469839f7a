"""DaemonSets: one pod on every node that wants it.

After ``daemon/{daemon_controller,update}.go`` and ``daemon/util/daemonset_util.go``. The scheduler binds the pods:
each one is tied to its node by a node affinity on ``metadata.name``.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from runtime.objects.selectors import label_selector

from . import revisions
from .context import BaseController, Context, namespace_terminating
from .daemonset_math import (
    GENERATION_LABEL,
    group_by_node,
    in_order,
    is_updated,
    manage,
    pinned,
    pinned_node,
    should_run,
    with_tolerations,
)
from .deployment_math import fenceposts
from .expectations import Expectations
from .lookup import ORPHANS, matching_owners, orphan_namespace, owner_key
from .pods import (
    PodControl,
    available_in,
    delete_all,
    gone,
    is_available,
    pod_from_template,
    slow_start,
)
from .refs import Matches, RefManager
from .revisions import HASH_LABEL, History

RESOURCE = "daemonsets.apps"
BURST = 250
GENERATION = "deprecated.daemonset.template.generation"


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
        self.revisions.add_handler(self._on_revisions)
        self.nodes.add_handler(self._on_nodes)
        self.pods.add_handler(self._on_pods)

    def _on_sets(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_revisions(self, deltas: Sequence[Delta]) -> None:
        """A revision that somebody else changed or deleted is put right; a new one waits for the next occasion."""
        for delta in deltas:
            key = owner_key(self.sets, delta.obj, "DaemonSet")
            if key is not None:
                if delta.old is not None:
                    self.queue.add(key)
            elif delta.new is not None and controller_of(delta.new) is None:
                for owner in matching_owners(self.sets, delta.new):
                    self.queue.add(owner)

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
            if old is not None and new is not None and controller_of(old) != controller_of(new):
                before = owner_key(self.sets, old, "DaemonSet")
                if before is not None:
                    self.queue.add(before)
            if key is None:
                if (
                    new is not None
                    and controller_of(new) is None
                    and (old is None or labels_of(old) != labels_of(new) or controller_of(old) is not None)
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
        if is_deleting(ds):
            return None  # its history may be gone already: a status made from it would be wrong
        selector = label_selector(ds["spec"].get("selector"))
        history = History(self.client, ds, RESOURCE, self.revisions)
        known = await history.list(selector.matches)
        pods = await self._pods(ds, selector.matches)
        current = await self._current(ds, history, known)
        current = await self._only(ds, history, known, current, pods)
        current_hash = revisions.revision_hash(current)
        again: float | None = None
        failure: StatusError | None = None
        observed = self.expectations.satisfied(key)
        if observed:
            try:
                again = await self._manage(key, ds, pods, current_hash)
                kind = (ds["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate")
                if kind == "RollingUpdate" and self.expectations.satisfied(key):
                    await self._roll(key, ds, pods, current_hash)
                await self._truncate(ds, history, known, current, pods)
            except StatusError as error:
                failure = error
        soonest = await self._report(ds, await self._pods(ds, selector.matches), current_hash, observed)
        if failure is not None:
            raise failure
        return min((seconds for seconds in (again, soonest) if seconds is not None), default=None)

    async def _only(
        self, ds: Obj, history: History, known: list[Obj], current: Obj, pods: Sequence[Obj]
    ) -> Obj:
        """The newest of several revisions with the present template; pods of the others become pods of it."""
        for twin in history.equal(known):
            if name_of(twin) == name_of(current):
                continue
            old_hash, new_hash = revisions.revision_hash(twin), revisions.revision_hash(current)
            for pod in pods:
                if labels_of(pod).get(HASH_LABEL) == old_hash != new_hash:
                    body = {"metadata": {"labels": {HASH_LABEL: new_hash}}}
                    await self.client.patch("pods", name_of(pod), namespace_of(pod), body, type="merge")
            await history.delete(twin)
        return current

    async def _truncate(
        self, ds: Obj, history: History, known: Sequence[Obj], current: Obj, pods: Sequence[Obj]
    ) -> None:
        """Here the limit is about all old revisions, those that pods still have included."""
        hashes = {labels_of(pod).get(HASH_LABEL) for pod in pods}
        old = [entry for entry in known if name_of(entry) != name_of(current)]
        live = [name_of(entry) for entry in old if revisions.revision_hash(entry) in hashes]
        limit = ds["spec"].get("revisionHistoryLimit")
        await history.truncate(old, live, max(0, (10 if limit is None else int(limit)) - len(live)))

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
        plan = manage(ds, nodes, by_node, surge > 0, current_hash, self.clock.now())
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

    async def _report(self, ds: Obj, pods: Sequence[Obj], current_hash: str, observed: bool) -> float | None:
        min_ready = int(ds["spec"].get("minReadySeconds") or 0)
        generation = meta.annotations_of(ds).get(GENERATION)
        now = self.clock.now()
        by_node = group_by_node(pods)
        desired = current = misplaced = ready = available = updated = 0
        soonest: float | None = None
        for node in self.nodes.list():
            there = in_order(by_node.get(name_of(node), []))
            if not should_run(ds, node)[0]:
                misplaced += bool(there)
                continue
            desired += 1
            if not there:
                continue
            current += 1
            pod = there[0]
            left = available_in(pod, min_ready, now)
            if left is not None:
                ready += 1
                available += left == 0
            for entry in there:  # a surging pod too: its predecessor waits for it
                wait = available_in(entry, min_ready, now)
                if wait and (soonest is None or wait < soonest):
                    soonest = wait
            updated += is_updated(pod, current_hash, generation)
        status: Obj = {
            "currentNumberScheduled": current,
            "numberMisscheduled": misplaced,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "observedGeneration": int(ds["metadata"].get("generation") or 0),
        }
        if not observed:  # nothing was done for this generation yet
            status["observedGeneration"] = int((ds.get("status") or {}).get("observedGeneration") or 0)
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
