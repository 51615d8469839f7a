"""How an application acts: a key or a name becomes an action, an action that the server allows is run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from kubetui.actions import Action
from kubetui.asking import AskingApp
from kubetui.config import Config
from kubetui.context import Context, Ref
from kubetui.continued import go_on
from kubetui.keys import Registry
from kubetui.memory import Housekeeper
from kubetui.options import AppOptions
from kubetui.ordered import GaveUp
from kubetui.widgets.soon import soon

if TYPE_CHECKING:
    from kubetui.allowed import Refusal
    from kubetui.live.errors import ApiError
    from kubetui.live.permissions import Permissions

LOOKED_AT_SECONDS = 0.15  # a cursor that runs down a list asks about nothing


class ActingApp(AskingApp):
    """An application with a registry of actions."""

    config: Config
    registry: Registry
    options: AppOptions
    housekeeper: Housekeeper

    def __init__(self) -> None:
        super().__init__()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._permissions: Permissions | None = None
        self._learning: asyncio.TimerHandle | asyncio.Task[None] | None = None

    def context(self, *, below_dialogs: bool = False) -> Context | None:
        """What an action would work on right now; with ``below_dialogs`` once the dialogs on top are gone."""
        raise NotImplementedError

    def fail(self, text: str) -> None:
        """Something went wrong."""
        raise NotImplementedError

    async def press(self, key: str, character: str | None) -> bool:
        """A key that nobody wanted: run its action; return whether there was one."""
        self.housekeeper.touched()
        context = self.context()
        if context is None:
            return False
        action = None
        for name in dict.fromkeys((key, character or key)):
            action = self.registry.resolve(name, context.places, context.kinds, self.options.read_only)
            if action is not None:
                break
        if action is None:
            return self._press_plugin(key, context)
        await self.run_action_now(action, context)
        return True

    def _press_plugin(self, key: str, context: Context) -> bool:
        for plugin in self.config.plugins:
            if (
                plugin.key == key
                and context.refs
                and ("*" in plugin.kinds or context.ref.kind in plugin.kinds)
            ):
                from kubetui.commands.plugins import run_plugin

                self.run_soon(run_plugin(context, plugin))
                return True
        return False

    async def run_action_now(self, action: Action, context: Context) -> None:
        """Run an action; whatever goes wrong is said, never thrown."""
        self.run_soon(self._guarded(action, context))

    async def _guarded(self, action: Action, context: Context) -> None:
        from kubetui.live.errors import ApiError

        try:
            if await self._refused(action, context):
                return
            await action.load()(context)
        except ApiError as error:
            self.fail(f"{action.label}: {error.message}")
            self.heed(error)
        except OSError as error:
            self.fail(f"{action.label}: {error or type(error).__name__}")
        except GaveUp:
            pass

    def run_action_soon(self, action_id: str) -> None:
        """Run an action by id on what is selected."""
        context = self.context()
        action = self.registry.actions.get(action_id)
        if context is not None and action is not None:
            self.run_soon(self._guarded(action, context))

    def run_soon(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside the messages, its first step at once.

        What an action does before it has to wait (move, open an input, push a dialog) is done when the next key is
        looked at, so that fast typing is never lost.
        """
        try:
            waiting = work.send(None)
        except StopIteration:
            return
        except Exception as error:
            self.log.error(repr(error))
            self.fail(f"{type(error).__name__}: {error}")
            return
        task = asyncio.get_running_loop().create_task(go_on(work, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error(repr(error))
            self.fail(f"{type(error).__name__}: {error}")

    # -- what the server allows ----------------------------------------------------------------------------------

    @property
    def permissions(self) -> Permissions:
        """What is known of what the user may do on this server."""
        if self._permissions is None:
            from kubetui.live.permissions import Permissions

            self._permissions = Permissions(self.call)
        return self._permissions

    def forget_permissions(self) -> None:
        """Another server."""
        if self._learning is not None:
            self._learning.cancel()
        self._permissions = self._learning = None

    def heed(self, error: ApiError) -> None:
        """The server has refused something: perhaps roles have changed."""
        if error.code == 403:
            self.permissions.forget()
            self.refresh_chrome()

    def refusal(self, action: Action, refs: Sequence[Ref]) -> Refusal | None:
        """Why an action is not allowed on these objects, as far as is known."""
        if not action.needs or self.connection.client is None:
            return None
        from kubetui.allowed import refusal

        return refusal(self.permissions, action, refs)

    def learn_permissions(self) -> None:
        """Ask about what is shown, once it has been looked at for a moment."""
        if self._permissions is not None and self._permissions.wanted and self._learning is None:
            self._learning = soon(self, LOOKED_AT_SECONDS, self._learn_permissions)

    def _learn_permissions(self) -> None:
        permissions = self.permissions
        self._learning = None
        context = self.context(below_dialogs=True)
        if context is not None and context.refs:  # of what was passed on the way here nothing has to be known
            permissions.wanted.clear()
            for action in self.registry.available(context.places, context.kinds, self.options.read_only):
                self.refusal(action, context.refs)
        if permissions.wanted:
            self._learning = asyncio.get_running_loop().create_task(permissions.learn())
            self._learning.add_done_callback(self._learned)

    def _learned(self, task: asyncio.Task[None]) -> None:
        if self._learning is task:
            self._learning = None
            self.refresh_chrome()
        self._finished(task)

    async def _refused(self, action: Action, context: Context) -> bool:
        """Whether the server does not allow an action: asked again, for roles change; the reason is said."""
        found = self.refusal(action, context.refs)
        if found is None:
            return False
        reason = await self.patiently(self.permissions.still_denied(found.questions))
        if reason is not None:
            self.fail(f"{action.label}: {reason}.")
        self.refresh_chrome()
        return reason is not None
