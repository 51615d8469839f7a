from __future__ import annotations

import asyncio
from typing import Any

from runtime.objects.clock import ManualClock
from runtime.scheduler.queue import SchedulingQueue


def _pod(name: str, priority: int = 0) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"},
        "spec": {"priority": priority},
    }


FIT = frozenset({"NodeResourcesFit"})


async def test_priority_then_age() -> None:
    clock = ManualClock()
    queue = SchedulingQueue(clock)
    queue.add(_pod("first"))
    await clock.advance(1)
    queue.add(_pod("second"))
    queue.add(_pod("urgent", 10))
    names = []
    while entry := queue.pop():
        names.append(entry.pod["metadata"]["name"])
    assert names == ["urgent", "first", "second"]


async def test_rests_until_something_helpful_happens_then_backs_off() -> None:
    clock = ManualClock()
    queue = SchedulingQueue(clock)

    async def back() -> None:
        while True:
            key = await queue.backoff.get()
            queue.backoff.done(key)
            queue.backoff_over(key)

    task = asyncio.create_task(back())
    queue.add(_pod("a"))
    entry = queue.pop()
    assert entry is not None
    queue.failed(entry, FIT, queue.moves)
    await clock.advance(60)
    assert queue.pop() is None
    queue.moved(frozenset({"InterPodAffinity"}))
    assert queue.pop() is None
    queue.moved(FIT)  # its back-off of one second is long over
    entry = queue.pop()
    assert entry is not None
    assert entry.attempts == 2
    queue.failed(entry, FIT, queue.moves)
    queue.moved()
    assert queue.pop() is None
    await clock.advance(1.9)
    assert queue.pop() is None
    await clock.advance(0.2)
    assert queue.pop() is entry
    task.cancel()


async def test_an_event_during_the_attempt_is_not_missed() -> None:
    clock = ManualClock()
    queue = SchedulingQueue(clock)
    queue.add(_pod("a"))
    entry = queue.pop()
    assert entry is not None
    moves = queue.moves
    queue.moved(FIT)
    queue.failed(entry, FIT, moves)
    assert entry.where == "backoff"


async def test_the_forgotten_are_tried_again_after_five_minutes() -> None:
    clock = ManualClock()
    queue = SchedulingQueue(clock)
    queue.add(_pod("a"))
    entry = queue.pop()
    assert entry is not None
    queue.failed(entry, FIT, queue.moves)
    await clock.advance(299)
    queue.flush_leftover()
    assert queue.pop() is None
    await clock.advance(2)
    queue.flush_leftover()
    assert queue.pop() is entry


async def test_a_removed_pod_never_comes() -> None:
    queue = SchedulingQueue(ManualClock())
    queue.add(_pod("a"))
    queue.remove("ns/a")
    assert queue.pop() is None
    assert len(queue) == 0
