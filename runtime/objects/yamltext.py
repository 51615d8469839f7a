"""YAML text to values, as sigs.k8s.io/yaml makes them, within limits: for request bodies and for manifest files.

PyYAML's own composer resolves scalars by YAML 1.1 as Python sees it, and its C half recurses without a limit: a
text of a hundred thousand brackets ends the process. Events are flat, so nesting, aliases and duplicate keys are
checked here as they come. Every value keeps its line, so that errors can name it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from .depth import DEPTH_LIMIT

NODE_LIMIT = 500_000
"""Values in one document after its aliases are followed: stops "billion laughs"."""

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _TAG + name
    for name in ("str", "int", "float", "bool", "null", "binary", "timestamp", "map", "seq", "merge")
) | {"!"}

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_RADIX = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+)$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$")
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"))
_SPECIAL = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$")


class YAMLTextError(Exception):
    """Something wrong in a text. ``line`` counts from 1; 0 is the text as a whole."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(slots=True)
class Node:
    """One value of the text, and the line it stands on. Aliases are the same node again."""

    line: int
    value: Any = None
    """Of a scalar."""
    items: list[Node] = field(default_factory=list)
    """Of a sequence."""
    pairs: list[tuple[str, int, Node]] = field(default_factory=list)
    """Of a mapping: key, its line, value."""
    merges: list[Node] = field(default_factory=list)
    """Of a mapping: what ``<<`` names."""
    kind: str = "scalar"

    def step(self, name: str) -> tuple[int, Node] | None:
        """The line and node of a key, of an index (digits), or of the item with a key (``name="web"``)."""
        if self.kind == "mapping":
            for key, line, node in self.pairs:
                if key == name:
                    return line, node
        elif self.kind == "sequence" and name.isdigit() and int(name) < len(self.items):
            child = self.items[int(name)]
            return child.line, child
        elif self.kind == "sequence" and "=" in name:
            wanted = [part.partition("=") for part in name.split(",")]
            for item in self.items:
                values = {key: str(node.value) for key, _, node in item.pairs}
                if all(values.get(key, "") in ("", value.strip('"')) for key, _, value in wanted):
                    return item.line, item
        return None


def resolve(text: str) -> Any:
    """A plain scalar's value, as sigs.k8s.io/yaml resolves it.

    Raises:
        ValueError: infinity and NaN, which JSON can't express.
    """
    if text in _NULLS:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return text
    if _INT.match(text):
        return _number(int(text.replace("_", "")))
    if _RADIX.match(text):
        digits = text.replace("_", "").lower()
        sign = -1 if digits[0] == "-" else 1
        digits = digits.lstrip("+-")
        if digits[1] in "bxo":
            return _number(sign * int(digits[2:], {"b": 2, "x": 16, "o": 8}[digits[1]]))
        return _number(sign * int(digits, 8))
    if _FLOAT.match(text):
        return float(text.replace("_", ""))
    if _SPECIAL.match(text):
        raise ValueError(f"{text} can't be expressed in JSON")
    return text


def _number(value: int) -> int | float:
    """What has more than 64 bits is a float."""
    return value if -(2**63) <= value < 2**64 else float(value)


def compose(text: str, repeated: list[str] | None = None) -> list[Node]:
    """The documents of a text as nodes.

    Args:
        text: the YAML.
        repeated: receives a sentence for each key that stands twice in one mapping, of which the last counts;
            without such a list the first of them is an error.

    Raises:
        YAMLTextError: the text is not YAML, or beyond the limits; the line is of this text.
    """
    try:
        return _Composer(text, repeated).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise YAMLTextError(message, mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0) or 0
        reason = getattr(error, "reason", error)
        raise YAMLTextError(f"this is not YAML: {reason}", text.count("\n", 0, at) + 1) from error


