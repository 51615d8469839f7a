"""Policies and their bindings: which are about a request, and with which parameters they are asked.

After apiserver ``pkg/admission/plugin/policy/generic/policy_dispatcher.go``; common to validating and mutating
policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.api.authorization import Authorizer
from runtime.api.serving import in_version
from runtime.objects.errors import Obj
from runtime.objects.registry import Registry, Resource
from runtime.objects.selectors import SelectorError, label_selector

from .asking import Asking, Failure, request_of
from .authorizing import AuthorizerValue
from .chain import Attributes
from .matching import matches_criteria


@dataclass(frozen=True, slots=True)
class Invocation:
    """One policy to ask, as one of its bindings has it, with one parameter (or none)."""

    policy: Obj
    binding: Obj
    resource: Resource
    """The version in which the policy knows the object."""
    param: Obj | None


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """A policy that can't be asked, or not as a binding has it."""

    policy: Obj
    binding: Obj | None
    message: str


class BoundPolicies:
    """Finds the policies of one kind that are about a request."""

    def __init__(self, registry: Registry, authorizer: Authorizer, policies: str, bindings: str) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._policies = policies
        self._bindings = bindings

    def find(self, a: Attributes) -> Iterator[Invocation | Misconfigured]:
        """What is to be asked, in the order of the policies' and the bindings' names."""
        bindings: dict[str, list[Obj]] = {}
        for binding in a.view.list(self._bindings):
            bindings.setdefault((binding.get("spec") or {}).get("policyName") or "", []).append(binding)
        for policy in a.view.list(self._policies):
            bound = bindings.get(policy["metadata"]["name"])
            if bound:
                yield from self._bound(a, policy, bound)

    def _bound(self, a: Attributes, policy: Obj, bindings: list[Obj]) -> Iterator[Invocation | Misconfigured]:
        spec: Obj = policy["spec"]
        try:
            resource = matches_criteria(a, self._registry, spec.get("matchConstraints") or {})
        except SelectorError as error:
            yield Misconfigured(policy, None, f"failed to configure policy: {error}")
            return
        if resource is None:
            return
        for binding in bindings:
            try:
                if matches_criteria(a, self._registry, binding["spec"].get("matchResources") or {}) is None:
                    continue
                params = list(self._params(a, spec.get("paramKind"), binding["spec"].get("paramRef")))
            except (SelectorError, Failure) as error:
                yield Misconfigured(policy, binding, f"failed to configure binding: {error}")
                continue
            for param in params:
                yield Invocation(policy, binding, resource, param)

    def _params(self, a: Attributes, kind: Obj | None, reference: Obj | None) -> Iterator[Obj | None]:
        if kind is None or reference is None:
            yield None
            return
        resource = self._registry.by_kind(kind.get("apiVersion") or "", kind.get("kind") or "")
        if resource is None:
            named = f"{kind.get('apiVersion')}, Kind={kind.get('kind')}"
            raise Failure(f"paramKind kind `{named}` not known")
        namespace = reference.get("namespace") or ""
        if namespace and not resource.namespaced:
            raise Failure("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        if resource.namespaced:
            namespace = namespace or a.namespace
            if not namespace:
                raise Failure(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                )
        found = _referred(a, resource, namespace, reference)
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise Failure("no params found for policy binding with `Deny` parameterNotFoundAction")
        yield from found

    async def scope(self, a: Attributes, asked: Invocation) -> Obj:
        """The variables that a policy's expressions see.

        Raises:
            StatusError: the object can't be had in the version that the policy knows.
        """
        namespace = "" if a.resource.group_resource == "namespaces" else a.namespace
        return {
            "object": await in_matched(a, asked.resource, a.obj),
            "oldObject": await in_matched(a, asked.resource, a.old),
            "request": seen_request(a, asked.resource),
            "params": asked.param,
            "namespaceObject": a.view.get("namespaces", "", namespace) if namespace else None,
            "authorizer": AuthorizerValue(self._authorizer, a),
        }


def seen_request(a: Attributes, resource: Resource) -> Obj:
    """The AdmissionRequest as expressions see it."""
    request = {"name": "", "namespace": "", **request_of(a, resource)}
    request["userInfo"] = {"uid": "", "extra": {}, **request["userInfo"]}
    return request


async def in_matched(a: Attributes, resource: Resource, obj: Obj | None) -> Obj | None:
    """An object of the request in the version that was matched; what is of another kind has only one.

    Raises:
        StatusError: 500, a conversion webhook failed.
    """
    if obj is None or a.kind is not None:
        return obj
    return await in_version(a.resource, resource, obj)


def asking(scope: Obj, policy: Obj) -> Asking:
    """The expressions of a policy over one request."""
    return Asking(scope, policy["spec"].get("variables") or ())


def fails(policy: Obj) -> bool:
    """Whether a policy that can't be asked refuses."""
    return (policy["spec"].get("failurePolicy") or "Fail") == "Fail"


def _referred(a: Attributes, resource: Resource, namespace: str, reference: Obj) -> list[Obj]:
    if reference.get("name"):
        found = a.view.get(resource.storage_resource, namespace, reference["name"])
        return [] if found is None else [_typed(found, resource)]
    selector = label_selector(reference.get("selector") or {})
    listed = a.view.list(resource.storage_resource, namespace)
    return [_typed(one, resource) for one in listed if selector.matches(one["metadata"].get("labels") or {})]


def _typed(obj: Obj, resource: Resource) -> Obj:
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
