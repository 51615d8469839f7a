"""ReplicaSets and ReplicationControllers: as many pods of one template as were asked for.

After ``replicaset/{replica_set,replica_set_utils}.go``; a ReplicationController is the same with an older kind of
selector. A set of a thousand pods has several thousand pod events while it starts: below, events of a large set
are gathered for some milliseconds, so that what a sync costs (it looks at every pod) stays a small share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.client.informer import BY_CONTROLLER, Delta, controller_uids
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

from .conditions import get_condition
from .context import BaseController, Context, namespace_terminating
from .deployment_math import replicas_of
from .expectations import Expectations
from .lookup import ORPHANS, matching_owners, orphan_namespace, owner_key, selector_of
from .pods import (
    PodControl,
    available_in,
    by_deletion_rank,
    delete_all,
    gone,
    is_active,
    is_finished,
    is_ready,
    pod_from_template,
    slow_start,
)
from .refs import RefManager

BURST = 500
PACE = 0.00006
"""Seconds of gathering per pod of the set: a sync costs some 3 µs per pod, so it takes about a twentieth."""
LONGEST_PACE = 0.3


class ReplicaSetController(BaseController):
    """Keeps the number of a ReplicaSet's pods."""

    name = "replicaset"
    workers = 5
    kind = "ReplicaSet"
    resource = "replicasets.apps"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.owners = context.informers.informer(self.resource)
        self.owners.add_index(BY_CONTROLLER, controller_uids)
        self.pods = context.informers.pods()
        self.pods.add_index(ORPHANS, orphan_namespace)
        self.expectations = Expectations(context.clock)
        self._reported: dict[str, Obj] = {}
        """The status as it was last written here: any other one is somebody else's."""
        self.control = PodControl(self.client, self.recorder)
        self.owners.add_handler(self._on_owners)
        self.pods.add_handler(self._on_pods)

    # -- what wakes it

    def _on_owners(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self.expectations.forget(key_of(old))
                self._reported.pop(key_of(old), None)
                self.queue.add(key_of(old))
            elif (
                old is None
                or old["metadata"].get("generation") != new["metadata"].get("generation")
                or is_deleting(old) != is_deleting(new)
                or controller_of(old) != controller_of(new)
                or self._was_tampered_with(old, new)
            ):  # else it is our own status write, or an annotation of the Deployment's: nothing pods depend on
                self.queue.add(key_of(new))

    def _was_tampered_with(self, old: Obj, new: Obj) -> bool:
        status = new.get("status")
        return old.get("status") != status and self._reported.get(key_of(new)) != status

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self._pod_gone(old)
            elif old is None:
                self._pod_added(new)
            else:
                self._pod_changed(old, new)

    def _pod_added(self, pod: Obj) -> None:
        if is_deleting(pod):  # seen at start only: it is on its way out
            self._pod_gone(pod)
            return
        key = owner_key(self.owners, pod, self.kind)
        if key is not None:
            self.expectations.created(key)
            self._wake(key)
        elif controller_of(pod) is None:
            for key in matching_owners(self.owners, pod):
                self.queue.add(key)

    def _pod_changed(self, old: Obj, new: Obj) -> None:
        if is_deleting(new) and not is_deleting(old):
            self._pod_gone(new)
            return
        before, after = controller_of(old), controller_of(new)
        if before != after and before is not None:
            key = owner_key(self.owners, old, self.kind)
            if key is not None:
                self.queue.add(key)
        if after is not None:
            key = owner_key(self.owners, new, self.kind)
            if key is not None:
                self._wake(key)
        elif before is not None or labels_of(old) != labels_of(new):
            for key in matching_owners(self.owners, new):
                self.queue.add(key)

    def _pod_gone(self, pod: Obj) -> None:
        key = owner_key(self.owners, pod, self.kind)
        if key is not None:
            self.expectations.deleted(key, key_of(pod))
            self._wake(key)

    def _wake(self, key: str) -> None:
        if not self.expectations.satisfied(key):
            # the rest of the batch is on its way; once a while the status may show how far it is
            self.queue.add_paced(key, LONGEST_PACE)
            return
        owner = self.owners.get(key)
        size = self.pods.count_index(BY_CONTROLLER, uid_of(owner)) if owner is not None else 0
        if owner is not None and size < replicas_of(owner):
            self.queue.add(key)
        else:
            self.queue.add_paced(key, min(LONGEST_PACE, size * PACE) if size > 10 else 0.0)

    # -- sync

    async def sync(self, key: str) -> float | None:
        """Create or delete what differs from ``spec.replicas``, then write the status."""
        owner = self.owners.get(key)
        if owner is None:
            self.expectations.forget(key)
            return None
        needed = self.expectations.satisfied(key)
        selector = selector_of(owner)
        candidates = [
            *self.pods.by_index(BY_CONTROLLER, uid_of(owner)),
            *self.pods.by_index(ORPHANS, namespace_of(owner)),
        ]
        claims = RefManager(self.client, owner, self.resource, selector.matches, "pods")
        claimed = await claims.claim(candidates, lambda pod: not is_finished(pod))
        active = [pod for pod in claimed if is_active(pod)]
        terminating = len(claimed) - len(active)
        failure: Exception | None = None
        difference = len(active) - replicas_of(owner)
        if needed and not is_deleting(owner) and difference != 0:
            if difference < 0:
                failure = await self._create(key, owner, min(-difference, BURST))
            else:
                failure = await self._delete(key, owner, active, min(difference, BURST))
        soonest = await self._report(owner, active, terminating, failure, difference)
        if failure is not None:
            raise failure
        return soonest

    async def _create(self, key: str, owner: Obj, count: int) -> Exception | None:
        reference = controller_reference(owner)
        template = owner["spec"]["template"]
        self.expectations.expect_creations(key, count)

        async def create(_: int) -> None:
            try:
                await self.control.create(pod_from_template(template, owner, reference), owner)
            except StatusError as error:
                if not namespace_terminating(error):
                    raise
                self.expectations.created(key)

        done, failure = await slow_start(count, create)
        for _ in range(count - done):
            self.expectations.created(key)
        return failure

    async def _delete(self, key: str, owner: Obj, active: list[Obj], count: int) -> Exception | None:
        chosen = active
        if count < len(active):
            chosen = by_deletion_rank(active, self._colocated(owner), self.clock.now())[:count]
        self.expectations.expect_deletions(key, [key_of(pod) for pod in chosen])
        failures = await delete_all(self.control, chosen, owner)
        for pod_key, _ in failures:
            self.expectations.deleted(key, pod_key)
        return next((error for _, error in failures if not gone(error)), None)

    def _colocated(self, owner: Obj) -> Callable[[Obj], int]:
        """How many active pods of this set and its siblings (same Deployment) share a pod's node."""
        siblings = [owner]
        reference = controller_of(owner)
        if reference is not None:
            siblings = self.owners.by_index(BY_CONTROLLER, reference["uid"]) or siblings
        counts: dict[str, int] = {}
        for sibling in siblings:
            for pod in self.pods.by_index(BY_CONTROLLER, uid_of(sibling)):
                node = pod["spec"].get("nodeName")
                if node and is_active(pod):
                    counts[node] = counts.get(node, 0) + 1
        return lambda pod: counts.get(pod["spec"].get("nodeName") or "", 0)

    # -- status

    async def _report(
        self, owner: Obj, active: Sequence[Obj], terminating: int, failure: Exception | None, difference: int
    ) -> float | None:
        """Write the status if it changed; seconds until the next pod becomes available, if any will."""
        spec = owner["spec"]
        wanted_labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        labelled = wanted_labels.items()
        min_ready = int(spec.get("minReadySeconds") or 0)
        now = self.clock.now()
        full = ready = available = 0
        soonest: float | None = None
        for pod in active:
            if labelled <= labels_of(pod).items():
                full += 1
            if is_ready(pod):
                ready += 1
                left = available_in(pod, min_ready, now) if min_ready else 0.0
                if left == 0.0:
                    available += 1
                elif left is not None and (soonest is None or left < soonest):
                    soonest = left
        status: Obj = {"replicas": len(active)}
        for name, count in (
            ("fullyLabeledReplicas", full),
            ("readyReplicas", ready),
            ("availableReplicas", available),
        ):
            if count:
                status[name] = count
        if self.kind == "ReplicaSet":
            status["terminatingReplicas"] = terminating
        status["observedGeneration"] = int(owner["metadata"].get("generation") or 0)
        old = owner.get("status") or {}
        conditions = [c for c in old.get("conditions") or () if c["type"] != "ReplicaFailure"]
        known = get_condition(old, "ReplicaFailure")
        if failure is not None:
            conditions.append(
                known
                or {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "reason": "FailedCreate" if difference < 0 else "FailedDelete",
                    "message": failure.message if isinstance(failure, StatusError) else str(failure),
                    "lastTransitionTime": self.context.stamp(),
                }
            )
        if conditions:
            status["conditions"] = conditions
        if status != old:
            await self._write(owner, status)
        # a second more than needed, because Ready's timestamp has whole seconds only
        return None if soonest is None else soonest + 1.0

    async def _write(self, owner: Obj, status: Obj) -> None:
        """One retry on the fresh object: only this controller writes this status, so it can't undo anyone's."""
        for attempt in range(2):
            try:
                written = await self.client.update_status({**owner, "status": status})
                self._reported[key_of(owner)] = written["status"]
                return
            except StatusError as error:
                if error.code != 409 or attempt:
                    raise
            fresh = await self.client.get(self.resource, name_of(owner), namespace_of(owner))
            if uid_of(fresh) != uid_of(owner):
                return
            owner = fresh


class ReplicationControllerController(ReplicaSetController):
    """The same for the kind that came before ReplicaSets."""

    name = "replicationcontroller"
    kind = "ReplicationController"
    resource = "replicationcontrollers"
