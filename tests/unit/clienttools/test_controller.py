from __future__ import annotations

import asyncio

from runtime.client.controller import Controller
from runtime.objects.clock import ManualClock
from runtime.objects.errors import stale


class _Counting(Controller):
    name = "counting"
    workers = 3

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.calls: list[str] = []
        self.failures: list[Exception] = []
        self.again: float | None = None

    async def sync(self, key: str) -> float | None:
        self.calls.append(key)
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return self.again


async def test_failures_are_retried_with_backoff_and_end_nothing() -> None:
    clock = ManualClock()
    controller = _Counting(clock)
    controller.failures = [ValueError("broken"), stale("pods", "a"), RuntimeError("again")]
    await controller.start()
    controller.queue.add("a")
    await clock.advance(0.0)
    assert controller.calls == ["a"]
    await clock.advance(0.005)
    assert controller.calls == ["a"] * 2
    await clock.advance(0.01)
    assert controller.calls == ["a"] * 3
    await clock.advance(0.02)
    assert controller.calls == ["a"] * 4
    await clock.advance(100)
    assert len(controller.calls) == 4
    await controller.stop()


async def test_a_sync_may_ask_to_be_called_again() -> None:
    clock = ManualClock()
    controller = _Counting(clock)
    controller.again = 30
    await controller.start()
    controller.queue.add("a")
    await clock.advance(0)
    await clock.advance(29)
    assert len(controller.calls) == 1
    await clock.advance(1.1)
    assert len(controller.calls) == 2
    await controller.stop()


async def test_rounds_survive_failures() -> None:
    clock = ManualClock()
    controller = _Counting(clock)
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(1)
        raise ValueError("broken")

    controller.every(10, work)
    await clock.advance(0)
    await clock.advance(25)
    assert len(rounds) == 3
    await controller.stop()
