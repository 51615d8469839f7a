from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects.errors import StatusError
from runtime.objects.patch import apply_json_patch, apply_merge_patch, apply_strategic_merge
from runtime.objects.schema import ANY, type_of

POD = type_of("io.k8s.api.core.v1.Pod")
SPEC = type_of("io.k8s.api.core.v1.PodSpec")
DEPLOYMENT = type_of("io.k8s.api.apps.v1.Deployment")
META = type_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
SERVICE = type_of("io.k8s.api.core.v1.ServiceSpec")


def containers(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": name, "image": f"{name}:1"} for name in names]}


CASES: list[tuple[str, Any, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        "a container is found by its name",
        SPEC,
        containers("a", "b"),
        {"containers": [{"name": "b", "image": "b:2"}]},
        {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]},
    ),
    (
        "a new container is added, and stands first as upstream puts it",
        SPEC,
        containers("a"),
        {"containers": [{"name": "b", "env": None}]},
        {"containers": [{"name": "b"}, {"name": "a", "image": "a:1"}]},
    ),
    (
        "a container is deleted",
        SPEC,
        containers("a", "b"),
        {"containers": [{"name": "a", "$patch": "delete"}]},
        {"containers": [{"name": "b", "image": "b:1"}]},
    ),
    (
        "the list is replaced",
        SPEC,
        containers("a", "b"),
        {"containers": [{"name": "c"}, {"$patch": "replace"}]},
        {"containers": [{"name": "c"}]},
    ),
    (
        "a map is replaced",
        SPEC,
        {"securityContext": {"runAsUser": 1, "fsGroup": 2}},
        {"securityContext": {"$patch": "replace", "runAsUser": 3}},
        {"securityContext": {"runAsUser": 3}},
    ),
    (
        "a map is emptied",
        SPEC,
        {"securityContext": {"runAsUser": 1}},
        {"securityContext": {"$patch": "delete"}},
        {"securityContext": {}},
    ),
    (
        "a directive without a target adds nothing",
        SPEC,
        {},
        {"securityContext": {"$patch": "delete"}, "nodeName": "n"},
        {"nodeName": "n"},
    ),
    (
        "null deletes",
        SPEC,
        {"nodeName": "n", **containers("a")},
        {"nodeName": None, "containers": [{"name": "a", "image": None}]},
        {"containers": [{"name": "a"}]},
    ),
    (
        "nulls in what is new are dropped",
        SPEC,
        {},
        {"securityContext": {"runAsUser": None, "fsGroup": 1, "seLinuxOptions": {"user": None}}},
        {"securityContext": {"fsGroup": 1, "seLinuxOptions": {}}},
    ),
    (
        "an atomic list is replaced",
        SPEC,
        {"tolerations": [{"key": "a"}]},
        {"tolerations": [{"key": "b"}]},
        {"tolerations": [{"key": "b"}]},
    ),
    (
        "ports merge by number, env by name",
        SPEC,
        {
            "containers": [
                {"name": "a", "ports": [{"containerPort": 80}], "env": [{"name": "X", "value": "1"}]}
            ]
        },
        {
            "containers": [
                {
                    "name": "a",
                    "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}],
                    "env": [
                        {
                            "name": "X",
                            "value": None,
                            "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}},
                        }
                    ],
                }
            ]
        },
        {
            "containers": [
                {
                    "name": "a",
                    "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}],
                    "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                }
            ]
        },
    ),
    (
        "finalizers merge as a set",
        META,
        {"finalizers": ["a", "b"]},
        {"finalizers": ["c", "a"]},
        {"finalizers": ["c", "a", "b"]},
    ),
    (
        "primitives are deleted by name",
        META,
        {"finalizers": ["a", "b", "c"]},
        {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["c", "a"]},
        {"finalizers": ["c", "a"]},
    ),
    (
        "the order given is kept, what only the server has stays where it stood",
        SPEC,
        containers("a", "server", "b"),
        {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
            "containers": [{"name": "new", "image": "n"}, {"name": "a", "image": "a:2"}],
        },
        {
            "containers": [
                {"name": "server", "image": "server:1"},
                {"name": "b", "image": "b:1"},
                {"name": "new", "image": "n"},
                {"name": "a", "image": "a:2"},
            ]
        },
    ),
    (
        "an order alone rearranges",
        SPEC,
        containers("a", "b"),
        {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
        {"containers": [{"name": "b", "image": "b:1"}, {"name": "a", "image": "a:1"}]},
    ),
    (
        "an order with a deletion",
        SPEC,
        containers("a", "b"),
        {
            "$setElementOrder/containers": [{"name": "b"}],
            "containers": [{"name": "a", "$patch": "delete"}],
        },
        {"containers": [{"name": "b", "image": "b:1"}]},
    ),
    (
        "an order for a list that is new",
        SPEC,
        {},
        {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "b"}]},
        {"containers": [{"name": "b"}]},
    ),
    (
        "a list removed together with its order",
        SPEC,
        containers("a"),
        {"$setElementOrder/containers": [{"name": "b"}], "containers": None},
        {},
    ),
    (
        "retainKeys drops what is not named",
        DEPLOYMENT,
        {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "replicas": 2}},
        {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
        {"spec": {"strategy": {"type": "Recreate"}, "replicas": 2}},
    ),
    (
        "a volume's source is exchanged",
        SPEC,
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
    ),
    (
        "labels merge",
        META,
        {"labels": {"a": "1", "b": "2"}},
        {"labels": {"b": None, "c": "3"}},
        {"labels": {"a": "1", "c": "3"}},
    ),
    (
        "another type replaces",
        SERVICE,
        {"ports": [{"port": 80, "targetPort": "web"}]},
        {"ports": [{"port": 80, "targetPort": 8080}]},
        {"ports": [{"port": 80, "targetPort": 8080}]},
    ),
]


