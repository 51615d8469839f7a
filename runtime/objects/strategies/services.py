"""Services: what the server gave once stays with them when a client writes back less than it read.

Follows registry/core/service/{strategy,storage/storage}.go (``patchAllocatedValues``, ``NormalizeClusterIPs``,
``dropTypeDependentFields``).
"""

from __future__ import annotations

from ..defaults.core import externally_accessible
from ..errors import Obj
from .base import KindStrategy

WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def _normalize(spec: Obj, before: Obj | None) -> None:
    """``clusterIP`` and the first of ``clusterIPs`` are one value under two names.

    A client that knows only the first sets or changes that one alone; who names the second names both.
    """
    first, all_of = spec.get("clusterIP"), spec.get("clusterIPs")
    if before is None:
        if first and not all_of:
            spec["clusterIPs"] = [first]
        return
    was, was_all = before.get("clusterIP"), before.get("clusterIPs")
    if was_all and not all_of and first == was:
        spec["clusterIPs"] = list(was_all)
    elif first != was and (all_of or []) == (was_all or []):
        if first:
            spec["clusterIPs"] = [first]
        else:
            spec.pop("clusterIPs", None)


def _keep_allocated(spec: Obj, before: Obj) -> None:
    """Addresses and node ports that are simply missing are the ones it had."""
    kind, was = spec.get("type"), before.get("type")
    if kind in WITH_ADDRESS and was in WITH_ADDRESS:
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
        if not spec.get("clusterIPs") and before.get("clusterIPs"):
            spec["clusterIPs"] = list(before["clusterIPs"])
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if kind in WITH_NODE_PORTS and was in WITH_NODE_PORTS:
        had = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
        taken = _node_ports(before) & _node_ports(spec)
        for port in spec.get("ports") or ():
            number = had.get(port.get("name", ""))
            if not port.get("nodePort") and number and number not in taken:
                port["nodePort"] = number
    check_port = before.get("healthCheckNodePort")
    if check_port and _needs_check_port(spec) and _needs_check_port(before):
        spec["healthCheckNodePort"] = spec.get("healthCheckNodePort") or check_port


def _node_ports(spec: Obj) -> set[int]:
    return {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}


def _needs_check_port(spec: Obj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _drop(spec: Obj, before: Obj, *names: str) -> None:
    """Forget what no longer applies, unless the client set it to something new."""
    for name in names:
        if name in spec and spec[name] == before.get(name):
            del spec[name]


def _drop_by_type(spec: Obj, before: Obj) -> None:
    """A change of type takes along what belonged to the old one."""
    kind, was = spec.get("type"), before.get("type")
    if was in WITH_ADDRESS and kind not in WITH_ADDRESS:
        _drop(
            spec, before, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"
        )
    lost = was in WITH_NODE_PORTS and kind not in WITH_NODE_PORTS
    if lost and _node_ports(spec) <= _node_ports(
        before
    ):  # one that is new is the client's mistake to hear of
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if _needs_check_port(before) and not _needs_check_port(spec):
        _drop(spec, before, "healthCheckNodePort")
    if was == "LoadBalancer" and kind != "LoadBalancer":
        _drop(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if was == "ExternalName" and kind != "ExternalName":
        _drop(spec, before, "externalName")
    if externally_accessible(before) and not externally_accessible(spec):
        _drop(spec, before, "externalTrafficPolicy")


class ServiceStrategy(KindStrategy):
    """The rules of Services. Giving out addresses and ports is not theirs."""

    def prepare_for_create(self, obj: Obj) -> None:
        """An empty status, and both names of the address."""
        super().prepare_for_create(obj)
        _normalize(obj["spec"], None)

    def prepare_for_update(self, new: Obj, old: Obj) -> None:
        """Keep the status and what was given out; let go of what the new type has no use for."""
        super().prepare_for_update(new, old)
        spec, before = new["spec"], old["spec"]
        _normalize(spec, before)
        _drop_by_type(spec, before)
        _keep_allocated(spec, before)
