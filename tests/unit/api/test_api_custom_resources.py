"""Custom resources through the API, from the definition that brings them to the one that takes them away."""

from __future__ import annotations

import asyncio

import pytest
from planes import Plane

from runtime.api.context import WatchOptions
from runtime.api.http.discovery import resource_list
from runtime.objects import meta
from runtime.objects.clock import ManualClock
from runtime.objects.errors import StatusError
from runtime.store import Store

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
WIDGETS = "widgets.example.com"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "default": "blue"},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
                    },
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {"size": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}


def definition(**spec):
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.size",
                "statusReplicasPath": ".status.size",
                "labelSelectorPath": ".status.selector",
            },
        },
        "selectableFields": [{"jsonPath": ".spec.colour"}],
    }
    older = {**version, "name": "v1beta1", "storage": False, "deprecated": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": WIDGETS},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wg"]},
            "versions": [older, version],
            **spec,
        },
    }


def widget(name: str = "a", version: str = "v1", **spec):
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 2, **spec},
    }


async def accept(plane: Plane, **spec) -> dict:
    """What the controller does: give the names out."""
    return await accept_names(plane, await plane.client.create(definition(**spec)))


async def accept_names(plane: Plane, made: dict) -> dict:
    condition = {
        "type": "NamesAccepted",
        "status": "True",
        "reason": "NoConflicts",
        "message": "no conflicts found",
    }
    condition["lastTransitionTime"] = made["metadata"]["creationTimestamp"]
    status = {**made["status"], "acceptedNames": made["spec"]["names"], "conditions": [condition]}
    return await plane.client.update_status({**made, "status": status})


async def refused(work) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await work
    return caught.value


async def test_a_kind_is_served_from_the_moment_its_names_are_accepted(plane) -> None:
    made = await plane.client.create(definition())
    assert plane.registry.find(WIDGETS) is None
    accepted = await accept_names(plane, made)
    assert plane.resource(WIDGETS).short_names == ("wg",)
    assert not plane.resource(WIDGETS).listed, "discovery waits until it is established"
    done = {**accepted["status"]["conditions"][0], "type": "Established"}
    status = {**accepted["status"], "conditions": [*accepted["status"]["conditions"], done]}
    await plane.client.update_status({**accepted, "status": status})
    assert plane.resource(WIDGETS).listed


async def test_bodies_are_pruned_defaulted_and_judged(plane) -> None:
    await accept(plane)
    ctx = plane.ctx()
    answer = await plane.api.create(
        ctx, plane.resource(WIDGETS), "default", {**widget(), "extra": 1, "status": {"size": 5}}
    )
    assert answer.code == 201 and answer.obj["spec"] == {"size": 2, "colour": "blue"}
    assert "status" not in answer.obj and answer.obj["metadata"]["generation"] == 1
    assert ctx.warnings == ['unknown field "extra"']
    error = await refused(plane.client.create(widget("b", size=0), "default"))
    assert error.code == 422 and error.message == (
        'Widget.example.com "b" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or '
        "equal to 1"
    )
    strict = plane.ctx(field_validation="Strict")
    error = await refused(plane.api.create(strict, plane.resource(WIDGETS), "default", widget("b", sise=1)))
    assert error.code == 400 and 'strict decoding error: unknown field "spec.sise"' in error.message
    error = await refused(plane.client.create({**widget("b"), "metadata": {"labels": 1}}, "default"))
    assert error.code == 400 and "ObjectMeta.metadata.labels of type map[string]string" in error.message


async def test_status_and_scale(plane) -> None:
    await accept(plane)
    made = await plane.client.create(widget(), "default")
    changed = meta.copy(made)
    changed["spec"]["size"] = 9
    changed["metadata"]["labels"] = {"a": "b"}
    changed["status"] = {"size": 1, "selector": "a=b"}
    after = await plane.client.update_status(changed)
    assert after["spec"]["size"] == 2 and after["status"]["size"] == 1 and "labels" not in after["metadata"]
    assert after["metadata"]["generation"] == 1
    wrong = await refused(plane.client.update_status({**after, "status": {"size": "x"}}))
    assert (
        'status.size: Invalid value: "string": size in body must be of type integer: "string"'
        in wrong.message
    )
    resource = plane.resource(WIDGETS)
    scale = (await plane.api.get(plane.ctx(), resource, "default", "a", subresource="scale")).obj
    assert scale["spec"] == {"replicas": 2} and scale["status"] == {"replicas": 1, "selector": "a=b"}
    scale["spec"]["replicas"] = 4
    await plane.api.update(plane.ctx(), resource, "default", "a", scale, subresource="scale")
    found = await plane.client.get(WIDGETS, "a", "default")
    assert found["spec"]["size"] == 4 and found["metadata"]["generation"] == 2


