"""Workloads: what wants to run, and whether it does."""

from __future__ import annotations

from kubetui.context import Ref
from kubetui.live.discovery import CRONJOBS, DAEMONSETS, DEPLOYMENTS, JOBS, REPLICASETS, STATEFULSETS
from kubetui.live.health import WorkloadView, workload_view
from kubetui.live.objects import Obj, labels_of
from kubetui.live.session import Session
from kubetui.live.text import parse_time
from kubetui.widgets.pane import Pane
from kubetui.widgets.table import Column, Row, Table, cell, since

TARGETS = {
    "Deployment": DEPLOYMENTS,
    "StatefulSet": STATEFULSETS,
    "DaemonSet": DAEMONSETS,
    "Job": JOBS,
    "CronJob": CRONJOBS,
    "ReplicaSet": REPLICASETS,
}
SHORT = {
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "Job": "job",
    "CronJob": "cj",
    "ReplicaSet": "rs",
}
COLUMNS = [
    Column("namespace", "NAMESPACE", maximum=24),
    Column("name", "NAME", grow=True, minimum=18, maximum=253, middle=True),
    Column("kind", "KIND", drop=2),
    Column("ready", "READY", right=True),
    Column("state", "STATE", minimum=12, maximum=18),
    Column("age", "AGE", right=True, drop=4),
    Column("images", "IMAGE", maximum=44, drop=5),
]


def workload_row(obj: Obj, wanted: int | None, broken: bool = False) -> Row:
    """One workload as a row; ``wanted`` is a scale that the server has not confirmed yet."""
    view: WorkloadView = workload_view(obj)
    ready_style: str
    state_style: str
    ready, ready_style = view.ready, "text" if view.health in ("ok", "idle", "done") else view.health
    state, state_style = view.state, view.health
    health = view.health
    if broken and health == "busy":  # it waits for something that will not come by itself
        state, state_style, health = f"Stuck {view.ready}", "bad", "bad"
        ready_style = "bad"
    if wanted is not None and wanted != view.desired:
        ready, ready_style = f"{view.ready.partition('/')[0]}/{wanted}", "accent-strong"
        state, state_style = f"Scaling {view.desired}→{wanted}", "busy"
    name_style = "strong" if health == "bad" else "text"
    return Row(
        view.uid,
        (
            cell(view.namespace, "dim"),
            cell(view.name, name_style),
            cell(SHORT.get(view.kind, view.kind.lower()), "dim"),
            cell(ready, ready_style),
            cell(state, state_style),
            since(parse_time(view.created)),
            cell(view.images, "dim"),
        ),
        labels_of(obj),
        health,
        obj,
    )


class WorkloadsPane(Pane):
    """Deployments, StatefulSets, DaemonSets, Jobs, CronJobs and ReplicaSets that nothing owns."""

    PLACES = ("workloads", "table", "dashboard")

    def __init__(self) -> None:
        self.table = Table(COLUMNS, sort="name", id="workloads-table")
        super().__init__(1, "Workloads", self.table, id="workloads")
        self.wanted: dict[str, int] = {}

    def refresh_rows(self, session: Session, uids: set[str]) -> None:
        """Bring these workloads up to date."""
        upserts, deletes = [], []
        for uid in uids:
            obj = session.workload(uid)
            if obj is None or not session.is_top(obj):
                deletes.append(uid)
                self.wanted.pop(uid, None)
                continue
            wanted = self.wanted.get(uid)
            if wanted is not None and (obj.get("spec") or {}).get("replicas") == wanted:
                del self.wanted[uid]
                wanted = None
            upserts.append(workload_row(obj, wanted, session.has_broken(uid)))
        self.table.update_rows(upserts, deletes)
        self.show_counts()

    def show_counts(self) -> None:
        """Healthy of all in the title."""
        rows = self.table.rows.values()
        broken = sum(1 for r in rows if r.health == "bad")
        busy = sum(1 for r in rows if r.health == "busy")
        left = [(str(len(self.table.order)), "dim")]
        if len(self.table.order) != len(self.table.rows):
            left.append((f" of {len(self.table.rows)}", "faint"))
        if self.table.filter:
            left.append((f"  /{self.table.filter.text}", "key"))
        if self.table.broken_only:
            left.append(("  only broken", "key"))
        if self.table.marks:
            left.append((f"  {self.table.marked_text}", "key"))
        right = []
        if busy:
            right.append((f"{busy} in progress", "busy"))
        if broken:
            right.append((("  " if right else "") + f"{broken} stuck", "bad"))
        self.set_status(left, right)

    def refs(self) -> list[Ref]:
        """The marked workloads, or the one under the cursor."""
        return [Ref.of(TARGETS[str(r.data["kind"])], r.data) for r in self.table.selected]
