from __future__ import annotations

from pathlib import Path

from control_plane import ControlPlane, control_plane

from runtime.controllers.endpointmirror import is_mirrored, mirrored
from runtime.controllers.endpoints import hints_of
from runtime.objects import meta
from runtime.objects.errors import Obj

SLICES = "endpointslices.discovery.k8s.io"


def service(**spec: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def endpoints(*subsets: Obj, **metadata: object) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "db", "namespace": "default", **metadata},
        "subsets": list(subsets),
    }


def _slices(plane: ControlPlane) -> list[Obj]:
    return [s for s in plane.all(SLICES) if meta.labels_of(s).get("kubernetes.io/service-name") == "db"]


def test_what_is_not_mirrored() -> None:
    assert is_mirrored(endpoints())
    assert not is_mirrored(endpoints(labels={"endpointslice.kubernetes.io/skip-mirror": "true"}))
    assert not is_mirrored(endpoints(annotations={"control-plane.alpha.kubernetes.io/leader": "{}"}))


def test_slices_by_family_and_ports_and_no_larger_than_a_hundred() -> None:
    both = [{"ip": "10.1.2.3"}, {"ip": "fd00::1"}]
    many = [{"ip": f"10.2.{i // 250}.{i % 250}"} for i in range(1100)]
    found = mirrored(
        endpoints(
            {"addresses": both, "notReadyAddresses": [{"ip": "10.1.2.4"}], "ports": [{"port": 80}]},
            {"addresses": many, "ports": [{"name": "x", "port": 81, "protocol": "UDP"}]},
        )
    )
    assert [(family, ports[0]["port"], len(entries)) for family, ports, entries in found[:3]] == [
        ("IPv4", 80, 2),
        ("IPv6", 80, 1),
        ("IPv4", 81, 100),
    ]
    assert len(found) == 2 + 10, "a thousand addresses of a subset are mirrored"
    assert [entry["conditions"]["ready"] for entry in found[0][2]] == [True, False]


async def test_endpoints_by_hand_are_mirrored_changed_and_gone(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(service())
        notes = {"owner": "me", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        made = await plane.client.create(
            endpoints(
                {"addresses": [{"ip": "10.1.2.3", "hostname": "one"}], "ports": [{"port": 80}]},
                labels={"team": "a"},
                annotations=notes,
            )
        )
        await plane.until(lambda: _slices(plane))
        [found] = _slices(plane)
        assert found["metadata"]["generateName"] == "db-"
        assert meta.labels_of(found) == {
            "team": "a",
            "kubernetes.io/service-name": "db",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        }
        assert meta.annotations_of(found) == {"owner": "me"}
        assert meta.owners_of(found)[0]["uid"] == meta.uid_of(made)
        assert found["endpoints"] == [
            {"addresses": ["10.1.2.3"], "conditions": {"ready": True}, "hostname": "one"}
        ]
        body = {"subsets": [{"addresses": [{"ip": "10.2.3.4"}], "ports": [{"port": 80}]}]}
        await plane.client.patch("endpoints", "db", "default", body)
        await plane.until(lambda: [s["endpoints"][0]["addresses"] for s in _slices(plane)] == [["10.2.3.4"]])
        [changed] = _slices(plane)
        assert meta.uid_of(changed) == meta.uid_of(found), "the slice there is was changed"
        # whoever spoils it finds it mended
        await plane.client.delete(SLICES, meta.name_of(changed), "default")
        await plane.until(lambda: _slices(plane))
        await plane.client.delete("endpoints", "db", "default")
        await plane.until(lambda: not _slices(plane))


async def test_endpoints_of_a_selector_are_not_mirrored(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        await plane.client.create(service(selector={"app": "db"}))
        await plane.until(lambda: plane.get("endpoints", "db") and _slices(plane))
        await plane.until(lambda: not any(len(c.queue) for c in plane.manager.controllers))
        managers = {meta.labels_of(s)["endpointslice.kubernetes.io/managed-by"] for s in _slices(plane)}
        assert managers == {"endpointslice-controller.k8s.io"}


def test_hints_of_traffic_distribution() -> None:
    pod = {"spec": {"nodeName": "n"}}
    zone = {"forZones": [{"name": "z"}]}
    assert hints_of({"spec": {}}, pod, "z") is None
    assert hints_of({"spec": {"trafficDistribution": "PreferClose"}}, pod, "z") == zone
    assert hints_of({"spec": {"trafficDistribution": "PreferClose"}}, pod, "") is None
    near = {"spec": {"trafficDistribution": "PreferSameNode"}}
    assert hints_of(near, pod, "z") == {**zone, "forNodes": [{"name": "n"}]}
