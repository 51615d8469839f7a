"""The command palette: one line in which any kind, any action and any word means what it says.

What it lists is looked up again as long as it is open: kinds that discovery brings, keys and aliases of a file that
is saved meanwhile, actions of an object that has just come.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from kubetui.context import Context, one_of_each
from kubetui.screens.dialogs import Choice, Picked, Picker


@dataclass(frozen=True, slots=True)
class Command:
    """What a line of the palette does: an action, or a kind, or a word with an argument."""

    kind: str
    value: str


def palette_choices(context: Context, text: str) -> list[Choice[Command]]:
    """Actions that work here, kinds of the server, and what the typed words mean."""
    from kubetui.keys import key_name
    from kubetui.live.text import near

    app = context.app
    found: list[tuple[int, Choice[Command]]] = []
    words = text.split()
    if words:
        words[:1] = app.config.aliases.get(words[0], words[0]).split() or words[:1]
    first = words[0] if words else ""
    if words and words[0] in ("ns", "namespace") and len(words) > 1:
        found.append((5000, Choice(f"namespace {words[1]}", Command("ns", words[1]), "switch to it")))
    if words and words[0] in ("ctx", "context") and len(words) > 1:
        found.append((5000, Choice(f"context {words[1]}", Command("ctx", words[1]), "switch to it")))
    meant = [a for a in app.registry.actions.values() if words and words[0].lower() in a.words]
    meant = [a for a in meant if not (a.mutating and app.options.read_only)]
    for action in meant:
        keys = " ".join(key_name(k) for k in app.registry.keys[action.id])
        rest = words[1:] if action.id == "forest" else []
        command = Command("forest", " ".join(rest)) if rest else Command("word", action.id)
        found.append((4000, Choice(" ".join([action.label, *rest]), command, keys)))
    catalog = app.catalog
    if catalog is not None and first:
        exact, together = catalog.find(first), catalog.in_category(first)
        named = [exact] if exact is not None and "list" in exact.verbs else together
        for kind in [*named, *(k for k in catalog.suggest(first) if k not in named)]:
            score = 3000 if exact is kind or kind in together else 900
            detail = f"{kind.kind}  {kind.api_version}" + (f"  in {first}" if kind in together else "")
            label = kind.resource + (f" {' '.join(words[1:])}" if len(words) > 1 else "")
            opened = Command("kind", " ".join([kind.names[-1] if kind.group else kind.resource, *words[1:]]))
            found.append((score, Choice(label, opened, detail, style="accent")))
    some = one_of_each(context.refs)
    available = app.registry.available(context.places, context.kinds, app.options.read_only)
    for action, bound in available.items():
        if (action.group == "Move" and not text) or action in meant:
            continue
        scored = near(text, f"{action.label}") if text else (0, ())
        if scored is not None:
            keys = " ".join(key_name(k) for k in bound)
            allowed = app.refusal(action, some) is None
            found.append(
                (
                    scored[0],
                    Choice(
                        action.label,
                        Command("action", action.id),
                        keys if allowed else f"not allowed  {keys}",
                        style="text" if allowed else "faint",
                    ),
                )
            )
    found.sort(key=lambda item: -item[0])
    return [choice for _, choice in found[:200]]


async def palette(context: Context) -> None:
    """Type what you want: a kind (``po``, ``svc kube-system /web``), an action, ``ns NAME``, ``ctx NAME``, ``q``."""
    app = context.app
    app.run_soon(app.rediscover())

    def now() -> Context:
        return app.context(below_dialogs=True) or context

    def revision() -> Hashable:
        here = now()
        rights = app.permissions.version
        return (
            app.catalog,
            app.registry,
            tuple(app.config.aliases.items()),
            tuple(here.places),
            here.kinds,
            rights,
        )

    picked: Picked[Command] | None = await app.ask(
        Picker(
            "Commands",
            palette_choices(context, ""),
            suggest=lambda text: palette_choices(now(), text),
            revision=revision,
            placeholder="a kind, an action, ns NAME, ctx NAME",
            hint="⏎ run   esc leave   e.g.  po   svc kube-system   deploy /web   po -l app=web",
            free_text=True,
        )
    )
    if picked is None:
        return
    command = picked.values[0] if picked.values else None
    if picked.text and not picked.moved and _may_be_a_kind(context, command):
        await app.patiently(app.rediscover())
        best = palette_choices(now(), picked.text)[:1]
        command = best[0].value if best else None
    if command is None:
        app.fail(f"There is no kind or action like {picked.text!r}.")
    else:
        await _run(context, command)


def _may_be_a_kind(context: Context, command: Command | None) -> bool:
    """Whether the line may name a kind that is not known yet: discovery has not answered, or it was just defined."""
    can_answer = context.app.connection_state.kind in ("starting", "connecting", "live")
    if command is None:
        return can_answer
    return command.kind == "action" and context.app.catalog is None and can_answer


async def _run(context: Context, command: Command) -> None:
    app = context.app
    if command.kind == "action":
        here = app.context()
        if app.registry.actions[command.value].kinds is not None and context.refs and here is not None:
            before, now = ({(r.kind, r.uid) for r in c.refs} for c in (context, here))
            if before != now:  # what was chosen for one object is not done to another
                app.fail(f"{context.ref.word} is gone: nothing has been done.")
                return
        app.run_action_soon(command.value)
    elif command.kind == "word":
        if app.registry.actions[command.value].where == frozenset({"dashboard"}):
            app.reset_screens()
        app.run_action_soon(command.value)
    elif command.kind == "forest":
        from kubetui.commands.trees import open_forest

        open_forest(app, command.value)
    elif command.kind == "ns":
        app.use_namespaces(() if command.value in ("all", "*") else tuple(command.value.split(",")))
    elif command.kind == "ctx":
        from kubetui.commands.contexts import use_context

        await use_context(app, command.value)
    else:
        from kubetui.commands.view import open_kind

        open_kind(app, command.value)
