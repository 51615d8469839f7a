"""What clients are told, in upstream's words: repeated and unknown fields, selectors, patches, depth."""

from __future__ import annotations

import pytest
from planes import config_map, deployment

from runtime.api.context import ListOptions
from runtime.api.repeated import Repeated
from runtime.objects.depth import DEPTH_LIMIT, too_deep
from runtime.objects.errors import StatusError


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth() -> None:
    assert not too_deep(5) and not too_deep(nested(DEPTH_LIMIT))
    assert too_deep(nested(DEPTH_LIMIT + 1)) and too_deep({"a": [1, {"b": nested(DEPTH_LIMIT)}]})
    assert not too_deep([{}] * 100_000)


async def test_repeated_fields_come_before_unknown_ones(plane) -> None:
    resource = plane.resource("configmaps")
    wrong = {**config_map("a", x="1"), "dta": {}}
    strict = plane.ctx(field_validation="Strict", repeated=Repeated(['duplicate field "data.x"']))
    with pytest.raises(StatusError) as refused:
        await plane.api.create(strict, resource, "default", wrong)
    assert refused.value.code == 400
    assert refused.value.message.endswith(
        'strict decoding error: duplicate field "data.x", unknown field "dta"'
    )
    warn = plane.ctx(repeated=Repeated(['duplicate field "data.x"']))
    await plane.api.create(warn, resource, "default", wrong)
    assert warn.warnings == ['duplicate field "data.x"', 'unknown field "dta"']
    ignore = plane.ctx(field_validation="Ignore", repeated=Repeated(["x"]))
    await plane.api.patch(ignore, resource, "default", "a", {"data": {"y": "2"}}, "merge")
    assert ignore.warnings == []
    strict = plane.ctx(field_validation="Strict", repeated=Repeated(["twice"]))
    with pytest.raises(StatusError, match="strict decoding error: twice") as refused:
        await plane.api.patch(strict, resource, "default", "a", {"data": {"y": "3"}}, "merge")
    assert refused.value.code == 422


async def test_a_strategic_patch_that_does_not_fit_is_shown_itself(plane) -> None:
    await plane.client.create(deployment("d"), "default")
    template = {"spec": {"containers": [{"name": "a", "tty": None}]}}
    patch = {"spec": {"replicas": "x", "paused": True, "template": template}}
    with pytest.raises(StatusError) as refused:
        await plane.client.patch("deployments.apps", "d", "default", patch, type="strategic")
    shown = "map[spec:map[paused:true replicas:x template:map[spec:map[containers:[map[name:a tty:<nil>]]]]]]"
    assert refused.value.message.startswith(f'"" is invalid: patch: Invalid value: "{shown}": ')
    with pytest.raises(StatusError) as refused:
        await plane.client.patch(
            "deployments.apps", "d", "default", {"spec": {"replicas": "x"}}, type="merge"
        )
    assert r'patch: Invalid value: "{\"apiVersion\":' in refused.value.message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metadata": {"labels": "x"}}, "cannot restore map from string"),
        ({"spec": []}, "cannot restore struct from: slice"),
        ({"spec": {"template": {"spec": {"volumes": "x"}}}}, "cannot restore slice from string"),
        ({"spec": {"replicas": "x"}}, "unrecognized type: int32"),
        ({"spec": {"replicas": 1.5}}, "cannot convert float64 to int32"),
        ({"spec": {"paused": "x"}}, "unrecognized type: bool"),
        ({"metadata": {"labels": {"a": 1}}}, "cannot convert int64 to string"),
        ({"metadata": {"labels": {"a": True}}}, "unrecognized type: string"),
    ],
)
async def test_strategic_patches_are_copied_field_by_field(plane, change, why) -> None:
    await plane.client.create(deployment("d"), "default")
    with pytest.raises(StatusError) as refused:
        await plane.client.patch("deployments.apps", "d", "default", change, type="strategic")
    assert refused.value.code == 422 and refused.value.message.endswith(f": {why}")


async def test_other_patches_are_read_again_as_a_whole(plane) -> None:
    await plane.client.create(deployment("d"), "default")
    with pytest.raises(StatusError) as refused:
        await plane.client.patch(
            "deployments.apps", "d", "default", {"spec": {"replicas": "x"}}, type="merge"
        )
    sentence = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    assert refused.value.message.endswith(f'": {sentence}')


async def test_patches_can_not_pile_up_depth(plane) -> None:
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "r"},
        "revision": 1,
        "data": {"a": nested(DEPTH_LIMIT - 2)},
    }
    await plane.client.create(revision, "default")
    resource = plane.resource("controllerrevisions.apps")
    patch = [{"op": "replace", "path": "/data", "value": {"a": [nested(DEPTH_LIMIT - 1)]}}]
    with pytest.raises(StatusError, match="nested deeper than") as refused:
        await plane.api.patch(plane.ctx(owns_body=True), resource, "default", "r", patch, "json")
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("resource", "selector", "words"),
    [
        ("pods", "foo=bar", "field label not supported: foo"),
        (
            "configmaps",
            "foo=bar",
            '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_unknown_field_selectors(plane, resource: str, selector: str, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        await plane.client.list(resource, "default", field_selector=selector)
    assert (refused.value.code, refused.value.message) == (400, words)


async def test_only_watches_have_initial_events(plane) -> None:
    with pytest.raises(StatusError, match="sendInitialEvents is forbidden for list") as refused:
        await plane.api.list(
            plane.ctx(), plane.resource("pods"), "default", ListOptions(send_initial_events=True)
        )
    assert refused.value.code == 422


async def test_versions_of_the_future(plane) -> None:
    with pytest.raises(StatusError) as refused:
        await plane.api.list(
            plane.ctx(), plane.resource("pods"), "default", ListOptions(resource_version="999999")
        )
    assert refused.value.message.startswith("Timeout: Too large resource version: 999999, current: ")
