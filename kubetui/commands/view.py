"""Looking closer: logs, describe, YAML, tree, events, jumps, and the terminal's own pages."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubetui.context import Context, Ref
from kubetui.live.discovery import EVENTS, PODS, ResourceType
from kubetui.live.lines import Line, line, yaml_lines
from kubetui.live.objects import Obj, controller_of, dig, labels_of, meta, name_of, namespace_of
from kubetui.live.selection import FilterError, parse_filter, selector_text
from kubetui.live.session import Watched
from kubetui.live.text import clean, plural
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dialogs import Choice, Confirm, Picker, Prompt
from kubetui.screens.text import TextScreen
from kubetui.widgets.lines import LinesView
from kubetui.widgets.logview import LogView
from kubetui.widgets.table import Table

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp


async def full(context: Context, ref: Ref) -> Obj:
    """The whole object behind a reference, read now; raises ApiError when it is gone."""
    found: Obj = await context.app.read(lambda client: client.get(ref.path))
    found.setdefault("kind", ref.kind)
    return found


# -- logs --------------------------------------------------------------------------------------------------------


async def logs(context: Context) -> None:
    """All containers of the marked pods or workloads, on the whole screen."""
    _open_logs(context, previous=False)


async def previous_logs(context: Context) -> None:
    """The instances before the last restart."""
    _open_logs(context, previous=True)


def _open_logs(context: Context, previous: bool) -> None:
    from kubetui.screens.logs import LogScreen

    refs = context.refs
    word = " -p" if previous else " -f"
    for ref in refs:
        target = ref.name if ref.kind == "Pod" else ref.word
        context.app.log_command(f"kubectl logs{word} {target} --all-containers{ref.flags}")
    context.app.open_screen(LogScreen(refs, previous=previous))


# -- describe, YAML ----------------------------------------------------------------------------------------------


def _watch_one(screen: TextScreen, app: KubetuiApp, ref: Ref) -> Watched:
    """Watch one object through a field selector."""
    from dataclasses import replace

    target = replace(ref.target, namespace="", label_selector="", field_selector=f"metadata.name={ref.name}")
    watched = Watched(app.hub, target, [ref.namespace] if ref.namespace else [], screen.changed)
    screen.watch_collection(watched)
    return watched


def _watch_events(screen: TextScreen, app: KubetuiApp, ref: Ref) -> Watched:
    from dataclasses import replace

    selector = f"involvedObject.name={ref.name},involvedObject.kind={ref.kind}"
    target = replace(EVENTS, field_selector=selector)
    watched = Watched(app.hub, target, [ref.namespace] if ref.namespace else [], screen.changed)
    screen.watch_collection(watched)
    return watched


def _the_object(watched: Watched, ref: Ref) -> Obj | None:
    return next((o for o in watched if name_of(o) == ref.name), None)


async def describe(context: Context) -> None:
    """In kubectl's layout, with the object's events, live."""
    from kubetui.live.describe import describe_object

    app, ref = context.app, context.ref

    def produce() -> Sequence[Line]:
        obj = _the_object(watched, ref) or (ref.obj if not watched.synced else None)
        if obj is None:
            return [line("  loading…" if not watched.synced else f"  {ref.word} is gone", "dim")]
        return describe_object(obj, list(events), app.clock())

    screen = TextScreen(
        f"describe {clean(ref.word)}", produce, refs=[ref], places=("describe", "text"), each_second=True
    )
    watched = _watch_one(screen, app, ref)
    events = _watch_events(screen, app, ref)
    app.log_command(f"kubectl describe {ref.kind.lower()} {ref.name}{ref.flags}")
    app.open_screen(screen)


async def yaml(context: Context) -> None:
    """The object as YAML, live; managed fields are hidden until asked for."""
    from kubetui.live.yamltext import to_yaml

    app, ref = context.app, context.ref

    def produce() -> Sequence[Line]:
        obj = _the_object(watched, ref) or (ref.obj if not watched.synced else None)
        if obj is None:
            return [line("  loading…" if not watched.synced else f"  {ref.word} is gone", "dim")]
        return yaml_lines("\n".join(clean_lines(to_yaml(shown(obj, screen.options.get("managed", False))))))

    screen = TextScreen(f"yaml {clean(ref.word)}", produce, refs=[ref], places=("yaml", "text"))
    watched = _watch_one(screen, app, ref)
    app.log_command(f"kubectl get {ref.kind.lower()} {ref.name} -o yaml{ref.flags}")
    app.open_screen(screen)


def clean_lines(text: str) -> list[str]:
    """Harmless lines; indentation is kept."""
    return [clean(part) for part in text.splitlines()]


def shown(obj: Obj, managed: bool) -> Obj:
    """The object, without managed fields unless wanted."""
    if managed or "managedFields" not in meta(obj):
        return obj
    return {**obj, "metadata": {k: v for k, v in meta(obj).items() if k != "managedFields"}}


async def managed_fields(context: Context) -> None:
    """Show or hide ``metadata.managedFields``."""
    screen = context.app.key_screen
    if isinstance(screen, TextScreen):
        screen.options["managed"] = not screen.options.get("managed", False)
        screen.redraw()


async def inside(context: Context) -> None:
    """What the pod is in the container runtime: ids, digests, mounts."""
    from kubetui.live.inside import inside_page

    app = context.app
    ref = await one_pod(context)
    if ref is None:
        app.fail(f"{context.ref.word} has no pod.")
        return

    def produce() -> Sequence[Line]:
        obj = _the_object(watched, ref) or (ref.obj if not watched.synced else None)
        return inside_page(obj, app.clock()) if obj is not None else [line(f"  {ref.word} is gone", "dim")]

    screen = TextScreen(f"containers of {clean(ref.name)}", produce, refs=[ref], each_second=True)
    watched = _watch_one(screen, app, ref)
    app.log_command(f"kubectl get pod {ref.name} -o yaml{ref.flags}")
    app.open_screen(screen)


async def object_events(context: Context) -> None:
    """The events of this object alone."""
    app, ref = context.app, context.ref
    catalog = app.catalog
    kind = catalog.find("events") if catalog is not None else None
    if kind is None:
        return
    selector = f"involvedObject.name={ref.name},involvedObject.kind={ref.kind}"
    app.log_command(f"kubectl events --for {ref.word}{ref.flags}")
    app.open_screen(
        BrowserScreen(
            kind,
            namespaces=(ref.namespace,) if ref.namespace else (),
            field_selector=selector,
            title=ref.word,
        )
    )


async def open_involved(context: Context) -> None:
    """Describe the object that an event is about."""
    event = context.ref.obj or await full(context, context.ref)
    about = event.get("involvedObject") or event.get("regarding") or {}
    await _describe_named(
        context,
        str(about.get("apiVersion") or "v1"),
        str(about.get("kind") or ""),
        str(about.get("namespace") or ""),
        str(about.get("name") or ""),
    )


async def _describe_named(context: Context, api_version: str, kind: str, namespace: str, name: str) -> None:
    found = context.app.catalog.of_kind(api_version, kind) if context.app.catalog is not None else None
    if found is None:
        context.app.fail(f"The server has no kind {kind}.")
        return
    ref = Ref(found.target(), kind, namespace if found.namespaced else "", name, "")
    await describe(Context(context.app, context.places, [ref], context.widget))


async def owner(context: Context) -> None:
    """Describe what controls this object."""
    obj = context.ref.obj or await full(context, context.ref)
    reference = controller_of(obj)
    if reference is None:
        context.app.say(f"Nothing owns {context.ref.word}.")
        return
    await _describe_named(
        context,
        str(reference["apiVersion"]),
        str(reference["kind"]),
        context.ref.namespace,
        str(reference["name"]),
    )


async def node(context: Context) -> None:
    """Describe the node that a pod is on."""
    obj = context.ref.obj or await full(context, context.ref)
    name = str(dig(obj, "spec", "nodeName", default=""))
    if not name:
        context.app.say(f"{context.ref.word} is on no node yet.")
        return
    await _describe_named(context, "v1", "Node", "", name)


async def open_pods(context: Context) -> None:
    """The pods of a workload, Service or Node as a table."""
    app, ref = context.app, context.ref
    catalog = app.catalog
    kind = catalog.find("pods") if catalog is not None else None
    if kind is None:
        return
    if ref.kind == "Node":
        app.open_screen(
            BrowserScreen(kind, namespaces=(), field_selector=f"spec.nodeName={ref.name}", title=ref.word)
        )
        return
    obj = ref.obj or await full(context, ref)
    selector = dig(obj, "spec", "selector", default={})
    if ref.kind == "Service":
        selector = {"matchLabels": selector}
    text = selector_text(selector)
    if text == "<none>":
        app.say(f"{ref.word} selects no pods.")
        return
    app.open_screen(BrowserScreen(kind, namespaces=(namespace_of(obj),), label_selector=text, title=ref.word))


def open_kind(app: KubetuiApp, text: str) -> None:
    """Open ``KIND [NAMESPACE…] [/FILTER] [-l SELECTOR] [@CONTEXT]`` as a table."""
    words = text.split()
    if not words:
        return
    catalog = app.catalog
    if catalog is None:
        app.say("The server's kinds are not known yet.")
        return
    kind: ResourceType | None = catalog.find(words[0])
    if kind is None:
        near = catalog.suggest(words[0], 1)
        hint = f" Did you mean {near[0].resource}?" if near else ""
        app.fail(f"The server has no kind {words[0]!r}.{hint}")
        return
    namespaces: list[str] = []
    selector = ""
    pattern = ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-l":
            selector = next(rest, "")
        elif word.startswith("/"):
            pattern = word[1:]
        elif word.startswith("@"):
            from kubetui.commands.contexts import use_context

            app.run_soon(use_context(app, word[1:]))
            return
        elif "=" in word:
            selector = word
        else:
            namespaces += word.split(",")
    try:
        found = parse_filter(pattern)
    except FilterError as error:
        app.fail(str(error))
        return
    chosen: tuple[str, ...] | None = tuple(namespaces) if namespaces else None
    if chosen and chosen[0] in ("all", "*"):
        chosen = ()
    spaces = (app.namespaces if chosen is None else chosen) if kind.namespaced else None
    for space in ("",) if spaces is None else spaces or ("-A",):
        flag = f" -n {space}" if space not in ("", "-A") else f" {space}".rstrip()
        app.log_command(f"kubectl get {kind.names[-1] if kind.group else kind.resource}{flag}")
    top = app.key_screen
    if isinstance(top, BrowserScreen) and top.kind == kind and not top.suffix:
        top.leave()  # the same kind once more takes its place: the way back stays short
        app.pop_screen()
    app.open_screen(BrowserScreen(kind, namespaces=chosen, label_selector=selector, found=found))


# -- small things ------------------------------------------------------------------------------------------------


async def decode(context: Context) -> None:
    """A Secret's values in clear text."""
    import base64

    obj = await full(context, context.ref)
    lines = [
        Line(((f" {clean(name_of(obj))}", "strong"), (f"  {clean(str(obj.get('type') or ''))}", "dim"))),
        line(),
    ]
    for key, value in sorted((obj.get("data") or {}).items()):
        try:
            raw = base64.b64decode(value)
            text = raw.decode("utf-8") if b"\0" not in raw else f"<{len(raw)} bytes>"
        except UnicodeDecodeError:
            text = f"<{len(raw)} bytes>"
        except ValueError:
            text = "<not base64>"
        lines.append(line(f" {clean(key)}", "yaml-key"))
        lines += [line(f"   {clean(part)}") for part in text.split("\n")]
    context.app.open_screen(
        TextScreen(f"secret {clean(context.ref.name)}", lambda: lines, refs=[context.ref])
    )


