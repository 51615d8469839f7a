"""ValidatingAdmissionPolicy: whom policies are asked about, what they see, what is said when they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from planes import config_map, deployment, pod

from runtime.objects.errors import StatusError

GROUP = "admissionregistration.k8s.io/v1"
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}


def policy(validations: list[Any], rule: dict | None = None, **spec: Any) -> dict:
    match = {"resourceRules": [{**DEPLOYMENTS, "operations": ["CREATE", "UPDATE"], **(rule or {})}]}
    match.update(spec.pop("match", {}))
    listed = [{"expression": one} if isinstance(one, str) else one for one in validations]
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "guard"},
        "spec": {"matchConstraints": match, "validations": listed, **spec},
    }


def binding(*actions: str, **spec: Any) -> dict:
    return {
        "apiVersion": GROUP,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "bound"},
        "spec": {"policyName": "guard", "validationActions": list(actions or ("Deny",)), **spec},
    }


def core(*resources: str) -> dict:
    return {"apiGroups": [""], "resources": list(resources)}


async def guarded(plane, *objects: dict) -> None:
    for obj in objects:
        await plane.client.create(obj)


async def refused(plane, obj: dict, namespace: str = "default") -> str:
    with pytest.raises(StatusError) as caught:
        await plane.client.create(obj, namespace)
    return caught.value.message


async def test_a_policy_denies(plane) -> None:
    validation = {
        "expression": "object.spec.replicas <= 3",
        "messageExpression": "'at most 3, not ' + string(object.spec.replicas)",
    }
    await guarded(plane, policy([validation]))
    await plane.client.create(deployment("early", replicas=5), "default")  # nothing binds it yet
    await guarded(plane, binding())
    await plane.client.create(deployment("small", replicas=3), "default")
    with pytest.raises(StatusError) as caught:
        await plane.client.create(deployment("big", replicas=4), "default")
    error = caught.value
    sentence = "ValidatingAdmissionPolicy 'guard' with binding 'bound' denied request: at most 3, not 4"
    assert error.message == f'deployments.apps "big" is forbidden: {sentence}'
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.details["causes"] == [{"message": sentence}]
    # the status is another resource, and the next level up another kind
    made = await plane.client.get("deployments.apps", "early", "default")
    await plane.client.update_status({**made, "status": {"replicas": 5}})
    await plane.client.delete("deployments.apps", "early", "default")


async def test_reasons_have_their_codes_and_messages_their_order(plane) -> None:
    validation = {"expression": "false", "reason": "Forbidden", "message": "no"}
    await guarded(plane, policy([{**validation, "messageExpression": "object.none"}]), binding())
    with pytest.raises(StatusError) as caught:
        await plane.client.create(deployment("d"), "default")
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    assert caught.value.message.endswith("denied request: no")


async def test_a_policy_warns(plane) -> None:
    await guarded(plane, policy(["object.spec.replicas > 5"]), binding("Warn", "Audit"))
    ctx = plane.ctx()
    resource = plane.resource("deployments.apps")
    await plane.api.create(ctx, resource, "default", deployment("d", replicas=1))
    assert ctx.warnings == [
        "Validation failed for ValidatingAdmissionPolicy 'guard' with binding 'bound': "
        "failed expression: object.spec.replicas > 5"
    ]
    (noted,) = json.loads(ctx.annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert (noted["policy"], noted["binding"], noted["expressionIndex"]) == ("guard", "bound", 0)


async def test_a_failing_policy_refuses_unless_it_is_to_be_ignored(plane) -> None:
    await guarded(plane, policy(["object.spec.none == 1"]), binding())
    message = await refused(plane, deployment("d"))
    assert message.endswith("expression 'object.spec.none == 1' resulted in error: no such key: none")
    stored = await plane.client.get("validatingadmissionpolicies.admissionregistration.k8s.io", "guard", "")
    stored["spec"]["failurePolicy"] = "Ignore"
    await plane.client.update(stored)
    await plane.client.create(deployment("d"), "default")


async def test_selectors_say_whom_a_policy_is_about(plane) -> None:
    match = {
        "namespaceSelector": {"matchLabels": {"env": "prod"}},
        "objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
        "excludeResourceRules": [
            {**core("configmaps"), "apiVersions": ["*"], "operations": ["*"], "resourceNames": ["free"]}
        ],
    }
    await guarded(plane, policy(["false"], core("configmaps"), match=match), binding())
    await plane.client.create(config_map("a"), "default")
    await plane.namespace("prod")
    await plane.client.patch("namespaces", "prod", "", {"metadata": {"labels": {"env": "prod"}}})
    assert "denied request" in await refused(plane, config_map("a"), "prod")
    await plane.client.create(config_map("free"), "prod")
    await plane.client.create(config_map("b", labels={"skip": "me"}), "prod")


async def test_bindings_narrow_a_policy(plane) -> None:
    rules = [{**core("configmaps"), "apiVersions": ["v1"], "operations": ["CREATE"]}]
    rule = core("configmaps", "secrets")
    await guarded(plane, policy(["false"], rule), binding(matchResources={"resourceRules": rules}))
    assert "denied request" in await refused(plane, config_map("a"))
    await plane.client.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}, "default")


async def test_variables_conditions_and_the_request(plane) -> None:
    spec = {
        "matchConditions": [{"name": "not-free", "expression": "object.metadata.name != 'free'"}],
        "variables": [
            {"name": "keys", "expression": "has(object.data) ? object.data.map(k, k) : []"},
            {"name": "few", "expression": "size(variables.keys) < 2"},
            {"name": "never", "expression": "1 / 0 == 1"},
        ],
    }
    validations = [
        {"expression": "variables.few", "message": "too many keys"},
        "request.operation == 'CREATE' ? oldObject == null : oldObject != null",
        "request.userInfo.username != '' && request.namespace == namespaceObject.metadata.name",
        "request.kind.kind == 'ConfigMap' && !has(request.subResource)",
    ]
    await guarded(plane, policy(validations, core("configmaps"), **spec), binding())
    await plane.client.create(config_map("a", x="1"), "default")
    await plane.client.create(config_map("free", x="1", y="2"), "default")
    assert (await refused(plane, config_map("b", x="1", y="2"))).endswith("denied request: too many keys")
    await plane.client.patch("configmaps", "a", "default", {"data": {"x": "2"}})
    with pytest.raises(StatusError, match="too many keys"):
        await plane.client.patch("configmaps", "a", "default", {"data": {"y": "2"}})


async def test_deletions_are_asked_about_too(plane) -> None:
    rule = {**core("configmaps"), "operations": ["DELETE"]}
    expression = "!('keep' in oldObject.metadata.?labels.orValue({})) && object == null"
    await guarded(plane, policy([{"expression": expression, "message": "kept"}], rule), binding())
    await plane.client.create(config_map("a", labels={"keep": ""}), "default")
    await plane.client.create(config_map("b"), "default")
    await plane.client.delete("configmaps", "b", "default")
    with pytest.raises(StatusError, match="kept"):
        await plane.client.delete("configmaps", "a", "default")


async def test_parameters_come_with_the_binding(plane) -> None:
    expression = "params == null || object.spec.replicas <= int(params.data.most)"
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    reference = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await guarded(plane, policy([expression], paramKind=kind), binding(paramRef=reference))
    message = await refused(plane, deployment("d", replicas=3))
    assert message.endswith(
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    )
    await plane.client.create(config_map("limits", labels={"limits": "yes"}, most="3"), "default")
    await plane.client.create(deployment("d", replicas=3), "default")
    assert "failed expression" in await refused(plane, deployment("e", replicas=4))
    name = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
    stored = await plane.client.get(name, "bound", "")
    selector = {"matchLabels": {"limits": "yes"}}
    stored["spec"]["paramRef"] = {"selector": selector, "parameterNotFoundAction": "Allow"}
    await plane.client.update(stored)
    assert "failed expression" in await refused(plane, deployment("e", replicas=4))
    await plane.client.delete("configmaps", "limits", "default")
    await plane.client.create(deployment("e", replicas=4), "default")


async def test_policies_may_ask_what_the_user_may(plane) -> None:
    expressions = [
        "authorizer.group('').resource('secrets').namespace('default').check('list').allowed()",
        "authorizer.requestResource.check('create').allowed()",
        "!authorizer.serviceAccount('default', 'default').group('').resource('pods').check('get').allowed()",
        "authorizer.path('/healthz').check('get').allowed()",
    ]
    validations = [{"expression": one, "message": f"check {n}"} for n, one in enumerate(expressions)]
    await guarded(plane, policy(validations, core("configmaps")), binding())
    await plane.client.create(config_map("a"), "default")
    rbac, subject = "rbac.authorization.k8s.io", {"kind": "User", "name": "jane"}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "writer"}, "rules": rules}
    await plane.client.create(role, "default")
    given = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "writer"}}
    reference = {"apiGroup": rbac, "kind": "Role", "name": "writer"}
    await plane.client.create(
        {**given, "roleRef": reference, "subjects": [{**subject, "apiGroup": rbac}]}, "default"
    )
    with pytest.raises(StatusError, match="check 0"):
        await plane.as_user("jane").create(config_map("b"), "default")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"validations": [{"expression": "object.x >"}]}, "validations[0].expression: Invalid value"),
        ({"validations": [{"expression": "1 + 1"}]}, "must evaluate to bool"),
        ({"validations": [{"expression": "params.x"}]}, "undeclared reference to 'params'"),
        ({"validations": [{"expression": "variables.x == 1"}]}, "undefined field 'x'"),
        ({"variables": [{"name": "a-b", "expression": "1"}]}, "name is not a valid CEL identifier"),
        ({"variables": [{"name": "a", "expression": "variables.b"}]}, "undefined field 'b'"),
        (
            {"validations": [{"expression": "true", "messageExpression": "authorizer.x"}]},
            "undeclared reference to 'authorizer'",
        ),
        ({"validations": [{"expression": "true", "reason": "Because"}]}, 'Unsupported value: "Because"'),
        ({"matchConditions": [{"name": "a", "expression": "'x'"}]}, "must evaluate to bool"),
    ],
)
async def test_expressions_are_read_when_the_policy_is_written(plane, spec: dict, sentence: str) -> None:
    obj = policy(["true"], **{key: value for key, value in spec.items() if key != "validations"})
    obj["spec"].update(spec)
    assert sentence in await refused(plane, obj, "")


async def test_pods_are_refused_by_policies_too(plane) -> None:
    expression = "object.spec.containers.all(c, !c.image.endsWith(':latest') && c.image.contains(':'))"
    await guarded(plane, policy([{"expression": expression, "message": "pin it"}], core("pods")), binding())
    assert (await refused(plane, pod("p"))).endswith("pin it")
    pinned = [{"name": "main", "image": "nginx:1.27"}]
    await plane.client.create(pod("p", containers=pinned), "default")


async def test_policies_are_asked_about_subresources_with_their_own_kinds(plane) -> None:
    await plane.client.create(deployment("d"), "default")
    await plane.client.create(pod("p"), "default")
    rules = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"]}
    rules["resources"] = ["deployments/scale", "pods/binding", "pods/eviction", "pods/exec"]
    text = """request.kind.kind == 'Scale' ? object.spec.replicas <= 3 && oldObject.spec.replicas == 1 :
      request.kind.kind == 'Binding' ? object.target.name != 'bad' :
      request.kind.kind == 'Eviction' ? request.operation != 'CREATE' : request.operation != 'CONNECT'"""
    await guarded(plane, policy([{"expression": text, "message": "no"}], rules), binding())

    async def asked(*work: Any) -> bool:
        try:
            await work[0]
        except StatusError as error:
            assert error.message.endswith("denied request: no"), error.message
            return False
        return True

    async def scale(replicas: int) -> Any:
        body = {"spec": {"replicas": replicas}}
        return await plane.client.patch("deployments.apps", "d", "default", body, subresource="scale")

    async def bind(node: str) -> Any:
        body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}}
        return await plane.client.create_subresource("pods", "p", "default", "binding", body)

    assert not await asked(scale(4)) and await asked(scale(3))
    assert not await asked(bind("bad")) and await asked(bind("good"))
    body = {"metadata": {"name": "p"}}
    assert not await asked(plane.client.create_subresource("pods", "p", "default", "eviction", body))
    options = {"kind": "PodExecOptions", "apiVersion": "v1", "command": ["sh"]}
    pods = plane.resource("pods")
    assert not await asked(plane.api.admit_connect(plane.ctx(), pods, "exec", "default", "p", options))
    assert await asked(plane.api.admit_connect(plane.ctx(), pods, "attach", "default", "p", options))
    await plane.client.delete("pods", "p", "default")
