from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.controllers import deployment_math as math
from runtime.controllers.conditions import get_condition, new_condition, set_condition
from runtime.controllers.hashing import fnv32a, object_hash, safe_encode
from runtime.objects.errors import Obj

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def d(
    replicas: int = 10, surge: Any = "25%", unavailable: Any = "25%", status: Any = None, **spec: Any
) -> Obj:
    return {
        "metadata": {"name": "web", "namespace": "ns", "uid": "d", "generation": 2, "annotations": {}},
        "spec": {
            "replicas": replicas,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            },
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}},
            **spec,
        },
        "status": status or {},
    }


def rs(name: str, replicas: int, *, available: int | None = None, made: int = 0, **annotations: str) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "uid": name,
            "generation": 1,
            "creationTimestamp": f"2026-01-01T00:00:{made:02}Z",
            "annotations": {
                f"deployment.kubernetes.io/{key.replace('_', '-')}": value
                for key, value in annotations.items()
            },
        },
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app": name}}, "spec": {}}},
        "status": {
            "replicas": replicas,
            "availableReplicas": replicas if available is None else available,
            "observedGeneration": 1,
        },
    }


@pytest.mark.parametrize(
    ("surge", "unavailable", "desired", "expected"),
    [
        ("25%", "25%", 10, (3, 2)),
        ("25%", "25%", 1, (1, 0)),
        (0, 0, 10, (0, 1)),
        ("0%", "5%", 10, (0, 1)),
        (2, 0, 10, (2, 0)),
        ("100%", "50%", 3, (3, 1)),
    ],
)
def test_fenceposts(surge: Any, unavailable: Any, desired: int, expected: tuple[int, int]) -> None:
    assert math.fenceposts(surge, unavailable, desired) == expected


def test_limits_of_special_cases() -> None:
    assert math.max_unavailable(d(0)) == 0
    assert math.max_unavailable(d(2, 0, 5)) == 2
    recreate = d(5)
    recreate["spec"]["strategy"] = {"type": "Recreate"}
    assert (math.max_surge(recreate), math.max_unavailable(recreate)) == (0, 0)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(10, 0, 3), (8, 3, 5), (0, 9, 10), (13, 0, 0), (10, 10, 10), (0, 0, 10)],
)
def test_new_replicas(old: int, new: int, expected: int) -> None:
    fresh = rs("new", new)
    assert math.new_replicas(d(10), [rs("old", old), fresh], fresh) == expected


@pytest.mark.parametrize(
    ("wanted", "sizes", "maximum", "expected"),
    [
        # 10 (+3) becomes 15 (+4): the larger grows by its share, the rest goes to it as well
        (15, {"a": 8, "b": 5}, "13", {"a": 12, "b": 7}),
        # down to 5 (+2)
        (5, {"a": 8, "b": 5}, "13", {"a": 4, "b": 3}),
        (10, {"a": 8, "b": 5}, "13", {"a": 8, "b": 5}),
        (0, {"a": 8, "b": 5}, "13", {"a": 0, "b": 0}),
    ],
)
def test_proportional(wanted: int, sizes: dict[str, int], maximum: str, expected: dict[str, int]) -> None:
    sets = [rs(name, size, made=i, max_replicas=maximum) for i, (name, size) in enumerate(sizes.items())]
    found = {entry["metadata"]["name"]: size for entry, size in math.proportional_sizes(d(wanted), sets)}
    assert found == expected


@given(
    wanted=st.integers(0, 200),
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=5),
    surge=st.integers(0, 50),
)
def test_proportional_never_exceeds_what_is_allowed(wanted: int, sizes: list[int], surge: int) -> None:
    target = d(wanted, f"{surge}%", "25%")
    total = sum(sizes)
    sets = [rs(f"s{i}", size, made=i, max_replicas=str(total)) for i, size in enumerate(sizes)]
    result = math.proportional_sizes(target, sets)
    assert all(size >= 0 for _, size in result)
    allowed = wanted + math.max_surge(target) if wanted else 0
    assert sum(size for _, size in result) == allowed


def test_saturated_and_active() -> None:
    new = rs("new", 10, desired_replicas="10")
    assert math.is_saturated(d(10), new)
    assert not math.is_saturated(d(10), rs("new", 10, available=9, desired_replicas="10"))
    assert not math.is_saturated(d(10), None)
    assert math.find_active_or_latest(new, [rs("old", 0)]) is new
    assert math.find_active_or_latest(new, [rs("old", 1)]) is None
    idle = [rs("old", 0, made=1), rs("older", 0)]
    assert math.find_active_or_latest(None, idle) is idle[0]
    assert math.find_active_or_latest(None, []) is None


def test_the_hash_label_is_no_difference_and_the_oldest_match_is_the_new_set() -> None:
    template = d()["spec"]["template"]
    labelled = {**template, "metadata": {"labels": {"app": "web", "pod-template-hash": "x"}}}
    assert math.same_template(template, labelled)
    one, two = rs("one", 1, made=5), rs("two", 1, made=3)
    one["spec"]["template"] = two["spec"]["template"] = labelled
    assert math.find_new(d(), [one, two]) is two
    assert math.find_old([one, two], two) == [one]


