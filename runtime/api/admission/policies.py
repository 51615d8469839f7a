"""ValidatingAdmissionPolicy: what a cluster's own policies, in CEL, say of a write.

After apiserver ``pkg/admission/plugin/policy/validating``: how a refusal, a warning or a failure of a policy is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Final

from runtime.api.authorization import Authorizer
from runtime.objects.errors import Obj, StatusError
from runtime.objects.registry import Registry

from .asking import Failure
from .bound import BoundPolicies, Invocation, Misconfigured, asking, fails
from .chain import OPERATIONS, Attributes, Plugin
from .matching import GROUP, exempt

POLICIES: Final = f"validatingadmissionpolicies.{GROUP}"
BINDINGS: Final = f"validatingadmissionpolicybindings.{GROUP}"
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
            scope = await self._bound.scope(a, found)
            for message, reason in _refusals(scope, found.policy):
                _act(a, found, message, reason)


def _refusals(scope: Obj, policy: Obj) -> Iterator[tuple[str, str]]:
    """The messages and reasons of what is refused."""
    spec: Obj = policy["spec"]
    asked = asking(scope, policy)
    try:
        if not asked.conditions(spec.get("matchConditions") or ()):
            return
    except Failure as error:
        if fails(policy):
            yield str(error), "Invalid"
        return
    for validation in spec.get("validations") or ():
        try:
            kept = asked.value(validation["expression"])
        except Failure as error:
            if fails(policy):
                yield str(error), "Invalid"
            continue
        if kept is not True:
            yield asked.message(validation), validation.get("reason") or "Invalid"


def _act(a: Attributes, asked: Invocation, message: str, reason: str) -> None:
    actions = asked.binding["spec"].get("validationActions") or ()
    if "Warn" in actions:
        names = f"'{asked.policy['metadata']['name']}' with binding '{asked.binding['metadata']['name']}'"
        a.ctx.warn(f"Validation failed for ValidatingAdmissionPolicy {names}: {message}")
    if "Deny" in actions:
        raise _denial(a, asked.policy, asked.binding, message, reason)


def _denial(a: Attributes, policy: Obj, binding: Obj | None, message: str, reason: str) -> StatusError:
    bound = f" with binding '{binding['metadata']['name']}'" if binding is not None else ""
    name = policy["metadata"]["name"]
    sentence = f"ValidatingAdmissionPolicy '{name}'{bound} denied request: {message}"
    refusal = a.deny(sentence, [{"message": sentence}])
    return StatusError(CODES.get(reason, 422), reason, refusal.message, refusal.details)
