"""The network side of the terminal: its own thread with its own event loop.

Nothing that a server does may make the screen stall, so everything that waits for a network or decodes JSON happens
here; the screen's thread gets coalesced batches through a :class:`~kubetui.live.cache.Feed` and awaits single calls.
kr8s reads the kubeconfig and authenticates (tokens, client certificates, exec plugins, service accounts); it and
aiohttp are imported on this thread, after the first frame, because they take longer to load than the screen does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from kubetui.live.cache import Cache
    from kubetui.live.client import Credentials, KubeClient
    from kubetui.live.discovery import Catalog
    from kubetui.live.target import Target

T = TypeVar("T")
HEARTBEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """What the header says about the connection."""

    kind: Literal["starting", "connecting", "live", "reconnecting", "failed"]
    detail: str = ""
    server: str = ""
    context: str = ""
    version: str = ""


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

        Raises what ``work`` raises; waits for the connection first.
        """
        client = await asyncio.wrap_future(self._ready)
        loop = self._loop
        assert loop is not None

        async def run() -> T:
            return await work(client)

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
            cache: Cache = Cache(client, target, self.feed.push)
            await cache.run()

        self._tasks[target] = self.background(run)  # type: ignore[assignment]

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
        if self._stopping.is_set():
            return
        try:
            path = await self._kubeconfig()
        except Exception as error:
            self._set(ConnectionState("failed", str(error) or type(error).__name__))
            return
        self._set(ConnectionState("connecting"))
        try:
            credentials = await load_credentials(path, self._access.context)
        except Exception as error:
            self._set(ConnectionState("failed", f"kubeconfig: {_what_is_wrong(path, error)}"))
            return
        from kubetui.live.client import KubeClient

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
        import aiohttp

        from kubetui.live.cache import explain
        from kubetui.live.discovery import discover
        from kubetui.live.errors import ApiError

        server, context, version = client.credentials.server, client.credentials.context, ""
        delay = 0.5
        while True:
            try:
                answer = await client.request("GET", "/version", timeout=5)
                version = str(answer.get("gitVersion") or "") if isinstance(answer, dict) else ""
                if self.catalog is None:
                    self.catalog = await discover(client)
                self._set(ConnectionState("live", "", server, context, version))
                delay = HEARTBEAT_SECONDS
            except ApiError as error:
                kind: Literal["failed", "live"] = "failed" if error.code == 401 else "live"
                self._set(ConnectionState(kind, error.message, server, context, version))
                delay = HEARTBEAT_SECONDS
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                self._set(ConnectionState("reconnecting", explain(error), server, context, version))
                delay = min(delay, 1.0)
            await asyncio.sleep(delay)


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


def _what_is_wrong(kubeconfig: str | None, error: Exception) -> str:
    """A kubeconfig's problem in words. kr8s stumbles over files of another shape with Python's own errors."""
    name = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(Path(part).expanduser().exists() for part in name.split(":") if part):
        return f"{name}: no such file"
    if isinstance(error, TypeError | AttributeError | LookupError):
        return f"{name} has no context with a cluster and a user"
    return str(error) or type(error).__name__


async def load_credentials(kubeconfig: str | None, context: str | None) -> Credentials:
    """Read a kubeconfig (or the service account of the pod that we run in) through kr8s.

    ``kubeconfig`` is a path, or None for ``$KUBECONFIG`` and ``~/.kube/config``. Raises ValueError, KeyError or
    OSError naming what is missing.
    """
    from kr8s._auth import KubeAuth

    from kubetui.live.client import Credentials

    auth = KubeAuth(kubeconfig=kubeconfig, context=context)

    async def load() -> Credentials:
        auth._insecure_skip_tls_verify = False
        await auth.reauthenticate()
        inline = set(getattr(auth, "_user", {})) | set(getattr(auth, "_cluster", {}))
        tls = await auth.ssl_context()
        # kr8s unpacks inline certificates into temporary files that nobody deletes; a private key must not stay there
        for key, file in (
            ("client-key-data", auth.client_key_file),
            ("client-certificate-data", auth.client_cert_file),
            ("certificate-authority-data", auth.server_ca_file),
        ):
            if key in inline and file:
                with contextlib.suppress(OSError):
                    Path(str(file)).unlink()
        space = str((getattr(auth, "_context", None) or {}).get("namespace") or auth.namespace or "default")
        return Credentials(
            server=auth.server,
            namespace=space,
            context=auth.active_context,
            token=auth.token,
            tls=tls,
            tls_server_name=auth.tls_server_name,
            proxy=auth.proxy,
            renew=load,
        )

    return await load()


async def list_contexts(kubeconfig: str | None) -> list[tuple[str, str]]:
    """(name, server) of every context of a kubeconfig."""
    from kr8s._config import KubeConfigSet

    paths = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    found = await KubeConfigSet(*(p for p in paths.split(":") if p))
    servers = {c["name"]: str((c.get("cluster") or {}).get("server") or "") for c in found.clusters}
    return [(c["name"], servers.get((c.get("context") or {}).get("cluster"), "")) for c in found.contexts]
