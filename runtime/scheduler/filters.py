"""Which nodes a pod can run on, and in upstream's words why not on the others.

After ``scheduler/framework/plugins/{nodeunschedulable,tainttoleration,nodeaffinity,nodeports,noderesources}``.
A pod with spec.nodeName never comes here, so NodeName has nothing to filter. What depends on the node object alone
is worked out once per shape and node version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runtime.objects.errors import Obj

from . import taints
from .nodeinfo import NodeInfo
from .shape import Shape


class Refusal(NamedTuple):
    """Why a node will not do."""

    plugin: str
    reasons: tuple[str, ...]
    final: bool = False
    """Removing pods would not help (UnschedulableAndUnresolvable)."""


class Static(NamedTuple):
    """What one node means to one shape, as long as the node object stays the same."""

    version: str
    refusal: Refusal | None
    affinity: int
    """The sum of preferred node affinity weights."""
    disliked: int
    """PreferNoSchedule taints that are not tolerated."""
    images: int
    """The image locality score, 0 to 100."""


HARD = ("NoSchedule", "NoExecute")
_UNSCHEDULABLE: Obj = {"key": taints.UNSCHEDULABLE, "effect": "NoSchedule"}
_MB = 1024 * 1024
_LOW, _HIGH = 23 * _MB, 1000 * _MB


def _refuse(shape: Shape, node: NodeInfo) -> Refusal | None:
    if shape.pinned is not None and node.name not in shape.pinned:
        return Refusal("NodeAffinity", ("node(s) didn't satisfy plugin(s) [NodeAffinity]",), True)
    if node.unschedulable and not taints.tolerated(shape.tolerations, _UNSCHEDULABLE):
        return Refusal("NodeUnschedulable", ("node(s) were unschedulable",), True)
    if taints.untolerated(node.taints, shape.tolerations, HARD) is not None:
        return Refusal("TaintToleration", ("node(s) had untolerated taint(s)",), True)
    if shape.required is not None and not shape.required(node.name, node.labels):
        return Refusal("NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",), True)
    return None


def _normal_image(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def static(shape: Shape, node: NodeInfo) -> Static:
    """The part of filters and scores that only the node object decides."""
    known: Static | None = shape.static.get(node.name)
    if known is not None and known.version == node.version:
        return known
    refusal = _refuse(shape, node)
    affinity = disliked = images = 0
    if refusal is None:
        affinity = sum(weight for weight, test in shape.preferred if test(node.name, node.labels))
        disliked = sum(
            1
            for taint in node.taints
            if taint.get("effect") == "PreferNoSchedule" and not taints.tolerated(shape.tolerations, taint)
        )
        if node.images and shape.images:
            size = sum(node.images.get(_normal_image(name), 0) for name in shape.images)
            high = _HIGH * len(shape.images)
            images = 100 * (min(max(size, _LOW), high) - _LOW) // (high - _LOW)
    made = Static(node.version, refusal, affinity, disliked, images)
    shape.static[node.name] = made
    return made


def ports_conflict(wanted: tuple[str, str, int], used: tuple[str, str, int]) -> bool:
    """Whether two host ports get in each other's way; 0.0.0.0 stands for every address."""
    return wanted[1:] == used[1:] and (wanted[0] == used[0] or "0.0.0.0" in (wanted[0], used[0]))


def room(shape: Shape, node: NodeInfo, nominated: Sequence[Shape] = ()) -> Refusal | None:
    """Whether ports and resources are free; ``nominated`` are pods that have a claim on the node already."""
    if shape.ports:
        taken = list(node.ports)
        for other in nominated:
            taken.extend(other.ports)
        if any(ports_conflict(wanted, used) for wanted in shape.ports for used in taken):
            return Refusal("NodePorts", ("node(s) didn't have free ports for the requested pod ports",))
    lacking: list[str] = []
    if len(node.pods) + len(nominated) + 1 > node.max_pods:
        lacking.append("Too many pods")
    wants, used, have = shape.requests, node.used, node.allocatable
    cpu, memory, storage = used.cpu, used.memory, used.storage
    for other in nominated:
        cpu += other.requests.cpu
        memory += other.requests.memory
        storage += other.requests.storage
    never = False
    if wants.cpu and wants.cpu > have.cpu - cpu:
        lacking.append("Insufficient cpu")
        never = never or wants.cpu > have.cpu
    if wants.memory and wants.memory > have.memory - memory:
        lacking.append("Insufficient memory")
        never = never or wants.memory > have.memory
    if wants.storage and wants.storage > have.storage - storage:
        lacking.append("Insufficient ephemeral-storage")
        never = never or wants.storage > have.storage
    for name, amount in wants.scalars.items():
        taken_amount = used.scalars.get(name, 0) + sum(o.requests.scalars.get(name, 0) for o in nominated)
        if amount and amount > have.scalars.get(name, 0) - taken_amount:
            lacking.append(f"Insufficient {name}")
            never = never or amount > have.scalars.get(name, 0)
    if lacking:
        return Refusal("NodeResourcesFit", tuple(lacking), never)
    return None


def summary(reasons: Mapping[str, int], total: int, prefix: str = "") -> str:
    """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.``"""
    listed = sorted(f"{count} {reason}" for reason, count in reasons.items() if count)
    text = f"{prefix}0/{total} nodes are available"
    return f"{text}: {', '.join(listed)}." if listed else f"{text}."


class Unschedulable(Exception):
    """No node will do: why not, node by node or for all of them."""

    def __init__(
        self, refusals: Mapping[str, Refusal], total: int, problem: str = "", plugin: str = ""
    ) -> None:
        super().__init__(problem)
        self.refusals = refusals
        self.total = total
        self.problem = problem
        self.plugins = frozenset({r.plugin for r in refusals.values()} | ({plugin} if plugin else set()))

    def message(self, after: str = "") -> str:
        """The sentence for condition and event; ``after`` is what preemption has to say."""
        if not self.total:
            return "no nodes available to schedule pods"
        if self.problem:
            text = f"0/{self.total} nodes are available: {self.problem}."
        else:
            counts: dict[str, int] = {}
            for refusal in self.refusals.values():
                for reason in refusal.reasons:
                    counts[reason] = counts.get(reason, 0) + 1
            text = summary(counts, self.total)
        return f"{text} {after}" if after else text
