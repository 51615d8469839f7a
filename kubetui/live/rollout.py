"""A rollout as a picture: each revision's ReplicaSet with its pods, the budget, and why it does not move.

Pure functions over a workload, its ReplicaSets (or ControllerRevisions) and its pods. The arithmetic of surge and
unavailable follows ``pkg/controller/deployment/util/deployment_util.go`` (ResolveFenceposts), progress follows
``kubectl rollout status`` (``staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from kubetui.live.health import Health, PodView, cached_view, images_of
from kubetui.live.objects import (
    Obj,
    annotations_of,
    condition,
    controller_of,
    dig,
    labels_of,
    meta,
    name_of,
    uid_of,
)
from kubetui.live.text import parse_time, plural

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
Phase = Literal["complete", "progressing", "stuck", "paused", "scaled-down", "terminating"]

_IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a rollout is stuck: a class (image, crash, unschedulable, quota, …), how many pods, and the details."""

    kind: str
    count: int
    message: str
    pod: str = ""
    pod_uid: str = ""


@dataclass(slots=True)
class Revision:
    """One revision of a workload: its bar."""

    uid: str
    name: str
    number: int
    images: str
    cause: str
    created: str
    current: bool
    desired: int
    replicas: int
    ready: int
    available: int
    pods: list[PodView] = field(default_factory=list)


@dataclass(slots=True)
class Rollout:
    """Everything the rollout pane draws."""

    kind: str
    name: str
    namespace: str
    uid: str
    phase: Phase
    headline: str
    desired: int
    ready: int
    updated: int
    available: int
    total: int
    max_surge: int
    max_unavailable: int
    strategy: str
    revisions: list[Revision]
    troubles: list[Trouble]
    min_ready_left: float | None
    deadline_left: float | None
    paused: bool


def resolve(value: object, total: int, *, up: bool, default: str = "25%") -> int:
    """An int-or-percentage of ``total``, rounded up for surge and down for unavailable."""
    if value is None:
        value = default
    if isinstance(value, int):
        return value
    text = str(value)
    try:
        if text.endswith("%"):
            share = float(text[:-1]) * total / 100
            return math.ceil(share - 1e-9) if up else math.floor(share + 1e-9)
        return int(text)
    except ValueError:
        return 0


def budget(deployment: Obj) -> tuple[int, int]:
    """(max surge, max unavailable) in pods; never both 0, as ``ResolveFenceposts`` decides."""
    total = _replicas(deployment)
    strategy = dig(deployment, "spec", "strategy", default={})
    if strategy.get("type") == "Recreate":
        return 0, total
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge"), total, up=True)
    unavailable = resolve(rolling.get("maxUnavailable"), total, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, total)


def _replicas(obj: Obj) -> int:
    value = dig(obj, "spec", "replicas")
    return 1 if value is None else int(value)


def revision_number(replica_set: Obj) -> int:
    """The revision annotation as a number, 0 without one."""
    try:
        return int(annotations_of(replica_set).get(REVISION, 0))
    except ValueError:
        return 0


def rollout_of(workload: Obj, replica_sets: Iterable[Obj], pods: Iterable[Obj], now: float) -> Rollout:
    """Draw one workload. ``replica_sets`` are ReplicaSets for a Deployment, ControllerRevisions otherwise.

    Both may hold objects of other workloads: only those that this one (or its ReplicaSets) controls count.
    """
    if workload.get("kind") == "Deployment":
        return _deployment(workload, replica_sets, pods, now)
    return _by_revision(workload, replica_sets, pods, now)


