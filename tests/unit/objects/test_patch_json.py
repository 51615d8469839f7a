from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects.errors import StatusError
from runtime.objects.patch import apply_json_patch, apply_merge_patch
from runtime.objects.patch.json_patch import MAX_COPIED_BYTES, MAX_DEPTH, MAX_OPERATIONS, json_equal

DOC: dict[str, Any] = {
    "a": {"b": 1, "c": [1, 2, 3]},
    "list": [{"x": 1}, {"x": 2}],
    "m~n": {"p/q": 1},
    "null": None,
}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/new", "value": 1}], {**DOC, "new": 1}),
        ([{"op": "add", "path": "/a/b", "value": 2}], {**DOC, "a": {"b": 2, "c": [1, 2, 3]}}),
        ([{"op": "add", "path": "/a/c/1", "value": 9}], {**DOC, "a": {"b": 1, "c": [1, 9, 2, 3]}}),
        ([{"op": "add", "path": "/a/c/3", "value": 9}], {**DOC, "a": {"b": 1, "c": [1, 2, 3, 9]}}),
        ([{"op": "add", "path": "/a/c/-", "value": 9}], {**DOC, "a": {"b": 1, "c": [1, 2, 3, 9]}}),
        ([{"op": "add", "path": "/a/c/-1", "value": 9}], {**DOC, "a": {"b": 1, "c": [1, 2, 3, 9]}}),
        ([{"op": "add", "path": "/a/d", "value": None}], {**DOC, "a": {"b": 1, "c": [1, 2, 3], "d": None}}),
        ([{"op": "add", "path": "", "value": {"z": 1}}], {"z": 1}),
        ([{"op": "remove", "path": "/a/c/0"}], {**DOC, "a": {"b": 1, "c": [2, 3]}}),
        ([{"op": "remove", "path": "/a/c/-1"}], {**DOC, "a": {"b": 1, "c": [1, 2]}}),
        ([{"op": "remove", "path": "/m~0n/p~1q"}], {**DOC, "m~n": {}}),
        ([{"op": "replace", "path": "/list/1/x", "value": 7}], {**DOC, "list": [{"x": 1}, {"x": 7}]}),
        ([{"op": "move", "from": "/a/b", "path": "/b"}], {"b": 1, **DOC, "a": {"c": [1, 2, 3]}}),
        ([{"op": "move", "from": "/a/b", "path": "/a/b"}], DOC),
        (
            [{"op": "copy", "from": "/list/0", "path": "/list/-"}],
            {**DOC, "list": [{"x": 1}, {"x": 2}, {"x": 1}]},
        ),
        ([{"op": "test", "path": "/a/b", "value": 1.0}], DOC),
        ([{"op": "test", "path": "/a", "value": {"c": [1, 2, 3], "b": 1}}], DOC),
        ([{"op": "test", "path": "/missing", "value": None}], DOC),
        ([{"op": "test", "path": "/null", "value": None}], DOC),
        ([], DOC),
    ],
)
def test_operations(operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    before = copy.deepcopy(DOC)
    assert apply_json_patch(DOC, operations) == expected
    assert before == DOC


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"op": "test", "path": "/a/b", "value": 2}, "testing value /a/b failed: test failed"),
        ({"op": "test", "path": "/a/b", "value": True}, "testing value /a/b failed: test failed"),
        ({"op": "test", "path": "/x/y", "value": None}, "testing path /x/y failed: missing value"),
        ({"op": "remove", "path": "/x"}, "Unable to remove nonexistent key: x: missing value"),
        ({"op": "remove", "path": "/a/c/3"}, "Unable to access invalid index: 3: invalid index referenced"),
        (
            {"op": "remove", "path": ""},
            "remove operation does not apply: the whole document can't be removed",
        ),
        (
            {"op": "replace", "path": "/x", "value": 1},
            "replace operation does not apply: doc is missing key: /x: missing value",
        ),
        (
            {"op": "add", "path": "/x/y", "value": 1},
            'add operation does not apply: doc is missing path: "/x/y": missing value',
        ),
        (
            {"op": "add", "path": "/a/c/4", "value": 1},
            "Unable to access invalid index: 4: invalid index referenced",
        ),
        ({"op": "add", "path": "/a/c/x", "value": 1}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"op": "add", "path": "/a/c/01", "value": 1}, 'strconv.Atoi: parsing "01": invalid syntax'),
        ({"op": "add", "path": "/x"}, "add operation does not apply: missing value"),
        (
            {"op": "add", "path": "a", "value": 1},
            'add operation does not apply: doc is missing path: "a": missing value',
        ),
        ({"op": "add", "path": 3, "value": 1}, "add operation: path must be a string: missing value"),
        ({"op": "copy", "path": "/x"}, "copy operation: path must be a string: missing value"),
        (
            {"op": "copy", "from": "/nope", "path": "/x"},
            'copy operation does not apply: doc is missing path: "/nope": missing value',
        ),
        (
            {"op": "move", "from": "/a", "path": "/a/b"},
            'move operation does not apply: "/a" can\'t be moved into itself',
        ),
        ({"op": "frobnicate", "path": "/a"}, "Unexpected kind: frobnicate"),
        ({}, "Unexpected kind: unknown"),
        (
            {"op": "add", "path": "/a" * (MAX_DEPTH + 1), "value": 1},
            f"add operation does not apply: path is deeper than {MAX_DEPTH} steps",
        ),
    ],
)
def test_what_does_not_apply_is_unprocessable(operation: dict[str, Any], why: str) -> None:
    with pytest.raises(StatusError) as refused:
        apply_json_patch(DOC, [{"op": "add", "path": "/new", "value": 1}, operation])
    status = refused.value.status
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"
    assert "causes" not in status.get("details", {}), "kubectl would print them instead of the sentence"
    assert str(refused.value.__cause__) == why
    assert "new" not in DOC


