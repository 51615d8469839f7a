"""CPU and memory of pods from ``metrics.k8s.io``, with a short history for sparklines."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubetui.live.objects import Obj, dig

if TYPE_CHECKING:
    from kubetui.live.client import KubeClient

PERIOD_SECONDS = 10.0
HISTORY = 8
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
    """``250m`` or ``1.5``."""
    return f"{cores * 1000:.0f}m" if cores < 10 else f"{cores:.1f}"


def memory_text(size: float) -> str:
    """``128Mi`` or ``1.5Gi``."""
    return f"{size / 2**20:.0f}Mi" if size < 2**30 * 4 else f"{size / 2**30:.1f}Gi"


def sparkline(values: deque[float]) -> str:
    """Blocks from 0 to the greatest value; a flat line is shown low."""
    top = max(values, default=0.0)
    low = min(values, default=0.0)
    if top <= 0 or top - low < top * 0.05:
        return _BLOCKS[1 if top > 0 else 0] * len(values)
    return "".join(_BLOCKS[min(7, int(v / top * 7.99))] for v in values)


@dataclass(frozen=True, slots=True)
class Usage:
    """One pod's use, ready to be shown."""

    cpu: float
    memory: float
    cpu_text: str
    memory_text: str
    cpu_style: str = "dim"
    memory_style: str = "dim"


def usage_of(metrics: Obj, history: tuple[deque[float], deque[float]]) -> Usage:
    """Read one PodMetrics and extend its history."""
    containers = metrics.get("containers") or []
    cpu = sum(quantity(dig(c, "usage", "cpu")) for c in containers)
    memory = sum(quantity(dig(c, "usage", "memory")) for c in containers)
    history[0].append(cpu)
    history[1].append(memory)
    return Usage(
        cpu,
        memory,
        f"{sparkline(history[0])} {cpu_text(cpu):>5}",
        f"{sparkline(history[1])} {memory_text(memory):>6}",
    )


class UsageReader:
    """Reads all pods' metrics every ten seconds (they have no watch)."""

    def __init__(self, publish: Callable[[dict[tuple[str, str], Usage]], None]) -> None:
        self._publish = publish
        self._history: dict[tuple[str, str], tuple[deque[float], deque[float]]] = {}

    async def run(self, client: KubeClient) -> None:
        """On the network thread, until cancelled; a server without metrics ends it."""
        import aiohttp

        from kubetui.live.errors import ApiError

        while True:
            try:
                answer = await client.get("/apis/metrics.k8s.io/v1beta1/pods")
                found: dict[tuple[str, str], Usage] = {}
                for item in answer.get("items") or ():
                    key = (
                        str(dig(item, "metadata", "namespace", default="")),
                        str(dig(item, "metadata", "name")),
                    )
                    history = self._history.setdefault(key, (deque(maxlen=HISTORY), deque(maxlen=HISTORY)))
                    found[key] = usage_of(item, history)
                self._history = {k: v for k, v in self._history.items() if k in found}
                self._publish(found)
            except ApiError as error:
                if error.code in (403, 404):
                    return
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(PERIOD_SECONDS)
