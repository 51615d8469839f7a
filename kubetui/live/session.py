"""The dashboard's picture of a selection of namespaces: workloads, their pods, who owns whom.

Watches the usual kinds in each chosen namespace (none chosen: all of them at once) and keeps indexes by owner, so
that "the pods of this Deployment" never walks over everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from kubetui.live import discovery as kinds
from kubetui.live.health import cached_view
from kubetui.live.hub import Change, Hub, Mirror
from kubetui.live.objects import Obj, controller_of, dig, labels_of, meta, namespace_of, uid_of
from kubetui.live.selection import selector_matches
from kubetui.live.target import Target

Listener = Callable[[Mirror, Change], None]
WORKLOAD_KINDS = (
    kinds.DEPLOYMENTS,
    kinds.STATEFULSETS,
    kinds.DAEMONSETS,
    kinds.JOBS,
    kinds.CRONJOBS,
    kinds.REPLICASETS,
)


class Watched:
    """One kind in the chosen namespaces: one mirror for each."""

    def __init__(self, hub: Hub, target: Target, namespaces: Iterable[str], listener: Listener) -> None:
        self._hub = hub
        self._listener = listener
        self.target = target
        chosen = list(namespaces) or [""]
        self.mirrors = [hub.watch(replace(target, namespace=n), listener) for n in chosen]
        for mirror in self.mirrors:
            if mirror.objects or mirror.synced:  # somebody looked at it before: take what is known
                listener(mirror, Change(dict(mirror.objects), set(), True, bool(mirror.columns)))

    def close(self) -> None:
        """Stop looking."""
        for mirror in self.mirrors:
            self._hub.unwatch(mirror, self._listener)

    def get(self, uid: str) -> Obj | None:
        """One object by uid."""
        for mirror in self.mirrors:
            found = mirror.objects.get(uid)
            if found is not None:
                return found
        return None

    def __iter__(self) -> Iterator[Obj]:
        for mirror in self.mirrors:
            yield from mirror.objects.values()

    def __len__(self) -> int:
        return sum(len(m.objects) for m in self.mirrors)

    @property
    def worst(self) -> Mirror:
        """The mirror that can be trusted least."""
        rank = {"live": 0, "loading": 1, "missing": 2, "forbidden": 3, "failed": 4, "reconnecting": 5}
        return max(self.mirrors, key=lambda m: rank[m.state])

    @property
    def loading(self) -> bool:
        """Whether a first list is still on its way."""
        return any(m.state == "loading" for m in self.mirrors)

    @property
    def synced(self) -> bool:
        """Whether a first list has arrived (or never will)."""
        return all(m.synced or m.state in ("forbidden", "missing") for m in self.mirrors)


class Session:
    """The watched kinds of one selection of namespaces; rebuilt when the selection changes."""

    def __init__(self, hub: Hub, namespaces: tuple[str, ...], notify: Callable[[str], None]) -> None:
        """``notify`` gets the name of what changed: pods, workloads, events, revisions, manifests."""
        self.hub = hub
        self.namespaces = namespaces
        self._notify = notify
        self._pods_by_owner: dict[str, set[str]] = {}
        self._owner_of_pod: dict[str, str] = {}
        self._children: dict[str, set[str]] = {}
        self._parent: dict[str, str] = {}
        self.broken: set[str] = set()
        self.changed_pods: set[str] = set()
        self.changed_workloads: set[str] = set()
        self.changed_events: set[str] = set()
        self.workloads = {t: Watched(hub, t, namespaces, self._on_workloads) for t in WORKLOAD_KINDS}
        self.revisions: Watched | None = None
        self.pods = Watched(hub, kinds.PODS, namespaces, self._on_pods)
        self.events = Watched(hub, kinds.EVENTS, namespaces, self._on_events)
        self.sources: Watched | None = None
        self.nodes: Watched | None = None

    def watch_manifests(self) -> None:
        """Look for manifest sources (only our own cluster publishes them)."""
        if self.sources is None:
            self.sources = Watched(self.hub, kinds.MANIFEST_SOURCES, ("kube-system",), self._on_sources)

    def need_nodes(self) -> Watched:
        """Nodes, watched only once somebody looks at what they carry."""
        if self.nodes is None:
            self.nodes = Watched(self.hub, kinds.NODES, (), lambda mirror, change: self._notify("nodes"))
        return self.nodes

    def need_revisions(self) -> Watched:
        """ControllerRevisions, watched only once a StatefulSet or DaemonSet is looked at."""
        if self.revisions is None:
            self.revisions = Watched(self.hub, kinds.CONTROLLERREVISIONS, self.namespaces, self._on_revisions)
        return self.revisions

    def close(self) -> None:
        """Stop looking at everything."""
        others = [self.revisions, self.pods, self.events, self.sources, self.nodes]
        for watched in [*self.workloads.values(), *others]:
            if watched is not None:
                watched.close()

    # -- what changed --------------------------------------------------------------------------------------------

    def _on_pods(self, mirror: Mirror, change: Change) -> None:
        for uid in change.deletes:
            owner = self._owner_of_pod.pop(uid, None)
            if owner is not None:
                self._pods_by_owner.get(owner, set()).discard(uid)
        self.broken -= change.deletes
        for uid, pod in change.upserts.items():
            bad = cached_view(pod).health == "bad"
            if bad != (uid in self.broken):
                self.broken ^= {uid}
                owner_uid = str((controller_of(pod) or {}).get("uid") or "")
                self.changed_workloads.add(self._parent.get(owner_uid, owner_uid))
                if self.blind:
                    self.changed_workloads |= {uid_of(w) for w in self.workloads[kinds.DEPLOYMENTS]}
            reference = controller_of(pod)
            owner = str(reference.get("uid")) if reference else None
            before = self._owner_of_pod.get(uid)
            if before != owner:
                if before is not None:
                    self._pods_by_owner.get(before, set()).discard(uid)
                if owner is not None:
                    self._owner_of_pod[uid] = owner
                    self._pods_by_owner.setdefault(owner, set()).add(uid)
                else:
                    self._owner_of_pod.pop(uid, None)
        self.changed_pods |= change.deletes | change.upserts.keys()
        self._notify("pods")

    def _on_workloads(self, mirror: Mirror, change: Change) -> None:
        for uid in change.deletes:
            parent = self._parent.pop(uid, None)
            if parent is not None:
                self._children.get(parent, set()).discard(uid)
        for uid, obj in change.upserts.items():
            reference = controller_of(obj)
            if reference:
                parent = str(reference.get("uid"))
                if self._parent.get(uid) != parent:
                    self.changed_workloads.add(parent)  # its pods may have been here before
                self._parent[uid] = parent
                self._children.setdefault(parent, set()).add(uid)
        self.changed_workloads |= change.deletes | change.upserts.keys()
        if change.state_changed and self.blind:  # pods are found by their labels from now on
            self.changed_pods |= {uid_of(pod) for pod in self.pods}
            self.changed_workloads |= {uid_of(w) for w in self.workloads[kinds.DEPLOYMENTS]}
        self._notify("workloads")

    def _on_events(self, mirror: Mirror, change: Change) -> None:
        self.changed_events |= change.deletes | change.upserts.keys()
        self._notify("events")

    def _on_sources(self, mirror: Mirror, change: Change) -> None:
        self._notify("manifests")

    def _on_revisions(self, mirror: Mirror, change: Change) -> None:
        self._notify("revisions")

    # -- questions -----------------------------------------------------------------------------------------------

    def workload(self, uid: str) -> Obj | None:
        """A workload by uid."""
        for watched in self.workloads.values():
            found = watched.get(uid)
            if found is not None:
                return found
        return None

    def is_top(self, obj: Obj) -> bool:
        """Whether nothing that is shown owns this workload (a Deployment's ReplicaSet is not top)."""
        return controller_of(obj) is None

    def pods_of(self, uid: str) -> list[Obj]:
        """All pods below a workload, through ReplicaSets and Jobs."""
        found: list[Obj] = []
        for owner in (uid, *self._children.get(uid, ())):
            for pod_uid in self._pods_by_owner.get(owner, ()):
                pod = self.pods.get(pod_uid)
                if pod is not None:
                    found.append(pod)
        if not found and self.blind:
            found = [pod for pod in self.pods if self._selected(pod, uid)]
        return found

    @property
    def blind(self) -> bool:
        """Whether the ReplicaSets, which lead from a Deployment to its pods, may not be read."""
        found = getattr(self, "workloads", {}).get(
            kinds.REPLICASETS
        )  # a mirror known before is heard at once
        return found is not None and found.worst.state in ("forbidden", "missing")

    def _selected(self, pod: Obj, workload_uid: str) -> bool:
        workload = self.workload(workload_uid)
        return (
            workload is not None
            and namespace_of(pod) == namespace_of(workload)
            and selector_matches(dig(workload, "spec", "selector"), labels_of(pod))
        )

    def belongs(self, pod_uid: str, workload_uid: str) -> bool:
        """Whether a pod is below a workload; by its labels where the owners between may not be read."""
        owner = self._owner_of_pod.get(pod_uid)
        if owner is not None and workload_uid in (owner, self._parent.get(owner)):
            return True
        pod = self.pods.get(pod_uid) if self.blind else None
        return pod is not None and self._selected(pod, workload_uid)

    def has_broken(self, workload_uid: str) -> bool:
        """Whether a pod below a workload is broken."""
        return any(self.belongs(uid, workload_uid) for uid in self.broken)

    def workload_of(self, pod: Obj) -> Obj | None:
        """The workload at the top of a pod's chain of owners."""
        owner = self._owner_of_pod.get(uid_of(pod))
        if owner is None:
            return None
        return self.workload(self._parent.get(owner, owner)) or self.workload(owner)

    def revisions_of(self, workload: Obj) -> list[Obj]:
        """ReplicaSets of a Deployment, ControllerRevisions of the others."""
        if workload.get("kind") == "Deployment":
            replica_sets = self.workloads[kinds.REPLICASETS]
            found = (replica_sets.get(uid) for uid in self._children.get(uid_of(workload), ()))
            return [rs for rs in found if rs is not None]
        if workload.get("kind") in ("StatefulSet", "DaemonSet"):
            uid = uid_of(workload)
            return [r for r in self.need_revisions() if (controller_of(r) or {}).get("uid") == uid]
        return []

    def replica_sets_of(self, workload: Obj) -> list[Obj]:
        """The ReplicaSets (or Jobs) directly below a workload."""
        found = (self.workload(uid) for uid in self._children.get(uid_of(workload), ()))
        return [rs for rs in found if rs is not None]

    def uids_below(self, uid: str) -> set[str]:
        """A workload and everything below it, for events."""
        below = {uid, *self._children.get(uid, ())}
        for owner in list(below):
            below |= self._pods_by_owner.get(owner, set())
        return below

    def find(self, kind: str, namespace: str, name: str) -> Obj | None:
        """A watched object by name."""
        collections: list[Iterable[Obj]] = [self.pods, *self.workloads.values()]
        for collection in collections:
            for obj in collection:
                if (
                    obj.get("kind") == kind
                    and meta(obj).get("name") == name
                    and namespace_of(obj) == namespace
                ):
                    return obj
        return None
