"""The rollout pane as lines: the revisions with pods, and below them what one can go back to."""

from __future__ import annotations

from pathlib import Path

from fakeapi import FakeAPI
from terminal import terminal


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
