"""The palette while things change under it: kinds, aliases and objects that come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakeapi import FakeAPI, Status
from steps import current, shown
from terminal import Terminal, terminal

from kubetui.live.discovery import Catalog, ResourceType
from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dialogs import Picker


@pytest.fixture
async def early(api: FakeAPI, tmp_path: Path) -> AsyncIterator[Terminal]:
    """A terminal that shows its panes while discovery has not answered yet."""
    api.held.add("/apis")
    async with terminal(api, tmp_path, wait=False) as found:
        await found.filled()
        assert found.app.catalog is None
        yield found
        api.held.clear()


def choices(term: Terminal) -> list[str]:
    picker = term.app.screen
    assert isinstance(picker, Picker)
    return [choice.label for choice, _ in picker.list.shown]


async def test_kinds_that_come_while_it_is_open_are_shown(early: Terminal) -> None:
    await early.press("colon", "w", "i", "d", "g")
    assert "widgets" not in choices(early)
    early.api.held.clear()
    await early.wait(lambda: choices(early)[0] == "widgets")
    await early.press("enter")
    await early.wait(lambda: isinstance(early.app.screen, BrowserScreen))
    assert early.app.screen.kind.kind == "Widget"


async def test_a_kind_typed_before_the_kinds_are_known_is_opened_once_they_are(early: Terminal) -> None:
    await early.workload("web")
    await early.press("colon", *"deploy", "enter")
    await early.sees("the server is being asked")
    early.api.held.clear()
    await early.wait(lambda: isinstance(early.app.screen, BrowserScreen))
    assert early.app.screen.kind.kind == "Deployment"


async def test_escape_gives_up_waiting_for_the_kinds(early: Terminal) -> None:
    await early.press("colon", *"deploy", "enter")
    await early.sees("the server is being asked")
    await early.press("escape")
    await early.wait(lambda: "the server is being asked" not in early.text())
    assert early.app.screen is early.app.dashboard


async def test_what_the_cursor_was_put_on_stays_under_it(early: Terminal) -> None:
    await early.press("colon", "p", "o", "down", "down")
    picker = early.app.screen
    chosen = picker.list.current
    early.api.held.clear()
    await early.wait(lambda: "pods" in choices(early))
    assert picker.list.current == chosen


async def test_an_alias_that_is_saved_while_it_is_open(term: Terminal, tmp_path: Path) -> None:
    await term.press("colon", "z", "z", "z")
    (tmp_path / "config.yaml").write_text("aliases: {zzz: configmaps}\n")
    await term.wait(lambda: choices(term)[0] == "configmaps")


async def test_nothing_is_done_to_what_took_the_place_of_an_object_that_is_gone(term: Terminal) -> None:
    await term.workload("api")
    await term.press("colon", *"restart")
    await term.wait(lambda: choices(term)[0] == "Restart")
    term.api.remove("Deployment", "api")
    await term.wait(lambda: "api" not in shown(term) and current(term))
    await term.press("enter")
    await term.wait(lambda: any("deployment/api is gone" in note.message for note in term.app._notifications))
    assert term.app.screen is term.app.dashboard


async def test_the_kinds_are_known_where_the_version_is_not_said(api: FakeAPI, tmp_path: Path) -> None:
    api.closed["/version"] = Status(403, "Forbidden", "not for you")
    async with terminal(api, tmp_path) as term:
        await term.wait(lambda: term.app.catalog)
        assert term.app.connection_state.kind == "live"


async def test_an_alias_stands_for_all_of_its_words(term: Terminal, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("aliases: {front: 'po kube-system /web', prod: ns other}\n")
    await term.wait(lambda: term.app.config.aliases)
    await term.press("colon", *"front")
    await term.wait(lambda: choices(term)[0] == "pods kube-system /web")
    await term.press("enter")
    browser = await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen)
    assert browser.own_namespaces == ("kube-system",)
    assert browser.table.filter.text == "web"
    await term.command("prod")
    await term.wait(lambda: term.app.namespaces == ("other",))


def test_kinds_are_found_by_every_name_that_kubectl_and_k9s_know() -> None:
    def kind(group: str, resource: str, name: str, *short: str) -> ResourceType:
        return ResourceType(group, "v1", resource, "", name, True, short, frozenset({"list"}), frozenset())

    rbac = "rbac.authorization.k8s.io"
    kinds = [
        kind("apps", "deployments", "Deployment", "deploy"),
        kind("batch", "cronjobs", "CronJob", "cj"),
        kind(rbac, "clusterrolebindings", "ClusterRoleBinding"),
        kind(rbac, "clusterroles", "ClusterRole"),
    ]
    catalog = Catalog(kinds)
    for name in (
        "dp",
        "deploy",
        "Deployment",
        "deploy.apps",
        "deployments.apps",
        "deployment.v1.apps",
        "DEPLOY",
    ):
        assert catalog.find(name) is kinds[0], name
    assert catalog.find("deploy.batch") is None
    assert catalog.find("crb") is kinds[2]
    assert catalog.find("cr") is kinds[3]
    credits = kind("shop", "credits", "Credit", "cr")
    assert Catalog([*kinds, credits]).find("cr") is credits


async def test_what_is_named_exactly_comes_first(term: Terminal) -> None:
    await term.press("colon", *"dp")
    await term.wait(lambda: choices(term)[0] == "deployments")
    await term.press("escape")
    await term.command("deploy.apps web")
    browser = await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen)
    assert browser.kind.kind == "Deployment"
    assert browser.own_namespaces == ("web",)


async def test_a_category_lists_its_kinds(term: Terminal) -> None:
    await term.press("colon", *"all")
    await term.wait(lambda: choices(term)[:2] == ["services", "widgets"])
    await term.press("escape")
    await term.command("shop")
    browser = await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen)
    assert browser.kind.kind == "Widget"
