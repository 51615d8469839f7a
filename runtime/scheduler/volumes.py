"""Whether a pod's volumes let it run on a node.

After ``scheduler/framework/plugins/volumebinding``: claims have to exist; a bound claim's volume may be tied to
nodes; a claim of a class that waits for its first consumer is told the chosen node and the pod waits for the
volume. Who provisions is not the scheduler's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.client.informer import Informer
from runtime.objects.errors import Obj
from runtime.objects.meta import annotations_of, is_deleting

from .filters import Refusal
from .nodeinfo import NodeInfo
from .shape import NodeTest, Shape, node_selector

SELECTED_NODE = "volume.kubernetes.io/selected-node"
WAIT = "WaitForFirstConsumer"
_AFFINITY = "node(s) had volume node affinity conflict"


@dataclass(slots=True)
class Claims:
    """The state of one pod's claims."""

    problem: str = ""
    """Set when no node can do at all (upstream's PreFilter)."""
    tests: list[NodeTest] = field(default_factory=list)
    unbound: list[Obj] = field(default_factory=list)
    """Claims that wait for a node to be chosen."""
    selected: set[str] = field(default_factory=set)
    """Nodes already chosen for claims that are being provisioned."""

    def refuse(self, node: NodeInfo) -> Refusal | None:
        """Why the volumes keep the pod from this node, if they do."""
        if any(not test(node.name, node.labels) for test in self.tests):
            return Refusal("VolumeBinding", (_AFFINITY,), True)
        if self.selected and self.selected != {node.name}:
            return Refusal(
                "VolumeBinding", ("node(s) didn't find available persistent volumes to bind",), True
            )
        return None


class Volumes:
    """Reads claims, volumes and classes."""

    def __init__(self, claims: Informer, volumes: Informer, classes: Informer) -> None:
        self._claims = claims
        self._volumes = volumes
        self._classes = classes

    def of(self, shape: Shape) -> Claims:
        """What the claims of a pod with this shape demand."""
        result = Claims()
        for name in shape.claims:
            claim = self._claims.get(f"{shape.namespace}/{name}")
            if claim is None:
                result.problem = f'persistentvolumeclaim "{name}" not found'
                return result
            if is_deleting(claim):
                result.problem = f'persistentvolumeclaim "{name}" is being deleted'
                return result
            bound = claim["spec"].get("volumeName")
            if bound:
                volume = self._volumes.get(bound)
                if volume is None:
                    result.problem = f'persistentvolume "{bound}" not found'
                    return result
                test = node_selector((volume["spec"].get("nodeAffinity") or {}).get("required"))
                if test is not None:
                    result.tests.append(test)
                continue
            storage_class = self._classes.get(claim["spec"].get("storageClassName") or "")
            if storage_class is None or storage_class.get("volumeBindingMode") != WAIT:
                result.problem = "pod has unbound immediate PersistentVolumeClaims"
                return result
            result.unbound.append(claim)
            chosen = annotations_of(claim).get(SELECTED_NODE)
            if chosen:
                result.selected.add(chosen)
        return result
