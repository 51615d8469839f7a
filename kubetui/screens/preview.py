"""What a file would change: its documents above, below side by side the object as it is and as it would be."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult

from kubetui.context import Ref
from kubetui.live.client import KubeClient
from kubetui.live.discovery import Catalog
from kubetui.live.errors import ApiError
from kubetui.live.history import side_by_side
from kubetui.live.lines import Line, line
from kubetui.live.manifests import Document, Source
from kubetui.live.objects import Obj
from kubetui.live.preview import two_sides
from kubetui.live.text import clean
from kubetui.screens.base import KeyScreen
from kubetui.screens.rollback import diff_lines
from kubetui.widgets.chrome import PaneTitle
from kubetui.widgets.lines import LinesView
from kubetui.widgets.table import Cell, Column, Row, Table, cell

COLUMNS = [
    Column("place", "LINE", right=True),
    Column("object", "OBJECT", minimum=16, maximum=50, middle=True),
    Column("state", "STATE"),
    Column("detail", "WHAT APPLYING WOULD DO", grow=True, minimum=20, maximum=300),
]


def what_would_happen(document: Document) -> tuple[str, str]:
    """(words, style) for one document."""
    if document.prune:
        return "is deleted: " + (document.message or "it is not in the file any more"), "bad"
    if document.state == "error":
        return document.message, "bad"
    if document.drift:
        paths = ", ".join(d.path for d in document.drift[:4])
        more = f", +{len(document.drift) - 4} more" if len(document.drift) > 4 else ""
        return f"changes {paths}{more}", "warn"
    if document.state == "in-sync":
        return "nothing: the live object is what the file says", "dim"
    return document.message or "is applied", "busy"


class PreviewScreen(KeyScreen):
    """Follows the watcher: what is applied meanwhile is shown as done."""

    PLACES = ("preview", "text")

    def __init__(self, source: Source, document: Document | None) -> None:
        super().__init__()
        self.source = source
        self._first = document
        self._live: dict[int, Obj | None] = {}
        self._asked: set[int] = set()
        self._text = ""
        self.TITLE_TEXT = f"preview {clean(Path(source.path).name)}"
        self.table = Table(COLUMNS, sort="place", id="revisions")
        self.heading = PaneTitle(0, "Documents")
        self.diff_heading = PaneTitle(0, "Difference")
        self.difference = LinesView(id="difference")

    def compose_body(self) -> ComposeResult:
        """Documents over difference."""
        yield self.heading
        yield self.table
        yield self.diff_heading
        yield self.difference

    def on_mount(self) -> None:
        """The cursor starts on the document that was chosen, else on the first that would change something."""
        self.heading.focused_pane = True
        self.table.focus()
        self._fill()
        wanted = self._first or next((d for d in self.source.documents if d.state != "in-sync"), None)
        if wanted is not None:
            self.table.move_to_uid(str(wanted.index))
        self.call_after_refresh(self.redraw)

    def _fill(self) -> None:
        try:
            self._text = Path(self.source.path).read_text("utf-8", "replace")
        except OSError:
            self._text = ""
        rows = []
        for document in self.source.documents:
            words, style = what_would_happen(document)
            space = f"{document.namespace}/" if document.namespace else ""
            place = "-" if document.prune else str(document.line)
            rows.append(
                Row(
                    str(document.index),
                    (
                        Cell(place, "faint", document.index),
                        cell(f"{document.kind} {space}{document.name}", "text"),
                        cell("prune" if document.prune else document.state, document.health),
                        cell(words, style),
                    ),
                    data=document,
                    health=document.health,
                )
            )
        self.table.update_rows(rows, set(self.table.rows) - {r.uid for r in rows})
        self.table.styles.height = min(len(rows) + 2, 14)
        source = self.source
        left = [(clean(source.path), "accent")]
        right = [(f"{source.mode}  ", "dim")]
        if source.paused:
            right.append(("❚❚ paused  ", "warn"))
        if source.error_message:
            right.append((f"line {source.error_line}: {clean(source.error_message)}", "bad"))
        going = sum(1 for d in source.documents if d.prune)
        if going:
            right.append((f"{going} to be deleted  ", "bad"))
        self.heading.show(tuple(left), tuple(right))

    @property
    def document(self) -> Document | None:
        """The document under the cursor."""
        row = self.table.current
        return row.data if row is not None else None

    def after_pump(self) -> None:
        """The watcher has said something new."""
        found = self.app.dashboard.manifests.sources.get(self.source.uid)
        if found is not None and found != self.source and self.is_mounted:
            self.source = found
            self._live.clear()
            self._asked.clear()
            self._fill()
            self.redraw()

    def redraw(self) -> None:
        """The difference of the document under the cursor; its live object is read when it is looked at."""
        document = self.document
        if document is None:
            self.difference.set_lines([line(" the file has no document", "dim")])
            return
        self.diff_heading.show(
            ((f"{clean(document.kind)}/{clean(document.name)}: live → file", "accent"),), ()
        )
        if document.index not in self._live:
            if document.index not in self._asked:
                self._asked.add(document.index)
                self.app.run_soon(self._read(document))
            return
        left, right = two_sides(document, self._live[document.index], self._text)
        pairs = side_by_side(left, right)
        lines = diff_lines(pairs, self.difference.body_width)
        if document.message and document.state == "error":
            lines = [Line(((f" ▲ {clean(document.message)}", "bad"),)), *lines]
        self.difference.set_lines(lines)
        first = next((i for i, p in enumerate(pairs) if p.changed), 0)
        self.difference.top = 0
        self.difference.set_top(max(0, first - 3))

    async def _read(self, document: Document) -> None:
        ref = document_ref(self.app.catalog, document)
        live: Obj | None = None
        if ref is not None:
            path = ref.path
            live = await self.app.call(lambda client: get_or_none(client, path))
        self._live[document.index] = live
        if self.is_mounted:
            self.redraw()

    def on_table_moved(self, event: Table.Moved) -> None:
        """Another document."""
        event.stop()
        self.redraw()

    def on_table_opened(self, event: Table.Opened) -> None:
        """A double click reads on."""
        event.stop()

    def on_resize(self) -> None:
        """Columns follow the width."""
        self.call_after_refresh(self.redraw)

    def refs(self) -> list[Ref]:
        """The object of the document."""
        document = self.document
        ref = document_ref(self.app.catalog, document) if document is not None else None
        return [ref] if ref is not None else []


async def get_or_none(client: KubeClient, path: str) -> Obj | None:
    """GET an object that may not be there."""
    try:
        return await client.get(path)
    except ApiError as error:
        if error.code == 404:
            return None
        raise


def document_ref(catalog: Catalog | None, document: Document) -> Ref | None:
    """How to reach a document's object."""
    found = None
    if catalog is not None:
        found = catalog.of_kind(document.api_version, document.kind)
        if found is None and document.prune:  # of what is gone only the group is known
            found = catalog.of_kind(f"{document.api_version}/", document.kind)
    if found is None:
        return None
    space = document.namespace if found.namespaced else ""
    return Ref(found.target(), document.kind, space, document.name, "")
