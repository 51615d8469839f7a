"""What to do next for one pod: a pure function from what is wanted and what is there to a list of steps.

Follows computePodActions and computeInitContainerActions in ``pkg/kubelet/kuberuntime``. It is where restarts,
init containers and sidecars are decided, so it touches nothing and can be tested by table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from runtime.kubelet.pods.policy import (
    Attempts,
    exit_restarts,
    is_running,
    is_sidecar,
    latest,
    pod_restarts_on_failure,
    restart_all_sources,
    should_be_restarted,
)
from runtime.objects.errors import Obj
from runtime.podman.interface import Container, Sandbox

KillReason = Literal["", "liveness", "startup", "changed", "unknown"]


@dataclass(frozen=True, slots=True)
class Kill:
    """One container to stop, and the words for the event."""

    container: Container
    message: str
    reason: KillReason = ""


@dataclass(slots=True)
class PodActions:
    """The steps, in the order in which they are taken."""

    kill_pod: bool = False
    """Stop everything: the pod has ended, or its sandbox must be made anew."""
    restart_all: list[tuple[str, Obj]] = field(default_factory=list)
    """The containers, with the fields they stand in, whose end makes all of them begin anew in the same sandbox."""
    create_sandbox: bool = False
    kill: list[Kill] = field(default_factory=list)
    ephemeral: list[int] = field(default_factory=list)
    """Indexes into spec.ephemeralContainers to start."""
    inits: list[int] = field(default_factory=list)
    """Indexes into spec.initContainers to start, in order."""
    containers: list[int] = field(default_factory=list)
    """Indexes into spec.containers to start."""

    @property
    def nothing(self) -> bool:
        """Whether the pod is as it should be."""
        return not (
            self.kill_pod
            or self.restart_all
            or self.create_sandbox
            or self.kill
            or self.ephemeral
            or self.inits
            or self.containers
        )


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the probes have decided, by container id."""

    liveness_failed: Callable[[str], bool] = lambda _: False
    startup_failed: Callable[[str], bool] = lambda _: False
    started: Callable[[Obj, str], bool] = lambda _spec, _id: True
    changed: Callable[[Obj, Container], str] = lambda _spec, _container: ""
    """What about the container makes it necessary to replace it."""


def sandbox_changed(pod: Obj, sandbox: Sandbox | None) -> bool:
    """Whether the pod needs a new sandbox (PodSandboxChanged).

    A sandbox that is not ready but never ran anything is one that was just made: Podman starts it with its first
    container.
    """
    if sandbox is None:
        return True
    if sandbox.state == "ready":
        return False
    return any(container.state != "created" for container in sandbox.containers)


def compute_actions(pod: Obj, sandbox: Sandbox | None, attempts: Attempts, verdicts: Verdicts) -> PodActions:
    """The next steps for a pod that is to run.

    Args:
        pod: the pod as the API has it, not being deleted.
        sandbox: what the runtime has, or None.
        attempts: its containers by name, the latest first.
        verdicts: what the probes say.
    """
    actions = PodActions()
    spec = pod["spec"]
    init_specs = spec.get("initContainers") or ()
    if sandbox is not None:
        actions.restart_all = restart_all_sources(pod, attempts)
        if actions.restart_all:
            return actions
    if sandbox_changed(pod, sandbox):
        actions.kill_pod = sandbox is not None
        actions.create_sandbox = True
        if not pod_restarts_on_failure(pod) and sandbox is not None and attempts:
            # A pod that never restarts has had its run; a new sandbox would run it twice.
            actions.create_sandbox = False
            return actions
        to_start = [
            index
            for index, container in enumerate(spec["containers"])
            if not _succeeded(container, pod, attempts)
        ]
        if not to_start:
            if init_specs and not any(latest(attempts, entry["name"]) for entry in spec["containers"]):
                actions.inits = [0]
                return actions
            actions.create_sandbox = False
            return actions
        if init_specs:
            actions.inits = [0]
            return actions
        actions.containers = to_start
        return actions

    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        if latest(attempts, container["name"]) is None:
            actions.ephemeral.append(index)

    if init_specs:
        initialized = _init_actions(pod, attempts, verdicts, actions)
        if actions.kill_pod or not initialized:
            return actions

    keep = 0
    for index, container in enumerate(spec["containers"]):
        current = latest(attempts, container["name"])
        if not is_running(current):
            if should_be_restarted(container, pod, current):
                actions.containers.append(index)
                if current is not None and current.state == "unknown":
                    actions.kill.append(_unknown(current, "Container"))
            continue
        assert current is not None
        for older in attempts[container["name"]][1:]:
            if is_running(older):
                actions.kill.append(Kill(older, f"Container {container['name']} runs twice"))
        kill = _verdict(container, current, "Container", verdicts)
        if kill is None:
            keep += 1
            continue
        message, reason = kill
        restart = reason == "changed" or exit_restarts(container, spec, 137)
        if restart:
            message += ", will be restarted"
            actions.containers.append(index)
        actions.kill.append(Kill(current, message, reason))

    if keep == 0 and not actions.containers:
        actions.kill_pod = True
        actions.inits = []
    return actions


