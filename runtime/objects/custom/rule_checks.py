"""Are a schema's validation rules in order? What is asked when a definition is written.

After apiextensions-apiserver ``pkg/apis/apiextensions/validation/validation.go`` and
``pkg/apiserver/schema/cel/compilation.go``: rules have to be readable, to speak of fields that there are, and to be
cheap enough. Types are followed along members, indices and loops; what has no known type passes. Costs are estimated
by how often loops may run, as the sizes that a schema allows let them.
"""

from __future__ import annotations

from typing import Any, Final

from ..cel import CelError, CelSyntaxError, compile_expression
from ..cel.arithmetic import to_duration, to_timestamp
from ..cel.evaluate import CALLABLE, TYPE_NAMES, qualified, unescaped
from ..cel.functions import QUALIFIED
from ..cel.parse import CALL, CONST, HAS, IDENT, INDEX, LIST, LOOP, MAP, SELECT, STRUCT, Node
from ..errors import FieldError, Obj, forbidden_field, invalid, required
from ..regexps import go_pattern
from .rules import resolve_path
from .structural import META_FIELDS, Structural

_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
COST_LIMIT: Final = 10_000_000
"""What one rule may cost, everywhere it may be asked in one object."""
_REQUEST_SIZE = 3 * 1024 * 1024
"""The largest object: what bounds a list of which the schema does not say how long it may be."""
_TRUTH: Final = frozenset({"&&", "||", "!", "==", "!=", "<", "<=", ">", ">=", "in"})
_COMPARED: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
_CEL_TYPES: Final = {
    "integer": "int",
    "number": "double",
    "boolean": "bool",
    "string": "string",
    "array": "list",
}
_FORMATTED: Final = frozenset({"date", "date-time", "datetime", "duration", "byte"})
"""Formats of text that is no text to rules."""
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%"})
_LOGIC: Final = frozenset({"&&", "||", "!", "_?_:_"})

Errors = list[FieldError]
Types = dict[str, Structural | None]


def check_rule_texts(schema: Structural, path: str, errors: Errors) -> None:
    """What can be said without reading the expressions: that there are some, messages, reasons, fieldPaths."""
    for index, rule in enumerate(schema.raw.get("x-kubernetes-validations") or ()):
        _texts(rule, schema, f"{path}.x-kubernetes-validations[{index}]", errors)
    for below, place in _members(schema, path):
        check_rule_texts(below, place, errors)


def _texts(rule: Obj, schema: Structural, path: str, errors: Errors) -> None:
    text, message = str(rule.get("rule") or "").strip(), rule.get("message") or ""
    if not text:
        errors.append(required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif "\n" in message.strip():
        errors.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    elif "\n" in text and not message:
        sentence = "message must be specified if rule contains line breaks"
        errors.append(required(f"{path}.message", sentence))
    if rule.get("messageExpression") and not rule["messageExpression"].strip():
        sentence = "messageExpression must be non-empty if specified"
        errors.append(required(f"{path}.messageExpression", sentence))
    if rule.get("reason") is not None and rule["reason"] not in _REASONS:
        errors.append(
            FieldError("FieldValueNotSupported", f"{path}.reason", value=rule["reason"], supported=_REASONS)
        )
    place = rule.get("fieldPath") or ""
    if place and not place.strip():
        errors.append(invalid(f"{path}.fieldPath", place, "must be non-empty if specified"))
    if "\n" in place:
        errors.append(invalid(f"{path}.fieldPath", place, "must not contain line breaks"))
    if place and resolve_path(place, schema) is None:
        errors.append(invalid(f"{path}.fieldPath", place, "must be a valid path"))


def check_rule_expressions(
    schema: Structural, path: str, errors: Errors, *, root: bool = True, often: int = 1, lost: str = ""
) -> None:
    """Read the expressions.

    Args:
        schema: the schema they stand in.
        path: where it stands.
        errors: receives what is wrong.
        root: whether it is the whole object's.
        often: how many values the schema may be asked of in one object.
        lost: the list in which old and new values cannot be told to belong together, if it is inside of one.
    """
    for index, rule in enumerate(schema.raw.get("x-kubernetes-validations") or ()):
        place = f"{path}.x-kubernetes-validations[{index}]"
        types: Types = {"self": schema, "oldSelf": schema}
        whole = schema if root else None
        reader = Reader(rule["rule"], types, whole)
        transition = "oldSelf" in reader.names
        if reader.problem:
            errors.append(invalid(f"{place}.rule", rule, f"compilation failed: {reader.problem}"))
        elif reader.kind not in ("bool", ""):
            errors.append(invalid(f"{place}.rule", rule, "must evaluate to a bool"))
        cost = reader.cost * often
        if cost > COST_LIMIT:
            errors.append(forbidden_field(f"{place}.rule", _too_dear(cost)))
        if transition and lost:
            sentence = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}"
            errors.append(invalid(f"{place}.rule", rule["rule"], sentence))
        elif not transition and rule.get("optionalOldSelf") is not None:
            sentence = "may not be set if oldSelf is not used in rule"
            errors.append(invalid(f"{place}.optionalOldSelf", rule["optionalOldSelf"], sentence))
        if rule.get("messageExpression"):
            said = Reader(rule["messageExpression"], types, whole)
            problem = f"messageExpression compilation failed: {said.problem}" if said.problem else ""
            if not problem and said.kind not in ("string", ""):
                problem = "messageExpression must evaluate to a string"
            if problem:
                errors.append(invalid(f"{place}.messageExpression", rule, problem))
    for below, place in _members(schema, path):
        times, uncorrelated = often, lost
        if below is schema.items or below is schema.additional:
            times *= _largest(schema)
        if below is schema.items and schema.list_type != "map":
            uncorrelated = lost or path
        check_rule_expressions(below, place, errors, root=False, often=times, lost=uncorrelated)


