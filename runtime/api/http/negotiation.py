"""Which representation a client wants: media type, Table or metadata only, pretty or not.

Follows apiserver's ``endpoints/handlers/negotiation``: the Accept header's clauses are tried in the order of
their quality, clauses that can't be met are skipped, and 406 is the answer only when none is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from runtime.objects.errors import StatusError, not_acceptable, unsupported_media_type

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = {
    JSON_PATCH: "json",
    MERGE_PATCH: "merge",
    STRATEGIC_PATCH: "strategic",
    APPLY_PATCH: "apply",
}

TABLE = "Table"
PARTIAL = "PartialObjectMetadata"
PARTIAL_LIST = "PartialObjectMetadataList"
META_GROUP = "meta.k8s.io"
META_VERSIONS = ("v1", "v1beta1")

_HUMANS = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True, slots=True)
class Clause:
    """One entry of an Accept header."""

    type: str
    subtype: str
    quality: float
    params: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def matches(self, media_type: str) -> bool:
        """Whether the entry, wildcards included, takes this media type."""
        kind, _, sub = media_type.partition("/")
        return self.type in ("*", kind) and self.subtype in ("*", sub)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to answer with."""

    media: str = JSON
    transform: str = ""
    """``""``, ``Table``, ``PartialObjectMetadata`` or ``PartialObjectMetadataList``."""
    version: str = "v1"
    """The version of meta.k8s.io the transformation is wanted in."""
    pretty: bool = False


@lru_cache(maxsize=512)
def parse_accept(header: str) -> tuple[Clause, ...]:
    """The clauses of an Accept header, best first; unreadable ones are left out."""
    clauses = []
    for entry in header.split(","):
        media, *rest = entry.split(";")
        kind, slash, sub = media.strip().lower().partition("/")
        if not slash or not kind or not sub:
            if kind != "*":
                continue
            sub = "*"
        quality, params = 1.0, {}
        for parameter in rest:
            name, _, value = parameter.partition("=")
            name, value = name.strip(), value.strip().strip('"')
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 1.0
            elif name:
                params[name] = value
        clauses.append(Clause(kind, sub, quality, MappingProxyType(params)))
    clauses.sort(key=lambda clause: (-clause.quality, clause.type == "*", clause.subtype == "*"))
    return tuple(clause for clause in clauses if clause.quality > 0)


@lru_cache(maxsize=2048)
def negotiate(
    header: str,
    transforms: frozenset[str] = frozenset(),
    *,
    stream: bool = False,
    protobuf: bool = False,
) -> Accepted:
    """The representation to answer with.

    Args:
        header: the Accept header; empty takes JSON.
        transforms: the transformations this endpoint offers.
        stream: whether the answer is a watch, which YAML can't carry.
        protobuf: whether the objects themselves have a protobuf form. Metadata always has; tables never have.

    Raises:
        StatusError: 406.
    """
    if not header:
        return Accepted()
    offered = (JSON, PROTOBUF) if stream else (JSON, YAML, PROTOBUF)
    for clause in parse_accept(header):
        media = next((media for media in offered if clause.matches(media)), None)
        if media is None:
            continue
        params = clause.params
        if params.get("stream", "watch" if stream else "") not in ("", "watch") or params.get("sv"):
            continue
        if params.get("stream") and not stream:
            continue
        kind, group, version = params.get("as", ""), params.get("g", ""), params.get("v", "")
        if kind or group or version:
            if kind not in transforms or group != META_GROUP or version not in META_VERSIONS:
                continue
            if media == PROTOBUF and kind == TABLE:
                continue
            return Accepted(media, kind, version, params.get("pretty") == "1")
        if media == PROTOBUF and not protobuf:
            continue
        return Accepted(media, pretty=params.get("pretty") == "1")
    named = [media for media in offered if media != PROTOBUF or protobuf or transforms]
    listed = ", ".join(f"{media};stream=watch" if stream else media for media in named)
    raise not_acceptable(f"only the following media types are accepted: {listed}")


def concerns_protobuf(header: str) -> bool:
    """Whether it can matter to an Accept header that a kind has a protobuf form, which costs a look to know."""
    return PROTOBUF in header or not (JSON in header or "*" in header or not header)


def error_media(header: str) -> Accepted:
    """The representation of a failure: what the client prefers of those that a Status has, at least JSON."""
    try:
        return negotiate(header, protobuf=True)
    except StatusError:
        return Accepted()


def wants_pretty(query: Mapping[str, str], user_agent: str) -> bool:
    """Whether to indent: asked for, or a tool that people look at directly."""
    asked = query.get("pretty")
    if asked:
        return asked in ("1", "t", "T", "true", "TRUE", "True")
    return user_agent.startswith(_HUMANS)


def media_type(content_type: str) -> str:
    """The media type of a Content-Type header, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def body_format(content_type: str) -> str:
    """``json``, ``yaml`` or ``protobuf``, for a body that holds an object; no header means JSON.

    Raises:
        StatusError: 415.
    """
    match media_type(content_type):
        case "" | "application/json":
            return "json"
        case "application/yaml":
            return "yaml"
        case _ if media_type(content_type) == PROTOBUF:
            return "protobuf"
    raise unknown_format((JSON, YAML, PROTOBUF))


def patch_type(content_type: str, offered: Mapping[str, str] = MappingProxyType(PATCH_TYPES)) -> str:
    """``json``, ``merge``, ``strategic`` or ``apply``.

    Raises:
        StatusError: 415.
    """
    found = offered.get(media_type(content_type))
    if found is None:
        raise unknown_format(tuple(offered))
    return found


def unknown_format(offered: tuple[str, ...]) -> StatusError:
    """415, naming what would have been taken."""
    return unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(offered)
    )