async def copy_name(context: Context) -> None:
    """Put the names on the clipboard (OSC 52)."""
    text = "\n".join(r.name for r in context.refs)
    context.app.copy_to_clipboard(text)
    context.app.say(f"Copied {text if len(context.refs) == 1 else f'{len(context.refs)} names'}.")


async def copy_text(context: Context) -> None:
    """Put what is marked on the clipboard, else the whole page, or the rows of a log that are on the screen."""
    app, widget = context.app, context.widget
    text = app.screen.get_selected_text()
    if not text and isinstance(widget, LogView):
        text = "\n".join(row.rstrip() for row in widget.visible_text())
    elif not text and isinstance(widget, LinesView):
        text = "\n".join(found.text for found in widget.lines)
    if text:
        app.copy_to_clipboard(text)
        app.say(f"Copied {plural(len(text.splitlines()), 'line')}.")


async def save(context: Context) -> None:
    """Write what the view holds (all of it) to a file."""
    import asyncio

    widget = context.widget
    screen = context.app.key_screen
    ending = "log" if isinstance(widget, LogView) else "yaml" if "yaml" in context.places else "txt"
    words = re.sub(r"[^A-Za-z0-9.-]+", "-", screen.TITLE_TEXT if screen is not None else "").strip("-")
    words = words.removeprefix("yaml-")[:100] or "kubetui"
    default = str(Path.cwd() / f"{words}-{time.strftime('%Y%m%d-%H%M%S')}.{ending}")
    path = await context.app.ask(Prompt("Save to", default))
    if not path:
        return
    target = Path(path).expanduser()
    if target.exists() and await context.app.ask(Confirm(f"Overwrite {target}?", danger=True)) is None:
        return
    if isinstance(widget, LogView):
        count = await asyncio.to_thread(widget.save, str(target))
        context.app.say(f"{count:,} lines are in {target}.")
        return
    if isinstance(widget, Table):
        rows = [[c.title for c in widget.columns]]
        now = context.app.clock()
        rows += [[c.shown(now) for c in row.cells] for row in widget.order]
        sizes = [max(len(r[i]) if i < len(r) else 0 for r in rows) for i in range(len(widget.columns))]
        text = "\n".join("   ".join(v.ljust(sizes[i]) for i, v in enumerate(r)).rstrip() for r in rows)
    elif isinstance(widget, LinesView):
        text = "\n".join(found.text for found in widget.lines)
    else:
        return
    await asyncio.to_thread(target.write_text, text + "\n", "utf-8")
    context.app.say(f"Saved to {target}.")


