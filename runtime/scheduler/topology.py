"""Places that depend on where other pods are: pod affinity, anti-affinity and topology spread.

After ``scheduler/framework/plugins/{interpodaffinity,podtopologyspread}``. A :class:`Situation` is made once per
pod to be scheduled, and only when it or a placed pod has such terms; it counts matching pods by topology value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from . import taints
from .filters import HARD, Refusal
from .nodeinfo import Cache, NodeInfo
from .shape import HOSTNAME, ZONE, PodTerm, Shape, Spread

NamespaceLabels = Callable[[str], Mapping[str, str]]
Counts = dict[tuple[str, str], int]
"""(topology key, value) → pods."""

DEFAULT_SPREAD = ((HOSTNAME, 3), (ZONE, 5))
"""Topology and maxSkew of the cluster's own soft constraints, for pods that have none."""


class Situation:
    """Where the pods that matter to one pod are."""

    def __init__(self, shape: Shape, cache: Cache, namespace_labels: NamespaceLabels) -> None:
        self.shape = shape
        self._labels_of = namespace_labels
        self._own_labels = namespace_labels(shape.namespace)
        self.near: Counts = {}
        self.far: Counts = {}
        self.others: Counts = {}
        """Existing pods whose anti-affinity this pod would break."""
        self.soft: Counts = {}
        self._spread_counts: list[dict[str, int]] = []
        self._spread_minimum: list[int] = []
        nodes = list(cache)
        if shape.affinity or shape.anti_affinity or shape.soft_affinity:
            self._count_own(nodes)
        if cache.choosy:
            self._count_others(nodes)
        if shape.spread:
            self._count_spread(nodes)

    def _matches(self, term: PodTerm, shape: Shape) -> bool:
        return term.matches(shape.namespace, self._labels_of(shape.namespace), shape.labels)

    def _wanted_by(self, term: PodTerm) -> bool:
        return term.matches(self.shape.namespace, self._own_labels, self.shape.labels)

    def _count_own(self, nodes: Iterable[NodeInfo]) -> None:
        shape = self.shape
        for node in nodes:
            for other, count in node.shapes.items():
                if shape.affinity and all(self._matches(term, other) for term in shape.affinity):
                    for term in shape.affinity:
                        _add(self.near, node, term.topology, count)
                for term in shape.anti_affinity:
                    if self._matches(term, other):
                        _add(self.far, node, term.topology, count)
                for term in shape.soft_affinity:
                    if self._matches(term, other):
                        _add(self.soft, node, term.topology, count * term.weight)

    def _count_others(self, nodes: Iterable[NodeInfo]) -> None:
        for node in nodes:
            for other, count in node.shapes.items():
                if not other.has_pod_terms:
                    continue
                for term in other.anti_affinity:
                    if self._wanted_by(term):
                        _add(self.others, node, term.topology, count)
                for term in other.soft_affinity:
                    if self._wanted_by(term):
                        _add(self.soft, node, term.topology, count * term.weight)
                for term in other.affinity:  # hardPodAffinityWeight is 1
                    if self._wanted_by(term):
                        _add(self.soft, node, term.topology, count)

    def _count_spread(self, nodes: Sequence[NodeInfo]) -> None:
        shape = self.shape
        for constraint in shape.spread:
            counts: dict[str, int] = {}
            for node in nodes:
                value = node.labels.get(constraint.topology)
                if value is None or not self._eligible(constraint, node):
                    continue
                matching = sum(
                    count - node.leaving.get(other, 0)
                    for other, count in node.shapes.items()
                    if other.namespace == shape.namespace and constraint.selector.matches(other.labels)
                )
                counts[value] = counts.get(value, 0) + matching
            self._spread_counts.append(counts)
            minimum = min(counts.values(), default=0)
            self._spread_minimum.append(0 if len(counts) < constraint.min_domains else minimum)

    def _eligible(self, constraint: Spread, node: NodeInfo) -> bool:
        shape = self.shape
        required = shape.required
        if constraint.honour_affinity and required is not None and not required(node.name, node.labels):
            return False
        if constraint.honour_taints and taints.untolerated(node.taints, shape.tolerations, HARD) is not None:
            return False
        return all(
            other.topology in node.labels for other in shape.spread if other.required == constraint.required
        )

    def refuse(self, node: NodeInfo) -> Refusal | None:
        """Why the pod can't be on this node, if it can't."""
        return self._refuse_spread(node) or self._refuse_affinity(node)

    def _refuse_spread(self, node: NodeInfo) -> Refusal | None:
        for position, constraint in enumerate(self.shape.spread):
            if not constraint.required:
                continue
            value = node.labels.get(constraint.topology)
            text = "node(s) didn't match pod topology spread constraints"
            if value is None:
                return Refusal("PodTopologySpread", (f"{text} (missing required label)",), True)
            own = 1 if constraint.selector.matches(self.shape.labels) else 0
            count = self._spread_counts[position].get(value, 0)
            if count + own - self._spread_minimum[position] > constraint.max_skew:
                return Refusal("PodTopologySpread", (text,))
        return None

    def _refuse_affinity(self, node: NodeInfo) -> Refusal | None:
        shape = self.shape
        if shape.affinity:
            fits = True
            for term in shape.affinity:
                value = node.labels.get(term.topology)
                if value is None:
                    return Refusal("InterPodAffinity", ("node(s) didn't match pod affinity rules",), True)
                if self.near.get((term.topology, value), 0) <= 0:
                    fits = False
            # the first of a group that wants to be together finds nobody: it may go anywhere
            if not fits and (self.near or not all(self._wanted_by(term) for term in shape.affinity)):
                return Refusal("InterPodAffinity", ("node(s) didn't match pod affinity rules",), True)
        for term in shape.anti_affinity:
            value = node.labels.get(term.topology)
            if value is not None and self.far.get((term.topology, value), 0) > 0:
                return Refusal("InterPodAffinity", ("node(s) didn't match pod anti-affinity rules",))
        for (topology, value), count in self.others.items():
            if count > 0 and node.labels.get(topology) == value:
                text = "node(s) didn't satisfy existing pods anti-affinity rules"
                return Refusal("InterPodAffinity", (text,))
        return None

    def affinity_score(self, node: NodeInfo) -> int:
        """The sum of soft weights that this node's topology collects."""
        return sum(weight for (key, value), weight in self.soft.items() if node.labels.get(key) == value)

    def spread_scores(self, nodes: Sequence[NodeInfo]) -> list[float] | None:
        """How crowded each node is by the pod's own soft constraints; None when it has none."""
        soft = [
            (constraint, counts)
            for constraint, counts in zip(self.shape.spread, self._spread_counts, strict=True)
            if not constraint.required
        ]
        if not soft:
            return None
        result = []
        for node in nodes:
            score = 0.0
            for constraint, counts in soft:
                value = node.labels.get(constraint.topology)
                if value is not None:
                    score += crowding(counts.get(value, 0), len(counts), constraint.max_skew)
            result.append(score)
        return result


def _add(counts: Counts, node: NodeInfo, topology: str, count: int) -> None:
    value = node.labels.get(topology)
    if value is not None:
        key = (topology, value)
        counts[key] = counts.get(key, 0) + count


def crowding(count: int, domains: int, max_skew: int) -> float:
    """How much ``count`` pods in one of ``domains`` places speak against it (``scoreForCount``)."""
    return count * math.log(domains + 2) + (max_skew - 1)


def default_crowding(controller: str, nodes: Sequence[NodeInfo], cache: Cache) -> list[float] | None:
    """The same by the cluster's own constraints: pods of one controller spread over hosts and zones."""
    if not controller or len(nodes) < 2:
        return None
    zones: dict[str, int] = {}
    for info in cache:
        zone = info.labels.get(ZONE)
        if zone is not None:
            zones[zone] = zones.get(zone, 0) + info.by_controller.get(controller, 0)
    result = []
    for node in nodes:
        score = crowding(node.by_controller.get(controller, 0), len(nodes), DEFAULT_SPREAD[0][1])
        zone = node.labels.get(ZONE)
        if zone is not None:
            score += crowding(zones[zone], len(zones), DEFAULT_SPREAD[1][1])
        result.append(score)
    return result
