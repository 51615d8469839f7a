"""What is known of each watched file: what it says, what of it was applied, and how that is told.

A file's state lives in the cluster, in a ConfigMap of ``kube-system`` labelled ``kubetui.io/manifest-source``: the
terminal reads it there like any client, and after a restart it tells which documents were applied already.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

from .documents import Document, Obj
from .errors import ManifestError
from .files import Content

LABEL = "kubetui.io/manifest-source"
FILE_ANNOTATION = "kubetui.io/manifest-file"
REQUEST_ANNOTATION = "kubetui.io/request"
PRUNE_ANNOTATION = "kubetui.io/prune"
NAMESPACE = "kube-system"
STATUS = "status.json"


class Identity(NamedTuple):
    """Which object a document is about."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


DocumentState = Literal["pending", "in-sync", "drifted", "error", "pruned"]


@dataclass(slots=True)
class Entry:
    """One document's object: what was applied of it, and how it is now."""

    identity: Identity
    resource: str
    """Group resource, as the client names it."""
    document: Document | None = None
    digest: str = ""
    """Of the document as it stands in the file."""
    applied: str = ""
    """Of the document as it was last applied; empty when it never was."""
    uid: str = ""
    state: DocumentState = "pending"
    message: str = ""
    line: int = 0
    """Of the message, where it is about a field."""
    drift: list[Obj] = field(default_factory=list)
    accepted: str = ""
    """Digest of a drift that somebody said is right."""
    checked_version: str = ""
    """The live object's resourceVersion that ``drift`` was computed from."""
    prune_at: float | None = None

    def to_status(self, index: int) -> Obj:
        """The entry in ``status.json``."""
        document = self.document
        status: Obj = {
            "index": index,
            "line": self.line or (document.line if document else 0),
            "apiVersion": document.obj["apiVersion"] if document else self.identity.group,
            "group": self.identity.group,
            "kind": self.identity.kind,
            "namespace": self.identity.namespace,
            "name": self.identity.name,
            "state": self.state,
            "message": self.message,
            "resource": self.resource,
            "applied": self.applied,
            "uid": self.uid,
        }
        if document is None:
            status["prune"] = True
        if self.drift:
            status["drift"] = self.drift[:50]
        if self.accepted:
            status["accepted"] = self.accepted
        return status

    @classmethod
    def from_status(cls, status: Obj) -> Entry:
        """What an earlier run applied."""
        group = status["apiVersion"].rpartition("/")[0] if "/" in status["apiVersion"] else ""
        group = status.get("group", group)
        identity = Identity(group, status["kind"], status.get("namespace", ""), status["name"])
        return cls(
            identity,
            status["resource"],
            applied=status.get("applied", ""),
            uid=status.get("uid", ""),
            accepted=status.get("accepted", ""),
        )


@dataclass(slots=True)
class Source:
    """One file."""

    path: Path
    content: Content | None = None
    entries: dict[Identity, Entry] = field(default_factory=dict)
    error: ManifestError | None = None
    missing: bool = False
    manual: bool = False
    paused: bool = False
    handled_request: str = ""
    last_applied: str = ""
    known_missing: bool = False
    """Its objects were looked for once since the start."""
    attempts: int = 0
    retry_at: float = 0.0
    apply_now: bool = False
    prune_now: bool = False
    """What is gone from the file may be removed, although the file waits to be asked."""
    published: bytes = b""
    reapply: set[Identity] = field(default_factory=set)
    news: list[str] = field(default_factory=list)
    """What was applied in this pass, to be said in one line."""

    @property
    def configmap(self) -> str:
        """The name of the ConfigMap that tells of this file."""
        return "manifest-" + hashlib.sha256(str(self.path).encode()).hexdigest()[:12]

    @property
    def state(self) -> str:
        """One word: missing, invalid, pending or applied."""
        if self.missing:
            return "missing"
        if self.error is not None:
            return "invalid"
        states = {entry.state for entry in self.entries.values()}
        return "pending" if states & {"pending", "error"} else "applied"

    def to_status(self) -> Obj:
        """The body of ``status.json``."""
        error: Obj | None = None
        if self.error is not None:
            error = {"line": self.error.line, "message": self.error.message}
        entries = sorted(self.entries.values(), key=lambda e: e.document.index if e.document else 10**6)
        return {
            "path": str(self.path),
            "state": self.state,
            "error": error,
            "mode": "manual" if self.manual else "auto",
            "paused": self.paused,
            "documents": [entry.to_status(index) for index, entry in enumerate(entries)],
            "lastApplied": self.last_applied,
            "request": self.handled_request,
        }

    def load(self, status: Obj) -> None:
        """Take over what an earlier run wrote."""
        self.manual = status.get("mode") == "manual"
        self.paused = bool(status.get("paused"))
        self.handled_request = str(status.get("request") or "")
        self.last_applied = str(status.get("lastApplied") or "")
        for document in status.get("documents") or []:
            if document.get("state") == "pruned" or not document.get("resource"):
                continue
            entry = Entry.from_status(document)
            self.entries[entry.identity] = entry


def digest_of(value: Any) -> str:
    """A short digest of any JSON value, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


_NOT_COMPARED = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def difference(live: Obj, wanted: Obj) -> list[Obj]:
    """Where an object differs from what applying its document would make of it.

    Each entry has the field's ``path``, its value in the ``file`` and its ``live`` value (None: not there).
    """
    found: list[Obj] = []

    def compare(path: str, a: Any, b: Any) -> None:
        if a == b:
            return
        if isinstance(a, dict) and isinstance(b, dict):
            for key in dict.fromkeys([*b, *a]):
                if path == "metadata" and key in _NOT_COMPARED:
                    continue
                compare(_join(path, key), a.get(key), b.get(key))
        elif isinstance(a, list) and isinstance(b, list):
            for index in range(max(len(a), len(b))):
                one = a[index] if index < len(a) else None
                other = b[index] if index < len(b) else None
                compare(f"{path}[{index}]", one, other)
        else:
            found.append({"path": path, "file": b, "live": a})

    compare(
        "",
        {k: v for k, v in live.items() if k != "status"},
        {k: v for k, v in wanted.items() if k != "status"},
    )
    return found


def _join(path: str, key: str) -> str:
    if "." in key or "/" in key:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key
