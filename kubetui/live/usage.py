"""CPU and memory of pods, containers and nodes from ``metrics.k8s.io``, with a bounded history for sparklines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubetui.live.objects import Obj, dig, name_of, namespace_of

if TYPE_CHECKING:
    from kubetui.live.client import KubeClient

PERIOD_SECONDS = 10.0
REFUSED_SECONDS = 60.0
HISTORY = 60
ROW_HISTORY = 8
GROUP = "metrics.k8s.io"
_PATH = f"/apis/{GROUP}/v1beta1"
_BLOCKS = "▁▂▃▄▅▆▇█"
_SUFFIX = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number; 0.0 for nonsense."""
    value = str(text or "0").strip()
    for cut in (2, 1, 0):
        suffix = value[len(value) - cut :] if cut else ""
        if suffix in _SUFFIX:
            try:
                return float(value[: len(value) - cut] if cut else value) * _SUFFIX[suffix]
            except ValueError:
                continue
    return 0.0


def cpu_text(cores: float) -> str:
    """``250m``, ``8`` or ``10.5``."""
    if cores >= 1 and cores == int(cores):
        return str(int(cores))
    return f"{cores * 1000:.0f}m" if cores < 10 else f"{cores:.1f}"


def memory_text(size: float) -> str:
    """``128Mi`` or ``1.5Gi``."""
    return f"{size / 2**20:.0f}Mi" if size < 2**30 * 4 else f"{size / 2**30:.1f}Gi"


def sparkline(values: Sequence[float] | deque[float], top: float = 0.0) -> str:
    """Blocks from 0 to ``top`` (0: the greatest value); without ``top`` a flat line is shown low."""
    greatest = max(values, default=0.0)
    if top > 0:
        return "".join(_BLOCKS[min(7, int(v / max(top, greatest) * 7.99))] for v in values)
    low = min(values, default=0.0)
    if greatest <= 0 or greatest - low < greatest * 0.05:
        return _BLOCKS[1 if greatest > 0 else 0] * len(values)
    return "".join(_BLOCKS[min(7, int(v / greatest * 7.99))] for v in values)


def load_style(use: float, limit: float) -> str:
    """How near to its limit something is, as a colour; no limit is no news."""
    if limit <= 0:
        return "dim"
    share = use / limit
    return "bad" if share >= 0.9 else "warn" if share >= 0.75 else "ok"


@dataclass(slots=True)
class Series:
    """What one container, pod or node used, newest last. ``at`` is the newest sample's time as the server has it."""

    cpu: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    memory: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    at: str = ""

    def add(self, at: str, cpu: float, memory: float) -> bool:
        """Take a sample in, unless it is the one that is known already (servers measure less often than we ask)."""
        if at and at == self.at:
            return False
        self.at = at
        self.cpu.append(cpu)
        self.memory.append(memory)
        return True


@dataclass(frozen=True, slots=True)
class Usage:
    """One pod's use, ready to be shown in a row of a table."""

    cpu: float
    memory: float
    cpu_text: str
    memory_text: str
    cpu_style: str = "dim"
    memory_style: str = "dim"


PodKey = tuple[str, str]


class UsageBook:
    """Everything that was measured. Only what the last answer named is kept, so it is as large as the cluster."""

    def __init__(self) -> None:
        self.pods: dict[PodKey, Series] = {}
        self.containers: dict[tuple[str, str, str], Series] = {}
        self.nodes: dict[str, Series] = {}
        self.rows: dict[PodKey, Usage] = {}

    def of_node(self, name: str) -> Usage | None:
        """What a node uses."""
        series = self.nodes.get(name)
        return _row(series) if series is not None and series.cpu else None

    def take(self, pods: Iterable[Obj], nodes: Iterable[Obj]) -> set[PodKey]:
        """Take one answer in; return the pods whose numbers are new or gone."""
        changed: set[PodKey] = set()
        known_pods: dict[PodKey, Series] = {}
        known_containers: dict[tuple[str, str, str], Series] = {}
        for item in pods:
            key = (namespace_of(item), name_of(item))
            at = str(item.get("timestamp") or "")
            series = known_pods[key] = self.pods.get(key) or Series()
            cpu = memory = 0.0
            for container in item.get("containers") or ():
                used = quantity(dig(container, "usage", "cpu")), quantity(dig(container, "usage", "memory"))
                place = (*key, str(container.get("name") or ""))
                one = known_containers[place] = self.containers.get(place) or Series()
                one.add(at, *used)
                cpu, memory = cpu + used[0], memory + used[1]
            if series.add(at, cpu, memory):
                changed.add(key)
        changed |= self.pods.keys() - known_pods.keys()
        self.pods, self.containers = known_pods, known_containers
        known_nodes: dict[str, Series] = {}
        for item in nodes:
            series = known_nodes[name_of(item)] = self.nodes.get(name_of(item)) or Series()
            use = item.get("usage") or {}
            series.add(
                str(item.get("timestamp") or ""), quantity(use.get("cpu")), quantity(use.get("memory"))
            )
        self.nodes = known_nodes
        for key in changed:
            if key in known_pods:
                self.rows[key] = _row(known_pods[key])
            else:
                self.rows.pop(key, None)
        return changed


