"""Questions and answers: podman-py's session, kept off the event loop and away from floods.

Past four mutations in parallel Podman gains nothing (it serialises on file locks and on fsync), so there are four
threads for changes and a few for reads, that a slow change never delays a look. Each thread has a client of its
own, because a ``requests`` session is not made for sharing.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import requests
from podman import PodmanClient
from podman.errors import APIError, PodmanError

from . import streams
from .interface import NoSuchItem, RuntimeFailure, RuntimeUnavailable
from .streams import Params

PARALLEL_CHANGES = 4
PARALLEL_READS = 4
_CLOSE_SECONDS = 10.0
"""How long the end waits for changes that were begun."""

_GONE = (
    "no such pod",
    "no such container",
    "no such image",
    "image not known",
    "no such exec session",
    "network not found",
    "no such volume",
)


def failure(status: int, body: bytes) -> RuntimeFailure:
    """An exception from an answer of Podman's: its message in one line."""
    cause = ""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        cause = str(found.get("cause") or "")
        errors = found.get("Errs") or found.get("errors") or []
        message = str(found.get("message") or found.get("Err") or "; ".join(str(one) for one in errors) or "")
    else:
        message = body.decode("utf-8", "replace")
    message = " ".join(message.split()) or f"Podman answered with status {status}"
    if status == 404 or cause in _GONE:
        return NoSuchItem(message, code=404)
    return RuntimeFailure(message, code=status)


class Slots:
    """A few places, given to the most urgent of those who wait: a pod that was begun is finished first.

    First come, first served would make all pods, then all containers, then start them all: the first of a hundred
    pods would run when the last does.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    async def take(self, urgency: int) -> None:
        """Wait for a place; the lowest ``urgency`` is served first, equal ones in their order."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Free a place."""
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Transport:
    """One service's address, and how to ask it."""

    def __init__(self, url: str, version: str) -> None:
        """``version`` is the server's ``Libpod-API-Version``, which all paths are pinned to."""
        self.url = url
        self.version = version
        self.prefix = f"/v{version}/libpod"
        self._local = threading.local()
        self._slots = Slots(PARALLEL_CHANGES)
        self._changes = ThreadPoolExecutor(PARALLEL_CHANGES, thread_name_prefix="podman-change")
        self._reads = ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="podman-read")
        self._begun: set[futures.Future[Any]] = set()
        self.calls = 0
        """How many requests were sent: the fast path is measured by it."""

    async def close(self) -> None:
        """Return when the changes that Podman is at are done, or take too long; what waits is dropped.

        A service that ends in the middle of a container's start leaves a bridge, addresses and rules that it has no
        record of and nobody takes away.
        """
        self._reads.shutdown(wait=False, cancel_futures=True)
        self._changes.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(futures.wait, tuple(self._begun), _CLOSE_SECONDS)

    def client(self) -> PodmanClient:
        """This thread's own client."""
        client = getattr(self._local, "client", None)
        if client is None:
            path = streams.socket_path(self.url)
            base = f"http+unix://{path}" if path is not None else self.url
            client = self._local.client = PodmanClient(base_url=base, version=self.version)
        return client

    async def run(self, call: Callable[[PodmanClient], Any], *, change: bool = False) -> Any:
        """Run something blocking with a thread's client; podman-py's exceptions become ours."""

        def work() -> Any:
            try:
                return call(self.client())
            except requests.exceptions.Timeout as error:
                raise RuntimeUnavailable(f"Podman at {self.url} did not answer in time") from error
            except requests.exceptions.RequestException as error:
                raise RuntimeUnavailable(f"Podman does not answer at {self.url}: {_root(error)}") from error
            except APIError as error:
                if error.response is None:
                    raise RuntimeUnavailable(
                        f"Podman does not answer at {self.url}: {_root(error)}"
                    ) from error
                raise failure(error.response.status_code, error.response.content) from error
            except PodmanError as error:
                raise RuntimeFailure(str(error)) from error

        self.calls += 1
        try:
            begun = (self._changes if change else self._reads).submit(work)
        except RuntimeError as error:
            if "shutdown" not in str(error):
                raise
            raise RuntimeUnavailable("the runtime was closed") from error
        if change:
            self._begun.add(begun)
            begun.add_done_callback(self._begun.discard)
        return await asyncio.wrap_future(begun)

    async def get(self, path: str, params: Params | None = None, *, timeout: float = 60.0) -> Any:
        """GET under the libpod prefix; the JSON answer. A stale connection is tried once more."""

        def call(client: PodmanClient) -> Any:
            return self._json(client.api.get(path + streams.encode_params(params), timeout=timeout))

        try:
            return await self.run(call)
        except RuntimeUnavailable as error:
            if "did not answer in time" in error.message:
                raise
            return await self.run(call)

    async def _change(self, call: Callable[[PodmanClient], Any], urgency: int) -> Any:
        await self._slots.take(urgency)
        try:
            return await self.run(call, change=True)
        finally:
            self._slots.give()

    async def post(
        self,
        path: str,
        body: Any = None,
        params: Params | None = None,
        *,
        timeout: float = 300.0,
        raw: bool = False,
        urgency: int = 1,
    ) -> Any:
        """POST under the libpod prefix, among the changes.

        ``raw``: the body is bytes and sent as it is. ``urgency``: 0 goes first when all places are taken.
        """

        def call(client: PodmanClient) -> Any:
            data = body if raw or body is None else orjson.dumps(body)
            return self._json(
                client.api.post(path + streams.encode_params(params), data=data, timeout=timeout)
            )

        return await self._change(call, urgency)

    async def delete(self, path: str, params: Params | None = None, *, timeout: float = 300.0) -> Any:
        """DELETE under the libpod prefix, among the changes."""

        def call(client: PodmanClient) -> Any:
            return self._json(client.api.delete(path + streams.encode_params(params), timeout=timeout))

        return await self._change(call, 2)

    @staticmethod
    def _json(answer: Any) -> Any:
        body: bytes = answer.content
        if answer.status_code >= 400:
            raise failure(answer.status_code, body)
        plain = answer.headers.get("Content-Type", "").startswith("text/plain")
        if plain and not body.lstrip().startswith((b"{", b"[")):  # Podman 5 says so of its statistics too
            return body.decode("utf-8", "replace").strip()  # an id, from what answers with nothing else
        return orjson.loads(body) if body.strip() else None

    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        headers: list[tuple[str, str]] | None = None,
        upgrade: bool = False,
        timeout: float | None = 60.0,
    ) -> streams.Response:
        """A request on a connection of its own, whose answer is read as it comes."""
        self.calls += 1
        answer = await streams.request(
            self.url,
            method,
            self.prefix + path,
            params=params,
            body=body,
            headers=headers or (),
            upgrade=upgrade,
            timeout=timeout,
        )
        if answer.status >= 400:
            async with answer:
                raise failure(answer.status, await answer.body())
        return answer


def _root(error: BaseException) -> str:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
