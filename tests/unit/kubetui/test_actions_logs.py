"""Pilot tests of the actions for logs, pages of text and manifests."""

from __future__ import annotations

import pytest
from fakeworld import World, waiting_file
from steps import manifest, open_logs, paused_source, pick, replicas, requested, shown, yes
from terminal import Terminal

from kubetui.live.logquery import LogQuery
from kubetui.live.logspool import LogSource, LogSpool
from kubetui.screens.text import TextScreen
from kubetui.widgets.logview import LogView


async def test_log_wrap(term: Terminal) -> None:
    screen = await open_logs(term)
    term.api.log("web-6b7c4d9f8-4kx2p", "app", "x" * 300 + "END")
    await term.wait(lambda: len(screen.logview.spool) == 37)
    assert "END" not in term.text()
    await term.press("w")
    await term.sees("END")


async def test_log_stamps(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("t")
    assert screen.logview.stamps


async def test_log_names(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.sees("│")
    await term.press("o")
    assert not screen.logview.names


async def test_every_line_says_whose_it_is_once_there_are_several(term: Terminal) -> None:
    await term.workload("mailer")
    await term.press("l")
    await term.sees("SMTP_HOST is not set")
    view = term.app.screen.logview
    assert not any("│" in row for row in view.visible_text())
    owner = term.api.get("ReplicaSet", "mailer-66d")
    World(term.api).pod("mailer-66d-later", owner, "ghcr.io/acme/mailer:1.0", 1)
    term.api.log("mailer-66d-later", "app", "the second pod")
    await term.sees("the second pod")
    assert [row.split("│")[0].strip() for row in view.visible_text()] == [
        "mailer-66d-pp2vd",
        "mailer-66d-later",
    ]


async def test_log_json(term: Terminal) -> None:
    await term.workload("api")
    await term.press("l")
    await term.sees("ERROR database away attempt=3")
    await term.press("J")
    await term.sees('"msg":"database away"')


async def test_log_follow(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("f")
    assert not screen.logview.follow
    term.api.log("web-6b7c4d9f8-4kx2p", "app", "later")
    await term.sees("1 new lines")
    await term.press("f")
    await term.sees("later")


async def test_search(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("slash", "slash", "7", "space", "h", "enter")
    await term.wait(lambda: len(screen.logview.hits_query) == 3)
    await term.sees("/8 HTTP")
    await term.press("escape")
    assert screen.logview.hits_query is None


async def test_a_search_in_vain_says_where_there_is_more(term: Terminal) -> None:
    await open_logs(term)
    await term.press("slash", *"nowhere", "enter")
    await term.sees("/nowhere 0  h looks further back")
    await term.press("h")
    await pick(term, "everything")
    await term.wait(lambda: "everything" in term.text() and "/nowhere" not in term.text())
    await term.press("slash", *"nowhere", "enter")
    await term.sees("/nowhere 0")
    assert "further back" not in term.text()


async def test_log_filter(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("ampersand", "slash", "7", "space", "enter")
    await term.wait(lambda: screen.logview.line_total() == 3)
    await term.press("ampersand", "home", "exclamation_mark", "enter")
    await term.wait(lambda: screen.logview.line_total() == 33)


async def test_log_events(term: Terminal) -> None:
    await open_logs(term)
    await term.press("E")
    await term.sees("⚑ pod/web-7c9d5bb6f-hd5lm Failed")


async def test_log_range(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("h")
    await pick(term, "last hour")
    await term.wait(
        lambda: any(q.get("sinceSeconds") == "3600" for m, _, q in term.api.requests if m == "LOG")
    )
    assert screen.range[0] == "last hour"


async def test_log_previous(term: Terminal) -> None:
    await term.workload("mailer")
    await term.press("l")
    await term.sees("SMTP_HOST is not set")
    assert "\x1b" not in term.text()
    await term.press("p")
    await term.sees("was not set then either")


async def test_next_hit(term: Terminal) -> None:
    screen = await open_logs(term)
    await term.press("g", "slash", "H", "T", "T", "P", "enter")
    first = await term.wait(lambda: screen.logview.hit >= 0 and (screen.logview.hit, 1))
    await term.press("n")
    assert screen.logview.hit != first[0]


async def long_log(term: Terminal, lines: int) -> LogView:
    screen = await open_logs(term)
    spool = LogSpool()
    source = spool.add_source(LogSource("long", "app"))
    stamp = "2026-01-01T00:00:{:02}.{:06}Z"
    for start in range(0, lines, 10_000):
        numbers = range(start, start + 10_000)
        spool.append(source, [f"{stamp.format(n // 10**6, n % 10**6)} line {n}".encode() for n in numbers])
    screen.stream.close()
    screen.logview.set_spool(spool)
    return screen.logview


async def test_a_search_goes_to_a_match_however_far_it_is(term: Terminal) -> None:
    view = await long_log(term, 260_000)
    await term.press("g", "slash", *"line 250000", "enter")
    await term.sees("line 250000")
    await term.sees("1 of 1")
    assert not view.seeking


async def test_a_search_from_the_end_finds_the_last_match_not_the_first(term: Terminal) -> None:
    view = await long_log(term, 260_000)
    assert view.follow
    await term.press("slash", *"line .*7777$", "enter")
    await term.sees("line 257777")
    await term.press("n")  # there is none below
    await term.wait(lambda: "line 7777\n" in term.text())
    await term.press("N")
    await term.sees("line 257777")


async def test_who_moves_on_is_not_taken_to_a_match(term: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await long_log(term, 10_000)
    with monkeypatch.context() as patch:
        patch.setattr(LogQuery, "step", lambda *_: True)  # a search that takes its time
        view.search("line 9000")
        assert view.seeking
        view.to_start()
    view.changed()
    await term.wait(lambda: len(view.hits_query) == 1)
    await term.pilot.pause(0.05)
    assert view.top == 0


async def test_previous_hit(term: Terminal) -> None:
    await term.workload("web")
    await term.press("y")
    screen = await term.wait(lambda: isinstance(term.app.screen, TextScreen) and term.app.screen)
    await term.sees("kind: Deployment")
    await term.press("slash", "w", "e", "b", "enter")
    await term.wait(lambda: len(screen.lines.hits) > 2)
    await term.press("N")
    assert screen.lines.hit == len(screen.lines.hits) - 1


async def test_managed_fields(term: Terminal) -> None:
    term.api.change(
        "Deployment", "web", lambda d: d["metadata"].update(managedFields=[{"manager": "somebody"}])
    )
    await term.workload("web")
    await term.press("y")
    await term.sees("kind: Deployment")
    assert "somebody" not in term.text()
    await term.press("M")
    await term.wait(lambda: any("somebody" in found.text for found in term.app.screen.lines.lines))


async def test_manifest_apply(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("A")
    assert await requested(term, "manifest-api") == {"action": "apply"}


async def test_manifest_apply_is_taken_back(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("A")
    await requested(term, "manifest-api")
    await term.wait(lambda: term.app.undo_stack)
    term.api.change("Deployment", "api", lambda d: d["spec"].update(replicas=2))
    await term.press("u")
    await term.sees("Undo: apply api.yaml")
    await term.sees("- 2")
    await term.sees("+ 3")
    await yes(term)
    await term.wait(lambda: replicas(term, "api") == 3)


async def test_manifest_preview(term: Terminal) -> None:
    waiting_file(World(term.api))
    await manifest(term, "settings.yaml")
    await term.press("p")
    await term.sees("changes data.mode")
    await term.sees("would be created")
    await term.sees("1 to be deleted")
    await term.sees("mode: fast")
    await term.sees("mode: slow")
    await term.press("down", "down")
    await term.sees("Deployment/worker: live → file")
    await term.sees("image: ghcr.io/acme/worker:9")
    await term.press("A")
    await term.sees("is gone from the file")
    await term.press("up", "up", "A")
    assert await requested(term, "manifest-settings") == {"action": "apply", "document": 0}


async def test_manifest_apply_file(term: Terminal) -> None:
    waiting_file(World(term.api))
    await manifest(term, "settings.yaml")
    await term.press("F")
    await term.sees("Deployment default/worker")
    await yes(term)
    assert await requested(term, "manifest-settings") == {"action": "apply"}
    await term.wait(lambda: term.app.undo_stack)
    term.api.remove("Deployment", "worker")
    term.api.change("ConfigMap", "settings", lambda c: c["data"].update(mode="slow"))
    term.api.put(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "fresh", "namespace": "default"}}
    )
    await term.press("u")
    await yes(term)
    await term.wait(lambda: "worker" in shown(term))
    await term.wait(lambda: term.api.get("ConfigMap", "settings")["data"]["mode"] == "fast")
    await term.wait(lambda: ("default", "fresh") not in term.api.objects[term.api.kind("ConfigMap")])


async def test_manifest_diff(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("d")
    await term.sees("file  2")
    assert term.text().count("spec.replicas") == 1


async def test_values_are_shown_as_yaml_has_them(term: Terminal) -> None:
    await term.workload("nightly")
    await term.press("S")
    await term.wait(lambda: term.app.undo_stack)
    await term.press("u")
    await term.sees("- true")
    await term.sees("+ false")


async def test_manifest_accept(term: Terminal) -> None:
    await manifest(term, "api.yaml")
    await term.press("down", "c")
    assert await requested(term, "manifest-api") == {"action": "accept", "document": 0}


async def test_manifest_mode(term: Terminal) -> None:
    await manifest(term, "web.yaml")
    await term.press("o")
    assert await requested(term, "manifest-web") == {"action": "mode", "mode": "manual"}


async def test_manifest_pause(term: Terminal) -> None:
    await manifest(term, "web.yaml")
    await term.press("space")
    assert await requested(term, "manifest-api") == {"action": "pause", "all": True}
    await term.wait(lambda: term.app.undo_stack)
    term.api.change("ConfigMap", "manifest-web", paused_source, "kube-system")
    await term.sees("❚❚ files paused")
    await term.press("u")
    await yes(term)
    await term.wait(lambda: len(term.sent("PATCH")) == 2)
    assert await requested(term, "manifest-api") == {"action": "resume", "all": True}
