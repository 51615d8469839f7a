"""How the API server reaches a node: logs, exec, attach and port-forward.

Upstream's API server proxies these to the kubelet's own HTTPS server. Here kubelets live in the same process,
so each one registers an object with this interface under its node's name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from runtime.objects.errors import Obj
from runtime.objects.streams import Connection, StreamSession


@dataclass(frozen=True, slots=True)
class LogOptions:
    """v1.PodLogOptions, parsed."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    since_seconds: int | None = None
    since_time: datetime | None = None
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str = "All"


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What a node's own HTTP server answers."""

    status: int
    content_type: str
    body: bytes
    file: Path | None = None
    """Whose content is the body, for what may be too large to be held."""


class NodeConnection(Protocol):
    """What a kubelet offers to the API server. Failures are ``StatusError``."""

    def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        """The container's log as the client wants it; ends at the end of the log, or goes on with follow."""
        ...

    async def exec(
        self,
        pod: Obj,
        container: str,
        command: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    ) -> StreamSession:
        """Run a command in a running container."""
        ...

    async def attach(
        self, pod: Obj, container: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> StreamSession:
        """Join a running container's own streams."""
        ...

    async def port_forward(self, pod: Obj, port: int) -> Connection:
        """Connect to a port inside the pod."""
        ...

    async def page(self, path: str) -> NodeAnswer:
        """What the node's own HTTP server answers to a GET of this path."""
        ...


Nodes = dict[str, NodeConnection]
"""Node name → its kubelet; shared by the API and the kubelets."""

__all__ = ["Connection", "LogOptions", "NodeAnswer", "NodeConnection", "Nodes", "StreamSession"]
