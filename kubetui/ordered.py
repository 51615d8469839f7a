"""Keys in the order in which they were typed.

Textual hands a letter to the input at once, but runs a bound key (backspace, ctrl+u, enter) only after its event has
bubbled up to the application: a letter typed right behind overtakes it. And while a dialog opens, its input has no
focus yet, so that letters fall through. Here each key waits until the one before it has been dealt with and the
screen on top has its focus; at the pace of hands that is always so already. Where a key has to ask the server before
its dialog can open, those typed behind it are meant for the dialog: they wait too, and escape gives up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any, TypeVar

from textual import events
from textual.app import App
from textual.screen import Screen
from textual.widget import Widget

from kubetui.widgets.soon import soon

T = TypeVar("T")
LONGEST_SECONDS = (
    3.0  # a busy machine takes its time to open a dialog; what is typed into it must not fall through
)
AGAIN_SECONDS = 0.003


class GaveUp(Exception):
    """Somebody has pressed escape rather than wait any longer."""


class OrderedKeysApp(App[int]):
    """An application whose keys do not overtake each other."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting_keys: deque[events.Key | events.Paste] = deque()
        self._key_on_its_way: events.Key | events.Paste | None = None
        self._key_taker: Widget | None = None
        self._settled_screen: Screen[object] | None = None
        self._no_longer_than = 0.0
        self._expected: list[asyncio.Future[Any]] = []

    async def expect(self, work: Awaitable[T]) -> T:
        """Await what a dialog needs; keys wait for it. Raises GaveUp when escape is pressed meanwhile."""
        future = asyncio.ensure_future(work)
        self._expected.append(future)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future not in self._expected:
                raise GaveUp from None
            raise
        finally:
            if future in self._expected:
                self._expected.remove(future)

    def take_typed(self) -> str:
        """What was typed and has not been dealt with, for somebody else to take."""
        keys, self._waiting_keys = self._waiting_keys, deque()
        return "".join(k.text if isinstance(k, events.Paste) else k.character or "" for k in keys)

    def _give_up(self) -> None:
        expected, self._expected = self._expected, []
        self._waiting_keys.clear()
        for future in expected:
            future.cancel()

    async def on_event(self, event: events.Event) -> None:
        """A key from the terminal goes on its way or waits; one that has bubbled up here has arrived."""
        if not isinstance(event, events.Key | events.Paste):
            await super().on_event(event)
        elif event.is_forwarded:
            await super().on_event(event)
            event.stop()
        elif self._expected and isinstance(event, events.Key) and event.key == "escape":
            self._give_up()
        elif self._waiting_keys or not self._ready_for_a_key():
            if not self._waiting_keys:
                self._no_longer_than = time.monotonic() + LONGEST_SECONDS
                soon(self, AGAIN_SECONDS, self._send_waiting)
            self._waiting_keys.append(event)
        else:
            await self._send_key(event)

    def _ready_for_a_key(self) -> bool:
        if self._expected:
            return False
        before, taker = self._key_on_its_way, self._key_taker
        if before is not None and not before._stop_propagation and taker is not None and taker.is_attached:
            return False
        stack = self.screen_stack
        if not stack or stack[-1] is self._settled_screen:
            return True
        if stack[-1].focused is None and (not stack[-1].is_mounted or stack[-1].focus_chain):
            return False
        self._settled_screen = stack[-1]
        return True

    async def _send_key(self, event: events.Key | events.Paste) -> None:
        self._key_on_its_way = event
        screen = self.screen_stack[-1] if self.screen_stack else None
        self._key_taker = screen and (screen.focused or screen)  # what goes away takes its keys with it
        await super().on_event(event)
        if not event.is_forwarded:
            self._key_on_its_way = None

    async def _send_waiting(self) -> None:
        while self._waiting_keys:
            now = time.monotonic()
            if not self._ready_for_a_key():
                if now < self._no_longer_than or self._expected:
                    soon(self, AGAIN_SECONDS, self._send_waiting)
                    return
                if self.screen_stack:
                    self._settled_screen = self.screen_stack[-1]
            self._no_longer_than = now + LONGEST_SECONDS
            await self._send_key(self._waiting_keys.popleft())
