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


_SIGNALS = {"primary", "secondary", "accent", "success", "warning", "error"}
_COLORS = _SIGNALS | {"foreground", "background", "surface", "panel", "boost"}
_HEALTH = ("success", "warning", "error")  # Textual would make all three of them the primary colour


def theme_problem(key: str, value: Any) -> str:
    """Why an entry of a theme in the configuration cannot be used; empty when it can."""
    from textual.color import Color, ColorParseError

    if key in _COLORS:
        if not isinstance(value, str):
            return f'{key}: expected a colour in quotes, such as "#5b9bd5"'
        try:
            Color.parse(value)
        except ColorParseError:
            return f"{key}: there is no colour {value!r}"
    elif key == "dark":
        if not isinstance(value, bool):
            return "dark: expected true or false"
    else:
        return f"a theme has no {key!r}"
    return ""


def theme_from(name: str, colors: dict[str, Any]) -> Theme:
    """A theme from the configuration; what it does not say about health is as in the terminal's own theme."""
    own = THEMES[0 if colors.get("dark", True) else 1]
    return Theme(name=name, **{key: getattr(own, key) for key in _HEALTH} | colors)
