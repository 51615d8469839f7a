"""A pod's phase, conditions and the whole of its ``status``.

Follows getPhase and generateAPIPodStatus in ``pkg/kubelet/kubelet_pods.go`` and ``pkg/kubelet/status/generate.go``.
Pure functions: the same inputs always give the same status, so an unchanged pod is never written twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runtime.kubelet.container_status import Resources, Waiting, container_statuses
from runtime.kubelet.pods.policy import (
    Attempts,
    any_regular_started,
    exit_restarts,
    has_restart_all,
    is_sidecar,
)
from runtime.kubelet.resources import qos_class
from runtime.objects.clock import format_time
from runtime.objects.errors import Obj

RESIZE_PENDING = "PodResizePending"
RESIZE_IN_PROGRESS = "PodResizeInProgress"
ALL_RESTARTING = "AllContainersRestarting"
OWN_CONDITIONS = frozenset(
    {
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
        RESIZE_PENDING,
        RESIZE_IN_PROGRESS,
        ALL_RESTARTING,
    }
)
_KEPT = ("nominatedNodeName", "resourceClaimStatuses", "extendedResourceClaimStatus", "resize", "resources")
_TERMINAL = ("Succeeded", "Failed")


class ProbeResults:
    """What the probes say of a container; this base is for containers that have none."""

    def started(self, spec: Obj, container_id: str) -> bool:
        """Whether the startup probe has passed (a container without one has started when it runs)."""
        return True

    def ready(self, spec: Obj, container_id: str) -> bool:
        """Whether the readiness probe passes (without one: yes)."""
        return True


@dataclass(slots=True)
class StatusInput:
    """Everything a status is made from."""

    pod: Obj
    attempts: Attempts
    old: Obj
    now: datetime
    sandbox_ready: bool = False
    pod_ips: Sequence[str] = ()
    host_ips: Sequence[str] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    image_refs: Mapping[str, str] = field(default_factory=dict)
    probes: ProbeResults = field(default_factory=ProbeResults)
    terminal: bool = False
    """No container runs nor will: the phase may become Succeeded or Failed whatever the restart policy."""
    failed: tuple[str, str] | None = None
    """Reason and message when the kubelet itself failed the pod (DeadlineExceeded)."""
    restarting_all: bool = False
    """All containers are being ended and removed, to begin anew."""
    resize: tuple[str, str, str] | None = None
    """Condition, reason and message while new amounts of cpu and memory can't be given."""
    resources: Resources = field(default_factory=Resources)


