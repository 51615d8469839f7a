"""Following the logs of many containers into one spool, including those of pods that join later.

The screen says which containers belong to the view whenever pods change; this starts, restarts and stops one HTTP
stream for each. A stream that broke continues from the last line it saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from kubetui.live.discovery import PODS
from kubetui.live.errors import ApiError
from kubetui.live.logspool import LogSource, LogSpool
from kubetui.live.objects import Obj, dig, name_of, namespace_of, uid_of

if TYPE_CHECKING:
    import aiohttp

    from kubetui.live.client import KubeClient

MAX_LINE = 32 * 1024 * 1024
GATHER_SECONDS = 0.03
GATHER_LINES = 20_000
"""How long, and at most how many, arrived lines wait for those of other containers before all are put in order."""


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """One container of one pod as the view wants it. ``instance`` is its restart count."""

    namespace: str
    pod: str
    uid: str
    container: str
    instance: int
    running: bool


class Job(Protocol):
    """A piece of work on the network thread."""

    def cancel(self) -> None:
        """Stop it."""

    def done(self) -> bool:
        """Whether it has ended."""


Start: TypeAlias = "Callable[[Callable[[KubeClient], Coroutine[Any, Any, None]]], Job]"


def containers_of(pod: Obj, *, only: str = "", previous: bool = False) -> list[ContainerRef]:
    """The containers of a pod that have (or had, with ``previous``) an instance to read from."""
    found = []
    status = pod.get("status") or {}
    for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(group) or ():
            name = str(container.get("name") or "")
            if only and name != only:
                continue
            state = container.get("state") or {}
            restarts = int(container.get("restartCount") or 0)
            started = state.get("running") is not None or state.get("terminated") is not None
            if previous and not restarts and not dig(container, "lastState", "terminated"):
                continue
            if started or restarts or previous:
                running = state.get("running") is not None
                found.append(
                    ContainerRef(namespace_of(pod), name_of(pod), uid_of(pod), name, restarts, running)
                )
    return found


@dataclass(slots=True)
class _Stream:
    source: int
    job: Job
    instance: int
    last: bytes = b""


class LogFollower:
    """Owns the streams of one view. All methods belong to the screen's thread."""

    def __init__(
        self,
        spool: LogSpool,
        start: Start,
        notify: Callable[[], None],
        *,
        tail: int | None = 1000,
        since_seconds: int | None = None,
        previous: bool = False,
    ) -> None:
        self.spool = spool
        self.errors: dict[str, str] = {}
        self._start = start
        self._notify = notify
        self._tail = tail
        self._since = since_seconds
        self._previous = previous
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._arrived: list[tuple[int, list[bytes]]] = []
        self._arrived_lines = 0
        self._gathering: asyncio.TimerHandle | None = None

    @property
    def streams(self) -> int:
        """How many containers are being followed."""
        return sum(1 for s in self._streams.values() if not s.job.done())

    def want(self, containers: Iterable[ContainerRef], limit: int = 1000) -> None:
        """Follow exactly these containers (at most ``limit``); streams of others end, their lines stay."""
        wanted: dict[tuple[str, str], ContainerRef] = {}
        for ref in containers:
            if len(wanted) < limit:
                wanted[ref.uid, ref.container] = ref
        for key in [k for k in self._streams if k not in wanted]:
            # the pod is gone: its stream ends by itself when everything has been read
            if self._streams[key].job.done():
                del self._streams[key]
        for key, ref in wanted.items():
            stream = self._streams.get(key)
            if stream is None:
                source = self.spool.add_source(LogSource(ref.pod, ref.container, self._previous))
                self._open(key, ref, source, b"")
            elif stream.job.done() and not self._previous and (ref.running or ref.instance > stream.instance):
                self._open(key, ref, stream.source, stream.last)

    def stop(self) -> None:
        """End all streams."""
        for stream in self._streams.values():
            stream.job.cancel()
        self._streams.clear()

    def _open(self, key: tuple[str, str], ref: ContainerRef, source: int, last: bytes) -> None:
        async def run(client: KubeClient) -> None:
            await self._follow(client, ref, source, last, key)

        self._streams[key] = _Stream(source, self._start(run), ref.instance, last)

    async def _follow(
        self, client: KubeClient, ref: ContainerRef, source: int, last: bytes, key: tuple[str, str]
    ) -> None:
        """On the network thread: read until the container ends, reconnecting from the last line."""
        import aiohttp

        failures = 0
        while True:
            params = {"container": ref.container, "timestamps": "true"}
            if self._previous:
                params["previous"] = "true"
            else:
                params["follow"] = "true"
            if last:
                params["sinceTime"] = last.decode("ascii", "replace")
            elif self._since is not None:
                params["sinceSeconds"] = str(self._since)
            elif self._tail is not None:
                params["tailLines"] = str(self._tail)
            try:
                async with client.stream(PODS.item(ref.pod, ref.namespace, "log"), params, 15) as response:
                    self.errors.pop(ref.pod, None)
                    last = await self._read(response, source, last, key)
                return
            except ApiError as error:
                self.errors[ref.pod] = error.message
                self._notify()
                if error.code in (403, 404) or failures > 5 or self._previous:
                    return
            except (aiohttp.ClientError, OSError, TimeoutError):
                stream = self._streams.get(key)
                last = stream.last if stream else last
            failures += 1
            await asyncio.sleep(min(5.0, 0.3 * 2**failures))

    async def _read(
        self, response: aiohttp.ClientResponse, source: int, last: bytes, key: tuple[str, str]
    ) -> bytes:
        pieces: list[bytes] = []
        held = 0
        skipping = bool(last)
        async for chunk in response.content.iter_any():
            cut = chunk.rfind(b"\n")
            if cut < 0 and held < MAX_LINE:
                pieces.append(chunk)
                held += len(chunk)
                continue
            pieces.append(chunk[:cut] if cut >= 0 else chunk)
            lines = b"".join(pieces).split(b"\n")
            pieces, held = ([chunk[cut + 1 :]] if cut + 1 < len(chunk) else []), max(0, len(chunk) - cut - 1)
            if skipping:  # sinceTime has whole seconds: drop what was shown already
                lines = [line for line in lines if line.split(b" ", 1)[0] > last]
                skipping = not lines
            if lines:
                self._take(source, lines)
                stamp = lines[-1].split(b" ", 1)[0]
                if len(stamp) >= 20:
                    last = stamp
                    stream = self._streams.get(key)
                    if stream is not None:
                        stream.last = last
                await asyncio.sleep(0)
        if held:
            self._take(source, [b"".join(pieces)])
        if self._gathering is not None:  # who sees that the stream has ended finds its lines
            await asyncio.sleep(GATHER_SECONDS)
        return last

    def _take(self, source: int, lines: list[bytes]) -> None:
        """On the network thread: lines have arrived."""
        self._arrived.append((source, lines))
        self._arrived_lines += len(lines)
        if self._arrived_lines >= GATHER_LINES:
            self._store()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._store)

    def _store(self) -> None:
        """On the network thread: put what has arrived into the spool."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        arrived, self._arrived, self._arrived_lines = self._arrived, [], 0
        if not arrived:
            return
        try:
            self.spool.append_all(arrived)
        except OSError as error:  # no room for them on the disk
            for source, _ in arrived:
                self.errors[self.spool.sources[source].pod] = f"log lines can't be kept: {error.strerror}"
        self._notify()
