"""Definitions get their names, are established, and take their instances with them."""

from __future__ import annotations

from pathlib import Path

from control_plane import ControlPlane, control_plane

from runtime.controllers.definitions import RESOURCE, accept_names
from runtime.objects import meta
from runtime.objects.custom import condition_of, is_true
from runtime.objects.errors import Obj, StatusError

WIDGETS = "widgets.example.com"


def definition(plural: str = "widgets", kind: str = "Widget", **names) -> Obj:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "singular": kind.lower(),
                "kind": kind,
                "listKind": f"{kind}List",
                **names,
            },
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def widget(name: str, **metadata) -> Obj:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, **metadata}}


async def established(plane: ControlPlane, name: str = WIDGETS) -> Obj:
    found: Obj = await plane.until(
        lambda: (one := plane.get(RESOURCE, name, "")) is not None and is_true(one, "Established") and one
    )
    return found


def test_a_name_is_given_out_once() -> None:
    first = definition(shortNames=["wg"], categories=["all"])
    given, condition = accept_names(first, [first])
    assert given == first["spec"]["names"] and condition["reason"] == "NoConflicts"
    first["status"] = {"acceptedNames": given}
    second = definition("things", "Thing", shortNames=["wg"])
    given, condition = accept_names(second, [first, second])
    assert condition["status"] == "False" and condition["reason"] == "ShortNamesConflict"
    assert condition["message"] == '"wg" is already in use' and "shortNames" not in given
    third = definition("others", "Widget")
    given, condition = accept_names(third, [first, third])
    assert condition["reason"] == "ListKindConflict" and "kind" not in given and given["plural"] == "others"


async def test_from_definition_to_instance_and_back(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(definition(shortNames=["wg"]))
        found = await established(plane)
        assert found["status"]["acceptedNames"]["shortNames"] == ["wg"]
        assert [one["type"] for one in found["status"]["conditions"]] == ["NamesAccepted", "Established"]
        await plane.client.create(widget("a"), "default")
        await plane.client.create(widget("b", finalizers=["example.com/hold"]), "default")
        await plane.client.delete(RESOURCE, WIDGETS)
        await plane.until(lambda: not plane.get(WIDGETS, "a"))
        going = plane.get(RESOURCE, WIDGETS, "")
        assert going is not None
        condition = condition_of(going, "Terminating")
        assert condition is not None and condition["reason"] == "InstanceDeletionInProgress"
        held = await plane.client.get(WIDGETS, "b", "default")
        await plane.client.update({**held, "metadata": {**held["metadata"], "finalizers": []}})
        await plane.until(lambda: plane.get(RESOURCE, WIDGETS, "") is None)
        assert plane.registry.find(WIDGETS) is None


async def test_who_waits_for_a_name_gets_it_when_it_is_free(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(definition())
        await established(plane)
        await plane.client.create(definition("others", "Widget", singular="other"))

        def refused() -> bool:
            one = plane.get(RESOURCE, "others.example.com", "")
            return one is not None and condition_of(one, "NamesAccepted") is not None

        await plane.until(refused)
        other = plane.get(RESOURCE, "others.example.com", "")
        assert other is not None and not is_true(other, "NamesAccepted")
        assert (condition_of(other, "Established") or {})["reason"] == "NotAccepted"
        await plane.client.delete(RESOURCE, WIDGETS)
        await established(plane, "others.example.com")


async def test_instances_are_collected_with_their_owners_and_their_namespace(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(definition())
        await established(plane)
        owner = await plane.client.create(widget("owner"), "default")
        reference = {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "name": "owner",
            "uid": meta.uid_of(owner),
        }
        child = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "child", "ownerReferences": [reference]},
        }
        await plane.client.create(child, "default")
        await plane.client.create(widget("part", ownerReferences=[reference]), "default")
        await plane.client.delete(WIDGETS, "owner", "default")
        await plane.until(lambda: not plane.get("configmaps", "child") and not plane.get(WIDGETS, "part"))
        await plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
        await plane.client.create(widget("c"), "n")
        await plane.client.delete("namespaces", "n")
        await plane.until(lambda: plane.get("namespaces", "n", "") is None)
        assert plane.all(WIDGETS, "") == []


async def test_a_kind_may_come_back(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        for _ in range(2):
            await plane.client.create(definition())
            await established(plane)
            await plane.client.create(widget("a"), "default")
            await plane.client.delete(RESOURCE, WIDGETS)
            await plane.until(lambda: plane.get(RESOURCE, WIDGETS, "") is None)
        try:
            await plane.client.get(WIDGETS, "a", "default")
        except StatusError as error:
            assert error.code == 404
