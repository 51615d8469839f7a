from datetime import UTC, datetime

import pytest

from runtime.podman import state
from runtime.podman.exits import End

LABELS = {
    "io.kubetui.cluster": "c1",
    "io.kubetui.pod.uid": "u1",
    "io.kubetui.pod.namespace": "ns",
    "io.kubetui.pod.name": "web",
    "io.kubetui.pod.node": "n1",
    "io.kubetui.pod.ip": "10.0.0.5",
}
CONTAINER = LABELS | {
    "io.kubetui.container.name": "app",
    "io.kubetui.container.attempt": "3",
    "io.kubetui.container.image": "nginx",
    "io.kubetui.container.log": "/logs/3.log",
}
NEVER = -62135596800


def listed(container_id="c", state_="running", infra=False, **more):
    return {
        "Id": container_id,
        "Pod": "pod1",
        "IsInfra": infra,
        "State": state_,
        "Labels": LABELS if infra else CONTAINER,
        "Image": "docker.io/library/nginx:latest",
        "ImageID": "img",
        "Created": "2026-11-20T10:53:11.229296388Z",
        "StartedAt": 1_795_172_235,
        "ExitedAt": NEVER,
        "ExitCode": 0,
        "Pid": 42,
        **more,
    }


@pytest.mark.parametrize("value", [NEVER, 0, None, "", "0001-01-01T00:00:00Z", "garbage"])
def test_gos_never_is_none(value):
    assert state.moment(value) is None


def test_moments():
    assert state.moment(1_795_172_235) == datetime(2026, 11, 20, 10, 57, 15, tzinfo=UTC)
    assert state.moment("2026-11-20T10:57:15.5+02:00") == datetime(
        2026, 11, 20, 8, 57, 15, 500_000, tzinfo=UTC
    )


def test_a_running_container_of_a_listing():
    one = state.listed_container(listed())
    assert (one.name, one.attempt, one.state, one.pid, one.image, one.log_path) == (
        "app",
        3,
        "running",
        42,
        "nginx",
        "/logs/3.log",
    )
    assert one.finished_at is None


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("stopping", "running"),
        ("stopped", "exited"),
        ("configured", "created"),
        ("Initialized", "created"),
        ("x", "unknown"),
    ],
)
def test_podmans_words(word, expected):
    assert state.container_state(word) == expected


def test_an_ended_container_names_its_signal():
    one = state.listed_container(listed(state_="exited", ExitCode=137, ExitedAt=1_795_172_236))
    assert (one.exit_code, one.signal, one.pid) == (137, 9, 0)
    assert one.finished_at == datetime(2026, 11, 20, 10, 57, 16, tzinfo=UTC)


def test_a_sandbox_is_as_ready_as_its_infra_container():
    for word, expected in (
        ("running", "ready"),
        ("created", "ready"),
        ("exited", "notready"),
        ("removing", "notready"),
    ):
        [found], infra = state.sandboxes([listed("i", word, infra=True), listed()])
        assert found.state == expected
        assert found.ip == "10.0.0.5"
        assert [one.id for one in found.containers] == ["c"]
        assert infra == {"pod1": ("i", 42 if word == "running" else 0)}


def test_a_half_made_pod_is_seen_and_not_ready():
    pods = [{"Id": "pod1", "Labels": LABELS}, {"Id": "pod2", "Labels": LABELS | {"io.kubetui.pod.uid": "u2"}}]
    found, _ = state.sandboxes([listed("i", infra=True)], pods)
    assert [(one.id, one.uid, one.state) for one in found] == [
        ("pod1", "u1", "ready"),
        ("pod2", "u2", "notready"),
    ]


def test_what_was_inspected_is_used_for_the_same_run_only():
    ended = listed(state_="exited", ExitCode=137, ExitedAt=1_795_172_236)
    known = state.as_out_of_memory(state.listed_container(ended))
    [found], _ = state.sandboxes([listed("i", infra=True), ended], known={"c": known})
    assert found.containers[0].oom_killed
    again = {**ended, "ExitedAt": 1_795_172_300}
    [found], _ = state.sandboxes([listed("i", infra=True), again], known={"c": known})
    assert not found.containers[0].oom_killed
    [found], _ = state.sandboxes([listed("i", infra=True), listed()], known={"c": known})
    assert found.containers[0].state == "running"


def test_an_inspection():
    one = state.inspected_container(
        {
            "Id": "c",
            "Pod": "pod1",
            "Image": "img",
            "Created": "2026-11-20T10:53:11.2Z",
            "State": {
                "Status": "exited",
                "OOMKilled": True,
                "ExitCode": 137,
                "Error": "why",
                "StartedAt": "2026-11-20T10:57:15.441584124Z",
                "FinishedAt": "2026-11-20T10:57:16.159643368Z",
            },
            "Config": {"Labels": CONTAINER},
        }
    )
    assert (one.oom_killed, one.error, one.state) == (True, "why", "exited")
    assert one.finished_at.microsecond == 159_643


def test_an_image():
    image = state.image(
        {
            "Id": "i",
            "RepoTags": ["a:1"],
            "RepoDigests": ["a@sha256:1"],
            "Size": 5,
            "Config": {"User": "7", "Cmd": ["x"]},
        }
    )
    assert (image.names, image.user, image.command, image.entrypoint) == (("a:1",), "7", ("x",), ())


def test_an_end_that_the_listing_does_not_know_yet():
    end = End(139, datetime(2026, 11, 20, 11, 0, 0, 500_000, UTC))
    late = {"c": state.as_ended_late(state.listed_container(listed()), end)}
    [found], infra = state.sandboxes([listed("i", infra=True), listed()], late=late)
    [one] = found.containers
    assert (one.state, one.exit_code, one.signal, one.pid) == ("exited", 139, 11, 0)
    assert (one.finished_at, one.started_at, found.state) == (
        end.finished_at,
        state.moment(1_795_172_235),
        "ready",
    )
    dead = {"i": late["c"]}
    [found], infra = state.sandboxes([listed("i", infra=True), listed()], late=dead)
    assert (found.state, infra["pod1"]) == ("notready", ("i", 0))
