"""A widget that scrolls lines it does not have.

Textual's scroll views lay out virtual sizes and real scroll bars; a table of 5,000 live rows or a log of a million
lines needs less and wants it faster: an integer for the first visible line, a painter for one line, and a one-cell
scroll bar drawn into the last column.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from kubetui.widgets.palette import Palette, palette


class Viewport(Widget, can_focus=True):
    """Base of table, text and log views. ``top`` is the first visible line, ``left`` the first visible column."""

    HEADER_LINES = 0

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.top = 0
        self.left = 0
        self._grip: int | None = None  # where the scroll bar's thumb is held, in rows below its upper end

    # -- to be provided ------------------------------------------------------------------------------------------

    def line_total(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def paint(self, y: int, width: int) -> Strip:
        """The line at row ``y`` of the visible area (header included), ``width`` cells wide."""
        raise NotImplementedError

    # -- geometry ------------------------------------------------------------------------------------------------

    @property
    def palette(self) -> Palette:
        """The theme's styles."""
        return palette(self.app)

    def now(self) -> float:
        """Seconds since 1970, by the app's clock (which tests hold still)."""
        clock: Callable[[], float] = getattr(self.app, "clock", time.time)
        return clock()

    @property
    def body_height(self) -> int:
        """Visible lines without the header."""
        return max(0, self.size.height - self.HEADER_LINES)

    @property
    def body_width(self) -> int:
        """Cells for content; the last one belongs to the scroll bar."""
        return max(1, self.size.width - 1)

    @property
    def last_top(self) -> int:
        """The greatest useful ``top``."""
        return max(0, self.line_total() - self.body_height)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """All there is: these widgets fill their place."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """All lines, for dialogs that size themselves by content."""
        return max(1, self.line_total() + self.HEADER_LINES)

    # -- scrolling -----------------------------------------------------------------------------------------------

    def scroll_lines(self, delta: int) -> None:
        """Move the window by ``delta`` lines."""
        self.set_top(self.top + delta)

    def set_top(self, top: int) -> None:
        """Move the window."""
        bounded = max(0, min(top, self.last_top))
        if bounded != self.top:
            self.top = bounded
            self.refresh()

    def scroll_columns(self, delta: int) -> None:
        """Move sideways."""
        left = max(0, self.left + delta)
        if left != self.left:
            self.left = left
            self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Wheel."""
        event.stop()
        if event.shift:
            self.scroll_columns(8)
        else:
            self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Wheel."""
        event.stop()
        if event.shift:
            self.scroll_columns(-8)
        else:
            self.scroll_lines(-3)

    # -- scroll bar ----------------------------------------------------------------------------------------------

    def _thumb(self) -> tuple[int, int]:
        """First row (below the header) and size of the bar's thumb; no size: everything is visible."""
        body, total = self.body_height, self.line_total()
        if total <= body or body < 2:
            return 0, 0
        size = max(1, body * body // total)
        return round((body - size) * self.top / max(1, total - body)), size

    def on_bar(self, event: events.MouseEvent) -> bool:
        """Whether the mouse is on the scroll bar."""
        return event.x == self.body_width and event.y >= self.HEADER_LINES and self._thumb()[1] > 0

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take the bar's thumb, or bring it to the mouse."""
        if event.button != 1 or not self.on_bar(event):
            return
        self.screen.clear_selection()  # Textual takes it for the beginning of one
        start, size = self._thumb()
        row = event.y - self.HEADER_LINES
        self._grip = row - start if start <= row < start + size else size // 2
        self.capture_mouse()
        self._drag(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The thumb follows the mouse while it is held."""
        if self._grip is not None:
            self._drag(event)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let the thumb go."""
        if self._grip is not None:
            self._grip = None
            self.release_mouse()

    def _drag(self, event: events.MouseEvent) -> None:
        _, size = self._thumb()
        room = self.body_height - size
        if self._grip is None or size == 0 or room <= 0:
            return
        row = max(0, min(event.y - self.HEADER_LINES - self._grip, room))
        self.set_top(round(self.last_top * row / room))

    # -- painting ------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of the screen: content and scroll bar."""
        width = self.body_width
        base = self.rich_style
        strip = self.paint(y, width)
        if strip.cell_length != width:
            strip = strip.adjust_cell_length(width, base)
        bar = self._bar(y)
        return Strip([*strip.apply_style(base), Segment(bar[0], base + bar[1])], width + 1)

    def _bar(self, y: int) -> tuple[str, Style]:
        start, size = self._thumb()
        if start <= y - self.HEADER_LINES < start + size:
            return "┃", self.palette["dim" if self.has_focus else "faint"]
        return " ", Style()

    def on_focus(self) -> None:
        """The scroll bar and cursor change their colour."""
        self.refresh()

    def on_blur(self) -> None:
        """The scroll bar and cursor change their colour."""
        self.refresh()
