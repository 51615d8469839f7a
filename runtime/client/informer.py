"""A local, always current copy of one kind of object, and word of every change to it.

client-go's reflector, store and shared informer in one: list, watch from the list's version, list again when the
watch can't go on. Objects are the stored, shared ones, never copied. A batch of changes costs one call per
handler, not a task per event. Handlers run on the loop and must be quick: usually they only add a key to a queue.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runtime.objects.clock import Clock
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import key_of

if TYPE_CHECKING:
    from .client import Client

log = logging.getLogger(__name__)


class Delta(NamedTuple):
    """One change. ``old`` is None for an object that is new here, ``new`` is None for one that is gone."""

    old: Obj | None
    new: Obj | None

    @property
    def obj(self) -> Obj:
        """The newest state known: the last one for an object that is gone."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


Handler = Callable[[Sequence[Delta]], None]
IndexFunc = Callable[[Obj], Iterable[str]]
Objects = list[Obj]
Deltas = list[Delta]

BY_CONTROLLER = "controller"
BY_NODE = "node"


def controller_uids(obj: Obj) -> tuple[str, ...]:
    """Index function: the uid of the managing controller, if there is one."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return (reference.get("uid", ""),)
    return ()


def node_name(obj: Obj) -> tuple[str, ...]:
    """Index function for pods: ``spec.nodeName``, the empty string for a pod that has no node."""
    return (obj["spec"].get("nodeName") or "",)


class _Index:
    """Value → the objects that have it."""

    __slots__ = ("buckets", "func")

    def __init__(self, func: IndexFunc) -> None:
        self.func = func
        self.buckets: dict[str, dict[str, Obj]] = {}

    def replace(self, key: str, old: Obj | None, new: Obj | None) -> None:
        values = tuple(self.func(new)) if new is not None else ()
        if old is not None:
            for value in self.func(old):
                if value not in values:
                    bucket = self.buckets.get(value)
                    if bucket is not None:
                        bucket.pop(key, None)
                        if not bucket:
                            del self.buckets[value]
        if new is not None:
            for value in values:
                bucket = self.buckets.get(value)
                if bucket is None:
                    self.buckets[value] = {key: new}
                else:
                    bucket[key] = new


def _namespace(obj: Obj) -> tuple[str, ...]:
    return (obj["metadata"].get("namespace") or "",)


class Informer:
    """List and watch of one resource, kept as a store with indexes.

    Get one from an :class:`InformerFactory`, which shares it between all who ask for the same.
    """

    def __init__(
        self,
        client: Client,
        resource: str,
        clock: Clock,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.resource = resource
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._objects: dict[str, Obj] = {}
        self._by_namespace = _Index(_namespace)
        self._indexes: dict[str, _Index] = {}
        self._handlers: list[Handler] = []
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.version = ""
        """The resourceVersion up to which this copy is current."""

    # -- reading

    @property
    def has_synced(self) -> bool:
        """Whether the first list arrived and its handlers ran."""
        return self._synced.is_set()

    async def wait_for_sync(self) -> None:
        """Wait for :attr:`has_synced`."""
        await self._synced.wait()

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: str) -> Obj | None:
        """The object with this ``namespace/name`` (or ``name``), or None."""
        return self._objects.get(key)

    def list(self, namespace: str = "") -> Objects:
        """All objects, or those of one namespace, in no particular order."""
        if not namespace:
            return list(self._objects.values())
        bucket = self._by_namespace.buckets.get(namespace)
        return list(bucket.values()) if bucket else []

    def by_index(self, name: str, value: str) -> Objects:
        """The objects for which index ``name`` gives ``value``. KeyError: no such index."""
        bucket = self._indexes[name].buckets.get(value)
        return list(bucket.values()) if bucket else []

    def count_index(self, name: str, value: str) -> int:
        """How many objects :meth:`by_index` would give."""
        bucket = self._indexes[name].buckets.get(value)
        return len(bucket) if bucket else 0

    # -- setting up

    def add_index(self, name: str, func: IndexFunc) -> None:
        """Keep an index; adding one that is there already changes nothing."""
        if name in self._indexes:
            return
        index = _Index(func)
        for key, obj in self._objects.items():
            index.replace(key, None, obj)
        self._indexes[name] = index

    def add_handler(self, handler: Handler) -> None:
        """Call ``handler`` with every batch of changes; what is known already comes first, as additions."""
        self._handlers.append(handler)
        if self._objects:
            self._call(handler, [Delta(None, obj) for obj in self._objects.values()])

    def remove_handler(self, handler: Handler) -> None:
        """Stop calling ``handler``."""
        if handler in self._handlers:
            self._handlers.remove(handler)

    # -- running

    def start(self) -> None:
        """Begin to list and watch; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"informer {self.resource}")

    def cancel(self) -> None:
        """End the watch without waiting for it to have ended."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """End the watch; what is known stays readable."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        backoff = 0.8
        while True:
            started = self._clock.monotonic()
            try:
                await self._list_and_watch()
            except StatusError as error:
                # too old a version, or a custom resource that is served no more: both pass by themselves
                level = logging.DEBUG if error.code in (404, 410) else logging.WARNING
                log.log(level, "informer %s: %s", self.resource, error.message)
            except Exception:
                log.exception("informer %s", self.resource)
            # client-go's reflector: 800 ms doubling to 30 s with full jitter, reset after two quiet minutes
            if self._clock.monotonic() - started > 120:
                backoff = 0.8
            await self._clock.sleep(backoff * (1 + random.random()))
            backoff = min(backoff * 2, 30.0)

    async def _list_and_watch(self) -> None:
        listing = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self._replace(listing.items)
        self.version = listing.resource_version
        self._synced.set()
        watch = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=listing.resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        try:
            while True:
                events = await watch.next()
                if not events:
                    return
                self._apply(events)
                await asyncio.sleep(0)  # a busy watch must not keep the loop to itself; it also makes batches
        finally:
            watch.close()

    def _replace(self, items: Iterable[Obj]) -> None:
        deltas: Deltas = []
        fresh: set[str] = set()
        for obj in items:
            key = key_of(obj)
            fresh.add(key)
            self._put(key, obj, deltas)
        for key in [key for key in self._objects if key not in fresh]:
            self._drop(key, self._objects[key], deltas)
        self._dispatch(deltas)

    def _apply(self, events: Sequence[tuple[str, Obj]]) -> None:
        deltas: Deltas = []
        obj: Obj = {}
        for kind, obj in events:
            if kind == "BOOKMARK":
                continue
            key = key_of(obj)
            if kind == "DELETED":
                self._drop(key, obj, deltas)
            else:
                self._put(key, obj, deltas)
        self.version = obj["metadata"].get("resourceVersion", self.version)
        self._dispatch(deltas)

    def _put(self, key: str, obj: Obj, deltas: Deltas) -> None:
        old = self._objects.get(key)
        if old is not None:
            before, after = old["metadata"], obj["metadata"]
            if before.get("resourceVersion") == after.get("resourceVersion"):
                return
            if before.get("uid") != after.get("uid"):  # the deletion was missed
                self._drop(key, old, deltas)
                old = None
        self._objects[key] = obj
        self._by_namespace.replace(key, old, obj)
        for index in self._indexes.values():
            index.replace(key, old, obj)
        deltas.append(Delta(old, obj))

    def _drop(self, key: str, last: Obj, deltas: Deltas) -> None:
        old = self._objects.pop(key, None)
        if old is None:
            return
        self._by_namespace.replace(key, old, None)
        for index in self._indexes.values():
            index.replace(key, old, None)
        deltas.append(Delta(last, None))

    def _dispatch(self, deltas: Sequence[Delta]) -> None:
        if deltas:
            for handler in self._handlers:
                self._call(handler, deltas)

    def _call(self, handler: Handler, deltas: Sequence[Delta]) -> None:
        try:
            handler(deltas)
        except Exception:
            log.exception("informer %s: a handler failed", self.resource)


