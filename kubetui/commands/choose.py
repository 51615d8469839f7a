"""Choosing what to see: filters, marks, sort, namespaces, contexts, kinds, themes."""

from __future__ import annotations

from typing import Any

from kubetui.context import Context
from kubetui.live.columns import column_problem
from kubetui.live.discovery import NAMESPACES
from kubetui.live.objects import dig, name_of
from kubetui.live.selection import FilterError, parse_filter
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dashboard import Dashboard
from kubetui.screens.dialogs import Choice, Picked, Picker, Prompt
from kubetui.widgets.table import Table


async def filter_rows(context: Context) -> None:
    """Filter the table as one types; escape takes it back."""
    table, screen = context.widget, context.app.key_screen
    if not isinstance(table, Table) or screen is None:
        return
    before = table.filter

    def changed(text: str) -> None:
        try:
            table.set_filter(parse_filter(text))
        except FilterError:
            return  # half-typed selectors: the last filter that could be read stays
        screen.after_pump()
        _counts(context)

    def done(text: str | None) -> None:
        if text is None:
            table.set_filter(before)
        else:
            try:
                table.set_filter(parse_filter(text))
            except FilterError as error:
                context.app.fail(str(error))
        screen.after_pump()
        _counts(context)

    screen.ask_line("/", before.text, changed, done)


def _counts(context: Context) -> None:
    screen = context.app.key_screen
    if isinstance(screen, Dashboard):
        for pane in (screen.workloads, screen.pods, screen.events_pane):
            pane.show_counts()
    elif isinstance(screen, BrowserScreen):
        screen.show_counts()


async def mark(context: Context) -> None:
    """Mark the row and go to the next."""
    if isinstance(context.widget, Table):
        context.widget.toggle_mark()
        _counts(context)


async def mark_range(context: Context) -> None:
    """Mark everything from the nearest mark to here."""
    if isinstance(context.widget, Table):
        context.widget.mark_range()
        _counts(context)


async def mark_all(context: Context) -> None:
    """Mark all rows, or none."""
    if isinstance(context.widget, Table):
        context.widget.mark_all()
        _counts(context)


async def broken(context: Context) -> None:
    """Only what does not do well."""
    table = context.widget
    if isinstance(table, Table):
        table.broken_only = not table.broken_only
        table.refilter()
        _counts(context)


async def first_error(context: Context) -> None:
    """Jump to the first stuck workload, or to the first broken pod."""
    app = context.app
    app.reset_screens()
    dashboard = app.dashboard
    for row in dashboard.workloads.table.order:
        if row.health == "bad":
            dashboard.workloads.table.move_to_uid(row.uid)
            dashboard.focus_pane("workloads")
            return
    session = dashboard.session
    if session is None:
        return
    for uid in session.broken:
        pod = session.pods.get(uid)
        workload = session.workload_of(pod) if pod is not None else None
        if workload is not None:
            dashboard.workloads.table.move_to_uid(str(workload["metadata"]["uid"]))
        else:
            dashboard.all_pods = True
        dashboard.refresh_selection()
        dashboard.focus_pane("pods")
        dashboard.pods.table.move_to_uid(uid)
        return
    app.say("Nothing is broken.")


async def all_pods(context: Context) -> None:
    """Pods of the selected workload, or of the namespace."""
    dashboard = context.app.dashboard
    dashboard.all_pods = not dashboard.all_pods
    dashboard.refresh_selection()


async def sort(context: Context) -> None:
    """Choose the column to sort by; the same column turns the order around."""
    table = context.widget
    if not isinstance(table, Table):
        return
    choices = [
        Choice(
            c.title or c.key,
            c.key,
            ("descending" if table.descending else "ascending") if c.key == table.sort_key else "",
        )
        for c in table.columns
        if c.key not in table.hidden and c.title
    ]
    picked = await context.app.ask(Picker("Sort by", choices))
    if picked is not None and picked.values:
        table.sort_by(picked.values[0])


