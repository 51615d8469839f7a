"""Records as they are served: the stored ones, or their conversion where two versions share one store.

A conversion and its JSON are made once and shared by all who list or watch, as stored records are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import copy
from runtime.objects.registry import Resource
from runtime.store import Record

Convert = Callable[[Obj], Obj]
_LIMIT = 20_000
_converted: dict[tuple[str, str, tuple[str, str, str]], tuple[Record, Convert, Record]] = {}
"""(version, kind, key) → the stored record, the conversion and what it made; valid only for those two."""


def served(resource: Resource, record: Record) -> Record:
    """The record in the version that ``resource`` is, where nobody outside has to be asked for it."""
    convert = resource.from_storage
    if convert is None:
        return record
    return _known(resource, record) or _remember(resource, record, convert, convert(record.obj))


async def served_by_now(resource: Resource, record: Record) -> Record:
    """The record in the version that ``resource`` is, whoever has to be asked for it.

    Raises:
        StatusError: 500, a conversion webhook failed.
    """
    if resource.convert is None:
        return served(resource, record)
    return (await all_served(resource, [record]))[0]


async def all_served(resource: Resource, records: Sequence[Record]) -> list[Record]:
    """Records in the version that ``resource`` is, in their order; waits only where a webhook has to be asked.

    Raises:
        StatusError: 500, a conversion webhook failed.
    """
    if resource.convert is None:
        return [served(resource, record) for record in records]
    found = [_known(resource, record) for record in records]
    missing = [record for record, known in zip(records, found, strict=True) if known is None]
    if not missing:
        return [one for one in found if one is not None]
    custom, convert = resource.custom, resource.from_storage
    assert custom is not None and convert is not None
    settled = [custom.settled(record.obj) for record in missing]
    made = iter(await resource.convert(settled, resource.api_version))
    return [
        known or _remember(resource, record, convert, custom.shown(next(made)))
        for record, known in zip(records, found, strict=True)
    ]


async def stored_by_now(resource: Resource, obj: Obj) -> Obj | None:
    """An object in the stored version where a webhook has to be asked for it, else None.

    Raises:
        StatusError: 500, a conversion webhook failed.
    """
    custom = resource.custom
    if resource.convert is None or custom is None or custom.storage_version == resource.version:
        return None
    (made,) = await resource.convert([obj], f"{resource.group}/{custom.storage_version}")
    return made


async def in_version(source: Resource, target: Resource, obj: Obj) -> Obj:
    """An object of one version of a kind in another.

    Raises:
        StatusError: 500, a conversion webhook failed.
    """
    if target is source or target.gvk == source.gvk:
        return obj
    if source.convert is not None:
        (made,) = await source.convert([obj], target.api_version)
    else:
        made = obj if source.to_storage is None else source.to_storage(obj)
    if target.custom is not None:
        return target.custom.shown(copy(made))
    return made if target.from_storage is None else target.from_storage(made)


def conversion_failed(message: str) -> StatusError:
    """500, as an error that has no reason of its own is told."""
    return StatusError(500, "", message)


def _known(resource: Resource, record: Record) -> Record | None:
    known = _converted.get((resource.api_version, resource.kind, record.key))
    if known is not None and known[0] is record and known[1] is resource.from_storage:
        return known[2]
    return None


def _remember(resource: Resource, record: Record, convert: Convert, obj: Obj) -> Record:
    made = Record(record.key, obj, record.version)
    if len(_converted) >= _LIMIT:
        _converted.clear()
    _converted[(resource.api_version, resource.kind, record.key)] = (record, convert, made)
    return made
