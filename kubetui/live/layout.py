"""Where the dashboard's panes go for a size of the screen: a pure function, so that every size can be tested."""

from __future__ import annotations

from dataclasses import dataclass, field

PANES = ("workloads", "pods", "rollout", "logs", "events", "manifests", "usage")
MIN_WIDTH, MIN_HEIGHT = 60, 16
THREE_BELOW = 180  # from this width the lower row has room for three panes


@dataclass(slots=True)
class LayoutState:
    """What the user changed: remembered between starts."""

    split: int = 50  # percent of the width for the left column
    top: int = 42  # percent of the height for the upper row
    bottom: int = 9  # lines of the lower row
    hidden: set[str] = field(default_factory=set)
    maximised: str | None = None
    slot: str = "pods"  # what the lower half shows on a small screen
    foot: str = "events"  # what the lower row shows when there is room for one


@dataclass(frozen=True, slots=True)
class Place:
    """A pane's rectangle in cells, relative to the area between header and key bar."""

    pane: str
    x: int
    y: int
    width: int
    height: int


def arrange(width: int, height: int, state: LayoutState, manifests: bool, usage: bool = False) -> list[Place]:
    """Rectangles of the visible panes. Two columns from 100 cells, one below; a lower row from 28 lines.

    ``manifests`` and ``usage`` tell whether the cluster has what those panes show.
    """
    absent = {name for name, has in (("manifests", manifests), ("usage", usage)) if not has}
    available = [p for p in PANES if p not in absent and p not in state.hidden]
    if state.maximised in PANES and state.maximised not in absent:
        return [Place(state.maximised, 0, 0, width, height)]
    if not available:
        return []
    if width < 100:
        return _narrow(width, height, state, available)
    foot: list[str] = []
    rest = [p for p in available if p in ("workloads", "pods", "rollout", "logs")]
    lower = [p for p in available if p in ("events", "manifests", "usage")]
    room = 3 if width >= THREE_BELOW else 2
    if len(lower) > room:  # what was asked for last stays
        rest_of_row = [p for p in lower if p != state.slot]
        lower = [*rest_of_row[: room - 1], state.slot] if state.slot in lower else lower[:room]
    foot_height = 0
    if lower and height >= 28:
        foot = lower
        foot_height = max(4, min(state.bottom + (height - 28) // 6, height // 3)) if rest else height
    elif lower and state.foot in lower and not rest:
        foot, foot_height = lower, height
    places: list[Place] = []
    upper = height - foot_height
    left = [p for p in rest if p in ("workloads", "pods")]
    right = [p for p in rest if p in ("rollout", "logs")]
    if foot_height == 0 and state.slot in lower:
        right = [p for p in right if p != "logs"] + [state.slot]
    left_width = (
        width if not right else 0 if not left else max(36, min(width - 36, width * state.split // 100))
    )
    gutter = 1 if left and right else 0
    places += _column(left, 0, left_width, upper, state.top)
    places += _column(right, left_width + gutter, width - left_width - gutter, upper, state.top)
    x = 0
    for index, pane in enumerate(foot):
        left_over = len(foot) - index
        share = (width - x) // left_over
        if len(foot) == 2 and index == 0 and 0 < left_width < width:
            share = left_width
        gap = 1 if left_over > 1 else 0
        places.append(Place(pane, x, upper, share if left_over > 1 else width - x, foot_height))
        x += share + gap
    return places


def _column(panes: list[str], x: int, width: int, height: int, top: int) -> list[Place]:
    if not panes:
        return []
    if len(panes) == 1:
        return [Place(panes[0], x, 0, width, height)]
    first = max(4, min(height - 4, height * top // 100))
    return [Place(panes[0], x, 0, width, first), Place(panes[1], x, first, width, height - first)]


def _narrow(width: int, height: int, state: LayoutState, available: list[str]) -> list[Place]:
    first = "workloads" if "workloads" in available else available[0]
    others = [p for p in available if p != first]
    if not others:
        return [Place(first, 0, 0, width, height)]
    slot = state.slot if state.slot in others else others[0]
    upper = max(4, min(height - 6, height * state.top // 100))
    if height >= 32 and "rollout" in others and slot != "rollout":
        third = (height - upper) // 2
        return [
            Place(first, 0, 0, width, upper),
            Place(slot, 0, upper, width, height - upper - third),
            Place("rollout", 0, height - third, width, third),
        ]
    return [Place(first, 0, 0, width, upper), Place(slot, 0, upper, width, height - upper)]
