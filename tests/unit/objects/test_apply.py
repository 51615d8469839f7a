from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects.apply import (
    apply_patch,
    is_noop,
    set_managed_fields,
    track_update,
    validate_managed_fields,
)
from runtime.objects.apply.last_applied import ANNOTATION
from runtime.objects.apply.nodes import root_of
from runtime.objects.apply.sets import difference, has, recursive_difference
from runtime.objects.apply.tracking import STRIPPED, excluded_for
from runtime.objects.apply.walk import compare
from runtime.objects.errors import StatusError
from runtime.objects.schema import ANY, type_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
DEPLOYMENT = type_of("io.k8s.api.apps.v1.Deployment")
POD = type_of("io.k8s.api.core.v1.Pod")
CONFIG_MAP = type_of("io.k8s.api.core.v1.ConfigMap")
SERVICE = type_of("io.k8s.api.core.v1.Service")

Obj = dict[str, Any]


def deployment(containers: list[Obj] | None = None, **spec: Any) -> Obj:
    template = {"spec": {"containers": containers}} if containers is not None else {}
    body: Obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    if template:
        body["spec"] = {**spec, "template": template}
    return body


def apply(live: Obj | None, config: Obj, manager: str = "kubectl", **options: Any) -> Obj:
    before = copy.deepcopy((live, config))
    result = apply_patch(
        live,
        config,
        options.pop("type_info", DEPLOYMENT),
        manager,
        now=options.pop("now", NOW),
        api_version=config["apiVersion"],
        **options,
    )
    assert (live, config) == before
    orjson.dumps(result)
    return result


def update(old: Obj | None, new: Obj, manager: str = "edit", **options: Any) -> Obj:
    before = copy.deepcopy((old, new))
    entries = track_update(
        old,
        new,
        options.pop("type_info", DEPLOYMENT),
        manager,
        now=options.pop("now", NOW),
        api_version=new["apiVersion"],
        **options,
    )
    assert (old, new) == before
    result = copy.deepcopy(new)
    set_managed_fields(result, entries)
    return result


def owned(obj: Obj, manager: str, operation: str = "", subresource: str = "") -> Obj:
    found = [
        entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
        if entry["manager"] == manager
        and operation in ("", entry["operation"])
        and entry.get("subresource", "") == subresource
    ]
    assert len(found) <= 1
    return found[0] if found else {}


def managers(obj: Obj) -> list[str]:
    return [entry["manager"] for entry in obj["metadata"].get("managedFields", [])]


REPLICAS = ("f:spec", "f:replicas")
NGINX = {"name": "nginx", "image": "nginx:1"}


# --- tracking ------------------------------------------------------------------------------------------------------


def test_a_create_owns_what_it_set_and_not_the_empty_structs_around_it() -> None:
    made = update(
        None,
        {
            **deployment(
                [{**NGINX, "resources": {}, "ports": [{"containerPort": 80}]}], replicas=1, strategy={}
            ),
            "metadata": {
                "name": "web",
                "namespace": "d",
                "uid": "u",
                "labels": {"a": "b"},
                "generateName": "w",
            },
            "status": {"replicas": 1},
        },
        "kubectl-create",
    )
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "kubectl-create",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:a": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"nginx"}': {
                                    ".": {},
                                    "f:image": {},
                                    "f:name": {},
                                    "f:ports": {
                                        ".": {},
                                        'k:{"containerPort":80,"protocol":"TCP"}': {
                                            ".": {},
                                            "f:containerPort": {},
                                        },
                                    },
                                    "f:resources": {},
                                }
                            }
                        }
                    },
                },
            },
        }
    ]
    assert list(made["metadata"]["managedFields"][0]["fieldsV1"]) == ["f:metadata", "f:spec"]


def test_an_update_takes_what_it_changes() -> None:
    first = update(None, deployment([NGINX], replicas=1), "a")
    second = copy.deepcopy(first)
    second["spec"]["replicas"] = 2
    second["spec"]["paused"] = True
    second = update(first, second, "b", now=LATER)
    assert not has(owned(second, "a"), REPLICAS)
    assert owned(second, "b") == {"f:spec": {"f:paused": {}, "f:replicas": {}}}
    times = {entry["manager"]: entry["time"] for entry in second["metadata"]["managedFields"]}
    assert times == {"a": "2026-01-01T00:00:00Z", "b": "2026-01-01T00:01:00Z"}


