"""Nodes that are kept for pods whose victims are still on their way out.

After ``scheduler/backend/queue/nominator.go``. A kept place counts against pods of the same or lower priority, so
that nobody else takes what was made free.
"""

from __future__ import annotations

from .shape import Shape


class Nominations:
    """Which node is kept for which pod."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, Shape]] = {}

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def keep(self, key: str, node: str, shape: Shape) -> None:
        """Keep ``node`` for the pod, and no other one."""
        self.release(key)
        self._nodes.setdefault(node, {})[key] = shape

    def release(self, key: str) -> bool:
        """Keep nothing for the pod any more; whether something was kept."""
        kept = False
        for node, pods in list(self._nodes.items()):
            if pods.pop(key, None) is not None:
                kept = True
                if not pods:
                    del self._nodes[node]
        return kept

    def before(self, node: str, key: str, shape: Shape) -> list[Shape]:
        """Those with a claim on ``node`` that a pod of this shape has to respect."""
        pods = self._nodes.get(node)
        if not pods:
            return []
        return [other for name, other in pods.items() if name != key and other.priority >= shape.priority]

    def weaker(self, node: str, shape: Shape) -> list[str]:
        """The pods with a claim on ``node`` that are of lower priority."""
        pods = self._nodes.get(node, {})
        return [key for key, other in pods.items() if other.priority < shape.priority]
