from __future__ import annotations

import asyncio
import base64

import orjson
import pytest
from planes import config_map, pod

from runtime.api.context import ListOptions, WatchOptions
from runtime.objects.errors import StatusError


async def _fill(plane, count: int, namespace: str = "default") -> None:
    await asyncio.gather(
        *(
            plane.client.create(config_map(f"c{i:03}", labels={"n": str(i % 3)}), namespace)
            for i in range(count)
        )
    )


def _names(batch) -> list[tuple[str, str]]:
    return [(kind, record.obj["metadata"].get("name", "")) for kind, record in batch]


async def test_pages_show_the_first_pages_moment(plane) -> None:
    await plane.namespace("other")
    await _fill(plane, 7)
    await _fill(plane, 4, "other")
    resource = plane.resource("configmaps")
    first = await plane.api.list(plane.ctx(), resource, "", ListOptions(limit=4))
    assert first.remaining == 7 and first.version == plane.store.revision
    token = orjson.loads(base64.urlsafe_b64decode(first.continue_ + "=" * (-len(first.continue_) % 4)))
    assert token == {"v": "meta.k8s.io/v1", "rv": first.version, "start": "default/c003\0"}
    await plane.client.delete("configmaps", "c005", "default")
    await plane.client.create(config_map("c0045"), "default")
    await plane.client.patch("configmaps", "c006", "default", {"data": {"new": "yes"}})
    seen = [record.key[1:] for record in first.records]
    page = first
    while page.continue_:
        page = await plane.api.list(plane.ctx(), resource, "", ListOptions(limit=4, continue_=page.continue_))
        assert page.version == first.version
        assert all("data" not in record.obj or "new" not in record.obj["data"] for record in page.records)
        seen += [record.key[1:] for record in page.records]
    assert seen == [("default", f"c{i:03}") for i in range(7)] + [("other", f"c{i:03}") for i in range(4)]
    assert page.remaining is None


async def test_a_selector_leaves_the_remaining_count_out(plane) -> None:
    await _fill(plane, 9)
    options = ListOptions(limit=2, label_selector="n=0")
    page = await plane.api.list(plane.ctx(), plane.resource("configmaps"), "default", options)
    assert (
        [r.key.name for r in page.records] == ["c000", "c003"] and page.remaining is None and page.continue_
    )
    rest = await plane.api.list(
        plane.ctx(),
        plane.resource("configmaps"),
        "default",
        ListOptions(limit=2, label_selector="n=0", continue_=page.continue_),
    )
    assert [r.key.name for r in rest.records] == ["c006"] and not rest.continue_


async def test_an_old_token_is_410_and_carries_one_that_works(plane, monkeypatch) -> None:
    await _fill(plane, 5)
    resource = plane.resource("configmaps")
    first = await plane.api.list(plane.ctx(), resource, "default", ListOptions(limit=2))
    await plane.client.create(config_map("zzz"), "default")
    from runtime.store import Compacted

    def compacted(*_):
        raise Compacted(first.version, plane.store.revision)

    monkeypatch.setattr(plane.store, "list_at", compacted)
    with pytest.raises(StatusError) as caught:
        await plane.api.list(
            plane.ctx(), resource, "default", ListOptions(limit=2, continue_=first.continue_)
        )
    assert caught.value.code == 410 and caught.value.reason == "Expired"
    token = caught.value.status["metadata"]["continue"]
    rest = await plane.api.list(plane.ctx(), resource, "default", ListOptions(continue_=token))
    assert [r.key.name for r in rest.records] == ["c002", "c003", "c004", "zzz"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (ListOptions(resource_version="99999999"), 504),
        (ListOptions(resource_version="abc"), 400),
        (ListOptions(resource_version_match="Exact"), 422),
        (ListOptions(resource_version="0", resource_version_match="Exact"), 422),
        (ListOptions(resource_version="1", resource_version_match="Sometimes"), 422),
        (ListOptions(continue_="bogus"), 400),
        (ListOptions(field_selector="spec.nope=1"), 400),
        (ListOptions(label_selector="a in ("), 400),
    ],
)
async def test_bad_list_options(plane, options, code) -> None:
    with pytest.raises(StatusError) as caught:
        await plane.api.list(plane.ctx(), plane.resource("configmaps"), "default", options)
    assert caught.value.code == code


