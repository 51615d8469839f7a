"""``authorizer`` in policies: what the user who asks, or a service account, may do.

After apiserver ``pkg/cel/library/authz.go``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtime.api.authorization import Authorizer
from runtime.api.context import AUTHENTICATED, MASTERS, User
from runtime.api.rules import Request
from runtime.objects.cel import CelError

from .chain import Attributes


class Decision:
    """The answer to a check."""

    cel_type = "kubernetes.authorization.Decision"

    def __init__(self, allowed: bool) -> None:
        self._allowed = allowed

    def cel_allowed(self) -> bool:
        """Whether it may be done."""
        return self._allowed

    def cel_reason(self) -> str:
        """Why, where anything is known of it."""
        return ""

    def cel_errored(self) -> bool:
        """Whether the check itself failed: never here."""
        return False

    def cel_error(self) -> str:
        """Its failure."""
        return ""


class Check:
    """A request that might be made, as far as it is described."""

    cel_type = "kubernetes.authorization.ResourceCheck"

    def __init__(self, authorizer: Authorizer, user: User, request: Request) -> None:
        self._authorizer = authorizer
        self._user = user
        self._request = request

    def _with(self, **known: str) -> Check:
        return Check(self._authorizer, self._user, replace(self._request, **known))

    def cel_resource(self, name: str) -> Check:
        """About a resource."""
        return self._with(resource=name)

    def cel_subresource(self, name: str) -> Check:
        """About a subresource."""
        return self._with(subresource=name)

    def cel_namespace(self, name: str) -> Check:
        """In a namespace."""
        return self._with(namespace=name)

    def cel_name(self, name: str) -> Check:
        """About one object."""
        return self._with(name=name)

    def cel_fieldSelector(self, _selector: str) -> Check:  # noqa: N802
        """For some objects only: roles don't tell them apart."""
        return self

    def cel_labelSelector(self, _selector: str) -> Check:  # noqa: N802
        """For some objects only: roles don't tell them apart."""
        return self

    def cel_check(self, verb: str) -> Decision:
        """May the user do that?"""
        request = replace(self._request, verb=verb)
        return Decision(MASTERS in self._user.groups or self._authorizer.allowed(self._user, request))


class AuthorizerValue:
    """The variable ``authorizer``."""

    cel_type = "kubernetes.authorization.Authorizer"

    def __init__(self, authorizer: Authorizer, a: Attributes, user: User | None = None) -> None:
        self._authorizer = authorizer
        self._attributes = a
        self._user = user or a.ctx.user

    def cel_field(self, name: str) -> Any:
        """``authorizer.requestResource``: what the request itself is about."""
        if name != "requestResource":
            raise CelError(f"no such key: {name}")
        a = self._attributes
        request = Request(
            "", a.resource.group, a.resource.plural, a.subresource, namespace=a.namespace, name=a.name
        )
        return Check(self._authorizer, self._user, request)

    def cel_group(self, name: str) -> Check:
        """About resources of a group."""
        return Check(self._authorizer, self._user, Request("", name))

    def cel_path(self, path: str) -> Check:
        """About a URL's path."""
        return Check(self._authorizer, self._user, Request("", path=path))

    def cel_serviceAccount(self, namespace: str, name: str) -> AuthorizerValue:  # noqa: N802
        """The same for a service account."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        account = User(f"system:serviceaccount:{namespace}:{name}", groups=groups)
        return AuthorizerValue(self._authorizer, self._attributes, account)
