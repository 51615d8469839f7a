"""Who may do what: RBAC over the stored roles and bindings.

Every operation asks here first. Parts of the control plane ask thousands of times a second, so the answer for
``system:masters`` costs a tuple search, and every other decision is remembered until a role or binding changes.
Follows ``plugin/pkg/auth/authorizer/rbac/rbac.go`` and ``pkg/registry/rbac/validation/rule.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from runtime.objects.errors import Obj, StatusError, forbidden, not_found
from runtime.objects.registry import Resource

from .context import MASTERS, RequestContext, User
from .rules import Request, describe, missing, names_allowed

RBAC_GROUP = "rbac.authorization.k8s.io"
ROLES = "roles.rbac.authorization.k8s.io"
CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"

_CACHE_LIMIT = 20_000


class RoleReader(Protocol):
    """Where roles and bindings are read from (the store, newest state)."""

    def list(self, resource: str, namespace: str = "") -> list[Obj]:
        """All objects of a resource."""
        ...


class Authorizer:
    """Decides requests by the RBAC objects it reads; forget what it remembers with :meth:`invalidate`."""

    def __init__(self, reader: RoleReader) -> None:
        self._reader = reader
        self._decisions: dict[tuple[str, ...], frozenset[str] | None] = {}
        """(user, groups, request without the name) → the names it is allowed for; None means for all."""
        self._rules: dict[tuple[str, tuple[str, ...], str], list[Obj]] = {}
        self._roles: dict[tuple[str, str], list[Obj]] | None = None
        self._bindings: list[tuple[str, Obj]] = []

    def invalidate(self) -> None:
        """A role or binding changed."""
        self._decisions.clear()
        self._rules.clear()
        self._roles = None

    def allowed(self, user: User, request: Request) -> bool:
        """Whether the user may make this request."""
        if MASTERS in user.groups:
            return True
        key = (
            user.name,
            *user.groups,
            "",
            request.verb,
            request.group,
            request.resource,
            request.subresource,
            request.namespace,
            request.path,
        )
        if key not in self._decisions:
            if len(self._decisions) >= _CACHE_LIMIT:
                self._decisions.clear()
            self._decisions[key] = names_allowed(self.rules_for(user, request.namespace), request)
        names = self._decisions[key]
        return names is None or request.name in names

    def require(self, user: User, request: Request) -> None:
        """Return when allowed.

        Raises:
            StatusError: 403 in Kubernetes' sentence.
        """
        if MASTERS not in user.groups and not self.allowed(user, request):
            raise refusal(user, request)

    def rules_for(self, user: User, namespace: str) -> list[Obj]:
        """All PolicyRules that apply to the user in the namespace (``""``: cluster-wide ones only)."""
        key = (user.name, user.groups, namespace)
        known = self._rules.get(key)
        if known is None:
            if len(self._rules) >= _CACHE_LIMIT:
                self._rules.clear()
            known = self._rules[key] = self._collect(user, namespace)
        return known

    def role_rules(self, reference: Obj, namespace: str) -> list[Obj]:
        """The rules of the (Cluster)Role that a roleRef names; none if there is no such role."""
        return self._load().get(
            (namespace if reference.get("kind") == "Role" else "", reference.get("name", "")), []
        )

    def role_exists(self, reference: Obj, namespace: str) -> bool:
        """Whether the (Cluster)Role that a roleRef names is there."""
        return (
            namespace if reference.get("kind") == "Role" else "",
            reference.get("name", ""),
        ) in self._load()

    def _load(self) -> dict[tuple[str, str], list[Obj]]:
        if self._roles is None:
            roles: dict[tuple[str, str], list[Obj]] = {}
            for role in self._reader.list(CLUSTER_ROLES):
                roles[("", role["metadata"]["name"])] = role.get("rules") or []
            for role in self._reader.list(ROLES):
                roles[(role["metadata"]["namespace"], role["metadata"]["name"])] = role.get("rules") or []
            self._bindings = [("", binding) for binding in self._reader.list(CLUSTER_ROLE_BINDINGS)]
            self._bindings += [(b["metadata"]["namespace"], b) for b in self._reader.list(ROLE_BINDINGS)]
            self._roles = roles
        return self._roles

    def _collect(self, user: User, namespace: str) -> list[Obj]:
        self._load()
        rules: list[Obj] = []
        for scope, binding in self._bindings:
            if scope and scope != namespace:
                continue
            if any(_is_subject(user, subject, scope) for subject in binding.get("subjects") or ()):
                rules.extend(self.role_rules(binding.get("roleRef") or {}, scope))
        return rules


def _is_subject(user: User, subject: Obj, scope: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(user.name == subject.get("name"))
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            namespace = subject.get("namespace") or scope
            return (
                bool(namespace) and user.name == f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{subject.get('name')}"
            )
    return False


def refusal(user: User, request: Request, reason: str = "") -> StatusError:
    """403, worded as apiserver's ``responsewriters/errors.go`` words it."""
    if request.path:
        why = f'User "{user.name}" cannot {request.verb} path "{request.path}"'
    else:
        scope = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
        why = (
            f'User "{user.name}" cannot {request.verb} resource "{request.full_resource}" '
            f'in API group "{request.group}" {scope}'
        )
    why = why.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if reason:
        why = f"{why}: {reason}"
    return forbidden(request.resource, request.name, why, request.group)


