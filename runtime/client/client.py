"""How parts of the cluster in this process call the API: its own operations, without HTTP between.

The semantics are the server's to the letter (authorization, admission, conflicts, durability); what is saved is
rendering and parsing. Objects that come back are the stored ones, shared with everybody: they are only to be read,
and whoever changes one takes ``meta.copy(obj)`` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from runtime.api.api import API
from runtime.api.context import BOOKMARK, ListOptions, RequestContext, User, WatchOptions
from runtime.api.watching import WatchStream
from runtime.objects.errors import Obj, bad_request, path_not_found
from runtime.objects.registry import Resource

Events = list[tuple[str, Obj]]


@dataclass(frozen=True, slots=True)
class ObjList:
    """A list's items, in order of namespace and name, and its resourceVersion."""

    items: list[Obj]
    resource_version: str


class ClientWatch:
    """A watch from this process. Use it as an async context manager or close it."""

    def __init__(self, stream: WatchStream) -> None:
        self._stream = stream
        self.resource_version = ""
        """The version up to which everything was delivered, as far as the events themselves tell."""

    async def next(self) -> Events:
        """The next events, at least one; an empty list when the watch has ended.

        Raises:
            StatusError: 410, the reader has to list again.
        """
        while batch := await self._stream.next():
            self.resource_version = str(batch[-1][1].version)
            events = [(kind, record.obj) for kind, record in batch if kind != BOOKMARK]
            if events:
                return events
        return []

    def close(self) -> None:
        """End the watch."""
        self._stream.close()

    async def __aenter__(self) -> ClientWatch:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Client:
    """One component's way to the API.

    Args:
        api: the operations.
        user: who the component is.
        field_manager: under which name its fields are managed; the user's name unless given.
        field_validation: what to do about unknown fields: ``Strict``, ``Warn`` or ``Ignore``.
    """

    def __init__(
        self, api: API, user: User, *, field_manager: str = "", field_validation: str = "Ignore"
    ) -> None:
        self._api = api
        self.user = user
        self._unconverted: dict[str, tuple[Resource, Resource]] = {}
        self.field_manager = field_manager or user.name.rpartition(":")[2]
        self._field_validation = field_validation

    # -- reading -------------------------------------------------------------------------------------------

    async def get(self, resource: str, name: str, namespace: str = "") -> Obj:
        """One object.

        Raises:
            StatusError: 404 if there is none.
        """
        return (await self._api.get(self._context(), self._find(resource), namespace, name)).obj

    async def list(
        self,
        resource: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
    ) -> ObjList:
        """All objects of a resource (``pods``, ``deployments.apps``), of one namespace or of all.

        Custom resources come as they are stored: no webhook is asked to convert them, so that nothing in this process
        waits for a webhook whose own pod may be waiting for it. Their metadata are what they are in every version.
        """
        options = ListOptions(
            label_selector=label_selector, field_selector=field_selector, resource_version=resource_version
        )
        result = await self._api.list(self._context(), self._as_stored(resource), namespace, options)
        return ObjList([record.obj for record in result.records], str(result.version))

    def watch(
        self,
        resource: str,
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> ClientWatch:
        """Changes after ``resource_version``; without one, what there is first. Versions are as in :meth:`list`.

        Raises:
            StatusError: 410 for a version that is no longer kept.
        """
        options = WatchOptions(
            label_selector=label_selector, field_selector=field_selector, resource_version=resource_version
        )
        return ClientWatch(self._api.watch(self._context(), self._as_stored(resource), namespace, options))

    # -- writing -------------------------------------------------------------------------------------------

    async def create(self, obj: Obj, namespace: str = "", *, dry_run: bool = False) -> Obj:
        """Create an object; its kind is named by apiVersion and kind.

        Raises:
            StatusError: 409 if it is there already, 422 for what is wrong with it, 403 from admission.
        """
        resource = self._kind(obj)
        place = namespace or _namespace(obj)
        return (await self._api.create(self._context(dry_run), resource, place, obj)).obj

    async def update(self, obj: Obj, *, dry_run: bool = False) -> Obj:
        """Replace an object.

        Raises:
            StatusError: 409 when its resourceVersion is not the newest.
        """
        return await self._update(obj, "", dry_run)

    async def update_status(self, obj: Obj) -> Obj:
        """Replace an object's status (and annotations), nothing else of it."""
        return await self._update(obj, "status", False)

    async def update_subresource(self, name: str, obj: Obj) -> Obj:
        """Replace what a subresource that takes the whole object is about, such as ``finalize``."""
        return await self._update(obj, name, False)

    async def _update(self, obj: Obj, subresource: str, dry_run: bool) -> Obj:
        metadata = obj["metadata"]
        answer = await self._api.update(
            self._context(dry_run),
            self._kind(obj),
            metadata.get("namespace") or "",
            metadata["name"],
            obj,
            subresource=subresource,
        )
        return answer.obj

    async def patch(
        self,
        resource: str,
        name: str,
        namespace: str,
        body: Any,
        *,
        type: str = "merge",
        subresource: str = "",
    ) -> Obj:
        """Change an object by a ``merge``, ``json`` or ``strategic`` patch given as data."""
        answer = await self._api.patch(
            self._context(), self._find(resource), namespace, name, body, type, subresource=subresource
        )
        return answer.obj

    async def apply(
        self,
        obj: Obj,
        *,
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
        subresource: str = "",
    ) -> Obj:
        """Server-side apply: make these fields so, and no longer those applied before.

        Raises:
            StatusError: 409 with the fields that other managers hold, unless forced.
        """
        ctx = self._context(dry_run)
        if field_manager:
            ctx.field_manager = field_manager
        answer = await self._api.patch(
            ctx,
            self._kind(obj),
            _namespace(obj),
            obj["metadata"]["name"],
            obj,
            "apply",
            subresource=subresource,
            force=force,
        )
        return answer.obj

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> Obj:
        """Delete an object; gives it back while something holds it, else what says that it is gone.

        Raises:
            StatusError: 404 if there is none, 409 when it is not the one meant.
        """
        options = _delete_options(uid, resource_version, grace_period_seconds, propagation_policy)
        return (await self._api.delete(self._context(), self._find(resource), namespace, name, options)).obj

    async def delete_collection(
        self,
        resource: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> Obj:
        """Delete everything that such a list shows; gives that list."""
        answer = await self._api.delete_collection(
            self._context(),
            self._find(resource),
            namespace,
            ListOptions(label_selector=label_selector, field_selector=field_selector),
            _delete_options("", "", grace_period_seconds, propagation_policy),
        )
        return answer.obj

    async def create_subresource(
        self, resource: str, name: str, namespace: str, subresource: str, body: Obj
    ) -> Obj:
        """Create below an object: ``binding``, ``eviction``, ``token``."""
        answer = await self._api.create(
            self._context(), self._find(resource), namespace, body, subresource=subresource, name=name
        )
        return answer.obj

    # -- inside --------------------------------------------------------------------------------------------

    def _context(self, dry_run: bool = False) -> RequestContext:
        return RequestContext(self.user, self.field_manager, dry_run, self._field_validation)

    def _find(self, resource: str) -> Resource:
        registry = self._api.registry
        found = registry.find(resource)
        if found is None:
            raise path_not_found()
        if found.convert is not None and found.custom is not None:
            return registry.by_path(found.group, found.custom.storage_version, found.plural) or found
        return found

    def _as_stored(self, resource: str) -> Resource:
        found = self._find(resource)
        settle = found.from_storage
        if found.convert is None or settle is None:
            return found
        known = self._unconverted.get(resource)
        if known is None or known[0] is not found:
            # A function of its own: what is remembered of conversions is told apart by it.
            plain = replace(found, convert=None, from_storage=lambda obj: settle(obj))
            known = self._unconverted[resource] = (found, plain)
        return known[1]

    def _kind(self, obj: Mapping[str, Any]) -> Resource:
        found = self._api.registry.by_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
        if found is None:
            raise bad_request(
                f'no kind "{obj.get("kind", "")}" is registered for version "{obj.get("apiVersion", "")}"'
            )
        return found


def _namespace(obj: Obj) -> str:
    return str((obj.get("metadata") or {}).get("namespace") or "")


def _delete_options(uid: str, version: str, grace: int | None, policy: str) -> Obj:
    options: Obj = {}
    expected = {key: value for key, value in (("uid", uid), ("resourceVersion", version)) if value}
    if expected:
        options["preconditions"] = expected
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if policy:
        options["propagationPolicy"] = policy
    return options
