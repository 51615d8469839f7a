"""The table of pods, whose STATUS sums up phase, conditions and every container's state in one word.

Follows ``printPod`` in kubernetes ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..errors import Obj
from ..registry import Column
from ..selectors import format_labels
from .duration import since
from .table import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    NONE,
    age,
    condition_status,
    container_cells,
    name_of,
    part,
    prints,
    text,
    wide,
)


class _Restarts:
    """Restarts counted, and the moment of the last one."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def add(self, status: Mapping[str, Any]) -> None:
        self.count += status.get("restartCount") or 0
        finished = part(part(status, "lastState"), "terminated").get("finishedAt") or ""
        if finished > self.last:  # one fixed-width format in UTC: the order of texts is that of times
            self.last = finished

    def cell(self, now: datetime) -> str:
        if self.count and self.last:
            return f"{self.count} ({since(self.last, now)} ago)"
        return str(self.count)


def _ended(terminated: Mapping[str, Any]) -> str:
    if reason := terminated.get("reason"):
        return str(reason)
    if signal := terminated.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


class PodSummary:
    """READY, STATUS and RESTARTS of one pod, as ``kubectl get pods`` shows them."""

    __slots__ = ("ready", "restarts", "status", "total")

    def __init__(self, pod: Obj) -> None:
        spec, status = part(pod, "spec"), part(pod, "status")
        self.total = len(spec.get("containers") or ())
        self.ready = 0
        self.restarts = _Restarts()
        self.status = status.get("reason") or status.get("phase") or ""
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
                self.status = "SchedulingGated"
        sidecars = {
            container.get("name")
            for container in spec.get("initContainers") or ()
            if container.get("restartPolicy") == "Always"
        }
        self.total += len(sidecars)
        sidecar_restarts = _Restarts()
        initializing = self._initialize(spec, status, sidecars, sidecar_restarts)
        if not initializing or condition_status(pod, "Initialized") == "True":
            self.restarts = sidecar_restarts
            self._run(pod, status)
        if part(pod, "metadata").get("deletionTimestamp"):
            if status.get("reason") == "NodeLost":
                self.status = "Unknown"
            elif status.get("phase") not in ("Succeeded", "Failed"):
                self.status = "Terminating"

    def _initialize(
        self, spec: Mapping[str, Any], status: Mapping[str, Any], sidecars: set[Any], restarts: _Restarts
    ) -> bool:
        """Go through the init containers up to the first that is not done; whether there is one."""
        for index, container in enumerate(status.get("initContainerStatuses") or ()):
            self.restarts.add(container)
            sidecar = container.get("name") in sidecars
            if sidecar:
                restarts.add(container)
            state = part(container, "state")
            terminated, waiting = state.get("terminated"), state.get("waiting")
            if terminated is not None and not terminated.get("exitCode"):
                continue
            if sidecar and container.get("started"):
                self.ready += bool(container.get("ready"))
                continue
            if terminated is not None:
                self.status = f"Init:{_ended(terminated)}"
            elif waiting and waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.status = f"Init:{waiting['reason']}"
            else:
                self.status = f"Init:{index}/{len(spec.get('initContainers') or ())}"
            return True
        return False

    def _run(self, pod: Obj, status: Mapping[str, Any]) -> None:
        running = False
        failure = ""
        for container in reversed(status.get("containerStatuses") or ()):
            self.restarts.add(container)
            state = part(container, "state")
            terminated, waiting = state.get("terminated"), state.get("waiting")
            if waiting and waiting.get("reason"):
                self.status = waiting["reason"]
            elif terminated is not None:
                self.status = _ended(terminated)
                if terminated.get("exitCode"):
                    failure = self.status
            elif container.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.status == "Completed":
            if running and condition_status(pod, "Ready") == "True":
                self.status = "Running"
            elif failure:
                self.status = failure
            elif running:
                self.status = "NotReady"


def _readiness_gates(pod: Obj) -> str:
    gates = part(pod, "spec").get("readinessGates")
    if not gates:
        return NONE
    true = sum(condition_status(pod, gate.get("conditionType", "")) == "True" for gate in gates)
    return f"{true}/{len(gates)}"


@prints(
    ("", "Pod"),
    columns=(
        NAME,
        text("Ready", "The aggregate readiness state of this pod for accepting traffic."),
        text("Status", "The aggregate status of the containers in this pod."),
        text(
            "Restarts",
            "The number of times the containers in this pod have been restarted and when the last was.",
        ),
        AGE,
        wide("IP", "The pod's first address."),
        wide("Node", "The node this pod runs on."),
        wide("Nominated Node", "The node where preemption makes room for this pod."),
        wide("Readiness Gates", "How many of the extra conditions for readiness are true."),
    ),
)
def _pod(pod: Obj, now: datetime) -> list[Any]:
    summary = PodSummary(pod)
    spec, status = part(pod, "spec"), part(pod, "status")
    addresses = status.get("podIPs") or ()
    return [
        name_of(pod),
        f"{summary.ready}/{summary.total}",
        summary.status,
        summary.restarts.cell(now),
        age(pod, now),
        (addresses[0].get("ip") if addresses else status.get("podIP")) or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(pod),
    ]


@prints(
    ("", "PodTemplate"),
    columns=(
        NAME,
        Column("Containers", "string", "", CONTAINERS.description),
        Column("Images", "string", "", IMAGES.description),
        text("Pod Labels", "The labels for the pod template."),
    ),
)
def _pod_template(obj: Obj, now: datetime) -> list[Any]:
    template = part(obj, "template")
    labels = part(template, "metadata").get("labels")
    return [name_of(obj), *container_cells(part(template, "spec")), format_labels(labels)]
