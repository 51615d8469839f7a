"""Deployments: one ReplicaSet per revision of the template, sized so that the rollout keeps its promises.

After ``deployment/{deployment_controller,sync,rolling,recreate,progress,rollback}.go``. One difference in form:
what a sync learns about the Deployment (revision, conditions, counters) is gathered on a private copy and
written in one status update at its end, where upstream writes up to three times and conflicts with itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.client.informer import BY_CONTROLLER, Delta, controller_uids
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import controller_of, is_deleting, key_of, name_of, namespace_of, uid_of
from runtime.objects.selectors import label_selector

from . import deployment_math as math
from .conditions import get_condition, new_condition, set_condition
from .context import BaseController, Context, namespace_terminating
from .lookup import ORPHANS, matching_owners, orphan_namespace, owner_key
from .pods import is_finished
from .refs import RefManager

RESOURCE = "deployments.apps"
SETS = "replicasets.apps"


class DeploymentController(BaseController):
    """Keeps ReplicaSets in step with Deployments."""

    name = "deployment"
    workers = 5

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        informers = context.informers
        self.deployments = informers.informer(RESOURCE)
        self.sets = informers.informer(SETS)
        self.sets.add_index(BY_CONTROLLER, controller_uids)
        self.sets.add_index(ORPHANS, orphan_namespace)
        self.pods = informers.pods()
        self.deployments.add_handler(self._on_deployments)
        self.sets.add_handler(self._on_sets)
        self.pods.add_handler(self._on_pods)

    # -- what wakes it

    def _on_deployments(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            self.queue.add(key_of(delta.obj))

    def _on_sets(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            for rs in (old, new):
                if rs is None:
                    continue
                owner = owner_key(self.deployments, rs, "Deployment")
                if owner is not None:
                    self.queue.add(owner)
                elif rs is new and controller_of(rs) is None:
                    for key in matching_owners(self.deployments, rs):
                        self.queue.add(key)

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        """A Recreate rollout goes on when the last old pod is gone."""
        for delta in deltas:
            if delta.new is not None:
                continue
            reference = controller_of(delta.obj)
            if reference is None or reference.get("kind") != "ReplicaSet":
                continue
            rs = self.sets.get(f"{namespace_of(delta.obj)}/{reference['name']}")
            key = owner_key(self.deployments, rs, "Deployment") if rs is not None else None
            deployment = self.deployments.get(key) if key else None
            if deployment is not None and not math.is_rolling(deployment):
                self.queue.add(key_of(deployment))

    # -- sync

    async def sync(self, key: str) -> float | None:
        """One step of one Deployment (``syncDeployment``)."""
        stored = self.deployments.get(key)
        if stored is None:
            return None
        spec_selector = stored["spec"].get("selector")
        if spec_selector == {}:
            self.recorder.event(
                stored,
                "Warning",
                "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.",
            )
            return None
        selector = label_selector(spec_selector)
        candidates = [
            *self.sets.by_index(BY_CONTROLLER, uid_of(stored)),
            *self.sets.by_index(ORPHANS, namespace_of(stored)),
        ]
        claims = RefManager(self.client, stored, RESOURCE, selector.matches, SETS)
        sets = await claims.claim(candidates)
        return await _Sync(self, stored, sets).run()

    def pods_of(self, sets: Sequence[Obj]) -> list[Obj]:
        """All pods of these ReplicaSets."""
        return [pod for rs in sets for pod in self.pods.by_index(BY_CONTROLLER, uid_of(rs))]


class _Sync:
    """One sync of one Deployment: the working copy and what is known about its ReplicaSets."""

    def __init__(self, controller: DeploymentController, stored: Obj, sets: list[Obj]) -> None:
        self.client = controller.client
        self.recorder = controller.recorder
        self.controller = controller
        self.stored = stored
        self.d = meta.copy(stored)
        self.d.setdefault("status", {})
        self.sets = sets
        self.now = controller.clock.now()

    async def run(self) -> float | None:
        d = self.d
        if is_deleting(d):
            new, old = await self._sync_revision(create=False)
            await self._write(math.calculate_status(d, _all(new, old), new, self.now))
            return None
        self._check_paused()
        if d["spec"].get("paused"):
            return await self._scale_and_report()
        if math.ROLLBACK_TO in meta.annotations_of(d):
            await self._rollback()
            return None
        if self._is_scaling():
            return await self._scale_and_report()
        if math.is_rolling(d):
            return await self._roll()
        return await self._recreate()

    def _check_paused(self) -> None:
        if self.d["spec"].get("progressDeadlineSeconds") is None:
            return
        current = get_condition(self.d["status"], "Progressing")
        if current is not None and current.get("reason") == "ProgressDeadlineExceeded":
            return  # lack of progress, once reported, is not covered up
        paused = bool(self.d["spec"].get("paused"))
        known = current is not None and current.get("reason") == "DeploymentPaused"
        if paused and not known:
            set_condition(
                self.d["status"],
                new_condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", self.now),
            )
        elif not paused and known:
            set_condition(
                self.d["status"],
                new_condition(
                    "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", self.now
                ),
            )

    def _is_scaling(self) -> bool:
        wanted = str(math.replicas_of(self.d))
        for rs in math.active(self.sets):
            told = meta.annotations_of(rs).get(math.DESIRED)
            if told is not None and told != wanted:
                return True
        return False

    async def _scale_and_report(self) -> float | None:
        new, old = await self._sync_revision(create=False)
        new, old = await self._scale(new, old)
        if self.d["spec"].get("paused") and math.ROLLBACK_TO not in meta.annotations_of(self.d):
            await self._clean_up(old)
        await self._write(math.calculate_status(self.d, _all(new, old), new, self.now))
        return None

    async def _roll(self) -> float | None:
        new, old = await self._sync_revision(create=True)
        assert new is not None
        scaled, new = await self._reconcile_new(new, old)
        if not scaled:
            scaled, old = await self._reconcile_old(new, old)
        if not scaled and math.is_complete(self.d, self.d["status"]):
            await self._clean_up(old)
        return await self._report(new, old)

    async def _recreate(self) -> float | None:
        new, old = await self._sync_revision(create=False)
        scaled = False
        for position, rs in enumerate(old):
            if math.replicas_of(rs) > 0:
                old[position] = await self._resize(rs, 0)
                scaled = True
        if scaled or self._old_pods_running(old):
            return await self._report(new, old)
        if new is None:
            new, old = await self._sync_revision(create=True)
            assert new is not None
        new = await self._resize(new, math.replicas_of(self.d))
        if math.is_complete(self.d, self.d["status"]):
            await self._clean_up(old)
        return await self._report(new, old)

    def _old_pods_running(self, old: Sequence[Obj]) -> bool:
        if math.status_total(old, "replicas") > 0:
            return True
        return any(not is_finished(pod) for pod in self.controller.pods_of(old))

    # -- revisions

    async def _sync_revision(self, *, create: bool) -> tuple[Obj | None, list[Obj]]:
        """The new ReplicaSet (made when asked) and the old ones, with revisions set."""
        new = math.find_new(self.d, self.sets)
        old = math.find_old(self.sets, new)
        number = math.max_revision(old) + 1
        if new is not None:
            return await self._adopt_revision(new, number), old
        if not create:
            return None, old
        new = await self._create(old, number)
        self.sets = [*self.sets, new]
        return new, old

    async def _adopt_revision(self, new: Obj, number: int) -> Obj:
        changed = meta.copy(new)
        d = self.d
        needed = math.set_new_annotations(d, changed, number, exists=True)
        min_ready = d["spec"].get("minReadySeconds") or 0
        if needed or (changed["spec"].get("minReadySeconds") or 0) != min_ready:
            changed["spec"]["minReadySeconds"] = min_ready
            new = await self.client.update(changed)
            self._replace(new)
        self._set_revision(meta.annotations_of(new).get(math.REVISION, str(number)))
        if math.has_deadline(d) and get_condition(d["status"], "Progressing") is None:
            set_condition(
                d["status"],
                new_condition(
                    "Progressing",
                    "True",
                    "FoundNewReplicaSet",
                    f'Found new replica set "{name_of(new)}"',
                    self.now,
                ),
            )
        return new

    def _set_revision(self, number: str) -> None:
        self.d["metadata"].setdefault("annotations", {})[math.REVISION] = number

    async def _create(self, old: list[Obj], number: int) -> Obj:
        d = self.d
        wanted = math.new_replica_set(d, old, number)
        size = math.replicas_of(wanted)
        existed = False
        try:
            made = await self.client.create(wanted, namespace_of(d))
        except StatusError as error:
            if error.reason == "AlreadyExists":
                made = await self._existing(wanted)
                existed = True
            else:
                if not namespace_terminating(error):
                    await self._creation_failed(wanted, error)
                raise
        if not existed and size > 0:
            self._say("up", made, 0, size)
        self._set_revision(str(max(number, math.revision(made))))
        if not existed and math.has_deadline(d):
            set_condition(
                d["status"],
                new_condition(
                    "Progressing",
                    "True",
                    "NewReplicaSetCreated",
                    f'Created new replica set "{name_of(made)}"',
                    self.now,
                ),
            )
        return made

    async def _existing(self, wanted: Obj) -> Obj:
        """What holds the name: our own set that the cache has not shown yet, or a collision of hashes."""
        found = await self.client.get(SETS, name_of(wanted), namespace_of(wanted))
        reference = controller_of(found)
        ours = reference is not None and reference.get("uid") == uid_of(self.d)
        if ours and math.same_template(found["spec"]["template"], self.d["spec"]["template"]):
            return found
        self.d["status"]["collisionCount"] = int(self.d["status"].get("collisionCount") or 0) + 1
        await self.client.update_status(self.d)
        raise StatusError(409, "Conflict", f'replica set name "{name_of(wanted)}" is taken: trying another')

    async def _creation_failed(self, wanted: Obj, error: StatusError) -> None:
        message = f'Failed to create new replica set "{name_of(wanted)}": {error.message}'
        self.recorder.event(self.d, "Warning", "ReplicaSetCreateError", message)
        if math.has_deadline(self.d):
            status = meta.copy(self.d["status"])
            set_condition(
                status,
                new_condition("Progressing", "False", "ReplicaSetCreateError", message, self.now),
            )
            await self._write(status)

    # -- sizes

    async def _reconcile_new(self, new: Obj, old: list[Obj]) -> tuple[bool, Obj]:
        wanted, size = math.replicas_of(self.d), math.replicas_of(new)
        if size == wanted:
            return False, new
        target = wanted if size > wanted else math.new_replicas(self.d, [*old, new], new)
        updated = await self._resize(new, target)
        return target != size, updated

    async def _reconcile_old(self, new: Obj, old: list[Obj]) -> tuple[bool, list[Obj]]:
        if not math.active(old):
            return False, old
        minimum = math.replicas_of(self.d) - math.max_unavailable(self.d)
        missing = math.replicas_of(new) - math.status_of(new, "availableReplicas")
        budget = math.spec_total([*old, new]) - minimum - missing
        if budget <= 0:
            return False, old
        old = sorted(old, key=math.made)
        cut = 0
        for position, rs in enumerate(old):  # pods that do not serve anyway go first
            size = math.replicas_of(rs)
            unhealthy = size - math.status_of(rs, "availableReplicas")
            if cut >= budget or size == 0 or unhealthy <= 0:
                continue
            count = min(budget - cut, unhealthy)
            old[position] = await self._resize(rs, size - count)
            cut += count
        spare = math.status_total([*old, new], "availableReplicas") - minimum
        taken = 0
        for position, rs in enumerate(old):
            size = math.replicas_of(rs)
            if taken >= spare or size == 0:
                continue
            count = min(size, spare - taken)
            old[position] = await self._resize(rs, size - count)
            taken += count
        return cut + taken > 0, old

    async def _scale(self, new: Obj | None, old: list[Obj]) -> tuple[Obj | None, list[Obj]]:
        d = self.d
        only = math.find_active_or_latest(new, old)
        if only is not None:
            await self._resize(only, math.replicas_of(d))
        elif math.is_saturated(d, new):
            for rs in math.active(old):
                await self._resize(rs, 0)
        elif math.is_rolling(d):
            for rs, size in math.proportional_sizes(d, _all(new, old)):
                await self._resize(rs, size)
        fresh = {uid_of(rs): rs for rs in self.sets}
        return (
            fresh.get(uid_of(new), new) if new is not None else None,
            [fresh.get(uid_of(rs), rs) for rs in old],
        )

    async def _resize(self, rs: Obj, size: int) -> Obj:
        before = math.replicas_of(rs)
        told = math.replicas_annotations(self.d)
        known = meta.annotations_of(rs)
        if before == size and all(known.get(key) == value for key, value in told.items()):
            return rs
        changed = meta.copy(rs)
        changed["spec"]["replicas"] = size
        changed["metadata"].setdefault("annotations", {}).update(told)
        updated = await self.client.update(changed)
        if before != size:
            self._say("up" if before < size else "down", updated, before, size)
        self._replace(updated)
        return updated

    def _say(self, direction: str, rs: Obj, before: int, after: int) -> None:
        self.recorder.event(
            self.d,
            "Normal",
            "ScalingReplicaSet",
            f"Scaled {direction} replica set {name_of(rs)} from {before} to {after}",
        )

    def _replace(self, updated: Obj) -> None:
        uid = uid_of(updated)
        self.sets = [updated if uid_of(rs) == uid else rs for rs in self.sets]

    async def _clean_up(self, old: Sequence[Obj]) -> None:
        for rs in math.to_clean_up(self.d, old, is_deleting):
            try:
                await self.client.delete(
                    SETS, name_of(rs), namespace_of(rs), uid=uid_of(rs), propagation_policy="Background"
                )
            except StatusError as error:
                if error.code != 404:
                    raise

    # -- status

    async def _report(self, new: Obj | None, old: Sequence[Obj]) -> float | None:
        status = math.progress_status(self.d, _all(new, old), new, self.now)
        await self._write(status)
        return self._look_again(status)

    def _look_again(self, status: Obj) -> float | None:
        """When to check the deadline (``requeueStuckDeployment``): nothing else would wake us then."""
        condition = get_condition(status, "Progressing")
        if not math.has_deadline(self.d) or condition is None:
            return None
        if math.is_complete(self.d, status) or condition.get("reason") in (
            "ProgressDeadlineExceeded",
            "NewReplicaSetAvailable",
        ):
            return None
        left = (math.deadline_of(self.d, condition) - self.now).total_seconds()
        return max(left, 0.0) + 1.0

    async def _write(self, status: Obj) -> None:
        before = self.stored.get("status") or {}
        same_revision = meta.annotations_of(self.stored).get(math.REVISION) == meta.annotations_of(
            self.d
        ).get(math.REVISION)
        if status == before and same_revision:
            return
        self.d["status"] = status
        await self.client.update_status(self.d)

    # -- rollback, as asked by the annotation that extensions/v1beta1 left behind

    async def _rollback(self) -> None:
        await self._sync_revision(create=False)
        d = self.d
        text = meta.annotations_of(d)[math.ROLLBACK_TO]
        target = int(text) if text.isdigit() else 0
        if target == 0:
            known = sorted({math.revision(rs) for rs in self.sets if math.revision(rs)}, reverse=True)
            target = known[1] if len(known) > 1 else 0
            if not target:
                self._rollback_event(
                    "Warning", "DeploymentRollbackRevisionNotFound", "Unable to find last revision."
                )
        found = next((rs for rs in self.sets if target and math.revision(rs) == target), None)
        if found is None:
            if target:
                self._rollback_event(
                    "Warning",
                    "DeploymentRollbackRevisionNotFound",
                    "Unable to find the revision to rollback to.",
                )
        elif math.same_template(found["spec"]["template"], d["spec"]["template"]):
            self._rollback_event(
                "Warning",
                "DeploymentRollbackTemplateUnchanged",
                f'The rollback revision contains the same template as current deployment "{name_of(d)}"',
            )
        else:
            template = meta.copy(found["spec"]["template"])
            template.get("metadata", {}).get("labels", {}).pop(math.HASH_LABEL, None)
            d["spec"]["template"] = template
            annotations = d["metadata"].setdefault("annotations", {})
            kept = {key: value for key, value in annotations.items() if key in math.SKIPPED}
            theirs = {k: v for k, v in meta.annotations_of(found).items() if k not in math.SKIPPED}
            d["metadata"]["annotations"] = {**kept, **theirs}
            self._rollback_event(
                "Normal",
                "DeploymentRollback",
                f'Rolled back deployment "{name_of(d)}" to revision {target}',
            )
        d["metadata"]["annotations"].pop(math.ROLLBACK_TO, None)
        await self.client.update(d)

    def _rollback_event(self, kind: str, reason: str, message: str) -> None:
        self.recorder.event(self.d, kind, reason, message)


def _all(new: Obj | None, old: Sequence[Obj]) -> list[Obj]:
    return [*old, new] if new is not None else list(old)