def _succeeded(container: Obj, pod: Obj, attempts: Attempts) -> bool:
    current = latest(attempts, container["name"])
    return (
        current is not None
        and current.state == "exited"
        and current.exit_code == 0
        and not exit_restarts(container, pod["spec"], 0)
    )


def _unknown(current: Container, kind: str) -> Kill:
    return Kill(current, f'{kind} is in "{current.state}" state, try killing it before restart', "unknown")


def _verdict(
    container: Obj, current: Container, kind: str, verdicts: Verdicts
) -> tuple[str, KillReason] | None:
    name = container["name"]
    if what := verdicts.changed(container, current):
        return f"{kind} {name} {what}", "changed"
    if container.get("livenessProbe") and verdicts.liveness_failed(current.id):
        return f"{kind} {name} failed liveness probe", "liveness"
    if container.get("startupProbe") and verdicts.startup_failed(current.id):
        return f"{kind} {name} failed startup probe", "startup"
    return None


def _init_actions(pod: Obj, attempts: Attempts, verdicts: Verdicts, actions: PodActions) -> bool:
    """Adds the steps for init containers; says whether the pod is initialized."""
    specs = pod["spec"]["initContainers"]
    has_initialized = any(
        current is not None and current.state in ("created", "running", "paused", "exited")
        for current in (latest(attempts, entry["name"]) for entry in pod["spec"]["containers"])
    )
    previously = has_initialized
    last = len(specs) - 1
    to_start: list[int] = []
    # From the last one back: what has ended may have been removed, and the one that got furthest decides.
    for index in range(last, -1, -1):
        container = specs[index]
        sidecar = is_sidecar(container)
        current = latest(attempts, container["name"])
        if current is None:
            if previously and sidecar:
                to_start.append(index)
            continue
        if previously and not sidecar:
            continue
        if current.state in ("created", "removing"):
            to_start.append(index)
        elif is_running(current):
            if sidecar:
                kill = _verdict(container, current, "Init container", verdicts)
                if verdicts.started(container, current.id):
                    if index == last:
                        has_initialized = True
                    elif not previously:
                        to_start.append(index + 1)
                if kill is not None:
                    actions.kill.append(Kill(current, *kill))
                    to_start.append(index)
        elif current.state == "exited":
            if sidecar:
                to_start.append(index)
            elif current.exit_code != 0:
                if not exit_restarts(container, pod["spec"], current.exit_code):
                    actions.kill_pod = True
                    actions.inits = []
                    return False
                to_start.append(index)
            elif index == last:
                has_initialized = True
            else:
                to_start.append(index + 1)
        else:
            policy = container.get("restartPolicy")
            if not sidecar and (policy == "Never" if policy else not pod_restarts_on_failure(pod)):
                actions.kill_pod = True
                actions.inits = []
                return False
            actions.kill.append(_unknown(current, "Init container"))
            to_start.append(index)
        previously = True
    if not previously:
        to_start.append(0)
    actions.inits = sorted(set(to_start))
    return has_initialized
