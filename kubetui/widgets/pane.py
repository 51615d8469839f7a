"""A numbered pane of the dashboard: a title line and a body."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from kubetui.context import Ref
from kubetui.widgets.chrome import PaneTitle, Span


class Pane(Vertical):
    """``places`` tells the registry where a key was pressed, ``refs`` what it works on."""

    PLACES: tuple[str, ...] = ("table",)

    def __init__(self, number: int, title: str, body: Widget, *, id: str) -> None:
        super().__init__(id=id)
        self.number = number
        self.heading = PaneTitle(number, title)
        self.body = body

    def compose(self) -> ComposeResult:
        """Title over body."""
        yield self.heading
        yield self.body

    def set_status(self, left: Sequence[Span] = (), right: Sequence[Span] = ()) -> None:
        """What the title line says beside the name."""
        self.heading.show(tuple(left), tuple(right))

    def refs(self) -> list[Ref]:
        """The objects that an action works on."""
        return []

    def on_descendant_focus(self) -> None:
        """The focused pane's title has the accent."""
        self.heading.focused_pane = True
        self.heading.refresh()

    def on_descendant_blur(self) -> None:
        """And loses it."""
        self.heading.focused_pane = False
        self.heading.refresh()
