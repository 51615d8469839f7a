from __future__ import annotations

import asyncio

from fake_client import FakeClient, StatusError, thing

from runtime.client.informer import Delta, Informer, InformerFactory
from runtime.objects.clock import ManualClock


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def _names(deltas: list[Delta]) -> list[tuple[str, str]]:
    kinds = {(True, False): "add", (False, False): "update", (False, True): "delete"}
    return [(kinds[(d.old is None, d.new is None)], d.obj["metadata"]["name"]) for d in deltas]


async def test_follows_and_indexes() -> None:
    client = FakeClient()
    client.items = [thing("a", 1, metadata={"labels": {"color": "red"}}), thing("b", 2, "other")]
    informer = Informer(client, "things", ManualClock())  # type: ignore[arg-type]
    informer.add_index("color", lambda obj: [obj["metadata"].get("labels", {}).get("color", "none")])
    seen: list[Delta] = []
    informer.add_handler(seen.extend)
    informer.start()
    await informer.wait_for_sync()
    assert _names(seen) == [("add", "a"), ("add", "b")]
    assert [o["metadata"]["name"] for o in informer.list("other")] == ["b"]
    assert informer.by_index("color", "red") == [client.items[0]]

    await _settle()
    changed = thing("a", 3, metadata={"labels": {"color": "blue"}})
    client.watches[0].queue.put_nowait(
        [("MODIFIED", changed), ("ADDED", thing("c", 4)), ("DELETED", thing("b", 5, "other"))]
    )
    await _settle()
    assert _names(seen[2:]) == [("update", "a"), ("add", "c"), ("delete", "b")]
    assert informer.get("ns/a") is changed
    assert informer.by_index("color", "red") == []
    assert informer.by_index("color", "blue") == [changed]
    assert informer.list("other") == []
    assert informer.version == "5"
    await informer.stop()
    assert client.watches[0].closed


async def test_lists_again_after_410_and_tells_the_difference() -> None:
    client, clock = FakeClient(), ManualClock()
    client.items = [thing("a", 1), thing("b", 2)]
    informer = Informer(client, "things", clock)  # type: ignore[arg-type]
    seen: list[Delta] = []
    informer.add_handler(seen.extend)
    informer.start()
    await _settle()
    replaced = thing("a", 9)
    replaced["metadata"]["uid"] = "another"
    client.items = [replaced, thing("c", 8)]
    client.watches[0].queue.put_nowait(StatusError(410, "Expired", "too old"))
    await _settle()
    await clock.advance(5)
    assert client.lists == 2
    assert sorted(_names(seen[2:])) == [("add", "a"), ("add", "c"), ("delete", "a"), ("delete", "b")]
    await informer.stop()


async def test_late_handlers_get_what_is_there_and_a_broken_one_harms_nobody() -> None:
    client = FakeClient()
    client.items = [thing("a", 1)]
    factory = InformerFactory(client, ManualClock())  # type: ignore[arg-type]
    informer = factory.informer("things")
    assert factory.informer("things") is informer

    def broken(deltas: object) -> None:
        raise ValueError("boom")

    informer.add_handler(broken)
    factory.start()
    await factory.wait_for_sync()
    seen: list[Delta] = []
    informer.add_handler(seen.extend)
    assert _names(seen) == [("add", "a")]
    await _settle()
    client.watches[0].queue.put_nowait([("ADDED", thing("b", 2))])
    await _settle()
    assert len(seen) == 2
    await factory.stop()
