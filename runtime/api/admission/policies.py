"""ValidatingAdmissionPolicy: what a cluster's own policies, in CEL, say of a write.

After apiserver ``pkg/admission/plugin/policy/{generic,matching,validating}``: which policies and bindings are about a
request, with which parameters they are asked, and how a refusal, a warning or a failure of the policy is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from runtime.api.authorization import Authorizer
from runtime.objects.cel import Budget, CelError, CelSyntaxError, compile_expression
from runtime.objects.errors import Obj, StatusError
from runtime.objects.registry import Registry, Resource
from runtime.objects.selectors import SelectorError, label_selector

from .authorizing import AuthorizerValue
from .chain import CREATE, DELETE, UPDATE, Attributes, Plugin

GROUP: Final = "admissionregistration.k8s.io"
POLICIES: Final = f"validatingadmissionpolicies.{GROUP}"
BINDINGS: Final = f"validatingadmissionpolicybindings.{GROUP}"
REQUEST_BUDGET: Final = 1_000_000
"""Steps that the expressions of one policy may take over one request."""
_MOST_MESSAGE = 5120
_CODES: Final = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
_OPTIONS: Final = {CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions"}


class _Failure(Exception):
    """A policy that cannot be asked: its failurePolicy decides."""


class ValidatingPolicies(Plugin):
    """Asks the policies that are bound to a request."""

    operations = frozenset({CREATE, UPDATE, DELETE})
    subresources = frozenset({"", "status", "ephemeralcontainers", "resize", "approval", "finalize"})

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer

    def validate(self, a: Attributes) -> None:
        """Refuse what a policy denies, warn of what one only warns of."""
        if not a.view.count(POLICIES) or not a.view.count(BINDINGS) or a.resource.group == GROUP:
            return
        bindings: dict[str, list[Obj]] = {}
        for binding in a.view.list(BINDINGS):
            bindings.setdefault((binding.get("spec") or {}).get("policyName") or "", []).append(binding)
        for policy in a.view.list(POLICIES):
            bound = bindings.get(policy["metadata"]["name"])
            if bound:
                self._ask(a, policy, bound)

    def _ask(self, a: Attributes, policy: Obj, bindings: list[Obj]) -> None:
        spec: Obj = policy["spec"]
        try:
            if not _matches(a, spec.get("matchConstraints") or {}):
                return
        except SelectorError as error:
            self._configuration(a, policy, None, f"failed to configure policy: {error}")
            return
        for binding in bindings:
            try:
                if not _matches(a, binding["spec"].get("matchResources") or {}):
                    continue
                params = list(self._params(a, spec.get("paramKind"), binding["spec"].get("paramRef")))
            except (SelectorError, _Failure) as error:
                self._configuration(a, policy, binding, f"failed to configure binding: {error}")
                continue
            for param in params:
                for message, reason in self._evaluate(a, spec, param):
                    self._act(a, policy, binding, message, reason)

    def _configuration(self, a: Attributes, policy: Obj, binding: Obj | None, message: str) -> None:
        if (policy["spec"].get("failurePolicy") or "Fail") == "Fail":
            raise _denial(a, policy, binding, message, "Invalid")

    @staticmethod
    def _act(a: Attributes, policy: Obj, binding: Obj, message: str, reason: str) -> None:
        actions = binding["spec"].get("validationActions") or ()
        if "Warn" in actions:
            names = f"'{policy['metadata']['name']}' with binding '{binding['metadata']['name']}'"
            a.ctx.warn(f"Validation failed for ValidatingAdmissionPolicy {names}: {message}")
        if "Deny" in actions:
            raise _denial(a, policy, binding, message, reason)

    # -- parameters

    def _params(self, a: Attributes, kind: Obj | None, reference: Obj | None) -> Iterator[Obj | None]:
        if kind is None or reference is None:
            yield None
            return
        resource = self._registry.by_kind(kind.get("apiVersion") or "", kind.get("kind") or "")
        if resource is None:
            named = f"{kind.get('apiVersion')}, Kind={kind.get('kind')}"
            raise _Failure(f"paramKind kind `{named}` not known")
        namespace = reference.get("namespace") or ""
        if namespace and not resource.namespaced:
            raise _Failure("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        if resource.namespaced:
            namespace = namespace or a.namespace
            if not namespace:
                raise _Failure(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                )
        found = _referred(a, resource, namespace, reference)
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise _Failure("no params found for policy binding with `Deny` parameterNotFoundAction")
        yield from found

    # -- evaluation

    def _evaluate(self, a: Attributes, spec: Obj, param: Obj | None) -> Iterator[tuple[str, str]]:
        """The messages and reasons of what is refused."""
        fails = (spec.get("failurePolicy") or "Fail") == "Fail"
        scope = self._scope(a, param)
        asking = _Asking(scope, spec.get("variables") or ())
        try:
            if not asking.conditions(spec.get("matchConditions") or ()):
                return
        except _Failure as error:
            if fails:
                yield str(error), "Invalid"
            return
        for validation in spec.get("validations") or ():
            try:
                kept = asking.value(validation["expression"])
            except _Failure as error:
                if fails:
                    yield str(error), "Invalid"
                continue
            if kept is not True:
                yield asking.message(validation), validation.get("reason") or "Invalid"

    def _scope(self, a: Attributes, param: Obj | None) -> Obj:
        namespace = "" if a.resource.group_resource == "namespaces" else a.namespace
        return {
            "object": a.obj,
            "oldObject": a.old,
            "request": _request(a),
            "params": param,
            "namespaceObject": a.view.get("namespaces", "", namespace) if namespace else None,
            "authorizer": AuthorizerValue(self._authorizer, a),
        }


def _denial(a: Attributes, policy: Obj, binding: Obj | None, message: str, reason: str) -> StatusError:
    bound = f" with binding '{binding['metadata']['name']}'" if binding is not None else ""
    name = policy["metadata"]["name"]
    sentence = f"ValidatingAdmissionPolicy '{name}'{bound} denied request: {message}"
    refusal = a.deny(sentence, [{"message": sentence}])
    code = _CODES.get(reason, 422)
    return StatusError(code, reason, refusal.message, refusal.details)


# -- matching ------------------------------------------------------------------------------------------------------


def _matches(a: Attributes, criteria: Obj) -> bool:
    """Whether a request is one that constraints (or a binding's resources) are about."""
    selector = criteria.get("namespaceSelector")
    if selector and not _namespace_matches(a, selector):
        return False
    selector = criteria.get("objectSelector")
    if selector:
        asked = label_selector(selector)
        labels = [obj["metadata"].get("labels") or {} for obj in (a.obj, a.old) if obj is not None]
        if not any(map(asked.matches, labels)):
            return False
    equivalent = criteria.get("matchPolicy") != "Exact"
    if any(_rule_matches(a, rule, equivalent) for rule in criteria.get("excludeResourceRules") or ()):
        return False
    rules = criteria.get("resourceRules") or ()
    return not rules or any(_rule_matches(a, rule, equivalent) for rule in rules)


def _namespace_matches(a: Attributes, selector: Obj) -> bool:
    """Namespaces are judged by their own labels; what is in none matches every selector."""
    if a.resource.group_resource == "namespaces":
        namespace = a.obj or a.old
    elif a.resource.namespaced:
        namespace = a.view.get("namespaces", "", a.namespace)
    else:
        return True
    if namespace is None:
        return False
    return label_selector(selector).matches(namespace["metadata"].get("labels") or {})


def _rule_matches(a: Attributes, rule: Obj, equivalent: bool) -> bool:
    def has(field: str, value: str) -> bool:
        listed = rule.get(field) or ()
        return "*" in listed or value in listed

    scope = rule.get("scope") or "*"
    # A namespace is of the cluster, though requests about one carry its name as their namespace.
    inside = a.resource.namespaced
    if scope != "*" and (scope == "Namespaced") is not inside:
        return False
    if not has("apiGroups", a.resource.group) or not has("operations", a.operation):
        return False
    if not equivalent and not has("apiVersions", a.resource.version):
        return False
    plural, sub = a.resource.plural, a.subresource
    names = {f"{plural}/{sub}", f"*/{sub}", f"{plural}/*"} if sub else {plural, "*", f"{plural}/*"}
    if not ({*names, "*/*"} & set(rule.get("resources") or ())):
        return False
    wanted = rule.get("resourceNames")
    return not wanted or a.name in wanted


def _referred(a: Attributes, resource: Resource, namespace: str, reference: Obj) -> list[Obj]:
    if reference.get("name"):
        found = a.view.get(resource.storage_resource, namespace, reference["name"])
        return [] if found is None else [_typed(found, resource)]
    selector = label_selector(reference.get("selector") or {})
    listed = a.view.list(resource.storage_resource, namespace)
    return [_typed(one, resource) for one in listed if selector.matches(one["metadata"].get("labels") or {})]


def _typed(obj: Obj, resource: Resource) -> Obj:
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}


