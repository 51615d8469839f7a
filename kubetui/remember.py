"""What the terminal remembers between starts: the layout, and how each kind was sorted."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from kubetui.config import state_path
from kubetui.live.layout import PANES, LayoutState


def load_state(state: LayoutState) -> dict[str, Any]:
    """Fill in the layout; return what is remembered of each kind's table."""
    try:
        found = json.loads(state_path().read_text("utf-8"))
        layout = found.get("layout") or {}
        state.split = max(20, min(80, int(layout.get("split", state.split))))
        state.top = max(15, min(85, int(layout.get("top", state.top))))
        state.bottom = max(4, min(30, int(layout.get("bottom", state.bottom))))
        hidden = {str(h) for h in layout.get("hidden", ())}
        state.hidden = hidden if set(PANES) - hidden else set()
        views = found.get("views") or {}
        return {str(kind): view for kind, view in views.items() if isinstance(view, dict)}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # remembered things are a comfort, never a reason not to start


def save_state(state: LayoutState, views: dict[str, Any]) -> None:
    """Write it down; a folder that cannot be written is no error."""
    layout = {"split": state.split, "top": state.top, "bottom": state.bottom, "hidden": sorted(state.hidden)}
    path = state_path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")  # another terminal may be leaving too
        fresh.write_text(json.dumps({"layout": layout, "views": views}, indent=1), "utf-8")
        fresh.replace(path)
