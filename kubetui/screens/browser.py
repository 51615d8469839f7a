"""A live table of any kind that the server has, with the server's own columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from textual.app import ComposeResult

from kubetui.context import Ref
from kubetui.frame import namespaces_of
from kubetui.live.columns import CustomColumn, needs_object, parse_columns
from kubetui.live.discovery import ResourceType
from kubetui.live.health import Health
from kubetui.live.hub import Change, Mirror
from kubetui.live.objects import Obj, labels_of, meta, name_of, namespace_of
from kubetui.live.selection import NO_FILTER, Filter
from kubetui.live.session import Watched
from kubetui.live.text import clean, parse_time
from kubetui.screens.base import KeyScreen
from kubetui.widgets.chrome import PaneTitle
from kubetui.widgets.soon import soon
from kubetui.widgets.table import Cell, Column, Row, Table, cell, since

# Words of the servers' STATUS columns, by what they mean.
_GOOD = frozenset(
    {"Running", "Ready", "Active", "Bound", "Available", "True", "Healthy", "Established", "Deployed"}
)
_DONE = frozenset({"Completed", "Succeeded", "Complete", "Terminating", "SchedulingDisabled"})
_BUSY = frozenset({"Pending", "ContainerCreating", "PodInitializing", "Progressing", "Unknown", "Released"})
USE = [
    Column("cpu", "CPU", right=True, drop=2, minimum=14, maximum=14),
    Column("memory", "MEM", right=True, drop=2, minimum=15, maximum=15),
]
METERED = (("", "pods"), ("", "nodes"))
PATIENCE = 60.0  # seconds that a pod may be Pending before it counts as broken


def word_health(word: str) -> Health:
    """What a status word means."""
    if word in _GOOD:
        return "ok"
    if word in _DONE:
        return "done"
    if word in _BUSY or (word.startswith("Init:") and word[5:6].isdigit()):
        return "busy"
    if word.startswith("Ready,"):
        return "warn"
    return "bad"


class BrowserScreen(KeyScreen):
    """One kind in the chosen namespaces (or of one owner, by selector)."""

    PLACES = ("browser", "table")

    def __init__(
        self,
        kind: ResourceType,
        *,
        namespaces: tuple[str, ...] | None = None,
        label_selector: str = "",
        field_selector: str = "",
        found: Filter = NO_FILTER,
        title: str = "",
    ) -> None:
        super().__init__()
        self.kind = kind
        self.own_namespaces = namespaces
        self.label_selector = label_selector
        self.field_selector = field_selector
        self.suffix = title
        self.TITLE_TEXT = kind.resource + (f" › {clean(title)}" if title else "")
        self.table = Table([Column("name", "NAME", grow=True)], id="browser-table")
        self.table.filter = found
        self.heading = PaneTitle(0, kind.kind)
        self._watched: Watched | None = None
        self._changed: dict[str, Obj] = {}
        self._deleted: set[str] = set()
        self._pending: dict[str, Obj] = {}
        self._metered = (kind.group, kind.resource) in METERED
        self._measured: list[str] = []
        self._columns_known: list[Obj] = []
        self._custom: list[CustomColumn] = []
        self._status_index: int | None = None
        self._date_indices: set[int] = set()

    def compose_body(self) -> ComposeResult:
        """Title and table."""
        yield self.heading
        yield self.table

    def on_mount(self) -> None:
        """Begin to watch."""
        self.table.focus()
        self.heading.focused_pane = True
        saved = self.app.saved_views.get(self.kind.names[-1]) or {}
        self.table.wide = bool(saved.get("wide"))
        self.table.sort_key = str(saved.get("sort") or "")
        self.table.descending = bool(saved.get("descending"))
        self.watch_kind()

    @property
    def chosen(self) -> tuple[str, ...]:
        """The namespaces that are shown."""
        if not self.kind.namespaced:
            return ()
        return self.app.namespaces if self.own_namespaces is None else self.own_namespaces

    @property
    def chosen_columns(self) -> list[str]:
        """Columns chosen here and remembered, or those of the configuration; none: the server's."""
        saved = (self.app.saved_views.get(self.kind.names[-1]) or {}).get("columns")
        if isinstance(saved, list) and saved:
            return [str(c) for c in saved]
        config = self.app.config.columns
        return next((config[n] for n in self.kind.names if n in config), [])

    def choose_columns(self, columns: list[str]) -> None:
        """Other columns from now on (none: those of the configuration or the server)."""
        self.save_view()
        self.app.saved_views[self.kind.names[-1]]["columns"] = columns
        self.watch_kind()

    def watch_kind(self) -> None:
        """(Re)start watching in the chosen namespaces."""
        if self._watched is not None:
            self._watched.close()
        self.table.clear_rows()
        self._columns_known = []
        target = self.kind.target(
            table=True, label_selector=self.label_selector, field_selector=self.field_selector
        )
        self._custom = parse_columns(self.chosen_columns)
        target = replace(target, whole=needs_object(self._custom))
        self._watched = Watched(self.app.hub, target, self.chosen, self._on_change)
        self.after_pump()

    def shown_namespaces(self) -> tuple[str, ...] | None:
        """Its own, as ``:pods kube-system`` chooses them."""
        return self.own_namespaces if self.kind.namespaced else None

    def namespaces_changed(self) -> None:
        """Follow the app's choice, also where this screen had its own."""
        if self.kind.namespaced:
            self.own_namespaces = None
            self.watch_kind()

    def _lose_patience(self) -> None:
        """A pod that stays Pending is in trouble, and nothing but time says so."""
        waiting, self._pending = self._pending, {}
        rows = [self._row(uid, row) for uid, row in waiting.items() if uid in self.table.rows]
        if rows:
            self.table.update_rows(rows)

    def _on_change(self, mirror: Mirror, change: Change) -> None:
        self._deleted |= change.deletes
        for uid in change.deletes:
            self._changed.pop(uid, None)
        self._changed.update(change.upserts)
        self._deleted -= change.upserts.keys()

    def after_pump(self) -> None:
        """Columns first, then rows."""
        watched = self._watched
        if watched is None:
            return
        self._hide_columns()
        columns = next((m.columns for m in watched.mirrors if m.columns), [])
        if columns and columns != self._columns_known:
            self._columns_known = columns
            self._set_columns(columns)
            self.table.rows.clear()
            self._changed = {uid: row for m in watched.mirrors for uid, row in m.objects.items()}
        if columns and (self._changed or self._deleted):
            changed, self._changed = self._changed, {}
            deleted, self._deleted = self._deleted, set()
            self.table.update_rows([self._row(uid, row) for uid, row in changed.items()], deleted)
        self.table.filling = watched.loading
        mirror = watched.worst
        stale = mirror.state == "reconnecting"
        if stale != self.table.stale:
            self.table.stale = stale
            self.table.refresh()
        where = f" in {namespaces_of(self.app, self)}" if self.kind.namespaced else ""
        text = {
            "loading": "loading…",
            "forbidden": f"forbidden: {clean(mirror.detail)}",
            "missing": clean(mirror.detail) or "the server does not have this kind",
            "reconnecting": f"reconnecting: {clean(mirror.detail)}",
        }.get(mirror.state, f"no {self.kind.resource}{where}")
        self.table.say_when_empty(text)
        self.show_counts()

    def _set_columns(self, definitions: Sequence[Obj]) -> None:
        columns: list[Column] = [Column("namespace", "NAMESPACE", maximum=30)]
        self._status_index = None
        self._date_indices = set()
        for index, found in enumerate(definitions):
            title = clean(str(found.get("name") or f"column {index}")).upper()
            kind = str(found.get("type") or "")
            if title in ("STATUS", "PHASE", "STATE"):
                self._status_index = index
            if kind == "date" or title in ("AGE", "LAST SEEN", "CREATED AT"):
                self._date_indices.add(index)
            first = index == 0 and title == "NAME"
            columns.append(
                Column(
                    f"c{index}",
                    title,
                    right=kind in ("integer", "number") or title in ("AGE", "READY", "RESTARTS"),
                    grow=first or title == "MESSAGE",
                    minimum=14 if first else 0,
                    maximum=400 if title == "MESSAGE" else 253 if first else 60,
                    wide=int(found.get("priority") or 0) > 0,
                    middle=first,
                )
            )
        if self._metered:
            columns += USE
        if self._custom:
            by_title = {c.title: c for c in columns}
            chosen = [columns[0]]
            for position, custom in enumerate(self._custom):
                known = by_title.get(custom.title) if custom.path is None else None
                chosen.append(known or Column(f"x{position}", custom.title))
            columns = chosen
        sort, descending = self.table.sort_key, self.table.descending
        self.table.set_columns(columns)
        self._hide_columns()
        keys = {c.key for c in columns}
        self.table.sort_key = sort if sort in keys else "c0" if "c0" in keys else columns[1].key
        self.table.descending = descending

    def _hide_columns(self) -> None:
        """Columns that would say the same in every row, or nothing at all."""
        hidden = set() if self.kind.namespaced and len(self.chosen) != 1 else {"namespace"}
        if not self.app.measuring.served:
            hidden |= {column.key for column in USE}
        self.table.hidden = frozenset(hidden)

    def shows_usage(self) -> bool:
        """Pods and nodes have columns for it."""
        return self._metered and self.table.shows("cpu")

    def usage_changed(self, changed: set[tuple[str, str]]) -> None:
        """Bring the rows up to date that were measured anew."""
        if self._metered:
            rows = self.table.rows.items()
            nodes = not self.kind.namespaced
            self._measured = [
                u for u, r in rows if nodes or (namespace_of(r.data), name_of(r.data)) in changed
            ]
            self._show_some_usage()

    def _show_some_usage(self) -> None:
        """A slice at a time: thousands of rows at once would be felt."""
        some, self._measured = self._measured[:300], self._measured[300:]
        if self._watched is None:
            return
        known = {uid: row for uid in some if (row := self._watched.get(uid)) is not None}
        self._changed = {**known, **self._changed}
        self.after_pump()
        if self._measured:
            soon(self, 0.05, self._show_some_usage)

    def _use(self, obj: Obj) -> list[Cell]:
        book = self.app.measuring.book
        name = name_of(obj)
        found = book.rows.get((namespace_of(obj), name)) if self.kind.namespaced else book.of_node(name)
        if found is None:
            return [cell("-", "faint")] * len(USE)
        return [
            Cell(found.cpu_text, found.cpu_style, found.cpu),
            Cell(found.memory_text, found.memory_style, found.memory),
        ]

    def _row(self, uid: str, row: Obj) -> Row:
        obj = row.get("object") or {}
        values = row.get("cells") or []
        health: Health = "ok"
        built: list[Cell] = []
        created = parse_time(meta(obj).get("creationTimestamp"))
        for index, value in enumerate(values):
            if index in self._date_indices:
                moment = parse_time(value) if isinstance(value, str) and "T" in value else 0.0
                title = str(
                    self._columns_known[index].get("name") if index < len(self._columns_known) else ""
                )
                if moment or (title == "Age" and created):
                    built.append(since(moment or created))
                    continue
            if index == self._status_index:
                health = word_health(str(value))
                if value == "Pending" and self.kind.kind == "Pod":
                    if created and self.table.now() - created > PATIENCE:
                        health = "warn"
                    else:
                        self._pending[uid] = row
                built.append(cell("" if value is None else value, health))
                continue
            built.append(self._cell(index, value))
        by_key = {f"c{i}": c for i, c in enumerate(built)}
        if self._metered:
            for index in range(len(built), len(self._columns_known)):
                by_key[f"c{index}"] = Cell("-", "faint", "")
            by_key |= dict(zip((column.key for column in USE), self._use(obj), strict=True))
        cells = [cell(namespace_of(obj), "dim"), *by_key.values()]
        if self._custom:
            cells = [cells[0]]
            for column, custom in zip(self.table.columns[1:], self._custom, strict=False):
                if column.key in by_key:
                    cells.append(by_key[column.key])
                else:
                    cells.append(cell(custom.value(obj) if custom.path is not None else "", "dim"))
        if meta(obj).get("deletionTimestamp"):
            health = "idle"
        return Row(uid, cells, labels_of(obj), health, obj)

    @staticmethod
    def _cell(index: int, value: Any) -> Cell:
        if value is None or value == "":
            return Cell("-", "faint", "")
        if isinstance(value, bool):
            return cell(str(value), "dim")
        if isinstance(value, int | float):
            return cell(value, "text", value)
        text = str(value)
        if index == 0:
            return cell(text, "text")
        head, slash, tail = text.partition("/")
        if slash and head.isdigit() and tail.isdigit():
            return cell(text, "text" if int(head) >= int(tail) else "warn", int(head))
        number = text.partition(" ")[0]
        return cell(text, "dim", int(number) if number.isdigit() else None)

    def show_counts(self) -> None:
        """How many, which filter."""
        left = [(str(len(self.table.order)), "dim")]
        if len(self.table.order) != len(self.table.rows):
            left.append((f" of {len(self.table.rows)}", "faint"))
        if self.suffix:
            left.append((f"  {clean(self.suffix)}", "accent"))
        if self.label_selector:
            left.append((f"  -l {clean(self.label_selector)}", "key"))
        if self.table.filter:
            left.append((f"  /{clean(self.table.filter.text)}", "key"))
        if self.table.broken_only:
            left.append(("  only broken", "key"))
        if self.table.marks:
            left.append((f"  {self.table.marked_text}", "key"))
        right = [(self.kind.api_version, "faint")]
        self.heading.show(tuple(left), tuple(right))

    def save_view(self) -> None:
        """Remember sort and width of this kind."""
        before = self.app.saved_views.get(self.kind.names[-1]) or {}
        self.app.saved_views[self.kind.names[-1]] = {
            "columns": before.get("columns") or [],
            "wide": self.table.wide,
            "sort": self.table.sort_key,
            "descending": self.table.descending,
        }

    def refs(self) -> list[Ref]:
        """The marked rows, or the one under the cursor (their full objects are read when needed)."""
        target = self.kind.target()
        return [
            Ref(target, self.kind.kind, namespace_of(r.data), name_of(r.data), r.uid)
            for r in self.table.selected
            if r.data
        ]

    def on_table_moved(self, event: Table.Moved) -> None:
        """Keys may depend on the row."""
        event.stop()
        self.app.refresh_chrome()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A double click is enter."""
        event.stop()
        self.app.run_action_soon("open")

    def again(self) -> Callable[[], KeyScreen]:
        """The same table once more."""
        return lambda: BrowserScreen(
            self.kind,
            namespaces=self.own_namespaces,
            label_selector=self.label_selector,
            field_selector=self.field_selector,
            found=self.table.filter,
            title=self.suffix,
        )

    def tick(self) -> None:
        """Ages."""
        self._lose_patience()
        self.table.tick()

    def leave(self) -> None:
        """Stop watching."""
        self.save_view()
        if self._watched is not None:
            self._watched.close()
            self._watched = None
