"""Jobs: pods that run to their end, counted exactly once each.

After ``job/{job_controller,tracking_utils}.go``. Every pod carries a finalizer until it is counted: first its uid
goes into ``status.uncountedTerminatedPods``, then the finalizer is lifted, then the uid becomes part of the count.
So a pod that disappears, or this program, can't make a count wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runtime.client.informer import BY_CONTROLLER, Delta
from runtime.objects import meta
from runtime.objects.clock import format_time, parse_time
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

from . import job_math as math
from .context import BaseController, Context, namespace_terminating
from .expectations import Expectations
from .job_verdict import State, Verdict, count, verdict
from .lookup import ORPHANS, matching_owners, orphan_namespace, owner_key
from .pods import (
    PodControl,
    delete_all,
    gone,
    is_active,
    is_finished,
    is_ready,
    phase,
    pod_from_template,
    slow_start,
)
from .refs import RefManager

RESOURCE = "jobs.batch"
BURST = 500
UNCOUNTED_BATCH = 500


@dataclass(slots=True)
class _Backoff:
    failures: int = 0
    last: datetime | None = None


class JobController(BaseController):
    """Runs Jobs to completion."""

    name = "job"
    workers = 5

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.jobs = context.informers.informer(RESOURCE)
        self.pods = context.informers.pods()
        self.pods.add_index(ORPHANS, orphan_namespace)
        self.expectations = Expectations(context.clock)
        self.control = PodControl(self.client, self.recorder)
        self._backoffs: dict[str, _Backoff] = {}
        self.jobs.add_handler(self._on_jobs)
        self.pods.add_handler(self._on_pods)

    # -- what wakes it

    def _on_jobs(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            key = key_of(delta.obj)
            if delta.new is None:
                self.expectations.forget(key)
                self._backoffs.pop(key, None)
                for pod in self.pods.by_index(BY_CONTROLLER, uid_of(delta.obj)):
                    if math.has_tracking(pod):
                        self.spawn(self._release_orphan(pod))
            self.queue.add(key)

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            pod = new if new is not None else old
            assert pod is not None
            key = owner_key(self.jobs, pod, "Job")
            if old is not None and new is not None and controller_of(old) != controller_of(new):
                before = owner_key(self.jobs, old, "Job")
                if before is not None:
                    self.queue.add(before)
            if key is None:
                self._without_job(old, new)
                continue
            if old is None:
                self.expectations.created(key)
            if new is None or (is_deleting(new) and old is not None and not is_deleting(old)):
                self.expectations.deleted(key, key_of(pod))
            self.queue.add_paced(key, 0.0 if self.expectations.satisfied(key) else 0.05)

    def _without_job(self, old: Obj | None, new: Obj | None) -> None:
        """A pod that no Job here manages: one may adopt it, and else nobody counts it."""
        if new is None:
            return
        reference = controller_of(new)
        owners: list[str] = []
        if reference is None:
            owners = [
                key
                for key in matching_owners(self.jobs, new)
                if (job := self.jobs.get(key)) is not None and not is_deleting(job)
            ]
            if old is None or labels_of(old) != labels_of(new) or controller_of(old) is not None:
                for owner in owners:
                    self.queue.add(owner)
        if (
            not owners
            and math.has_tracking(new)
            and (reference is None or reference.get("kind") == "Job")
            and (old is None or old["metadata"] != new["metadata"] or is_finished(new))
        ):
            self.spawn(self._release_orphan(new))

    async def _release_orphan(self, pod: Obj) -> None:
        """The finalizer of a pod whose job is gone, or that was let go, holds it for nothing."""
        try:
            job = None
            reference = controller_of(pod)
            if reference is not None:
                try:
                    job = await self.client.get(RESOURCE, reference["name"], namespace_of(pod))
                except StatusError as error:
                    if error.code != 404:
                        raise
                if job is not None and uid_of(job) == reference.get("uid"):
                    return
            await self._lift(pod)
        except StatusError:
            pass  # the next event of the pod tries again

    async def _lift(self, pod: Obj) -> None:
        body = {"metadata": {"uid": uid_of(pod), "$deleteFromPrimitiveList/finalizers": [math.TRACKING]}}
        try:
            await self.client.patch("pods", name_of(pod), namespace_of(pod), body, type="strategic")
        except StatusError as error:
            if error.code not in (404, 409, 422):
                raise

    # -- sync

    async def sync(self, key: str) -> float | None:
        """One step of one Job (``syncJob``)."""
        job = self.jobs.get(key)
        if job is None:
            self.expectations.forget(key)
            return None
        if (job["spec"].get("managedBy") or "kubernetes.io/job-controller") != "kubernetes.io/job-controller":
            return None
        if _finished(job):
            for pod in self.pods.by_index(BY_CONTROLLER, uid_of(job)):
                if math.has_tracking(pod) and (is_finished(pod) or is_deleting(pod)):
                    await self._lift(pod)
            return None
        selector = label_selector(job["spec"].get("selector"))
        candidates = [
            *self.pods.by_index(BY_CONTROLLER, uid_of(job)),
            *self.pods.by_index(ORPHANS, namespace_of(job)),
        ]
        claims = RefManager(self.client, job, RESOURCE, selector.matches, "pods", finalizers=[math.TRACKING])
        pods = await claims.claim(candidates)
        now = self.clock.now()
        status = meta.copy(job.get("status") or {})
        active = [pod for pod in pods if is_active(pod)]
        state = State(job, pods, status, active, now)
        count(state)
        suspended = bool(job["spec"].get("suspend"))
        if "startTime" not in status and not suspended:
            status["startTime"] = format_time(now)
        deadline = job["spec"].get("activeDeadlineSeconds")
        earned = verdict(state)
        failure: Exception | None = None
        if earned is not None and earned.kind != "SuccessCriteriaMet":
            failure = await self._remove(key, state, state.active)
        elif earned is not None or suspended or is_deleting(job):
            if not is_deleting(job) and self.expectations.satisfied(key):
                failure = await self._remove(key, state, state.active, uncounted=earned is None)
        elif self.expectations.satisfied(key):
            failure = await self._manage(key, state)
        if not is_deleting(job):
            self._suspension(state, suspended)
        if deadline is not None and not suspended and earned is None and "startTime" in status:
            left = int(deadline) - (now - parse_time(status["startTime"])).total_seconds()
            state.again = (
                min(state.again or left, max(left, 0.0)) if state.again is not None else max(left, 0.0)
            )
        await self._settle(key, state, earned)
        if failure is not None:
            raise failure
        return state.again

    async def _manage(self, key: str, state: State) -> Exception | None:
        """Make or remove pods (``manageJob``)."""
        job = state.job
        wanted = math.wanted_active(job, state.succeeded, len(state.active))
        active = state.active
        if math.is_indexed(job):
            active, extra = self._unique_indexes(state)
            if extra:
                return await self._remove(key, state, extra, uncounted=True)
        surplus = len(active) - wanted
        if surplus > 0:
            active = sorted(active, key=lambda pod: (is_ready(pod), bool(pod["spec"].get("nodeName"))))
            return await self._remove(key, state, active[: min(surplus, BURST)], uncounted=True)
        missing = -surplus
        if math.only_failed_replaced(job):
            missing -= sum(1 for pod in state.pods if is_deleting(pod) and not is_finished(pod))
        if missing <= 0:
            return None
        left = 0.0 if math.has_index_limit(job) else self._backoff(key, state)
        if left > 0:
            state.again = left
            return None
        indexes: list[int | None] = [None] * missing
        if math.is_indexed(job):
            taken = {math.index_of(pod) for pod in active}
            taken |= set(state.succeeded_indexes) | set(state.failed_indexes)
            if math.only_failed_replaced(job):
                taken |= {
                    math.index_of(pod) for pod in state.pods if is_deleting(pod) and not is_finished(pod)
                }
            free = [i for i in range(int(job["spec"].get("completions") or 0)) if i not in taken]
            indexes = list(free[:missing])
            if math.has_index_limit(job):
                waits = {i: self._index_backoff(state, i) for i in free[:missing]}
                indexes = [i for i, seconds in waits.items() if seconds <= 0]
                state.again = min((seconds for seconds in waits.values() if seconds > 0), default=None)
        return await self._create(key, state, indexes[:BURST])

    def _unique_indexes(self, state: State) -> tuple[list[Obj], list[Obj]]:
        """Active pods with a wanted index of their own, and those too many."""
        completions = int(state.job["spec"].get("completions") or 0)
        done = set(state.succeeded_indexes) | set(state.failed_indexes)
        kept: list[Obj] = []
        extra: list[Obj] = []
        for pod in sorted(
            state.active, key=lambda p: (not is_ready(p), p["metadata"].get("creationTimestamp") or "")
        ):
            index = math.index_of(pod)
            if 0 <= index < completions and index not in done:
                done.add(index)
                kept.append(pod)
            else:
                extra.append(pod)
        return kept, extra

    def _backoff(self, key: str, state: State) -> float:
        """Failures since the last success decide how long to wait."""
        record = self._backoffs.setdefault(key, _Backoff())
        last_success = max(
            (
                moment
                for pod in state.pods
                if phase(pod) == "Succeeded" and (moment := math.finished_at(pod)) is not None
            ),
            default=None,
        )
        failures = [
            moment
            for pod in state.pods
            if math.has_failed(state.job, pod)
            and (moment := math.finished_at(pod)) is not None
            and (last_success is None or moment > last_success)
        ]
        record.failures = len(failures)
        record.last = max(failures, default=None)
        return math.backoff_left(record.failures, record.last, state.now)

    @staticmethod
    def _index_backoff(state: State, index: int) -> float:
        """The same for one index that has a limit of its own."""
        last = state.delayed.get(index)
        if last is None:
            return 0.0
        failures = sum(math.index_failures(last)) + 1
        return math.backoff_left(failures, math.finished_at(last), state.now)

    async def _create(self, key: str, state: State, indexes: Sequence[int | None]) -> Exception | None:
        job = state.job
        reference = controller_reference(job)
        shared = None if math.is_indexed(job) else math.pod_template(job, None)
        per_index = math.has_index_limit(job)
        self.expectations.expect_creations(key, len(indexes))

        async def create(position: int) -> None:
            index = indexes[position]
            template = shared
            if template is None:
                failures = math.failures_after(job, state.delayed.get(index or 0)) if per_index else None
                template = math.pod_template(job, index, failures)
            pod = pod_from_template(template, job, reference)
            if index is not None:
                pod["metadata"]["generateName"] = f"{name_of(job)}-{index}-"
            try:
                made = await self.control.create(pod, job)
            except StatusError as error:
                if not namespace_terminating(error):
                    raise
                self.expectations.created(key)
            else:
                state.active.append(made)

        done, failure = await slow_start(len(indexes), create)
        for _ in range(len(indexes) - done):
            self.expectations.created(key)
        return failure

    async def _remove(
        self, key: str, state: State, pods: Sequence[Obj], *, uncounted: bool = False
    ) -> Exception | None:
        """Delete pods; ``uncounted`` ones are none of the job's failures, so their finalizers go first."""
        pods = [pod for pod in pods if not is_deleting(pod)]
        if not pods:
            return None
        self.expectations.expect_deletions(key, [key_of(pod) for pod in pods])
        if uncounted:
            await asyncio.gather(*(self._lift(pod) for pod in pods if math.has_tracking(pod)))
        failures = await delete_all(self.control, pods, state.job)
        for pod_key, _ in failures:
            self.expectations.deleted(key, pod_key)
        kept = {pod_key for pod_key, error in failures if not gone(error)}
        state.removed |= {uid_of(pod) for pod in pods if key_of(pod) not in kept}
        state.active = [pod for pod in state.active if uid_of(pod) not in state.removed]
        return next((error for _, error in failures if not gone(error)), None)

    # -- status

    def _suspension(self, state: State, suspended: bool) -> None:
        known = next((c for c in state.status.get("conditions") or () if c["type"] == "Suspended"), None)
        was = known is not None and known["status"] == "True"
        if suspended and not was:
            self._set(state, "Suspended", "True", "JobSuspended", "Job suspended")
            state.events.append(("Normal", "Suspended", "Job suspended"))
        elif not suspended and was:
            self._set(state, "Suspended", "False", "JobResumed", "Job resumed")
            state.status["startTime"] = format_time(state.now)
            state.events.append(("Normal", "Resumed", "Job resumed"))

    def _set(self, state: State, kind: str, status: str, reason: str, message: str) -> None:
        moment = format_time(state.now)
        conditions = [c for c in state.status.get("conditions") or () if c["type"] != kind]
        conditions.append(
            {
                "type": kind,
                "status": status,
                "lastProbeTime": moment,
                "lastTransitionTime": moment,
                "reason": reason,
                "message": message,
            }
        )
        state.status["conditions"] = conditions

    async def _settle(self, key: str, state: State, earned: Verdict | None) -> None:
        """Count what ended, lift finalizers, and say how the job stands (``trackJobStatusAndRemoveFinalizers``)."""
        job, status = state.job, state.status
        terminating = sum(
            1
            for pod in state.pods
            if (is_deleting(pod) or uid_of(pod) in state.removed) and not is_finished(pod)
        )
        ready = sum(1 for pod in state.active if is_ready(pod))
        status["active"], status["ready"], status["terminating"] = len(state.active), ready, terminating
        if not status["active"]:
            del status["active"]
        uncounted = status.get("uncountedTerminatedPods") or {}
        good, bad = list(uncounted.get("succeeded") or ()), list(uncounted.get("failed") or ())
        by_uid = {uid_of(pod): pod for pod in state.pods}
        # second half of the last round: whose finalizer is off, or who is gone, is counted for good
        settled_good = [uid for uid in good if uid not in by_uid or not math.has_tracking(by_uid[uid])]
        settled_bad = [uid for uid in bad if uid not in by_uid or not math.has_tracking(by_uid[uid])]
        good = [uid for uid in good if uid not in settled_good]
        bad = [uid for uid in bad if uid not in settled_bad]
        if settled_bad:
            status["failed"] = int(status.get("failed") or 0) + len(settled_bad)
        if not math.is_indexed(job) and settled_good:
            status["succeeded"] = int(status.get("succeeded") or 0) + len(settled_good)
        ended = earned is not None and not state.active
        over = ended and earned is not None and earned.kind == "FailureTarget"
        delayed = {uid_of(pod) for pod in state.delayed.values()} if earned is None else set()
        to_lift: list[Obj] = []
        for pod in state.pods:
            if not math.has_tracking(pod):
                continue
            uid = uid_of(pod)
            if uid in good or uid in bad:
                to_lift.append(pod)
                continue
            if uid in delayed and not is_deleting(job):
                continue
            if len(good) + len(bad) >= UNCOUNTED_BATCH:
                break
            if phase(pod) == "Succeeded":
                if not math.is_indexed(job):
                    good.append(uid)
                to_lift.append(pod)
            elif over or (math.has_failed(job, pod) and not (ended and phase(pod) != "Failed")):
                # of a failed job, whatever did not succeed has failed; of another what failed by itself
                if math.match_failure_policy(job, pod)[0] != "Ignore":
                    bad.append(uid)
                to_lift.append(pod)
            elif ended or (is_deleting(job) and is_deleting(pod)):  # nobody needs its outcome any more
                to_lift.append(pod)
        if math.is_indexed(job):
            indexes = math.format_indexes(state.succeeded_indexes)
            if indexes:
                status["completedIndexes"] = indexes
            if state.succeeded_indexes:
                status["succeeded"] = len(state.succeeded_indexes)
            if job["spec"].get("backoffLimitPerIndex") is not None:
                status["failedIndexes"] = math.format_indexes(state.failed_indexes)
        status["uncountedTerminatedPods"] = {
            name: uids for name, uids in (("succeeded", good), ("failed", bad)) if uids
        }
        if earned is not None:
            known = meta.condition(job, earned.kind)
            if known is None or known["status"] != "True":
                self._set(state, earned.kind, "True", earned.reason, earned.message)
            if not terminating and not state.active and not to_lift and not good and not bad:
                self._finish(state, earned)
        if status != (job.get("status") or {}):
            await self.client.update_status({**job, "status": status})
            for event in state.events:
                self.recorder.event(job, *event)
        if to_lift:
            await asyncio.gather(*(self._lift(pod) for pod in to_lift))

    def _finish(self, state: State, earned: Verdict) -> None:
        if earned.kind == "SuccessCriteriaMet":
            self._set(state, "Complete", "True", earned.reason, earned.message)
            state.status["completionTime"] = format_time(state.now)
            state.events.append(("Normal", "Completed", "Job completed"))
        else:
            self._set(state, "Failed", "True", earned.reason, earned.message)
            state.events.append(("Warning", earned.reason, earned.message))


def _finished(job: Obj) -> bool:
    return meta.is_true(job, "Complete") or meta.is_true(job, "Failed")
