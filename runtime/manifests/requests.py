"""What users ask of the watcher from the terminal: pause, apply now, accept a change that was made by hand.

A request is an annotation on the ConfigMap that shows a file's state, so that whoever may write that may ask, from
wherever it is. Each carries an id and is obeyed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from runtime.client import Client, Informer
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj

from .sources import LABEL, NAMESPACE, REQUEST_ANNOTATION, Source, digest_of


class Requests:
    """Follows the requests of one cluster and marks the sources that they are about."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        sources: Mapping[Path, Source],
        report: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        """``report`` takes one line for what can't be obeyed; ``wake`` is called when there may be a request."""
        self.configmaps = Informer(client, "configmaps", clock, namespace=NAMESPACE, label_selector=LABEL)
        self._sources = sources
        self._report = report
        self._wake = wake

    def start(self) -> None:
        """Follow what is asked from now on."""
        self.configmaps.add_handler(lambda deltas: self._wake())
        self.configmaps.start()

    async def stop(self) -> None:
        """Follow no more."""
        await self.configmaps.stop()

    def take(self) -> None:
        """Obey what was asked since the last time."""
        for configmap in self.configmaps.list():
            text = (configmap["metadata"].get("annotations") or {}).get(REQUEST_ANNOTATION)
            if not text:
                continue
            source = next(
                (s for s in self._sources.values() if s.configmap == configmap["metadata"]["name"]), None
            )
            if source is None:
                continue
            try:
                request = orjson.loads(text)
                identifier, action = str(request["id"]), str(request["action"])
            except (ValueError, KeyError, TypeError):
                self._report(f"{source.path}: a request that can't be read: {text[:200]!r}")
                continue
            if identifier == source.handled_request:
                continue
            source.handled_request = identifier
            self._obey(source, action, request)

    def _obey(self, source: Source, action: str, request: Obj) -> None:
        everything = list(self._sources.values()) if request.get("all") else [source]
        chosen = request.get("document")
        match action:
            case "pause" | "resume":
                for each in everything:
                    each.paused = action == "pause"
            case "mode":
                for each in everything:
                    each.manual = request.get("mode") == "manual"
            case "apply":
                for each in everything:
                    each.apply_now = each.prune_now = chosen is None
                    each.reapply = {
                        e.identity
                        for e in each.entries.values()
                        if e.document is not None and chosen in (None, e.document.index)
                    }
            case "unaccept":
                for entry in source.entries.values():
                    if entry.document is not None and chosen in (None, entry.document.index):
                        entry.accepted, entry.checked_version = "", ""
            case "accept":
                for entry in source.entries.values():
                    if entry.document is not None and chosen in (None, entry.document.index) and entry.drift:
                        entry.accepted, entry.checked_version = digest_of(entry.drift), ""
            case _:
                self._report(f"{source.path}: an unknown request: {action}")
