"""Moving about: cursor, panes, screens."""

from __future__ import annotations

from kubetui.context import Context
from kubetui.live.layout import PANES
from kubetui.live.objects import dig
from kubetui.screens.base import KeyScreen
from kubetui.screens.dashboard import Dashboard
from kubetui.widgets.lines import LinesView
from kubetui.widgets.logview import LogView
from kubetui.widgets.table import Table
from kubetui.widgets.viewport import Viewport


def _step(context: Context, delta: int, page: bool = False) -> None:
    widget = context.widget
    if isinstance(widget, Viewport):
        amount = delta * max(1, widget.body_height - 1) if page else delta
        if isinstance(widget, Table):
            widget.move_by(amount)
        else:
            widget.scroll_lines(amount)


async def up(context: Context) -> None:
    """One line up."""
    _step(context, -1)


async def down(context: Context) -> None:
    """One line down."""
    _step(context, 1)


async def page_up(context: Context) -> None:
    """One page up."""
    _step(context, -1, True)


async def page_down(context: Context) -> None:
    """One page down."""
    _step(context, 1, True)


async def first(context: Context) -> None:
    """The first line."""
    widget = context.widget
    if isinstance(widget, LogView):
        widget.to_start()
    elif isinstance(widget, Table):
        widget.move_to(0)
    elif isinstance(widget, LinesView):
        widget.set_top(0)


async def last(context: Context) -> None:
    """The last line; a log follows again."""
    widget = context.widget
    if isinstance(widget, LogView):
        widget.to_end()
    elif isinstance(widget, Table):
        widget.move_to(len(widget.order) - 1)
    elif isinstance(widget, LinesView):
        widget.set_top(widget.last_top)


async def left(context: Context) -> None:
    """Scroll to the left."""
    if isinstance(context.widget, Viewport):
        context.widget.scroll_columns(-8)


async def right(context: Context) -> None:
    """Scroll to the right."""
    if isinstance(context.widget, Viewport):
        context.widget.scroll_columns(8)


async def open_row(context: Context) -> None:
    """Drill down: workload → pods → logs; a namespace is chosen; a kind's rows open what they hold."""
    app = context.app
    screen = app.key_screen
    if isinstance(screen, Dashboard):
        pane = screen.pane_of_focus()
        name = str(pane.id) if pane is not None else ""
        if name == "workloads":
            screen.all_pods = False
            screen.after_pump()
            screen.focus_pane("pods")
            return
        if name == "rollout":
            screen.focus_pane("pods")
            return
        if name == "manifests":
            from kubetui.commands.manifests import open_manifest

            await open_manifest(context)
            return
        if name == "events" and context.refs:
            from kubetui.commands.view import open_involved

            await open_involved(context)
            return
    if not context.refs:
        return
    from kubetui.commands import view

    ref = context.ref
    if ref.kind == "Pod":
        await view.logs(context)
    elif ref.kind == "Namespace":
        app.use_namespaces((ref.name,))
        app.reset_screens()
    elif ref.kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Service", "Node"):
        await view.open_pods(context)
    elif ref.kind == "Event":
        await view.open_involved(context)
    elif ref.kind == "CustomResourceDefinition":
        obj = await view.full(context, ref)
        group, plural = dig(obj, "spec", "group", default=""), dig(obj, "spec", "names", "plural", default="")
        view.open_kind(app, f"{plural}.{group}")
    else:
        await view.describe(context)