class EscalationCheck:
    """Nobody grants what he does not hold, unless he may ``escalate`` roles or ``bind`` them.

    ``pkg/registry/rbac/{role,rolebinding,...}/policybased/storage.go``.
    """

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def check(
        self, ctx: RequestContext, resource: Resource, namespace: str, new: Obj, old: Obj | None
    ) -> None:
        """Refuse a write of a role or binding that would raise the writer's own rights.

        Raises:
            StatusError: 403 naming the permissions that are missing, or 404 for an unknown role.
        """
        if MASTERS in ctx.user.groups:
            return
        name = new["metadata"].get("name", "")
        if resource.plural in ("roles", "clusterroles"):
            if old is not None and old.get("rules") == new.get("rules") and _same_aggregation(old, new):
                return
            if self._may(ctx.user, "escalate", resource.plural, namespace, name):
                return
            if new.get("aggregationRule") and not self._holds_everything(ctx.user):
                raise forbidden(
                    resource.plural,
                    name,
                    "must have cluster-admin privileges to use the aggregationRule",
                    RBAC_GROUP,
                )
            self._confirm(ctx.user, resource, namespace, name, new.get("rules") or [])
        else:
            reference = new.get("roleRef") or {}
            if (
                old is not None
                and old.get("roleRef") == reference
                and old.get("subjects") == new.get("subjects")
            ):
                return
            plural = "roles" if reference.get("kind") == "Role" else "clusterroles"
            if self._may(ctx.user, "bind", plural, namespace, reference.get("name", "")):
                return
            if not self._authorizer.role_exists(reference, namespace):
                raise not_found(plural, reference.get("name", ""), RBAC_GROUP)
            rules = self._authorizer.role_rules(reference, namespace)
            self._confirm(ctx.user, resource, namespace, name, rules)

    def _may(self, user: User, verb: str, plural: str, namespace: str, name: str) -> bool:
        return self._authorizer.allowed(user, Request(verb, RBAC_GROUP, plural, "", namespace, name))

    def _holds_everything(self, user: User) -> bool:
        everything: list[Obj] = [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]
        return not missing(self._authorizer.rules_for(user, ""), everything)

    def _confirm(
        self, user: User, resource: Resource, namespace: str, name: str, rules: Iterable[Obj]
    ) -> None:
        lacking = missing(self._authorizer.rules_for(user, namespace), rules)
        if lacking:
            groups = " ".join(f'"{group}"' for group in user.groups)
            raise forbidden(
                resource.plural,
                name,
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently '
                "held:\n" + "\n".join(describe(lacking)),
                RBAC_GROUP,
            )


def _same_aggregation(old: Obj, new: Obj) -> bool:
    return bool(old.get("aggregationRule") == new.get("aggregationRule"))
