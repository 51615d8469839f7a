"""Resources that are computed when they are asked for, and never stored: usage metrics.

Upstream serves such groups from an aggregated API server. Whoever computes them registers with the API under the
group resource; get and list are all they have.
"""

from __future__ import annotations

from typing import Protocol

from runtime.objects.errors import Obj
from runtime.objects.registry import Resource
from runtime.objects.selectors import metadata_fields, parse_field_selector, parse_label_selector
from runtime.store import Key, Record

from .context import ListOptions, ListResult


class Computed(Protocol):
    """Who computes the objects of one resource."""

    async def objects(self, namespace: str) -> list[Obj]:
        """All objects, or those of one namespace."""
        ...


def record_of(resource: Resource, obj: Obj) -> Record:
    """A computed object as lists carry them."""
    meta = obj["metadata"]
    return Record(Key(resource.group_resource, meta.get("namespace", ""), meta["name"]), obj, 0)


async def compute(source: Computed, namespace: str, name: str) -> Obj | None:
    """One object; None when there is none of this name."""
    for obj in await source.objects(namespace):
        if obj["metadata"]["name"] == name:
            return obj
    return None


async def list_computed(
    source: Computed, resource: Resource, namespace: str, options: ListOptions, version: int
) -> ListResult:
    """A list with its selectors applied; pages are not offered, as the metrics API offers none.

    Raises:
        StatusError: 400 for a selector that can't be read.
    """
    labels = parse_label_selector(options.label_selector)
    fields = parse_field_selector(options.field_selector)
    found = [
        record_of(resource, obj)
        for obj in await source.objects(namespace)
        if labels.matches(obj["metadata"].get("labels") or {}) and fields.matches(metadata_fields(obj))
    ]
    found.sort(key=lambda record: record.key)
    return ListResult(found, version)
