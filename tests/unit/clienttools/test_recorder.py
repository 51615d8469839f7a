from __future__ import annotations

import asyncio

from fake_client import FakeClient, thing

from runtime.client.recorder import EventRecorder
from runtime.objects.clock import ManualClock


def _recorder() -> tuple[FakeClient, ManualClock, EventRecorder]:
    client, clock = FakeClient(), ManualClock()
    return client, clock, EventRecorder(client, "kubelet", "node-1", clock=clock)  # type: ignore[arg-type]


async def test_an_event_as_kubernetes_writes_it() -> None:
    client, _, recorder = _recorder()
    recorder.event(thing("web", 7), "Normal", "Pulled", "Image is there", field_path="spec.containers{web}")
    await recorder.flush()
    [event] = client.created
    assert event["metadata"]["name"].startswith("web.")
    int(event["metadata"]["name"].split(".")[1], 16)
    assert event["metadata"]["namespace"] == "ns"
    assert event["involvedObject"] == {
        "kind": "Thing",
        "namespace": "ns",
        "name": "web",
        "uid": "uid-web",
        "apiVersion": "v1",
        "resourceVersion": "7",
        "fieldPath": "spec.containers{web}",
    }
    assert event["source"] == {"component": "kubelet", "host": "node-1"}
    assert event["count"] == 1
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


async def test_the_same_again_is_counted() -> None:
    client, clock, recorder = _recorder()
    recorder.event(thing("web", 7), "Warning", "BackOff", "again")
    await recorder.flush()
    await clock.advance(30)
    recorder.event(thing("web", 8), "Warning", "BackOff", "again")
    await recorder.flush()
    assert len(client.created) == 1
    [(name, body)] = client.patched
    assert name == client.created[0]["metadata"]["name"]
    assert body == {"count": 2, "lastTimestamp": "2026-01-01T00:00:30Z", "message": "again"}


async def test_said_twice_in_one_batch_is_one_write() -> None:
    client, _, recorder = _recorder()
    for _ in range(3):
        recorder.event(thing("web", 7), "Warning", "BackOff", "again")
    await recorder.flush()
    assert [event["count"] for event in client.created] == [3]
    assert client.patched == []


async def test_an_expired_event_is_made_again() -> None:
    client, _, recorder = _recorder()
    recorder.event(thing("web", 7), "Warning", "BackOff", "again")
    await recorder.flush()
    client.missing = True
    recorder.event(thing("web", 7), "Warning", "BackOff", "again")
    await recorder.flush()
    assert [event["count"] for event in client.created] == [1, 2]


async def test_similar_events_are_combined_and_spam_is_thinned() -> None:
    client, clock, recorder = _recorder()
    for number in range(40):
        recorder.event(thing("set", 1), "Normal", "SuccessfulCreate", f"Created pod: set-{number}")
        await recorder.flush()
    assert len(client.created) == 11
    assert client.created[10]["message"] == "(combined from similar events): Created pod: set-10"
    assert len(client.created) + len(client.patched) == 25
    await clock.advance(300)
    recorder.event(thing("set", 1), "Normal", "SuccessfulCreate", "Created pod: set-40")
    await recorder.flush()
    assert client.patched[-1][1]["message"] == "(combined from similar events): Created pod: set-40"
    recorder.event(thing("other", 1), "Normal", "SuccessfulCreate", "Created pod: other-1")
    await recorder.flush()
    assert client.created[-1]["involvedObject"]["name"] == "other"


async def test_stop_writes_what_was_said_and_does_not_wait_for_ever() -> None:
    client, _, recorder = _recorder()
    recorder.event(thing("web", 1), "Normal", "Stopping", "bye")
    await recorder.stop()
    assert [event["reason"] for event in client.created] == ["Stopping"]
    stuck = asyncio.Event()

    async def never(obj: object, namespace: str = "") -> object:
        await stuck.wait()
        return obj

    client.create = never  # type: ignore[assignment, method-assign]
    recorder.event(thing("web", 1), "Normal", "Lost", "nobody listens")
    await asyncio.wait_for(recorder.stop(), 60)
