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
    changed since and would lose. ``act`` is the press that it came of: what one press does to many objects is taken
    back together.
    """

    title: str
    preview: list[tuple[str, Any, Any]]
    line: str
    run: Callable[[KubeClient], Awaitable[object]]
    look: Callable[[KubeClient], Awaitable[list[str]]] | None = None
    after: dict[str, Any] | None = None
    act: object = None


class UndoStack:
    """The changes that can be taken back, the last first."""

    def __init__(self, acts: int = 50) -> None:
        self._acts = acts
        self._steps: list[UndoStep] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def push(self, step: UndoStep) -> None:
        """Remember a change, and forget what came of the oldest act when there are too many."""
        self._steps.append(step)
        if len(self._steps) > self._acts:
            acts = list(dict.fromkeys(map(_act, self._steps)))
            kept = set(acts[-self._acts :])
            self._steps = [one for one in self._steps if _act(one) in kept]

    def last(self) -> list[UndoStep]:
        """What the last act changed, in its order."""
        return [one for one in self._steps if _act(one) == _act(self._steps[-1])]

    def remove(self, step: UndoStep) -> None:
        """Forget a change; no error when it is forgotten already."""
        self._steps = [one for one in self._steps if one is not step]

    def clear(self) -> None:
        """Forget all."""
        self._steps.clear()


def _act(step: UndoStep) -> int:
    return id(step if step.act is None else step.act)
