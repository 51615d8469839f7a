"""The rollout as a picture: a bar for each revision, a square for each pod, and why it is stuck."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise

from rich.cells import cell_len

from kubetui.context import Ref
from kubetui.live.health import PodView, images_of
from kubetui.live.history import HistoryEntry, changed_fields, history_of, shorten_change, summarize_change
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, dig
from kubetui.live.rollout import Revision, Rollout, rollout_of
from kubetui.live.text import age, clean, fit, plural
from kubetui.panes.workloads import TARGETS
from kubetui.widgets.lines import LinesView
from kubetui.widgets.pane import Pane

PHASE_STYLE = {
    "complete": "ok",
    "progressing": "busy",
    "stuck": "bad",
    "paused": "warn",
    "scaled-down": "dim",
    "terminating": "dim",
}
PHASE_WORD = {
    "complete": "✔ Complete",
    "progressing": "◔ Progressing",
    "stuck": "✖ Stuck",
    "paused": "❚❚ Paused",
    "scaled-down": "◌ Scaled to 0",
    "terminating": "◌ Terminating",
}
TROUBLE_WORD = {
    "image": "Image",
    "crash": "Crash",
    "config": "Configuration",
    "unschedulable": "Unschedulable",
    "quota": "Quota",
    "refused": "Refused",
    "failed": "Failed",
    "not ready": "Not ready",
    "waiting": "Waiting",
}


def seconds_text(seconds: float) -> str:
    """``9:05`` or ``12s``."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}" if whole >= 60 else f"{whole}s"


def rollout_lines(
    rollout: Rollout,
    summaries: dict[str, str],
    width: int,
    now: float,
    last_lines: Sequence[str] = (),
    no_revisions: str = "no revision has been created yet",
    earlier: Sequence[HistoryEntry] = (),
) -> list[Line]:
    """Draw a rollout.

    ``summaries``: what changed in each revision by uid; ``last_lines``: of the stuck pod's log; ``earlier``: the
    revisions without pods that can be gone back to, newest first.
    """
    style = PHASE_STYLE[rollout.phase]
    word = f" {PHASE_WORD[rollout.phase]}  "
    head, *more = _rows(word, rollout.headline, width)
    extra = []
    if rollout.min_ready_left is not None:
        extra.append(f"available in {seconds_text(rollout.min_ready_left)}")
    if rollout.deadline_left is not None:
        extra.append(f"deadline in {seconds_text(rollout.deadline_left)}")
    word = word.rstrip()
    lines = [Line(((word, style), (head[len(word) :], "text"))), *(line(row, "text") for row in more)]
    if extra:
        lines.append(line(" " + " · ".join(extra), "warn" if rollout.phase == "stuck" else "dim"))
    if rollout.kind in ("Deployment", "StatefulSet", "DaemonSet"):
        if rollout.strategy == "RollingUpdate":
            budget = (
                f" {rollout.strategy}   surge +{rollout.max_surge}   unavailable -{rollout.max_unavailable}"
            )
            up = sum(1 for r in rollout.revisions for p in r.pods if p.health == "ok")
            missing = max(0, rollout.desired - up)
            used = f"   {up} of {rollout.desired} up"
            tint = "bad" if missing > rollout.max_unavailable else "dim"
            if cell_len(budget + used) <= width:
                lines.append(Line(((budget, "dim"), (used, tint))))
            else:
                lines += [line(budget, "dim"), line(used, tint)]
        else:
            lines.append(line(f" {rollout.strategy}", "dim"))
    for trouble in rollout.troubles:
        if trouble.kind == "waiting" and rollout.phase != "stuck":
            continue
        word = TROUBLE_WORD.get(trouble.kind, trouble.kind)
        tint = "dim" if trouble.kind in ("waiting", "not ready") else "bad"
        count = f" ×{trouble.count}" if trouble.count > 1 else ""
        text = clean(trouble.message)
        sign = f" ▲ {word}{count} "
        parts = _rows(sign, text, width)
        lines.append(Line(((sign, tint), (parts[0][len(sign) :], "text"))))
        lines += [line(part, "text") for part in parts[1 : max(1, 9 - len(lines))]]
    lines.append(line())
    scale = max([rollout.desired, *(max(r.desired, r.replicas, len(r.pods)) for r in rollout.revisions), 1])
    for revision in rollout.revisions:
        lines += _revision_lines(revision, summaries.get(revision.uid, ""), scale, width, now)
    if not rollout.revisions:
        lines.append(line(f" {no_revisions}", "dim"))
    if last_lines:
        lines.append(line())
        lines.append(line(" last lines of the pod", "faint"))
        lines += [Line(((" │ ", "faint"), (clean(text), "dim"))) for text in last_lines]
    if earlier:
        if lines[-1].text:
            lines.append(line())
        lines.append(line(" earlier", "faint"))
        lines += [_earlier_line(entry, summaries.get(entry.uid, ""), width, now) for entry in earlier]
    return lines