@pytest.mark.parametrize(
    ("name", "type_info", "live", "patch", "expected"), CASES, ids=[case[0] for case in CASES]
)
def test_merging(name: str, type_info: Any, live: Any, patch: Any, expected: Any) -> None:
    before = copy.deepcopy((live, patch))
    assert apply_strategic_merge(live, patch, type_info) == expected
    assert (live, patch) == before


def test_what_is_not_patched_is_shared() -> None:
    live = {"metadata": {"name": "x"}, "spec": containers("a", "b")}
    result = apply_strategic_merge(live, {"spec": {"containers": [{"name": "a", "image": "new"}]}}, POD)
    assert result["metadata"] is live["metadata"]
    assert result["spec"]["containers"][1] is live["spec"]["containers"][1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("type_info", "live", "patch", "code", "words"),
    [
        (SPEC, {}, [], 400, "cannot unmarshal array"),
        (SPEC, {}, {"$patch": "nonsense"}, 400, "unknown patch type: nonsense in map"),
        (SPEC, containers("a"), {"containers": [{"$patch": "merge"}]}, 400, "merging lists cannot yet"),
        (SPEC, containers("a"), {"containers": [{"$patch": None}]}, 400, "unknown patch type"),
        (
            SPEC,
            containers("a"),
            {"containers": [{"image": "x"}]},
            400,
            "does not contain declared merge key: name",
        ),
        (SPEC, containers("a"), {"containers": ["x"]}, 400, "list element types are not identical"),
        (SPEC, containers("a"), {"containers": [[1]]}, 422, "the server rejected our request"),
        (SPEC, containers("a"), {"containers": [{"name": {}}]}, 400, "list element types"),
        (
            META,
            {"finalizers": ["a"]},
            {"$deleteFromPrimitiveList": ["a"]},
            400,
            "invalid patch format of primitive",
        ),
        (META, {}, {"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        (META, {}, {"$setElementOrder/finalizers": "a"}, 400, "invalid patch format of setElementOrder list"),
        (SPEC, {"nodeName": "a"}, {"$retainKeys": "x"}, 400, "invalid patch format of retainKeys"),
        (
            SPEC,
            {"nodeName": "a"},
            {"$retainKeys": [], "nodeName": "b"},
            400,
            "invalid patch format of retainKeys",
        ),
        (
            SPEC,
            containers("a", "b"),
            {
                "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
                "containers": [{"name": "b"}, {"name": "a"}],
            },
            400,
            "doesn't match \\$setElementOrder list",
        ),
    ],
)
def test_what_cannot_be_read_is_named(type_info: Any, live: Any, patch: Any, code: int, words: str) -> None:
    with pytest.raises(StatusError, match=words) as refused:
        apply_strategic_merge(live, patch, type_info)
    assert refused.value.code == code


def test_endless_nesting_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    for apply in (apply_merge_patch, lambda live, patch: apply_strategic_merge(live, patch, ANY)):
        with pytest.raises(StatusError, match="nested too deeply"):
            apply({}, deep)
    with pytest.raises(StatusError, match="nested too deeply"):
        apply_json_patch(deep, [{"op": "test", "path": "", "value": copy_of(deep)}])


def copy_of(value: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    while "a" in value:
        value, result = value["a"], {"a": result}
    return result


def test_without_a_schema_it_is_a_merge_patch() -> None:
    assert apply_strategic_merge({"a": {"b": 1}, "l": [1]}, {"a": {"c": 2}, "l": [2]}, ANY) == {
        "a": {"b": 1, "c": 2},
        "l": [2],
    }


names = st.sampled_from("abcd")
items = st.lists(
    st.fixed_dictionaries({"name": names}, optional={"image": names}),
    max_size=4,
    unique_by=lambda c: c["name"],
)
changes = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": names,
            "image": names | st.none(),
            "$patch": st.sampled_from(["delete", "replace"]),
        },
    ),
    max_size=4,
)
orders = st.lists(st.fixed_dictionaries({"name": names}), max_size=4)
patches = st.fixed_dictionaries(
    {}, optional={"containers": changes, "$setElementOrder/containers": orders, "nodeName": names | st.none()}
)


@given(items, patches)
def test_any_patch_applies_or_is_refused_and_changes_no_input(live: list[Any], patch: dict[str, Any]) -> None:
    obj = {"containers": live}
    before = copy.deepcopy((obj, patch))
    try:
        result = apply_strategic_merge(obj, patch, SPEC)
    except StatusError as refused:
        assert refused.code in (400, 422)
    else:
        found = [item["name"] for item in result.get("containers") or []]
        deleted = {c.get("name") for c in patch.get("containers", []) if c.get("$patch") == "delete"}
        added = {c.get("name") for c in patch.get("containers", []) if "$patch" not in c}
        assert not (deleted - added) & set(found)
        assert added <= set(found)
    assert (obj, patch) == before
