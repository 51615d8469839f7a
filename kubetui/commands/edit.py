"""Editing an object in ``$EDITOR``: what the server refuses is shown at its line, and the text is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubetui.commands.undo import perform, undo_to
from kubetui.commands.view import full, shown
from kubetui.context import Context, Ref
from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError
from kubetui.live.history import changed_fields
from kubetui.live.merge import Clash, merge
from kubetui.live.objects import Obj, meta, uid_of
from kubetui.live.yamltext import to_yaml

HEADER = (
    "# {word}{flags}: save and leave to send it, leave without a change (or empty the file) to do nothing.\n"
)
CLASH = "Clash"
_STRICT = re.compile(r'\b(unknown|duplicate) field "([^"]+)"')
_TYPE = re.compile(r"cannot unmarshal (.+?) into Go struct field [^\s.]+\.(\S+) of type (\S+)")
_INDEX = re.compile(r"([^.\[\]]+)|\[([^\]]+)\]")


def editor_command() -> list[str]:
    """``$KUBE_EDITOR``, ``$VISUAL``, ``$EDITOR`` or vi, as words."""
    for name in ("KUBE_EDITOR", "VISUAL", "EDITOR"):
        if os.environ.get(name):
            return shlex.split(os.environ[name])
    return ["vi"]


def line_of_field(text: str, path: str) -> int:
    """The line (from 1) of a field such as ``spec.template.spec.containers[0].image``; 0 when it is not there."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return 0
    found = 0
    for match in _INDEX.finditer(path):
        key, index = match[1], match[2]
        if isinstance(node, yaml.MappingNode):
            wanted = key if key is not None else index
            for key_node, value_node in node.value:
                if key_node.value == wanted:
                    node, found = value_node, key_node.start_mark.line + 1
                    break
            else:
                return found
        elif isinstance(node, yaml.SequenceNode) and index is not None and index.isdigit():
            if int(index) >= len(node.value):
                return found
            node = node.value[int(index)]
            found = node.start_mark.line + 1
        else:
            return found
    return found


def complaints(error: ApiError) -> list[tuple[str, str]]:
    """(field, message) of everything that the server refuses: what cannot be decoded is only said in its message."""
    if error.causes:
        return error.causes
    found = [(m[2], f"{m[1]} field") for m in _STRICT.finditer(error.message)]
    return found + [(m[2], f"{m[1]} where {m[3]} is expected") for m in _TYPE.finditer(error.message)]


def with_errors(text: str, error: ApiError | yaml.YAMLError | str) -> str:
    """The text with the complaints as comments: at the top, and above the lines that they are about."""
    lines = [row for row in text.splitlines() if not row.startswith("#! ")]
    message = f"not YAML: {error}" if isinstance(error, yaml.YAMLError) else str(error)
    notes: dict[int, list[str]] = {}
    if isinstance(error, ApiError):
        plain = "\n".join(lines)
        for path, complaint in complaints(error):
            if at := line_of_field(plain, path):
                notes.setdefault(at, []).append(f"#! ^ below: {path}: {complaint}".replace("\n", " "))
    elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        body = [number for number, row in enumerate(lines, 1) if not row.startswith("#")]
        at = body[min(error.problem_mark.line, len(body) - 1)]
        message = f"not YAML: {error.problem}"
        notes[at] = [f"#! ^ below: {error.problem}"]
    built = [f"#! {part}" for part in message.splitlines()]
    for number, row in enumerate(lines, 1):
        built += notes.get(number, [])
        built.append(row)
    return "\n".join(built) + "\n"


