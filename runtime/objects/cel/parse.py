"""CEL's text as a tree: a scanner by one regular expression, and a parser that climbs precedence.

The tree is made of small tuples, ``(kind, offset, …)``; the offset is where errors point. After cel-spec
``doc/langdef.md`` (grammar, escapes) and cel-go's parser for the optional syntax and the wording of errors.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .values import Uint

Node = tuple[Any, ...]

CONST, IDENT, SELECT, HAS, CALL, INDEX, LIST, MAP, STRUCT, LOOP = (
    "const",
    "ident",
    "select",
    "has",
    "call",
    "index",
    "list",
    "map",
    "struct",
    "loop",
)
MAX_DEPTH: Final = 100
"""How deep parentheses and their like may be nested (cel-go allows 250)."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<float>\d+\.\d+(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)
  | (?P<int>0[xX][0-9a-fA-F]+|\d+)(?P<unsigned>[uU]?)
  | (?P<string>[bB]?[rR]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
        |[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\n]*"|'[^'\n]*'))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<quoted>`[A-Za-z0-9_./ -]+`)
  | (?P<op>&&|\|\||==|!=|<=|>=|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
    | {"namespace", "return", "var", "void", "while"}
)
"""Words that name nothing."""
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LEVEL: Final = {
    operator: level
    for level, operators in enumerate(("||", "&&", "< <= > >= == != in", "+ -", "* / %"))
    for operator in operators.split()
}
"""How tightly an operator binds."""


class CelSyntaxError(ValueError):
    """A text that is no expression, with the place in upstream's form."""

    def __init__(self, text: str, offset: int, message: str) -> None:
        before = text[:offset]
        line = before.count("\n") + 1
        column = offset - (before.rfind("\n") + 1)
        shown = text.split("\n")[line - 1] if text else ""
        place = f"ERROR: <input>:{line}:{column + 1}: {message}"
        super().__init__(f"{place}\n | {shown}\n | {'.' * column}^")
        self.message = message
        self.offset = offset


class _Token:
    __slots__ = ("kind", "offset", "text", "value")

    def __init__(self, kind: str, text: str, offset: int, value: Any = None) -> None:
        self.kind = kind
        self.text = text
        self.offset = offset
        self.value = value


def _unescape(text: str, source: str, offset: int, binary: bool) -> str | bytes:
    out: list[str] = []
    raw = bytearray()
    index = 0

    def put(letter: str) -> None:
        if binary:
            raw.extend(letter.encode())
        else:
            out.append(letter)

    while index < len(text):
        letter = text[index]
        if letter != "\\":
            put(letter)
            index += 1
            continue
        code = text[index + 1]
        width = {"x": 2, "X": 2, "u": 4, "U": 8}.get(code)
        if width is not None:
            digits = text[index + 2 : index + 2 + width]
            if len(digits) < width or not re.fullmatch("[0-9a-fA-F]+", digits):
                raise CelSyntaxError(source, offset, "Syntax error: token recognition error")
            number = int(digits, 16)
            if binary and width == 2:
                raw.append(number)
            else:
                put(chr(number))
            index += 2 + width
        elif code in "01234567":
            digits = text[index + 1 : index + 4]
            number = int(digits, 8)
            if binary:
                raw.append(number & 0xFF)
            else:
                put(chr(number))
            index += 4
        else:
            put(_SIMPLE.get(code, code))
            index += 2
    return bytes(raw) if binary else "".join(out)


def _string(text: str, source: str, offset: int) -> str | bytes:
    prefix = re.match("[bBrR]*", text)
    assert prefix is not None
    marks = prefix[0].lower()
    body = text[len(marks) :]
    quotes = 3 if body[:3] in ('"""', "'''") and len(body) >= 6 else 1
    body = body[quotes:-quotes]
    if "r" in marks:
        return body.encode() if "b" in marks else body
    return _unescape(body, source, offset, "b" in marks)


def _scan(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            # A scanner gives up at the first letter that cannot go on, and names all it read.
            rest = text[position:].partition("\n")[0]
            shown = rest if rest[:1] in ("'", '"') else rest[: 2 if rest[:1] in ("=", "&", "|") else 1]
            raise CelSyntaxError(text, position, f"Syntax error: token recognition error at: '{shown}'")
        kind = match.lastgroup or ""
        if match["float"] is not None:
            tokens.append(_Token("literal", match[0], position, float(match[0])))
        elif match["int"] is not None:
            number = int(match["int"], 16 if match["int"][:2].lower() == "0x" else 10)
            value: Any = Uint(number) if match["unsigned"] else number
            tokens.append(_Token("literal", match[0], position, value))
        elif match["string"] is not None:
            tokens.append(_Token("literal", match[0], position, _string(match[0], text, position)))
        elif match["quoted"] is not None:
            tokens.append(_Token("quoted", match[0][1:-1], position))
        elif kind != "space":
            tokens.append(_Token(kind, match[0], position))
        position = match.end()
    tokens.append(_Token("end", "<EOF>", len(text)))
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _scan(text)
        self._at = 0
        self._depth = 0

    # -- tokens

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, text: str) -> bool:
        token = self._now
        if token.kind in ("op", "name") and token.text == text:
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> _Token:
        token = self._now
        if not self._take(text):
            raise self._unexpected(token, f"'{text}'")
        return token

    def _unexpected(self, token: _Token, wanted: str = "") -> CelSyntaxError:
        if wanted:
            message = f"Syntax error: mismatched input '{token.text}' expecting {wanted}"
        else:
            message = f"Syntax error: extraneous input '{token.text}'"
            if token.kind == "end":
                message = (
                    "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', "
                    "'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
                )
        return CelSyntaxError(self._text, token.offset, message)

    # -- grammar

    def whole(self) -> Node:
        found = self.expression()
        if self._now.kind != "end":
            raise self._unexpected(self._now, "<EOF>")
        return found

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CelSyntaxError(self._text, self._now.offset, "expression recursion limit exceeded: 250")
        found = self._binary(0)
        if self._now.text == "?" and self._now.kind == "op":
            mark = self._next()
            yes = self._binary(0)
            self._need(":")
            found = (CALL, mark.offset, "_?_:_", None, (found, yes, self.expression()))
        self._depth -= 1
        return found

    def _binary(self, level: int) -> Node:
        left = self._unary()
        while self._now.kind in ("op", "name") and _LEVEL.get(self._now.text, -1) >= level:
            token = self._next()
            right = self._binary(_LEVEL[token.text] + 1)
            left = (CALL, token.offset, token.text, None, (left, right))
        return left

    def _unary(self) -> Node:
        token = self._now
        if token.kind == "op" and token.text in ("!", "-"):
            self._next()
            if token.text == "-" and self._now.kind == "literal" and type(self._now.value) in (int, float):
                number = self._next()
                return self._members((CONST, token.offset, -number.value))
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise CelSyntaxError(self._text, token.offset, "expression recursion limit exceeded: 250")
            inner = self._unary()
            self._depth -= 1
            return (CALL, token.offset, token.text, None, (inner,))
        return self._members(self._primary())

    def _members(self, found: Node) -> Node:
        while self._now.kind == "op":
            token = self._now
            if token.text in (".", ".?"):
                self._next()
                name = self._next()
                if name.kind not in ("name", "quoted"):
                    raise self._unexpected(name, "IDENTIFIER")
                if token.text == ".?":
                    found = (CALL, token.offset, "_?._", None, (found, (CONST, name.offset, name.text)))
                elif name.kind == "name" and self._take("("):
                    found = self._macro(token.offset, name.text, found, self._arguments())
                else:
                    found = (SELECT, token.offset, found, name.text)
            elif token.text in ("[", "[?"):
                self._next()
                index = self.expression()
                self._need("]")
                if token.text == "[?":
                    found = (CALL, token.offset, "_[?_]", None, (found, index))
                else:
                    found = (INDEX, token.offset, found, index)
            elif token.text == "{" and self._is_type(found):
                found = self._struct(found)
            else:
                break
        return found

    @staticmethod
    def _is_type(node: Node) -> bool:
        while node[0] == SELECT:
            node = node[2]
        return bool(node[0] == IDENT)

    def _struct(self, kind: Node) -> Node:
        offset = self._need("{").offset
        fields: list[tuple[str, Node, bool]] = []
        while not self._take("}"):
            optional = self._take("?")
            name = self._next()
            if name.kind not in ("name", "quoted"):
                raise self._unexpected(name, "IDENTIFIER")
            self._need(":")
            fields.append((name.text, self.expression(), optional))
            if not self._take(","):
                self._need("}")
                break
        names: list[str] = []
        node = kind
        while node[0] == SELECT:
            names.append(node[3])
            node = node[2]
        return (STRUCT, offset, ".".join([node[2], *reversed(names)]), tuple(fields))

    def _arguments(self) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._take(")"):
            return ()
        while True:
            found.append(self.expression())
            if self._take(")"):
                return tuple(found)
            self._need(",")

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "literal":
            value = token.value
            if type(value) is int and value >= 2**63:
                raise CelSyntaxError(self._text, token.offset, "invalid int literal")
            return (CONST, token.offset, value)
        if token.kind == "name":
            return self._named(token)
        if token.kind == "op":
            match token.text:
                case "(":
                    found = self.expression()
                    self._need(")")
                    return found
                case "[":
                    return self._list(token)
                case "{":
                    return self._map(token)
                case ".":
                    name = self._next()
                    if name.kind != "name":
                        raise self._unexpected(name, "IDENTIFIER")
                    return self._named(name)
        raise self._unexpected(token)

    def _named(self, token: _Token) -> Node:
        constants: dict[str, Any] = {"true": True, "false": False, "null": None}
        if token.text in constants:
            return (CONST, token.offset, constants[token.text])
        if token.text in RESERVED or token.text == "in":
            raise CelSyntaxError(self._text, token.offset, f"reserved identifier: {token.text}")
        if self._take("("):
            return self._macro(token.offset, token.text, None, self._arguments())
        return (IDENT, token.offset, token.text)

    def _list(self, token: _Token) -> Node:
        items: list[tuple[Node, bool]] = []
        while not self._take("]"):
            optional = self._take("?")
            items.append((self.expression(), optional))
            if not self._take(","):
                self._need("]")
                break
        return (LIST, token.offset, tuple(items))

    def _map(self, token: _Token) -> Node:
        entries: list[tuple[Node, Node, bool]] = []
        while not self._take("}"):
            optional = self._take("?")
            key = self.expression()
            self._need(":")
            entries.append((key, self.expression(), optional))
            if not self._take(","):
                self._need("}")
                break
        return (MAP, token.offset, tuple(entries))

    # -- macros

    def _macro(self, offset: int, name: str, target: Node | None, args: tuple[Node, ...]) -> Node:
        if target is None and name == "has" and len(args) == 1:
            if args[0][0] != SELECT:
                raise CelSyntaxError(self._text, offset, "invalid argument to has() macro")
            return (HAS, offset, args[0][2], args[0][3])
        if target is not None:
            bound = target[0] == IDENT and target[2] == "cel" and name == "bind"
            if bound and len(args) == 3:
                return (LOOP, offset, "bind", args[1], (self._variable(args[0]),), (args[2],))
            if name in ("optMap", "optFlatMap") and len(args) == 2:
                return (LOOP, offset, name, target, (self._variable(args[0]),), (args[1],))
            wanted = _MACROS.get((name, len(args)))
            if wanted is not None:
                variables = tuple(self._variable(one) for one in args[:wanted])
                return (LOOP, offset, name, target, variables, args[wanted:])
        return (CALL, offset, name, target, args)

    def _variable(self, node: Node) -> str:
        if node[0] != IDENT:
            raise CelSyntaxError(self._text, node[1], "argument must be a simple name")
        name: str = node[2]
        return name


_MACROS: Final = {
    ("all", 2): 1,
    ("exists", 2): 1,
    ("exists_one", 2): 1,
    ("existsOne", 2): 1,
    ("filter", 2): 1,
    ("map", 2): 1,
    ("map", 3): 1,
    ("all", 3): 2,
    ("exists", 3): 2,
    ("exists_one", 3): 2,
    ("existsOne", 3): 2,
    ("transformList", 3): 2,
    ("transformList", 4): 2,
    ("transformMap", 3): 2,
    ("transformMap", 4): 2,
    ("transformMapEntry", 3): 2,
    ("transformMapEntry", 4): 2,
}
"""Name and number of arguments → how many of them are variables. The rest is filter and result."""


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        CelSyntaxError: it is none.
    """
    try:
        return _Parser(text).whole()
    except RecursionError:
        raise CelSyntaxError(text, 0, "expression recursion limit exceeded: 250") from None


def names_in(node: Node, bound: frozenset[str] = frozenset()) -> set[str]:
    """The variables an expression refers to that nothing in it binds."""
    found: set[str] = set()
    kind = node[0]
    if kind == IDENT:
        if node[2] not in bound:
            found.add(node[2])
    elif kind in (SELECT, HAS):
        found |= names_in(node[2], bound)
    elif kind == INDEX:
        found |= names_in(node[2], bound) | names_in(node[3], bound)
    elif kind == CALL:
        for one in (*(() if node[3] is None else (node[3],)), *node[4]):
            found |= names_in(one, bound)
    elif kind == LIST:
        for one, _ in node[2]:
            found |= names_in(one, bound)
    elif kind == MAP:
        for key, value, _ in node[2]:
            found |= names_in(key, bound) | names_in(value, bound)
    elif kind == STRUCT:
        for _, value, _ in node[3]:
            found |= names_in(value, bound)
    elif kind == LOOP:
        found |= names_in(node[3], bound)
        inner = bound | frozenset(node[4])
        for one in node[5]:
            found |= names_in(one, inner)
    return found
