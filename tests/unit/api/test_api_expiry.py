from __future__ import annotations

from runtime.api.expiry import last_seen


def _event(name: str, **more) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "type": "Normal",
        **more,
    }


async def test_events_go_an_hour_after_they_were_last_seen(plane) -> None:
    await plane.client.create(_event("old"))
    await plane.client.create(_event("seen", lastTimestamp="2026-01-01T00:50:00Z"))
    await plane.clock.advance(3000)
    await plane.client.create(_event("new"))
    assert plane.api.expiry.sweep() == 0
    await plane.clock.advance(601)
    watch = plane.client.watch("events", resource_version=str(plane.store.revision))
    assert plane.api.expiry.sweep() == 1
    assert [(kind, obj["metadata"]["name"]) for kind, obj in await watch.next()] == [("DELETED", "old")]
    watch.close()
    left = await plane.client.list("events", "default")
    assert [obj["metadata"]["name"] for obj in left.items] == ["new", "seen"]
    await plane.clock.advance(3600)
    assert plane.api.expiry.sweep() == 2


def test_the_newest_moment_counts() -> None:
    event = _event(
        "e",
        eventTime="2026-01-01T00:00:00.500000Z",
        series={"lastObservedTime": "2026-01-01T02:00:00.000001Z"},
    )
    assert last_seen(event) == "2026-01-01T02:00:00.000001Z"
