"""Styled text that scrolls: describe, YAML, differences, help. Searchable, painted line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.selection import Selection
from textual.strip import Strip

from kubetui.live.lines import Line
from kubetui.live.selection import compile_pattern
from kubetui.widgets.viewport import Viewport


class LinesView(Viewport):
    """Shows a list of :class:`Line`; keeps its place when the list is replaced."""

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Line] = list(lines)
        self.pattern: re.Pattern[str] | None = None
        self.hits: list[int] = []
        self.hit = -1
        self.wrap = False

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Replace everything; the scroll position stays."""
        lines = list(lines)
        if lines == self.lines:
            return
        self.lines = lines
        if self.pattern is not None:
            self._find_hits()
        self.top = min(self.top, self.last_top)
        self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)

    def line_total(self) -> int:
        """Lines."""
        return len(self.lines)

    def search(self, text: str) -> int:
        """Highlight a text and go to its first place at or below the top; return how many there are."""
        self.pattern = compile_pattern(text) if text else None
        self._find_hits()
        self.hit = -1
        if self.hits:
            self.hit = next((i for i, y in enumerate(self.hits) if y >= self.top), 0)
            self._show_hit()
        self.refresh()
        return len(self.hits)

    def next_hit(self, step: int) -> None:
        """Go to the next (1) or previous (-1) place."""
        if self.hits:
            self.hit = (self.hit + step) % len(self.hits)
            self._show_hit()
            self.refresh()

    def _find_hits(self) -> None:
        pattern = self.pattern
        self.hits = [i for i, found in enumerate(self.lines) if pattern.search(found.text)] if pattern else []

    def _show_hit(self) -> None:
        y = self.hits[self.hit]
        if not self.top <= y < self.top + self.body_height:
            self.set_top(max(0, y - self.body_height // 3))

    def paint(self, y: int, width: int) -> Strip:
        """One line with its background and the marks of the search."""
        index = self.top + y
        if index >= len(self.lines):
            return Strip.blank(width)
        found = self.lines[index]
        colors = self.palette
        back = {"added": colors.added, "removed": colors.removed, "cursor": colors.cursor}.get(
            found.back, Style()
        )
        segments = [Segment(text, colors[style] + back) for text, style in found.spans]
        strip = Strip(segments)
        if self.pattern is not None:
            current = self.hit >= 0 and self.hits and self.hits[self.hit] == index
            strip = highlight(strip, self.pattern, colors.hit_current if current else colors.hit)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(index)) is not None:
            strip = style_range(strip, span[0], span[1], colors.selection)
        if self.left:
            strip = strip.crop(self.left, None)
        strip = strip.crop(0, width).adjust_cell_length(width, back)
        return strip.apply_offsets(self.left, index)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse has selected."""
        return selection.extract("\n".join(found.text for found in self.lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Repaint the selection."""
        self.refresh()


def highlight(strip: Strip, pattern: re.Pattern[str], style: Style) -> Strip:
    """Give every match of ``pattern`` in the strip's text a style."""
    text = strip.text
    for match in pattern.finditer(text):
        if match.end() > match.start():
            strip = style_range(strip, match.start(), match.end(), style)
    return strip


def style_range(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """Give the characters from ``start`` to ``end`` (-1: to the end) a style."""
    text = strip.text
    if end < 0 or end > len(text):
        end = len(text)
    if start >= end:
        return strip
    x1, x2 = cell_len(text[:start]), cell_len(text[:end])
    parts = strip.divide([x1, x2, strip.cell_length])
    if len(parts) < 2:
        return strip
    middle = Strip([Segment(s.text, (s.style or Style()) + style) for s in parts[1]], parts[1].cell_length)
    return Strip.join([parts[0], middle, *parts[2:]])
