"""Keeps the cluster what the files say: read, validate, order, apply, prune, and tell.

One pass (:meth:`ManifestWatcher.sync`) compares everything with everything and may run at any time; file events,
timers, requests from the terminal and changes of live objects only make it run sooner. A document is applied when
it changed since it was last applied: a live object that was changed by hand keeps that change, shown as drift,
until its document changes too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import watchfiles

from runtime.client import Client
from runtime.objects.clock import Clock, format_time
from runtime.objects.errors import StatusError
from runtime.objects.meta import key_of
from runtime.objects.registry import Registry

from .applier import Applier, UnknownKind, promised_kinds
from .documents import Document, read
from .drift import DriftWatch
from .errors import ManifestError
from .files import Content, Files, is_manifest
from .order import rank
from .publishing import Publisher
from .requests import Requests
from .sources import (
    LABEL,
    NAMESPACE,
    STATUS,
    Entry,
    Identity,
    Source,
    difference,
    digest_of,
)

log = logging.getLogger(__name__)

QUIET_MS = 300
"""Changes are taken up once the files were quiet for so long …"""
QUIET_LIMIT_MS = 5000
"""… or after so long at the most."""
RESCAN_SECONDS = 5.0
"""A look without any event: file systems lose events, and a vanished folder sends none when it returns."""
PRUNE_SECONDS = 2.0
"""How long a document has to be gone before its object is: editors and checkouts remove a file and write it anew."""
_RETRY_LIMIT = 30.0
_DEFINITION_LOOKS = 100
_DEFINITION_PAUSE = 0.05
"""How often, and at what distance in seconds, one looks whether a new kind is served."""


class ManifestWatcher:
    """Watches files and folders and applies what they say."""

    def __init__(
        self,
        client: Client,
        registry: Registry,
        paths: Sequence[Path],
        clock: Clock,
        *,
        namespace: str = "default",
        report: Callable[[str], None] = log.warning,
    ) -> None:
        """``report`` takes one line for each error and for each thing applied or removed."""
        self._client = client
        self._clock = clock
        self._files = Files(list(paths))
        self._applier = Applier(client, registry, namespace)
        self._sources: dict[Path, Source] = {}
        self._publisher = Publisher(client, report)
        self._wake = asyncio.Event()
        self._requests = Requests(client, clock, self._sources, report, self._wake.set)
        self._drift = DriftWatch(client, self._applier, clock, self._sources, self._wake.set)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._report = report
        self._registry = registry

    async def start(self) -> None:
        """Apply everything once, then go on watching. Errors in files are reported, not raised."""
        await self._load()
        await self.sync()
        self._requests.start()
        self._registry.listeners.append(self._wake.set)  # a file may have been waiting for a kind
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run()), loop.create_task(self._watch_files())]

    async def stop(self) -> None:
        """Stop watching. What was applied stays."""
        self._stop.set()
        if self._wake.set in self._registry.listeners:
            self._registry.listeners.remove(self._wake.set)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self._requests.stop(), *(i.stop() for i in self._drift.informers()))

    @property
    def sources(self) -> dict[Path, Source]:
        """Each watched file by its path."""
        return self._sources

    # -- when to look ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._until_next()):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.sync()
            except Exception:
                log.exception("the manifests could not be synchronised")
                await self._clock.sleep(1.0)

    def _until_next(self) -> float:
        now = self._clock.monotonic()
        due = [RESCAN_SECONDS]
        for source in self._sources.values():
            if source.retry_at:
                due.append(source.retry_at - now)
            waits = (source.manual or source.paused) and not source.prune_now
            due.extend(
                entry.prune_at - now
                for entry in source.entries.values()
                if entry.prune_at is not None and (entry.prune_at > now or not waits)
            )
        return max(0.05, min(due))

    async def _watch_files(self) -> None:
        while not self._stop.is_set():
            roots = [root for root in self._files.roots if root.exists()]
            folders = {root if root.is_dir() else root.parent for root in roots}
            if not folders:
                await self._clock.sleep(1.0)
                continue
            # What changed between the last look and the first watch sends no event.
            asyncio.get_running_loop().call_later(0.3, self._wake.set)
            try:
                async for _ in watchfiles.awatch(
                    *folders,
                    watch_filter=self._is_interesting,
                    debounce=QUIET_LIMIT_MS,
                    step=QUIET_MS,
                    stop_event=self._stop,
                    rust_timeout=2000,
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                ):
                    if _:
                        self._wake.set()
                    now = {
                        root if root.is_dir() else root.parent for root in self._files.roots if root.exists()
                    }
                    if now != folders:
                        self._wake.set()
                        break
            except (OSError, RuntimeError) as error:  # a folder went away while it was being watched
                log.debug("watching again: %s", error)
                await self._clock.sleep(0.5)

    def _is_interesting(self, change: watchfiles.Change, name: str) -> bool:
        path = Path(name)
        return is_manifest(path.name) or path in self._files.roots or not path.suffix

    # -- one pass --------------------------------------------------------------------------------------------

    async def sync(self) -> None:
        """Compare files, what was applied, and what is live; take every step that is due."""
        scan = await asyncio.to_thread(self._files.scan)
        await self._read(scan.files, scan.missing)
        self._find_duplicates()
        self._requests.take()
        await self._publisher.publish(
            self._sources.values()
        )  # what is wrong, and what waits, shows before the work begins
        await self._apply_what_changed()
        await self._prune()
        await self._drift.look()
        await self._publisher.publish(self._sources.values())

    async def _load(self) -> None:
        """Learn from the cluster what an earlier run applied."""
        listing = await self._client.list("configmaps", NAMESPACE, label_selector=LABEL)
        for configmap in listing.items:
            try:
                status = orjson.loads(configmap["data"][STATUS])
                path = Path(status["path"])
                source = Source(path)
                source.load(status)
            except (KeyError, TypeError, ValueError) as error:
                log.warning("%s can't be read: %s", key_of(configmap), error)
                continue
            if any(path == root or root in path.parents for root in self._files.roots):
                self._sources[path] = source

    async def _read(self, files: dict[Path, Content], missing: set[Path]) -> None:
        for path, content in files.items():
            source = self._sources.setdefault(path, Source(path))
            source.missing = False
            # A kind that was not known may be served by now.
            again = isinstance(source.error, UnknownKind)
            if source.content is not None and source.content == content and not again:
                continue
            source.content = content
            source.attempts, source.retry_at = 0, 0.0
            # What was asked for was about the file as it was seen then.
            source.apply_now, source.prune_now = False, False
            source.reapply.clear()
            if content.error:
                source.error = ManifestError(content.error)
                continue
            if source.entries and not content.data.strip():
                # Nobody says "delete everything" so: a save has failed, or has just begun.
                source.error = ManifestError(
                    "the file is empty; what it said stays until the file is deleted"
                )
                continue
            try:
                documents = await asyncio.to_thread(read, content.data)
                self._adopt(source, documents)
            except ManifestError as error:
                source.error = error
        for path, source in self._sources.items():
            if path in files:
                continue
            root = next((root for root in self._files.roots if path == root or root in path.parents), None)
            if root is None or root in missing:
                source.missing = True
                continue
            source.missing, source.error, source.content = False, None, None
            for entry in source.entries.values():
                entry.document = None

    def _adopt(self, source: Source, documents: list[Document]) -> None:
        """Match a file's documents with what is known of their objects."""
        placed: dict[Identity, tuple[Document, str]] = {}
        promised = promised_kinds(documents)
        for document in documents:
            identity, resource = self._applier.identify(document, promised)
            if identity in placed:
                first = placed[identity][0].line
                raise ManifestError(
                    f"{identity} stands twice in this file, first at line {first}", document.line
                )
            placed[identity] = (document, resource)
        source.error = None
        for identity, entry in source.entries.items():
            if identity not in placed:
                # A file that is still being written must not lose what comes last in it.
                entry.document, entry.prune_at = None, None
        for identity, (document, resource) in placed.items():
            found = source.entries.get(identity)
            if found is None:
                found = source.entries[identity] = Entry(identity, resource)
            found.document, found.resource = document, resource
            found.digest, found.prune_at = digest_of(document.obj), None
            if found.digest != found.applied:
                found.state, found.message, found.line, found.drift = "pending", "", 0, []
            elif found.state in ("pending", "error"):  # back at what was applied: as if nothing had been
                found.state, found.message, found.line, found.drift = "in-sync", "", 0, []
                found.checked_version = ""

    def _find_duplicates(self) -> None:
        owners: dict[Identity, Source] = {}

        def claim(source: Source) -> tuple[bool, str]:
            return (not any(entry.applied for entry in source.entries.values()), str(source.path))

        for source in sorted(self._sources.values(), key=claim):
            for entry in source.entries.values():
                if entry.document is None:
                    continue
                other = owners.setdefault(entry.identity, source)
                if other is source:
                    continue
                first = other.entries[entry.identity].document
                assert first is not None
                source.error = ManifestError(
                    f"{entry.identity} is also in {other.path}:{first.line}", entry.document.line
                )
                break
            else:
                if source.error is not None and " is also in " in source.error.message:
                    source.error = None

    # -- requests --------------------------------------------------------------------------------------------

    # -- applying --------------------------------------------------------------------------------------------

    async def _apply_what_changed(self) -> None:
        now = self._clock.monotonic()
        due: list[tuple[Source, Entry]] = []
        coming = {
            entry.identity.name
            for source in self._sources.values()
            for entry in source.entries.values()
            if entry.document is not None and entry.identity.kind == "Namespace"
        }
        for source in self._sources.values():
            if source.error is not None or source.missing or source.content is None or source.retry_at > now:
                continue
            await self._find_vanished(source)
            changed = [
                entry
                for entry in source.entries.values()
                if entry.document is not None
                and (entry.digest != entry.applied or entry.identity in source.reapply)
            ]
            if not changed:
                source.apply_now = False
                continue
            if (source.manual or source.paused) and not source.apply_now:
                await self._preview(source, [e for e in changed if e.identity not in source.reapply])
                changed = [e for e in changed if e.identity in source.reapply]
                if not changed:
                    continue
            if await self._valid(source, changed, coming):
                due.extend((source, entry) for entry in changed)
        due.sort(key=lambda pair: rank(pair[1].document.obj) if pair[1].document else 0)
        for source, entry in due:
            await self._apply(source, entry)
        for source in {id(source): source for source, _ in due}.values():
            self._settle(source)

    async def _find_vanished(self, source: Source) -> None:
        """Once after the start: an object that is not there any more is made again."""
        if source.known_missing:
            return
        source.known_missing = True
        for entry in source.entries.values():
            if entry.document is not None and entry.applied and await self._applier.live(entry) is None:
                entry.applied, entry.state = "", "pending"

    async def _valid(self, source: Source, changed: list[Entry], coming: set[str]) -> bool:
        """Whether the server takes every changed document; nothing of the file is applied otherwise."""
        for entry in changed:
            if not self._applier.served(entry):
                continue  # its definition, in the same file, is about to be applied
            try:
                await self._applier.apply(source.path, entry, dry_run=True)
            except ManifestError as error:
                source.error = ManifestError(f"{entry.identity}: {error.message}", error.line)
                entry.state, entry.message, entry.line = "error", error.message, error.line
                return False
            except StatusError as error:
                if error.code in (403, 404) and entry.identity.namespace in coming:
                    continue  # its namespace is about to be made, or made anew
                self._postpone(source, entry, error)
                return False
        return True

    async def _preview(self, source: Source, changed: list[Entry]) -> None:
        """What applying would change, without applying it."""
        for entry in changed:
            entry.state, entry.message = "pending", "waits to be applied"
            try:
                live = await self._applier.live(entry)
                wanted = await self._applier.apply(source.path, entry, dry_run=True)
            except ManifestError as error:
                entry.state, entry.message, entry.line = "error", error.message, error.line
                continue
            except StatusError as error:
                entry.message = error.message
                continue
            entry.drift = difference(live, wanted) if live is not None else []
            if live is None:
                entry.message = "would be created"

    async def _apply(self, source: Source, entry: Entry) -> None:
        for _ in range(_DEFINITION_LOOKS):
            if self._applier.served(entry):
                break
            await self._clock.sleep(_DEFINITION_PAUSE)  # its definition was applied a moment ago
        try:
            obj = await self._applier.apply(source.path, entry)
        except ManifestError as error:
            entry.state, entry.message, entry.line = "error", error.message, error.line
            source.retry_at = self._clock.monotonic() + _RETRY_LIMIT
            return
        except StatusError as error:
            self._postpone(source, entry, error)
            return
        entry.applied, entry.uid = entry.digest, obj["metadata"]["uid"]
        entry.state, entry.message, entry.line = "in-sync", "", 0
        entry.drift, entry.accepted, entry.checked_version = [], "", obj["metadata"]["resourceVersion"]
        source.reapply.discard(entry.identity)
        source.last_applied = format_time(self._clock.now())
        self._drift.follow(entry.resource)
        source.news.append(str(entry.identity))

    def _postpone(self, source: Source, entry: Entry, error: StatusError) -> None:
        """Something that may pass: a namespace that is not there yet, a conflict, a full disk."""
        source.attempts += 1
        source.retry_at = self._clock.monotonic() + min(_RETRY_LIMIT, 0.5 * 2**source.attempts)
        entry.state, entry.message = "error", error.message
        entry.line = entry.document.line if entry.document else 0

    def _settle(self, source: Source) -> None:
        if source.news:
            what = ", ".join(source.news) if len(source.news) <= 5 else f"{len(source.news)} objects"
            self._report(f"{source.path}: applied {what}")
            source.news.clear()
        if all(e.document is None or e.digest == e.applied for e in source.entries.values()):
            source.attempts, source.retry_at, source.apply_now = 0, 0.0, False
            source.reapply.clear()

    # -- pruning ---------------------------------------------------------------------------------------------

    async def _prune(self) -> None:
        now = self._clock.monotonic()
        kept = {
            entry.identity
            for source in self._sources.values()
            for entry in source.entries.values()
            if entry.document is not None
        }
        for source in list(self._sources.values()):
            waits = (source.manual or source.paused) and not source.prune_now
            if source.error is not None or source.missing:
                continue
            gone = [entry for entry in source.entries.values() if entry.document is None]
            gone.sort(key=lambda entry: rank({"kind": entry.identity.kind}), reverse=True)
            for entry in gone:
                if not entry.applied or entry.identity in kept:
                    del source.entries[entry.identity]
                    continue
                if entry.prune_at is None:
                    entry.prune_at = now + PRUNE_SECONDS
                    entry.state, entry.message = "pending", "removed from the file; will be deleted"
                if entry.prune_at > now or waits:
                    continue
                await self._prune_one(source, entry)
            if not any(entry.document is None for entry in source.entries.values()):
                source.prune_now = False
            if source.content is None and not source.entries:
                await self._forget(source)

    async def _prune_one(self, source: Source, entry: Entry) -> None:
        try:
            kept_because = await self._applier.prune(source.path, entry)
        except StatusError as error:
            entry.prune_at = self._clock.monotonic() + 5.0
            entry.message = error.message
            return
        del source.entries[entry.identity]
        what = f"kept {entry.identity}: {kept_because}" if kept_because else f"deleted {entry.identity}"
        self._report(f"{source.path}: {what}")

    async def _forget(self, source: Source) -> None:
        self._sources.pop(source.path, None)
        await self._publisher.forget(source)
