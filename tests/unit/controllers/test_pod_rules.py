from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.controllers.disruption import desired_healthy
from runtime.controllers.endpoints import PER_SLICE, find_port, pack
from runtime.controllers.expectations import Expectations
from runtime.controllers.hpa_math import (
    Change,
    Groups,
    NoMetrics,
    limit,
    replicas_for,
    rules_of,
    stabilize,
)
from runtime.controllers.pods import available_in, by_deletion_rank, slow_start
from runtime.objects.clock import ManualClock
from runtime.objects.errors import Obj

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(name: str, phase: str = "Running", ready: bool = True, node: str = "n", **more: Any) -> Obj:
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": more.get("made", "2026-01-01T11:00:00Z"),
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": more["cost"]}
            if "cost" in more
            else {},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "False",
                    "lastTransitionTime": more.get("since", "2026-01-01T11:00:00Z"),
                }
            ],
            "containerStatuses": [{"restartCount": more.get("restarts", 0)}],
        },
    }


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (pod("a", node=""), pod("b", "Pending")),
        (pod("a", "Pending", False), pod("b", "Unknown", False)),
        (pod("a", "Unknown", False), pod("b", "Running", False)),
        (pod("a", ready=False), pod("b")),
        (pod("a", cost="-5"), pod("b")),
        (pod("a", node="crowded"), pod("b", node="n")),
        (pod("a", since="2026-01-01T11:59:59Z"), pod("b", since="2026-01-01T08:00:00Z")),
        (pod("a", restarts=3), pod("b", restarts=1)),
        (pod("a", made="2026-01-01T11:59:59Z"), pod("b", made="2026-01-01T08:00:00Z")),
        # about the same age: the uid decides, so that it is not always the newest that goes
        (pod("a", since="2026-01-01T10:30:00Z"), pod("b", since="2026-01-01T10:31:00Z")),
    ],
)
def test_deletion_rank(first: Obj, then: Obj) -> None:
    def colocated(entry: Obj) -> int:
        return 3 if entry["spec"].get("nodeName") == "crowded" else 1

    assert by_deletion_rank([then, first], colocated, NOW)[0] is first
    assert by_deletion_rank([first, then], colocated, NOW)[0] is first


def test_availability() -> None:
    assert available_in(pod("a", since="2026-01-01T11:59:50Z"), 30, NOW) == 20
    assert available_in(pod("a", since="2026-01-01T11:59:00Z"), 30, NOW) == 0
    assert available_in(pod("a", ready=False), 0, NOW) is None


async def test_slow_start_stops_at_the_first_bad_batch() -> None:
    tried: list[int] = []

    async def work(number: int) -> None:
        tried.append(number)
        if number == 4:
            raise ValueError("no more")

    done, failure = await slow_start(20, work)
    assert tried == list(range(7))
    assert done == 6
    assert isinstance(failure, ValueError)


async def test_expectations() -> None:
    clock = ManualClock()
    expectations = Expectations(clock)
    expectations.expect_creations("rs", 2)
    assert not expectations.satisfied("rs")
    expectations.created("rs")
    expectations.created("rs")
    assert expectations.satisfied("rs")
    expectations.expect_deletions("rs", ["a", "b"])
    expectations.deleted("rs", "a")
    expectations.deleted("rs", "a")
    assert not expectations.satisfied("rs")
    await clock.advance(301)
    assert expectations.satisfied("rs")


