"""Fan-out of runtime events: several kubelets may listen, none may hold up the others.

Events are hints. A listener that is too slow loses what it did not take and is told so with one ``lost`` event,
which makes it look at everything again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from .interface import RuntimeEvent

_LIMIT = 65_536


class _Subscriber:
    def __init__(self) -> None:
        self.waiting: deque[RuntimeEvent] = deque()
        self.wake: asyncio.Future[None] | None = None


class Subscribers:
    """Everybody who listens to one runtime; used from one event loop."""

    def __init__(self) -> None:
        self._all: list[_Subscriber] = []

    def publish(self, event: RuntimeEvent) -> None:
        """Hand an event to every listener; never waits."""
        for one in self._all:
            if len(one.waiting) >= _LIMIT:
                one.waiting.clear()
                event = RuntimeEvent("lost")
            one.waiting.append(event)
            if one.wake is not None and not one.wake.done():
                one.wake.set_result(None)

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """A listener's own stream; what is published from this call on is in it."""
        subscriber = _Subscriber()
        self._all.append(subscriber)
        return self._iterate(subscriber)

    async def _iterate(self, subscriber: _Subscriber) -> AsyncIterator[RuntimeEvent]:
        try:
            while True:
                while subscriber.waiting:
                    yield subscriber.waiting.popleft()
                subscriber.wake = asyncio.get_running_loop().create_future()
                await subscriber.wake
        finally:
            self._all.remove(subscriber)
