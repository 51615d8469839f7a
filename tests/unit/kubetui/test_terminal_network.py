"""What the terminal does when the server is slow to like it: gone and back, 403, 410, 401, no tables, odd columns."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakeapi import FakeAPI, Status
from fakeworld import World
from steps import current
from terminal import Terminal, terminal
from textual import events

from kubetui.screens.browser import BrowserScreen


def names(term: Terminal) -> list[str]:
    return [r.data["metadata"]["name"] for r in term.app.dashboard.workloads.table.order]


async def test_server_gone_and_back(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        api.down = True
        api.cut()
        await term.wait(lambda: term.app.dashboard.pods.table.stale)
        await term.sees("reconnecting")
        World(api).deployment("newcomer", "new:1", 1, 1)
        api.down = False
        await term.wait(lambda: not term.app.dashboard.pods.table.stale)
        await term.wait(lambda: "newcomer" in names(term))
        await term.wait(lambda: term.app.connection_state.kind == "live")


async def test_a_watch_that_is_too_old_lists_again(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        api.remove("Deployment", "worker")
        World(api).deployment("newcomer", "new:1", 1, 1)
        api.expire()
        api.cut()
        await term.wait(lambda: "newcomer" in names(term) and "worker" not in names(term))


async def test_changes_arrive_without_a_tick(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        term.app._tick = lambda: None  # type: ignore[method-assign]
        World(api).deployment("newcomer", "new:1", 1, 1)
        await term.sees("newcomer")


async def test_forbidden_kinds_say_so(api: FakeAPI, tmp_path: Path) -> None:
    api.forbidden = {"secrets", "events"}
    async with terminal(api, tmp_path) as term:
        await term.sees("forbidden: events is forbidden")
        await term.command("secrets")
        await term.sees('forbidden: secrets is forbidden: User "you"')


async def test_why_nothing_is_shown_is_said_in_full(api: FakeAPI, tmp_path: Path) -> None:
    why = "nobody may look at this " + "and nobody may ask for it either " * 4 + "until the end of days"
    api.closed["/api/v1/namespaces/default/secrets"] = Status(403, "Forbidden", why)
    async with terminal(api, tmp_path, (80, 24)) as term:
        await term.command("secrets")
        await term.wait(lambda: why in " ".join(term.text().split()))


async def test_a_server_without_tables_for_a_kind(api: FakeAPI, tmp_path: Path) -> None:
    api.put(
        {
            "kind": "Widget",
            "apiVersion": "example.com/v1",
            "metadata": {"name": "cog", "namespace": "default"},
        }
    )
    async with terminal(api, tmp_path) as term:
        await term.command("wd")
        await term.wait(
            lambda: isinstance(term.app.screen, BrowserScreen) and len(term.app.screen.table.order) == 1
        )
        await term.sees("CREATED AT")
        api.put(
            {
                "kind": "Widget",
                "apiVersion": "example.com/v1",
                "metadata": {"name": "gear", "namespace": "default"},
            }
        )
        await term.sees("gear")
        api.remove("Widget", "cog")
        await term.wait(lambda: "cog" not in term.text())


async def test_an_unknown_kind_is_named(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.command("zzzzqqq")
        await term.sees("There is no kind or action like")


async def test_strangers_cannot_write_on_the_screen(api: FakeAPI, tmp_path: Path) -> None:
    world = World(api)
    evil = world.deployment("evil", "img\x1b[2J:1", 1, 10)
    world.event(evil, "Bad\x1b]0;x\x07", "message\x1b[31m\r\nwith \u202eeverything", 1, "Warning")
    async with terminal(api, tmp_path) as term:
        await term.workload("evil")
        await term.sees("Bad␛")
        strips = term.app.screen._compositor.render_strips(term.app.screen.size)
        assert not any(c in strip.text for strip in strips for c in "\x1b\r\n\x07\u202e")


async def test_wide_and_long_names(api: FakeAPI, tmp_path: Path) -> None:
    world = World(api)
    world.deployment("n" * 253, "img", 1, 10)
    world.deployment("naïve-日本語-עברית", "img", 1, 10)
    async with terminal(api, tmp_path, (80, 24)) as term:
        await term.wait(lambda: len(names(term)) == 9)
        width = term.app.screen.size.width
        strips = term.app.screen._compositor.render_strips(term.app.screen.size)
        assert all(strip.cell_length == width for strip in strips)


async def test_a_long_name_is_asked_about_as_a_whole(api: FakeAPI, tmp_path: Path) -> None:
    World(api).deployment("n" * 190 + "-the-end", "img", 1, 10)
    async with terminal(api, tmp_path, (80, 24)) as term:
        await term.workload("n" * 190 + "-the-end")
        await term.press("ctrl+d")
        await term.sees("-the-end in default?")


async def test_read_only_has_no_key_that_changes(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path, read_only=True) as term:
        await term.workload("web")
        await term.press("plus", "R", "ctrl+d", "space", "e")
        assert not term.sent("PATCH") and not term.sent("DELETE")
        assert "Scale up" not in term.text()
        await term.sees("read-only")


async def test_a_cluster_that_is_still_starting(api: FakeAPI, tmp_path: Path) -> None:
    later: Future[str] = Future()

    def use_future(app: object) -> None:
        app.connection._access = type(app.connection._access)(later, None)  # type: ignore[attr-defined]

    async with terminal(api, tmp_path, wait=False, prepare=use_future, own_cluster=True) as term:
        term.app.options.progress.put("reading the state folder")
        await term.sees("reading the state folder")
        later.set_result(str(tmp_path / "kubeconfig"))
        await term.wait(lambda: "web" in names(term))
        term.app.options.progress.put("/srv/app/bad.yaml:6: Deployment default/web: spec.replicas is a word")
        term.app.options.progress.put("/srv/app/web.yaml: applied Deployment default/web")
        await term.wait(lambda: len(term.app.command_log) > 1)
        assert [logged.ok for logged in term.app.command_log] == [False, True]


async def test_a_cluster_that_cannot_start(api: FakeAPI, tmp_path: Path) -> None:
    later: Future[str] = Future()

    def use_future(app: object) -> None:
        app.connection._access = type(app.connection._access)(later, None)  # type: ignore[attr-defined]

    async with terminal(api, tmp_path, wait=False, prepare=use_future, own_cluster=True) as term:
        later.set_exception(RuntimeError("port 6443 is taken"))
        await term.wait(lambda: term.app.failure == "port 6443 is taken")
        assert term.app.return_value == 1


async def test_a_missing_kubeconfig_is_named(api: FakeAPI, tmp_path: Path) -> None:
    def no_file(app: object) -> None:
        app.connection._access = type(app.connection._access)("/nonexistent/kubeconfig", None)  # type: ignore[attr-defined]

    async with terminal(api, tmp_path, wait=False, prepare=no_file) as term:
        await term.wait(lambda: "/nonexistent/kubeconfig" in term.app.failure)
        assert term.app.return_value == 1


async def test_configuration_with_errors(api: FakeAPI, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("theme: nord\nkeys:\n  scale-up: '='\n  fly: x\nnonsense: 1\n")
    async with terminal(api, tmp_path, (160, 50)) as term:
        await term.sees("config.yaml:4")
        await term.sees("config.yaml:5")
        assert term.app.theme == "nord"
        await term.workload("worker")
        await term.press("equals_sign")
        await term.wait(lambda: api.get("Deployment", "worker")["spec"]["replicas"] == 3)


async def test_configuration_with_markup_and_keys_that_no_terminal_sends(
    api: FakeAPI, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(
        "theme: 'no[/red]'\nkeys:\n  '[/]': x\n  quit: '[/]'\n  wide: [W, ctrl+shift+nonsense]\n"
    )
    async with terminal(api, tmp_path, (160, 50)) as term:
        said = "\n".join(term.app.config.problems)
        await term.wait(
            lambda: all(p in [n.message for n in term.app._notifications] for p in said.splitlines())
        )
        assert "there is no theme 'no[/red]'" in said
        assert "there is no action '[/]'" in said
        assert "quit: there is no key '[/]'" in said
        assert "wide: there is no key 'ctrl+shift+nonsense'" in said
        await term.sees("'no[/red]'")
        assert term.app.registry.keys["quit"] == ("q", "ctrl+q")
        assert term.app.registry.keys["wide"] == ("W",)


async def test_a_damaged_memory_is_forgotten(api: FakeAPI, tmp_path: Path) -> None:
    file = tmp_path / "state" / "kubetui" / "terminal.json"
    file.parent.mkdir(parents=True)
    panes = ["workloads", "pods", "rollout", "logs", "events", "manifests", "usage"]
    file.write_text(json.dumps({"layout": {"hidden": panes}, "views": {"svc": "wide", "services": [1]}}))
    async with terminal(api, tmp_path) as term:
        assert term.app.dashboard.workloads.display
        await term.command("svc")
        await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen.table.order)


async def test_nothing_may_be_seen(api: FakeAPI, tmp_path: Path) -> None:
    api.forbidden = {"pods", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "replicasets"}
    async with terminal(api, tmp_path, wait=False) as term:
        await term.sees("Pods may not be listed in default")
        await term.sees('User "you" cannot list resource "pods"')
        assert "all well" not in term.text()


async def test_pods_are_found_where_replica_sets_may_not_be_read(api: FakeAPI, tmp_path: Path) -> None:
    api.forbidden = {"replicasets"}
    async with terminal(api, tmp_path) as term:
        await term.workload("web")
        await term.wait(
            lambda: (
                {c.text for r in term.app.dashboard.pods.table.order for c in r.cells}
                >= {"web-6b7c4d9f8-4kx2p", "web-6b7c4d9f8-9jw7q"}
            )
        )
        await term.sees("its revisions may not be read")


async def test_a_server_that_was_never_reached_is_explained(api: FakeAPI, tmp_path: Path) -> None:
    api.down = True
    async with terminal(api, tmp_path, wait=False) as term:
        await term.sees("cannot be reached at http")
        await term.sees("It is tried again by itself")
        api.down = False
        await term.wait(lambda: "web" in names(term))
        await term.wait(lambda: "It is tried again" not in term.text())


async def test_a_server_that_is_not_well_is_not_live(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        api.sick = Status(500, "InternalError", "etcdserver: [red]leader changed[/]")
        api.cut()
        await term.sees("reconnecting: etcdserver: [red]leader changed[/]")
        assert "all well" not in term.text()
        api.sick = None
        await term.wait(lambda: term.app.connection_state.kind == "live")


async def test_a_network_that_was_silent_leaves_nothing_deaf(
    api: FakeAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubetui.connection.HEARTBEAT_SECONDS", 0.6)
    monkeypatch.setattr("kubetui.connection.SILENCE_SECONDS", 0.5)
    async with terminal(api, tmp_path) as term:
        api.silent = True
        World(api).deployment("newcomer", "new:1", 1, 1)
        await term.sees("reconnecting: the server does not answer")
        api.silent = False
        await term.wait(lambda: "newcomer" in names(term))


async def test_kinds_that_are_defined_later(api: FakeAPI, tmp_path: Path) -> None:
    api.absent.add("example.com")
    async with terminal(api, tmp_path) as term:
        assert term.app.catalog.find("widgets") is None
        api.absent.clear()
        await term.press("colon")
        await term.wait(lambda: term.app.catalog.find("widgets") is not None)
        await term.press("w", "d")
        await term.sees("widgets")


async def test_no_key_and_no_change_hangs_on_a_timer_that_textual_leaves_out(
    api: FakeAPI, tmp_path: Path
) -> None:
    def left_out(app: Any) -> None:
        app.set_timer = lambda *_, **__: SimpleNamespace(stop=lambda: None)

    async with terminal(api, tmp_path, prepare=left_out) as term:
        for letter in ":svc":
            term.app.post_message(events.Key("colon" if letter == ":" else letter, letter))
        term.app.post_message(events.Key("enter", None))
        await term.wait(lambda: isinstance(term.app.screen, BrowserScreen))


async def test_the_cursor_stays_on_its_object(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.workload("mailer")
        world = World(api)
        for name in ("aa", "ab", "ac"):
            world.deployment(name, "img", 1, 10)
        await term.wait(lambda: "ac" in names(term))
        assert term.app.dashboard.workloads.table.current.data["metadata"]["name"] == "mailer"
        api.remove("Deployment", "mailer")
        await term.wait(lambda: "mailer" not in names(term))
        assert term.app.dashboard.workloads.table.current.data["metadata"]["name"] == "nightly"


async def test_a_cursor_that_nobody_moved_waits_for_what_comes_first(api: FakeAPI, tmp_path: Path) -> None:
    late = (
        "/apis/apps/v1/namespaces/default/daemonsets"  # the one is called agent and stands above all others
    )
    api.held.add(late)
    async with terminal(api, tmp_path, wait=False) as term:
        await term.wait(lambda: current(term) == "api")
        api.held.clear()
        await term.wait(lambda: names(term)[0] == "agent")
        assert current(term) == "agent"
        await term.wait(lambda: not term.app.dashboard.workloads.table.filling)
        World(api).deployment("aa", "img", 1, 10)
        await term.wait(lambda: names(term)[0] == "aa")
        assert current(term) == "agent"


async def test_a_cursor_that_was_moved_stays_while_more_is_coming(api: FakeAPI, tmp_path: Path) -> None:
    api.held.add("/apis/apps/v1/namespaces/default/daemonsets")
    async with terminal(api, tmp_path, wait=False) as term:
        await term.workload("web")
        await term.press("g")
        assert current(term) == "api"
        api.held.clear()
        await term.wait(lambda: names(term)[0] == "agent")
        assert current(term) == "api"


async def test_use_starts_on_the_node_when_its_pods_come_first(api: FakeAPI, tmp_path: Path) -> None:
    api.held.add("/api/v1/nodes")
    async with terminal(api, tmp_path, (200, 60), wait=False) as term:
        await term.workload("web")
        table = term.app.dashboard.usage.table
        await term.wait(lambda: table.order)
        api.held.clear()
        await term.wait(lambda: table.order[0].data["metadata"]["name"] == "kubetui")
        assert table.current is table.order[0]


async def test_too_small(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path, (50, 12)) as term:
        await term.sees("kubetui needs 60×16")


async def test_a_foreign_cluster_has_no_manifests_pane(tmp_path: Path) -> None:
    found = FakeAPI()
    World(found).weather(manifests=False)
    found.start()
    try:
        async with terminal(found, tmp_path) as term:
            assert not term.app.dashboard.manifests.display
            await term.press("6")
            await term.sees("no manifests")
    finally:
        found.stop()
