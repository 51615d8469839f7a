"""Watches over the wire: where they begin, what they send, how they end.

From Kubernetes' "API concepts" (watch, bookmarks, streaming lists) and ``apiserver/pkg/storage/cacher``.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.serving import Serving

Obj = dict[str, Any]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def post(http: aiohttp.ClientSession, path: str, obj: Obj) -> Obj:
    async with http.post(path, json=obj) as answer:
        assert answer.status == 201, await answer.text()
        made: Obj = await answer.json()
        return made


async def merge(http: aiohttp.ClientSession, path: str, patch: Obj) -> Obj:
    headers = {"Content-Type": "application/merge-patch+json"}
    async with http.patch(path, data=json.dumps(patch), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        changed: Obj = await answer.json()
        return changed


def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def named(name: str, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": labels}}


class Events:
    """The events of one watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self) -> Obj:
        line = await asyncio.wait_for(self.answer.content.readline(), 60)
        assert line.endswith(b"\n"), "the watch ended"
        event: Obj = json.loads(line)
        return event

    async def pair(self) -> tuple[str, str]:
        event = await self.next()
        return event["type"], event["object"]["metadata"].get("name", "")

    async def rest(self) -> list[Obj]:
        return [json.loads(line) for line in (await asyncio.wait_for(self.answer.read(), 60)).splitlines()]