def test_what_is_removed_is_nobodys() -> None:
    first = update(None, deployment([NGINX, {"name": "b", "image": "b"}], replicas=1), "a")
    second = copy.deepcopy(first)
    del second["spec"]["replicas"]
    del second["spec"]["template"]["spec"]["containers"][1]
    second = update(first, second, "b", now=LATER)
    assert managers(second) == ["a"]
    assert owned(second, "a")["f:spec"] == {
        "f:template": {
            "f:spec": {"f:containers": {'k:{"name":"nginx"}': {".": {}, "f:image": {}, "f:name": {}}}}
        }
    }


def test_the_same_manager_keeps_one_entry_per_subresource() -> None:
    first = update(None, {**deployment(replicas=1), "status": {}}, "m")
    second = update(first, {**first, "status": {"replicas": 1}}, "m", subresource="status", now=LATER)
    assert owned(second, "m", subresource="status") == {"f:status": {"f:replicas": {}}}
    assert owned(second, "m") == {"f:spec": {"f:replicas": {}}}
    third = update(second, {**second, "spec": {"replicas": 2, "paused": True}}, "m", now=LATER)
    assert owned(third, "m") == {"f:spec": {"f:paused": {}, "f:replicas": {}}}
    assert len(third["metadata"]["managedFields"]) == 2


def test_what_a_request_cannot_set_it_does_not_own() -> None:
    first = update(None, {**deployment(replicas=1), "status": {"replicas": 1}}, "m")
    assert owned(first, "m") == {"f:spec": {"f:replicas": {}}}
    changed = {**first, "spec": {"replicas": 5}, "status": {"replicas": 3}}
    status = update(first, changed, "s", subresource="status")
    assert owned(status, "s", subresource="status") == {"f:status": {"f:replicas": {}}}
    assert has(owned(status, "m"), REPLICAS)
    everything = update(None, {**deployment(replicas=1), "status": {"replicas": 1}}, "m", reset=())
    assert "f:status" in owned(everything, "m")


def test_an_update_that_changes_nothing_keeps_the_entries_as_they_are() -> None:
    first = update(None, deployment([NGINX], replicas=1), "a")
    entries = track_update(first, copy.deepcopy(first), DEPLOYMENT, "b", now=LATER, api_version="apps/v1")
    assert entries == first["metadata"]["managedFields"]
    assert entries[0] is first["metadata"]["managedFields"][0]


def test_reordering_a_list_with_keys_is_no_change_of_fields() -> None:
    first = update(None, deployment([NGINX, {"name": "b", "image": "b"}]), "a")
    second = copy.deepcopy(first)
    second["spec"]["template"]["spec"]["containers"].reverse()
    assert managers(update(first, second, "b")) == ["a"]


def test_atomic_lists_and_structs_change_hands_as_a_whole() -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    first = update(
        None,
        {
            **body,
            "spec": {"containers": [{"name": "a", "args": ["x"]}], "tolerations": [{"key": "k"}]},
        },
        "a",
        type_info=POD,
    )
    item = owned(first, "a")["f:spec"]["f:containers"]['k:{"name":"a"}']
    assert item["f:args"] == {}
    assert owned(first, "a")["f:spec"]["f:tolerations"] == {}
    second = copy.deepcopy(first)
    second["spec"]["containers"][0]["args"].append("y")
    second["metadata"]["ownerReferences"] = [{"uid": "u", "name": "n", "kind": "K", "apiVersion": "v1"}]
    second = update(first, second, "b", type_info=POD)
    assert owned(second, "b") == {
        "f:metadata": {"f:ownerReferences": {".": {}, 'k:{"uid":"u"}': {}}},
        "f:spec": {"f:containers": {'k:{"name":"a"}': {"f:args": {}}}},
    }