async def edit(context: Context) -> None:
    """Edit, send, and come back to the editor as long as the server refuses."""
    app, ref = context.app, context.ref
    before = await full(context, ref)
    text = HEADER.format(word=ref.word, flags=ref.flags) + to_yaml(shown(before, False))
    handle, name = tempfile.mkstemp(prefix=f"{ref.kind.lower()}-{ref.name}-", suffix=".yaml")
    path = Path(name)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    original = before
    clashing = False
    while True:
        sent, saved = path.read_text("utf-8"), path.stat().st_mtime_ns
        failure = await run_editor(context, path)
        if failure:
            app.fail(f"{failure} The text is kept in {path}.")
            return
        try:
            edited = path.read_text("utf-8")
        except FileNotFoundError:
            app.say("Edit cancelled.")
            return
        except UnicodeDecodeError:
            app.fail(f"What was saved is not UTF-8. It is kept in {path}.")
            return
        insists = (
            clashing and path.stat().st_mtime_ns != saved
        )  # saving is enough where only a choice was asked for
        body_text = "\n".join(row for row in edited.splitlines() if not row.startswith("#"))
        if not body_text.strip() or (edited == sent and not insists):
            app.say("Nothing was changed." if edited == sent and "#! " not in edited else "Edit cancelled.")
            if "#! " in edited:
                app.say(f"The text is kept in {path}.")
            else:
                path.unlink(missing_ok=True)
            return
        try:
            new = yaml.safe_load(body_text)
        except yaml.YAMLError as error:
            path.write_text(with_errors(edited, error), "utf-8")
            continue
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            path.write_text(with_errors(edited, "this is not a Kubernetes object"), "utf-8")
            continue
        changes = changed_fields(shown(original, False), new)
        if not changes:
            app.say("Nothing was changed.")
            path.unlink(missing_ok=True)
            return
        outcome = await send(context, ref, before, new, changes)
        for _ in range(5):
            if outcome.clear or not (outcome.error and outcome.error.code == 409):
                break
            try:
                theirs = await full(context, ref)
            except ApiError as error:
                outcome = Outcome(error)
                break
            except OSError as error:
                app.fail(f"{ref.word}: {error}")
                outcome = Outcome()
                break
            if uid_of(theirs) != uid_of(before):
                outcome = Outcome(
                    ApiError(409, "Conflict", f"{ref.word} has been deleted and created again.")
                )
                break
            new, clashes = merge(shown(before, False), new, shown(theirs, False))
            before = original = theirs
            if clashes:
                outcome = Outcome(conflict(ref, clashes))
                break
            changes = changed_fields(shown(theirs, False), new)
            outcome = await send(context, ref, theirs, new, changes)
            if outcome.clear:
                app.say("Somebody else has changed it meanwhile: both changes are in.")
        if outcome.clear:
            path.unlink(missing_ok=True)
            return
        if outcome.error is None:
            app.fail(f"The text is kept in {path}.")
            return
        clashing = outcome.error.reason == CLASH
        path.write_text(with_errors(to_yaml(new) if clashing else edited, outcome.error), "utf-8")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a PUT: the server's refusal, or nothing. ``clear``: it was taken; else nobody answered."""

    error: ApiError | None = None
    clear: bool = False


def conflict(ref: Ref, clashes: list[Clash]) -> ApiError:
    """Fields that somebody else has changed meanwhile too, as the editor shows them."""
    causes = [{"field": c.path, "message": f"somebody else has made it {c.theirs!r}"} for c in clashes]
    message = (
        f"{ref.word} was changed by somebody else meanwhile, in the same fields. Save to overwrite their values "
        "with yours below, leave without saving to do nothing."
    )
    return ApiError(409, CLASH, message, {"causes": causes})


async def send(
    context: Context, ref: Ref, before: Obj, new: Obj, changes: list[tuple[str, Any, Any]]
) -> Outcome:
    """PUT the edited object."""
    app = context.app
    text = f"kubectl edit {ref.kind.lower()} {ref.name}{ref.flags}"
    if "managedFields" in meta(before):
        new = {**new, "metadata": {**new["metadata"], "managedFields": meta(before)["managedFields"]}}
    undo = undo_to(ref, before, text)
    undo.preview = [(path, after, old) for path, old, after in changes]
    refused: list[ApiError] = []

    async def put(client: KubeClient) -> object:
        try:
            return await client.replace(ref.path, new, fieldValidation="Strict")
        except ApiError as error:
            refused.append(error)
            return None

    done = await perform(app, text, put, undo)
    if refused:
        app.undo_stack.remove(undo)
        app.command_log.pop()
        app.log_command(text, refused[0].message, ok=False)
        app.heed(refused[0])
        return Outcome(refused[0])
    if done:
        app.say(f"{ref.word} has been changed.")
    return Outcome(clear=done)


async def run_editor(context: Context, path: Path) -> str:
    """Give the terminal to the editor; return what went wrong, or an empty text."""
    try:
        command = [*editor_command(), str(path)]
    except ValueError as error:
        return f"$EDITOR cannot be understood: {error}."

    def run() -> str:
        try:
            code = subprocess.run(command, check=False).returncode
        except OSError as error:
            return f"{command[0]}: {error.strerror or error}."
        return "" if code == 0 else f"{command[0]} failed with exit code {code}."

    failure: str = await give_terminal(context, run)
    return failure


async def give_terminal(context: Context, run: Any) -> Any:
    """Suspend the screen where there is a real one, and run ``run()`` with the terminal to itself."""
    from textual.app import SuspendNotSupported
    from textual.events import Resize
    from textual.geometry import Size

    app = context.app
    try:
        with app.suspend():
            result = run()
            with contextlib.suppress(OSError, ValueError, AttributeError):
                size = Size(*os.get_terminal_size(sys.__stdout__.fileno()))  # type: ignore[union-attr]
                if size != app.size:  # known before anything is painted for the size that the window had
                    app.post_message(Resize(size, size))
    except SuspendNotSupported:
        result = await asyncio.to_thread(run)
    app.refresh()
    return result
