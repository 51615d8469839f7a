"""Pod status words exactly as ``kubectl get pods`` prints them, and what they mean for a person's eye.

The words follow ``printPod`` in ``pkg/printers/internalversion/printers.go``. The health class (ok, busy, warn, bad,
done, idle) is ours: it decides the colour and what "only broken" shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kubetui.live.objects import Obj, condition, dig, is_true, meta, name_of, namespace_of, uid_of
from kubetui.live.text import human_duration, parse_time

Health = Literal["ok", "busy", "warn", "bad", "done", "idle"]

# Waiting reasons that pass by themselves; every other waiting reason needs somebody.
_BUSY_REASONS = frozenset({"ContainerCreating", "PodInitializing", "Pending", "Terminating", "Running"})


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod as a row: what kubectl prints, and its health."""

    uid: str
    namespace: str
    name: str
    ready: int
    total: int
    status: str
    restarts: int
    last_restart: float
    created: str
    ip: str
    node: str
    health: Health
    message: str

    def restarts_text(self, now: float) -> str:
        """``3 (10s ago)`` as kubectl prints it."""
        if self.restarts and self.last_restart:
            return f"{self.restarts} ({human_duration(now - self.last_restart)} ago)"
        return str(self.restarts)


def _terminated_word(state: Obj, prefix: str = "") -> str:
    reason = state.get("reason")
    if reason:
        return f"{prefix}{reason}"
    if state.get("signal"):
        return f"{prefix}Signal:{state['signal']}"
    return f"{prefix}ExitCode:{state.get('exitCode', 0)}"


def _last_finished(status: Obj) -> float:
    return parse_time(dig(status, "lastState", "terminated", "finishedAt"))


def pod_view(pod: Obj) -> PodView:
    """Compute the row of one pod."""
    spec = pod.get("spec") or {}
    status = pod.get("status") or {}
    containers = spec.get("containers") or []
    init_containers = spec.get("initContainers") or []
    sidecars = {c.get("name") for c in init_containers if c.get("restartPolicy") == "Always"}
    total = len(containers) + len(sidecars)
    phase = str(status.get("phase") or "Unknown")
    word = str(status.get("reason") or phase)
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    ready = restarts = sidecar_restarts = 0
    last = sidecar_last = 0.0
    initializing = False
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        count = int(container.get("restartCount") or 0)
        restarts += count
        last = max(last, _last_finished(container))
        sidecar = container.get("name") in sidecars
        if sidecar:
            sidecar_restarts += count
            sidecar_last = max(sidecar_last, _last_finished(container))
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            word = _terminated_word(terminated, "Init:")
        elif waiting and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            word = f"Init:{waiting['reason']}"
        else:
            word = f"Init:{index}/{len(init_containers)}"
        initializing = True
        break
    if not initializing or is_true(pod, "Initialized"):
        restarts, last = sidecar_restarts, sidecar_last
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            restarts += int(container.get("restartCount") or 0)
            last = max(last, _last_finished(container))
            state = container.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting")
            if waiting and waiting.get("reason"):
                word = str(waiting["reason"])
            elif terminated is not None:
                word = _terminated_word(terminated)
            elif container.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if word == "Completed" and running:
            word = "Running" if is_true(pod, "Ready") else "NotReady"
    if meta(pod).get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            word = "Unknown"
        elif phase not in ("Failed", "Succeeded"):
            word = "Terminating"
    return PodView(
        uid=uid_of(pod),
        namespace=namespace_of(pod),
        name=name_of(pod),
        ready=ready,
        total=total,
        status=word,
        restarts=restarts,
        last_restart=last,
        created=str(meta(pod).get("creationTimestamp") or ""),
        ip=str(status.get("podIP") or ""),
        node=str(spec.get("nodeName") or ""),
        health=_pod_health(pod, phase, word, ready, total, restarts, last),
        message=pod_trouble(pod),
    )


_VIEWS: dict[str, tuple[Obj, PodView]] = {}


def cached_view(pod: Obj) -> PodView:
    """:func:`pod_view`, computed once for each version of a pod (objects are never changed in place)."""
    uid = uid_of(pod)
    known = _VIEWS.get(uid)
    if known is not None and known[0] is pod:
        return known[1]
    view = pod_view(pod)
    if len(_VIEWS) > 20_000:
        _VIEWS.clear()
    _VIEWS[uid] = (pod, view)
    return view


def _pod_health(
    pod: Obj, phase: str, word: str, ready: int, total: int, restarts: int, last: float
) -> Health:
    if word in ("Completed", "Succeeded") or phase == "Succeeded":
        return "done"
    if word == "Terminating":
        return "idle"
    if phase == "Failed":
        return "bad"
    if word == "Running":
        return "ok" if ready >= total else "warn"
    if word == "Pending":
        scheduled = condition(pod, "PodScheduled")
        return "bad" if scheduled and scheduled.get("reason") == "Unschedulable" else "busy"
    if word in _BUSY_REASONS or word == "SchedulingGated":
        return "busy"
    if word.startswith("Init:") and word[5:6].isdigit():
        return "busy"
    if word == "NotReady":
        return "warn"
    return "bad"