def _request(a: Attributes) -> Obj:
    """The AdmissionRequest that expressions see."""
    resource, user = a.resource, a.ctx.user
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    place = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    told: Obj = {
        "kind": kind,
        "resource": place,
        "requestKind": kind,
        "requestResource": place,
        "name": a.name,
        "namespace": a.name if resource.group_resource == "namespaces" else a.namespace,
        "operation": a.operation,
        "userInfo": {
            "username": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()},
        },
        "dryRun": a.ctx.dry_run,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": _OPTIONS[a.operation]},
    }
    if a.subresource:
        told["subResource"] = told["requestSubResource"] = a.subresource
    return told


# -- asking --------------------------------------------------------------------------------------------------------


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


class _Asking:
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
            _Failure: nothing.
        """
        try:
            return self._evaluate(text)
        except CelSyntaxError as error:
            raise _Failure(f"compilation error: compilation failed: {error}") from error
        except CelError as error:
            raise _Failure(f"expression '{text}' resulted in error: {error}") from error

    def conditions(self, conditions: Iterable[Obj]) -> bool:
        """Whether all match conditions are met; one that is not forgives those that fail.

        Raises:
            _Failure: some failed, the others are met.
        """
        failures: list[str] = []
        for condition in conditions:
            try:
                if self.value(condition["expression"]) is not True:
                    return False
            except _Failure as error:
                failures.append(str(error))
        if failures:
            raise _Failure(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return True

    def message(self, validation: Obj) -> str:
        """What is said of a validation that does not hold."""
        if validation.get("messageExpression"):
            try:
                said = self.value(validation["messageExpression"])
            except _Failure:
                said = None
            if isinstance(said, str):
                said = said.strip()
                if said and "\n" not in said and len(said) <= _MOST_MESSAGE:
                    return said
        if validation.get("message"):
            return str(validation["message"]).strip()
        return f"failed expression: {validation['expression'].strip()}"
