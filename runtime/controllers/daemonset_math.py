"""Which nodes a DaemonSet wants pods on, and which of those that are there it keeps. Pure functions.

After ``daemon/daemon_controller.go`` (``podsShouldBeOnNode``, ``NodeShouldRunDaemonPod``) and
``daemon/util/daemonset_util.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runtime.objects import meta
from runtime.objects.errors import Obj
from runtime.objects.meta import is_deleting, labels_of, name_of
from runtime.objects.placement import required_nodes
from runtime.scheduler import taints

from .pods import is_available, is_finished, is_ready, phase
from .revisions import HASH_LABEL

GENERATION_LABEL = "pod-template-generation"
_TOLERATED = (
    (taints.NOT_READY, "NoExecute"),
    (taints.UNREACHABLE, "NoExecute"),
    (taints.DISK_PRESSURE, "NoSchedule"),
    (taints.MEMORY_PRESSURE, "NoSchedule"),
    (taints.PID_PRESSURE, "NoSchedule"),
    (taints.UNSCHEDULABLE, "NoSchedule"),
)


def with_tolerations(spec: Obj) -> list[Obj]:
    """The template's tolerations and those that every daemon pod has."""
    wanted = list(_TOLERATED)
    if spec.get("hostNetwork"):
        wanted.append((taints.NETWORK_UNAVAILABLE, "NoSchedule"))
    result = list(spec.get("tolerations") or ())
    for key, effect in wanted:
        entry = {"key": key, "operator": "Exists", "effect": effect}
        if entry not in result:
            result.append(entry)
    return result


def pinned(affinity: Obj | None, node: str) -> Obj:
    """The affinity with every term narrowed to one node (``ReplaceDaemonSetPodNodeNameNodeAffinity``)."""
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    result = dict(affinity or {})
    result["nodeAffinity"] = {
        **(result.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
    }
    return result


def pinned_node(pod: Obj) -> str:
    """The node a daemon pod is on or meant for."""
    node = pod["spec"].get("nodeName")
    if node:
        return str(node)
    terms = meta.dig(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        default=(),
    )
    for term in terms:
        for entry in term.get("matchFields") or ():
            if entry.get("key") == "metadata.name" and entry.get("operator") == "In" and entry.get("values"):
                return str(entry["values"][0])
    return ""


def should_run(ds: Obj, node: Obj) -> tuple[bool, bool]:
    """(a pod should be started on the node, a pod there may go on)."""
    spec = ds["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != name_of(node):
        return False, False
    test = required_nodes(spec)
    if test is not None and not test(name_of(node), labels_of(node)):
        return False, False
    tolerations = with_tolerations(spec)
    there = node["spec"].get("taints") or ()
    if taints.untolerated(there, tolerations, ("NoSchedule", "NoExecute")) is not None:
        return False, taints.untolerated(there, tolerations, ("NoExecute",)) is None
    return True, True


@dataclass(slots=True)
class Plan:
    """What one pass wants done."""

    create_on: list[str] = field(default_factory=list)
    delete: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)
    succeeded: list[Obj] = field(default_factory=list)


def in_order(pods: Sequence[Obj]) -> list[Obj]:
    """Pods of one node, those that are scheduled first, then the oldest (``podByCreationTimestampAndPhase``)."""
    return sorted(
        pods,
        key=lambda pod: (
            not pod["spec"].get("nodeName"),
            pod["metadata"].get("creationTimestamp") or "",
            name_of(pod),
        ),
    )


def superfluous(running: Sequence[Obj], current_hash: str, min_ready: int, now: datetime) -> list[Obj]:
    """With surging, the pods that are too many on one node.

    Two may stay: an old one that still serves, and a new one that does not yet do so.
    """
    newest: Obj | None = None
    older: Obj | None = None
    result = []
    for pod in in_order(running):
        if labels_of(pod).get(HASH_LABEL) == current_hash:
            if newest is None:
                newest = pod
                continue
        elif older is None:
            older = pod
            continue
        result.append(pod)
    if (
        newest is not None
        and older is not None
        and (not is_ready(older) or is_available(newest, min_ready, now))
    ):
        result.append(older)
    return result


def manage(
    ds: Obj,
    nodes: Sequence[Obj],
    by_node: dict[str, list[Obj]],
    surge: bool,
    current_hash: str,
    now: datetime,
) -> Plan:
    """Which pods are missing and which are too many (``manage``, ``podsShouldBeOnNode``)."""
    plan = Plan()
    known = set()
    min_ready = int(ds["spec"].get("minReadySeconds") or 0)
    for node in nodes:
        name = name_of(node)
        known.add(name)
        run, go_on = should_run(ds, node)
        pods = by_node.get(name, [])
        if run and not pods:
            plan.create_on.append(name)
        elif go_on:
            running = []
            for pod in pods:
                if is_deleting(pod):
                    continue
                if phase(pod) == "Failed":
                    plan.failed.append(pod)
                elif phase(pod) == "Succeeded":
                    plan.succeeded.append(pod)
                else:
                    running.append(pod)
            if not surge:
                plan.delete.extend(in_order(running)[1:])
            elif len(running) > 1:
                plan.delete.extend(superfluous(running, current_hash, min_ready, now))
            elif not running and run:  # a pod that is on its way out leaves no gap when surging
                plan.create_on.append(name)
        else:
            plan.delete.extend(pod for pod in pods if not is_deleting(pod))
    for name, pods in by_node.items():  # meant for a node that does not exist
        if name not in known:
            plan.delete.extend(
                pod for pod in pods if not pod["spec"].get("nodeName") and not is_deleting(pod)
            )
    return plan


def group_by_node(pods: Sequence[Obj]) -> dict[str, list[Obj]]:
    """Pods by the node they are on or meant for; without those that ended and are being deleted."""
    result: dict[str, list[Obj]] = {}
    for pod in pods:
        if is_deleting(pod) and is_finished(pod):
            continue
        result.setdefault(pinned_node(pod), []).append(pod)
    return result


def is_updated(pod: Obj, current_hash: str, generation: str | None) -> bool:
    """Whether a pod is of the DaemonSet's present template."""
    labels = labels_of(pod)
    if generation and labels.get(GENERATION_LABEL) == generation:
        return True
    return labels.get(HASH_LABEL) == current_hash
