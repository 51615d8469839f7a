"""A user's own commands, run with the fields of the selected object in their environment."""

from __future__ import annotations

import asyncio
import os
import subprocess

from kubetui.commands.edit import give_terminal
from kubetui.config import Plugin
from kubetui.context import Context
from kubetui.screens.dialogs import Confirm


def plugin_environment(context: Context) -> dict[str, str]:
    """``NAME``, ``NAMESPACE``, ``KIND``, ``RESOURCE``, ``UID``, ``CONTEXT``, ``KUBECONFIG`` of the selection."""
    ref, app = context.ref, context.app
    found = {
        **os.environ,
        "NAME": ref.name,
        "NAMESPACE": ref.namespace,
        "KIND": ref.kind,
        "RESOURCE": ref.target.group_resource,
        "UID": ref.uid,
        "CONTEXT": app.connection_state.context,
        "NAMES": " ".join(r.name for r in context.refs),
    }
    if isinstance(app.options.kubeconfig, str):
        found["KUBECONFIG"] = app.options.kubeconfig
    return found


async def run_plugin(context: Context, plugin: Plugin) -> None:
    """Run it: with the terminal to itself, or in the background."""
    app = context.app
    if plugin.confirm and await app.ask(Confirm(f"{plugin.description}?", plugin.command)) is None:
        return
    environment = plugin_environment(context)
    app.log_command(plugin.command)
    if plugin.background:

        def quiet() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                plugin.command,
                shell=True,
                env=environment,
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )

        result = await asyncio.to_thread(quiet)
        if result.returncode:
            text = result.stderr.decode("utf-8", "replace").strip() or f"exit code {result.returncode}"
            app.fail(f"{plugin.name}: {text[-500:]}")
        else:
            app.say(f"{plugin.name} is done.")
        return
    code = await give_terminal(
        context, lambda: subprocess.run(plugin.command, shell=True, env=environment, check=False).returncode
    )
    if code:
        app.fail(f"{plugin.name} failed with exit code {code}.")
