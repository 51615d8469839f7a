"""The API as a client over TLS sees it: codes, headers, lists, tables, watches, limits."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import ssl
from typing import Any

import aiohttp
import orjson
import pytest
from http_fakes import Cluster, client_tls

from runtime.api.http import HTTPServer, PortTaken
from runtime.api.http import handler as handler_module
from runtime.api.http.body import BODY_LIMIT

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def fetch(
    session: aiohttp.ClientSession, path: str, method: str = "GET", *, body: Any = None, **headers: str
) -> tuple[int, Any, Any]:
    data = body if isinstance(body, bytes | None) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if data is not None:
        named.setdefault("Content-Type", "application/json")
    async with session.request(method, path, data=data, headers=named) as answer:
        raw = await answer.read()
        parsed = orjson.loads(raw) if "json" in answer.headers.get("Content-Type", "") and raw else raw
        return answer.status, parsed, answer.headers


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_create_read_change_delete(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    code, made, headers = await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a", k="v"))
    assert code == 201 and made["metadata"]["uid"] and headers["Audit-Id"]
    assert headers["Cache-Control"] == "no-cache, private"
    assert (await fetch(admin, f"{CONFIG_MAPS}/a"))[1] == made
    made["data"] = {"k": "w"}
    assert (await fetch(admin, f"{CONFIG_MAPS}/a", "PUT", body=made))[0] == 200
    code, error, _ = await fetch(admin, f"{CONFIG_MAPS}/a", "PUT", body=made)
    assert code == 409 and error["kind"] == "Status" and error["reason"] == "Conflict"
    patched = await fetch(
        admin,
        f"{CONFIG_MAPS}/a",
        "PATCH",
        body={"data": {"x": "y"}},
        Content_Type="application/merge-patch+json",
    )
    assert patched[0] == 200 and patched[1]["data"] == {"k": "w", "x": "y"}
    assert (await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a")))[0] == 409
    code, gone, _ = await fetch(admin, f"{CONFIG_MAPS}/a", "DELETE", body={"propagationPolicy": "Background"})
    assert code == 200 and gone["status"] == "Success"
    assert (await fetch(admin, f"{CONFIG_MAPS}/a"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code", "reason"),
    [
        ("GET", "/nonsense", None, {}, 404, "NotFound"),
        ("GET", "/api/v1/nonsense", None, {}, 404, "NotFound"),
        ("GET", "/apis/apps/v9/deployments", None, {}, 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/nodes", None, {}, 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/x/nonsense", None, {}, 404, "NotFound"),
        ("POST", "/api/v1/configmaps", {}, {}, 405, "MethodNotAllowed"),
        ("PUT", CONFIG_MAPS, {}, {}, 405, "MethodNotAllowed"),
        ("POST", "/version", {}, {}, 405, "MethodNotAllowed"),
        ("POST", f"{CONFIG_MAPS}/x", {}, {}, 405, "MethodNotAllowed"),
        ("GET", CONFIG_MAPS, None, {"Accept": "text/html"}, 406, "NotAcceptable"),
        ("POST", CONFIG_MAPS, {}, {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        ("PATCH", f"{CONFIG_MAPS}/x", {}, {"Content-Type": "application/json"}, 415, "UnsupportedMediaType"),
        ("POST", CONFIG_MAPS, b"{", {}, 400, "BadRequest"),
        ("POST", CONFIG_MAPS, b"[]", {}, 400, "BadRequest"),
        (
            "POST",
            CONFIG_MAPS,
            b"k8s",
            {"Content-Type": "application/vnd.kubernetes.protobuf"},
            400,
            "BadRequest",
        ),
        ("POST", CONFIG_MAPS, b"a: &a [*a]", {"Content-Type": "application/yaml"}, 400, "BadRequest"),
        ("GET", f"{CONFIG_MAPS}?limit=x", None, {}, 400, "BadRequest"),
        ("GET", f"{CONFIG_MAPS}?timeoutSeconds=x", None, {}, 400, "BadRequest"),
        ("GET", "/api/v1/namespaces/default?resourceVersion=99999", None, {}, 504, "Timeout"),
        ("GET", "/api/v1/namespaces/default?resourceVersion=x", None, {}, 400, "BadRequest"),
        ("PUT", f"{CONFIG_MAPS}/absent", config_map("absent"), {}, 404, "NotFound"),
        ("PUT", f"{CONFIG_MAPS}/absent", config_map("other"), {}, 400, "BadRequest"),
        ("GET", "/version?timeout=soon", None, {}, 400, "BadRequest"),
        ("GET", f"{CONFIG_MAPS}?labelSelector=%3D%3D", None, {}, 400, "BadRequest"),
        ("GET", f"{CONFIG_MAPS}?resourceVersion=99999&watch=1", None, {}, 504, "Timeout"),
        ("POST", f"{CONFIG_MAPS}?dryRun=some", {}, {}, 422, "Invalid"),
        ("POST", f"{CONFIG_MAPS}?fieldValidation=Lax", {}, {}, 422, "Invalid"),
        ("DELETE", f"{CONFIG_MAPS}/x", {"kind": "Pod"}, {}, 400, "BadRequest"),
        ("GET", "/api/v1/namespaces/default/pods/absent/log", None, {}, 404, "NotFound"),
        ("GET", "/openapi/v3/apis/none/v1", None, {}, 404, "NotFound"),
    ],
)
async def test_every_failure_is_a_status(
    cluster: Cluster,
    admin: aiohttp.ClientSession,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    code: int,
    reason: str,
) -> None:
    got, status, _ = await fetch(admin, path, method, body=body, **headers)
    assert (got, status["kind"], status["reason"], status["code"]) == (code, "Status", reason, code)


async def test_a_request_takes_no_longer_than_it_says(cluster: Cluster) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=client_tls(cluster))
    head = f"POST {CONFIG_MAPS}?timeout=50ms HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode())  # and never a body
    assert b" 504 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()


async def test_what_may_be_tried_again_says_when(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    code, status, headers = await fetch(admin, f"{CONFIG_MAPS}?resourceVersion=99999")
    assert (code, status["details"]["retryAfterSeconds"], headers["Retry-After"]) == (504, 1, "1")
    _, _, headers = await fetch(admin, f"{CONFIG_MAPS}/absent")
    assert "Retry-After" not in headers


async def test_who_is_asking(cluster: Cluster, nobody: aiohttp.ClientSession) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version", "/livez/ping"):
        assert (await fetch(nobody, path))[0] == 200
    code, status, headers = await fetch(nobody, CONFIG_MAPS)
    assert code == 401 and status["reason"] == "Unauthorized" and "Bearer" in headers["WWW-Authenticate"]
    assert (await fetch(nobody, "/version", Authorization="Bearer wrong"))[0] == 401
    token = cluster.server.pki.tokens.read_text().split(",")[0]
    assert (await fetch(nobody, CONFIG_MAPS, Authorization=f"Bearer {token}"))[0] == 200


async def test_service_account_tokens_and_impersonation(
    cluster: Cluster, admin: aiohttp.ClientSession, nobody: aiohttp.ClientSession
) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    code, made, _ = await fetch(
        admin,
        path,
        "POST",
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 600},
        },
    )
    assert code == 201
    token = made["status"]["token"]
    code, refused, _ = await fetch(nobody, CONFIG_MAPS, Authorization=f"Bearer {token}")
    assert code == 403 and 'User "system:serviceaccount:default:default" cannot list' in refused["message"]
    assert (await fetch(admin, CONFIG_MAPS, Impersonate_User="alice"))[0] == 403
    assert (await fetch(admin, CONFIG_MAPS, Impersonate_User="a", Impersonate_Group="system:masters"))[
        0
    ] == 200
    assert (await fetch(admin, CONFIG_MAPS, Impersonate_Group="x"))[0] == 400
    assert (await fetch(nobody, CONFIG_MAPS, Authorization=f"Bearer {token}", Impersonate_User="x"))[0] == 403
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    _, reviewed, _ = await fetch(admin, "/apis/authentication.k8s.io/v1/tokenreviews", "POST", body=review)
    assert reviewed["status"]["user"]["username"] == "system:serviceaccount:default:default"
    await fetch(admin, "/api/v1/namespaces/default/serviceaccounts/default", "DELETE")
    assert (await fetch(nobody, CONFIG_MAPS, Authorization=f"Bearer {token}"))[0] == 401


async def test_bodies_in_yaml_and_repeated_keys(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {a: b}\ndata: {c: d}\n"
    code, made, headers = await fetch(admin, CONFIG_MAPS, "POST", body=text, Content_Type="application/yaml")
    assert code == 201 and made["data"] == {"c": "d"}
    assert 'key \\"data\\" already set in map' in headers["Warning"]
    twice = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"a":"1","a":"2"},"foo":1}'
    code, _, headers = await fetch(admin, f"{CONFIG_MAPS}?dryRun=All", "POST", body=twice)
    assert code == 201
    assert headers.getall("Warning") == [
        '299 - "duplicate field \\"data.a\\""',
        '299 - "unknown field \\"foo\\""',
    ]
    code, error, _ = await fetch(admin, f"{CONFIG_MAPS}?fieldValidation=Strict", "POST", body=twice)
    assert code == 400 and 'strict decoding error: duplicate field "data.a"' in error["message"]
    code, _, headers = await fetch(admin, f"{CONFIG_MAPS}?fieldValidation=Ignore", "POST", body=twice)
    assert code == 201 and "Warning" not in headers
    code, answer, headers = await fetch(admin, f"{CONFIG_MAPS}/y", Accept="application/yaml")
    assert headers["Content-Type"] == "application/yaml" and b"kind: ConfigMap" in answer


async def test_lists_pages_and_compression(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    for number in range(5):
        await fetch(admin, CONFIG_MAPS, "POST", body=config_map(f"c{number}", big="x" * 200_000))
    async with admin.get(CONFIG_MAPS, headers={"Accept-Encoding": "identity"}) as answer:
        plain = await answer.read()
        assert "Content-Encoding" not in answer.headers
    listed = orjson.loads(plain)
    assert (listed["kind"], listed["apiVersion"], len(listed["items"])) == ("ConfigMapList", "v1", 5)
    assert listed["metadata"]["resourceVersion"] == str(cluster.store.revision)
    raw = aiohttp.ClientSession(
        cluster.server.url, connector=aiohttp.TCPConnector(ssl=client_tls(cluster)), auto_decompress=False
    )
    async with raw, raw.get(CONFIG_MAPS, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await answer.read()) == plain
    _, page, _ = await fetch(admin, f"{CONFIG_MAPS}?limit=2")
    assert [item["metadata"]["name"] for item in page["items"]] == ["c0", "c1"]
    assert page["metadata"]["remainingItemCount"] == 3
    _, page, _ = await fetch(admin, f"{CONFIG_MAPS}?limit=5&continue={page['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in page["items"]] == ["c2", "c3", "c4"]
    async with admin.head(CONFIG_MAPS) as answer:
        assert answer.status == 200 and await answer.read() == b""


async def test_tables_and_metadata(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a", k="v"))
    _, table, _ = await fetch(admin, CONFIG_MAPS, Accept=TABLE)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 1] or table["rows"][0]["cells"][:2] == ["a", "1"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    _, table, _ = await fetch(admin, f"{CONFIG_MAPS}/a?includeObject=Object", Accept=TABLE)
    assert table["rows"][0]["object"]["data"] == {"k": "v"}
    _, table, _ = await fetch(
        admin, f"{CONFIG_MAPS}?includeObject=None", Accept=TABLE.replace("v1", "v1beta1")
    )
    assert table["apiVersion"] == "meta.k8s.io/v1beta1" and table["rows"][0]["object"] is None
    code, refusal, _ = await fetch(admin, f"{CONFIG_MAPS}?includeObject=All", Accept=TABLE)
    assert code == 400 and refusal["message"] == (
        'Unable to convert to Table as requested: includeObject: Invalid value: "All": '
        "must be 'Metadata', 'Object', 'None', or empty"
    )
    partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    _, listed, _ = await fetch(admin, CONFIG_MAPS, Accept=partial)
    assert listed["kind"] == "PartialObjectMetadataList" and "data" not in listed["items"][0]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    only = TABLE.split(",")[0]
    assert (await fetch(admin, path, "POST", body=review, Accept=only))[0] == 406
    assert (await fetch(admin, path, "POST", body=review, Accept=TABLE))[1]["status"]["allowed"] is True


async def events(answer: aiohttp.ClientResponse, count: int) -> list[Any]:
    return [orjson.loads(await asyncio.wait_for(answer.content.readline(), 60)) for _ in range(count)]


async def test_watch(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a"))
    async with admin.get(f"{CONFIG_MAPS}?watch=true&resourceVersion=0") as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        (first,) = await events(answer, 1)
        assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
        await fetch(admin, CONFIG_MAPS, "POST", body=config_map("b"))
        await fetch(admin, f"{CONFIG_MAPS}/a", "DELETE")
        assert [event["type"] for event in await events(answer, 2)] == ["ADDED", "DELETED"]


async def test_watch_ends_after_its_timeout(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    async with admin.get(f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1") as answer:
        assert await asyncio.wait_for(answer.read(), 60) == b""


async def test_watch_list(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with admin.get(f"{CONFIG_MAPS}?{query}") as answer:
        added, bookmark = await events(answer, 2)
    assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_no_version_is_told_where_its_first_events_end(
    cluster: Cluster, admin: aiohttp.ClientSession
) -> None:
    await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a"))
    for query in ("watch=1&allowWatchBookmarks=true", "watch=1&allowWatchBookmarks=1&resourceVersion=0"):
        async with admin.get(f"{CONFIG_MAPS}?{query}") as answer:
            added, bookmark = await events(answer, 2)
        assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_table_watch_describes_columns_once(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    for name in ("a", "b"):
        await fetch(admin, CONFIG_MAPS, "POST", body=config_map(name))
    async with admin.get(f"{CONFIG_MAPS}?watch=1", headers={"Accept": TABLE}) as answer:
        first, second = await events(answer, 2)
    assert first["object"]["kind"] == "Table" and first["object"]["columnDefinitions"]
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][0] == "b"


async def test_old_watch_path_and_too_old_version(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, CONFIG_MAPS, "POST", body=config_map("a"))
    async with admin.get("/api/v1/watch/namespaces/default/configmaps/a") as answer:
        assert (await events(answer, 1))[0]["object"]["metadata"]["name"] == "a"


async def test_a_lost_client_ends_its_watch(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    answer = await admin.get(f"{CONFIG_MAPS}?watch=1")
    assert cluster.server.metrics.long_running == 1
    answer.close()
    for _ in range(100):
        if not cluster.server.metrics.long_running:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the watch goes on without its client")


async def test_a_slow_watcher_does_not_hold_up_others(
    cluster: Cluster, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.api.http.watches.STALL_SECONDS", 0.3)
    context = client_tls(cluster)
    raw = socket.create_connection(("127.0.0.1", cluster.server.port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow = await asyncio.to_thread(context.wrap_socket, raw, server_hostname="localhost")
    slow.sendall(f"GET {CONFIG_MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    while not cluster.server.metrics.long_running:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    async with admin.get(f"{CONFIG_MAPS}?watch=1") as answer:
        for number in range(30):
            await fetch(admin, CONFIG_MAPS, "POST", body=config_map(f"c{number}", big="x" * 500_000))
            async with asyncio.timeout(60):
                while (await answer.content.readany())[-1:] != b"\n":
                    pass
        for _ in range(100):
            if cluster.server.metrics.cut_off:
                break
            await asyncio.sleep(0.05)
    assert cluster.server.metrics.cut_off == 1
    slow.close()


async def test_limits(
    cluster: Cluster, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = b'{"a":"' + b"x" * BODY_LIMIT + b'"}'
    code, status, _ = await fetch(admin, CONFIG_MAPS, "POST", body=big)
    assert code == 413 and status["reason"] == "RequestEntityTooLarge"
    monkeypatch.setattr(handler_module, "MAX_READ", 0)
    code, status, headers = await fetch(admin, CONFIG_MAPS)
    assert code == 429 and headers["Retry-After"] == "1" and status["details"]["retryAfterSeconds"] == 1
    async with admin.get(f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1") as answer:
        assert answer.status == 200  # streams do not count


async def test_unexpected_failures_tell_nothing(
    cluster: Cluster, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(cluster.api, "get", broken)
    code, status, _ = await fetch(admin, f"{CONFIG_MAPS}/a")
    assert code == 500 and status["reason"] == "InternalError"
    assert "secret" not in json.dumps(status) and "Traceback" not in json.dumps(status)


async def test_what_is_no_http_gets_a_status(cluster: Cluster) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=client_tls(cluster))
    writer.write(b"GARBAGE\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.") and b" 400 " in answer and b'"kind":"Status"' in answer
    writer.close()


async def test_plain_http_and_foreign_certificates_are_refused(cluster: Cluster, tmp_path: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port)
    writer.write(b"GET /version HTTP/1.1\r\n\r\n")
    assert b"v1.36" not in await asyncio.wait_for(reader.read(), 60)
    writer.close()
    from runtime.api.http import prepare_pki

    foreign = prepare_pki(tmp_path / "foreign")
    context = ssl.create_default_context(cafile=str(cluster.server.pki.ca_certificate))
    context.load_cert_chain(foreign.admin_certificate, foreign.admin_key)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{cluster.server.url}/version")


async def test_discovery_openapi_and_other_documents(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    _, plain, _ = await fetch(admin, "/api")
    assert plain["versions"] == ["v1"]
    wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    for path in ("/api", "/apis"):
        code, found, headers = await fetch(admin, path, Accept=wanted)
        assert code == 200 and found["kind"] == "APIGroupDiscoveryList"
        assert headers["Content-Type"] == wanted.split(",")[0]
        assert (await fetch(admin, path, Accept=wanted, If_None_Match=headers["ETag"]))[0] == 304
    _, index, _ = await fetch(admin, "/openapi/v3")
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    code, document, headers = await fetch(admin, url)
    assert code == 200 and "immutable" in headers["Cache-Control"]
    assert "/apis/apps/v1/namespaces/{namespace}/deployments/{name}" in document["paths"]
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    _, raw, headers = await fetch(admin, "/openapi/v2", Accept=accept)
    assert headers["Content-Type"] == accept.replace("@", ".") and raw.startswith(b"\x0a\x032.0")
    _, keys, _ = await fetch(admin, "/openid/v1/jwks")
    assert keys["keys"][0]["alg"] == "ES256"
    _, version, _ = await fetch(admin, "/version")
    assert (version["major"], version["minor"]) == ("1", "36")
    assert re.fullmatch("[0-9a-f]{40}", version["gitCommit"])
    _, text, _ = await fetch(admin, "/readyz?verbose&exclude=ping")
    assert b"[+]ping excluded: ok" in text and b"readyz check passed" in text
    _, metrics, _ = await fetch(admin, "/metrics")
    assert b'apiserver_request_total{verb="GET"' in metrics and b"apiserver_storage_objects" in metrics
    _, root, _ = await fetch(admin, "/")
    assert "/apis/apps/v1" in root["paths"]


async def test_health_checks_can_fail(cluster: Cluster, nobody: aiohttp.ClientSession) -> None:
    cluster.server.health.add("disk", lambda: "full of secrets")
    code, text, _ = await fetch(nobody, "/readyz")
    assert code == 500 and b"[-]disk failed: reason withheld" in text and b"secrets" not in text
    assert (await fetch(nobody, "/livez"))[0] == 200


async def test_audit_log(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    await fetch(admin, f"{CONFIG_MAPS}/absent", Impersonate_User="alice", User_Agent="me/1")
    lines = (cluster.folder / "audit.log").read_text().splitlines()
    event = json.loads(lines[-1])
    assert (
        event["user"]["username"] == "kubernetes-admin" and event["impersonatedUser"]["username"] == "alice"
    )
    assert event["objectRef"]["resource"] == "configmaps" and event["objectRef"]["name"] == "absent"
    assert event["responseStatus"]["code"] == 403 and event["verb"] == "get" and event["userAgent"] == "me/1"


async def test_a_taken_port_has_a_name(cluster: Cluster, tmp_path: Any) -> None:
    other = HTTPServer(cluster.api, cluster.registry, tmp_path / "other", port=cluster.server.port)
    with pytest.raises(PortTaken, match=str(cluster.server.port)):
        await other.start()


async def test_stopping_ends_watches_cleanly(cluster: Cluster, admin: aiohttp.ClientSession) -> None:
    answer = await admin.get(f"{CONFIG_MAPS}?watch=1")
    await cluster.server.stop()
    assert await asyncio.wait_for(answer.read(), 60) == b""  # a finished answer, not a broken one


async def exchanged(cluster: Cluster, request: str) -> bytes:
    """All that comes back for raw requests until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=client_tls(cluster))
    writer.write(request.replace("\n", "\r\n").encode())
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


