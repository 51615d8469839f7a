"""Revision history of a workload, what differs between two revisions, and the patch that goes back to one.

Follows kubectl's ``pkg/polymorphichelpers/{history,rollback}.go``: a Deployment's revisions are its ReplicaSets, a
rollback is a JSON patch of ``spec.template`` (without the pod-template-hash label) and of the annotations that belong
to the revision; StatefulSets and DaemonSets keep theirs in ControllerRevisions, whose ``data`` is the patch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubetui.live.health import images_of, short_image
from kubetui.live.objects import Obj, annotations_of, controller_of, dig, meta, name_of, uid_of
from kubetui.live.rollout import CHANGE_CAUSE, REVISION, current_replica_set, revision_number
from kubetui.live.text import parse_time

HASH_LABEL = "pod-template-hash"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
# Annotations that stay with the Deployment on a rollback (deployment_util.go annotationsToSkip).
_SKIPPED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One revision that can be gone back to."""

    uid: str
    name: str
    number: int
    images: str
    cause: str
    created: str
    replicas: int
    current: bool
    template: Obj
    source: Obj


def history_of(workload: Obj, candidates: Iterable[Obj]) -> list[HistoryEntry]:
    """All revisions of a workload, newest first. ``candidates``: ReplicaSets or ControllerRevisions."""
    uid = uid_of(workload)
    owned = [c for c in candidates if (controller_of(c) or {}).get("uid") == uid]
    if workload.get("kind") == "Deployment":
        owned.sort(
            key=lambda rs: (revision_number(rs), parse_time(meta(rs).get("creationTimestamp"))), reverse=True
        )
        current = current_replica_set(workload, owned)
        return [
            HistoryEntry(
                uid_of(rs),
                name_of(rs),
                revision_number(rs),
                images_of(dig(rs, "spec", "template", default={})),
                annotations_of(rs).get(CHANGE_CAUSE, ""),
                str(meta(rs).get("creationTimestamp") or ""),
                int(dig(rs, "status", "replicas", default=0)),
                rs is current,
                without_hash(dig(rs, "spec", "template", default={})),
                rs,
            )
            for rs in owned
        ]
    owned.sort(key=lambda r: int(r.get("revision") or 0), reverse=True)
    newest = dig(workload, "status", "updateRevision") or (name_of(owned[0]) if owned else "")
    entries = []
    for revision in owned:
        template = dict(dig(revision, "data", "spec", "template", default={}))
        template.pop("$patch", None)
        entries.append(
            HistoryEntry(
                uid_of(revision),
                name_of(revision),
                int(revision.get("revision") or 0),
                images_of(template),
                annotations_of(revision).get(CHANGE_CAUSE, ""),
                str(meta(revision).get("creationTimestamp") or ""),
                0,
                name_of(revision) == newest,
                template,
                revision,
            )
        )
    return entries


def without_hash(template: Obj) -> Obj:
    """The template without the label that the Deployment controller added."""
    labels = dig(template, "metadata", "labels")
    if not labels or HASH_LABEL not in labels:
        return template
    metadata = {**template["metadata"], "labels": {k: v for k, v in labels.items() if k != HASH_LABEL}}
    return {**template, "metadata": metadata}


def rollback_patch(workload: Obj, entry: HistoryEntry) -> tuple[str, Any]:
    """(patch type, body) that makes ``workload`` what it was at ``entry``."""
    if workload.get("kind") != "Deployment":
        return "strategic", entry.source.get("data") or {}
    kept = {k: v for k, v in annotations_of(workload).items() if k in _SKIPPED}
    restored = {k: v for k, v in annotations_of(entry.source).items() if k not in _SKIPPED}
    body: list[Obj] = [{"op": "replace", "path": "/spec/template", "value": entry.template}]
    annotations = {**kept, **restored}
    if annotations or annotations_of(workload):
        body.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    return "json", body


def changed_fields(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """(path, old, new) of every leaf that differs; list items are matched by name where they have one."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[tuple[str, Any, Any]] = []
        for key in [*old, *(k for k in new if k not in old)]:
            found += changed_fields(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return found
    if isinstance(old, list) and isinstance(new, list):
        names_old, names_new = by_name(old), by_name(new)
        if names_old is not None and names_new is not None:
            found = []
            for key in [*names_old, *(k for k in names_new if k not in names_old)]:
                found += changed_fields(names_old.get(key), names_new.get(key), f"{path}[{key}]")
            return found
    return [] if old == new else [(path, old, new)]


def by_name(items: list[Any]) -> dict[str, Any] | None:
    """The items of a list by their names; None where one has none, or two have the same."""
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or item["name"] in found:
            return None
        found[item["name"]] = item
    return found


def summarize_change(old: Obj, new: Obj, limit: int = 3) -> str:
    """One line about what changed between two templates: ``image nginx:1.26 → nginx:1.27, +1 more``."""
    parts = []
    changes = changed_fields(old, new)
    for path, before, after in changes[:limit]:
        short = _short_path(path, old)
        if path.endswith(".image"):
            before, after = short_image(str(before)), short_image(str(after))
        fresh = after if isinstance(after, dict) else {}
        if short.startswith(f"annotations.{RESTARTED}") or (
            short == "annotations" and list(fresh) == [RESTARTED]
        ):
            parts.append("restarted")
            continue
        if isinstance(before, dict | list) or isinstance(after, dict | list):
            word = "added" if before is None else "removed" if after is None else "changed"
            parts.append(f"{short} {word}")
        else:
            parts.append(f"{short} {_plain(before)} → {_plain(after)}")
    if len(changes) > limit:
        parts.append(f"+{len(changes) - limit} more")
    return ", ".join(parts)


_SAME_IMAGE = re.compile(
    r"(?P<image>[^\s:]+(?::\d+/[^\s:]+)?)(?P<old>[:@]\S+) → (?P=image)(?P<new>[:@][^\s,]+)"
)


def shorten_change(text: str) -> str:
    """Say an image's name once where its tag alone has changed: ``image nginx:1.26 → :1.27``."""
    return _SAME_IMAGE.sub(r"\g<image>\g<old> → \g<new>", text)


def _short_path(path: str, template: Obj) -> str:
    """``spec.containers[app].image`` → ``image`` where there is one container, ``app.image`` where there are more."""
    text = path.removeprefix("spec.").removeprefix("metadata.")
    containers = dig(template, "spec", "containers", default=[])
    match = re.match(r"containers\[([^\]]+)\]\.(.*)", text)
    if match is None:
        return text
    return match[2] if len(containers) == 1 else f"{match[1]}.{match[2]}"


def _plain(value: Any) -> str:
    text = "∅" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a side-by-side difference; a side that has no such line is None."""

    left: str | None
    right: str | None
    changed: bool


def side_by_side(old: str, new: str) -> list[DiffLine]:
    """Pair the lines of two texts."""
    left, right = old.splitlines(), new.splitlines()
    lines: list[DiffLine] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [DiffLine(a, b, False) for a, b in zip(left[i1:i2], right[j1:j2], strict=True)]
            continue
        for offset in range(max(i2 - i1, j2 - j1)):
            a = left[i1 + offset] if i1 + offset < i2 else None
            b = right[j1 + offset] if j1 + offset < j2 else None
            lines.append(DiffLine(a, b, True))
    return lines
