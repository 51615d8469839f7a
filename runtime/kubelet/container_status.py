"""From what the runtime has to ``status.containerStatuses``.

Follows convertToAPIContainerStatuses in ``pkg/kubelet/kubelet_pods.go``: the order in which old statuses, what is
found and the reasons for waiting override each other decides what ``kubectl get pods`` shows, so it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from runtime.kubelet.pods.policy import Attempts, is_running, is_sidecar, latest, should_be_restarted
from runtime.objects.clock import format_time, parse_time
from runtime.objects.errors import Obj
from runtime.podman.interface import Container

SCHEME = "podman://"
STATUS_UNKNOWN = "ContainerStatusUnknown"
_SAME_MOMENT = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Waiting(NamedTuple):
    """Why a container does not start."""

    reason: str
    message: str


class Resources(NamedTuple):
    """What containers have, where it is not what their specs say: of cpu and memory, and of users and groups."""

    given: Mapping[str, Obj] = {}
    """Container id → what it was given while it ran."""
    allocated: Mapping[str, Obj] = {}
    """Container name → what it has while its spec asks for what the node can't give."""
    users: Mapping[str, Obj] = {}
    """Container id → who its first process is."""


def container_id(container: Container) -> str:
    """``podman://ID``."""
    return SCHEME + container.id


def terminated_reason(container: Container) -> str:
    """Completed, Error, OOMKilled or StartError."""
    if container.oom_killed:
        return "OOMKilled"
    if container.exit_code == 128 and container.error and container.started_at is None:
        return "StartError"
    return "Completed" if container.exit_code == 0 else "Error"


def _moment(value: datetime | None) -> str | None:
    return format_time(value) if value is not None else None


def _terminated(container: Container, message: str) -> Obj:
    state: Obj = {"exitCode": container.exit_code, "reason": terminated_reason(container)}
    if container.signal:
        state["signal"] = container.signal
    if message:
        state["message"] = message
    # What never ran began at the epoch, as the runtimes of upstream tell it.
    began = container.started_at or (_EPOCH if container.finished_at else None)
    state["startedAt"] = _moment(began)
    state["finishedAt"] = _moment(container.finished_at)
    state["containerID"] = container_id(container)
    return state


def _steady(stamp: str | None, before: str | None) -> str | None:
    """The old time where the new one is the same moment, read twice with different precision."""
    if not stamp or not before or stamp == before:
        return before or stamp
    if abs((parse_time(stamp) - parse_time(before)).total_seconds()) <= _SAME_MOMENT:
        return before
    return stamp


def _volume_mounts(spec: Obj) -> list[Obj]:
    result: list[Obj] = []
    for mount in spec.get("volumeMounts") or ():
        entry: Obj = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            entry["readOnly"] = True
            entry["recursiveReadOnly"] = "Disabled"
        result.append(entry)
    return result


def _convert(
    spec: Obj,
    container: Container,
    old: Obj | None,
    message: str,
    image_ref: str,
    has: Resources = Resources(),  # noqa: B008 - empty and never changed
) -> Obj:
    known = container_id(container)
    status: Obj = {
        "name": container.name,
        "state": {},
        "lastState": {},
        "ready": False,
        "restartCount": container.attempt,
        "image": container.image or spec.get("image", ""),
        "imageID": image_ref or container.image_id,
        "containerID": known,
    }
    same = old is not None and old.get("containerID") == known
    if old is not None and same:
        status["image"], status["imageID"] = old["image"], old["imageID"]
    if is_running(container):
        stamp = _moment(container.started_at)
        if old is not None and same:
            stamp = _steady(stamp, ((old.get("state") or {}).get("running") or {}).get("startedAt"))
        status["state"] = {"running": {"startedAt": stamp}}
    elif container.state == "exited":
        status["state"] = {"terminated": _terminated(container, message)}
    elif old is not None and container.state == "unknown" and (old.get("state") or {}).get("running"):
        status["state"] = {
            "terminated": {
                "reason": STATUS_UNKNOWN,
                "message": "The container could not be located when the pod was terminated",
                "exitCode": 137,
                "startedAt": None,
                "finishedAt": None,
            }
        }
        status["restartCount"] = int(old.get("restartCount", 0)) + 1
    else:
        status["state"] = {"waiting": {}}
    resources = has.given.get(container.id)
    if resources is None and old is not None and same:
        resources = old.get(
            "resources"
        )  # until a resize has been carried out it keeps what it was started with
    if resources is None:
        resources = has.allocated.get(container.name) or spec.get("resources")
    if resources is not None:
        status["resources"] = resources
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
    user = has.users.get(container.id) or (old.get("user") if old is not None and same else None)
    if user is not None:
        status["user"] = user
    mounts = _volume_mounts(spec)
    if mounts:
        status["volumeMounts"] = mounts
    return status


