"""Logs of the selection in the dashboard: every container of every pod, following."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from kubetui.context import Ref
from kubetui.live.health import cached_view
from kubetui.live.logfollow import LogFollower, Start, containers_of
from kubetui.live.logspool import LogSpool
from kubetui.live.objects import Obj
from kubetui.live.text import clean
from kubetui.widgets.logview import LogView
from kubetui.widgets.pane import Pane

TAIL_LINES = 200
MAX_STREAMS = 60


class LogStream:
    """A spool, its follower and its view, kept together; used by the pane and by the log screen."""

    def __init__(self, view: LogView, start: Start, call_soon: Callable[[Callable[[], None]], None]) -> None:
        """``call_soon`` runs a function on the screen's thread (called on the network's)."""
        self.view = view
        self._start = start
        self._call_soon = call_soon
        self._waiting = False
        self.follower: LogFollower | None = None

    def begin(
        self, *, tail: int | None = 1000, since_seconds: int | None = None, previous: bool = False
    ) -> LogFollower:
        """Forget what there is and start anew."""
        self.close()
        spool = LogSpool()
        follower = LogFollower(
            spool, self._start, self._notify, tail=tail, since_seconds=since_seconds, previous=previous
        )
        self.follower = follower
        self.view.set_spool(spool)
        return follower

    def close(self) -> None:
        """End the streams and delete the spool."""
        if self.follower is not None:
            self.follower.stop()
            spool = self.follower.spool
            self.follower = None
            # a stream may be in the middle of a write: the file goes when it has noticed
            asyncio.get_running_loop().call_later(1.0, spool.close)

    def _notify(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._call_soon(self._changed_soon)

    def _changed_soon(self) -> None:
        asyncio.get_running_loop().call_later(0.06, self._changed)

    def _changed(self) -> None:
        self._waiting = False
        if self.view.is_mounted:
            self.view.changed()


def status_spans(
    view: LogView, errors: dict[str, str], connected: bool
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What a title says about a log view; what is not ``connected`` follows nothing."""
    left: list[tuple[str, str]] = []
    right: list[tuple[str, str]] = []
    if view.line_filter is not None:
        left.append((f"  &{'!' if view.line_filter.inverse else ''}{clean(view.line_filter.text)}", "key"))
    if view.hits_query is not None:
        total = len(view.hits_query)
        place = ""
        if view.hit >= 0 and total:
            numbers = view.hits_query.numbers()
            if total <= 50_000 and view.hit in numbers:
                place = f"{numbers.index(view.hit) + 1} of "
        more = "…" if view.seeking else ""
        left.append((f"  /{clean(view.hits_query.text)} {place}{total}{more}", "key"))
    if errors:
        right.append((f"{len(errors)} unreadable  ", "warn"))
    if view.unseen:
        right.append((f"▼ {view.unseen:,} new lines  ", "accent-strong"))
    flags = "".join(mark for on, mark in ((view.wrap, "wrap "), (view.stamps, "times ")) if on)
    if flags:
        right.append((flags, "faint"))
    right.append((f"{view.line_total():,} lines ", "dim"))
    if not view.follow:
        right.append(("❚❚ held", "warn"))
    else:
        right.append(("● follow", "ok") if connected else ("◍ follow", "warn"))
    return left, right


def why_silent(pods: Sequence[Obj]) -> str:
    """What to say where no line has been written: what keeps the pods from it, as far as they say."""
    if not pods:
        return "no pods"
    views = [cached_view(pod) for pod in pods]
    words = Counter(view.status for view in views if view.health in ("bad", "warn", "busy"))
    reasons = ", ".join(f"{count} {word}" if len(views) > 1 else word for word, count in words.most_common(4))
    return f"no lines yet: {reasons}" if reasons else "no lines yet"


class LogsPane(Pane):
    """Follows the logs of the selected workload or pod."""

    PLACES = ("logs", "dashboard")

    def __init__(self) -> None:
        self.view = LogView(id="logs-view")
        super().__init__(4, "Logs", self.view, id="logs")
        self.stream: LogStream | None = None
        self.key: tuple[str, ...] | None = None
        self.name_shown = ""
        self.target: Ref | None = None
        self.connected = True

    def show(self, key: tuple[str, ...], name: str, target: Ref | None, pods: list[Obj]) -> None:
        """Follow these pods; ``key`` tells whether it is the same selection as before."""
        stream = self.stream
        if stream is None:
            return
        if key != self.key:
            self.key, self.name_shown, self.target = key, name, target
            stream.begin(tail=TAIL_LINES)
        self.view.say_when_empty(why_silent(pods))
        if stream.follower is not None:
            refs = [
                c
                for p in sorted(pods, key=lambda p: str(p["metadata"].get("name")))
                for c in containers_of(p)
            ]
            stream.follower.want(refs, MAX_STREAMS)
        self.show_counts()

    def show_counts(self) -> None:
        """Whose logs, how many lines, whether it follows."""
        errors = self.stream.follower.errors if self.stream and self.stream.follower else {}
        left, right = status_spans(self.view, errors, self.connected)
        if errors and not len(self.view.spool):
            self.view.say_when_empty(next(iter(errors.values())))
        self.set_status([(clean(self.name_shown), "accent"), *left], right)

    def on_log_view_status(self) -> None:
        """Counts changed."""
        self.show_counts()

    def refs(self) -> list[Ref]:
        """What the logs are of."""
        return [self.target] if self.target is not None else []
