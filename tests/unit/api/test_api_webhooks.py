"""Admission webhooks: who is asked about what, what their answers do, and what a bad one comes to."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from planes import Plane, config_map, deployment, pod

from runtime.objects.errors import StatusError
from runtime.store import Change
from tests.support.webhooks import WebhookServer, never, patch

GROUP = "admissionregistration.k8s.io/v1"
POD_RULE = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
MAP_RULE = {**POD_RULE, "resources": ["configmaps"], "operations": ["*"]}
LABEL = {"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[WebhookServer]:
    server = await WebhookServer(tmp_path).start()
    yield server
    await server.stop()


def hook(client: dict, *rules: dict, name: str = "a.example.com", **more: Any) -> dict:
    return {
        "name": name,
        "clientConfig": client,
        "rules": list(rules or (MAP_RULE,)),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 30,
        **more,
    }


async def configure(plane: Plane, kind: str, *webhooks: dict, name: str = "hooks") -> None:
    await plane.client.create(
        {
            "apiVersion": GROUP,
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": list(webhooks),
        }
    )


async def refused(plane: Plane, obj: dict) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(obj, "default")
    return caught.value


@pytest.mark.parametrize("path", ["/v", "//v", "/v/", "/a/..//v/.", "/./v"])
async def test_the_path_of_a_url_is_cleaned(plane, hooks: WebhookServer, path: str) -> None:
    client = hooks.on("/v")
    await configure(plane, "Validating", hook({**client, "url": client["url"].removesuffix("/v") + path}))
    await plane.client.create(config_map("c"), "default")
    assert len(hooks.requests("/v")) == 1


async def test_a_mutating_webhook_sees_the_request_and_completes_the_object(plane, hooks) -> None:
    client = hooks.on("/m", patch(LABEL, {"op": "add", "path": "/data/added", "value": "1"}))
    await configure(plane, "Mutating", hook(client))
    made = await plane.client.create(config_map("c", given="0"), "default")
    assert made["data"] == {"given": "0", "added": "1"} and made["metadata"]["labels"] == {"seen": "yes"}
    assert made["metadata"]["uid"] and made["metadata"]["creationTimestamp"]
    assert "f:added" not in str(made["metadata"]["managedFields"])  # it is nobody's
    (review,) = hooks.asked["/m"]
    assert (review["kind"], review["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
    request = review["request"]
    assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"} == request["requestKind"]
    assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (request["name"], request["namespace"], request["operation"]) == ("c", "default", "CREATE")
    assert request["userInfo"]["username"] == "system:tests" and request["dryRun"] is False
    assert request["options"]["kind"] == "CreateOptions" and request["oldObject"] is None
    assert request["object"]["data"] == {"given": "0"} and "uid" not in request["object"]["metadata"]
    # an update shows both, and cannot touch what the server decides
    moment = {"op": "replace", "path": "/metadata/creationTimestamp", "value": "2001-01-01T00:00:00Z"}
    hooks.on("/m", patch(moment, {"op": "add", "path": "/data/late", "value": "1"}))
    changed = await plane.client.update({**made, "data": {"given": "2"}})
    assert changed["data"] == {"given": "2", "late": "1"}
    assert changed["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    (request,) = hooks.requests("/m")
    assert request["operation"] == "UPDATE" and request["oldObject"]["data"] == made["data"]
    assert request["object"]["data"] == {"given": "2"}
    hooks.on("/m")
    await plane.client.delete("configmaps", "c", "default", grace_period_seconds=0)
    (request,) = hooks.requests("/m")
    assert (request["operation"], request["object"]) == ("DELETE", None)
    assert request["oldObject"]["data"] == {"given": "2", "late": "1"}
    assert request["options"] == {
        "kind": "DeleteOptions",
        "apiVersion": "meta.k8s.io/v1",
        "gracePeriodSeconds": 0,
    }


async def test_what_a_webhook_adds_is_defaulted_validated_and_seen_by_plugins(plane, hooks) -> None:
    container = {"name": "side", "image": "proxy"}
    client = hooks.on("/m", patch({"op": "add", "path": "/spec/containers/-", "value": container}))
    await configure(plane, "Mutating", hook(client, POD_RULE))
    made = await plane.client.create(pod(), "default")
    side = made["spec"]["containers"][1]
    assert side["imagePullPolicy"] == "Always" and side["terminationMessagePath"]
    assert side["volumeMounts"][0]["mountPath"].endswith("serviceaccount")  # the plugins came again
    assert made["metadata"]["name"].startswith("web-")
    (request,) = hooks.requests("/m")
    assert "name" not in request and "name" not in request["object"]["metadata"]
    hooks.on("/m", patch({"op": "replace", "path": "/spec/containers/0/name", "value": "Not A Name"}))
    error = await refused(plane, pod("p"))
    assert (error.code, error.reason) == (422, "Invalid") and "spec.containers[0].name" in error.message


async def test_denials_speak_with_the_webhooks_words_and_code(plane, hooks) -> None:
    client = hooks.on("/v", {"allowed": False, "status": {"message": "not today", "code": 403}})
    await configure(plane, "Validating", hook(client, name="deny.example.com"))
    error = await refused(plane, config_map("c"))
    assert error.message == 'admission webhook "deny.example.com" denied the request: not today'
    assert error.code == 403
    for status, code, tail in (
        (None, 400, " without explanation"),
        ({"reason": "Forbidden"}, 400, ": Forbidden"),
        ({"code": 200, "message": "x", "details": {"name": "d"}}, 400, ": x"),
    ):
        hooks.on("/v", {"allowed": False, "status": status})
        error = await refused(plane, config_map("c"))
        assert (error.code, error.message.partition("denied the request")[2]) == (code, tail)
    assert error.details == {"name": "d"}
    hooks.on("/v", {"allowed": True, "warnings": ["beware"], "auditAnnotations": {"why": "it is so"}})
    ctx = plane.ctx()
    await plane.api.create(ctx, plane.resource("configmaps"), "default", config_map("c"))
    assert ctx.warnings == ["beware"] and ctx.annotations == {"deny.example.com/why": "it is so"}


def plain(text: str, **more: Any) -> Any:
    return lambda _: web.Response(text=text, **more)


BAD: list[tuple[Any, str]] = [
    (plain("oops", status=500), 'an error on the server ("oops") has prevented the request from succeeding'),
    (plain("", status=404), "the server could not find the requested resource"),
    (
        plain("", status=302, headers={"Location": "/m"}),
        "the server responded with the status code 302 but did not return more information",
    ),
    (plain("no json"), "couldn't get version/kind; json parse error:"),
    (plain("x" * 4_000_000), "the body of the answer is larger than"),
    ({"uid": "other", "allowed": True}, 'received invalid webhook response: expected response.uid="'),
    (plain("{}"), "received invalid webhook response: webhook response was absent"),
    (
        lambda review: web.json_response(
            {**review, "response": {"uid": review["request"]["uid"]}, "kind": "X"}
        ),
        "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1, Kind=X",
    ),
    ({"allowed": True, "patch": "W10="}, "webhook returned response.patch but not response.patchType"),
    (
        {"allowed": True, "patchType": "JSONPatch"},
        "webhook returned response.patchType but not response.patch",
    ),
    ({"allowed": True, "patch": "W10=", "patchType": "Other"}, 'unsupported patch type "Other"'),
]


@pytest.mark.parametrize(("answer", "sentence"), BAD)
async def test_a_bad_answer_is_left_to_the_failure_policy(plane, hooks, answer, sentence) -> None:
    hooks.on("/bad", answer)
    await configure(plane, "Mutating", hook(hooks.on("/bad", answer)))
    error = await refused(plane, config_map("c"))
    assert (error.code, error.reason) == (500, "InternalError")
    assert error.message.startswith('Internal error occurred: failed calling webhook "a.example.com": ')
    assert sentence in error.message
    stored = await plane.client.get("mutatingwebhookconfigurations.admissionregistration.k8s.io", "hooks")
    webhook = {**stored["webhooks"][0], "failurePolicy": "Ignore"}
    await plane.client.update({**stored, "webhooks": [webhook]})
    await plane.client.create(config_map("c"), "default")


async def test_a_webhook_that_cannot_be_reached(plane, hooks) -> None:
    client = hooks.on("/v")
    other = ssl.create_default_context().get_ca_certs(binary_form=True)
    foreign = base64.b64encode(ssl.DER_cert_to_PEM_cert(other[0]).encode()).decode() if other else ""
    for config, sentence in (
        ({**client, "url": "https://127.0.0.1:1/x"}, "dial tcp 127.0.0.1:1: connect: connection refused"),
        ({**client, "caBundle": foreign}, "x509: certificate signed by unknown authority"),
        ({**client, "url": f"https://{'a' * 70}.example/"}, "label"),
        (
            {"caBundle": client["caBundle"], "service": {"name": "none", "namespace": "default"}},
            'Post "https://none.default.svc:443/?timeout=30s": services "none" not found',
        ),
    ):
        await configure(plane, "Validating", hook(config))
        error = await refused(plane, config_map("c"))
        assert 'failed calling webhook "a.example.com": failed to call webhook: Post "https' in error.message
        assert sentence in error.message
        await plane.client.delete("validatingwebhookconfigurations.admissionregistration.k8s.io", "hooks")
    assert not hooks.asked["/v"]


async def test_a_slow_webhook_holds_up_nobody_else(plane, hooks) -> None:
    client = hooks.on("/slow", never)
    await configure(plane, "Validating", hook(client, timeoutSeconds=1))
    waiting = asyncio.ensure_future(plane.client.create(config_map("slow"), "default"))
    await plane.client.create(pod("quick"), "default")
    with pytest.raises(StatusError) as caught:
        await waiting
    assert caught.value.message.endswith('/slow?timeout=1s": context deadline exceeded')
    with pytest.raises(StatusError):
        await plane.client.get("configmaps", "slow", "default")


async def test_plain_http_is_no_answer(plane, hooks) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await configure(
        plane, "Validating", hook({"url": f"https://127.0.0.1:{port}/", "caBundle": hooks.bundle})
    )
    error = await refused(plane, config_map("c"))
    server.close()
    assert "http: server gave HTTP response to HTTPS client" in error.message


async def test_whom_a_request_concerns(plane, hooks) -> None:
    rules = {
        "/exact": hook(hooks.on("/exact"), MAP_RULE, name="exact.example.com"),
        "/other": hook(hooks.on("/other"), {**MAP_RULE, "apiVersions": ["v2"]}, name="other.example.com"),
        "/cluster": hook(hooks.on("/cluster"), {**MAP_RULE, "scope": "Cluster"}, name="cluster.example.com"),
        "/namespace": hook(
            hooks.on("/namespace"),
            name="namespace.example.com",
            namespaceSelector={"matchLabels": {"a": "b"}},
        ),
        "/object": hook(
            hooks.on("/object"), name="object.example.com", objectSelector={"matchLabels": {"ask": "me"}}
        ),
        "/condition": hook(
            hooks.on("/condition"),
            name="condition.example.com",
            matchConditions=[
                {"name": "kept", "expression": "request.userInfo.username != 'system:apiserver'"},
                {"name": "wanted", "expression": "object.metadata.name.startsWith('x')"},
            ],
        ),
        "/all": hook(
            hooks.on("/all"),
            {**MAP_RULE, "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]},
            name="all.example.com",
        ),
    }
    await configure(plane, "Validating", *rules.values())

    def asked() -> set[str]:
        found = {path for path, reviews in hooks.asked.items() if reviews}
        for reviews in hooks.asked.values():
            reviews.clear()
        return found

    await plane.client.create(config_map("c"), "default")
    assert asked() == {"/exact", "/all"}
    await plane.client.create(config_map("x", labels={"ask": "me"}), "default")
    assert asked() == {"/exact", "/all", "/object", "/condition"}
    await plane.client.patch("namespaces", "default", "", {"metadata": {"labels": {"a": "b"}}})
    assert asked() == {"/all"}
    await plane.client.create(config_map("d"), "default")
    assert asked() == {"/exact", "/all", "/namespace"}
    # what guards admission itself is exempt
    name = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    await plane.client.patch(name, "hooks", "", {"metadata": {"labels": {"x": "y"}}})
    await plane.client.delete(name, "hooks")
    assert asked() == set()


async def test_a_condition_that_fails_is_left_to_the_failure_policy(plane, hooks) -> None:
    broken = [{"name": "broken", "expression": "object.none.at.all"}]
    await configure(plane, "Validating", hook(hooks.on("/v"), matchConditions=broken))
    error = await refused(plane, config_map("c"))
    assert (error.code, error.reason) == (403, "Forbidden") and "no such key: none" in error.message
    await configure(
        plane,
        "Mutating",
        hook(hooks.on("/m"), matchConditions=broken, failurePolicy="Ignore"),
    )
    await plane.client.delete("validatingwebhookconfigurations.admissionregistration.k8s.io", "hooks")
    await plane.client.create(config_map("c"), "default")
    assert not hooks.asked["/m"]


async def test_order_and_reinvocation(plane, hooks) -> None:
    log: list[str] = []

    def adds(name: str) -> Any:
        def answer(review: dict) -> dict:
            log.append(name)
            data = review["request"]["object"].get("data") or {}
            return (
                patch({"op": "add", "path": f"/data/{name}", "value": "1"})
                if name not in data
                else {"allowed": True}
            )

        return answer

    first = hook(hooks.on("/a", adds("a")), name="a.example.com", reinvocationPolicy="IfNeeded")
    never_again = hook(hooks.on("/b", adds("b")), name="b.example.com")
    last = hook(hooks.on("/c", adds("c")), name="c.example.com", reinvocationPolicy="IfNeeded")
    await configure(plane, "Mutating", last, name="zz")
    await configure(plane, "Mutating", first, never_again, name="aa")
    made = await plane.client.create(config_map("m", x="0"), "default")
    assert made["data"] == {"x": "0", "a": "1", "b": "1", "c": "1"}
    assert log == ["a", "b", "c", "a"]  # what c itself added last is no news to c


async def test_dry_run_asks_only_webhooks_without_side_effects(plane, hooks) -> None:
    client = hooks.on("/v")
    await configure(plane, "Validating", hook(client, admissionReviewVersions=["v9", "v1beta1"]))
    await plane.client.create(config_map("c"), "default", dry_run=True)
    (review,) = hooks.asked["/v"]
    assert review["apiVersion"] == "admission.k8s.io/v1beta1" and review["request"]["dryRun"] is True
    assert review["request"]["options"]["dryRun"] == ["All"]
    with pytest.raises(StatusError):
        await plane.client.get("configmaps", "c", "default")


async def test_patches_and_applies_are_asked_about_and_begin_again_when_overtaken(plane, hooks) -> None:
    await plane.client.create(config_map("c", n="0"), "default")
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def answer(review: dict) -> dict:
        reached.set()
        await go_on.wait()
        return {"allowed": True}

    await configure(plane, "Validating", hook(hooks.on("/v", answer), {**MAP_RULE, "operations": ["UPDATE"]}))
    waiting = asyncio.ensure_future(
        plane.client.patch("configmaps", "c", "default", {"data": {"patched": "1"}})
    )
    await reached.wait()
    stored = plane.api.view.record("configmaps", "default", "c")
    other = {**stored.obj, "metadata": dict(stored.obj["metadata"]), "data": {"n": "1"}}
    await plane.store.submit([Change(stored.key, other, stored.version)])
    go_on.set()
    assert (await waiting)["data"] == {"n": "1", "patched": "1"}
    assert [one["oldObject"]["data"] for one in hooks.requests("/v")] == [{"n": "0"}, {"n": "1"}]
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
    await plane.client.apply({**applied, "data": {"mine": "1"}}, field_manager="me")
    assert hooks.requests("/v")[-1]["object"]["data"]["mine"] == "1"
    stale = {**(await plane.client.get("configmaps", "c", "default"))}
    reached.clear()
    go_on.clear()
    waiting = asyncio.ensure_future(plane.client.update({**stale, "data": {}}))
    await reached.wait()
    stored = plane.api.view.record("configmaps", "default", "c")
    other = {**stored.obj, "metadata": dict(stored.obj["metadata"]), "data": {"n": "2"}}
    await plane.store.submit([Change(stored.key, other, stored.version)])
    go_on.set()
    with pytest.raises(StatusError) as caught:
        await waiting  # it named the version that it wanted to replace
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")


async def test_subresources(plane, hooks) -> None:
    rule = {**MAP_RULE, "apiGroups": ["*"], "resources": ["*/*"]}

    def answer(review: dict) -> dict:
        request = review["request"]
        if request.get("subResource") == "scale":
            return patch({"op": "replace", "path": "/spec/replicas", "value": 2})
        return {"allowed": True}

    client = hooks.on("/m", answer)
    await plane.client.create(deployment("d", replicas=1), "default")
    await plane.client.create(pod("p"), "default")
    await configure(plane, "Mutating", hook(client, rule))

    def last() -> dict:
        return hooks.requests("/m")[-1]

    scale = await plane.client.patch(
        "deployments.apps", "d", "default", {"spec": {"replicas": 9}}, subresource="scale"
    )
    assert scale["spec"]["replicas"] == 2
    stored = await plane.client.get("deployments.apps", "d", "default")
    assert stored["spec"]["replicas"] == 2
    assert last()["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert last()["subResource"] == last()["requestSubResource"] == "scale"
    assert (last()["object"]["spec"], last()["oldObject"]["spec"]) == ({"replicas": 9}, {"replicas": 1})
    await plane.client.update_status({**stored, "status": {"replicas": 2}})
    assert (last()["subResource"], last()["object"]["status"]["replicas"]) == ("status", 2)
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    await plane.client.create_subresource("pods", "p", "default", "binding", binding)
    assert last()["kind"]["kind"] == "Binding" and last()["object"]["target"]["name"] == "n"
    assert last()["operation"] == "CREATE"
    await plane.client.create_subresource("pods", "p", "default", "eviction", {"metadata": {"name": "p"}})
    assert last()["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert [one.get("subResource") for one in hooks.requests("/m")] == [
        "scale",
        "status",
        "binding",
        "eviction",
    ]


async def test_collections_are_asked_about_one_by_one(plane, hooks) -> None:
    for index in range(30):
        await plane.client.create(config_map(f"c{index}"), "default")

    def answer(review: dict) -> dict:
        return {"allowed": review["request"]["name"] != "c7", "status": {"message": "keep it"}}

    await configure(plane, "Validating", hook(hooks.on("/v", answer), {**MAP_RULE, "operations": ["DELETE"]}))
    with pytest.raises(StatusError) as caught:
        await plane.client.delete_collection("configmaps", "default")
    assert caught.value.message == 'admission webhook "a.example.com" denied the request: keep it'
    left = [one["metadata"]["name"] for one in (await plane.client.list("configmaps", "default")).items]
    assert left == ["c7"] and len(hooks.asked["/v"]) == 30


async def test_equivalent_versions_are_shown_as_the_rule_names_them(plane, hooks) -> None:
    rule = {"apiGroups": ["autoscaling"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    rule["resources"] = ["horizontalpodautoscalers"]
    client = hooks.on(
        "/m", patch({"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 77})
    )
    exact = hook(hooks.on("/exact"), rule, name="exact.example.com", matchPolicy="Exact")
    await configure(plane, "Mutating", hook(client, rule), exact)
    target = {"type": "Utilization", "averageUtilization": 50}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
    made = await plane.client.create(scaler, "default")
    assert made["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 77
    (request,) = hooks.requests("/m")
    assert request["kind"]["version"] == "v1" and request["requestKind"]["version"] == "v2"
    assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
    assert not hooks.asked["/exact"]


async def test_a_service_is_followed_to_a_ready_endpoint(plane, hooks) -> None:
    client = hooks.on("/v")

    class Pipe:
        def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.reader, self.writer = reader, writer

        async def read(self) -> bytes:
            return await self.reader.read(65536)

        async def write(self, data: bytes) -> None:
            self.writer.write(data)
            await self.writer.drain()

        async def close(self) -> None:
            self.writer.close()

    dialed: list[tuple[str, int]] = []

    class Kubelet:
        async def port_forward(self, pod: dict, port: int) -> Pipe:
            dialed.append((pod["metadata"]["name"], port))
            return Pipe(*await asyncio.open_connection("127.0.0.1", hooks.port))

    plane.api.nodes["n"] = Kubelet()
    await plane.client.create(pod("server", nodeName="n"), "default")
    ports = [{"name": "https", "port": 443, "targetPort": 9443}]
    await plane.client.create(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hooks"}, "spec": {"ports": ports}},
        "default",
    )
    service = {"name": "hooks", "namespace": "default", "path": "/v"}
    await configure(plane, "Validating", hook({"caBundle": client["caBundle"], "service": service}))
    error = await refused(plane, config_map("c"))
    assert 'no endpoints available for service "hooks"' in error.message
    await plane.client.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "hooks-1", "labels": {"kubernetes.io/service-name": "hooks"}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": 9443}],
            "endpoints": [
                {"addresses": ["10.1.1.1"], "conditions": {"ready": False}},
                {
                    "addresses": ["10.1.1.2"],
                    "targetRef": {"kind": "Pod", "name": "server", "namespace": "default"},
                },
            ],
        },
        "default",
    )
    await plane.client.create(config_map("c"), "default")
    assert dialed == [("server", 9443)] and len(hooks.asked["/v"]) == 1


async def test_connections_are_asked_about(plane, hooks) -> None:
    rule = {**POD_RULE, "operations": ["CONNECT"], "resources": ["pods/exec"]}
    await configure(plane, "Validating", hook(hooks.on("/v", {"allowed": False}), rule))
    options = {"kind": "PodExecOptions", "apiVersion": "v1", "command": ["sh"], "stdout": True}
    with pytest.raises(StatusError) as caught:
        await plane.api.admit_connect(plane.ctx(), plane.resource("pods"), "exec", "default", "p", options)
    assert caught.value.message == 'admission webhook "a.example.com" denied the request without explanation'
    (request,) = hooks.requests("/v")
    assert request["kind"]["kind"] == "PodExecOptions" and request["object"] == options
    assert (request["operation"], request["subResource"], request["options"]) == ("CONNECT", "exec", None)
    await plane.api.admit_connect(plane.ctx(), plane.resource("pods"), "attach", "default", "p", options)
    assert len(hooks.asked["/v"]) == 1
