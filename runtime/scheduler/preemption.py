"""Making room for a pod of higher priority by ending pods of lower priority.

After ``scheduler/framework/preemption`` and ``plugins/defaultpreemption``: on every node where fewer pods would
help, take away all pods of lower priority, give back as many as still fit (those under a PodDisruptionBudget
first, then the most important ones), and choose the node where the least is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj
from runtime.objects.meta import condition, is_deleting
from runtime.objects.selectors import label_selector

from .filters import Refusal, summary
from .nodeinfo import NodeInfo, Placed
from .shape import Shape

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
BY_SCHEDULER = "PreemptionByScheduler"


@dataclass(slots=True)
class Candidate:
    """A node and who would have to go."""

    node: NodeInfo
    victims: list[Placed]
    violations: int


def _started(placed: Placed) -> str:
    status = placed.pod.get("status") or {}
    return str(status.get("startTime") or placed.pod["metadata"].get("creationTimestamp") or "")


def _more_important(placed: Placed) -> tuple[int, float]:
    """Sort key: the more important first (higher priority, then longer running)."""
    started = _started(placed)
    return -placed.shape.priority, parse_time(started).timestamp() if started else float("inf")


def _split_by_budget(pods: Sequence[Placed], budgets: Sequence[Obj]) -> tuple[list[Placed], list[Placed]]:
    """Those whose eviction would break a PodDisruptionBudget, and the others."""
    allowed = [int((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget in budgets]
    breaking: list[Placed] = []
    others: list[Placed] = []
    for placed in pods:
        breaks = False
        labels = placed.shape.labels
        for position, budget in enumerate(budgets):
            if budget["metadata"].get("namespace") != placed.shape.namespace or not labels:
                continue
            selector = label_selector(budget["spec"].get("selector"))
            disrupted = (budget.get("status") or {}).get("disruptedPods") or {}
            if not selector.matches(labels) or placed.pod["metadata"]["name"] in disrupted:
                continue
            allowed[position] -= 1
            breaks = breaks or allowed[position] < 0
        (breaking if breaks else others).append(placed)
    return breaking, others


def select_victims(
    shape: Shape, node: NodeInfo, fits: Callable[[NodeInfo], bool], budgets: Sequence[Obj]
) -> Candidate | None:
    """Who has to leave ``node`` for the pod to fit; None when even everyone's leaving would not do.

    The node is used as scratch paper and is as it was when this returns.
    """
    lower = [placed for placed in node.pods.values() if placed.shape.priority < shape.priority]
    if not lower:
        return None
    for placed in lower:
        node.remove(placed.key)
    victims: list[Placed] = []
    violations = 0
    try:
        if not fits(node):
            return None
        breaking, others = _split_by_budget(sorted(lower, key=_more_important), budgets)
        for group in (breaking, others):
            for placed in group:
                node.add(placed)
                if not fits(node):
                    node.remove(placed.key)
                    victims.append(placed)
                    violations += group is breaking
    finally:
        for placed in lower:
            if placed.key not in node.pods:
                node.add(placed)
    return Candidate(node, sorted(victims, key=_more_important), violations) if victims else None


def pick(candidates: Iterable[Candidate]) -> Candidate | None:
    """The candidate that loses the least (``pickOneNodeForPreemption``)."""

    def loss(candidate: Candidate) -> tuple[int, int, int, int, float]:
        victims = candidate.victims
        highest = victims[0].shape.priority
        latest = min(_more_important(placed)[1] for placed in victims if placed.shape.priority == highest)
        return (
            candidate.violations,
            highest,
            sum(placed.shape.priority + 2**31 for placed in victims),
            len(victims),
            -latest,
        )

    return min(candidates, key=loss, default=None)


NEVER = "preemption: not eligible due to preemptionPolicy=Never."
WAITING = "preemption: not eligible due to a terminating pod on the nominated node."


def hindrance(shape: Shape, nominated: NodeInfo | None, refusal: Refusal | None) -> str:
    """Why the pod may not end others now; empty when it may (``PodEligibleToPreemptOthers``).

    Args:
        shape: the pod's.
        nominated: the node that was chosen for it before, where others may still be on their way out.
        refusal: why that node did not do this time.
    """
    if not shape.preempts:
        return NEVER
    if nominated is None or (refusal is not None and refusal.final):
        return ""
    for placed in nominated.pods.values():
        if placed.shape.priority < shape.priority and is_deleting(placed.pod):
            disrupted = condition(placed.pod, "DisruptionTarget") or {}
            if disrupted.get("reason") == BY_SCHEDULER:
                return WAITING
    return ""


def explain(refusals: Mapping[str, Refusal], total: int) -> str:
    """What the message says about preemption when it found nothing."""
    helpless = sum(1 for refusal in refusals.values() if refusal.final)
    counts = {NOT_HELPFUL: helpless + total - len(refusals), NO_VICTIMS: len(refusals) - helpless}
    return summary(counts, total, "preemption: ")
