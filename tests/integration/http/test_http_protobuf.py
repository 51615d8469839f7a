"""Answers in Kubernetes' protobuf: objects, lists, watches, metadata, failures and discovery."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from http_fakes import Cluster

from runtime.api.http.protobuf import InvalidMessage, decode_body

PROTOBUF = "application/vnd.kubernetes.protobuf"
MAPS = "/api/v1/namespaces/default/configmaps"
PARTIAL = f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def fetch(
    admin: aiohttp.ClientSession, path: str, method: str = "GET", *, accept: str = PROTOBUF, body: Any = None
) -> tuple[int, Any, str]:
    """Code, object and media type of an answer that may be protobuf."""
    async with admin.request(method, path, json=body, headers={"Accept": accept}) as answer:
        raw = await answer.read()
        kind = answer.headers["Content-Type"]
        return answer.status, decode_body(raw) if kind.startswith(PROTOBUF) else await answer.json(), kind


def read_as(raw: bytes, kind: str, other: str, version: str = "v1") -> Any:
    """A body of a kind that the schema has not, read as one that has the same first fields."""
    type_meta = raw[6 : 6 + raw[5]]
    api_version = f"meta.k8s.io/{version}".encode()
    named = bytes([len(api_version)]) + api_version + b"\x12" + bytes([len(kind)]) + kind.encode()
    assert type_meta == b"\x0a" + named
    read = b"\x0a\x02v1\x12" + bytes([len(other)]) + other.encode()
    return decode_body(raw[:5] + bytes([len(read)]) + read + raw[6 + raw[5] :])


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def events(answer: aiohttp.ClientResponse, count: int) -> list[tuple[str, bytes]]:
    """Frames of a watch: type and object."""
    found = []
    for _ in range(count):
        (size,) = struct.unpack(">I", await asyncio.wait_for(answer.content.readexactly(4), 60))
        frame = await asyncio.wait_for(answer.content.readexactly(size), 60)
        assert frame[0] == 0x0A
        kind, rest = frame[2 : 2 + frame[1]].decode(), frame[2 + frame[1] :]
        found.append((kind, rest[rest.index(b"k8s\0") :]))
    return found


async def test_writes_reads_and_lists(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    code, made, kind = await fetch(admin, MAPS, "POST", body=config_map("a", k="v"))
    assert (code, kind, made["data"]) == (201, PROTOBUF, {"k": "v"}) and made["metadata"]["uid"]
    code, read, _ = await fetch(admin, f"{MAPS}/a")
    plain = await (await admin.get(f"{MAPS}/a")).json()
    assert (code, read) == (200, plain)
    await fetch(admin, MAPS, "POST", body=config_map("b"))
    _, page, _ = await fetch(admin, f"{MAPS}?limit=1")
    assert page["kind"] == "ConfigMapList" and page["metadata"]["remainingItemCount"] == 1
    assert [item["metadata"]["name"] for item in page["items"]] == ["a"]
    _, rest, _ = await fetch(admin, f"{MAPS}?limit=1&continue={page['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b"]
    code, status, kind = await fetch(admin, f"{MAPS}/a", "DELETE")
    assert (code, kind, status["kind"], status["status"]) == (200, PROTOBUF, "Status", "Success")


async def test_failures(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    code, status, kind = await fetch(admin, f"{MAPS}/absent")
    assert (code, kind, status["reason"], status["code"]) == (404, PROTOBUF, "NotFound", 404)
    assert status["details"] == {"name": "absent", "kind": "configmaps"}
    code, status, kind = await fetch(admin, MAPS, accept=f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1")
    assert (code, kind) == (406, "application/json")
    assert status["message"].endswith(
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


async def test_metadata(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, MAPS, "POST", body=config_map("a", k="v"))
    async with admin.get(f"{MAPS}/a", headers={"Accept": PARTIAL}) as answer:
        raw = await answer.read()
    assert answer.headers["Content-Type"] == PROTOBUF
    found = read_as(raw, "PartialObjectMetadata", "ConfigMap")
    assert found["metadata"]["name"] == "a" and "data" not in found
    listed = PARTIAL.replace("Metadata;", "MetadataList;")
    async with admin.get(MAPS, headers={"Accept": listed}) as answer:
        found = read_as(await answer.read(), "PartialObjectMetadataList", "ConfigMapList")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a"]
    assert found["metadata"]["resourceVersion"]


async def test_metadata_in_its_older_version(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, MAPS, "POST", body=config_map("a", k="v"))
    older = f"{PARTIAL}beta1"
    async with admin.get(f"{MAPS}/a", headers={"Accept": older}) as answer:
        found = read_as(await answer.read(), "PartialObjectMetadata", "ConfigMap", "v1beta1")
    assert found["metadata"]["name"] == "a" and "data" not in found
    async with admin.get(MAPS, headers={"Accept": older.replace("Metadata;", "MetadataList;")}) as answer:
        raw = await answer.read()
    size = 6 + raw[5]
    assert b"meta.k8s.io/v1beta1" in raw[:size]
    message = raw[raw.index(b"\x12", size) :]
    length = message[1] if message[1] < 128 else (message[1] & 127) | (message[2] << 7)
    body = message[2 if message[1] < 128 else 3 :][:length]
    assert body[0] == 0x12, "the list's metadata is the second field"
    items = body[2 + body[1] :]
    assert items[0] == 0x0A, "its items are the first"


async def test_watch(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, MAPS, "POST", body=config_map("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with (
        admin.get(f"{MAPS}?{query}", headers={"Accept": f"{PROTOBUF},application/json"}) as answer,
        admin.get(f"{MAPS}?watch=1", headers={"Accept": f"{PROTOBUF};stream=watch"}) as other,
        admin.get(f"{MAPS}?watch=1", headers={"Accept": PARTIAL}) as metadata,
    ):
        assert answer.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
        (first, added), (second, bookmark) = await events(answer, 2)
        assert (first, second) == ("ADDED", "BOOKMARK")
        assert decode_body(added)["metadata"]["name"] == "a"
        end = decode_body(bookmark)
        assert end["kind"] == "ConfigMap"
        assert end["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await fetch(admin, MAPS, "POST", body=config_map("b", k="v"))
        ((kind, body),) = await events(answer, 1)
        assert kind == "ADDED" and decode_body(body)["data"] == {"k": "v"}
        await fetch(admin, f"{MAPS}/b", "DELETE")
        assert [kind for kind, _ in await events(answer, 1)] == ["DELETED"]
        assert [kind for kind, _ in await events(other, 3)] == ["ADDED", "ADDED", "DELETED"]
        assert all(b"PartialObjectMetadata" in body for _, body in await events(metadata, 3))


async def test_a_watch_that_can_not_go_on_says_so_in_a_frame(
    cluster: Cluster, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.api.watching import WatchStream
    from runtime.objects.errors import expired

    async def too_slow(self: WatchStream) -> Any:
        raise expired("too old resource version: the watch fell too far behind")

    monkeypatch.setattr(WatchStream, "next", too_slow)
    async with admin.get(f"{MAPS}?watch=1", headers={"Accept": PROTOBUF}) as answer:
        ((kind, body),) = await events(answer, 1)
    status = decode_body(body)
    assert (kind, status["reason"], status["code"]) == ("ERROR", "Expired", 410)


async def test_discovery_and_plain_documents(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    _, versions, kind = await fetch(admin, "/api")
    assert (kind, versions["versions"]) == (PROTOBUF, ["v1"])
    _, groups, _ = await fetch(admin, "/apis")
    assert "apps" in {group["name"] for group in groups["groups"]}
    _, listed, _ = await fetch(admin, "/apis/apps/v1")
    scale = next(one for one in listed["resources"] if one["name"] == "deployments/scale")
    assert (scale["group"], scale["kind"]) == ("autoscaling", "Scale")
    _, version, kind = await fetch(admin, "/version")  # JSON, whatever is asked for
    assert kind == "application/json" and version["major"] == "1"


async def test_custom_resources_have_no_protobuf(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    known = cluster.registry.find("configmaps")
    assert known is not None
    cluster.registry.add(
        replace(known, group="example.com", kind="Widget", plural="widgets", definition="", short_names=())
    )
    path = "/apis/example.com/v1/namespaces/default/widgets"
    assert (await fetch(admin, path))[0] == 406
    code, _, kind = await fetch(admin, path, accept=f"{PROTOBUF},application/json")
    assert (code, kind) == (200, "application/json")
    async with admin.get(path, headers={"Accept": PARTIAL.replace("Metadata;", "MetadataList;")}) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, PROTOBUF)


def test_garbage_is_no_message() -> None:
    with pytest.raises(InvalidMessage):
        decode_body(b"{}")
