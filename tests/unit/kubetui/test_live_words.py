"""Pure functions of the terminal: words, ages, filters, health, rollouts, history."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from fakeapi import FakeAPI
from fakeworld import World
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kubetui.live.columns import parse_columns
from kubetui.live.health import pod_view, short_image, workload_view
from kubetui.live.history import (
    changed_fields,
    history_of,
    rollback_patch,
    shorten_change,
    side_by_side,
    summarize_change,
    without_hash,
)
from kubetui.live.layout import PANES, LayoutState, arrange
from kubetui.live.manifests import common_folder, source_of
from kubetui.live.rollout import budget, resolve, rollout_of
from kubetui.live.selection import FilterError, parse_filter, parse_selector, selector_matches, selector_text
from kubetui.live.text import clean, clean_log, fit, fuzzy, human_duration, parse_time
from kubetui.live.undo import recreated, restored
from kubetui.live.usage import cpu_text, memory_text, quantity

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"), (10800, "3h"), (3 * 3600 + 65, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"), (8 * 86400, "8d"), (729 * 86400, "729d"), (730 * 86400, "2y"), (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages_are_kubectls(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_times_with_nine_digits_and_offsets() -> None:
    assert parse_time("2026-01-01T00:00:00Z") == parse_time("2026-01-01T01:00:00+01:00")
    assert parse_time("2026-01-01T00:00:00.123456789Z") == pytest.approx(
        parse_time("2026-01-01T00:00:00Z") + 0.123456789
    )
    assert parse_time("soon") == 0.0
    assert parse_time(None) == 0.0


@given(st.text())
def test_nothing_that_is_cleaned_can_move_the_cursor(text: str) -> None:
    for cleaned in (clean(text), clean_log(text)):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", cleaned)


def test_escape_sequences_of_logs() -> None:
    assert clean_log("\x1b[31mred\x1b[0m and \x1b]0;title\x07text") == "red and text"
    assert clean_log("10%\r50%\r100%") == "100%"
    assert clean_log("a\tb") == "a       b"
    assert clean("\x1b[2Jgone") == "␛[2Jgone"


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("image a.io/b/web:v1 → a.io/b/web:v2", "image a.io/b/web:v1 → :v2"),
        (
            "app.image localhost:5000/x:1 → localhost:5000/x:2, +1 more",
            "app.image localhost:5000/x:1 → :2, +1 more",
        ),
        ("image web@0123 → web@4567", "image web@0123 → @4567"),
        ("image web:v1 → web", "image web:v1 → web"),
        ("image web:1 → cobweb:2, env added", "image web:1 → cobweb:2, env added"),
    ],
)
def test_a_change_of_a_tag_names_the_image_once(long: str, short: str) -> None:
    assert shorten_change(long) == short


@given(st.text(max_size=60), st.integers(1, 40))
def test_fit_is_exact(text: str, width: int) -> None:
    assert cell_len(fit(clean(text), width)) == width
    assert cell_len(fit(clean(text), width, middle=True)) == width


def test_fuzzy_prefers_the_obvious() -> None:
    names = ["deployments", "endpoints", "daemonsets", "pods"]
    best = max(names, key=lambda n: (fuzzy("dp", n) or (-999, ()))[0])
    assert best == "deployments"
    assert fuzzy("xyz", "deployments") is None
    assert fuzzy("", "anything") == (0, ())


@pytest.mark.parametrize(
    ("text", "cells", "labels", "shown"),
    [
        ("web", ["web-1"], {}, True), ("WEB", ["web-1"], {}, False), ("^w.*1$", ["web-1"], {}, True),
        ("!web", ["web-1"], {}, False), ("!api", ["web-1"], {}, True), ("~wb1", ["web-1"], {}, True),
        ("-f w1", ["web-1"], {}, True), ("-l app=web", ["x"], {"app": "web"}, True), ("-l app=web", ["x"], {}, False),
        ("-l app in (a, web),!old", ["x"], {"app": "web"}, True), ("[", ["a[b"], {}, True), ("", ["x"], {}, True),
    ],
)  # fmt: skip
def test_filters(text: str, cells: list[str], labels: dict[str, str], shown: bool) -> None:
    assert parse_filter(text).matches(cells, labels) is shown


def test_bad_selectors_are_named() -> None:
    with pytest.raises(FilterError, match="label selector"):
        parse_selector("a=b,(")


def test_label_selectors() -> None:
    selector: dict[str, Any] = {
        "matchLabels": {"a": "1"},
        "matchExpressions": [
            {"key": "b", "operator": "NotIn", "values": ["x"]},
            {"key": "c", "operator": "Exists"},
        ],
    }
    assert selector_matches(selector, {"a": "1", "c": ""})
    assert not selector_matches(selector, {"a": "1", "b": "x", "c": ""})
    assert not selector_matches(None, {})
    assert selector_text(selector) == "a=1,b notin (x),c"


# -- health ------------------------------------------------------------------------------------------------------


def a_pod(**kwargs: Any) -> dict[str, Any]:
    return World(FakeAPI(), NOW).pod("p", None, "nginx", 100, **kwargs)


@pytest.mark.parametrize(
    ("state", "status", "ready", "health"),
    [
        ("Running", "Running", 1, "ok"), ("ContainerCreating", "ContainerCreating", 0, "busy"),
        ("ImagePullBackOff", "ImagePullBackOff", 0, "bad"), ("CrashLoopBackOff", "CrashLoopBackOff", 0, "bad"),
        ("Completed", "Completed", 0, "done"), ("Pending", "Pending", 0, "bad"),
    ],
)  # fmt: skip
def test_pod_words(state: str, status: str, ready: int, health: str) -> None:
    view = pod_view(a_pod(state=state))
    assert (view.status, view.ready, view.health) == (status, ready, health)


def test_a_terminating_pod_is_terminating() -> None:
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_view(pod).status == "Terminating"
    pod["status"]["reason"] = "NodeLost"
    assert pod_view(pod).status == "Unknown"


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ([{"name": "a", "state": {"running": {}}}], "Init:0/2"),
        (
            [
                {"name": "a", "state": {"terminated": {"exitCode": 0}}},
                {"name": "b", "state": {"running": {}}},
            ],
            "Init:1/2",
        ),
        ([{"name": "a", "state": {"terminated": {"exitCode": 3}}}], "Init:ExitCode:3"),
        ([{"name": "a", "state": {"terminated": {"exitCode": 3, "signal": 9}}}], "Init:Signal:9"),
        ([{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}], "Init:CrashLoopBackOff"),
    ],
)
def test_init_containers(statuses: list[dict[str, Any]], word: str) -> None:
    pod = a_pod()
    pod["spec"]["initContainers"] = [{"name": "a"}, {"name": "b"}]
    pod["status"] = {"phase": "Pending", "initContainerStatuses": statuses}
    assert pod_view(pod).status == word


def test_restarts_say_when() -> None:
    view = pod_view(a_pod(state="CrashLoopBackOff", restarts=3))
    assert view.restarts_text(NOW) == "3 (35s ago)"
    assert "exit code 1" in view.message


def test_images_are_short() -> None:
    assert short_image("docker.io/library/nginx:1.27") == "nginx:1.27"
    assert short_image("quay.io/a/b@sha256:" + "f" * 64) == "quay.io/a/b@ffffffffffff"


# -- rollouts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "total", "up", "pods"),
    [
        ("25%", 4, True, 1),
        ("25%", 3, True, 1),
        ("25%", 3, False, 0),
        ("50%", 5, True, 3),
        (2, 10, True, 2),
        ("x", 1, True, 0),
    ],
)
def test_percentages(value: object, total: int, up: bool, pods: int) -> None:
    assert resolve(value, total, up=up) == pods


def test_budget_is_never_nothing() -> None:
    deployment = {
        "spec": {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}
    }
    assert budget(deployment) == (0, 1)
    assert budget({"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}) == (0, 3)


@pytest.fixture
def web() -> tuple[FakeAPI, dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    api = FakeAPI()
    World(api, NOW).weather()
    sets = list(api.objects[api.kind("ReplicaSet")].values())
    pods = list(api.objects[api.kind("Pod")].values())
    return api, api.get("Deployment", "web"), sets, pods


def test_a_stuck_rollout(web: Any) -> None:
    _, deployment, sets, pods = web
    rollout = rollout_of(deployment, sets, pods, NOW)
    assert rollout.phase == "stuck"
    assert [(r.number, r.current, r.desired, r.ready, len(r.pods)) for r in rollout.revisions] == [
        (7, True, 2, 0, 2),
        (6, False, 3, 3, 3),
    ]
    assert (rollout.max_surge, rollout.max_unavailable) == (1, 1)
    assert rollout.troubles[0].kind == "image"
    assert "manifest unknown" not in rollout.troubles[0].message
    assert rollout.deadline_left == pytest.approx(600 - 75)


@pytest.mark.parametrize(
    ("change", "phase"),
    [
        (lambda d: d["spec"].update(paused=True), "paused"),
        (lambda d: d["metadata"].update(generation=9), "progressing"),
        (lambda d: d["status"]["conditions"][1].update(reason="ProgressDeadlineExceeded"), "stuck"),
        (lambda d: d["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"), "terminating"),
        (
            lambda d: d["status"].update(updatedReplicas=4, replicas=4, availableReplicas=4, readyReplicas=4),
            "complete",
        ),
    ],
)
def test_phases(web: Any, change: Any, phase: str) -> None:
    _, deployment, sets, _ = web
    changed = copy.deepcopy(deployment)
    change(changed)
    assert rollout_of(changed, sets, [], NOW).phase == phase


def test_a_quota_is_named(web: Any) -> None:
    _, deployment, sets, _ = web
    changed = copy.deepcopy(deployment)
    changed["status"]["conditions"].append(
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small, requested: pods=1"}
    )
    rollout = rollout_of(changed, sets, [], NOW)
    assert (rollout.phase, rollout.troubles[0].kind) == ("stuck", "quota")


def test_min_ready_seconds_count_down(web: Any) -> None:
    api, deployment, sets, pods = web
    world = World(api, NOW)
    new = next(s for s in sets if s["metadata"]["name"].endswith("7c9d5bb6f"))
    fresh = world.pod("web-7c9d5bb6f-fresh", new, "nginx:1.27", 5)
    rollout = rollout_of(deployment, sets, [*pods, fresh], NOW)
    assert rollout.min_ready_left == pytest.approx(7)


def test_a_daemon_set_and_a_stateful_set(web: Any) -> None:
    api, _, _, pods = web
    revisions = list(api.objects[api.kind("ControllerRevision")].values())
    rollout = rollout_of(api.get("StatefulSet", "db"), revisions, pods, NOW)
    assert rollout.phase == "complete"
    assert [(r.number, r.images, len(r.pods)) for r in rollout.revisions] == [(2, "postgres:16", 2)]
    assert rollout_of(api.get("DaemonSet", "agent"), [], [], NOW).phase == "complete"


def test_workload_words(web: Any) -> None:
    api = web[0]
    words = {n: workload_view(api.get("Deployment", n)).state for n in ("web", "api", "worker", "mailer")}
    assert words == {"web": "Updating 2/4", "api": "Healthy", "worker": "Paused", "mailer": "Stuck"}


# -- history -----------------------------------------------------------------------------------------------------


def test_rollback_is_kubectls_patch(web: Any) -> None:
    _, deployment, sets, _ = web
    history = history_of(deployment, sets)
    kind, body = rollback_patch(deployment, history[1])
    assert kind == "json"
    assert body[0]["path"] == "/spec/template"
    assert "pod-template-hash" not in body[0]["value"]["metadata"]["labels"]
    assert body[1]["value"] == {
        "deployment.kubernetes.io/revision": "7",
        "kubernetes.io/change-cause": "release 1.26",
    }


def test_changes_in_words(web: Any) -> None:
    _, deployment, sets, _ = web
    history = history_of(deployment, sets)
    assert summarize_change(history[1].template, history[0].template) == "image nginx:1.26 → nginx:1.27"
    changes = changed_fields(
        {"c": [{"name": "a", "x": 1}], "gone": 1}, {"c": [{"name": "a", "x": 2}, {"name": "b"}], "new": [1]}
    )
    assert changes == [("c[a].x", 1, 2), ("c[b]", None, {"name": "b"}), ("gone", 1, None), ("new", None, [1])]
    restarted = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
    assert summarize_change({"metadata": {}}, restarted) == "restarted"
    assert without_hash({"spec": {}}) == {"spec": {}}


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_side_by_side_loses_nothing(old: list[str], new: list[str]) -> None:
    lines = side_by_side("\n".join(old), "\n".join(new))
    assert [p.left for p in lines if p.left is not None] == old
    assert [p.right for p in lines if p.right is not None] == new


def test_before_images() -> None:
    live = {
        "metadata": {"name": "a", "resourceVersion": "9", "labels": {"x": "1"}},
        "spec": {"n": 2},
        "status": {"s": 1},
    }
    before = {"metadata": {"name": "a", "resourceVersion": "3", "annotations": {"k": "v"}}, "spec": {"n": 1}}
    assert restored(before, live) == {
        "metadata": {"name": "a", "resourceVersion": "9", "annotations": {"k": "v"}},
        "spec": {"n": 1},
        "status": {"s": 1},
    }
    service = {
        "kind": "Service",
        "metadata": {"name": "s", "uid": "u"},
        "spec": {"clusterIP": "10.96.0.1"},
        "status": {},
    }
    assert recreated(service) == {"kind": "Service", "metadata": {"name": "s"}, "spec": {}}


# -- the rest ----------------------------------------------------------------------------------------------------


@given(
    st.integers(60, 400),
    st.integers(14, 120),
    st.sets(st.sampled_from(PANES)),
    st.one_of(st.none(), st.sampled_from(PANES)),
    st.sampled_from(PANES[1:]),
    st.booleans(),
    st.integers(20, 80),
    st.integers(15, 85),
)
def test_panes_never_overlap_nor_leave_the_screen(
    width: int,
    height: int,
    hidden: set[str],
    maximised: str | None,
    slot: str,
    manifests: bool,
    split: int,
    top: int,
) -> None:
    state = LayoutState(split=split, top=top, hidden=hidden, maximised=maximised, slot=slot)
    places = arrange(width, height, state, manifests)
    cells: set[tuple[int, int]] = set()
    for place in places:
        assert place.width > 0 and place.height > 0
        assert (
            place.x >= 0
            and place.y >= 0
            and place.x + place.width <= width
            and place.y + place.height <= height
        )
        corners = {
            (x, y)
            for x in range(place.x, place.x + place.width)
            for y in range(place.y, place.y + place.height)
        }
        assert not corners & cells
        cells |= corners
    assert len({p.pane for p in places}) == len(places)


def test_manifest_sources() -> None:
    api = FakeAPI()
    World(api, NOW).weather()
    found = {s.configmap: s for c in api.objects[api.kind("ConfigMap")].values() if (s := source_of(c))}
    assert found["manifest-api"].word == "drifted"
    assert found["manifest-api"].documents[0].drift[0].live == 3
    assert found["manifest-mailer"].error_line == 14
    assert found["manifest-mailer"].health == "bad"
    assert source_of({"data": {"status.json": "nonsense"}}) is None
    assert source_of({"data": {"status.json": "[]"}}) is None
    assert common_folder(["/a/b/c.yaml", "/a/b/d/e.yaml"]) == "/a/b/"
    assert common_folder([]) == ""


def test_custom_columns() -> None:
    plain, by_path, listed = parse_columns(
        ["name", "TIER:.metadata.labels['app.kubernetes.io/tier']", "IMG:.spec.c[*].image"]
    )
    assert plain.path is None
    obj = {
        "metadata": {"labels": {"app.kubernetes.io/tier": "web"}},
        "spec": {"c": [{"image": "a"}, {"image": "b"}]},
    }
    assert by_path.value(obj) == "web"
    assert listed.value(obj) == "a,b"


def test_quantities() -> None:
    assert quantity("250m") == 0.25
    assert quantity("1Gi") == 2**30
    assert quantity("1500k") == 1.5e6
    assert quantity("nonsense") == 0.0
    assert (cpu_text(0.25), memory_text(2**27)) == ("250m", "128Mi")
