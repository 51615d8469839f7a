from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.controllers import cronjob, job_math
from runtime.objects.errors import Obj


@pytest.mark.parametrize(
    ("text", "indexes"), [("", []), ("0", [0]), ("0,1", [0, 1]), ("0-2,5,7-8", [0, 1, 2, 5, 7, 8])]
)
def test_indexes_there(text: str, indexes: list[int]) -> None:
    assert job_math.parse_indexes(text, 100) == indexes
    assert job_math.parse_indexes(job_math.format_indexes(indexes), 100) == indexes


@pytest.mark.parametrize(
    ("indexes", "text"),
    [([], ""), ([4], "4"), ([1, 2], "1,2"), ([3, 1, 2], "1-3"), ([1, 2, 4, 5, 6, 9], "1,2,4-6,9")],
)
def test_indexes_back(indexes: list[int], text: str) -> None:
    assert job_math.format_indexes(indexes) == text


def test_indexes_beyond_the_completions_are_ignored() -> None:
    assert job_math.parse_indexes("0-9", 3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("spec", "succeeded", "active", "wanted"),
    [
        ({"parallelism": 3, "completions": 5}, 0, 0, 3),
        ({"parallelism": 3, "completions": 5}, 4, 1, 1),
        ({"parallelism": 3, "completions": 5}, 5, 0, 0),
        ({"parallelism": 3}, 0, 0, 3),
        ({"parallelism": 3}, 1, 2, 2),
        ({"parallelism": 0, "completions": 5}, 0, 2, 0),
    ],
)
def test_wanted_active(spec: Obj, succeeded: int, active: int, wanted: int) -> None:
    assert job_math.wanted_active({"spec": spec}, succeeded, active) == wanted


@pytest.mark.parametrize(
    ("failures", "waited", "left"), [(0, 0, 0), (1, 0, 10), (1, 4, 6), (3, 0, 40), (20, 0, 600)]
)
def test_backoff(failures: int, waited: int, left: int) -> None:
    last = datetime(2026, 1, 1, tzinfo=UTC)
    now = datetime(2026, 1, 1, 0, 0, waited, tzinfo=UTC)
    assert job_math.backoff_left(failures, last, now) == left


def _failed(code: int, conditions: Any = ()) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "ns"},
        "status": {
            "phase": "Failed",
            "conditions": list(conditions),
            "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": code}}}],
        },
    }


def test_failure_policy() -> None:
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [1]}},
    ]
    job = {"spec": {"podFailurePolicy": {"rules": rules}}}
    action, message = job_math.match_failure_policy(job, _failed(42))
    assert action == "FailJob"
    assert message == "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 1"
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    assert job_math.match_failure_policy(job, _failed(42, disrupted))[0] == "Ignore"
    assert job_math.match_failure_policy(job, _failed(7))[0] == "Count"
    assert job_math.match_failure_policy(job, _failed(1))[0] == ""
    assert job_math.match_failure_policy({"spec": {}}, _failed(42)) == ("", "")


def test_success_policy() -> None:
    job = {
        "spec": {
            "completions": 5,
            "successPolicy": {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]},
        }
    }
    assert job_math.match_success_policy(job, [0, 1]) == ""
    assert job_math.match_success_policy(job, [0, 3]) == "Matched rules at index 0"
    whole = {"spec": {"completions": 5, "successPolicy": {"rules": [{"succeededIndexes": "0-1"}]}}}
    assert job_math.match_success_policy(whole, [0, 2, 3]) == ""
    assert job_math.match_success_policy(whole, [0, 1]) == "Matched rules at index 0"


def test_indexed_template() -> None:
    job = {
        "metadata": {"name": "j"},
        "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "c"}]}}},
    }
    template = job_math.pod_template(job, 3)
    assert template["spec"]["hostname"] == "j-3"
    assert template["metadata"]["annotations"][job_math.INDEX] == "3"
    assert template["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    assert template["metadata"]["finalizers"] == [job_math.TRACKING]
    assert "finalizers" not in job["spec"]["template"]["metadata"]


def _cron(schedule: str, created: str, **spec: Any) -> Obj:
    return {
        "metadata": {"name": "c", "namespace": "ns", "creationTimestamp": created, "uid": "u"},
        "spec": {"schedule": schedule, **spec},
    }


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "last", "count"),
    [
        ("0 * * * *", "2026-01-01T09:59:59", None, 0),
        ("0 * * * *", "2026-01-01T10:00:00", "2026-01-01T10:00:00", 1),
        ("0 * * * *", "2026-01-01T12:30:00", "2026-01-01T12:00:00", 3),
        ("*/5 * * * *", "2026-01-02T09:31:00", "2026-01-02T09:30:00", 288),
        ("@daily", "2026-01-03T00:00:00", "2026-01-03T00:00:00", 2),
        ("0 12 * * MON", "2026-01-06T00:00:00", "2026-01-05T12:00:00", 1),
        ("@every 20m", "2026-01-01T09:49:59", None, 0),
        ("@every 20m", "2026-01-01T10:31:00", "2026-01-01T10:30:00", 3),
        ("@every 1h0.5m", "2026-01-01T10:31:00", "2026-01-01T10:30:30", 1),
    ],
)
def test_missed(schedule: str, now: str, last: str | None, count: int) -> None:
    found, missed = cronjob.missed(_cron(schedule, "2026-01-01T09:30:00Z"), _at(now))
    assert found == (_at(last) if last else None)
    assert missed == count


def test_a_deadline_limits_what_counts_as_missed() -> None:
    cron = _cron("0 * * * *", "2026-01-01T00:30:00Z", startingDeadlineSeconds=5400)
    assert cronjob.missed(cron, _at("2026-01-01T12:15:00")) == (_at("2026-01-01T12:00:00"), 2)


def test_time_zones_and_daylight_saving() -> None:
    cron = _cron("30 9 * * *", "2026-03-27T00:00:00Z", timeZone="Europe/Berlin")
    zone = cronjob.zone_of(cron)
    assert cronjob.next_after("30 9 * * *", _at("2026-03-28T00:00:00"), zone) == _at("2026-03-28T08:30:00")
    assert cronjob.next_after("30 9 * * *", _at("2026-03-29T00:00:00"), zone) == _at("2026-03-29T07:30:00")
    with pytest.raises(cronjob.Unreadable):
        cronjob.zone_of(_cron("* * * * *", "", timeZone="Nowhere/Atlantis"))
    with pytest.raises(cronjob.Unreadable):
        cronjob.next_after("61 * * * *", _at("2026-01-01T00:00:00"), UTC)


def test_job_name_is_the_minute() -> None:
    assert cronjob.job_name({"metadata": {"name": "tick"}}, _at("2026-01-01T00:00:00")) == "tick-29453760"
