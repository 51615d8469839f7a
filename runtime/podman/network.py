"""The cluster's own Podman network: made once, checked against everything else that has addresses here.

Two networks with the same addresses make packets vanish without a word, so a clash is found before the first pod
and named: which range, which network or interface, and the option that changes ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import spec
from .addresses import AddressPool
from .interface import NoSuchItem, RuntimeFailure
from .transport import Transport

_LEASED = 254
"""How many addresses at the subnet's end are left to Podman, for containers that others join to the network."""


def lease_range(subnet: str) -> tuple[str, str]:
    """The first and last address that Podman may hand out by itself: the end of the subnet."""
    network = ipaddress.IPv4Network(subnet)
    count = min(_LEASED, network.num_addresses // 4)
    last = int(network.broadcast_address) - 1
    return str(ipaddress.IPv4Address(last - count + 1)), str(ipaddress.IPv4Address(last))


def host_routes(text: str) -> list[tuple[ipaddress.IPv4Network, str]]:
    """(destination, interface) of every route in ``/proc/net/route`` but default ones."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] == "00000000":
            continue
        try:
            destination = int.from_bytes(bytes.fromhex(fields[1]), "little")
            mask = int.from_bytes(bytes.fromhex(fields[7]), "little")
            found.append((ipaddress.IPv4Network((destination, mask.bit_count())), fields[0]))
        except ValueError:
            continue
    return found


def find_clash(
    subnet: str, cluster_id: str, networks: Iterable[dict[str, Any]], routes: Iterable[tuple[Any, str]]
) -> str:
    """A sentence about whatever else uses addresses of ``subnet``; empty when nothing does."""
    ours = ipaddress.IPv4Network(subnet)
    bridges = {spec.bridge_name(cluster_id)}
    for network in networks:
        if network.get("name") == spec.network_name(cluster_id):
            continue
        for entry in network.get("subnets") or ():
            try:
                other = ipaddress.ip_network(str(entry.get("subnet")), strict=False)
            except ValueError:
                continue
            if isinstance(other, ipaddress.IPv4Network) and other.overlaps(ours):
                return f"the pod network {subnet} overlaps with the Podman network {network.get('name')} ({other})"
        bridges.add(str(network.get("network_interface") or ""))
    for destination, interface in routes:
        if interface not in bridges and destination.prefixlen and destination.overlaps(ours):
            return f"the pod network {subnet} overlaps with {destination}, reached through {interface}"
    return ""


async def ensure_network(transport: Transport, cluster_id: str, pool: AddressPool, *, local: bool) -> None:
    """Make the network if it is not there. RuntimeFailure names a clash, or another subnet than the one wanted.

    ``local``: Podman runs on this machine's own network, so that its routes count too.
    """
    name = spec.network_name(cluster_id)
    try:
        existing = await transport.get(f"/networks/{name}/json")
    except NoSuchItem:
        existing = None
    if existing is not None:
        subnets = [str(entry.get("subnet")) for entry in existing.get("subnets") or ()]
        if pool.subnet in subnets:
            return
        try:
            await transport.delete(f"/networks/{name}")
        except RuntimeFailure as error:
            raise RuntimeFailure(
                f"the network {name} has the addresses {', '.join(subnets)}, not {pool.subnet}, and pods use it: "
                f"{error.message}; remove them with: kubetui down",
                "AddressClash",
            ) from error
    routes = host_routes(Path("/proc/net/route").read_text("ascii")) if local else []
    clash = find_clash(pool.subnet, cluster_id, await transport.get("/networks/json") or [], routes)
    if clash:
        raise RuntimeFailure(f"{clash}; choose another range for pods", "AddressClash")
    body = spec.network_body(cluster_id, pool.subnet, pool.gateway, lease_range(pool.subnet))
    await transport.post("/networks/create", body)
