"""Regular expressions of Go (RE2), said in Python's.

The two agree on most; here is where they differ (Go's ``regexp/syntax``): flags in the middle, the end of the text,
white space, quoted parts, letters by number or property, POSIX classes, braces that are no repetition; and what
Python knows and Go refuses, as looking ahead, going back to a group and holding on to what was found.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache, lru_cache
from typing import Final

_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_FLAGS = re.compile(r"\(\?([imsU]*(?:-[imsU]+)?)([:)])")
_PROPERTY = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")
_WIDE = re.compile(r"\\x\{([0-9a-fA-F]+)\}")
_OCTAL = re.compile(r"\\([0-7]{3}|0)")
_POSIX_NAME = re.compile(r"\[:(\^?)(\w+):\]")
_SPACE: Final = r"\t\n\f\r "
_POSIX: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_MOST_REPEATS = 1000


class _Unsayable(Exception):
    """Go refuses the pattern, or Python has no word for it."""


@lru_cache(maxsize=1024)
def go_pattern(text: str) -> re.Pattern[str] | None:
    """A regular expression of Go as one of Python; None where Go knows no such pattern or Python can't say it."""
    try:
        return re.compile(_Translation(text).whole(), re.ASCII)
    except (_Unsayable, re.error, RecursionError, OverflowError):
        return None


@cache
def _category(name: str) -> str:
    """The letters of a general category, as the inside of a class."""
    ranges: list[str] = []
    first = last = -2
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)).startswith(name)
        if inside and code == last + 1:
            last = code
        elif inside:
            first = last = code
        elif last == code - 1 and first >= 0:
            ranges.append(f"\\U{first:08x}-\\U{last:08x}")
    if not ranges:
        raise _Unsayable
    return "".join(ranges)


class _Group:
    """What flags are on where the translation is."""

    __slots__ = ("lines", "opened")

    def __init__(self, lines: bool) -> None:
        self.lines = lines
        self.opened: list[str] = []
        """The groups that stand for flags set in the middle; they end with this group, or its alternative."""


class _Translation:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._groups = [_Group(lines=False)]

    def whole(self) -> str:
        while self._at < len(self._text):
            self._step()
        if len(self._groups) > 1:
            raise _Unsayable
        self._put(")" * len(self._groups[0].opened), 0)
        return "".join(self._out)

    def _put(self, text: str, read: int) -> None:
        self._out.append(text)
        self._at += read

    def _step(self) -> None:
        letter = self._text[self._at]
        group = self._groups[-1]
        match letter:
            case "\\":
                self._escape()
            case "[":
                self._class()
            case "(":
                self._open()
            case ")":
                if len(self._groups) == 1:
                    raise _Unsayable
                self._groups.pop()
                self._put(")" * (len(group.opened) + 1), 1)
            case "|":
                self._put(")" * len(group.opened) + "|" + "".join(group.opened), 1)
            case "$":
                self._put("$" if group.lines else r"\Z", 1)
            case "*" | "+" | "?":
                self._put(letter, 1)
                self._after_repeat()
            case "{":
                found = _REPEAT.match(self._text, self._at)
                if found is None:
                    self._put(r"\{", 1)
                    return
                if any(int(number) > _MOST_REPEATS for number in found.groups() if number):
                    raise _Unsayable
                self._put(found[0], len(found[0]))
                self._after_repeat()
            case _:
                self._put(letter, 1)

    def _after_repeat(self) -> None:
        """Go takes a ``?`` behind a repetition, and no second one."""
        if self._text[self._at : self._at + 1] == "?":
            self._put("?", 1)
        rest = self._text[self._at :]
        if rest[:1] in ("*", "+", "?") or _REPEAT.match(rest):
            raise _Unsayable

    def _open(self) -> None:
        rest = self._text[self._at :]
        if not rest.startswith("(?"):
            self._groups.append(_Group(self._groups[-1].lines))
            self._put("(", 1)
            return
        if rest.startswith(("(?P<", "(?<")) and not rest.startswith(("(?<=", "(?<!")):
            self._groups.append(_Group(self._groups[-1].lines))
            self._put("(?P<", rest.index("<") + 1)
            return
        found = _FLAGS.match(rest)
        if found is None or "U" in found[1]:
            raise _Unsayable
        on, _, off = found[1].partition("-")
        lines = "m" in on or (self._groups[-1].lines and "m" not in off)
        if found[2] == ":":
            self._groups.append(_Group(lines))
        else:
            self._groups[-1].opened.append(f"(?{found[1]}:")
            self._groups[-1].lines = lines
        self._put(f"(?{found[1]}:", len(found[0]))

    def _escape(self) -> None:
        rest = self._text[self._at :]
        if rest.startswith(r"\Q"):
            quoted, _, _ = rest[2:].partition(r"\E")
            self._put(re.escape(quoted), len(quoted) + (4 if r"\E" in rest else 2))
            return
        inside = self._set_escape(rest)
        if inside is not None:
            said, read, negated = inside
            self._put(f"[{'^' if negated else ''}{said}]", read)
            return
        match rest[1:2]:
            case "z":
                self._put(r"\Z", 2)
            case "Z" | "u" | "U" | "N" | "":
                raise _Unsayable
            case one if one in "123456789":
                raise _Unsayable
            case _:
                self._put(rest[:2], 2)

    @staticmethod
    def _set_escape(rest: str) -> tuple[str, int, bool] | None:
        """An escape that stands for letters: the inside of a class, how long it was, whether it means the others."""
        if rest[1:2] in ("s", "S"):
            return _SPACE, 2, rest[1] == "S"
        found = _PROPERTY.match(rest)
        if found:
            negated = (found[1] == "P") is not bool(found[2])
            return _category(found[3] or found[4]), len(found[0]), negated
        found = _WIDE.match(rest)
        if found:
            return f"\\U{int(found[1], 16):08x}", len(found[0]), False
        found = _OCTAL.match(rest)
        if found:
            return f"\\x{int(found[1], 8):02x}", len(found[0]), False
        return None

    def _class(self) -> None:
        self._put("[", 1)
        if self._text[self._at : self._at + 1] == "^":
            self._put("^", 1)
        first = True
        while True:
            rest = self._text[self._at :]
            if not rest:
                raise _Unsayable
            posix = _POSIX_NAME.match(rest)
            if rest[0] == "]" and not first:
                self._put("]", 1)
                return
            if posix:
                if posix[1] or posix[2] not in _POSIX:
                    raise _Unsayable
                self._put(_POSIX[posix[2]], len(posix[0]))
            elif rest[0] == "\\":
                inside = self._set_escape(rest)
                if inside is not None and inside[2]:
                    if rest[1] != "S":
                        raise _Unsayable
                    self._put(r"\x00-\x08\v\x0e-\x1f!-\U0010ffff", 2)
                elif inside is not None:
                    self._put(inside[0], inside[1])
                else:
                    self._put(rest[:2], 2)
            else:
                self._put(f"\\{rest[0]}" if rest[0] in "[]&|~" else rest[0], 1)
            first = False