async def test_answers_follow_each_other_on_a_connection(cluster: Cluster) -> None:
    """Whatever kind of answer comes before: without a body, with one, a failure."""
    host = "Host: x\n"
    got = await exchanged(
        cluster,
        f"HEAD /livez HTTP/1.1\n{host}\nGET /livez HTTP/1.1\n{host}\nGET /none HTTP/1.1\n{host}\n"
        f"GET /livez HTTP/1.1\n{host}Connection: close\n\n",
    )
    heads = [part.partition(b"\r\n\r\n") for part in got.split(b"HTTP/1.1 ")[1:]]
    codes = [head.split(b"\r\n")[0] for head, _, _ in heads]
    assert codes == [b"200 OK", b"200 OK", b"404 Not Found", b"200 OK"]
    lengths = [int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) for head, _, _ in heads]
    bodies = [body for _, _, body in heads]
    assert bodies[0] == b"" and lengths[0] == 2
    assert [len(body) for body in bodies[1:]] == lengths[1:] and bodies[1] == b"ok"
    assert all(b"\r\nDate: " in head and b" GMT" in head for head, _, _ in heads)
    assert [b"Connection: close" in head for head, _, _ in heads] == [False, False, False, True]


async def test_old_clients_are_told_whether_the_connection_stays(cluster: Cluster) -> None:
    got = await exchanged(cluster, "GET /livez HTTP/1.0\nConnection: keep-alive\n\nGET /livez HTTP/1.0\n\n")
    first, second = got.split(b"HTTP/1.0 ")[1:]
    assert first.startswith(b"200 OK\r\n") and b"\r\nConnection: keep-alive\r\n" in first
    assert second.endswith(b"\r\n\r\nok") and b"keep-alive" not in second


@pytest.mark.parametrize("pieces", [1, 3, 400])
async def test_a_body_that_comes_in_pieces(cluster: Cluster, pieces: int) -> None:
    """With its head or after it, with a length or in chunks: it is the same object."""
    body = orjson.dumps(config_map("pieces", text="x" * 300_000))
    size = len(body) // pieces + 1
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    head = f"POST {CONFIG_MAPS}?dryRun=All HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    plain = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), *parts]
    chunked = [
        f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(),
        *(b"%x\r\n%b\r\n" % (len(part), part) for part in parts),
        b"0\r\n\r\n",
    ]
    for sent in (plain, chunked, [b"".join(plain)], [b"".join(chunked)]):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", cluster.server.port, ssl=client_tls(cluster)
        )
        for piece in sent:
            writer.write(piece)
            await writer.drain()
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
        length = int(answer.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
        made = orjson.loads(await asyncio.wait_for(reader.readexactly(length), 60))
        assert made["data"]["text"] == "x" * 300_000
        writer.close()


async def test_a_body_of_unknown_length_is_limited_too(cluster: Cluster) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.server.port, ssl=client_tls(cluster))
    writer.write(f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    size = BODY_LIMIT + 1
    writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 60)
    writer.close()
