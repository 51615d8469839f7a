"""The network side of the terminal: its own thread with its own event loop.

Nothing that a server does may make the screen stall, so everything that waits for a network or decodes JSON happens
here; the screen's thread gets coalesced batches through a :class:`~kubetui.live.cache.Feed` and awaits single calls.
kr8s reads the kubeconfig and authenticates (tokens, client certificates, exec plugins, service accounts); it and
aiohttp are imported on this thread, after the first frame, because they take longer to load than the screen does.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from kubetui.live.cache import Cache
    from kubetui.live.client import KubeClient
    from kubetui.live.discovery import Catalog
    from kubetui.live.feed import Batch
    from kubetui.live.target import Target

T = TypeVar("T")
HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """What the header says about the connection."""

    kind: Literal["starting", "connecting", "live", "reconnecting", "failed"]
    detail: str = ""
    server: str = ""
    context: str = ""
    version: str = ""
    discovered: bool = False  # whether the server's kinds are known


@dataclass(frozen=True, slots=True)
class Access:
    """Where the kubeconfig comes from: a path (None: the usual places), possibly later (a cluster that starts)."""

    kubeconfig: str | Future[str] | Callable[[], str | None] | None = None
    context: str | None = None


class Connection:
    """One cluster. Created and told what to do on the screen's thread; works on its own."""

    def __init__(
        self, access: Access, on_state: Callable[[ConnectionState], None], wake: Callable[[], None]
    ) -> None:
        """``on_state`` and ``wake`` are called on the network thread and must only hand over."""
        self._access = access
        self._on_state = on_state
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Future[KubeClient] = Future()
        self._thread: threading.Thread | None = None
        self._tasks: dict[Any, asyncio.Task[None]] = {}
        self._stopping = threading.Event()
        self.feed = self._make_feed()
        self.state = ConnectionState("starting")
        self.catalog: Catalog | None = None
        self.kubeconfig: str | None = None
        self._doubt: asyncio.Event

    def _make_feed(self) -> Any:
        from kubetui.live.feed import Feed

        return Feed(self._wake)

    # -- called from the screen's thread -------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._main, name="kubetui-network", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> None:
        """Close everything and end the thread."""
        self._stopping.set()
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._cancel_all)
        if self._thread is not None:
            self._thread.join(timeout)

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def call(self, work: Callable[[KubeClient], Awaitable[T]]) -> T:
        """Run ``work(client)`` on the network thread and wait for its result on this one.

        Raises what ``work`` raises, and ConnectionError, which says it in words, where the network failed. Waits for
        the connection first.
        """
        client = await asyncio.wrap_future(self._ready)
        loop = self._loop
        assert loop is not None
        if self._stopping.is_set():
            raise ConnectionError("the connection has been closed")

        async def run() -> T:
            import aiohttp

            from kubetui.live.cache import explain

            try:
                return await work(client)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ConnectionError(explain(error)) from error

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), loop))

    def background(self, work: Callable[[KubeClient], Coroutine[Any, Any, None]]) -> Background:
        """Run ``work(client)`` on the network thread until it ends or is cancelled."""
        return Background(self, work)

    @property
    def client(self) -> KubeClient | None:
        """The client once connected."""
        return self._ready.result() if self._ready.done() and not self._ready.cancelled() else None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The network thread's event loop, once connected."""
        assert self._loop is not None
        return self._loop

    def start_cache(self, target: Target) -> None:
        """Begin to list and watch a collection (see :class:`kubetui.live.hub.Watcher`)."""
        from kubetui.live.cache import Cache

        async def run(client: KubeClient) -> None:
            cache: Cache = Cache(client, target, self._push)
            await cache.run()

        self._tasks[target] = self.background(run)  # type: ignore[assignment]

    def _push(self, target: Target, batch: Batch) -> None:
        if batch.state == "reconnecting":
            self._doubt.set()  # a watch has broken: look at once whether the server is still there
        self.feed.push(target, batch)

    def stop_cache(self, target: Target) -> None:
        """Stop watching a collection."""
        task = self._tasks.pop(target, None)
        if task is not None:
            task.cancel()

    # -- the network thread --------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except (asyncio.CancelledError, KeyboardInterrupt):
            pass
        except Exception as error:
            self._set(ConnectionState("failed", f"{type(error).__name__}: {error}"))

    def _set(self, state: ConnectionState) -> None:
        if state != self.state:
            self.state = state
            self._on_state(state)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._doubt = asyncio.Event()
        if self._stopping.is_set():
            return
        try:
            path = await self._kubeconfig()
        except Exception as error:
            self._set(ConnectionState("failed", str(error) or type(error).__name__))
            return
        self.kubeconfig = path
        self._set(ConnectionState("connecting"))
        from kubetui.kubeconfig import load_credentials
        from kubetui.live.client import KubeClient

        try:
            credentials = await load_credentials(path, self._access.context)
        except ValueError as error:
            self._set(ConnectionState("failed", f"kubeconfig: {error}"))
            return

        client = KubeClient(credentials)
        self._ready.set_result(client)
        try:
            await self._heartbeat(client)
        finally:
            await client.close()

    async def _kubeconfig(self) -> str | None:
        source = self._access.kubeconfig
        if isinstance(source, Future):
            return await asyncio.wrap_future(source)
        if callable(source):
            return await asyncio.to_thread(source)
        return source

    async def _heartbeat(self, client: KubeClient) -> None:
        from kubetui.live.cache import explain
        from kubetui.live.discovery import discover
        from kubetui.live.errors import ApiError

        server, context, version = client.credentials.server, client.credentials.context, ""
        delay, silent = 0.5, False
        while True:
            try:
                version = await self._version(client) or version
                if silent:
                    client.drop_streams()
                silent = False
                known = self.catalog is not None
                self._set(ConnectionState("live", "", server, context, version, known))
                if not known:  # what every server has is shown meanwhile
                    with contextlib.suppress(ApiError):
                        self.catalog = await discover(client)
                        self._set(ConnectionState("live", "", server, context, version, True))
                delay = HEARTBEAT_SECONDS
            except ApiError as error:
                # a server that refuses this one question is there; one that answers with an error is not well
                kinds = {401: "failed", 403: "live", 404: "live"}
                kind: Any = kinds.get(error.code, "reconnecting")
                self._set(ConnectionState(kind, error.message, server, context, version))
                delay = HEARTBEAT_SECONDS
            except Exception as error:
                silent = silent or isinstance(error, TimeoutError)
                self._set(ConnectionState("reconnecting", explain(error), server, context, version))
                delay = min(delay, 1.0)
            await asyncio.sleep(min(delay, 0.5))
            if delay > 0.5:
                self._doubt.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay - 0.5):
                        await self._doubt.wait()

    @staticmethod
    async def _version(client: KubeClient) -> str:
        """The server's version; empty where it is not said to everybody, or in words of its own."""
        from kubetui.live.errors import ApiError

        try:
            answer = await client.request("GET", "/version", timeout=SILENCE_SECONDS)
        except ApiError as error:
            if error.code in (403, 404):
                return ""
            raise
        return str(answer.get("gitVersion") or "") if isinstance(answer, dict) else ""


class Background:
    """A piece of work on the network thread that the screen's thread can cancel."""

    def __init__(
        self, connection: Connection, work: Callable[[KubeClient], Coroutine[Any, Any, None]]
    ) -> None:
        self._connection = connection
        self._work = work
        self._cancelled = False
        self._future: Future[None] | None = None
        connection._ready.add_done_callback(self._begin)

    def _begin(self, ready: Future[KubeClient]) -> None:
        loop = self._connection._loop
        if self._cancelled or ready.cancelled() or loop is None or loop.is_closed():
            return
        self._future = asyncio.run_coroutine_threadsafe(self._work(ready.result()), loop)

    def cancel(self) -> None:
        """Stop it."""
        self._cancelled = True
        if self._future is not None:
            self._future.cancel()

    def done(self) -> bool:
        """Whether it has ended."""
        return self._future is not None and self._future.done()
