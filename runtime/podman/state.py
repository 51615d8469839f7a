"""From Podman's listings and inspections to sandboxes and containers: pure functions.

A listing counts time in whole seconds, which is what Kubernetes' statuses do too; an inspection adds the exact
instant, the error and whether the kernel killed it for want of memory. Go writes "never" as the year 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from runtime.objects.clock import parse_time

from . import spec
from .accounts import read_accounts
from .exits import End
from .interface import Container, Image, Sandbox

State = Literal["created", "running", "paused", "exited", "removing", "unknown"]
_STATES: dict[str, State] = {
    "configured": "created",
    "created": "created",
    "initialized": "created",
    "running": "running",
    "stopping": "running",
    "paused": "paused",
    "stopped": "exited",
    "exited": "exited",
    "removing": "removing",
}


def moment(value: Any) -> datetime | None:
    """A Unix time in seconds, or an RFC 3339 text, as aware UTC; None for Go's zero time."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC) if value > 0 else None
    if not isinstance(value, str) or not value or value.startswith("0001-"):
        return None
    try:
        return parse_time(value)
    except ValueError:
        return None


def container_state(word: str) -> State:
    """Podman's word as one of ours."""
    return _STATES.get(word.lower(), "unknown")


def _attempt(labels: Mapping[str, str]) -> int:
    text = labels.get(spec.CONTAINER_ATTEMPT, "0")
    return int(text) if text.isdigit() else 0


def listed_container(item: Mapping[str, Any]) -> Container:
    """One entry of ``containers/json``."""
    labels: dict[str, str] = item.get("Labels") or {}
    state = container_state(str(item.get("State") or ""))
    code = int(item.get("ExitCode") or 0) if state == "exited" else 0
    return Container(
        id=str(item["Id"]),
        name=labels.get(spec.CONTAINER_NAME, ""),
        attempt=_attempt(labels),
        state=state,
        image=labels.get(spec.CONTAINER_IMAGE) or str(item.get("Image") or ""),
        image_id=str(item.get("ImageID") or ""),
        sandbox_id=str(item.get("Pod") or ""),
        created_at=moment(item.get("Created")),
        started_at=moment(item.get("StartedAt")),
        finished_at=moment(item.get("ExitedAt")) if state == "exited" else None,
        exit_code=code,
        signal=code - 128 if 128 < code < 193 else 0,
        pid=int(item.get("Pid") or 0) if state == "running" else 0,
        log_path=labels.get(spec.CONTAINER_LOG, ""),
        labels=labels,
    )


def inspected_container(item: Mapping[str, Any]) -> Container:
    """The answer of ``containers/ID/json``."""
    labels: dict[str, str] = (item.get("Config") or {}).get("Labels") or {}
    found: Mapping[str, Any] = item.get("State") or {}
    state = container_state(str(found.get("Status") or ""))
    code = int(found.get("ExitCode") or 0) if state == "exited" else 0
    log = ((item.get("HostConfig") or {}).get("LogConfig") or {}).get("Path")
    return Container(
        id=str(item["Id"]),
        name=labels.get(spec.CONTAINER_NAME, ""),
        attempt=_attempt(labels),
        state=state,
        image=labels.get(spec.CONTAINER_IMAGE) or str(item.get("ImageName") or ""),
        image_id=str(item.get("Image") or ""),
        sandbox_id=str(item.get("Pod") or ""),
        created_at=moment(item.get("Created")),
        started_at=moment(found.get("StartedAt")),
        finished_at=moment(found.get("FinishedAt")) if state == "exited" else None,
        exit_code=code,
        signal=code - 128 if 128 < code < 193 else 0,
        oom_killed=bool(found.get("OOMKilled")),
        pid=int(found.get("Pid") or 0) if state == "running" else 0,
        log_path=labels.get(spec.CONTAINER_LOG) or str(log or ""),
        error=str(found.get("Error") or ""),
        labels=labels,
    )


def same_run(listed: Container, known: Container) -> bool:
    """Whether what was inspected earlier still describes the container that the listing shows."""
    if listed.state != known.state or listed.exit_code != known.exit_code:
        return False
    if listed.finished_at is None or known.finished_at is None:
        return listed.finished_at is None and known.finished_at is None
    return int(listed.finished_at.timestamp()) == int(known.finished_at.timestamp())