@asynccontextmanager
async def watching(http: aiohttp.ClientSession, path: str, **query: str) -> AsyncIterator[Events]:
    headers = {"Accept": query.pop("accept", "application/json")}
    async with http.get(path, params={"watch": "true", **query}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers.get("Transfer-Encoding") == "chunked"
        yield Events(answer)


async def test_a_watch_begins_where_it_is_told(http: aiohttp.ClientSession, namespace: str) -> None:
    first = await post(http, maps(namespace), named("a", t="1"))
    await post(http, maps(namespace), named("b", t="1"))
    # From nothing, or 0: what there is, then what comes.
    for number, query in enumerate(({}, {"resourceVersion": "0"})):
        async with watching(http, maps(namespace), labelSelector="t", **query) as events:
            assert {await events.pair(), await events.pair()} == {("ADDED", "a"), ("ADDED", "b")}
            await merge(http, f"{maps(namespace)}/a", {"data": {"x": str(number)}})
            assert await events.pair() == ("MODIFIED", "a")
    # From a version: strictly what came after it.
    version = first["metadata"]["resourceVersion"]
    async with watching(http, maps(namespace), labelSelector="t", resourceVersion=version) as events:
        assert await events.pair() == ("ADDED", "b")
        seen = await events.next()
        assert (seen["type"], seen["object"]["metadata"]["name"]) == ("MODIFIED", "a")
        assert seen["object"]["kind"] == "ConfigMap" and seen["object"]["apiVersion"] == "v1"
    async with http.delete(f"{maps(namespace)}/b") as answer:
        assert answer.status == 200
    async with watching(
        http, maps(namespace), resourceVersion=version, fieldSelector="metadata.name=b"
    ) as events:
        assert await events.pair() == ("ADDED", "b")
        gone = await events.next()
        assert gone["type"] == "DELETED"
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(version), (
            "the version of the deletion"
        )


async def test_selection_decides_what_an_event_is(http: aiohttp.ClientSession, namespace: str) -> None:
    async with watching(http, maps(namespace), labelSelector="in=yes") as events:
        await post(http, maps(namespace), {"metadata": {"name": "a", "labels": {"in": "no"}}})
        await merge(http, f"{maps(namespace)}/a", {"metadata": {"labels": {"in": "yes"}}})
        assert await events.pair() == ("ADDED", "a")
        await merge(http, f"{maps(namespace)}/a", {"data": {"x": "1"}})
        assert await events.pair() == ("MODIFIED", "a")
        await merge(http, f"{maps(namespace)}/a", {"metadata": {"labels": {"in": "no"}}})
        left = await events.next()
        assert left["type"] == "DELETED" and left["object"]["metadata"]["labels"] == {"in": "yes"}
        await merge(http, f"{maps(namespace)}/a", {"data": {"x": "2"}})
        await merge(http, f"{maps(namespace)}/a", {"metadata": {"labels": {"in": "yes"}}})
        assert await events.pair() == ("ADDED", "a")


async def test_one_object(http: aiohttp.ClientSession, namespace: str) -> None:
    await post(http, maps(namespace), named("a"))
    await post(http, maps(namespace), named("b"))
    async with watching(http, maps(namespace), fieldSelector="metadata.name=a") as events:
        assert await events.pair() == ("ADDED", "a")
        await merge(http, f"{maps(namespace)}/b", {"data": {"x": "1"}})
        await merge(http, f"{maps(namespace)}/a", {"data": {"x": "1"}})
        assert await events.pair() == ("MODIFIED", "a")
    async with http.get(f"/api/v1/watch/namespaces/{namespace}/configmaps/a") as answer:
        assert await Events(answer).pair() == ("ADDED", "a")


async def test_a_watch_ends_after_its_time(http: aiohttp.ClientSession, namespace: str) -> None:
    async with watching(http, maps(namespace), timeoutSeconds="1", allowWatchBookmarks="true") as events:
        seen = await events.rest()
    bookmarks = [event for event in seen if event["object"]["metadata"].get("name") != "kube-root-ca.crt"]
    assert {event["type"] for event in bookmarks} <= {"BOOKMARK"} and len(bookmarks) <= 2
    for event in bookmarks:
        metadata = {k: v for k, v in event["object"]["metadata"].items() if k != "creationTimestamp"}
        # A watch from no version is told where its initial events end; other bookmarks hold only a version.
        assert metadata.pop("annotations", {}).keys() <= {"k8s.io/initial-events-end"}
        assert set(metadata) == {"resourceVersion"}


async def test_streaming_lists(http: aiohttp.ClientSession, namespace: str) -> None:
    for name in "abc":
        await post(http, maps(namespace), named(name, t="1"))
    query = {
        "labelSelector": "t",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    for version in ("", "0", "1"):
        async with watching(http, maps(namespace), resourceVersion=version, **query) as events:
            assert [await events.pair() for _ in range(3)] == [("ADDED", name) for name in "abc"]
            mark = await events.next()
            assert mark["type"] == "BOOKMARK" and mark["object"]["kind"] == "ConfigMap"
            assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
            await post(http, maps(namespace), named(f"d{version}x", t="1"))
            assert await events.pair() == ("ADDED", f"d{version}x")
        async with http.delete(f"{maps(namespace)}/d{version}x") as answer:
            assert answer.status == 200
    for wrong in (
        {"sendInitialEvents": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "Exact", "resourceVersion": "5"},
        {"resourceVersionMatch": "NotOlderThan"},
    ):
        async with http.get(maps(namespace), params={"watch": "true", **wrong}) as answer:
            body = await answer.json()
            assert answer.status == 422 and body["reason"] == "Invalid", body
    async with http.get(maps(namespace), params={"sendInitialEvents": "true"}) as answer:
        assert answer.status == 422, "only for watches"


async def test_versions_beyond_history(http: aiohttp.ClientSession, namespace: str) -> None:
    for version, code in (("abc", 400), ("-1", 400)):
        async with http.get(maps(namespace), params={"watch": "1", "resourceVersion": version}) as answer:
            assert answer.status == code, await answer.text()
    async with http.get(maps(namespace), params={"watch": "1", "resourceVersion": "999999999"}) as answer:
        assert answer.status in (200, 504), "waits for the future, or says that it is none"


async def test_tables_are_watched_row_by_row(http: aiohttp.ClientSession, namespace: str) -> None:
    await post(http, maps(namespace), named("a", t="1"))
    async with watching(http, maps(namespace), labelSelector="t", accept=TABLE) as events:
        first = await events.next()
        assert first["type"] == "ADDED" and first["object"]["kind"] == "Table"
        assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert len(first["object"]["rows"]) == 1 and first["object"]["rows"][0]["cells"][0] == "a"
        await merge(http, f"{maps(namespace)}/a", {"data": {"x": "1"}})
        second = await events.next()
        assert second["type"] == "MODIFIED" and not second["object"].get("columnDefinitions")
        assert second["object"]["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_metadata_alone_is_watched(http: aiohttp.ClientSession, namespace: str) -> None:
    await post(http, maps(namespace), {**named("a", t="1"), "data": {"secret": "x"}})
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    async with watching(http, maps(namespace), labelSelector="t", accept=accept) as events:
        seen = await events.next()
        assert seen["object"]["kind"] == "PartialObjectMetadata" and "data" not in seen["object"]


async def test_events_come_in_order_and_once(http: aiohttp.ClientSession, namespace: str) -> None:
    made = await post(http, maps(namespace), named("a"))
    async with watching(
        http,
        maps(namespace),
        fieldSelector="metadata.name=a",
        resourceVersion=made["metadata"]["resourceVersion"],
    ) as events:
        await asyncio.gather(
            *(merge(http, f"{maps(namespace)}/a", {"data": {f"k{n}": "v"}}) for n in range(40))
        )
        versions = [int((await events.next())["object"]["metadata"]["resourceVersion"]) for _ in range(40)]
    assert versions == sorted(set(versions))


async def test_watchers_that_vanish_are_no_failure(
    serving: Serving, trust: ssl.SSLContext, http: aiohttp.ClientSession, namespace: str
) -> None:
    await post(http, maps(namespace), named("a"))
    host, _, port = serving.server.removeprefix("https://").partition(":")
    for number in range(30):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=trust)
        writer.write(f"GET {maps(namespace)}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"ADDED")
        change = asyncio.create_task(merge(http, f"{maps(namespace)}/a", {"data": {"x": str(number)}}))
        await asyncio.sleep(number / 10_000)
        writer.transport.abort()
        await change
    log = serving.log.read_text()
    assert "Traceback" not in log and "ERROR" not in log, log[-3000:]