def make_status(given: StatusInput) -> Obj:
    """The whole ``status`` of a pod."""
    pod, old, attempts = given.pod, given.old, given.attempts
    spec = pod["spec"]
    api_status = pod.get("status") or {}
    containers = container_statuses(
        pod,
        spec["containers"],
        attempts,
        old.get("containerStatuses") or (),
        given.waiting,
        given.messages,
        given.image_refs,
        given.resources,
    )
    init_specs = spec.get("initContainers") or ()
    inits: list[Obj] = []
    if init_specs:
        inits = container_statuses(
            pod,
            init_specs,
            attempts,
            old.get("initContainerStatuses") or (),
            given.waiting,
            given.messages,
            given.image_refs,
            given.resources,
            init=True,
        )
    ephemeral_specs = spec.get("ephemeralContainers") or ()
    _add_readiness(spec["containers"], containers, given.probes)
    if inits:
        _add_init_readiness(init_specs, inits, given.probes)

    statuses = {entry["name"]: entry for entry in (*containers, *inits)}
    phase = pod_phase(pod, statuses, terminal=given.terminal, initialized=any_regular_started(pod, attempts))
    reason = message = ""
    if given.failed is not None:
        phase = "Failed"
        reason, message = given.failed
    shown = api_status.get("phase")
    for before in (old.get("phase"), shown):
        if before in _TERMINAL and phase != before:
            phase = before
            break
    if shown in _TERMINAL:
        phase = shown
    if not reason and phase == old.get("phase"):
        reason = old.get("reason") or api_status.get("reason") or ""
        message = old.get("message") or api_status.get("message") or ""

    status: Obj = {key: api_status[key] for key in _KEPT if key in api_status}
    generation = pod["metadata"].get("generation")
    if generation:
        status["observedGeneration"] = generation
    status["phase"] = phase
    status["conditions"] = _conditions(given, phase, containers, inits, generation)
    if reason:
        status["reason"] = reason
    if message:
        status["message"] = message
    host_ips = given.host_ips
    if host_ips:
        status["hostIP"] = host_ips[0]
        status["hostIPs"] = [{"ip": ip} for ip in host_ips]
    pod_ips = list(given.pod_ips)
    if spec.get("hostNetwork"):
        pod_ips = [entry["ip"] for entry in old.get("podIPs") or ()] or list(host_ips[:1])
    elif not pod_ips:
        pod_ips = [entry["ip"] for entry in old.get("podIPs") or ()]
    if pod_ips:
        status["podIP"] = pod_ips[0]
        status["podIPs"] = [{"ip": ip} for ip in pod_ips]
    status["startTime"] = old.get("startTime") or api_status.get("startTime") or format_time(given.now)
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = containers
    if ephemeral_specs:
        status["ephemeralContainerStatuses"] = container_statuses(
            pod,
            ephemeral_specs,
            attempts,
            old.get("ephemeralContainerStatuses") or (),
            given.waiting,
            given.messages,
            given.image_refs,
        )
    status["qosClass"] = api_status.get("qosClass") or qos_class(pod)
    return status


def _add_readiness(specs: Sequence[Obj], statuses: Sequence[Obj], probes: ProbeResults) -> None:
    by_name = {spec["name"]: spec for spec in specs} if len(specs) > 1 else {specs[0]["name"]: specs[0]}
    for status in statuses:
        _judge(by_name[status["name"]], status, probes)


def _judge(spec: Obj, status: Obj, probes: ProbeResults) -> None:
    running = "running" in status["state"]
    started = running and probes.started(spec, status["containerID"])
    status["started"] = started
    status["ready"] = started and probes.ready(spec, status["containerID"])


def _add_init_readiness(specs: Sequence[Obj], statuses: Sequence[Obj], probes: ProbeResults) -> None:
    for spec, status in zip(specs, statuses, strict=True):
        if is_sidecar(spec):
            _judge(spec, status, probes)
            continue
        status["started"] = "running" in status["state"]
        ended = status["state"].get("terminated")
        status["ready"] = bool(ended) and ended["exitCode"] == 0


def pod_phase(pod: Obj, statuses: Mapping[str, Obj], *, terminal: bool, initialized: bool) -> str:
    """Pending, Running, Succeeded or Failed (getPhase).

    Args:
        pod: the pod.
        statuses: container name → its status.
        terminal: nothing will be started any more, whatever the restart policy says.
        initialized: an app container has run.
    """
    spec = pod["spec"]
    pending_init = pending_sidecars = failed_init = 0
    unknown = running = waiting = stopped = not_restartable = succeeded = 0
    for container in spec.get("initContainers") or ():
        status = statuses.get(container["name"])
        if is_sidecar(container):
            if status is None:
                unknown += 1
                continue
            state = status["state"]
            if "running" in state:
                if not status.get("started"):
                    pending_sidecars += 1
                running += 1
            elif "terminated" not in state and not (status.get("lastState") or {}).get("terminated"):
                pending_sidecars += 1
                waiting += 1
            continue
        if status is None:
            pending_init += 1
            continue
        ended = status["state"].get("terminated")
        if ended is None and "waiting" in status["state"]:
            ended = (status.get("lastState") or {}).get("terminated")
        if ended is None:
            pending_init += 1
        elif ended["exitCode"] != 0 and not exit_restarts(container, spec, ended["exitCode"]):
            failed_init += 1
    for container in spec["containers"]:
        status = statuses.get(container["name"])
        if status is None:
            unknown += 1
            continue
        state = status["state"]
        if "running" in state:
            running += 1
            continue
        ended = state.get("terminated")
        if ended is not None:
            succeeded += ended["exitCode"] == 0
        else:
            ended = (status.get("lastState") or {}).get("terminated")
        if ended is None:
            waiting += 1
            continue
        stopped += 1
        if not exit_restarts(container, spec, ended["exitCode"]):
            not_restartable += 1
    if failed_init:
        return "Failed"
    if pending_init or (pending_sidecars and not initialized) or waiting:
        return "Pending"
    if running and not unknown:
        return "Running"
    if not running and stopped and not unknown:
        if not terminal and stopped != not_restartable:
            return "Running"
        return "Succeeded" if stopped == succeeded else "Failed"
    return "Pending"


