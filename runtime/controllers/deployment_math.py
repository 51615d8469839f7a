"""The arithmetic of Deployments: how many pods of which revision, and what to say about it. Pure functions.

After ``deployment/util/deployment_util.go``. ``rs`` and ``d`` are ReplicaSets and Deployments; nothing here
changes what it is given unless its name says so (``set_…``, on copies the caller owns).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from runtime.objects import meta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj
from runtime.objects.meta import annotations_of, controller_reference, name_of, namespace_of, uid_of

from .conditions import get_condition, new_condition, remove_condition, set_condition
from .hashing import object_hash

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HASH_LABEL = "pod-template-hash"
SKIPPED = frozenset({LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED, MAX_REPLICAS, ROLLBACK_TO})
HISTORY_LIMIT = 2000
NO_DEADLINE = 2**31 - 1


def scaled(value: int | str | None, total: int, *, up: bool, default: int = 0) -> int:
    """An int-or-percentage of ``total`` (``intstr.GetScaledValueFromIntOrPercent``)."""
    if value is None:
        return default
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        return int(value) if value.lstrip("-").isdigit() else default
    percent = int(value[:-1])
    return math.ceil(percent * total / 100) if up else percent * total // 100


def fenceposts(surge: int | str | None, unavailable: int | str | None, desired: int) -> tuple[int, int]:
    """maxSurge rounded up and maxUnavailable rounded down; never both zero."""
    more = scaled(surge, desired, up=True)
    less = scaled(unavailable, desired, up=False)
    return (more, 1) if more == 0 and less == 0 else (more, less)


def replicas_of(obj: Obj) -> int:
    """``spec.replicas``, 1 where it is left out."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def status_of(obj: Obj, counter: str) -> int:
    """A counter in ``status``, 0 where it is left out."""
    return int((obj.get("status") or {}).get(counter) or 0)


def is_rolling(d: Obj) -> bool:
    """Whether the strategy is RollingUpdate."""
    kind: str = (d["spec"].get("strategy") or {}).get("type", "RollingUpdate")
    return kind == "RollingUpdate"


def _rolling(d: Obj) -> Obj:
    return (d["spec"].get("strategy") or {}).get("rollingUpdate") or {}


def max_surge(d: Obj) -> int:
    """Pods above ``spec.replicas`` that a rollout may have."""
    if not is_rolling(d):
        return 0
    rolling = _rolling(d)
    return fenceposts(rolling.get("maxSurge"), rolling.get("maxUnavailable"), replicas_of(d))[0]


def max_unavailable(d: Obj) -> int:
    """Pods below ``spec.replicas`` that a rollout may have."""
    replicas = replicas_of(d)
    if not is_rolling(d) or replicas == 0:
        return 0
    rolling = _rolling(d)
    return min(fenceposts(rolling.get("maxSurge"), rolling.get("maxUnavailable"), replicas)[1], replicas)


def spec_total(sets: Iterable[Obj]) -> int:
    """The sum of ``spec.replicas``."""
    return sum(replicas_of(rs) for rs in sets)


def status_total(sets: Iterable[Obj], counter: str) -> int:
    """The sum of a status counter."""
    return sum(status_of(rs, counter) for rs in sets)


def active(sets: Iterable[Obj]) -> list[Obj]:
    """Those that want pods."""
    return [rs for rs in sets if replicas_of(rs) > 0]


def made(obj: Obj) -> tuple[str, str]:
    """A sort key: older first, the name between equals."""
    return obj["metadata"].get("creationTimestamp") or "", name_of(obj)


def _newest_first(sets: Iterable[Obj]) -> list[Obj]:
    by_name = sorted(sets, key=name_of)
    return sorted(by_name, key=lambda rs: rs["metadata"].get("creationTimestamp") or "", reverse=True)


def by_size_newer(sets: Iterable[Obj]) -> list[Obj]:
    """Larger first; of the same size, newer first."""
    return sorted(_newest_first(sets), key=replicas_of, reverse=True)


def by_size_older(sets: Iterable[Obj]) -> list[Obj]:
    """Larger first; of the same size, older first."""
    return sorted(sorted(sets, key=made), key=replicas_of, reverse=True)


# --- which ReplicaSet is whose ----------------------------------------------------------------------------------


