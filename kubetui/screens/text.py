"""A page of text about something: describe, YAML, tree, help, command log. Live where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from textual.app import ComposeResult

from kubetui.context import Ref
from kubetui.live.hub import Change, Mirror
from kubetui.live.lines import Line
from kubetui.live.session import Watched
from kubetui.screens.base import KeyScreen
from kubetui.widgets.chrome import StatusLine
from kubetui.widgets.lines import LinesView

Producer = Callable[[], Sequence[Line]]
RESTS = (
    8  # times as long as it took to draw a page, keys come first: a page about a whole cluster can be long
)


class TextScreen(KeyScreen):
    """Shows what ``producer`` returns, again whenever one of the ``watched`` collections changes."""

    PLACES: tuple[str, ...] = ("text",)

    def __init__(
        self,
        title: str,
        producer: Producer,
        *,
        refs: Sequence[Ref] = (),
        places: Sequence[str] = ("text",),
        each_second: bool = False,
        at_end: bool = False,
    ) -> None:
        super().__init__()
        self.TITLE_TEXT = title
        self.PLACES = (*places, "page")
        self.producer = producer
        self.lines = LinesView(wrap=True, id="text-lines")
        self.status = StatusLine(id="text-status")
        self.options: dict[str, bool] = {}
        self._refs = list(refs)
        self._watched: list[Watched] = []
        self._each_second = each_second
        self._at_end = at_end
        self._stale = True
        self._rests_until = 0.0
        self.is_stale: Callable[[], bool] = lambda: self._stale
        self.on_leave: Callable[[], None] | None = None

    def compose_body(self) -> ComposeResult:
        """Text over a status line."""
        yield self.lines
        yield self.status

    def on_mount(self) -> None:
        """First contents."""
        self.lines.focus()
        self.redraw()
        if self._at_end:
            self.call_after_refresh(lambda: self.lines.set_top(self.lines.last_top))

    def watch_collection(self, watched: Watched) -> None:
        """Stop watching when the screen goes."""
        self._watched.append(watched)

    def changed(self, mirror: Mirror, change: Change) -> None:
        """Something that is shown changed."""
        self._stale = True

    def after_pump(self) -> None:
        """Redraw once for everything that changed together."""
        if self.is_stale() and self.is_mounted and monotonic() >= self._rests_until:
            self.redraw()

    def redraw(self) -> None:
        """Ask the producer again."""
        self._stale = False
        began = monotonic()
        self.lines.set_lines(self.producer())
        self.show_status()
        ended = monotonic()
        self._rests_until = ended + RESTS * (ended - began)

    def show_status(self) -> None:
        """Lines and search hits."""
        view = self.lines
        spans: list[tuple[str, str]] = [(f"{len(view.lines)} lines", "dim")]
        if view.pattern is not None:
            place = f"{view.hit + 1} of " if view.hit >= 0 else ""
            spans.append((f"   /{view.pattern.pattern}  {place}{len(view.hits)}", "key"))
        state = next((w.worst for w in self._watched if w.worst.state not in ("live", "loading")), None)
        if state is not None:
            spans.append((f"   {state.state}: {state.detail}", "warn"))
        self.status.show(tuple(spans))

    def tick(self) -> None:
        """Ages."""
        if (self._each_second or self.is_stale()) and monotonic() >= self._rests_until:
            self.redraw()

    def refs(self) -> list[Ref]:
        """What the text is about."""
        return self._refs

    def leave(self) -> None:
        """Stop watching."""
        for watched in self._watched:
            watched.close()
        self._watched.clear()
        if self.on_leave is not None:
            self.on_leave()
