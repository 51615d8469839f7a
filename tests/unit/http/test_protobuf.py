"""Kubernetes' protobuf, written: against bytes made by hand, and against the reader, whatever an object holds."""

from __future__ import annotations

import base64
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.api.http.protobuf import (
    NotEncodable,
    decode_body,
    encode_body,
    encode_event,
    encode_list,
    is_encodable,
)
from runtime.api.http.protobuf.facts import fields_of
from runtime.objects.kinds import builtin_registry
from runtime.objects.schema import TypeInfo, decode_as, definition_of, type_of

KINDS = sorted({resource.gvk for resource in builtin_registry() if resource.group != "metrics.k8s.io"})
LISTED = sorted(
    {one.gvk for one in builtin_registry() if "list" in one.verbs and one.group != "metrics.k8s.io"}
)
META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def test_bytes_of_a_config_map() -> None:
    body = encode_body(
        {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:00:05Z", "generation": -1},
            "data": {"k": "v"},
            "binaryData": {"b": "AP8="},
        }
    )
    metadata = b"\x0a\x01a" + b"\x42\x04\x08\x05\x10\x00" + b"\x38" + b"\xff" * 9 + b"\x01"
    message = b"\x0a" + bytes([len(metadata)]) + metadata
    message += b"\x12\x06\x0a\x01k\x12\x01v" + b"\x1a\x07\x0a\x01b\x12\x02\x00\xff"
    type_meta = b"\x0a\x02v1\x12\x09ConfigMap"
    wanted = b"k8s\x00\x0a" + bytes([len(type_meta)]) + type_meta + b"\x12" + bytes([len(message)]) + message
    assert sorted(body) == sorted(wanted + b"\x1a\x00\x22\x00")
    assert body.startswith(wanted[:20]) and body.endswith(b"\x1a\x00\x22\x00")
    assert encode_event("ADDED", b"xy") == b"\x00\x00\x00\x0d\x0a\x05ADDED\x12\x04\x0a\x02xy"


@pytest.mark.parametrize("kind", KINDS, ids=lambda gvk: ".".join(gvk))
def test_every_kind_has_a_form(kind: tuple[str, str, str]) -> None:
    group, version, name = kind
    assert is_encodable(api_version(group, version), name)
    if kind in LISTED:
        assert is_encodable(api_version(group, version), f"{name}List")
        obj = {"metadata": {"name": "x"}}
        item = encode_list([], {}, "v1", "X") and encode_body(
            {"kind": name, "apiVersion": api_version(group, version), **obj}
        )
        assert decode_body(item)["metadata"] == obj["metadata"]


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(NotEncodable):
        encode_body({"kind": "Widget", "apiVersion": "example.com/v1"})
    with pytest.raises(NotEncodable):
        encode_body({"kind": "ConfigMap", "apiVersion": "v1", "data": {"k": 1}})


def test_lists_carry_their_items_bare() -> None:
    pod = encode_list([b"\x0a\x03\x0a\x01p"], {"resourceVersion": "7", "continue": "c"}, "v1", "PodList")
    found = decode_body(b"".join(pod))
    assert found["metadata"] == {"resourceVersion": "7", "continue": "c"}
    assert [item["metadata"]["name"] for item in found["items"]] == ["p"]


def test_structs_that_go_embeds_are_one_level_in_json() -> None:
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p"},
        "spec": {
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "c"}}],
            "containers": [
                {
                    "name": "c",
                    "livenessProbe": {"httpGet": {"port": "web"}, "periodSeconds": 3},
                    "env": [
                        {
                            "name": "E",
                            "valueFrom": {"configMapKeyRef": {"name": "n", "key": "k", "optional": False}},
                        }
                    ],
                    "resources": {"limits": {"cpu": "100m"}},
                }
            ],
            "tolerations": [{"tolerationSeconds": 0}],
        },
        "status": {"startTime": "2026-01-01T00:00:00Z"},
    }
    assert decode_body(encode_body(pod)) == pod


# -- any object of any kind --------------------------------------------------------------------------------

TEXT = st.text(string.ascii_letters + "é\n€", max_size=6)
TIMES = st.sampled_from(["2026-01-02T03:04:05Z", "1969-12-31T23:59:59Z", "0001-01-02T00:00:00Z"])
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "boolean": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "int-or-string": st.one_of(st.integers(-(2**31), 2**31 - 1), TEXT),
    "quantity": st.sampled_from(["0", "100m", "1Gi", "-3", "5"]),
    "date-time": TIMES,
    "micro-time": st.sampled_from(["2026-01-02T03:04:05.000007Z", "1969-12-31T23:59:59.999999Z"]),
    "byte": st.binary(max_size=5).map(lambda raw: base64.b64encode(raw).decode()),
}
FREE = st.dictionaries(
    TEXT.filter(bool), st.one_of(TEXT, st.integers(-9, 9), st.booleans()), min_size=1, max_size=2
)


