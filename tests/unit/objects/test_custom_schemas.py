"""What a CustomResourceDefinition may say of its versions."""

from __future__ import annotations

import pytest

from runtime.objects.custom import resources_of
from runtime.objects.custom.approval import approval
from runtime.objects.validation.custom_resources import check_custom_resource_definition, definition_warnings
from runtime.objects.versions import kind_aware

PLACE = "spec.validation.openAPIV3Schema"


def definition(schema=None, *, group="a.b", versions=None, **version):
    one = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", **(schema or {})}},
        **version,
    }
    names = {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"foos.{group}", "uid": "u"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": names,
            "versions": versions or [one],
            "conversion": {"strategy": "None"},
        },
        "status": {"storedVersions": ["v1"]},
    }


def sentences(obj) -> list[str]:
    return [str(error) for error in check_custom_resource_definition(obj)]


def spec(**schema):
    return {"properties": {"spec": schema}}


HERE = f"{PLACE}.properties[spec]"


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ({}, []),
        (spec(type="object", properties={"a": {"type": "string", "default": "x"}}), []),
        (spec(), [f"{HERE}.type: Required value: must not be empty for specified object fields"]),
        (spec(type="array"), [f"{HERE}.items: Required value: must be specified"]),
        (
            spec(type="array", items={}),
            [f"{HERE}.items.type: Required value: must not be empty for specified array items"],
        ),
        (
            {"additionalProperties": {"type": "string"}},
            [f"{PLACE}.additionalProperties: Forbidden: must not be used at the root"],
        ),
        ({"nullable": True}, [f"{PLACE}.nullable: Forbidden: nullable cannot be true at the root"]),
        (
            {"properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}},
            [
                f"{PLACE}.properties[metadata]: Forbidden: must not specify anything other than name and "
                "generateName, but metadata is implicitly specified"
            ],
        ),
        (
            spec(type="integer", anyOf=[{"type": "integer", "minimum": 1}]),
            [f"{HERE}.anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            spec(**{"type": "object", "x-kubernetes-embedded-resource": True}),
            [
                f"{HERE}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true "
                "without x-kubernetes-preserve-unknown-fields"
            ],
        ),
        (
            spec(type="object", properties={"a": {"type": "integer", "default": "x"}}),
            [
                f'{HERE}.properties[a].default: Invalid value: "string":  in body must be of type integer: "string"'
            ],
        ),
        (
            spec(type="object", default={"b": 1}, properties={"a": {"type": "integer"}}),
            [f'{HERE}.default: Invalid value: {{"b":1}}: must not have unknown fields'],
        ),
        (
            spec(
                type="object",
                properties={
                    "pod": {
                        "type": "object",
                        "x-kubernetes-embedded-resource": True,
                        "properties": {"metadata": {"type": "object", "default": {"name": "a", "b": "c"}}},
                    }
                },
            ),
            [],
        ),
        (
            spec(**{"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
            [
                f"{HERE}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is "
                "map"
            ],
        ),
        (
            spec(
                **{
                    "type": "array",
                    "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                }
            ),
            [
                f"{HERE}.items.properties[name].default: Required value: this property is in "
                "x-kubernetes-list-map-keys, so it must have a default or be a required property"
            ],
        ),
        (
            spec(**{"type": "string", "x-kubernetes-list-type": "set"}),
            [f'{HERE}.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified'],
        ),
        (
            spec(
                type="object", properties={"a": {"type": "string"}}, additionalProperties={"type": "string"}
            ),
            [
                f"{HERE}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"
            ],
        ),
        (
            spec(type="string", uniqueItems=True),
            [
                f"{HERE}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity "
                "becomes quadratic"
            ],
        ),
        (
            spec(**{"type": "object", "$ref": "#/x"}),
            [f"{HERE}.$ref: Forbidden: $ref is not supported"],
        ),
        (
            spec(type="string", pattern="("),
            [
                f'{HERE}.pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error parsing '
                "regexp"
            ],
        ),
    ],
)
def test_schemas(schema, wrong) -> None:
    assert sentences(definition(schema)) == wrong


def test_what_alternatives_are_about_is_described_outside_of_them() -> None:
    schema = {"allOf": [{"properties": {"a": {"maxLength": 3}}}]}
    assert sentences(definition(schema)) == [
        f"{PLACE}.properties[a]: Required value: because it is defined in {PLACE}.allOf[0].properties[a]"
    ]


def test_a_root_whose_status_stands_apart_may_say_less() -> None:
    found = sentences(definition({"anyOf": [{"required": ["spec"]}]}, subresources={"status": {}}))
    assert (
        len(found) == 1
        and "fields are allowed at the root of the schema if the status subresource" in found[0]
    )


def test_versions_that_differ_are_spoken_of_by_their_number() -> None:
    good = definition()["spec"]["versions"][0]
    other = {**good, "name": "v2", "storage": False, "schema": {"openAPIV3Schema": {"type": "string"}}}
    assert sentences(definition(versions=[good, other])) == [
        'spec.versions[1].schema.openAPIV3Schema.type: Invalid value: "string": must be object at the root'
    ]


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        (
            {"additionalPrinterColumns": [{"name": "A", "type": "text", "jsonPath": "spec.a"}]},
            [
                'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of '
                "boolean,date,integer,number,string",
                'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec.a": must be a simple json path '
                "starting with .",
            ],
        ),
        (
            {"subresources": {"scale": {"specReplicasPath": ".status.a", "statusReplicasPath": ""}}},
            [
                'spec.subresources.scale.specReplicasPath: Invalid value: ".status.a": should be a json path under '
                ".spec",
                "spec.subresources.scale.statusReplicasPath: Required value",
            ],
        ),
        (
            {"deprecationWarning": "old"},
            [
                'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated versions'
            ],
        ),
        (
            {"selectableFields": [{"jsonPath": ".spec.a"}]},
            [
                'spec.selectableFields[0].jsonPath: Invalid value: ".spec.a": is an invalid path: does not refer to '
                "a valid field: .spec.a"
            ],
        ),
    ],
)
def test_versions(version, wrong) -> None:
    assert sentences(definition(**version)) == wrong


def test_kubernetes_own_groups_need_approval() -> None:
    obj = definition(group="x.k8s.io")
    (found,) = sentences(obj)
    assert found.startswith(
        "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must"
    )
    obj["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com/pull/1"}
    assert sentences(obj) == []
    condition = approval(obj)
    assert (
        condition is not None
        and condition["status"] == "True"
        and condition["reason"] == "ApprovedAnnotation"
    )
    assert approval(definition()) is None


def test_what_means_nothing_here_is_said() -> None:
    obj = definition(spec(type="string", format="colour"))
    assert definition_warnings(obj, None) == ['unrecognized format "colour"']
    assert definition_warnings(obj, obj) == []


def test_versions_are_preferred_as_kubernetes_prefers_them() -> None:
    given = ["v1alpha1", "foo1", "v10", "v2", "v11beta2", "v3beta1", "v11alpha2", "v12alpha1", "foo10"]
    assert kind_aware(given) == [
        "v10",
        "v2",
        "v11beta2",
        "v3beta1",
        "v12alpha1",
        "v11alpha2",
        "v1alpha1",
        "foo1",
        "foo10",
    ]


def test_a_deprecated_version_names_its_successor() -> None:
    good = definition()["spec"]["versions"][0]
    old = {**good, "name": "v1beta1", "storage": False, "deprecated": True}
    first, second = resources_of(definition(versions=[old, good]))
    assert (first.version, first.deprecated) == ("v1", "")
    assert second.deprecated == "a.b/v1beta1 Foo is deprecated; use a.b/v1 Foo"
    assert (
        second.to_storage is not None
        and second.to_storage({"apiVersion": "a.b/v1beta1"})["apiVersion"] == "a.b/v1"
    )
