"""List, then watch, for ever: what keeps the terminal's picture of a collection true.

The loop follows client-go's reflector (``tools/cache/reflector.go``): after a broken connection it resumes the watch
from the last seen version, after 410 it lists again, and a fresh list is compared with what was known so that
whatever vanished meanwhile is reported as deleted. The state (live, reconnecting, forbidden, …) always travels with
the data: nothing stale is ever shown as live.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from typing import Any

import aiohttp

from kubetui.live.client import KubeClient
from kubetui.live.errors import ApiError
from kubetui.live.feed import Batch, State
from kubetui.live.objects import Obj, uid_of
from kubetui.live.target import Target


def explain(error: BaseException) -> str:
    """One line for a person about why the network failed."""
    if isinstance(error, ApiError):
        return error.message
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        found = error.certificate_error
        reason = str(getattr(found, "verify_message", "") or found).rstrip(".")
        return f"the certificate of {error.host}:{error.port} is not trusted: {reason}"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        reason = str(getattr(error.os_error, "reason", "") or error.os_error)
        return f"no TLS with {error.host}:{error.port}: {reason.replace('_', ' ').lower()}"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0  # asyncio's own words name the address once more
        reason = os.strerror(number) if number > 0 else error.os_error.strerror or str(error.os_error)
        return f"cannot connect to {error.host}:{error.port}: {reason}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the server closed the connection"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class Cache:
    """Keeps one collection up to date by pushing batches to a :class:`Feed`."""

    def __init__(self, client: KubeClient, target: Target, push: Callable[[Target, Batch], None]) -> None:
        self.client = client
        self.target = target
        self._push = push
        self._known: dict[str, str] = {}
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """List and watch until cancelled."""
        self._push(self.target, Batch(state="loading"))
        while True:
            try:
                if not self._version:
                    await self._list()
                self._push(self.target, Batch(state="live"))
                await self._watch()
            except ApiError as error:
                if error.code == 410:
                    self._version = ""
                    continue
                await self._failed(error)
            except Exception as error:  # whatever a stranger's server sends: say so and try again
                await self._failed(error)

    async def _failed(self, error: Exception) -> None:
        self._failures += 1
        code = error.code if isinstance(error, ApiError) else 0
        if code in (403, 401):
            state: State = "forbidden"
            self._version = ""
        elif code in (404, 405, 406):
            state = "missing"
            self._version = ""
        else:
            state = "reconnecting"
        detail = explain(error)
        self._push(self.target, Batch(state=state, detail=detail))
        delay = 15.0 if state != "reconnecting" else min(10.0, 0.25 * 2 ** min(self._failures, 6))
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))

    async def _list(self) -> None:
        seen: set[str] = set()
        version = ""
        async for page in self.client.pages(self.target):
            version = str((page.get("metadata") or {}).get("resourceVersion") or version)
            batch = Batch()
            if self.target.table:
                if page.get("kind") != "Table":
                    page = _as_table(page)
                batch.columns = page.get("columnDefinitions") or None
            for uid, obj in self._items(page):
                seen.add(uid)
                revision = str((obj.get("object") or obj).get("metadata", {}).get("resourceVersion") or "")
                if self._known.get(uid) != revision or not revision:
                    self._known[uid] = revision
                    batch.upserts[uid] = obj
            self._push(self.target, batch)
        gone = self._known.keys() - seen
        if gone:
            for uid in gone:
                del self._known[uid]
            self._push(self.target, Batch(deletes=set(gone)))
        self._version = version
        self._failures = 0

    def _items(self, page: Obj) -> list[tuple[str, Obj]]:
        if self.target.table:
            return [(uid_of(row.get("object") or {}), row) for row in page.get("rows") or ()]
        kind, version = str(page.get("kind") or "").removesuffix("List"), page.get("apiVersion")
        found: list[tuple[str, Obj]] = []
        for item in page.get("items") or ():
            item.setdefault("kind", kind)  # items of a typed list carry neither
            item.setdefault("apiVersion", version)
            found.append((uid_of(item), item))
        return found

    async def _watch(self) -> None:
        seconds = random.randint(240, 300)
        async for events in self.client.watch(self.target, self._version, seconds):
            self._failures = 0
            batch = Batch()
            for event in events:
                self._take(event, batch)
            if batch.upserts or batch.deletes or batch.columns:
                self._push(self.target, batch)

    def _take(self, event: Obj, batch: Batch) -> None:
        obj: Obj = event.get("object") or {}
        kind = event.get("type")
        if obj.get("kind") == "Table":
            if obj.get("columnDefinitions"):
                batch.columns = obj["columnDefinitions"]
            rows: list[Any] = obj.get("rows") or []
            version = (obj.get("metadata") or {}).get("resourceVersion")
        elif self.target.table and kind != "BOOKMARK":
            rows, version = [{"object": obj, "cells": _plain_cells(obj)}], None
        else:
            rows, version = [obj], None
        for row in rows:
            inner = (row.get("object") or {}) if self.target.table and kind != "BOOKMARK" else row
            metadata = inner.get("metadata") or {}
            version = metadata.get("resourceVersion") or version
            if kind == "BOOKMARK":
                continue
            uid = uid_of(inner)
            if kind == "DELETED":
                self._known.pop(uid, None)
                batch.upserts.pop(uid, None)
                batch.deletes.add(uid)
            else:
                self._known[uid] = str(metadata.get("resourceVersion") or "")
                batch.deletes.discard(uid)
                batch.upserts[uid] = row
        if version:
            self._version = str(version)


def _plain_cells(obj: Obj) -> list[Any]:
    metadata = obj.get("metadata") or {}
    return [metadata.get("name"), metadata.get("creationTimestamp")]


def _as_table(page: Obj) -> Obj:
    """A list from a server that knows no tables, as a Table with Name and Created At (as kubectl falls back)."""
    rows = []
    for item in page.get("items") or ():
        item.setdefault("kind", str(page.get("kind") or "").removesuffix("List"))
        rows.append({"cells": _plain_cells(item), "object": item})
    return {
        "kind": "Table",
        "metadata": page.get("metadata") or {},
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name", "priority": 0},
            {"name": "Created At", "type": "date", "priority": 0},
        ],
        "rows": rows,
    }
