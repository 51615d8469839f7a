"""Who controls what: adopting orphans that match a selector and releasing what no longer does.

After ``controller_ref_manager.go``. An adoption is preceded by one live read of the owner, so that an owner that
is being deleted (or was replaced by another of the same name) never takes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from runtime.objects.errors import Obj, StatusError
from runtime.objects.meta import (
    controller_of,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)

if TYPE_CHECKING:
    from runtime.client.client import Client

Matches = Callable[[Mapping[str, str]], bool]


class RefManager:
    """Claims objects for one owner during one sync."""

    def __init__(
        self,
        client: Client,
        owner: Obj,
        owner_resource: str,
        matches: Matches,
        resource: str,
        *,
        finalizers: Iterable[str] = (),
    ) -> None:
        self._client = client
        self._owner = owner
        self._owner_resource = owner_resource
        self._uid = uid_of(owner)
        self._matches = matches
        self._resource = resource
        self._finalizers = list(finalizers)
        self._may_adopt: bool | None = None

    async def claim(self, objects: Iterable[Obj], wanted: Callable[[Obj], bool] | None = None) -> list[Obj]:
        """Those of ``objects`` that the owner controls, after adoptions and releases.

        ``wanted`` is a further condition for adopting and keeping (ReplicaSets want active pods only).

        Raises:
            StatusError: an adoption or release was refused.
        """
        claimed: list[Obj] = []
        uid = self._uid
        deleting = is_deleting(self._owner)
        for obj in objects:
            reference = controller_of(obj)
            if reference is not None:
                if reference.get("uid") != uid:
                    continue
                if self._matches(labels_of(obj)) and (wanted is None or wanted(obj)):
                    claimed.append(obj)
                elif not deleting and not self._matches(labels_of(obj)):
                    await self._release(obj)
            elif (
                not deleting
                and self._matches(labels_of(obj))
                and not is_deleting(obj)
                and namespace_of(obj) == namespace_of(self._owner)
                and (wanted is None or wanted(obj))
            ):
                adopted = await self._adopt(obj)
                if adopted is not None:
                    claimed.append(adopted)
        return claimed

    async def _check_owner(self) -> bool:
        if self._may_adopt is None:
            try:
                fresh = await self._client.get(
                    self._owner_resource, name_of(self._owner), namespace_of(self._owner)
                )
            except StatusError as error:
                if error.code != 404:
                    raise
                self._may_adopt = False
            else:
                self._may_adopt = uid_of(fresh) == self._uid and not is_deleting(fresh)
        return self._may_adopt

    async def _adopt(self, obj: Obj) -> Obj | None:
        if not await self._check_owner():
            return None
        meta: Obj = {"uid": uid_of(obj), "ownerReferences": [controller_reference(self._owner)]}
        if self._finalizers:
            meta["finalizers"] = self._finalizers
        try:
            return await self._client.patch(
                self._resource, name_of(obj), namespace_of(obj), {"metadata": meta}, type="strategic"
            )
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    async def _release(self, obj: Obj) -> None:
        meta: Obj = {"uid": uid_of(obj), "ownerReferences": [{"$patch": "delete", "uid": self._uid}]}
        if self._finalizers:
            meta["$deleteFromPrimitiveList/finalizers"] = self._finalizers
        try:
            await self._client.patch(
                self._resource, name_of(obj), namespace_of(obj), {"metadata": meta}, type="strategic"
            )
        except StatusError as error:
            if error.code not in (404, 422):  # gone, or replaced by another of its name
                raise
