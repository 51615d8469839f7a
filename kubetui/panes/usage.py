"""What nodes, pods and containers use of CPU and memory, against what they asked for and what they may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubetui.context import Ref
from kubetui.live.discovery import NODES, PODS
from kubetui.live.objects import Obj, dig, labels_of, name_of, namespace_of, uid_of
from kubetui.live.session import Session
from kubetui.live.usage import (
    Bounds,
    Series,
    UsageBook,
    bounds_of,
    cpu_text,
    load_style,
    memory_text,
    node_bounds,
    pod_bounds,
    sparkline,
)
from kubetui.widgets.pane import Pane
from kubetui.widgets.table import Cell, Column, Row, Table, cell

SPARK = 12
COLUMNS = [
    Column("name", "NAME", grow=True, minimum=16, middle=True),
    Column("cpu-history", "CPU", minimum=SPARK, drop=3),
    Column("cpu", "CORES", right=True, minimum=5),
    Column("cpu-request", "C-REQ", right=True, drop=6),
    Column("cpu-limit", "C-LIM", right=True, drop=5),
    Column("cpu-share", "C%", right=True, minimum=4),
    Column("memory-history", "MEMORY", minimum=SPARK, drop=4),
    Column("memory", "BYTES", right=True, minimum=6),
    Column("memory-request", "M-REQ", right=True, drop=6),
    Column("memory-limit", "M-LIM", right=True, drop=5),
    Column("memory-share", "M%", right=True, minimum=4),
]


@dataclass(frozen=True, slots=True)
class Item:
    """One line: a node, a pod, or a container below its pod. ``place`` keeps the three in this order."""

    uid: str
    title: str
    place: tuple[int, str, str]
    series: Series
    bounds: Bounds
    obj: Obj
    leader: Series


def share(use: float, bounds: tuple[float, float]) -> str:
    """Percent of the limit, or of the request (with an r) where there is no limit."""
    request, limit = bounds
    if limit > 0:
        return f"{use / limit * 100:.0f}%"
    return f"{use / request * 100:.0f}%r" if request > 0 else "-"


def usage_row(item: Item) -> Row:
    """One line of the pane; sorting by any column keeps nodes first and containers below their pod."""
    kind, pod, container = item.place
    cells = [Cell(item.title, "strong" if kind == 0 else "text" if not container else "dim", item.place)]
    for history, leading, text, bounds in (
        (item.series.cpu, item.leader.cpu, cpu_text, (item.bounds.cpu_request, item.bounds.cpu_limit)),
        (
            item.series.memory,
            item.leader.memory,
            memory_text,
            (item.bounds.memory_request, item.bounds.memory_limit),
        ),
    ):
        use = history[-1] if history else 0.0
        style = load_style(use, bounds[1])
        sort = (kind, -(leading[-1] if leading else 0.0), pod, bool(container), -use, container)
        cells.append(Cell(sparkline(list(history)[-SPARK:], bounds[1]), style, sort))
        cells.append(Cell(text(use) if history else "-", style if style != "ok" else "text", sort))
        for bound in bounds:
            cells.append(
                Cell(text(bound) if bound else "-", "dim" if bound else "faint", (kind, -bound, pod))
            )
        cells.append(cell(share(use, bounds), style, (kind, -(use / (bounds[1] or bounds[0] or 1e30)), pod)))
    worst = {load_style(item.series.cpu[-1], item.bounds.cpu_limit) if item.series.cpu else "dim"}
    worst.add(load_style(item.series.memory[-1], item.bounds.memory_limit) if item.series.memory else "dim")
    health = "bad" if "bad" in worst else "warn" if "warn" in worst else "ok"
    return Row(item.uid, cells, labels_of(item.obj), health, item.obj)  # type: ignore[arg-type]


def usage_items(
    book: UsageBook, nodes: Iterable[Obj], pods: Iterable[Obj], all_pods: Iterable[Obj]
) -> list[Item]:
    """Nodes, then the pods that were measured, each with its containers where it has several."""
    found: list[Item] = []
    known = list(all_pods)
    for node in nodes:
        series = book.nodes.get(name_of(node))
        if series is not None:
            name = name_of(node)
            found.append(
                Item(uid_of(node), name, (0, name, ""), series, node_bounds(node, known), node, series)
            )
    for pod in pods:
        space, name = namespace_of(pod), name_of(pod)
        series = book.pods.get((space, name))
        if series is None:
            continue
        uid = uid_of(pod)
        found.append(Item(uid, name, (1, f"{name}/{space}", ""), series, pod_bounds(pod), pod, series))
        specs = [*dig(pod, "spec", "initContainers", default=[]), *dig(pod, "spec", "containers", default=[])]
        measured = [c for c in specs if (space, name, str(c.get("name"))) in book.containers]
        for container in measured if len(measured) > 1 else ():
            inner = str(container.get("name"))
            found.append(
                Item(
                    f"{uid}#{inner}",
                    f"  └ {inner}",
                    (1, f"{name}/{space}", inner),
                    book.containers[space, name, inner],
                    bounds_of(container),
                    pod,
                    series,
                )
            )
    return found


NOT_MEASURED = "nothing has been measured yet"


class UsagePane(Pane):
    """Nodes, and the pods of the selected workload (or of the namespace)."""

    PLACES = ("usage", "table", "dashboard")

    def __init__(self) -> None:
        self.table = Table(COLUMNS, sort="cpu", id="usage-table")
        self.table.empty_text = NOT_MEASURED
        super().__init__(7, "Usage", self.table, id="usage")

    def draw(self, session: Session, book: UsageBook, owner: str | None, owner_name: str) -> None:
        """Everything again: there are as many rows as the selection has pods."""
        pods = list(session.pods) if owner is None else session.pods_of(owner)
        # what a node's pods ask for is only known where all namespaces are seen
        everywhere: Iterable[Obj] = () if session.namespaces else session.pods
        nodes = session.need_nodes()
        items = usage_items(book, nodes, pods, everywhere)
        rows = {item.uid: usage_row(item) for item in items}
        self.table.update_rows(rows.values(), set(self.table.rows) - rows.keys())
        self.table.filling = nodes.loading
        self.show_counts(items, owner_name)

    def show_counts(self, items: list[Item], owner_name: str) -> None:
        """Whose use, and the sum of its pods."""
        pods = [i for i in items if i.place[0] == 1 and not i.place[2] and i.series.cpu]
        cpu, memory = sum(i.series.cpu[-1] for i in pods), sum(i.series.memory[-1] for i in pods)
        left = [(owner_name or "all", "accent" if owner_name else "dim"), (f"  {len(pods)}", "dim")]
        if self.table.filter:
            left.append((f"  /{self.table.filter.text}", "key"))
        right = [(f"{cpu_text(cpu)} CPU  {memory_text(memory)}", "text")] if pods else []
        self.set_status(left, right)

    def refs(self) -> list[Ref]:
        """The nodes and pods; a container stands for its pod."""
        found: dict[str, Ref] = {}
        for row in self.table.selected:
            node = "nodeInfo" in (row.data.get("status") or {}) or row.data.get("kind") == "Node"
            ref = Ref.of(NODES if node else PODS, {**row.data, "kind": "Node" if node else "Pod"})
            found[ref.uid] = ref
        return list(found.values())
