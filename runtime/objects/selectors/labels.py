"""Label selectors: the text form of queries and the structured form of specs, compiled into one function.

Syntax and sentences follow apimachinery's ``pkg/labels/selector.go`` and ``pkg/apis/meta/v1/helpers.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import FieldError, Obj, StatusError, invalid, not_supported

Labels = Mapping[str, str]

IN: Final = "in"
NOT_IN: Final = "notin"
EQUALS: Final = "="
DOUBLE_EQUALS: Final = "=="
NOT_EQUALS: Final = "!="
EXISTS: Final = "exists"
NOT_EXISTS: Final = "!"
GREATER: Final = "gt"
LESS: Final = "lt"

_OPERATORS: Final = (IN, NOT_IN, EQUALS, DOUBLE_EQUALS, NOT_EQUALS, GREATER, LESS, EXISTS, NOT_EXISTS)
_BINARY: Final = ", ".join(_OPERATORS[:7])
_BY_TOKEN: Final = {
    "in": IN,
    "notin": NOT_IN,
    "=": EQUALS,
    "==": DOUBLE_EQUALS,
    "!=": NOT_EQUALS,
    ">": GREATER,
    "<": LESS,
}
_BY_WORD: Final = {"In": IN, "NotIn": NOT_IN, "Exists": EXISTS, "DoesNotExist": NOT_EXISTS}

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_IS_NAME = re.compile(_NAME)
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN)
_NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_PREFIX_RULE = (
    "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    rf"'{_SUBDOMAIN}')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    f"validation is '({_NAME})?')"
)


class SelectorError(StatusError):
    """A selector that can't be read: 400 BadRequest with upstream's sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BadRequest", message)


