"""Evaluation: a walk over the tree with a budget, so that no expression can keep the server.

Logic is CEL's: ``&&`` and ``||`` forgive an error on one side if the other decides; ``has`` asks without failing;
macros bind their variables in a scope of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from .functions import FUNCTIONS, QUALIFIED, sort_by
from .libraries import METHODS
from .parse import (
    CALL,
    CONST,
    HAS,
    IDENT,
    INDEX,
    LIST,
    LOOP,
    MAP,
    RESERVED,
    SELECT,
    STRUCT,
    Node,
    names_in,
    parse,
)
from .structs import make_struct
from .values import NO_VALUE, CelError, Optional, Type, compare, equal, is_number, type_name

BUDGET: Final = 200_000
"""Steps that one evaluation may take."""
TYPE_NAMES: Final = {
    name: Type(name)
    for name in (
        *("bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"),
        *("optional_type", "google.protobuf.Timestamp", "google.protobuf.Duration"),
        *("net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.URL", "kubernetes.Semver"),
    )
}
"""Names that stand for types."""
_ESCAPES: Final = {"__dot__": ".", "__dash__": "-", "__slash__": "/", "__underscores__": "__"}
_KEYWORDS: Final = RESERVED | {"true", "false", "null", "in"}
Scope = Mapping[str, Any]


class Budget:
    """Steps that several evaluations may take together."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Expression:
    """A compiled expression."""

    def __init__(self, text: str, tree: Node) -> None:
        self.text = text
        self.tree = tree
        self.names = frozenset(names_in(tree))
        """The variables it refers to."""

    def evaluate(self, variables: Scope, budget: Budget | None = None) -> Any:
        """Its value.

        Args:
            variables: by name.
            budget: what it shares with other evaluations; the steps it takes are taken off.

        Raises:
            CelError: it has none.
        """
        run = _Run(BUDGET)
        try:
            return run.value(self.tree, variables)
        except RecursionError:
            raise CelError("expression recursion limit exceeded") from None
        finally:
            if budget is not None:
                budget.left -= BUDGET - run.left


