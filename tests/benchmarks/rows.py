"""One line of the table, and the few ways of timing that all of them share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``ratio`` is ours divided by the other's, in the unit that both are given in."""

    what: str
    ours: float
    against: str
    other: float
    unit: str
    goal: float
    higher_is_better: bool = False
    note: str = ""
    limit: bool = False
    """The goal is a figure in the row's unit, not a multiple of the other's."""

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the other's."""
        return self.ours / self.other if self.other else float("inf")

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        reached = self.ours if self.limit else self.ratio
        return reached >= self.goal if self.higher_is_better else reached <= self.goal

    def cells(self) -> list[str]:
        """The row of the table."""
        sign = "≥" if self.higher_is_better else "≤"
        return [
            self.what,
            figure(self.ours, self.unit),
            f"{self.against}: {figure(self.other, self.unit)}",
            f"{self.ratio:.2f} ×",
            f"{sign} {figure(self.goal, self.unit)}" if self.limit else f"{sign} {self.goal:g} ×",
            "yes" if self.met else "**no**",
        ]


HEADS = ["What", "kubetui", "Against", "Ratio", "Goal", "Met"]


def figure(value: float, unit: str) -> str:
    """A number with three significant digits and its unit."""
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms" if value >= 0.001 else f"{value * 1e6:.3g} µs"
    if value >= 1000:
        return f"{value:,.0f} {unit}"
    return f"{value:.3g} {unit}"


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    notes = [f"- {row.what}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def median_seconds(action: Callable[[], object], times: int = 5) -> float:
    """The median time of a call, in seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


async def seconds(action: Callable[[], Awaitable[object]]) -> float:
    """How long one awaited call takes."""
    start = time.perf_counter()
    await action()
    return time.perf_counter() - start
