"""Patches, selectors, bodies and paths drawn by hypothesis, sent over HTTP to objects that are really there."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.target import PROTOBUF, Target

EXAMPLES = int(os.environ.get("KUBETUI_FUZZ_EXAMPLES", "0"))
"""More examples than in every run, and other ones each time, for whoever looks for trouble."""
BOUNDED = settings(
    max_examples=EXAMPLES or 80,
    deadline=None,
    database=None,
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"a": "b"}, "annotations": {"n": "1"}, "finalizers": []},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {
                "containers": [
                    {
                        "name": "c",
                        "image": "i",
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 80}],
                        "resources": {"limits": {"cpu": "1"}},
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                    }
                ],
                "volumes": [{"name": "v", "emptyDir": {}}],
                "tolerations": [{"key": "k", "operator": "Exists"}],
            },
        },
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s"},
    "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]},
}
REVISION = {
    "apiVersion": "apps/v1",
    "kind": "ControllerRevision",
    "metadata": {"name": "r"},
    "revision": 1,
    "data": {"anything": [1, {"a": None}]},
}
OBJECTS = {
    "/apis/apps/v1/namespaces/fuzz/deployments": DEPLOYMENT,
    "/api/v1/namespaces/fuzz/services": SERVICE,
    "/apis/apps/v1/namespaces/fuzz/controllerrevisions": REVISION,
}
JSON = "application/json"

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["", "1", "10Mi", "50%", "a.b/c", "🦆", "\u0000", "true", "2024-01-01T00:00:00Z", "-1"])
)  # fmt: skip
WORDS = st.sampled_from(
    ["metadata", "spec", "status", "name", "namespace", "labels", "annotations", "template", "containers",
     "replicas", "selector", "matchLabels", "ports", "data", "finalizers", "ownerReferences", "managedFields",
     "resourceVersion", "uid", "generation", "kind", "apiVersion", "$patch", "$retainKeys",
     "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "creationTimestamp",
     "deletionTimestamp", "x", ""]
)  # fmt: skip
KEYS = WORDS | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["delete", "replace", "merge"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def objects(target: Target) -> None:
    for path, obj in OBJECTS.items():
        code, value, _ = target.send("POST", path, json.dumps(obj).encode(), Content_Type=JSON)
        assert code == 201, value


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value."""
    found = [here]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*here, key))
    return found


def pointer(path: tuple[Any, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


@st.composite
def json_patches(draw: Any, obj: Any) -> Any:
    paths = st.sampled_from([pointer(path) for path in places(obj)]) | st.text("/~01ab-", max_size=6)
    operation = st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "nonsense"]),
            "path": paths,
        },
        optional={"value": VALUES, "from": paths},
    )
    return draw(st.lists(operation, max_size=4) | VALUES)


@st.composite
def merge_patches(draw: Any, obj: Any) -> Any:
    """Something put at a place of the object: ``{"spec": {"template": …}}``; lists by an item of theirs."""
    path = draw(st.sampled_from(places(obj)))
    value = draw(VALUES)
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    if isinstance(value, dict):
        value.update(draw(st.dictionaries(KEYS, VALUES, max_size=1)))
    return value


def text(value: Any) -> bytes:
    return json.dumps(value).encode(errors="replace")


@pytest.mark.parametrize("path", OBJECTS)
@BOUNDED
@given(draw=st.data())
def test_patches(target: Target, path: str, draw: st.DataObject) -> None:
    obj = OBJECTS[path]
    where = f"{path}/{obj['metadata']['name']}"
    kind = draw.draw(
        st.sampled_from(
            ["application/json-patch+json", "application/merge-patch+json",
             "application/strategic-merge-patch+json", "application/apply-patch+yaml"]
        )
    )  # fmt: skip
    patch = draw.draw(json_patches(obj) if "json-patch" in kind else merge_patches(obj))
    if "apply" in kind and isinstance(patch, dict):
        patch.update(apiVersion=obj["apiVersion"], kind=obj["kind"])
    query = {
        "fieldManager": "fuzz",
        "fieldValidation": draw.draw(st.sampled_from(["Strict", "Warn", "Ignore"])),
    }
    if "apply" in kind:
        query["force"] = "true"
    sub = draw.draw(st.sampled_from(["", "", "/status", "/scale"])) if "deployments" in path else ""
    target.send("PATCH", f"{where}{sub}?{urlencode(query)}", text(patch), Content_Type=kind)
    target.send("GET", where, Accept=PROTOBUF)
    code, _, _ = target.send("GET", where)
    if code == 404:  # patched away: a deletionTimestamp can't be, finalizers can
        target.send("POST", path, text(obj), Content_Type=JSON)


@BOUNDED
@given(label=st.text(max_size=12) | st.text("ab,=!()in <>./notexs", max_size=16),
       field=st.text(max_size=8) | st.text("metadata.name,=!\\x", max_size=16),
       other=st.dictionaries(
           st.sampled_from(["limit", "continue", "resourceVersion", "resourceVersionMatch", "timeoutSeconds",
                            "sendInitialEvents", "allowWatchBookmarks", "pretty", "includeObject"]),
           st.text(max_size=6) | st.sampled_from(["1", "0", "-1", "true", "Exact", "NotOlderThan", "99999999999"]),
           max_size=3))  # fmt: skip