async def test_a_list_of_an_earlier_version(plane) -> None:
    await plane.client.create(config_map("a", x="1"), "default")
    then = plane.store.revision
    await plane.client.patch("configmaps", "a", "default", {"data": {"x": "2"}})
    options = ListOptions(resource_version=str(then), resource_version_match="Exact")
    result = await plane.api.list(plane.ctx(), plane.resource("configmaps"), "default", options)
    assert result.version == then and result.records[0].obj["data"] == {"x": "1"}
    fresh = ListOptions(resource_version=str(then), resource_version_match="NotOlderThan")
    result = await plane.api.list(plane.ctx(), plane.resource("configmaps"), "default", fresh)
    assert result.records[0].obj["data"] == {"x": "2"}


async def test_field_selectors(plane) -> None:
    await plane.client.create(pod("a"), "default")
    await plane.client.create(pod("b"), "default")
    binding = {"target": {"kind": "Node", "name": "n1"}}
    await plane.client.create_subresource("pods", "b", "default", "binding", binding)
    for selector, names in (
        ("spec.nodeName=n1", ["b"]),
        ("spec.nodeName!=n1", ["a"]),
        ("metadata.name=a", ["a"]),
        ("metadata.name=a,", ["a"]),
        ("metadata.namespace=default,status.phase=Pending", ["a", "b"]),
        ("metadata.namespace=other", []),
    ):
        found = await plane.client.list("pods", field_selector=selector)
        assert [obj["metadata"]["name"] for obj in found.items] == names, selector


async def test_a_field_that_is_false_when_absent_is_selected_as_false(plane) -> None:
    for name, spec in (("closed", {"unschedulable": True}), ("open", {})):
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec}
        await plane.client.create(node)
    for selector, names in (
        ("spec.unschedulable=false", ["open"]),
        ("spec.unschedulable=true", ["closed"]),
        ("spec.unschedulable!=true", ["open"]),
    ):
        found = await plane.client.list("nodes", field_selector=selector)
        assert [obj["metadata"]["name"] for obj in found.items] == names, selector


async def test_a_watch_from_a_version_sees_what_came_after(plane) -> None:
    listed = await plane.client.list("configmaps", "default")
    watch = plane.client.watch("configmaps", "default", resource_version=listed.resource_version)
    await plane.client.create(config_map("a"), "default")
    await plane.client.patch("configmaps", "a", "default", {"data": {"x": "1"}})
    await plane.client.delete("configmaps", "a", "default")
    events = []
    while len(events) < 3:
        events += await watch.next()
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
    assert versions == sorted(versions) and versions[-1] == plane.store.revision
    watch.close()
    assert await watch.next() == []


async def test_a_token_expires_at_the_second_compaction_after_it(plane) -> None:
    await _fill(plane, 6)
    resource = plane.resource("configmaps")
    first = await plane.api.list(plane.ctx(), resource, "default", ListOptions(limit=2))
    await plane.client.create(config_map("late"), "default")
    plane.api.compaction.tick()
    going_on = ListOptions(limit=2, continue_=first.continue_)
    assert len((await plane.api.list(plane.ctx(), resource, "default", going_on)).records) == 2
    plane.api.compaction.tick()
    with pytest.raises(StatusError) as caught:
        await plane.api.list(plane.ctx(), resource, "default", going_on)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    token = caught.value.status["metadata"]["continue"]
    rest = await plane.api.list(plane.ctx(), resource, "default", ListOptions(continue_=token))
    assert [record.key.name for record in rest.records] == ["c002", "c003", "c004", "c005", "late"]
    exact = ListOptions(resource_version=str(first.version), resource_version_match="Exact")
    with pytest.raises(StatusError, match="too old"):
        await plane.api.list(plane.ctx(), resource, "default", exact)


