"""The scheduler's picture of the nodes: what they have and what their pods take, assumed pods included.

After ``scheduler/framework/types.go`` (NodeInfo) and ``scheduler/backend/cache``. A pod that was just given a node
counts there at once (it is *assumed*), long before the informer shows it bound; if the binding fails it is
forgotten again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runtime.objects import quantity
from runtime.objects.errors import Obj
from runtime.objects.meta import controller_of, key_of, labels_of, name_of, uid_of

from .shape import Resources, Shape, Shapes, resources_from


@dataclass(slots=True, eq=False)
class Placed:
    """A pod on a node."""

    key: str
    uid: str
    shape: Shape
    controller: str
    pod: Obj
    terminating: bool = False


def _count(counts: dict[Shape, int], shape: Shape, change: int) -> None:
    left = counts.get(shape, 0) + change
    if left > 0:
        counts[shape] = left
    else:
        counts.pop(shape, None)


class NodeInfo:
    """One node. ``obj`` is None while only its pods are known."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.obj: Obj | None = None
        self.version = ""
        self.labels: Mapping[str, str] = {}
        self.taints: list[Obj] = []
        self.unschedulable = False
        self.allocatable = Resources()
        self.max_pods = 0
        self.images: dict[str, int] = {}
        self.used = Resources()
        self.scored = Resources()
        self.ports: dict[tuple[str, str, int], int] = {}
        self.pods: dict[str, Placed] = {}
        self.shapes: dict[Shape, int] = {}
        """How many pods of each shape there are: a thousand replicas are looked at once."""
        self.leaving: dict[Shape, int] = {}
        """The same of those that are on their way out."""
        self.by_controller: dict[str, int] = {}

    def set_node(self, node: Obj | None) -> None:
        """Take over a new state of the Node object, or its absence."""
        self.obj = node
        if node is None:
            self.version = ""
            return
        self.version = node["metadata"].get("resourceVersion", "")
        self.labels = labels_of(node)
        self.taints = node["spec"].get("taints") or []
        self.unschedulable = bool(node["spec"].get("unschedulable"))
        status = node.get("status") or {}
        amounts = status.get("allocatable") or status.get("capacity") or {}
        self.allocatable = resources_from(amounts)
        try:
            self.max_pods = quantity.whole(amounts.get("pods", 0))
        except quantity.QuantityError:
            self.max_pods = 0
        self.images = {
            name: int(image.get("sizeBytes") or 0)
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }

    def add(self, placed: Placed) -> None:
        """A pod came."""
        shape = placed.shape
        self.pods[placed.key] = placed
        self.used.add(shape.requests)
        self.scored.add(shape.scored)
        for port in shape.ports:
            self.ports[port] = self.ports.get(port, 0) + 1
        _count(self.shapes, shape, 1)
        if placed.terminating:
            _count(self.leaving, shape, 1)
        if placed.controller:
            self.by_controller[placed.controller] = self.by_controller.get(placed.controller, 0) + 1

    def seen(self, placed: Placed, pod: Obj) -> None:
        """A pod that is here already has changed in nothing that its shape is made of."""
        placed.pod = pod
        terminating = "deletionTimestamp" in pod["metadata"]
        if terminating != placed.terminating:
            placed.terminating = terminating
            _count(self.leaving, placed.shape, 1 if terminating else -1)

    def remove(self, key: str) -> Placed | None:
        """A pod went."""
        placed = self.pods.pop(key, None)
        if placed is None:
            return None
        shape = placed.shape
        self.used.add(shape.requests, -1)
        self.scored.add(shape.scored, -1)
        for port in shape.ports:
            left = self.ports.get(port, 0) - 1
            if left > 0:
                self.ports[port] = left
            else:
                self.ports.pop(port, None)
        _count(self.shapes, shape, -1)
        if placed.terminating:
            _count(self.leaving, shape, -1)
        if placed.controller:
            left = self.by_controller.get(placed.controller, 0) - 1
            if left > 0:
                self.by_controller[placed.controller] = left
            else:
                self.by_controller.pop(placed.controller, None)
        return placed


class Cache:
    """All nodes and the pods on them."""

    def __init__(self) -> None:
        self.shapes = Shapes()
        self.nodes: dict[str, NodeInfo] = {}
        self.choosy = 0
        """How many placed pods have pod affinity terms."""
        self._where: dict[str, str] = {}
        self._assumed: set[str] = set()

    def __iter__(self) -> Iterator[NodeInfo]:
        return (info for info in self.nodes.values() if info.obj is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def set_node(self, node: Obj) -> None:
        """A node is there or changed."""
        self._info(name_of(node)).set_node(node)

    def remove_node(self, name: str) -> None:
        """A node is gone; its pods are remembered until they are gone too."""
        info = self.nodes.get(name)
        if info is None:
            return
        info.set_node(None)
        if not info.pods:
            del self.nodes[name]

    def placed(self, key: str) -> Placed | None:
        """The pod under this key, if it has a node here."""
        where = self._where.get(key)
        return self.nodes[where].pods.get(key) if where is not None and where in self.nodes else None

    def is_assumed(self, key: str) -> bool:
        """Whether the pod was placed here and not yet seen bound."""
        return key in self._assumed

    def assume(self, pod: Obj, shape: Shape, node: str) -> None:
        """Count the pod on the node before it is bound."""
        key = key_of(pod)
        self._place(key, node, pod, shape)
        self._assumed.add(key)

    def forget(self, key: str) -> None:
        """The binding failed: the pod is not there after all."""
        if key in self._assumed:
            self._assumed.discard(key)
            self._remove(key)

    def pod_bound(self, pod: Obj) -> None:
        """The informer shows the pod with a node."""
        key = key_of(pod)
        node = pod["spec"]["nodeName"]
        known = self.placed(key)
        self._assumed.discard(key)
        if (
            known is not None
            and self._where[key] == node
            and known.uid == uid_of(pod)
            and self._same(known.pod, pod)
        ):
            self.nodes[node].seen(known, pod)
            return
        self._place(key, node, pod, self.shapes.of(pod))

    @staticmethod
    def _same(old: Obj, new: Obj) -> bool:
        """Whether nothing changed that a shape is made of: nearly always, since most updates are of status."""
        before, after = old["metadata"], new["metadata"]
        if before.get("labels") != after.get("labels"):
            return False
        generation = after.get("generation")
        if generation is not None and before.get("generation") == generation:
            return True
        return bool(old["spec"] == new["spec"])

    def pod_gone(self, key: str) -> None:
        """The pod was deleted or has finished: it takes nothing any more."""
        self._assumed.discard(key)
        self._remove(key)

    def _info(self, name: str) -> NodeInfo:
        info = self.nodes.get(name)
        if info is None:
            info = self.nodes[name] = NodeInfo(name)
        return info

    def _place(self, key: str, node: str, pod: Obj, shape: Shape) -> None:
        self._remove(key)
        reference = controller_of(pod)
        placed = Placed(
            key,
            uid_of(pod),
            shape,
            reference["uid"] if reference else "",
            pod,
            "deletionTimestamp" in pod["metadata"],
        )
        self._info(node).add(placed)
        self._where[key] = node
        if shape.has_pod_terms:
            self.choosy += 1

    def _remove(self, key: str) -> None:
        where = self._where.pop(key, None)
        info = self.nodes.get(where) if where is not None else None
        if info is None:
            return
        placed = info.remove(key)
        if placed is not None and placed.shape.has_pod_terms:
            self.choosy -= 1
        if info.obj is None and not info.pods:
            del self.nodes[info.name]