def test_sets_of_values_are_owned_by_the_value() -> None:
    first = update(None, {**deployment(), "metadata": {"name": "x", "finalizers": ["a/b"]}}, "a")
    second = copy.deepcopy(first)
    second["metadata"]["finalizers"] = ["c/d", "a/b"]
    second = update(first, second, "b")
    assert owned(second, "b") == {"f:metadata": {"f:finalizers": {'v:"c/d"': {}}}}
    assert owned(second, "a") == {"f:metadata": {"f:finalizers": {".": {}, 'v:"a/b"': {}}}}


def test_duplicate_items_are_owned_as_one() -> None:
    twice = deployment([{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "X", "value": "2"}]}])
    first = update(None, twice, "a")
    env = owned(first, "a")["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"a"}']["f:env"]
    assert env == {".": {}, 'k:{"name":"X"}': {}}
    second = copy.deepcopy(first)
    second["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "3"
    assert managers(update(first, second, "b", now=LATER)) == ["b", "a"] or "b" in managers(
        update(first, second, "b")
    )


def test_more_than_ten_updaters_become_ancient_changes() -> None:
    obj = update(None, deployment(), "create")
    obj["metadata"]["managedFields"] = []
    obj = update(None, deployment(paused=True), "m00")
    for index in range(1, 14):
        new = copy.deepcopy(obj)
        new["metadata"].setdefault("labels", {})[f"l{index:02}"] = "x"
        obj = update(obj, new, f"m{index:02}", now=NOW + timedelta(seconds=index))
    assert len(managers(obj)) == 10
    assert managers(obj)[0] == "ancient-changes"
    assert managers(obj)[-1] == "m13"
    ancient = owned(obj, "ancient-changes")
    assert has(ancient, ("f:spec", "f:paused"))
    assert has(ancient, ("f:metadata", "f:labels", "f:l04"))
    assert not has(ancient, ("f:metadata", "f:labels", "f:l05"))


def test_clients_may_edit_managed_fields() -> None:
    first = update(None, deployment(replicas=1), "a")
    reset = copy.deepcopy(first)
    reset["metadata"]["managedFields"] = []
    assert track_update(first, reset, DEPLOYMENT, "b", now=NOW, api_version="apps/v1") == []
    reset["metadata"]["managedFields"] = [{}]
    assert track_update(first, reset, DEPLOYMENT, "b", now=NOW, api_version="apps/v1") == []
    absent = copy.deepcopy(first)
    del absent["metadata"]["managedFields"]
    assert managers(update(first, absent, "b")) == ["a"]
    broken = copy.deepcopy(first)
    broken["metadata"]["managedFields"][0]["fieldsV1"] = {"nonsense": 1}
    assert managers(update(first, broken, "b")) == ["a"]
    given_away = copy.deepcopy(first)
    given_away["metadata"]["managedFields"][0]["manager"] = "c"
    assert managers(update(first, given_away, "b")) == ["c"]
    assert managers(update(first, given_away, "b", subresource="status")) == ["a"]


def test_an_object_whose_fields_were_reset_is_not_tracked_until_applied() -> None:
    bare = deployment(replicas=1)
    assert "managedFields" not in update(bare, deployment(replicas=2), "b")["metadata"]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ("x", "must be a list"),
        ([1], "must be an object"),
        ([{"operation": "Eat"}], "operation must be `Apply` or `Update`"),
        ([{"operation": "Apply"}], "apiVersion must not be empty"),
        ([{"operation": "Apply", "apiVersion": "v1"}], "missing fieldsType"),
        ([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "F"}], "invalid fieldsType"),
        (
            [{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"x": 1}}],
            "object",
        ),
        ([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:x": {}}}], ""),
    ],
)
def test_managed_fields_are_judged(entries: Any, words: str) -> None:
    found = validate_managed_fields(entries)
    assert bool(found) == bool(words)
    assert words in found


# --- applying ------------------------------------------------------------------------------------------------------


def test_applying_what_is_not_there_creates_it() -> None:
    result = apply(None, deployment([NGINX], replicas=1))
    assert result["spec"]["replicas"] == 1
    assert result["metadata"]["managedFields"] == [
        {
            "manager": "kubectl",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {
                        "f:spec": {
                            "f:containers": {'k:{"name":"nginx"}': {".": {}, "f:image": {}, "f:name": {}}}
                        }
                    },
                }
            },
        }
    ]


