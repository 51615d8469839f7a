"""Keys that stand twice are found exactly when they are there, whatever the text looks like."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from runtime.api.http.body import duplicate_fields, read_object, written_alike

KEYS = st.sampled_from(["a", "b", '":', 'x":y', " :", "é", ""])
SPACES = st.sampled_from(["", " ", "\n", "\t", "\r\n"])


class Pairs(list[tuple[str, Any]]):
    """An object as written, doubles and all."""


VALUES = st.recursive(
    st.one_of(st.integers(), KEYS, st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(st.tuples(KEYS, inner), max_size=4).map(Pairs)
    ),
    max_leaves=12,
)


def text(value: Any, before: str, after: str) -> str:
    if isinstance(value, Pairs):
        return (
            "{" + ",".join(f"{json.dumps(k)}{before}:{after}{text(v, before, after)}" for k, v in value) + "}"
        )
    if isinstance(value, list):
        return "[" + f",{after}".join(text(one, before, after) for one in value) + "]"
    return json.dumps(value)


def repeated(value: Any) -> bool:
    if isinstance(value, Pairs):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(repeated(inner) for _, inner in value)
    return isinstance(value, list) and any(map(repeated, value))


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4).map(Pairs), SPACES, SPACES)
def test_they_are_found_exactly_when_they_are_there(value: Pairs, before: str, after: str) -> None:
    assert bool(duplicate_fields(text(value, before, after).encode())) is repeated(value)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4).map(Pairs), SPACES, SPACES)
def test_a_body_is_read_once_only_where_nothing_can_be_lost(value: Pairs, before: str, after: str) -> None:
    body = text(value, before, after).encode()
    if written_alike(body, orjson.loads(body)):
        assert not repeated(value)
    assert bool(read_object(body, "json", "Strict")[1]) is repeated(value)


def test_a_body_as_clients_write_it_is_read_once() -> None:
    body = b'{"kind":"ConfigMap","data":{"a":"\\"b\\":","\xc3\xa9":"1"},"n":[1,2.5,true,null]}'
    assert written_alike(body + b"\n", orjson.loads(body))
