"""Records as they are served: the stored ones, or their conversion where two versions share one store.

A conversion and its JSON are made once and shared by all who list or watch, as stored records are.
"""

from __future__ import annotations

from collections.abc import Callable

from runtime.objects.errors import Obj
from runtime.objects.registry import Resource
from runtime.store import Record

Convert = Callable[[Obj], Obj]
_LIMIT = 20_000
_converted: dict[tuple[str, str, tuple[str, str, str]], tuple[Record, Convert, Record]] = {}
"""(version, kind, key) → the stored record, the conversion and what it made; valid only for those two."""


def served(resource: Resource, record: Record) -> Record:
    """The record in the version that ``resource`` is."""
    convert = resource.from_storage
    if convert is None:
        return record
    place = (resource.api_version, resource.kind, record.key)
    known = _converted.get(place)
    if known is not None and known[0] is record and known[1] is convert:
        return known[2]
    made = Record(record.key, convert(record.obj), record.version)
    if len(_converted) >= _LIMIT:
        _converted.clear()
    _converted[place] = (record, convert, made)
    return made