def test_what_is_applied_no_more_is_removed() -> None:
    first = apply(None, deployment([NGINX, {"name": "b", "image": "b"}], replicas=1, paused=True))
    second = apply(first, deployment([{"name": "nginx", "image": "nginx:2"}], replicas=1))
    assert second["spec"] == {
        "replicas": 1,
        "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx:2"}]}},
    }


def test_what_others_own_stays() -> None:
    first = apply(None, deployment([NGINX], replicas=1, paused=True))
    other = copy.deepcopy(first)
    other["metadata"]["labels"] = {"x": "y"}
    other["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "s"})
    other = update(first, other, "controller")
    both = apply(other, deployment(paused=True), "second")
    last = apply(both, deployment([NGINX], replicas=2))
    assert last["spec"]["paused"] is True
    assert last["metadata"]["labels"] == {"x": "y"}
    assert [c["name"] for c in last["spec"]["template"]["spec"]["containers"]] == ["nginx", "side"]
    assert last["spec"]["replicas"] == 2
    assert owned(last, "second", "Apply") == {"f:spec": {"f:paused": {}}}


def test_a_field_dropped_by_one_applier_stays_for_the_other_and_goes_with_the_last() -> None:
    one = apply(None, deployment(replicas=3), "one")
    two = apply(one, deployment(replicas=3), "two")
    assert managers(two) == ["one", "two"]
    without_one = apply(two, deployment(paused=True), "one")
    assert without_one["spec"]["replicas"] == 3
    without_two = apply(without_one, deployment(), "two")
    assert without_two["spec"] == {"paused": True}
    assert owned(without_two, "two") == {"f:spec": {}}


def test_conflicts_name_manager_and_field() -> None:
    live = update(None, deployment([NGINX], replicas=1), "kubectl-client-side-apply")
    with pytest.raises(StatusError) as refused:
        apply(live, deployment(replicas=2))
    status = refused.value.status
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas'
    )
    assert status["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-client-side-apply" using apps/v1',
            "field": ".spec.replicas",
        }
    ]


def test_many_conflicts_are_sorted_by_manager() -> None:
    live = update(None, deployment([NGINX], replicas=1), "zed")
    live = update(live, {**live, "status": {"replicas": 1}}, "status-writer", subresource="status")
    live = apply(live, deployment(paused=True), "alpha")
    config = {
        **deployment([{"name": "nginx", "image": "other"}], replicas=2, paused=False),
        "status": {"replicas": 2},
    }
    with pytest.raises(StatusError) as refused:
        apply(live, config, "beta", reset=())
    assert refused.value.message == (
        "Apply failed with 4 conflicts: "
        'conflicts with "alpha":\n'
        "- .spec.paused\n"
        'conflicts with "status-writer" with subresource "status" using apps/v1:\n'
        "- .status.replicas\n"
        'conflicts with "zed" using apps/v1:\n'
        "- .spec.replicas\n"
        '- .spec.template.spec.containers[name="nginx"].image'
    )
    assert len(refused.value.details["causes"]) == 4


def test_force_takes_over() -> None:
    live = update(None, deployment([NGINX], replicas=1), "edit")
    result = apply(live, deployment(replicas=2), force=True)
    assert result["spec"]["replicas"] == 2
    assert has(owned(result, "kubectl"), REPLICAS)
    assert not has(owned(result, "edit"), REPLICAS)
    assert has(
        owned(result, "edit"), ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"nginx"}')
    )


def test_the_same_value_is_shared_without_conflict() -> None:
    live = update(None, deployment(replicas=1), "edit")
    result = apply(live, deployment(replicas=1))
    assert has(owned(result, "edit"), REPLICAS)
    assert has(owned(result, "kubectl"), REPLICAS)


def test_applying_the_same_again_changes_nothing() -> None:
    config = deployment([NGINX], replicas=1)
    first = apply(None, config)
    again = apply(first, config, now=LATER)
    assert again == first
    assert is_noop(first, again)
    other = apply(first, config, "second", now=LATER)
    assert not is_noop(first, other)
    assert other["metadata"]["managedFields"][1]["time"] == "2026-01-01T00:01:00Z"


