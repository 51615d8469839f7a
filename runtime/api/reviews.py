"""Questions to the server that nothing is stored for: who am I, may I, whose token is this.

``pkg/registry/authorization/*`` and ``pkg/registry/authentication/*``.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.objects.errors import FieldError, Obj, invalid, invalid_object, method_not_allowed, required
from runtime.objects.registry import Resource

from .authorization import Authorizer
from .context import MASTERS, RequestContext, TokenIssuer, User
from .rules import Request

Review = Callable[[RequestContext, str, Obj], Obj]


class Reviews:
    """Answers the review kinds by the authorizer and the tokens' issuer."""

    def __init__(self, authorizer: Authorizer, issuer: TokenIssuer | None) -> None:
        self._authorizer = authorizer
        self.issuer = issuer
        self._answers: dict[str, Review] = {
            "SelfSubjectAccessReview": self._self_access,
            "SubjectAccessReview": self._access,
            "LocalSubjectAccessReview": self._local_access,
            "SelfSubjectRulesReview": self._rules,
            "SelfSubjectReview": self._self,
            "TokenReview": self._token,
        }

    def answer(self, ctx: RequestContext, resource: Resource, namespace: str, obj: Obj) -> Obj:
        """The review with its status filled in.

        Raises:
            StatusError: 422 for a review that asks nothing or too much.
        """
        review = self._answers.get(resource.kind)
        if review is None:
            raise method_not_allowed(resource.plural, "create", resource.group)
        return {**obj, "status": review(ctx, namespace, obj)}

    def _self_access(self, ctx: RequestContext, namespace: str, obj: Obj) -> Obj:
        spec = obj.get("spec") or {}
        _check_attributes("SelfSubjectAccessReview", spec)
        return self._decide(ctx.user, spec)

    def _access(self, ctx: RequestContext, namespace: str, obj: Obj) -> Obj:
        spec = obj.get("spec") or {}
        _check_attributes("SubjectAccessReview", spec, subject=True)
        return self._decide(_subject(spec), spec)

    def _local_access(self, ctx: RequestContext, namespace: str, obj: Obj) -> Obj:
        spec = obj.get("spec") or {}
        kind = "LocalSubjectAccessReview"
        _check_attributes(kind, spec, subject=True)
        errors: list[FieldError] = []
        if spec.get("nonResourceAttributes") is not None:
            errors.append(
                invalid(
                    "spec.nonResourceAttributes",
                    spec["nonResourceAttributes"],
                    "disallowed on this kind of request",
                )
            )
        elif (spec.get("resourceAttributes") or {}).get("namespace") != namespace:
            errors.append(
                invalid(
                    "spec.resourceAttributes.namespace",
                    (spec.get("resourceAttributes") or {}).get("namespace", ""),
                    "must match metadata.namespace",
                )
            )
        if errors:
            raise invalid_object(kind, "authorization.k8s.io", "", errors)
        return self._decide(_subject(spec), spec)

    def _decide(self, user: User, spec: Obj) -> Obj:
        request = _request(spec)
        if self._authorizer.allowed(user, request):
            return {"allowed": True, "reason": "RBAC: allowed" if MASTERS not in user.groups else ""}
        return {"allowed": False}

    def _rules(self, ctx: RequestContext, namespace: str, obj: Obj) -> Obj:
        wanted = (obj.get("spec") or {}).get("namespace") or ""
        if not wanted:
            raise invalid_object(
                "SelfSubjectRulesReview",
                "authorization.k8s.io",
                "",
                [required("spec.namespace", "no namespace on request")],
            )
        rules = self._authorizer.rules_for(ctx.user, wanted)
        if MASTERS in ctx.user.groups:
            everything: list[Obj] = [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
            rules = everything + [rule for rule in rules if rule not in everything]
        resource_rules: list[Obj] = []
        url_rules: list[Obj] = []
        for rule in rules:
            if rule.get("resources"):
                kept = ("verbs", "apiGroups", "resources", "resourceNames")
                resource_rules.append({field: rule[field] for field in kept if rule.get(field)})
            if rule.get("nonResourceURLs"):
                url_rules.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
        return {"resourceRules": resource_rules, "nonResourceRules": url_rules, "incomplete": False}

    def _self(self, ctx: RequestContext, namespace: str, obj: Obj) -> Obj:
        return {"userInfo": user_info(ctx.user)}

    def _token(self, ctx: RequestContext, namespace: str, obj: Obj) -> Obj:
        spec = obj.get("spec") or {}
        token = spec.get("token") or ""
        if not token:
            raise invalid_object(
                "TokenReview",
                "authentication.k8s.io",
                "",
                [required("spec.token", "token is required for TokenReview")],
            )
        found = self.issuer.review(token, spec.get("audiences") or []) if self.issuer is not None else None
        if found is None:
            return {"user": {}, "error": "invalid bearer token"}
        user, audiences = found
        return {"authenticated": True, "user": user_info(user), "audiences": audiences}


def user_info(user: User) -> Obj:
    """A user as authentication/v1 UserInfo."""
    info: Obj = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


def _subject(spec: Obj) -> User:
    return User(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()))


def _request(spec: Obj) -> Request:
    url = spec.get("nonResourceAttributes")
    if url is not None:
        return Request(url.get("verb") or "", path=url.get("path") or "/")
    asked = spec.get("resourceAttributes") or {}
    return Request(
        asked.get("verb") or "",
        asked.get("group") or "",
        asked.get("resource") or "",
        asked.get("subresource") or "",
        asked.get("namespace") or "",
        asked.get("name") or "",
    )


def _check_attributes(kind: str, spec: Obj, *, subject: bool = False) -> None:
    """``pkg/apis/authorization/validation``."""
    errors: list[FieldError] = []
    resource, url = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and url is not None:
        errors.append(
            invalid(
                "spec.nonResourceAttributes",
                url,
                "cannot be specified in combination with resourceAttributes",
            )
        )
    if resource is None and url is None:
        errors.append(
            invalid(
                "spec.resourceAttributes",
                None,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        )
    if subject and not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    if errors:
        raise invalid_object(kind, "authorization.k8s.io", "", errors)
