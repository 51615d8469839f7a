"""Scaling by + and -: the new number is shown at once, presses that follow quickly become one patch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kubetui.context import Ref

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp

SCALE_DELAY = 0.25


class Scaler:
    """Collects presses of + and - per object and sends one patch for each when they pause."""

    def __init__(self, app: KubetuiApp) -> None:
        self.app = app
        self._handles: dict[str, asyncio.TimerHandle] = {}
        self._before: dict[str, int] = {}

    def want(self, ref: Ref, live: int, target: int, act: object = None) -> None:
        """Echo ``target`` and plan the patch. ``act``: the press that it comes of, for many objects the same."""
        pane = self.app.dashboard.workloads
        self._before.setdefault(ref.uid, live)
        pane.wanted[ref.uid] = target
        self._echo(ref.uid)
        handle = self._handles.pop(ref.uid, None)
        if handle is not None:
            handle.cancel()
        loop = asyncio.get_running_loop()
        self._handles[ref.uid] = loop.call_later(SCALE_DELAY, lambda: self.app.run_soon(self._send(ref, act)))

    def _echo(self, uid: str) -> None:
        dashboard = self.app.dashboard
        if dashboard.session is not None:
            dashboard.workloads.refresh_rows(dashboard.session, {uid})

    async def _send(self, ref: Ref, act: object) -> None:
        self._handles.pop(ref.uid, None)
        before = self._before.pop(ref.uid, None)
        target = self.app.dashboard.workloads.wanted.get(ref.uid)
        if target is None or target == before:
            self.app.dashboard.workloads.wanted.pop(ref.uid, None)
            self._echo(ref.uid)
            return
        from kubetui.commands.change import scale_to

        done = await scale_to(self.app, ref, before if before is not None else target, target, act)
        wanted = self.app.dashboard.workloads.wanted
        if (
            not done and wanted.get(ref.uid) == target
        ) or ref.uid not in self.app.dashboard.workloads.table.rows:
            wanted.pop(ref.uid, None)
        self._echo(ref.uid)
