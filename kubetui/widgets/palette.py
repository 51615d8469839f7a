"""Colours of the theme as ready-made Rich styles.

Line widgets paint with Rich segments, so the theme's CSS variables are resolved once per theme into styles with
names that say what they mean (ok, bad, dim), never a hue. Light and dark themes come for free.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.style import Style
from textual.color import Color

if TYPE_CHECKING:
    from textual.app import App

# Hues for telling pods apart in logs: evenly spaced, adjusted to the theme's brightness below.
_POD_HUES = (
    "#5fafd7",
    "#87af5f",
    "#d7875f",
    "#af87d7",
    "#d7af5f",
    "#5fafaf",
    "#d787af",
    "#8f9fd7",
    "#afaf87",
    "#87afaf",
)


@dataclass(frozen=True)
class Palette:
    """All styles of one theme. ``styles`` are foregrounds by meaning; the rest are backgrounds."""

    name: str
    styles: dict[str, Style]
    pods: tuple[Style, ...]
    cursor: Style
    cursor_blurred: Style
    mark: Style
    header: Style
    hit: Style
    hit_current: Style
    added: Style
    removed: Style
    chip: Style
    chip_focused: Style
    selection: Style
    rule: Style

    def __getitem__(self, name: str) -> Style:
        return self.styles.get(name) or self.styles["text"]


def palette(app: App[object]) -> Palette:
    """The palette of the app's current theme."""
    variables = app.theme_variables
    keys = (
        "background",
        "foreground",
        "surface",
        "panel",
        "primary",
        "accent",
        "success",
        "warning",
        "error",
    )
    return _build(app.theme, tuple(variables.get(k, "") for k in keys), app.current_theme.dark)


def _color(text: str, fallback: str) -> Color:
    try:
        return Color.parse(text)
    except Exception:
        return Color.parse(fallback)


@lru_cache(maxsize=16)
def _build(name: str, values: tuple[str, ...], dark: bool) -> Palette:
    background = _color(values[0], "#121212" if dark else "#f5f5f5")
    foreground = _color(values[1], "#e0e0e0" if dark else "#202020")
    surface = _color(values[2], "#1e1e1e" if dark else "#e8e8e8")
    primary = _color(values[4], "#0178d4")
    accent = _color(values[5], "#ffa62b")
    success, warning, error = (
        _color(values[6], "#4ebf71"),
        _color(values[7], "#ffa62b"),
        _color(values[8], "#ba3c5b"),
    )
    if not dark:  # mid-tone theme colours are too pale for text on white
        success, warning, error = (c.blend(Color(0, 0, 0), 0.08) for c in (success, warning, error))

    def style(color: Color, bold: bool | None = None) -> Style:
        return Style(color=color.rich_color, bold=bold)

    def on(color: Color, share: float) -> Style:
        return Style(bgcolor=background.blend(color, share).rich_color)

    busy = primary.lighten(0.18) if dark else primary.darken(0.05)
    dim = foreground.blend(background, 0.42)
    faint = foreground.blend(background, 0.68)
    styles = {
        "text": style(foreground),
        "strong": style(foreground, bold=True),
        "dim": style(dim),
        "faint": style(faint),
        "accent": style(busy),
        "accent-strong": style(busy, bold=True),
        "key": style(accent if dark else accent.darken(0.05), bold=True),
        "ok": style(success),
        "busy": style(busy),
        "warn": style(warning),
        "bad": style(error.lighten(0.15) if dark else error),
        "bad-strong": style(error.lighten(0.15) if dark else error, bold=True),
        "done": style(dim),
        "idle": style(faint),
        "yaml-key": style(busy),
        "yaml-string": style(success.blend(foreground, 0.35)),
        "yaml-number": style(warning.blend(foreground, 0.2)),
        "yaml-mark": style(faint),
    }
    pods = []
    for hue in _POD_HUES:
        color = Color.parse(hue)
        pods.append(style(color if dark else color.darken(0.25)))
    return Palette(
        name,
        styles,
        tuple(pods),
        cursor=on(primary, 0.55 if dark else 0.35),
        cursor_blurred=on(foreground, 0.10),
        mark=on(accent, 0.22),
        header=style(dim, bold=True),
        hit=Style(bgcolor=background.blend(accent, 0.45).rich_color),
        hit_current=Style(bgcolor=accent.rich_color, color=accent.get_contrast_text(0.95).rich_color),
        added=on(success, 0.22),
        removed=on(error, 0.26),
        chip=Style(color=dim.rich_color, bgcolor=surface.rich_color),
        chip_focused=Style(
            color=primary.get_contrast_text(0.95).rich_color, bgcolor=primary.rich_color, bold=True
        ),
        selection=on(primary, 0.4),
        rule=style(foreground.blend(background, 0.82)),
    )
