"""Who is asking: client certificates, bearer tokens, nobody; and on whose behalf.

Follows the order of apiserver's union authenticator: a client certificate signed by our authority, then a bearer
token (static, then ServiceAccount). A token that is presented and not good is 401 even where anonymous
requests are answered. Impersonation follows ``endpoints/filters/impersonation``.
"""

from __future__ import annotations

import base64
import csv
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from multidict import CIMultiDict, CIMultiDictProxy

from runtime.api.context import AUTHENTICATED, UNAUTHENTICATED, User
from runtime.api.rules import Request as Attributes
from runtime.objects.errors import bad_request, unauthorized

from .tokens import InvalidToken, ServiceAccountTokens, service_account_user

ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))
PUBLIC_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."
"""A WebSocket subprotocol that carries a bearer token, for browsers (``request/websocket/protocol.go``)."""

Headers = CIMultiDictProxy[str] | CIMultiDict[str]


class Authorizer(Protocol):
    """What impersonation asks (see :mod:`runtime.api.authorization`)."""

    def require(self, user: User, request: Attributes) -> None:
        """Return when allowed, else raise StatusError 403."""
        ...


def certificate_user(certificate: Mapping[str, Any] | None) -> User | None:
    """The user a verified client certificate names: CN is the name, every O a group.

    ``certificate`` is what ``ssl.SSLSocket.getpeercert()`` gives.
    """
    if not certificate:
        return None
    name, groups = "", []
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    if not name:
        return None
    return User(name, groups=(*groups, AUTHENTICATED))


def read_tokens(path: Path) -> dict[str, User]:
    """A static token file: ``token,user,uid[,"group,group"]`` a line.

    Raises:
        OSError: it can't be read.
        ValueError: a line has fewer than three columns.
    """
    users: dict[str, User] = {}
    with path.open(newline="") as stream:
        for number, row in enumerate(csv.reader(stream, skipinitialspace=True), 1):
            if not row:
                continue
            if len(row) < 3:
                raise ValueError(
                    f"{path}:{number}: expected at least 3 columns (token, user name, user uid), found {len(row)}"
                )
            groups = [group.strip() for group in row[3].split(",")] if len(row) > 3 and row[3] else []
            if row[0]:
                users[row[0]] = User(row[1], row[2], (*groups, AUTHENTICATED))
    return users


class Authenticator:
    """Turns a connection and a request's headers into a user."""

    def __init__(self, static: Mapping[str, User], tokens: ServiceAccountTokens) -> None:
        self._static = static
        self._tokens = tokens

    def authenticate(self, peer: User | None, headers: Headers) -> User | None:
        """The user, or None when no credentials were presented.

        Raises:
            StatusError: 401, the credentials are no good.
        """
        if peer is not None:
            return peer
        token = bearer_token(headers)
        if token is None:
            return None
        found = self.token_user(token, ())
        if found is None:
            raise unauthorized()
        return found[0]

    def token_user(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """Whose token this is and for which audiences it holds; None when it is no good."""
        for known, user in self._static.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return user, list(audiences) or [self._tokens.issuer]
        try:
            return self._tokens.verify(token, audiences)
        except InvalidToken:
            return None


def bearer_token(headers: Headers) -> str | None:
    """The token of the Authorization header or of a WebSocket subprotocol, if one was sent."""
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    for value in headers.getall("Sec-WebSocket-Protocol", ()):
        for protocol in value.split(","):
            protocol = protocol.strip()
            if protocol.startswith(TOKEN_PROTOCOL):
                text = protocol.removeprefix(TOKEN_PROTOCOL)
                try:
                    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
                except ValueError as error:
                    raise unauthorized() from error
    return None


def impersonate(user: User, headers: Headers, authorizer: Authorizer) -> User:
    """The user to act as: the one that the Impersonate-… headers name, or ``user`` without them.

    Raises:
        StatusError: 403 when ``user`` may not act as that one, 400 when a group or extra comes without a user.
    """
    if not any(key[:12].lower() == "impersonate-" for key in headers):
        return user
    name = headers.get("Impersonate-User", "")
    groups = headers.getall("Impersonate-Group", [])
    uid = headers.get("Impersonate-Uid", "")
    extra: dict[str, list[str]] = {}
    for key, value in headers.items():
        if key.lower().startswith("impersonate-extra-"):
            extra.setdefault(unquote(key[len("impersonate-extra-") :].lower()), []).append(value)
    if not name:
        if groups or uid or extra:
            raise bad_request("requested impersonation without impersonating a user")
        return user

    def may(
        resource: str, value: str, *, group: str = "", subresource: str = "", namespace: str = ""
    ) -> None:
        authorizer.require(user, Attributes("impersonate", group, resource, subresource, namespace, value))

    parts = name.split(":")
    if len(parts) == 4 and name.startswith("system:serviceaccount:"):
        may("serviceaccounts", parts[3], namespace=parts[2])
        implied = service_account_user(parts[2], parts[3]).groups[:2]
    else:
        may("users", name)
        implied = ()
    for group in groups:
        may("groups", group)
    for key, values in extra.items():
        for value in values:
            may("userextras", value, group="authentication.k8s.io", subresource=key)
    if uid:
        may("uids", uid, group="authentication.k8s.io")
    held = tuple(groups) or implied
    if name != ANONYMOUS.name:
        if AUTHENTICATED not in held and UNAUTHENTICATED not in held:
            held = (*held, AUTHENTICATED)
    elif UNAUTHENTICATED not in held:
        held = (*held, UNAUTHENTICATED)
    return User(name, uid, held, extra)


class TokenReviewer:
    """The :class:`runtime.api.context.TokenIssuer` that operations use: signs, and reviews tokens of any kind."""

    def __init__(self, tokens: ServiceAccountTokens, authenticator: Authenticator) -> None:
        self.issue = tokens.issue
        self._authenticator = authenticator

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """Who a token belongs to and for which of the audiences it holds; None if it doesn't."""
        return self._authenticator.token_user(token, audiences)


def is_public(path: str) -> bool:
    """Whether a path answers those who present no credentials."""
    return path in PUBLIC_PATHS or path.startswith(("/livez/", "/readyz/", "/healthz/"))
