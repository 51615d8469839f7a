"""Objects as tables and as metadata: what ``kubectl get`` and metadata-only informers ask for.

Follows ``endpoints/handlers/response.go``. All columns are always sent (a priority above 0 marks the wide
ones); a row carries the object's metadata unless the client asks for all of it or for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import orjson

from runtime.objects.errors import FieldError, Obj, StatusError, bad_request, invalid
from runtime.objects.registry import Column, Printer

PIECE_BYTES = 256 * 1024
"""About how much of a list is put together at once."""
INCLUDE = ("None", "Metadata", "Object")


class Stored(Protocol):
    """An object and its JSON (a stored record, or an answer)."""

    @property
    def obj(self) -> Obj:
        """The object."""
        ...

    @property
    def json(self) -> bytes:
        """The object as JSON."""
        ...


def _default_row(obj: Obj, _now: datetime) -> list[Any]:
    meta = obj.get("metadata") or {}
    return [meta.get("name", ""), meta.get("creationTimestamp")]


DEFAULT_PRINTER = Printer(
    (
        Column("Name", format="name", description="Name must be unique within a namespace."),
        Column("Created At", type="date", description="When the object was created."),
    ),
    _default_row,
)
"""For kinds without columns of their own (apiserver ``registry/rest/table.go``)."""


def check_include(value: str) -> str:
    """``includeObject`` of the query, ``Metadata`` when it was left out.

    Raises:
        StatusError: 400 for a value that does not exist.
    """
    if value and value not in INCLUDE:
        error: FieldError = invalid("includeObject", value, "must be 'Metadata', 'Object', 'None', or empty")
        refusal: StatusError = bad_request(f"Unable to convert to Table as requested: {error}")
        raise refusal
    return value or "Metadata"


@lru_cache(maxsize=256)
def _columns(columns: tuple[Column, ...]) -> bytes:
    return orjson.dumps(
        [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in columns
        ]
    )


def partial_metadata(obj: Obj, version: str) -> Obj:
    """An object reduced to its metadata."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }


def _row(printer: Printer, entry: Stored, now: datetime, include: str, version: str) -> Obj:
    row: Obj = {"cells": printer.row(entry.obj, now)}
    if include == "Metadata":
        row["object"] = partial_metadata(entry.obj, version)
    elif include == "Object":
        row["object"] = orjson.Fragment(entry.json)
    else:
        row["object"] = None
    return row


def table(
    printer: Printer | None,
    entries: Iterable[Stored],
    now: datetime,
    *,
    include: str,
    version: str,
    meta: Obj,
    headers: bool = True,
) -> bytes:
    """A metav1.Table as JSON.

    Args:
        printer: the kind's columns; None gives name and time of creation.
        entries: the objects, one row each.
        now: the moment ages are counted to.
        include: ``None``, ``Metadata`` or ``Object``.
        version: of meta.k8s.io.
        meta: the table's own ListMeta.
        headers: whether the columns are described (a watch does so in its first event only).
    """
    printer = printer or DEFAULT_PRINTER
    return orjson.dumps(
        {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{version}",
            "metadata": meta,
            "columnDefinitions": orjson.Fragment(_columns(printer.columns)) if headers else None,
            "rows": [_row(printer, entry, now, include, version) for entry in entries],
        },
        default=str,
    )


def table_event(
    printer: Printer | None, entry: Stored, now: datetime, *, include: str, version: str, headers: bool
) -> bytes:
    """The Table of one watch event."""
    meta = {"resourceVersion": (entry.obj.get("metadata") or {}).get("resourceVersion", "")}
    return table(printer, (entry,), now, include=include, version=version, meta=meta, headers=headers)


def partial_list(entries: Sequence[Stored], version: str, meta: Obj) -> bytes:
    """A PartialObjectMetadataList as JSON."""
    return orjson.dumps(
        {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{version}",
            "metadata": meta,
            "items": [partial_metadata(entry.obj, version) for entry in entries],
        }
    )


def object_list(list_kind: str, api_version: str, entries: Sequence[Stored], meta: Obj) -> list[bytes]:
    """A list of whole objects as JSON: their stored JSON, in the pieces that it is joined from."""
    head = orjson.dumps({"kind": list_kind, "apiVersion": api_version, "metadata": meta})
    pieces = [head[:-1] + b',"items":[']
    batch: list[bytes] = []
    size = 0
    for entry in entries:
        body = entry.json
        batch.append(body)
        size += len(body)
        if size > PIECE_BYTES:
            pieces.append(b",".join(batch))
            pieces.append(b",")
            batch, size = [], 0
    if batch:
        pieces.append(b",".join(batch))
    elif len(pieces) > 1:
        pieces.pop()
    pieces.append(b"]}")
    return pieces
