"""Conversion webhooks: custom resources in versions that only their author can tell apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from planes import Plane

from runtime.api.context import ListOptions, WatchOptions
from runtime.objects import meta
from runtime.objects.errors import StatusError
from tests.support.webhooks import WebhookServer

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
TABS = "crontabs.example.com"


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[WebhookServer]:
    server = await WebhookServer(tmp_path).start()
    yield server
    await server.stop()


def convert(review: dict) -> dict:
    """v1 has host and port in one text, v2 has them apart."""
    wanted, made = review["request"]["desiredAPIVersion"], []
    for obj in review["request"]["objects"]:
        spec = dict(obj.get("spec") or {})
        if wanted.endswith("/v2"):
            spec["host"], _, port = spec.pop("hostPort", ":").partition(":")
            spec["port"] = port
        else:
            spec["hostPort"] = f"{spec.pop('host', '')}:{spec.pop('port', '')}"
        made.append({**obj, "apiVersion": wanted, "spec": spec})
    return {"convertedObjects": made, "result": {"status": "Success"}}


def definition(client: dict, **webhook: Any) -> dict:
    def version(name: str, *fields: str) -> dict:
        spec = {
            "type": "object",
            "properties": {one: {"type": "string"} for one in fields}
            | {"replicas": {"type": "integer", "default": 1}},
        }
        return {
            "name": name,
            "served": True,
            "storage": name == "v1",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": STATUS}}},
            "subresources": {
                "status": {},
                "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
            },
        }

    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": TABS},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab"},
            "versions": [version("v1", "hostPort"), version("v2", "host", "port")],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"], **webhook},
            },
        },
    }


STATUS = {"type": "object", "properties": {"replicas": {"type": "integer"}}}


def tab(name: str, version: str, **spec: Any) -> dict:
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "CronTab",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


async def serve(plane: Plane, made: dict) -> None:
    made = await plane.client.create(made)
    condition = {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": ""}
    condition["lastTransitionTime"] = made["metadata"]["creationTimestamp"]
    status = {**made["status"], "acceptedNames": made["spec"]["names"], "conditions": [condition]}
    await plane.client.update_status({**made, "status": status})


def version(plane: Plane, name: str):
    found = plane.registry.by_path("example.com", name, "crontabs")
    assert found is not None
    return found


async def get(plane: Plane, name: str, api_version: str) -> dict:
    return (await plane.api.get(plane.ctx(), version(plane, api_version), "default", name)).obj


async def test_every_verb_speaks_the_version_that_was_asked_for(plane, hooks) -> None:
    await serve(plane, definition(hooks.on("/c", convert)))
    made = await plane.client.create(tab("a", "v2", host="h", port="1"), "default")
    assert (made["apiVersion"], made["spec"]) == ("example.com/v2", {"host": "h", "port": "1", "replicas": 1})
    stored = plane.api.view.get(TABS, "default", "a")
    assert (stored["apiVersion"], stored["spec"]["hostPort"]) == ("example.com/v1", "h:1")
    assert (await get(plane, "a", "v1"))["spec"]["hostPort"] == "h:1"
    shown = await get(plane, "a", "v2")
    assert shown["spec"] == made["spec"] and shown["metadata"] == made["metadata"]
    request = hooks.requests("/c")[0]
    assert request["desiredAPIVersion"] == "example.com/v1" and request["objects"][0]["spec"]["host"] == "h"
    # update, patch, apply and scale
    changed = await plane.client.update({**shown, "spec": {"host": "h", "port": "2"}})
    assert changed["spec"]["port"] == "2" and changed["metadata"]["generation"] == 2
    two = version(plane, "v2")
    patch = {"spec": {"port": "3"}}
    answer = await plane.api.patch(plane.ctx(), two, "default", "a", patch, "merge")
    assert answer.obj["spec"]["port"] == "3"
    applied = {
        "apiVersion": "example.com/v2",
        "kind": "CronTab",
        "metadata": {"name": "a"},
        "spec": {"host": "x"},
    }
    answer = await plane.api.patch(plane.ctx(), two, "default", "a", applied, "apply", force=True)
    assert answer.obj["spec"]["host"] == "x"
    answer = await plane.api.patch(
        plane.ctx(), two, "default", "a", {"spec": {"replicas": 4}}, "merge", subresource="scale"
    )
    assert answer.obj["spec"]["replicas"] == 4
    answer = await plane.api.patch(
        plane.ctx(), two, "default", "a", {"status": {"replicas": 4}}, "merge", subresource="status"
    )
    assert answer.obj["status"] == {"replicas": 4}
    stored = plane.api.view.get(TABS, "default", "a")
    assert stored["spec"] == {"hostPort": "x:3", "replicas": 4} and stored["status"] == {"replicas": 4}
    # a deletion changes no more than the metadata
    two_shown = await get(plane, "a", "v2")
    held = {**two_shown, "metadata": {**two_shown["metadata"], "finalizers": ["example.com/held"]}}
    await plane.client.update(held)
    answer = await plane.api.delete(plane.ctx(), two, "default", "a", {})
    assert answer.obj["spec"]["host"] == "x" and answer.obj["metadata"]["deletionTimestamp"]
    assert plane.api.view.get(TABS, "default", "a")["spec"]["hostPort"] == "x:3"


async def test_lists_and_watches_convert_many_at_once_and_what_is_known_not_again(plane, hooks) -> None:
    await serve(plane, definition(hooks.on("/c", convert)))
    for index in range(250):
        await plane.client.create(tab(f"t{index:03}", "v1", hostPort=f"h:{index}"), "default")
    assert not hooks.asked["/c"]
    two = version(plane, "v2")
    listed = await plane.api.list(plane.ctx(), two, "default", ListOptions())
    assert [record.obj["spec"]["port"] for record in listed.records] == [str(index) for index in range(250)]
    assert len(hooks.asked["/c"]) == 2
    await plane.api.list(plane.ctx(), two, "default", ListOptions(limit=5))
    assert len(hooks.asked["/c"]) == 2
    stream = plane.api.watch(plane.ctx(), two, "default", WatchOptions(label_selector="app=t007"))
    ((kind, record),) = await stream.next()
    assert (kind, record.obj["spec"]["port"]) == ("ADDED", "7")
    waiting = asyncio.ensure_future(stream.next())
    shown = await get(plane, "t007", "v1")
    await plane.client.update({**shown, "spec": {"hostPort": "h:8"}})
    ((kind, record),) = await waiting
    assert (kind, record.obj["apiVersion"], record.obj["spec"]["port"]) == ("MODIFIED", "example.com/v2", "8")
    waiting = asyncio.ensure_future(stream.next())
    await plane.client.delete(TABS, "t007", "default")
    ((kind, record),) = await waiting
    assert (kind, record.obj["spec"]["host"]) == ("DELETED", "h")
    stream.close()


def _renamed(review: dict) -> dict:
    response = convert(review)
    response["convertedObjects"][0]["metadata"] = {"name": "other"}
    return response


BAD = [
    ({"result": {"status": "Failure", "message": "cannot do that"}}, " failed: cannot do that"),
    ({"result": {}}, " failed: response.result.status was '', not 'Success'"),
    ({"result": {"status": "Success"}}, " returned 0 objects, expected 1"),
    (
        {"result": {"status": "Success"}, "convertedObjects": [{"apiVersion": "x/v1", "kind": "CronTab"}]},
        " returned invalid converted object at index 0: invalid groupVersion (expected example.com/v2, received "
        "x/v1)",
    ),
    (_renamed, " returned invalid converted object at index 0: must have the same name: a != other"),
    ({"uid": "other"}, ' failed: expected response.uid="'),
]


@pytest.mark.parametrize(("answer", "sentence"), BAD)
async def test_a_bad_conversion_fails_the_request_and_nothing_else(plane, hooks, answer, sentence) -> None:
    await serve(plane, definition(hooks.on("/c", answer)))
    await plane.client.create(tab("a", "v1", hostPort="h:1"), "default")
    with pytest.raises(StatusError) as caught:
        await get(plane, "a", "v2")
    assert (caught.value.code, caught.value.reason) == (500, "")
    assert caught.value.message.startswith(f"conversion webhook for example.com/v1, Kind=CronTab{sentence}")
    assert (await get(plane, "a", "v1"))["spec"]["hostPort"] == "h:1"
    before = plane.api.view.record(TABS, "default", "a")
    with pytest.raises(StatusError):
        await plane.api.patch(
            plane.ctx(), version(plane, "v2"), "default", "a", {"spec": {"host": "x"}}, "merge"
        )
    assert plane.api.view.record(TABS, "default", "a") is before


async def test_a_converter_changes_labels_and_annotations_and_no_other_metadata(plane, hooks) -> None:
    def answer(review: dict) -> dict:
        response = convert(review)
        for obj in response["convertedObjects"]:
            kept = {key: obj["metadata"][key] for key in ("name", "namespace", "uid")}
            obj["metadata"] = {**kept, "labels": {"made": "new"}, "finalizers": ["x.y/z"], "generation": 9}
        return response

    await serve(plane, definition(hooks.on("/c", answer), conversionReviewVersions=["v9", "v1beta1"]))
    made = await plane.client.create(tab("a", "v1", hostPort="h:1"), "default")
    shown = await get(plane, "a", "v2")
    assert shown["metadata"] == {**made["metadata"], "labels": {"made": "new"}}
    assert hooks.asked["/c"][0]["apiVersion"] == "apiextensions.k8s.io/v1beta1"


async def test_a_changed_definition_converts_anew(plane, hooks) -> None:
    await serve(plane, definition(hooks.on("/c", convert)))
    await plane.client.create(tab("a", "v1", hostPort="h:1"), "default")
    await get(plane, "a", "v2")
    stored = await plane.client.get(DEFINITIONS, TABS)
    changed = meta.copy(stored)
    changed["spec"]["conversion"] = {"strategy": "None"}
    await plane.client.update(changed)
    assert (await get(plane, "a", "v2"))["spec"] == {"replicas": 1}  # its schema knows neither field


@pytest.mark.parametrize(
    ("webhook", "sentence"),
    [
        (
            {"conversionReviewVersions": []},
            "spec.conversion.conversionReviewVersions: Required value",
        ),
        (
            {"conversionReviewVersions": ["v9"]},
            'spec.conversion.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, '
            "v1beta1",
        ),
        (
            {"conversionReviewVersions": ["v1", "v1"]},
            'spec.conversion.conversionReviewVersions[1]: Invalid value: "v1": duplicate version',
        ),
    ],
)
async def test_what_a_definition_says_of_its_converter_is_checked(plane, hooks, webhook, sentence) -> None:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(definition(hooks.on("/c"), **webhook))
    assert caught.value.message.endswith(f"is invalid: {sentence}")


async def test_controllers_do_not_wait_for_a_converter(plane, hooks) -> None:
    await serve(plane, definition(hooks.on("/c", convert)))
    await plane.client.create(tab("old", "v1", hostPort="h:1"), "default")
    stored = await plane.client.get(DEFINITIONS, TABS)
    changed = meta.copy(stored)
    for one in changed["spec"]["versions"]:
        one["storage"] = one["name"] == "v2"
    await plane.client.update(changed)
    await plane.client.create(tab("new", "v2", host="h", port="2"), "default")
    hooks.on("/c", {"result": {"status": "Failure", "message": "not now"}})
    listed = await plane.client.list(TABS)
    assert [one["metadata"]["name"] for one in listed.items] == ["new", "old"]
    async with plane.client.watch(TABS, resource_version=listed.resource_version) as watch:
        patch = {"metadata": {"labels": {"x": "y"}}}
        await plane.client.patch(TABS, "new", "default", patch)
        ((kind, obj),) = await watch.next()
        assert (kind, obj["metadata"]["labels"]) == ("MODIFIED", {"app": "new", "x": "y"})
    assert not hooks.asked["/c"]
    hooks.on("/c", convert)
    # what was shown so is not what those get who ask for a version
    answer = await plane.api.list(plane.ctx(), version(plane, "v2"), "default", ListOptions())
    assert [record.obj["spec"]["port"] for record in answer.records] == ["2", "1"]
    # a change of what is stored in an older version loses nothing of it
    await plane.client.patch(TABS, "old", "default", {"metadata": {"labels": {"x": "y"}}})
    assert (await get(plane, "old", "v1"))["spec"]["hostPort"] == "h:1"
