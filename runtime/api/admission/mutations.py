"""MutatingAdmissionPolicy: what a cluster's own policies, in CEL, make of an object before it is judged.

After apiserver ``pkg/admission/plugin/policy/mutating``: each mutation is an apply configuration laid over the object
or a JSON patch; who owns the fields is not tracked, and a failure refuses the request as the policy's failurePolicy
says.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from runtime.api.authorization import Authorizer
from runtime.objects.apply import OverlayError, overlay
from runtime.objects.cel import JSON_PATCH, OBJECT, CelError, Struct, misplaced, to_json
from runtime.objects.errors import Obj, StatusError, internal, unavailable
from runtime.objects.patch import apply_json_patch, is_failed_test, why_refused
from runtime.objects.registry import Registry, Resource
from runtime.objects.schema import TypeInfo, definition_of, type_of

from .asking import Asking, Failure
from .bound import BoundPolicies, Invocation, Misconfigured, asking, fails
from .chain import CONNECT, CREATE, UPDATE, Attributes, Plugin
from .matching import GROUP, exempt
from .rounds import Round, read_again
from .webhooks import finished, into_request, unfinished

POLICIES: Final = f"mutatingadmissionpolicies.{GROUP}"
BINDINGS: Final = f"mutatingadmissionpolicybindings.{GROUP}"


class MutatingPolicies(Plugin):
    """Has the policies that are bound to a request complete its object."""

    operations = frozenset({CREATE, UPDATE, CONNECT})
    """A deletion has nothing that could be changed."""
    subresources = None
    configured = (POLICIES, BINDINGS)

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._bound = BoundPolicies(registry, authorizer, POLICIES, BINDINGS)

    def admit(self, a: Attributes) -> Awaitable[None] | None:
        """Change the object as the policies say."""
        return self._dispatch(a) if not exempt(a) else None

    async def _dispatch(self, a: Attributes) -> None:
        problems: list[tuple[str, str]] = []
        state: Round = a.memory.setdefault(POLICIES, Round())
        state.begin(a)
        for found in list(self._bound.find(a)):
            if isinstance(found, Misconfigured):
                if fails(found.policy):
                    problems.append((_denial(found.policy, found.binding, found.message), ""))
                continue
            said = await self._mutate(a, found, state)
            if fails(found.policy):
                problems += [(_denial(found.policy, found.binding, one), "Invalid") for one in said]
        state.end(a)
        if problems:
            causes: list[Obj] = [{"message": message} for message, _ in problems]
            refusal = a.deny("", causes)
            message, reason = problems[0]
            raise StatusError(403, reason or refusal.reason, message, refusal.details)

    async def _mutate(self, a: Attributes, asked: Invocation, state: Round) -> list[str]:
        """Do as one policy says; gives what could not be done."""
        spec: Obj = asked.policy["spec"]
        conditions = spec.get("matchConditions") or ()
        if conditions:
            try:
                if not asking(await self._bound.scope(a, asked), asked.policy).conditions(conditions):
                    return []
            except Failure as error:
                return [str(error)]
        param = (asked.param or {}).get("metadata") or {}
        key = (
            asked.policy["metadata"]["name"],
            asked.binding["metadata"]["name"],
            param.get("namespace") or "",
            param.get("name") or "",
        )
        if state.skips(a, key) or a.obj is None:
            return []
        before, failures = a.obj, []
        for mutation in spec.get("mutations") or ():
            try:
                await self._apply(a, asked, mutation)
            except Failure as error:
                failures.append(str(error))
        changed = before is not a.obj and before != a.obj
        state.asked(a, key, changed=changed, again=spec.get("reinvocationPolicy") == "IfNeeded")
        return failures

    async def _apply(self, a: Attributes, asked: Invocation, mutation: Obj) -> None:
        assert a.obj is not None
        scope = await self._bound.scope(a, asked)
        shown: Obj = unfinished(a, scope["object"])
        expressions = asking({**scope, "object": shown}, asked.policy)
        if mutation.get("patchType") == "JSONPatch":
            made = _json_patched(
                expressions, (mutation.get("jsonPatch") or {}).get("expression") or "", shown
            )
        else:
            text = (mutation.get("applyConfiguration") or {}).get("expression") or ""
            made = _applied(expressions, text, shown, _type_of(a, asked.resource))
        if made is shown:
            return
        patched = read_again(a, asked.resource, made)
        if patched != shown:
            a.obj = finished(a, a.obj, await into_request(a, asked.resource, patched))


def _denial(policy: Obj, binding: Obj | None, message: str) -> str:
    name = policy["metadata"]["name"]
    if binding is None:
        return f'policy "{name}" denied request: {message}'
    return f"policy '{name}' with binding '{binding['metadata']['name']}' denied request: {message}"


def _type_of(a: Attributes, resource: Resource) -> TypeInfo:
    """The type of the request's object.

    Raises:
        StatusError: 503, nobody knows it.
    """
    if a.kind is None:
        return resource.type_info
    definition = definition_of(*a.kind)
    if not definition:
        group, version, kind = a.kind
        named = f"{group}/{version}, Kind={kind}"
        raise unavailable(
            f"Resource kind {named} not found. There can be a delay between when CustomResourceDefinitions are "
            "created and when they are available."
        )
    return type_of(definition)


def _applied(expressions: Asking, text: str, obj: Obj, type_info: TypeInfo) -> Obj:
    """The object with an apply configuration laid over it.

    Raises:
        Failure: there is none, or it does not fit.
    """
    value = expressions.value(text)
    if not isinstance(value, Struct) or value.cel_name != OBJECT:
        raise Failure("unsupported return type from ApplyConfiguration expression: must evaluate to Object")
    _check_types(value)
    config = {**_native(value), "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    try:
        return overlay(obj, config, type_info)
    except OverlayError as error:
        raise Failure(f"error applying patch: {error}") from error


def _json_patched(expressions: Asking, text: str, obj: Obj) -> Obj:
    """The object with a JSON patch; as it is where one of the patch's tests does not hold.

    Raises:
        Failure: there is no patch, or it does not fit.
    """
    value = expressions.value(text)
    if not isinstance(value, list) or not all(
        isinstance(one, Struct) and one.cel_name == JSON_PATCH for one in value
    ):
        raise Failure("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
    operations = []
    for one in value:
        given = one.get("value")
        if isinstance(given, Struct):
            _check_types(given)
        operation = {key: _native(item) for key, item in one.items() if item != "" or key == "value"}
        operations.append({"op": "", "path": "", **operation})
    try:
        return apply_json_patch(obj, operations)
    except StatusError as error:
        if is_failed_test(error):
            return obj
        if error.code >= 500:
            raise internal(error.message) from error
        raise Failure(f"JSON Patch: {why_refused(error)}") from error


def _check_types(value: Struct) -> None:
    wrong = list(misplaced(value, (value.cel_name,)))
    if wrong:
        raise Failure("type mismatch: " + "\n".join(wrong))


def _native(value: Any) -> Any:
    try:
        return to_json(value)
    except CelError as error:
        raise Failure(f"expression evaluated to a type that could not marshal to JSON: {error}") from error