async def test_patches_and_apply(plane) -> None:
    await accept(plane)
    await plane.client.create(widget(parts=[{"name": "x", "n": 1}]), "default")
    resource = plane.resource(WIDGETS)
    error = await refused(plane.api.patch(plane.ctx(), resource, "default", "a", {"spec": {}}, "strategic"))
    assert error.code == 415 and "application/apply-patch+yaml" in error.message
    applied = widget(parts=[{"name": "y", "n": 2}])
    answer = await plane.api.patch(plane.ctx(), resource, "default", "a", applied, "apply")
    assert answer.obj["spec"]["parts"] == [{"name": "x", "n": 1}, {"name": "y", "n": 2}]
    error = await refused(plane.api.patch(plane.ctx(), resource, "default", "a", widget(sise=1), "apply"))
    assert error.code == 400 and ".spec.sise: field not declared in schema" in error.message


async def test_versions_share_what_is_stored(plane) -> None:
    await accept(plane)
    await plane.client.create(widget(version="v1beta1"), "default")
    assert (await plane.client.get(WIDGETS, "a", "default"))["apiVersion"] == "example.com/v1"
    older = plane.registry.by_path("example.com", "v1beta1", "widgets")
    assert (await plane.api.get(plane.ctx(), older, "default", "a")).obj[
        "apiVersion"
    ] == "example.com/v1beta1"
    assert older.deprecated == "example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget"
    assert plane.registry.groups()["example.com"] == ["v1", "v1beta1"]
    assert list(plane.registry.groups())[-1] == "example.com"


async def test_defaults_come_from_the_version_that_is_sent_and_the_one_that_is_stored(plane) -> None:
    """Versions have schemas of their own: what is read is filled in by the stored one's and cut to the one asked."""

    def schema(*known: str, **defaults: str) -> dict:
        fields = {name: {"type": "string"} for name in known}
        fields |= {name: {"type": "string", "default": value} for name, value in defaults.items()}
        properties = {"size": {"type": "integer"}, **fields}
        spec = {"type": "object", "properties": properties}
        return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}

    made = definition()
    stored, other = meta.copy(made["spec"]["versions"][1]), meta.copy(made["spec"]["versions"][0])
    for one in (stored, other):
        one.pop("selectableFields")
    stored["schema"] = schema("sent", "hidden", kept="k")
    other["schema"] = schema("kept", sent="s")
    made["spec"]["versions"] = [other, stored]
    await accept_names(plane, await plane.client.create(made))
    older = plane.registry.by_path("example.com", "v1beta1", "widgets")
    answer = await plane.api.create(plane.ctx(), older, "default", widget(version="v1beta1", hidden="h"))
    assert answer.obj["spec"] == {"size": 2, "sent": "s", "kept": "k"}
    assert (await plane.client.get(WIDGETS, "a", "default"))["spec"] == {"size": 2, "sent": "s", "kept": "k"}

    await plane.client.create(widget("b", hidden="h"), "default")
    assert (await plane.api.get(plane.ctx(), older, "default", "b")).obj["spec"] == {"size": 2, "kept": "k"}
    found = (await plane.client.get(WIDGETS, "b", "default"))["spec"]
    assert found == {"size": 2, "hidden": "h", "kept": "k"}


async def test_another_kind_is_refused_where_its_fields_are_judged(plane) -> None:
    await accept(plane)
    error = await refused(
        plane.api.create(plane.ctx(), plane.resource(WIDGETS), "default", {**widget(), "kind": "X"})
    )
    assert error.code == 422
    assert error.message == 'X.example.com "a" is invalid: kind: Invalid value: "X": must be Widget'


async def test_no_part_of_it_is_patched_by_merge_keys(plane) -> None:
    await accept(plane)
    await plane.client.create(widget(), "default")
    resource = plane.resource(WIDGETS)
    for part in ("", "status", "scale"):
        change = plane.api.patch(plane.ctx(), resource, "default", "a", {}, "strategic", subresource=part)
        assert (await refused(change)).code == 415


async def test_discovery_and_tables_say_what_upstream_says(plane) -> None:
    columns = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
    made = definition()
    made["spec"]["versions"][1]["additionalPrinterColumns"] = columns
    await accept_names(plane, await plane.client.create(made))
    resource = plane.resource(WIDGETS)
    names = [one["name"] for one in resource_list([resource], "example.com", "v1")["resources"]]
    assert names == ["widgets", "widgets/status", "widgets/scale"]
    column = resource.printer.columns[1]
    assert column.description == "Custom resource definition column (in JSONPath format): .spec.size"


