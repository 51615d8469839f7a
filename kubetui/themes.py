"""The terminal's own themes: quiet backgrounds, one accent, health colours that can be told apart.

All of Textual's themes can be chosen as well, and a user's own from the configuration.
"""

from __future__ import annotations

from typing import Any

from textual.theme import Theme

THEMES = (
    Theme(
        name="kubetui-dark",
        primary="#5b9bd5",
        secondary="#7aa2c9",
        accent="#e0a458",
        foreground="#d6dbe1",
        background="#11151a",
        surface="#1b2129",
        panel="#232b35",
        success="#6fbf73",
        warning="#e0a458",
        error="#e0565b",
        dark=True,
    ),
    Theme(
        name="kubetui-light",
        primary="#2f6fab",
        secondary="#4f7fae",
        accent="#b26a00",
        foreground="#1f262e",
        background="#fbfbf9",
        surface="#eceef0",
        panel="#e1e5e9",
        success="#3f9a52",
        warning="#c98a1b",
        error="#c7353c",
        dark=False,
    ),
)


def theme_from(name: str, colors: dict[str, Any]) -> Theme:
    """A theme from the configuration; raises TypeError for a colour that Textual does not know."""
    return Theme(name=name, **{k: v for k, v in colors.items() if k != "name"})
