# ruff: noqa: E501 -- tables read better than wrapped sentences
"""Dynamic resource allocation: claims, templates, classes and slices as the API keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.objects.printers import printer_for

Obj = dict[str, Any]
NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def of(kind: str, **members: Any) -> Obj:
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": {"name": "a"}, **members}


def claim(*requests: Obj, **devices: Any) -> Obj:
    return of("ResourceClaim", spec={"devices": {"requests": list(requests), **devices}})


def exactly(name: str = "r", **members: Any) -> Obj:
    return {"name": name, "exactly": {"deviceClassName": "gpu.example.com", **members}}


def slice_of(**spec: Any) -> Obj:
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    return of("ResourceSlice", spec={"driver": "d.example.com", "pool": pool, "nodeName": "n", **spec})


CEL = {"cel": {"expression": "true"}}
OPAQUE = {"opaque": {"driver": "d.example.com", "parameters": {"a": 1}}}
GOOD = [
    claim(exactly()),
    claim(exactly(allocationMode="All"), exactly("s", count=2, selectors=[CEL])),
    claim({"name": "r", "firstAvailable": [{"name": "x", "deviceClassName": "c"}]}, constraints=[{"requests": ["r/x"], "matchAttribute": "a/b"}]),
    claim(exactly(), config=[{"requests": ["r"], **OPAQUE}]),
    of("ResourceClaimTemplate", spec={"spec": claim(exactly())["spec"]}),
    of("DeviceClass", spec={"selectors": [CEL], "config": [OPAQUE]}),
    slice_of(devices=[{"name": "gpu-0"}]),
]  # fmt: skip


@pytest.mark.parametrize("obj", GOOD, ids=lambda obj: obj["kind"])
def test_good_ones(kinds, obj: Obj) -> None:
    assert kinds.errors(obj) == []


CHOICE = "exactly one of `exactly` or `firstAvailable` is required"
BAD = [
    (claim({"name": "r"}), [f"spec.devices.requests[0]: Required value: {CHOICE}"]),
    (claim({**exactly(), "firstAvailable": [{"name": "x", "deviceClassName": "c"}]}), [f"spec.devices.requests[0]: Invalid value: null: {CHOICE}, but multiple fields are set"]),
    (claim({"name": "r", "exactly": {}}), ["spec.devices.requests[0].exactly.deviceClassName: Required value"]),
    (claim(exactly(), exactly()), ['spec.devices.requests[1].name: Duplicate value: "r"']),
    (claim(exactly(count=-1)), ["spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero"]),
    (claim(exactly(allocationMode="All", count=1)), ["spec.devices.requests[0].exactly.count: Invalid value: 1: must not be specified when allocationMode is 'All'"]),
    (claim(exactly(allocationMode="Some")), ['spec.devices.requests[0].exactly.allocationMode: Unsupported value: "Some": supported values: "All", "ExactCount"']),
    (claim(exactly(selectors=[{}])), ["spec.devices.requests[0].exactly.selectors[0].cel: Required value"]),
    (claim(exactly(), constraints=[{"requests": ["other"]}]), ['spec.devices.constraints[0].requests[0]: Invalid value: "other": must be the name of a request in the claim or the name of a request and a subrequest separated by \'/\'', "spec.devices.constraints[0].matchAttribute: Required value"]),
    (of("DeviceClass", spec={"config": [{}]}), ["spec.config[0].opaque: Required value"]),
    (slice_of(driver=""), ["spec.driver: Required value"]),
    (slice_of(allNodes=True), ['spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set']),
    (slice_of(pool={"name": "p"}), ["spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"]),
]  # fmt: skip


@pytest.mark.parametrize(("obj", "expected"), BAD)
def test_bad_ones(kinds, obj: Obj, expected: list[str]) -> None:
    assert kinds.errors(obj) == expected


def test_requests_are_for_one_device_unless_they_say_otherwise(kinds) -> None:
    made = kinds.create(claim(exactly(tolerations=[{"key": "k"}])))
    (request,) = made["spec"]["devices"]["requests"]
    wanted = request["exactly"]
    assert (wanted["allocationMode"], wanted["count"]) == ("ExactCount", 1)
    assert wanted["tolerations"] == [{"key": "k", "operator": "Equal"}]


def test_what_is_claimed_and_whose_slice_it_is_stay(kinds) -> None:
    _, errors = kinds.update(kinds.create(claim(exactly())), spec__devices__requests__0__exactly__count=2)
    assert len(errors) == 1 and errors[0].startswith("spec: Invalid value") and "immutable" in errors[0]
    _, errors = kinds.update(kinds.create(slice_of()), spec__driver="other")
    assert errors == ['spec.driver: Invalid value: "other": field is immutable']


def test_a_claim_is_reserved_once_it_is_allocated(kinds) -> None:
    old = kinds.create(claim(exactly()))
    strategy = kinds.resource(old).strategy
    assert strategy.new_status() == {} and old["status"] == {}
    consumer = {"resource": "pods", "name": "p", "uid": "u"}
    new = {**old, "metadata": dict(old["metadata"]), "status": {"reservedFor": [consumer]}}
    (error,) = strategy.validate_status_update(new, old)
    assert error.field == "status.reservedFor"
    new["status"]["allocation"] = {"devices": {}}
    assert strategy.validate_status_update(new, old) == []


@pytest.mark.parametrize(
    ("obj", "cells"),
    [
        (of("ResourceClaim"), ["a", "pending", "5m"]),
        (of("ResourceClaim", status={"allocation": {}, "reservedFor": [{}]}), ["a", "allocated,reserved", "5m"]),
        (of("DeviceClass"), ["a", "5m"]),
        (slice_of(), ["a", "n", "d.example.com", "p", "5m"]),
    ],
)  # fmt: skip
def test_tables(obj: Obj, cells: list[str]) -> None:
    obj["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert printer_for("resource.k8s.io", obj["kind"]).row(obj, NOW) == cells
