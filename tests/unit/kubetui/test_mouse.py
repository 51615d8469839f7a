"""What the mouse does: choose, open, sort, scroll, drag the scroll bar, press keys of the bar, select text."""

from __future__ import annotations

from fakeworld import World
from steps import current, open_logs, shown
from terminal import Terminal
from textual.events import MouseScrollDown
from textual.widget import Widget

from kubetui.screens.browser import BrowserScreen
from kubetui.screens.dialogs import Picker
from kubetui.screens.logs import LogScreen
from kubetui.screens.text import TextScreen
from kubetui.widgets.viewport import Viewport


async def drag(term: Terminal, widget: Widget, *places: tuple[int, int]) -> None:
    """Press at the first place, go over the others and let go at the last."""
    await term.pilot.mouse_down(widget, offset=places[0])
    for place in places[1:]:
        await term.pilot.hover(widget, offset=place)
    await term.pilot.mouse_up(widget, offset=places[-1])


async def many_workloads(term: Terminal) -> Viewport:
    """More rows than the pane has lines."""
    for number in range(60):
        World(term.api).deployment(f"many-{number:02}", "img", 1, 10)
    table = term.app.dashboard.workloads.table
    await term.wait(lambda: len(table.order) == 67)
    await term.wait(lambda: "┃" in term.text())
    return table


async def test_a_click_chooses_a_row_and_two_open_it(term: Terminal) -> None:
    table = term.app.dashboard.workloads.table
    await term.pilot.click(table, offset=(5, 1 + shown(term).index("web")))
    assert current(term) == "web"
    await term.wait(lambda: term.app.dashboard.pods.owner_name == "web")
    pods = term.app.dashboard.pods.table
    await term.wait(lambda: len(pods.order) > 2)
    await term.pilot.click(pods, offset=(5, 2), times=2)
    await term.wait(lambda: isinstance(term.app.screen, LogScreen))
    assert term.app.dashboard.pane_of_focus().id == "pods"


async def test_a_click_on_a_title_sorts_and_another_turns_the_order(term: Terminal) -> None:
    table = term.app.dashboard.workloads.table
    await term.pilot.click(table, offset=(2, 0))
    assert (table.sort_key, table.descending) == ("name", True)
    assert shown(term)[0] == "worker"
    await term.pilot.click(table, offset=(2, 0))
    assert shown(term)[0] == "agent"


async def test_the_wheel_moves_the_rows_and_not_the_cursor(term: Terminal) -> None:
    table = await many_workloads(term)
    before = current(term)
    await term.pilot._post_mouse_events([MouseScrollDown], table, offset=(5, 3))
    assert table.top == 3
    assert current(term) == before


async def test_the_scroll_bar_follows_the_mouse(term: Terminal) -> None:
    table = await many_workloads(term)
    bar, bottom = table.body_width, table.size.height - 1
    before = current(term)
    await drag(term, table, (bar, 1), (bar, 5), (bar, bottom))
    assert table.top == table.last_top
    await drag(term, table, (bar, bottom), (bar - 20, 4), (bar, 0))
    assert table.top == 0
    await term.pilot.hover(table, offset=(bar, bottom))
    assert table.top == 0  # it was let go
    assert current(term) == before


async def test_a_click_below_the_thumb_brings_it_there(term: Terminal) -> None:
    table = await many_workloads(term)
    before = current(term)
    await term.pilot.click(table, offset=(table.body_width, table.size.height // 2))
    assert 0 < table.top < table.last_top
    assert current(term) == before


async def test_the_scroll_bar_of_a_log_stops_following_and_its_end_goes_on(term: Terminal) -> None:
    for number in range(200):
        term.api.log("web-6b7c4d9f8-4kx2p", "app", f"line {number}")
    screen = await open_logs(term)
    view = screen.logview
    await term.wait(lambda: len(view.spool) == 236)
    bar, bottom = view.body_width, view.size.height - 1
    await drag(term, view, (bar, bottom), (bar, 0))
    assert (view.top, view.follow) == (0, False)
    assert not term.app.screen.get_selected_text()
    await drag(term, view, (bar, 0), (bar, bottom))
    assert view.follow


async def test_a_long_list_to_choose_from_is_scrolled_without_choosing(term: Terminal) -> None:
    for number in range(100):
        World(term.api).namespace(f"space-{number:03}")
    await term.press("n")
    picker = await term.wait(lambda: isinstance(term.app.screen, Picker) and term.app.screen)
    found = picker.list
    await term.wait(lambda: len(found.shown) > 100)
    await term.wait(lambda: "┃" in term.text().splitlines()[found.region.y][found.region.right - 1 :])
    bar, bottom = found.body_width, found.size.height - 1
    await drag(term, found, (bar, 0), (bar, bottom))
    assert found.top == found.last_top
    assert term.app.screen is picker


async def test_keys_of_the_bar_can_be_clicked(term: Terminal) -> None:
    await term.workload("web")
    bar = term.app.screen.keybar
    await term.wait(lambda: any(action == "help" for _, _, action in bar._places))
    start = next(start for start, _, action in bar._places if action == "help")
    await term.pilot.click(bar, offset=(start, 0))
    await term.sees("Here and now")


async def test_a_click_on_the_count_of_errors_goes_to_the_first(term: Terminal) -> None:
    await term.workload("agent")
    await term.pilot.click(term.app.screen.header, offset=(115, 0))
    await term.wait(lambda: current(term) == "mailer")


async def test_text_is_selected_and_copied(term: Terminal) -> None:
    await term.workload("web")
    await term.press("y")
    page = await term.wait(lambda: isinstance(term.app.screen, TextScreen) and term.app.screen)
    await term.sees("apiVersion: apps/v1")
    await drag(term, page.lines, (0, 0), (3, 0), (4, 1))
    await term.wait(lambda: page.get_selected_text())
    assert page.get_selected_text().startswith("apiVersion: apps/v1\nkind")
    await term.press("c")
    assert term.app.clipboard.startswith("apiVersion: apps/v1\nkind")


async def test_rows_of_a_browser_are_opened_by_mouse(term: Terminal) -> None:
    await term.command("svc")
    screen = await term.wait(lambda: isinstance(term.app.screen, BrowserScreen) and term.app.screen)
    await term.wait(lambda: screen.table.order)
    await term.pilot.click(screen.table, offset=(5, 1), times=2)
    await term.sees("pods › service/web")