def _row(series: Series) -> Usage:
    cpu, memory = list(series.cpu)[-ROW_HISTORY:], list(series.memory)[-ROW_HISTORY:]
    return Usage(
        cpu[-1],
        memory[-1],
        f"{sparkline(cpu)} {cpu_text(cpu[-1]):>5}",
        f"{sparkline(memory)} {memory_text(memory[-1]):>6}",
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What was asked for and what is allowed, in cores and bytes; 0 for nothing said."""

    cpu_request: float = 0.0
    cpu_limit: float = 0.0
    memory_request: float = 0.0
    memory_limit: float = 0.0

    def __add__(self, other: Bounds) -> Bounds:
        return Bounds(
            self.cpu_request + other.cpu_request,
            self.cpu_limit + other.cpu_limit,
            self.memory_request + other.memory_request,
            self.memory_limit + other.memory_limit,
        )


def bounds_of(container: Obj) -> Bounds:
    """Requests and limits of one container; a limit without a request is the request, as the API server has it."""
    requests = dig(container, "resources", "requests", default={})
    limits = dig(container, "resources", "limits", default={})
    return Bounds(
        quantity(requests.get("cpu", limits.get("cpu"))),
        quantity(limits.get("cpu")),
        quantity(requests.get("memory", limits.get("memory"))),
        quantity(limits.get("memory")),
    )


def pod_bounds(pod: Obj) -> Bounds:
    """The sum over a pod's containers and sidecars; a limit only where every one of them has one."""
    spec = pod.get("spec") or {}
    parts = [bounds_of(c) for c in spec.get("containers") or ()]
    parts += [bounds_of(c) for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    total = sum(parts, Bounds())
    return Bounds(
        total.cpu_request,
        total.cpu_limit if all(p.cpu_limit for p in parts) else 0.0,
        total.memory_request,
        total.memory_limit if all(p.memory_limit for p in parts) else 0.0,
    )


def node_bounds(node: Obj, pods: Iterable[Obj]) -> Bounds:
    """What the known pods on a node ask for, and what the node can give."""
    name = name_of(node)
    asked = Bounds()
    for pod in pods:
        if dig(pod, "spec", "nodeName") == name and dig(pod, "status", "phase") not in (
            "Succeeded",
            "Failed",
        ):
            asked += pod_bounds(pod)
    allocatable = dig(node, "status", "allocatable", default={})
    return Bounds(
        asked.cpu_request,
        quantity(allocatable.get("cpu")),
        asked.memory_request,
        quantity(allocatable.get("memory")),
    )


Answer = Callable[[list[Obj], list[Obj], str], None]


class UsageReader:
    """Reads pods' and nodes' metrics every ten seconds (they have no watch)."""

    def __init__(self, publish: Answer, namespaces: Iterable[str] = ()) -> None:
        """``publish(pods, nodes, why not)``; of no namespaces: of all at once, where one may see that."""
        self._publish = publish
        self._paths = [f"{_PATH}/namespaces/{name}/pods" for name in namespaces] or [f"{_PATH}/pods"]

    async def run(self, client: KubeClient) -> None:
        """On the network thread, until cancelled; a server that refuses is asked again now and then."""
        import aiohttp

        from kubetui.live.errors import ApiError

        while True:
            pause = PERIOD_SECONDS
            try:
                pods, refused = await self._pods(client)
                if refused and not pods:
                    pause = REFUSED_SECONDS
                try:
                    nodes = (await client.get(f"{_PATH}/nodes")).get("items") or []
                except ApiError:
                    nodes = []  # who may not see nodes still sees the pods
                self._publish(pods, nodes, refused)
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(pause)

    async def _pods(self, client: KubeClient) -> tuple[list[Obj], str]:
        from kubetui.live.errors import ApiError

        found: list[Obj] = []
        refused = ""
        for path in self._paths:
            try:
                found += (await client.get(path)).get("items") or []
            except ApiError as error:
                if error.code not in (403, 404):
                    raise
                refused = refused or error.message
        return found, refused
