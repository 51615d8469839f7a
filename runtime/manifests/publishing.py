"""Telling of the sources: in the cluster, where the terminal reads it, and in lines for whoever started us."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

from runtime.client import Client
from runtime.objects.errors import StatusError

from .sources import LABEL, NAMESPACE, STATUS, Source

log = logging.getLogger(__name__)


class Publisher:
    """Writes each source's state when it changed, and says each error once."""

    def __init__(self, client: Client, report: Callable[[str], None]) -> None:
        self._client = client
        self._report = report
        self._told: dict[Path, str] = {}

    async def forget(self, source: Source) -> None:
        """Take a source that is gone out of the cluster."""
        self._told.pop(source.path, None)
        try:
            await self._client.delete("configmaps", source.configmap, NAMESPACE)
        except StatusError as error:
            if error.code != 404:
                raise

    async def publish(self, sources: Iterable[Source]) -> None:
        """Write what changed."""
        for source in list(sources):
            self._tell(source)
            status = source.to_status()
            body = orjson.dumps(status)
            if body == source.published:
                continue
            configmap = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": source.configmap, "namespace": NAMESPACE, "labels": {LABEL: "true"}},
                "data": {STATUS: body.decode()},
            }
            source.published = body
            try:
                await self._client.apply(configmap, field_manager="kubetui-manifest-watcher", force=True)
            except StatusError as error:
                log.warning("the state of %s could not be stored: %s", source.path, error.message)

    def _tell(self, source: Source) -> None:
        """Report a file's errors once."""
        lines = []
        if source.error is not None:
            where = f"{source.path}:{source.error.line}" if source.error.line else str(source.path)
            lines.append(f"{where}: {source.error.message}")
        elif source.missing:
            lines.append(f"{source.path}: is not there any more; what it applied goes on running")
        else:
            lines.extend(
                f"{source.path}:{entry.line}: {entry.identity}: {entry.message}"
                for entry in source.entries.values()
                if entry.state == "error"
            )
        text = "\n".join(lines)
        if text and text != self._told.get(source.path):
            for line in lines:
                self._report(line)
        self._told[source.path] = text
