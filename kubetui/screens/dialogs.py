"""Small questions over the screen: confirm, type a name, enter a value, choose one of many."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.strip import Strip
from textual.widgets import Input, Static

from kubetui.live.lines import Line
from kubetui.live.text import clean, fit, fuzzy
from kubetui.screens.base import Question
from kubetui.widgets.lines import LinesView
from kubetui.widgets.viewport import Viewport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """One thing to choose. ``keywords`` are matched beside the label."""

    label: str
    value: T
    detail: str = ""
    keywords: str = ""
    style: str = "text"
    key: str = ""


class ChoiceList(Viewport, Generic[T]):
    """Choices, filtered by a fuzzy text; the cursor moves while the input keeps the focus."""

    can_focus = False

    def __init__(self, choices: Sequence[Choice[T]], *, limit: int = 24, id: str | None = None) -> None:
        super().__init__(id=id)
        self.all = list(choices)
        self.limit = limit
        self.shown: list[tuple[Choice[T], tuple[int, ...]]] = [(c, ()) for c in self.all]
        self.index = 0
        self.moved = False  # whether the cursor was put where it is, rather than on what matches best
        self.marks: set[int] = set()

    @property
    def current(self) -> Choice[T] | None:
        """The choice under the cursor."""
        return self.shown[self.index][0] if self.index < len(self.shown) else None

    def set_choices(self, choices: Sequence[Choice[T]], text: str = "") -> None:
        """Replace all."""
        self.all = list(choices)
        self.narrow(text)

    def update_choices(self, choices: Sequence[Choice[T]]) -> None:
        """Other choices for the same text: the cursor stays where it was put, else it is on the best."""
        if list(choices) == self.all:
            return
        before, row = (self.current, self.index - self.top) if self.moved else (None, 0)
        self.set_choices(choices)
        if before is not None:
            at = next((i for i, (c, _) in enumerate(self.shown) if c.value == before.value), None)
            if at is not None:
                self.index, self.top, self.moved = at, max(0, at - row), True

    def narrow(self, text: str) -> None:
        """Show what matches, best first."""
        if not text.strip():
            self.shown = [(c, ()) for c in self.all]
        else:
            scored: list[tuple[int, int, Choice[T], tuple[int, ...]]] = []
            for index, choice in enumerate(self.all):
                found = fuzzy(text, choice.label)
                if found is None and choice.keywords:
                    hidden = fuzzy(text, choice.keywords)
                    found = (hidden[0] - 400, ()) if hidden is not None else None
                if found is not None:
                    scored.append((-found[0], index, choice, found[1]))
            scored.sort(key=lambda s: s[:2])
            self.shown = [(c, hits) for _, _, c, hits in scored]
        self.index = 0
        self.top = 0
        self.moved = False
        self.refresh(layout=True)

    def move(self, delta: int) -> None:
        """Move the cursor."""
        if self.shown:
            self.moved = True
            self.index = max(0, min(len(self.shown) - 1, self.index + delta))
            height = max(1, self.body_height)
            if self.index < self.top:
                self.top = self.index
            elif self.index >= self.top + height:
                self.top = self.index - height + 1
            self.refresh()

    def line_total(self) -> int:
        """Choices shown."""
        return max(1, len(self.shown))

    def get_content_height(self, container: Any, viewport: Any, width: int) -> int:
        """As many as there are, up to the limit."""
        return max(1, min(self.limit, len(self.shown)))

    def paint(self, y: int, width: int) -> Strip:
        """One choice with its matched letters and its detail on the right."""
        colors = self.palette
        index = self.top + y
        if index >= len(self.shown):
            return Strip([Segment("  nothing matches", colors["dim"])]) if index == 0 else Strip.blank(width)
        choice, hits = self.shown[index]
        back = colors.cursor if index == self.index else Style()
        marked = id(choice) in self.marks
        lead = "▪ " if marked else "▌ " if index == self.index else "  "
        segments = [Segment(lead, colors["key" if marked else "accent"] + back)]
        label = clean(choice.label)
        detail = clean(choice.detail)
        room = max(8, width - 2 - (len(detail) + 2 if detail else 0))
        shown = fit(label, min(max(len(label), 1), room)).rstrip()
        faint = index == self.index and choice.style in ("dim", "faint")  # unreadable on the cursor's colour
        plain = colors["text" if faint else choice.style]
        for position, character in enumerate(shown):
            style = colors["key"] if position in hits else plain
            segments.append(Segment(character, style + back))
        gap = width - 2 - Strip(segments[1:]).cell_length - len(detail) - 1
        if gap < 1:
            detail = fit(detail, max(0, len(detail) + gap - 1)).rstrip()
            gap = 1
        segments += [Segment(" " * gap, back), Segment(detail, colors["dim"] + back)]
        return Strip(segments).adjust_cell_length(width, back)

    def on_click(self, event: events.Click) -> None:
        """Choose by mouse."""
        index = self.top + event.y
        if index < len(self.shown) and not self.on_bar(event):
            self.index = index
            self.moved = True
            self.refresh()
            screen = self.screen
            if isinstance(screen, Picker | Confirm):
                screen.accept()


class Dialog(Question[T], Generic[T]):
    """Base: a box in the middle, escape leaves with None."""

    def __init__(
        self, title: str, body: str = "", hint: str = "⏎ ok   esc cancel", *, danger: bool = False
    ) -> None:
        super().__init__(classes="-danger" if danger else "")
        self.title_text = title
        self.body_text = body
        self.hint_text = hint

    def compose_content(self) -> ComposeResult:
        """Between body and hint."""
        yield from ()

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="box"):
            yield Static(self.title_text, id="title", markup=False)
            if self.body_text:
                yield Static(self.body_text, id="body", markup=False)
            yield from self.compose_content()
            yield Static("", id="error", markup=False)
            yield Static(self.hint_text, id="hint", markup=False)

    def show_error(self, text: str) -> None:
        """Say what is wrong with the input."""
        error = self.query_one("#error", Static)
        error.update(text)
        error.display = bool(text)

    def accept(self) -> None:
        """Enter."""

    def on_key(self, event: events.Key) -> None:
        """Escape and enter."""
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.dismiss(None)
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self.accept()


class Confirm(Dialog[str]):
    """Ask before something happens. The result is the value of the choice, or None.

    With ``type_name`` the choice is only taken once that name has been typed.
    """

    def __init__(
        self,
        title: str,
        body: str = "",
        choices: Sequence[Choice[str]] = (),
        *,
        lines: Sequence[Line] = (),
        type_name: str = "",
        danger: bool = False,
    ) -> None:
        hint = "⏎ yes   esc no" if not choices else "↑↓ choose   ⏎ do it   esc no"
        super().__init__(title, body, hint, danger=danger)
        self.choices = list(choices) or [Choice("Yes", "yes")]
        self.ask = bool(choices)
        self.lines = list(lines)
        self.type_name = type_name

    def compose_content(self) -> ComposeResult:
        """What will happen, the choices, the name to type."""
        if self.lines:
            yield LinesView(self.lines, id="lines")
        if self.ask:
            yield ChoiceList(self.choices, id="choices")
        if self.type_name:
            yield Static(f"\nType {self.type_name} to go on:", markup=False)
            yield Input(id="name")

    def on_mount(self) -> None:
        """Focus what is typed."""
        if self.type_name:
            self.query_one("#name", Input).focus()
        elif self.lines:
            self.query_one("#lines", LinesView).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter inside of the input."""
        event.stop()
        self.accept()

    def accept(self) -> None:
        """Take the choice."""
        if self.type_name and self.query_one("#name", Input).value.strip() != self.type_name:
            self.show_error(f"That is not {self.type_name}.")
            return
        if self.ask:
            choice = self.query_one("#choices", ChoiceList).current
            self.dismiss(choice.value if choice else None)
        else:
            self.dismiss(self.choices[0].value)

    def on_key(self, event: events.Key) -> None:
        """Arrows choose, y says yes, n says no."""
        if self.ask and event.key in ("up", "down", "tab"):
            event.stop()
            event.prevent_default()
            self.query_one("#choices", ChoiceList).move(-1 if event.key == "up" else 1)
        elif not self.type_name and event.key in ("y", "n"):
            event.stop()
            if event.key == "y":
                self.accept()
            else:
                self.dismiss(None)
        elif self.lines and event.key in ("up", "down", "pageup", "pagedown"):
            event.stop()
            self.query_one("#lines", LinesView).scroll_lines(
                {"up": -1, "down": 1, "pageup": -10, "pagedown": 10}[event.key]
            )
        else:
            super().on_key(event)


