"""Where live objects are no longer what their documents say, because somebody changed them.

What applying a document again would change is the drift, found by trying it (a dry run) and comparing. It is looked
for when the live object changed in more than its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from runtime.client import Client, Informer
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import key_of

from .applier import Applier
from .errors import ManifestError
from .sources import Entry, Identity, Source, difference, digest_of


class DriftWatch:
    """Follows the live objects of all sources."""

    def __init__(
        self,
        client: Client,
        applier: Applier,
        clock: Clock,
        sources: Mapping[Path, Source],
        wake: Callable[[], None],
    ) -> None:
        """``wake`` is called when :meth:`look` has something to do."""
        self._client = client
        self._applier = applier
        self._clock = clock
        self._sources = sources
        self._wake = wake
        self._informers: dict[str, Informer] = {}
        self._dirty: set[tuple[str, str]] = set()

    def informers(self) -> Iterable[Informer]:
        """What is being watched, to be stopped at the end."""
        return self._informers.values()

    def follow(self, resource: str) -> None:
        """Hear of changes to the live objects of a kind."""
        if resource in self._informers:
            return
        informer = self._informers[resource] = Informer(self._client, resource, self._clock)

        def changed(deltas: Sequence[object]) -> None:
            ours = {
                key_of_identity(e.identity)
                for s in self._sources.values()
                for e in s.entries.values()
                if e.resource == resource
            }
            for delta in deltas:
                old, new = getattr(delta, "old", None), getattr(delta, "new", None)
                if new is not None and old is not None and _same_intent(old, new):
                    continue
                key = key_of(new if new is not None else old or {})
                if key in ours:
                    self._dirty.add((resource, key))
            if self._dirty:
                self._wake()

        informer.add_handler(changed)
        informer.start()

    async def look(self) -> None:
        """Compare what changed since the last look, and what was never compared."""
        dirty, self._dirty = self._dirty, set()
        for source in self._sources.values():
            if source.error is not None or source.missing:
                continue
            for entry in source.entries.values():
                if entry.document is None or entry.digest != entry.applied:
                    continue
                known = bool(entry.checked_version)
                if known and (entry.resource, key_of_identity(entry.identity)) not in dirty:
                    continue
                self.follow(entry.resource)
                try:
                    await self._compare(source, entry)
                except (ManifestError, StatusError) as error:
                    entry.message = error.message

    async def _compare(self, source: Source, entry: Entry) -> None:
        live = await self._applier.live(entry)
        if live is None:
            entry.state, entry.message, entry.drift = "drifted", "was deleted from the cluster", []
            entry.checked_version = "0"
            return
        entry.checked_version = live["metadata"]["resourceVersion"]
        wanted = await self._applier.apply(source.path, entry, dry_run=True)
        entry.drift = difference(live, wanted)
        if entry.drift and entry.accepted != digest_of(entry.drift):
            entry.state = "drifted"
            entry.message = ", ".join(found["path"] for found in entry.drift[:3])
        else:
            entry.state, entry.message = "in-sync", "drift accepted" if entry.drift else ""


def key_of_identity(identity: Identity) -> str:
    """The informer's key of an identity's object."""
    return f"{identity.namespace}/{identity.name}" if identity.namespace else identity.name


def _same_intent(old: Obj, new: Obj) -> bool:
    """Whether only the status changed: no drift can come of that."""
    a, b = old["metadata"], new["metadata"]
    return (
        a.get("generation") is not None
        and a.get("generation") == b.get("generation")
        and a.get("labels") == b.get("labels")
        and a.get("annotations") == b.get("annotations")
    )
