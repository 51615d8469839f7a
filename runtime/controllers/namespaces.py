"""Namespaces: emptied before they go, and furnished with what every one of them has.

After ``namespace/deletion/namespaced_resources_deleter.go`` (pods first, then everything else, five conditions),
``serviceaccount/serviceaccounts_controller.go`` (the ``default`` ServiceAccount) and
``certificates/rootcacertpublisher/publisher.go`` (``kube-root-ca.crt``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.client.informer import Delta
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import finalizers_of, is_deleting, name_of, namespace_of

from .context import BaseController, Context, namespace_terminating

FINALIZER = "kubernetes"
FINALIZER_ESTIMATE = 15
ROOT_CA = "kube-root-ca.crt"
ROOT_CA_NOTE = "kubernetes.io/description"
ROOT_CA_TEXT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
    "Kubernetes clusters."
)


@dataclass(slots=True)
class Remains:
    """What a deletion pass left behind."""

    remaining: dict[str, int] = field(default_factory=dict)
    finalizers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    estimate: int = 0


def deletion_conditions(remains: Remains, old: Sequence[Obj], now: str) -> list[Obj]:
    """The five conditions of a terminating namespace; transition times kept where the status is the same."""
    wanted = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "",
            "",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            ", ".join(sorted(remains.failures))
            and "Failed to delete all resource types, "
            f"{len(remains.failures)} remaining: {', '.join(sorted(remains.failures))}",
            "ContentDeletionFailed",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            ", ".join(
                f"{name} has {count} resource instances" for name, count in sorted(remains.remaining.items())
            ),
            "SomeResourcesRemain",
            "ContentRemoved",
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            ", ".join(
                f"{name} in {count} resource instances" for name, count in sorted(remains.finalizers.items())
            ),
            "SomeFinalizersRemain",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ]
    heads = {
        "NamespaceContentRemaining": "Some resources are remaining: ",
        "NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: ",
    }
    known = {entry["type"]: entry for entry in old}
    result: list[Obj] = [entry for entry in old if not entry["type"].startswith("Namespace")]
    for kind, trouble, bad, good, fine in wanted:
        status = "True" if trouble else "False"
        before = known.get(kind)
        since = before["lastTransitionTime"] if before is not None and before["status"] == status else now
        result.append(
            {
                "type": kind,
                "status": status,
                "lastTransitionTime": since,
                "reason": bad if trouble else good,
                "message": heads.get(kind, "") + trouble if trouble else fine,
            }
        )
    return result


class NamespaceController(BaseController):
    """Empties a namespace that is being deleted, then lifts its finalizer."""

    name = "namespace"
    workers = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.namespaces = context.informers.informer("namespaces")
        self.pods = context.informers.pods()
        self.namespaces.add_handler(self._on_namespaces)
        self.pods.add_handler(self._on_pods)

    def _on_namespaces(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is not None and is_deleting(delta.new):
                self.queue.add(name_of(delta.new))

    def _on_pods(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is None:
                namespace = namespace_of(delta.obj)
                found = self.namespaces.get(namespace)
                if found is not None and is_deleting(found) and not self.pods.list(namespace):
                    self.queue.add(namespace)

    async def sync(self, key: str) -> float | None:
        """One pass over a terminating namespace's contents."""
        try:
            namespace = await self.client.get("namespaces", key)
        except StatusError as error:
            if error.code == 404:
                return None
            raise
        if not is_deleting(namespace):
            return None
        if (namespace.get("status") or {}).get("phase") != "Terminating":
            status = {**(namespace.get("status") or {}), "phase": "Terminating"}
            namespace = await self.client.update_status({**namespace, "status": status})
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return None
        remains = await self._empty(key)
        namespace = await self._conditions(namespace, remains)
        if remains.failures or remains.remaining:
            return float(min(remains.estimate, FINALIZER_ESTIMATE)) / 2 + 0.2
        changed = meta.copy(namespace)
        changed["spec"]["finalizers"] = [f for f in changed["spec"]["finalizers"] if f != FINALIZER]
        await self.client.update_subresource("finalize", changed)
        return None

    async def _empty(self, namespace: str) -> Remains:
        remains = Remains()
        await self._delete_kind("pods", "v1", namespace, remains)
        if remains.remaining or remains.failures:
            return remains
        done = {"pods"}
        for resource in self.context.registry:
            name = resource.group_resource
            if (
                name in done
                or not resource.namespaced
                or not resource.stored
                or (resource.storage and resource.storage != name)
                or "delete" not in resource.verbs
            ):
                continue
            done.add(name)
            await self._delete_kind(name, resource.version, namespace, remains)
        return remains

    async def _delete_kind(self, resource: str, version: str, namespace: str, remains: Remains) -> None:
        listing = await self.client.list(resource, namespace)
        if not listing.items:
            return
        try:
            await self.client.delete_collection(resource, namespace)
        except StatusError as error:
            remains.failures.append(f"{resource}: {error.message}")
            return
        listing = await self.client.list(resource, namespace)
        label = resource if "." in resource else f"{resource}."
        for obj in listing.items:
            remains.remaining[label] = remains.remaining.get(label, 0) + 1
            estimate = int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
            for finalizer in finalizers_of(obj):
                remains.finalizers[finalizer] = remains.finalizers.get(finalizer, 0) + 1
                estimate = FINALIZER_ESTIMATE
            remains.estimate = max(remains.estimate, estimate)

    async def _conditions(self, namespace: Obj, remains: Remains) -> Obj:
        old = (namespace.get("status") or {}).get("conditions") or []
        if not old and not remains.remaining and not remains.failures:
            return namespace  # it goes now: nobody would read them
        conditions = deletion_conditions(remains, old, self.context.stamp())
        if conditions == old:
            return namespace
        status = {**namespace["status"], "conditions": conditions}
        return await self.client.update_status({**namespace, "status": status})