def _listed(names: Sequence[str]) -> str:
    return "[" + " ".join(names) + "]"


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Obj:
    entry: Obj = {"type": kind, "status": status}
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def containers_ready(pod: Obj, statuses: Mapping[str, Obj], phase: str) -> Obj:
    """The ContainersReady condition, without times."""
    if phase == "Failed":
        return _condition("ContainersReady", "False", "PodFailed")
    unknown: list[str] = []
    unready: list[str] = []
    spec = pod["spec"]
    for container in (
        *(entry for entry in spec.get("initContainers") or () if is_sidecar(entry)),
        *spec["containers"],
    ):
        status = statuses.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif not status["ready"]:
            unready.append(container["name"])
    if phase == "Succeeded" and not unknown:
        return _condition("ContainersReady", "False", "PodCompleted")
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: {_listed(unknown)}")
    if unready:
        messages.append(f"containers with unready status: {_listed(unready)}")
    if messages:
        return _condition("ContainersReady", "False", "ContainersNotReady", ", ".join(messages))
    return _condition("ContainersReady", "True")


def pod_ready(pod: Obj, conditions: Sequence[Obj], ready: Obj) -> Obj:
    """The Ready condition: ContainersReady and every readiness gate."""
    if ready["status"] != "True":
        return {**ready, "type": "Ready"}
    messages: list[str] = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        found = next((entry for entry in conditions if entry["type"] == kind), None)
        if found is None:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    if messages:
        return _condition("Ready", "False", "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", "True")


def all_restarting(pod: Obj, phase: str, *, restarting: bool) -> Obj | None:
    """The AllContainersRestarting condition, without times; None for a pod that no rule restarts as a whole."""
    if not has_restart_all(pod):
        return None
    if phase in _TERMINAL:
        return _condition(ALL_RESTARTING, "False", "PodCompleted" if phase == "Succeeded" else "PodFailed")
    if restarting:
        words = "container exited with restart policy rule"
        return _condition(ALL_RESTARTING, "True", "RestartAllContainersStarted", words)
    return _condition(ALL_RESTARTING, "False")


def initialized_condition(pod: Obj, statuses: Mapping[str, Obj], phase: str) -> Obj:
    """The Initialized condition, without times."""
    unknown: list[str] = []
    incomplete: list[str] = []
    spec = pod["spec"]
    for container in spec.get("initContainers") or ():
        status = statuses.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif not (status.get("started") if is_sidecar(container) else status["ready"]):
            incomplete.append(container["name"])
    if phase == "Succeeded" and not unknown:
        return _condition("Initialized", "True", "PodCompleted")
    if not unknown and not incomplete:
        return _condition("Initialized", "True")
    for container in spec["containers"]:
        state = (statuses.get(container["name"]) or {}).get("state") or {}
        if "running" in state or "terminated" in state:
            return _condition("Initialized", "True")
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: {_listed(unknown)}")
    if incomplete:
        messages.append(f"containers with incomplete status: {_listed(incomplete)}")
    return _condition("Initialized", "False", "ContainersNotInitialized", ", ".join(messages))


