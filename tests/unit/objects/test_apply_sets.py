from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects.apply.sets import (
    FieldSetError,
    canonical_set,
    difference,
    from_paths,
    has,
    includes,
    intersection,
    path_text,
    paths,
    recursive_difference,
    union,
)

Path = tuple[str, ...]
elements = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
path_sets = st.lists(st.lists(elements, min_size=1, max_size=3).map(tuple), max_size=6).map(set)


def made(members: set[Path]) -> dict[str, Any]:
    return from_paths(sorted(members))


@given(path_sets)
def test_a_set_holds_exactly_its_paths(members: set[Path]) -> None:
    fields = made(members)
    found = list(paths(fields))
    assert set(found) == members
    assert len(found) == len(members)
    assert all(has(fields, path) for path in members)
    assert canonical_set(copy.deepcopy(fields)) == fields
    assert list(fields) == sorted(fields)


@given(path_sets, path_sets)
def test_algebra_is_that_of_sets(left: set[Path], right: set[Path]) -> None:
    a, b = made(left), made(right)
    before = copy.deepcopy((a, b))
    assert set(paths(union(a, b))) == left | right
    assert set(paths(difference(a, b))) == left - right
    assert set(paths(intersection(a, b))) == left & right
    assert includes(a, b) == (right <= left)
    below = {path for path in left if not any(path[: len(other)] == other for other in right)}
    assert set(paths(recursive_difference(a, b))) == below
    assert (a, b) == before


@given(path_sets, path_sets)
def test_results_are_as_they_would_be_stored(left: set[Path], right: set[Path]) -> None:
    a, b = made(left), made(right)
    for result, members in (
        (union(a, b), left | right),
        (difference(a, b), left - right),
        (intersection(a, b), left & right),
        (recursive_difference(a, b), set(paths(recursive_difference(a, b)))),
    ):
        assert result == made(members)


@given(path_sets)
def test_nothing_changes_nothing(members: set[Path]) -> None:
    a = made(members)
    assert union(a, a) is a
    assert union(a, {}) == a
    assert difference(a, {}) is a
    assert difference(a, {"f:zzz": {}}) is a
    assert includes(a, a)


def test_texts_of_paths() -> None:
    path = ("f:spec", "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")
    assert path_text(path) == '.spec.ports[containerPort=80,protocol="TCP"].name'
    assert path_text(("f:finalizers", 'v:"x"')) == '.finalizers[="x"]'
    assert path_text(("f:a", "i:3")) == ".a[3]"


def test_what_clients_send_is_brought_into_form() -> None:
    assert canonical_set(
        {"f:b": {}, "f:a": {'k:{"b": 1, "a": "x"}': {".": {}}, 'v: "y"': {}, "z:what": {}}}
    ) == {
        "f:a": {'k:{"a":"x","b":1}': {".": {}}, 'v:"y"': {}},
        "f:b": {},
    }


@pytest.mark.parametrize(
    "fields", [[], {"a": {}}, {"f:a": 1}, {"k:x": {}}, {"k:1": {}}, {"i:x": {}}, {"f": {}}]
)
def test_what_is_no_set_is_refused(fields: Any) -> None:
    with pytest.raises(FieldSetError):
        canonical_set(fields)


def test_bottomless_sets_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"f:a": deep}
    with pytest.raises(FieldSetError):
        canonical_set(deep)
