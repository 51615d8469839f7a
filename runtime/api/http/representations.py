"""Answers as bytes: objects, lists and events in the representation a client accepts.

JSON is what is stored, so most answers are bytes that exist already; protobuf is made when a client first asks and
kept with the record, so that the next list and every other watcher get the same bytes. Tables and metadata are made
anew each time. Follows ``endpoints/handlers/{response,watch}.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

import orjson

from runtime.api.context import Answer
from runtime.objects.errors import Obj, StatusError
from runtime.objects.printers import printer_for
from runtime.objects.registry import Resource
from runtime.store import Record

from . import tables
from .negotiation import META_GROUP, PARTIAL, PARTIAL_LIST, PROTOBUF, TABLE, Accepted
from .protobuf import bare, encode_body, encode_event, encode_list, enveloped, is_encodable
from .watches import Render, error_line, object_line, transformed_line

TURN = 64
"""Objects that are made into protobuf before others get their turn."""


def has_protobuf(resource: Resource) -> bool:
    """Whether objects of a resource can be had as protobuf; custom ones can't."""
    return is_encodable(resource.api_version, resource.kind)


def answer_body(
    resource: Resource, answer: Answer, accepted: Accepted, now: Callable[[], datetime], include: str
) -> bytes:
    """One object as the body of an answer.

    Args:
        resource: where it was asked for.
        answer: the object, or a Status, which is never transformed.
        accepted: what the client takes.
        now: gives the moment a table's ages are counted to.
        include: a table's ``includeObject``.
    """
    if not accepted.transform and accepted.media != PROTOBUF:
        return answer.json
    obj = answer.obj
    transform = "" if obj.get("kind") == "Status" else accepted.transform
    if transform == TABLE:
        meta = {"resourceVersion": (obj.get("metadata") or {}).get("resourceVersion", "")}
        own = obj.get("kind") == resource.kind
        return tables.table(
            resource.printer if own else printer_for("autoscaling", "Scale"),
            (answer,),
            now(),
            include=include,
            version=accepted.version,
            meta=meta,
        )
    if transform:
        obj = tables.partial_metadata(obj, accepted.version)
        return encode_body(obj) if accepted.media == PROTOBUF else orjson.dumps(obj)
    return encode_body(obj) if accepted.media == PROTOBUF else answer.json


async def list_body(
    resource: Resource,
    records: Sequence[Record],
    meta: Obj,
    accepted: Accepted,
    now: datetime,
    include: str,
) -> bytes | list[bytes]:
    """A list as the body of an answer, whole or in pieces."""
    version = accepted.version
    if accepted.transform == TABLE:
        return tables.table(resource.printer, records, now, include=include, version=version, meta=meta)
    if accepted.media == PROTOBUF:
        partial = f"{META_GROUP}/{version}" if accepted.transform == PARTIAL_LIST else ""
        return await _protobuf_list(resource, records, meta, partial)
    if accepted.transform == PARTIAL_LIST:
        return tables.partial_list(records, version, meta)
    return tables.object_list(resource.list_kind, resource.api_version, records, meta)


async def _protobuf_list(
    resource: Resource, records: Sequence[Record], meta: Obj, partial: str
) -> list[bytes]:
    items: list[bytes] = []
    for start in range(0, len(records), TURN):
        if start:
            await asyncio.sleep(0)
        for record in records[start : start + TURN]:
            items.append(bare(record.obj, partial, PARTIAL) if partial else _message(resource, record))
    if partial:
        pieces = encode_list(items, meta, partial, PARTIAL_LIST)
    else:
        pieces = encode_list(items, meta, resource.api_version, resource.list_kind)
    return _joined(pieces)


def _joined(pieces: list[bytes]) -> list[bytes]:
    """Many small pieces as few of about :data:`tables.PIECE_BYTES`."""
    found: list[bytes] = []
    batch: list[bytes] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size > tables.PIECE_BYTES:
            found.append(b"".join(batch))
            batch, size = [], 0
    found.append(b"".join(batch))
    return found


def _message(resource: Resource, record: Record) -> bytes:
    """A record's own protobuf message, made once."""
    if record.protobuf is None:
        record.protobuf = bare(record.obj, resource.api_version, resource.kind)
    return record.protobuf


def event_render(resource: Resource, accepted: Accepted, now: Callable[[], datetime], include: str) -> Render:
    """How the events of a watch are written; a table describes its columns in the first one only."""
    version = accepted.version
    if accepted.transform == TABLE:

        def as_table(record: Record, first: bool) -> bytes:
            return tables.table_event(
                resource.printer, record, now(), include=include, version=version, headers=first
            )

        return transformed_line(as_table)
    if accepted.media == PROTOBUF:
        if accepted.transform:
            return lambda kind, record: encode_event(
                kind, encode_body(tables.partial_metadata(record.obj, version))
            )
        return lambda kind, record: _protobuf_event(resource, kind, record)
    if accepted.transform:
        return transformed_line(lambda record, _: orjson.dumps(tables.partial_metadata(record.obj, version)))
    return object_line


_last_event: tuple[str, Record | None, bytes] = ("", None, b"")


def _protobuf_event(resource: Resource, kind: str, record: Record) -> bytes:
    """An event with its whole object, kept for the next watcher, who most likely sends the same."""
    global _last_event
    last_kind, last_record, frame = _last_event
    if last_record is record and last_kind == kind:
        return frame
    body = enveloped(_message(resource, record), resource.api_version, resource.kind)
    frame = encode_event(kind, body)
    _last_event = (kind, record, frame)
    return frame


def error_event(accepted: Accepted) -> Callable[[StatusError], bytes]:
    """What a running watch sends when it can't go on."""
    if accepted.media == PROTOBUF:
        return lambda error: encode_event("ERROR", encode_body(_plain(error.status)))
    return error_line


def _plain(status: Obj) -> Obj:
    """A Status as JSON would carry it: its details may hold what only JSON's writer makes plain."""
    return cast(Obj, orjson.loads(orjson.dumps(status, default=str)))


def stream_type(accepted: Accepted) -> str:
    """The Content-Type of a watch."""
    return f"{PROTOBUF};stream=watch" if accepted.media == PROTOBUF else accepted.media