def _without_hash(template: Obj) -> Obj:
    meta = template.get("metadata") or {}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    kept = {key: value for key, value in meta.items() if key not in ("labels", "creationTimestamp")}
    return {**template, "metadata": {**kept, "labels": labels}}


def same_template(one: Obj, other: Obj) -> bool:
    """Whether two pod templates are equal but for the hash label (``EqualIgnoreHash``)."""
    return _without_hash(one) == _without_hash(other)


def find_new(d: Obj, sets: Sequence[Obj]) -> Obj | None:
    """The oldest ReplicaSet with the Deployment's template, or None."""
    template = d["spec"]["template"]
    for rs in sorted(sets, key=made):
        if same_template(rs["spec"]["template"], template):
            return rs
    return None


def find_old(sets: Sequence[Obj], new: Obj | None) -> list[Obj]:
    """All ReplicaSets but the new one."""
    return [rs for rs in sets if new is None or uid_of(rs) != uid_of(new)]


def find_active_or_latest(new: Obj | None, old: Sequence[Obj]) -> Obj | None:
    """The only active ReplicaSet, or the latest when none is; None when several are."""
    if new is None and not old:
        return None
    running = active([*old, new] if new is not None else old)
    if not running:
        return new if new is not None else _newest_first(old)[0]
    return running[0] if len(running) == 1 else None


def revision(obj: Obj) -> int:
    """The revision annotation, 0 where there is none (or nonsense)."""
    text = annotations_of(obj).get(REVISION, "")
    try:
        return int(text)
    except ValueError:
        return 0


def max_revision(sets: Iterable[Obj]) -> int:
    """The highest revision among them."""
    return max((revision(rs) for rs in sets), default=0)


# --- sizes ------------------------------------------------------------------------------------------------------


def new_replicas(d: Obj, sets: Sequence[Obj], new: Obj) -> int:
    """What the new ReplicaSet's size should be next (``NewRSNewReplicas``)."""
    wanted = replicas_of(d)
    if not is_rolling(d):
        return wanted
    size = replicas_of(new)
    limit = wanted + scaled(_rolling(d).get("maxSurge"), wanted, up=True)
    room = limit - spec_total(sets)
    if room <= 0:
        return size
    return size + min(room, wanted - size)


def is_saturated(d: Obj, new: Obj | None) -> bool:
    """Whether the new ReplicaSet is at full size, all available, and knows that size."""
    if new is None:
        return False
    wanted = replicas_of(d)
    return (
        annotations_of(new).get(DESIRED) == str(wanted)
        and replicas_of(new) == wanted
        and status_of(new, "availableReplicas") == wanted
    )


def _round(value: float) -> int:
    return math.ceil(value - 0.5) if value < 0 else math.floor(value + 0.5)


def _fraction(d: Obj, rs: Obj) -> int:
    size = replicas_of(rs)
    wanted = replicas_of(d)
    if wanted == 0:
        return -size
    try:
        before = int(annotations_of(rs).get(MAX_REPLICAS, 0))
    except ValueError:
        before = 0
    before = before or status_of(d, "replicas")
    if before == 0:
        return 0
    return _round(size * (wanted + max_surge(d)) / before) - size


def proportion(d: Obj, rs: Obj, to_add: int, added: int) -> int:
    """One ReplicaSet's share of ``to_add`` (may be negative), ``added`` of which are given out already."""
    if replicas_of(rs) == 0 or to_add in (0, added):
        return 0
    share = _fraction(d, rs)
    left = to_add - added
    return min(share, left) if to_add > 0 else max(share, left)


def proportional_sizes(d: Obj, sets: Iterable[Obj]) -> list[tuple[Obj, int]]:
    """The size of each active ReplicaSet when a Deployment is scaled in the middle of a rollout.

    Larger sets come first and take what rounding leaves over.
    """
    running = active(sets)
    wanted = replicas_of(d)
    allowed = wanted + max_surge(d) if wanted > 0 else 0
    to_add = allowed - spec_total(running)
    if to_add > 0:
        running = by_size_newer(running)
    elif to_add < 0:
        running = by_size_older(running)
    sizes: list[int] = []
    added = 0
    for rs in running:
        share = proportion(d, rs, to_add, added)
        sizes.append(replicas_of(rs) + share)
        added += share
    if sizes and to_add != 0:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(running, sizes, strict=True))