async def back(context: Context) -> None:
    """One step back: marks, filter, maximised pane, screen; never out of the program."""
    app = context.app
    screen = app.key_screen
    widget = context.widget
    if isinstance(widget, Table):
        if widget.marks:
            widget.clear_marks()
            return
        if widget.filter or widget.broken_only:
            from kubetui.live.selection import NO_FILTER

            widget.broken_only = False
            widget.set_filter(NO_FILTER)
            if screen is not None:
                screen.after_pump()
            return
    if isinstance(widget, LogView) and (widget.hits_query is not None or widget.line_filter is not None):
        widget.search("")
        widget.set_filter("")
        widget.changed()
        return
    if isinstance(widget, LinesView) and widget.pattern is not None:
        widget.search("")
        return
    if isinstance(screen, Dashboard):
        if app.layout_state.maximised is not None:
            app.layout_state.maximised = None
            screen.lay_out()
        elif screen.pane_of_focus() is not screen.workloads and screen.workloads.display:
            screen.workloads.table.focus()
        elif screen.all_pods:
            screen.all_pods = False
            screen.refresh_selection()
        return
    if screen is not None and len(app.screen_stack) > 1:
        app.remember_forward(screen)
        leave(screen)


def leave(screen: KeyScreen) -> None:
    """Take the top screen away."""
    screen.leave()
    screen.app.pop_screen()


async def forward(context: Context) -> None:
    """Where ``back`` came from."""
    context.app.go_forward()


async def next_pane(context: Context) -> None:
    """Focus the next pane."""
    context.app.dashboard.step_focus(1)


async def previous_pane(context: Context) -> None:
    """Focus the previous pane."""
    context.app.dashboard.step_focus(-1)


async def pane_1(context: Context) -> None:
    """Workloads."""
    context.app.dashboard.focus_pane(PANES[0])


async def pane_2(context: Context) -> None:
    """Pods."""
    context.app.dashboard.focus_pane(PANES[1])


async def pane_3(context: Context) -> None:
    """Rollout."""
    context.app.dashboard.focus_pane(PANES[2])


async def pane_4(context: Context) -> None:
    """Logs."""
    context.app.dashboard.focus_pane(PANES[3])


async def pane_5(context: Context) -> None:
    """Events."""
    context.app.dashboard.focus_pane(PANES[4])


async def pane_6(context: Context) -> None:
    """Manifests."""
    context.app.dashboard.focus_pane(PANES[5])


async def pane_7(context: Context) -> None:
    """Usage."""
    context.app.dashboard.focus_pane(PANES[6])


async def maximise(context: Context) -> None:
    """The focused pane alone, and back."""
    dashboard, state = context.app.dashboard, context.app.layout_state
    pane = dashboard.pane_of_focus()
    state.maximised = None if state.maximised is not None or pane is None else str(pane.id)
    dashboard.lay_out()


async def hide_pane(context: Context) -> None:
    """Hide the focused pane until its number is pressed."""
    dashboard, state = context.app.dashboard, context.app.layout_state
    pane = dashboard.pane_of_focus()
    if pane is not None and sum(p.display for p in dashboard.panes.values()) > 1:
        state.maximised = None
        state.hidden.add(str(pane.id))
        dashboard.lay_out()


def _resize(context: Context, split: int = 0, top: int = 0) -> None:
    dashboard, state = context.app.dashboard, context.app.layout_state
    pane = dashboard.pane_of_focus()
    name = str(pane.id) if pane is not None else ""
    if name in ("rollout", "logs"):
        split = -split
    state.split = max(20, min(80, state.split + split))
    if name in ("events", "manifests", "usage"):
        state.bottom = max(4, min(30, state.bottom + (1 if top > 0 else -1 if top < 0 else 0)))
    else:
        if name in ("pods", "logs"):
            top = -top
        state.top = max(15, min(85, state.top + top))
    dashboard.lay_out()


async def wider(context: Context) -> None:
    """The focused pane's column becomes wider."""
    _resize(context, split=3)


async def narrower(context: Context) -> None:
    """The focused pane's column becomes narrower."""
    _resize(context, split=-3)


async def taller(context: Context) -> None:
    """The focused pane becomes taller."""
    _resize(context, top=4)


async def shorter(context: Context) -> None:
    """The focused pane becomes shorter."""
    _resize(context, top=-4)
