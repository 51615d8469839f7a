"""Policies are read with the types of the kinds that they are about."""

from __future__ import annotations

from pathlib import Path

from control_plane import control_plane

from runtime.controllers.policies import RESOURCE, expression_warnings, kinds_of
from runtime.objects import meta
from runtime.objects.errors import Obj
from runtime.objects.kinds import builtin_registry

REGISTRY = builtin_registry()


def policy(*expressions: str, **spec: object) -> Obj:
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["*"],
        "resources": ["deployments"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "guard"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": one} for one in expressions],
            **spec,
        },
    }


def test_what_fits_is_not_spoken_of() -> None:
    fitting = policy(
        "object.spec.replicas > 1 && object.metadata.labels['a'] == 'b'",
        "object.spec.template.spec.containers.all(c, c.image != '' && c.resources.limits['cpu'] != '1')",
        "has(oldObject.status) || object.spec.strategy.rollingUpdate.maxSurge == 1",
        "params.data.x == '1' && variables.y == 2 && request.operation == 'CREATE'",
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
    )
    assert expression_warnings(fitting, REGISTRY) == []


def test_what_does_not_fit_is_said_for_each_kind() -> None:
    wrong = policy("object.spec.replicas > '1'", "true", "object.spec.maxRetries < 10")
    first, second = expression_warnings(wrong, REGISTRY)
    assert first["fieldRef"] == "spec.validations[0].expression"
    assert first["warning"].startswith("apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:22:")
    assert "found no matching overload for '_>_' applied to '(int, string)'" in first["warning"]
    assert second["fieldRef"] == "spec.validations[2].expression"
    assert "undefined field 'maxRetries'" in second["warning"]
    rule = wrong["spec"]["matchConstraints"]["resourceRules"][0]
    rule.update(apiGroups=["apps", "*"], resources=["replicasets", "deployments", "none", "*"])
    assert [one.kind for one in kinds_of(wrong, REGISTRY)] == ["Deployment", "ReplicaSet"]
    assert expression_warnings(wrong, REGISTRY)[1]["warning"].count("undefined field") == 2


async def test_every_generation_is_read(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(policy("object.spec.replicas > 1"))
        found = await plane.until(
            lambda: (one := plane.get(RESOURCE, "guard", "")) is not None and one.get("status") and one
        )
        assert found["status"] == {"observedGeneration": 1, "typeChecking": {}}
        found = meta.copy(found)
        found["spec"]["validations"][0]["expression"] = "object.spec.none == 1"
        await plane.client.update(found)
        found = await plane.until(
            lambda: (
                (one := plane.get(RESOURCE, "guard", "")) is not None
                and one["status"]["observedGeneration"] == 2
                and one
            )
        )
        (warning,) = found["status"]["typeChecking"]["expressionWarnings"]
        assert "undefined field 'none'" in warning["warning"]
