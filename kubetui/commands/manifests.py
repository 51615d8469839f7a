"""Talking to the manifest watcher of our own cluster: requests are annotations on the source's ConfigMap."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from kubetui.context import Context, Ref
from kubetui.live.discovery import MANIFEST_SOURCES
from kubetui.live.lines import Line, line, yaml_lines
from kubetui.live.manifests import REQUEST, Document, Source
from kubetui.live.text import clean
from kubetui.screens.text import TextScreen


def _selected(context: Context) -> tuple[Source, Document | None] | None:
    return context.app.dashboard.manifests.selected_source()


async def _request(context: Context, source: Source, said: str, action: str, **more: Any) -> None:
    """Ask the watcher for something; it does each id once."""
    from kubetui.commands.change import perform

    path = MANIFEST_SOURCES.item(source.configmap, "kube-system")
    text = json.dumps({"id": secrets.token_hex(6), "action": action, **more})
    body = {"metadata": {"annotations": {REQUEST: text}}}
    line_text = f"kubectl annotate -n kube-system configmap {source.configmap} --overwrite '{REQUEST}={text}'"
    if await perform(context.app, line_text, lambda client: client.patch(path, body)):
        context.app.say(said)


def _document(document: Document | None) -> dict[str, int]:
    return {} if document is None else {"document": document.index}


async def apply(context: Context) -> None:
    """Apply the file (or the document) again: what the file says wins over what was changed by hand."""
    found = _selected(context)
    if found is not None:
        source, document = found
        await _request(
            context, source, f"{Path(source.path).name} is being applied.", "apply", **_document(document)
        )


async def accept(context: Context) -> None:
    """Accept the live object: the drift is kept and no longer shown."""
    found = _selected(context)
    if found is not None:
        source, document = found
        await _request(context, source, "The live state is accepted.", "accept", **_document(document))


async def mode(context: Context) -> None:
    """Apply this file by itself when it is saved, or only when asked."""
    found = _selected(context)
    if found is not None:
        new = "manual" if found[0].mode == "auto" else "auto"
        await _request(context, found[0], f"{Path(found[0].path).name}: {new}.", "mode", mode=new)


async def pause(context: Context) -> None:
    """Pause all files, or let them go on."""
    sources = list(context.app.dashboard.manifests.sources.values())
    if sources:
        word = "resume" if any(s.paused for s in sources) else "pause"
        await _request(context, sources[0], f"All files: {word}d.", word, all=True)


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
        if document.message:
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
    return "(not set)" if value is None else str(value)


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
        context.app.call_after_refresh(lambda: screen.lines.set_top(max(0, at - 6)))


def _document_refs(context: Context, document: Document | None) -> list[Ref]:
    catalog = context.app.catalog
    if document is None or catalog is None:
        return []
    kind = catalog.of_kind(document.api_version, document.kind)
    if kind is None:
        return []
    return [Ref(kind.target(), document.kind, document.namespace, document.name, "")]
