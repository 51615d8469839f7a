from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects.selectors import (
    EVERYTHING,
    NOTHING,
    Requirement,
    Selector,
    SelectorError,
    escape_field_value,
    format_label_selector,
    format_labels,
    from_labels,
    label_key_errors,
    label_selector,
    label_value_errors,
    parse_field_selector,
    parse_label_selector,
)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a==b", {"a": "b"}, True),
        ("a!=b", {"a": "c"}, True),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a=b,c=d", {"a": "b", "c": "d", "e": "f"}, True),
        ("a=b,c=d", {"a": "b"}, False),
        ("a=b,a=c", {"a": "b"}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a in (b, c)", {}, False),
        ("a notin (b,c)", {"a": "b"}, False),
        ("a notin (b,c)", {}, True),
        ("a", {"a": ""}, True),
        ("a", {"b": ""}, False),
        ("!a", {"b": ""}, True),
        ("! a", {"a": ""}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a>5", {"a": "x"}, False),
        ("a<5", {"a": "4"}, True),
        ("a<5", {}, False),
        ("a<5", {"a": "-99999999999999999999"}, False),
        ("a=", {"a": ""}, True),
        ("a=,b=c", {"a": "", "b": "c"}, True),
        ("a in ()", {"a": ""}, True),
        ("a in (,)", {"a": ""}, True),
        ("a in (b,)", {"a": ""}, True),
        ("a in (b,,c)", {"a": ""}, True),
        ("a in (in,notin)", {"a": "notin"}, True),
        ("in", {"in": "x"}, True),
        ("in in (in)", {"in": "in"}, True),
        ("a=b,", {"a": "b"}, True),
        (" a = b , c ", {"a": "b", "c": ""}, True),
        ("app.kubernetes.io/name=web", {"app.kubernetes.io/name": "web"}, True),
    ],
)
def test_matching(text: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_label_selector(text).matches(labels) is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("!=b", "found '!=', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a=(b", "unable to parse requirement: found '(', expected: identifier"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        (
            "a>b",
            'unable to parse requirement: values[0]: Invalid value: "b": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
    ],
)
def test_parse_errors_are_upstreams(text: str, why: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_label_selector(text)
    assert refused.value.message == why
    assert refused.value.code == 400


def test_bad_keys_and_values_name_the_rule() -> None:
    with pytest.raises(
        SelectorError, match=r'unable to parse requirement: <nil>: Invalid value: "-a": name part must'
    ):
        parse_label_selector("-a=b")
    with pytest.raises(
        SelectorError, match=r'values\[0\]\[a\]: Invalid value: "-b": a valid label must be an empty'
    ):
        parse_label_selector("a=-b")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("a", ""),
        ("a.b/c", ""),
        ("", "name part must be non-empty"),
        ("/a", "prefix part must be non-empty"),
        ("a/b/c", "a valid label key must consist"),
        ("A/b", "prefix part a lowercase RFC 1123 subdomain"),
        ("x" * 64, "name part must be no more than 63 bytes"),
        ("x" * 254 + "/b", "prefix part must be no more than 253 bytes"),
        ("a\n", "name part must consist"),
    ],
)
def test_label_keys(key: str, words: str) -> None:
    found = label_key_errors(key)
    assert bool(found) == bool(words)
    assert not words or found[0].startswith(words)


def test_label_values() -> None:
    assert label_value_errors("") == ()
    assert label_value_errors("a_b.C-1") == ()
    assert label_value_errors("x" * 64)[0] == "must be no more than 63 bytes"
    assert label_value_errors("a b")[0].startswith("a valid label must be an empty string")


