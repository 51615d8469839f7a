"""Ranges of Services' addresses become ready and stay while they are needed; each address says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from control_plane import control_plane

from runtime.controllers.servicecidrs import FINALIZER, contains
from runtime.objects.addresses import ADDRESSES, RANGES
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import name_of


def range_of(name: str, *cidrs: str) -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
    }


def service(name: str, address: str = "") -> Obj:
    spec: Obj = {"ports": [{"port": 80}], **({"clusterIP": address} if address else {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def ready(range_: Obj | None) -> str:
    conditions = ((range_ or {}).get("status") or {}).get("conditions") or [{"status": ""}]
    return str(conditions[0]["status"])


@pytest.mark.parametrize(
    ("cidr", "address", "inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("fd00::/64", "10.1.2.3", False),
        ("fd00::/64", "fd00::a", True),
    ],
)
def test_contains(cidr: str, address: str, inside: bool) -> None:
    assert contains(range_of("a", cidr), address) is inside


async def test_the_clusters_own_range_is_there(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        own = await plane.until(lambda: plane.get(RANGES, "kubernetes", ""))
        assert own["spec"] == {"cidrs": ["10.96.0.0/16"]}
        await plane.until(lambda: ready(plane.get(RANGES, "kubernetes", "")) == "True")
        own = plane.get(RANGES, "kubernetes", "")
        assert own["metadata"]["finalizers"] == [FINALIZER]
        assert own["status"]["conditions"][0]["message"] == "Kubernetes Service CIDR is ready"


async def test_each_address_of_a_service_has_an_object(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(service("web", "10.96.5.5"), "default")
        found = await plane.until(lambda: plane.get(ADDRESSES, "10.96.5.5", ""))
        assert found["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        assert found["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "web"}
        await plane.client.delete(ADDRESSES, "10.96.5.5")
        uid = found["metadata"]["uid"]
        await plane.until(lambda: (plane.get(ADDRESSES, "10.96.5.5", "") or found)["metadata"]["uid"] != uid)
        await plane.client.delete("services", "web", "default")
        await plane.until(lambda: plane.get(ADDRESSES, "10.96.5.5", "") is None)


async def test_what_others_hold_is_given_to_no_service(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        parent = {"group": "example.com", "resource": "things", "name": "x"}
        theirs = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": "10.96.7.7"},
            "spec": {"parentRef": parent},
        }
        await plane.client.create(theirs)
        with pytest.raises(StatusError, match="provided IP is already allocated"):
            await plane.client.create(service("web", "10.96.7.7"), "default")
        assert plane.get(ADDRESSES, "10.96.7.7", "") is not None


async def test_services_take_addresses_of_a_further_range_while_it_is_ready(tmp_path: Path) -> None:
    clock = ManualClock()
    async with control_plane(tmp_path, clock=clock) as plane:
        with pytest.raises(StatusError, match="the provided network does not match the current range"):
            await plane.client.create(service("web", "203.0.113.10"), "default")
        await plane.client.create(range_of("more", "203.0.113.0/24"))
        await plane.until(lambda: ready(plane.get(RANGES, "more", "")) == "True")
        await plane.client.create(service("web", "203.0.113.10"), "default")
        await plane.until(lambda: plane.get(ADDRESSES, "203.0.113.10", ""))
        with pytest.raises(StatusError, match="is not in the valid range"):
            await plane.client.create(service("first", "203.0.113.0"), "default")

        await plane.client.delete(RANGES, "more")
        await plane.until(lambda: ready(plane.get(RANGES, "more", "")) == "False")
        blocked = plane.get(RANGES, "more", "")
        assert blocked["status"]["conditions"][0]["reason"] == "Terminating"
        with pytest.raises(StatusError, match="does not match the current range"):
            await plane.client.create(service("late", "203.0.113.11"), "default")
        await plane.client.delete("services", "web", "default")
        plane.step = 1.0
        await plane.until(lambda: plane.get(RANGES, "more", "") is None)


async def test_a_range_within_another_goes_though_its_addresses_are_used(tmp_path: Path) -> None:
    clock = ManualClock()
    async with control_plane(tmp_path, clock=clock) as plane:
        await plane.client.create(range_of("inner", "10.96.8.0/24"))
        await plane.until(lambda: ready(plane.get(RANGES, "inner", "")) == "True")
        await plane.client.create(service("web", "10.96.8.10"), "default")
        await plane.until(lambda: plane.get(ADDRESSES, "10.96.8.10", ""))
        await plane.client.delete(RANGES, "inner")
        plane.step = 1.0
        await plane.until(lambda: plane.get(RANGES, "inner", "") is None)
        assert [name_of(one) for one in plane.all(RANGES, "")] == ["kubernetes"]
