"""Events, newest first, of the selection or of everything."""

from __future__ import annotations

from collections.abc import Callable

from kubetui.context import Ref
from kubetui.live.discovery import EVENTS
from kubetui.live.events import event_view
from kubetui.live.objects import Obj
from kubetui.live.session import Session
from kubetui.live.text import plural
from kubetui.widgets.pane import Pane
from kubetui.widgets.table import Column, Row, Table, cell, since

COLUMNS = [
    Column("last", "LAST", right=True, minimum=5),
    Column("type", "TYPE", drop=5),
    Column("reason", "REASON", maximum=24),
    Column("object", "OBJECT", maximum=30, drop=4, middle=True),
    Column("count", "×", right=True, drop=6),
    Column("message", "MESSAGE", grow=True, minimum=20, maximum=400),
]


def event_row(event: Obj) -> Row:
    """One event as a row."""
    view = event_view(event)
    tint = "warn" if view.warning else "dim"
    return Row(
        view.uid,
        (
            since(view.last),
            cell(view.type, tint),
            cell(view.reason, "warn" if view.warning else "accent"),
            cell(view.object, "text"),
            cell(view.count if view.count > 1 else "", "dim", view.count),
            cell(view.message, "text" if view.warning else "dim"),
        ),
        {},
        "warn" if view.warning else "ok",
        event,
    )


class EventsPane(Pane):
    """Events about the selected workload and what is below it; all events when nothing is selected."""

    PLACES = ("events", "table", "dashboard")

    def __init__(self) -> None:
        self.table = Table(COLUMNS, sort="last", id="events-table")
        self.table.empty_text = "no events"
        super().__init__(5, "Events", self.table, id="events")
        self.about: set[str] | None = None

    def show_about(self, uids: set[str] | None) -> None:
        """Choose the objects (None: all)."""
        if uids == self.about:
            return
        another = not (uids and self.about and uids & self.about)
        self.about = uids
        self.table.scope = None if uids is None else self._about
        self._keeping_newest(self.table.refilter, always=another)
        self.show_counts()

    def _keeping_newest(self, change: Callable[[], None], *, always: bool = False) -> None:
        """Change the rows; who reads elsewhere goes on seeing the newest ones, unless an older one was looked up."""
        follows = not self.table.has_focus and (always or self.table.top == 0)
        change()
        if follows:
            self.table.move_to(0)

    def _about(self, row: Row) -> bool:
        about = row.data.get("involvedObject") or {}
        return self.about is None or about.get("uid") in self.about

    def refresh_rows(self, session: Session, uids: set[str]) -> None:
        """Bring these events up to date."""
        upserts, deletes = [], []
        for uid in uids:
            event = session.events.get(uid)
            if event is None:
                deletes.append(uid)
            else:
                upserts.append(event_row(event))
        self._keeping_newest(lambda: self.table.update_rows(upserts, deletes))
        self.show_counts()

    def show_counts(self) -> None:
        """How many, how many warnings."""
        warnings = sum(1 for r in self.table.order if r.health == "warn")
        left = [(str(len(self.table.order)), "dim")]
        if self.table.filter:
            left.append((f"  /{self.table.filter.text}", "key"))
        self.set_status(left, [(plural(warnings, "warning"), "warn")] if warnings else [])

    def refs(self) -> list[Ref]:
        """The events themselves."""
        return [Ref.of(EVENTS, {"kind": "Event", **r.data}) for r in self.table.selected]
