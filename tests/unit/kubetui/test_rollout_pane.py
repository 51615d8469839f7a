"""The rollout pane as lines: the revisions with pods, and below them what one can go back to."""

from __future__ import annotations

from pathlib import Path

from fakeapi import FakeAPI
from fakeworld import World
from rich.cells import cell_len
from terminal import terminal

from kubetui.live.rollout import rollout_of
from kubetui.panes.rollout import rollout_lines


async def test_earlier_revisions_stand_below_the_picture(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.workload("web")
        pane = term.app.dashboard.rollout
        texts = await term.wait(
            lambda: [each.text for each in pane.view.lines if "earlier" in each.text] and pane.view.lines
        )
        shown = [each.text.rstrip() for each in texts]
        below = shown[shown.index(" earlier") + 1 :]
        assert len(below) == 1 and below[0].split()[:2] == ["#5", "nginx:1.25"]
        assert not any("#5" in line for line in shown[: shown.index(" earlier")])


def test_nothing_that_is_said_is_cut_off() -> None:
    api = FakeAPI()
    World(api).deployment("many", "registry.example.com/shop/many:v1", 5000, 2144)
    deployment = api.get("Deployment", "many")
    deployment["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    rollout = rollout_of(deployment, [], [], 0.0)
    lines = [found.text for found in rollout_lines(rollout, {}, 50, 0.0)]
    assert all(cell_len(text) <= 50 for text in lines), lines
    said = " ".join(" ".join(lines).split())
    assert rollout.headline in said
    assert "surge +1250 unavailable -1250 0 of 5000 up" in said