def test_what_was_made_without_managers_is_credited_to_before_first_apply() -> None:
    live = deployment([NGINX], replicas=1)
    with pytest.raises(StatusError, match='conflict with "before-first-apply" using apps/v1'):
        apply(live, deployment(replicas=2))
    result = apply(live, deployment(replicas=1))
    assert managers(result) == ["kubectl", "before-first-apply"]


def test_list_items_keep_the_order_of_the_configuration() -> None:
    def order(live: list[str], config: list[str]) -> list[str]:
        first = update(None, deployment([{"name": name, "image": "i"} for name in live]), "edit")
        result = apply(first, deployment([{"name": name, "image": "i"} for name in config]))
        return [item["name"] for item in result["spec"]["template"]["spec"]["containers"]]

    assert order(["a", "b", "c"], ["c", "a"]) == ["b", "c", "a"]
    assert order(["a", "b"], ["c"]) == ["a", "b", "c"]
    assert order(["a", "b", "c"], ["a", "x", "c"]) == ["a", "b", "x", "c"]
    assert order(["a", "b", "c", "d"], ["d", "b"]) == ["a", "c", "d", "b"]


def test_keys_left_out_stand_for_their_defaults() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    live = update(
        None, {**service, "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}, "a", type_info=SERVICE
    )
    config = {**service, "spec": {"ports": [{"port": 53, "name": "tcp"}, {"port": 53, "protocol": "UDP"}]}}
    result = apply(live, config, type_info=SERVICE)
    assert [port.get("protocol") for port in result["spec"]["ports"]] == [None, "UDP"]
    assert 'k:{"port":53,"protocol":"TCP"}' in owned(result, "kubectl")["f:spec"]["f:ports"]


def test_data_of_maps_is_owned_key_by_key() -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    live = update(None, {**config_map, "data": {"a": "1", "b": "2"}}, "edit", type_info=CONFIG_MAP)
    result = apply(live, {**config_map, "data": {"c": "3"}}, type_info=CONFIG_MAP)
    assert result["data"] == {"a": "1", "b": "2", "c": "3"}
    assert owned(result, "kubectl") == {"f:data": {"f:c": {}}}
    result = apply(result, {**config_map, "data": {"d": "4"}}, type_info=CONFIG_MAP)
    assert result["data"] == {"a": "1", "b": "2", "d": "4"}


def test_null_is_owned_and_means_the_default() -> None:
    live = apply(None, deployment(replicas=3))
    result = apply(live, deployment(replicas=None))
    assert "replicas" not in result["spec"]
    assert has(owned(result, "kubectl"), REPLICAS)
    with pytest.raises(StatusError, match="Apply failed with 1 conflict"):
        apply(live, deployment(replicas=None), "other")
    assert apply(None, deployment(replicas=None, selector=None))["spec"] == {}


def test_what_is_emptied_but_still_applied_stays() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}

    def volume(**source: Any) -> Obj:
        return {**pod, "spec": {"volumes": [{"name": "v", "emptyDir": source}]}}

    first = apply(None, volume(sizeLimit="1Gi"), type_info=POD)
    assert apply(first, volume(), type_info=POD)["spec"] == {"volumes": [{"name": "v", "emptyDir": {}}]}


