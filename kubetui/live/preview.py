"""What applying a document would do, as two texts: the live object, and the object as it would be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from kubetui.live.manifests import Document, Drift
from kubetui.live.objects import Obj, meta
from kubetui.live.yamltext import to_yaml

_PART = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|\.?([^.\[\]]+)")
_NOISE = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"})


def plain(obj: Obj) -> Obj:
    """An object without its status and what only the server writes."""
    ordered: Obj = {k: obj[k] for k in ("apiVersion", "kind") if k in obj}
    ordered["metadata"] = {k: v for k, v in meta(obj).items() if k not in _NOISE}
    ordered.update({k: v for k, v in obj.items() if k not in ordered and k != "status"})
    return ordered


def would_be(live: Obj, drifts: Iterable[Drift]) -> Obj:
    """``live`` with the fields of ``drifts`` as the file has them. ``live`` is not changed.

    Paths are those of the watcher's ``difference``: ``spec.template.spec.containers[0].image``,
    ``metadata.labels[app.kubernetes.io/name]``.
    """
    root: list[Any] = [_copy(live)]
    for drift in drifts:
        _set(root, drift)
    _strip(root[0])
    found: Obj = root[0]
    return found


class _Gone:
    """Marks a list's item that the file does not have."""


_GONE = _Gone()


def _set(root: list[Any], drift: Drift) -> None:
    steps: list[str | int] = [0]
    for index, quoted, name in _PART.findall(drift.path):
        steps.append(int(index) if index else quoted or name)
    holder: Any = root
    for step, following in pairwise(steps):
        fresh: Any = [] if isinstance(following, int) else {}
        if isinstance(holder, list) and isinstance(step, int):
            while len(holder) <= step:
                holder.append(None)
            if not isinstance(holder[step], dict | list):
                holder[step] = fresh
            holder = holder[step]
        elif isinstance(holder, dict):
            if not isinstance(holder.get(str(step)), dict | list):
                holder[str(step)] = fresh
            holder = holder[str(step)]
        else:
            return
    last = steps[-1]
    if isinstance(holder, list) and isinstance(last, int):
        while len(holder) <= last:
            holder.append(None)
        holder[last] = _GONE if drift.file is None else drift.file
    elif isinstance(holder, dict):
        if drift.file is None:
            holder.pop(str(last), None)
        else:
            holder[str(last)] = drift.file


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _strip(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _strip(item)
    elif isinstance(value, list):
        value[:] = [item for item in value if item is not _GONE]
        for item in value:
            _strip(item)


def document_text(text: str, document: Document) -> str:
    """The document's own lines of its file."""
    lines = text.splitlines()
    start = max(0, min(document.line - 1, len(lines)))
    while start and lines[start - 1].strip() and not lines[start - 1].startswith("---"):
        start -= 1
    found: list[str] = []
    for row in lines[start:]:
        if row.startswith("---") and found:
            break
        if not row.startswith("---"):
            found.append(row)
    return "\n".join(found).strip("\n")


def two_sides(document: Document, live: Obj | None, text: str) -> tuple[str, str]:
    """(as it is, as it would be) for one document of a file whose text is ``text``."""
    if document.prune:
        return (to_yaml(plain(live)) if live is not None else "", "")
    if live is None:
        return "", document_text(text, document)
    now = plain(live)
    return to_yaml(now), to_yaml(plain(would_be(now, document.drift)))
