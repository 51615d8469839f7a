"""What all full screens share: keys through the registry, a key bar, a line of input that opens at the bottom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from kubetui.context import Ref
from kubetui.widgets.chrome import Header, KeyBar
from kubetui.widgets.soon import soon
from kubetui.widgets.viewport import Viewport

if TYPE_CHECKING:
    from kubetui.app import KubetuiApp

T = TypeVar("T")
LOOK_AGAIN_SECONDS = 0.02


class InputLine(Horizontal):
    """One line of input: live while typed, kept with enter, taken back with escape."""

    def __init__(self) -> None:
        super().__init__(id="input-line")
        self._label = Static("", id="input-label", markup=False)
        self._input = Input(id="input-text", compact=True)
        self._changed: Callable[[str], None] | None = None
        self._done: Callable[[str | None], None] | None = None

    def compose(self) -> ComposeResult:
        """Label and input."""
        yield self._label
        yield self._input

    def open(
        self,
        label: str,
        value: str,
        changed: Callable[[str], None] | None,
        done: Callable[[str | None], None],
    ) -> None:
        """Show it; ``done`` gets the text, or None for escape."""
        self._label.update(label)
        self._changed = None
        self._input.value = value
        self._input.cursor_position = len(value)
        self.add_class("-open")
        self.screen.set_focus(self._input)
        self._changed, self._done = changed, done

    def close(self, value: str | None) -> None:
        """Hide it and say what was typed."""
        done, self._done, self._changed = self._done, None, None
        self.remove_class("-open")
        if done is not None:
            done(value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Live."""
        event.stop()
        if self._changed is not None:
            self._changed(event.value)

    def on_key(self, event: events.Key) -> None:
        """Escape takes it back, enter and the way out keep it; the rest is the input's own."""
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.close(None)
        elif event.key in ("enter", "down", "tab"):
            event.stop()
            event.prevent_default()
            self.close(self._input.value)


class PatientScreen(Screen[T], Generic[T]):
    """A screen that paints no faster than its terminal takes it: over a slow line one frame stands for many."""

    _paints_later = False

    def _compositor_refresh(self) -> None:
        """Textual's own, once there is room; until then what has to be painted adds up there."""
        if not getattr(self.app._driver, "congested", False):
            super()._compositor_refresh()
        elif not self._paints_later:
            self._paints_later = True
            soon(self, LOOK_AGAIN_SECONDS, self._paint_now)

    def _paint_now(self) -> None:
        self._paints_later = False
        if self.is_attached:
            self._compositor_refresh()


class KeyScreen(PatientScreen[None]):
    """A full screen. ``PLACES`` name it for the registry, from most to least specific."""

    PLACES: tuple[str, ...] = ()
    TITLE_TEXT = ""

    app: KubetuiApp

    def __init__(self) -> None:
        super().__init__()
        self.header = Header(id="header")
        self.keybar = KeyBar(id="keybar")
        self.input_line = InputLine()

    def compose_body(self) -> ComposeResult:
        """The content between header and key bar."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Header, content, input, keys."""
        yield self.header
        yield from self.compose_body()
        yield self.input_line
        yield self.keybar

    def places(self) -> list[str]:
        """Where a key is being pressed."""
        return list(self.PLACES)

    def refs(self) -> list[Ref]:
        """What it works on."""
        return []

    def view(self) -> Viewport | None:
        """The widget that moves."""
        focused = self.focused
        return focused if isinstance(focused, Viewport) else None

    def after_pump(self) -> None:
        """New data has arrived."""

    def tick(self) -> None:
        """Once a second."""

    def shows_usage(self) -> bool:
        """Whether CPU and memory are on the screen, so that they have to be measured."""
        return False

    def usage_changed(self, changed: set[tuple[str, str]]) -> None:
        """CPU and memory of these pods (namespace, name), and of all nodes, have been measured anew."""

    def again(self) -> Callable[[], KeyScreen] | None:
        """How to open this screen once more after it was left, where that makes sense."""
        return None

    def shown_namespaces(self) -> tuple[str, ...] | None:
        """Where it shows something other than the chosen namespaces: which (none: all of them)."""
        return None

    def namespaces_changed(self) -> None:
        """Other namespaces were chosen."""

    def leave(self) -> None:
        """The screen is being left: stop watching."""

    async def on_key(self, event: events.Key) -> None:
        """Every key that no input wanted."""
        if self.input_line.has_class("-open"):
            return
        if await self.app.press(event.key, event.character):
            event.stop()
            event.prevent_default()

    def on_screen_resume(self) -> None:
        """Back on top."""
        self.app.refresh_chrome()

    def on_key_bar_pressed(self, event: KeyBar.Pressed) -> None:
        """A key of the bar was clicked."""
        self.app.run_action_soon(event.action)

    def on_header_errors_clicked(self) -> None:
        """The error count was clicked."""
        self.app.run_action_soon("first-error")

    def ask_line(
        self,
        label: str,
        value: str,
        changed: Callable[[str], None] | None,
        done: Callable[[str | None], None],
    ) -> None:
        """Open the input line; focus returns to where it was."""
        before = self.focused

        def finished(text: str | None) -> None:
            if before is not None and before.is_mounted:
                before.focus()
            done(text)
            self.app.refresh_chrome()

        self.input_line.open(label, value, changed, finished)


class Question(PatientScreen[T], ModalScreen[T], Generic[T]):
    """A dialog over a screen."""

    def look_again(self) -> None:
        """The cluster, the connection or the configuration has changed: perhaps what the dialog shows."""