def test_status_applied_through_its_subresource() -> None:
    live = update(None, {**deployment(replicas=1), "status": {}}, "a")
    config = {**deployment(replicas=9), "status": {"replicas": 1}}
    result = apply(live, config, "c", subresource="status", force=True)
    assert owned(result, "c", subresource="status") == {"f:status": {"f:replicas": {}}}
    assert has(owned(result, "a"), REPLICAS)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (deployment(bogus=1), ".spec.bogus: field not declared in schema"),
        (deployment(replicas="three"), ".spec.replicas: expected numeric (int or float), got string"),
        (deployment(paused="no"), '.spec.paused: expected boolean, got "no"'),
        (
            deployment([NGINX, NGINX]),
            '.spec.template.spec.containers: duplicate entries for key [name="nginx"]',
        ),
        (
            deployment([{"image": "x"}]),
            ".spec.template.spec.containers: element 0: associative list with keys has an element that omits all key "
            'fields ["name"] (and doesn\'t have default values for any key fields)',
        ),
        (
            deployment([{"name": "a", "image": 3}]),
            '.spec.template.spec.containers[name="a"].image: expected string, got 3',
        ),
        (deployment([{"name": "a", "args": "x"}]), '[name="a"].args: expected list, got "x"'),
        (deployment(["x"]), "may not have non-map elements"),
        (deployment(selector=3), ".spec.selector: expected map, got 3"),
        ({**deployment(), "metadata": {"name": "x", "finalizers": [{}]}}, "has an element that's a map type"),
        (
            {**deployment(), "metadata": {"name": "x", "managedFields": []}},
            "metadata.managedFields must be nil",
        ),
    ],
)
def test_configurations_of_another_shape_are_refused(config: Obj, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        apply(None, config)
    assert refused.value.code == 400
    assert words in refused.value.message


def test_another_kind_or_version_is_refused() -> None:
    for change in ({"apiVersion": "apps/v2"}, {"kind": "Pod"}):
        with pytest.raises(StatusError, match="invalid object type"):
            apply_patch(
                None,
                {**deployment(), **change},
                DEPLOYMENT,
                "m",
                now=NOW,
                api_version="apps/v1",
                kind="Deployment",
            )


def client_side(config: Obj, **changes: Any) -> Obj:
    annotated = copy.deepcopy(config)
    annotated["metadata"]["annotations"] = {ANNOTATION: orjson.dumps(config).decode() + "\n"}
    live = update(None, annotated, "kubectl-client-side-apply")
    live["spec"].update(changes)
    return live


def test_kubectl_takes_over_what_it_applied_from_the_client() -> None:
    live = client_side(deployment([NGINX], replicas=1))
    result = apply(live, deployment([NGINX], replicas=2))
    assert result["spec"]["replicas"] == 2
    kept = orjson.loads(result["metadata"]["annotations"][ANNOTATION])
    assert kept == deployment([NGINX], replicas=2)
    with pytest.raises(StatusError, match="kubectl-client-side-apply"):
        apply(live, deployment(replicas=2), "somebody-else")


def test_kubectl_does_not_take_over_what_was_changed_since() -> None:
    live = client_side(deployment(replicas=1, paused=True))
    changed = copy.deepcopy(live)
    changed["spec"]["replicas"] = 5
    changed = update(live, changed, "autoscaler")
    with pytest.raises(StatusError) as refused:
        apply(changed, deployment(replicas=2, paused=False))
    assert [cause["field"] for cause in refused.value.details["causes"]] == [".spec.replicas"]


def test_objects_without_a_schema_are_granular_maps_and_atomic_lists() -> None:
    custom = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "t", "labels": {"a": "b"}}}
    first = apply(None, {**custom, "spec": {"a": {"b": 1}, "list": [1, 2]}}, "one", type_info=ANY)
    assert owned(first, "one") == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {".": {}, "f:a": {".": {}, "f:b": {}}, "f:list": {}},
    }
    second = apply(first, {**custom, "spec": {"a": {"c": 2}}}, "two", type_info=ANY)
    assert second["spec"] == {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    third = apply(second, {**custom, "spec": {}}, "one", type_info=ANY)
    assert third["spec"] == {"a": {"c": 2}}
    with pytest.raises(StatusError, match=r"conflict with \"two\": .spec.a.c"):
        apply(third, {**custom, "spec": {"a": {"c": 3}}}, "one", type_info=ANY)


def test_is_noop() -> None:
    old = update(None, deployment(replicas=1), "a")
    new = copy.deepcopy(old)
    new["metadata"]["resourceVersion"] = "7"
    new["metadata"]["managedFields"][0]["time"] = "2027-01-01T00:00:00Z"
    assert is_noop(old, new)
    assert not is_noop(old, {**new, "spec": {"replicas": 2}})
    assert not is_noop(old, {**new, "extra": 1})
    assert not is_noop(old, {**new, "metadata": {**new["metadata"], "labels": {}}})
    new["metadata"]["managedFields"][0]["manager"] = "b"
    assert not is_noop(old, new)


# --- any sequence of writes ----------------------------------------------------------------------------------------

names = st.sampled_from("ab")
configs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 3),
        "paused": st.booleans(),
        "containers": st.lists(
            st.fixed_dictionaries(
                {"name": names},
                optional={
                    "image": names,
                    "env": st.lists(st.fixed_dictionaries({"name": names}), min_size=1, max_size=1),
                },
            ),
            min_size=1,  # the decoder drops empty lists, which nobody can own
            max_size=2,
            unique_by=lambda item: item["name"],
        ),
    },
)
writes = st.lists(
    st.tuples(st.sampled_from(["apply", "force", "update"]), st.sampled_from("xyz"), configs), max_size=7
)


