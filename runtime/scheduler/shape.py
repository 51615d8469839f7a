"""What of a pod matters for placing it, compiled once for all pods that are alike in it.

A thousand replicas differ in their names only. Their requests, selectors and affinities are parsed once into a
:class:`Shape`, found again by the JSON of the fields it was made from. After ``scheduler/framework/types.go`` and
``component-helpers/scheduling/corev1/nodeaffinity``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from runtime.objects import quantity
from runtime.objects.errors import Obj, StatusError
from runtime.objects.selectors import NOTHING, Selector, label_selector

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
DEFAULT_CPU = 100
"""Millicores a container without a request counts for when nodes are scored."""
DEFAULT_MEMORY = 200 * 1024 * 1024
MEMO = 4096

NodeTest = Callable[[str, Mapping[str, str]], bool]
"""(node name, labels) → fits."""


@dataclass(slots=True)
class Resources:
    """An amount of everything a node has: millicores, bytes, counts."""

    cpu: int = 0
    memory: int = 0
    storage: int = 0
    scalars: dict[str, int] = field(default_factory=dict)

    def add(self, other: Resources, sign: int = 1) -> None:
        """Add (or with ``sign`` -1 take away) another amount."""
        self.cpu += sign * other.cpu
        self.memory += sign * other.memory
        self.storage += sign * other.storage
        for name, amount in other.scalars.items():
            self.scalars[name] = self.scalars.get(name, 0) + sign * amount

    def raise_to(self, other: Resources) -> None:
        """The larger of both in every part."""
        self.cpu = max(self.cpu, other.cpu)
        self.memory = max(self.memory, other.memory)
        self.storage = max(self.storage, other.storage)
        for name, amount in other.scalars.items():
            self.scalars[name] = max(self.scalars.get(name, 0), amount)


def resources_from(amounts: Mapping[str, Any]) -> Resources:
    """Parsed requests or allocatable; what can't be parsed counts as nothing."""
    result = Resources()
    for name, value in amounts.items():
        try:
            if name == "cpu":
                result.cpu = quantity.milli(value)
            elif name == "memory":
                result.memory = quantity.whole(value)
            elif name == "ephemeral-storage":
                result.storage = quantity.whole(value)
            elif name != "pods":
                result.scalars[name] = quantity.whole(value)
        except quantity.QuantityError:
            continue
    return result


def _container_requests(container: Obj) -> Mapping[str, Any]:
    return (container.get("resources") or {}).get("requests") or {}


def pod_requests(spec: Obj, *, floor: bool = False) -> Resources:
    """What a pod asks for: containers and sidecars added up, init containers at their peak, plus overhead.

    Args:
        spec: the pod's spec.
        floor: count 100m and 200Mi for every container that names no cpu or memory (for scoring).
    """

    def of(container: Obj) -> Resources:
        requests = _container_requests(container)
        result = resources_from(requests)
        if floor:
            if "cpu" not in requests:
                result.cpu = DEFAULT_CPU
            if "memory" not in requests:
                result.memory = DEFAULT_MEMORY
        return result

    total = Resources()
    for container in spec.get("containers") or ():
        total.add(of(container))
    sidecars = Resources()
    peak = Resources()
    for container in spec.get("initContainers") or ():
        own = of(container)
        if container.get("restartPolicy") == "Always":
            sidecars.add(own)
            peak.raise_to(sidecars)
        else:
            own.add(sidecars)
            peak.raise_to(own)
    total.add(sidecars)
    total.raise_to(peak)
    pod_level = (spec.get("resources") or {}).get("requests")
    if pod_level:
        declared = resources_from(pod_level)
        if "cpu" in pod_level:
            total.cpu = declared.cpu
        if "memory" in pod_level:
            total.memory = declared.memory
    if spec.get("overhead"):
        total.add(resources_from(spec["overhead"]))
    return total


def host_ports(spec: Obj) -> tuple[tuple[str, str, int], ...]:
    """(address, protocol, port) of every hostPort."""
    found = []
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                found.append(
                    (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(port["hostPort"]))
                )
    return tuple(found)


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _expression(entry: Obj) -> Callable[[str | None], bool]:
    values = entry.get("values") or []
    allowed = frozenset(values)
    match entry.get("operator"):
        case "In":
            return lambda value: value in allowed
        case "NotIn":
            return lambda value: value not in allowed
        case "Exists":
            return lambda value: value is not None
        case "DoesNotExist":
            return lambda value: value is None
        case "Gt" | "Lt" as operator:
            bound = _number(values[0]) if len(values) == 1 else None
            if bound is None:
                return lambda value: False
            if operator == "Gt":
                return lambda value: (n := _number(value)) is not None and n > bound
            return lambda value: (n := _number(value)) is not None and n < bound
    return lambda value: False


def node_term(term: Obj) -> NodeTest:
    """One ``nodeSelectorTerm``; an empty one matches no node."""
    labels = [(entry["key"], _expression(entry)) for entry in term.get("matchExpressions") or ()]
    fields = [
        _expression(entry) if entry.get("key") == "metadata.name" else (lambda value: False)
        for entry in term.get("matchFields") or ()
    ]
    if not labels and not fields:
        return lambda name, found: False
    return lambda name, found: (
        all(test(found.get(key)) for key, test in labels) and all(test(name) for test in fields)
    )


def node_selector(selector: Obj | None) -> NodeTest | None:
    """A ``v1.NodeSelector``: any of its terms. None for None."""
    if selector is None:
        return None
    tests = [node_term(term) for term in selector.get("nodeSelectorTerms") or ()]
    return lambda name, labels: any(test(name, labels) for test in tests)


def pinned_nodes(spec: Obj) -> frozenset[str] | None:
    """The nodes that required affinity names one by one; None where any term leaves the name open."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    selector = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = selector.get("nodeSelectorTerms") or ()
    names: set[str] = set()
    for term in terms:
        listed = [
            frozenset(entry.get("values") or ())
            for entry in term.get("matchFields") or ()
            if entry.get("key") == "metadata.name" and entry.get("operator") == "In"
        ]
        if not listed:
            return None
        names |= frozenset.intersection(*listed)
    return frozenset(names) if terms else None


def required_nodes(spec: Obj) -> NodeTest | None:
    """nodeSelector and required node affinity as one test; None when every node will do."""
    wanted = spec.get("nodeSelector") or {}
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    selector = node_selector(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    if not wanted:
        return selector
    items = wanted.items()
    if selector is None:
        return lambda name, labels: items <= labels.items()
    return lambda name, labels: items <= labels.items() and selector(name, labels)


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
