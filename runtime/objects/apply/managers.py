"""The entries of ``metadata.managedFields``: reading, changing and writing them.

Entries are kept as the dicts they are stored as; one that does not change is handed on as the same object. Follows
apimachinery ``pkg/util/managedfields/internal/{managedfields,managedfieldsupdater,capmanagers}.go``.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from ..errors import Obj
from .sets import EMPTY, FieldSet, FieldSetError, canonical_set, difference, union

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MAX_UPDATE_MANAGERS: Final = 10
ANCIENT: Final = "ancient-changes"

Key = tuple[str, str, str, str]
"""Manager, operation, apiVersion (empty for Apply: an applier is the same in every version) and subresource."""


def key_of(entry: Obj) -> Key:
    """What makes an entry the same manager's as another."""
    operation = entry["operation"]
    version = entry["apiVersion"] if operation == UPDATE else ""
    return (entry.get("manager", ""), operation, version, entry.get("subresource", ""))


def manager_text(key: Key) -> str:
    """A manager as conflict messages name it."""
    name, operation, version, subresource = key
    text = orjson.dumps(name).decode()
    if subresource:
        text += f' with subresource "{subresource}"'
    return f"{text} using {version}" if operation == UPDATE else text


class Managers:
    """All managers of one object, by key."""

    __slots__ = ("entries",)

    def __init__(self, entries: dict[Key, Obj] | None = None) -> None:
        self.entries: dict[Key, Obj] = entries if entries is not None else {}

    def fields(self, key: Key) -> FieldSet:
        """The fields a manager owns."""
        entry = self.entries.get(key)
        found: FieldSet = entry.get("fieldsV1") or EMPTY if entry else EMPTY
        return found

    def set(self, key: Key, fields: FieldSet, *, version: str = "", time: str | None = None) -> None:
        """Give a manager these fields, or forget it when there are none; ``time`` None keeps the entry's own."""
        if not fields:
            self.entries.pop(key, None)
            return
        before = self.entries.get(key)
        if before is not None and before.get("fieldsV1") is fields and time in (None, before.get("time")):
            return
        manager, operation, key_version, subresource = key
        entry: Obj = {"manager": manager, "operation": operation}
        entry["apiVersion"] = version or key_version or (before["apiVersion"] if before else "")
        when = time if time is not None else (before.get("time") if before else None)
        if when:
            entry["time"] = when
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = fields
        if subresource:
            entry["subresource"] = subresource
        self.entries[key] = entry

    def take(self, changed: FieldSet, removed: FieldSet) -> None:
        """What was changed belongs to nobody else any more, what was removed to nobody at all."""
        for key, entry in list(self.entries.items()):
            before: FieldSet = entry.get("fieldsV1") or EMPTY
            after = difference(difference(before, changed), removed)
            if after is not before:
                self.set(key, after)

    def cap(self) -> None:
        """Merge the oldest updaters of each version into one, so that there are at most ten."""
        updaters = [key for key in self.entries if key[1] == UPDATE]
        count = len(updaters)
        if count <= MAX_UPDATE_MANAGERS:
            return
        updaters.sort(key=lambda key: (self.entries[key].get("time") or "", key))
        first: dict[str, Key] = {}
        for key in updaters:
            if count <= MAX_UPDATE_MANAGERS:
                return
            version = key[2]
            if version not in first:
                first[version] = key
                continue
            bucket: Key = (ANCIENT, UPDATE, version, "")
            if bucket not in self.entries:
                oldest = self.entries.pop(first[version])
                self.set(bucket, oldest.get("fieldsV1") or EMPTY, time=oldest.get("time"))
            if key == bucket:
                continue
            entry = self.entries.pop(key)
            merged = union(entry.get("fieldsV1") or EMPTY, self.fields(bucket))
            self.set(bucket, merged, time=entry.get("time"))
            count -= 1

    def encode(self) -> list[Obj]:
        """The entries in their order: appliers before updaters, older before newer."""
        if len(self.entries) == 1:
            return list(self.entries.values())
        return sorted(
            self.entries.values(),
            key=lambda entry: (
                entry["operation"],
                entry.get("time") or "",
                entry.get("manager", ""),
                entry["apiVersion"],
                entry.get("subresource", ""),
            ),
        )


def stored(entries: list[Obj] | None) -> Managers:
    """The managers of a stored object, whose entries this module wrote."""
    return Managers({key_of(entry): entry for entry in entries or ()})


def decode(entries: Any) -> Managers:
    """The managers a client sent.

    Raises:
        FieldSetError: an entry can't be read.
    """
    if not isinstance(entries, list):
        raise FieldSetError("managedFields must be a list")
    managers = Managers()
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise FieldSetError(f"managedFields entry {index} must be an object")
        if entry.get("operation") not in (APPLY, UPDATE):
            raise FieldSetError("operation must be `Apply` or `Update`")
        if not entry.get("apiVersion"):
            raise FieldSetError("apiVersion must not be empty")
        if not entry.get("fieldsType"):
            raise FieldSetError(f"missing fieldsType in managed fields entry {index}")
        if entry["fieldsType"] != "FieldsV1":
            raise FieldSetError(f"invalid fieldsType {entry['fieldsType']!r} in managed fields entry {index}")
        key = key_of(entry)
        fields = canonical_set(entry.get("fieldsV1") or EMPTY)
        managers.set(key, fields, version=entry["apiVersion"], time=entry.get("time"))
    return managers


def is_reset(entries: Any) -> bool:
    """Whether a client asks for managedFields to be forgotten: an empty list, or one empty entry."""
    return entries in ([], [{}])
