"""Watches: the store's changes to one resource as a client asked to see them.

Selectors turn changes into what they look like from inside the selection, initial events bring a client up to the
present, bookmarks tell it how far it is. Records are shared by all watchers, so a change that a hundred clients see
is rendered once. Follows apiserver ``pkg/storage/cacher/{cacher,cache_watcher,watch_cache}.go``.
"""

from __future__ import annotations

import asyncio

from runtime.objects.clock import Clock
from runtime.objects.errors import Obj, expired, version_too_large
from runtime.objects.registry import Resource
from runtime.store import Compacted, Event, Key, Record, SlowReader, Store

from .context import ADDED, BOOKMARK, DELETED, MODIFIED, WatchOptions
from .listing import check_match, parse_version
from .matching import Predicate
from .serving import all_served, served

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BOOKMARK_SECONDS = 60.0
"""Between two bookmarks (``defaultBookmarkFrequency``)."""
BEFORE_END_SECONDS = 2.0
"""How long before a watch's timeout a last bookmark is sent."""

Batch = list[tuple[str, Record]]


class WatchStream:
    """One client's watch. :meth:`next` gives batches; an empty one means that it has ended.

    Args:
        store: where changes come from.
        resource: whose changes.
        namespace: in which namespace, or ``""`` for all.
        options: as the client asked.
        clock: for bookmarks and the timeout.

    Raises:
        StatusError: 400 for what can't be read, 410 for a version that is too old, 422 for options that contradict
            each other, 504 for a version of the future.
    """

    def __init__(
        self, store: Store, resource: Resource, namespace: str, options: WatchOptions, clock: Clock
    ) -> None:
        check_match(
            options.resource_version,
            options.resource_version_match,
            watch=True,
            initial_events=options.send_initial_events,
            continue_=options.continue_,
        )
        predicate = Predicate(resource, options.label_selector, options.field_selector)
        self._resource = resource
        self.defined_by = resource.custom.uid if resource.custom is not None else ""
        """The uid of the CustomResourceDefinition that the watched kind is from."""
        self._matches = predicate.matches
        self._plain = resource.from_storage is None
        self._store = store
        self._clock = clock
        self._place = resource.storage_resource
        self._bookmarks = options.allow_bookmarks
        self._waiter: asyncio.Task[object] | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._rang = False
        self._closed = False
        self._sent = 0
        namespace = namespace or (predicate.namespace if resource.namespaced else "")
        asked = parse_version(options.resource_version)
        if asked > store.revision:
            raise version_too_large(asked, store.revision)
        initial = options.send_initial_events
        replay = initial is True or (initial is None and asked == 0)
        try:
            self._watch = store.watch(self._place, namespace, None if replay or not asked else asked)
        except Compacted as error:
            raise expired(f"too old resource version: {asked} ({error.oldest})") from None
        self._first: Batch = []
        self._state: list[Record] = []
        self._ready: dict[int, Record] = {}
        if replay:
            self._state = self._records(namespace, predicate)
            if initial and options.allow_bookmarks:
                self._sent = store.revision
                self._first.append((BOOKMARK, self._bookmark(self._sent, initial_events_end=True)))
        now = clock.monotonic()
        self._ends = now + options.timeout_seconds if options.timeout_seconds else None
        self._next_bookmark = now + BOOKMARK_SECONDS
        if self._ends is not None and self._bookmarks:
            self._next_bookmark = min(self._next_bookmark, max(now, self._ends - BEFORE_END_SECONDS))

    async def next(self) -> Batch:
        """The next events, at least one; an empty list once the timeout has passed or it was closed.

        Raises:
            StatusError: 410, the reader was too slow and has to list again; 500, a conversion webhook failed.
        """
        if self._state or self._first:
            state, self._state = self._state, []
            first, self._first = self._first, []
            await self._convert(state)
            if batch := [*self._initial(state), *first]:
                return batch
        while not self._closed:
            try:
                events = await self._wait()
            except SlowReader:
                self.close()
                raise expired("too old resource version: the watch fell too far behind") from None
            if events is None:
                batch = self._on_alarm()
            elif not events:
                break
            else:
                if self._resource.convert is not None:
                    before = [event.previous for event in events if event.previous is not None]
                    await self._convert([*(event.record for event in events), *before])
                batch = self._translate(events)
            if batch:
                return batch
        self.close()
        return []

    def close(self) -> None:
        """End the watch; a reader that waits gets its empty list."""
        self._closed = True
        self._watch.close()
        if self._alarm is not None and self._alarm is not asyncio.current_task():
            self._alarm.cancel()
            self._alarm = None

    # -- time ----------------------------------------------------------------------------------------------

    async def _wait(self) -> list[Event] | None:
        """Events from the store, or None when a bookmark or the end is due."""
        if not self._bookmarks and self._ends is None:
            return await self._watch.next()
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().create_task(self._ring())
        if self._rang:
            return None
        task = asyncio.current_task()
        assert task is not None
        self._waiter = task
        cancelling = task.cancelling()
        try:
            return await self._watch.next()
        except asyncio.CancelledError:
            # The alarm wakes the reader the way asyncio.timeout does, without a task per wait.
            if self._woken() and task.uncancel() <= cancelling:
                return None
            raise
        finally:
            self._waiter = None

    def _woken(self) -> bool:
        return self._rang

    async def _ring(self) -> None:
        while not self._closed:
            due = self._next_bookmark if self._bookmarks else float("inf")
            if self._ends is not None:
                due = min(due, self._ends)
            await self._clock.sleep(due - self._clock.monotonic())
            if self._rang:
                continue
            if self._clock.monotonic() < due:
                continue
            self._rang = True
            if self._waiter is not None:
                self._waiter.cancel()
                self._waiter = None
            self._alarm = None
            return

    def _on_alarm(self) -> Batch:
        self._rang = False
        self._alarm = None
        now = self._clock.monotonic()
        batch: Batch = []
        if self._bookmarks and now >= self._next_bookmark:
            self._next_bookmark = now + BOOKMARK_SECONDS
            if self._ends is not None and now < self._ends - BEFORE_END_SECONDS:
                self._next_bookmark = min(self._next_bookmark, self._ends - BEFORE_END_SECONDS)
            version = self._watch.version
            if version > self._sent:
                self._sent = version
                batch.append((BOOKMARK, self._bookmark(version)))
        if self._ends is not None and now >= self._ends:
            self.close()
        return batch

    # -- events --------------------------------------------------------------------------------------------

    def _records(self, namespace: str, predicate: Predicate) -> list[Record]:
        if predicate.name and (namespace or not self._resource.namespaced):
            one = self._store.get(Key(self._place, namespace, predicate.name))
            return [one] if one is not None else []
        return self._store.list(self._place, namespace)

    async def _convert(self, records: list[Record]) -> None:
        """Have everything at hand that only a webhook can turn into the watch's version."""
        if self._resource.convert is not None:
            made = await all_served(self._resource, records)
            self._ready = {id(record): one for record, one in zip(records, made, strict=True)}

    def _initial(self, records: list[Record]) -> Batch:
        batch: Batch = []
        for record in records:
            served = self._served(record)
            if self._matches is None or self._matches(served.obj):
                batch.append((ADDED, served))
        return batch

    def _translate(self, events: list[Event]) -> Batch:
        matches = self._matches
        if matches is None and self._plain:
            return [(event.type, event.record) for event in events]
        batch: Batch = []
        for event in events:
            record = self._served(event.record)
            if matches is None:
                batch.append((event.type, record))
                continue
            before = event.previous is not None and matches(self._served(event.previous).obj)
            if event.type == DELETED:
                if before or (event.previous is None and matches(record.obj)):
                    batch.append((DELETED, record))
            elif matches(record.obj):
                batch.append((MODIFIED if before else ADDED, record))
            elif before and event.previous is not None:
                batch.append((DELETED, _left(self._served(event.previous), record)))
        return batch

    def _served(self, record: Record) -> Record:
        if self._plain:
            return record
        return self._ready.get(id(record)) or served(self._resource, record)

    def _bookmark(self, version: int, *, initial_events_end: bool = False) -> Record:
        metadata: Obj = {"resourceVersion": str(version), "creationTimestamp": None}
        if initial_events_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        return Record(Key(self._place, "", ""), obj, version)


def _left(previous: Record, record: Record) -> Record:
    """What a watcher sees of an object that leaves its selection: the last state in it, at the new version."""
    metadata = {**previous.obj["metadata"], "resourceVersion": str(record.version)}
    return Record(record.key, {**previous.obj, "metadata": metadata}, record.version)
