"""Events: what a component did or could not do, said once and counted after that.

``event()`` returns at once; a background task writes. As client-go's correlator (``tools/record/events_cache.go``):
the same event again raises ``count`` on the stored one; more than ten alike in ten minutes become one "(combined
from similar events)"; a source that speaks about one object more than 25 times at once is thinned to one every
five minutes. Events are the least urgent writes there are, so the task waits for a quiet moment of the loop,
for a second at most, before it writes a batch; beyond a bound they are dropped, as upstream drops them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runtime.objects.clock import Clock, SystemClock, format_time
from runtime.objects.errors import Obj, StatusError

from .workqueue import TokenBucket

if TYPE_CHECKING:
    from .client import Client

log = logging.getLogger(__name__)

QUEUE = 20_000
CACHE = 4096
AGGREGATE_OVER = 10
AGGREGATE_WINDOW = 600.0
SPAM_BURST = 25
SPAM_RATE = 1 / 300
BATCH = 32
CALM = 0.002
"""Seconds one turn of the loop may take for the loop to count as quiet."""
PATIENCE = 1.0
"""Seconds a batch waits for a quiet moment."""


@dataclass(slots=True)
class _Similar:
    """Events that differ in their message only."""

    messages: set[str] = field(default_factory=set)
    last: float = 0.0


@dataclass(slots=True)
class _Written:
    """An event that the API has."""

    name: str
    namespace: str
    first: str
    count: int = 0


def object_reference(obj: Obj, field_path: str = "") -> Obj:
    """The ``v1.ObjectReference`` of an object."""
    meta = obj.get("metadata", {})
    reference: Obj = {"kind": obj.get("kind", "")}
    if meta.get("namespace"):
        reference["namespace"] = meta["namespace"]
    reference["name"] = meta.get("name", "")
    if meta.get("uid"):
        reference["uid"] = meta["uid"]
    reference["apiVersion"] = obj.get("apiVersion", "")
    if meta.get("resourceVersion"):
        reference["resourceVersion"] = meta["resourceVersion"]
    if field_path:
        reference["fieldPath"] = field_path
    return reference


class _Cache(OrderedDict[Any, Any]):
    """A dictionary that forgets what was used longest ago."""

    def touch(self, key: Any) -> Any:
        """The value, now the most recent; None when unknown."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def put(self, key: Any, value: Any) -> None:
        """Store as the most recent."""
        self[key] = value
        if len(self) > CACHE:
            self.popitem(last=False)


class EventRecorder:
    """Writes core/v1 Events for one component.

    Args:
        client: whose identity writes the events.
        component: ``source.component``, such as ``kubelet`` or ``deployment-controller``.
        host: ``source.host``, the node's name for a kubelet.
    """

    def __init__(self, client: Client, component: str, host: str = "", *, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._component = component
        self._source: Obj = {"component": component}
        if host:
            self._source["host"] = host
        self._instance = host or component
        self._queue: deque[tuple[datetime, Obj, str, str, str]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._similar = _Cache()
        self._written = _Cache()
        self._spam = _Cache()
        self._serial = 0
        self._full = False

    def event(self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Say that something happened to ``obj``. Never waits, never fails.

        Args:
            obj: the object it is about (anything with kind, apiVersion and metadata).
            type: ``Normal`` or ``Warning``.
            reason: one CamelCase word.
            message: a sentence for people.
            field_path: the part it is about, such as ``spec.containers{web}``.
        """
        if len(self._queue) >= QUEUE:
            if not self._full:
                log.warning("%s says more events than can be written: some are dropped", self._component)
            self._full = True
            return
        self._full = False
        # the moment it was said, not the one it is written at: names and times then sort as things happened
        self._queue.append(
            (self._clock.now(), object_reference(obj, field_path), type, reason, message[:1024])
        )
        if self._task is None:
            try:
                self._task = asyncio.get_running_loop().create_task(
                    self._drain(), name=f"events {self._component}"
                )
            except RuntimeError:  # no loop: nobody to write for
                self._queue.clear()

    async def flush(self) -> None:
        """Wait until everything said so far was written."""
        while self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        """Write what is left for up to a second, then give up."""
        try:
            async with asyncio.timeout(1.0):
                await self.flush()
        except TimeoutError:
            log.debug("%s: %d events were not written", self._component, len(self._queue))

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                waited = loop.time()
                while loop.time() - waited < PATIENCE:
                    before = loop.time()
                    await asyncio.sleep(0)
                    if loop.time() - before < CALM:
                        break
                    await asyncio.sleep(0.05)
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                writes: dict[Any, tuple[Obj, _Written | None]] = {}
                for entry in batch:
                    found = self._correlate(*entry)
                    if found is not None:  # said twice in one batch: written once, as new as its first time
                        same, event, written = found
                        writes[same] = (event, writes[same][1] if same in writes else written)
                await asyncio.gather(*(self._write(same, *write) for same, write in writes.items()))
        finally:
            self._task = None

    def _correlate(
        self, stamp: datetime, reference: Obj, type: str, reason: str, message: str
    ) -> tuple[Any, Obj, _Written | None] | None:
        """The identity and the event to write, with what is stored of it; None when it is one too many."""
        now = self._clock.monotonic()
        identity = (
            reference["kind"],
            reference.get("namespace", ""),
            reference["name"],
            reference.get("uid", ""),
            reference["apiVersion"],
        )
        alike = (identity, reference.get("fieldPath", ""), type, reason)
        similar: _Similar | None = self._similar.touch(alike)
        if similar is None or now - similar.last > AGGREGATE_WINDOW:
            similar = _Similar()
            self._similar.put(alike, similar)
        similar.last = now
        if len(similar.messages) < AGGREGATE_OVER or message in similar.messages:
            similar.messages.add(message)
            same: Any = (alike, message)
        else:
            message = f"(combined from similar events): {message}"
            same = alike
        bucket: TokenBucket | None = self._spam.touch(identity)
        if bucket is None:
            bucket = TokenBucket(self._clock, SPAM_RATE, SPAM_BURST)
            self._spam.put(identity, bucket)
        written: _Written | None = self._written.touch(same)
        if not bucket.try_take():
            return None
        moment = format_time(stamp)
        if written is None:
            self._serial += 1
            namespace = reference.get("namespace") or "default"
            # client-go takes the nanosecond; the serial keeps names apart that fall into the same microsecond
            suffix = f"{int(stamp.timestamp() * 1_000_000) * 1000 + self._serial % 1000:x}"
            written = _Written(f"{reference['name']}.{suffix}", namespace, moment)
            self._written.put(same, written)
        written.count += 1
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": written.name, "namespace": written.namespace},
            "involvedObject": reference,
            "reason": reason,
            "message": message,
            "source": self._source,
            "firstTimestamp": written.first,
            "lastTimestamp": moment,
            "count": written.count,
            "type": type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._source.get("host", ""),
        }
        return same, event, written if written.count > 1 else None

    async def _write(self, same: Any, event: Obj, written: _Written | None) -> None:
        try:
            if written is not None:
                change = {key: event[key] for key in ("count", "lastTimestamp", "message")}
                try:
                    await self._client.patch("events", written.name, written.namespace, change, type="merge")
                    return
                except StatusError as error:
                    if error.code != 404:
                        raise
            await self._client.create(event, event["metadata"]["namespace"])
        except StatusError as error:
            self._written.pop(same, None)
            log.debug("event %s dropped: %s", event["metadata"]["name"], error.message)
        except Exception:
            self._written.pop(same, None)
            log.exception("event %s", event["metadata"]["name"])
