"""PodDisruptionBudgets: how many more pods may be evicted right now.

After ``disruption/disruption.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from runtime.client.informer import Delta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import controller_of, key_of, labels_of, name_of, namespace_of
from runtime.objects.selectors import label_selector

from .context import BaseController, Context
from .deployment_math import scaled
from .pods import is_finished, is_ready

RESOURCE = "poddisruptionbudgets.policy"
DISRUPTED_TIMEOUT = 120.0
PACE = 0.05
_SCALES = {
    "ReplicaSet": "replicasets.apps",
    "ReplicationController": "replicationcontrollers",
    "StatefulSet": "statefulsets.apps",
    "Deployment": "deployments.apps",
}


class Unscalable(Exception):
    """The size a percentage would be of is not known."""


def desired_healthy(pdb: Obj, pods: int, expected: int) -> tuple[int, int]:
    """(pods expected, pods that have to stay healthy).

    Args:
        pdb: the budget.
        pods: pods that match.
        expected: the sum of their controllers' sizes (used for percentages and maxUnavailable).
    """
    spec = pdb["spec"]
    if spec.get("maxUnavailable") is not None:
        return expected, max(0, expected - scaled(spec["maxUnavailable"], expected, up=True))
    if spec.get("minAvailable") is not None:
        value = spec["minAvailable"]
        if isinstance(value, int):
            return pods, value
        return expected, scaled(value, expected, up=True)
    return pods, 0


def still_disrupted(pdb: Obj, pods: Sequence[Obj], now: datetime) -> tuple[dict[str, str], float | None]:
    """Evicted pods that are not gone yet, and when the first of them is no longer waited for, in seconds."""
    known = (pdb.get("status") or {}).get("disruptedPods") or {}
    by_name = {name_of(pod): pod for pod in pods}
    left: dict[str, str] = {}
    again: float | None = None
    for name, stamp in known.items():
        pod = by_name.get(name)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            continue
        expires = (parse_time(stamp) + timedelta(seconds=DISRUPTED_TIMEOUT) - now).total_seconds()
        if expires > 0:
            left[name] = stamp
            again = expires if again is None else min(again, expires)
    return left, again


class DisruptionController(BaseController):
    """Keeps ``status.disruptionsAllowed``."""

    name = "disruption"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        informers = context.informers
        self.budgets = informers.informer(RESOURCE)
        self.pods = informers.pods()
        self._owners = {kind: informers.informer(resource) for kind, resource in _SCALES.items()}
        self.budgets.add_handler(self._on_budgets)
        self.pods.add_handler(self._on_pods)

    def _on_budgets(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None:
                self.queue.add(key_of(delta.new))

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        if not len(self.budgets):
            return
        for delta in deltas:
            for pod in delta:
                if pod is None:
                    continue
                for pdb in self.budgets.list(namespace_of(pod)):
                    if label_selector(pdb["spec"].get("selector")).matches(labels_of(pod)):
                        self.queue.add_paced(key_of(pdb), PACE)

    async def sync(self, key: str) -> float | None:
        """Count one budget's pods."""
        pdb = self.budgets.get(key)
        if pdb is None:
            return None
        selector = label_selector(pdb["spec"].get("selector"))
        pods = [
            pod
            for pod in self.pods.list(namespace_of(pdb))
            if selector.matches(labels_of(pod)) and not is_finished(pod)
        ]
        if not pods:
            self.recorder.event(pdb, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired = self._expected(pdb, pods)
        except Unscalable as error:
            self.recorder.event(
                pdb,
                "Warning",
                "CalculateExpectedPodCountFailed",
                f"Failed to calculate the number of expected pods: {error}",
            )
            await self._write(pdb, 0, 0, 0, 0, {}, str(error))
            return None
        disrupted, again = still_disrupted(pdb, pods, self.clock.now())
        healthy = sum(
            1
            for pod in pods
            if is_ready(pod) and "deletionTimestamp" not in pod["metadata"] and name_of(pod) not in disrupted
        )
        allowed = max(0, healthy - desired) if expected > 0 else 0
        await self._write(pdb, healthy, desired, expected, allowed, disrupted, "")
        return again

    def _expected(self, pdb: Obj, pods: Sequence[Obj]) -> tuple[int, int]:
        spec = pdb["spec"]
        if spec.get("maxUnavailable") is None and not isinstance(spec.get("minAvailable"), str):
            return desired_healthy(pdb, len(pods), len(pods))
        sizes: dict[str, int] = {}
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                raise Unscalable(f"found no controller ref for pod {name_of(pod)!r}")
            owner, resource = self._top(pod, reference)
            if owner is None:
                raise Unscalable(
                    f"{reference['kind']} {reference['name']!r} does not implement the scale subresource"
                )
            sizes[f"{resource}/{key_of(owner)}"] = int(owner["spec"].get("replicas", 1))
        return desired_healthy(pdb, len(pods), sum(sizes.values()))

    def _top(self, pod: Obj, reference: Obj) -> tuple[Obj | None, str]:
        """The workload whose size counts: a ReplicaSet's Deployment rather than the ReplicaSet."""
        informer = self._owners.get(reference["kind"])
        owner = informer.get(f"{namespace_of(pod)}/{reference['name']}") if informer is not None else None
        if owner is None:
            return None, ""
        above = controller_of(owner)
        if above is not None and above["kind"] == "Deployment":
            found = self._owners["Deployment"].get(f"{namespace_of(pod)}/{above['name']}")
            if found is not None:
                return found, "Deployment"
        return owner, str(reference["kind"])

    async def _write(
        self,
        pdb: Obj,
        healthy: int,
        desired: int,
        expected: int,
        allowed: int,
        disrupted: dict[str, str],
        failure: str,
    ) -> None:
        old = pdb.get("status") or {}
        status: Obj = {
            "observedGeneration": int(pdb["metadata"].get("generation") or 0),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        if failure:
            state, reason, message = "False", "SyncFailed", failure
        elif allowed > 0:
            state, reason, message = "True", "SufficientPods", ""
        else:
            state, reason, message = "False", "InsufficientPods", ""
        condition = {
            "type": "DisruptionAllowed",
            "status": state,
            "observedGeneration": status["observedGeneration"],
            "lastTransitionTime": self.context.stamp(),
            "reason": reason,
            "message": message,
        }
        conditions = []
        for entry in old.get("conditions") or ():
            if entry["type"] != "DisruptionAllowed":
                conditions.append(entry)
            elif entry["status"] == state:
                condition["lastTransitionTime"] = entry["lastTransitionTime"]
        status["conditions"] = [*conditions, condition]
        if status == old:
            return
        try:
            await self.client.update_status({**pdb, "status": status})
        except StatusError as error:
            if error.code != 404:
                raise
