"""The cluster at a glance: how many of everything are well, how often it warns, what the nodes carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kubetui.live.events import event_view
from kubetui.live.health import Health, cached_view, workload_view
from kubetui.live.lines import Line, line
from kubetui.live.objects import Obj, condition, dig, is_true, name_of
from kubetui.live.session import Session
from kubetui.live.text import clean, fit, plural
from kubetui.live.usage import UsageBook, cpu_text, load_style, memory_text, node_bounds, sparkline

MINUTES = 30
ORDER: tuple[Health, ...] = ("ok", "busy", "warn", "bad", "done", "idle")
WORDS = {
    "ok": "well",
    "busy": "on the way",
    "warn": "not quite",
    "bad": "broken",
    "done": "done",
    "idle": "idle",
}
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def node_health(node: Obj) -> Health:
    """Ready, ready but kept from work or under pressure, or not ready."""
    if not is_true(node, "Ready"):
        return "bad"
    if dig(node, "spec", "unschedulable") or any(is_true(node, p) for p in _PRESSURES):
        return "warn"
    return "ok"


@dataclass(frozen=True, slots=True)
class Warnings:
    """Warning events by the minute of their last occurrence, oldest first, and their most frequent reasons."""

    minutes: tuple[int, ...]
    reasons: tuple[tuple[str, int], ...]

    @property
    def rate(self) -> float:
        """Warnings a minute over the last five minutes."""
        return sum(self.minutes[-5:]) / 5


def warnings_of(events: Iterable[Obj], now: float) -> Warnings:
    """Count the warnings of the last half hour."""
    minutes = [0] * MINUTES
    reasons: Counter[str] = Counter()
    for event in events:
        view = event_view(event)
        index = MINUTES - 1 - int((now - view.last) // 60)
        if view.warning and 0 <= index < MINUTES:
            minutes[index] += 1
            reasons[view.reason] += 1
    return Warnings(tuple(minutes), tuple(reasons.most_common(5)))


def health_bar(counts: Counter[Health], width: int) -> list[tuple[str, str]]:
    """A bar in which every health that occurs has at least one cell."""
    total = sum(counts.values())
    spans: list[tuple[str, str]] = []
    used = 0
    present = [h for h in ORDER if counts[h]]
    for index, health in enumerate(present):
        left = len(present) - index - 1
        size = width - used if not left else max(1, min(width - used - left, counts[health] * width // total))
        spans.append(("━" * size, health))
        used += size
    return spans or [("━" * width, "faint")]


def _counted(title: str, counts: Counter[Health], width: int) -> Line:
    words = [
        part for h in ORDER if counts[h] for part in ((f"  {counts[h]}", h), (f" {WORDS[h]}", "dim"))
    ] or [("  none", "dim")]
    bar = health_bar(counts, max(8, min(30, width // 5)))
    head = [(f"   {title:<14}", "text"), (f"{sum(counts.values()):>6}  ", "strong")]
    return Line((*head, *bar, *words))


def pulse_lines(session: Session, book: UsageBook, now: float, width: int) -> list[Line]:
    """The page."""
    lines = [line(), line(" Workloads", "accent-strong")]
    kinds: dict[str, Counter[Health]] = {}
    troubles: list[tuple[str, str, str]] = []
    for watched in session.workloads.values():
        for obj in watched:
            if not session.is_top(obj):
                continue
            view = workload_view(obj)
            health: Health = view.health
            if health in ("ok", "busy") and session.has_broken(view.uid):
                health = "bad"
            kinds.setdefault(view.kind, Counter())[health] += 1
            if health == "bad":
                troubles.append(
                    (f"{view.kind.lower()}/{view.name}", view.namespace, view.message or view.state)
                )
    lines += [_counted(kind, kinds[kind], width) for kind in sorted(kinds)] or [line("   none", "dim")]
    pods: Counter[Health] = Counter()
    for pod in session.pods:
        found = cached_view(pod)
        pods[found.health] += 1
        if found.health == "bad":
            troubles.append((f"pod/{found.name}", found.namespace, found.message or found.status))
    lines += [line(), line(" Pods and nodes", "accent-strong"), _counted("Pod", pods, width)]
    nodes = list(session.need_nodes())
    lines.append(_counted("Node", Counter(node_health(n) for n in nodes), width))
    lines += _node_lines(nodes, session, book)
    found_warnings = warnings_of(session.events, now)
    count = sum(found_warnings.minutes)
    style = "warn" if found_warnings.rate else "dim"
    lines += [
        line(),
        Line(
            (
                (" Warnings", "accent-strong"),
                (f"   {sparkline(found_warnings.minutes)}", style if count else "faint"),
                (f"  {found_warnings.rate:.1f} a minute", style),
                (f"   {count} in {MINUTES} minutes, {plural(len(session.events), 'event')} in all", "dim"),
            )
        ),
    ]
    lines += [
        Line(((f"   {clean(reason):<28}", "text"), (f"{number:>4}", "warn")))
        for reason, number in found_warnings.reasons
    ]
    if troubles:
        lines += [line(), line(" Broken", "accent-strong")]
        for title, namespace, message in troubles[:100]:
            lines.append(
                Line(
                    (
                        (f"   {fit(clean(title), 40)} ", "bad"),
                        (f"{fit(clean(namespace), 16)} ", "dim"),
                        (clean(message), "text"),
                    )
                )
            )
    return lines


def _node_lines(nodes: list[Obj], session: Session, book: UsageBook) -> list[Line]:
    lines = []
    for node in nodes[:50]:
        name, health = name_of(node), node_health(node)
        bounds = node_bounds(node, session.pods)
        spans: list[tuple[str, str]] = [(f"     {fit(clean(name), 22)} ", health)]
        for pressure in _PRESSURES:
            if is_true(node, pressure):
                spans.append((f" {pressure} ", "warn"))
        if dig(node, "spec", "unschedulable"):
            spans.append((" cordoned ", "warn"))
        ready = condition(node, "Ready")
        if health == "bad":
            spans.append((f" {clean(str((ready or {}).get('message') or 'not ready'))} ", "bad"))
        series = book.nodes.get(name)
        for title, text, used, asked, most in (
            ("CPU", cpu_text, series.cpu if series else None, bounds.cpu_request, bounds.cpu_limit),
            (
                "mem",
                memory_text,
                series.memory if series else None,
                bounds.memory_request,
                bounds.memory_limit,
            ),
        ):
            spans.append((f" {title} ", "dim"))
            if used:
                style = load_style(used[-1], most)
                spans.append((f"{sparkline(list(used)[-12:], most)} ", style))
                share = f" {used[-1] / most * 100:.0f}%" if most else ""
                spans.append((f"{text(used[-1])}{share}", "text"))
            if most:
                of = " of " if used else ""
                spans.append((f"{of}{text(most)}, asked {text(asked)} ({asked / most * 100:.0f}%)", "dim"))
        lines.append(Line(tuple(spans)))
    return lines
