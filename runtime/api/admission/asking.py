"""Expressions about a request: what they see, what they may cost, how their failures are told.

After apiserver ``pkg/admission/plugin/cel`` and ``plugin/webhook/matchconditions``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from runtime.objects.cel import Budget, CelError, CelSyntaxError, compile_expression
from runtime.objects.errors import Obj
from runtime.objects.registry import Resource

from .chain import CONNECT, CREATE, DELETE, UPDATE, Attributes

REQUEST_BUDGET: Final = 1_000_000
"""Steps that the expressions of one policy may take over one request."""
_MOST_MESSAGE = 5120
_OPTIONS: Final = {CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions"}


class Failure(Exception):
    """A policy that cannot be asked: its failurePolicy decides."""


def request_of(a: Attributes, resource: Resource, uid: str = "") -> Obj:
    """The AdmissionRequest without its objects, about the version that whoever is asked knows."""
    user = a.ctx.user
    told: Obj = {"uid": uid} if uid else {}
    told["kind"] = _kind(a.kind or resource.gvk)
    told["resource"] = _place(resource)
    if a.subresource:
        told["subResource"] = a.subresource
    told["requestKind"] = _kind(a.gvk)
    told["requestResource"] = _place(a.resource)
    if a.subresource:
        told["requestSubResource"] = a.subresource
    name = "" if a.generated else a.name
    namespace = name if a.resource.group_resource == "namespaces" else a.namespace
    if name:
        told["name"] = name
    if namespace:
        told["namespace"] = namespace
    told["operation"] = a.operation
    info: Obj = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    told["userInfo"] = info
    told["dryRun"] = a.ctx.dry_run
    told["options"] = options_of(a)
    return told


def _kind(gvk: tuple[str, str, str]) -> Obj:
    return {"group": gvk[0], "version": gvk[1], "kind": gvk[2]}


def _place(resource: Resource) -> Obj:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def options_of(a: Attributes) -> Obj | None:
    """The options that the request came with; a connection has none."""
    if a.operation == CONNECT:
        return None
    options: Obj = {"kind": _OPTIONS[a.operation], "apiVersion": "meta.k8s.io/v1"}
    if a.operation == DELETE:
        return {**options, **(a.options or {})}
    if a.ctx.dry_run:
        options["dryRun"] = ["All"]
    if a.ctx.field_manager:
        options["fieldManager"] = a.ctx.field_manager
    options["fieldValidation"] = a.ctx.field_validation
    return options


class _Variables:
    """``variables``: each is worked out when it is asked for, once."""

    cel_type = "kubernetes.variables"

    def __init__(self, listed: Iterable[Obj], work_out: Callable[[str], Any]) -> None:
        self._texts = {one["name"]: one["expression"] for one in listed}
        self._known: dict[str, Any] = {}
        self._work_out = work_out

    def cel_has(self, name: str) -> bool:
        return name in self._texts

    def cel_field(self, name: str) -> Any:
        if name not in self._known:
            if name not in self._texts:
                raise CelError(f"no such key: {name}")
            try:
                self._known[name] = self._work_out(self._texts[name])
            except (CelError, CelSyntaxError) as error:
                raise CelError(f'composited variable "{name}" fails to evaluate: {error}') from error
        return self._known[name]


class Asking:
    """The expressions of a policy over one request."""

    def __init__(self, scope: Obj, variables: Iterable[Obj]) -> None:
        self._budget = Budget(REQUEST_BUDGET)
        self._scope = {**scope, "variables": _Variables(variables, self._evaluate)}

    def _evaluate(self, text: str) -> Any:
        if self._budget.left <= 0:
            raise CelError("validation failed due to running out of cost budget")
        return compile_expression(text).evaluate(self._scope, self._budget)

    def value(self, text: str) -> Any:
        """What an expression gives.

        Raises:
            Failure: nothing.
        """
        try:
            return self._evaluate(text)
        except CelSyntaxError as error:
            raise Failure(f"compilation error: compilation failed: {error}") from error
        except CelError as error:
            raise Failure(f"expression '{text}' resulted in error: {error}") from error

    def conditions(self, conditions: Iterable[Obj]) -> bool:
        """Whether all match conditions are met; one that is not forgives those that fail.

        Raises:
            Failure: some failed, the others are met.
        """
        failures: list[str] = []
        for condition in conditions:
            try:
                if self.value(condition["expression"]) is not True:
                    return False
            except Failure as error:
                failures.append(str(error))
        if failures:
            raise Failure(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return True

    def message(self, validation: Obj) -> str:
        """What is said of a validation that does not hold."""
        if validation.get("messageExpression"):
            try:
                said = self.value(validation["messageExpression"])
            except Failure:
                said = None
            if isinstance(said, str):
                said = said.strip()
                if said and "\n" not in said and len(said) <= _MOST_MESSAGE:
                    return said
        if validation.get("message"):
            return str(validation["message"]).strip()
        return f"failed expression: {validation['expression'].strip()}"
