"""Custom resources' values against their schemas, in upstream's words."""

from __future__ import annotations

import pytest

from runtime.objects.custom.formats import FORMATS, normal
from runtime.objects.custom.structural import Structural, drop_nulls, fill_defaults, prune, type_info
from runtime.objects.custom.values import check_values

SPEC = {
    "type": "object",
    "required": ["when"],
    "properties": {
        "when": {"type": "string", "pattern": "^a+$", "maxLength": 5, "minLength": 2},
        "count": {"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 2},
        "share": {"type": "number", "exclusiveMinimum": True, "minimum": 0.5},
        "mode": {"type": "string", "enum": ["fast", "slow"]},
        "level": {"type": "integer", "enum": [1, 2]},
        "flag": {"type": "boolean"},
        "maybe": {"type": "string", "nullable": True},
        "either": {"x-kubernetes-int-or-string": True},
        "list": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "minItems": 1},
        "labels": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1},
        "closed": {"type": "object", "additionalProperties": False},
        "address": {"type": "string", "format": "ipv4"},
        "small": {"type": "integer", "format": "int32"},
        "one": {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "any": {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "all": {"type": "integer", "allOf": [{"minimum": 2}, {"maximum": 4}]},
        "not": {"type": "object", "not": {"required": ["a"]}},
    },
}
SCHEMA = {"type": "object", "properties": {"spec": SPEC}}


@pytest.mark.parametrize(
    ("spec", "sentences"),
    [
        ({"when": "aa", "either": 1, "maybe": None, "count": 4, "share": 1, "flag": True}, []),
        ({"when": "aa", "either": "1%", "count": 2.0}, []),
        ({}, ["spec.when: Required value"]),
        (
            {"when": 5},
            ['spec.when: Invalid value: "integer": spec.when in body must be of type string: "integer"'],
        ),
        (
            {"when": None},
            ['spec.when: Invalid value: "null": spec.when in body must be of type string: "null"'],
        ),
        ({"when": "b" * 3}, ["spec.when: Invalid value: \"bbb\": spec.when in body should match '^a+$'"]),
        ({"when": "a"}, ['spec.when: Invalid value: "a": spec.when in body should be at least 2 chars long']),
        ({"when": "a" * 9}, ["spec.when: Too long: may not be more than 5 bytes"]),
        (
            {"when": "aa", "count": 12},
            ["spec.count: Invalid value: 12: spec.count in body should be less than or equal to 10"],
        ),
        (
            {"when": "aa", "count": 0},
            ["spec.count: Invalid value: 0: spec.count in body should be greater than or equal to 1"],
        ),
        (
            {"when": "aa", "count": 3},
            ["spec.count: Invalid value: 3: spec.count in body should be a multiple of 2"],
        ),
        (
            {"when": "aa", "share": 0.5},
            ["spec.share: Invalid value: 0.5: spec.share in body should be greater than 0.5"],
        ),
        (
            {"when": "aa", "mode": "x"},
            ['spec.mode: Unsupported value: "x": supported values: "fast", "slow"'],
        ),
        ({"when": "aa", "level": 3}, ['spec.level: Unsupported value: 3: supported values: "1", "2"']),
        (
            {"when": "aa", "flag": 1},
            ['spec.flag: Invalid value: "integer": spec.flag in body must be of type boolean: "integer"'],
        ),
        (
            {"when": "aa", "either": True},
            [
                'spec.either: Invalid value: "boolean": spec.either in body must be of type integer,string: "boolean"'
            ],
        ),
        (
            {"when": "aa", "list": []},
            ["spec.list: Invalid value: 0: spec.list in body should have at least 1 items"],
        ),
        ({"when": "aa", "list": ["a", "b", "c"]}, ["spec.list: Too many: 3: must have at most 2 items"]),
        (
            {"when": "aa", "list": ["a", 1]},
            [
                'spec.list[1]: Invalid value: "integer": spec.list[1] in body must be of type string: "integer"'
            ],
        ),
        ({"when": "aa", "labels": {"a": 1, "b": 2}}, ["spec.labels: Too many: 2: must have at most 1 item"]),
        (
            {"when": "aa", "labels": {"a": "x"}},
            [
                'spec.labels.a: Invalid value: "string": spec.labels.a in body must be of type integer: "string"'
            ],
        ),
        (
            {"when": "aa", "closed": {"a": 1}},
            ['spec.closed: Invalid value: "a": spec.closed.a in body is a forbidden property'],
        ),
        (
            {"when": "aa", "address": "1.2.3"},
            ['spec.address: Invalid value: "1.2.3": spec.address in body must be of type ipv4: "1.2.3"'],
        ),
        (
            {"when": "aa", "small": 2**31},
            [
                '<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.small'
            ],
        ),
        (
            {"when": "aa", "one": {"a": 1, "b": 1}},
            [
                '<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid '
                "alternatives"
            ],
        ),
        (
            {"when": "aa", "any": {}},
            [
                '<nil>: Invalid value: "": "spec.any" must validate at least one schema (anyOf)',
                "spec.any.a: Required value",
            ],
        ),
        (
            {"when": "aa", "all": 1},
            [
                "spec.all: Invalid value: 1: spec.all in body should be greater than or equal to 2",
                '<nil>: Invalid value: "": "spec.all" must validate all the schemas (allOf)',
            ],
        ),
        (
            {"when": "aa", "not": {"a": 1}},
            ['<nil>: Invalid value: "": "spec.not" must not validate the schema (not)'],
        ),
    ],
)
def test_values_are_judged_in_upstreams_words(spec, sentences) -> None:
    assert [str(error) for error in check_values({"spec": spec}, SCHEMA)] == sentences


def test_what_was_wrong_before_and_did_not_change_may_stay() -> None:
    old = {"spec": {"when": "zz", "count": 99, "list": ["a"]}}
    assert check_values({"spec": {"when": "zz", "count": 99, "list": ["b"]}}, SCHEMA, old) == []
    (error,) = check_values({"spec": {"when": "zz", "count": 98, "list": ["b"]}}, SCHEMA, old)
    assert error.field == "spec.count"


def test_items_of_maps_are_compared_with_the_ones_of_the_same_key() -> None:
    schema = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "n": {"type": "integer", "maximum": 3}},
        },
    }
    old = [{"name": "a", "n": 9}]
    assert check_values([{"name": "b", "n": 1}, {"name": "a", "n": 9}], schema, old) == []
    assert len(check_values([{"name": "b", "n": 9}, {"name": "a", "n": 9}], schema, old)) == 1


