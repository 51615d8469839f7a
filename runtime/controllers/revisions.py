"""ControllerRevisions: the history of a StatefulSet's or DaemonSet's template.

After ``controller/history/controller_history.go``. A revision's data is the patch that ``kubectl rollout undo``
sends: the template, marked to replace what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runtime.client.informer import BY_CONTROLLER, Informer
from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import controller_reference, labels_of, name_of, namespace_of, uid_of

from .hashing import object_hash
from .lookup import ORPHANS
from .refs import Matches, RefManager

if TYPE_CHECKING:
    from runtime.client.client import Client

RESOURCE = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"
HISTORY_HASH = "controller.kubernetes.io/hash"
Objects = list[Obj]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def template_patch(owner: Obj) -> Obj:
    """The data of a revision: the owner's template as a patch that replaces.

    Its keys are sorted as Go's encoder sorts those of a map: ``kubectl rollout undo`` compares this patch's bytes
    with its own to find out whether a revision is what the owner has already.
    """
    return {"spec": {"template": _sorted({**owner["spec"]["template"], "$patch": "replace"})}}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def template_of(revision: Obj) -> Obj:
    """The pod template in a revision, as a copy."""
    template = meta.copy(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template


def by_number(revisions: Iterable[Obj]) -> list[Obj]:
    """Oldest number first."""
    return sorted(revisions, key=lambda entry: (int(entry.get("revision") or 0), name_of(entry)))


def next_number(revisions: Sequence[Obj]) -> int:
    """One more than the highest."""
    return max((int(entry.get("revision") or 0) for entry in revisions), default=0) + 1


class History:
    """The revisions of one owner."""

    def __init__(self, client: Client, owner: Obj, owner_resource: str, informer: Informer) -> None:
        self._client = client
        self._owner = owner
        self._resource = owner_resource
        self._informer = informer

    async def list(self, matches: Matches) -> list[Obj]:
        """The owner's revisions (orphans that match are adopted), oldest number first."""
        candidates = [
            *self._informer.by_index(BY_CONTROLLER, uid_of(self._owner)),
            *self._informer.by_index(ORPHANS, namespace_of(self._owner)),
        ]
        claims = RefManager(self._client, self._owner, self._resource, matches, RESOURCE)
        return by_number(await claims.claim(candidates))

    async def ensure(
        self,
        revisions: Sequence[Obj],
        collisions: int | None,
        label: Callable[[str], dict[str, str]],
        collided: Callable[[], None],
    ) -> Obj:
        """The revision of the owner's template as it is now: found, renumbered as the newest, or created.

        Args:
            revisions: what :meth:`list` gave.
            collisions: the owner's ``status.collisionCount``.
            label: the labels of a new revision, given its hash.
            collided: called when the name is taken by something else; the sync fails and is tried again.
        """
        data = template_patch(self._owner)
        equal = self.equal(revisions)
        number = next_number(revisions)
        if equal:
            newest = equal[-1]
            if int(newest.get("revision") or 0) == number - 1:
                return newest
            return await self._client.update({**newest, "revision": number})
        revision_hash = object_hash(data, collisions)
        annotations = {
            key: value for key, value in meta.annotations_of(self._owner).items() if key != LAST_APPLIED
        }
        wanted: Obj = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{name_of(self._owner)}-{revision_hash}",
                "namespace": namespace_of(self._owner),
                "labels": label(revision_hash),
                "ownerReferences": [controller_reference(self._owner)],
            },
            "data": data,
            "revision": number,
        }
        if annotations:
            wanted["metadata"]["annotations"] = annotations
        try:
            return await self._client.create(wanted, namespace_of(self._owner))
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
        found = await self._client.get(RESOURCE, name_of(wanted), namespace_of(self._owner))
        if found.get("data") == data:
            return found
        collided()
        raise StatusError(409, "Conflict", f'revision name "{name_of(wanted)}" is taken: trying another')

    async def truncate(self, revisions: Sequence[Obj], live: Iterable[str], limit: int | None) -> None:
        """Delete the oldest revisions beyond ``limit`` that no pod and no status names."""
        names = set(live)
        unused = [entry for entry in revisions if name_of(entry) not in names]
        excess = len(unused) - (10 if limit is None else int(limit))
        for entry in unused[: max(0, excess)]:
            await self.delete(entry)

    def equal(self, revisions: Sequence[Obj]) -> Objects:
        """Those of the owner's template as it is now, in the order given."""
        data = template_patch(self._owner)
        return [entry for entry in revisions if entry.get("data") == data]

    async def delete(self, revision: Obj) -> None:
        """Delete one; it is no failure when it is gone already."""
        try:
            await self._client.delete(
                RESOURCE, name_of(revision), namespace_of(revision), uid=uid_of(revision)
            )
        except StatusError as error:
            if error.code != 404:
                raise


def revision_hash(revision: Obj) -> str:
    """The hash that pods of this revision carry."""
    labels = labels_of(revision)
    return labels.get(HASH_LABEL) or labels.get(HISTORY_HASH) or ""
