"""Going back: all revisions of a workload, and side by side what would change."""

from __future__ import annotations

from textual.app import ComposeResult

from kubetui.context import Ref
from kubetui.live.history import DiffLine, HistoryEntry, history_of, side_by_side
from kubetui.live.lines import Line
from kubetui.live.objects import Obj
from kubetui.live.text import clean, fit, parse_time
from kubetui.live.yamltext import to_yaml
from kubetui.screens.base import KeyScreen
from kubetui.widgets.chrome import PaneTitle
from kubetui.widgets.lines import LinesView
from kubetui.widgets.table import Cell, Column, Row, Table, cell, since

COLUMNS = [
    Column("revision", "REV", right=True),
    Column("images", "IMAGE", grow=True, minimum=14, maximum=80, middle=True),
    Column("cause", "CHANGE-CAUSE", maximum=40, drop=2),
    Column("name", "NAME", maximum=48, drop=1, middle=True),
    Column("pods", "PODS", right=True),
    Column("age", "AGE", right=True),
]


class RollbackScreen(KeyScreen):
    """Revisions above, the difference below; enter goes back to the revision under the cursor."""

    PLACES = ("rollback", "text")

    def __init__(self, ref: Ref, workload: Obj, candidates: list[Obj]) -> None:
        super().__init__()
        self.ref = ref
        self.workload = workload
        self.history = history_of(workload, candidates)
        self.base: HistoryEntry | None = None
        self.TITLE_TEXT = f"roll back {clean(ref.name)}"
        self.table = Table(COLUMNS, sort="revision", descending=True, id="revisions")
        self.heading = PaneTitle(0, "Revisions")
        self.diff_heading = PaneTitle(0, "Difference")
        self.difference = LinesView(id="difference")

    def compose_body(self) -> ComposeResult:
        """Table over difference."""
        yield self.heading
        yield self.table
        yield self.diff_heading
        yield self.difference

    def on_mount(self) -> None:
        """The cursor starts on the revision before the current one."""
        rows = []
        for entry in self.history:
            style = "accent-strong" if entry.current else "text"
            rows.append(
                Row(
                    entry.uid,
                    (
                        Cell(("▶ " if entry.current else "") + f"#{entry.number}", style, entry.number),
                        cell(entry.images, style),
                        cell(entry.cause or "-", "dim"),
                        cell(entry.name, "dim"),
                        cell(entry.replicas or "-", "dim", entry.replicas),
                        since(parse_time(entry.created)),
                    ),
                    data=entry,
                )
            )
        self.table.update_rows(rows)
        self.table.styles.height = min(len(rows) + 2, 14)
        self.table.focus()
        self.heading.focused_pane = True
        self.heading.show(((f"{len(rows)} of {clean(self.ref.word)}", "accent"),), ())
        older = next((e for e in self.history if not e.current), None)
        if older is not None:
            self.table.move_to_uid(older.uid)
        self.call_after_refresh(self.redraw)

    @property
    def chosen(self) -> HistoryEntry | None:
        """The revision under the cursor."""
        row = self.table.current
        return row.data if row is not None else None

    @property
    def current(self) -> HistoryEntry | None:
        """What runs now (or was chosen to compare from)."""
        return self.base or next((e for e in self.history if e.current), None)

    def redraw(self) -> None:
        """Draw the difference between the two."""
        chosen, current = self.chosen, self.current
        width = self.difference.body_width
        if chosen is None or current is None:
            self.difference.set_lines([])
            return
        self.diff_heading.show(((f"#{current.number} now → #{chosen.number}", "accent"),), ())
        pairs = side_by_side(to_yaml(current.template), to_yaml(chosen.template))
        self.difference.set_lines(diff_lines(pairs, width))
        first = next((i for i, p in enumerate(pairs) if p.changed), None)
        self.difference.top = 0
        if first is not None:
            self.difference.set_top(max(0, first - 3))

    def on_table_moved(self, event: Table.Moved) -> None:
        """Another revision."""
        event.stop()
        self.redraw()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A double click is enter."""
        event.stop()
        self.app.run_action_soon("rollback-now")

    def on_resize(self) -> None:
        """Columns follow the width."""
        self.call_after_refresh(self.redraw)

    def refs(self) -> list[Ref]:
        """The workload."""
        return [self.ref]


def diff_lines(pairs: list[DiffLine], width: int) -> list[Line]:
    """Two columns where there is room for them, one under the other where there is not."""
    lines: list[Line] = []
    if not any(p.changed for p in pairs):
        return [Line(((" no difference", "dim"),))]
    if width < 80:
        for pair in pairs:
            if not pair.changed:
                lines.append(Line(((f"   {clean(pair.left or '')}", "dim"),)))
                continue
            if pair.left is not None:
                lines.append(Line(((f" - {clean(pair.left)}", "text"),), "removed"))
            if pair.right is not None:
                lines.append(Line(((f" + {clean(pair.right)}", "text"),), "added"))
        return lines
    half = (width - 3) // 2
    for pair in pairs:
        left, right = fit(clean_indent(pair.left), half), fit(clean_indent(pair.right), half)
        if pair.changed:
            lines.append(
                Line(
                    (
                        ("-" if pair.left is not None else " ", "bad"),
                        (left, "bad" if pair.left is not None else "text"),
                        ("│", "faint"),
                        ("+" if pair.right is not None else " ", "ok"),
                        (right, "ok"),
                    )
                )
            )
        else:
            lines.append(Line(((" " + left, "dim"), ("│", "faint"), (" " + right, "dim"))))
    return lines


def clean_indent(text: str | None) -> str:
    """A harmless line; an absent one is blank."""
    return clean(text) if text else ""
