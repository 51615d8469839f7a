"""The configuration file: what cannot be understood is named with its line, the rest of it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakeapi import FakeAPI
from terminal import Terminal, terminal

from kubetui.config import parse_config
from kubetui.screens.dialogs import Prompt
from kubetui.themes import THEMES, theme_from


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "themes:\n  mine:\n    primary: nocolour\n",
            "config.yaml:2: themes: mine: primary: there is no colour",
        ),
        ("themes:\n  mine: {primary: red, surface: '#12'}\n", "mine: surface: there is no colour '#12'"),
        ("themes:\n  mine:\n    primary: #112233\n", "mine: primary: expected a colour in quotes"),
        ("themes:\n  mine: {primary: red, dark: 3}\n", "mine: dark: expected true or false"),
        ("themes:\n  mine: {primary: red, name: x}\n", "mine: a theme has no 'name'"),
        ("themes:\n  mine: {dark: true}\n", "mine: needs at least a colour for primary"),
        ("columns:\n  pods: [NAME, 'IMAGE:.x[']\n", "config.yaml:2: columns: pods: 'IMAGE:.x[' has no path"),
        ("columns: {pods: [':.a']}\n", "pods: ':.a' has no title"),
    ],
)
def test_what_would_be_wrong_later_is_found_when_it_is_read(text: str, problem: str) -> None:
    problems = parse_config(text, "config.yaml").problems
    assert any(problem in found for found in problems), problems


def test_the_rest_of_a_setting_with_errors_holds() -> None:
    config = parse_config("themes: {mine: {primary: red, error: no}}\ncolumns: {pods: [NAME, 'X:y']}\n", "c")
    assert config.themes == {"mine": {"primary": "red"}}
    assert config.columns == {"pods": ["NAME"]}


def test_a_theme_tells_healthy_from_broken_without_being_told_how() -> None:
    for dark, own in ((True, THEMES[0]), (False, THEMES[1])):
        theme = theme_from("mine", {"primary": "#ff8800", "dark": dark, "error": "red"})
        assert (theme.success, theme.warning, theme.error) == (own.success, own.warning, "red")


async def said(term: Terminal, text: str) -> None:
    await term.wait(lambda: any(text in note.message for note in term.app._notifications))


async def test_a_theme_whose_colour_does_not_exist_leaves_the_terminal_as_it_was(
    api: FakeAPI, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("theme: mine\nthemes: {mine: {primary: nocolour}}\n")
    async with terminal(api, tmp_path) as term:
        await said(term, "there is no colour 'nocolour'")
        assert term.app.theme == "kubetui-dark"
        file.write_text("theme: mine\nthemes: {mine: {primary: '#ff8800'}}\n# longer\n")
        await term.wait(lambda: term.app.theme == "mine")
        file.write_text("theme: other\nthemes: {mine: {primary: '#ff8800'}}\n# longer still\n")
        await said(term, "there is no theme 'other'")
        assert term.app.theme == "mine"


async def test_more_problems_than_there_is_room_for_are_counted_and_kept(
    api: FakeAPI, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("\n".join(f"nonsense{n}: 1" for n in range(7)))
    async with terminal(api, tmp_path) as term:
        await said(term, "3 more: L shows all of it")
        await term.press("L")
        await term.sees("nonsense6")


async def test_a_column_is_refused_where_it_is_typed(api: FakeAPI, tmp_path: Path) -> None:
    async with terminal(api, tmp_path) as term:
        await term.command("deploy")
        await term.press("K")
        await term.wait(lambda: isinstance(term.app.screen, Prompt))
        await term.press(*"NAME, IMAGES:spec", "enter")
        await term.sees("'IMAGES:spec' has no path")