def _rows(start: str, text: str, width: int) -> list[str]:
    """A sign and what it says, in as many rows as that takes."""
    return textwrap.wrap(text, max(20, width - 2), initial_indent=start, subsequent_indent="   ") or [start]


def _earlier_line(entry: HistoryEntry, summary: str, width: int, now: float) -> Line:
    number, old = f"   #{entry.number}  ", age(entry.created, now) if entry.created else ""
    what = clean(entry.images) + (f"  “{clean(entry.cause)}”" if entry.cause else "")
    if summary and not entry.cause:
        what += f"  {clean(shorten_change(summary))}"
    room = max(8, width - len(number) - len(old) - 3)
    return Line(((number, "dim"), (fit(what, room), "dim"), (f"  {old}", "faint")))


def _revision_lines(revision: Revision, summary: str, scale: int, width: int, now: float) -> list[Line]:
    name = f"#{revision.number}" if revision.number else revision.name
    head: list[tuple[str, str]] = [
        (" ▶ " if revision.current else "   ", "accent" if revision.current else "faint"),
        (f"{name} ", "accent-strong" if revision.current else "dim"),
        (clean(revision.images), "strong" if revision.current else "text"),
    ]
    counts = f"{revision.ready}/{revision.desired}"
    old = age(revision.created, now) if revision.created else ""
    right = f"{counts}  {old}"
    used = sum(cell_len(t) for t, _ in head)
    if used + len(right) + 3 > width:
        head[2] = (
            fit(head[2][0], max(4, width - len(right) - 4 - used + cell_len(head[2][0]))).rstrip(),
            head[2][1],
        )
        used = sum(cell_len(t) for t, _ in head)
    head.append((" " * max(1, width - used - len(right) - 1), "text"))
    head += [(counts, "ok" if revision.ready >= revision.desired else "busy"), (f"  {old}", "faint")]
    lines = [Line(tuple(head))]
    lines.append(Line((("   ", "text"), *_bar(revision, scale, max(8, width - 5)))))
    note = " · ".join(filter(None, (clean(summary), clean(revision.cause) and f"“{clean(revision.cause)}”")))
    if cell_len(note) > width - 4:
        note = shorten_change(note)
    if note:
        lines.append(line("   " + fit(note, width - 4).rstrip(), "dim"))
    lines.append(line())
    return lines


def _bar(revision: Revision, scale: int, width: int) -> list[tuple[str, str]]:
    """Squares while there is room for one for each pod, a bar of shares otherwise."""
    missing = max(0, revision.desired - len(revision.pods))
    if scale * 2 <= width:
        spans = [("■ ", _square(p)) for p in revision.pods]
        spans += [("□ ", "faint")] * missing
        return _compact(spans) or [("no pods", "faint")]
    spans = []
    cells = 0
    total = 0
    counts: list[tuple[int, str]] = []
    for health in ("ok", "busy", "warn", "bad", "done", "idle"):
        count = sum(1 for p in revision.pods if p.health == health)
        if count:
            counts.append((count, health))
    counts.append((missing, "faint"))
    for count, tint in counts:
        total += count
        end = round(total / scale * width)
        if count and end == cells and cells < width:
            end += 1
        if end > cells:
            spans.append((("█" if tint != "faint" else "░") * (end - cells), tint))
            cells = end
    return spans or [("no pods", "faint")]