async def test_embedded_metadata_of_a_wrong_type_is_a_bad_request(plane) -> None:
    made = definition()
    made["spec"]["versions"][1]["schema"] = meta.copy(made["spec"]["versions"][1]["schema"])
    fields = made["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["pod"] = {
        "type": "object",
        "x-kubernetes-embedded-resource": True,
        "x-kubernetes-preserve-unknown-fields": True,
    }
    await accept_names(plane, await plane.client.create(made))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": 5}}
    error = await refused(plane.client.create(widget(pod=pod), "default"))
    assert error.code == 400
    assert (
        'cannot be handled as a Widget: spec.pod.metadata: Invalid value: {"name":"a","namespace":5}: json:'
        in (error.message)
    )
    error = await refused(plane.client.create(widget(pod={**pod, "metadata": {}, "kind": 1}), "default"))
    assert error.message.endswith(
        "cannot be handled as a Widget: spec.pod.kind: Invalid value: 1: must be a string"
    )


async def test_watches_end_when_what_is_served_changes(plane) -> None:
    made = await accept(plane)
    resource = plane.resource(WIDGETS)
    watch = plane.api.watch(plane.ctx(), resource, "default", WatchOptions())
    await plane.client.create(widget(), "default")
    assert [kind for kind, _ in await watch.next()] == ["ADDED"]
    made = await plane.client.get(DEFINITIONS, meta.name_of(made))
    made = await plane.client.update({**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}})
    await plane.client.create(widget("b"), "default")
    assert [kind for kind, _ in await watch.next()] == ["ADDED"], "nothing has changed for it"
    changed = meta.copy(made)
    changed["spec"]["names"]["categories"] = ["all"]
    changed["spec"]["versions"][0]["served"] = False
    await plane.client.update(changed)
    assert await watch.next() == []


async def test_fields_that_a_definition_names_can_be_selected_by(plane) -> None:
    await accept(plane)
    await plane.client.create(widget("a"), "default")
    await plane.client.create(widget("b", colour="red"), "default")
    found = await plane.client.list(WIDGETS, "default", field_selector="spec.colour=red")
    assert [meta.name_of(one) for one in found.items] == ["b"]
    error = await refused(plane.client.list(WIDGETS, "default", field_selector="spec.size=2"))
    assert error.message == "field label not supported: spec.size"


async def test_a_new_schema_holds_for_what_was_stored_before(plane) -> None:
    made = await accept(plane)
    await plane.client.create(widget(), "default")
    changed = meta.copy(made)
    for version in changed["spec"]["versions"]:
        properties = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        del properties["colour"]
        properties["shape"] = {"type": "string", "default": "round"}
        version.pop("selectableFields")
    await plane.client.update(changed)
    assert (await plane.client.get(WIDGETS, "a", "default"))["spec"] == {"size": 2, "shape": "round"}
    (listed,) = (await plane.client.list(WIDGETS, "default")).items
    assert listed["spec"] == {"size": 2, "shape": "round"}


async def test_a_definition_on_its_way_out_takes_nothing_new(plane) -> None:
    await accept(plane)
    await plane.client.create(widget(), "default")
    await plane.client.delete(DEFINITIONS, WIDGETS)
    going = await plane.client.get(DEFINITIONS, WIDGETS)
    assert going["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert going["status"]["conditions"][-1]["reason"] == "InstanceDeletionPending"
    error = await refused(plane.client.create(widget("b"), "default"))
    assert error.code == 403 and error.message == (
        'widgets.example.com "b" is forbidden: create not allowed while custom resource definition is terminating'
    )
    assert "create" not in plane.resource(WIDGETS).offered
    await plane.client.delete(WIDGETS, "a", "default")
    await plane.client.update({**going, "metadata": {**going["metadata"], "finalizers": []}})
    assert plane.registry.find(WIDGETS) is None and "example.com" not in plane.registry.groups()


async def test_kinds_are_there_again_after_a_restart(tmp_path) -> None:
    store = Store.open(tmp_path / "state")
    plane = Plane(store, ManualClock())
    await plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    await accept(plane)
    await plane.client.create(widget(), "default")
    await store.close()
    store = Store.open(tmp_path / "state")
    again = Plane(store, ManualClock())
    assert (await again.client.get(WIDGETS, "a", "default"))["spec"]["colour"] == "blue"
    await store.close()


async def test_who_is_listening_hears_of_kinds_that_come_and_go(plane) -> None:
    heard = asyncio.Event()
    plane.registry.listeners.append(heard.set)
    await accept(plane)
    assert heard.is_set()
