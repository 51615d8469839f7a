"""Which kinds the server has, by every name a person may type.

Aggregated discovery (two requests) where the server has it, the legacy per-group lists otherwise. Only the preferred
version of each group is offered, except for resources that exist in another version alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubetui.live.errors import ApiError
from kubetui.live.objects import Obj
from kubetui.live.target import Target
from kubetui.live.text import near

if TYPE_CHECKING:
    from kubetui.live.client import KubeClient

DISCOVERY_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)

# What k9s calls kinds beside their own names; a server that has a kind of that name means that.
K9S_NAMES = {
    "dp": "deployments.apps", "jo": "jobs.batch", "np": "networkpolicies.networking.k8s.io", "sec": "secrets",
    "ro": "roles.rbac.authorization.k8s.io", "rb": "rolebindings.rbac.authorization.k8s.io",
    "cr": "clusterroles.rbac.authorization.k8s.io", "crb": "clusterrolebindings.rbac.authorization.k8s.io",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One kind as discovery describes it."""

    group: str
    version: str
    resource: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...]
    verbs: frozenset[str]
    subresources: frozenset[str]
    categories: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        """``apps/v1``, ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def names(self) -> tuple[str, ...]:
        """Everything this kind answers to."""
        found = [self.resource, self.singular or self.kind.lower(), *self.short_names]
        if self.group:
            found.append(f"{self.resource}.{self.group}")
        return tuple(found)

    def target(
        self,
        namespace: str = "",
        *,
        table: bool = False,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Target:
        """The collection of this kind in ``namespace`` (all namespaces when empty)."""
        return Target(
            self.group,
            self.version,
            self.resource,
            namespace if self.namespaced else "",
            label_selector,
            field_selector,
            table,
        )


class Catalog:
    """All kinds of one server."""

    def __init__(self, types: Iterable[ResourceType]) -> None:
        self.types = sorted(types, key=lambda t: (t.group != "", t.group, t.resource))
        self._by_name: dict[str, ResourceType] = {}
        self._by_kind: dict[tuple[str, str], ResourceType] = {}
        for found in self.types:
            for name in found.names:
                self._by_name.setdefault(name.lower(), found)
            self._by_name.setdefault(found.kind.lower(), found)
            self._by_kind.setdefault((found.group, found.kind), found)

    def find(self, name: str) -> ResourceType | None:
        """By plural, singular, short name or kind, with ``.group`` or ``.version.group`` behind it; in any case."""
        wanted = name.lower()
        found = self._by_name.get(wanted) or self._by_name.get(K9S_NAMES.get(wanted, ""))
        head, dot, rest = wanted.partition(".")
        if found is None and dot:
            full = ((t, (n.lower() for n in (*t.names, t.kind))) for t in self.types)
            places = (t for t, names in full if head in names and rest in (t.group, f"{t.version}.{t.group}"))
            found = next(places, None)
        return found

    def of_kind(self, api_version: str, kind: str) -> ResourceType | None:
        """By an object's apiVersion and kind (any version of the group will do)."""
        group = api_version.partition("/")[0] if "/" in api_version else ""
        return self._by_kind.get((group, kind))

    def in_category(self, name: str) -> list[ResourceType]:
        """The kinds that ``kubectl get NAME`` lists together, such as ``all``; none where a kind is called so."""
        wanted = name.lower()
        if not wanted or wanted in self._by_name:
            return []
        return [t for t in self.types if "list" in t.verbs and wanted in t.categories]

    def suggest(self, text: str, limit: int = 12) -> list[ResourceType]:
        """Kinds whose names resemble ``text``, best first."""
        scored: list[tuple[int, str, ResourceType]] = []
        for found in self.types:
            if "list" not in found.verbs:
                continue
            names = [n for n in found.names if "." in text or "." not in n]
            best = max((s[0] for n in names if (s := near(text, n)) is not None), default=None)
            if best is not None:
                scored.append((-best, found.resource, found))
        scored.sort(key=lambda item: item[:2])
        return [found for _, _, found in scored[:limit]]