def _conditions(
    given: StatusInput, phase: str, containers: Sequence[Obj], inits: Sequence[Obj], generation: int | None
) -> list[Obj]:
    pod = given.pod
    statuses = {entry["name"]: entry for entry in (*inits, *containers)}
    kept = [
        entry
        for entry in (pod.get("status") or {}).get("conditions") or ()
        if entry["type"] not in OWN_CONDITIONS
    ]
    if given.failed is not None and given.failed[0] == "Evicted":
        disrupted = _condition("DisruptionTarget", "True", "TerminationByKubelet", given.failed[1])
        own_before = [
            entry for entry in given.old.get("conditions") or () if entry["type"] == "DisruptionTarget"
        ]
        stamp = own_before[0] if own_before else {**disrupted, "lastTransitionTime": format_time(given.now)}
        kept = [*(entry for entry in kept if entry["type"] != "DisruptionTarget"), stamp]
    ready = containers_ready(pod, statuses, phase)
    restarting = all_restarting(pod, phase, restarting=given.restarting_all)
    own = [
        *([_condition(given.resize[0], "True", *given.resize[1:])] if given.resize else ()),
        _condition("PodReadyToStartContainers", "True" if given.sandbox_ready else "False"),
        initialized_condition(pod, statuses, phase),
        pod_ready(pod, kept, ready),
        ready,
        _condition("PodScheduled", "True"),
        *([restarting] if restarting else ()),
    ]
    before = {entry["type"]: entry for entry in (pod.get("status") or {}).get("conditions") or ()}
    before.update({entry["type"]: entry for entry in given.old.get("conditions") or ()})
    now = ""
    result = list(kept)
    for entry in own:
        last = before.get(entry["type"])
        entry["lastProbeTime"] = None
        if last is not None and last.get("status") == entry["status"] and last.get("lastTransitionTime"):
            entry["lastTransitionTime"] = last["lastTransitionTime"]
        else:
            now = now or format_time(given.now)
            entry["lastTransitionTime"] = now
        if generation:
            entry["observedGeneration"] = generation
        result.append(entry)
    return result


def ended(pod: Obj, status: Obj) -> Obj:
    """The last status of a pod that is over: nothing of what had begun waits or runs any more (TerminatePod).

    It ends in a terminal phase. What began and left no trace is shown as one that could not be found; what an
    init container that failed kept from beginning is still waiting.
    """
    result = dict(status)
    if "containerStatuses" in status and _was_initialized(pod, status):
        result["containerStatuses"] = [_closed(entry) for entry in status["containerStatuses"]]
    inits = status.get("initContainerStatuses") or []
    begun = max((place for place, entry in enumerate(inits) if _has_begun(entry)), default=0)
    if inits:
        result["initContainerStatuses"] = [
            _closed(entry) if place <= begun else entry for place, entry in enumerate(inits)
        ]
    if status["phase"] not in _TERMINAL:
        result["phase"] = "Failed"
    return result


def _closed(entry: Obj) -> Obj:
    if entry["state"].get("terminated"):
        return entry
    lost = {
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
        "exitCode": 137,
        "startedAt": None,
        "finishedAt": None,
    }
    return {**entry, "state": {"terminated": lost}, "ready": False, "started": False}


def _has_begun(entry: Obj) -> bool:
    return "waiting" not in entry["state"] or bool((entry.get("lastState") or {}).get("terminated"))


def _was_initialized(pod: Obj, status: Obj) -> bool:
    """Whether the pod's init containers have been through, by what its status tells (hasPodInitialized)."""
    specs = pod["spec"].get("initContainers") or ()
    inits = status.get("initContainerStatuses") or ()
    if not specs or any(_has_begun(entry) for entry in status["containerStatuses"]):
        return True
    if not inits:
        return False
    last = inits[-1]
    if is_sidecar(specs[-1]):
        return "running" in last["state"] and bool(last.get("started"))
    ends = (last["state"].get("terminated"), (last.get("lastState") or {}).get("terminated"))
    return any(end is not None and end["exitCode"] == 0 for end in ends)