# --- annotations ------------------------------------------------------------------------------------------------


def replicas_annotations(d: Obj) -> dict[str, str]:
    """What every ReplicaSet of the Deployment has to say about its size."""
    wanted = replicas_of(d)
    return {DESIRED: str(wanted), MAX_REPLICAS: str(wanted + max_surge(d))}


def set_new_annotations(d: Obj, rs: Obj, new_revision: int, *, exists: bool) -> bool:
    """Bring the new ReplicaSet's annotations up to date; whether anything changed."""
    annotations = rs["metadata"].setdefault("annotations", {})
    changed = False
    for key, value in annotations_of(d).items():
        if key not in SKIPPED and annotations.get(key) != value:
            annotations[key] = value
            changed = True
    known = annotations.get(REVISION)
    try:
        old_revision = int(known or 0)
    except ValueError:
        return False
    if old_revision < new_revision:
        annotations[REVISION] = str(new_revision)
        changed = True
        if known is not None:  # a rollback to this set: keep the numbers it had
            history = [entry for entry in annotations.get(REVISION_HISTORY, "").split(",") if entry]
            history.append(known)
            while len(",".join(history)) > HISTORY_LIMIT:
                history.pop(0)
            annotations[REVISION_HISTORY] = ",".join(history)
    if not exists:
        for key, value in replicas_annotations(d).items():
            changed = changed or annotations.get(key) != value
            annotations[key] = value
    return changed


def new_replica_set(d: Obj, old: Sequence[Obj], number: int) -> Obj:
    """The ReplicaSet of the Deployment's present template, as revision ``number`` beside the ``old`` ones."""
    template = meta.copy(d["spec"]["template"])
    template_hash = object_hash(template, (d.get("status") or {}).get("collisionCount"))
    labels = {**(template.setdefault("metadata", {}).get("labels") or {}), HASH_LABEL: template_hash}
    template["metadata"]["labels"] = labels
    selector = meta.copy(d["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: template_hash}
    spec: Obj = {"replicas": 0, "selector": selector, "template": template}
    if d["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = d["spec"]["minReadySeconds"]
    wanted: Obj = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(d)}-{template_hash}",
            "namespace": namespace_of(d),
            "labels": dict(labels),
            "ownerReferences": [controller_reference(d)],
        },
        "spec": spec,
    }
    spec["replicas"] = new_replicas(d, [*old, wanted], wanted)
    set_new_annotations(d, wanted, number, exists=False)
    return wanted


# --- status -----------------------------------------------------------------------------------------------------


def has_deadline(d: Obj) -> bool:
    """Whether lack of progress is watched for."""
    return d["spec"].get("progressDeadlineSeconds") not in (None, NO_DEADLINE)


def is_complete(d: Obj, status: Obj) -> bool:
    """Whether every replica is of the new revision and available, and no other is left."""
    wanted = replicas_of(d)
    return (
        int(status.get("updatedReplicas") or 0) == wanted
        and int(status.get("replicas") or 0) == wanted
        and int(status.get("availableReplicas") or 0) == wanted
        and int(status.get("observedGeneration") or 0) >= int(d["metadata"].get("generation") or 0)
    )


def is_progressing(d: Obj, status: Obj) -> bool:
    """Whether any counter of the new status is a step on from the stored one."""
    old = d.get("status") or {}

    def count(source: Obj, name: str) -> int:
        return int(source.get(name) or 0)

    updated, before = count(status, "updatedReplicas"), count(old, "updatedReplicas")
    return (
        updated > before
        or count(status, "replicas") - updated < count(old, "replicas") - before
        or count(status, "readyReplicas") > count(old, "readyReplicas")
        or count(status, "availableReplicas") > count(old, "availableReplicas")
    )


def is_timed_out(d: Obj, status: Obj, now: datetime) -> bool:
    """Whether the last progress lies further back than the deadline."""
    condition = get_condition(status, "Progressing")
    if not has_deadline(d) or condition is None or condition.get("reason") == "NewReplicaSetAvailable":
        return False
    if condition.get("reason") == "ProgressDeadlineExceeded":
        return True
    return deadline_of(d, condition) < now


