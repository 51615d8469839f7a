"""``metrics.k8s.io``: what ``kubectl top``, autoscalers and the terminal ask for, from the runtime's numbers.

Stands for upstream's metrics-server. Nothing is measured while nobody asks; the first question waits for two samples,
a second apart, because CPU is a rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from runtime.client import InformerFactory
from runtime.kubelet.stats import StatsSampler, Usage
from runtime.objects.clock import Clock, format_time
from runtime.objects.errors import Obj
from runtime.objects.meta import labels_of, name_of, namespace_of, uid_of
from runtime.objects.registry import Column, Printer, Resource

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
_PATIENCE = 3.0
_STEP = 0.1


def _printer(cpu: Callable[[Obj], str], memory: Callable[[Obj], str]) -> Printer:
    columns = (
        Column("Name", format="name"),
        Column("CPU", description="What was used, in cores"),
        Column("Memory", description="What is used, in bytes"),
        Column("Window", description="The time over which CPU was measured"),
    )

    def row(obj: Obj, now: datetime) -> list[str]:
        return [name_of(obj), cpu(obj), memory(obj), obj["window"]]

    return Printer(columns, row)


def _sum(obj: Obj, what: str) -> int:
    parts = [obj["usage"]] if "usage" in obj else [one["usage"] for one in obj["containers"]]
    return sum(int(part[what].rstrip("nKi")) for part in parts)


def _cpu(obj: Obj) -> str:
    return f"{_sum(obj, 'cpu')}n"


def _memory(obj: Obj) -> str:
    return f"{_sum(obj, 'memory')}Ki"


def resources() -> tuple[Resource, Resource]:
    """The registry entries of NodeMetrics and PodMetrics."""
    printer = _printer(_cpu, _memory)
    common = {"verbs": ("get", "list"), "stored": False, "printer": printer}
    return (
        Resource(GROUP, VERSION, "NodeMetrics", "nodes", namespaced=False, **common),  # type: ignore[arg-type]
        Resource(GROUP, VERSION, "PodMetrics", "pods", **common),  # type: ignore[arg-type]
    )


def _usage(usage: Usage) -> Obj:
    return {"cpu": f"{round(usage.cpu * 1e9)}n", "memory": f"{usage.memory // 1024}Ki"}


class _Metrics:
    def __init__(self, sampler: StatsSampler, informers: InformerFactory, clock: Clock) -> None:
        self._sampler = sampler
        self._informers = informers
        self._clock = clock

    async def _until(self, known: Callable[[], bool]) -> None:
        """Wait for the first samples, not for ever."""
        self._sampler.ask()
        if known():
            return
        self._sampler.hurry()
        for _ in range(round(_PATIENCE / _STEP)):
            await self._clock.sleep(_STEP)
            if known():
                return

    def _head(self, kind: str, obj: Obj, usages: Sequence[Usage]) -> Obj:
        meta: Obj = {"name": name_of(obj)}
        if namespace_of(obj):
            meta["namespace"] = namespace_of(obj)
        if labels_of(obj):
            meta["labels"] = labels_of(obj)
        newest = max(usages, key=lambda usage: usage.time)
        meta["creationTimestamp"] = format_time(self._clock.now())
        return {
            "kind": kind,
            "apiVersion": f"{GROUP}/{VERSION}",
            "metadata": meta,
            "timestamp": format_time(newest.time),
            "window": f"{newest.window:.3f}s",
        }


class NodeMetrics(_Metrics):
    """Computes NodeMetrics: the sum over a node's pods."""

    async def objects(self, namespace: str) -> list[Obj]:
        """One for each node that was measured."""
        nodes = self._informers.informer("nodes")
        await self._until(lambda: all(self._sampler.node(name_of(node)) for node in nodes.list()))
        found = []
        for node in nodes.list():
            usage = self._sampler.node(name_of(node))
            if usage is not None:
                found.append({**self._head("NodeMetrics", node, [usage]), "usage": _usage(usage)})
        return found


class PodMetrics(_Metrics):
    """Computes PodMetrics: each running container."""

    async def objects(self, namespace: str) -> list[Obj]:
        """One for each running pod that was measured."""
        pods = self._informers.pods()
        running = [pod for pod in pods.list(namespace) if pod.get("status", {}).get("phase") == "Running"]
        await self._until(lambda: all(self._sampler.pod(uid_of(pod)) for pod in running))
        found = []
        for pod in running:
            used = self._sampler.pod(uid_of(pod))
            if used:
                head = self._head("PodMetrics", pod, [one.usage for one in used])
                found.append(
                    {**head, "containers": [{"name": one.name, "usage": _usage(one.usage)} for one in used]}
                )
        return found
