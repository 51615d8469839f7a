"""A live table for thousands of rows: keyed by uid, painted line by line, sorted and filtered as it changes.

Textual's DataTable throws away every cached cell at each change and keeps its cursor on an index; here the cursor
and the marks stay on their objects, whatever comes and goes, and an update costs what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from kubetui.live.selection import NO_FILTER, Filter
from kubetui.live.text import clean, fit, wrapped
from kubetui.widgets.rows import Cell, Column, Reversed, Row, cell, rank, since
from kubetui.widgets.viewport import Viewport

__all__ = ["Cell", "Column", "Row", "Table", "cell", "since"]

GAP = 2

ROOMY = 64  # a growing column in front of others takes no more than it needs, or this
NAMING = ("namespace", "name", "c0")  # c0: the first column of a table that the server has laid out
AGE_WIDTH = 6  # the longest of kubectl's ages: 7y364d


class Table(Viewport):
    """See the module's first paragraph. Rows come in with :meth:`update`, the cursor is :attr:`current`."""

    HEADER_LINES = 1

    class Moved(Message):
        """The cursor is on another object."""

        def __init__(self, table: Table, uid: str | None) -> None:
            super().__init__()
            self.table = table
            self.uid = uid

    class Opened(Message):
        """Enter or a double click on a row."""

        def __init__(self, table: Table, uid: str) -> None:
            super().__init__()
            self.table = table
            self.uid = uid

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        sort: str = "",
        descending: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = list(columns)
        self.rows: dict[str, Row] = {}
        self.order: list[Row] = []
        self.marks: set[str] = set()
        self.sort_key = sort or (columns[0].key if columns else "")
        self.descending = descending
        self.filter: Filter = NO_FILTER
        self.broken_only = False
        self.wide = False
        self.hidden: frozenset[str] = frozenset()
        self.empty_text: str = ""
        self.stale = False
        self.scope: Callable[[Row], bool] | None = None
        self.filling = False  # first lists are on their way: a cursor that nobody moved waits at the top
        self._moved = False
        self._uid: str | None = None
        self._index = 0
        self._widths: dict[str, int] = {}
        self._layout: list[tuple[int, Column, int]] = []
        self._layout_key: tuple[Any, ...] = ()
        self._strips: dict[tuple[Any, ...], tuple[Row, Strip]] = {}
        self._ages: tuple[str, ...] = ()

    # -- data ----------------------------------------------------------------------------------------------------

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Other columns; rows must be sent again."""
        self.columns = list(columns)
        if self.sort_key not in {c.key for c in columns}:
            self.sort_key = columns[0].key if columns else ""
        self._widths.clear()
        self._layout_key = ()

    def clear_rows(self) -> None:
        """No rows."""
        self.rows.clear()
        self.order = []
        self._widths.clear()
        self._layout_key = ()
        self._strips.clear()
        self._moved = False
        self._place_cursor()
        self.refresh()

    def update_rows(self, upserts: Iterable[Row], deletes: Iterable[str] = ()) -> None:
        """Take changes in; re-sorts only when the order can have changed."""
        reorder = False
        changed = False
        for row in upserts:
            changed = True
            row.key = self._key_of(row)
            row.shown = self._visible(row)
            old = self.rows.get(row.uid)
            self.rows[row.uid] = row
            if old is None or old.key != row.key or old.shown != row.shown:
                reorder = True
            elif row.shown:
                reorder = reorder or not self._swap(old, row)
            self._measure(row)
        for uid in deletes:
            if self.rows.pop(uid, None) is not None:
                reorder = changed = True
                self.marks.discard(uid)
        if reorder:
            self._reorder()
        if changed:
            self.refresh()

    def _swap(self, old: Row, new: Row) -> bool:
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if self.order[middle].key < new.key:
                low = middle + 1
            else:
                high = middle
        if low < len(self.order) and self.order[low] is old:
            self.order[low] = new
            return True
        return False

    def _key_of(self, row: Row) -> tuple[Any, ...]:
        """By the chosen column; what is alike there stands by namespace and name."""
        order, value, names = 0, "", []
        for found, column in zip(row.cells, self.columns, strict=False):
            if column.key == self.sort_key:
                order, value = rank(found.sort if found.sort is not None else found.text)
            elif column.key in NAMING:
                names.append(found.text)
        if self.descending:
            return (-order, Reversed(value), names, row.uid)
        return (order, value, names, row.uid)

    def _visible(self, row: Row) -> bool:
        if self.broken_only and row.health not in ("bad", "warn"):
            return False
        if self.scope is not None and not self.scope(row):
            return False
        return not self.filter or self.filter.matches((c.text for c in row.cells), row.labels)

    def _measure(self, row: Row) -> None:
        widths = self._widths
        for column, value in zip(self.columns, row.cells, strict=False):
            size = AGE_WIDTH if value.since is not None else len(value.text)
            if size > widths.get(column.key, 0):
                widths[column.key] = min(
                    size if value.text.isascii() else cell_len(value.text), column.maximum
                )
                self._layout_key = ()

    def _reorder(self) -> None:
        self.order = sorted([row for row in self.rows.values() if row.shown], key=attrgetter("key"))
        self._place_cursor()

    def _place_cursor(self) -> None:
        """Keep the cursor on its object; when that is gone, on what took its place."""
        before = self._uid
        if not self.order:
            self._uid, self._index, self.top = None, 0, 0
        else:
            index = self._find(self._uid) if self._moved or not self.filling else 0
            if index is None:
                index = min(self._index, len(self.order) - 1)
            shift = index - self._index
            self._uid, self._index = self.order[index].uid, index
            if shift and self.top <= index - shift < self.top + self.body_height and before == self._uid:
                self.top = max(0, min(self.top + shift, self.last_top))  # hold the row still on the screen
            self.top = min(self.top, self.last_top)
            self._reveal()
        if before != self._uid and self.is_mounted:
            self.post_message(self.Moved(self, self._uid))

    def _find(self, uid: str | None) -> int | None:
        row = self.rows.get(uid) if uid is not None else None
        if row is None or not row.shown:
            return None
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high) // 2
            if self.order[middle].key < row.key:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self.order) and self.order[low].uid == uid else None

    def say_when_empty(self, text: str) -> None:
        """What stands where there are no rows."""
        if text != self.empty_text:
            self.empty_text = text
            self.refresh()

    def refilter(self) -> None:
        """Apply filter, scope and broken-only again to every row."""
        for row in self.rows.values():
            row.shown = self._visible(row)
        self._reorder()
        self.refresh()

    def set_filter(self, found: Filter) -> None:
        """Show only what matches."""
        self.filter = found
        self.refilter()

    def sort_by(self, key: str, descending: bool | None = None) -> None:
        """Sort by a column; the same column again turns the direction."""
        if descending is None:
            descending = not self.descending if key == self.sort_key else False
        self.sort_key, self.descending = key, descending
        for row in self.rows.values():
            row.key = self._key_of(row)
        self._reorder()
        self.refresh()

    # -- cursor and marks ----------------------------------------------------------------------------------------

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.order[self._index] if self._index < len(self.order) else None

    @property
    def selected(self) -> list[Row]:
        """The marked rows, or the one under the cursor."""
        marked = [row for row in self.order if row.uid in self.marks] if self.marks else []
        current = self.current
        return marked or ([current] if current else [])

    @property
    def marked_text(self) -> str:
        """How many are marked, for a title; those that a filter hides are not acted on."""
        marked = [row for uid in self.marks if (row := self.rows.get(uid)) is not None]
        hidden = sum(1 for row in marked if not row.shown)
        return f"{len(marked)} marked" + (f" ({hidden} hidden)" if hidden else "")

    def move_to(self, index: int) -> None:
        """Put the cursor on a row by position."""
        if not self.order:
            return
        self._moved = True
        index = max(0, min(index, len(self.order) - 1))
        if index != self._index or self._uid is None:
            self._index = index
            self._uid = self.order[index].uid
            self._reveal()
            self.refresh()
            self.post_message(self.Moved(self, self._uid))

    def move_to_uid(self, uid: str) -> bool:
        """Put the cursor on an object; False when it is not shown."""
        index = self._find(uid)
        if index is None:
            return False
        self.move_to(index)
        return True

    def move_by(self, delta: int) -> None:
        """Move the cursor."""
        self.move_to(self._index + delta)

    def toggle_mark(self) -> None:
        """Mark or unmark the current row and go on to the next."""
        row = self.current
        if row is not None:
            self.marks ^= {row.uid}
            self.move_by(1)
            self.refresh()

    def mark_range(self) -> None:
        """Mark everything between the nearest mark and the cursor."""
        marked = [i for i, row in enumerate(self.order) if row.uid in self.marks]
        if marked:
            nearest = min(marked, key=lambda i: abs(i - self._index))
            for row in self.order[min(nearest, self._index) : max(nearest, self._index) + 1]:
                self.marks.add(row.uid)
            self.refresh()

    def mark_all(self) -> None:
        """Mark every visible row, or none when all are."""
        everything = {row.uid for row in self.order}
        self.marks = set() if everything <= self.marks else everything
        self.refresh()

    def clear_marks(self) -> None:
        """No marks."""
        self.marks.clear()
        self.refresh()

    def _reveal(self) -> None:
        height = max(1, self.body_height)
        if self._index < self.top:
            self.top = self._index
        elif self._index >= self.top + height:
            self.top = self._index - height + 1

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._layout_key = ()
        self.top = min(self.top, self.last_top)
        self._reveal()

    def on_click(self, event: events.Click) -> None:
        """Choose a row, or sort by a column's title."""
        if event.y == 0:
            x = event.x + self.left - 1
            for _, column, width in self._columns():
                if x < width + GAP:
                    self.sort_by(column.key)
                    return
                x -= width + GAP
            return
        index = self.top + event.y - 1
        if index < len(self.order) and not self.on_bar(event):
            if event.chain == 2:
                self.post_message(self.Opened(self, self.order[index].uid))
            else:
                self.move_to(index)

    # -- painting ------------------------------------------------------------------------------------------------

    def line_total(self) -> int:
        """Rows shown."""
        return len(self.order)

    def tick(self) -> None:
        """Once a second: repaint when an age that is visible has changed."""
        now = self.now()
        ages = tuple(
            c.shown(now)
            for row in self.order[self.top : self.top + self.body_height]
            for c in row.cells
            if c.since is not None
        )
        if ages != self._ages:
            self._ages = ages
            self.refresh()

    def shows(self, key: str) -> bool:
        """Whether a column fits the width and is not hidden."""
        return any(column.key == key for _, column, _ in self._columns())

    def _columns(self) -> list[tuple[int, Column, int]]:
        """(index, column, width) of what fits, computed once per size and content width."""
        key = (self.size.width, self.wide, self.hidden, len(self.columns), self.sort_key)
        if key == self._layout_key:
            return self._layout
        available = self.body_width - 2
        chosen = [
            (i, c)
            for i, c in enumerate(self.columns)
            if (self.wide or not c.wide) and c.key not in self.hidden
        ]

        def natural(column: Column) -> int:
            arrow = 1 if column.key == self.sort_key else 0
            content = self._widths.get(column.key, 0)
            # a growing column gets what is left anyway: reserving more than it holds would push others out
            least = 0 if column.grow and content else column.minimum
            return max(content, len(column.title) + arrow, least)

        def least(column: Column) -> int:
            floor = 36 if self.wide else max(column.minimum, 12)  # a wide table scrolls sideways
            return min(natural(column), floor) if column.grow else natural(column)

        if not self.wide:
            while (
                sum(least(c) + GAP for _, c in chosen) - GAP > available
                and (droppable := max((c.drop for _, c in chosen), default=0)) > 0
            ):
                chosen = [(i, c) for i, c in chosen if c.drop != droppable]
        widths = {i: natural(c) for i, c in chosen}
        over = sum(widths.values()) + GAP * (len(chosen) - 1) - available
        growing = [(i, c) for i, c in chosen if c.grow]
        for floor in (
            (None,) if self.wide else (None, 8)
        ):  # nothing left to drop: then less than it would like
            for i, c in sorted(growing, key=lambda item: -widths[item[0]]):
                cut = max(0, min(over, widths[i] - (least(c) if floor is None else floor)))
                widths[i] -= cut
                over -= cut
        if over < 0 and growing:
            index, spare = growing[-1][0], -over
            if index != chosen[-1][0]:  # a name far from what is said about it cannot be read across
                spare = min(spare, max(0, ROOMY - widths[index]))
            widths[index] += spare
        self._layout = [(i, c, widths[i]) for i, c in chosen]
        self._layout_key = key
        self._strips.clear()
        return self._layout

    def paint(self, y: int, width: int) -> Strip:
        """Header, row or blank."""
        if y == 0:
            self.top = min(
                self.top, self.last_top
            )  # the height may have been another when the cursor was placed
            return self._paint_header(width)
        index = self.top + y - 1
        if index >= len(self.order):
            words = wrapped(self._why_empty(), width - 4) if not self.order and y >= 2 else []
            if 0 <= y - 2 < len(words):
                return Strip([Segment("  " + fit(words[y - 2], width - 2), self.palette["dim"])], width)
            return Strip.blank(width)
        row = self.order[index]
        now = self.now()
        ages = tuple(c.shown(now) for c in row.cells if c.since is not None)
        cursor = 0 if index != self._index else 2 if self.has_focus else 1
        marked = row.uid in self.marks
        key = (id(row), ages, cursor, marked, self.left, self.palette.name, self.stale, self.rich_style)
        cached = self._strips.get(key)
        if cached is not None and cached[0] is row:
            return cached[1]
        strip = self._paint_row(row, now, cursor, marked, width)
        if len(self._strips) > 2000:
            self._strips.clear()
        self._strips[key] = (row, strip)
        return strip

    def _why_empty(self) -> str:
        if self.rows and self.filter:
            return f"nothing matches {clean(self.filter.text)}: esc shows all {len(self.rows)}"
        if self.rows and self.broken_only:
            return f"nothing is broken: esc shows all {len(self.rows)}"
        return self.empty_text

    def _paint_header(self, width: int) -> Strip:
        colors = self.palette
        segments = [Segment(" ")]
        for _, column, size in self._columns():
            title = column.title
            if column.key == self.sort_key:
                title += "↓" if self.descending else "↑"
            segments.append(Segment(fit(title, size, right=column.right), colors.header))
            segments.append(Segment(" " * GAP))
        return self._crop(Strip(segments), width)

    def _paint_row(self, row: Row, now: float, cursor: int, marked: bool, width: int) -> Strip:
        colors = self.palette
        back = Style()
        if cursor == 2:
            back = colors.cursor
        elif cursor == 1:
            back = colors.cursor_blurred
        elif marked:
            back = colors.mark
        lead = "▌" if cursor else ("▪" if marked else " ")
        segments = [
            Segment(
                lead if not (cursor and marked) else "▪", colors["accent" if not marked else "key"] + back
            )
        ]
        for index, column, size in self._columns():
            found = row.cells[index] if index < len(row.cells) else Cell("")
            style = colors["faint"] if self.stale else colors[found.style]
            if cursor == 2 and found.style in ("dim", "faint", "idle", "done"):
                style = colors["text"]
            text = fit(found.shown(now), size, right=column.right, middle=column.middle)
            segments.append(Segment(text, style + back))
            segments.append(Segment(" " * GAP, back))
        strip = self._crop(Strip(segments), width)
        return strip.adjust_cell_length(width, back)

    def _crop(self, strip: Strip, width: int) -> Strip:
        if self.left:
            limit = max(0, strip.cell_length - width)
            self.left = min(self.left, limit)
        return strip.crop(self.left, self.left + width)