def _sort_titled(context: Context, *titles: str) -> None:
    table = context.widget
    if isinstance(table, Table):
        for column in table.columns:
            if column.title in titles:
                table.sort_by(column.key)
                return


async def columns(context: Context) -> None:
    """Type the columns of this kind: titles of the server's, or ``TITLE:.json.path``; remembered."""
    screen = context.app.key_screen
    if not isinstance(screen, BrowserScreen):
        return
    titles = [c.title for c in screen.table.columns if c.key != "namespace"]
    value = ", ".join(screen.chosen_columns or titles)
    hint = "Titles, or TITLE:.json.path, by commas; empty: the server's own"

    def split(text: str) -> list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]

    def check(text: str) -> str:
        return next((problem for part in split(text) if (problem := column_problem(part))), "")

    text = await context.app.ask(Prompt(f"Columns of {screen.kind.resource}", value, hint, check))
    if text is not None:
        screen.choose_columns(split(text))


async def sort_age(context: Context) -> None:
    """Youngest first, then oldest first."""
    _sort_titled(context, "AGE", "LAST", "LAST SEEN", "APPLIED", "CREATED AT")


async def sort_name(context: Context) -> None:
    """By name."""
    _sort_titled(context, "NAME", "FILE", "OBJECT")


async def sort_status(context: Context) -> None:
    """By state or status."""
    _sort_titled(context, "STATUS", "STATE", "PHASE", "REASON")


async def wide(context: Context) -> None:
    """Show the columns that are for wide tables; arrows scroll."""
    table = context.widget
    if isinstance(table, Table):
        table.wide = not table.wide
        table.left = 0
        table.refresh()


async def namespace(context: Context) -> None:
    """Choose one or several namespaces."""
    app = context.app

    async def names(client: Any) -> list[dict[str, Any]]:
        return [item async for page in client.pages(NAMESPACES) for item in page.get("items") or ()]

    from kubetui.live.errors import ApiError

    try:
        items = await app.read(names)
    except ApiError as error:
        items = []
        app.say(f"Namespaces cannot be listed ({error.reason or error.code}): type a name.")
    choices: list[Choice[str]] = [Choice("all namespaces", "", "0", style="accent")]
    for item in sorted(items, key=name_of):
        phase = str(dig(item, "status", "phase", default=""))
        here = "● " if name_of(item) in app.namespaces else ""
        choices.append(Choice(name_of(item), name_of(item), here + ("" if phase == "Active" else phase)))
    picked: Picked[str] | None = await app.ask(Picker("Namespace", choices, many=True, free_text=True))
    if picked is None:
        return
    values = picked.values or [picked.text]
    app.use_namespaces(() if "" in values else tuple(dict.fromkeys(values)))


async def all_namespaces(context: Context) -> None:
    """All namespaces, and back to what was chosen before."""
    app = context.app
    if app.namespaces:
        app.previous_namespaces = app.namespaces
        app.use_namespaces(())
    elif app.previous_namespaces:
        app.use_namespaces(app.previous_namespaces)


async def theme(context: Context) -> None:
    """Choose a theme; it is remembered in the configuration by hand."""
    app = context.app
    choices = [
        Choice(name, name, "● " if name == app.theme else ("dark" if found.dark else "light"))
        for name, found in sorted(
            app.available_themes.items(), key=lambda t: (not t[0].startswith("kubetui"), t[0])
        )
    ]
    picked = await app.ask(Picker("Theme", choices))
    if picked is not None and picked.values:
        app.theme = picked.values[0]


async def quit_app(context: Context) -> None:
    """Leave; what runs in the cluster goes on."""
    app = context.app
    forwards = len(app.forwarding.items) if app.forwarding is not None else 0
    if forwards:
        from kubetui.screens.dialogs import Confirm

        answer = await app.ask(Confirm("Quit", f"{forwards} port-forwards will end."))
        if answer is None:
            return
    app.exit(0)
