"""What is there before anybody asks for it: namespaces, the API's own Service and range, roles,
system priorities.

``pkg/controlplane/controller/{systemnamespaces,kubernetesservice,defaultservicecidr}``,
``pkg/registry/rbac/rest/storage_rbac.go`` and ``pkg/registry/scheduling/rest``. Runs at every start: what is missing
is made, rules that a newer version brought are added, and what its owner took out of automatic care stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError

from .api import API
from .context import RequestContext, system_user
from .policy import AUTOUPDATE, cluster_role_bindings, cluster_roles
from .rules import missing

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
FIRST_PRIORITY = 18000
_PRIORITIES = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


async def ensure_cluster(api: API, *, cluster_ip: str, port: int, address: str = "") -> None:
    """Make what every cluster has, where it is missing.

    Args:
        api: the operations.
        cluster_ip: the address of the ``kubernetes`` Service.
        port: where the API server itself listens.
        address: the machine's address, which that Service stands for; none where it has but loopback.
    """
    api.expiry.attend()
    api.compaction.attend()
    user = system_user("system:apiserver")
    ctx = RequestContext(user, "kube-apiserver", field_validation="Ignore", own=True)
    plain: list[Obj] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in SYSTEM_NAMESPACES
    ]
    plain += cluster_role_bindings()
    plain += [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }
        for name, value, description in _PRIORITIES
    ]
    plain.append(kubernetes_service(cluster_ip, port))
    plain.append(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": [api.service_cidr]},
        }
    )
    plain += api_services(api.registry.groups())
    # All at once, so that they share a few writes of the disk; each sees those before it.
    await asyncio.gather(
        *(_ensure(api, ctx, obj) for obj in plain),
        *(_ensure_rules(api, ctx, role) for role in cluster_roles()),
        *(_renew(api, ctx, obj) for obj in (kubernetes_endpoints(address, port) if address else ())),
    )


def kubernetes_service(cluster_ip: str, port: int) -> Obj:
    """The Service by which pods find the API."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
            "sessionAffinity": "None",
        },
    }


def kubernetes_endpoints(address: str, port: int) -> tuple[Obj, Obj]:
    """What is behind that Service, as Endpoints and as the EndpointSlice that they are not mirrored to.

    ``pkg/controlplane/reconcilers/{instancecount,endpointsadapter}.go``.
    """
    metadata = {"name": "kubernetes", "namespace": "default"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return (
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {**metadata, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv6" if ":" in address else "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )


def api_services(groups: Mapping[str, Sequence[str]]) -> list[Obj]:
    """What aggregators call the groups and versions that are served here, first ones first.

    Upstream's priorities come from a table whose only use is the order that discovery gives groups in
    (``pkg/controlplane/apiserver/aggregator.go``); that is the order they are in here.
    """
    return [
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {
                "name": f"{version}.{group}",
                "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
            },
            "spec": {
                **({"group": group} if group else {}),
                "version": version,
                "groupPriorityMinimum": FIRST_PRIORITY - 50 * place,
                "versionPriority": 15 - index,
            },
        }
        for place, (group, versions) in enumerate(groups.items())
        for index, version in enumerate(versions)
        if group != "apiregistration.k8s.io"
    ]


async def _ensure(api: API, ctx: RequestContext, obj: Obj) -> Obj | None:
    """Create the object unless it is there; gives the one that is."""
    resource = api.registry.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None, f"{obj['kind']} is not registered"
    namespace = meta.namespace_of(obj)
    found = api.view.get(resource.storage_resource, namespace, meta.name_of(obj))
    if found is None:
        try:
            await api.create(ctx, resource, namespace, obj)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
    return found


async def _renew(api: API, ctx: RequestContext, obj: Obj) -> None:
    """Create it, or make all but its metadata what it is now: where the API listens may change between starts."""
    found = await _ensure(api, ctx, obj)
    if found is None or all(found.get(name) == value for name, value in obj.items() if name != "metadata"):
        return
    resource = api.registry.by_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None
    changed = {**meta.copy(found), **obj, "metadata": meta.copy(found["metadata"])}
    await api.update(ctx, resource, meta.namespace_of(obj), meta.name_of(obj), changed)


async def _ensure_rules(api: API, ctx: RequestContext, role: Obj) -> None:
    """Create the role, or add the rules that a stored one lacks (rbac ``reconciliation``, never removing)."""
    found = await _ensure(api, ctx, role)
    if found is None or meta.annotations_of(found).get(AUTOUPDATE) == "false" or "aggregationRule" in role:
        return
    lacking = missing(found.get("rules") or [], role["rules"])
    if lacking:
        resource = api.registry.by_kind(role["apiVersion"], role["kind"])
        assert resource is not None
        changed = meta.copy(found)
        changed["rules"] = [*(changed.get("rules") or []), *lacking]
        await api.update(ctx, resource, "", meta.name_of(found), changed)
