"""The API's operations: authorize, dispatch to the room that knows, answer.

Everything that reads or writes the cluster comes through here, over HTTP or from this process; the HTTP server and
the client are thin shells around it. What this class adds to the parts it is made of is the order of things:
who may, which path, which object, and only then the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError, bad_request, conflict, method_not_allowed
from runtime.objects.registry import Resource
from runtime.objects.schema import decode
from runtime.store import Key, Record, VersionMismatch

from . import connect, fields, patching, subresources
from .admission.chain import CREATE, Attributes
from .computed import compute, list_computed
from .context import Answer, ListOptions, ListResult, RequestContext, WatchOptions
from .deleting import check_options
from .listing import list_objects
from .metadata import check_kind, check_name
from .node import NodeConnection
from .scaling import Scaling
from .serving import served_by_now
from .subresources import scale_answer
from .watching import WatchStream
from .writing import Planned, missing, report_unknown


class API(Scaling):
    """The operations of the API server.

    Args:
        registry: all kinds served.
        store: where objects are kept.
        clock: the time.
        nodes: kubelets by node name, for logs, exec, attach and port-forward.
        token_issuer: signs and reads ServiceAccount tokens; may be set later.
        admission: the admission chain; upstream's default plugins unless given.
        service_cidr: where cluster addresses come from.
        reserved_addresses: service addresses that are only given to who names them; those of the API itself (the
            first of the range) and of the DNS (the tenth) unless given.
    """

    # -- reading -------------------------------------------------------------------------------------------

    async def get(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, *, subresource: str = ""
    ) -> Answer:
        """One object, or its ``scale``, ``status``, ….

        Raises:
            StatusError: 403, 404, or 405 where the subresource can't be read.
        """
        self.authorize(ctx, "get", resource, namespace, name, subresource)
        if subresource:
            self._subresource(resource, subresource, "get")
        computed = self.computed.get(resource.group_resource)
        if computed is not None:
            found = await compute(computed, namespace, name)
            if found is None:
                raise missing(resource, name)
            return Answer(found)
        record = self.store.get(self._key(resource, namespace, name))
        if record is None:
            raise missing(resource, name)
        if subresource == "scale":
            return scale_answer(resource, await served_by_now(resource, record))
        return Answer.of(await served_by_now(resource, record))

    async def list(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions
    ) -> ListResult:
        """Objects in order of namespace and name, whole or in pages.

        Raises:
            StatusError: 400, 403, 405, 410, 422 or 504, see :func:`.listing.list_objects`.
        """
        self._verb(resource, "list")
        self.authorize(ctx, "list", resource, namespace, _named(options.field_selector))
        computed = self.computed.get(resource.group_resource)
        if computed is not None:
            return await list_computed(computed, resource, namespace, options, self.store.revision)
        return await list_objects(self.store, resource, namespace, options, self.compaction.oldest)

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: WatchOptions
    ) -> WatchStream:
        """Changes as they become durable. Close the stream when done.

        Raises:
            StatusError: 400, 403, 405, 410, 422 or 504, see :class:`.watching.WatchStream`.
        """
        self._verb(resource, "watch")
        self.authorize(ctx, "watch", resource, namespace, _named(options.field_selector))
        stream = WatchStream(self.store, resource, namespace, options, self.clock)
        if stream.defined_by:
            self._custom_watches.add(stream)
        return stream

    # -- writing -------------------------------------------------------------------------------------------

    async def create(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        obj: Obj,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Answer:
        """Create an object, or what a subresource creates (binding, eviction, token); answers reviews.

        Raises:
            StatusError: whatever is wrong with it.
        """
        self.authorize(ctx, "create", resource, namespace, name, subresource)
        if subresource:
            return await self._create_subresource(ctx, resource, namespace, name, subresource, obj)
        self._verb(resource, "create")
        obj = dict(obj) if isinstance(obj, dict) else obj
        check_kind(resource, obj)
        if not resource.stored:
            return await self._ask(ctx, resource, namespace, obj)
        clean = self._writer.read_body(ctx, resource, obj)
        if resource.group_resource == "pods":
            await self._wait_for_default_account(namespace, clean)
        key = self._key(resource, namespace, meta.name_of(clean))
        return await self._carry_out(key, lambda: self._writer.create(ctx, resource, namespace, clean))

    async def update(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        obj: Obj,
        *,
        subresource: str = "",
    ) -> Answer:
        """Replace an object, or the part of it that a subresource is about.

        Raises:
            StatusError: 409 for a stale resourceVersion, and whatever else is wrong.
        """
        self.authorize(ctx, "update", resource, namespace, name, subresource)
        if subresource:
            self._subresource(resource, subresource, "update")
        else:
            self._verb(resource, "update")
        key = self._key(resource, namespace, name)
        again = self._may_wait(resource)

        async def attempt() -> Answer:
            body = meta.copy(obj) if again else obj
            if subresource == "scale":
                return await self._update_scale(ctx, resource, namespace, name, key, body)
            return await self._update(ctx, resource, namespace, name, key, body, subresource)

        return await self._until_stored(resource, name, attempt)

    async def _update(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        key: Key,
        obj: Obj,
        subresource: str,
    ) -> Answer:
        obj = dict(obj) if isinstance(obj, dict) else obj
        check_kind(resource, obj)
        record = self.store.latest(key)
        if subresource == "status" and record is not None:
            current = await self._served(resource, record)
            clean = self._read_status(ctx, resource, obj, current)
        else:
            clean = self._writer.read_body(ctx, resource, obj)
        if record is None:
            if subresource or not resource.strategy.allow_create_on_update:
                check_name(name, namespace if resource.namespaced else "", clean.get("metadata") or {})
                raise await self._not_there(resource, key)
            return await self._create_instead(ctx, resource, namespace, name, clean)
        return await self._carry_out(
            key, lambda: self._writer.update(ctx, resource, namespace, name, clean, record, subresource)
        )

    async def patch(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        body: bytes | Any,
        patch_type: str,
        *,
        subresource: str = "",
        force: bool | None = None,
    ) -> Answer:
        """Change an object by a patch; an apply creates it where it is missing.

        Args:
            ctx: the request.
            resource: its kind.
            namespace: its namespace, or ``""``.
            name: its name.
            body: the patch, as JSON text or as data.
            patch_type: a media type, or ``json``, ``merge``, ``strategic``, ``apply``.
            subresource: the subresource that is patched.
            force: for an apply, whether to take fields from other managers.

        Raises:
            StatusError: whatever is wrong with it.
        """
        self.authorize(ctx, "patch", resource, namespace, name, subresource)
        if subresource:
            self._subresource(resource, subresource, "patch")
        else:
            self._verb(resource, "patch")
        media_type = patching.patch_type_of(patch_type, resource)
        patching.check_patch_options(ctx, media_type, force)
        patch = patching.read_patch(body, media_type)
        key = self._key(resource, namespace, name)

        async def attempt() -> Answer:
            record = self.store.latest(key)
            if media_type == patching.APPLY_PATCH:
                return await self._apply(
                    ctx, resource, namespace, name, patch, record, subresource, bool(force)
                )
            if record is None:
                raise await self._not_there(resource, key)
            return await self._patch(ctx, resource, namespace, name, patch, media_type, record, subresource)

        return await self._until_stored(resource, name, attempt)

    async def _patch(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        media_type: str,
        record: Record,
        subresource: str,
    ) -> Answer:
        current = await self._served(resource, record)
        if subresource == "scale":
            return await self._patch_scale(ctx, resource, namespace, name, patch, media_type, current, record)
        patched = patching.apply_patch(resource, current, patch, media_type)
        shown = patch if media_type == patching.STRATEGIC_PATCH else None
        if subresource == "status":
            clean = self._read_status(ctx, resource, patched, current, patched=True, patch=shown)
        else:
            clean = patching.read_patched(ctx, resource, patched, patch=shown)
            resource.strategy.default(clean)
        return await self._carry_out(
            record.key,
            lambda: self._writer.update(
                ctx, resource, namespace, name, clean, record, subresource, patched=True
            ),
        )

    async def delete(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: Obj
    ) -> Answer:
        """Delete an object with DeleteOptions (``{}`` for none).

        The answer is the object while something still holds it, else the Status that says it is gone (or the last
        state, for the kinds that answer with it).

        Raises:
            StatusError: 404, 409 for a failed precondition, 422 for options that are not allowed.
        """
        self._verb(resource, "delete")
        self.authorize(ctx, "delete", resource, namespace, name)
        check_options(options)
        if options.get("dryRun"):
            ctx.dry_run = True
        key = self._key(resource, namespace, name)

        async def attempt() -> Answer:
            record = self.store.latest(key)
            if record is None:
                raise await self._not_there(resource, key)
            return await self._carry_out(key, lambda: self._writer.delete(ctx, resource, record, options))

        return await self._until_stored(resource, name, attempt)

    async def delete_collection(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        list_options: ListOptions,
        delete_options: Obj,
    ) -> Answer:
        """Delete all objects that a list with these options shows; answers with that list.

        Raises:
            StatusError: as :meth:`list` and :meth:`delete` do.
        """
        self._verb(resource, "deletecollection")
        self.authorize(ctx, "deletecollection", resource, namespace, "")
        check_options(delete_options)
        if delete_options.get("dryRun"):
            ctx.dry_run = True
        listed = await list_objects(self.store, resource, namespace, list_options, self.compaction.oldest)
        await self._delete_all(ctx, resource, [record.key for record in listed.records], delete_options)
        return Answer(
            {
                "kind": resource.list_kind,
                "apiVersion": resource.api_version,
                "metadata": {"resourceVersion": str(listed.version)},
                "items": [record.obj for record in listed.records],
            }
        )

    async def _delete_all(
        self, ctx: RequestContext, resource: Resource, keys: Sequence[Key], options: Obj
    ) -> None:
        """Delete what is there of these; the first refusal is told when all were tried."""
        plans: list[Planned] = []
        refused: list[StatusError] = []

        async def plan(key: Key) -> None:
            for _ in range(_COLLECTION_STEP):
                record = self.store.latest(key)
                if record is None:
                    return
                try:
                    plans.append(await self._writer.delete(ctx, resource, record, options))
                except VersionMismatch:
                    continue
                except StatusError as error:
                    refused.append(error)
                return

        together = _ASKED_TOGETHER if self._may_wait(resource) else 1
        for start in range(0, len(keys), together):
            if together == 1:
                await plan(keys[start])
            else:
                await asyncio.gather(*map(plan, keys[start : start + together]))
            if start % _COLLECTION_STEP == _COLLECTION_STEP - together:
                await asyncio.sleep(0)  # thousands of deletions must not keep the loop to themselves
        for planned in plans:
            await self._writer.wait(planned)
        if refused:
            raise refused[0]

    # -- nodes ---------------------------------------------------------------------------------------------

    def node_connection(self, pod: Obj) -> NodeConnection:
        """The kubelet that runs a pod.

        Raises:
            StatusError: 400 for a pod without a node, 503 when its kubelet is not there.
        """
        return connect.node_connection(self.nodes, pod)

    # -- inside --------------------------------------------------------------------------------------------

    @staticmethod
    def _read_status(
        ctx: RequestContext,
        resource: Resource,
        obj: Obj,
        current: Obj,
        *,
        patched: bool = False,
        patch: Any = None,
    ) -> Obj:
        """The object that a status update or patch asks for.

        Only its status and metadata can matter, so only they are taken; the rest, and metadata that was handed
        through unchanged, are the stored object's own.
        """
        if ctx.owns_body and not patched:
            # A body from outside is read whole: what is wrong anywhere in it has to be said.
            obj, unknown = decode(resource, obj)
            report_unknown(ctx, resource, unknown)
        part: Obj = {field: obj[field] for field in ("apiVersion", "kind", "status") if field in obj}
        untouched = obj.get("metadata") is current["metadata"]
        if not untouched:
            part["metadata"] = obj.get("metadata")
        if patched:
            clean = patching.read_patched(ctx, resource, part, patch=patch)
        else:
            clean, unknown = decode(resource, part if ctx.owns_body else meta.copy(part))
            report_unknown(ctx, resource, unknown)
        if untouched:
            clean["metadata"] = dict(current["metadata"])
        for field, value in current.items():
            if field not in clean and field != "status":
                clean[field] = value
        return clean

    async def _apply(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        applied: Obj,
        record: Record | None,
        subresource: str,
        force: bool,
    ) -> Answer:
        """Server-side apply: merge what this manager wants into the object, or create it."""
        current = await self._served(resource, record) if record is not None else None
        if current is None and subresource:
            raise await self._not_there(resource, self._key(resource, namespace, name))
        new = fields.apply(ctx, resource, current, applied, subresource, self.clock.now(), force=force)
        clean = patching.read_patched(ctx, resource, new)
        resource.strategy.default(clean)
        if record is None:
            uid = clean["metadata"].get("uid")
            if uid:
                why = (
                    f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                )
                raise conflict(resource.plural, name, why, resource.group)
            return await self._create_instead(ctx, resource, namespace, name, clean, managed=True)
        if subresource == "scale":
            assert current is not None
            return await self._store_scale(
                ctx, resource, namespace, name, clean, current, record, managed=True
            )
        return await self._carry_out(
            record.key,
            lambda: self._writer.update(
                ctx, resource, namespace, name, clean, record, subresource, managed=True, patched=True
            ),
        )

    async def _ask(self, ctx: RequestContext, resource: Resource, namespace: str, obj: Obj) -> Answer:
        clean, unknown = decode(resource, obj)
        report_unknown(ctx, resource, unknown)
        if resource.kind == "Binding":
            name = meta.name_of(clean)
            key = Key("pods", namespace, name)
            asked = Attributes(ctx, CREATE, resource, "", namespace, name, clean, None, self.view)
            binding = await self._chain.ask(asked)
            return await self._carry_out(key, lambda: self._pods.bind(ctx, namespace, name, binding))
        return Answer(self._reviews.answer(ctx, resource, namespace, clean), 201)

    async def _create_subresource(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        subresource: str,
        obj: Obj,
    ) -> Answer:
        sub = self._subresource(resource, subresource, "create")
        make = self._makers().get((resource.plural, subresource))
        if make is None:
            raise method_not_allowed(f"{resource.plural}/{subresource}", "create", resource.group)
        if not isinstance(obj, dict):
            raise bad_request("the body of the request has to be an object")
        key = self._key(resource, namespace, name)
        version = f"{sub.group}/{sub.version}" if sub.group else sub.version
        given = {"kind": sub.kind, "apiVersion": version, **obj}
        asked = Attributes(ctx, CREATE, resource, subresource, namespace, name, given, None, self.view)
        asked.kind = (sub.group, sub.version, sub.kind)
        made = await self._chain.ask(asked)
        return await self._carry_out(key, lambda: make(ctx, resource, namespace, name, made))

    def _makers(
        self,
    ) -> dict[tuple[str, str], Callable[[RequestContext, Resource, str, str, Obj], Awaitable[Planned]]]:
        async def token(ctx: RequestContext, _: Resource, namespace: str, name: str, obj: Obj) -> Planned:
            made = subresources.request_token(self.token_issuer, self.view, namespace, name, obj)
            return Planned(Answer(made, 201))

        return {
            ("pods", "binding"): lambda ctx, _, ns, name, obj: self._pods.bind(ctx, ns, name, obj),
            ("pods", "eviction"): self._pods.evict,
            ("serviceaccounts", "token"): token,
        }


_COLLECTION_STEP = 100
_ASKED_TOGETHER = 20
"""How many objects of a collection webhooks are asked about at the same time."""


def _named(field_selector: str) -> str:
    """The object that a selector of one exact name is about: RBAC's resourceNames hold for it."""
    prefix = "metadata.name="
    if field_selector.startswith(prefix) and "," not in field_selector:
        return field_selector[len(prefix) :].lstrip("=")
    return ""