async def discover(client: KubeClient) -> Catalog:
    """Ask the server for all its kinds."""
    answers = await asyncio.gather(
        client.ask("GET", "/api", accept=DISCOVERY_ACCEPT),
        client.ask("GET", "/apis", accept=DISCOVERY_ACCEPT),
    )
    if all(answer.get("kind") == "APIGroupDiscoveryList" for answer in answers):
        return Catalog(found for answer in answers for found in _aggregated(answer))
    return Catalog(await _legacy(client, answers[0], answers[1]))


def _aggregated(answer: Obj) -> list[ResourceType]:
    found: dict[tuple[str, str], ResourceType] = {}
    for item in answer.get("items") or ():
        group = (item.get("metadata") or {}).get("name") or ""
        for version in item.get("versions") or ():
            for resource in version.get("resources") or ():
                key = (group, resource["resource"])
                if key in found or not resource.get("responseKind"):
                    continue
                found[key] = ResourceType(
                    group,
                    version["version"],
                    resource["resource"],
                    str(resource.get("singularResource") or ""),
                    resource["responseKind"]["kind"],
                    resource.get("scope") == "Namespaced",
                    tuple(resource.get("shortNames") or ()),
                    frozenset(resource.get("verbs") or ()),
                    frozenset(s["subresource"] for s in resource.get("subresources") or ()),
                    frozenset(resource.get("categories") or ()),
                )
    return list(found.values())


async def _legacy(client: KubeClient, core: Obj, groups: Obj) -> list[ResourceType]:
    places: list[tuple[str, str, str]] = [("", v, f"/api/{v}") for v in core.get("versions") or ("v1",)]
    for group in groups.get("groups") or ():
        versions = [v["version"] for v in group.get("versions") or ()]
        preferred = (group.get("preferredVersion") or {}).get("version")
        versions.sort(key=lambda v: v != preferred)
        places += [(group["name"], v, f"/apis/{group['name']}/{v}") for v in versions]

    async def fetch(path: str) -> Obj:
        try:
            return await client.get(path)
        except ApiError:
            return {}  # an aggregated API whose server is away must not hide all the others

    lists = await asyncio.gather(*(fetch(path) for _, _, path in places))
    found: dict[tuple[str, str], ResourceType] = {}
    for (group_name, version, _), answer in zip(places, lists, strict=True):
        resources = answer.get("resources") or []
        subresources: dict[str, set[str]] = {}
        for resource in resources:
            parent, slash, rest = resource["name"].partition("/")
            if slash:
                subresources.setdefault(parent, set()).add(rest)
        for resource in resources:
            key = (group_name, resource["name"])
            if "/" in resource["name"] or key in found:
                continue
            found[key] = ResourceType(
                group_name,
                version,
                resource["name"],
                str(resource.get("singularName") or ""),
                resource["kind"],
                bool(resource.get("namespaced")),
                tuple(resource.get("shortNames") or ()),
                frozenset(resource.get("verbs") or ()),
                frozenset(subresources.get(resource["name"], ())),
                frozenset(resource.get("categories") or ()),
            )
    return list(found.values())


# What nearly every server has: the panes of the dashboard open before discovery has answered.
PODS = Target("", "v1", "pods")
DEPLOYMENTS = Target("apps", "v1", "deployments")
REPLICASETS = Target("apps", "v1", "replicasets")
STATEFULSETS = Target("apps", "v1", "statefulsets")
DAEMONSETS = Target("apps", "v1", "daemonsets")
CONTROLLERREVISIONS = Target("apps", "v1", "controllerrevisions")
JOBS = Target("batch", "v1", "jobs")
CRONJOBS = Target("batch", "v1", "cronjobs")
EVENTS = Target("", "v1", "events")
NAMESPACES = Target("", "v1", "namespaces")
NODES = Target("", "v1", "nodes")
MANIFEST_SOURCES = Target("", "v1", "configmaps", "kube-system", "kubetui.io/manifest-source")
