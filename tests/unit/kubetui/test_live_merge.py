"""Two people change one object: what a three-way merge makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubetui.live.merge import Clash, merge
from kubetui.live.undo import taken_back

VALUES = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def containers(*images: tuple[str, str]) -> dict[str, Any]:
    return {"containers": [{"name": name, "image": image} for name, image in images]}


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged", "clashes"),
    [
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 3}, {"a": 2, "b": 3}, []),
        ({"a": 1}, {}, {"a": 1, "b": 2}, {"b": 2}, []),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}, [Clash("a", 2, 3)]),
        ({"a": {"b": 1}}, {}, {"a": {"b": 2}}, {}, [Clash("a", None, {"b": 2})]),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [3]}, {"a": [1, 2]}, [Clash("a", [1, 2], [3])]),
        (
            containers(("x", "1"), ("y", "1")),
            containers(("x", "2"), ("y", "1")),
            containers(("y", "3"), ("x", "1"), ("z", "1")),
            containers(("y", "3"), ("x", "2"), ("z", "1")),
            [],
        ),
        (
            containers(("x", "1")),
            containers(("x", "2")),
            containers(("x", "3")),
            containers(("x", "2")),
            [Clash("containers[x].image", "2", "3")],
        ),
    ],
)
def test_merge(base: Any, mine: Any, theirs: Any, merged: Any, clashes: list[Clash]) -> None:
    assert merge(base, mine, theirs) == (merged, clashes)


@given(OBJECTS, OBJECTS)
def test_only_one_has_changed_it(base: dict[str, Any], changed: dict[str, Any]) -> None:
    assert merge(base, changed, base) == (changed, [])
    assert merge(base, base, changed) == (changed, [])
    assert merge(base, changed, changed) == (changed, [])


def test_a_change_is_taken_back_alone() -> None:
    def deployment(image: str, **more: Any) -> dict[str, Any]:
        notes = {"deployment.kubernetes.io/revision": more.pop("revision", "1"), **more.pop("notes", {})}
        metadata = {"name": "web", "resourceVersion": image, "annotations": notes}
        return {"kind": "Deployment", "metadata": metadata, "spec": {"image": image, **more}, "status": {}}

    before = deployment("1", replicas=2)
    after = deployment("2", replicas=2)
    live = deployment("2", replicas=5, revision="2", notes={"theirs": "x"})
    found, clashes = taken_back(before, after, live)
    assert not clashes
    assert found["spec"] == {"image": "1", "replicas": 5}
    assert found["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2", "theirs": "x"}
    assert found["metadata"]["resourceVersion"] == "2"
    _, clashes = taken_back(before, after, deployment("3", replicas=2))
    assert [c.path for c in clashes] == ["spec.image"]
