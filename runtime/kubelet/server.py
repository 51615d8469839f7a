"""What the API server asks of a node: logs, exec, attach, port-forward.

Upstream's kubelet serves these over HTTPS (``pkg/kubelet/server``); here the API server calls them in this process.
Errors carry the sentences that kubectl's users know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from runtime.api.node import Connection, LogOptions, NodeAnswer, StreamSession
from runtime.kubelet.endpoints import NodeEndpoints
from runtime.kubelet.logs import Selection, read_log
from runtime.kubelet.pods.context import PodContext
from runtime.kubelet.pods.policy import attempts_of, is_running
from runtime.kubelet.pods.workers import PodWorkers
from runtime.objects.errors import Obj, StatusError, bad_request, internal, unavailable
from runtime.podman.interface import Container, NoSuchItem, RuntimeFailure, RuntimeUnavailable, Sandbox


def log_attempt(pod: Obj, name: str, *, previous: bool) -> int:
    """Which attempt's log is meant (validateContainerLogStatus).

    Raises:
        StatusError: 400 when there is none yet, in upstream's words.
    """
    status = pod.get("status") or {}
    found: Obj | None = None
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status.get(field) or ():
            if entry["name"] == name:
                found = entry
                break
    where = f'container "{name}" in pod "{pod["metadata"]["name"]}"'
    if found is None:
        raise bad_request(f"{where} is not available")
    state, count = found.get("state") or {}, int(found.get("restartCount") or 0)
    last = (found.get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise bad_request(f"previous terminated {where} not found")
        same = last["containerID"] == found.get("containerID")
        return count if same else count - 1
    if "running" in state:
        return count
    terminated = state.get("terminated")
    if terminated is not None:
        if terminated.get("containerID"):
            return count
        if last.get("containerID"):
            return count - 1
        raise bad_request(f"{where} is terminated")
    if last:
        if not last.get("containerID"):
            raise bad_request(f"{where} is terminated")
        return count if last["containerID"] == found.get("containerID") else count - 1
    reason = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
    words = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(reason, reason)
    raise bad_request(f"{where} is waiting to start: {words}")


def _failure(failure: RuntimeFailure) -> StatusError:
    if isinstance(failure, RuntimeUnavailable):
        return unavailable(f"container runtime is down: {failure.message}")
    return internal(failure.message)


class NodeServer:
    """A kubelet as the API server sees it (``runtime.api.node.NodeConnection``)."""

    def __init__(self, context: PodContext, workers: PodWorkers) -> None:
        self._services = context.services
        self._workers = workers
        self._endpoints = NodeEndpoints(context, workers)

    async def page(self, path: str) -> NodeAnswer:
        """What a GET of this path is answered with."""
        return await self._endpoints.answer(path)

    async def logs(self, pod: Obj, options: LogOptions) -> AsyncIterator[bytes]:
        """The container's log as the client wants it.

        Raises:
            StatusError: 400 when the container has none.
        """
        uid = pod["metadata"]["uid"]
        state = self._workers.states.get(uid)
        name = options.container or pod["spec"]["containers"][0]["name"]
        newest = {**pod, "status": state.status} if state is not None and state.status is not None else pod
        attempt = log_attempt(newest, name, previous=options.previous)
        since = options.since_time
        if options.since_seconds is not None:
            since = self._services.clock.now() - timedelta(seconds=options.since_seconds)
        stream = options.stream.lower() if options.stream not in ("", "All") else ""
        selection = Selection(
            since=since,
            tail=options.tail_lines,
            timestamps=options.timestamps,
            limit=options.limit_bytes,
            stream=stream,
            follow=options.follow and not options.previous,
        )
        path = self._services.volumes.log_path(uid, name, attempt)
        async for text in read_log(
            path, selection, self._services.clock, lambda: self._has_ended(uid, name, attempt)
        ):
            yield text

    def _has_ended(self, uid: str, name: str, attempt: int) -> bool:
        if uid not in self._workers.states:
            return True
        sandbox = self._services.cache.get(uid)
        for container in sandbox.containers if sandbox else ():
            if container.name == name and container.attempt == attempt:
                return not is_running(container)
        return True

    def _running(self, pod: Obj, name: str) -> tuple[Sandbox, Container]:
        sandbox = self._services.cache.get(pod["metadata"]["uid"])
        wanted = name or pod["spec"]["containers"][0]["name"]
        if sandbox is not None:
            entries = attempts_of(sandbox.containers).get(wanted) or ()
            for container in entries:
                if is_running(container):
                    return sandbox, container
        raise internal_without_prefix(f'container not found ("{wanted}")')

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
        """Run a command in a running container.

        Raises:
            StatusError: the container does not run, or the runtime can't.
        """
        _, found = self._running(pod, container)
        try:
            return await self._services.runtime.exec(
                found.id, command, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr
            )
        except RuntimeFailure as failure:
            raise _failure(failure) from None

    async def attach(
        self, pod: Obj, container: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> StreamSession:
        """Join a running container's own streams. Whether it has a terminal was decided when it was made."""
        _, found = self._running(pod, container)
        keep_stdin = False
        for field in ("containers", "initContainers", "ephemeralContainers"):
            for spec in pod["spec"].get(field) or ():
                if spec["name"] == found.name:
                    tty = bool(spec.get("tty"))
                    # With stdinOnce it ends with the first client that has an input.
                    keep_stdin = bool(spec.get("stdin")) and not tty and not (stdin and spec.get("stdinOnce"))
        try:
            return await self._services.runtime.attach(
                found.id,
                tty=tty,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr and not tty,
                keep_stdin=keep_stdin,
            )
        except RuntimeFailure as failure:
            raise _failure(failure) from None

    async def port_forward(self, pod: Obj, port: int) -> Connection:
        """Connect to a port inside the pod.

        Raises:
            StatusError: the pod has no sandbox, or nothing listens.
        """
        sandbox = self._services.cache.get(pod["metadata"]["uid"])
        if sandbox is None:
            raise internal_without_prefix(f'pod not found ("{pod["metadata"]["name"]}")')
        try:
            return await self._services.runtime.connect(sandbox.id, port)
        except NoSuchItem:
            raise internal_without_prefix(f'pod not found ("{pod["metadata"]["name"]}")') from None
        except RuntimeFailure as failure:
            if isinstance(failure, RuntimeUnavailable):
                raise _failure(failure) from None
            namespace = pod["metadata"].get("namespace", "")
            raise internal_without_prefix(
                f"error forwarding port {port} to pod {sandbox.id[:12]}, uid {pod['metadata']['uid']} "
                f"({namespace}/{pod['metadata']['name']}): {failure.message}"
            ) from None
        except (OSError, TimeoutError) as error:
            raise internal_without_prefix(f"error forwarding port {port}: {error}") from None


def internal_without_prefix(message: str) -> StatusError:
    """500 with the kubelet's own sentence, as the API server passes it on."""
    return StatusError(500, "InternalError", message)
