"""Field selectors: ``metadata.name=x,status.phase!=Running``, compiled into one function.

Follows apimachinery's ``pkg/fields/selector.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ..errors import Obj
from .labels import EQUALS, NOT_EQUALS, SelectorError


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector; ``operator`` is ``=`` or ``!=``."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{escape_field_value(self.value)}"


class FieldSelector:
    """A compiled field selector. ``matches(fields)`` takes field paths and their values; absent is empty."""

    __slots__ = ("matches", "terms")

    def __init__(self, terms: Iterable[FieldTerm] = ()) -> None:
        self.terms = tuple(terms)
        """The terms, all of which have to hold."""
        self.matches: Callable[[Mapping[str, str]], bool] = _compile_fields(self.terms)

    @property
    def everything(self) -> bool:
        """Whether it restricts nothing."""
        return not self.terms

    def requires(self, field: str) -> str | None:
        """The one value a field must have to match, if the selector names one (``RequiresExactMatch``)."""
        for term in self.terms:
            if term.field == field and term.operator == EQUALS:
                return term.value
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))

    def __repr__(self) -> str:
        return f"FieldSelector({str(self)!r})"


def _compile_fields(terms: tuple[FieldTerm, ...]) -> Callable[[Mapping[str, str]], bool]:
    wanted = [(term.field, term.value) for term in terms if term.operator == EQUALS]
    unwanted = [(term.field, term.value) for term in terms if term.operator != EQUALS]
    if not terms:
        return lambda fields: True
    if len(wanted) == 1 and not unwanted:
        field, value = wanted[0]
        return lambda fields: fields.get(field, "") == value

    def matches(fields: Mapping[str, str]) -> bool:
        get = fields.get
        for field, value in wanted:
            if get(field, "") != value:
                return False
        return all(get(field, "") != value for field, value in unwanted)

    return matches


EVERY_FIELD: Final = FieldSelector()

_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_PART = re.compile(r"(?:[^\\,]|\\.|\\\Z)*", re.DOTALL)


def escape_field_value(value: str) -> str:
    """A value as it may stand in a field selector."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(text: str) -> str:
    if not any(mark in text for mark in "\\,="):
        return text
    out: list[str] = []
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            if escaped not in ("\\", ",", "="):
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif letter in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(letter)}")
        else:
            out.append(letter)
    return "".join(out)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    """A ``fieldSelector`` query such as ``metadata.name=x,status.phase!=Running``; empty parts are let pass.

    Raises:
        SelectorError: 400, with upstream's sentence. Whether a kind has the fields is the caller's question.
    """
    parts: list[str] = []
    position = 0
    while position <= len(text):
        part = _PART.match(text, position)
        assert part is not None  # the pattern matches the empty string
        parts.append(part[0])
        position = part.end() + 1
    terms: list[FieldTerm] = []
    for piece in sorted(filter(None, parts)):
        split = _TERM.fullmatch(piece)
        if split is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{piece}'")
        field, operator, value = split.groups()
        terms.append(FieldTerm(field, NOT_EQUALS if operator == NOT_EQUALS else EQUALS, _unescape(value)))
    return FieldSelector(terms) if terms else EVERY_FIELD


def metadata_fields(obj: Obj) -> dict[str, Any]:
    """The two fields that every kind can be selected by."""
    meta = obj.get("metadata") or {}
    return {"metadata.name": meta.get("name", ""), "metadata.namespace": meta.get("namespace", "")}
