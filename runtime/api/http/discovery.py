"""Discovery: which groups, versions and kinds there are, in the old form and the aggregated one.

Clients before 1.26 and kr8s read ``/api/v1`` and ``/apis/GROUP/VERSION`` one by one; newer ones ask ``/api`` and
``/apis`` for everything at once (``apidiscovery.k8s.io``). Documents are kept while the registry is the same, and
aggregated ones carry an ETag, so that clients need not load them twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from runtime.objects.errors import Obj
from runtime.objects.registry import Registry, Resource, Subresource

from .negotiation import parse_accept

AGGREGATED_GROUP = "apidiscovery.k8s.io"
AGGREGATED_KIND = "APIGroupDiscoveryList"
AGGREGATED_VERSIONS = ("v2", "v2beta1")


@dataclass(frozen=True, slots=True)
class Document:
    """A finished discovery document."""

    body: bytes
    content_type: str = "application/json"
    etag: str = ""


def aggregated_version(accept: str) -> str:
    """``v2`` or ``v2beta1`` when the Accept header prefers aggregated discovery, else ""."""
    for clause in parse_accept(accept):
        if not clause.matches("application/json"):
            continue
        params = clause.params
        if not params.get("as"):
            return ""
        if (
            params.get("g") == AGGREGATED_GROUP
            and params["as"] == AGGREGATED_KIND
            and params.get("v") in AGGREGATED_VERSIONS
        ):
            return params["v"]
    return ""


def _kind_of(resource: Resource, sub: Subresource) -> tuple[str, str, str]:
    """The kind a subresource sends and takes; its own kind is the resource's."""
    return resource.gvk if sub.kind == resource.kind else (sub.group, sub.version, sub.kind)


def _storage_hash(resource: Resource) -> str:
    version = resource.version if resource.custom is None else resource.custom.storage_version
    text = f"{resource.group}/{version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _singular(resource: Resource) -> str:
    return resource.singular or resource.kind.lower()


def _subresources(resource: Resource) -> Sequence[Subresource]:
    """In upstream's order: by name, but a custom resource's status comes before its scale."""
    if resource.custom is not None:
        return resource.subresources
    return sorted(resource.subresources, key=lambda one: one.name)


def resource_list(resources: list[Resource], group: str, version: str) -> Obj:
    """APIResourceList of one group version."""
    entries: list[Obj] = []
    for resource in sorted(resources, key=lambda one: one.plural):
        entry: Obj = {
            "name": resource.plural,
            "singularName": _singular(resource),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": sorted(resource.offered),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if resource.stored:
            entry["storageVersionHash"] = _storage_hash(resource)
        entries.append(entry)
        for sub in _subresources(resource):
            sub_group, sub_version, kind = _kind_of(resource, sub)
            below: Obj = {
                "name": f"{resource.plural}/{sub.name}",
                "singularName": "",
                "namespaced": resource.namespaced,
            }
            if (sub_group, sub_version) != (group, version):
                below["group"] = sub_group
                below["version"] = sub_version
            entries.append({**below, "kind": kind, "verbs": sorted(sub.verbs)})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": entries,
    }


def api_group(group: str, versions: list[str]) -> Obj:
    """APIGroup, without kind and apiVersion."""
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def aggregated(groups: dict[str, dict[str, list[Resource]]], version: str) -> Obj:
    """APIGroupDiscoveryList of groups, their versions and kinds."""

    def kind(group: str, kind_version: str, name: str) -> Obj:
        return {"group": group, "version": kind_version, "kind": name}

    def entry(resource: Resource) -> Obj:
        found: Obj = {
            "resource": resource.plural,
            "responseKind": kind(*resource.gvk),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": _singular(resource),
            "verbs": sorted(resource.offered),
        }
        if resource.short_names:
            found["shortNames"] = list(resource.short_names)
        if resource.categories:
            found["categories"] = list(resource.categories)
        if resource.subresources:
            found["subresources"] = [
                {
                    "subresource": sub.name,
                    "responseKind": kind(*_kind_of(resource, sub)),
                    "verbs": sorted(sub.verbs),
                }
                for sub in _subresources(resource)
            ]
        return found

    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": group_version,
                    "resources": [entry(one) for one in sorted(resources, key=lambda one: one.plural)],
                    "freshness": "Current",
                }
                for group_version, resources in versions.items()
            ],
        }
        for group, versions in groups.items()
    ]
    return {
        "kind": AGGREGATED_KIND,
        "apiVersion": f"{AGGREGATED_GROUP}/{version}",
        "metadata": {},
        "items": items,
    }