def test_limits() -> None:
    with pytest.raises(StatusError) as refused:
        apply_json_patch(DOC, [{"op": "test", "path": "/a/b", "value": 1}] * (MAX_OPERATIONS + 1))
    assert refused.value.code == 413
    doubling = [{"op": "add", "path": "/s", "value": ["x" * 1000]}]
    doubling += [{"op": "copy", "from": "/s", "path": "/s/-"}] * 40
    with pytest.raises(StatusError) as refused:
        apply_json_patch({}, doubling)
    assert f"exceeding the limit {MAX_COPIED_BYTES}" in str(refused.value.__cause__)
    nesting = [{"op": "add", "path": "/s", "value": []}] + [
        {"op": "copy", "from": "/s", "path": "/s/-"}
    ] * 300
    with pytest.raises(StatusError):
        apply_json_patch({}, nesting)


@pytest.mark.parametrize("body", [{}, "x", None, [1], [["add"]], [{"op": "replace", "path": "", "value": 3}]])
def test_what_is_no_patch_is_a_bad_request(body: Any) -> None:
    with pytest.raises(StatusError) as refused:
        apply_json_patch(DOC, body)
    assert refused.value.code == 400


def test_a_copy_is_independent_and_the_rest_is_shared() -> None:
    operations = [
        {"op": "add", "path": "/a/d", "value": 1},
        {"op": "copy", "from": "/a", "path": "/e"},
        {"op": "add", "path": "/e/d", "value": 2},
        {"op": "add", "path": "/v", "value": {"w": []}},
        {"op": "add", "path": "/v/w/-", "value": 1},
    ]
    given = copy.deepcopy(operations)
    result = apply_json_patch(DOC, operations)
    assert result["a"]["d"] == 1
    assert result["e"]["d"] == 2
    assert result["list"] is DOC["list"]
    assert operations == given


def test_equality_of_json_values() -> None:
    assert json_equal({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert not json_equal({"a": True}, {"a": 1})
    assert not json_equal([1], [1, 2])
    assert not json_equal({"a": None}, {})
    assert not json_equal("1", 1)


@pytest.mark.parametrize(
    ("target", "patch", "expected"),  # RFC 7386, appendix A
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    before = copy.deepcopy((target, patch))
    assert apply_merge_patch(target, patch) == expected
    assert (target, patch) == before


def test_merge_patch_has_to_be_an_object() -> None:
    with pytest.raises(StatusError, match="Invalid JSON Patch"):
        apply_merge_patch({}, [])


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3)
    ),
)
objects = st.dictionaries(st.text("abc", min_size=1, max_size=1), values, max_size=3)
pointers = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "-", ""]), max_size=3).map(
    lambda steps: "".join(f"/{step}" for step in steps)
)
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": pointers},
        optional={"value": values, "from": pointers},
    ),
    max_size=6,
)


@given(objects, operations)
def test_any_json_patch_applies_or_is_refused_and_changes_no_input(
    target: dict[str, Any], patch: list[dict[str, Any]]
) -> None:
    before = orjson.dumps((target, patch))
    try:
        result = apply_json_patch(target, patch)
    except StatusError as refused:
        assert refused.code in (400, 422)
    else:
        orjson.dumps(result)
    assert orjson.dumps((target, patch)) == before


def _diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        if isinstance(value, dict):
            current = old.get(key)
            patch[key] = _diff(current if isinstance(current, dict) else {}, value)
        elif key not in old or not json_equal(old[key], value):
            patch[key] = value
    return patch


def _no_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _no_nulls(item) for key, item in value.items() if item is not None}
    return value


@given(objects.map(_no_nulls), objects.map(_no_nulls))
def test_the_difference_applied_gives_the_new_object(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert apply_merge_patch(old, _diff(old, new)) == new
