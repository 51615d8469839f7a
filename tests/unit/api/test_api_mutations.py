"""MutatingAdmissionPolicy: what policies make of an object, and what is said when they can't."""

from __future__ import annotations

from typing import Any

import pytest
from planes import Plane, config_map, deployment, pod

from runtime.objects.errors import StatusError

GROUP = "admissionregistration.k8s.io/v1"
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
MAPS = {**PODS, "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}
SIDECAR = """
Object{
  metadata: Object.metadata{labels: {"mesh": "in"}},
  spec: Object.spec{
    initContainers: [Object.spec.initContainers{
      name: "proxy", image: "proxy:" + params.data.version, restartPolicy: "Always"
    }]
  }
}
"""


def apply(text: str) -> dict:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}}


def patch(text: str) -> dict:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": text}}


def policy(name: str, *mutations: dict, rule: dict = MAPS, **spec: Any) -> dict:
    return {
        "apiVersion": GROUP,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "mutations": list(mutations),
            "reinvocationPolicy": "Never",
            **spec,
        },
    }


async def bind(plane: Plane, made: dict, **spec: Any) -> None:
    await plane.client.create(made)
    name = made["metadata"]["name"]
    binding = {
        "apiVersion": GROUP,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": f"{name}-b"},
    }
    await plane.client.create({**binding, "spec": {"policyName": name, **spec}})


async def refused(plane: Plane, obj: dict) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(obj, "default")
    return caught.value


