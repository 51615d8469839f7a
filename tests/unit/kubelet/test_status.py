"""Phases and conditions by table (kubelet_pods_test.go, status/generate_test.go)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.kubelet.container_status import Waiting
from runtime.kubelet.pods.policy import attempts_of
from runtime.kubelet.resources import oom_score_adj, qos_class
from runtime.kubelet.status import ProbeResults, StatusInput, ended, make_status, pod_phase
from runtime.podman.interface import Container

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod_of(policy: str = "Always", names: str = "ab", init: str = "", side: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {
        "restartPolicy": policy,
        "containers": [{"name": name, "image": "i"} for name in names],
        "initContainers": [
            *({"name": name, "image": "i"} for name in init),
            *({"name": name, "image": "i", "restartPolicy": "Always"} for name in side),
        ],
    }
    return {"metadata": {"name": "p", "uid": "u", "generation": 3}, "spec": spec}


def status(word: Any, last: int | None = None, started: bool = True) -> dict[str, Any]:
    """ "running", "waiting", or an exit code; ``last`` is how the attempt before ended."""
    state = {"terminated": {"exitCode": word}} if isinstance(word, int) else {word: {}}
    return {
        "state": state,
        "lastState": {"terminated": {"exitCode": last}} if last is not None else {},
        "started": started,
    }


@pytest.mark.parametrize(
    ("policy", "statuses", "expected"),
    [
        ("Always", {}, "Pending"),
        ("Always", {"a": status("waiting"), "b": status("running")}, "Pending"),
        ("Always", {"a": status("running"), "b": status("running")}, "Running"),
        ("Always", {"a": status(0), "b": status(1)}, "Running"),
        ("Always", {"a": status("waiting", 1), "b": status("waiting", 1)}, "Running"),
        ("Always", {"a": status("running"), "b": status("waiting", 1)}, "Running"),
        ("Always", {"a": status("running")}, "Pending"),
        ("Never", {"a": status(0), "b": status(0)}, "Succeeded"),
        ("Never", {"a": status(0), "b": status(1)}, "Failed"),
        ("Never", {"a": status("running"), "b": status(1)}, "Running"),
        ("OnFailure", {"a": status(0), "b": status(0)}, "Succeeded"),
        ("OnFailure", {"a": status(0), "b": status(1)}, "Running"),
        ("OnFailure", {"a": status(0), "b": status("waiting", 1)}, "Running"),
    ],
)
def test_phases(policy: str, statuses: dict[str, Any], expected: str) -> None:
    assert pod_phase(pod_of(policy), statuses, terminal=False, initialized=True) == expected


@pytest.mark.parametrize(
    ("policy", "statuses", "initialized", "expected"),
    [
        ("Always", {"i": status("running"), "a": status("waiting")}, False, "Pending"),
        ("Always", {"i": status(1), "a": status("waiting")}, False, "Pending"),
        ("Never", {"i": status(1), "a": status("waiting")}, False, "Failed"),
        ("Always", {"i": status(0), "s": status("running"), "a": status("running")}, True, "Running"),
        (
            "Always",
            {"i": status(0), "s": status("running", started=False), "a": status("waiting")},
            False,
            "Pending",
        ),
        (
            "Always",
            {"i": status(0), "s": status("running", started=False), "a": status("running")},
            True,
            "Running",
        ),
        ("Never", {"i": status(0), "s": status(143), "a": status(0)}, True, "Succeeded"),
        ("Never", {"i": status(0), "s": status("running"), "a": status(0)}, True, "Running"),
    ],
)
def test_phases_with_init_containers(policy: str, statuses: Any, initialized: bool, expected: str) -> None:
    side = "s" if "s" in statuses else ""
    assert (
        pod_phase(pod_of(policy, "a", "i", side), statuses, terminal=False, initialized=initialized)
        == expected
    )


def test_nothing_restarts_in_a_pod_that_is_ending() -> None:
    statuses = {"a": status(0), "b": status(143)}
    assert pod_phase(pod_of("Always"), statuses, terminal=True, initialized=True) == "Failed"


def running(name: str, attempt: int = 0) -> Container:
    return Container(f"{name}{attempt}", name, attempt, "running", "i", "sha", started_at=NOW)


def exited(name: str, attempt: int = 0, code: int = 1) -> Container:
    return Container(
        f"{name}{attempt}",
        name,
        attempt,
        "exited",
        "i",
        "sha",
        started_at=NOW,
        finished_at=NOW,
        exit_code=code,
    )


def made(pod: dict[str, Any], containers: list[Container], **more: Any) -> dict[str, Any]:
    given = {
        "old": pod.get("status") or {},
        "now": NOW,
        "sandbox_ready": True,
        "pod_ips": ["10.0.0.1"],
        **more,
    }
    return make_status(StatusInput(pod=pod, attempts=attempts_of(containers), **given))


def conditions(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry.get("reason", "")) for entry in found["conditions"]}


def test_conditions_carry_generation_and_keep_their_times() -> None:
    pod = pod_of(names="a")
    first = made(pod, [running("a")])
    assert first["observedGeneration"] == 3
    assert all(entry["observedGeneration"] == 3 for entry in first["conditions"])
    later = datetime(2026, 1, 2, tzinfo=UTC)
    again = made({**pod, "status": first}, [running("a")], now=later, old=first)
    assert again == first
    crashed = made({**pod, "status": first}, [exited("a")], now=later, old=first)
    moved = {entry["type"]: entry["lastTransitionTime"] for entry in crashed["conditions"]}
    assert moved["Ready"] == "2026-01-02T00:00:00Z" and moved["PodScheduled"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("now_second", [0, 1])
def test_a_start_read_twice_is_one_moment(now_second: int) -> None:
    from dataclasses import replace

    pod = pod_of(names="a")
    first = made(pod, [running("a")])
    moved = replace(running("a"), started_at=NOW.replace(second=now_second))
    assert made({**pod, "status": first}, [moved], old=first) == first


def test_last_state_comes_from_the_attempt_before_or_from_the_old_status() -> None:
    pod = pod_of(names="a")
    both = made(pod, [exited("a", 0, 7), running("a", 1)])["containerStatuses"][0]
    assert both["restartCount"] == 1 and both["lastState"]["terminated"]["exitCode"] == 7
    before = made(pod, [exited("a", 0, 7)])
    after = made({**pod, "status": before}, [running("a", 1)], old=before)["containerStatuses"][0]
    assert after["lastState"]["terminated"]["exitCode"] == 7


def test_waiting_reasons_replace_what_ended() -> None:
    pod = pod_of(names="a")
    found = made(pod, [exited("a")], waiting={"a": Waiting("CrashLoopBackOff", "why")})["containerStatuses"][
        0
    ]
    assert found["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "why"}}
    assert found["lastState"]["terminated"]["exitCode"] == 1
    never = made(pod_of("Never", "a"), [exited("a")], waiting={"a": Waiting("CrashLoopBackOff", "why")})
    assert never["containerStatuses"][0]["state"]["terminated"]


def test_a_terminal_phase_stays() -> None:
    pod = pod_of("Never", "a")
    done = made(pod, [exited("a", 0, 0)])
    assert done["phase"] == "Succeeded"
    again = made({**pod, "status": done}, [], old=done, sandbox_ready=False, pod_ips=[])
    assert again["phase"] == "Succeeded" and again["podIP"] == "10.0.0.1"
    assert again["containerStatuses"][0]["state"] == done["containerStatuses"][0]["state"]


def test_a_failed_pod_says_why_for_ever() -> None:
    pod = pod_of(names="a")
    found = made(pod, [exited("a")], failed=("DeadlineExceeded", "too long"), terminal=True)
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "DeadlineExceeded", "too long")
    assert conditions(found)["Ready"] == ("False", "PodFailed")
    again = made({**pod, "status": found}, [exited("a")], old=found)
    assert again["reason"] == "DeadlineExceeded"


def test_readiness_and_gates() -> None:
    class Unready(ProbeResults):
        def ready(self, spec: dict[str, Any], container_id: str) -> bool:
            return spec["name"] != "b"

    pod = pod_of()
    found = made(pod, [running("a"), running("b")], probes=Unready())
    assert conditions(found)["ContainersReady"] == ("False", "ContainersNotReady")
    message = next(entry["message"] for entry in found["conditions"] if entry["type"] == "Ready")
    assert message == "containers with unready status: [b]"
    gated = pod_of()
    gated["spec"]["readinessGates"] = [{"conditionType": "x/y"}, {"conditionType": "x/z"}]
    gated["status"] = {"conditions": [{"type": "x/z", "status": "Unknown"}]}
    found = made(gated, [running("a"), running("b")])
    message = next(entry["message"] for entry in found["conditions"] if entry["type"] == "Ready")
    assert message == (
        'corresponding condition of pod readiness gate "x/y" does not exist., '
        'the status of pod readiness gate "x/z" is not "True", but Unknown'
    )


def test_the_last_status_has_nothing_open() -> None:
    found = ended(pod_of(), made(pod_of(), [exited("a", 0, 0)], terminal=True))
    assert found["phase"] == "Failed"
    lost = next(entry for entry in found["containerStatuses"] if entry["name"] == "b")["state"]["terminated"]
    assert (lost["reason"], lost["exitCode"]) == ("ContainerStatusUnknown", 137)


def test_the_last_status_leaves_waiting_what_never_began() -> None:
    pod = pod_of("Never", names="a", init="ijk")
    found = ended(pod, made(pod, [exited("i", 0, 0), exited("j")], terminal=True))
    states = [entry["state"] for entry in (*found["initContainerStatuses"], *found["containerStatuses"])]
    assert [state.get("terminated", {}).get("exitCode") for state in states] == [0, 1, None, None]
    assert {state["waiting"]["reason"] for state in states[2:]} == {"PodInitializing"}
    pod = pod_of("Never", names="ab", init="i")  # once it is initialized, what is missing was lost
    found = ended(pod, made(pod, [exited("i", 0, 0), exited("a", 0, 0)], terminal=True))
    assert [entry["state"]["terminated"]["exitCode"] for entry in found["containerStatuses"]] == [0, 137]


@pytest.mark.parametrize("code", [0, 1])
def test_a_sidecar_that_was_to_come_back_does_not_wait_for_ever(code: int) -> None:
    pod = pod_of("Never", names="a", side="s")
    waiting = {"s": Waiting("CrashLoopBackOff", "back-off 10s")}
    found = made(pod, [exited("s", 0, code), running("a")], waiting=waiting)
    # upstream shows as ended what ended well, although it will be started again
    assert next(iter(found["initContainerStatuses"][0]["state"])) == ("waiting" if code else "terminated")
    found = ended(pod, made(pod, [exited("s", 0, code), exited("a", 0, 0)], waiting=waiting, terminal=True))
    assert found["phase"] == "Succeeded"
    state = found["initContainerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (
        (137, "ContainerStatusUnknown") if code else (0, "Completed")
    )


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        (
            [{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}],
            "Guaranteed",
        ),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Mi"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
    ],
)
def test_quality_of_service(containers: list[dict[str, Any]], expected: str) -> None:
    assert qos_class({"spec": {"containers": [{"resources": entry} for entry in containers]}}) == expected


def test_oom_scores() -> None:
    pod: dict[str, Any] = {"spec": {}}
    half = {"resources": {"requests": {"memory": "512Mi"}}}
    assert oom_score_adj(pod, half, "Guaranteed", 1 << 30) == -997
    assert oom_score_adj(pod, half, "BestEffort", 1 << 30) == 1000
    assert oom_score_adj(pod, half, "Burstable", 1 << 30) == 500
