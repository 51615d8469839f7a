"""Who owns whom: the tree of one object, and those of all workloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubetui.commands.view import full
from kubetui.context import Context, Ref
from kubetui.live.lines import Line, line
from kubetui.live.session import Session
from kubetui.live.text import clean
from kubetui.live.tree import forest_lines, tree_lines
from kubetui.screens.text import TextScreen

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp


async def tree(context: Context) -> None:
    """What owns it and what it owns, down to the containers; for a ConfigMap or Secret: who uses it."""
    app, ref = context.app, context.ref
    obj = ref.obj or await full(context, ref)
    _open(
        app,
        f"tree {clean(ref.word)}",
        (ref.namespace,) if ref.namespace else (),
        lambda session: tree_lines(obj, session, app.clock()),
        [ref],
    )


async def forest(context: Context) -> None:
    """Every workload of the chosen namespaces, and the pods that nothing owns."""
    open_forest(context.app, "")


def open_forest(app: KubetuiApp, text: str) -> None:
    """``KIND [NAMESPACE]``: the trees of that kind, of everything without one."""
    words = text.split()
    found = app.catalog.find(words[0]) if words and app.catalog is not None else None
    if words and found is None:
        app.fail(f"The server has no kind {words[0]!r}.")
        return
    kind = found.kind if found is not None else ""
    namespaces = (
        (() if words[1] in ("all", "*") else tuple(words[1].split(","))) if words[1:] else app.namespaces
    )
    where = ", ".join(namespaces) or "all namespaces"
    _open(
        app,
        f"trees of {clean(found.resource if found is not None else where)}",
        namespaces,
        lambda session: (
            forest_lines(session, kind, app.clock()) or [line(f"  nothing of it in {where}", "dim")]
        ),
    )


def _open(
    app: KubetuiApp,
    title: str,
    namespaces: tuple[str, ...],
    draw: Callable[[Session], Sequence[Line]],
    refs: Sequence[Ref] = (),
) -> None:
    changes: list[str] = []
    session = Session(app.hub, namespaces, changes.append)

    def produce() -> Sequence[Line]:
        changes.clear()
        return draw(session) if session.pods.synced else [line("  loading…", "dim")]

    screen = TextScreen(title, produce, refs=refs, each_second=True)
    screen.is_stale = lambda: bool(changes)
    screen.on_leave = session.close
    app.open_screen(screen)