def existing(fields: Obj, value: Any, path: tuple[str, ...] = ()) -> None:
    """Whatever is owned as an item or leaf is there."""
    for element, below in fields.items():
        if element == ".":
            continue
        if element.startswith("f:"):
            assert isinstance(value, dict), (path, element)
            if element[2:] not in value:
                raise AssertionError((*path, element))
            existing(below, value[element[2:]], (*path, element))
        else:
            key = orjson.loads(element[2:])
            found = [item for item in value if all(item.get(k) == v for k, v in key.items())]
            assert found, (path, element)
            existing(below, found[0], (*path, element))


def contains(value: Any, config: Any) -> None:
    if isinstance(config, dict):
        for key, item in config.items():
            contains(value[key], item)
    elif isinstance(config, list) and config and isinstance(config[0], dict):
        for item in config:
            contains(next(one for one in value if one["name"] == item["name"]), item)
    else:
        assert value == config


@given(writes)
def test_any_writes_keep_object_and_owners_in_step(steps: list[tuple[str, str, Obj]]) -> None:
    live: Obj | None = None
    for index, (verb, manager, spec) in enumerate(steps):
        config = deployment(**spec)
        now = NOW + timedelta(seconds=index)
        if verb == "update":
            new = copy.deepcopy(config)
            if live is not None:
                new["metadata"]["managedFields"] = live["metadata"].get("managedFields", [])
                if not new["metadata"]["managedFields"]:
                    continue
            live = update(live, new, manager, now=now)
        else:
            try:
                live = apply(live, config, manager, force=verb == "force", now=now)
            except StatusError as refused:
                assert verb == "apply"
                assert refused.code == 409
                continue
            contains(live, config)
            assert is_noop(live, apply(live, config, manager, force=True, now=now + timedelta(seconds=1)))
        for entry in live["metadata"].get("managedFields", []):
            assert entry["fieldsV1"]
            existing(entry["fieldsV1"], live)


metadata_of_new_objects = st.fixed_dictionaries(
    {},
    optional={
        "name": names,
        "namespace": names,
        "uid": names,
        "generation": st.just(1),
        "creationTimestamp": st.just("2026-01-01T00:00:00Z"),
        "labels": st.dictionaries(names, names, min_size=1, max_size=2),
        "finalizers": st.lists(names, min_size=1, max_size=2, unique=True),
        "ownerReferences": st.just([{"uid": "u", "name": "n"}]),
    },
)
new_objects = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.just("apps/v1"),
        "kind": st.just("Deployment"),
        "metadata": metadata_of_new_objects,
        "spec": configs,
        "status": st.just({"replicas": 1}),
        "data": st.dictionaries(names, names, min_size=1, max_size=2),
    },
)


@given(new_objects, st.sampled_from([DEPLOYMENT, CONFIG_MAP, ANY]), st.sampled_from([None, ()]))
def test_a_creation_owns_what_comparing_with_nothing_finds(new: Obj, info: Any, reset: Any) -> None:
    entries = track_update(None, new, info, "x", now=NOW, api_version="apps/v1", reset=reset)
    node = root_of(info)
    changed, _ = compare(node.zero, new, node)
    expected = difference(recursive_difference(changed, excluded_for("", reset)), STRIPPED)
    assert [entry["fieldsV1"] for entry in entries] == ([expected] if expected else [])
