"""Validation rules of schemas (x-kubernetes-validations): CEL over a value and what it was before.

After apiextensions-apiserver ``pkg/apiserver/schema/cel/{validation,values}.go``: which rules are asked of an update,
what a rule sees of a value, what is said where one is broken or has no answer.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ..cel import NO_VALUE, Budget, CelError, CelSyntaxError, Expression, Optional, compile_expression
from ..cel.arithmetic import to_duration, to_timestamp
from ..cel.values import MapList, SetList
from ..errors import OMITTED, FieldError, Obj, duplicate, forbidden_field, invalid, required
from .structural import Structural
from .values import ABSENT, NOWHERE, same_json

OBJECT_BUDGET: Final = 1_000_000
"""Steps that all rules together may take over one object."""
_MOST_MESSAGE = 5120
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
_OUT_OF_BUDGET = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)
_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:\\.|[^'\\])*)'\]")
_ESCAPE = re.compile(r"\\(.)")
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}

Errors = list[FieldError]


class Verdict(NamedTuple):
    """What the rules say of an object."""

    errors: Errors
    tolerated: Errors
    """Broken rules over values that did not change."""


def has_rules(schema: Structural | None) -> bool:
    """Whether a rule stands anywhere in a schema."""
    if schema is None:
        return False
    if schema.raw.get("x-kubernetes-validations"):
        return True
    return any(map(has_rules, (*schema.properties.values(), schema.items, schema.additional)))


def check_rules(value: Any, schema: Structural, old: Any = None) -> Verdict:
    """Ask all rules of an object; of an update, with what was there before."""
    check = _Check()
    check.node(value, schema, old, ABSENT if old is None else old, "")
    return Verdict(check.errors, check.tolerated)


def blocked_rules(errors: Errors) -> Errors:
    """The error saying that rules were not asked, for an object too wrong to ask them of; none for others."""
    if not any(error.type in _BLOCKING for error in errors):
        return []
    sentence = (
        "some validation rules were not checked because the object was invalid; correct the existing errors to "
        "complete validation"
    )
    return [invalid(NOWHERE, None, sentence)]


def resolve_path(path: str, schema: Structural) -> str | None:
    """A rule's fieldPath as errors name it, below the rule's own place; None if it leads nowhere."""
    position, found = 0, ""
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return None
        name = step[1]
        if name is None:
            if any(letter not in _LETTERS for letter in _ESCAPE.findall(step[2])):
                return None
            name = _ESCAPE.sub(lambda match: _LETTERS[match[1]], step[2])
        if schema.properties:
            below = schema.properties.get(name)
            found += f".{name}"
        else:
            below = schema.additional
            found += f"[{name}]"
        if below is None:
            return None
        schema, position = below, step.end()
    return found


def as_cel(value: Any, schema: Structural | None) -> Any:
    """A value as rules see it: numbers, times and lists are what the schema says they are."""
    if schema is None or value is None:
        return value
    match value:
        case dict():
            return {name: as_cel(item, schema.field(name)) for name, item in value.items()}
        case list():
            items = [as_cel(item, schema.items) for item in value]
            if schema.list_type == "set":
                return SetList(items)
            if schema.list_type == "map":
                keyed = MapList(items)
                keyed.keys = schema.list_keys
                return keyed
            return items
        case bool():
            return value
        case int() if schema.type == "number":
            return float(value)
        case str() if schema.type == "string":
            return _as_formatted(value, schema.raw.get("format") or "")
    return value


def _as_formatted(value: str, form: str) -> Any:
    try:
        match form:
            case "duration":
                return to_duration(value)
            case "date-time":
                return to_timestamp(value)
            case "date":
                return to_timestamp(f"{value}T00:00:00Z")
            case "byte":
                return base64.b64decode(value)
    except (CelError, binascii.Error):
        return value
    return value


class _Check:
    def __init__(self) -> None:
        self.errors: Errors = []
        self.tolerated: Errors = []
        self._budget = Budget(OBJECT_BUDGET)
        self._over = False

    def node(self, value: Any, schema: Structural, old: Any, before: Any, path: str) -> None:
        """Ask the rules of a value and of all below it.

        ``old`` is what ``oldSelf`` may be (None where nothing belongs to the value), ``before`` what stood at its
        place, by which it is judged whether anything changed.
        """
        if value is None or self._over:
            return
        rules = schema.raw.get("x-kubernetes-validations")
        if rules:
            self._rules(rules, value, schema, old, before, path)
        if isinstance(value, dict):
            earlier = old if isinstance(old, dict) else {}
            stood = before if isinstance(before, dict) else {}
            for name, item in value.items():
                below = schema.field(name)
                if below is not None:
                    place = f"{path}.{name}" if name in schema.properties else f"{path}[{name}]"
                    self.node(item, below, earlier.get(name), stood.get(name, ABSENT), place)
        elif isinstance(value, list) and schema.items is not None:
            matches = list(_matches(value, old, schema))
            for index, item in enumerate(value):
                match = matches[index]
                stood_here = ABSENT if match is None else match
                self.node(item, schema.items, match, stood_here, f"{path}[{index}]")

    def _rules(
        self, rules: list[Obj], value: Any, schema: Structural, old: Any, before: Any, path: str
    ) -> None:
        field = path.removeprefix(".") or NOWHERE
        seen = as_cel(value, schema)
        seen_old = None if old is None else as_cel(old, schema)
        unchanged = before is not ABSENT and same_json(value, before)
        for rule in rules:
            try:
                expression = compile_expression(rule["rule"])
            except CelSyntaxError as error:
                self.errors.append(invalid(field, schema.type, f"rule compile error: {error}"))
                continue
            transition = "oldSelf" in expression.names
            optional = bool(rule.get("optionalOldSelf"))
            if transition and old is None and not optional:
                continue
            variables = {"self": seen, "oldSelf": seen_old}
            if optional:
                variables["oldSelf"] = NO_VALUE if old is None else Optional(True, seen_old)
            kept = _answer(expression, variables, self._budget)
            if isinstance(kept, str):
                self.errors.append(invalid(field, schema.type, _no_answer(kept, rule)))
                self._over = kept == _OUT_OF_BUDGET or kept.startswith("operation cancelled")
                if self._over:
                    return
            elif not kept:
                broken = self._broken(rule, value, schema, variables, path)
                (self.tolerated if unchanged and not transition else self.errors).append(broken)

    def _broken(self, rule: Obj, value: Any, schema: Structural, variables: Obj, path: str) -> FieldError:
        detail = _message(rule, variables, self._budget)
        place = path + ((resolve_path(rule["fieldPath"], schema) or "") if rule.get("fieldPath") else "")
        field = place.removeprefix(".") or NOWHERE
        shown = OMITTED if schema.type in ("object", "array") else value
        match rule.get("reason"):
            case "FieldValueForbidden":
                return forbidden_field(field, detail)
            case "FieldValueRequired":
                return required(field, detail)
            case "FieldValueDuplicate":
                return duplicate(field, shown)
        return invalid(field, shown, detail)


def _matches(items: list[Any], old: Any, schema: Structural) -> Iterator[Any]:
    """For each item the old one that belongs to it: only lists of type map can tell."""
    earlier = old if isinstance(old, list) and schema.list_type == "map" else []
    for item in items:
        yield next((one for one in earlier if _same_keys(one, item, schema.list_keys)), None)


def _same_keys(one: Any, other: Any, keys: tuple[str, ...]) -> bool:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return all(same_json(one.get(key), other.get(key)) for key in keys)


def _answer(expression: Expression, variables: Obj, budget: Budget) -> bool | str:
    """Whether a rule is kept, or why nobody can tell."""
    if budget.left <= 0:
        return _OUT_OF_BUDGET
    try:
        answer = expression.evaluate(variables, budget)
    except CelError as error:
        return str(error)
    return answer if isinstance(answer, bool) else "no such overload"


def _rule_name(rule: Obj) -> str:
    return str(rule.get("message") or rule["rule"]).strip()


def _no_answer(reason: str, rule: Obj) -> str:
    name = _rule_name(rule)
    if reason == _OUT_OF_BUDGET:
        return reason
    if reason.startswith("no such overload"):
        return (
            f"'{reason}': call arguments did not match a supported operator, function or macro signature for rule: "
            f"{name}"
        )
    if reason.startswith("operation cancelled"):
        return f"'{reason}': no further validation rules will be run due to call cost exceeds limit for rule: {name}"
    return f"{reason} evaluating rule: {name}"


def _message(rule: Obj, variables: Obj, budget: Budget) -> str:
    """What is said of a broken rule: its messageExpression's answer if it is fit to print."""
    if rule.get("messageExpression"):
        try:
            said = compile_expression(rule["messageExpression"]).evaluate(variables, budget)
        except (CelSyntaxError, CelError):
            said = None
        if isinstance(said, str):
            said = said.strip()
            if said and "\n" not in said and len(said) <= _MOST_MESSAGE:
                return said
    if rule.get("message"):
        return str(rule["message"]).strip()
    return f"failed rule: {_rule_name(rule)}"
