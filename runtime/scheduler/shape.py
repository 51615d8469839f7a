"""What of a pod matters for placing it, compiled once for all pods that are alike in it.

A thousand replicas differ in their names only. Their requests, selectors and affinities are parsed once into a
:class:`Shape`, found again by the JSON of the fields it was made from. After ``scheduler/framework/types.go`` and
``component-helpers/scheduling/corev1/nodeaffinity``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from runtime.objects.errors import Obj, StatusError
from runtime.objects.placement import NodeTest as NodeTest
from runtime.objects.placement import Resources as Resources
from runtime.objects.placement import host_ports, pinned_nodes, required_nodes
from runtime.objects.placement import node_selector as node_selector
from runtime.objects.placement import node_term as node_term
from runtime.objects.placement import pod_requests as pod_requests
from runtime.objects.placement import resources_from as resources_from
from runtime.objects.selectors import NOTHING, Selector, label_selector

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
MEMO = 4096


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A pod affinity term: pods that match, near by the same value of ``topology``."""

    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector
    topology: str
    weight: int = 0

    def matches(self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        """Whether a pod of this namespace with these labels is meant."""
        if namespace not in self.namespaces and not self.namespace_selector.matches(namespace_labels):
            return False
        return self.selector.matches(labels)


def _safe_selector(spec: Obj | None) -> Selector:
    try:
        return label_selector(spec)
    except StatusError:
        return NOTHING


def _pod_term(term: Obj, namespace: str, weight: int = 0) -> PodTerm:
    namespaces = frozenset(term.get("namespaces") or ())
    if not namespaces and term.get("namespaceSelector") is None:
        namespaces = frozenset((namespace,))
    return PodTerm(
        _safe_selector(term.get("labelSelector")),
        namespaces,
        _safe_selector(term.get("namespaceSelector")),
        term.get("topologyKey") or "",
        weight,
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint."""

    max_skew: int
    topology: str
    selector: Selector
    required: bool
    min_domains: int
    honour_affinity: bool
    honour_taints: bool


def _spread(entry: Obj, labels: Mapping[str, str]) -> Spread:
    spec = entry.get("labelSelector")
    keys = [key for key in entry.get("matchLabelKeys") or () if key in labels]
    if keys and spec is not None:
        extra = [{"key": key, "operator": "In", "values": [labels[key]]} for key in keys]
        spec = {**spec, "matchExpressions": [*(spec.get("matchExpressions") or ()), *extra]}
    return Spread(
        int(entry.get("maxSkew") or 1),
        entry.get("topologyKey") or "",
        _safe_selector(spec),
        entry.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        int(entry.get("minDomains") or 1),
        entry.get("nodeAffinityPolicy", "Honor") == "Honor",
        entry.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )


@dataclass(slots=True, eq=False)
class Shape:
    """A pod, reduced to what decides about its place."""

    namespace: str
    labels: Mapping[str, str]
    requests: Resources
    scored: Resources
    ports: tuple[tuple[str, str, int], ...]
    tolerations: Sequence[Obj]
    pinned: frozenset[str] | None
    required: NodeTest | None
    preferred: list[tuple[int, NodeTest]]
    affinity: list[PodTerm]
    anti_affinity: list[PodTerm]
    soft_affinity: list[PodTerm]
    spread: list[Spread]
    claims: tuple[str, ...]
    images: tuple[str, ...]
    priority: int
    preempts: bool
    static: dict[str, Any] = field(default_factory=dict)
    """Per node: what depends on the node object only (see ``filters.static``)."""

    @property
    def has_pod_terms(self) -> bool:
        """Whether other pods' places matter."""
        return bool(self.affinity or self.anti_affinity or self.soft_affinity)


def compile_shape(pod: Obj) -> Shape:
    """The shape of one pod."""
    spec = pod["spec"]
    namespace = pod["metadata"].get("namespace") or ""
    labels = pod["metadata"].get("labels") or {}
    affinity = spec.get("affinity") or {}
    node = affinity.get("nodeAffinity") or {}
    near = affinity.get("podAffinity") or {}
    far = affinity.get("podAntiAffinity") or {}
    hard, soft = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    return Shape(
        namespace=namespace,
        labels=labels,
        requests=pod_requests(spec),
        scored=pod_requests(spec, floor=True),
        ports=host_ports(spec),
        tolerations=spec.get("tolerations") or (),
        pinned=pinned_nodes(spec),
        required=required_nodes(spec),
        preferred=[
            (int(e.get("weight") or 0), node_term(e.get("preference") or {})) for e in node.get(soft) or ()
        ],
        affinity=[_pod_term(term, namespace) for term in near.get(hard) or ()],
        anti_affinity=[_pod_term(term, namespace) for term in far.get(hard) or ()],
        soft_affinity=[
            *(_pod_term(e["podAffinityTerm"], namespace, int(e["weight"])) for e in near.get(soft) or ()),
            *(_pod_term(e["podAffinityTerm"], namespace, -int(e["weight"])) for e in far.get(soft) or ()),
        ],
        spread=[_spread(entry, labels) for entry in spec.get("topologySpreadConstraints") or ()],
        claims=tuple(claims_of(pod)),
        images=tuple(c.get("image") or "" for c in spec.get("containers") or ()),
        priority=int(spec.get("priority") or 0),
        preempts=spec.get("preemptionPolicy") != "Never",
    )


def claims_of(pod: Obj) -> list[str]:
    """The PersistentVolumeClaims a pod uses, generic ephemeral ones by the name they will have."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            found.append(claim.get("claimName") or "")
        elif volume.get("ephemeral") is not None:
            found.append(f"{pod['metadata']['name']}-{volume['name']}")
    return found


class Shapes:
    """The memo of shapes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Shape] = {}

    def of(self, pod: Obj) -> Shape:
        """The pod's shape; the same object for pods that are alike."""
        spec, metadata = pod["spec"], pod["metadata"]
        get = spec.get
        key = orjson.dumps(
            (
                metadata.get("namespace"),
                metadata.get("labels"),
                [(c.get("image"), c.get("resources"), c.get("ports")) for c in get("containers") or ()],
                [
                    (c.get("resources"), c.get("restartPolicy"), c.get("ports"))
                    for c in get("initContainers") or ()
                ],
                get("nodeSelector"),
                get("affinity"),
                get("tolerations"),
                get("topologySpreadConstraints"),
                get("priority"),
                get("preemptionPolicy"),
                get("overhead"),
                get("resources"),
                claims_of(pod),
            )
        )
        shape = self._known.get(key)
        if shape is None:
            if len(self._known) >= MEMO:
                self._known.clear()
            shape = self._known[key] = compile_shape(pod)
        return shape
