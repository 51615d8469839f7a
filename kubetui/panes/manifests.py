"""Manifest files and their documents, as our own cluster's watcher reports them through the API."""

from __future__ import annotations

from kubetui.context import Ref
from kubetui.live.discovery import MANIFEST_SOURCES
from kubetui.live.manifests import Document, Source, common_folder, source_of
from kubetui.live.session import Session
from kubetui.live.text import parse_time, value_text
from kubetui.widgets.pane import Pane
from kubetui.widgets.table import Cell, Column, Row, Table, cell, since

COLUMNS = [
    Column("file", "FILE", minimum=14, maximum=32, middle=True),
    Column("state", "STATE"),
    Column("detail", "DETAIL", grow=True, minimum=30, maximum=300),
    Column("applied", "APPLIED", right=True, drop=2),
]


class ManifestsPane(Pane):
    """One row for each file, below it one for each document that is not simply in sync."""

    PLACES = ("manifests", "dashboard")

    def __init__(self) -> None:
        self.table = Table(COLUMNS, sort="file", id="manifests-table")
        self.table.empty_text = "no manifest is being watched"
        super().__init__(6, "Manifests", self.table, id="manifests")
        self.sources: dict[str, Source] = {}

    def draw(self, session: Session) -> None:
        """Read all sources again (there are few)."""
        configmaps = list(session.sources or ())
        self.sources = {s.uid: s for c in configmaps if (s := source_of(c)) is not None}
        folder = common_folder([s.path for s in self.sources.values()])
        rows: dict[str, Row] = {}
        for source in self.sources.values():
            name = source.path.removeprefix(folder)
            rows[source.uid] = self._file_row(source, name)
            for document in source.documents:
                if document.state not in ("in-sync",) or len(source.documents) > 1:
                    row = self._document_row(source, document, name)
                    rows[row.uid] = row
        gone = set(self.table.rows) - set(rows)
        self.table.update_rows(rows.values(), gone)
        bad = self.faulty
        drifted = sum(1 for s in self.sources.values() for d in s.documents if d.state == "drifted")
        right = []
        if any(s.paused for s in self.sources.values()):
            right.append(("❚❚ paused  ", "warn"))
        waiting = sum(1 for s in self.sources.values() for d in s.documents if d.state == "pending")
        if waiting:
            right.append((f"{waiting} waiting  ", "busy"))
        if drifted:
            right.append((f"{drifted} drifted  ", "warn"))
        if bad:
            right.append((f"{bad} with errors", "bad"))
        self.set_status([(str(len(self.sources)), "dim"), (f"  {folder}" if folder else "", "faint")], right)

    @property
    def faulty(self) -> int:
        """How many files have errors."""
        return sum(1 for source in self.sources.values() if source.health == "bad")

    @staticmethod
    def _file_row(source: Source, name: str) -> Row:
        detail = f"{len(source.documents)} objects" if len(source.documents) != 1 else ""
        if source.error_message:
            where = f"line {source.error_line}: " if source.error_line else ""
            detail = where + source.error_message
        elif source.state == "missing":
            detail = "not there any more: what it made stays until it is back"
        if source.mode == "manual":
            detail = "manual  " + detail
        return Row(
            source.uid,
            (
                Cell(name, "strong", f"{source.path}\0"),
                cell(source.word, source.health),
                cell(detail, "bad" if source.error_message else "dim"),
                since(parse_time(source.last_applied)) if source.last_applied else cell("-", "dim"),
            ),
            {},
            source.health,
            source,
        )

    @staticmethod
    def _document_row(source: Source, document: Document, name: str) -> Row:
        detail = document.message
        if document.drift:
            first = document.drift[0]
            file, live = ("not set" if v is None else value_text(v) for v in (first.file, first.live))
            detail = f"{first.path}: file {file}, live {live}"
            if len(document.drift) > 1:
                detail += f", +{len(document.drift) - 1} more"
        title = f"  └ {document.kind}/{document.name}"
        return Row(
            f"{source.uid}#{document.index}",
            (
                Cell(
                    title, "text" if document.health != "ok" else "dim", f"{source.path}\0{document.index:04}"
                ),
                cell(document.state, document.health),
                cell(detail, "dim"),
                cell(f":{document.line}" if document.line else "", "faint"),
            ),
            {},
            document.health,
            (source, document),
        )

    def selected_source(self) -> tuple[Source, Document | None] | None:
        """The file under the cursor and, on a document's row, the document."""
        row = self.table.current
        if row is None:
            return None
        if isinstance(row.data, Source):
            return row.data, None
        source, document = row.data
        return source, document

    def refs(self) -> list[Ref]:
        """The ConfigMap of the source."""
        found = self.selected_source()
        if found is None:
            return []
        return [Ref(MANIFEST_SOURCES, "ConfigMap", "kube-system", found[0].configmap, found[0].uid)]
