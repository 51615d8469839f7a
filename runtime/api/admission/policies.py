"""ValidatingAdmissionPolicy: what a cluster's own policies, in CEL, say of a write.

After apiserver ``pkg/admission/plugin/policy/validating``: how a refusal, a warning or a failure of a policy is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from runtime.api.authorization import Authorizer
from runtime.objects.errors import Obj, StatusError
from runtime.objects.registry import Registry

from .asking import Asking, Failure
from .bound import BoundPolicies, Invocation, Misconfigured, asking, fails
from .chain import OPERATIONS, Attributes, Plugin
from .matching import GROUP, exempt

POLICIES: Final = f"validatingadmissionpolicies.{GROUP}"
BINDINGS: Final = f"validatingadmissionpolicybindings.{GROUP}"
FAILURES: Final = "validation.policy.admission.k8s.io/validation_failure"
"""The audit annotation that tells of what policies refuse whose bindings say Audit."""
CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}


class ValidatingPolicies(Plugin):
    """Asks the policies that are bound to a request."""

    operations = OPERATIONS
    subresources = None
    configured = (POLICIES, BINDINGS)

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._bound = BoundPolicies(registry, authorizer, POLICIES, BINDINGS)

    def validate(self, a: Attributes) -> Awaitable[None] | None:
        """Refuse what a policy denies, warn of what one only warns of."""
        return self._ask(a) if not exempt(a) else None

    async def _ask(self, a: Attributes) -> None:
        for found in self._bound.find(a):
            if isinstance(found, Misconfigured):
                if fails(found.policy):
                    raise _denial(a, found.policy, found.binding, found.message, "Invalid")
                continue
            expressions = asking(await self._bound.scope(a, found), found.policy)
            for refusal in _refusals(expressions, found.policy):
                _act(a, found, refusal)


@dataclass(frozen=True, slots=True)
class _Refusal:
    message: str
    reason: str = "Invalid"
    index: int = 0
    """Of the validation that does not hold."""


def _refusals(asked: Asking, policy: Obj) -> Iterator[_Refusal]:
    spec: Obj = policy["spec"]
    try:
        if not asked.conditions(spec.get("matchConditions") or ()):
            return
    except Failure as error:
        if fails(policy):
            yield _Refusal(str(error))
        return
    for index, validation in enumerate(spec.get("validations") or ()):
        try:
            kept = asked.value(validation["expression"])
        except Failure as error:
            if fails(policy):
                yield _Refusal(str(error), index=index)
            continue
        if kept is not True:
            yield _Refusal(asked.message(validation), validation.get("reason") or "Invalid", index)


def _act(a: Attributes, asked: Invocation, refusal: _Refusal) -> None:
    actions = asked.binding["spec"].get("validationActions") or ()
    policy, binding = asked.policy["metadata"]["name"], asked.binding["metadata"]["name"]
    if "Audit" in actions:
        noted = {
            "message": refusal.message,
            "policy": policy,
            "binding": binding,
            "expressionIndex": refusal.index,
            "validationActions": list(actions),
        }
        before = orjson.loads(a.ctx.annotations.get(FAILURES, "[]"))
        a.ctx.annotations[FAILURES] = orjson.dumps([*before, noted]).decode()
    if "Warn" in actions:
        names = f"'{policy}' with binding '{binding}'"
        a.ctx.warn(f"Validation failed for ValidatingAdmissionPolicy {names}: {refusal.message}")
    if "Deny" in actions:
        raise _denial(a, asked.policy, asked.binding, refusal.message, refusal.reason)


def _denial(a: Attributes, policy: Obj, binding: Obj | None, message: str, reason: str) -> StatusError:
    bound = f" with binding '{binding['metadata']['name']}'" if binding is not None else ""
    name = policy["metadata"]["name"]
    sentence = f"ValidatingAdmissionPolicy '{name}'{bound} denied request: {message}"
    refusal = a.deny(sentence, [{"message": sentence}])
    return StatusError(CODES.get(reason, 422), reason, refusal.message, refusal.details)
