"""Copying files to and from a container: the two paths, the progress, stopping it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Static

from kubetui.commands.view import choose_container, one_pod
from kubetui.context import Context
from kubetui.live.copy import CopyError, Transfer, run_transfer
from kubetui.live.lines import Line, line
from kubetui.live.text import clean, plural
from kubetui.screens.dialogs import Dialog
from kubetui.screens.text import TextScreen


class CopyDialog(Dialog[tuple[str, str]]):
    """From and to; the side that begins with a colon is in the container."""

    def __init__(self, title: str) -> None:
        super().__init__(
            title, "A path that begins with : is in the container.", "tab other path   ⏎ copy   esc cancel"
        )

    def compose_content(self) -> ComposeResult:
        """Two inputs."""
        yield Static("From", markup=False)
        yield Input(":/", id="from")
        yield Static("To", markup=False)
        yield Input(f"{Path.cwd()}/", id="to")

    def on_mount(self) -> None:
        """Type the source first."""
        self.query_one("#from", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter inside of an input."""
        event.stop()
        self.accept()

    def accept(self) -> None:
        """One of the two has to be in the container, and only one."""
        source, target = (self.query_one(f"#{n}", Input).value.strip() for n in ("from", "to"))
        if source.startswith(":") == target.startswith(":"):
            self.show_error("One of the two paths has to begin with : and the other not.")
        elif not source.removeprefix(":") or not target.removeprefix(":"):
            self.show_error("Both paths are needed.")
        else:
            self.dismiss((source, target))


class CopyScreen(TextScreen):
    """The progress of one copy. Leaving it does not stop the copy."""

    def __init__(self, transfer: Transfer, title: str) -> None:
        super().__init__(title, self.describe, places=("copy", "text"), each_second=True)
        self.transfer = transfer
        self.error = ""

    def describe(self) -> Sequence[Line]:
        """From, to, how much."""
        transfer = self.transfer
        inside = f"{transfer.container}:{transfer.remote}"
        source, target = (str(transfer.local), inside) if transfer.upload else (inside, str(transfer.local))
        style = {"done": "ok", "failed": "bad", "cancelled": "warn"}.get(transfer.state, "busy")
        lines = [
            line(),
            Line(((" from  ", "dim"), (clean(source), "text"))),
            Line(((" to    ", "dim"), (clean(target), "text"))),
            line(),
            Line(
                (
                    (f" {transfer.state}", style),
                    (f"   {transfer.bytes:,} bytes   {plural(transfer.files, 'file')}", "strong"),
                    (f"   {clean(transfer.current)}" if not transfer.done else "", "dim"),
                )
            ),
        ]
        if self.error:
            lines += [line(), *(line(f" {clean(part)}", "bad") for part in self.error.splitlines())]
        if transfer.skipped:
            lines += [line(), line(" left out, because they lead outside of the target:", "warn")]
            lines += [line(f"   {clean(name)}", "warn") for name in transfer.skipped[:100]]
        return lines


async def copy_files(context: Context) -> None:
    """Copy a file or folder to or from a container of the pod."""
    app = context.app
    pod = await one_pod(context)
    if pod is None or pod.obj is None:
        app.fail(f"{context.ref.word} has no pod.")
        return
    container = await choose_container(context, pod.obj, f"Copy files of {pod.name}")
    if container is None:
        return
    answer = await app.ask(CopyDialog(f"Copy files: {pod.name}/{container}"))
    if answer is None:
        return
    source, target = answer
    upload = target.startswith(":")
    remote, local = (target, source) if upload else (source, target)
    transfer = Transfer(pod.sub("exec"), container, remote.removeprefix(":"), Path(local), upload)
    words = [f"{pod.namespace}/{pod.name}{p}" if p.startswith(":") else p for p in answer]
    command = f"kubectl cp {words[0]} {words[1]} -c {container}"
    screen = CopyScreen(transfer, f"copy {clean(pod.name)}")
    app.open_screen(screen)
    try:
        await app.call(lambda client: run_transfer(client, transfer))
    except asyncio.CancelledError:
        raise
    except (CopyError, OSError) as error:
        screen.error = str(error) or type(error).__name__
    except Exception as error:  # the server's refusal, or a tar that makes no sense
        screen.error = str(error) or type(error).__name__
        transfer.state = "failed"
    app.log_command(command, screen.error, ok=not screen.error)
    if screen.error and not transfer.cancelled:
        app.fail(screen.error)
    elif not screen.error:
        app.say(f"Copied {plural(transfer.files, 'file')}, {transfer.bytes:,} bytes.")
    if screen.is_mounted:
        screen.redraw()


async def stop_copy(context: Context) -> None:
    """Stop the copy that is shown."""
    screen = context.app.key_screen
    if isinstance(screen, CopyScreen) and not screen.transfer.done:
        screen.transfer.cancelled = True
        context.app.say("The copy is being stopped.")