def _members(schema: Structural, path: str) -> list[tuple[Structural, str]]:
    found = [(one, f"{path}.properties[{name}]") for name, one in schema.properties.items()]
    if schema.items is not None:
        found.append((schema.items, f"{path}.items"))
    if schema.additional is not None:
        found.append((schema.additional, f"{path}.additionalProperties"))
    return found


def _too_dear(cost: int) -> str:
    factor = cost / COST_LIMIT
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"estimated rule cost exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, "
        "maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )


# -- sizes ---------------------------------------------------------------------------------------------------------


def _smallest_text(schema: Structural | None) -> int:
    """How few bytes a value of this schema takes in a request."""
    match schema.type if schema is not None else "":
        case "object":
            assert schema is not None
            needed = [schema.properties.get(name) for name in schema.raw.get("required") or ()]
            names = schema.raw.get("required") or ()
            return 2 + sum(len(name) + 4 for name in names) + sum(map(_smallest_text, needed))
        case "boolean":
            return 4
        case "string" | "array":
            return 2
    return 1


def _largest(schema: Structural | None) -> int:
    """How many items a list or map may have."""
    if schema is None:
        return 1
    most = schema.raw.get("maxItems" if schema.items is not None else "maxProperties")
    if isinstance(most, int):
        return max(most, 1)
    if schema.items is not None:
        return _REQUEST_SIZE // (_smallest_text(schema.items) + 1)
    if schema.additional is not None:
        return _REQUEST_SIZE // (_smallest_text(schema.additional) + 4)
    return 1


# -- reading -------------------------------------------------------------------------------------------------------