def _deployment(deployment: Obj, replica_sets: Iterable[Obj], pods: Iterable[Obj], now: float) -> Rollout:
    uid = uid_of(deployment)
    owned = [rs for rs in replica_sets if (controller_of(rs) or {}).get("uid") == uid]
    owned.sort(
        key=lambda rs: (revision_number(rs), parse_time(meta(rs).get("creationTimestamp"))), reverse=True
    )
    by_owner = _pods_by_owner(pods)
    current = current_replica_set(deployment, owned)
    revisions = []
    for rs in owned:
        status = rs.get("status") or {}
        desired = _replicas(rs)
        is_current = rs is current
        if not is_current and not desired and not status.get("replicas") and uid_of(rs) not in by_owner:
            continue
        revisions.append(
            Revision(
                uid_of(rs),
                name_of(rs),
                revision_number(rs),
                images_of(dig(rs, "spec", "template", default={})),
                annotations_of(rs).get(CHANGE_CAUSE, ""),
                str(meta(rs).get("creationTimestamp") or ""),
                is_current,
                desired,
                int(status.get("replicas") or 0),
                int(status.get("readyReplicas") or 0),
                int(status.get("availableReplicas") or 0),
                _views(by_owner.get(uid_of(rs), ())),
            )
        )
    surge, unavailable = budget(deployment)
    status = deployment.get("status") or {}
    rollout = Rollout(
        kind="Deployment",
        name=name_of(deployment),
        namespace=str(meta(deployment).get("namespace") or ""),
        uid=uid,
        phase="progressing",
        headline="",
        desired=_replicas(deployment),
        ready=int(status.get("readyReplicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        total=int(status.get("replicas") or 0),
        max_surge=surge,
        max_unavailable=unavailable,
        strategy=str(dig(deployment, "spec", "strategy", "type", default="RollingUpdate")),
        revisions=revisions,
        troubles=troubles_of([pod for r in revisions for pod in by_owner.get(r.uid, ())], deployment, owned),
        min_ready_left=_min_ready_left(deployment, by_owner.get(uid_of(current), ()) if current else (), now),
        deadline_left=None,
        paused=bool(dig(deployment, "spec", "paused")),
    )
    rollout.phase, rollout.headline = _progress(deployment, rollout)
    progressing = condition(deployment, "Progressing")
    if rollout.phase in ("progressing", "stuck") and progressing:
        deadline = dig(deployment, "spec", "progressDeadlineSeconds", default=600)
        updated = parse_time(progressing.get("lastUpdateTime"))
        if updated and progressing.get("reason") == "ReplicaSetUpdated":
            rollout.deadline_left = max(0.0, updated + deadline - now)
    return rollout


def current_replica_set(deployment: Obj, owned: list[Obj]) -> Obj | None:
    """The ReplicaSet of the newest revision (``owned`` sorted newest first), None before there is one.

    The controller sets the Deployment's revision annotation to that of its new ReplicaSet, so equal numbers mean the
    same; comparing templates here would have to repeat the server's defaulting.
    """
    wanted = annotations_of(deployment).get(REVISION)
    for rs in owned:
        if wanted is not None and annotations_of(rs).get(REVISION) == wanted:
            return rs
    return owned[0] if owned else None


def _progress(deployment: Obj, rollout: Rollout) -> tuple[Phase, str]:
    """Phase and words, in the order in which ``kubectl rollout status`` decides them."""
    if meta(deployment).get("deletionTimestamp"):
        return "terminating", "being deleted"
    if rollout.paused:
        return "paused", f"paused: {rollout.updated} of {rollout.desired} on the new revision"
    observed = dig(deployment, "status", "observedGeneration", default=0)
    if observed < (meta(deployment).get("generation") or 0):
        return "progressing", "waiting for the spec to be observed"
    progressing, failure = condition(deployment, "Progressing"), condition(deployment, "ReplicaFailure")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return "stuck", "exceeded its progress deadline"
    if failure and failure.get("status") == "True":
        return "stuck", "pods cannot be created"
    if rollout.updated < rollout.desired:
        text = f"{rollout.updated} of {rollout.desired} new replicas have been updated"
    elif rollout.total > rollout.updated:
        text = f"{plural(rollout.total - rollout.updated, 'old replica')} pending termination"
    elif rollout.available < rollout.updated:
        text = f"{rollout.available} of {rollout.updated} updated replicas are available"
    elif rollout.desired == 0:
        return "scaled-down", "scaled to 0"
    else:
        return "complete", f"{rollout.ready} of {rollout.desired} ready"
    blocked = any(t.kind in ("image", "crash", "config", "unschedulable", "quota") for t in rollout.troubles)
    return ("stuck" if blocked else "progressing"), text


def _by_revision(workload: Obj, revisions: Iterable[Obj], pods: Iterable[Obj], now: float) -> Rollout:
    uid, kind = uid_of(workload), str(workload.get("kind") or "")
    mine = [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]
    groups: dict[str, list[Obj]] = {}
    for pod in mine:
        label = (
            labels_of(pod).get("controller-revision-hash") or labels_of(pod).get("pod-template-hash") or ""
        )
        groups.setdefault(label, []).append(pod)
    status = workload.get("status") or {}
    owned = [r for r in revisions if (controller_of(r) or {}).get("uid") == uid]
    owned.sort(key=lambda r: int(r.get("revision") or 0), reverse=True)
    newest = str(status.get("updateRevision") or (name_of(owned[0]) if owned else ""))
    bars: list[Revision] = []
    for revision in owned:
        name = name_of(revision)
        label = labels_of(revision).get("controller-revision-hash") or labels_of(revision).get(
            "controller.kubernetes.io/hash", name
        )
        members = groups.pop(label, None) or groups.pop(name, [])
        if not members and name != newest:
            continue
        template = dig(revision, "data", "spec", "template", default={})
        bars.append(
            _bar(revision, int(revision.get("revision") or 0), images_of(template), name == newest, members)
        )
    for label, members in groups.items():
        template = dig(workload, "spec", "template", default={})
        bars.append(
            _bar(
                {"metadata": {"name": label or name_of(workload)}}, 0, images_of(template), not bars, members
            )
        )
    daemon = kind == "DaemonSet"
    desired = int(status.get("desiredNumberScheduled") or 0) if daemon else _replicas(workload)
    if kind == "Job":
        desired = int(dig(workload, "spec", "completions", default=1))
    rolling = dig(workload, "spec", "updateStrategy", "rollingUpdate", default={})
    updated = int(status.get("updatedNumberScheduled" if daemon else "updatedReplicas") or 0)
    ready = int(status.get("numberReady" if daemon else "readyReplicas") or 0)
    rollout = Rollout(
        kind=kind,
        name=name_of(workload),
        namespace=str(meta(workload).get("namespace") or ""),
        uid=uid,
        phase="complete",
        headline=f"{ready} of {desired} ready",
        desired=desired,
        ready=ready,
        updated=updated,
        available=int(status.get("numberAvailable" if daemon else "availableReplicas") or 0),
        total=len(mine),
        max_surge=resolve(rolling.get("maxSurge"), desired, up=True, default="0"),
        max_unavailable=resolve(rolling.get("maxUnavailable"), desired, up=True, default="1"),
        strategy=str(dig(workload, "spec", "updateStrategy", "type", default="RollingUpdate")),
        revisions=bars,
        troubles=troubles_of(mine, workload, []),
        min_ready_left=_min_ready_left(workload, mine, now),
        deadline_left=None,
        paused=False,
    )
    if kind in ("Job", "ReplicaSet", "ReplicationController"):
        rollout.updated = rollout.total
    partition = int(rolling.get("partition") or 0)
    if kind == "Job":
        done = int(status.get("succeeded") or 0)
        rollout.ready = done
        rollout.headline = f"{done} of {desired} completed"
        failed = condition(workload, "Failed")
        if failed and failed.get("status") == "True":
            rollout.phase = "stuck"
        elif done < desired:
            rollout.phase = "progressing"
    elif desired == 0:
        rollout.phase, rollout.headline = "scaled-down", "scaled to 0"
    elif rollout.updated < desired - partition:
        rollout.phase, rollout.headline = "progressing", f"{updated} of {desired - partition} updated"
    elif ready < desired:
        rollout.phase, rollout.headline = "progressing", f"{ready} of {desired} ready"
    if rollout.phase == "progressing" and rollout.troubles and rollout.troubles[0].kind != "waiting":
        rollout.phase = "stuck"
    return rollout


def _bar(revision: Obj, number: int, images: str, current: bool, members: list[Obj]) -> Revision:
    views = _views(members)
    ready = sum(1 for v in views if v.health == "ok")
    return Revision(
        uid_of(revision),
        name_of(revision),
        number,
        images,
        annotations_of(revision).get(CHANGE_CAUSE, ""),
        str(meta(revision).get("creationTimestamp") or ""),
        current,
        len(views),
        len(views),
        ready,
        ready,
        views,
    )


def _pods_by_owner(pods: Iterable[Obj]) -> dict[str, list[Obj]]:
    found: dict[str, list[Obj]] = {}
    for pod in pods:
        owner = controller_of(pod)
        if owner:
            found.setdefault(str(owner.get("uid")), []).append(pod)
    return found


_ORDER: dict[Health, int] = {"ok": 0, "busy": 1, "warn": 2, "bad": 3, "done": 4, "idle": 5}


def _views(pods: Iterable[Obj]) -> list[PodView]:
    return sorted((cached_view(p) for p in pods), key=lambda v: (_ORDER[v.health], v.created, v.name))


def _min_ready_left(workload: Obj, pods: Iterable[Obj], now: float) -> float | None:
    """Seconds until the pod that became ready first counts as available; None when none is waiting."""
    needed = int(dig(workload, "spec", "minReadySeconds", default=0))
    if not needed:
        return None
    left = []
    for pod in pods:
        ready = condition(pod, "Ready")
        if ready and ready.get("status") == "True":
            remaining = parse_time(ready.get("lastTransitionTime")) + needed - now
            if remaining > 0:
                left.append(remaining)
    return min(left) if left else None


def troubles_of(pods: Iterable[Obj], workload: Obj, replica_sets: Iterable[Obj]) -> list[Trouble]:
    """What keeps pods from running, one entry per class, worst first."""
    found: dict[str, Trouble] = {}

    def add(kind: str, message: str, view: PodView | None = None) -> None:
        known = found.get(kind)
        found[kind] = Trouble(
            kind,
            known.count + 1 if known else 1,
            known.message if known else message,
            known.pod if known else (view.name if view else ""),
            known.pod_uid if known else (view.uid if view else ""),
        )

    for obj in (workload, *replica_sets):
        failure = condition(obj, "ReplicaFailure")
        if failure and failure.get("status") == "True":
            message = str(failure.get("message") or failure.get("reason") or "")
            add("quota" if "quota" in message.lower() else "refused", message)
            break
    for pod in pods:
        view = cached_view(pod)
        if view.health in ("ok", "done", "idle"):
            continue
        word = view.status.removeprefix("Init:")
        if word in _IMAGE_REASONS:
            add("image", view.message, view)
        elif word in _CONFIG_REASONS:
            add("config", view.message, view)
        elif word in ("CrashLoopBackOff", "Error", "OOMKilled") or (view.health == "bad" and view.restarts):
            add("crash", view.message, view)
        elif view.status == "Pending" and view.health == "bad":
            add("unschedulable", view.message, view)
        elif view.health == "bad":
            add("failed", view.message or view.status, view)
        elif view.status in ("Running", "NotReady"):
            add("not ready", view.message or "readiness probe has not passed yet", view)
        else:
            add("waiting", view.message or view.status, view)
    order = [
        "quota",
        "refused",
        "image",
        "config",
        "crash",
        "unschedulable",
        "failed",
        "not ready",
        "waiting",
    ]
    return sorted(found.values(), key=lambda t: order.index(t.kind))