async def test_selectors_turn_changes_into_coming_and_going(plane) -> None:
    stream = plane.api.watch(
        plane.ctx(),
        plane.resource("configmaps"),
        "default",
        WatchOptions(label_selector="in=yes", resource_version=str(plane.store.revision)),
    )
    await plane.client.create(config_map("a", labels={"in": "no"}), "default")
    await plane.client.patch("configmaps", "a", "default", {"metadata": {"labels": {"in": "yes"}}})
    await plane.client.patch("configmaps", "a", "default", {"data": {"x": "1"}})
    left = await plane.client.patch("configmaps", "a", "default", {"metadata": {"labels": {"in": "no"}}})
    await plane.client.delete("configmaps", "a", "default")
    await plane.client.create(config_map("b", labels={"in": "yes"}), "default")
    batch = []
    while len(batch) < 4:
        batch += await stream.next()
    assert _names(batch) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]
    gone = batch[2][1].obj
    assert gone["metadata"]["labels"] == {"in": "yes"}
    assert gone["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
    stream.close()


async def test_without_a_version_a_watch_starts_with_what_there_is(plane) -> None:
    await _fill(plane, 3)
    for version in ("", "0"):
        stream = plane.api.watch(
            plane.ctx(), plane.resource("configmaps"), "default", WatchOptions(resource_version=version)
        )
        assert _names(await stream.next()) == [("ADDED", f"c{i:03}") for i in range(3)]
        stream.close()


async def test_watch_list_ends_with_the_annotated_bookmark(plane) -> None:
    await _fill(plane, 2)
    options = WatchOptions(
        send_initial_events=True,
        resource_version_match="NotOlderThan",
        allow_bookmarks=True,
        label_selector="n=1",
    )
    stream = plane.api.watch(plane.ctx(), plane.resource("configmaps"), "default", options)
    batch = await stream.next()
    assert _names(batch) == [("ADDED", "c001"), ("BOOKMARK", "")]
    bookmark = orjson.loads(batch[-1][1].json)
    assert bookmark["kind"] == "ConfigMap" and bookmark["metadata"]["resourceVersion"] == str(
        plane.store.revision
    )
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    await plane.client.create(config_map("late", labels={"n": "1"}), "default")
    assert _names(await stream.next()) == [("ADDED", "late")]
    stream.close()


async def test_bookmarks_and_the_end_come_by_the_clock(plane) -> None:
    options = WatchOptions(
        resource_version=str(plane.store.revision), allow_bookmarks=True, timeout_seconds=100
    )
    stream = plane.api.watch(plane.ctx(), plane.resource("configmaps"), "default", options)
    reader = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    await plane.client.create(pod("elsewhere"), "default")
    await plane.clock.advance(60)
    batch = await asyncio.wait_for(reader, 60)
    assert _names(batch) == [("BOOKMARK", "")] and batch[0][1].version == plane.store.revision
    await plane.client.create(config_map("a"), "default")
    assert _names(await stream.next()) == [("ADDED", "a")]
    reader = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    await plane.clock.advance(38)
    assert _names(await asyncio.wait_for(reader, 60)) == [("BOOKMARK", "")]
    reader = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    await plane.clock.advance(2)
    assert await asyncio.wait_for(reader, 60) == []


async def test_a_reader_that_is_cancelled_is_cancelled(plane) -> None:
    options = WatchOptions(resource_version=str(plane.store.revision), allow_bookmarks=True)
    stream = plane.api.watch(plane.ctx(), plane.resource("configmaps"), "default", options)
    reader = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await plane.client.create(config_map("a"), "default")
    assert _names(await stream.next()) == [("ADDED", "a")]
    stream.close()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (WatchOptions(resource_version="99999999"), 504),
        (WatchOptions(resource_version_match="NotOlderThan"), 422),
        (WatchOptions(send_initial_events=True), 422),
        (WatchOptions(send_initial_events=True, resource_version_match="Exact"), 422),
    ],
)
async def test_bad_watch_options(plane, options, code) -> None:
    with pytest.raises(StatusError) as caught:
        plane.api.watch(plane.ctx(), plane.resource("configmaps"), "default", options)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("watch", "version", "match", "token", "initial", "wanted"),
    [
        (False, "", "", "", None, []),
        (False, "0", "NotOlderThan", "", None, []),
        (False, "5", "Exact", "", None, []),
        (False, "", "Sometimes", "", None, ["Forbidden", "NotSupported"]),
        (False, "5", "Exact", "t", None, ["Forbidden"]),
        (False, "0", "Exact", "t", True, ["Forbidden", "Forbidden", "Forbidden"]),
        (True, "", "", "", None, []),
        (True, "0", "NotOlderThan", "", True, []),
        (True, "5", "NotOlderThan", "", False, []),
        (True, "", "", "", False, ["Forbidden"]),
        (True, "", "Exact", "", True, ["Forbidden", "NotSupported"]),
        (True, "", "Exact", "t", None, ["Forbidden", "NotSupported", "Forbidden"]),
    ],
)
def test_how_version_match_and_initial_events_go_together(
    watch, version, match, token, initial, wanted
) -> None:
    from runtime.api.listing import check_match

    found: list[str] = []
    try:
        check_match(version, match, watch=watch, initial_events=initial, continue_=token)
    except StatusError as refused:
        found = [cause["reason"].removeprefix("FieldValue") for cause in refused.details["causes"]]
    assert found == wanted


