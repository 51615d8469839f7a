"""Discovery, OpenAPI, protobuf, tables, metrics and audit lines."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from runtime.api.context import User
from runtime.api.http import audit, tables
from runtime.api.http.discovery import Discovery, aggregated_version
from runtime.api.http.health import Health
from runtime.api.http.metrics import Metrics
from runtime.api.http.openapi.documents import OpenAPI, build_v2, build_v3
from runtime.api.http.openapi.gnostic import encode_document
from runtime.api.http.protobuf import InvalidMessage, decode_body
from runtime.api.http.request import parse_path
from runtime.api.http.responses import accepts_gzip, warning_headers
from runtime.objects.kinds import builtin_registry
from runtime.objects.registry import Column, Printer, Registry, Resource, Subresource

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
REGISTRY = builtin_registry()


def document(path: str, accept: str = "") -> Any:
    found = Discovery(REGISTRY, "127.0.0.1:6443").get(path, accept)
    return None if found is None else orjson.loads(found.body)


def test_legacy_discovery() -> None:
    assert document("/api")["versions"] == ["v1"]
    groups = {group["name"]: group for group in document("/apis")["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert document("/apis/apps")["kind"] == "APIGroup"
    listed = {entry["name"]: entry for entry in document("/api/v1")["resources"]}
    assert listed["pods"]["shortNames"] == ["po"] and listed["pods"]["singularName"] == "pod"
    assert listed["pods/eviction"]["group"] == "policy" and listed["pods/eviction"]["version"] == "v1"
    assert listed["pods/status"]["kind"] == "Pod" and "group" not in listed["pods/status"]
    apps = {entry["name"]: entry for entry in document("/apis/apps/v1")["resources"]}
    assert (apps["deployments/scale"]["group"], apps["deployments/scale"]["kind"]) == ("autoscaling", "Scale")
    assert (
        document("/apis/none") is None and document("/apis/apps/v9") is None and document("/api/v2") is None
    )


def test_the_first_openapi_document_says_what_lists_and_watches_can_be_asked() -> None:
    said = orjson.dumps(build_v2(list(REGISTRY), "v1.36.0")).decode()
    assert "list of returned objects" in said and "Watch for changes to the described resources" in said


def test_aggregated_discovery_agrees_with_the_legacy_one() -> None:
    core = document("/api", V2)["items"]
    assert len(core) == 1 and "name" not in core[0]["metadata"]
    pods = next(r for r in core[0]["versions"][0]["resources"] if r["resource"] == "pods")
    assert pods["scope"] == "Namespaced"
    assert all(sub["responseKind"]["kind"] for sub in pods["subresources"])
    named = {item["metadata"]["name"] for item in document("/apis", V2)["items"]}
    assert named == {group["name"] for group in document("/apis")["groups"]}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", ""),
        ("application/json", ""),
        (f"{V2},application/json", "v2"),
        (f"{V2.replace('v=v2', 'v=v2beta1')},{V2},application/json", "v2beta1"),
        (f"application/json,{V2}", ""),
        (f"{V2.replace('v=v2', 'v=v3')},application/json", ""),
    ],
)
def test_which_discovery(accept: str, wanted: str) -> None:
    assert aggregated_version(accept) == wanted


def test_discovery_follows_the_registry() -> None:
    registry = Registry()
    discovery = Discovery(registry, "x")
    assert discovery.get("/apis/example.io/v1", "") is None
    widget = Resource("example.io", "v1", "Widget", "widgets")
    registry.add(widget)
    found = discovery.get("/apis/example.io/v1", "")
    assert found is not None and b"widgets" in found.body
    registry.remove(widget)
    assert discovery.get("/apis/example.io/v1", "") is None


async def test_what_is_not_established_yet_is_nowhere_listed() -> None:
    registry = Registry([r for r in REGISTRY if r.group == "apps"])
    registry.add(Resource("apps", "v1", "Late", "lates", listed=False))
    registry.add(Resource("example.io", "v1", "Widget", "widgets", listed=False))
    discovery, openapi = Discovery(registry, "x"), OpenAPI(registry, "v1.36.2")
    assert discovery.get("/apis/example.io", "") is None
    assert discovery.get("/apis/example.io/v1", "") is None
    for path, accept in (("/apis", ""), ("/apis", V2), ("/apis/apps/v1", "")):
        found = discovery.get(path, accept)
        assert found is not None and b"example.io" not in found.body and b"lates" not in found.body
        assert b"apps" in found.body
    assert "apis/example.io/v1" not in openapi.index()["paths"]
    assert await openapi.v3("apis/example.io/v1") is None
    assert b"/lates" not in await openapi.v2_json()


def test_openapi_v3_has_what_kubectl_looks_for() -> None:
    made = build_v3([r for r in REGISTRY if r.group == "apps"], "v1.36.2")
    path = made["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    patch = path["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
    }
    assert {"fieldValidation", "dryRun", "force"} <= {p["name"] for p in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    schemas = made["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (
        containers["x-kubernetes-patch-merge-key"] == "name" and containers["x-kubernetes-list-type"] == "map"
    )
    assert (
        schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"][0]["kind"] == "Deployment"
    )
    assert "description" in schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]


CORE = "/api/v1/namespaces/{namespace}/pods/{name}"


def test_openapi_has_the_operations_that_generated_clients_are_made_of() -> None:
    paths = build_v2(list(REGISTRY), "v1.36.2")["paths"]

    def said(path: str, method: str) -> tuple[str, str, set[str]]:
        operation = paths[path][method]
        return (
            operation["operationId"],
            operation.get("x-kubernetes-action", ""),
            {one["name"] for one in operation.get("parameters", ()) if "name" in one},
        )

    streams = {"container", "stderr", "stdin", "stdout", "tty"}
    assert said(f"{CORE}/exec", "post") == (
        "connectCoreV1PostNamespacedPodExec",
        "connect",
        {"command", *streams},
    )
    assert said(f"{CORE}/attach", "get") == ("connectCoreV1GetNamespacedPodAttach", "connect", streams)
    assert said(f"{CORE}/portforward", "get")[2] == {"ports"}
    assert said("/api/v1/nodes/{name}/proxy/{path}", "options") == (
        "connectCoreV1OptionsNodeProxyWithPath",
        "connect",
        {"path"},
    )
    assert {one["name"] for one in paths["/api/v1/nodes/{name}/proxy/{path}"]["parameters"]} == {
        "name",
        "path",
    }
    log = paths[f"{CORE}/log"]["get"]
    assert log["operationId"] == "readCoreV1NamespacedPodLog" and log["produces"][0] == "text/plain"
    assert log["responses"]["200"]["schema"] == {"type": "string"}
    assert {"follow", "tailLines", "sinceSeconds", "limitBytes"} <= said(f"{CORE}/log", "get")[2]
    assert said("/apis/apps/v1/watch/deployments", "get")[:2] == (
        "watchAppsV1DeploymentListForAllNamespaces",
        "watchlist",
    )
    assert said("/apis/apps/v1/watch/namespaces/{namespace}/deployments/{name}", "get")[:2] == (
        "watchAppsV1NamespacedDeployment",
        "watch",
    )
    assert said("/api/v1/watch/nodes", "get")[0] == "watchCoreV1NodeList"
    gone = paths["/apis/storage.k8s.io/v1/storageclasses/{name}"]["delete"]
    assert gone["responses"]["200"]["schema"]["$ref"].endswith(".StorageClass")
    assert {"orphanDependents", "propagationPolicy"} <= {one["name"] for one in gone["parameters"]}
    assert paths["/apis/rbac.authorization.k8s.io/v1/roles"]["get"]["tags"] == ["rbacAuthorization_v1"]


def test_openapi_has_discovery_and_the_other_plain_paths() -> None:
    paths = build_v2(list(REGISTRY), "v1.36.2")["paths"]
    ids = {path: item["get"]["operationId"] for path, item in paths.items() if "get" in item}
    assert ids["/api/"] == "getCoreAPIVersions" and ids["/apis/"] == "getAPIVersions"
    assert ids["/api/v1/"] == "getCoreV1APIResources" and ids["/apis/apps/"] == "getAppsAPIGroup"
    assert ids["/apis/apps/v1/"] == "getAppsV1APIResources" and ids["/version/"] == "getCodeVersion"
    assert ids["/openid/v1/jwks"] == "getServiceAccountIssuerOpenIDKeyset"
    assert "x-kubernetes-action" not in paths["/version/"]["get"]


@pytest.mark.parametrize("v3", [True, False])
def test_every_reference_leads_somewhere_and_ids_are_unique(v3: bool) -> None:
    made = (build_v3 if v3 else build_v2)(list(REGISTRY), "v1.36.2")

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    for reference in set(walk(made["paths"])) | set(walk(made.get("components") or made["definitions"])):
        place = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    methods = ("get", "put", "post", "patch", "delete", "head", "options")
    ids = [item[m]["operationId"] for item in made["paths"].values() for m in methods if m in item]
    assert len(ids) == len(set(ids)) and len(ids) > 300


async def test_openapi_is_kept_and_follows_the_registry() -> None:
    registry = Registry([r for r in REGISTRY if r.group == "apps"])
    openapi = OpenAPI(registry, "v1.36.2")
    before = openapi.index()["paths"]["apis/apps/v1"]["serverRelativeURL"]
    first = await openapi.v3("apis/apps/v1")
    assert first is await openapi.v3("apis/apps/v1")
    assert await openapi.v3("apis/none/v1") is None
    for plain, path in (("version", "/version/"), ("apis/apps", "/apis/apps/"), ("api", "/api/")):
        assert plain in openapi.index()["paths"]
        assert list(orjson.loads(await openapi.v3(plain) or b"")["paths"]) == [path]
    registry.add(Resource("apps", "v1", "Extra", "extras"))
    assert openapi.index()["paths"]["apis/apps/v1"]["serverRelativeURL"] != before
    assert b"extras" in (await openapi.v3("apis/apps/v1") or b"")


def fields(data: bytes) -> list[tuple[int, Any]]:
    """A protobuf message's fields: whole numbers and bytes."""
    found: list[tuple[int, Any]] = []
    position = 0

    def varint() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7

    while position < len(data):
        key = varint()
        if key & 7 == 0:
            found.append((key >> 3, varint()))
        else:
            assert key & 7 == 2
            size = varint()
            found.append((key >> 3, data[position : position + size]))
            position += size
    return found


