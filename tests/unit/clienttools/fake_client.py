"""A client without a server: lists and watches that a test feeds by hand, and a record of writes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from runtime.objects.errors import Obj, StatusError, not_found


def thing(name: str, version: int, namespace: str = "ns", **more: Any) -> Obj:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {**meta, **more.pop("metadata", {})},
        "spec": {},
        **more,
    }


class FakeWatch:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = False

    async def next(self) -> list[tuple[str, Obj]]:
        item = await self.queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed = True


class FakeClient:
    def __init__(self) -> None:
        self.items: list[Obj] = []
        self.version = "1"
        self.watches: list[FakeWatch] = []
        self.lists = 0
        self.created: list[Obj] = []
        self.patched: list[tuple[str, Obj]] = []
        self.missing = False

    async def list(self, resource: str, namespace: str = "", **_: Any) -> Any:
        self.lists += 1
        return SimpleNamespace(items=list(self.items), resource_version=self.version)

    def watch(self, resource: str, namespace: str = "", **_: Any) -> FakeWatch:
        watch = FakeWatch()
        self.watches.append(watch)
        return watch

    async def create(self, obj: Obj, namespace: str = "") -> Obj:
        self.created.append(obj)
        return obj

    async def patch(self, resource: str, name: str, namespace: str, body: Obj, **_: Any) -> Obj:
        if self.missing:
            raise not_found(resource, name)
        self.patched.append((name, body))
        return body


__all__ = ["FakeClient", "StatusError", "thing"]
