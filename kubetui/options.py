"""What the command line hands to the terminal. Free of heavy imports: the command line reads it on every start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TypeAlias

Kubeconfig: TypeAlias = "str | Future[str] | Callable[[], str | None] | None"


@dataclass(slots=True)
class AppOptions:
    """How the terminal starts.

    ``kubeconfig`` is a path, None (``$KUBECONFIG``, ``~/.kube/config``, or a pod's service account), or something
    that yields a path later: a Future or a function (called on a thread of its own) for a cluster that is starting
    in parallel. ``progress`` carries lines to show meanwhile; a Future that fails shows its error. ``own_cluster``
    says that quitting leaves containers running here; ``quit_message`` is printed after the screen is gone. A result
    of ``stopped`` says that the cluster inside has ended and why: the terminal ends with it. ``watched`` are the
    manifest files and folders that the cluster inside follows (None: it is not this program's). ``warning`` is said
    once the cluster is shown.
    """

    kubeconfig: Kubeconfig = None
    context: str | None = None
    namespace: str | None = None
    read_only: bool = False
    own_cluster: bool = False
    quit_message: str = ""
    config_path: str | None = None
    watched: tuple[str, ...] | None = None
    warning: str = ""
    stopped: Future[str] = field(default_factory=Future)
    progress: SimpleQueue[str] = field(default_factory=SimpleQueue)