def sandboxes(
    containers: Iterable[Mapping[str, Any]],
    pods: Iterable[Mapping[str, Any]] = (),
    known: Mapping[str, Container] | None = None,
    late: Mapping[str, Container] | None = None,
) -> tuple[list[Sandbox], dict[str, tuple[str, int]]]:
    """Put the listings together.

    ``known``: containers that were inspected, by id, used where they describe the same run. ``late``: containers
    that have ended although the listing does not say so yet. ``pods`` adds those that have no infra container (half
    made): they are not ready and have nothing in them.

    Returns the sandboxes, and each one's infra container: sandbox id → (container id, pid, 0 when not running).
    """
    infra: dict[str, Mapping[str, Any]] = {}
    members: dict[str, list[Container]] = {}
    late = late or {}
    for item in containers:
        sandbox_id = str(item.get("Pod") or "")
        if item.get("IsInfra"):
            infra[sandbox_id] = item
        else:
            one = late.get(str(item["Id"])) or listed_container(item)
            seen = known.get(one.id) if known and one.state == "exited" else None
            members.setdefault(sandbox_id, []).append(
                seen if seen is not None and same_run(one, seen) else one
            )
    found: list[Sandbox] = []
    processes: dict[str, tuple[str, int]] = {}
    for sandbox_id, item in infra.items():
        state = "exited" if str(item["Id"]) in late else container_state(str(item.get("State") or ""))
        processes[sandbox_id] = (str(item["Id"]), int(item.get("Pid") or 0) if state == "running" else 0)
        ready = state in ("running", "created")  # made and never started: ready for its first container
        found.append(_sandbox(sandbox_id, item, members.get(sandbox_id, []), ready))
    for pod in pods:
        sandbox_id = str(pod["Id"])
        if sandbox_id not in infra:
            found.append(_sandbox(sandbox_id, pod, members.get(sandbox_id, []), False))
    return found, processes


def _sandbox(sandbox_id: str, item: Mapping[str, Any], members: list[Container], ready: bool) -> Sandbox:
    labels: dict[str, str] = item.get("Labels") or {}
    address = labels.get(spec.POD_IP, "")
    members.sort(key=lambda one: (one.name, one.attempt))
    return Sandbox(
        id=sandbox_id,
        uid=labels.get(spec.POD_UID, ""),
        namespace=labels.get(spec.POD_NAMESPACE, ""),
        name=labels.get(spec.POD_NAME, ""),
        node=labels.get(spec.POD_NODE, ""),
        state="ready" if ready else "notready",
        ip=address,
        ips=(address,) if address else (),
        created_at=moment(item.get("Created")),
        containers=tuple(members),
        labels=labels,
    )


def image(item: Mapping[str, Any], folders: Sequence[Path] = ()) -> Image:
    """The answer of ``images/NAME/json``. Reads the image's accounts where its layers are in these ``folders``."""
    config: Mapping[str, Any] = item.get("Config") or {}
    return Image(
        id=str(item["Id"]),
        names=tuple(item.get("RepoTags") or item.get("NamesHistory") or ()),
        digests=tuple(item.get("RepoDigests") or ()),
        size=int(item.get("Size") or 0),
        user=str(config.get("User") or item.get("User") or ""),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        stop_signal=str(config.get("StopSignal") or ""),
        accounts=read_accounts(folders) if folders and folders[0].is_dir() else None,
        env=frozenset(entry.partition("=")[0] for entry in config.get("Env") or ()),
    )


def as_it_ended(listed: Container, end: End) -> Container:
    """An ended container of a listing, with the exact instant and the kernel's word on memory."""
    return replace(listed, finished_at=end.finished_at, oom_killed=end.oom_killed)


def as_ended_late(listed: Container, end: End) -> Container:
    """A container that a listing shows as running, and that has ended."""
    code = end.exit_code
    signal = code - 128 if 128 < code < 193 else 0
    return as_it_ended(replace(listed, state="exited", pid=0, exit_code=code, signal=signal), end)


def as_out_of_memory(container: Container) -> Container:
    """The same container, killed by the kernel for want of memory."""
    return replace(container, oom_killed=True)
