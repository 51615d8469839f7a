"""Pods of the selection, with kubectl's words."""

from __future__ import annotations

from kubetui.context import Ref
from kubetui.live.discovery import PODS
from kubetui.live.health import cached_view
from kubetui.live.objects import Obj, labels_of
from kubetui.live.session import Session
from kubetui.live.text import human_duration, parse_time
from kubetui.live.usage import Usage
from kubetui.widgets.pane import Pane
from kubetui.widgets.table import Cell, Column, Row, Table, cell, since

COLUMNS = [
    Column("namespace", "NAMESPACE", maximum=24),
    Column("name", "NAME", grow=True, minimum=26, maximum=253, middle=True),
    Column("ready", "READY", right=True),
    Column("status", "STATUS", maximum=26),
    Column("restarts", "RESTARTS", right=True, drop=3),
    Column("age", "AGE", right=True),
    Column("cpu", "CPU", right=True, drop=7, minimum=14, maximum=14),
    Column("memory", "MEM", right=True, drop=7, minimum=15, maximum=15),
    Column("ip", "IP", drop=5),
    Column("node", "NODE", drop=6, maximum=24),
]
# Told apart without colours too.
SIGNS = {"ok": "●", "busy": "◔", "warn": "▲", "bad": "✖", "done": "✔", "idle": "○"}


def pod_row(pod: Obj, now: float, usage: Usage | None = None) -> Row:
    """One pod as a row."""
    view = cached_view(pod)
    restarts = str(view.restarts)
    if view.restarts and view.last_restart:
        restarts = f"{view.restarts} ({human_duration(now - view.last_restart)} ago)"
    quiet = view.health in ("done", "idle")
    ready_style = "dim" if quiet else "text" if view.ready >= view.total else view.health
    return Row(
        view.uid,
        (
            cell(view.namespace, "dim"),
            cell(view.name, "dim" if quiet else "text"),
            cell(f"{view.ready}/{view.total}", ready_style),
            cell(view.status, view.health),
            Cell(restarts, "warn" if view.restarts else "dim", view.restarts),
            since(parse_time(view.created)),
            Cell(usage.cpu_text, usage.cpu_style, usage.cpu) if usage else cell("-", "faint"),
            Cell(usage.memory_text, usage.memory_style, usage.memory) if usage else cell("-", "faint"),
            cell(view.ip or "-", "dim"),
            cell(view.node or "-", "dim"),
        ),
        labels_of(pod),
        view.health,
        pod,
    )


class PodsPane(Pane):
    """The pods of the selected workload, or of the whole namespace."""

    PLACES = ("pods", "table", "dashboard")

    def __init__(self) -> None:
        self.table = Table(COLUMNS, sort="name", id="pods-table")
        self.table.empty_text = "no pods"
        super().__init__(2, "Pods", self.table, id="pods")
        self.owner: str | None = None
        self.owner_name = ""
        self.usage: dict[tuple[str, str], Usage] = {}

    def show_owner(self, session: Session, uid: str | None, name: str) -> None:
        """Choose whose pods to show (None: all)."""
        self.owner, self.owner_name = uid, name
        self.table.scope = None
        self.table.clear_rows()
        pods = list(session.pods) if uid is None else session.pods_of(uid)
        self.table.update_rows([self._row(p) for p in pods])
        self.show_counts()

    def _row(self, pod: Obj) -> Row:
        meta = pod.get("metadata") or {}
        return pod_row(
            pod, self.table.now(), self.usage.get((meta.get("namespace", ""), meta.get("name", "")))
        )

    def refresh_rows(self, session: Session, uids: set[str]) -> None:
        """Bring these pods up to date, as far as they belong here."""
        upserts, deletes = [], []
        for uid in uids:
            pod = session.pods.get(uid)
            if pod is None or (self.owner is not None and not session.belongs(uid, self.owner)):
                deletes.append(uid)
            else:
                upserts.append(self._row(pod))
        self.table.update_rows(upserts, deletes)
        self.show_counts()

    def show_counts(self) -> None:
        """Whose pods, how many, how many are well."""
        left = [
            (self.owner_name or "all", "accent" if self.owner else "dim"),
            (f"  {len(self.table.order)}", "dim"),
        ]
        if self.table.filter:
            left.append((f"  /{self.table.filter.text}", "key"))
        if self.table.broken_only:
            left.append(("  only broken", "key"))
        if self.table.marks:
            left.append((f"  {self.table.marked_text}", "key"))
        counts: dict[str, int] = {}
        for row in self.table.rows.values():
            counts[row.health] = counts.get(row.health, 0) + 1
        right = [
            (f" {sign} {counts[health]}", health) for health, sign in SIGNS.items() if counts.get(health)
        ]
        self.set_status(left, right)

    def refs(self) -> list[Ref]:
        """The marked pods, or the one under the cursor."""
        return [Ref.of(PODS, r.data) for r in self.table.selected]
