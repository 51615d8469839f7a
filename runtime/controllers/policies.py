"""ValidatingAdmissionPolicies: read their expressions with the types they will meet, and say what does not fit.

After ``pkg/controller/validatingadmissionpolicystatus`` and apiserver
``pkg/admission/plugin/policy/validating/typechecking.go``. What is found is a warning in the policy's status: the
policy works, or fails, all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runtime.client.informer import Delta
from runtime.objects.custom.rule_checks import Reader, Types
from runtime.objects.custom.shapes import shape_of
from runtime.objects.custom.structural import Structural
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import name_of
from runtime.objects.registry import Registry, Resource

from .context import BaseController, Context

RESOURCE: Final = "validatingadmissionpolicies.admissionregistration.k8s.io"
MOST_KINDS: Final = 10
"""How many kinds a policy is read with."""


def kinds_of(policy: Obj, registry: Registry) -> list[Resource]:
    """The kinds a policy names, in order; what it names by a star is not looked for."""
    found: dict[tuple[str, str, str], Resource] = {}
    for rule in (policy["spec"].get("matchConstraints") or {}).get("resourceRules") or ():
        for group in sorted(rule.get("apiGroups") or ()):
            for version in sorted(rule.get("apiVersions") or ()):
                for plural in sorted(rule.get("resources") or ()):
                    resource = registry.by_path(group, version, plural)
                    if resource is not None and len(found) < MOST_KINDS:
                        found[(group, version, resource.kind)] = resource
    return [found[key] for key in sorted(found)]


def expression_warnings(policy: Obj, registry: Registry) -> list[Obj]:
    """What does not fit the kinds that a policy is about (``status.typeChecking.expressionWarnings``)."""
    spec: Obj = policy["spec"]
    parameters = _parameters(spec.get("paramKind"), registry)
    shapes = [(resource, shape_of(resource.type_info)) for resource in kinds_of(policy, registry)]
    found: list[Obj] = []
    for place, text in _expressions(spec):
        said: list[str] = []
        for resource, shape in shapes:
            types: Types = {"object": shape, "oldObject": shape, **parameters}
            types.update(dict.fromkeys(("request", "namespaceObject", "authorizer", "variables")))
            problem = Reader(text, types).problem
            if problem:
                said.append(f"{resource.api_version}, Kind={resource.kind}: compilation failed: {problem}\n")
        if said:
            found.append({"fieldRef": place, "warning": "\n".join(said)})
    return found


def _parameters(kind: Obj | None, registry: Registry) -> dict[str, Structural | None]:
    if kind is None:
        return {}
    resource = registry.by_kind(kind.get("apiVersion") or "", kind.get("kind") or "")
    return {"params": None if resource is None else shape_of(resource.type_info)}


def _expressions(spec: Obj) -> Iterator[tuple[str, str]]:
    for index, validation in enumerate(spec.get("validations") or ()):
        for name in ("expression", "messageExpression"):
            if validation.get(name):
                yield f"spec.validations[{index}].{name}", validation[name]


class ValidatingAdmissionPolicyStatusController(BaseController):
    """Reads every generation of a policy once."""

    name = "validatingadmissionpolicy-status"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.policies = context.informers.informer(RESOURCE)
        self.policies.add_handler(self._on_policies)

    def _on_policies(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None:
                self.queue.add(name_of(delta.new))

    async def sync(self, key: str) -> float | None:
        """Write what was found, if this generation was not read yet."""
        policy = self.policies.get(key)
        if policy is None:
            return None
        status: Obj = policy.get("status") or {}
        generation = policy["metadata"].get("generation", 0)
        if status.get("observedGeneration") == generation and "typeChecking" in status:
            return None
        found = expression_warnings(policy, self.context.registry)
        checked: Obj = {"expressionWarnings": found} if found else {}
        status = {**status, "observedGeneration": generation, "typeChecking": checked}
        try:
            await self.client.update_status({**policy, "status": status})
        except StatusError as error:
            if error.code not in (404, 409):  # changed or gone meanwhile: its event brings us back
                raise
        return None
