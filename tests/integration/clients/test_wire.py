"""What goes over the wire, to the letter: codes, Status bodies, headers, lists, preconditions and content types.

From Kubernetes' API conventions and reference ("API concepts"), for clients nobody here has tried.
"""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
import yaml

JSON = "application/json"
Obj = dict[str, Any]


async def call(
    http: aiohttp.ClientSession, method: str, path: str, body: Any = None, **options: Any
) -> tuple[int, Any, aiohttp.ClientResponse]:
    """(code, JSON body, the answer)."""
    if body is not None:
        options["data" if isinstance(body, bytes) else "json"] = body
    async with http.request(method, path, **options) as answer:
        text = await answer.read()
        try:
            value = json.loads(text) if text else None
        except ValueError:
            value = text.decode("utf-8", "surrogateescape")
        return answer.status, value, answer


def config_map(name: str, **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def a_status(value: Any, code: int, reason: str) -> Obj:
    """A failure as v1.Status has it; returns its details."""
    assert isinstance(value, dict), value
    assert (value["kind"], value["apiVersion"], value["metadata"], value["status"]) == (
        "Status",
        "v1",
        {},
        "Failure",
    )
    assert (value["code"], value.get("reason")) == (code, reason), value
    assert value["message"]
    found: Obj = value.get("details", {})
    return found


# -- create, get, update, delete ---------------------------------------------------------------------------


async def test_create_answers_with_the_stored_object(http: aiohttp.ClientSession, namespace: str) -> None:
    code, made, answer = await call(http, "POST", maps(namespace), config_map("a", k="v"))
    assert code == 201
    assert answer.headers["Content-Type"] == JSON
    assert answer.headers["Cache-Control"] == "no-cache, private" and answer.headers["Audit-Id"]
    meta = made["metadata"]
    assert (made["kind"], made["apiVersion"], meta["namespace"]) == ("ConfigMap", "v1", namespace)
    assert len(meta["uid"]) == 36 and int(meta["resourceVersion"]) > 0
    assert meta["creationTimestamp"].endswith("Z") and len(meta["creationTimestamp"]) == 20
    (entry,) = meta["managedFields"]
    assert (
        entry["operation"] == "Update" and entry["fieldsType"] == "FieldsV1" and entry["apiVersion"] == "v1"
    )
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    code, got, _ = await call(http, "GET", f"{maps(namespace)}/a")
    assert code == 200 and got == made


@pytest.mark.parametrize(
    ("change", "code", "reason", "words"),
    [
        ({"metadata": {}}, 422, "Invalid", "name or generateName is required"),
        ({"metadata": {"name": "x", "resourceVersion": "1"}}, 500, None,
         "resourceVersion should not be set on objects to be created"),
        ({"metadata": {"name": "x", "namespace": "other"}}, 400, "BadRequest",
         "the namespace of the provided object does not match the namespace sent on the request"),
        ({"kind": "Secret"}, 400, "BadRequest", "Secret in version \"v1\" cannot be handled as a ConfigMap"),
        ({"apiVersion": "v2"}, 400, "BadRequest", "does not match"),
        ({"data": {"k": 1}}, 400, "BadRequest",
         "cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        ({"metadata": {"name": "UPPER"}}, 422, "Invalid", "a lowercase RFC 1123 subdomain"),
        ({"metadata": {"name": "x", "labels": {"a b": "c"}}}, 422, "Invalid", "metadata.labels"),
        ({"data": {"a/b": "c"}}, 422, "Invalid", "a valid config key must consist of"),
    ],
)  # fmt: skip
async def test_refused_creates(
    http: aiohttp.ClientSession, namespace: str, change: Obj, code: int, reason: str, words: str
) -> None:
    got, body, _ = await call(http, "POST", maps(namespace), {**config_map("x"), **change})
    assert got == code, body
    a_status(body, code, reason)
    assert words in body["message"], body["message"]


async def test_failures_name_the_object(http: aiohttp.ClientSession, namespace: str) -> None:
    code, body, _ = await call(http, "GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/none")
    assert a_status(body, 404, "NotFound") == {"name": "none", "group": "apps", "kind": "deployments"}
    assert body["message"] == 'deployments.apps "none" not found' and code == 404
    await call(http, "POST", maps(namespace), config_map("a"))
    code, body, _ = await call(http, "POST", maps(namespace), config_map("a"))
    assert a_status(body, 409, "AlreadyExists") == {"name": "a", "kind": "configmaps"} and code == 409
    code, body, _ = await call(http, "POST", maps(namespace), {**config_map("b"), "data": {"?": "x"}})
    details = a_status(body, 422, "Invalid")
    assert (details["name"], details["kind"]) == ("b", "ConfigMap")
    assert (
        details["causes"][0]["reason"] == "FieldValueInvalid" and details["causes"][0]["field"] == "data[?]"
    )
    code, body, _ = await call(http, "GET", "/apis/nonsense/v1/things")
    assert code == 404 and (body == "404 page not found\n" or body["message"])
    code, body, _ = await call(http, "PUT", maps(namespace), config_map("a"))
    assert a_status(body, 405, "MethodNotAllowed") is not None and code == 405
    code, body, _ = await call(http, "POST", maps("nowhere-to-be-found"), config_map("a"))
    assert body["message"] == 'namespaces "nowhere-to-be-found" not found' and code == 404


async def test_update_is_guarded_by_the_resource_version(http: aiohttp.ClientSession, namespace: str) -> None:
    path = f"{maps(namespace)}/a"
    _, first, _ = await call(http, "POST", maps(namespace), config_map("a", k="1"))
    code, second, _ = await call(http, "PUT", path, {**first, "data": {"k": "2"}})
    assert code == 200 and int(second["metadata"]["resourceVersion"]) > int(
        first["metadata"]["resourceVersion"]
    )
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    code, body, _ = await call(http, "PUT", path, {**first, "data": {"k": "3"}})
    assert a_status(body, 409, "Conflict") == {"name": "a", "kind": "configmaps"}
    assert (
        "the object has been modified; please apply your changes to the latest version and try again"
        in body["message"]
    )
    code, third, _ = await call(http, "PUT", path, config_map("a", k="3"))
    assert code == 200, "without a version the last writer wins, where the kind allows it"
    code, same, _ = await call(http, "PUT", path, third)
    assert same["metadata"]["resourceVersion"] == third["metadata"]["resourceVersion"], (
        "no change, no new version"
    )
    code, body, _ = await call(http, "PUT", path, config_map("b"))
    assert (
        code == 400 and "the name of the object (b) does not match the name on the URL (a)" in body["message"]
    )
    code, body, _ = await call(
        http, "PUT", path, {**config_map("a"), "metadata": {"name": "a", "uid": "other"}}
    )
    assert (
        code == 409
        and "Precondition failed: UID in precondition: other, UID in object meta:" in body["message"]
    )
    code, body, _ = await call(http, "PUT", f"{maps(namespace)}/none", config_map("none"))
    assert code == 404
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    code, _, _ = await call(http, "PUT", f"{leases}/l", lease)
    assert code == 201, "a Lease may be made by an update"
    code, body, _ = await call(http, "PUT", f"{leases}/l", lease)
    assert (
        code == 422
        and "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in body["message"]
    )


async def test_delete_and_its_preconditions(http: aiohttp.ClientSession, namespace: str) -> None:
    path = f"{maps(namespace)}/a"
    _, made, _ = await call(http, "POST", maps(namespace), config_map("a"))
    uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    code, body, _ = await call(http, "DELETE", path, {"preconditions": {"uid": "other"}})
    a_status(body, 409, "Conflict")
    assert f"the UID in the precondition (other) does not match the UID in record ({uid})" in body["message"]
    code, body, _ = await call(http, "DELETE", path, {"preconditions": {"resourceVersion": "1"}})
    a_status(body, 409, "Conflict")
    assert (
        f"the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version})"
        in body["message"]
    )
    code, body, _ = await call(http, "DELETE", path, {"propagationPolicy": "Sideways"})
    a_status(body, 422, "Invalid")
    assert "propagationPolicy" in body["message"] and body["details"]["kind"] == "DeleteOptions"
    code, body, _ = await call(
        http, "DELETE", path, {"propagationPolicy": "Orphan", "orphanDependents": True}
    )
    assert code == 422 and "orphanDependents and deletionPropagation cannot be both set" in body["message"]
    code, body, _ = await call(http, "DELETE", f"{path}?dryRun=All")
    assert code == 200 and (await call(http, "GET", path))[0] == 200
    held = {"uid": uid, "resourceVersion": version}
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": held}
    code, body, _ = await call(http, "DELETE", path, options)
    assert code == 200
    assert body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": uid},
    }
    code, body, _ = await call(http, "DELETE", path)
    assert code == 404


async def test_a_pod_is_deleted_gracefully(http: aiohttp.ClientSession, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "metadata": {"name": "p", "annotations": {"simulated.kubetui.io/ignore-term": "true"}},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    assert (await call(http, "POST", pods, pod))[0] == 201
    async with http.get(
        pods, params={"watch": "1", "fieldSelector": "metadata.name=p,status.phase=Running"}
    ) as watch:
        assert json.loads(await watch.content.readline())["type"] == "ADDED"
    code, body, _ = await call(http, "DELETE", f"{pods}/p?gracePeriodSeconds=20")
    assert code == 200 and body["kind"] == "Pod" and body["metadata"]["deletionGracePeriodSeconds"] == 20
    assert body["metadata"]["deletionTimestamp"] and body["metadata"]["generation"] == 2
    code, body, _ = await call(http, "DELETE", f"{pods}/p?gracePeriodSeconds=30")
    assert body["metadata"]["deletionGracePeriodSeconds"] == 20, "a second delete may only shorten the time"
    code, body, _ = await call(http, "DELETE", f"{pods}/p", {"gracePeriodSeconds": 0})
    assert code == 200
    assert (await call(http, "GET", f"{pods}/p"))[0] == 404


async def test_delete_collection(http: aiohttp.ClientSession, namespace: str) -> None:
    for number in range(4):
        obj = config_map(f"c{number}")
        obj["metadata"]["labels"] = {"odd": str(number % 2)}
        await call(http, "POST", maps(namespace), obj)
    code, _, _ = await call(http, "DELETE", f"{maps(namespace)}?labelSelector=odd%3D1&dryRun=All")
    assert code == 200
    code, body, _ = await call(http, "DELETE", f"{maps(namespace)}?labelSelector=odd%3D1")
    assert code == 200 and body["kind"] in ("ConfigMapList", "Status")
    _, left, _ = await call(http, "GET", f"{maps(namespace)}?labelSelector=odd")
    assert [one["metadata"]["name"] for one in left["items"]] == ["c0", "c2"]


async def test_dry_run(http: aiohttp.ClientSession, namespace: str) -> None:
    code, made, _ = await call(http, "POST", f"{maps(namespace)}?dryRun=All", config_map("a", k="v"))
    assert code == 201 and made["metadata"]["uid"] and "resourceVersion" not in made["metadata"]
    assert (await call(http, "GET", f"{maps(namespace)}/a"))[0] == 404
    code, body, _ = await call(http, "POST", f"{maps(namespace)}?dryRun=Some", config_map("a"))
    a_status(body, 422, "Invalid")
    assert 'dryRun: Unsupported value: "Some": supported values: "All"' in body["message"].replace("[0]", "")
    _, real, _ = await call(http, "POST", maps(namespace), config_map("a", k="v"))
    code, patched, _ = await call(
        http, "PATCH", f"{maps(namespace)}/a?dryRun=All", b'{"data":{"k":"w"}}',
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    assert code == 200 and patched["data"] == {"k": "w"}
    assert (await call(http, "GET", f"{maps(namespace)}/a"))[1] == real


# -- patches -----------------------------------------------------------------------------------------------


async def test_patch_types_and_their_refusals(http: aiohttp.ClientSession, namespace: str) -> None:
    path = f"{maps(namespace)}/a"
    await call(http, "POST", maps(namespace), config_map("a", k="v"))

    async def patch(kind: str, body: bytes, query: str = "") -> tuple[int, Any]:
        code, value, _ = await call(http, "PATCH", path + query, body, headers={"Content-Type": kind})
        return code, value

    merge, strategic = "application/merge-patch+json", "application/strategic-merge-patch+json"
    operations, apply = "application/json-patch+json", "application/apply-patch+yaml"
    assert (await patch(merge, b'{"data":{"k":null,"l":"1"}}'))[1]["data"] == {"l": "1"}
    assert (await patch(strategic, b'{"data":{"m":"2"}}'))[1]["data"] == {"l": "1", "m": "2"}
    assert (await patch(operations, b'[{"op":"remove","path":"/data/m"}]'))[1]["data"] == {"l": "1"}
    code, value = await patch(JSON, b"{}")
    assert code == 415 and "application/apply-patch+yaml" in a_text(value)
    code, value = await patch(operations, b'[{"op":"test","path":"/data/l","value":"9"}]')
    a_status(value, 422, "Invalid")
    assert value["message"] == "the server rejected our request due to an error in our request"
    for body in (b"{", b"[]", b"null", b'"x"'):
        code, value = await patch(merge, body)
        assert code == 400, (body, value)
    code, value = await patch(operations, b'{"op":"remove"}')
    assert code == 400
    code, value = await patch(merge, b'{"data":{"k":5}}')
    a_status(value, 422, "Invalid")
    code, value = await patch(merge, b'{"metadata":{"resourceVersion":"1"}}')
    a_status(value, 409, "Conflict")
    code, value = await patch(apply, b"{}")
    assert code == 422 and "fieldManager" in value["message"]
    code, value = await patch(merge, b"{}", "?force=true")
    assert code == 422 and "may not be specified for non-apply patch" in value["message"]
    code, value = await patch(apply, b"apiVersion: v1\nkind: ConfigMap\ndata: {n: '3'}\n", "?fieldManager=me")
    assert code == 200 and value["data"] == {"l": "1", "n": "3"}
    code, value = await patch(apply, b"{apiVersion: v1, kind: ConfigMap, data: {n: '4'}}", "?fieldManager=me")
    assert code == 200 and value["data"]["n"] == "4", "flow style is YAML too"
    code, value = await patch(apply, b"kind: ConfigMap\ndata: {}\n", "?fieldManager=me")
    assert code == 400
    new = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\n"
    path = f"{maps(namespace)}/new"
    code, value = await patch(apply, new, "?fieldManager=me")
    assert code == 201, "apply makes what is not there"
    code, value, _ = await call(
        http, "PATCH", f"{maps(namespace)}/none", b"{}", headers={"Content-Type": merge}
    )
    assert code == 404


def a_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value["message"])


async def test_conflicts_of_an_apply_name_manager_and_field(
    http: aiohttp.ClientSession, namespace: str
) -> None:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    path = f"{maps(namespace)}/a"
    body = config_map("a", k="1")
    code, _, _ = await call(
        http, "PATCH", f"{path}?fieldManager=one", json.dumps(body).encode(), headers=headers
    )
    assert code == 201
    body["data"]["k"] = "2"
    code, value, _ = await call(
        http, "PATCH", f"{path}?fieldManager=two", json.dumps(body).encode(), headers=headers
    )
    details = a_status(value, 409, "Conflict")
    assert details["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]
    assert value["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    code, value, _ = await call(
        http, "PATCH", f"{path}?fieldManager=two&force=true", json.dumps(body).encode(), headers=headers
    )
    assert code == 200 and value["data"] == {"k": "2"}
    managers = {entry["manager"]: entry["fieldsV1"] for entry in value["metadata"]["managedFields"]}
    assert managers == {"two": {"f:data": {"f:k": {}}}}, managers


async def test_field_validation(http: aiohttp.ClientSession, namespace: str) -> None:
    wrong = b'{"metadata":{"name":"NAME"},"data":{"a":"1","a":"2"},"dta":{}}'

    def named(name: str) -> bytes:
        return wrong.replace(b"NAME", name.encode())

    headers = {"Content-Type": JSON}
    code, value, _ = await call(
        http, "POST", f"{maps(namespace)}?fieldValidation=Strict", named("s"), headers=headers
    )
    a_status(value, 400, "BadRequest")
    assert 'strict decoding error: duplicate field "data.a", unknown field "dta"' in value["message"]
    code, value, answer = await call(
        http, "POST", f"{maps(namespace)}?fieldValidation=Warn", named("w"), headers=headers
    )
    assert code == 201 and value["data"] == {"a": "2"}
    assert answer.headers.getall("Warning") == [
        '299 - "duplicate field \\"data.a\\""',
        '299 - "unknown field \\"dta\\""',
    ]
    code, value, answer = await call(
        http, "POST", f"{maps(namespace)}?fieldValidation=Ignore", named("i"), headers=headers
    )
    assert code == 201 and "Warning" not in answer.headers

    code, value, _ = await call(
        http, "POST", f"{maps(namespace)}?fieldValidation=Maybe", named("m"), headers=headers
    )
    a_status(value, 422, "Invalid")
    for kind, body in (
        ("application/merge-patch+json", b'{"data":{"b":"1","b":"2"}}'),
        ("application/strategic-merge-patch+json", b'{"data":{"b":"1","b":"2"}}'),
        ("application/merge-patch+json", b'{"dta":{}}'),
        ("application/strategic-merge-patch+json", b'{"dta":{}}'),
    ):
        path = f"{maps(namespace)}/w?fieldValidation=Strict"
        code, value, _ = await call(http, "PATCH", path, body, headers={"Content-Type": kind})
        assert code in (400, 422) and "strict decoding error" in value["message"], (kind, body, code, value)


async def test_field_problems_come_in_the_order_of_the_body(
    http: aiohttp.ClientSession, namespace: str
) -> None:
    """Each problem in the order it is written in; of YAML, whose keys are sorted before they are read, in that."""
    body = (
        b'{"metadata":{"name":"a","zone":{"x":1,"x":2}},"zeta":1,"zeta":2,'
        b'"data":{"a":"1","a":"2"},"alpha":{"b":1,"b":1}}'
    )
    strict = f"{maps(namespace)}?fieldValidation=Strict"
    code, value, _ = await call(http, "POST", strict, body, headers={"Content-Type": JSON})
    a_status(value, 400, "BadRequest")
    assert value["message"].endswith(
        'strict decoding error: unknown field "metadata.zone", unknown field "zeta", duplicate field "data.a", '
        'unknown field "alpha"'
    )
    body = b"metadata: {name: a}\nzeta: 1\nalpha: 1\ndata: {a: '1',\n a: '2'}\ndata: {}\n"
    code, value, _ = await call(http, "POST", strict, body, headers={"Content-Type": "application/yaml"})
    assert code == 400 and value["message"].endswith(
        'strict decoding error: yaml: unmarshal errors:\n  line 5: key "a" already set in map\n'
        '  line 6: key "data" already set in map, unknown field "alpha", unknown field "zeta"'
    )
    code, value, answer = await call(
        http, "POST", maps(namespace), body, headers={"Content-Type": "application/yaml"}
    )
    assert code == 201 and answer.headers.getall("Warning") == [
        '299 - "line 5: key \\"a\\" already set in map"',
        '299 - "line 6: key \\"data\\" already set in map"',
        '299 - "unknown field \\"alpha\\""',
        '299 - "unknown field \\"zeta\\""',
    ]


# -- lists -------------------------------------------------------------------------------------------------


async def test_pages_show_one_moment(http: aiohttp.ClientSession, namespace: str) -> None:
    path = maps(namespace)
    for number in range(5):
        await call(
            http,
            "POST",
            path,
            {**config_map(f"c{number}"), "metadata": {"name": f"c{number}", "labels": {"p": "1"}}},
        )
    _, whole, _ = await call(http, "GET", path)
    assert (whole["kind"], whole["apiVersion"]) == ("ConfigMapList", "v1")
    assert "continue" not in whole["metadata"]
    _, first, _ = await call(http, "GET", f"{path}?limit=2")
    assert len(first["items"]) == 2
    assert first["metadata"]["remainingItemCount"] == len(whole["items"]) - 2
    await call(http, "DELETE", f"{path}/c3")
    await call(http, "POST", path, config_map("zz"))
    names = [one["metadata"]["name"] for one in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        code, page, _ = await call(http, "GET", path, params={"limit": "2", "continue": token})
        assert code == 200 and page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [one["metadata"]["name"] for one in page["items"]]
        token = page["metadata"].get("continue", "")
    assert names == [one["metadata"]["name"] for one in whole["items"]]
    _, selected, _ = await call(http, "GET", f"{path}?limit=1&labelSelector=p%3D1")
    assert selected["metadata"]["continue"] and "remainingItemCount" not in selected["metadata"]
    for wrong in ("nonsense", "e30", "eyJ2Ijoid3JvbmcifQ"):
        code, body, _ = await call(http, "GET", path, params={"limit": "1", "continue": wrong})
        assert code == 400 and "continue" in body["message"], body
    code, body, _ = await call(
        http, "GET", path, params={"continue": first["metadata"]["continue"], "resourceVersion": "1"}
    )
    assert code in (400, 422), body


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("resourceVersion=0", 200),
        ("resourceVersion=1&resourceVersionMatch=NotOlderThan", 200),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=1&resourceVersionMatch=Sometimes", 422),
        ("resourceVersion=abc", 400),
        ("resourceVersion=999999999", 504),
        ("limit=abc", 400),
        ("labelSelector=a%3Db%3Dc", 400),
        ("fieldSelector=nonsense", 400),
        ("fieldSelector=spec.foo%3Dx", 400),
        ("fieldSelector=metadata.name%3Dx%2C", 200),
        ("timeoutSeconds=5", 200),
        ("unknownOption=x", 200),
    ],
)
async def test_list_options(http: aiohttp.ClientSession, namespace: str, query: str, code: int) -> None:
    got, body, _ = await call(http, "GET", f"{maps(namespace)}?{query}")
    assert got == code, body
    if code == 504:
        details = a_status(body, 504, "Timeout")
        assert (
            details["causes"][0]["reason"] == "ResourceVersionTooLarge" and details["retryAfterSeconds"] == 1
        )
        assert body["message"].startswith("Timeout: Too large resource version: 999999999, current: ")


async def test_all_namespaces_and_selectors(http: aiohttp.ClientSession, namespace: str) -> None:
    obj = config_map("one")
    obj["metadata"]["labels"] = {"test": namespace, "n": "5"}
    await call(http, "POST", maps(namespace), obj)
    for selector, found in (
        (f"test={namespace}", 1),
        (f"test=={namespace},n in (4,5)", 1),
        (f"test={namespace},n notin (5)", 0),
        (f"test={namespace},!n", 0),
        (f"test={namespace},n>4,n<6", 1),
        (f"test={namespace},other!=x", 1),
    ):
        code, body, _ = await call(http, "GET", "/api/v1/configmaps", params={"labelSelector": selector})
        assert (code, len(body["items"])) == (200, found), selector
    _, body, _ = await call(
        http,
        "GET",
        "/api/v1/configmaps",
        params={"fieldSelector": f"metadata.namespace={namespace},metadata.name!=one"},
    )
    assert "one" not in [one["metadata"]["name"] for one in body["items"]]


# -- content -----------------------------------------------------------------------------------------------


async def test_content_negotiation(http: aiohttp.ClientSession, namespace: str) -> None:
    path = maps(namespace)
    await call(http, "POST", path, config_map("a", k="v"))

    async def accept(value: str, path: str = f"{path}/a") -> tuple[int, Any, str]:
        code, body, answer = await call(http, "GET", path, headers={"Accept": value})
        return code, body, answer.headers["Content-Type"]

    for value in (
        "",
        "*/*",
        "application/*",
        "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json",
        "text/html, */*",
    ):
        code, body, kind = await accept(value)
        assert (code, kind) == (200, JSON) and body["data"] == {"k": "v"}, value
    for value in (
        "application/vnd.kubernetes.protobuf",
        "application/vnd.kubernetes.protobuf,application/json",
    ):
        code, body, kind = await accept(value)
        assert (code, kind) == (200, "application/vnd.kubernetes.protobuf") and body.startswith("k8s\0")
    code, body, kind = await accept("application/yaml")
    assert (code, kind) == (200, "application/yaml") and yaml.safe_load(body)["data"] == {"k": "v"}
    code, body, _ = await accept("text/html")
    a_status(body, 406, "NotAcceptable")
    assert "only the following media types are accepted: application/json" in body["message"]
    code, body, _ = await call(
        http, "POST", path, b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: y}\n",
        headers={"Content-Type": "application/yaml"},
    )  # fmt: skip
    assert code == 201
    code, body, _ = await call(http, "POST", path, b"<x/>", headers={"Content-Type": "text/xml"})
    a_status(body, 415, "UnsupportedMediaType")
    code, body, kind = await accept("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    assert (body["kind"], body["apiVersion"]) == (
        "PartialObjectMetadata",
        "meta.k8s.io/v1",
    ) and "data" not in body
    code, body, kind = await accept("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", path)
    assert body["kind"] == "PartialObjectMetadataList" and body["metadata"]["resourceVersion"]
    code, body, _ = await accept("application/json;as=Nonsense;g=meta.k8s.io;v=v1")
    assert code == 406


async def test_tables(http: aiohttp.ClientSession, namespace: str) -> None:
    await call(http, "POST", maps(namespace), config_map("a", k="v"))
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    code, body, _ = await call(http, "GET", maps(namespace), headers=accept)
    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [(column["name"], column["type"]) for column in body["columnDefinitions"]] == [
        ("Name", "string"), ("Data", "string"), ("Age", "string"),
    ]  # fmt: skip
    assert set(body["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    assert body["columnDefinitions"][0]["format"] == "name" and body["metadata"]["resourceVersion"]
    row = next(row for row in body["rows"] if row["cells"][0] == "a")
    assert row["cells"][1] in (1, "1") and row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["apiVersion"] == "meta.k8s.io/v1"
    code, body, _ = await call(http, "GET", f"{maps(namespace)}/a?includeObject=None", headers=accept)
    assert body["rows"][0].get("object") is None
    code, body, _ = await call(http, "GET", f"{maps(namespace)}/a?includeObject=Object", headers=accept)
    assert body["rows"][0]["object"]["kind"] == "ConfigMap"
    code, body, _ = await call(http, "GET", f"{maps(namespace)}/a?includeObject=Nothing", headers=accept)
    assert code == 400


async def test_other_answers(http: aiohttp.ClientSession, namespace: str) -> None:
    async with http.get(f"{maps(namespace)}?pretty=true") as answer:
        assert b'\n  "items": [' in await answer.read()
    async with http.head(maps(namespace)) as answer:
        assert answer.status == 200 and await answer.read() == b""
    async with http.get(maps(namespace).replace("namespaces", "namespaces/")) as answer:
        assert answer.status in (200, 301, 404)
    async with http.post(f"/api/v1/namespaces/{namespace}/pods/none/exec?command=x") as answer:
        assert answer.status in (400, 404)
    async with http.options(maps(namespace)) as answer:
        assert answer.status in (403, 405)
    code, body, _ = await call(http, "GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert code == 405
    big = json.dumps({**config_map("big"), "data": {"x": "y" * 4_000_000}}).encode()
    async with http.post(maps(namespace), data=big, headers={"Content-Type": JSON}) as answer:
        assert answer.status == 413 and (await answer.json())["reason"] == "RequestEntityTooLarge"
    code, body, _ = await call(http, "POST", maps(namespace), config_map("over", x="y" * 1_100_000))
    a_status(body, 422, "Invalid")
    assert "must have at most 1048576 bytes" in body["message"] or "Too long" in body["message"]


# -- subresources ------------------------------------------------------------------------------------------

DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"a": "d"}},
        "template": {
            "metadata": {"labels": {"a": "d"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}


async def test_status_and_scale(http: aiohttp.ClientSession, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    _, made, _ = await call(http, "POST", path, {**DEPLOYMENT, "status": {"replicas": 9}})
    assert made["status"] == {} and made["metadata"]["generation"] == 1
    patch = {"headers": {"Content-Type": "application/merge-patch+json"}}
    metadata = {"labels": {"x": "y"}, "annotations": {"x": "y"}}
    both = {"metadata": metadata, "spec": {"replicas": 7}, "status": {"collisionCount": 3}}
    code, changed, _ = await call(http, "PATCH", f"{path}/d/status", json.dumps(both).encode(), **patch)
    assert code == 200 and changed["status"]["collisionCount"] == 3
    assert changed["spec"]["replicas"] == 2 and "labels" not in changed["metadata"]
    assert changed["metadata"]["annotations"]["x"] == "y"
    code, changed, _ = await call(
        http, "PATCH", f"{path}/d", b'{"status":{"collisionCount":5},"spec":{"paused":true}}', **patch
    )
    assert changed["status"].get("collisionCount") == 3 and changed["spec"]["paused"] is True
    assert changed["metadata"]["generation"] == 2
    code, scale, _ = await call(http, "GET", f"{path}/d/scale")
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2} and scale["status"]["selector"] == "a=d"
    scale["spec"]["replicas"] = 3
    del scale["metadata"]["resourceVersion"]  # the controller may have written meanwhile
    code, scale, _ = await call(http, "PUT", f"{path}/d/scale", scale)
    assert code == 200 and scale["spec"] == {"replicas": 3}
    code, body, _ = await call(http, "PUT", f"{path}/d/scale", {**scale, "spec": {"replicas": -1}})
    a_status(body, 422, "Invalid")
    assert body["message"].startswith('Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1')
    code, body, _ = await call(http, "GET", f"{path}/d/nonsense")
    assert code == 404


async def test_eviction(http: aiohttp.ClientSession, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "metadata": {"name": "p", "labels": {"a": "p"}},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    await call(http, "POST", pods, pod)
    async with http.get(
        pods, params={"watch": "1", "fieldSelector": "metadata.name=p,status.phase=Running"}
    ) as watch:
        assert json.loads(await watch.content.readline())["type"] == "ADDED"
    budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "p"}}}}
    assert (await call(http, "POST", budgets, budget))[0] == 201
    async with http.get(budgets, params={"watch": "1"}) as watch:
        while json.loads(await watch.content.readline())["object"]["status"].get("currentHealthy") != 1:
            pass
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    code, body, _ = await call(http, "POST", f"{pods}/p/eviction", eviction)
    details = a_status(body, 429, "TooManyRequests")
    assert body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert details["causes"][0]["reason"] == "DisruptionBudget"
    assert (
        "The disruption budget b needs 1 healthy pods and has 1 currently" in details["causes"][0]["message"]
    )
    await call(http, "DELETE", f"{budgets}/b")
    code, body, _ = await call(
        http, "POST", f"{pods}/p/eviction", {**eviction, "apiVersion": "policy/v1beta1"}
    )
    assert (code, body["status"], body["code"]) == (201, "Success", 201), body


async def test_tokens_bindings_and_reviews(http: aiohttp.ClientSession, namespace: str) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await call(http, "POST", accounts, {"metadata": {"name": "robot"}})
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600},
    }
    code, body, _ = await call(http, "POST", f"{accounts}/robot/token", request)
    assert code == 201 and body["kind"] == "TokenRequest" and body["status"]["token"].count(".") == 2
    assert body["status"]["expirationTimestamp"]
    token = body["status"]["token"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    code, body, _ = await call(http, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert code == 201 and body["status"]["authenticated"] is True
    assert body["status"]["user"]["username"] == f"system:serviceaccount:{namespace}:robot"
    code, body, _ = await call(
        http, "POST", f"{accounts}/robot/token", {**request, "spec": {"expirationSeconds": 5}}
    )
    assert code == 422 and "may not specify a duration less than 10 minutes" in body["message"]
    access = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": namespace}}}
    code, body, _ = await call(http, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", access)
    assert code == 201 and body["status"]["allowed"] is True
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {
        "metadata": {"name": "p"},
        "spec": {"schedulerName": "by-hand", "containers": [{"name": "a", "image": "b"}]},
    }
    await call(http, "POST", pods, pod)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "kubetui"},
    }
    code, body, _ = await call(http, "POST", f"{pods}/p/binding", binding)
    assert (code, body["status"], body["code"]) == (201, "Success", 201)
    _, bound, _ = await call(http, "GET", f"{pods}/p")
    assert bound["spec"]["nodeName"] == "kubetui"
    assert next(c for c in bound["status"]["conditions"] if c["type"] == "PodScheduled")["status"] == "True"
    code, body, _ = await call(http, "POST", f"{pods}/p/binding", binding)
    assert code == 409 and "is already assigned to node" in body["message"]


async def test_what_may_not_change(http: aiohttp.ClientSession, namespace: str) -> None:
    async def refusal(path: str, obj: Obj, patch: Obj) -> str:
        code, body, _ = await call(http, "POST", path, obj)
        assert code == 201, body
        code, body, _ = await call(
            http, "PATCH", f"{path}/{obj['metadata']['name']}", json.dumps(patch).encode(),
            headers={"Content-Type": "application/strategic-merge-patch+json"},
        )  # fmt: skip
        a_status(body, 422, "Invalid")
        return str(body["message"])

    base = f"namespaces/{namespace}"
    said = await refusal(
        f"/api/v1/{base}/pods",
        {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
        {"spec": {"containers": [{"name": "a", "env": [{"name": "A", "value": "b"}]}]}},
    )
    assert "pod updates may not change fields other than" in said
    said = await refusal(
        f"/apis/apps/v1/{base}/deployments", DEPLOYMENT, {"spec": {"selector": {"matchLabels": {"b": "c"}}}}
    )
    assert "field is immutable" in said
    said = await refusal(
        f"/api/v1/{base}/services",
        {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
        {"spec": {"clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"]}},
    )
    assert "may not change once set" in said
    said = await refusal(
        f"/api/v1/{base}/secrets",
        {"metadata": {"name": "s"}, "immutable": True},
        {"stringData": {"a": "b"}},
    )
    assert "field is immutable when `immutable` is set" in said
    said = await refusal(
        f"/apis/batch/v1/{base}/jobs",
        {
            "metadata": {"name": "j"},
            "spec": {
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
            },
        },
        {"spec": {"completions": 5}},
    )
    assert "spec.completions: Invalid value" in said and "field is immutable" in said
    said = await refusal(
        f"/api/v1/{base}/persistentvolumeclaims",
        {
            "metadata": {"name": "c"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "x",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
        {"spec": {"storageClassName": "y"}},
    )
    assert "spec is immutable after creation" in said