@lru_cache(maxsize=2048)
def compile_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        CelSyntaxError: it is none.
    """
    return Expression(text, parse(text))


def unescaped(name: str) -> str:
    """The member that an escaped name stands for (``__dot__`` and its like)."""
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _KEYWORDS:
        return name[2:-2]
    for escape, text in _ESCAPES.items():
        name = name.replace(escape, text)
    return name


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise CelError("no such overload")


class _Run:
    def __init__(self, budget: int) -> None:
        self.left = budget

    def value(self, node: Node, scope: Scope) -> Any:
        self.left -= 1
        if self.left < 0:
            raise CelError("operation cancelled: actual cost limit exceeded")
        return _HANDLERS[node[0]](self, node, scope)

    # -- names and members

    def _const(self, node: Node, scope: Scope) -> Any:
        return node[2]

    def _ident(self, node: Node, scope: Scope) -> Any:
        name = node[2]
        if name in scope:
            return scope[name]
        if name in TYPE_NAMES:
            return TYPE_NAMES[name]
        raise CelError(f"undeclared reference to '{name}' (in container '')")

    def _field(self, target: Any, name: str) -> Any:
        if isinstance(target, Optional):
            return self._optional_field(target, name)
        if isinstance(target, dict):
            if name in target:
                return target[name]
            plain = unescaped(name)
            if plain in target:
                return target[plain]
            raise CelError(f"no such key: {plain}")
        getter: Callable[[str], Any] | None = getattr(target, "cel_field", None)
        if getter is not None:
            return getter(name)
        raise CelError("no such overload")

    def _optional_field(self, target: Any, name: Any) -> Optional:
        if isinstance(target, Optional):
            if not target.present:
                return NO_VALUE
            target = target.value
        try:
            if isinstance(target, dict) and isinstance(name, str):
                return Optional(True, self._field(target, name))
            return Optional(True, _index(target, name))
        except CelError:
            return NO_VALUE

    def _select(self, node: Node, scope: Scope) -> Any:
        whole = qualified(node)
        if whole in TYPE_NAMES and whole.partition(".")[0] not in scope:
            return TYPE_NAMES[whole]
        return self._field(self.value(node[2], scope), node[3])

    def _has(self, node: Node, scope: Scope) -> bool:
        target = self.value(node[2], scope)
        if isinstance(target, Optional):
            return self._optional_field(target, node[3]).present
        if isinstance(target, dict):
            return node[3] in target or unescaped(node[3]) in target
        asker: Callable[[str], bool] | None = getattr(target, "cel_has", None)
        if asker is not None:
            return asker(node[3])
        raise CelError("no such overload")

    def _at(self, node: Node, scope: Scope) -> Any:
        target = self.value(node[2], scope)
        index = self.value(node[3], scope)
        if isinstance(target, Optional):
            return self._optional_field(target, index)
        return _index(target, index)

    # -- making values

    def _make_list(self, node: Node, scope: Scope) -> list[Any]:
        result = []
        for item, optional in node[2]:
            value = self.value(item, scope)
            if not optional:
                result.append(value)
            elif isinstance(value, Optional) and value.present:
                result.append(value.value)
        return result

    def _make_map(self, node: Node, scope: Scope) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, item, optional in node[2]:
            name, value = self.value(key, scope), self.value(item, scope)
            if optional:
                if not (isinstance(value, Optional) and value.present):
                    continue
                value = value.value
            if isinstance(name, float | list | dict) or name is None:
                raise CelError(f"unsupported key type: {type_name(name)}")
            if name in result:
                raise CelError(f"insert failed: key {name} already exists")
            result[name] = value
        return result

    def _make_struct(self, node: Node, scope: Scope) -> Any:
        fields: dict[str, Any] = {}
        for name, item, optional in node[3]:
            value = self.value(item, scope)
            if optional:
                if not (isinstance(value, Optional) and value.present):
                    continue
                value = value.value
            fields[unescaped(name)] = value
        return make_struct(node[2], fields)

    # -- calls

    def _call(self, node: Node, scope: Scope) -> Any:
        name, target, args = node[2], node[3], node[4]
        lazy = _LAZY.get(name) if target is None else None
        if lazy is not None:
            return lazy(self, args, scope)
        if name == "_?._" or name == "_[?_]":
            return self._optional_field(self.value(args[0], scope), self.value(args[1], scope))
        if target is not None:
            if name in ("orValue", "or") and len(args) == 1:
                return self._or(self.value(target, scope), name, args[0], scope)
            space = qualified(target)
            if space and space.partition(".")[0] not in scope:
                function = QUALIFIED.get(f"{space}.{name}")
                if function is not None:
                    return _called(function, [self.value(one, scope) for one in args])
            values = [self.value(target, scope), *[self.value(one, scope) for one in args]]
            method: Callable[..., Any] | None = getattr(values[0], f"cel_{name}", None)
            if method is not None:
                return _called(method, values[1:])
        else:
            values = [self.value(one, scope) for one in args]
        function = FUNCTIONS.get(name)
        if function is None:
            raise CelError("no such overload")
        return _called(function, values)

    def _or(self, target: Any, name: str, other: Node, scope: Scope) -> Any:
        if not isinstance(target, Optional):
            raise CelError("no such overload")
        if target.present:
            return target.value if name == "orValue" else target
        return self.value(other, scope)

    def _and(self, args: tuple[Node, ...], scope: Scope) -> bool:
        return self._logic(args, scope, decisive=False)

    def _or_else(self, args: tuple[Node, ...], scope: Scope) -> bool:
        return self._logic(args, scope, decisive=True)

    def _logic(self, args: tuple[Node, ...], scope: Scope, *, decisive: bool) -> bool:
        return self._settle(((one, scope) for one in args), decisive=decisive)

    def _settle(self, parts: Iterable[tuple[Node, Scope]], *, decisive: bool) -> bool:
        """Whether any part comes out as what decides; one that fails counts only where none does."""
        failure: CelError | None = None
        for part, scope in parts:
            try:
                if _bool(self.value(part, scope)) is decisive:
                    return decisive
            except CelError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive

    def _choose(self, args: tuple[Node, ...], scope: Scope) -> Any:
        return self.value(args[1] if _bool(self.value(args[0], scope)) else args[2], scope)

    # -- macros

    def _loop(self, node: Node, scope: Scope) -> Any:
        name, variables, parts = node[2], node[4], node[5]
        if name == "bind":
            return self.value(parts[0], {**scope, variables[0]: self.value(node[3], scope)})
        target = self.value(node[3], scope)
        if name in ("optMap", "optFlatMap"):
            if not isinstance(target, Optional):
                raise CelError("no such overload")
            if not target.present:
                return NO_VALUE
            value = self.value(parts[0], {**scope, variables[0]: target.value})
            return value if name == "optFlatMap" else Optional(True, value)
        if isinstance(target, dict):
            pairs: list[tuple[Any, Any]] = list(target.items())
        elif isinstance(target, list):
            pairs = list(enumerate(target))
        else:
            raise CelError("no such overload")
        inner: dict[str, Any] = dict(scope)

        def scopes() -> Any:
            for key, value in pairs:
                if len(variables) == 2:
                    inner[variables[0]], inner[variables[1]] = key, value
                else:
                    inner[variables[0]] = key if isinstance(target, dict) else value
                yield key, value

        if name in ("all", "exists"):
            return self._quantify(scopes(), parts[0], inner, decisive=name == "exists")
        if name in ("exists_one", "existsOne"):
            return sum(1 for _ in scopes() if _bool(self.value(parts[0], inner))) == 1
        if name == "filter":
            kept = [(key, value) for key, value in scopes() if _bool(self.value(parts[0], inner))]
            return [key if isinstance(target, dict) else value for key, value in kept]
        if name == "sortBy":
            return sort_by([(self.value(parts[0], inner), value) for _, value in scopes()])
        return self._transform(name, scopes(), parts, inner)

    def _quantify(self, scopes: Any, part: Node, inner: dict[str, Any], *, decisive: bool) -> bool:
        return self._settle(((part, inner) for _ in scopes), decisive=decisive)

    def _transform(self, name: str, scopes: Any, parts: tuple[Node, ...], inner: dict[str, Any]) -> Any:
        *conditions, result = parts
        found: list[tuple[Any, Any]] = []
        for key, _ in scopes:
            if all(_bool(self.value(one, inner)) for one in conditions):
                found.append((key, self.value(result, inner)))
        if name in ("map", "transformList"):
            return [value for _, value in found]
        if name == "transformMap":
            return dict(found)
        merged: dict[Any, Any] = {}
        for _, entry in found:
            merged.update(entry)
        return merged


def _called(function: Callable[..., Any], values: list[Any]) -> Any:
    """What a function gives; what it is not made for, and what goes beyond Python's own types, is no result."""
    try:
        return function(*values)
    except (TypeError, AttributeError) as error:
        raise CelError("no such overload") from error
    except (ValueError, OverflowError) as error:
        raise CelError("range error") from error


