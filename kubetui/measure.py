"""Measuring use only while somebody looks: starts and stops the reader of ``metrics.k8s.io``, keeps what it read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubetui.live.usage import GROUP, UsageBook, UsageReader

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp
    from kubetui.connection import Background
    from kubetui.live.objects import Obj


class Measuring:
    """The app's measurements of one cluster."""

    def __init__(self, app: KubetuiApp) -> None:
        self._app = app
        self._job: Background | None = None
        self._number = 0
        self._namespaces: tuple[str, ...] = ()
        self.book = UsageBook()

    @property
    def served(self) -> bool:
        """Whether this cluster measures at all."""
        catalog = self._app.catalog
        return catalog is not None and any(t.group == GROUP and t.resource == "pods" for t in catalog.types)

    def tick(self) -> None:
        """Once a second: read while something that shows use is on the screen (a dialog over it does not count)."""
        from kubetui.screens.base import KeyScreen

        screen = next((s for s in reversed(self._app.screen_stack) if isinstance(s, KeyScreen)), None)
        wanted = screen is not None and screen.shows_usage()
        own = screen.shown_namespaces() if screen is not None else None
        namespaces = self._app.namespaces if own is None else own
        if self._job is not None and self._namespaces != namespaces:
            self._stop()
        if wanted and self._job is None and self.served:
            self._number += 1
            number = self._number
            self._namespaces = namespaces

            def publish(pods: list[Obj], nodes: list[Obj], refused: str) -> None:
                self._app.call_soon(lambda: self._take(number, pods, nodes, refused))

            self._job = self._app.start_background(UsageReader(publish, self._namespaces).run)
        elif not wanted:
            self._stop()

    def _stop(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def _take(self, number: int, pods: list[Obj], nodes: list[Obj], refused: str) -> None:
        if number == self._number:  # not from a cluster that was left meanwhile
            from kubetui.screens.base import KeyScreen

            changed = self.book.take(pods, nodes)
            self._app.dashboard.show_usage(changed, refused)
            for screen in self._app.screen_stack:
                if isinstance(screen, KeyScreen):
                    screen.usage_changed(changed)

    def forget(self) -> None:
        """Another cluster."""
        self._stop()
        self._number += 1
        self.book = UsageBook()