def test_port_by_name_and_number() -> None:
    target = {"spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}}
    assert find_port(target, {"port": 80, "targetPort": "http"}) == 8080
    assert find_port(target, {"port": 80, "targetPort": "http", "protocol": "UDP"}) is None
    assert find_port(target, {"port": 80}) == 80


def _entries(*names: str) -> list[Obj]:
    return [{"targetRef": {"uid": name}} for name in names]


def test_slices_change_as_little_as_possible() -> None:
    existing = [_entries("a", "b"), _entries("c", "d")]
    wanted = {name: {"targetRef": {"uid": name}} for name in "abce"}
    packed, fresh = pack(existing, wanted)
    assert packed[0] == _entries("a", "b")
    assert packed[1] == _entries("c", "e")
    assert fresh == []
    packed, fresh = pack(existing, {})
    assert packed == [None, None]
    many = {str(i): {"targetRef": {"uid": str(i)}} for i in range(2 * PER_SLICE + 1)}
    assert [len(entries) for entries in pack([], many)[1]] == [100, 100, 1]


@pytest.mark.parametrize(
    ("spec", "pods", "expected", "result"),
    [
        ({"minAvailable": 2}, 3, 3, (3, 2)),
        ({"minAvailable": "50%"}, 3, 5, (5, 3)),
        ({"maxUnavailable": 1}, 3, 5, (5, 4)),
        ({"maxUnavailable": "30%"}, 3, 5, (5, 3)),
        ({"maxUnavailable": 9}, 3, 5, (5, 0)),
    ],
)
def test_budget(spec: Obj, pods: int, expected: int, result: tuple[int, int]) -> None:
    assert desired_healthy({"spec": spec}, pods, expected) == result


@pytest.mark.parametrize(
    ("current", "usage", "unready", "missing", "expected"),
    [
        (3, [100, 100, 100], 0, 0, 6),
        (3, [52, 50, 50], 0, 0, 3),
        (3, [10, 10, 10], 0, 0, 1),
        (4, [100, 100, 100], 1, 0, 6),  # the unready one counts as idle on the way up: 3*100/4 = 75 %
        (4, [10, 10, 10], 0, 1, 3),  # a missing one counts as busy on the way down: 32.5 %
        (4, [60, 60, 60], 0, 1, 4),  # and as idle on the way up, which would turn around: hold
    ],
)
def test_autoscaling(current: int, usage: list[int], unready: int, missing: int, expected: int) -> None:
    names = [f"p{i}" for i in range(len(usage) + unready + missing)]
    metrics = dict(zip(names, usage, strict=False))
    rest = names[len(usage) :]
    groups = Groups(len(usage), metrics, set(rest[:unready]), set(rest[unready:]))
    assert replicas_for(current, groups, dict.fromkeys(names, 100), 50)[0] == expected


def test_autoscaling_by_value_and_without_metrics() -> None:
    groups = Groups(2, {"a": 300, "b": 100})
    assert replicas_for(2, groups, None, 100) == (4, 0, 200)
    with pytest.raises(NoMetrics):
        replicas_for(2, Groups(), None, 100)


def _hpa(**spec: Any) -> Obj:
    return {"spec": {"minReplicas": 1, "maxReplicas": 20, **spec}}


def test_speed_limits() -> None:
    assert limit(_hpa(), 2, 15, [], [], 100.0).replicas == 4
    assert limit(_hpa(), 1, 15, [], [], 100.0).replicas == 4
    assert limit(_hpa(behavior={"scaleUp": {}}), 2, 15, [], [], 100.0).replicas == 6
    assert limit(_hpa(), 10, 50, [], [], 100.0).replicas == 20
    paced = _hpa(behavior={"scaleDown": {}})
    assert limit(paced, 10, 15, [Change(8, 95.0)], [], 100.0).replicas == 10
    assert limit(_hpa(minReplicas=3), 10, 1, [], [], 100.0).reason == "TooFewReplicas"
    slow = {"scaleDown": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}}
    found = limit(_hpa(behavior=slow), 10, 1, [], [], 100.0)
    assert (found.replicas, found.reason) == (8, "ScaleDownLimit")
    off = {"scaleDown": {"selectPolicy": "Disabled"}}
    assert limit(_hpa(behavior=off), 10, 1, [], [], 100.0).replicas == 10


def test_stabilization_waits_with_going_down() -> None:
    up, down = rules_of(_hpa())
    assert stabilize(2, 8, [(7, 900.0), (3, 990.0)], up, down, 1000.0) == (7, "ScaleDownStabilized")
    assert stabilize(2, 8, [(7, 600.0), (3, 990.0)], up, down, 1000.0) == (3, "ScaleDownStabilized")
    assert stabilize(12, 8, [(3, 990.0)], up, down, 1000.0) == (12, "")
