"""Kubernetes events as rows, newest last, and by the object that they are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubetui.live.objects import Obj, dig, meta, name_of, namespace_of, uid_of
from kubetui.live.text import parse_time


@dataclass(frozen=True, slots=True)
class EventView:
    """One event (or series of the same event)."""

    uid: str
    namespace: str
    type: str
    reason: str
    object: str
    object_uid: str
    object_kind: str
    object_name: str
    message: str
    count: int
    last: float
    first: float
    source: str

    @property
    def warning(self) -> bool:
        """Whether it is something to worry about."""
        return self.type not in ("", "Normal")


def event_view(event: Obj) -> EventView:
    """Read a core/v1 Event, also one that was written through events.k8s.io (eventTime, series)."""
    about = event.get("involvedObject") or event.get("regarding") or {}
    series = event.get("series") or {}
    created = meta(event).get("creationTimestamp")
    first = event.get("firstTimestamp") or event.get("eventTime") or created
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or created
    kind, name = str(about.get("kind") or ""), str(about.get("name") or "")
    return EventView(
        uid=uid_of(event),
        namespace=namespace_of(event),
        type=str(event.get("type") or "Normal"),
        reason=str(event.get("reason") or ""),
        object=f"{kind.lower()}/{name}",
        object_uid=str(about.get("uid") or ""),
        object_kind=kind,
        object_name=name,
        message=str(event.get("message") or event.get("note") or ""),
        count=int(series.get("count") or event.get("count") or 1),
        last=parse_time(last),
        first=parse_time(first),
        source=str(dig(event, "source", "component") or event.get("reportingComponent") or ""),
    )


def events_about(events: Iterable[Obj], obj: Obj) -> list[EventView]:
    """The events of one object, oldest first; by uid where the event has one, by kind and name otherwise."""
    uid, kind, name, space = meta(obj).get("uid"), obj.get("kind"), name_of(obj), namespace_of(obj)
    found = []
    for event in events:
        about = event.get("involvedObject") or {}
        same = about.get("uid") == uid if about.get("uid") and uid else about.get("kind") == kind
        if same and about.get("name") == name and (about.get("namespace") or "") == space:
            found.append(event_view(event))
    return sorted(found, key=lambda e: e.last)