class Prompt(Dialog[str]):
    """Ask for a value; ``check`` returns what is wrong with it, or an empty text."""

    def __init__(
        self, title: str, value: str, body: str = "", check: Callable[[str], str] | None = None
    ) -> None:
        super().__init__(title, body)
        self.value = value
        self.check = check

    def compose_content(self) -> ComposeResult:
        """One input."""
        yield Input(self.value, id="value")

    def on_mount(self) -> None:
        """The value is selected: typing replaces it."""
        field_ = self.query_one("#value", Input)
        field_.focus()
        field_.action_select_all()

    def on_input_changed(self, event: Input.Changed) -> None:
        """A new try."""
        self.show_error("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter inside of the input."""
        event.stop()
        self.accept()

    def accept(self) -> None:
        """Check and take it."""
        value = self.query_one("#value", Input).value.strip()
        problem = self.check(value) if self.check is not None else ""
        if problem:
            self.show_error(problem)
        else:
            self.dismiss(value)


@dataclass(slots=True)
class Picked(Generic[T]):
    """What a picker was left with: the marked or current values, the typed text, whether the cursor was moved."""

    values: list[T] = field(default_factory=list)
    text: str = ""
    moved: bool = False


class Picker(Question["Picked[Any] | None"]):
    """Choose from a list by typing a part of the name.

    ``suggest`` may replace the list as one types, and again once ``revision``, what it is made from, has changed.
    """

    def __init__(
        self,
        title: str,
        choices: Iterable[Choice[Any]],
        *,
        many: bool = False,
        hint: str = "",
        placeholder: str = "type to narrow",
        suggest: Callable[[str], Sequence[Choice[Any]] | None] | None = None,
        revision: Callable[[], Hashable] = lambda: None,
        free_text: bool = False,
    ) -> None:
        super().__init__()
        self.title_text = title
        self.many = many
        self.hint_text = hint or (
            "space marks several   ⏎ choose   esc leave" if many else "⏎ choose   esc leave"
        )
        self.placeholder = placeholder
        self.suggest = suggest
        self.revision = revision
        self.free_text = free_text
        self._revision = revision()
        self.list: ChoiceList[Any] = ChoiceList(list(choices), id="choices")
        self.input = _NarrowInput(self, placeholder)

    def compose(self) -> ComposeResult:
        """Title, input, list."""
        with Vertical(id="box"):
            yield Static(self.title_text, id="title", markup=False)
            yield self.input
            yield self.list
            yield Static(self.hint_text, id="hint", markup=False)

    def on_mount(self) -> None:
        """Type at once."""
        self.input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow."""
        event.stop()
        if self.suggest is not None:
            replaced = self.suggest(event.value)
            if replaced is not None:
                self.list.set_choices(replaced, "")
                return
        self.list.narrow(event.value)

    def look_again(self) -> None:
        """Something has changed: perhaps what there is to choose from."""
        now = self.revision()
        if now == self._revision or self.suggest is None or not self.is_mounted:
            return
        self._revision = now
        choices = self.suggest(self.input.value)
        if choices is not None:
            self.list.update_choices(choices)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter inside of the input."""
        event.stop()
        self.accept()

    def accept(self) -> None:
        """Leave with what is marked or under the cursor."""
        marked = [c.value for c in self.list.all if id(c) in self.list.marks]
        current = self.list.current
        values = marked or ([current.value] if current is not None else [])
        if values or self.free_text:
            self.dismiss(Picked(values, self.input.value.strip(), self.list.moved))

    def on_key(self, event: events.Key) -> None:
        """Moving and marking while the input has the focus."""
        moves = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "tab": 1, "shift+tab": -1}
        if event.key in moves:
            event.stop()
            event.prevent_default()
            self.list.move(moves[event.key])
        elif event.key == "escape":
            event.stop()
            event.prevent_default()
            self.dismiss(None)
        elif event.key == "enter":
            event.stop()
            self.accept()
        elif event.is_printable and event.character and self.focused is not self.input:
            event.stop()  # typed before the input was ready
            self.input.insert_text_at_cursor(event.character)

    def mark(self) -> None:
        """Mark the choice under the cursor and go to the next."""
        choice = self.list.current
        if choice is not None:
            self.list.marks ^= {id(choice)}
            self.list.move(1)


class _NarrowInput(Input):
    """The picker's input: where several can be chosen, space marks instead of being typed."""

    def __init__(self, picker: Picker, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, id="narrow")
        self._picker = picker

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "space" and self._picker.many:
            event.stop()
            event.prevent_default()
            self._picker.mark()
            return
        await super()._on_key(event)