class InformerFactory:
    """Informers shared by all who ask for the same resource and selectors."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[tuple[str, str, str, str], Informer] = {}
        self._started = False

    def informer(
        self, resource: str, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Informer:
        """The informer of ``resource`` (such as ``deployments.apps``); started at once if the factory is."""
        key = (resource, namespace, label_selector, field_selector)
        found = self._informers.get(key)
        if found is None:
            found = Informer(
                self._client,
                resource,
                self._clock,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
            )
            self._informers[key] = found
            if self._started:
                found.start()
        return found

    def pods(self) -> Informer:
        """All pods, indexed by controller and node."""
        informer = self.informer("pods")
        informer.add_index(BY_CONTROLLER, controller_uids)
        informer.add_index(BY_NODE, node_name)
        return informer

    def start(self) -> None:
        """Start every informer there is, and from now on every new one at once."""
        self._started = True
        for informer in list(self._informers.values()):
            informer.start()

    async def wait_for_sync(self) -> None:
        """Wait until every informer there is has its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_for_sync()

    def forget(self, resource: str) -> None:
        """Let go of a resource that is served no more."""
        for key in [key for key in self._informers if key[0] == resource]:
            self._informers.pop(key).cancel()

    async def stop(self) -> None:
        """Stop all informers."""
        self._started = False
        await asyncio.gather(*(informer.stop() for informer in list(self._informers.values())))
