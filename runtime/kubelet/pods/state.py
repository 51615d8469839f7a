"""What a kubelet remembers of one pod between two looks at it.

Nothing here is needed to be right: whatever is lost with the process is found again in the API, in the runtime's
labels, or by trying once more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runtime.kubelet.container_status import Waiting
from runtime.kubelet.pods.policy import Attempts
from runtime.kubelet.timers import Timer
from runtime.kubelet.volumes.manager import PodVolumes
from runtime.objects.errors import Obj
from runtime.podman.interface import Container


def version_of(obj: Obj) -> int:
    """resourceVersion as a number; this cluster's are numbers."""
    text = obj["metadata"].get("resourceVersion") or "0"
    return int(text) if text.isdigit() else 0


@dataclass(slots=True, eq=False)
class PodState:
    """One pod of this node."""

    uid: str
    pod: Obj
    """The newest object seen, from the watch or from our own writes."""
    dirty: bool = False
    task: asyncio.Task[None] | None = None
    gone: bool = False
    """Deleted from the API."""
    terminating: bool = False
    done: bool = False
    """Ended, reported, and its sandbox removed."""
    failed: tuple[str, str] | None = None
    """Reason and message when this kubelet ended the pod itself."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    broken: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """Container id → when and why its start failed; the runtime shows such a container as merely created."""
    last_attempt: dict[str, int] = field(default_factory=dict)
    before: dict[str, Obj] = field(default_factory=dict)
    """Container statuses as the API had them when the kubelet first saw the pod."""
    messages: dict[str, str] = field(default_factory=dict)
    volumes: PodVolumes | None = None
    references: set[tuple[str, str, str]] = field(default_factory=set)
    """(resource, namespace, name) of what its files follow."""
    status: Obj | None = None
    """The last status made."""
    written: Obj | None = None
    """The last status the API has taken."""
    writer: asyncio.Task[None] | None = None
    interruptible: asyncio.Future[Any] | None = None
    """A pull or hook that a deletion does not wait for."""
    stopping: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    """Container id → what is waiting for its end: a hook, or the runtime's stop."""
    retry: Timer | None = None
    deadline: Timer | None = None
    renewal: Timer | None = None
    mount_delay: float = 0.0
    said: bool = False
    """Whether the fields that are not honoured were named."""
    resize: tuple[str, str, str] | None = None
    """Condition, reason and message while new amounts of cpu and memory can't be given."""
    allocated: dict[str, Obj] = field(default_factory=dict)
    """Container name → the resources it has until then."""
    restarting_all: bool = False
    """All containers are being ended and removed, to begin anew."""
    users: dict[str, Obj] = field(default_factory=dict)
    """Container id → who its first process is, as the status shows it."""
    resized: dict[str, Obj] = field(default_factory=dict)
    """Container id → the resources it was given while it ran."""
    resize_restarts: set[str] = field(default_factory=set)
    """Ids of the containers that are restarted for their new resources."""
    waits_for_objects: bool = False
    """A start failed for want of a ConfigMap, Secret or claim: look again when one changes."""

    def __post_init__(self) -> None:
        status = self.pod.get("status") or {}
        for name in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
            for entry in status.get(name) or ():
                self.before[entry["name"]] = entry
                if entry.get("containerID"):
                    self.last_attempt[entry["name"]] = int(entry.get("restartCount") or 0)

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return str(self.pod["metadata"].get("namespace", ""))

    @property
    def full_name(self) -> str:
        """``name_namespace(uid)``, as upstream's messages name a pod."""
        return f"{self.name}_{self.namespace}({self.uid})"

    def note_attempts(self, attempts: Attempts) -> None:
        """Remember the highest attempt of each container, so that the next one is one more."""
        for name, entries in attempts.items():
            highest = entries[0].attempt
            if highest > self.last_attempt.get(name, -1):
                self.last_attempt[name] = highest

    def next_attempt(self, name: str) -> int:
        """The restart count of the next container of this name."""
        return self.last_attempt.get(name, -1) + 1

    def forget_container(self, container: Container) -> None:
        """The runtime no longer has it."""
        self.broken.pop(container.id, None)
        self.resized.pop(container.id, None)
        self.resize_restarts.discard(container.id)
        self.messages.pop(container.id, None)
        self.users.pop(container.id, None)
