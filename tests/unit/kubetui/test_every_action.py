"""Every action of the registry has a handler, and a pilot test in one of the files beside this one."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

from kubetui.actions import ACTIONS
from kubetui.keys import Registry


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


# what gives way where two actions of one key meet, on purpose: (places, what cannot be pressed, what is done instead)
GIVES_WAY = {
    ("table", "sort-status", "suspend"),
    ("rollout", "next-hit", "namespace"),
    ("logs", "namespace", "next-hit"),
    ("rollback", "open", "rollback-now"),
    ("rollback", "rollback", "rollback-now"),
    ("rollback", "copy-name", "rollback-base"),
    ("rollback", "sort-status", "suspend"),
    ("preview", "copy-text", "manifest-accept"),
}


def test_no_key_hides_another_action_by_accident() -> None:
    registry = Registry()
    hidden = set()
    for places in (
        ["table", "dashboard"], ["rollout", "text", "dashboard"], ["logs", "dashboard"], ["logs"],
        ["text", "page"], ["yaml", "text", "page"], ["describe", "text", "page"], ["manifests", "dashboard"],
        ["rollback", "text"], ["rollback", "table"], ["preview", "text", "page"], ["copy", "text", "page"],
        ["drain", "text", "page"], ["browser", "table"],
    ):  # fmt: skip
        for kind in (
            "",
            "Pod",
            "Deployment",
            "StatefulSet",
            "Job",
            "CronJob",
            "Node",
            "Secret",
            "Service",
            "Other",
        ):
            kinds = frozenset({kind} if kind else ())
            for action in ACTIONS:
                done = [registry.resolve(key, places, kinds, False) for key in action.keys]
                if registry.fit(action, places, kinds, False) and action not in done:
                    place = "table" if places == ["browser", "table"] else places[0]
                    hidden |= {(place, action.id, other.id) for other in done if other is not None}
    assert hidden == GIVES_WAY