def deadline_of(d: Obj, condition: Obj) -> datetime:
    """When the progress that ``condition`` records has to have been followed by more."""
    return parse_time(condition["lastUpdateTime"]) + timedelta(
        seconds=int(d["spec"]["progressDeadlineSeconds"])
    )


def calculate_status(d: Obj, sets: Sequence[Obj], new: Obj | None, now: datetime) -> Obj:
    """The counters, the Available condition and the conditions there were (``calculateStatus``)."""
    available = status_total(sets, "availableReplicas")
    status: Obj = {
        "observedGeneration": int(d["metadata"].get("generation") or 0),
        "replicas": status_total(sets, "replicas"),
        "updatedReplicas": status_of(new, "replicas") if new is not None else 0,
        "readyReplicas": status_total(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, spec_total(sets) - available),
        "terminatingReplicas": status_total(sets, "terminatingReplicas"),
    }
    # absent where upstream's omitempty leaves them out
    status = {key: value for key, value in status.items() if value or key == "terminatingReplicas"}
    old = d.get("status") or {}
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    status["conditions"] = list(old.get("conditions") or ())
    if available >= replicas_of(d) - max_unavailable(d):
        set_condition(
            status,
            new_condition(
                "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now
            ),
        )
    else:
        set_condition(
            status,
            new_condition(
                "Available",
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
                now,
            ),
        )
    return status


def progress_status(d: Obj, sets: Sequence[Obj], new: Obj | None, now: datetime) -> Obj:
    """The whole new status during a rollout (``syncRolloutStatus``)."""
    status = calculate_status(d, sets, new, now)
    current = get_condition(d.get("status") or {}, "Progressing")
    if not has_deadline(d):
        remove_condition(status, "Progressing")
    settled = (
        int(status.get("replicas") or 0) == int(status.get("updatedReplicas") or 0)
        and current is not None
        and current.get("reason") == "NewReplicaSetAvailable"
    )
    if has_deadline(d) and not settled:
        what = f'ReplicaSet "{name_of(new)}"' if new is not None else f'Deployment "{name_of(d)}"'
        if is_complete(d, status):
            set_condition(
                status,
                new_condition(
                    "Progressing",
                    "True",
                    "NewReplicaSetAvailable",
                    f"{what} has successfully progressed.",
                    now,
                ),
            )
        elif is_progressing(d, status):
            condition = new_condition(
                "Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.", now
            )
            if current is not None:
                if current["status"] == "True":
                    condition["lastTransitionTime"] = current.get("lastTransitionTime")
                remove_condition(status, "Progressing")
            set_condition(status, condition)
        elif is_timed_out(d, status, now):
            set_condition(
                status,
                new_condition(
                    "Progressing",
                    "False",
                    "ProgressDeadlineExceeded",
                    f"{what} has timed out progressing.",
                    now,
                ),
            )
    failure = _replica_failure(sets, new)
    if failure is not None:
        set_condition(status, failure)
    else:
        remove_condition(status, "ReplicaFailure")
    return status


def _replica_failure(sets: Sequence[Obj], new: Obj | None) -> Obj | None:
    first = [new] if new is not None else []
    for rs in [*first, *sets]:
        found = get_condition(rs.get("status") or {}, "ReplicaFailure")
        if found is not None:
            return {
                "type": "ReplicaFailure",
                "status": found["status"],
                "lastUpdateTime": found.get("lastTransitionTime"),
                "lastTransitionTime": found.get("lastTransitionTime"),
                "reason": found.get("reason", ""),
                "message": found.get("message", ""),
            }
    return None


def to_clean_up(d: Obj, old: Sequence[Obj], deleting: Callable[[Obj], bool]) -> list[Obj]:
    """Old ReplicaSets beyond the history limit that nothing depends on, oldest revisions first."""
    limit = d["spec"].get("revisionHistoryLimit")
    if limit is None or limit >= NO_DEADLINE:
        return []
    alive = [rs for rs in old if not deleting(rs)]
    excess = len(alive) - int(limit)
    if excess <= 0:
        return []
    oldest = sorted(alive, key=lambda rs: (revision(rs), made(rs)))[:excess]
    return [
        rs
        for rs in oldest
        if status_of(rs, "replicas") == 0
        and replicas_of(rs) == 0
        and int(rs["metadata"].get("generation") or 0) <= status_of(rs, "observedGeneration")
    ]
