"""Every built-in kind as one registry entry: the tables of kinds, and the registry a cluster starts with."""

from __future__ import annotations

from ..registry import Registry
from . import cluster, core, workloads

__all__ = ["builtin_registry"]


def builtin_registry() -> Registry:
    """A new registry of all built-in kinds, groups and versions in the order upstream's discovery gives them."""
    tables = (
        core.resources,
        cluster.api_registration,
        workloads.apps,
        cluster.events,
        cluster.authentication,
        cluster.authorization,
        workloads.autoscaling,
        workloads.batch,
        cluster.certificates,
        cluster.network,
        workloads.policy,
        cluster.rbac,
        cluster.storages,
        cluster.admission,
        cluster.api_extensions,
        workloads.scheduling,
        cluster.coordination,
        cluster.node,
        cluster.discovery,
        cluster.flow_control,
        cluster.devices,
    )
    return Registry(resource for table in tables for resource in table())
