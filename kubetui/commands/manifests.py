"""Talking to the manifest watcher of our own cluster: requests are annotations on the source's ConfigMap."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from kubetui.commands.undo import Work, perform
from kubetui.context import Context, Ref
from kubetui.journal import UndoStep
from kubetui.live.client import KubeClient
from kubetui.live.discovery import MANIFEST_SOURCES
from kubetui.live.lines import Line, line, yaml_lines
from kubetui.live.manifests import REQUEST, Document, Source
from kubetui.live.objects import Obj
from kubetui.live.text import clean, value_text
from kubetui.live.undo import recreated, restored
from kubetui.screens.dialogs import Choice, Confirm
from kubetui.screens.preview import PreviewScreen, document_ref, get_or_none
from kubetui.screens.text import TextScreen


def _selected(context: Context) -> tuple[Source, Document | None] | None:
    screen = context.app.key_screen
    if isinstance(screen, PreviewScreen):
        return screen.source, screen.document
    return context.app.dashboard.manifests.selected_source()


def _request(source: Source, action: str, **more: Any) -> tuple[str, Work]:
    """(kubectl line, work) of asking the watcher for something; it does each id once."""
    path = MANIFEST_SOURCES.item(source.configmap, "kube-system")
    text = json.dumps({"id": secrets.token_hex(6), "action": action, **more})
    body = {"metadata": {"annotations": {REQUEST: text}}}
    said = f"kubectl annotate -n kube-system configmap {source.configmap} --overwrite '{REQUEST}={text}'"
    return said, lambda client: client.patch(path, body)


async def _ask(
    context: Context, source: Source, said: str, action: str, undo: UndoStep | None = None, **more: Any
) -> None:
    line_text, work = _request(source, action, **more)
    if await perform(context.app, line_text, work, undo):
        context.app.say(said)


def _back(source: Source, title: str, change: tuple[str, Any, Any], action: str, **more: Any) -> UndoStep:
    """Take a request back by the opposite request."""
    line_text, work = _request(source, action, **more)
    return UndoStep(f"Undo: {title}", [change], line_text, work)


def _document(document: Document | None) -> dict[str, int]:
    return {} if document is None else {"document": document.index}


async def preview(context: Context) -> None:
    """What applying the file would do, before it is done."""
    found = _selected(context)
    if found is not None:
        context.app.log_command(f"kubectl diff -f {found[0].path}")
        context.app.open_screen(PreviewScreen(*found))


async def apply(context: Context) -> None:
    """Apply the document under the cursor, or the file: what it says wins over what was changed by hand."""
    found = _selected(context)
    if found is not None:
        await _apply(context, *found)


async def apply_file(context: Context) -> None:
    """Apply every document of the file, and remove what is gone from it."""
    found = _selected(context)
    if found is not None:
        await _apply(context, found[0], None)


async def _apply(context: Context, source: Source, only: Document | None) -> None:
    """Ask first when something is deleted by it; keep what every object was, so that it can be taken back."""
    app, name = context.app, Path(source.path).name
    if only is not None and only.prune:
        key = app.registry.key_text("manifest-apply-file")
        app.say(f"{only.name} is gone from the file: {key} applies the file and removes it.")
        return
    going = [d for d in source.documents if d.prune and only is None]
    if going:
        lines = [line(f"{d.kind} {clean(d.namespace)}/{clean(d.name)}", "bad") for d in going]
        question = f"Apply {name}? It is not in the file any more and will be deleted:"
        if await app.ask(Confirm(question, "", [Choice("Apply and delete", "yes")], lines=lines)) is None:
            return
    touched = [d for d in source.documents if d.state != "in-sync" or d is only]
    undo = await _undo_of_apply(context, name, [d for d in touched if only is None or d is only])
    what = f"{only.kind}/{only.name}" if only is not None else name
    await _ask(context, source, f"{what} is being applied.", "apply", undo, **_document(only))


async def _undo_of_apply(context: Context, name: str, documents: list[Document]) -> UndoStep | None:
    """Read what the objects are before a file is applied; the step puts them back (or removes what was made)."""
    refs = [(d, document_ref(context.app.catalog, d)) for d in documents]
    known = [(d, r) for d, r in refs if r is not None]
    if not known:
        return None

    async def read(client: KubeClient) -> list[Obj | None]:
        return [await get_or_none(client, ref.path) for _, ref in known]

    images = await context.app.read(read)
    preview: list[tuple[str, Any, Any]] = []
    for (document, ref), before in zip(known, images, strict=True):
        if before is None:
            preview.append((ref.word, "was created", None))
        elif document.prune:
            preview.append((ref.word, None, "created again from what it was"))
        for drift in document.drift if before is not None else ():
            preview.append((f"{ref.word} {drift.path}", drift.file, drift.live))

    async def run(client: KubeClient) -> object:
        for (_, ref), before in zip(known, images, strict=True):
            live = await get_or_none(client, ref.path)
            if before is None:
                if live is not None:
                    await client.delete(ref.path, {"propagationPolicy": "Background"})
            elif live is None:
                collection = ref.target.item("", ref.namespace).rstrip("/")
                await client.create(collection, recreated({"kind": ref.kind, **before}))
            else:
                await client.replace(ref.path, restored(before, live))
        return None

    return UndoStep(f"Undo: apply {name}", preview, f"kubectl replace -f {name} (as it was before)", run)


async def accept(context: Context) -> None:
    """Accept the live object: the drift is kept and no longer shown."""
    found = _selected(context)
    if found is not None:
        source, document = found
        change = ("drift", "accepted", "shown")
        undo = _back(source, "accept the live state", change, "unaccept", **_document(document))
        await _ask(context, source, "The live state is accepted.", "accept", undo, **_document(document))


async def mode(context: Context) -> None:
    """Apply this file by itself when it is saved, or only when asked."""
    found = _selected(context)
    if found is not None:
        source = found[0]
        new = "manual" if source.mode == "auto" else "auto"
        name = Path(source.path).name
        undo = _back(source, f"{name} {new}", ("mode", new, source.mode), "mode", mode=source.mode)
        await _ask(context, source, f"{name}: {new}.", "mode", undo, mode=new)


async def pause(context: Context) -> None:
    """Pause all files, or let them go on."""
    sources = list(context.app.dashboard.manifests.sources.values())
    if sources:
        paused = any(s.paused for s in sources)
        word, opposite = ("resume", "pause") if paused else ("pause", "resume")
        undo = _back(sources[0], f"{word} all files", ("paused", not paused, paused), opposite, all=True)
        await _ask(context, sources[0], f"All files: {word}d.", word, undo, all=True)


async def diff(context: Context) -> None:
    """What differs between the file and the cluster."""
    found = _selected(context)
    if found is None:
        return
    source, only = found
    documents = [only] if only is not None else list(source.documents)
    lines: list[Line] = [line()]
    for document in documents:
        head = f" {document.kind}/{document.name}"
        lines.append(
            Line(
                (
                    (clean(head), "strong"),
                    (f"  {document.state}", document.health),
                    (f"  line {document.line}", "faint"),
                )
            )
        )
        if document.message and not document.drift:
            lines.append(line(f"   {clean(document.message)}", "dim"))
        for drift in document.drift:
            lines.append(line(f"   {clean(drift.path)}", "accent"))
            lines.append(Line(((f"     file  {clean(_text(drift.file))}", "ok"),)))
            lines.append(Line(((f"     live  {clean(_text(drift.live))}", "bad"),)))
        if not document.drift and document.state == "in-sync":
            lines.append(line("   the live object is what the file says", "dim"))
        lines.append(line())
    context.app.open_screen(TextScreen(f"drift {clean(Path(source.path).name)}", lambda: lines))


def _text(value: Any) -> str:
    return "(not set)" if value is None else value_text(value)


async def open_manifest(context: Context) -> None:
    """The file itself, at the line of its error or of the document; a drifted document shows its drift."""
    found = _selected(context)
    if found is None:
        return
    source, document = found
    if document is not None and document.drift:
        await diff(context)
        return
    try:
        text = Path(source.path).read_text("utf-8", "replace")
    except OSError as error:
        context.app.fail(f"{source.path}: {error.strerror or error}")
        return
    at = document.line if document is not None and document.line else source.error_line
    lines: list[Line] = []
    for number, found_line in enumerate(yaml_lines("\n".join(clean(t) for t in text.splitlines())), 1):
        bad = number == source.error_line
        lines.append(
            Line(
                ((f" {number:>4}  ", "bad" if bad else "faint"), *found_line.spans), "removed" if bad else ""
            )
        )
        if bad and source.error_message:
            lines.append(line(f"       ▲ {clean(source.error_message)}", "bad"))
    screen = TextScreen(clean(Path(source.path).name), lambda: lines, refs=_document_refs(context, document))
    context.app.open_screen(screen)
    if at:
        context.app.call_after_refresh(lambda: screen.lines.set_top(max(0, screen.lines.row_of(at) - 6)))


def _document_refs(context: Context, document: Document | None) -> list[Ref]:
    found = document_ref(context.app.catalog, document) if document is not None else None
    return [found] if found is not None else []