def one(data: bytes, number: int) -> Any:
    return next(value for key, value in fields(data) if key == number)


def test_gnostic_document() -> None:
    made = build_v2([r for r in REGISTRY if r.group == "apps"], "v1.36.2")
    raw = encode_document(made)
    assert one(raw, 1) == b"2.0" and one(one(raw, 2), 2) == b"v1.36.2"
    paths = {one(entry, 1).decode(): one(entry, 2) for key, entry in fields(one(raw, 8)) if key == 2}
    assert set(paths) == set(made["paths"])
    patch = one(paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"], 8)
    extensions = {one(e, 1).decode(): one(one(e, 2), 2) for key, e in fields(patch) if key == 13}
    assert orjson.loads(extensions["x-kubernetes-group-version-kind"])["kind"] == "Deployment"
    queries = [
        one(one(one(one(p, 1), 2), 3), 4) for key, p in fields(patch) if key == 8 and one(p, 1)[0] == 0x12
    ]
    assert {b"dryRun", b"fieldValidation"} <= set(queries)
    definitions = {one(entry, 1).decode(): one(entry, 2) for _, entry in fields(one(raw, 9))}
    assert set(definitions) == set(made["definitions"])
    spec = definitions["io.k8s.api.apps.v1.DeploymentSpec"]
    properties = {one(p, 1).decode(): one(p, 2) for _, p in fields(one(spec, 25))}
    assert one(properties["template"], 1) == b"#/definitions/io.k8s.api.core.v1.PodTemplateSpec"
    assert one(one(properties["replicas"], 22), 1) == b"integer"


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


def put(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + put(1, put(1, api_version) + put(2, kind)) + put(2, raw)


def test_protobuf_deployment() -> None:
    meta = put(1, "web") + put(2, "") + put(11, put(1, "a") + put(2, "b")) + put(8, b"")
    port = put(1, "") + put(2, 0) + put(3, 80) + put(4, "TCP") + put(5, "")
    quantity = put(1, put(1, "cpu") + put(2, put(1, "100m")))
    probe = put(1, put(2, put(1, "/") + put(2, put(1, 1) + put(2, 0) + put(3, "http")))) + put(2, 0)
    container = put(1, "c") + put(2, "nginx") + put(6, port) + put(8, quantity) + put(10, probe) + put(14, "")
    volume = put(1, "v") + put(2, put(2, put(1, "")))  # emptyDir, inside the embedded VolumeSource
    pod = put(1, volume) + put(2, container) + put(3, "Always") + put(11, 0)
    template = put(1, put(11, put(1, "x") + put(2, "y"))) + put(2, pod)
    spec = put(1, 0) + put(3, template) + put(5, 0)
    body = envelope("apps/v1", "Deployment", put(1, meta) + put(2, spec) + put(3, b""))
    assert decode_body(body) == {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "labels": {"a": "b"}},
        "spec": {
            "replicas": 0,
            "template": {
                "metadata": {"labels": {"x": "y"}},
                "spec": {
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "containers": [
                        {
                            "name": "c",
                            "image": "nginx",
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "resources": {"limits": {"cpu": "100m"}},
                            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
                        }
                    ],
                    "restartPolicy": "Always",
                },
            },
        },
    }


def test_protobuf_values_of_all_sorts() -> None:
    secret = put(1, put(1, "s")) + put(2, put(1, "k") + put(2, b"\x00\xff")) + put(3, "Opaque")
    assert decode_body(envelope("v1", "Secret", secret))["data"] == {"k": "AP8="}
    moment = put(1, put(1, 1_700_000_000) + put(2, 0))
    lease = put(1, put(1, "l")) + put(2, put(1, "me") + put(2, 15) + put(4, put(1, 1) + put(2, 5000)))
    assert decode_body(envelope("coordination.k8s.io/v1", "Lease", lease))["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "renewTime": "1970-01-01T00:00:01.000005Z",
    }
    options = put(1, 0) + put(2, put(1, "uid")) + put(4, "Background")
    assert decode_body(envelope("v1", "DeleteOptions", options)) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "uid"},
        "propagationPolicy": "Background",
    }
    priority = put(1, put(1, "p")) + put(2, -5) + put(3, 0)
    assert decode_body(envelope("scheduling.k8s.io/v1", "PriorityClass", priority))["value"] == -5
    revision = put(1, put(1, "r") + put(8, moment[2:])) + put(2, put(1, b'{"a":[1]}')) + put(3, 1)
    found = decode_body(envelope("apps/v1", "ControllerRevision", revision))
    assert found["data"] == {"a": [1]} and found["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"


def test_protobuf_fields_of_the_future_are_dropped() -> None:
    assert decode_body(envelope("v1", "ConfigMap", put(1, put(1, "c")) + put(999, "x")))["metadata"] == {
        "name": "c"
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\x00",
        b"k8s\x00\xff",
        envelope("v1", "Nonsense", b""),
        envelope("v1", "ConfigMap", b"\x0a\x7f"),
        envelope("v1", "ConfigMap", b"\x0b"),
        envelope("v1", "ConfigMap", put(1, 5)),
        envelope("v1", "ConfigMap", put(1, put(1, b"\xff"))),
        envelope("apps/v1", "ControllerRevision", put(2, put(1, b"{"))),
        envelope("coordination.k8s.io/v1", "Lease", put(2, put(4, put(1, 1 << 62)))),
    ],
)
def test_broken_protobuf(body: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode_body(body)


def test_protobuf_nesting_has_an_end() -> None:
    schema = b""
    for _ in range(300):
        schema = put(25, put(1, schema))
    body = put(1, put(1, "x")) + put(2, put(7, put(1, "v1") + put(4, put(1, schema))))
    with pytest.raises(InvalidMessage):
        decode_body(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", body))


class Entry:
    def __init__(self, obj: dict[str, Any]) -> None:
        self.obj = obj
        self.json = orjson.dumps(obj)


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_tables() -> None:
    entry = Entry({"kind": "X", "metadata": {"name": "a", "creationTimestamp": "t"}, "spec": 1})
    default = orjson.loads(tables.table(None, [entry], NOW, include="Metadata", version="v1", meta={}))
    assert [c["name"] for c in default["columnDefinitions"]] == ["Name", "Created At"]
    assert default["rows"] == [
        {
            "cells": ["a", "t"],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": entry.obj["metadata"],
            },
        }
    ]
    printer = Printer((Column("Name"), Column("Wide", priority=1)), lambda obj, now: [obj["spec"], now.year])
    whole = orjson.loads(tables.table(printer, [entry], NOW, include="Object", version="v1", meta={}))
    assert whole["rows"][0] == {"cells": [1, 2026], "object": entry.obj}
    assert [c["priority"] for c in whole["columnDefinitions"]] == [0, 1]


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_lists_are_whole_however_they_are_cut(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PIECE_BYTES", 20)
    entries = [Entry({"n": number, "pad": "x" * number}) for number in range(count)]
    pieces = tables.object_list("PodList", "v1", entries, {"resourceVersion": "5"})
    assert orjson.loads(b"".join(pieces)) == {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "5"},
        "items": [entry.obj for entry in entries],
    }


def test_metrics_page() -> None:
    metrics = Metrics(lambda: [("pods", 3)])
    metrics.observe(("LIST", "", "v1", "pods", ""), 200, 0.02, latency=True)
    metrics.observe(("WATCH", "", "v1", "pods", ""), 200, 100.0, latency=False)
    page = metrics.render()
    labels = 'verb="LIST",group="",version="v1",resource="pods",subresource=""'
    assert f'apiserver_request_total{{{labels},code="200"}} 1' in page
    assert f'apiserver_request_duration_seconds_bucket{{{labels},le="0.01"}} 0' in page
    assert f'apiserver_request_duration_seconds_bucket{{{labels},le="0.025"}} 1' in page
    assert 'duration_seconds_count{verb="WATCH"' not in page
    assert 'apiserver_storage_objects{resource="pods"} 3' in page


def test_health() -> None:
    health = Health()
    health.add("store", lambda: None, live=True)
    health.add("informers", lambda: "not yet")
    assert health.answer("/livez", [], False) == (200, "ok")
    assert health.answer("/readyz", [], False) == (
        500,
        "[+]ping ok\n[+]store ok\n[-]informers failed: reason withheld\nreadyz check failed\n",
    )
    assert health.answer("/readyz", ["informers"], False) == (200, "ok")
    assert health.answer("/readyz/store", [], False) == (200, "ok")
    assert (health.answer("/readyz/informers", [], False) or (0, ""))[0] == 500
    assert health.answer("/readyz/none", [], False) is None


def test_audit_line() -> None:
    entry = audit.Entry(
        audit_id="1",
        uri="/api/v1/namespaces/a/pods/p/log?x=1",
        verb="get",
        info=parse_path("GET", "/api/v1/namespaces/a/pods/p/log"),
        user=User("me", groups=("g",)),
        impersonated=None,
        source="127.0.0.1",
        user_agent="x",
        code=200,
        received=NOW,
        finished=NOW,
    )
    line = orjson.loads(audit.render(entry))
    assert line["objectRef"] == {
        "resource": "pods",
        "namespace": "a",
        "name": "p",
        "apiVersion": "v1",
        "subresource": "log",
    }
    assert line["level"] == "Metadata" and line["requestReceivedTimestamp"] == "2026-01-01T00:00:00.000000Z"


def test_warning_headers_are_quoted_and_bounded() -> None:
    assert warning_headers(['say "hi"\nthere']) == ['299 - "say \\"hi\\" there"']
    assert len(warning_headers(["x" * 1000] * 10)) == 4
    assert warning_headers(["a\x00\x1fb\x85\u2028c"]) == ['299 - "a\\\\x00 b c"']


def test_accept_encoding() -> None:
    assert accepts_gzip("gzip") and accepts_gzip("br, gzip;q=0.5") and accepts_gzip("*")
    assert not accepts_gzip("identity") and not accepts_gzip("gzip;q=0")


def test_double_is_read() -> None:
    props = put(1, put(1, "x"))
    number = varint(9 << 3 | 1) + struct.pack("<d", 2.5)
    spec = put(7, put(1, "v1") + put(4, put(1, number)))
    body = envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", props + put(2, spec))
    assert decode_body(body)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {"maximum": 2.5}


def test_subresource_kinds() -> None:
    sub = Subresource("scale", "Scale", "autoscaling")
    registry = Registry([Resource("x.io", "v1", "X", "xs", subresources=(sub,))])
    found = Discovery(registry, "x").get("/apis/x.io/v1", "")
    assert found is not None
    assert orjson.loads(found.body)["resources"][1]["group"] == "autoscaling"