def test_structured_form() -> None:
    selector = label_selector(
        {
            "matchLabels": {"tier": "web"},
            "matchExpressions": [
                {"key": "env", "operator": "In", "values": ["prod", "dev"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "app", "operator": "Exists"},
                {"key": "zone", "operator": "NotIn", "values": ["b"]},
            ],
        }
    )
    assert str(selector) == "app,env in (dev,prod),!old,tier=web,zone notin (b)"
    assert selector.matches({"tier": "web", "env": "dev", "app": "x"})
    assert not selector.matches({"tier": "web", "env": "dev", "app": "x", "old": ""})
    assert not selector.matches({"tier": "web", "env": "test", "app": "x"})


def test_absent_matches_nothing_and_empty_everything() -> None:
    assert label_selector(None) == NOTHING
    assert not NOTHING.matches({})
    assert label_selector({}) is EVERYTHING
    assert label_selector({}).everything
    assert not NOTHING.everything
    assert from_labels({}).everything
    assert from_labels({"a": "b"}).matches({"a": "b"})


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ({"key": "a", "operator": "Near"}, '"Near" is not a valid label selector operator'),
        (
            {"key": "a", "operator": "In"},
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
        ),
        (
            {"key": "a", "operator": "Exists", "values": ["b"]},
            'values: Invalid value: ["b"]: values set must be empty for exists and does not exist',
        ),
    ],
)
def test_structured_form_is_checked(expression: dict[str, object], why: str) -> None:
    with pytest.raises(SelectorError) as refused:
        label_selector({"matchExpressions": [expression]})
    assert refused.value.message == why


def test_rendering_for_people() -> None:
    assert format_label_selector({"matchLabels": {"b": "2", "a": "1"}}) == "a=1,b=2"
    assert format_label_selector({}) == "<none>"
    assert format_label_selector(None) == "<none>"
    assert format_label_selector({"matchExpressions": [{"key": "a", "operator": "x"}]}) == "<error>"
    assert format_labels({"b": "2", "a": "1"}) == "a=1,b=2"
    assert format_labels(None) == "<none>"


def test_exact_requirements_are_known() -> None:
    selector = parse_label_selector("a=b,c in (d),e in (f,g)")
    assert selector.requires("a") == "b"
    assert selector.requires("c") == "d"
    assert selector.requires("e") is None
    assert selector.requires("x") is None


words = st.text("abz09", min_size=1, max_size=4)
terms = st.one_of(
    st.builds(lambda k, v: Requirement(k, "=", (v,)), words, words),
    st.builds(lambda k, v: Requirement(k, "!=", (v,)), words, words),
    st.builds(
        lambda k, v: Requirement(k, "in", tuple(sorted(v))), words, st.sets(words, min_size=1, max_size=3)
    ),
    st.builds(
        lambda k, v: Requirement(k, "notin", tuple(sorted(v))), words, st.sets(words, min_size=1, max_size=3)
    ),
    st.builds(lambda k: Requirement(k, "exists"), words),
    st.builds(lambda k: Requirement(k, "!"), words),
)


@given(st.lists(terms, max_size=4), st.dictionaries(words, words, max_size=4))
def test_rendered_selector_parses_back_and_matches_alike(
    parts: list[Requirement], labels: dict[str, str]
) -> None:
    selector = Selector(parts)
    again = parse_label_selector(str(selector))
    assert again == selector
    assert again.matches(labels) == all(part.matcher()(labels) for part in parts)


@given(st.text("ab=!(),<> in\t", max_size=14))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = parse_label_selector(text)
    except SelectorError:
        return
    assert parse_label_selector(str(selector)) == selector


def test_field_selectors() -> None:
    selector = parse_field_selector("status.phase!=Running,metadata.name=x,")
    assert str(selector) == "metadata.name=x,status.phase!=Running"
    assert selector.requires("metadata.name") == "x"
    assert selector.requires("status.phase") is None
    assert selector.matches({"metadata.name": "x", "status.phase": "Pending"})
    assert selector.matches({"metadata.name": "x"})
    assert not selector.matches({"metadata.name": "x", "status.phase": "Running"})
    assert not selector.matches({"metadata.name": "y"})
    assert parse_field_selector("").everything
    assert parse_field_selector("spec.nodeName=").matches({})
    assert parse_field_selector("a==b").matches({"a": "b"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("abc", "invalid selector: 'abc'; can't understand 'abc'"),
        ("a=b\\c", "invalid field selector: invalid escape sequence: \\c"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_field_selector_errors(text: str, why: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_field_selector(text)
    assert refused.value.message == why


@given(st.lists(st.tuples(words, st.text(max_size=6)), max_size=3))
def test_any_field_value_survives_escaping(pairs: list[tuple[str, str]]) -> None:
    selector = parse_field_selector(",".join(f"{k}={escape_field_value(v)}" for k, v in pairs))
    assert sorted((t.field, t.value) for t in selector.terms) == sorted(pairs)