async def test_a_version_that_is_no_longer_kept_is_410(plane, monkeypatch) -> None:
    from runtime.store import Compacted

    def compacted(*_):
        raise Compacted(1, 5)

    monkeypatch.setattr(plane.store, "watch", compacted)
    with pytest.raises(StatusError) as caught:
        plane.client.watch("configmaps", resource_version="1")
    assert caught.value.code == 410 and caught.value.message == "too old resource version: 1 (5)"


async def test_events_are_one_kind_under_two_groups(plane) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "message": "it did",
        "type": "Normal",
        "source": {"component": "kubelet"},
    }
    modern = plane.registry.by_path("events.k8s.io", "v1", "events")
    stream = plane.api.watch(
        plane.ctx(), modern, "", WatchOptions(resource_version=str(plane.store.revision))
    )
    await plane.client.create(event)
    kind, record = (await stream.next())[0]
    assert (
        kind == "ADDED" and record.obj["apiVersion"] == "events.k8s.io/v1" and record.obj["note"] == "it did"
    )
    assert orjson.loads(record.json)["regarding"]["name"] == "p"
    written = orjson.loads(record.json)
    assert written["eventTime"] is None and written["deprecatedFirstTimestamp"] is None
    assert not {"reportingController", "reportingInstance"} & written.keys(), (
        "only the core group writes these"
    )
    stored = await plane.client.get("events", "e", "default")
    assert (stored["reportingComponent"], stored["reportingInstance"], stored["eventTime"]) == ("", "", None)
    listed = await plane.api.list(
        plane.ctx(), modern, "default", ListOptions(field_selector="regarding.name=p")
    )
    assert len(listed.records) == 1
    stream.close()


async def test_a_watch_that_selects_nothing_yet_goes_on(plane) -> None:
    await plane.client.create(config_map("a"), "default")
    stream = plane.api.watch(
        plane.ctx(), plane.resource("configmaps"), "default", WatchOptions(label_selector="x=y")
    )
    waiting = asyncio.ensure_future(stream.next())
    await plane.client.create(config_map("b", labels={"x": "y"}), "default")
    ((kind, record),) = await asyncio.wait_for(waiting, 60)
    assert (kind, record.key.name) == ("ADDED", "b")
    stream.close()
