"""StatefulSets: pods with names and storage that stay, one after the other.

After ``statefulset/{stateful_set,stateful_set_control,stateful_pod_control}.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from runtime.client.informer import BY_CONTROLLER, Delta, controller_uids
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import controller_of, is_deleting, key_of, labels_of, name_of, namespace_of, uid_of
from runtime.objects.selectors import label_selector

from . import revisions
from . import statefulset_math as math
from .context import BaseController, Context, namespace_terminating
from .deployment_math import replicas_of
from .lookup import ORPHANS, matching_owners, orphan_namespace, owner_key
from .pods import available_in, is_finished, phase, slow_start
from .refs import RefManager
from .revisions import History

RESOURCE = "statefulsets.apps"
REPLACE_AFTER = 1.0
"""Seconds between two replacements of one pod that ended: one that a node refuses at once would be made for ever."""
CLAIMS = "persistentvolumeclaims"


class _Wait(Exception):
    """The step was taken, or nothing can go on before a pod changes."""


class StatefulSetController(BaseController):
    """Keeps the pods, claims and revisions of StatefulSets."""

    name = "statefulset"
    workers = 5

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        informers = context.informers
        self.sets = informers.informer(RESOURCE)
        self.revisions = informers.informer(revisions.RESOURCE)
        self.revisions.add_index(BY_CONTROLLER, controller_uids)
        self.revisions.add_index(ORPHANS, orphan_namespace)
        self.claims = informers.informer(CLAIMS)
        self.pods = informers.pods()
        self.pods.add_index(ORPHANS, orphan_namespace)
        self._replaced: dict[str, float] = {}
        """When pods that had ended were last deleted, by their keys."""
        self.sets.add_handler(self._on_sets)
        self.claims.add_handler(self._on_claims)
        self.pods.add_handler(self._on_pods)

    def _on_sets(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_claims(self, deltas: Sequence[Delta]) -> None:
        """A claim that is gone may be what a pod waited for."""
        for delta in deltas:
            if delta.new is not None:
                continue
            for set_ in self.sets.list(namespace_of(delta.obj)):
                templates = set_["spec"].get("volumeClaimTemplates") or ()
                if any(
                    name_of(delta.obj).startswith(f"{t['metadata']['name']}-{name_of(set_)}-")
                    for t in templates
                ):
                    self.queue.add(key_of(set_))

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            for pod in (old, new):
                if pod is None:
                    continue
                key = owner_key(self.sets, pod, "StatefulSet")
                if key is not None:
                    self.queue.add(key)
                elif (
                    pod is new
                    and controller_of(pod) is None
                    and (old is None or labels_of(old) != labels_of(pod) or controller_of(old) is not None)
                ):
                    for owner in matching_owners(self.sets, pod):
                        self.queue.add(owner)

    async def sync(self, key: str) -> float | None:
        """One step of one StatefulSet."""
        set_ = self.sets.get(key)
        if set_ is None:
            return None
        selector = label_selector(set_["spec"].get("selector"))
        candidates = [
            *self.pods.by_index(BY_CONTROLLER, uid_of(set_)),
            *self.pods.by_index(ORPHANS, namespace_of(set_)),
        ]
        claims = RefManager(self.client, set_, RESOURCE, selector.matches, "pods")
        pods = await claims.claim(candidates, lambda pod: math.belongs(set_, pod))
        history = History(self.client, set_, RESOURCE, self.revisions)
        known = await history.list(selector.matches)
        collisions = int((set_.get("status") or {}).get("collisionCount") or 0)

        def label(revision_hash: str) -> dict[str, str]:
            labels = (set_["spec"]["template"].get("metadata") or {}).get("labels") or {}
            return {**labels, revisions.HISTORY_HASH: revision_hash}

        collided = False

        def on_collision() -> None:
            nonlocal collided
            collided = True

        try:
            update = await history.ensure(known, collisions, label, on_collision)
        except StatusError:
            if collided:
                status = {**(set_.get("status") or {}), "collisionCount": collisions + 1}
                await self.client.update_status({**set_, "status": status})
            raise
        current_name = (set_.get("status") or {}).get("currentRevision")
        current = next((entry for entry in known if name_of(entry) == current_name), update)
        step = _Step(self, set_, pods, current, update)
        failure: Exception | None = None
        try:
            await step.run()
        except _Wait:
            pass
        except StatusError as error:
            failure = error
        status = math.calculate_status(
            set_, list(step.seen.values()), name_of(current), name_of(update), self.clock.now()
        )
        if status != set_.get("status"):
            await self.client.update_status({**set_, "status": status})
        if failure is not None:
            raise failure
        live = {name_of(current), name_of(update), *(math.revision_of(pod) for pod in pods)}
        await history.truncate(known, live, set_["spec"].get("revisionHistoryLimit"))
        waits = [seconds for seconds in (step.again, self._soonest(set_, pods)) if seconds is not None]
        return min(waits, default=None)

    def replace_in(self, key: str) -> float:
        """Seconds until a pod that ended may be deleted for its successor; 0 is also taken as that it is."""
        moment = self.clock.monotonic()
        left = self._replaced.get(key, -REPLACE_AFTER) + REPLACE_AFTER - moment
        if left > 0:
            return left
        self._replaced = {k: at for k, at in self._replaced.items() if at + REPLACE_AFTER > moment}
        self._replaced[key] = moment
        return 0.0

    def _soonest(self, set_: Obj, pods: Sequence[Obj]) -> float | None:
        min_ready = int(set_["spec"].get("minReadySeconds") or 0)
        if not min_ready:
            return None
        left = [available_in(pod, min_ready, self.clock.now()) for pod in pods]
        waiting = [seconds for seconds in left if seconds]
        return min(waiting) + 1.0 if waiting else None


class _Step:
    """One pass of the control loop (``updateStatefulSet``)."""

    def __init__(
        self, controller: StatefulSetController, set_: Obj, pods: Sequence[Obj], current: Obj, update: Obj
    ) -> None:
        self.client = controller.client
        self.recorder = controller.recorder
        self.claims = controller.claims
        self.set = set_
        self.current = current
        self.update = update
        self.now = controller.clock.now()
        self.replace_in = controller.replace_in
        self.again: float | None = None
        self.min_ready = int(set_["spec"].get("minReadySeconds") or 0)
        self.parallel = math.is_parallel(set_)
        self.seen = {name_of(pod): pod for pod in pods}

    def _template(self, ordinal: int) -> tuple[Obj, str]:
        revision = self.current if math.wants_current(self.set, ordinal) else self.update
        if revision is self.update:
            return self.set["spec"]["template"], name_of(revision)
        return revisions.template_of(revision), name_of(revision)

    async def run(self) -> None:
        set_ = self.set
        if is_deleting(set_):
            return
        start = math.start_of(set_)
        ordinals = range(start, start + replicas_of(set_))
        replicas: dict[int, Obj | None] = dict.fromkeys(ordinals)
        condemned: list[Obj] = []
        for pod in self.seen.values():
            ordinal = math.ordinal_of(pod)
            if ordinal in replicas:
                replicas[ordinal] = pod
            else:
                condemned.append(pod)
        condemned.sort(key=math.ordinal_of, reverse=True)
        unhealthy = [pod for pod in replicas.values() if pod is not None and self._is_down(pod)]
        unhealthy += [pod for pod in reversed(condemned) if self._is_down(pod)]
        first_unhealthy = name_of(unhealthy[0]) if unhealthy else ""
        if self.parallel:
            await self._each(ordinals, lambda ordinal: self._replica(ordinal, replicas))
            for pod in condemned:
                await self._own_claims(pod)
            await asyncio.gather(*(self._condemn(pod, first_unhealthy) for pod in condemned))
        else:
            for ordinal in ordinals:
                await self._replica(ordinal, replicas)
            for pod in condemned:
                await self._own_claims(pod)
            for pod in condemned:
                await self._condemn(pod, first_unhealthy)
        if math.strategy_of(set_) == "OnDelete":
            return
        await self._roll(ordinals, replicas)

    def _is_down(self, pod: Obj) -> bool:
        return math.is_unavailable(pod, self.min_ready, self.now)

    async def _each(self, ordinals: range, work: Callable[[int], Awaitable[None]]) -> None:
        listed = list(ordinals)
        _, failure = await slow_start(len(listed), lambda position: work(listed[position]))
        if failure is not None:
            raise failure

    async def _replica(self, ordinal: int, replicas: dict[int, Obj | None]) -> None:
        pod = replicas[ordinal]
        if pod is not None and is_finished(pod):
            if not is_deleting(pod):
                left = self.replace_in(key_of(pod))
                if left > 0:
                    self.again = left if self.again is None else min(self.again, left)
                else:
                    await self._delete(pod)
            if not self.parallel:
                raise _Wait
            return
        if pod is None:
            replicas[ordinal] = await self._create(ordinal)
            if not self.parallel:
                raise _Wait
            return
        if phase(pod) == "Pending":
            await self._ensure_claims(ordinal)
        if not self.parallel and self._is_down(pod):
            raise _Wait
        await self._identify(pod)
        await self._own_claims(pod)

    async def _condemn(self, pod: Obj, first_unhealthy: str) -> None:
        if is_deleting(pod):
            if not self.parallel:
                raise _Wait
            return
        waits = not self.parallel and name_of(pod) != first_unhealthy
        if waits and not math.is_running_available(pod, self.min_ready, self.now):
            raise _Wait
        await self._delete(pod)
        if not self.parallel:
            raise _Wait

    async def _roll(self, ordinals: range, replicas: dict[int, Obj | None]) -> None:
        lowest = ordinals.start + math.partition_of(self.set)
        update = name_of(self.update)
        allowed = math.max_unavailable(self.set)
        if allowed is not None:
            down = sum(pod is None or self._is_down(pod) for pod in replicas.values())
            for ordinal in reversed(ordinals):
                pod = replicas[ordinal]
                if ordinal < lowest:
                    return
                if pod is None or math.revision_of(pod) == update or is_deleting(pod):
                    continue
                if not self._is_down(pod):  # else it is down already, and its successor may mend that
                    if down >= allowed:
                        continue
                    down += 1
                await self._delete(pod)
            return
        for ordinal in reversed(ordinals):
            pod = replicas[ordinal]
            if ordinal < lowest or pod is None:
                return
            if math.revision_of(pod) != update and not is_deleting(pod):
                await self._delete(pod)
                return
            if self._is_down(pod):
                return

    # -- pods and claims, with what upstream says about them

    async def _create(self, ordinal: int) -> Obj | None:
        """Create a pod and its claims; None when something of its name is in the way for now."""
        template, revision = self._template(ordinal)
        pod = math.pod_for(self.set, template, ordinal, revision)
        if math.retention(self.set, "whenScaled") == "Delete" and any(
            math.is_stale(claim, pod, "Pod") for claim in self._claims_of(pod)
        ):
            return None  # the claim goes with the pod that had this name; the new pod gets one of its own
        await self._ensure_claims(ordinal)
        what = f"Pod {name_of(pod)} in StatefulSet {name_of(self.set)}"
        try:
            made = await self.client.create(pod, namespace_of(self.set))
        except StatusError as error:
            if error.reason == "AlreadyExists":
                return None  # our own, not shown by the cache yet
            if not namespace_terminating(error):
                text = f"create {what} failed error: {error.message}"
                self.recorder.event(self.set, "Warning", "FailedCreate", text)
            raise
        self.recorder.event(self.set, "Normal", "SuccessfulCreate", f"create {what} successful")
        self.seen[name_of(made)] = made
        return made

    async def _delete(self, pod: Obj) -> None:
        what = f"Pod {name_of(pod)} in StatefulSet {name_of(self.set)}"
        try:
            await self.client.delete("pods", name_of(pod), namespace_of(pod), uid=uid_of(pod))
        except StatusError as error:
            if error.code in (404, 409):
                return
            text = f"delete {what} failed error: {error.message}"
            self.recorder.event(self.set, "Warning", "FailedDelete", text)
            raise
        self.recorder.event(self.set, "Normal", "SuccessfulDelete", f"delete {what} successful")

    async def _ensure_claims(self, ordinal: int) -> None:
        for claim in math.claims_for(self.set, ordinal):
            found = self.claims.get(key_of(claim))
            if found is not None:
                if is_deleting(found):
                    raise StatusError(409, "Conflict", f"pvc {name_of(claim)} is being deleted")
                continue
            what = (
                f"Claim {name_of(claim)} Pod {name_of(self.set)}-{ordinal} in StatefulSet {name_of(self.set)}"
            )
            try:
                await self.client.create(claim, namespace_of(self.set))
            except StatusError as error:
                if error.reason == "AlreadyExists":
                    continue
                text = f"create {what} failed error: {error.message}"
                self.recorder.event(self.set, "Warning", "FailedCreate", text)
                raise
            self.recorder.event(self.set, "Normal", "SuccessfulCreate", f"create {what} success")

    def _claims_of(self, pod: Obj) -> list[Obj]:
        """The claims that there are for a pod."""
        found = []
        for template in self.set["spec"].get("volumeClaimTemplates") or ():
            name = math.claim_name(self.set, template, math.ordinal_of(pod))
            claim = self.claims.get(f"{namespace_of(self.set)}/{name}")
            if claim is not None:
                found.append(claim)
        return found

    async def _own_claims(self, pod: Obj) -> None:
        """See to it that claims belong to whom the retention policy says, now that it or the size changed."""
        for claim in self._claims_of(pod):
            wanted = math.claim_owners(self.set, claim, pod)
            if wanted != meta.owners_of(claim):
                body = {"metadata": {"uid": uid_of(claim), "ownerReferences": wanted or None}}
                await self.client.patch(CLAIMS, name_of(claim), namespace_of(claim), body, type="merge")

    async def _identify(self, pod: Obj) -> None:
        """Put back the labels that make the pod addressable by its name."""
        if math.identity_labels(pod).items() <= labels_of(pod).items() or is_deleting(pod):
            return
        what = f"Pod {name_of(pod)} in StatefulSet {name_of(self.set)}"
        body = {"metadata": {"uid": uid_of(pod), "labels": math.identity_labels(pod)}}
        await self.client.patch("pods", name_of(pod), namespace_of(pod), body, type="merge")
        self.recorder.event(self.set, "Normal", "SuccessfulUpdate", f"update {what} successful")