async def command_log(context: Context) -> None:
    """The kubectl line of everything that was done here."""
    app = context.app

    def produce() -> Sequence[Line]:
        lines = []
        for logged in app.command_log:
            stamp = time.strftime("%H:%M:%S", time.localtime(logged.time))
            mark = ("✔ ", "ok") if logged.ok else ("✖ ", "bad")
            lines.append(Line(((f" {stamp} ", "faint"), mark, (clean(logged.line), "text"))))
            if logged.result:
                lines.append(line(f"            {clean(logged.result)}", "dim" if logged.ok else "bad"))
        return lines or [line("  nothing has been done yet", "dim")]

    app.open_screen(TextScreen("command log", produce, each_second=True, at_end=True))


async def help_screen(context: Context) -> None:
    """Every key, those that work right here first."""
    from kubetui.commands.helping import help_lines

    app = context.app
    app.open_screen(TextScreen("help", lambda: help_lines(context), each_second=True))


async def choose_container(context: Context, pod: Obj, title: str) -> str | None:
    """Ask which container when there are several."""
    statuses = {s.get("name"): s for s in dig(pod, "status", "containerStatuses", default=[])}
    names = [str(c.get("name")) for c in dig(pod, "spec", "containers", default=[])]
    if len(names) == 1:
        return names[0]
    preferred = (meta(pod).get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    names.sort(key=lambda n: n != preferred)
    choices = [Choice(n, n, next(iter((statuses.get(n, {}).get("state") or {"?": 0}).keys()))) for n in names]
    picked = await context.app.ask(Picker(title, choices))
    return str(picked.values[0]) if picked is not None and picked.values else None


async def one_pod(context: Context) -> Ref | None:
    """The pod under the cursor, or a ready one of the workload or Service."""
    ref = context.ref
    if ref.kind == "Pod":
        return ref if ref.obj is not None else Ref.of(PODS, {"kind": "Pod", **await full(context, ref)})
    obj = ref.obj or await full(context, ref)
    selector = dig(obj, "spec", "selector", default={})
    text = selector_text({"matchLabels": selector} if ref.kind == "Service" else selector)
    if text == "<none>":
        return None
    from dataclasses import replace

    target = replace(PODS, namespace=ref.namespace, label_selector=text)

    async def pods(client: Any) -> list[Obj]:
        return [item async for page in client.pages(target) for item in page.get("items") or ()]

    from kubetui.live.health import pod_view

    found = await context.app.read(pods)
    found.sort(key=lambda p: pod_view(p).health != "ok")
    return Ref.of(PODS, {"kind": "Pod", **found[0]}) if found else None


def labels_text(obj: Obj) -> str:
    """``a=1,b=2``."""
    return ",".join(f"{k}={v}" for k, v in sorted(labels_of(obj).items()))
