"""What travels with a request and what comes back: the vocabulary of the API's operations.

HTTP handlers, the in-process client and the operations themselves share these few types, so that a request
made over TLS and one made by a controller in this process can't differ in meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from runtime.objects.errors import Obj
from runtime.store import Record

from .repeated import NONE_REPEATED, Repeated

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"
BOOKMARK = "BOOKMARK"

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking (apiserver's ``authentication/user.Info``)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False)


def system_user(name: str) -> User:
    """A part of the control plane that lives in this process and may do everything."""
    return User(name, groups=(MASTERS, AUTHENTICATED))


@dataclass(slots=True)
class RequestContext:
    """One request's surroundings. ``warnings`` is filled by the API, for the Warning header."""

    user: User
    field_manager: str = ""
    dry_run: bool = False
    field_validation: str = "Warn"
    """``Strict``, ``Warn`` or ``Ignore``."""
    warnings: list[str] = field(default_factory=list)
    user_agent: str = ""
    body_size: int = 0
    """Bytes of the request's body where there was one; what limits on object size are judged from."""
    repeated: Repeated = NONE_REPEATED
    """Keys that stand twice in the body; reported together with its unknown fields."""
    annotations: dict[str, str] = field(default_factory=dict)
    """What admission has to say for the audit log."""
    own: bool = False
    """The cluster makes what it can't be without: nobody outside is asked, who might need it to answer."""
    owns_body: bool = False
    """The object handed over was made for this request alone (parsed from a body): no copy is needed."""

    def warn(self, sentence: str) -> None:
        """Add a warning once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @property
    def manager(self) -> str:
        """The field manager: named, or the user agent up to its first slash (``managerOrUserAgent``)."""
        if self.field_manager:
            return self.field_manager
        prefix = self.user_agent.split("/", 1)[0]
        if not prefix.isprintable():
            prefix = "".join(c for c in prefix if c.isprintable())
        return prefix.encode()[:128].decode("utf-8", "ignore") or "unknown"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """metav1.ListOptions as a list reads it."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    """Only watches may ask for them: anything but None is refused."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """metav1.ListOptions as a watch reads it; ``timeout_seconds`` None or 0 means no end."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    continue_: str = ""
    """Only lists are continued: with resourceVersionMatch it is refused."""
    allow_bookmarks: bool = False
    timeout_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class ListResult:
    """One page: records in order of namespace and name, the list's resourceVersion, and what is left.

    ``remaining`` is None where Kubernetes leaves remainingItemCount out.
    """

    records: list[Record]
    version: int
    continue_: str = ""
    remaining: int | None = None


class Answer:
    """What an operation gives back: an object, its JSON, and the HTTP code that fits.

    The JSON of a stored object is the one made when it was written; other answers (Scale, reviews, Status,
    dry runs) are rendered when somebody asks.
    """

    __slots__ = ("_json", "code", "obj")

    def __init__(self, obj: Obj, code: int = 200, json: bytes | None = None) -> None:
        self.obj = obj
        self.code = code
        self._json = json

    @classmethod
    def of(cls, record: Record, code: int = 200) -> Answer:
        """The answer that is a stored object."""
        return cls(record.obj, code, record.json)

    @property
    def json(self) -> bytes:
        """The object as JSON."""
        if self._json is None:
            self._json = orjson.dumps(self.obj)
        return self._json


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed ServiceAccount token and the moment it ends (metav1.Time)."""

    token: str
    expiration: str


class TokenIssuer(Protocol):
    """Who signs and reads ServiceAccount tokens; the keys stay with the authentication side."""

    def issue(
        self,
        *,
        service_account: Obj,
        audiences: Sequence[str],
        expiration_seconds: int,
        bound: Obj | None,
    ) -> IssuedToken:
        """Sign a token for a ServiceAccount.

        Args:
            service_account: the stored ServiceAccount.
            audiences: whom the token is for; empty means the API server itself.
            expiration_seconds: how long it is valid.
            bound: the stored Pod, Secret or Node that it lives and dies with, if any.
        """
        ...

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """Who a token of any kind belongs to and for which of the audiences it holds; None if it doesn't."""
        ...
