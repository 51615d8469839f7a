"""Styled text that scrolls: describe, YAML, differences, help. Searchable, painted line by line."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.selection import Selection
from textual.strip import Strip

from kubetui.live.lines import Line
from kubetui.live.selection import compile_pattern
from kubetui.widgets.viewport import Viewport


@dataclass(frozen=True, slots=True)
class _Piece:
    """A row on the screen: characters ``start`` to ``end`` of a line, ``indent`` cells in."""

    line: int
    start: int
    end: int
    indent: int = 0


class LinesView(Viewport):
    """Shows a list of :class:`Line`; keeps its place when the list is replaced. ``wrap`` folds what is too long."""

    def __init__(self, lines: Sequence[Line] = (), *, wrap: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Line] = list(lines)
        self.pattern: re.Pattern[str] | None = None
        self.hits: list[int] = []
        self.hit = -1
        self.wrap = wrap
        self._pieces: list[_Piece] = []
        self._folded: tuple[int, int] = (-1, 0)
        self._version = 0

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Replace everything; the scroll position stays."""
        lines = list(lines)
        if lines == self.lines:
            return
        self.lines = lines
        self._version += 1
        if self.pattern is not None:
            self._find_hits()
        self.top = min(self.top, self.last_top)
        self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)

    def set_wrap(self, wrap: bool) -> None:
        """Fold long lines or not; the line at the top stays there."""
        first = self._piece(self.top)
        self.wrap = wrap
        self._version += 1
        self.left = 0
        self.top = min(self.row_of(first.line), self.last_top) if first is not None else 0
        self.refresh()

    # -- rows ----------------------------------------------------------------------------------------------------

    def line_total(self) -> int:
        """Rows: as many as there are lines, or more where long ones are folded."""
        return len(self._fold()) if self.wrap else len(self.lines)

    def row_of(self, index: int) -> int:
        """The first row of a line."""
        return bisect_left(self._fold(), index, key=lambda p: p.line) if self.wrap else index

    def _piece(self, row: int) -> _Piece | None:
        if self.wrap:
            pieces = self._fold()
            return pieces[row] if row < len(pieces) else None
        return _Piece(row, 0, len(self.lines[row].text)) if row < len(self.lines) else None

    def _fold(self) -> list[_Piece]:
        key = (self._version, self.body_width)
        if key != self._folded:
            self._folded = key
            width = self.body_width
            self._pieces = [p for i, found in enumerate(self.lines) for p in _folds(i, found, width)]
        return self._pieces

    def scroll_columns(self, delta: int) -> None:
        """Sideways, where lines are not folded."""
        if not self.wrap:
            super().scroll_columns(delta)

    # -- search --------------------------------------------------------------------------------------------------

    def search(self, text: str) -> int:
        """Highlight a text and go to its first place at or below the top; return how many there are."""
        self.pattern = compile_pattern(text) if text else None
        self._find_hits()
        self.hit = -1
        if self.hits:
            self.hit = next((i for i, found in enumerate(self.hits) if self.row_of(found) >= self.top), 0)
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
        self.show_line(self.hits[self.hit])

    def show_line(self, index: int) -> None:
        """Scroll to a line unless it is on the screen."""
        row = self.row_of(index)
        if not self.top <= row < self.top + self.body_height:
            self.set_top(max(0, row - self.body_height // 3))

    # -- painting ------------------------------------------------------------------------------------------------

    def paint(self, y: int, width: int) -> Strip:
        """One row with its background and the marks of the search."""
        piece = self._piece(self.top + y)
        if piece is None:
            return Strip.blank(width)
        found = self.lines[piece.line]
        colors = self.palette
        back = {"added": colors.added, "removed": colors.removed, "cursor": colors.cursor}.get(
            found.back, Style()
        )
        segments = [Segment(text, colors[style] + back) for text, style in found.spans]
        strip = Strip(segments)
        if self.pattern is not None:
            current = self.hit >= 0 and self.hits and self.hits[self.hit] == piece.line
            strip = highlight(strip, self.pattern, colors.hit_current if current else colors.hit)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(piece.line)) is not None:
            strip = style_range(strip, span[0], span[1], colors.selection)
        if piece.start or piece.end < len(found.text):
            text = found.text
            strip = strip.crop(cell_len(text[: piece.start]), cell_len(text[: piece.end]))
        elif self.left:
            strip = strip.crop(self.left, None)
        room = max(1, width - piece.indent)
        strip = strip.crop(0, room).adjust_cell_length(room, back)
        strip = strip.apply_offsets(piece.start or self.left, piece.line)
        return Strip([Segment(" " * piece.indent, back), *strip], width) if piece.indent else strip

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse has selected."""
        return selection.extract("\n".join(found.text for found in self.lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Repaint the selection."""
        self.refresh()


def _folds(index: int, found: Line, width: int) -> Iterator[_Piece]:
    """A line in rows of ``width`` cells, broken at spaces; later ones are indented as far as its last part."""
    text = found.text
    if len(text) * 2 <= width or cell_len(text) <= width:
        yield _Piece(index, 0, len(text))
        return
    before = "".join(part for part, _ in found.spans[:-1])
    last = found.spans[-1][0]
    indent = cell_len(before) + len(last) - len(last.lstrip())
    if not 0 < indent <= width // 2 or not last.strip():
        indent = min(len(text) - len(text.lstrip()) + 2, width // 2)
    start, room = 0, width
    while start < len(text):
        end = len(set_cell_size(text[start : start + room], room).rstrip()) if not text.isascii() else room
        end = min(len(text), start + max(1, end))
        if end < len(text) and text[end] != " ":
            space = text.rfind(" ", start + room // 3, end)
            end = space + 1 if space > start else end
        yield _Piece(index, start, end, indent if start else 0)
        start, room = end, max(8, width - indent)
        while start < len(text) and text[start] == " ":
            start += 1


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
