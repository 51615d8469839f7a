"""Two people change one object: both changes are kept where they do not touch the same field.

A three-way merge of plain Kubernetes JSON. Dicts are merged key by key, lists whose items have names item by item, as
strategic merge does with containers, ports and volumes; any other list is one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubetui.live.history import by_name
from kubetui.live.objects import Obj


class _Absent:
    """A field that is not there, which is something else than null."""

    def __repr__(self) -> str:
        return "∅"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that both have changed, and to what (None: removed)."""

    path: str
    mine: Any
    theirs: Any


def merge(base: Obj, mine: Obj, theirs: Obj) -> tuple[Obj, list[Clash]]:
    """``theirs`` with what differs between ``base`` and ``mine``; where both differ, mine wins and it is reported."""
    clashes: list[Clash] = []
    merged = _merge(base, mine, theirs, "", clashes)
    return (merged if isinstance(merged, dict) else {}), clashes


def _merge(base: Any, mine: Any, theirs: Any, path: str, clashes: list[Clash]) -> Any:
    if mine == base:
        return theirs
    if theirs == base or mine == theirs:
        return mine
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return _merge_dicts(base if isinstance(base, dict) else {}, mine, theirs, path, "{}.{}", clashes)
    if isinstance(mine, list) and isinstance(theirs, list):
        named = [by_name(items) for items in (base if isinstance(base, list) else [], mine, theirs)]
        if named[0] is not None and named[1] is not None and named[2] is not None:
            found = _merge_dicts(named[0], named[1], named[2], path, "{}[{}]", clashes)
            return list(found.values())
    clashes.append(Clash(path, _plain(mine), _plain(theirs)))
    return mine


def _merge_dicts(
    base: Obj, mine: Obj, theirs: Obj, path: str, form: str, clashes: list[Clash]
) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key in [*theirs, *(k for k in mine if k not in theirs)]:
        inner = form.format(path, key).removeprefix(".")
        found = _merge(base.get(key, ABSENT), mine.get(key, ABSENT), theirs.get(key, ABSENT), inner, clashes)
        if found is not ABSENT:
            merged[key] = found
    return merged


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value
