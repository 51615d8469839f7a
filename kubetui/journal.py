"""What was done from this terminal: the command log, and how to take each change back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubetui.live.client import KubeClient


@dataclass(slots=True)
class Logged:
    """One line of the command log."""

    time: float
    line: str
    result: str
    ok: bool


@dataclass(slots=True)
class UndoStep:
    """How to take one change back: what it was, what will be done, and doing it.

    ``after`` is what the server made of the change; ``look`` says, just before it is taken back, what others have
    changed since and would lose.
    """

    title: str
    preview: list[tuple[str, Any, Any]]
    line: str
    run: Callable[[KubeClient], Awaitable[object]]
    look: Callable[[KubeClient], Awaitable[list[str]]] | None = None
    after: dict[str, Any] | None = None
