"""Small controllers: Jobs past their time, cluster roles made of other roles, how long kubelets may remember.

After ``ttlafterfinished/ttlafterfinished_controller.go``,
``clusterroleaggregation/clusterroleaggregation_controller.go`` and ``ttl/ttl_controller.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.clock import parse_time
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import is_deleting, key_of, labels_of, name_of, namespace_of, uid_of
from runtime.objects.selectors import label_selector

from .context import BaseController, Context


def job_expires(job: Obj) -> float | None:
    """The POSIX time at which a finished Job may go; None while it runs or when it has no ttl."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None:
        return None
    for kind in ("Complete", "Failed"):
        entry = meta.condition(job, kind)
        if entry is not None and entry["status"] == "True":
            return parse_time(entry["lastTransitionTime"]).timestamp() + int(ttl)
    return None


class TTLAfterFinishedController(BaseController):
    """Deletes Jobs ``ttlSecondsAfterFinished`` after they ended."""

    name = "ttl-after-finished"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.jobs = context.informers.informer("jobs.batch")
        self.jobs.add_handler(self._on_jobs)

    def _on_jobs(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None and not is_deleting(delta.new) and job_expires(delta.new) is not None:
                self.queue.add(key_of(delta.new))

    async def sync(self, key: str) -> float | None:
        """Delete the Job, or wait for its time."""
        job = self.jobs.get(key)
        if job is None or is_deleting(job):
            return None
        expires = job_expires(job)
        if expires is None:
            return None
        left = expires - self.clock.now().timestamp()
        if left > 0:
            return left
        fresh = await self.client.get("jobs.batch", name_of(job), namespace_of(job))
        if uid_of(fresh) != uid_of(job) or job_expires(fresh) != expires:
            return None
        await self.client.delete(
            "jobs.batch",
            name_of(job),
            namespace_of(job),
            uid=uid_of(job),
            resource_version=meta.version_of(fresh),
            propagation_policy="Foreground",
        )
        return None


class ClusterRoleAggregationController(BaseController):
    """Fills ``rules`` of cluster roles that have an ``aggregationRule``."""

    name = "clusterrole-aggregation"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.roles = context.informers.informer("clusterroles.rbac.authorization.k8s.io")
        self.roles.add_handler(self._on_roles)

    def _on_roles(self, deltas: Sequence[Delta]) -> None:
        for role in self.roles.list():
            if role.get("aggregationRule"):
                self.queue.add(name_of(role))

    async def sync(self, key: str) -> float | None:
        """Collect the rules of the roles that one role selects."""
        role = self.roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return None
        selectors = [label_selector(s) for s in role["aggregationRule"].get("clusterRoleSelectors") or ()]
        rules: dict[bytes, Obj] = {}
        for selector in selectors:
            for other in sorted(self.roles.list(), key=name_of):
                if name_of(other) != key and selector.matches(labels_of(other)):
                    for rule in other.get("rules") or ():
                        rules.setdefault(orjson.dumps(rule, option=orjson.OPT_SORT_KEYS), rule)
        wanted = list(rules.values())
        if wanted != (role.get("rules") or []):
            try:
                await self.client.update({**role, "rules": wanted})
            except StatusError as error:
                if error.code != 404:
                    raise
        return None


TTL = "node.alpha.kubernetes.io/ttl"
_TTL_STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, None, 300))
"""(fewest nodes, most nodes, seconds); the steps overlap so that a cluster at an edge does not go back and forth."""


class TTLController(BaseController):
    """Tells kubelets by an annotation for how long they may take Secrets and ConfigMaps from memory."""

    name = "ttl"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informers.informer("nodes")
        self._step = 0
        self.nodes.add_handler(self._on_nodes)

    def _on_nodes(self, deltas: Sequence[Delta]) -> None:
        before = self._step
        while (most := _TTL_STEPS[self._step][1]) is not None and len(self.nodes) > most:
            self._step += 1
        while len(self.nodes) < _TTL_STEPS[self._step][0]:
            self._step -= 1
        wanted = str(_TTL_STEPS[self._step][2])
        changed = [delta.new for delta in deltas] if before == self._step else self.nodes.list()
        for node in changed:
            if node is not None and meta.annotations_of(node).get(TTL) != wanted:
                self.queue.add(name_of(node))

    async def sync(self, key: str) -> float | None:
        """Annotate one node."""
        node = self.nodes.get(key)
        wanted = str(_TTL_STEPS[self._step][2])
        if node is not None and meta.annotations_of(node).get(TTL) != wanted:
            await self.client.patch(
                "nodes", key, "", {"metadata": {"annotations": {TTL: wanted}}}, type="merge"
            )
        return None