class Discovery:
    """All discovery documents of one registry."""

    def __init__(self, registry: Registry, server_address: str) -> None:
        """``server_address`` is ``HOST:PORT``, told to clients as the place to reach this server."""
        self._registry = registry
        self._addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
        self._built_for: list[Resource] = []
        self._documents: dict[str, Document | None] = {}

    def get(self, path: str, accept: str) -> Document | None:
        """The document at ``/api``, ``/apis``, ``/api/v1``, ``/apis/G`` or ``/apis/G/V``; None if there is none."""
        resources = list(self._registry)
        if len(resources) != len(self._built_for) or any(
            a is not b for a, b in zip(resources, self._built_for, strict=True)
        ):
            self._built_for = resources
            self._documents.clear()
        parts = [part for part in path.split("/") if part]
        version = aggregated_version(accept) if len(parts) == 1 else ""
        key = f"{'/'.join(parts)};{version}"
        if key not in self._documents:
            if len(self._documents) > 512:  # paths that do not exist are remembered too
                self._documents.clear()
            self._documents[key] = self._build(parts, version)
        return self._documents[key]

    def _build(self, parts: list[str], version: str) -> Document | None:
        groups = self._groups()
        legacy = parts[0] == "api"
        if len(parts) == 1 and version:
            return self._aggregated(groups, legacy, version)
        builders: dict[tuple[bool, int], Callable[[], Obj | None]] = {
            (True, 1): lambda: {
                "kind": "APIVersions",
                "versions": groups.get("", []),
                "serverAddressByClientCIDRs": self._addresses,
            },
            (False, 1): lambda: {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [api_group(group, versions) for group, versions in groups.items() if group],
            },
            (True, 2): lambda: self._resources(groups, "", parts[1]),
            (False, 2): lambda: (
                {"kind": "APIGroup", "apiVersion": "v1", **api_group(parts[1], groups[parts[1]])}
                if parts[1] in groups
                else None
            ),
            (False, 3): lambda: self._resources(groups, parts[1], parts[2]),
        }
        build = builders.get((legacy, len(parts)))
        found = build() if build else None
        return None if found is None else Document(orjson.dumps(found))

    def _kinds(self, group: str, version: str) -> list[Resource]:
        return [one for one in self._registry.in_version(group, version) if one.listed]

    def _groups(self) -> dict[str, list[str]]:
        """Group → its versions that have a kind to tell of."""
        groups = self._registry.groups()
        for group, version in {(one.group, one.version) for one in self._built_for if not one.listed}:
            if not self._kinds(group, version):
                groups[group].remove(version)
                if not groups[group]:
                    del groups[group]
        return groups

    def _resources(self, groups: dict[str, list[str]], group: str, version: str) -> Obj | None:
        if version not in groups.get(group, ()):
            return None
        return resource_list(self._kinds(group, version), group, version)

    def _aggregated(self, groups: dict[str, list[str]], legacy: bool, version: str) -> Document:
        chosen = {
            group: {one: self._kinds(group, one) for one in versions}
            for group, versions in groups.items()
            if legacy is not bool(group)
        }
        body = orjson.dumps(aggregated(chosen, version))
        etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
        content_type = f"application/json;g={AGGREGATED_GROUP};v={version};as={AGGREGATED_KIND}"
        return Document(body, content_type, etag)
