"""RBAC rules as arithmetic: does a rule allow a request, and do some rules cover others?

Follows ``pkg/apis/rbac/v1/evaluation_helpers.go`` and component-helpers ``auth/rbac/validation``. Pure functions
over PolicyRule dicts, so that the authorizer, the review APIs and the escalation check agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runtime.objects.errors import Obj


@dataclass(frozen=True, slots=True)
class Request:
    """The attributes an authorizer decides on (apiserver ``authorizer.Attributes``).

    A request for a plain URL has ``path`` set and no resource.
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """``pods`` or ``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def _has(values: Iterable[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in values or wanted in values)  # type: ignore[operator]


def resource_matches(rule: Obj, combined: str, subresource: str) -> bool:
    """Whether the rule's ``resources`` name ``pods/log`` itself, everything, or ``*/log``."""
    for entry in rule.get("resources") or ():
        if entry == "*" or entry == combined:
            return True
        if subresource and len(entry) == len(subresource) + 2 and entry == f"*/{subresource}":
            return True
    return False


def url_matches(rule: Obj, path: str) -> bool:
    """Whether the rule's ``nonResourceURLs`` name the path; a trailing ``*`` stands for any rest."""
    for entry in rule.get("nonResourceURLs") or ():
        if entry == "*" or entry == path or (entry.endswith("*") and path.startswith(entry.rstrip("*"))):
            return True
    return False


def names_allowed(rules: Iterable[Obj], request: Request) -> frozenset[str] | None:
    """The names of objects for which some rule allows the request (its own name aside); None means all names."""
    names: set[str] = set()
    for rule in rules:
        if not _has(rule.get("verbs"), request.verb):
            continue
        if request.path:
            if url_matches(rule, request.path):
                return None
        elif _has(rule.get("apiGroups"), request.group) and resource_matches(
            rule, request.full_resource, request.subresource
        ):
            if not rule.get("resourceNames"):
                return None
            names.update(rule["resourceNames"])
    return frozenset(names)


def _break_down(rule: Obj) -> list[Obj]:
    """A rule as rules of one group, one resource, one verb and at most one name each."""
    pieces: list[Obj] = []
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            pieces.append({"verbs": [verb], "nonResourceURLs": [url]})
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                names = rule.get("resourceNames") or ()
                for name in names:
                    pieces.append(
                        {
                            "verbs": [verb],
                            "apiGroups": [group],
                            "resources": [resource],
                            "resourceNames": [name],
                        }
                    )
                if not names:
                    pieces.append({"verbs": [verb], "apiGroups": [group], "resources": [resource]})
    return pieces


def _covers_piece(owner: Obj, piece: Obj) -> bool:
    if not _has(owner.get("verbs"), piece["verbs"][0]):
        return False
    if "nonResourceURLs" in piece:
        return url_matches(owner, piece["nonResourceURLs"][0])
    resource = piece["resources"][0]
    _, _, subresource = resource.partition("/")
    if not _has(owner.get("apiGroups"), piece["apiGroups"][0]):
        return False
    if not resource_matches(owner, resource, subresource):
        return False
    names = owner.get("resourceNames")
    if not names:
        return True
    return "resourceNames" in piece and piece["resourceNames"][0] in names


def missing(owned: Sequence[Obj], wanted: Iterable[Obj]) -> list[Obj]:
    """The single permissions of ``wanted`` that ``owned`` does not include (``validation.Covers``)."""
    return [
        piece
        for rule in wanted
        for piece in _break_down(rule)
        if not any(_covers_piece(owner, piece) for owner in owned)
    ]


def describe(rules: Iterable[Obj]) -> list[str]:
    """Permissions as the escalation sentence lists them, with the verbs of one subject together, sorted."""
    together: dict[tuple[str, ...], list[str]] = {}
    shape: dict[tuple[str, ...], Obj] = {}
    for rule in rules:
        key = tuple(f"{field}={rule[field]}" for field in sorted(rule) if field != "verbs")
        verbs = together.setdefault(key, [])
        verbs.extend(verb for verb in rule["verbs"] if verb not in verbs)
        shape[key] = rule
    sentences = []
    for key, verbs in together.items():
        parts = []
        for field, title in (
            ("apiGroups", "APIGroups"),
            ("resources", "Resources"),
            ("nonResourceURLs", "NonResourceURLs"),
            ("resourceNames", "ResourceNames"),
        ):
            if shape[key].get(field):
                parts.append(f"{title}:{_quoted(shape[key][field])}")
        parts.append(f"Verbs:{_quoted(verbs)}")
        sentences.append("{" + ", ".join(parts) + "}")
    return sorted(sentences)


def _quoted(values: Iterable[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
