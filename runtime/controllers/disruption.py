"""PodDisruptionBudgets: how many more pods may be evicted right now.

After ``disruption/disruption.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    condition,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from runtime.objects.selectors import label_selector

from .context import BaseController, Context
from .deployment_math import replicas_of, scaled
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


UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status "
    "of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods "
    'please set ".spec.minAvailable" field of the PDB to an integer value.'
)


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
                found = [
                    pdb
                    for pdb in self.budgets.list(namespace_of(pod))
                    if label_selector(pdb["spec"].get("selector")).matches(labels_of(pod))
                ]
                for pdb in found:
                    self.queue.add_paced(key_of(pdb), PACE)
                if len(found) > 1 and pod is delta.new and delta.old is None:
                    self.recorder.event(
                        pod,
                        "Warning",
                        "MultiplePodDisruptionBudgets",
                        f'Pod "{namespace_of(pod)}"/"{name_of(pod)}" matches multiple PodDisruptionBudgets.  '
                        f'Chose "{name_of(found[0])}" arbitrarily.',
                    )

    async def sync(self, key: str) -> float | None:
        """Count one budget's pods."""
        pdb = self.budgets.get(key)
        if pdb is None:
            return None
        selector = label_selector(pdb["spec"].get("selector"))
        pods = [pod for pod in self.pods.list(namespace_of(pdb)) if selector.matches(labels_of(pod))]
        if not pods:
            self.recorder.event(pdb, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired = await self._expected(pdb, pods)
        except Unscalable as error:
            self.recorder.event(
                pdb,
                "Warning",
                "CalculateExpectedPodCountFailed",
                f"Failed to calculate the number of expected pods: {error}",
            )
            await self._fail(pdb, str(error))
            return None
        disrupted, again = still_disrupted(pdb, pods, self.clock.now())
        for pod in pods:
            known = (pdb.get("status") or {}).get("disruptedPods") or {}
            if name_of(pod) in known and name_of(pod) not in disrupted and not is_deleting(pod):
                text = f"Pod was expected by PDB {key_of(pdb)} to be deleted but it wasn't"
                self.recorder.event(pod, "Warning", "NotDeleted", text)
        healthy = sum(
            1 for pod in pods if is_ready(pod) and not is_deleting(pod) and name_of(pod) not in disrupted
        )
        allowed = max(0, healthy - desired) if expected > 0 else 0
        await self._write(pdb, healthy, desired, expected, allowed, disrupted)
        return again

    async def _expected(self, pdb: Obj, pods: Sequence[Obj]) -> tuple[int, int]:
        spec = pdb["spec"]
        if spec.get("maxUnavailable") is None and not isinstance(spec.get("minAvailable"), str):
            return desired_healthy(pdb, len(pods), len(pods))
        sizes: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference.get("uid") not in sizes:
                uid, size = await self._scale(pod, reference)
                sizes[uid] = size
        if unmanaged:
            selector = label_selector(spec.get("selector"))
            self.recorder.event(pdb, "Warning", "UnmanagedPods", UNMANAGED.format(selector))
        return desired_healthy(pdb, len(pods), sum(sizes.values()))

    async def _scale(self, pod: Obj, reference: Obj) -> tuple[str, int]:
        """Uid and size of the workload that counts: a ReplicaSet's Deployment rather than the ReplicaSet.

        Raises:
            Unscalable: there is none, or it has no size.
        """
        informer = self._owners.get(reference["kind"])
        namespace = namespace_of(pod)
        if informer is not None:
            owner = informer.get(f"{namespace}/{reference['name']}")
            if owner is not None and uid_of(owner) == reference.get("uid"):
                above = controller_of(owner)
                if above is not None and above["kind"] == "Deployment":
                    found = self._owners["Deployment"].get(f"{namespace}/{above['name']}")
                    if found is not None and uid_of(found) == above.get("uid"):
                        owner = found
                return uid_of(owner), replicas_of(owner)
            raise Unscalable(f'found no controllers for pod "{name_of(pod)}"')
        return await self._scale_of_any(pod, reference)

    async def _scale_of_any(self, pod: Obj, reference: Obj) -> tuple[str, int]:
        """The same for any other kind, if it can be scaled."""
        kind, version = reference["kind"], str(reference.get("apiVersion") or "")
        resource = self.context.registry.by_kind(version, kind)
        if resource is None:
            raise Unscalable(f'no matches for kind "{kind}" in version "{version}"')
        if resource.scale is None:
            raise Unscalable(f"{resource.group_resource} does not implement the scale subresource")
        try:
            owner = await self.client.get(resource.group_resource, reference["name"], namespace_of(pod))
        except StatusError as error:
            if error.code != 404:
                raise
            owner = {}
        if not owner or uid_of(owner) != reference.get("uid"):
            raise Unscalable(f'found no controllers for pod "{name_of(pod)}"')
        return uid_of(owner), int(meta.dig(owner, *resource.scale.spec_replicas, default=0))

    async def _fail(self, pdb: Obj, message: str) -> None:
        """Allow nothing while the numbers can't be told; what was known of them stays (``failSafe``)."""
        old = pdb.get("status") or {}
        outcome = {
            "type": "DisruptionAllowed",
            "status": "False",
            "observedGeneration": int(old.get("observedGeneration") or 0),
            "reason": "SyncFailed",
            "message": message,
        }
        numbers = dict.fromkeys(("currentHealthy", "desiredHealthy", "expectedPods"), 0)
        await self._put(pdb, {**numbers, **old, "disruptionsAllowed": 0}, outcome)

    async def _write(
        self,
        pdb: Obj,
        healthy: int,
        desired: int,
        expected: int,
        allowed: int,
        disrupted: dict[str, str],
    ) -> None:
        status: Obj = {
            "observedGeneration": int(pdb["metadata"].get("generation") or 0),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }
        if disrupted:
            status["disruptedPods"] = disrupted
        outcome = {
            "type": "DisruptionAllowed",
            "status": "True" if allowed > 0 else "False",
            "observedGeneration": status["observedGeneration"],
            "reason": "SufficientPods" if allowed > 0 else "InsufficientPods",
            "message": "",
        }
        await self._put(pdb, status, outcome)

    async def _put(self, pdb: Obj, status: Obj, wanted: Obj) -> None:
        old = pdb.get("status") or {}
        outcome = {**wanted, "lastTransitionTime": self.context.stamp()}
        conditions = []
        for entry in old.get("conditions") or ():
            if entry["type"] != outcome["type"]:
                conditions.append(entry)
            elif entry["status"] == outcome["status"]:
                outcome["lastTransitionTime"] = entry["lastTransitionTime"]
        status = {**status, "conditions": [*conditions, outcome]}
        if status == old:
            return
        try:
            await self.client.update_status({**pdb, "status": status})
        except StatusError as error:
            if error.code != 404:
                raise


def stale_in(pod: Obj, now: datetime) -> float | None:
    """Seconds until a pod that was to be disrupted, but lives on, has waited long enough; None for any other pod."""
    entry = condition(pod, "DisruptionTarget")
    if is_deleting(pod) or is_finished(pod) or entry is None or entry["status"] != "True":
        return None
    if entry.get("reason") == "TerminationByKubelet" or not entry.get("lastTransitionTime"):
        return None  # a kubelet may take any time before the pod is deleted
    since = parse_time(entry["lastTransitionTime"])
    return max(0.0, (since + timedelta(seconds=DISRUPTED_TIMEOUT) - now).total_seconds())


class StaleDisruptionController(BaseController):
    """Takes back ``DisruptionTarget`` from pods that nobody deleted within two minutes. Keys are pods."""

    name = "disruption-stale"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.pods = context.informers.pods()
        self.pods.add_handler(self._on_pods)

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None and condition(delta.new, "DisruptionTarget") is not None:
                self.queue.add(key_of(delta.new))

    async def sync(self, key: str) -> float | None:
        """Set the condition to False, or wait for its time."""
        pod = self.pods.get(key)
        left = stale_in(pod, self.clock.now()) if pod is not None else None
        if pod is None or left is None or left > 0:
            return left
        fresh = {
            **meta.observed(pod),
            "type": "DisruptionTarget",
            "status": "False",
            "lastTransitionTime": self.context.stamp(),
        }
        conditions = [
            fresh if entry["type"] == "DisruptionTarget" else entry for entry in pod["status"]["conditions"]
        ]
        await self.client.update_status({**pod, "status": {**pod["status"], "conditions": conditions}})
        return None
