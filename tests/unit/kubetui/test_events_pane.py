"""The events pane: what is new stays in sight, unless somebody reads an older one there."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakeapi import FakeAPI
from fakeworld import World
from terminal import Terminal, terminal

from kubetui.live.objects import Obj

TALK = 30  # more events than the pane has lines


@pytest.fixture
def world(api: FakeAPI) -> World:
    world = World(api)
    web = api.get("Deployment", "web")
    for number in range(TALK):
        world.event(web, "Spoke", f"remark {number}", 300 + number)
    return world


def newest(term: Terminal) -> str:
    table = term.app.dashboard.events_pane.table
    row: Obj = table.order[table.top].data
    return str(row["message"])


async def test_news_of_a_new_pod_come_into_sight(api: FakeAPI, world: World, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.workload("web")
        await term.wait(lambda: len(term.app.dashboard.events_pane.table.order) >= TALK)
        owner = next(
            rs
            for rs in api.objects[api.kind("ReplicaSet")].values()
            if rs["metadata"]["name"].startswith("web-")
        )
        pod = world.pod("web-newcomer", owner, "web:9", 1)
        world.event(pod, "Scheduled", "the newest of all", -1)
        await term.wait(lambda: newest(term) == "the newest of all")


async def test_another_workload_begins_with_its_newest(api: FakeAPI, world: World, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.workload("web")
        table = term.app.dashboard.events_pane.table
        await term.wait(lambda: len(table.order) >= TALK)
        await term.press("5", "end")
        await term.wait(lambda: table.top > 0)
        await term.workload("worker")
        await term.wait(lambda: len(table.order) < TALK)
        await term.workload("web")
        await term.wait(lambda: len(table.order) >= TALK and table.top == 0)


async def test_who_reads_an_older_one_is_left_alone(api: FakeAPI, world: World, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.workload("web")
        table = term.app.dashboard.events_pane.table
        await term.wait(lambda: len(table.order) >= TALK)
        await term.press("5", "end")
        read = table.current
        assert read is not None
        count = len(table.order)
        world.event(api.get("Deployment", "web"), "Spoke", "an interruption", -1)
        await term.wait(lambda: len(table.order) > count)
        assert table.current is not None and table.current.uid == read.uid
        assert table.top > 0
