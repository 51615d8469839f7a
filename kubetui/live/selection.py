"""Choosing rows: text, regular expression, inverse, fuzzy and label filters in one line of input.

The grammar is k9s' because fingers know it: plain text is a case-insensitive regular expression, ``!`` inverts,
``-f`` (or ``~``) is fuzzy, ``-l`` is a label selector. Smart case: an upper-case letter makes it case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kubetui.live.text import fuzzy

Labels = Mapping[str, str]


class FilterError(ValueError):
    """A filter that cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter. ``matches`` takes a row's texts and its labels."""

    text: str
    matches: Callable[[Iterable[str], Labels], bool]
    pattern: re.Pattern[str] | None = None

    def __bool__(self) -> bool:
        return bool(self.text)


NO_FILTER = Filter("", lambda texts, labels: True)


def parse_filter(text: str) -> Filter:
    """Parse one line of filter input; raises :class:`FilterError` for a bad label selector."""
    stripped = text.strip()
    if not stripped:
        return NO_FILTER
    if stripped.startswith("-l"):
        match = parse_selector(stripped[2:].strip())
        return Filter(text, lambda texts, labels: match(labels))
    if stripped.startswith(("-f", "~")):
        wanted = stripped[2:].strip() if stripped.startswith("-f") else stripped[1:].strip()
        return Filter(text, lambda texts, labels: any(fuzzy(wanted, t) is not None for t in texts))
    inverse = stripped.startswith("!")
    body = stripped[1:].strip() if inverse else stripped
    if not body:
        return NO_FILTER
    pattern = compile_pattern(body)
    if inverse:
        return Filter(text, lambda texts, labels: not any(pattern.search(t) for t in texts))
    return Filter(text, lambda texts, labels: any(pattern.search(t) for t in texts), pattern)


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile user input as a regular expression, literally where it is not one; smart case."""
    flags = re.IGNORECASE if text == text.lower() else 0
    try:
        return re.compile(text, flags)
    except re.error:
        return re.compile(re.escape(text), flags)


_REQUIREMENT = re.compile(
    r"\s*(?:(?P<not>!)\s*(?P<absent>[^\s,!=()]+)"
    r"|(?P<key>[^\s,!=()]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[^\s,()]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?)\s*(?:,|$)"
)


def parse_selector(text: str) -> Callable[[Labels], bool]:
    """Parse a Kubernetes label selector; raises :class:`FilterError` naming the place."""
    checks: list[Callable[[Labels], bool]] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise FilterError(f"label selector: cannot read {text[position:]!r}")
        position = match.end()
        if absent := match["absent"]:
            checks.append(lambda labels, k=absent: k not in labels)  # type: ignore[misc]
            continue
        key = match["key"]
        if match["op"] in ("=", "=="):
            checks.append(lambda labels, k=key, v=match["value"]: labels.get(k) == v)  # type: ignore[misc]
        elif match["op"] == "!=":
            checks.append(lambda labels, k=key, v=match["value"]: labels.get(k) != v)  # type: ignore[misc]
        elif match["set"]:
            values = frozenset(v.strip() for v in match["values"].split(","))
            if match["set"] == "in":
                checks.append(lambda labels, k=key, v=values: labels.get(k) in v)  # type: ignore[misc]
            else:
                checks.append(lambda labels, k=key, v=values: labels.get(k) not in v)  # type: ignore[misc]
        else:
            checks.append(lambda labels, k=key: k in labels)  # type: ignore[misc]
    return lambda labels: all(check(labels) for check in checks)


def selector_matches(selector: Mapping[str, object] | None, labels: Labels) -> bool:
    """Whether a ``LabelSelector`` selects these labels; None selects nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if isinstance(wanted, Mapping) and any(labels.get(k) != v for k, v in wanted.items()):
        return False
    expressions = selector.get("matchExpressions") or ()
    if isinstance(expressions, list):
        for expression in expressions:
            key, operator = expression.get("key"), expression.get("operator")
            values = expression.get("values") or ()
            if operator == "In" and labels.get(key) not in values:
                return False
            if operator == "NotIn" and labels.get(key) in values:
                return False
            if operator == "Exists" and key not in labels:
                return False
            if operator == "DoesNotExist" and key in labels:
                return False
    return True


def selector_text(selector: Mapping[str, object] | None) -> str:
    """A ``LabelSelector`` as kubectl prints it."""
    if not selector:
        return "<none>"
    parts: list[str] = []
    wanted = selector.get("matchLabels") or {}
    if isinstance(wanted, Mapping):
        parts += [f"{k}={v}" for k, v in sorted(wanted.items())]
    expressions = selector.get("matchExpressions") or ()
    if isinstance(expressions, list):
        for e in expressions:
            operator, key, values = e.get("operator"), e.get("key"), ",".join(e.get("values") or ())
            if operator == "In":
                parts.append(f"{key} in ({values})")
            elif operator == "NotIn":
                parts.append(f"{key} notin ({values})")
            else:
                parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts) or "<none>"
