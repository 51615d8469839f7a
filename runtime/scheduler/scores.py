"""Which of the fitting nodes is best: upstream's default plugins with their weights.

After ``scheduler/framework/plugins/{noderesources,tainttoleration,nodeaffinity,imagelocality,…}``: each score is
0 to 100; TaintToleration counts three times, NodeAffinity, PodTopologySpread and InterPodAffinity twice,
LeastAllocated, BalancedAllocation and ImageLocality once.
"""

from __future__ import annotations

from collections.abc import Sequence

from .filters import static
from .nodeinfo import Cache, NodeInfo
from .shape import Shape
from .topology import Situation, default_crowding

MAX = 100


def least_allocated(shape: Shape, node: NodeInfo) -> int:
    """The mean share of cpu and memory left free."""
    total = weights = 0
    for want, used, have in (
        (shape.scored.cpu, node.scored.cpu, node.allocatable.cpu),
        (shape.scored.memory, node.scored.memory, node.allocatable.memory),
    ):
        if have <= 0:
            continue
        weights += 1
        asked = want + used
        total += (have - asked) * MAX // have if asked <= have else 0
    return total // weights if weights else 0


def balanced(shape: Shape, node: NodeInfo) -> int:
    """Higher the closer the shares of cpu and memory in use are to each other."""
    shares = []
    for want, used, have in (
        (shape.requests.cpu, node.used.cpu, node.allocatable.cpu),
        (shape.requests.memory, node.used.memory, node.allocatable.memory),
    ):
        if have > 0:
            shares.append(min(1.0, (want + used) / have))
    deviation = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
    return int((1 - deviation) * MAX)


def _scaled(values: Sequence[float], *, reverse: bool = False) -> list[float]:
    """``DefaultNormalizeScore``: the highest becomes 100; reversed, 0."""
    top = max(values)
    if top == 0:
        return [float(MAX) if reverse else 0.0] * len(values)
    return [MAX - MAX * value // top if reverse else MAX * value // top for value in values]


def _spanned(values: Sequence[float]) -> list[float]:
    """The lowest becomes 0 and the highest 100; all the same becomes 0."""
    low, high = min(values), max(values)
    return [MAX * (value - low) // (high - low) if high > low else 0.0 for value in values]


def _uncrowded(values: Sequence[float]) -> list[float]:
    """PodTopologySpread's own: the least crowded becomes 100."""
    low, high = min(values), max(values)
    if high == 0:
        return [float(MAX)] * len(values)
    return [MAX * (high + low - value) // high for value in values]


def totals(
    shape: Shape,
    nodes: Sequence[NodeInfo],
    cache: Cache,
    controller: str,
    situation: Situation | None,
) -> list[float]:
    """The weighted score of every node, in the order given."""
    facts = [static(shape, node) for node in nodes]
    result = [
        float(least_allocated(shape, node) + balanced(shape, node) + fact.images)
        for node, fact in zip(nodes, facts, strict=True)
    ]

    def add(weight: int, values: Sequence[float]) -> None:
        for position, value in enumerate(values):
            result[position] += weight * value

    if any(fact.disliked for fact in facts):
        add(3, _scaled([fact.disliked for fact in facts], reverse=True))
    if shape.preferred:
        add(2, _scaled([fact.affinity for fact in facts]))
    crowded = None
    if situation is not None:
        if situation.soft:
            add(2, _spanned([situation.affinity_score(node) for node in nodes]))
        crowded = situation.spread_scores(nodes)
    if crowded is None and not shape.spread:
        crowded = default_crowding(controller, nodes, cache)
    if crowded is not None:
        add(2, _uncrowded(crowded))
    return result
