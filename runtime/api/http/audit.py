"""The audit log: one ``audit.k8s.io/v1`` Event in JSON a line for each request, at Metadata level.

Who did what to which object and how it ended, without bodies. Lines are handed to the operating system as they
are made, so that a crash of this program loses none; only its owner can read the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from runtime.api.context import User
from runtime.objects.clock import format_micro_time
from runtime.objects.errors import Obj

from .request import RequestInfo


@dataclass(slots=True)
class Entry:
    """What is known of one request when it ends."""

    audit_id: str
    uri: str
    verb: str
    info: RequestInfo
    user: User
    impersonated: User | None
    source: str
    user_agent: str
    code: int
    received: datetime
    finished: datetime
    annotations: dict[str, str] = field(default_factory=dict)
    stage: str = "ResponseComplete"


def _user(user: User) -> Obj:
    found: Obj = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def render(entry: Entry) -> bytes:
    """The line of one entry, with its newline."""
    event: Obj = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": entry.audit_id,
        "stage": entry.stage,
        "requestURI": entry.uri,
        "verb": entry.verb,
        "user": _user(entry.user),
    }
    if entry.impersonated is not None:
        event["impersonatedUser"] = _user(entry.impersonated)
    event["sourceIPs"] = [entry.source]
    event["userAgent"] = entry.user_agent
    info = entry.info
    if info.is_resource:
        parts = {
            "resource": info.resource,
            "namespace": info.namespace,
            "name": info.name,
            "apiGroup": info.group,
            "apiVersion": info.version,
            "subresource": info.subresource,
        }
        event["objectRef"] = {key: value for key, value in parts.items() if value}
    event["responseStatus"] = {"metadata": {}, "code": entry.code}
    event["requestReceivedTimestamp"] = format_micro_time(entry.received)
    event["stageTimestamp"] = format_micro_time(entry.finished)
    if entry.annotations:
        event["annotations"] = entry.annotations
    return orjson.dumps(event) + b"\n"


class AuditLog:
    """Appends entries to a file."""

    def __init__(self, path: Path) -> None:
        """Open the file, created 0600.

        Raises:
            OSError: it can't be written.
        """
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, entry: Entry) -> None:
        """Append one entry."""
        os.write(self._file, render(entry))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