def test_annotations_keep_history() -> None:
    deployment = d()
    deployment["metadata"]["annotations"] = {"kubernetes.io/change-cause": "why", math.LAST_APPLIED: "{}"}
    replica_set = rs("r", 1, revision="1")
    assert math.set_new_annotations(deployment, replica_set, 3, exists=True)
    found = replica_set["metadata"]["annotations"]
    assert found["kubernetes.io/change-cause"] == "why"
    assert math.LAST_APPLIED not in found
    assert (found[math.REVISION], found[math.REVISION_HISTORY]) == ("3", "1")
    assert math.set_new_annotations(deployment, replica_set, 5, exists=True)
    assert found[math.REVISION_HISTORY] == "1,3"
    assert not math.set_new_annotations(deployment, replica_set, 4, exists=True)


def test_revision_history_has_a_limit() -> None:
    replica_set = rs("r", 1, revision="1", revision_history=",".join(["1000"] * 400))
    math.set_new_annotations(d(), replica_set, 2, exists=True)
    history = replica_set["metadata"]["annotations"][math.REVISION_HISTORY]
    assert len(history) <= math.HISTORY_LIMIT
    assert history.endswith(",1")


def _progress(deployment: Obj, sets: list[Obj], new: Obj | None, now: datetime = NOW) -> Obj | None:
    return get_condition(math.progress_status(deployment, sets, new, now), "Progressing")


def test_progress_conditions() -> None:
    new = rs("new", 10)
    new["status"] |= {"readyReplicas": 10}
    deployment = d(10, progressDeadlineSeconds=600)
    found = _progress(deployment, [new], new)
    assert found is not None
    assert (found["status"], found["reason"], found["message"]) == (
        "True",
        "NewReplicaSetAvailable",
        'ReplicaSet "new" has successfully progressed.',
    )
    part = rs("new", 10, available=3)
    status = {"conditions": [new_condition("Progressing", "True", "NewReplicaSetCreated", "", NOW)]}
    deployment = d(10, progressDeadlineSeconds=600, status=status)
    later = NOW + timedelta(seconds=30)
    found = _progress(deployment, [part], part, later)
    assert found is not None
    assert (found["reason"], found["message"]) == ("ReplicaSetUpdated", 'ReplicaSet "new" is progressing.')
    assert found["lastUpdateTime"] == "2026-01-01T12:00:30Z"
    assert found["lastTransitionTime"] == "2026-01-01T12:00:00Z"

    counters = {"replicas": 10, "updatedReplicas": 10, "availableReplicas": 3, "readyReplicas": 3}
    deployment = d(10, progressDeadlineSeconds=600, status={**status, **counters})
    assert _progress(deployment, [part], part, NOW + timedelta(seconds=600)) == status["conditions"][0]
    found = _progress(deployment, [part], part, NOW + timedelta(seconds=601))
    assert found is not None
    assert (found["status"], found["reason"], found["message"]) == (
        "False",
        "ProgressDeadlineExceeded",
        'ReplicaSet "new" has timed out progressing.',
    )
    assert _progress(d(10, progressDeadlineSeconds=2**31 - 1, status=status), [part], part) is None


def test_a_set_conditions_transition_time_stays_with_its_status() -> None:
    status: Obj = {"conditions": [new_condition("Available", "True", "A", "", NOW)]}
    later = NOW + timedelta(minutes=1)
    set_condition(status, new_condition("Available", "True", "A", "other words", later))
    assert status["conditions"][0]["message"] == ""
    set_condition(status, new_condition("Available", "True", "B", "", later))
    assert status["conditions"][0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert status["conditions"][0]["lastUpdateTime"] == "2026-01-01T12:01:00Z"
    set_condition(status, new_condition("Available", "False", "B", "", later))
    assert status["conditions"][0]["lastTransitionTime"] == "2026-01-01T12:01:00Z"


def test_clean_up_takes_the_oldest_revisions_only_when_idle() -> None:
    old = [rs(f"r{i}", 0, revision=str(i)) for i in range(1, 6)]
    old[0]["spec"]["replicas"] = 1
    picked = math.to_clean_up(d(revisionHistoryLimit=2), old, lambda obj: False)
    assert [entry["metadata"]["name"] for entry in picked] == ["r2", "r3"]
    assert math.to_clean_up(d(), old, lambda obj: False) == []


def test_hash() -> None:
    assert fnv32a(b"") == 0x811C9DC5
    assert fnv32a(b"a") == 0xE40C292C
    assert fnv32a(b"foobar") == 0xBF9CF968
    assert safe_encode("0123456789") == "".join(
        "bcdfghjklmnpqrstvwxz2456789"[(48 + i) % 27] for i in range(10)
    )
    assert set(safe_encode("0123456789")) <= set("bcdfghjklmnpqrstvwxz2456789")
    one = {"b": 1, "a": 2}
    assert object_hash(one) == object_hash({"a": 2, "b": 1})
    assert object_hash(one) != object_hash(one, 1) != object_hash(one, 2)