def pod_trouble(pod: Obj) -> str:
    """One sentence why this pod does not run, in Kubernetes' words; empty when nothing is wrong."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        return str(scheduled.get("message") or scheduled.get("reason") or "")
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        state = container.get("state") or {}
        waiting = state.get("waiting")
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            text = str(waiting.get("message") or "")
            ended = dig(container, "lastState", "terminated")
            if waiting["reason"] == "CrashLoopBackOff" and ended:
                text = f"{ended.get('reason') or 'Error'}, exit code {ended.get('exitCode', '?')}"
            return f"{container.get('name')}: {waiting['reason']}{': ' + text if text else ''}"
        ended = state.get("terminated")
        if ended and ended.get("exitCode"):
            extra = f": {ended['message']}" if ended.get("message") else ""
            return (
                f"{container.get('name')}: {_terminated_word(ended)} (exit code {ended['exitCode']}){extra}"
            )
    if status.get("phase") == "Failed":
        return str(status.get("message") or status.get("reason") or "Failed")
    if status.get("phase") == "Running" and not is_true(pod, "Ready"):
        not_ready = condition(pod, "Ready")
        if not_ready:
            return str(not_ready.get("message") or not_ready.get("reason") or "")
    return ""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One workload as a row: what it wants, what it has, and one word for how it goes."""

    uid: str
    kind: str
    namespace: str
    name: str
    ready: str
    updated: str
    available: str
    state: str
    health: Health
    created: str
    images: str
    desired: int
    message: str


def images_of(template: Obj) -> str:
    """The images of a pod template's containers, short: without the registry that everybody knows."""
    return ", ".join(
        short_image(str(c.get("image") or "")) for c in dig(template, "spec", "containers", default=[])
    )


def short_image(image: str) -> str:
    """``docker.io/library/nginx:1.27`` → ``nginx:1.27``; digests are cut to twelve digits."""
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/library/"):
        if image.startswith(prefix):
            image = image[len(prefix) :]
            break
    head, separator, digest = image.partition("@sha256:")
    return f"{head}@{digest[:12]}" if separator else image


def workload_view(obj: Obj) -> WorkloadView:
    """Compute the row of a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob."""
    kind = str(obj.get("kind") or "")
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    state, message = "Healthy", ""
    health: Health = "ok"
    updated = available = ""
    if kind == "DaemonSet":
        desired, have = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
        updated, available = (
            str(status.get("updatedNumberScheduled") or 0),
            str(status.get("numberAvailable") or 0),
        )
        state, health = _replica_state(obj, desired, have, int(updated))
    elif kind == "Job":
        desired, have = int(spec.get("completions") or 1), int(status.get("succeeded") or 0)
        state, health, message = _job_state(obj)
    elif kind == "CronJob":
        desired, have = 0, len(status.get("active") or ())
        state, health = ("Suspended", "idle") if spec.get("suspend") else (str(spec.get("schedule")), "ok")
    else:
        desired = int(spec.get("replicas", 1))
        have = int(status.get("readyReplicas") or 0)
        updated = str(status.get("updatedReplicas") or 0) if kind != "ReplicaSet" else ""
        available = str(status.get("availableReplicas") or 0)
        state, health = _replica_state(obj, desired, have, int(updated or desired))
    if kind == "Deployment":
        state, health, message = _deployment_state(obj, state, health)
    template = dig(spec, "jobTemplate", "spec", "template") if kind == "CronJob" else spec.get("template")
    return WorkloadView(
        uid=uid_of(obj),
        kind=kind,
        namespace=namespace_of(obj),
        name=name_of(obj),
        ready=f"{have}/{desired}" if kind != "CronJob" else str(have),
        updated=updated,
        available=available,
        state=state,
        health=health,
        created=str(meta(obj).get("creationTimestamp") or ""),
        images=images_of(template or {}),
        desired=desired,
        message=message,
    )


def _replica_state(obj: Obj, desired: int, ready: int, updated: int) -> tuple[str, Health]:
    if meta(obj).get("deletionTimestamp"):
        return "Terminating", "idle"
    observed = dig(obj, "status", "observedGeneration")
    if observed is not None and observed < (meta(obj).get("generation") or 0):
        return "Progressing", "busy"
    if desired == 0:
        return ("Scaled to 0", "idle") if ready == 0 else ("Scaling down", "busy")
    if updated < desired:
        return f"Updating {updated}/{desired}", "busy"
    if ready < desired:
        return f"Waiting {ready}/{desired}", "busy"
    if ready > desired:
        return "Scaling down", "busy"
    return "Healthy", "ok"


def _deployment_state(obj: Obj, state: str, health: Health) -> tuple[str, Health, str]:
    failure, progress = condition(obj, "ReplicaFailure"), condition(obj, "Progressing")
    if failure and failure.get("status") == "True":
        return "Stuck", "bad", str(failure.get("message") or failure.get("reason") or "")
    if dig(obj, "spec", "paused"):
        return "Paused", "warn", ""
    if progress and progress.get("reason") == "ProgressDeadlineExceeded":
        return "Stuck", "bad", str(progress.get("message") or "")
    return state, health, ""


def _job_state(obj: Obj) -> tuple[str, Health, str]:
    if dig(obj, "spec", "suspend"):
        return "Suspended", "idle", ""
    for found in dig(obj, "status", "conditions", default=[]):
        if found.get("status") == "True":
            if found.get("type") == "Complete":
                return "Complete", "done", ""
            if found.get("type") == "Failed":
                return "Failed", "bad", str(found.get("message") or found.get("reason") or "")
    return "Running", "busy", ""
