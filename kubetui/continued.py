"""Going on with a coroutine whose first step was taken at once, outside of any task."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any


async def go_on(work: Coroutine[Any, Any, Any], waiting: Any) -> Any:
    """Continue a coroutine whose first step has been taken and yielded ``waiting``."""
    return await _Continued(work, waiting)


class _Continued:
    def __init__(self, work: Coroutine[Any, Any, Any], waiting: Any) -> None:
        self._work, self._waiting = work, waiting

    def __await__(self) -> Generator[Any, Any, Any]:
        waiting = self._waiting
        while True:
            try:
                value = yield waiting
            except BaseException as error:
                step: Callable[[], Any] = partial(self._work.throw, error)
            else:
                step = partial(self._work.send, value)
            try:
                waiting = step()
            except StopIteration as stop:
                return stop.value