def test_selectors_and_options(target: Target, label: str, field: str, other: dict[str, str]) -> None:
    query = {"labelSelector": label, "fieldSelector": field, **other}
    encoded = urlencode(query, errors="replace")
    for path in ("/api/v1/pods", "/apis/apps/v1/namespaces/fuzz/deployments"):
        target.send("GET", f"{path}?{encoded}")
        target.send("GET", f"{path}?{encoded}", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        target.send("GET", f"{path}?{encoded}", Accept=PROTOBUF)
        target.send("DELETE", f"{path}?{encoded}&dryRun=All") if "namespaces" in path else None
    watch = urlencode(
        {**query, "watch": "1", "timeoutSeconds": "1", "labelSelector": label or "nothing"}, errors="replace"
    )
    if not other:
        target.send("GET", f"/api/v1/namespaces/fuzz/secrets?{watch}")


@BOUNDED
@given(body=st.binary(max_size=60) | VALUES.map(text)
       | st.text("{}[]\":,&*!%@`-? \n#|>ab1", max_size=40).map(str.encode),
       kind=st.sampled_from([JSON, "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", ""]),
       method=st.sampled_from(["POST", "PUT", "DELETE"]))  # fmt: skip
def test_bodies(target: Target, body: bytes, kind: str, method: str) -> None:
    for path in ("/api/v1/namespaces/fuzz/configmaps", "/apis/apps/v1/namespaces/fuzz/deployments"):
        where = path if method == "POST" else f"{path}/none"
        target.send(method, where, body, Content_Type=kind)


@pytest.mark.parametrize(
    "kind", [JSON, "application/yaml", "application/apply-patch+yaml", "application/json-patch+json"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{a: " * 100_000,
        b"- " * 100_000,
        b'{"metadata":{"name":"deep"},"data":' + b'{"a":' * 230 + b"1" + b"}" * 232,
        b'[{"op":"add","path":"/data","value":' + b"[" * 230 + b"]" * 230 + b"}]",
        b"a: &a [x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 8)) for c in range(98, 110)),
        b'{"metadata":{"name":"big"},"data":{"n":' + b"9" * 5000 + b"}}",
        b'{"metadata":{"name":"e"},"revision":1e400}',
        b'{"metadata":{"name":"\\ud800"}}',
        b"\xef\xbb\xbf{}",
        b'{"metadata":{"name":"k"},"data":{' + b",".join(b'"k%d":"v"' % n for n in range(100_000)) + b"}}",
    ],
    ids=range(12),
)  # fmt: skip
def test_bodies_beyond_reason(target: Target, body: bytes, kind: str) -> None:
    path = "/apis/apps/v1/namespaces/fuzz/controllerrevisions"
    if "patch" in kind:
        code, value, _ = target.send("PATCH", f"{path}/r?fieldManager=f", body, Content_Type=kind)
    else:
        code, value, _ = target.send("POST", path, body, Content_Type=kind)
    assert 400 <= code < 500 or code == 201, value


@BOUNDED
@given(parts=st.lists(st.sampled_from(["api", "apis", "v1", "apps", "namespaces", "fuzz", "pods", "deployments", "d",
                                       "watch", "status", "scale", "log", "..", ".", "%2e%2e", "openapi", "v3", ""])
                      | st.text(max_size=5).map(lambda part: quote(part, safe="", errors="replace")), max_size=8),
       method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"]))  # fmt: skip
def test_paths(target: Target, parts: list[str], method: str) -> None:
    if "watch" in parts and method == "GET":
        parts = [part for part in parts if part != "watch"]
    if method == "DELETE" and parts[-1:] not in (["d"], ["status"]):
        method = "GET"
    target.send(method, "/" + "/".join(parts), b"{}" if method in ("POST", "PUT", "PATCH") else None,
                Content_Type="application/merge-patch+json" if method == "PATCH" else JSON)  # fmt: skip


@BOUNDED
@given(headers=st.dictionaries(
    st.sampled_from(["Accept", "Content-Type", "Authorization", "Impersonate-User", "Impersonate-Group",
                     "Impersonate-Extra-a", "User-Agent", "Accept-Encoding", "If-None-Match", "Audit-Id",
                     "Sec-WebSocket-Protocol", "Upgrade", "Connection", "X-Stream-Protocol-Version"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
    | st.sampled_from(["application/json;as=Table;g=meta.k8s.io;v=v1", "Bearer x", "Bearer a.b.c", "websocket",
                       "SPDY/3.1", "Upgrade", "*/*;q=0.1", "gzip", "system:admin", "v5.channel.k8s.io"]),
    max_size=4))  # fmt: skip
def test_headers(target: Target, headers: dict[str, str]) -> None:
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    for path in ("/api/v1/namespaces/fuzz/configmaps?limit=1", "/apis", "/openapi/v3",
                 "/api/v1/namespaces/fuzz/pods/none/exec?command=x"):  # fmt: skip
        target.send("GET", path, **named)