def _square(pod: PodView) -> str:
    return pod.health


def _compact(spans: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for text, style in spans:
        if found and found[-1][1] == style:
            found[-1] = (found[-1][0] + text, style)
        else:
            found.append((text, style))
    return found


class RolloutPane(Pane):
    """Draws the selected workload."""

    PLACES = ("rollout", "text", "dashboard")

    def __init__(self) -> None:
        self.view = LinesView(id="rollout-lines")
        super().__init__(3, "Rollout", self.view, id="rollout")
        self.workload: Obj | None = None
        self.rollout: Rollout | None = None
        self._summaries: dict[tuple[str, ...], dict[str, str]] = {}

    def draw(
        self,
        workload: Obj | None,
        revisions: list[Obj],
        pods: list[Obj],
        now: float,
        log: Sequence[str],
        blind: bool = False,
    ) -> None:
        """Bring the picture up to date; ``blind``: the revisions may not be read."""
        self.workload = workload
        width = max(20, self.view.body_width)
        if workload is None:
            self.rollout = None
            self.view.set_lines([line(), line("  choose a workload to see its rollout", "dim")])
            self.set_status()
            return
        if workload.get("kind") == "CronJob":
            self.rollout = None
            self.view.set_lines(self._cron_lines(workload, now))
            self.set_status([(clean(str(dig(workload, "metadata", "name"))), "accent")])
            return
        rollout = rollout_of(workload, revisions, pods, now)
        self.rollout = rollout
        none = "its revisions may not be read" if blind else "no revision has been created yet"
        history = history_of(workload, revisions)
        drawn = {revision.uid for revision in rollout.revisions}
        earlier = [entry for entry in history if entry.uid not in drawn]
        self.view.set_lines(rollout_lines(rollout, self._changes(history), width, now, log, none, earlier))
        right = [(plural(len(revisions), "revision"), "dim")] if revisions else []
        self.set_status([(clean(rollout.name), "accent")], right)

    def _changes(self, history: Sequence[HistoryEntry]) -> dict[str, str]:
        """What changed in each revision, by uid; kept, since a revision's template never changes."""
        key = tuple(entry.uid for entry in history)
        found = self._summaries.get(key)
        if found is None:
            found = {
                entry.uid: summarize_change(before.template, entry.template)
                for entry, before in pairwise(history)
                if changed_fields(before.template, entry.template)
            }
            if len(self._summaries) > 200:
                self._summaries.clear()
            self._summaries[key] = found
        return found

    @staticmethod
    def _cron_lines(cron: Obj, now: float) -> list[Line]:
        last, success = dig(cron, "status", "lastScheduleTime"), dig(cron, "status", "lastSuccessfulTime")
        suspended = bool(dig(cron, "spec", "suspend"))
        return [
            Line(((" ❚❚ Suspended" if suspended else " ⟳ Scheduled", "warn" if suspended else "ok"),)),
            line(f" schedule   {clean(str(dig(cron, 'spec', 'schedule', default='')))}"),
            line(f" last run   {age(last, now) + ' ago' if last else 'never'}"),
            line(f" last good  {age(success, now) + ' ago' if success else 'never'}"),
            line(
                f" image      {clean(images_of(dig(cron, 'spec', 'jobTemplate', 'spec', 'template', default={})))}"
            ),
        ]

    def refs(self) -> list[Ref]:
        """The workload that is drawn."""
        if self.workload is None:
            return []
        return [Ref.of(TARGETS[str(self.workload.get("kind"))], self.workload)]
