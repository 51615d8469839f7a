"""What the store keeps and what it tells: keys, records, changes and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson

Obj = dict[str, Any]


def dumps(obj: Obj) -> bytes:
    """JSON that is to be kept, in as much memory as it is long.

    What ``orjson`` returns still has the room of the buffer that it was written into, eight kilobytes at the least.
    """
    return bytes(memoryview(orjson.dumps(obj)))


class Key(NamedTuple):
    """Where an object is kept. ``resource`` is a group resource: ``pods``, ``deployments.apps``."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


class Record:
    """One stored object at one version. Never changed; shared by all who read it."""

    __slots__ = ("_json", "_obj", "key", "protobuf", "version")

    def __init__(self, key: Key, obj: Obj, version: int, json: bytes | None = None) -> None:
        self.key = key
        self.version = version
        self._obj: Obj | None = obj
        self._json = json
        self.protobuf: bytes | None = None
        """The object as protobuf, kept here by the first reader that needed it."""

    @property
    def obj(self) -> Obj:
        """The object. Read anew from its JSON each time once the record is folded."""
        obj = self._obj
        if obj is None:
            assert self._json is not None
            obj = orjson.loads(self._json)
        return obj

    def fold(self) -> None:
        """Keep the JSON alone, which takes a fraction of the memory: for what is history and seldom asked for."""
        if self._obj is not None:
            if self._json is None:
                self._json = dumps(self._obj)
            self._obj = self.protobuf = None

    @property
    def json(self) -> bytes:
        """The object as JSON, made once and shared by the disk and every response."""
        if self._json is None:
            self._json = dumps(self.obj)
        return self._json

    def written(self) -> bytes:
        """The same without keeping it: a snapshot asks for all objects, most of which nobody else will ask for."""
        return self._json if self._json is not None else orjson.dumps(self.obj)

    def __repr__(self) -> str:
        return f"Record({self.key}@{self.version})"


@dataclass(frozen=True, slots=True)
class Change:
    """One write in a transaction.

    ``obj`` None deletes. ``expected`` None takes any stored version, 0 demands that nothing is stored, and N
    demands version N. The object belongs to the store from then on.
    """

    key: Key
    obj: Obj | None
    expected: int | None = None


EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Event:
    """One durable change. For DELETED, ``record`` is the last state at the deletion's version."""

    __slots__ = ("previous", "record", "size", "time", "type")

    def __init__(
        self, type: EventType, record: Record, previous: Record | None, time: float, size: int = 0
    ) -> None:
        """``size``: about how many bytes it keeps in memory for itself, as JSON, where that matters."""
        self.type = type
        self.size = size
        self.record = record
        self.previous = previous
        self.time = time

    @property
    def version(self) -> int:
        """The version of the transaction that made it."""
        return self.record.version

    def __repr__(self) -> str:
        return f"Event({self.type}, {self.record!r})"


def tombstone(last: Record, version: int) -> Record:
    """The record a deletion is told with: the last state, at the deletion's version."""
    obj = {**last.obj, "metadata": {**last.obj["metadata"], "resourceVersion": str(version)}}
    return Record(last.key, obj, version)
