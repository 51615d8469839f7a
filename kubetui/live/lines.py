"""Styled text without a screen: lines of (text, style by meaning) spans, which views colour by the theme."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line as (text, style by meaning) spans, with an optional background (added, removed, cursor)."""

    spans: tuple[tuple[str, str], ...]
    back: str = ""

    @property
    def text(self) -> str:
        """Without styles."""
        return "".join(t for t, _ in self.spans)


def line(text: str = "", style: str = "text", *, back: str = "") -> Line:
    """A line in one style."""
    return Line(((text, style),), back)


_YAML = re.compile(
    r"^(?P<lead>\s*(?:- )*)(?:(?P<key>[^\s:'\"#][^:]*|'[^']*'|\"[^\"]*\")(?P<colon>:)(?=\s|$))?(?P<rest>.*)$"
)
_NUMBER = re.compile(r"^\s*(-?\d+(\.\d+)?|true|false|null)\s*$")


def yaml_lines(text: str) -> list[Line]:
    """Colour YAML by line: keys, scalars, numbers and the marks between them."""
    found = []
    block = -1
    for raw in text.splitlines():
        indent = len(raw) - len(raw.lstrip())
        if block >= 0 and (indent > block or not raw.strip()):
            found.append(line(raw, "yaml-string"))
            continue
        block = -1
        match = _YAML.match(raw)
        if match is None:
            found.append(line(raw))
            continue
        lead, key, rest = match["lead"] or "", match["key"] or "", match["rest"] or ""
        spans: list[tuple[str, str]] = []
        if lead:
            spans.append((lead, "yaml-mark"))
        if key:
            spans += [(key, "yaml-key"), (":", "yaml-mark")]
        if rest:
            spans.append((rest, "yaml-number" if _NUMBER.match(rest) else "text"))
        if rest.strip() in ("|", "|-", "|+", ">", ">-"):
            block = indent
        found.append(Line(tuple(spans) or (("", "text"),)))
    return found