class ServiceAccountController(BaseController):
    """Sees to it that every active namespace has its ``default`` ServiceAccount."""

    name = "serviceaccount"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.namespaces = context.informers.informer("namespaces")
        self.accounts = context.informers.informer("serviceaccounts")
        self.namespaces.add_handler(self._on_namespaces)
        self.accounts.add_handler(self._on_accounts)

    def _on_namespaces(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is not None and (old is None or not is_deleting(new)):
                self.queue.add(name_of(new))

    def _on_accounts(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if delta.new is None and name_of(delta.obj) == "default":
                self.queue.add(namespace_of(delta.obj))

    async def sync(self, key: str) -> float | None:
        """Make the account if the namespace stays and has none."""
        namespace = self.namespaces.get(key)
        if namespace is None or is_deleting(namespace) or self.accounts.get(f"{key}/default") is not None:
            return None
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": key},
        }
        await _create_quietly(self, account, key)
        return None


class RootCAPublisher(BaseController):
    """Publishes the cluster's CA certificate as a ConfigMap in every namespace."""

    name = "root-ca-cert-publisher"
    workers = 1

    def __init__(self, context: Context, root_ca: str) -> None:
        super().__init__(context)
        self.root_ca = root_ca
        self.namespaces = context.informers.informer("namespaces")
        self.maps = context.informers.informer("configmaps")
        self.namespaces.add_handler(self._on_namespaces)
        self.maps.add_handler(self._on_maps)

    def _on_namespaces(self, deltas: Sequence[Delta]) -> None:
        for old, new in deltas:
            if new is not None and (old is None or not is_deleting(new)):
                self.queue.add(name_of(new))

    def _on_maps(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if name_of(delta.obj) == ROOT_CA:
                self.queue.add(namespace_of(delta.obj))

    async def sync(self, key: str) -> float | None:
        """Make the ConfigMap, or put its data right."""
        namespace = self.namespaces.get(key)
        if namespace is None or is_deleting(namespace):
            return None
        data = {"ca.crt": self.root_ca}
        found = self.maps.get(f"{key}/{ROOT_CA}")
        if found is None:
            wanted = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": ROOT_CA, "namespace": key, "annotations": {ROOT_CA_NOTE: ROOT_CA_TEXT}},
                "data": data,
            }
            await _create_quietly(self, wanted, key)
        elif found.get("data") != data or meta.annotations_of(found).get(ROOT_CA_NOTE) != ROOT_CA_TEXT:
            changed = meta.copy(found)
            changed["data"] = data
            changed["metadata"].setdefault("annotations", {})[ROOT_CA_NOTE] = ROOT_CA_TEXT
            await self.client.update(changed)
        return None


async def _create_quietly(controller: BaseController, obj: Obj, namespace: str) -> None:
    try:
        await controller.client.create(obj, namespace)
    except StatusError as error:
        if error.reason != "AlreadyExists" and error.code != 404 and not namespace_terminating(error):
            raise
