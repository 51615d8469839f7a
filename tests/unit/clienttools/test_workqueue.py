from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.client.workqueue import RateLimiter, ShutDown, TokenBucket, WorkQueue
from runtime.objects.clock import ManualClock


async def test_a_key_is_in_line_once() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_added_while_processed_comes_once_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_getters_wait_and_are_released_by_shut_down() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await first == "a"
    queue.shut_down()
    with pytest.raises(ShutDown):
        await second
    queue.add("b")
    assert len(queue) == 0


async def test_a_cancelled_getter_does_not_swallow_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue(ManualClock())
    first = asyncio.create_task(queue.get())
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 60) == "a"


async def test_delays_keep_the_earlier_moment() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("b", 3)
    queue.add_after("a", 5)
    queue.add_after("a", 60)
    await asyncio.sleep(0)
    await clock.advance(2.9)
    assert len(queue) == 0
    await clock.advance(0.2)
    assert await queue.get() == "b"
    await clock.advance(2)
    assert await queue.get() == "a"
    queue.done("a")
    await clock.advance(100)
    assert len(queue) == 0


async def test_paced_adds_gather() -> None:
    clock = ManualClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    queue.add_paced("a", 1)
    assert await queue.get() == "a"
    for _ in range(50):
        queue.add_paced("a", 1)
    queue.done("a")
    await asyncio.sleep(0)
    await clock.advance(1)
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    await clock.advance(60)
    assert len(queue) == 0


def test_backoff_doubles_up_to_its_maximum() -> None:
    limiter: RateLimiter[str] = RateLimiter(ManualClock())
    waits = [limiter.when("a") for _ in range(20)]
    assert waits[:4] == [0.005, 0.01, 0.02, 0.04]
    assert waits[-1] == 1000.0
    limiter.forget("a")
    assert limiter.when("a") == 0.005


def test_all_keys_share_a_bucket() -> None:
    limiter: RateLimiter[int] = RateLimiter(ManualClock())
    waits = [limiter.when(number) for number in range(120)]
    assert max(waits[:100]) == 0.005
    assert waits[119] == pytest.approx(2.0)


async def test_bucket_refills() -> None:
    clock = ManualClock()
    bucket = TokenBucket(clock, 2, 3)
    assert [bucket.try_take() for _ in range(4)] == [True, True, True, False]
    await clock.advance(1)
    assert [bucket.try_take() for _ in range(3)] == [True, True, False]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3)), max_size=60))
def test_never_one_key_twice_at_once_and_none_lost(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        queue: WorkQueue[int] = WorkQueue(ManualClock())
        working: set[int] = set()
        wanted: set[int] = set()
        for step, key in steps:
            if step == "add":
                queue.add(key)
                wanted.add(key)
            elif step == "get" and len(queue):
                got = await queue.get()
                assert got not in working
                working.add(got)
                wanted.discard(got)
            elif step == "done" and working:
                done = min(working)
                working.discard(done)
                queue.done(done)
        for key in working:
            queue.done(key)
        rest = set()
        while len(queue):
            rest.add(await queue.get())
        assert rest == wanted

    asyncio.run(run())
