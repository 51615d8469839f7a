"""Keys inside of a log, and searching in text."""

from __future__ import annotations

from kubetui.context import Context
from kubetui.screens.dialogs import Choice, Picker
from kubetui.screens.logs import RANGES, LogScreen
from kubetui.screens.text import TextScreen
from kubetui.widgets.lines import LinesView
from kubetui.widgets.logview import LogView


async def search(context: Context) -> None:
    """Highlight as one types; n and N go on."""
    screen, widget = context.app.key_screen, _text(context)
    if screen is None:
        return
    if isinstance(widget, LogView):
        log = widget
        text = log.hits_query.text if log.hits_query is not None else ""

        def done(found: str | None) -> None:
            log.search(found or "")
            log.changed()

        screen.ask_line("search", text, None, done)
    elif isinstance(widget, LinesView):
        view = widget

        def show(found: str | None) -> None:
            view.search(found or "")
            if isinstance(screen, TextScreen):
                screen.show_status()

        screen.ask_line("search", view.pattern.pattern if view.pattern else "", show, show)


async def filter_lines(context: Context) -> None:
    """Only lines that match; ``!text`` those that do not."""
    screen, widget = context.app.key_screen, context.widget
    if screen is None or not isinstance(widget, LogView):
        return
    log = widget
    text = (
        ("!" if log.line_filter.inverse else "") + log.line_filter.text if log.line_filter is not None else ""
    )

    def done(found: str | None) -> None:
        log.set_filter(found or "")
        log.changed()

    screen.ask_line("only lines", text, None, done)


async def next_hit(context: Context) -> None:
    """The next match."""
    _hit(context, 1)


async def previous_hit(context: Context) -> None:
    """The match before."""
    _hit(context, -1)


def _text(context: Context) -> object:
    """The log or text that is searched: the one with the focus, else the difference below a table."""
    widget = context.widget
    return (
        widget
        if isinstance(widget, LogView | LinesView)
        else getattr(context.app.key_screen, "difference", widget)
    )


def _hit(context: Context, step: int) -> None:
    widget = _text(context)
    if isinstance(widget, LogView):
        widget.next_hit(step)
    elif isinstance(widget, LinesView):
        widget.next_hit(step)
        screen = context.app.key_screen
        if isinstance(screen, TextScreen):
            screen.show_status()


def _toggle(context: Context, what: str, word: str) -> None:
    if isinstance(context.widget, LogView):
        on = context.widget.toggle(what)
        context.widget.changed()
        context.app.say(f"{word} {'on' if on else 'off'}.")


async def wrap(context: Context) -> None:
    """Wrap long lines."""
    if isinstance(context.widget, LinesView):
        context.widget.set_wrap(not context.widget.wrap)
    else:
        _toggle(context, "wrap", "Wrapping")


async def stamps(context: Context) -> None:
    """Show when each line was written."""
    _toggle(context, "stamps", "Times")


async def names(context: Context) -> None:
    """Show which pod each line is from."""
    _toggle(context, "names", "Pod names")


async def json(context: Context) -> None:
    """Show JSON lines as fields, or as they are."""
    _toggle(context, "json", "JSON fields")


async def follow(context: Context) -> None:
    """Follow the end, or hold still."""
    if isinstance(context.widget, LogView):
        if context.widget.follow:
            context.widget.pause()
            context.widget.changed()
        else:
            context.widget.to_end()


async def events(context: Context) -> None:
    """Weave the events of the same pods in."""
    screen = context.app.key_screen
    if isinstance(screen, LogScreen):
        on = screen.toggle_events()
        context.app.say(f"Events {'between the lines' if on else 'off'}.")
    elif context.refs:
        from kubetui.commands import view

        await view.logs(context)
        opened = context.app.key_screen
        if isinstance(opened, LogScreen):
            context.app.call_later(opened.toggle_events)


async def time_range(context: Context) -> None:
    """How far back."""
    app, screen = context.app, context.app.key_screen
    picked = await app.ask(Picker("Show", [Choice(name, i) for i, (name, _, _) in enumerate(RANGES)]))
    if picked is None or not picked.values:
        return
    if not isinstance(screen, LogScreen):
        if not context.refs:
            return
        screen = LogScreen(context.refs)
        screen.range = RANGES[picked.values[0]]
        app.open_screen(screen)
        return
    screen.range = RANGES[picked.values[0]]
    screen.begin()


async def previous(context: Context) -> None:
    """The instances before the last restart, and back."""
    screen = context.app.key_screen
    if isinstance(screen, LogScreen):
        screen.previous = not screen.previous
        screen.begin()
    elif context.refs:
        from kubetui.commands import view

        await view.previous_logs(context)
