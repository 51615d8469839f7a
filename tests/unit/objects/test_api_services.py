"""APIServices: local ones that are always available, and those of servers that are not asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.objects.printers import printer_for

Obj = dict[str, Any]
NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
SERVICE = {"namespace": "kube-system", "name": "s"}


def api_service(name: str = "v1.a.b", **spec: Any) -> Obj:
    wanted = {"group": "a.b", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10, **spec}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": name},
        "spec": wanted,
    }


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (api_service(), []),
        (api_service("v1.", group=""), []),
        (api_service(service=SERVICE, caBundle="AAAA"), []),
        (
            api_service("other"),
            [
                'metadata.name: Invalid value: "other": must be `spec.version+"."+spec.group`: "v1.a.b"',
            ],
        ),
        (
            api_service("v2.", group="", version="v2"),
            ["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"],
        ),
        (
            api_service(groupPriorityMinimum=20001, versionPriority=0),
            [
                "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
            ],
        ),
        (
            api_service(caBundle="AAAA", insecureSkipTLSVerify=True),
            [
                'spec.caBundle: Invalid value: "3 bytes": local APIServices may not have a caBundle',
                "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have "
                "insecureSkipTLSVerify",
            ],
        ),
        (api_service(service={"name": "s"}), ["spec.service.namespace: Required value"]),
        (
            api_service(service={**SERVICE, "port": 70000}),
            [
                "spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive"
            ],
        ),
    ],
)
def test_rules(kinds, obj: Obj, expected: list[str]) -> None:
    assert kinds.errors(obj) == expected


def test_availability_is_known_from_the_start(kinds) -> None:
    local, remote = kinds.create(api_service()), kinds.create(api_service(service=SERVICE))
    strategy = kinds.resource(local).strategy
    assert remote["spec"]["service"]["port"] == 443
    assert [one["status"]["conditions"][0]["status"] for one in (local, remote)] == ["True", "False"]
    assert strategy.warnings(local, None) == []
    assert "no requests are passed on" in strategy.warnings(remote, None)[0]
    for obj, cells in (
        (local, ["v1.a.b", "Local", "True", "5m"]),
        (remote, ["v1.a.b", "kube-system/s", "False (NotAggregated)", "5m"]),
    ):
        obj["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        assert printer_for("apiregistration.k8s.io", "APIService").row(obj, NOW) == cells


def test_status_changes_are_checked(kinds) -> None:
    old = kinds.create(api_service())
    strategy = kinds.resource(old).strategy
    odd = {**old, "status": {"conditions": [{"type": "Available", "status": "Maybe"}]}}
    (error,) = strategy.validate_status_update(odd, old)
    assert error.field == "status.conditions[0].status"
    _, errors = kinds.update(old, spec__version="v2")
    assert errors == [
        'metadata.name: Invalid value: "v1.a.b": must be `spec.version+"."+spec.group`: "v2.a.b"'
    ]
