"""Small questions about a pod's spec and its containers, asked by the planner and by the status alike.

Follows ``pkg/kubelet/container/helpers.go`` (ShouldContainerBeRestarted) and ``pkg/api/v1/pod/util.go``
(ContainerShouldRestart, IsRestartableInitContainer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from runtime.objects.errors import Obj
from runtime.podman.interface import Container

TERMINAL = ("Succeeded", "Failed")
RESTART_ALL = "RestartAllContainers"

Attempts = Mapping[str, Sequence[Container]]
"""Container name → what the runtime has of it, the latest attempt first."""


def attempts_of(containers: Iterable[Container]) -> dict[str, list[Container]]:
    """Containers grouped by name, the latest attempt first."""
    grouped: dict[str, list[Container]] = {}
    for container in containers:
        entries = grouped.get(container.name)
        if entries is None:
            grouped[container.name] = [container]
        else:
            entries.append(container)
    for entries in grouped.values():
        if len(entries) > 1:
            entries.sort(key=lambda entry: entry.attempt, reverse=True)
    return grouped


def latest(attempts: Attempts, name: str) -> Container | None:
    """The newest attempt of a container, or None."""
    entries = attempts.get(name)
    return entries[0] if entries else None


def is_running(container: Container | None) -> bool:
    """Whether its process lives (a paused one does)."""
    return container is not None and container.state in ("running", "paused")


def is_sidecar(container: Obj) -> bool:
    """A restartable init container."""
    return container.get("restartPolicy") == "Always"


def is_terminal(pod: Obj) -> bool:
    """Whether the API shows the pod as ended; it never lives again."""
    return (pod.get("status") or {}).get("phase") in TERMINAL


def specs_of(pod: Obj) -> Iterator[tuple[str, Obj]]:
    """Every container of the spec with the field it stands in."""
    spec = pod["spec"]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for entry in spec.get(field) or ():
            yield field, entry


def find_spec(pod: Obj, name: str) -> tuple[str, Obj] | None:
    """The field and the spec of the container of this name."""
    for field, entry in specs_of(pod):
        if entry["name"] == name:
            return field, entry
    return None


def exit_action(container: Obj, exit_code: int) -> str:
    """What the first of the container's rules that matches this code asks for; empty when none does."""
    for rule in container.get("restartPolicyRules") or ():
        codes: Any = rule.get("exitCodes") or {}
        values = codes.get("values") or ()
        if (exit_code in values) == (codes.get("operator") == "In"):
            return str(rule.get("action", ""))
    return ""


def has_restart_all(pod: Obj) -> bool:
    """Whether the end of some container may restart all of them (AllContainersCouldRestart)."""
    return any(
        rule.get("action") == RESTART_ALL
        for _, entry in specs_of(pod)
        for rule in entry.get("restartPolicyRules") or ()
    )


def restart_all_sources(pod: Obj, attempts: Attempts) -> list[tuple[str, Obj]]:
    """Fields and specs of the containers whose end asks for a restart of all (ShouldAllContainersRestart)."""
    found: list[tuple[str, Obj]] = []
    for field, entry in specs_of(pod):
        if not entry.get("restartPolicyRules"):
            continue
        current = latest(attempts, entry["name"])
        if (
            current is not None
            and current.state == "exited"
            and exit_action(entry, current.exit_code) == RESTART_ALL
        ):
            found.append((field, entry))
    return found


def exit_restarts(container: Obj, pod_spec: Obj, exit_code: int) -> bool:
    """Whether a container that ended with this code is to run again (container rules before the pod's policy)."""
    if action := exit_action(container, exit_code):
        return action in ("Restart", RESTART_ALL)
    policy = container.get("restartPolicy") or pod_spec.get("restartPolicy") or "Always"
    if policy == "Always":
        return True
    return policy == "OnFailure" and exit_code != 0


def should_be_restarted(container: Obj, pod: Obj, current: Container | None) -> bool:
    """Whether a container that does not run is to be started."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    if current is None:
        return True
    if is_running(current):
        return False
    if current.state in ("created", "unknown", "removing"):
        return True
    return exit_restarts(container, pod["spec"], current.exit_code)


def pod_restarts_on_failure(pod: Obj) -> bool:
    """Whether the pod's own policy restarts what failed."""
    return (pod["spec"].get("restartPolicy") or "Always") != "Never"


def any_regular_started(pod: Obj, attempts: Attempts) -> bool:
    """Whether an app container has run, which means that every init container has been through."""
    for entry in pod["spec"]["containers"]:
        current = latest(attempts, entry["name"])
        if current is not None and current.state in ("running", "paused", "exited"):
            return True
    return False
