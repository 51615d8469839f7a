"""The garbage collector: what loses its owners goes, in the order that the deletion asked for.

After ``garbagecollector/{garbagecollector,graph_builder}.go``: a graph of all objects by uid, built from the
informers of every kind that can be listed and deleted. The graph only says whom to look at; before anything is
deleted or patched the object and its owners are read live. Three ways to go: Background (the owner first,
dependents after it), Foreground (the owner waits, with a finalizer, for dependents that block it) and Orphan
(dependents are let go before the owner may disappear).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from runtime.client.informer import Delta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import finalizers_of, is_deleting, key_of, name_of, namespace_of, owners_of, uid_of
from runtime.objects.registry import Resource

from .context import BaseController, Context

log = logging.getLogger(__name__)

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
IGNORED = frozenset({"events", "events.events.k8s.io"})


class Node:
    """One object in the graph; a virtual one stands for an owner nobody has seen yet."""

    __slots__ = (
        "deleting",
        "dependents",
        "foreground",
        "name",
        "namespace",
        "owners",
        "resource",
        "uid",
        "virtual",
    )

    def __init__(
        self, uid: str, resource: str, namespace: str, name: str, owners: list[Obj], virtual: bool
    ) -> None:
        self.uid = uid
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.owners = owners
        self.dependents: set[str] = set()
        self.deleting = False
        self.foreground = False
        self.virtual = virtual


class GarbageCollector(BaseController):
    """Deletes what has no owner left. Queue keys are ``d:UID`` (look at it) and ``o:UID`` (orphan its dependents)."""

    name = "garbagecollector"
    workers = 20

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes: dict[str, Node] = {}
        self._monitored: set[str] = set()
        self._absent: set[tuple[str, str]] = set()
        """(namespace, uid) of owners known to be gone: the same uid may well exist in another namespace."""

    async def start(self) -> None:
        """Watch every kind there is, and those that come."""
        self.monitor()
        self.context.registry.listeners.append(self.monitor)
        await super().start()

    async def stop(self) -> None:
        """Follow no new kinds any more."""
        if self.monitor in self.context.registry.listeners:
            self.context.registry.listeners.remove(self.monitor)
        await super().stop()

    def monitor(self) -> None:
        """Follow every deletable kind of the registry that is not followed yet, and no kind that is gone."""
        served = {resource.group_resource for resource in self.context.registry}
        for gone in [one for one in self._monitored if one not in served]:
            self._monitored.remove(gone)
            self.context.informers.forget(gone)
            for uid in [
                uid for uid, node in self.nodes.items() if node.resource == gone and not node.virtual
            ]:
                self._removed(uid)
        for resource in self.context.registry:
            key = resource.storage or resource.group_resource
            if (
                key in self._monitored
                or resource.group_resource in IGNORED
                or not resource.stored
                or (resource.storage and resource.storage != resource.group_resource)
                or not {"list", "watch", "delete"} <= set(resource.verbs)
            ):
                continue
            self._monitored.add(key)
            informer = self.context.informers.informer(resource.group_resource)
            informer.add_handler(partial(self._on_change, resource.group_resource))

    # -- the graph

    def _on_change(self, resource: str, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is None:
                assert old is not None
                self._removed(uid_of(old))
            elif old is None:
                self._seen(resource, None, new)
            else:
                before, after = old["metadata"], new["metadata"]
                if (
                    "deletionTimestamp" in after
                    or before.get("ownerReferences") != after.get("ownerReferences")
                    or after["uid"] not in self.nodes
                ):
                    self._seen(resource, old, new)

    def _seen(self, resource: str, old: Obj | None, new: Obj) -> None:
        uid = uid_of(new)
        self._absent.discard((namespace_of(new), uid))
        owners = owners_of(new)
        node = self.nodes.get(uid)
        if node is None:
            node = Node(uid, resource, namespace_of(new), name_of(new), owners, False)
            self.nodes[uid] = node
            for reference in owners:
                self._link(node, reference)
        else:
            if node.virtual or node.resource != resource:
                node.virtual = False
                node.resource, node.namespace, node.name = resource, namespace_of(new), name_of(new)
                for (
                    dependent
                ) in node.dependents:  # their references may have named another place: check again
                    other = self.nodes.get(dependent)
                    if other is not None and other.namespace != node.namespace and node.namespace:
                        self.queue.add(f"d:{dependent}")
            if node.owners != owners:
                self._change_owners(node, owners)
        if is_deleting(new):
            node.deleting = True
            self._transitions(old, new, node)

    def _link(self, node: Node, reference: Obj) -> None:
        uid = reference.get("uid", "")
        owner = self.nodes.get(uid)
        if owner is None:
            resource = self.context.registry.by_kind(
                reference.get("apiVersion", ""), reference.get("kind", "")
            )
            namespace = node.namespace if resource is None or resource.namespaced else ""
            owner = Node(
                uid,
                resource.group_resource if resource else "",
                namespace,
                reference.get("name", ""),
                [],
                True,
            )
            self.nodes[uid] = owner
            self.queue.add_after(f"d:{uid}", 0.5)  # most often its own event is just behind
        elif owner.namespace and owner.namespace != node.namespace:
            kind = self._resource(node.resource)
            self.recorder.event(
                {
                    "kind": kind.kind if kind else "",
                    "apiVersion": kind.api_version if kind else "",
                    "metadata": {"name": node.name, "namespace": node.namespace, "uid": node.uid},
                },
                "Warning",
                "OwnerRefInvalidNamespace",
                f"ownerRef [{reference.get('apiVersion')}/{reference.get('kind')}, namespace: {node.namespace}, "
                f'name: {reference.get("name")}, uid: {uid}] does not exist in namespace "{node.namespace}"',
            )
            self.queue.add(f"d:{node.uid}")
        owner.dependents.add(node.uid)

    def _change_owners(self, node: Node, owners: list[Obj]) -> None:
        before = {reference.get("uid", ""): reference for reference in node.owners}
        after = {reference.get("uid", ""): reference for reference in owners}
        node.owners = owners
        for uid, reference in before.items():
            gone = uid not in after
            owner = self.nodes.get(uid)
            if gone and owner is not None:
                owner.dependents.discard(node.uid)
            blocked = bool(reference.get("blockOwnerDeletion"))
            if blocked and (gone or not after[uid].get("blockOwnerDeletion")) and owner is not None:
                self.queue.add(f"d:{uid}")
        for uid, reference in after.items():
            if uid not in before:
                self._link(node, reference)

    def _transitions(self, old: Obj | None, new: Obj, node: Node) -> None:
        was = old is not None and is_deleting(old)
        had = finalizers_of(old) if old is not None else []
        has = finalizers_of(new)
        if ORPHAN in has and not (was and ORPHAN in had):
            self.queue.add(f"o:{node.uid}")
        elif FOREGROUND in has and not (was and FOREGROUND in had and node.foreground):
            node.foreground = True
            for dependent in node.dependents:
                self.queue.add(f"d:{dependent}")
            self.queue.add(f"d:{node.uid}")

    def _removed(self, uid: str) -> None:
        node = self.nodes.pop(uid, None)
        if node is None:
            return
        for reference in node.owners:
            owner = self.nodes.get(reference.get("uid", ""))
            if owner is None:
                continue
            owner.dependents.discard(uid)
            if owner.foreground:
                self.queue.add(f"d:{owner.uid}")
            elif owner.virtual and not owner.dependents:
                del self.nodes[owner.uid]
        if node.dependents:
            self._remember_absent(node.namespace, uid)
        for dependent in node.dependents:
            self.queue.add(f"d:{dependent}")

    def _remember_absent(self, namespace: str, uid: str) -> None:
        if len(self._absent) > 5000:
            self._absent.clear()
        self._absent.add((namespace, uid))

    # -- the work

    async def sync(self, key: str) -> float | None:
        """Look at one node of the graph, live, and do what its references ask for."""
        node = self.nodes.get(key[2:])
        if node is None:
            return None
        if key.startswith("o:"):
            await self._orphan_dependents(node)
        else:
            await self._attempt_to_delete(node)
        return None

    def _resource(self, group_resource: str) -> Resource | None:
        return self.context.registry.find(group_resource)

    async def _live(self, resource: str, namespace: str, name: str, uid: str) -> Obj | None:
        try:
            found = await self.client.get(resource, name, namespace)
        except StatusError as error:
            if error.code == 404:
                return None
            raise
        return found if uid_of(found) == uid else None

    async def _attempt_to_delete(self, node: Node) -> None:
        if node.deleting and not node.foreground:
            return
        if not node.resource:
            return  # an owner of a kind nobody here serves: its dependents are left alone
        latest = await self._live(node.resource, node.namespace, node.name, node.uid)
        if latest is None:
            if node.virtual:
                self._removed(node.uid)
            return
        if node.foreground:
            await self._finish_foreground(node, latest)
            return
        references = owners_of(latest)
        if not references:
            return
        solid: list[Obj] = []
        dangling: list[Obj] = []
        waiting: list[Obj] = []
        for reference in references:
            owner, known = await self._owner(node, reference)
            if not known:
                solid.append(reference)
            elif owner is None:
                dangling.append(reference)
            elif is_deleting(owner) and FOREGROUND in finalizers_of(owner):
                waiting.append(reference)
            else:
                solid.append(reference)
        if solid:
            if dangling or waiting:
                await self._drop_references(latest, node, [*dangling, *waiting])
            return
        if waiting and node.dependents:
            if any(
                (other := self.nodes.get(uid)) is not None and other.foreground for uid in node.dependents
            ):
                await self._unblock(latest, node)  # a circle: nobody would ever be first
            await self._delete(latest, node, "Foreground")
            return
        policy = "Background"
        if ORPHAN in finalizers_of(latest):
            policy = "Orphan"
        elif FOREGROUND in finalizers_of(latest):
            policy = "Foreground"
        await self._delete(latest, node, policy)

    async def _owner(self, node: Node, reference: Obj) -> tuple[Obj | None, bool]:
        """The live owner (None: absent) and whether the answer can be trusted."""
        uid = reference.get("uid", "")
        resource = self.context.registry.by_kind(reference.get("apiVersion", ""), reference.get("kind", ""))
        if resource is None:
            log.debug("garbage collector: no kind %s %s", reference.get("apiVersion"), reference.get("kind"))
            return None, False
        if resource.namespaced and not node.namespace:
            return None, False  # upstream never resolves a cluster-scoped object's namespaced owner
        namespace = node.namespace if resource.namespaced else ""
        if (namespace, uid) in self._absent:
            return None, True
        owner = await self._live(resource.group_resource, namespace, reference.get("name", ""), uid)
        if owner is None:
            self._remember_absent(namespace, uid)
        return owner, True

    async def _finish_foreground(self, node: Node, latest: Obj) -> None:
        blocking = []
        for uid in node.dependents:
            other = self.nodes.get(uid)
            if other is not None and any(
                reference.get("uid") == node.uid and reference.get("blockOwnerDeletion")
                for reference in other.owners
            ):
                blocking.append(other)
        if not blocking:
            await self._remove_finalizer(latest, node, FOREGROUND)
            return
        for other in blocking:
            if not other.foreground:
                self.queue.add(f"d:{other.uid}")

    async def _orphan_dependents(self, node: Node) -> None:
        failed: StatusError | None = None
        for uid in list(node.dependents):
            other = self.nodes.get(uid)
            if other is None or other.virtual:
                continue
            latest = await self._live(other.resource, other.namespace, other.name, uid)
            if latest is None:
                continue
            try:
                await self._drop_references(latest, other, [{"uid": node.uid}])
            except StatusError as error:
                if error.code != 404:
                    failed = error
        if failed is not None:
            raise failed
        latest = await self._live(node.resource, node.namespace, node.name, node.uid)
        if latest is not None:
            await self._remove_finalizer(latest, node, ORPHAN)

    async def _drop_references(self, latest: Obj, node: Node, references: list[Obj]) -> None:
        unwanted = {reference.get("uid") for reference in references}
        kept = [reference for reference in owners_of(latest) if reference.get("uid") not in unwanted]
        if len(kept) != len(owners_of(latest)):
            await self._patch(latest, node, {"ownerReferences": kept or None})

    async def _unblock(self, latest: Obj, node: Node) -> None:
        freed = [{**reference, "blockOwnerDeletion": False} for reference in owners_of(latest)]
        await self._patch(latest, node, {"ownerReferences": freed})

    async def _remove_finalizer(self, latest: Obj, node: Node, finalizer: str) -> None:
        if finalizer in finalizers_of(latest):
            kept = [entry for entry in finalizers_of(latest) if entry != finalizer]
            await self._patch(latest, node, {"finalizers": kept or None})

    async def _patch(self, latest: Obj, node: Node, change: Obj) -> None:
        body = {
            "metadata": {**change, "resourceVersion": latest["metadata"]["resourceVersion"], "uid": node.uid}
        }
        try:
            await self.client.patch(node.resource, node.name, node.namespace, body, type="merge")
        except StatusError as error:
            if error.code != 404:
                raise

    async def _delete(self, latest: Obj, node: Node, policy: str) -> None:
        log.debug("garbage collector: deleting %s %s (%s)", node.resource, key_of(latest), policy)
        try:
            await self.client.delete(
                node.resource, node.name, node.namespace, uid=node.uid, propagation_policy=policy
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise
