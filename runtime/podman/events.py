"""Podman's own events: hints of what somebody did, and word of a pod's infra container and of changed images.

The stream is read for ever: when it breaks, everybody is told that something may have been lost. Containers' ends
are known sooner from the kernel (see ``listing``); they come by here once more, and from elsewhere only here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from . import spec
from .images import ImageStore
from .interface import RuntimeEvent, RuntimeFailure
from .listing import Listing
from .service import PodmanService
from .subscribers import Subscribers
from .transport import Transport

_EVENTS = (
    "start",
    "died",
    "die",
    "remove",
    "pause",
    "unpause",
    "pull",
    "tag",
    "untag",
    "import",
    "loadfromarchive",
)


class EventReader:
    """Reads the events of one Podman, for one cluster."""

    def __init__(
        self,
        cluster_id: str,
        service: PodmanService,
        transport: Transport,
        listing: Listing,
        images: ImageStore,
        subscribers: Subscribers,
    ) -> None:
        self._cluster_id = cluster_id
        self._service = service
        self._transport = transport
        self._listing = listing
        self._images = images
        self._subscribers = subscribers

    async def follow(self) -> None:
        """Read for ever, reconnecting with patience."""
        delay, connected_before = 0.1, False
        filters = {"type": ["container", "pod", "image"], "event": list(_EVENTS)}
        while True:
            try:
                stream = await self._transport.stream(
                    "GET", "/events", params={"stream": True, "filters": filters}, timeout=None
                )
                async with stream:
                    if connected_before:
                        self._images.forget()
                        self._subscribers.publish(RuntimeEvent("lost"))
                    connected_before, delay = True, 0.1
                    async for event in stream.objects():
                        self._heard(event)
            except RuntimeFailure:
                delay = min(delay * 2, 5.0)
            await asyncio.sleep(delay)
            await self._service.ready(timeout=30.0)

    def _heard(self, event: Mapping[str, Any]) -> None:
        action = str(event.get("Action") or event.get("status") or "")
        actor = event.get("Actor") or {}
        attributes = actor.get("Attributes") or {}
        kind = str(event.get("Type") or "")
        if kind == "image":
            self._images.forget()
            return
        if kind != "container" or attributes.get(spec.CLUSTER) != self._cluster_id:
            return
        uid, container_id = str(attributes.get(spec.POD_UID) or ""), str(actor.get("ID") or "")
        is_infra = spec.CONTAINER_NAME not in attributes
        if action == "start" and is_infra:
            self._listing.sandbox_started(uid, container_id)
        ended = action in ("died", "die")
        code = str(attributes.get("containerExitCode") or "")
        self._subscribers.publish(
            RuntimeEvent(
                "sandbox" if is_infra else "container",
                "died" if ended else action,
                container_id,
                uid,
                int(code) if ended and code.isdigit() else None,
            )
        )
