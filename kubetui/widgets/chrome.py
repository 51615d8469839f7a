"""The frame around the content: header, pane titles, key bar. One line each, painted from the theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from kubetui.live.text import fit
from kubetui.widgets.palette import Palette, palette

Span = tuple[str, str]


def join_sides(left: Sequence[Segment], right: Sequence[Segment], width: int, fill: Segment) -> Strip:
    """Left and right aligned segments in one line; the right side gives way last."""
    right_width = sum(cell_len(s.text) for s in right)
    space = width - right_width - (1 if right else 0)
    if space < 0:
        return Strip(right).crop(0, width)
    left_strip = Strip(left)
    if left_strip.cell_length > space:
        left_strip = Strip(
            [*left_strip.crop(0, max(0, space - 1)), Segment("…" if space else "", fill.style)]
        )
    filler = width - right_width - left_strip.cell_length
    return Strip([*left_strip, Segment(fill.text * filler, fill.style), *right])


class OneLine(Widget):
    """A widget of one painted line that repaints only when its content changed."""

    DEFAULT_CSS = "OneLine { height: 1; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content: Any = None

    def show(self, *content: Any) -> None:
        """Replace the content."""
        if content != self._content:
            self._content = content
            self.refresh()

    @property
    def palette(self) -> Palette:
        """The theme's styles."""
        return palette(self.app)

    def build(self, width: int) -> Strip:
        """The line."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """The line on the widget's background."""
        width = self.size.width
        if y:
            return Strip.blank(width, self.rich_style)
        return self.build(width).adjust_cell_length(width, Style()).apply_style(self.rich_style)


class Header(OneLine):
    """Cluster, namespace, state of the connection, counts."""

    class ErrorsClicked(Message):
        """Somebody clicked the error count."""

    def build(self, width: int) -> Strip:
        """``(left spans, right spans)``."""
        left, right = self._content or ((), ())
        colors = self.palette
        brand = Segment(" ⎈ kubetui ", colors.chip_focused)
        return join_sides(
            [brand, Segment(" "), *(Segment(t, colors[s]) for t, s in left)],
            [*(Segment(t, colors[s]) for t, s in right), Segment(" ")],
            width,
            Segment(" "),
        )

    def on_click(self, event: events.Click) -> None:
        """The counts are on the right."""
        if event.x > self.size.width // 2:
            self.post_message(self.ErrorsClicked())


class PaneTitle(OneLine):
    """Number, name and status of a pane, then a rule to its edge."""

    def __init__(self, number: int, title: str) -> None:
        super().__init__()
        self.number = number
        self.title = title
        self.focused_pane = False

    def build(self, width: int) -> Strip:
        """``(left spans, right spans)``."""
        left, right = self._content or ((), ())
        colors = self.palette
        chip = colors.chip_focused if self.focused_pane else colors.chip
        number = f" {self.number} " if self.number else " "
        start = [
            Segment(number, chip),
            Segment(f" {self.title} ", colors["accent-strong" if self.focused_pane else "strong"]),
            *(Segment(t, colors[s]) for t, s in left),
            Segment(" "),
        ]
        rule = Segment("─", colors["accent"] if self.focused_pane else colors.rule)
        end = [Segment(" "), *(Segment(t, colors[s]) for t, s in right), Segment(" ")] if right else []
        return join_sides(start, end, width, rule)


class KeyBar(OneLine):
    """The keys that do something here and now, generated from the action registry."""

    class Pressed(Message):
        """A key of the bar was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._places: list[tuple[int, int, str]] = []

    def build(self, width: int) -> Strip:
        """``((key, label, action id, allowed), …)``; what does not fit is left out, the last two always stay."""
        items: tuple[tuple[str, str, str, bool], ...] = self._content[0] if self._content else ()
        colors = self.palette
        sizes = [cell_len(k) + cell_len(t) + 3 for k, t, *_ in items]
        keep = len(items)
        tail = sum(sizes[-2:])
        while keep > 2 and sum(sizes[: keep - 2]) + tail > width - 1:
            keep -= 1
        chosen = [*items[: keep - 2], *items[-2:]] if keep >= 2 else items[:1]
        segments = [Segment(" ")]
        self._places = []
        x = 1
        for key, label, action, allowed in chosen:
            size = cell_len(key) + cell_len(label) + 3
            segments += [
                Segment(key, colors["key" if allowed else "faint"]),
                Segment(f" {label}  ", colors["dim" if allowed else "faint"]),
            ]
            self._places.append((x, x + size, action))
            x += size
        return Strip(segments)

    def on_click(self, event: events.Click) -> None:
        """Keys can be clicked."""
        for start, end, action in self._places:
            if start <= event.x < end:
                self.post_message(self.Pressed(action))


class StatusLine(OneLine):
    """One line of text at the bottom of a view."""

    def build(self, width: int) -> Strip:
        """Spans."""
        spans = self._content[0] if self._content else ()
        strip = Strip([Segment(" "), *(Segment(t, self.palette[s]) for t, s in spans)])
        return strip.crop(0, width)


def progress_bar(
    width: int, parts: Sequence[tuple[float, str]], colors: Callable[[str], Style]
) -> list[Segment]:
    """A bar of ``width`` cells from (share, style) parts; the rest is faint. Shares round so that the sum is kept."""
    segments: list[Segment] = []
    used, total = 0, 0.0
    for share, style in parts:
        total += share
        end = min(width, round(total * width))
        if share > 0 and end == used and used < width:
            end = used + 1
        if end > used:
            segments.append(Segment("━" * (end - used), colors(style)))
            used = end
    if used < width:
        segments.append(Segment("━" * (width - used), colors("faint")))
    return segments


def short(text: str, width: int) -> str:
    """Cut without padding."""
    return fit(text, width).rstrip() if cell_len(text) > width else text