def values(info: TypeInfo, depth: int) -> st.SearchStrategy[Any]:
    """Values of a type; deep down only what is no struct."""
    match info.kind:
        case "list":
            return st.lists(values(info.element, depth), max_size=2 if depth else 0)
        case "map":
            return st.dictionaries(TEXT, values(info.element, depth), max_size=2 if depth else 0)
        case "struct":
            return objects(info.definition, depth - 1) if depth else st.just({})
        case "scalar":
            return SCALARS[info.format]
    return FREE


@st.composite
def objects(draw: st.DrawFn, definition: str, depth: int) -> dict[str, Any]:
    """Objects of a definition with a few of their fields."""
    fields = type_of(definition).fields
    known = {
        name for name in fields if name not in ("kind", "apiVersion", "anyOf", "default", "example", "enum")
    }
    chosen = draw(st.lists(st.sampled_from(sorted(known)), unique=True, max_size=5)) if known else []
    return {name: draw(values(fields[name], depth)) for name in chosen}


def without_empty_lists(value: Any) -> Any:
    """Protobuf has no way to tell an empty list from none."""
    if isinstance(value, dict):
        return {key: without_empty_lists(item) for key, item in value.items() if item != []}
    return [without_empty_lists(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_written_reads_the_same(data: st.DataObject) -> None:
    group, version, kind = data.draw(st.sampled_from(KINDS))
    definition = definition_of(group, version, kind)
    envelope = {"kind": kind, "apiVersion": api_version(group, version)}
    drawn = {**envelope, **data.draw(objects(definition, 4))}
    clean, unknown = decode_as(definition, drawn, kind, version)
    assert not unknown
    read = decode_body(encode_body(clean))
    again, _ = decode_as(definition, read, kind, version)
    assert without_empty_lists(again) == without_empty_lists(clean)


def test_every_field_of_every_kind_has_a_number() -> None:
    """What the schema serves and the messages lack would be lost on the way to a client."""
    seen: set[str] = set()
    missing: list[str] = []

    def names(definition: str, fields: set[str]) -> set[str]:
        found: set[str] = set()
        for name, kind in fields_of(definition).values():
            if name not in fields and kind.startswith("@"):
                found |= names(kind[1:], fields)
            else:
                found.add(name)
        return found

    def look(info: TypeInfo) -> None:
        if info.kind in ("list", "map"):
            look(info.element)
        if info.kind != "struct" or info.definition in seen:
            return
        seen.add(info.definition)
        fields = type_of(info.definition).fields
        known = names(info.definition, set(fields))
        missing.extend(f"{info.definition}.{name}" for name in fields if name not in known)
        for field in fields.values():
            look(field)

    for group, version, kind in KINDS:
        look(type_of(definition_of(group, version, kind)))
    ignored = ("kind", "apiVersion", "selfLink")
    assert [one for one in missing if one.rpartition(".")[2] not in ignored] == []


def test_schemas_of_custom_resources_keep_what_may_be_of_several_types() -> None:
    schema = {
        "type": "object",
        "default": {"a": [1, None, "x"]},
        "enum": [1, "b", {"c": True}],
        "properties": {
            "list": {"type": "array", "items": {"type": "string", "maxLength": 3, "minLength": 0}},
            "open": {"type": "object", "additionalProperties": True},
            "shut": {"type": "object", "additionalProperties": False},
            "map": {"additionalProperties": {"x-kubernetes-int-or-string": True}},
            "number": {"type": "number", "minimum": 0, "maximum": 1.5, "multipleOf": 0.5},
        },
        "dependencies": {"list": ["open", "map"]},
        "x-kubernetes-preserve-unknown-fields": False,
        "x-kubernetes-list-map-keys": ["k"],
        "x-kubernetes-validations": [{"rule": "true", "message": "m"}],
        "externalDocs": {"url": "u"},
        "$ref": "r",
    }
    crd = {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "x"},
        "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]},
    }
    clean, unknown = decode_as(
        definition_of("apiextensions.k8s.io", "v1", crd["kind"]), crd, crd["kind"], "v1"
    )
    assert not unknown
    read, _ = decode_as(
        definition_of("apiextensions.k8s.io", "v1", crd["kind"]),
        decode_body(encode_body(clean)),
        crd["kind"],
        "v1",
    )
    assert read == clean
