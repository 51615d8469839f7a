"""The parts of README that are made from the code: every key, and the commands.

``python -m tests.support.readme`` writes them between their markers; a test checks that they are current.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from kubetui.actions import ACTIONS
from kubetui.cli import _OVERVIEW
from kubetui.keys import key_name

README = Path(__file__).parents[2] / "README.md"


def keys() -> str:
    """All actions as tables, a group each."""
    groups: dict[str, list[str]] = {}
    for action in ACTIONS:
        shown = " ".join(f"`{key_name(key)}`" for key in action.keys)
        words = [action.help] if action.help else []
        if action.words:
            words.append(" ".join(f"`:{word}`" for word in action.words))
        if action.kubectl:
            words.append(f"`{action.kubectl}`".replace("|", "\\|"))
        groups.setdefault(action.group, []).append(f"| {shown} | {action.label} | {'; '.join(words)} |")
    parts = [
        f"<details><summary>{group}</summary>\n\n| Key | Does | |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n</details>"
        for group, rows in groups.items()
    ]
    return "\n\n".join(parts)


def commands() -> str:
    """The overview that ``kubetui --help`` prints."""
    return f"```text\n{_OVERVIEW.rstrip()}\n```"


PARTS = {"keys": keys, "commands": commands}


def rendered(text: str) -> str:
    """README with its made parts made anew."""
    for name, make in PARTS.items():
        pattern = re.compile(
            rf"(<!-- {name}: made by tests/support/readme.py -->\n).*?(<!-- /{name} -->)", re.S
        )
        text, count = pattern.subn(lambda found, make=make: f"{found[1]}{make()}\n{found[2]}", text)
        if count != 1:
            raise SystemExit(f"README has {count} places for {name}")
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text("utf-8")), "utf-8")
    sys.exit(0)
