"""What to do next, by table: the planner against upstream's cases (kuberuntime_manager_test.go)."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.kubelet.pods.actions import Verdicts, compute_actions, sandbox_changed
from runtime.kubelet.pods.policy import attempts_of, exit_restarts
from runtime.podman.interface import Container, Sandbox


def spec_of(policy: str = "Always", init: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    containers = [{"name": name, "image": "i"} for name in ("a", "b", "c")]
    spec: dict[str, Any] = {"restartPolicy": policy, "containers": containers, **more}
    if init:
        spec["initContainers"] = init
    return {"metadata": {"uid": "u", "name": "p"}, "spec": spec}


def have(**states: Any) -> list[Container]:
    """Containers by name: "running", "created", "unknown", or an exit code; a tuple is newest first."""
    found = []
    for name, entries in states.items():
        for index, state in enumerate(entries if isinstance(entries, tuple) else (entries,)):
            code = state if isinstance(state, int) else 0
            found.append(
                Container(
                    id=f"{name}{index}",
                    name=name,
                    attempt=10 - index,
                    state="exited" if isinstance(state, int) else state,
                    image="i",
                    image_id="x",
                    exit_code=code,
                )
            )
    return found


def plan(
    pod: dict[str, Any],
    containers: list[Container],
    *,
    state: Any = "ready",
    sandbox: bool = True,
    **verdicts: Any,
) -> Any:
    box = Sandbox("s", "u", "ns", "p", "n", state, containers=tuple(containers)) if sandbox else None
    chosen = {
        key: (lambda ids: lambda found: found in ids)(value)
        for key, value in verdicts.items()
        if key != "started"
    }
    if "started" in verdicts:
        chosen["started"] = lambda spec, found: found in verdicts["started"]
    actions = compute_actions(pod, box, attempts_of(containers), Verdicts(**chosen))
    return (
        actions.kill_pod,
        actions.create_sandbox,
        sorted(kill.container.id for kill in actions.kill),
        actions.inits,
        actions.containers,
    )


NOTHING = (False, False, [], [], [])


@pytest.mark.parametrize(
    ("policy", "containers", "expected"),
    [
        ("Always", have(a="running", b="running", c="running"), NOTHING),
        ("Always", have(a="running", b=0, c=1), (False, False, [], [], [1, 2])),
        ("OnFailure", have(a="running", b=0, c=1), (False, False, [], [], [2])),
        ("Never", have(a="running", b=0, c=1), NOTHING),
        ("Never", have(a=0, b=0, c=1), (True, False, [], [], [])),
        ("OnFailure", have(a=0, b=0, c=0), (True, False, [], [], [])),
        ("Always", have(a=0, b=0, c=0), (False, False, [], [], [0, 1, 2])),
        ("Always", have(a="running"), (False, False, [], [], [1, 2])),
        ("Never", have(a=0), (False, False, [], [], [1, 2])),
        ("Always", have(a="running", b="running", c="unknown"), (False, False, ["c0"], [], [2])),
        ("Always", have(a=("running", "running"), b="running", c="running"), (False, False, ["a1"], [], [])),
        ("Always", have(a=("running", 1), b="running", c="running"), NOTHING),
    ],
)
def test_restart_policies(policy: str, containers: list[Container], expected: Any) -> None:
    assert plan(spec_of(policy), containers) == expected


@pytest.mark.parametrize(
    ("policy", "containers", "state", "sandbox", "expected"),
    [
        ("Always", [], "ready", False, (False, True, [], [], [0, 1, 2])),
        ("Always", have(a=0, b=1, c=137), "notready", True, (True, True, [], [], [0, 1, 2])),
        ("OnFailure", have(a=0, b=1, c=137), "notready", True, (True, True, [], [], [1, 2])),
        ("OnFailure", have(a=0, b=0, c=0), "notready", True, (True, False, [], [], [])),
        ("Never", have(a=0, b=1, c=137), "notready", True, (True, False, [], [], [])),
        ("Always", [], "notready", True, (False, False, [], [], [0, 1, 2])),
    ],
)
def test_sandboxes(
    policy: str, containers: list[Container], state: str, sandbox: bool, expected: Any
) -> None:
    assert plan(spec_of(policy), containers, state=state, sandbox=sandbox) == expected


def test_a_sandbox_that_never_ran_anything_is_used() -> None:
    box = Sandbox("s", "u", "ns", "p", "n", "notready", containers=tuple(have(a="created")))
    assert not sandbox_changed(spec_of(), box)


PROBED = {"name": "a", "image": "i", "livenessProbe": {}, "startupProbe": {}}


@pytest.mark.parametrize(
    ("policy", "verdicts", "expected"),
    [
        ("Always", {"liveness_failed": ["a0"]}, (False, False, [], [], [])),
        ("Always", {"startup_failed": ["a0"]}, (False, False, [], [], [])),
    ],
)
def test_verdicts_of_containers_without_probes_do_not_count(
    policy: str, verdicts: Any, expected: Any
) -> None:
    assert plan(spec_of(policy), have(a="running", b="running", c="running"), **verdicts) == expected


@pytest.mark.parametrize(("policy", "restarts"), [("Always", [0]), ("OnFailure", [0]), ("Never", [])])
def test_liveness_kills_and_restarts(policy: str, restarts: list[int]) -> None:
    pod = spec_of(policy)
    pod["spec"]["containers"][0] = {**PROBED, "livenessProbe": {"periodSeconds": 1}}
    running = have(a="running", b="running", c="running")
    assert plan(pod, running, liveness_failed=["a0"]) == (False, False, ["a0"], [], restarts)


ONE, TWO = {"name": "i1", "image": "i"}, {"name": "i2", "image": "i"}
SIDE = {"name": "s", "image": "i", "restartPolicy": "Always"}
PROBED_SIDE = {**SIDE, "startupProbe": {"periodSeconds": 1}}


@pytest.mark.parametrize(
    ("policy", "init", "containers", "started", "expected"),
    [
        ("Always", [ONE, TWO], [], None, (False, False, [], [0], [])),
        ("Always", [ONE, TWO], have(i1="running"), None, NOTHING),
        ("Always", [ONE, TWO], have(i1=0), None, (False, False, [], [1], [])),
        ("Always", [ONE, TWO], have(i1=0, i2="running"), None, NOTHING),
        ("Always", [ONE, TWO], have(i1=0, i2=0), None, (False, False, [], [], [0, 1, 2])),
        ("Always", [ONE, TWO], have(i1=0, i2=1), None, (False, False, [], [1], [])),
        ("Never", [ONE, TWO], have(i1=0, i2=1), None, (True, False, [], [], [])),
        ("OnFailure", [ONE], have(i1=1), None, (False, False, [], [0], [])),
        # what has been through is not run again, even when it was removed
        ("Always", [ONE, TWO], have(a="running", b="running", c="running"), None, NOTHING),
        ("Always", [ONE, TWO], have(i2=0), None, (False, False, [], [], [0, 1, 2])),
        # sidecars
        ("Always", [SIDE, TWO], have(s="running"), None, (False, False, [], [1], [])),
        ("Always", [PROBED_SIDE, TWO], have(s="running"), [], NOTHING),
        ("Always", [PROBED_SIDE, TWO], have(s="running"), ["s0"], (False, False, [], [1], [])),
        ("Always", [ONE, SIDE], have(i1=0, s="running"), None, (False, False, [], [], [0, 1, 2])),
        ("Never", [ONE, SIDE], have(i1=0, s=0), None, (False, False, [], [1], [])),
        (
            "Always",
            [ONE, SIDE],
            have(i1=0, s=1, a="running", b="running", c="running"),
            None,
            (False, False, [], [1], []),
        ),
        ("Never", [SIDE], have(s="running", a=0, b=0, c=0), None, (True, False, [], [], [])),
        ("Never", [SIDE], have(s=1, a=0, b=0, c=0), None, (True, False, [], [], [])),
    ],
)
def test_init_containers(policy: str, init: Any, containers: Any, started: Any, expected: Any) -> None:
    verdicts = {} if started is None else {"started": started}
    assert plan(spec_of(policy, init), containers, **verdicts) == expected


def test_ephemeral_containers_start_once() -> None:
    pod = spec_of(ephemeralContainers=[{"name": "d", "image": "i"}])
    running = have(a="running", b="running", c="running")
    box = Sandbox("s", "u", "ns", "p", "n", "ready", containers=tuple(running))
    assert compute_actions(pod, box, attempts_of(running), Verdicts()).ephemeral == [0]
    ended = [*running, *have(d=1)]
    assert compute_actions(pod, box, attempts_of(ended), Verdicts()).nothing


RULES = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]


@pytest.mark.parametrize(
    ("container", "policy", "code", "expected"),
    [
        ({}, "Always", 0, True),
        ({}, "OnFailure", 0, False),
        ({}, "OnFailure", 1, True),
        ({}, "Never", 1, False),
        ({"restartPolicy": "OnFailure"}, "Never", 1, True),
        ({"restartPolicy": "Never"}, "Always", 1, False),
        ({"restartPolicy": "Never", "restartPolicyRules": RULES}, "Never", 42, True),
        ({"restartPolicy": "Never", "restartPolicyRules": RULES}, "Never", 1, False),
    ],
)
def test_exits(container: dict[str, Any], policy: str, code: int, expected: bool) -> None:
    assert exit_restarts(container, {"restartPolicy": policy}, code) is expected
