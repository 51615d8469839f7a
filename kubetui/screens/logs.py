"""Logs on the whole screen: of a pod, of a container, or of everything that a workload runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult

from kubetui.context import Ref
from kubetui.frame import hints
from kubetui.live.discovery import EVENTS, PODS
from kubetui.live.events import event_view
from kubetui.live.hub import Change, Mirror
from kubetui.live.logfollow import containers_of
from kubetui.live.logspool import LogSource
from kubetui.live.objects import Obj, uid_of
from kubetui.live.session import Session, Watched
from kubetui.live.text import clean
from kubetui.panes.logs import LogStream, status_spans, why_silent
from kubetui.screens.base import KeyScreen
from kubetui.widgets.chrome import PaneTitle
from kubetui.widgets.logview import LogView, clock_text

RANGES: list[tuple[str, int | None, int | None]] = [
    ("last 1,000 lines of each container", 1000, None),
    ("last 100 lines", 100, None),
    ("everything", None, None),
    ("last minute", None, 60),
    ("last 5 minutes", None, 300),
    ("last 15 minutes", None, 900),
    ("last hour", None, 3600),
    ("last day", None, 86400),
]


class LogScreen(KeyScreen):
    """Follows the containers of ``refs`` (pods or workloads), including pods that join later."""

    PLACES = ("logs",)

    def __init__(self, refs: Sequence[Ref], *, container: str = "", previous: bool = False) -> None:
        super().__init__()
        self.targets = list(refs)
        self.container = container
        self.previous = previous
        self.range = RANGES[0]
        self.with_events = False
        self.logview = LogView(id="log-lines")
        self.heading = PaneTitle(0, "Logs")
        self.stream: LogStream | None = None
        self._session: Session | None = None
        self._pods: Watched | None = None
        self._events: Watched | None = None
        self._event_seen: dict[str, int] = {}
        name = refs[0].name if len(refs) == 1 else f"{len(refs)} objects"
        self.TITLE_TEXT = f"logs {clean(name)}" + (f" › {container}" if container else "")

    def compose_body(self) -> ComposeResult:
        """Title and log."""
        yield self.heading
        yield self.logview

    def on_mount(self) -> None:
        """Begin to follow."""
        self.stream = LogStream(self.logview, self.app.start_background, self.app.call_soon)
        spaces = tuple(dict.fromkeys(r.namespace for r in self.targets if r.namespace))
        if all(r.kind == "Pod" for r in self.targets):
            self._pods = Watched(self.app.hub, PODS, spaces, self._changed)
        else:
            self._session = Session(self.app.hub, spaces, lambda _: None)
        self.begin()
        self.logview.focus()

    def _changed(self, mirror: Mirror, change: Change) -> None:
        """Pods changed: see :meth:`after_pump`."""

    def begin(self) -> None:
        """Start (again) with the chosen range."""
        if self.stream is None:
            return
        _, tail, seconds = self.range
        self.stream.begin(tail=tail, since_seconds=seconds, previous=self.previous)
        self._event_seen.clear()
        self.after_pump()

    def pods(self) -> list[Obj]:
        """The pods whose logs belong here, now."""
        if self._session is not None:
            found = [p for r in self.targets if r.kind != "Pod" for p in self._session.pods_of(r.uid)]
            return found + [
                p for r in self.targets if r.kind == "Pod" and (p := self._session.pods.get(r.uid))
            ]
        if self._pods is None:
            return []
        return [p for r in self.targets if (p := self._pods.get(r.uid) or r.obj)]

    def after_pump(self) -> None:
        """Follow who has joined."""
        if self.stream is None or self.stream.follower is None:
            return
        pods = sorted(self.pods(), key=lambda p: str(p["metadata"].get("name")))
        containers = [c for p in pods for c in containers_of(p, only=self.container, previous=self.previous)]
        self.stream.follower.want(containers)
        nothing_before = self.previous and pods and not containers
        self.logview.say_when_empty("no previous instance" if nothing_before else why_silent(pods))
        if self.with_events:
            self._weave(pods)
        self.show_counts()

    def toggle_events(self) -> bool:
        """Weave the events of the same pods into the lines, or start without them."""
        self.with_events = not self.with_events
        if self.with_events:
            if self._session is None and self._events is None:
                spaces = tuple(dict.fromkeys(r.namespace for r in self.targets))
                self._events = Watched(self.app.hub, EVENTS, spaces, self._changed)
            self.after_pump()
        else:
            self.begin()
        return self.with_events

    def _weave(self, pods: list[Obj]) -> None:
        """Add events that were not shown yet as lines of a source of their own."""
        if self.stream is None or self.stream.follower is None:
            return
        events = self._session.events if self._session is not None else self._events or ()
        spool = self.stream.follower.spool
        wanted = {uid_of(p) for p in pods} | {r.uid for r in self.targets}
        fresh = []
        for event in events:
            view = event_view(event)
            if view.object_uid in wanted and self._event_seen.get(view.uid) != view.count:
                self._event_seen[view.uid] = view.count
                fresh.append(view)
        for view in sorted(fresh, key=lambda e: e.last):
            source = spool.add_source(LogSource(view.object, "", kind="event"))
            text = f"{view.reason}: {view.message}".replace("\n", " ")
            spool.append(source, [text.encode()], fallback=view.last)
        if fresh:
            self.logview.changed()

    def show_counts(self) -> None:
        """Title line."""
        follower = self.stream.follower if self.stream is not None else None
        errors = follower.errors if follower is not None else {}
        left, right = status_spans(self.logview, errors, self.app.connection_state.kind == "live")
        pods = {s.pod for s in self.logview.spool.sources if s.kind == "log"}
        if errors and not len(self.logview.spool):
            self.logview.say_when_empty(next(iter(errors.values())))
        start = [(f"{len(pods)} pods" if len(pods) != 1 else clean(next(iter(pods))), "accent")]
        start.append((f"  {self.range[0]}" + ("  previous instance" if self.previous else ""), "dim"))
        if self.logview.spool and self.logview.line_total() and not self.logview.follow:
            number = self.logview.number_at(min(self.logview.top, self.logview.line_total() - 1))
            start.append((f"  at {clock_text(self.logview.spool.time_of(number))[:8]}", "faint"))
        query = self.logview.hits_query
        if (
            query is not None
            and not len(query)
            and not self.logview.seeking
            and self.range[1:] != (None, None)
        ):
            left.append((f"  {hints(self.app, ('log-range', 'looks further back'))}", "dim"))
        self.heading.focused_pane = True
        self.heading.show((*start, *left), tuple(right))

    def tick(self) -> None:
        """The connection may have gone or come back."""
        self.show_counts()

    def on_log_view_status(self) -> None:
        """Counts changed."""
        self.show_counts()

    def refs(self) -> list[Ref]:
        """What the logs are of."""
        return self.targets

    def again(self) -> Callable[[], KeyScreen]:
        """The same logs once more."""
        return lambda: LogScreen(self.targets, container=self.container, previous=self.previous)

    def leave(self) -> None:
        """End the streams."""
        if self.stream is not None:
            self.stream.close()
        if self._session is not None:
            self._session.close()
        if self._pods is not None:
            self._pods.close()
        if self._events is not None:
            self._events.close()