def test_a_part_is_named_with_its_place_but_spoken_of_as_itself() -> None:
    (error,) = check_values(
        {"n": "x"}, {"type": "object", "properties": {"n": {"type": "integer"}}}, prefix="status"
    )
    assert str(error) == 'status.n: Invalid value: "string": n in body must be of type integer: "string"'


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        ("email", "a@b.example", "a.b"),
        ("hostname", "a.example.com", "-a"),
        ("ipv6", "::1", "1.2.3.4"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("date", "2026-01-31", "2026-13-01"),
        ("date-time", "2026-01-31T10:00:00Z", "yesterday"),
        ("duration", "1h30m", "soon"),
        ("duration", "3 days", "3 moons"),
        ("uri", "https://example.com/a", "example"),
        ("byte", "aGFsbG8=", "%%%"),
        ("isbn", "978-0321751041", "978-0321751042"),
        ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("hexcolor", "#fff", "#ff"),
        ("k8s-short-name", "a-b", "a.b"),
        ("k8s-long-name", "a-b.c", "A"),
    ],
)
def test_formats(name, good, bad) -> None:
    assert FORMATS[normal(name)](good) and not FORMATS[normal(name)](bad)


def test_pruning_keeps_what_is_known_and_tells_the_rest() -> None:
    schema = Structural(
        {
            "type": "object",
            "properties": {
                "known": {"type": "object", "properties": {"a": {"type": "integer"}}},
                "open": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"strict": {"type": "object", "properties": {"a": {"type": "integer"}}}},
                },
                "map": {
                    "type": "object",
                    "additionalProperties": {"type": "object", "properties": {"a": {}}},
                },
                "list": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"a": {"type": "integer"}}},
                },
                "inside": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
            },
        }
    )
    obj = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "a"},
        "extra": 1,
        "known": {"a": 1, "b": 2},
        "open": {"b": {"c": 1}, "strict": {"a": 1, "b": 2}},
        "map": {"k": {"a": 1, "b": 2}},
        "list": [{"a": 1}, {"b": 2}],
        "inside": {"apiVersion": "v1", "kind": "Y", "metadata": {"name": "n"}, "b": 1},
    }
    assert prune(obj, schema, root=True) == [
        "extra",
        "inside.b",
        "known.b",
        "list[1].b",
        "map.k.b",
        "open.strict.b",
    ]
    assert obj == {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "a"},
        "known": {"a": 1},
        "open": {"b": {"c": 1}, "strict": {"a": 1}},
        "map": {"k": {"a": 1}},
        "list": [{"a": 1}, {}],
        "inside": {"apiVersion": "v1", "kind": "Y", "metadata": {"name": "n"}},
    }


def test_defaults_and_nulls() -> None:
    schema = Structural(
        {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "default": 3},
                "b": {
                    "type": "object",
                    "default": {},
                    "properties": {"c": {"type": "string", "default": "x"}},
                },
                "d": {"type": "string", "nullable": True},
                "e": {"type": "string"},
                "list": {"type": "array", "items": {"type": "object", "properties": {"f": {"default": 1}}}},
            },
        }
    )
    obj = {"a": None, "d": None, "e": None, "list": [{}, {"f": 2}], "more": None}
    drop_nulls(obj, schema)
    fill_defaults(obj, schema)
    assert obj == {"a": 3, "b": {"c": "x"}, "d": None, "list": [{"f": 1}, {"f": 2}], "more": None}


def test_types_say_what_apply_has_to_know() -> None:
    info = type_info(
        Structural(
            {
                "type": "object",
                "properties": {
                    "ports": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name", "proto"],
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": {"type": "string"},
                                "proto": {"type": "string", "default": "TCP"},
                            },
                        },
                    },
                    "whole": {
                        "type": "object",
                        "x-kubernetes-map-type": "atomic",
                        "properties": {"a": {"type": "string"}},
                    },
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ),
        root=True,
    )
    assert info.kind == "struct" and {"apiVersion", "kind", "metadata"} <= set(info.fields)
    ports = info.fields["ports"]
    assert ports.map_keys == ("name", "proto") and ports.key_defaults == {"proto": "TCP"} and not ports.atomic
    assert info.fields["whole"].atomic
    assert info.fields["free"].kind == "any" and info.fields["free"].map_type == "granular"
