"""Doing one change, and taking it back.

Every change goes through :func:`perform`, which writes the kubectl line into the command log, says what went wrong in
the server's words and keeps what is needed to undo it. What others have changed since stays; where it cannot, the
question before the undo says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from kubetui.context import Context, Ref
from kubetui.journal import UndoStep
from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError
from kubetui.live.lines import Line, line
from kubetui.live.merge import Clash
from kubetui.live.objects import Obj, dig, uid_of
from kubetui.live.text import clean, plural, value_text
from kubetui.live.undo import restored, taken_back
from kubetui.screens.dialogs import Confirm

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp

Work = Callable[[KubeClient], Awaitable[object]]
T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 8


async def perform(app: KubetuiApp, line_text: str, work: Work, undo: UndoStep | None = None) -> bool:
    """Do one change; return whether the server took it."""
    try:
        result = await app.call(work)
    except ApiError as error:
        app.log_command(line_text, error.message, ok=False)
        app.fail(error.message)
        app.heed(error)
        return False
    except OSError as error:
        app.log_command(line_text, str(error) or type(error).__name__, ok=False)
        app.fail(f"{line_text}: {error or type(error).__name__}")
        return False
    app.log_command(line_text)
    if undo is not None:
        undo.after = result if isinstance(result, dict) else None
        app.undo_stack.push(undo)
    return True


async def side_by_side(work: Callable[[T], Awaitable[R]], things: Sequence[T]) -> list[R]:
    """Do the same to many objects, several at a time: one after the other, hundreds would take minutes."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(thing: T) -> R:
        async with gate:
            return await work(thing)

    return await asyncio.gather(*(one(thing) for thing in things))


def undo_to(ref: Ref, before: Obj, after_line: str) -> UndoStep:
    """Take a change of one object's spec, labels and annotations back; what others changed since stays."""

    async def back(client: KubeClient) -> tuple[Obj, list[Clash]]:
        live = await client.get(ref.path)
        if uid_of(live) != uid_of(before):
            raise ApiError(409, "Conflict", f"{ref.word} has been deleted and created again since.")
        if step.after is None:
            return restored(before, live), []
        return taken_back(before, step.after, live)

    async def run(client: KubeClient) -> object:
        body, _ = await back(client)
        return await client.replace(ref.path, body)

    async def look(client: KubeClient) -> list[str]:
        _, clashes = await back(client)
        return [f"{c.path} has become {_short(c.theirs)} since" for c in clashes]

    step = UndoStep(
        f"Undo: {after_line}",
        [("object", "as it is now", "as it was before")],
        f"kubectl replace -f {ref.kind.lower()}-{ref.name}.yaml{ref.flags}",
        run,
        look,
    )
    return step


def unless(ref: Ref, field: tuple[str, ...], expected: Any) -> Callable[[KubeClient], Awaitable[list[str]]]:
    """For :class:`UndoStep`'s ``look``: whether a field still has the value that was set."""

    async def look(client: KubeClient) -> list[str]:
        live = dig(await client.get(ref.path), *field)
        gone = live in (None, False) and expected in (None, False)
        return [] if live == expected or gone else [f"{'.'.join(field)} has become {_short(live)} since"]

    return look


def change_lines(changes: Sequence[tuple[str, Any, Any]]) -> list[Line]:
    """``path: old → new`` for a dialog."""
    lines = []
    for path, old, new in changes[:200]:
        lines.append(line(clean(path), "accent"))
        if old is not None:
            lines.append(Line(((f"  - {clean(_short(old))}", "bad"),)))
        if new is not None:
            lines.append(Line(((f"  + {clean(_short(new))}", "ok"),)))
    return lines or [line("nothing differs", "dim")]


def _short(value: Any) -> str:
    text = value_text(value)
    return text if len(text) <= 300 else text[:300] + "…"


async def undo(context: Context) -> None:
    """Show what the last act changed and what taking it back does; then do it."""
    app = context.app
    if not app.undo_stack:
        app.say("There is nothing to undo.")
        return
    steps: list[UndoStep] = []
    lost: list[str] = []
    for step, found in await side_by_side(lambda step: _look(app, step), app.undo_stack.last()):
        if isinstance(found, list):
            steps.append(step)
            lost += found
            continue
        app.fail(f"{step.title}: {found}")
        if isinstance(found, ApiError) and found.code in (404, 409):
            app.undo_stack.remove(step)  # there is nothing left that it could be taken back from
    if not steps:
        return
    lines = _what_comes(steps)
    if lost:
        notes = [line(f"▲ {clean(words)}", "warn") for words in lost]
        lines = [line("Somebody else has changed it too; that will be lost:", "warn"), *notes, line(), *lines]
    title = steps[0].title if len(steps) == 1 else f"{steps[0].title}, and {len(steps) - 1} more"
    if await app.ask(Confirm(title, lines=lines)) is None:
        return
    for step in steps:
        app.undo_stack.remove(step)
    done = await side_by_side(lambda step: perform(app, step.line, step.run), steps)
    for step, taken in zip(steps, done, strict=True):
        if not taken:
            app.undo_stack.push(step)
    if all(done):
        app.say("It has been taken back.")
    elif any(done):
        app.say(f"{sum(done)} of {plural(len(done), 'change')} have been taken back.")


async def _look(app: KubetuiApp, step: UndoStep) -> tuple[UndoStep, list[str] | ApiError | OSError]:
    """What would be lost, or why it can't be told."""
    try:
        return step, [] if step.look is None else await app.read(step.look)
    except (ApiError, OSError) as error:
        return step, error


def _what_comes(steps: Sequence[UndoStep]) -> list[Line]:
    if len(steps) == 1:
        return [*change_lines(steps[0].preview), line(), line(steps[0].line, "dim")]
    lines: list[Line] = []
    for step in steps:
        lines += [
            line(clean(step.title.removeprefix("Undo: ")), "text"),
            *change_lines(step.preview),
            line(step.line, "dim"),
            line(),
        ]
    return lines[:-1]
