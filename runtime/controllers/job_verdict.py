"""How far a Job has come, and whether that settles it. Pure functions of one sync's :class:`State`.

After ``job/job_controller.go`` (``syncJob``, up to where it starts to change things).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from runtime.objects import meta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj
from runtime.objects.meta import uid_of

from .job_math import (
    backoff_limit,
    has_failed,
    has_tracking,
    index_failures,
    index_of,
    is_indexed,
    last_failures,
    match_failure_policy,
    match_success_policy,
    parse_indexes,
    past_restarts,
)
from .pods import phase


@dataclass(slots=True)
class Verdict:
    """A condition the job has earned."""

    kind: str
    reason: str
    message: str


@dataclass(slots=True)
class State:
    """One sync's working notes."""

    job: Obj
    pods: list[Obj]
    status: Obj
    active: list[Obj]
    now: datetime
    succeeded: int = 0
    failed: int = 0
    succeeded_indexes: list[int] = field(default_factory=list)
    failed_indexes: list[int] = field(default_factory=list)
    delayed: dict[int, Obj] = field(default_factory=dict)
    """Index → the failed pod that is kept until another one takes its place."""
    removed: set[str] = field(default_factory=set)
    """Uids of the pods that this sync deleted."""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    again: float | None = None


def count(state: State) -> None:
    """What has ended so far: the status, plus what is not counted yet."""
    job, status = state.job, state.status
    uncounted = status.get("uncountedTerminatedPods") or {}
    known_good, known_bad = set(uncounted.get("succeeded") or ()), set(uncounted.get("failed") or ())
    state.succeeded = int(status.get("succeeded") or 0) + len(known_good)
    state.failed = int(status.get("failed") or 0) + len(known_bad)
    completions = int(job["spec"].get("completions") or 0)
    if is_indexed(job):
        done = set(parse_indexes(status.get("completedIndexes") or "", completions))
        bad = set(parse_indexes(status.get("failedIndexes") or "", completions))
        per_index = job["spec"].get("backoffLimitPerIndex")
        for pod in state.pods:
            index = index_of(pod)
            if not 0 <= index < completions or not has_tracking(pod):
                continue
            if phase(pod) == "Succeeded":
                done.add(index)
            elif per_index is not None and has_failed(job, pod):
                action, _ = match_failure_policy(job, pod)
                failures = index_failures(pod)[0]
                if action == "FailIndex" or (action != "Ignore" and failures >= int(per_index)):
                    bad.add(index)
        state.succeeded_indexes, state.failed_indexes = sorted(done), sorted(bad - done)
        if per_index is not None:
            running = {index_of(pod) for pod in state.active}
            state.delayed = last_failures(job, state.pods, done | bad | running)
    for pod in state.pods:
        uid = uid_of(pod)
        if not has_tracking(pod) or uid in known_good or uid in known_bad:
            continue
        if phase(pod) == "Succeeded":
            state.succeeded += 1
        elif has_failed(job, pod) and match_failure_policy(job, pod)[0] != "Ignore":
            state.failed += 1
    if is_indexed(job):
        state.succeeded = len(state.succeeded_indexes)


def verdict(state: State) -> Verdict | None:
    """What the job has earned, if anything: failure first, in upstream's order."""
    job = state.job
    for kind in ("FailureTarget", "SuccessCriteriaMet"):
        earlier = meta.condition(state.job, kind)
        if earlier is not None and earlier["status"] == "True":
            return Verdict(kind, earlier.get("reason", ""), earlier.get("message", ""))
    for pod in state.pods:
        if has_tracking(pod) and has_failed(job, pod):
            action, message = match_failure_policy(job, pod)
            if action == "FailJob":
                return Verdict("FailureTarget", "PodFailurePolicy", message)
    if state.failed > backoff_limit(job) or past_restarts(job, state.pods):
        return Verdict("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    deadline = job["spec"].get("activeDeadlineSeconds")
    start = state.status.get("startTime")
    running = (
        0.0 if not start or job["spec"].get("suspend") else (state.now - parse_time(start)).total_seconds()
    )
    if start and deadline is not None and not job["spec"].get("suspend") and running >= int(deadline):
        return Verdict("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    if is_indexed(job) and job["spec"].get("backoffLimitPerIndex") is not None:
        limit = job["spec"].get("maxFailedIndexes")
        if limit is not None and len(state.failed_indexes) > int(limit):
            return Verdict(
                "FailureTarget",
                "MaxFailedIndexesExceeded",
                "Job has exceeded the specified maximal number of failed indexes",
            )
        done = len(state.failed_indexes) + len(state.succeeded_indexes)
        if state.failed_indexes and done >= int(job["spec"].get("completions") or 0):
            return Verdict("FailureTarget", "FailedIndexes", "Job has failed indexes")
    message = match_success_policy(job, state.succeeded_indexes)
    if message:
        return Verdict("SuccessCriteriaMet", "SuccessPolicy", message)
    completions = job["spec"].get("completions")
    if completions is None:
        complete = state.succeeded > 0 and not state.active
    else:
        complete = state.succeeded >= int(completions) and not (is_indexed(job) and state.failed_indexes)
    if complete:
        return Verdict(
            "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"
        )
    return None
