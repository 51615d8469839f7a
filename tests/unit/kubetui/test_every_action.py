"""Every action of the registry has a handler, and a pilot test in one of the files beside this one."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

from kubetui.actions import ACTIONS


def test_every_action_has_a_test() -> None:
    found: set[str] = set()
    for file in Path(__file__).parent.glob("test_actions_*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        found |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not [a.id for a in ACTIONS if f"test_{a.id.replace('-', '_')}" not in found]


def test_every_handler_exists() -> None:
    for action in ACTIONS:
        assert asyncio.iscoroutinefunction(action.load()), action.id


def test_no_word_means_two_things() -> None:
    words = [word for action in ACTIONS for word in action.words]
    assert len(words) == len(set(words))