def container_statuses(
    pod: Obj,
    specs: Sequence[Obj],
    attempts: Attempts,
    old_statuses: Sequence[Obj],
    waiting: Mapping[str, Waiting],
    messages: Mapping[str, str],
    image_refs: Mapping[str, str],
    has: Resources = Resources(),  # noqa: B008 - empty and never changed
    *,
    init: bool = False,
) -> list[Obj]:
    """The statuses of one field's containers, without ``ready`` and ``started`` (the probes know those).

    Args:
        pod: the pod as the API has it.
        specs: its initContainers, containers or ephemeralContainers.
        attempts: what the runtime has.
        old_statuses: the same field of the last status.
        waiting: container name → why its start failed or waits.
        messages: container id → termination message.
        image_refs: runtime's image id → the digest to show as imageID.
        has: resources that differ from the specs'.
        init: whether these are init containers.
    """
    has_init = bool(pod["spec"].get("initContainers"))
    default = "PodInitializing" if has_init else "ContainerCreating"
    old_by_name = {entry["name"]: entry for entry in old_statuses}
    result: list[Obj] = []
    for spec in specs:
        name = spec["name"]
        old = old_by_name.get(name)
        entries = attempts.get(name)
        if entries:
            newest = entries[0]
            status = _convert(
                spec, newest, old, messages.get(newest.id, ""), image_refs.get(newest.image_id, ""), has
            )
            if len(entries) > 1:
                before = _convert(spec, entries[1], None, messages.get(entries[1].id, ""), "")
                status["lastState"] = before["state"]
            elif old is not None:
                status["lastState"] = _last_state(old, status)
        else:
            status = _missing(pod, spec, old, default, has_init=has_init)
            if init and not is_sidecar(spec) and "waiting" in status["state"] and _any_created(pod, attempts):
                status["state"] = {
                    "terminated": {
                        "exitCode": 0,
                        "reason": "Completed",
                        "message": "Unable to get init container status from container runtime and pod has been "
                        "initialized, treat it as exited normally",
                        "startedAt": None,
                        "finishedAt": None,
                    }
                }
        current = entries[0] if entries else None
        done = init and current is not None and current.state == "exited" and current.exit_code == 0
        if not done and should_be_restarted(spec, pod, current):
            reason = waiting.get(name)
            if reason is not None:
                if status["state"].get("terminated"):
                    status["lastState"] = status["state"]
                state: Obj = {"reason": reason.reason}
                if reason.message:
                    state["message"] = reason.message
                status["state"] = {"waiting": state}
        result.append(status)
    if not init:
        result.sort(key=lambda entry: str(entry["name"]))
    return result


def _last_state(old: Obj, status: Obj) -> Obj:
    """The end of the attempt before, when only the old status still knows it."""
    if old.get("containerID") and old.get("containerID") != status["containerID"]:
        ended = (old.get("state") or {}).get("terminated")
        if ended:
            return {"terminated": ended}
    kept: Obj = old.get("lastState") or {}
    ended = kept.get("terminated")
    if ended and ended.get("containerID") == status["containerID"]:
        return {}
    return kept


def _missing(pod: Obj, spec: Obj, old: Obj | None, default: str, *, has_init: bool) -> Obj:
    status: Obj = {
        "name": spec["name"],
        "state": {"waiting": {"reason": default}},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": spec.get("image", ""),
        "imageID": "",
    }
    mounts = _volume_mounts(spec)
    if mounts:
        status["volumeMounts"] = mounts
    if old is None:
        return status
    state = old.get("state") or {}
    if state.get("terminated"):
        return {key: value for key, value in old.items() if key != "started"} | {"ready": False}
    status["restartCount"] = old.get("restartCount", 0)
    status["lastState"] = old.get("lastState") or {}
    if state.get("running") and not status["lastState"].get("terminated"):
        status["lastState"] = {
            "terminated": {
                "reason": STATUS_UNKNOWN,
                "message": "The container could not be located when the pod was deleted.  "
                "The container used to be Running",
                "exitCode": 137,
                "startedAt": None,
                "finishedAt": None,
            }
        }
        if not pod["metadata"].get("deletionTimestamp"):
            status["restartCount"] += 1
    return status


def _any_created(pod: Obj, attempts: Attempts) -> bool:
    return any(latest(attempts, entry["name"]) is not None for entry in pod["spec"]["containers"])
