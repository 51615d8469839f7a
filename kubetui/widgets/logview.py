"""A log of any length on the screen: reads the lines that it shows, wraps them as it paints, follows the end.

The position is a line, never a count of wrapped rows, so that turning wrapping on or off costs nothing. When it
follows, the screen is filled from the last line upwards; when it does not, new lines are counted and shown in the
title instead of moving the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip

from kubetui.live.logquery import LogQuery
from kubetui.live.logspool import LogSource, LogSpool
from kubetui.live.selection import compile_pattern
from kubetui.live.text import clean, clean_log, fit, wrapped
from kubetui.widgets.lines import highlight, style_range
from kubetui.widgets.soon import soon
from kubetui.widgets.viewport import Viewport

_LEVEL = re.compile(
    r"\b(?P<bad>FATAL|PANIC|CRITICAL|ERROR|ERR|EMERG)\b|\b(?P<warn>WARN(?:ING)?)\b|^(?P<k>[EWF])\d{4} ", re.I
)
_LEVEL_KEYS = ("level", "severity", "lvl", "loglevel", "log.level")
_MESSAGE_KEYS = ("msg", "message", "event", "log")
_TIME_KEYS = ("time", "ts", "timestamp", "@timestamp", "t")


class LogView(Viewport):
    """Shows a :class:`LogSpool`; call :meth:`changed` when it grew."""

    class Status(Message):
        """Follow, new lines or search hits changed."""

    def __init__(self, spool: LogSpool | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.spool = spool or LogSpool()
        self.follow = True
        self.wrap = False
        self.stamps = False
        self.names = True
        self.json = True
        self.unseen = 0
        self.empty_text = ""
        self.hits_query: LogQuery | None = None
        self.line_filter: LogQuery | None = None
        self.hit = -1
        self._pattern: re.Pattern[str] | None = None
        self._seen = 0
        self._strips: dict[tuple[Any, ...], list[Strip]] = {}
        self._labels: list[str] = []
        self._longest_label = 0
        self._rows: list[tuple[int, Strip]] = []
        self._rows_key: tuple[Any, ...] = ()
        self._stepping = False
        self._seeking = 0  # a match is looked for: 1 downwards, -1 upwards
        self._sought = 0  # among so many lines

    # -- contents ------------------------------------------------------------------------------------------------

    def set_spool(self, spool: LogSpool) -> None:
        """Show another spool from its end."""
        self.spool = spool
        self.hits_query = self.line_filter = None
        self._pattern = None
        self.hit = -1
        self._seeking = 0
        self._seen = self.unseen = 0
        self.follow = True
        self._labels = []
        self._strips.clear()
        self.changed()

    def changed(self) -> None:
        """The spool grew."""
        total = len(self.spool)
        if not self.follow:
            self.unseen += max(0, total - self._seen)
        self._seen = total
        if self.line_filter is not None or self.hits_query is not None:
            self._start_stepping()
        if self.follow:
            self.top = self.last_top
        self._rows_key = ()
        self.refresh()
        self.post_message(self.Status())

    def say_when_empty(self, text: str) -> None:
        """What stands where there are no lines."""
        if text != self.empty_text:
            self.empty_text = text
            self.refresh()

    def line_total(self) -> int:
        """Lines that pass the filter."""
        return len(self.spool) if self.line_filter is None else len(self.line_filter)

    def number_at(self, position: int) -> int:
        """The spool's line at a position of this view."""
        return (
            self.spool.number_at(position)
            if self.line_filter is None
            else self.line_filter.numbers()[position]
        )

    def _position_of(self, number: int) -> int:
        """Where a line of the spool is in this view (or where it would be)."""
        time_of = self.spool.time_of
        wanted = time_of(number)
        low, high = 0, self.line_total()
        while low < high:
            middle = (low + high) // 2
            if time_of(self.number_at(middle)) < wanted:
                low = middle + 1
            else:
                high = middle
        for position in range(low, min(low + 5000, self.line_total())):
            if self.number_at(position) == number:
                return position
        return low

    # -- search and filter ---------------------------------------------------------------------------------------

    def search(self, text: str) -> None:
        """Highlight every place of ``text`` with its surroundings left visible; empty ends it."""
        self.hits_query = LogQuery(self.spool, text) if text else None
        self._pattern = compile_pattern(text) if text else None
        self.hit = -1
        self._strips.clear()
        self._rows_key = ()
        self._seeking = 0
        if self.hits_query is not None:
            self.hits_query.step(0.03)
            self._start_stepping()
            self.next_hit(-1 if self.follow else 1)
        self.refresh()

    def set_filter(self, text: str) -> None:
        """Show only lines that match (``!text``: that do not); empty shows all."""
        here = self.number_at(self.top) if self.line_total() and self.top < self.line_total() else -1
        inverse = text.startswith("!")
        body = text[1:].strip() if inverse else text.strip()
        self.line_filter = LogQuery(self.spool, body, inverse=inverse) if body else None
        if self.line_filter is not None:
            self.line_filter.step(0.03)
            self._start_stepping()
            if self.hits_query is None and not inverse:
                self._pattern = compile_pattern(body)
        elif self.hits_query is None:
            self._pattern = None
        self._strips.clear()
        self._rows_key = ()
        if self.follow or here < 0:
            self.top = self.last_top
        else:
            self.top = min(self._position_of(here), self.last_top)
        self.refresh()

    def next_hit(self, step: int) -> None:
        """Go to the next (1) or previous (-1) match from the last one shown; past the last one it begins anew.

        Where that cannot be said yet, because the log is still being searched, it goes there once it can.
        """
        self._seeking, self._sought = step, len(self.spool)
        self._seek()

    @property
    def seeking(self) -> bool:
        """Whether it goes to a match as soon as the log has been searched as far as that takes."""
        return self._seeking != 0

    def _seek(self) -> None:
        query, step = self.hits_query, self._seeking
        if query is None or not step or not self.line_total():
            return
        searched = query.scanned >= self._sought
        if not searched and (step < 0 or self.spool.version):
            return  # a nearer one may come: lines are searched in the order in which they arrived
        first = self.hit < 0
        if first:
            edge = self.top if step > 0 else self.top + self.body_height - 1
            start = self.number_at(min(edge, self.line_total() - 1))
        else:
            start = self.hit
        found = query.neighbour(start, forward=step > 0, itself=first)
        if found is None and not searched:
            return
        self._seeking = 0
        if found is None and len(query):
            found = query.numbers()[0 if step > 0 else -1]
        if found is not None:
            self._show_hit(found)

    def _show_hit(self, found: int) -> None:
        self.hit = found
        position = self._position_of(found)
        self.pause()
        if not self.top <= position < self.top + max(1, self.body_height - 1):
            self.top = max(0, min(position - self.body_height // 2, self._limit()))
        self._rows_key = ()
        self.refresh()
        self.post_message(self.Status())

    def _start_stepping(self) -> None:
        if not self._stepping and self.is_mounted:
            self._stepping = True
            soon(self, 0.01, self._step)

    def _step(self) -> None:
        self._stepping = False
        more = False
        for query in (self.line_filter, self.hits_query):
            if query is not None and query.scanned < len(self.spool):
                more = query.step() or more
        self._seek()
        if self.line_filter is not None:
            if self.follow:
                self.top = self.last_top
            self._rows_key = ()
            self.refresh()
        if more:
            self._start_stepping()
        self.post_message(self.Status())

    # -- moving --------------------------------------------------------------------------------------------------

    def _limit(self) -> int:
        """The greatest top: with wrapping the last line may stand alone at the top."""
        return max(0, self.line_total() - 1) if self.wrap else self.last_top

    def pause(self) -> None:
        """Hold still: what the screen shows becomes the position."""
        if self.follow:
            rows = self._visible_rows(self.body_width)
            self.follow = False
            self.unseen, self._seen = 0, len(self.spool)
            if rows and self.wrap:
                first = next((n for n, _ in rows if n >= 0), -1)
                if first >= 0:
                    self.top = self._position_of(first)
            self._rows_key = ()

    def set_top(self, top: int) -> None:
        """Move; leaving the end stops following, reaching it goes on."""
        self._seeking = 0
        if top < self.top and self.follow:
            delta = top - self.top
            self.pause()
            top = self.top + delta
        bounded = max(0, min(top, self._limit()))
        if bounded >= self.last_top and top >= self.top and not self.follow and top > bounded:
            self.to_end()
            return
        if bounded != self.top:
            self.top = bounded
            if not self.wrap and self.top >= self.last_top:
                self.to_end()
            self._rows_key = ()
            self.refresh()
            self.post_message(self.Status())

    def to_end(self) -> None:
        """Follow."""
        self._seeking = 0
        self.follow = True
        self.unseen = 0
        self.top = self.last_top
        self._rows_key = ()
        self.refresh()
        self.post_message(self.Status())

    def to_start(self) -> None:
        """The first line."""
        self._seeking = 0
        self.pause()
        self.top = 0
        self._rows_key = ()
        self.refresh()
        self.post_message(self.Status())

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew."""
        self._strips.clear()
        self._rows_key = ()
        if self.follow:
            self.top = self.last_top

    def toggle(self, what: str) -> bool:
        """Turn ``wrap``, ``stamps``, ``names`` or ``json`` around; return the new value."""
        if what == "wrap" and not self.wrap and self.follow is False:
            self.top = min(self.top, self.last_top)
        value = not getattr(self, what)
        setattr(self, what, value)
        self.left = 0 if what == "wrap" else self.left
        self._strips.clear()
        self._rows_key = ()
        self.refresh()
        return bool(value)

    # -- painting ------------------------------------------------------------------------------------------------

    def paint(self, y: int, width: int) -> Strip:
        """One row of the screen."""
        rows = self._visible_rows(width)
        if y < len(rows):
            strip = rows[y][1]
            selection = self.text_selection
            if selection is not None and (span := selection.get_span(y)) is not None:
                strip = style_range(strip, span[0], span[1], self.palette.selection)
            return strip.apply_offsets(0, y)
        words = wrapped(clean(self.empty_text), width - 4) if not rows and y >= 1 else []
        if 0 <= y - 1 < len(words):
            return Strip([Segment("  " + fit(words[y - 1], width - 2), self.palette["dim"])], width)
        return Strip.blank(width)

    def _visible_rows(self, width: int) -> list[tuple[int, Strip]]:
        self._name_sources()
        height = self.body_height
        key = (
            self.top,
            self.follow,
            self.line_total(),
            width,
            height,
            self.left,
            self.palette.name,
            self.hit,
        )
        if key == self._rows_key:
            return self._rows
        rows: list[tuple[int, Strip]] = []
        total = self.line_total()
        if self.follow:
            position = total - 1
            while position >= 0 and len(rows) < height:
                number = self.number_at(position)
                rows[:0] = [(number, s) for s in self._strips_of(number, width)]
                position -= 1
            rows = rows[-height:] if height else []
        else:
            position = self.top
            while position < total and len(rows) < height:
                number = self.number_at(position)
                rows += [(number, s) for s in self._strips_of(number, width)]
                position += 1
            rows = rows[:height]
        self._rows, self._rows_key = rows, key
        return rows

    def _strips_of(self, number: int, width: int) -> list[Strip]:
        key = (number, width, self.left, number == self.hit, self.palette.name)
        cached = self._strips.get(key)
        if cached is not None:
            return cached
        strip = self._line(number)
        if self._pattern is not None:
            colors = self.palette
            strip = highlight(strip, self._pattern, colors.hit_current if number == self.hit else colors.hit)
        if self.wrap:
            cells = max(1, strip.cell_length)
            rows = [strip.crop(x, min(x + width, cells)) for x in range(0, min(cells, width * 200), width)]
        else:
            rows = [strip.crop(self.left, self.left + width)]
        if len(self._strips) > 3000:
            self._strips.clear()
        self._strips[key] = rows
        return rows

    def _line(self, number: int) -> Strip:
        colors = self.palette
        found = self.spool.read(number)
        source = self.spool.sources[found.source]
        segments: list[Segment] = []
        if self.stamps and found.time:
            segments.append(Segment(clock_text(found.time) + " ", colors["faint"]))
        if source.kind == "event":
            segments.append(Segment(f"⚑ {clean(source.pod)} ", colors["warn"]))
            segments.append(Segment(clean(found.text), colors["warn"]))
            return Strip(segments)
        if self.names and len(self._labels) > 1:
            tint = colors.pods[hash_color(source) % len(colors.pods)]
            label = fit(self._labels[found.source], self._label_width(), middle=True)
            segments.append(Segment(label + " ", tint))
            segments.append(Segment("│ ", colors.rule))
        text = found.text
        fields = (
            _json_fields(text)
            if self.json and text[:1] == "{" and found.length == len(text.encode())
            else None
        )
        if fields is not None:
            segments += [Segment(t, colors[s]) for t, s in fields]
        else:
            text = clean_log(text)
            segments.append(Segment(text, colors[level_of(text)]))
        if found.length > len(found.text.encode("utf-8", "replace")):
            segments.append(Segment(f" … {found.length / 1e6:.1f} MB", colors["key"]))
        return Strip(segments)

    def _name_sources(self) -> None:
        """What stands before a line tells its source from the others: with one more, all are painted anew."""
        sources = self.spool.sources
        if len(sources) == len(self._labels):
            return
        containers: dict[str, set[str]] = {}
        for source in sources:
            containers.setdefault(source.pod, set()).add(source.container)
        self._labels = [
            f"{clean(s.pod)}/{s.container}" if len(containers[s.pod]) > 1 else clean(s.pod) for s in sources
        ]
        self._longest_label = max(cell_len(label) for label in self._labels[:200])
        self._strips.clear()
        self._rows_key = ()

    def _label_width(self) -> int:
        return max(6, min(self._longest_label, 34, self.size.width // 4))

    def visible_text(self) -> list[str]:
        """The rows that are on the screen."""
        return [strip.text for _, strip in self._visible_rows(self.body_width)]

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse has selected of the visible rows."""
        return selection.extract("\n".join(self.visible_text())), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Repaint the selection."""
        self.refresh()

    def save(self, path: str, progress: Callable[[int], None] | None = None) -> int:
        """Write every line of the view (all of them, not what is loaded) to a file; return how many."""
        many = len(self.spool.sources) > 1
        total = self.line_total()
        with open(path, "wb") as out:
            for position in range(total):
                number = self.number_at(position)
                source = self.spool.sources[self.spool.read(number).source]
                if many:
                    out.write(f"{source.pod}/{source.container} ".encode())
                out.write(self.spool.raw(number) + b"\n")
                if progress is not None and position % 50_000 == 0:
                    progress(position)
        return total


def hash_color(source: LogSource) -> int:
    """A number that stays the same for a pod whatever else is shown."""
    value = 2166136261
    for byte in source.pod.encode("utf-8", "replace"):
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value >> 7


def clock_text(time: float) -> str:
    """Local time with milliseconds."""
    from datetime import datetime

    return datetime.fromtimestamp(time).strftime("%H:%M:%S.%f")[:-3]


def level_of(text: str) -> str:
    """The style of a plain line: by a level word near its beginning."""
    match = _LEVEL.search(text, 0, 120)
    if match is None:
        return "text"
    if match["bad"] or (match["k"] or "") in ("E", "F"):
        return "bad"
    return "warn"


def _json_fields(text: str) -> list[tuple[str, str]] | None:
    """A JSON log line as level, message and dim ``key=value`` fields; None when it is no object."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not found:
        return None
    level = next((str(found[k]) for k in _LEVEL_KEYS if k in found), "")
    message_key = next((k for k in _MESSAGE_KEYS if k in found), "")
    parts: list[tuple[str, str]] = []
    style = level_of(level.upper()) if level else "text"
    if level:
        parts.append((f"{clean(level).upper()[:5]:<5} ", style if style != "text" else "accent"))
    if message_key:
        parts.append((clean(str(found[message_key])), style))
    for key, value in found.items():
        if key in _LEVEL_KEYS or key == message_key or key in _TIME_KEYS:
            continue
        shown = value if isinstance(value, str) else orjson.dumps(value).decode()
        parts += [(f" {clean(key)}=", "faint"), (clean(shown), "dim")]
    return parts


def label_sources(sources: Sequence[LogSource]) -> str:
    """``3 pods`` or the one pod's name."""
    pods = {s.pod for s in sources if s.kind == "log"}
    if len(pods) == 1:
        return next(iter(pods))
    return f"{len(pods)} pods"