class _Open:
    """A collection that is being read."""

    __slots__ = ("key", "keys", "line", "merge", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.key: str | None = None
        """Of a mapping: the key whose value comes next."""
        self.line = 0
        self.merge = False
        self.keys: set[str] = set()


class _Composer:
    """Events to nodes, without recursion."""

    def __init__(self, text: str, repeated: list[str] | None) -> None:
        self._events = yaml.parse(text, Loader=_Loader)
        self._repeated = repeated
        self._anchors: dict[str, Node] = {}
        self._found: list[Node] = []
        self._stack: list[_Open] = []
        self._count = 0

    def documents(self) -> list[Node]:
        for event in self._events:
            if isinstance(event, yaml.ScalarEvent):
                node = Node(_line(event), _scalar(event))
                self._anchor(event, node)
                plain_merge = event.implicit[0] and event.value == "<<"
                self._place(node, is_merge=plain_merge)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self._open(event)
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                self._place(self._stack.pop().node)
            elif isinstance(event, yaml.AliasEvent):
                found = self._anchors.get(event.anchor or "")
                if found is None:
                    raise YAMLTextError(f"found undefined alias {event.anchor!r}", _line(event))
                self._place(found)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
        return self._found

    def _open(self, event: Any) -> None:
        line = _line(event)
        if len(self._stack) >= DEPTH_LIMIT:
            raise YAMLTextError(f"the document is nested deeper than {DEPTH_LIMIT} levels", line)
        if event.tag and event.tag not in _TAGS:
            raise YAMLTextError(f"the tag {event.tag} is not supported", line)
        node = Node(line, kind="mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence")
        self._anchor(event, node)
        self._stack.append(_Open(node))

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _place(self, node: Node, *, is_merge: bool = False) -> None:
        """Put a finished value where it belongs."""
        self._count += 1
        if self._count > NODE_LIMIT:
            raise YAMLTextError(f"the document holds more than {NODE_LIMIT} values", node.line)
        if not self._stack:
            self._found.append(node)
            return
        within = self._stack[-1]
        parent = within.node
        if parent.kind == "sequence":
            parent.items.append(node)
        elif within.key is None:
            if node.kind != "scalar":
                raise YAMLTextError("a mapping's key has to be a string", node.line)
            within.key, within.line, within.merge = _key(node.value), node.line, is_merge
        else:
            name, within.key = within.key, None
            if within.merge:
                parent.merges.extend(node.items if node.kind == "sequence" else [node])
                return
            if name in within.keys:
                if self._repeated is None:
                    raise YAMLTextError(f'key "{name}" is already set in this mapping', within.line)
                self._repeated.append(f'line {within.line}: key "{name}" already set in map')
            within.keys.add(name)
            parent.pairs.append((name, within.line, node))


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _scalar(event: Any) -> Any:
    text: str = event.value
    tag: str | None = event.tag
    line = _line(event)
    if tag == _TAG + "binary":
        try:
            return base64.b64decode(text).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise YAMLTextError("!!binary that is not base64 of text", line) from error
    if tag and tag not in _TAGS:
        raise YAMLTextError(f"the tag {tag} is not supported", line)
    if not event.implicit[0] and not tag:
        return text
    if tag in ("!", _TAG + "str"):
        return text
    try:
        return resolve(text)
    except (ValueError, OverflowError) as error:
        raise YAMLTextError(str(error), line) from error


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)


def build(node: Node) -> Any:
    """The plain data of a node, aliases followed and merge keys resolved.

    Raises:
        YAMLTextError: too many values, or an alias that contains itself.
    """
    return _Builder().build(node)


class _Builder:
    def __init__(self) -> None:
        self._count = 0
        self._open: set[int] = set()

    def build(self, node: Node) -> Any:
        self._count += 1
        if self._count > NODE_LIMIT:
            raise YAMLTextError(
                f"the document holds more than {NODE_LIMIT} values (aliases multiply it)", node.line
            )
        if node.kind == "scalar":
            return node.value
        if id(node) in self._open:
            raise YAMLTextError("an alias contains itself", node.line)
        if len(self._open) > DEPTH_LIMIT:
            raise YAMLTextError(f"the document is nested deeper than {DEPTH_LIMIT} levels", node.line)
        self._open.add(id(node))
        try:
            if node.kind == "sequence":
                return [self.build(item) for item in node.items]
            result = {key: self.build(value) for key, _, value in node.pairs}
            for part in node.merges:
                merged = self.build(part)
                if not isinstance(merged, dict):
                    raise YAMLTextError("<< takes a mapping or a list of mappings", part.line)
                for key, value in merged.items():
                    result.setdefault(key, value)
            return result
        finally:
            self._open.discard(id(node))