@lru_cache(maxsize=4096)
def label_key_errors(key: str) -> tuple[str, ...]:
    """What is wrong with a label key (``content.IsLabelKey``); empty when nothing is."""
    parts = key.split("/")
    errors: list[str] = []
    if len(parts) > 2:
        return (
            f"a valid label key {_NAME_RULE} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    if len(parts) == 2:
        prefix = parts[0]
        if not prefix:
            errors.append("prefix part must be non-empty")
        else:
            if len(prefix.encode()) > 253:
                errors.append("prefix part must be no more than 253 bytes")
            if not _IS_SUBDOMAIN.fullmatch(prefix):
                errors.append(_PREFIX_RULE)
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        errors.append("name part must be no more than 63 bytes")
    if not _IS_NAME.fullmatch(name):
        errors.append(f"name part {_NAME_RULE}")
    return tuple(errors)


@lru_cache(maxsize=4096)
def label_value_errors(value: str) -> tuple[str, ...]:
    """What is wrong with a label value (``content.IsLabelValue``); empty when nothing is."""
    errors: list[str] = []
    if len(value.encode("utf-8", "surrogatepass")) > 63:
        errors.append("must be no more than 63 bytes")
    if value and not _IS_NAME.fullmatch(value):
        errors.append(_VALUE_RULE)
    return tuple(errors)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector; ``values`` is sorted and empty for exists and ``!``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        joined = ",".join(self.values)
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({joined})"
            case "gt":
                return f"{self.key}>{joined}"
            case "lt":
                return f"{self.key}<{joined}"
            case operator:
                return f"{self.key}{operator}{joined}"

    def check(self) -> list[FieldError]:
        """What is wrong with the term (``labels.NewRequirement``), as upstream's field errors."""
        errors: list[FieldError] = []
        if found := label_key_errors(self.key):
            errors.append(invalid("key", self.key, "; ".join(found)))
        values = list(self.values)
        match self.operator:
            case "in" | "notin":
                if not values:
                    why = "for 'in', 'notin' operators, values set can't be empty"
                    errors.append(invalid("values", values, why))
            case "=" | "==" | "!=":
                if len(values) != 1:
                    why = "exact-match compatibility requires one single value"
                    errors.append(invalid("values", values, why))
            case "exists" | "!":
                if values:
                    why = "values set must be empty for exists and does not exist"
                    errors.append(invalid("values", values, why))
            case "gt" | "lt":
                if len(values) != 1:
                    why = "for 'Gt', 'Lt' operators, exactly one value is required"
                    errors.append(invalid("values", values, why))
                for index, value in enumerate(values):
                    if _integer(value) is None:
                        why = "for 'Gt', 'Lt' operators, the value must be an integer"
                        errors.append(invalid(f"values[{index}]", value, why))
            case _:
                errors.append(not_supported("operator", self.operator, _OPERATORS))
        for index, value in enumerate(values):
            if wrong := label_value_errors(value):
                errors.append(invalid(f"values[{index}][{self.key}]", value, "; ".join(wrong)))
        return errors

    def matcher(self) -> Callable[[Labels], bool]:
        """The term as one function of an object's labels."""
        key = self.key
        match self.operator:
            case "=" | "==":
                wanted = self.values[0]
                return lambda labels: labels.get(key) == wanted
            case "!=":
                unwanted = self.values[0]
                return lambda labels: labels.get(key) != unwanted
            case "in":
                allowed = frozenset(self.values)
                return lambda labels: labels.get(key) in allowed
            case "notin":
                refused = frozenset(self.values)
                return lambda labels: labels.get(key) not in refused
            case "exists":
                return lambda labels: key in labels
            case "!":
                return lambda labels: key not in labels
            case operator:
                bound = int(self.values[0])
                if operator == GREATER:
                    return lambda labels: (n := _integer(labels.get(key))) is not None and n > bound
                return lambda labels: (n := _integer(labels.get(key))) is not None and n < bound


_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def _integer(text: str | None) -> int | None:
    """The int64 in a label's value, as strconv.ParseInt reads it."""
    if text is None or len(text) > 63 or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _compile(requirements: tuple[Requirement, ...]) -> Callable[[Labels], bool]:
    if not requirements:
        return lambda labels: True
    if all(term.operator in (EQUALS, DOUBLE_EQUALS) for term in requirements):
        pairs = [(term.key, term.values[0]) for term in requirements]
        if len(dict(pairs)) == len(pairs):
            wanted = frozenset(pairs)
            if len(pairs) > 1:
                # A label set holds a subset exactly when its items view does, and that runs in C.
                return lambda labels: wanted <= labels.items()
    matchers = [term.matcher() for term in requirements]
    if len(matchers) == 1:
        return matchers[0]
    return lambda labels: all(matches(labels) for matches in matchers)


class Selector:
    """A compiled label selector. ``matches(labels)`` takes an object's labels (an empty mapping for none)."""

    __slots__ = ("_text", "matches", "nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda term: term.key))
        """The terms, all of which have to hold, sorted by key."""
        self.nothing = nothing
        """The selector of an absent LabelSelector, which matches no object at all."""
        self.matches: Callable[[Labels], bool] = (
            (lambda labels: False) if nothing else _compile(self.requirements)
        )
        self._text = ",".join(map(str, self.requirements))

    @property
    def everything(self) -> bool:
        """Whether it restricts nothing (upstream's ``Empty``)."""
        return not self.requirements and not self.nothing

    def requires(self, key: str) -> str | None:
        """The one value a label must have to match, if there is one (``RequiresExactMatch``)."""
        for term in self.requirements:
            if term.key == key:
                exact = term.operator in (EQUALS, DOUBLE_EQUALS, IN) and len(term.values) == 1
                return term.values[0] if exact else None
        return None

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Selector(nothing)" if self.nothing else f"Selector({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and (self._text, self.nothing) == (other._text, other.nothing)

    def __hash__(self) -> int:
        return hash((self._text, self.nothing))


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def from_labels(labels: Labels | None) -> Selector:
    """The selector of Services and ReplicationControllers: all these labels with these values; empty matches all."""
    if not labels:
        return EVERYTHING
    return Selector(Requirement(key, EQUALS, (str(value),)) for key, value in labels.items())


def label_selector(spec: Obj | None) -> Selector:
    """A ``metav1.LabelSelector`` compiled: None matches nothing, an empty one everything.

    Raises:
        SelectorError: an operator that does not exist, or values that don't go with it.
    """
    if spec is None:
        return NOTHING
    terms = [Requirement(key, EQUALS, (value,)) for key, value in (spec.get("matchLabels") or {}).items()]
    for expression in spec.get("matchExpressions") or ():
        word = expression.get("operator", "")
        operator = _BY_WORD.get(word)
        if operator is None:
            raise SelectorError(f'"{word}" is not a valid label selector operator')
        values = tuple(sorted(dict.fromkeys(expression.get("values") or ())))
        terms.append(Requirement(expression.get("key", ""), operator, values))
    if not terms:
        return EVERYTHING
    _check(terms)
    return Selector(terms)


def _check(terms: Sequence[Requirement], prefix: str = "") -> None:
    for term in terms:
        if errors := list(dict.fromkeys(map(str, term.check()))):
            raise SelectorError(prefix + (errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"))


def format_label_selector(spec: Obj | None) -> str:
    """A LabelSelector as tables and ``describe`` print it: ``<none>`` when empty (``FormatLabelSelector``)."""
    try:
        return str(label_selector(spec)) or "<none>"
    except SelectorError:
        return "<error>"


def format_labels(labels: Labels | None) -> str:
    """A label map as tables print it: ``a=b,c=d``, or ``<none>`` (``labels.FormatLabels``)."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


# --- the text form -----------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^ \t\r\n=!(),<>]+))")


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, literal) pairs; kinds are the symbols themselves, ``in``, ``notin``, ``id`` and ``end``."""
    found: list[tuple[str, str]] = []
    text = text.partition("\0")[0]
    position, end = 0, len(text)
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:  # blanks to the end
            break
        symbol, word = match.groups()
        if symbol:
            found.append((symbol, symbol))
        else:
            found.append((word if word in ("in", "notin") else "id", word))
        position = match.end()
    found.append(("end", ""))
    return found


class _Parser:
    """Recursive descent over the tokens of one label selector."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0

    def look(self) -> tuple[str, str]:
        """The next token where a value may stand: there ``in`` and ``notin`` are words like any other."""
        kind, literal = self.tokens[self.position]
        return ("id" if kind in ("in", "notin") else kind), literal

    def take(self) -> tuple[str, str]:
        token = self.look()
        if self.position < len(self.tokens) - 1:
            self.position += 1
        return token

    def parse(self) -> list[Requirement]:
        terms: list[Requirement] = []
        while True:
            kind, literal = self.look()
            if kind == "end":
                return terms
            if kind not in ("id", "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                terms.append(self.requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error.message}") from None
            kind, literal = self.take()
            if kind == "end":
                return terms
            if kind != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self.look()
            if kind not in ("id", "!", "end"):  # a comma at the very end is let pass: some clients send it
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def requirement(self) -> Requirement:
        kind, key = self.take()
        absent = kind == "!"
        if absent:
            kind, key = self.take()
        if kind != "id":
            raise SelectorError(f"found '{key}', expected: identifier")
        if errors := label_key_errors(key):
            raise SelectorError(str(invalid("<nil>", key, "; ".join(errors))))
        if absent:
            term = Requirement(key, NOT_EXISTS)
        elif self.look()[0] in ("end", ","):
            term = Requirement(key, EXISTS)
        else:
            kind, literal = self.tokens[self.position]
            operator = _BY_TOKEN.get(kind)
            if operator is None:
                raise SelectorError(f"found '{literal}', expected: {_BINARY}")
            self.take()
            values = self.set() if operator in (IN, NOT_IN) else [self.exact()]
            term = Requirement(key, operator, tuple(sorted(set(values))))
        _check([term])
        return term

    def exact(self) -> str:
        if self.look()[0] in ("end", ","):
            return ""
        kind, literal = self.take()
        if kind != "id":
            raise SelectorError(f"found '{literal}', expected: identifier")
        return literal

    def set(self) -> list[str]:
        kind, literal = self.take()
        if kind != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        kind, literal = self.look()
        if kind == ")":
            self.take()
            return [""]
        if kind not in ("id", ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        values: list[str] = []
        expect_value = True
        while True:
            kind, literal = self.take()
            if kind == "id":
                if not expect_value:
                    raise SelectorError(f"found '{literal}', expected: ',' or ')'")
                values.append(literal)
                expect_value = False
            elif kind == ",":
                if expect_value:
                    values.append("")
                expect_value = True
            elif kind == ")":
                if expect_value:
                    values.append("")
                return values
            elif expect_value:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")
            else:
                raise SelectorError(f"found '{literal}', expected: ',' or ')'")


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> Selector:
    """A ``labelSelector`` query such as ``a=b,c!=d,e in (f,g),!h,i``; empty text matches everything.

    Raises:
        SelectorError: 400, with upstream's sentence.
    """
    terms = _Parser(text).parse()
    return Selector(terms) if terms else EVERYTHING
