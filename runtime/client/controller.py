"""The loop that every controller shares: take a key, sync it, retry what failed, never give up.

A controller is ``sync(key)``: read the desired, read the observed, take one step, write status last. What goes
wrong in one sync is logged and tried again with back-off; a write conflict is retried without a word, because
the newer object is on its way through the informer.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from runtime.objects.clock import Clock
from runtime.objects.errors import StatusError

from .workqueue import ShutDown, WorkQueue

log = logging.getLogger(__name__)

SLICE = 0.005
"""Seconds a worker may go from key to key before it lets the rest of the loop run."""


class Controller(ABC):
    """Workers around a :class:`WorkQueue`. Subclasses set ``name`` and write :meth:`sync`."""

    name = "controller"
    workers = 2

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.queue: WorkQueue[str] = WorkQueue(clock)
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def sync(self, key: str) -> float | None:
        """Bring the world one step nearer to what the object ``key`` asks for.

        Returns:
            Seconds after which the key must be looked at again, or None.
        """

    async def start(self) -> None:
        """Start the workers. Informers are expected to have synced."""
        for _ in range(self.workers):
            self.spawn(self._work())

    async def stop(self) -> None:
        """Cancel every task this controller started and wait for their end."""
        self.queue.shut_down()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` as a task of this controller's; it ends with :meth:`stop`."""
        task = asyncio.get_running_loop().create_task(work, name=f"controller {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Call ``work`` now and then every ``seconds``; failures are logged and do not end it."""

        async def loop() -> None:
            while True:
                try:
                    await work()
                except StatusError as error:
                    log.warning("%s: %s", self.name, error.message)
                except Exception:
                    log.exception("%s", self.name)
                await self.clock.sleep(seconds)

        self.spawn(loop())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            if not len(self.queue):
                started = -1.0
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            now = loop.time()
            if started < 0:
                started = now
            elif now - started > SLICE:
                await asyncio.sleep(0)
                started = loop.time()
            await self.process(key)

    async def process(self, key: str) -> None:
        """Sync one key that was taken from the queue, and settle what becomes of it."""
        try:
            again = await self.sync(key)
        except asyncio.CancelledError:
            raise
        except StatusError as error:
            # 409: the object changed meanwhile; 404: it (or its namespace) went away meanwhile
            level = logging.DEBUG if error.code in (404, 409) else logging.WARNING
            log.log(level, "%s %s: %s", self.name, key, error.message)
            self.queue.add_rate_limited(key)
        except Exception:
            log.exception("%s %s", self.name, key)
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if again is not None:
                self.queue.add_after(key, again)
        finally:
            self.queue.done(key)
