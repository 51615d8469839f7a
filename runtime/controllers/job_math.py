"""The rules of Jobs, as pure functions: indexes, back-off, failure and success policies.

After ``job/{indexed_job_utils,backoff_utils,pod_failure_policy,success_policy,job_controller}.go``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from runtime.objects import meta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj
from runtime.objects.meta import annotations_of, is_deleting, key_of, name_of

from .pods import phase

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
BACKOFF = 10.0
MAX_BACKOFF = 600.0
UNLIMITED = 2**31 - 1


def is_indexed(job: Obj) -> bool:
    """Whether every pod has a completion index."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def parse_indexes(text: str, limit: int) -> list[int]:
    """``0,2-4`` → [0, 2, 3, 4]; what is at or above ``limit`` is left out."""
    found: list[int] = []
    for part in text.split(","):
        if not part:
            continue
        first, _, last = part.partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            continue
        found.extend(range(low, min(high, limit - 1) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """[0, 2, 3, 4] → ``0,2-4``."""
    parts: list[str] = []
    ordered = sorted(set(indexes))
    position = 0
    while position < len(ordered):
        end = position
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        first, last = ordered[position], ordered[end]
        parts.append(
            str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}"
        )
        position = end + 1
    return ",".join(parts)


def index_of(pod: Obj) -> int:
    """The pod's completion index, -1 without one."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def has_tracking(pod: Obj) -> bool:
    """Whether the pod still waits to be counted."""
    return TRACKING in meta.finalizers_of(pod)


def has_failed(job: Obj, pod: Obj) -> bool:
    """Whether the pod counts as failed: it failed, or it is going before it finished."""
    if phase(pod) == "Failed":
        return True
    if only_failed_replaced(job):
        return False
    return is_deleting(pod) and phase(pod) != "Succeeded"


def only_failed_replaced(job: Obj) -> bool:
    """Whether a pod that is on its way out is only replaced when it is gone (``podReplacementPolicy: Failed``)."""
    return bool(job["spec"].get("podReplacementPolicy") == "Failed" or job["spec"].get("podFailurePolicy"))


def past_restarts(job: Obj, pods: Iterable[Obj]) -> bool:
    """With ``restartPolicy: OnFailure``: whether restarts in place have reached the back-off limit."""
    if (job["spec"]["template"]["spec"].get("restartPolicy")) != "OnFailure":
        return False
    limit = backoff_limit(job)
    restarts = 0
    for pod in pods:
        if phase(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            for entry in (
                *(status.get("initContainerStatuses") or ()),
                *(status.get("containerStatuses") or ()),
            ):
                restarts += int(entry.get("restartCount") or 0)
    return restarts > 0 if limit == 0 else restarts >= limit


def backoff_limit(job: Obj) -> int:
    """``spec.backoffLimit``; 6 where it is left out."""
    value = job["spec"].get("backoffLimit")
    return 6 if value is None else int(value)


def finished_at(pod: Obj) -> datetime | None:
    """When the pod ended: with its last container, else when it was no longer ready or was told to go."""
    status = pod.get("status") or {}
    sidecars = {
        c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"
    }
    entries = [
        *(status.get("containerStatuses") or ()),
        *(entry for entry in status.get("initContainerStatuses") or () if entry["name"] in sidecars),
    ]
    ends = [((entry.get("state") or {}).get("terminated") or {}).get("finishedAt") for entry in entries]
    if ends and None not in ends:
        return max(parse_time(end) for end in ends if end)
    ready = meta.condition(pod, "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_time(ready["lastTransitionTime"])
    if is_deleting(pod):
        grace = int(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        return parse_time(pod["metadata"]["deletionTimestamp"]) - timedelta(seconds=grace)
    return meta.created_at(pod)


def backoff_left(failures: int, last_failure: datetime | None, now: datetime) -> float:
    """Seconds until the next pod may be made: 10 s doubling up to 10 min after each failure in a row."""
    if failures <= 0 or last_failure is None:
        return 0.0
    delay = min(BACKOFF * (1 << min(failures - 1, 20)), MAX_BACKOFF)
    return max(0.0, delay - (now - last_failure).total_seconds())


def has_index_limit(job: Obj) -> bool:
    """Whether every index has a back-off limit of its own."""
    return is_indexed(job) and job["spec"].get("backoffLimitPerIndex") is not None


def index_failures(pod: Obj) -> tuple[int, int]:
    """(failures that count, failures that were ignored) of a pod's index before the pod itself."""
    known = annotations_of(pod)
    return int(known.get(INDEX_FAILURES) or 0), int(known.get(INDEX_IGNORED) or 0)


def failures_after(job: Obj, pod: Obj | None) -> tuple[int, int]:
    """The same for the pod that takes the place of ``pod``, which failed; None for the first of its index."""
    if pod is None:
        return 0, 0
    counted, ignored = index_failures(pod)
    if match_failure_policy(job, pod)[0] == "Ignore":
        return counted, ignored + 1
    return counted + 1, ignored


def last_failures(job: Obj, pods: Iterable[Obj], settled: Collection[int]) -> dict[int, Obj]:
    """Index → its last failed pod, for indexes not ``settled``: it tells how often and when the index failed.

    Such a pod keeps its finalizer until another one carries the number on (``getPodsWithDelayedDeletionPerIndex``).
    """
    found: dict[int, Obj] = {}
    for pod in pods:
        index = index_of(pod)
        if index < 0 or index in settled or not has_tracking(pod) or not has_failed(job, pod):
            continue
        known = found.get(index)
        if known is None or sum(index_failures(known)) <= sum(index_failures(pod)):
            found[index] = pod
    return found


def wanted_active(job: Obj, succeeded: int, active: int) -> int:
    """How many pods should be running now."""
    parallelism = int(job["spec"].get("parallelism", 1))
    completions = job["spec"].get("completions")
    if completions is None:
        return min(active, parallelism) if succeeded > 0 else parallelism
    return max(0, min(int(completions) - succeeded, parallelism))


def _requirement_holds(values: Sequence[int], operator: str, code: int) -> bool:
    return (code in values) == (operator == "In")


def match_failure_policy(job: Obj, pod: Obj) -> tuple[str, str]:
    """The action of the first rule that fits a failed pod, and the sentence for FailJob; empty when none does."""
    policy = job["spec"].get("podFailurePolicy") or {}
    status = pod.get("status") or {}
    for number, rule in enumerate(policy.get("rules") or ()):
        codes = rule.get("onExitCodes")
        if codes:
            for entry in (
                *(status.get("containerStatuses") or ()),
                *(status.get("initContainerStatuses") or ()),
            ):
                if codes.get("containerName") and entry.get("name") != codes["containerName"]:
                    continue
                terminated = (entry.get("state") or {}).get("terminated")
                if not terminated or int(terminated.get("exitCode") or 0) == 0:
                    continue
                code = int(terminated["exitCode"])
                if _requirement_holds(codes.get("values") or (), codes.get("operator", "In"), code):
                    return rule["action"], (
                        f"Container {entry.get('name', '')} for pod {key_of(pod)} failed with exit code {code} "
                        f"matching {rule['action']} rule at index {number}"
                    )
        for pattern in rule.get("onPodConditions") or ():
            found = meta.condition(pod, pattern.get("type", ""))
            if found is not None and found["status"] == pattern.get("status", "True"):
                return rule["action"], (
                    f"Pod {key_of(pod)} has condition {pattern['type']} matching {rule['action']} "
                    f"rule at index {number}"
                )
    return "", ""


def match_success_policy(job: Obj, succeeded: Sequence[int]) -> str:
    """The sentence for the first success rule that holds, or nothing."""
    completions = int(job["spec"].get("completions") or 0)
    done = set(succeeded)
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        indexes = rule.get("succeededIndexes")
        among = set(parse_indexes(indexes, completions)) if indexes else set(range(completions))
        count = rule.get("succeededCount")
        good = among & done
        if (count is not None and len(good) >= int(count)) or (count is None and good == among):
            return f"Matched rules at index {number}"
    return ""


def pod_template(job: Obj, index: int | None, failures: tuple[int, int] | None = None) -> Obj:
    """The job's template with what tracking and (for an indexed job) the index add; its own copy."""
    template = meta.copy(job["spec"]["template"])
    metadata = template.setdefault("metadata", {})
    metadata["finalizers"] = [*(metadata.get("finalizers") or ()), TRACKING]
    if index is None:
        return template
    metadata.setdefault("annotations", {})[INDEX] = str(index)
    metadata.setdefault("labels", {})[INDEX] = str(index)
    if failures is not None:
        metadata["annotations"][INDEX_FAILURES] = str(failures[0])
        if failures[1]:
            metadata["annotations"][INDEX_IGNORED] = str(failures[1])
    spec = template["spec"]
    spec["hostname"] = f"{name_of(job)}-{index}"
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        env = container.setdefault("env", [])
        if not any(entry.get("name") == "JOB_COMPLETION_INDEX" for entry in env):
            env.append(
                {
                    "name": "JOB_COMPLETION_INDEX",
                    "valueFrom": {
                        "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}
                    },
                }
            )
    return template
