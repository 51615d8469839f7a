"""What the manifest watcher says about each file, as it publishes it through the API.

One ConfigMap per watched file in ``kube-system``, labelled ``kubetui.io/manifest-source``; its ``status.json`` is
read here. Commands go back as the annotation ``kubetui.io/request`` on the same ConfigMap (JSON with an id, done
once). A cluster without such ConfigMaps (any that is not ours) simply has no manifests pane.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kubetui.live.health import Health
from kubetui.live.objects import Obj, dig, name_of, uid_of

REQUEST = "kubetui.io/request"
FILE_ANNOTATION = "kubetui.io/manifest-file"

_HEALTH: dict[str, Health] = {
    "applied": "ok",
    "in-sync": "ok",
    "pending": "busy",
    "drifted": "warn",
    "invalid": "bad",
    "error": "bad",
    "missing": "warn",
    "pruned": "idle",
}


@dataclass(frozen=True, slots=True)
class Drift:
    """One field whose live value is not what the file says."""

    path: str
    file: Any
    live: Any


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file and how its object is."""

    index: int
    line: int
    api_version: str
    kind: str
    namespace: str
    name: str
    state: str
    message: str
    drift: tuple[Drift, ...]
    prune: bool = False

    @property
    def health(self) -> Health:
        """The state as a colour."""
        return _HEALTH.get(self.state, "busy")


@dataclass(frozen=True, slots=True)
class Source:
    """One watched file."""

    uid: str
    configmap: str
    path: str
    state: str
    mode: str
    paused: bool
    error_line: int
    error_message: str
    error_document: int | None
    documents: tuple[Document, ...]
    last_applied: str

    @property
    def health(self) -> Health:
        """The worst of the file and its documents."""
        states = [self.health_of_state, *(d.health for d in self.documents)]
        for health in ("bad", "warn", "busy"):
            if health in states:
                return health
        return "ok"

    @property
    def health_of_state(self) -> Health:
        """The file's own state as a colour."""
        return _HEALTH.get(self.state, "busy")

    @property
    def word(self) -> str:
        """One word for the row: the file's state, or that some document drifted or failed."""
        if self.state == "applied":
            for state in ("error", "drifted", "pending"):
                if any(d.state == state for d in self.documents):
                    return state
        return self.state


def source_of(configmap: Obj) -> Source | None:
    """Read one source's ConfigMap; None when it carries no readable status."""
    try:
        status = json.loads(dig(configmap, "data", "status.json", default=""))
    except ValueError:
        return None
    if not isinstance(status, dict):
        return None
    error = status.get("error") or {}
    return Source(
        uid_of(configmap),
        name_of(configmap),
        str(status.get("path") or name_of(configmap)),
        str(status.get("state") or "pending"),
        str(status.get("mode") or "auto"),
        bool(status.get("paused")),
        int(error.get("line") or 0),
        str(error.get("message") or ""),
        error.get("document"),
        tuple(_document(d) for d in status.get("documents") or () if isinstance(d, dict)),
        str(status.get("lastApplied") or ""),
    )


def _document(found: Obj) -> Document:
    return Document(
        int(found.get("index") or 0),
        int(found.get("line") or 0),
        str(found.get("apiVersion") or ""),
        str(found.get("kind") or ""),
        str(found.get("namespace") or ""),
        str(found.get("name") or ""),
        str(found.get("state") or "pending"),
        str(found.get("message") or ""),
        tuple(
            Drift(str(d.get("path") or ""), d.get("file"), d.get("live")) for d in found.get("drift") or ()
        ),
        bool(found.get("prune")),
    )


def common_folder(paths: list[str]) -> str:
    """The folder that all paths share, so that rows can show the rest; empty when there is none worth cutting."""
    if not paths:
        return ""
    parts = [p.split("/")[:-1] for p in paths]
    shared: list[str] = []
    for group in zip(*parts, strict=False):
        if len(set(group)) != 1:
            break
        shared.append(group[0])
    return "/".join(shared) + "/" if len(shared) > 1 else ""
