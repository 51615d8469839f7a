"""Other clusters: the contexts of the user's kubeconfig, and the cluster that this terminal was started with."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from kubetui.context import Context
from kubetui.screens.dialogs import Choice, Picker

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp

HOME = "this machine"


async def context(context: Context) -> None:
    """Choose another context of the kubeconfig, or the cluster that this terminal was started with."""
    app = context.app
    choices = [Choice(name, name, server) for name, server in await _contexts(app)]
    if app.home.own_cluster:
        choices.insert(0, Choice(HOME, HOME, "the cluster of this terminal", style="accent"))
    here = HOME if app.options.own_cluster else app.connection_state.context
    choices = [replace(c, detail="● " + c.detail) if c.value == here else c for c in choices]
    picked = await app.ask(Picker("Context", choices))
    if picked is not None and picked.values:
        _switch(app, None if picked.values[0] == HOME else picked.values[0])


async def _contexts(app: KubetuiApp) -> list[tuple[str, str]]:
    """(name, server) of the contexts of the user's kubeconfig; none, and a word about it, where it cannot be read."""
    from kubetui.kubeconfig import KubeconfigError, list_contexts

    try:
        return await app.expect(asyncio.to_thread(list_contexts, _user_file(app)))
    except KubeconfigError as error:
        app.fail(str(error))
        return []


async def use_context(app: KubetuiApp, name: str) -> None:
    """Switch to a context by name; an unknown one leaves everything as it is."""
    known = [found for found, _ in await _contexts(app)]
    if name in known:
        _switch(app, name)
    elif name in (HOME, "this") and app.home.own_cluster:
        _switch(app, None)
    else:
        app.fail(
            f"There is no context {name!r}." + (f" There are: {', '.join(known[:12])}." if known else "")
        )


def _user_file(app: KubetuiApp) -> str | None:
    """The file whose contexts are offered (None: the usual places)."""
    return app.home.kubeconfig if isinstance(app.home.kubeconfig, str) and not app.home.own_cluster else None


def _switch(app: KubetuiApp, name: str | None) -> None:
    """To a context of the user's kubeconfig, or back to where this terminal began (None)."""
    if app.options.own_cluster and app.connection.kubeconfig:
        app.home.kubeconfig = app.connection.kubeconfig  # it has been started: from now on it is a file
    if name is None:
        app.show_cluster(app.home.kubeconfig, None, app.home.own_cluster)
    else:
        app.show_cluster(_user_file(app), name, False)
