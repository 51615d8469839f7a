"""A thin Kubernetes HTTP client: dicts in, dicts out, errors as ``v1.Status``.

It runs on aiohttp, which this project already carries, rather than on kr8s' httpx transport: a terminal keeps dozens
of watches open and decodes thousands of events a second, and aiohttp with orjson does that at a fraction of the
cost. kr8s still reads the kubeconfig and knows every way to authenticate (see ``kubetui.connection``). Lists are
read in pages so that decoding one answer never holds the interpreter for longer than a frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from kubetui.live.errors import ApiError
from kubetui.live.objects import Obj
from kubetui.live.target import Target

TABLE_ACCEPT = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,"
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
FIELD_MANAGER = "kubetui"
MAX_TRIES = 5
SKEW_SECONDS = 5.0  # less may come from the network, and from HTTP's whole seconds
MAX_WAIT = 5.0  # seconds; only who evicts waits for a disruption budget by itself, and says so


@dataclass(slots=True)
class Credentials:
    """How to reach one API server; ``renew`` fetches fresh ones (exec plugins, expired tokens)."""

    server: str
    namespace: str = "default"
    context: str = ""
    token: str | None = None
    tls: ssl.SSLContext | bool = True
    tls_server_name: str | None = None
    proxy: str | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    renew: Callable[[], Awaitable[Credentials]] | None = field(default=None, repr=False)


class KubeClient:
    """One API server. Made and used on one event loop (the connection's)."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._session: aiohttp.ClientSession | None = None
        self._renewing = asyncio.Lock()
        self.skew = 0.0
        self._streams: set[aiohttp.ClientResponse] = set()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The HTTP session, opened at first use."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=75),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                read_bufsize=1 << 18,
                headers={"User-Agent": "kubetui"},
            )
        return self._session

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], timeout: float, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read as it comes; closed at the end, or by :meth:`drop_streams`."""
        response = await self.open("GET", path, params=params, headers=headers, timeout=timeout)
        self._streams.add(response)
        try:
            yield response
        finally:
            self._streams.discard(response)
            response.close()

    def drop_streams(self) -> None:
        """Close all streams: the network was away, and those that lost their peer would be silent for ever."""
        for response in list(self._streams):
            response.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def request_options(self, extra: Mapping[str, str] | None) -> dict[str, Any]:
        """Headers, TLS and proxy of one request."""
        headers = [*(extra or {}).items(), *self.credentials.impersonation]
        if self.credentials.token:
            headers.append(("Authorization", f"Bearer {self.credentials.token}"))
        options: dict[str, Any] = {"headers": headers, "ssl": self.credentials.tls}
        if self.credentials.proxy:
            options["proxy"] = self.credentials.proxy
        if self.credentials.tls_server_name:
            options["server_hostname"] = self.credentials.tls_server_name
        return options

    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request and return the open answer; raises :class:`ApiError` when it is not a success.

        A 401 renews the credentials once; a 429 is tried again when the server says so, as client-go does.
        ``timeout`` (seconds) bounds the wait for each answer's head only.
        """
        renewed = False
        for attempt in range(MAX_TRIES):
            used = self.credentials
            request = self.session.request(
                method,
                self.credentials.server.rstrip("/") + path,
                params=params,
                data=data,
                allow_redirects=False,
                **self.request_options(headers),
            )
            async with asyncio.timeout(timeout):
                response = await request
            self._compare_clocks(response.headers.get("Date", ""))
            if response.status < 300:
                return response
            body = await response.read()
            if response.status < 400:
                where = response.headers.get("Location", "nowhere")
                raise ApiError(
                    response.status, "", f"the server sends us away, to {where}: is its address right?"
                )
            if response.status == 401 and not renewed and used.renew is not None:
                renewed = True
                await self._renew(used)
                continue
            wait = response.headers.get("Retry-After", "")
            again = wait.isdigit() and attempt + 1 < MAX_TRIES and not path.endswith("/eviction")
            if response.status == 429 and again:
                await asyncio.sleep(min(float(wait), MAX_WAIT))
                continue
            raise ApiError.from_body(response.status, body)
        raise AssertionError("unreachable")

    def _compare_clocks(self, date: str) -> None:
        """Learn how far the server's clock is ahead of ours: ages are counted by the clock that set the times."""
        try:
            ahead = parsedate_to_datetime(date).timestamp() - time.time()
        except (TypeError, ValueError):
            return
        self.skew = ahead if abs(ahead) > SKEW_SECONDS else 0.0

    async def _renew(self, used: Credentials) -> None:
        async with self._renewing:
            if self.credentials is not used or used.renew is None:
                return  # somebody else has done it meanwhile
            try:
                self.credentials = await used.renew()
            except ValueError as error:
                raise ApiError(401, "Unauthorized", f"new credentials cannot be had: {error}") from error

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = 30.0,
    ) -> Any:
        """Send one request and return the decoded answer (None when it is empty)."""
        headers = {"Accept": accept}
        data: bytes | None = None
        if body is not None:
            data = body if isinstance(body, bytes) else orjson.dumps(body)
            headers["Content-Type"] = content_type
        async with asyncio.timeout(timeout):
            response = await self.open(method, path, params=params, data=data, headers=headers)
            async with response:
                raw = await response.read()
        if not raw:
            return None
        return orjson.loads(raw) if raw[:1] in b'{["' else raw.decode("utf-8", "replace")

    async def ask(self, method: str, path: str, **options: Any) -> Obj:
        """:meth:`request` where the answer has to be an object; raises ApiError for anything else."""
        found = await self.request(method, path, **options)
        if not isinstance(found, dict):
            raise ApiError(502, "", f"{self.credentials.server} does not answer as a Kubernetes API does")
        return found

    async def get(self, path: str, **params: str) -> Obj:
        """GET one object."""
        return await self.ask("GET", path, params=params)

    async def pages(self, target: Target, size: int = 500) -> AsyncIterator[Obj]:
        """LIST in pages of ``size``; each yielded value is the decoded list (or Table) of one page."""
        token = ""
        accept = TABLE_ACCEPT if target.table else "application/json"
        while True:
            params = self._selectors(target)
            params["limit"] = str(size)
            if token:
                params["continue"] = token
            if target.table:
                params["includeObject"] = "Object" if target.whole else "Metadata"
            page = await self.ask("GET", target.path, params=params, accept=accept, timeout=60)
            yield page
            token = str((page.get("metadata") or {}).get("continue") or "")
            if not token:
                return

    async def watch(
        self, target: Target, resource_version: str, seconds: int = 300
    ) -> AsyncIterator[list[Obj]]:
        """WATCH from ``resource_version``; yields the decoded events that arrived together.

        Ends when the server ends it; raises :class:`ApiError` for an ERROR event (410 and others).
        """
        params = self._selectors(target)
        params |= {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        if target.table:
            params["includeObject"] = "Object" if target.whole else "Metadata"
        accept = TABLE_ACCEPT if target.table else "application/json"
        async with self.stream(target.path, params, 30, {"Accept": accept}) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                lines = (rest + chunk if rest else chunk).split(b"\n")
                rest = lines.pop()
                events = [orjson.loads(line) for line in lines if line]
                for index, event in enumerate(events):
                    if event.get("type") == "ERROR":
                        if index:
                            yield events[:index]
                        status = event.get("object") or {}
                        raise ApiError(
                            int(status.get("code") or 500),
                            str(status.get("reason") or ""),
                            str(status.get("message") or "the watch failed"),
                        )
                if events:
                    yield events

    @staticmethod
    def _selectors(target: Target) -> dict[str, str]:
        params: dict[str, str] = {}
        if target.label_selector:
            params["labelSelector"] = target.label_selector
        if target.field_selector:
            params["fieldSelector"] = target.field_selector
        return params

    async def patch(self, path: str, body: Any, kind: str = "merge", **params: str) -> Obj:
        """PATCH with one of merge, json, strategic, apply."""
        options = {"fieldManager": FIELD_MANAGER, **params}
        return await self.ask("PATCH", path, params=options, body=body, content_type=PATCH_TYPES[kind])

    async def create(self, path: str, body: Obj, **params: str) -> Obj:
        """POST an object to a collection or a subresource."""
        return await self.ask("POST", path, params={"fieldManager": FIELD_MANAGER, **params}, body=body)

    async def replace(self, path: str, body: Obj, **params: str) -> Obj:
        """PUT an object."""
        return await self.ask("PUT", path, params={"fieldManager": FIELD_MANAGER, **params}, body=body)

    async def delete(self, path: str, options: Obj | None = None) -> Obj | None:
        """DELETE one object with DeleteOptions."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **(options or {})}
        found: Obj | None = await self.request("DELETE", path, body=body)
        return found
