"""Requests that take too long end, one timer looks after all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runtime.api.http.deadline import Deadlines


@pytest.fixture
async def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the loop's clock, which stands still otherwise."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)

    def move(seconds: float) -> None:
        nonlocal now
        now += seconds

    return move


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def begun(deadlines: Deadlines, done: asyncio.Event) -> asyncio.Task[str]:
    async def request() -> str:
        with deadlines.within():
            await done.wait()
        return "answered"

    task = asyncio.create_task(request())
    await turns()
    return task


async def test_each_may_take_as_long_from_its_own_beginning(advance: Callable[[float], None]) -> None:
    deadlines, never = Deadlines(60), asyncio.Event()
    first = await begun(deadlines, never)
    advance(40)
    second = await begun(deadlines, never)
    advance(19)
    await turns()
    assert not first.done() and not second.done()
    advance(1.5)
    await turns()
    assert isinstance(first.exception(), TimeoutError) and not second.done()
    advance(40)
    await turns()
    assert isinstance(second.exception(), TimeoutError)


async def test_what_was_done_in_time_is_left_alone(advance: Callable[[float], None]) -> None:
    deadlines, done = Deadlines(60), asyncio.Event()
    first = await begun(deadlines, done)
    done.set()
    assert await first == "answered"
    advance(30)
    second = await begun(deadlines, asyncio.Event())
    advance(31)
    await turns()
    assert not second.done()
    advance(30)
    await turns()
    assert isinstance(second.exception(), TimeoutError)
    third = await begun(deadlines, done)
    assert await third == "answered"


async def test_a_request_that_ends_late_after_all_is_still_late(advance: Callable[[float], None]) -> None:
    deadlines = Deadlines(60)

    async def request() -> None:
        with deadlines.within():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ValueError from None

    task = asyncio.create_task(request())
    await turns()
    advance(61)
    await turns()
    assert isinstance(task.exception(), ValueError) and task.cancelling() == 0


async def test_who_is_cancelled_by_others_is_cancelled(advance: Callable[[float], None]) -> None:
    deadlines = Deadlines(60)
    task = await begun(deadlines, asyncio.Event())
    task.cancel()
    await turns()
    assert task.cancelled()
    late = await begun(deadlines, asyncio.Event())
    late.cancel()
    advance(61)
    await turns()
    assert late.cancelled()
