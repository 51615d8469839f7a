"""Validation rules of custom resources: what they are asked of, what is said where they are broken."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.objects.custom.rules import check_rules
from runtime.objects.custom.strategy import CustomStrategy
from runtime.objects.custom.structural import Structural
from runtime.objects.validation.custom_schemas import check_schema


def ruled(rules: list[Any], **properties: Any) -> dict[str, Any]:
    """The schema of an object whose spec has rules."""
    listed = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    spec = {"type": "object", "x-kubernetes-validations": listed, "properties": properties}
    return {"type": "object", "properties": {"spec": spec}}


PROPERTIES: dict[str, Any] = {
    "min": {"type": "integer"},
    "max": {"type": "integer"},
    "share": {"type": "number"},
    "when": {"type": "string", "format": "date-time"},
    "wait": {"type": "string", "format": "duration"},
    "port": {"x-kubernetes-int-or-string": True},
    "a-b": {"type": "string"},
    "labels": {"type": "object", "maxProperties": 5, "additionalProperties": {"type": "string"}},
    "set": {"type": "array", "x-kubernetes-list-type": "set", "maxItems": 5, "items": {"type": "string"}},
    "parts": {
        "type": "array",
        "maxItems": 5,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "x-kubernetes-validations": [{"rule": "self.n >= oldSelf.n", "message": "n only grows"}],
            "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
        },
    },
}


def said(rules: list[Any], spec: Any, old: Any = None) -> list[str]:
    schema = Structural(ruled(rules, **PROPERTIES))
    before = None if old is None else {"spec": old}
    return [str(error) for error in check_rules({"spec": spec}, schema, before).errors]


@pytest.mark.parametrize(
    ("rule", "spec"),
    [
        ("self.min <= self.max", {"min": 1, "max": 2}),
        ("self.share == 1.0 && type(self.share) == double", {"share": 1}),
        ("self.when > timestamp('2024-01-01T00:00:00Z')", {"when": "2024-06-01T00:00:00Z"}),
        ("self.wait < duration('1h')", {"wait": "5m"}),
        ("type(self.port) == int ? self.port > 0 : self.port == 'http'", {"port": "http"}),
        ("self.a__dash__b == 'x'", {"a-b": "x"}),
        ("self.set == ['b', 'a']", {"set": ["a", "b"]}),
        ("self.labels.all(k, k.size() < 5)", {"labels": {"app": "x"}}),
        ("!has(self.min)", {}),
        ("oldSelf.min == self.min", {"min": 3}),
    ],
)
def test_rules_that_are_kept_say_nothing(rule: str, spec: Any) -> None:
    assert said([rule], spec) == []


@pytest.mark.parametrize(
    ("rule", "spec", "sentence"),
    [
        ("self.min <= self.max", {"min": 3, "max": 2}, "Invalid value: failed rule: self.min <= self.max"),
        (
            {"rule": "self.min <= self.max", "message": "min is too big"},
            {"min": 3, "max": 2},
            "Invalid value: min is too big",
        ),
        (
            {"rule": "self.min < 2", "message": "no", "messageExpression": "'min is ' + string(self.min)"},
            {"min": 3},
            "Invalid value: min is 3",
        ),
        (
            {"rule": "self.min < 2", "message": "no", "messageExpression": "string(self.max)"},
            {"min": 3},
            "Invalid value: no",
        ),
        ({"rule": "false", "reason": "FieldValueForbidden", "message": "no"}, {}, "Forbidden: no"),
        ({"rule": "false", "reason": "FieldValueRequired", "message": "no"}, {}, "Required value: no"),
        ({"rule": "false", "reason": "FieldValueDuplicate", "message": "no"}, {}, "Duplicate value"),
        ("self.min > 1", {}, 'Invalid value: "object": no such key: min evaluating rule: self.min > 1'),
        (
            "self.port > 1",
            {"port": "x"},
            "Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
            "function or macro signature for rule: self.port > 1",
        ),
    ],
)
def test_rules_that_are_broken_say_how(rule: Any, spec: Any, sentence: str) -> None:
    assert said([rule], spec) == [f"spec: {sentence}"]


def test_a_field_path_says_where() -> None:
    rule = {"rule": "false", "message": "no", "fieldPath": ".min"}
    assert said([rule], {}) == ["spec.min: Invalid value: no"]
    rule["fieldPath"] = ".labels['a.b']"
    assert said([rule], {}) == ["spec.labels[a.b]: Invalid value: no"]


def test_scalars_are_shown_and_maps_are_keyed() -> None:
    labels = {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'bad'"}]}
    tree = Structural(ruled([], labels={"type": "object", "additionalProperties": labels}))
    (error,) = check_rules({"spec": {"labels": {"a": "bad", "b": "good"}}}, tree).errors
    assert str(error) == "spec.labels[a]: Invalid value: \"bad\": failed rule: self != 'bad'"


def test_a_rule_of_the_whole_object_is_about_no_field() -> None:
    tree = Structural(
        {"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name.size() < 3"}]}
    )
    (error,) = check_rules({"metadata": {"name": "long"}}, tree).errors
    assert str(error).startswith("<nil>: Invalid value: failed rule")


def test_transition_rules_are_asked_of_updates() -> None:
    rule = {"rule": "self.min >= oldSelf.min", "message": "min only grows"}
    assert said([rule], {"min": 1}) == []
    assert said([rule], {"min": 2}, {"min": 1}) == []
    assert said([rule], {"min": 1}, {"min": 2}) == ["spec: Invalid value: min only grows"]
    rule = {
        "rule": "oldSelf.hasValue() ? self == oldSelf.value() : self.min == 0",
        "optionalOldSelf": True,
        "message": "starts at nought",
    }
    assert said([rule], {"min": 1}) == ["spec: Invalid value: starts at nought"]
    assert said([rule], {"min": 1}, {"min": 1}) == []


def test_items_of_keyed_lists_are_compared_with_their_old_selves() -> None:
    old = {"parts": [{"name": "a", "n": 1}, {"name": "b", "n": 5}]}
    moved = {"parts": [{"name": "b", "n": 5}, {"name": "c", "n": 0}, {"name": "a", "n": 2}]}
    assert said([], moved, old) == []
    moved["parts"][0]["n"] = 4
    assert said([], moved, old) == ["spec.parts[0]: Invalid value: n only grows"]


def test_what_was_broken_before_and_did_not_change_is_tolerated() -> None:
    schema = Structural(ruled(["self.min < 2"], **PROPERTIES))
    old = {"spec": {"min": 5}}
    verdict = check_rules({"spec": {"min": 5}}, schema, old)
    assert verdict.errors == [] and "failed rule" in str(verdict.tolerated[0])
    assert len(check_rules({"spec": {"min": 6}}, schema, old).errors) == 1
    strategy = CustomStrategy(schema, namespaced=False, status=False, scale=None)
    meta = {"name": "x", "uid": "1", "resourceVersion": "1", "creationTimestamp": "2024-01-01T00:00:00Z"}
    old = {"apiVersion": "a/v1", "kind": "A", "metadata": meta, "spec": {"min": 5}}
    assert strategy.validate_update(old, old) == []
    assert strategy.warnings(old, old) == ["spec: Invalid value: failed rule: self.min < 2"]


def test_rules_wait_until_the_object_fits_its_schema() -> None:
    schema = ruled(["self.min > 1"], min={"type": "integer"})
    strategy = CustomStrategy(Structural(schema), namespaced=False, status=False, scale=None)
    obj = {"metadata": {"name": "x"}, "spec": {"min": "much"}}
    sentences = [str(error) for error in strategy.validate(obj)]
    assert len(sentences) == 2 and "must be of type integer" in sentences[0]
    assert sentences[1].startswith(
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid"
    )


def test_rules_share_what_they_may_cost() -> None:
    many = {"parts": [{"name": f"{n}"} for n in range(200)]}
    rule = "self.parts.all(a, self.parts.all(b, self.parts.all(c, has(a.name))))"
    (sentence,) = said([rule, "false"], many)
    assert "no further validation rules will be run due to call cost exceeds limit for rule" in sentence


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("self.min > 0 && has(self.max) && self.a__dash__b == ''", ""),
        ("self.parts.all(p, p.n > 0) && self.parts.filter(p, p.n > 1).exists(p, p.name == '')", ""),
        ("self.labels.all(k, v, v != k) && 'x' in self.labels && self.labels.x == ''", ""),
        ("self.?min.orValue(1) > 0 && quantity('1').isLessThan(quantity('2')) && math.abs(-1) == 1", ""),
        (
            "self.none == 1",
            "rule: Invalid value: {}: compilation failed: ERROR: <input>:1:5: undefined field 'none'",
        ),
        ("has(self.none)", "undefined field 'none'"),
        ("self.parts.all(p, p.none == 1)", "undefined field 'none'"),
        ("self.min.x == 1", "type 'int' does not support field selection"),
        ("other == 1", "undeclared reference to 'other' (in container '')"),
        ("self.min.grows()", "undeclared reference to 'grows' (in container '')"),
        ("self.min = 1", "Syntax error: token recognition error at: '= '"),
        ("self.min", "must evaluate to a bool"),
        ("self.min + 1 == 2 ? true : false", ""),
        (
            "self.free.all(a, self.free.all(b, a == b))",
            "rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x",
        ),
        ("self.free.exists(a, a == 'x')", ""),
        ({"rule": "true", "message": " "}, 'message: Invalid value: " ": must be non-empty if specified'),
        ({"rule": "true", "message": "a\nb"}, "must not contain line breaks"),
        ({"rule": "true &&\ntrue"}, "message must be specified if rule contains line breaks"),
        ({"rule": "true", "messageExpression": "1"}, "messageExpression must evaluate to a string"),
        ({"rule": "true", "messageExpression": "self.none"}, "messageExpression compilation failed"),
        ({"rule": "true", "reason": "Because"}, 'reason: Unsupported value: "Because": supported values: '),
        ({"rule": "true", "fieldPath": ".none"}, "must be a valid path"),
        ({"rule": "true", "fieldPath": ".labels['a']"}, ""),
        ({"rule": "true", "optionalOldSelf": True}, "may not be set if oldSelf is not used in rule"),
    ],
)
def test_rules_are_read_when_the_definition_is_written(rule: Any, sentence: str) -> None:
    free = {"type": "array", "items": {"type": "string"}}
    errors: list[Any] = []
    check_schema(ruled([rule], **PROPERTIES, free=free), "s", errors, status=False)
    if not sentence:
        assert errors == []
        return
    (error,) = errors
    place = "s.properties[spec].x-kubernetes-validations[0]."
    assert str(error).startswith(place)
    assert sentence.rpartition("{}")[2] in str(error)


def test_rules_about_the_past_need_to_know_which_item_was_which() -> None:
    items = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}
    errors: list[Any] = []
    check_schema(ruled([], l={"type": "array", "maxItems": 3, "items": items}), "s", errors, status=False)
    (error,) = errors
    assert str(error).endswith(
        "oldSelf cannot be used on the uncorrelatable portion of the schema within "
        "s.properties[spec].properties[l]"
    )
