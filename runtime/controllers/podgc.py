"""Pods nobody will ever finish: their node is gone, or they ended long ago and there are too many of them.

After ``podgc/gc_controller.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.client.informer import Delta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import condition, is_deleting, name_of, namespace_of, uid_of
from runtime.scheduler import taints

from .context import BaseController, Context
from .nodes import mark_disrupted
from .pods import is_finished

PERIOD = 20.0
QUARANTINE = 40.0
THRESHOLD = 12_500


def is_out_of_service(node: Obj) -> bool:
    """Whether the node is down and somebody said that it stays down: its kubelet will end no pod."""
    ready = condition(node, "Ready")
    return (ready is None or ready["status"] != "True") and any(
        taint["key"] == taints.OUT_OF_SERVICE for taint in node["spec"].get("taints") or ()
    )


def removal_rank(pod: Obj) -> tuple[bool, str, str]:
    """Sort key of finished pods: evicted ones go first, then the oldest."""
    status = pod.get("status") or {}
    evicted = status.get("phase") == "Failed" and status.get("reason") == "Evicted"
    return not evicted, pod["metadata"].get("creationTimestamp") or "", name_of(pod)


class PodGCController(BaseController):
    """Runs every 20 seconds; its queue holds nothing."""

    name = "pod-garbage-collector"
    workers = 0

    def __init__(self, context: Context, threshold: int = THRESHOLD) -> None:
        super().__init__(context)
        self.threshold = threshold
        self.nodes = context.informers.informer("nodes")
        self.pods = context.informers.pods()
        self._missing: dict[str, float] = {}
        self.nodes.add_handler(self._on_nodes)

    async def start(self) -> None:
        """Begin the rounds."""
        await super().start()
        self.every(PERIOD, self.collect)

    async def sync(self, key: str) -> float | None:
        """Nothing is ever queued."""
        return None

    def _on_nodes(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is None:
                self._missing.setdefault(name_of(delta.obj), self.clock.monotonic())
            else:
                self._missing.pop(name_of(delta.obj), None)

    async def collect(self) -> None:
        """One round."""
        pods = self.pods.list()
        await self._terminated(pods)
        await self._orphaned(pods)
        for pod in pods:
            if not is_deleting(pod):
                continue
            node_name = pod["spec"].get("nodeName")
            if not node_name:
                await self._delete(pod, "")
                continue
            node = self.nodes.get(node_name)
            if node is not None and is_out_of_service(node):
                await self._delete(pod, "")

    async def _terminated(self, pods: list[Obj]) -> None:
        finished = [pod for pod in pods if is_finished(pod)]
        excess = len(finished) - self.threshold
        if self.threshold <= 0 or excess <= 0:
            return
        finished.sort(key=removal_rank)
        for pod in finished[:excess]:
            await self._delete(pod, "")

    async def _orphaned(self, pods: list[Obj]) -> None:
        moment = self.clock.monotonic()
        absent: set[str] = set()
        for pod in pods:
            node_name = pod["spec"].get("nodeName")
            if not node_name or self.nodes.get(node_name) is not None or node_name in absent:
                continue
            if moment - self._missing.setdefault(node_name, moment) < QUARANTINE:
                continue
            try:
                await self.client.get("nodes", node_name)
            except StatusError as error:
                if error.code != 404:
                    raise
                absent.add(node_name)
        for pod in pods:
            if pod["spec"].get("nodeName") in absent:
                await self._delete(pod, "DeletionByPodGC", "PodGC: node no longer exists")

    async def _delete(self, pod: Obj, reason: str, message: str = "") -> None:
        """Without a grace period: nobody is left to observe one.

        A pod whose end nobody reported is Failed first, so that who counts its outcome sees one.
        """
        try:
            if not is_finished(pod):
                if reason:
                    await mark_disrupted(self.context, pod, reason, message, phase="Failed")
                else:
                    body = {"metadata": {"uid": uid_of(pod)}, "status": {"phase": "Failed"}}
                    await self.client.patch(
                        "pods", name_of(pod), namespace_of(pod), body, type="strategic", subresource="status"
                    )
            await self.client.delete(
                "pods", name_of(pod), namespace_of(pod), uid=uid_of(pod), grace_period_seconds=0
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise
