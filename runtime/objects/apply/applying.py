"""Server-side apply itself: merge, prune, refuse or take over, and hand out the fields.

Follows structured-merge-diff ``merge/update.go`` (``Apply``) and apimachinery
``pkg/util/managedfields/internal/{structuredmerge,conflict,versioncheck,skipnonapplied}.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from ..clock import format_time
from ..errors import Obj, StatusError, bad_request
from ..schema import TypeInfo
from .check import check
from .last_applied import KUBECTL, allowed_conflicts, with_last_applied
from .managers import APPLY, Key, Managers, manager_text, stored
from .nodes import Node, root_of
from .sets import (
    FieldSet,
    difference,
    from_paths,
    includes,
    intersection,
    path_text,
    paths,
    recursive_difference,
    union,
)
from .tracking import STRIPPED, Paths, entries_of, excluded_for, set_managed_fields, track_update
from .walk import compare, field_set, merge, remove, with_named_parents, without_nulls

BEFORE_FIRST_APPLY: Final = "before-first-apply"


def apply_patch(
    live: Obj | None,
    applied: Obj,
    type_info: TypeInfo,
    manager: str,
    *,
    now: datetime,
    api_version: str,
    kind: str = "",
    force: bool = False,
    subresource: str = "",
    reset: Paths | None = None,
) -> Obj:
    """The object that applying ``applied`` makes of ``live`` (None for none), with its managedFields.

    ``kind`` is what the configuration has to be (left out: not checked). The result is neither defaulted nor
    validated, and new objects have no more metadata than the configuration gives them.

    Raises:
        StatusError: 400 where the configuration is not of the kind's shape or carries managedFields; 409 with a cause
            for each field that another manager owns and the configuration changes.
    """
    _check_identity(applied, api_version, kind)
    node = root_of(type_info)
    try:
        if problems := check(applied, node):
            raise bad_request(
                f"failed to create typed patch object ({_name(applied, kind)}): {_joined(problems)}"
            )
        nulls = without_nulls(applied) is not applied
    except RecursionError:
        raise bad_request("the configuration is nested too deeply") from None
    base: Obj = live if live is not None else {}
    before = stored(entries_of(base))
    if live is not None and not before.entries:
        before = stored(
            track_update(
                None,
                live,
                type_info,
                BEFORE_FIRST_APPLY,
                now=now,
                api_version=api_version,
                subresource=subresource,
                reset=reset,
            )
        )
    job = _Apply(base, applied, node, before, (manager, APPLY, "", subresource), api_version)
    job.run(excluded_for(subresource, reset), force=force, now=now)
    obj: Obj = without_nulls(job.result) if nulls else job.result
    if manager == KUBECTL:
        obj = with_last_applied(obj, applied)
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"}
    obj = {**obj, "metadata": metadata}
    set_managed_fields(obj, job.managers.encode())
    return obj


class _Apply:
    """One apply: its inputs, and what comes of them."""

    def __init__(
        self, live: Obj, applied: Obj, node: Node, managers: Managers, key: Key, api_version: str
    ) -> None:
        self.live = live
        self.applied = applied
        self.node = node
        self.managers = managers
        self.key = key
        self.api_version = api_version
        self.result: Obj = {}

    def run(self, excluded: FieldSet, *, force: bool, now: datetime) -> None:
        """Merge, prune, find conflicts, and hand the fields over."""
        last = self.managers.fields(self.key)
        fields = field_set(self.applied, self.node)
        if excluded:
            fields = recursive_difference(fields, excluded)
        owned = difference(fields, STRIPPED)
        merged = merge(self.live, self.applied, self.node)
        others = [key for key in self.managers.entries if key != self.key]
        if last and not includes(fields, last):
            merged = self._prune(merged, last, fields, others)
        self.result = merged
        changed, removed = compare(self.live, merged, self.node)
        if excluded:
            changed, removed = (
                recursive_difference(changed, excluded),
                recursive_difference(removed, excluded),
            )
        if changed and others:
            conflicts = [
                (key, path)
                for key in others
                for path in paths(intersection(self.managers.fields(key), changed))
            ]
            if conflicts and not force:
                self._refuse(conflicts)
        before = self.managers.entries.pop(self.key, None)
        self.managers.take(changed, removed)
        if before is not None and not changed and not removed and before.get("fieldsV1") == owned:
            self.managers.entries[self.key] = self._at_version(before)
        else:
            self.managers.set(self.key, owned, version=self.api_version, time=format_time(now))

    def _at_version(self, entry: Obj) -> Obj:
        return entry if entry["apiVersion"] == self.api_version else {**entry, "apiVersion": self.api_version}

    def _prune(self, merged: Any, last: FieldSet, fields: FieldSet, others: Iterable[Key]) -> Any:
        """Take away what was applied last time and is not now, unless somebody else owns it."""
        node = self.node
        named_last = with_named_parents(last, node)
        pruned = remove(merged, named_last, node)
        there = with_named_parents(field_set(merged, node), node)
        managed = fields
        for key in others:
            managed = union(managed, self.managers.fields(key))
        kept = union(with_named_parents(field_set(pruned, node), node), with_named_parents(managed, node))
        pruned = remove(merged, difference(there, kept), node)
        left = with_named_parents(field_set(pruned, node), node)
        return remove(merged, intersection(difference(there, left), named_last), node)

    def _refuse(self, conflicts: list[tuple[Key, tuple[str, ...]]]) -> None:
        """Raise 409, unless kubectl's own client-side configuration is all that stands against it."""
        if self.key[0] == KUBECTL:
            allowed = allowed_conflicts(self.live, self.node, self.api_version)
            conflicts = [(key, path) for key, path in conflicts if not includes(allowed, from_paths([path]))]
            if not conflicts:
                return
        raise _conflict(conflicts)


def _conflict(conflicts: list[tuple[Key, tuple[str, ...]]]) -> StatusError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {manager_text(key)}",
            "field": path_text(path),
        }
        for key, path in conflicts
    ]
    if len(conflicts) == 1:
        key, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {manager_text(key)}: {path_text(path)}"
    else:
        lines: list[str] = []
        for key in sorted({key for key, _ in conflicts}):
            lines.append(f"conflicts with {manager_text(key)}:")
            lines += [f"- {path_text(path)}" for other, path in conflicts if other == key]
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _check_identity(applied: Any, api_version: str, kind: str) -> None:
    if not isinstance(applied, dict) or not isinstance(applied.get("metadata", {}), dict | None):
        raise bad_request("error decoding patch: the configuration must be an object with metadata")
    given = applied.get("apiVersion", "")
    if given != api_version or (kind and applied.get("kind") != kind):
        raise bad_request(f"invalid object type: {given}, Kind={applied.get('kind', '')}")
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")


def _name(applied: Obj, kind: str) -> str:
    metadata = applied.get("metadata") or {}
    where = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    return f"{where}; {applied.get('apiVersion', '')}, Kind={applied.get('kind', kind)}"


def _joined(problems: list[str]) -> str:
    return problems[0].removeprefix(": ") if len(problems) == 1 else "\n  ".join(["errors:", *problems])
