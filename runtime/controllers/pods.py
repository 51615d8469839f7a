"""Questions about pods, and making and removing them, as every workload controller needs it.

After ``controller_utils.go`` and ``api/v1/pod/util.go``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import cmp_to_key
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from runtime.client.recorder import EventRecorder
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import annotations_of, is_deleting, key_of, name_of, uid_of

from .context import namespace_terminating

if TYPE_CHECKING:
    from runtime.client.client import Client

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def phase(pod: Obj) -> str:
    """``status.phase``; Pending for a pod without one."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_finished(pod: Obj) -> bool:
    """Whether the pod succeeded or failed: nothing of it runs any more."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Obj) -> bool:
    """Whether the pod counts as a replica: not finished and not being deleted."""
    return "deletionTimestamp" not in pod["metadata"] and not is_finished(pod)


def ready_condition(pod: Obj) -> Obj | None:
    """The Ready condition, if there is one."""
    for entry in (pod.get("status") or {}).get("conditions") or ():
        if entry["type"] == "Ready":
            found: Obj = entry
            return found
    return None


def is_ready(pod: Obj) -> bool:
    """Whether the Ready condition is True."""
    entry = ready_condition(pod)
    return entry is not None and entry["status"] == "True"


def available_in(pod: Obj, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the pod was ready for ``min_ready_seconds``: 0 when it is available, None when not ready."""
    entry = ready_condition(pod)
    if entry is None or entry["status"] != "True":
        return None
    if min_ready_seconds <= 0:
        return 0.0
    since = entry.get("lastTransitionTime")
    if not since:
        return None
    return max(0.0, (parse_time(since) + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def is_available(pod: Obj, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for ``min_ready_seconds``."""
    return available_in(pod, min_ready_seconds, now) == 0.0


def _restarts(pod: Obj) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(entry.get("restartCount") or 0) for entry in statuses), default=0)


def _deletion_cost(pod: Obj) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, 0))
    except ValueError:
        return 0


def _age_bucket(moment: datetime, now: datetime) -> int:
    nanoseconds = (now - moment).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


class _Rank(NamedTuple):
    """What the order of deletion is made of, read from a pod once and not at every comparison."""

    first: tuple[bool, int, bool, int, int]
    """Without a node first, then by phase, not ready first, cheaper first, on crowded nodes first."""
    ready_since: str
    ready_age: int
    restarts: int
    made: str
    age: int
    uid: str


_PHASE_RANK = {"Pending": 0, "Unknown": 1, "Running": 2}


def _rank(pod: Obj, colocated: int, now: datetime) -> _Rank:
    ready = ready_condition(pod) or {}
    since = str(ready.get("lastTransitionTime") or "") if ready.get("status") == "True" else ""
    made = str(pod["metadata"].get("creationTimestamp") or "")
    return _Rank(
        (
            bool(pod["spec"].get("nodeName")),
            _PHASE_RANK.get(phase(pod), 0),
            ready.get("status") == "True",
            _deletion_cost(pod),
            -colocated,
        ),
        since,
        _age_bucket(parse_time(since), now) if since else 0,
        _restarts(pod),
        made,
        _age_bucket(parse_time(made), now) if made else 0,
        uid_of(pod),
    )


def _newer_first(one: str, other: str, age: int, other_age: int, uid: str, other_uid: str) -> int:
    """Newer first, in powers of two so that pods of about the same age are chosen among at random (by uid)."""
    if not one or not other:
        return -1 if not one and other else int(bool(one) and not other)
    return (age - other_age) or (-1 if uid < other_uid else 1)


def _compare(one: _Rank, other: _Rank) -> int:
    if one.first != other.first:
        return -1 if one.first < other.first else 1
    if one.first[2] and one.ready_since != other.ready_since:
        return _newer_first(
            one.ready_since, other.ready_since, one.ready_age, other.ready_age, one.uid, other.uid
        )
    if one.restarts != other.restarts:
        return other.restarts - one.restarts
    if one.made != other.made:
        return _newer_first(one.made, other.made, one.age, other.age, one.uid, other.uid)
    return 0


def by_deletion_rank(pods: Sequence[Obj], colocated: Callable[[Obj], int], now: datetime) -> list[Obj]:
    """The pods in the order in which scaling down takes them (``ActivePodsWithRanks``).

    Args:
        pods: active pods of one owner.
        colocated: how many related active pods share the pod's node.
        now: the moment ages are counted from.
    """
    order = cmp_to_key(_compare)
    ranked = [(order(_rank(pod, colocated(pod), now)), pod) for pod in pods]
    ranked.sort(key=itemgetter(0))
    return [pod for _, pod in ranked]


def pod_from_template(template: Obj, owner: Obj, reference: Obj) -> Obj:
    """A pod as the template says, to be owned by ``owner``. The spec is shared with the template, not copied."""
    meta = template.get("metadata") or {}
    made: Obj = {
        "generateName": f"{name_of(owner)}-",
        "namespace": owner["metadata"].get("namespace", ""),
        "ownerReferences": [reference],
    }
    if meta.get("labels"):
        made["labels"] = dict(meta["labels"])
    if meta.get("annotations"):
        made["annotations"] = dict(meta["annotations"])
    if meta.get("finalizers"):
        made["finalizers"] = list(meta["finalizers"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template["spec"]}


class PodControl:
    """Creates and deletes pods on behalf of an owner, and says so in events about the owner."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def create(self, pod: Obj, owner: Obj) -> Obj:
        """Create ``pod``.

        Raises:
            StatusError: it was refused; an event about ``owner`` says why.
        """
        try:
            made = await self._client.create(pod, owner["metadata"].get("namespace", ""))
        except StatusError as error:
            if not namespace_terminating(error):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(made)}")
        return made

    async def delete(self, pod: Obj, owner: Obj) -> None:
        """Delete ``pod``. A pod that is gone or on its way already is no failure.

        Raises:
            StatusError: it was refused (404 included, so that the caller stops expecting a deletion).
        """
        if is_deleting(pod):
            return
        try:
            await self._client.delete(
                "pods", name_of(pod), pod["metadata"].get("namespace", ""), uid=uid_of(pod)
            )
        except StatusError as error:
            if error.code not in (404, 409):
                self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")


async def slow_start(count: int, work: Callable[[int], Awaitable[object]]) -> tuple[int, Exception | None]:
    """Do ``work(0 … count-1)`` in batches of 1, 2, 4, …; a batch with a failure is the last one.

    Returns:
        How many succeeded, and the first failure. (``slowStartBatch``)
    """
    done = 0
    start = 0
    size = min(1, count)
    while size > 0:
        batch = range(start, start + size)
        if size == 1:
            results: list[object] = []
            try:
                results.append(await work(start))
            except Exception as error:
                results.append(error)
        else:
            results = await asyncio.gather(*(work(number) for number in batch), return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        done += size - len(failures)
        if failures:
            return done, failures[0]
        start += size
        size = min(size * 2, count - start)
    return done, None


async def delete_all(control: PodControl, pods: Sequence[Obj], owner: Obj) -> list[tuple[str, Exception]]:
    """Delete the pods at the same time; the key and failure of each that was not deleted."""
    results = await asyncio.gather(*(control.delete(pod, owner) for pod in pods), return_exceptions=True)
    return [
        (key_of(pod), result)
        for pod, result in zip(pods, results, strict=True)
        if isinstance(result, Exception)
    ]


def gone(error: Exception) -> bool:
    """Whether a delete failed because the object is not there any more (or another one has its name)."""
    return isinstance(error, StatusError) and error.code in (404, 409)
