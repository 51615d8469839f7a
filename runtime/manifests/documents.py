"""Reading manifests: YAML or JSON text into objects that remember their lines.

Kubernetes' tools turn YAML into JSON with a Go library whose plain scalars differ from PyYAML's: timestamps and
``1:30`` stay strings, ``1e3`` is a number, ``0644`` is octal. PyYAML parses the text into events; values are made
from them in :mod:`runtime.objects.yamltext` as Go makes them, and the nodes are kept, so that a field's path in a
server's error leads back to its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from runtime.objects.yamltext import Node, YAMLTextError, build, compose

from .errors import ManifestError

Obj = dict[str, Any]

DOCUMENT_LIMIT = 3 * 1024 * 1024
"""Bytes in one document: what an API server takes in one request."""

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_STEP = re.compile(r"([^.\[\]]+)|\[([^\]]*)\]")


@dataclass(slots=True)
class Document:
    """One object of a file, and where it stands."""

    index: int
    line: int
    obj: Obj
    node: Node = field(repr=False)
    offset: int = 0

    def line_of(self, path: str) -> int:
        """The line of a field named as in errors: ``spec.template.spec.containers[0].image``.

        The longest part of the path that the document has decides.
        """
        node, line = self.node, self.line
        for name, index in _STEP.findall(path):
            found = node.step(name or index)
            if found is None:
                break
            at, node = found
            line = at + self.offset
        return line


def split(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a file: (lines before it, text). ``---`` in the first column separates, always."""
    start = position = begin_line = 0
    for number, line in enumerate(_LINES.findall(text)):
        if line.startswith("---") and (len(line) == 3 or line[3] in " \t\r\n"):
            if position > start:
                yield begin_line, text[start:position]
            start, begin_line = position, number
        position += len(line)
    if position > start:
        yield begin_line, text[start:]


def decode(data: bytes) -> str:
    """The text of a file.

    Raises:
        ManifestError: not text.
    """
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ManifestError("this is not text (it holds a NUL byte)", line)
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"this is not UTF-8 text (byte {error.start})", line) from error


def read(data: bytes) -> list[Document]:
    """All objects of a file, ``List`` kinds taken apart; empty documents are passed over.

    Raises:
        ManifestError: the file can't be read as objects; names the line.
    """
    documents: list[Document] = []
    for offset, text in split(decode(data)):
        size = len(text.encode())
        if size > DOCUMENT_LIMIT:
            raise ManifestError(
                f"the document has {size} bytes; an API server takes at most {DOCUMENT_LIMIT}", offset + 1
            )
        documents.extend(_read_document(text, offset, len(documents)))
    return documents


def _read_document(text: str, offset: int, index: int) -> Iterator[Document]:
    try:
        nodes = compose(text)
        for node in nodes:
            built = build(node)
            if built is None:
                continue
            if not isinstance(built, dict):
                raise YAMLTextError("a manifest is a mapping with apiVersion, kind and metadata", node.line)
            for obj, part in _expand(built, node):
                yield _checked(Document(index, part.line + offset, obj, part, offset))
                index += 1
    except ManifestError:
        raise  # its line is the file's already
    except YAMLTextError as error:
        raise ManifestError(error.message, error.line + offset) from error


def _expand(obj: Obj, node: Node) -> Iterator[tuple[Obj, Node]]:
    items = obj.get("items")
    if str(obj.get("kind", "")).endswith("List") and isinstance(items, list):
        found = node.step("items")
        parts = found[1].items if found else []
        for item, part in zip(items, parts, strict=False):
            if not isinstance(item, dict):
                raise YAMLTextError("an item of a List is a mapping", part.line)
            yield from _expand(item, part)
        return
    yield obj, node


def _checked(document: Document) -> Document:
    """The least that any object must have."""
    obj = document.obj
    for name in ("apiVersion", "kind"):
        value = obj.get(name)
        if not isinstance(value, str) or not value:
            problem = "is missing" if value is None else "has to be a string"
            raise ManifestError(f"{name}: {problem}", document.line_of(name))
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        raise ManifestError("metadata: is missing", document.line)
    if not isinstance(meta.get("name"), str) or not meta["name"]:
        what = "can't be applied; give it a name" if meta.get("generateName") else "is missing"
        at = "metadata.generateName" if meta.get("generateName") else "metadata.name"
        raise ManifestError(f"{at}: {what}", document.line_of(at))
    if not isinstance(meta.get("namespace", ""), str | None):
        raise ManifestError("metadata.namespace: has to be a string", document.line_of("metadata.namespace"))
    return document
