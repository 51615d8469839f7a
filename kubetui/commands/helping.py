"""The page of help, made from the registry: what works here and now, then every key."""

from __future__ import annotations

from collections.abc import Iterator

from kubetui.actions import Action
from kubetui.context import Context
from kubetui.keys import key_name
from kubetui.live.lines import Line, line
from kubetui.live.text import clean

KEYS_WIDTH = 18


def help_lines(context: Context) -> list[Line]:
    """All of it; what the server does not allow on the selected objects is faint, with the reason."""
    app = context.app
    registry = app.registry
    here = registry.available(context.places, context.kinds, app.options.read_only)
    lines = [line(), Line(((" Here and now", "strong"), (f"   {' · '.join(context.places)}", "faint")))]
    lines += [
        _entry(context, action, "text", keys) for action, keys in here.items() if action.group != "Move"
    ]
    lines += [line(), line(" All keys", "strong")]
    group = ""
    for action in registry.actions.values():
        if action.group != group:
            group = action.group
            lines += [line(), line(f" {group}", "accent-strong")]
        lines.append(_entry(context, action, "text" if action in here else "dim", registry.keys[action.id]))
    for plugin in app.config.plugins:
        keys = (f"   {key_name(plugin.key):<{KEYS_WIDTH}}", "key")
        lines.append(Line((keys, (clean(plugin.description), "text"))))
    return [*lines, *_about_the_file(context)]


def _entry(context: Context, action: Action, style: str, bound: tuple[str, ...]) -> Line:
    app = context.app
    keys = "  ".join(key_name(k) for k in bound)
    refused = app.refusal(action, context.refs) if style == "text" else None
    if refused is not None:
        note, style = f"not allowed: {clean(refused.reason)}", "faint"
    elif action.mutating and app.options.read_only:
        note = action.help or "not in read-only mode"
    else:
        note = action.help or action.kubectl
    typed = f"   :{action.words[0]}" if action.words else ""
    key_style = "key" if refused is None else "faint"
    return Line(
        ((f"   {keys:<{KEYS_WIDTH}}", key_style), (f"{action.label:<20}", style), (f" {note}{typed}", "dim"))
    )


def _about_the_file(context: Context) -> Iterator[Line]:
    names = list(context.app.registry.actions)
    half = len(names) // 2
    yield line()
    yield line(f" Keys, themes, columns, aliases and plugins are set in {context.app.config_file}", "dim")
    yield line(" keys: {ACTION: KEY}. The names of the actions:", "dim")
    yield line("   " + ", ".join(names[:half]), "faint")
    yield line("   " + ", ".join(names[half:]), "faint")
