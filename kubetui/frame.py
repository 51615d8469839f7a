"""The words around the content: header, key bar, and what an empty screen says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from kubetui.context import one_of_each
from kubetui.keys import key_name
from kubetui.live.text import clean, plural
from kubetui.widgets.chrome import short

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp
    from kubetui.screens.base import KeyScreen

BRAND = 14  # what the header itself adds
NOT_ALLOWED = 80  # rank in the key bar: in front of help and quit, which always stay


def draw_header(app: KubetuiApp, screen: KeyScreen) -> None:
    """Cluster, namespaces, place, state of the connection; on the right what is wrong."""
    state = app.connection_state
    dot, style = {
        "live": ("●", "ok"),
        "starting": ("◌", "busy"),
        "connecting": ("◌", "busy"),
        "reconnecting": ("◍", "warn"),
        "failed": ("✖", "bad"),
    }[state.kind]
    where = state.context or ("this machine" if app.options.own_cluster else "")
    left: list[tuple[str, str]] = [(f"{dot} ", style), (clean(where), "strong")]
    roomy = app.size.width >= 100
    if state.version and roomy:
        left.append((f" {clean(state.version)}", "faint"))
    left += [("  ns ", "faint"), (clean(namespaces_of(app, screen)) or "…", "accent")]
    right: list[tuple[str, str]] = []
    if app.options.read_only:
        right.append(("read-only  ", "warn"))
    if any(source.paused for source in app.dashboard.manifests.sources.values()):
        right.append(("❚❚ files paused  ", "warn"))
    stuck, broken = app.dashboard.broken()
    faulty = app.dashboard.manifests.faulty
    if stuck or broken or faulty:
        words = [f"{stuck} stuck"] if stuck else []
        words += [f"{broken} broken"] if broken else []
        words += [f"{plural(faulty, 'bad file')}"] if faulty else []
        right.append(("▲ " + ", ".join(words), "bad-strong"))
    elif state.kind == "live" and app.dashboard.sees_pods:
        right.append(("✔ all well", "ok"))
    news: list[tuple[str, str]] = []
    if state.kind != "live":
        news.append((f"   {state.kind}", style))
    if app.waiting:
        news.append(("   ◔ the server is being asked, esc gives up", "busy"))
    room = app.size.width - BRAND - _cells(left + news + right)
    trail = trail_of(crumbs(app), room)
    if state.kind != "live" and state.detail and (room := room - _cells(trail)) > 8:
        news.insert(1, (short(f": {clean(state.detail)}", room).rstrip(), style))
    left += trail + news
    if app.dashboard.session is not None and roomy:
        pods = f"{plural(len(app.dashboard.session.pods), 'pod')}  "
        if _cells(left + right) + len(pods) + BRAND <= app.size.width:
            right.insert(-1 if right else 0, (pods, "dim"))  # it gives way to where one is and what is wrong
    screen.header.show(tuple(left), tuple(right))


def _cells(spans: list[tuple[str, str]]) -> int:
    return sum(cell_len(text) for text, _ in spans)


def namespaces_of(app: KubetuiApp, screen: KeyScreen) -> str:
    """The namespaces that a screen shows, in words: its own, or the chosen ones."""
    own = screen.shown_namespaces()
    return app.namespace_text if own is None else ", ".join(own) or "all namespaces"


def trail_of(titles: list[str], room: int) -> list[tuple[str, str]]:
    """The way from the dashboard to where one is; what does not fit is left out at its start, never at its end."""
    mark = "  ›  "
    start = 0
    wide = sum(cell_len(t) + len(mark) for t in titles)
    while start < len(titles) - 1 and wide > room - (3 if start else 0):
        wide -= cell_len(titles[start]) + len(mark)
        start += 1
    spans = [("  …", "faint")] if start else []
    for title in titles[start:]:
        spans += [(mark, "faint"), (title, "text")]
    if spans and (over := _cells(spans) - room) > 0:
        left = cell_len(spans[-1][0]) - over
        if left < 5:
            return []
        spans[-1] = (short(spans[-1][0], left), "text")
    return spans


def crumbs(app: KubetuiApp) -> list[str]:
    """The screens that lie on each other, from the dashboard on; where there is little room only the top one."""
    titles = [clean(title) for s in app.screen_stack if (title := getattr(s, "TITLE_TEXT", ""))]
    return titles if app.size.width >= 100 else titles[-1:]


def draw_keys(app: KubetuiApp, screen: KeyScreen) -> None:
    """The keys that do something here and now; behind them, faint, those that the server does not allow."""
    refs = screen.refs()
    kinds = frozenset(r.kind for r in refs)
    available = app.registry.available(screen.places(), kinds, app.options.read_only)
    some = one_of_each(refs)
    shown = [(a, app.refusal(a, some) is None) for a, keys in available.items() if a.footer and keys]
    shown.sort(key=lambda item: item[0].footer if item[1] else NOT_ALLOWED)
    items = tuple((key_name(available[a][0]), a.label, a.id, allowed) for a, allowed in shown)
    screen.keybar.show(items)


def unreachable(app: KubetuiApp) -> str:
    """Why no cluster is shown, and what can be done about it."""
    state = app.connection_state
    where = f"context {clean(state.context)}" if state.context else "the cluster"
    if state.kind == "failed" and state.server:
        first = f"{clean(state.server)} does not accept the credentials of {where}:"
        last = "Log in again, or mend the user in the kubeconfig: it is read again by itself."
    elif state.kind == "failed":
        first, last = "There is no cluster to show:", ""
    else:
        first = f"{where[:1].upper()}{where[1:]} cannot be reached at {clean(state.server)}:"
        last = "It is tried again by itself."
    keys = hints(app, ("context", "another context"), ("quit", "quit"))
    return "\n\n".join(part for part in (first, clean(state.detail), last, keys) if part)


def hints(app: KubetuiApp, *actions: tuple[str, str]) -> str:
    """``n another namespace   ? help``, with the keys as they are bound."""
    return "   ".join(f"{app.registry.key_text(action)} {words}" for action, words in actions)


def forbidden_hint(app: KubetuiApp, detail: str) -> str:
    """Nothing can be seen because nothing may be seen."""
    return f"Pods may not be listed in {clean(app.namespace_text)}:\n\n{clean(detail)}\n\n" + hints(
        app, ("namespace", "another namespace"), ("palette", "any kind"), ("context", "another context")
    )


def _first_step(app: KubetuiApp) -> str:
    """How something comes into our own cluster."""
    client = "or use any Kubernetes client with this cluster's kubeconfig."
    watched = app.options.watched
    if watched is None:
        return f"Save a manifest in a watched file and it is applied at once,\n{client}"
    if watched:
        return f"Save a manifest in {clean(', '.join(watched))}\nand it is applied at once,\n{client}"
    return f"Start kubetui with a folder: every manifest in it is applied when saved,\n{client}"


def empty_hint(app: KubetuiApp) -> str:
    """What to do on an empty cluster."""
    space = clean(app.namespace_text)
    keys = [("namespace", "another namespace"), ("all-namespaces", "all of them"), ("palette", "any kind")]
    if not app.namespaces:
        del keys[1]
    if app.options.own_cluster:
        return f"Nothing runs in {space} yet.\n\n{_first_step(app)}\n\n" + hints(app, *keys, ("help", "help"))
    return f"There are no workloads or pods in {space}.\n\n" + hints(app, *keys)