def qualified(node: Node) -> str:
    """``a.b.c`` of a chain of plain names, else nothing."""
    names: list[str] = []
    while node[0] == SELECT:
        names.append(node[3])
        node = node[2]
    return ".".join([node[2], *reversed(names)]) if node[0] == IDENT else ""


def _index(target: Any, index: Any) -> Any:
    if isinstance(target, list):
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if isinstance(index, bool) or not isinstance(index, int):
            raise CelError(f"unsupported index type '{type_name(index)}' in list")
        if not 0 <= index < len(target):
            raise CelError(f"index out of bounds: {index}")
        return target[index]
    if isinstance(target, dict):
        if isinstance(index, bool) or not is_number(index):
            if isinstance(index, list | dict) or index not in target:
                raise CelError(f"no such key: {index}")
            return target[index]
        for key, value in target.items():
            if is_number(key) and key == index:
                return value
        raise CelError(f"no such key: {index}")
    raise CelError("no such overload")


def _not(run: _Run, args: tuple[Node, ...], scope: Scope) -> bool:
    return not _bool(run.value(args[0], scope))


def _relation(test: Callable[[int], bool]) -> Callable[[_Run, tuple[Node, ...], Scope], bool]:
    def ask(run: _Run, args: tuple[Node, ...], scope: Scope) -> bool:
        return test(compare(run.value(args[0], scope), run.value(args[1], scope)))

    return ask


def _contained(run: _Run, args: tuple[Node, ...], scope: Scope) -> bool:
    item, holder = run.value(args[0], scope), run.value(args[1], scope)
    if isinstance(holder, list):
        return any(equal(item, one) for one in holder)
    if isinstance(holder, dict):
        return any(equal(item, key) for key in holder)
    raise CelError("no such overload")


_LAZY: Final[dict[str, Callable[[_Run, tuple[Node, ...], Scope], Any]]] = {
    "&&": _Run._and,
    "||": _Run._or_else,
    "_?_:_": _Run._choose,
    "!": _not,
    "==": lambda run, args, scope: equal(run.value(args[0], scope), run.value(args[1], scope)),
    "!=": lambda run, args, scope: not equal(run.value(args[0], scope), run.value(args[1], scope)),
    "<": _relation(lambda order: order < 0),
    "<=": _relation(lambda order: order <= 0),
    ">": _relation(lambda order: order > 0),
    ">=": _relation(lambda order: order >= 0),
    "in": _contained,
}
_AUTHORIZER: Final = frozenset(
    {"group", "resource", "subresource", "namespace", "name", "fieldSelector", "labelSelector", "check"}
    | {"path", "serviceAccount", "allowed", "reason", "errored", "error"}
)
CALLABLE: Final = frozenset({*FUNCTIONS, *METHODS, *_AUTHORIZER, *_LAZY, "or", "orValue", "_?._", "_[?_]"})
"""The names of all functions, operators and methods."""
_HANDLERS: Final[dict[str, Callable[[_Run, Node, Scope], Any]]] = {
    CONST: _Run._const,
    IDENT: _Run._ident,
    SELECT: _Run._select,
    HAS: _Run._has,
    CALL: _Run._call,
    INDEX: _Run._at,
    LIST: _Run._make_list,
    MAP: _Run._make_map,
    STRUCT: _Run._make_struct,
    LOOP: _Run._loop,
}