class Reader:
    """An expression read with the types of a schema: what is wrong with it, what it gives, what it may cost."""

    def __init__(self, text: str, types: Types, root: Structural | None = None) -> None:
        """Read an expression.

        Args:
            text: the expression.
            types: the variables there are, and their schemas as far as they are known.
            root: the schema of a whole object, which has metadata without saying so.
        """
        self.problem = ""
        """What is wrong with it, with its place."""
        self.kind = ""
        """What it gives: bool, string, other, or empty where that is not known."""
        self.cost = 0
        self._root = root
        try:
            expression = compile_expression(text)
        except CelSyntaxError as error:
            self.problem = str(error)
            self.names: frozenset[str] = frozenset()
            return
        self._text = text
        self.names = expression.names
        found = self._type(expression.tree, types, 1)
        self.kind = _result(expression.tree, found)

    def _wrong(self, node: Node, message: str) -> None:
        if not self.problem:
            self.problem = str(CelSyntaxError(self._text, node[1], message))

    def _type(self, node: Node, types: Types, often: int) -> Structural | None:
        """The schema of what a node gives, None if it has none that is known."""
        if node[0] != CONST and not (node[0] == CALL and node[2] in _LOGIC):
            self.cost += often
        match node[0]:
            case kind if kind == IDENT:
                name = node[2]
                if name not in types and name not in TYPE_NAMES:
                    self._wrong(node, f"undeclared reference to '{name}' (in container '')")
                return types.get(name)
            case kind if kind in (SELECT, HAS):
                if kind == SELECT and qualified(node) in TYPE_NAMES:
                    return None
                return self._member(node, self._type(node[2], types, often), node[3])
            case kind if kind == INDEX:
                target = self._type(node[2], types, often)
                self._type(node[3], types, often)
                return (target.items or target.additional) if target is not None else None
            case kind if kind == CALL:
                return self._call(node, types, often)
            case kind if kind == LOOP:
                return self._loop(node, types, often)
            case kind if kind == LIST:
                self._all([item for item, _ in node[2]], types, often)
            case kind if kind == MAP:
                self._all([part for key, item, _ in node[2] for part in (key, item)], types, often)
            case kind if kind == STRUCT:
                self._all([item for _, item, _ in node[3]], types, often)
        return None

    def _all(self, nodes: Any, types: Types, often: int) -> None:
        for one in nodes:
            self._type(one, types, often)

    def _member(self, node: Node, target: Structural | None, name: str) -> Structural | None:
        if target is None:
            return None
        plain = name if name in target.properties else unescaped(name)
        if target.type == "object":
            if plain in target.properties:
                return target.properties[plain]
            if target.additional is not None:
                return target.additional
            if (target is self._root or target.embedded) and plain in META_FIELDS:
                return None
            self._wrong(node, f"undefined field '{name}'")
        elif target.type and not target.int_or_string:
            kind = _CEL_TYPES.get(target.type, target.type)
            self._wrong(node, f"type '{kind}' does not support field selection")
        return None

    def _call(self, node: Node, types: Types, often: int) -> Structural | None:
        name, target, args = node[2], node[3], node[4]
        if name == "_?._":
            found = self._type(args[0], types, often)
            return self._member(node, found, args[1][2])
        if target is None and name in _COMPARED:
            given = [_kind(one, self._type(one, types, often)) for one in args]
            if _unlike(*given):
                shown = f"found no matching overload for '_{name}_' applied to '({', '.join(given)})'"
                self._wrong(node, shown)
            return None
        if target is None or f"{qualified(target)}.{name}" not in QUALIFIED:
            if target is not None:
                self._type(target, types, often)
            if name not in CALLABLE:
                self._wrong(node, f"undeclared reference to '{name}' (in container '')")
        self._all(args, types, often)
        self._literals(name, args)
        return None

    def _literals(self, name: str, args: tuple[Node, ...]) -> None:
        """Times, spans and patterns that are written out can be read."""
        if len(args) != 1 or args[0][0] != CONST or not isinstance(args[0][2], str):
            return
        text = args[0][2]
        try:
            if name == "duration":
                to_duration(text)
            elif name == "timestamp":
                to_timestamp(text)
            elif name == "matches" and go_pattern(text) is None:
                self._wrong(args[0], "invalid matches argument")
        except CelError:
            self._wrong(args[0], "invalid duration argument" if name == "duration" else "invalid timestamp")

    def _loop(self, node: Node, types: Types, often: int) -> Structural | None:
        name, variables, parts = node[2], node[4], node[5]
        target = self._type(node[3], types, often)
        inner = dict(types)
        if name in ("bind", "optMap", "optFlatMap"):
            inner[variables[0]] = target
            found = [self._type(part, inner, often) for part in parts]
            return found[-1]
        items = target.items if target is not None else None
        values = [None, items or (target.additional if target is not None else None)]
        inner.update(zip(variables, values if len(variables) == 2 else [items], strict=True))
        self._all(parts, inner, often * _largest(target))
        return target if name == "filter" and items is not None else None


def _kind(node: Node, found: Structural | None) -> str:
    """The CEL type of an operand, empty where it is not known."""
    if node[0] == CONST:
        return {bool: "bool", str: "string", int: "int", float: "double"}.get(type(node[2]), "")
    if found is None or found.int_or_string or found.raw.get("format") in _FORMATTED:
        return ""
    return _CEL_TYPES.get(found.type, "")


def _unlike(one: str, other: str) -> bool:
    """Whether two types can't be compared: numbers can, all others only with their own."""
    numbers = ("int", "double")
    return bool(one and other) and one != other and not (one in numbers and other in numbers)


def _result(tree: Node, found: Structural | None) -> str:
    """What an expression gives: bool, string, something else, or empty where that is not known."""
    match tree[0]:
        case kind if kind == CONST:
            return {bool: "bool", str: "string"}.get(type(tree[2]), "other")
        case kind if kind == HAS:
            return "bool"
        case kind if kind in (LIST, MAP):
            return "other"
        case kind if kind == LOOP and tree[2] in ("all", "exists", "exists_one", "existsOne"):
            return "bool"
        case kind if kind == CALL and tree[3] is None and tree[2] in _TRUTH:
            return "bool"
        case kind if kind == CALL and tree[2] in _ARITHMETIC:
            known = {_result(one, None) for one in tree[4]} - {""}
            return known.pop() if len(known) == 1 else ""
    if found is None or not found.type or found.int_or_string:
        return ""
    if found.type == "string" and found.raw.get("format"):
        return ""
    return {"boolean": "bool", "string": "string"}.get(found.type, "other")
