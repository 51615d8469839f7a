"""What a container had to say at its end: the termination message.

Follows getTerminationMessage in ``pkg/kubelet/kuberuntime/kuberuntime_container.go``.
"""

from __future__ import annotations

from pathlib import Path

from runtime.kubelet.pods.policy import find_spec
from runtime.kubelet.volumes.manager import VolumeManager
from runtime.objects.errors import Obj
from runtime.podman.interface import Container

MAX_MESSAGE = 4096
MAX_LOG_BYTES = 2048
MAX_LOG_LINES = 80


def termination_message(pod: Obj, container: Container, volumes: VolumeManager) -> str:
    """The message a container left, or the end of its log, or the runtime's error; often empty."""
    if container.started_at is None and container.error:
        return container.error
    found = find_spec(pod, container.name)
    if found is None or not volumes.files:
        return container.error
    spec = found[1]
    text = _head(volumes.message_path(pod["metadata"]["uid"], container.name, container.attempt))
    if text:
        return text
    if spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and container.exit_code != 0:
        return last_lines(
            volumes.log_path(pod["metadata"]["uid"], container.name, container.attempt),
            MAX_LOG_LINES,
            MAX_LOG_BYTES,
        )
    return container.error


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MESSAGE).decode("utf-8", "replace")
    except OSError:
        return ""


def last_lines(path: Path, lines: int, size: int) -> str:
    """The text of the last ``lines`` lines of a CRI log, ``size`` bytes at most."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4 * size - 64 * lines))
            raw = file.read()
    except OSError:
        return ""
    texts: list[bytes] = []
    for line in raw.split(b"\n")[-lines - 1 :]:
        parts = line.split(b" ", 3)
        if len(parts) == 4 and parts[1] in (b"stdout", b"stderr"):
            texts.append(parts[3] + (b"\n" if parts[2].startswith(b"F") else b""))
    return b"".join(texts)[-size:].decode("utf-8", "replace")