async def test_an_apply_configuration_is_laid_over_the_object(plane) -> None:
    await plane.client.create(config_map("settings", version="7"), "default")
    made = policy("sidecar", apply(SIDECAR), rule=PODS, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    await bind(plane, made, paramRef={"name": "settings", "parameterNotFoundAction": "Deny"})
    given = pod("p", labels={"app": "x"}, initContainers=[{"name": "first", "image": "busybox"}])
    made = await plane.client.create(given, "default")
    assert made["metadata"]["labels"] == {"app": "x", "mesh": "in"} and made["metadata"]["uid"]
    first, proxy = made["spec"]["initContainers"]
    assert first["name"] == "first" and proxy["image"] == "proxy:7"
    assert (
        proxy["imagePullPolicy"] == "IfNotPresent" and proxy["volumeMounts"]
    )  # defaulted, and seen by plugins
    assert "f:mesh" not in str(made["metadata"]["managedFields"])
    made = await plane.client.create(pod(), "default")
    assert made["metadata"]["name"].startswith("web-") and made["metadata"]["labels"] == {"mesh": "in"}


async def test_a_json_patch_is_applied(plane) -> None:
    text = """[
      JSONPatch{op: "test", path: "/data/kind", value: "plain"},
      JSONPatch{op: "replace", path: "/data/kind", value: "fancy"},
      JSONPatch{op: "add", path: "/data/a.b", value: string(size(variables.keys))},
      JSONPatch{op: "add", path: "/metadata/labels", value: {}},
      JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("x/y"), value: "z"},
      JSONPatch{op: "copy", from: "/data/kind", path: "/data/copy"}
    ]"""
    variables = [{"name": "keys", "expression": "object.data.map(key, key)"}]
    await bind(plane, policy("patch", patch(text), variables=variables))
    made = await plane.client.create(config_map("c", kind="plain"), "default")
    assert made["data"] == {"kind": "fancy", "copy": "fancy", "a.b": "1"}
    assert made["metadata"]["labels"] == {"x/y": "z"}
    made = await plane.client.create(config_map("other", kind="odd"), "default")
    assert made["data"] == {"kind": "odd"}  # the test does not hold
    changed = await plane.client.update({**made, "data": {"kind": "plain"}})
    assert changed["data"]["kind"] == "fancy"


async def test_policies_are_asked_in_order_and_again_when_they_want(plane) -> None:
    def trail(letter: str) -> dict:
        text = f'Object{{data: {{"trail": (has(object.data.trail) ? object.data.trail : "") + "{letter}"}}}}'
        return apply(text)

    await bind(plane, policy("a", trail("a"), reinvocationPolicy="IfNeeded"))
    await bind(plane, policy("b", trail("b"), trail("B")))
    made = await plane.client.create(config_map("c", x="0"), "default")
    assert made["data"] == {"x": "0", "trail": "abBa"}


async def test_conditions_and_selectors_say_whom_a_policy_is_about(plane) -> None:
    conditions = [{"name": "wanted", "expression": "object.metadata.name.startsWith('x')"}]
    marked = apply('Object{data: {"mark": request.operation}}')
    await bind(plane, policy("p", marked, matchConditions=conditions))
    assert "mark" not in (await plane.client.create(config_map("c", n="0"), "default"))["data"]
    assert (await plane.client.create(config_map("x", n="0"), "default"))["data"]["mark"] == "CREATE"


FAILURES = [
    (
        apply("Object{data: {'k': object.none}}"),
        "expression 'Object{data: {'k': object.none}}' resulted in error:",
    ),
    (
        apply("Object{none: 1}"),
        "error applying patch: failed to convert patch object to typed object: .none: field",
    ),
    (
        apply("Object{data: Object.wrong{a: 'b'}}"),
        'type mismatch: unexpected type name "Object.wrong", expected',
    ),
    (patch("[JSONPatch{op: 'remove', path: '/data/none'}]"), "JSON Patch: "),
]


@pytest.mark.parametrize(("mutation", "sentence"), FAILURES)
async def test_a_failure_refuses_unless_it_is_to_be_ignored(plane, mutation, sentence) -> None:
    await bind(plane, policy("p", mutation))
    error = await refused(plane, config_map("c", n="0"))
    assert error.message.startswith(f"policy 'p' with binding 'p-b' denied request: {sentence}")
    assert (error.code, error.reason) == (403, "Invalid")
    assert error.details["causes"] == [{"message": error.message}]
    stored = await plane.client.get("mutatingadmissionpolicies.admissionregistration.k8s.io", "p")
    await plane.client.update({**stored, "spec": {**stored["spec"], "failurePolicy": "Ignore"}})
    assert (await plane.client.create(config_map("c", n="0"), "default"))["data"] == {"n": "0"}


async def test_what_is_atomic_is_not_changed_in_part(plane) -> None:
    text = 'Object{spec: Object.spec{nodeSelector: {"a": "b"}}}'
    await bind(plane, policy("p", apply(text), rule=PODS))
    error = await refused(plane, pod("p"))
    assert error.message.endswith(
        "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
        ".spec.nodeSelector"
    )


async def test_scale_is_changed_by_its_own_kind(plane) -> None:
    rule = {**PODS, "apiGroups": ["apps"], "resources": ["deployments/scale"], "operations": ["UPDATE"]}
    await bind(plane, policy("p", apply("Object{spec: Object.spec{replicas: 2}}"), rule=rule))
    await plane.client.create(deployment("d", replicas=1), "default")
    scale = await plane.client.patch(
        "deployments.apps", "d", "default", {"spec": {"replicas": 9}}, subresource="scale"
    )
    assert scale["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"mutations": []}, "spec.mutations: Required value: mutations must contain at least one item"),
        ({"mutations": [{}]}, "spec.mutations[0].patchType: Required value"),
        ({"mutations": [{"patchType": "X"}]}, 'spec.mutations[0].patchType: Unsupported value: "X": '),
        (
            {"mutations": [apply("Object{")]},
            "spec.mutations[0].applyConfiguration.expression: Invalid value: ",
        ),
        ({"mutations": [patch("1 == 1")]}, '"1 == 1": must evaluate to list(JSONPatch)'),
        ({"reinvocationPolicy": ""}, "spec.reinvocationPolicy: Required value"),
        ({"matchConditions": [{"expression": "true"}]}, "spec.matchConditions[0].name: Required value"),
    ],
)
async def test_what_a_policy_says_is_checked(plane, spec, sentence) -> None:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(
            policy("p", apply("Object{}"), **{"mutations": [apply("Object{}")], **spec})
        )
    assert caught.value.code == 422 and sentence in caught.value.message
