"""The API's operations: authorize, dispatch to the room that knows, answer.

Everything that reads or writes the cluster comes through here, over HTTP or from this process; the HTTP server and
the client are thin shells around it. What this class adds to the parts it is made of is the order of things:
who may, which path, which object, and only then the work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.objects import meta
from runtime.objects.clock import Clock
from runtime.objects.errors import Obj, StatusError, bad_request, method_not_allowed, path_not_found
from runtime.objects.registry import Registry, Resource, Subresource
from runtime.objects.schema import decode
from runtime.store import Key, Record, Store

from . import connect, fields, patching, subresources
from .admission import default_chain
from .admission.chain import Chain
from .authorization import Authorizer
from .context import Answer, ListOptions, ListResult, RequestContext, TokenIssuer, WatchOptions
from .deleting import check_options
from .listing import list_objects
from .metadata import check_kind, private_metadata
from .node import NodeConnection, Nodes
from .reviews import Reviews
from .rules import Request
from .subresources import PodSubresources, read_scale, rescaled, scale_answer, scale_of
from .view import StoreView
from .watching import WatchStream
from .writing import Planned, Writer, missing, report_unknown

_DEFAULT_ACCOUNT_TRIES = 10
_DEFAULT_ACCOUNT_PAUSE = 0.1
"""How often and how long a pod waits for its new namespace's default ServiceAccount, in seconds."""


class API:
    """The operations of the API server.

    Args:
        registry: all kinds served.
        store: where objects are kept.
        clock: the time.
        nodes: kubelets by node name, for logs, exec, attach and port-forward.
        token_issuer: signs and reads ServiceAccount tokens; may be set later.
        admission: the admission chain; upstream's default plugins unless given.
        service_cidr: where cluster addresses come from.
        reserved_addresses: service addresses that are only given to who names them.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        clock: Clock,
        *,
        nodes: Nodes,
        token_issuer: TokenIssuer | None = None,
        admission: Chain | None = None,
        service_cidr: str = "10.96.0.0/16",
        reserved_addresses: tuple[str, ...] = ("10.96.0.1", "10.96.0.10"),
    ) -> None:
        self.registry = registry
        self.store = store
        self.clock = clock
        self.nodes = nodes
        self.view = StoreView(store)
        self.authorizer = Authorizer(self.view)
        self._chain = admission or default_chain(service_cidr, reserved_addresses)
        self._writer = Writer(store, clock, self._chain, self.view, self.authorizer)
        self._pods = PodSubresources(store, self.view, clock, self._writer)
        self._reviews = Reviews(self.authorizer, token_issuer)

    @property
    def token_issuer(self) -> TokenIssuer | None:
        """Who signs and reads ServiceAccount tokens."""
        return self._reviews.issuer

    @token_issuer.setter
    def token_issuer(self, issuer: TokenIssuer | None) -> None:
        self._reviews.issuer = issuer

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
        record = self.store.get(self._key(resource, namespace, name))
        if record is None:
            raise missing(resource, name)
        if subresource == "scale":
            return scale_answer(resource, record)
        return self._answer(resource, record)

    async def list(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions
    ) -> ListResult:
        """Objects in order of namespace and name, whole or in pages.

        Raises:
            StatusError: 400, 403, 405, 410, 422 or 504, see :func:`.listing.list_objects`.
        """
        self._verb(resource, "list")
        self.authorize(ctx, "list", resource, namespace, _named(options.field_selector))
        return list_objects(self.store, resource, namespace, options)

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: WatchOptions
    ) -> WatchStream:
        """Changes as they become durable. Close the stream when done.

        Raises:
            StatusError: 400, 403, 405, 410, 422 or 504, see :class:`.watching.WatchStream`.
        """
        self._verb(resource, "watch")
        self.authorize(ctx, "watch", resource, namespace, _named(options.field_selector))
        return WatchStream(self.store, resource, namespace, options, self.clock)

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
        if resource.plural == "pods":
            await self._wait_for_default_account(namespace, clean)
        return await self._writer.wait(self._writer.create(ctx, resource, namespace, clean))

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
        if subresource == "scale":
            return await self._update_scale(ctx, resource, namespace, name, key, obj)
        obj = dict(obj) if isinstance(obj, dict) else obj
        check_kind(resource, obj)
        clean = self._read_whole(ctx, resource, obj, subresource)
        record = self.store.latest(key)
        if record is None:
            if subresource or not resource.strategy.allow_create_on_update:
                raise missing(resource, name)
            return await self._create_instead(ctx, resource, namespace, name, clean)
        if subresource == "status":
            _complete(clean, self._served(resource, record))
        return await self._writer.wait(
            self._writer.update(ctx, resource, namespace, name, clean, record, subresource)
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
        media_type = patching.patch_type_of(patch_type)
        patching.check_patch_options(ctx, media_type, force)
        patch = patching.read_patch(body, media_type)
        key = self._key(resource, namespace, name)
        record = self.store.latest(key)
        if media_type == patching.APPLY_PATCH:
            return await self._apply(ctx, resource, namespace, name, patch, record, subresource, bool(force))
        if record is None:
            raise missing(resource, name)
        current = self._served(resource, record)
        if subresource == "scale":
            assert resource.scale is not None
            scale = scale_of(resource.scale, current)
            patched = patching.apply_patch(_SCALE, scale, patch, media_type)
            wanted = read_scale(ctx, resource, patched)
            new = rescaled(resource, namespace, name, current, wanted, patched=True)
            return await self._store_scale(ctx, resource, namespace, name, new, record)
        patched = patching.apply_patch(resource, current, patch, media_type)
        if subresource == "status":
            clean = patching.read_patched(ctx, resource, _status_part(patched))
            _complete(clean, current)
        else:
            clean = patching.read_patched(ctx, resource, patched)
            resource.strategy.default(clean)
        return await self._writer.wait(
            self._writer.update(ctx, resource, namespace, name, clean, record, subresource, patched=True)
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
        record = self.store.latest(self._key(resource, namespace, name))
        if record is None:
            raise missing(resource, name)
        return await self._writer.wait(self._writer.delete(ctx, resource, record, options))

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
        listed = list_objects(self.store, resource, namespace, list_options)
        plans: list[Planned] = []
        for shown in listed.records:
            record = self.store.latest(shown.key)
            if record is not None:
                plans.append(self._writer.delete(ctx, resource, record, delete_options))
        for plan in plans:
            await self._writer.wait(plan)
        return Answer(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.api_version,
                "metadata": {"resourceVersion": str(listed.version)},
                "items": [record.obj for record in listed.records],
            }
        )

    # -- who may -------------------------------------------------------------------------------------------

    def authorize(
        self,
        ctx: RequestContext,
        verb: str,
        resource: Resource,
        namespace: str,
        name: str,
        subresource: str = "",
    ) -> None:
        """Return when the user may.

        Raises:
            StatusError: 403.
        """
        if not resource.group and resource.plural == "namespaces" and name:
            namespace = name  # a namespace is judged as if it were inside itself (apiserver's RequestInfo)
        self.authorizer.require(
            ctx.user, Request(verb, resource.group, resource.plural, subresource, namespace, name)
        )

    # -- nodes ---------------------------------------------------------------------------------------------

    def node_connection(self, pod: Obj) -> NodeConnection:
        """The kubelet that runs a pod.

        Raises:
            StatusError: 400 for a pod without a node, 503 when its kubelet is not there.
        """
        return connect.node_connection(self.nodes, pod)

    # -- inside --------------------------------------------------------------------------------------------

    def _key(self, resource: Resource, namespace: str, name: str) -> Key:
        return Key(resource.storage_resource, namespace if resource.namespaced else "", name)

    @staticmethod
    def _verb(resource: Resource, verb: str) -> None:
        if verb not in resource.verbs:
            raise method_not_allowed(resource.plural, verb, resource.group)

    @staticmethod
    def _subresource(resource: Resource, name: str, verb: str) -> Subresource:
        found = resource.subresource(name)
        if found is None:
            raise path_not_found()
        if verb not in found.verbs:
            raise method_not_allowed(f"{resource.plural}/{name}", verb, resource.group)
        return found

    @staticmethod
    def _served(resource: Resource, record: Record) -> Obj:
        return record.obj if resource.from_storage is None else resource.from_storage(record.obj)

    @staticmethod
    def _answer(resource: Resource, record: Record) -> Answer:
        if resource.from_storage is None:
            return Answer.of(record)
        return Answer(resource.from_storage(record.obj))

    def _read_whole(self, ctx: RequestContext, resource: Resource, obj: Obj, subresource: str) -> Obj:
        """The body of an update; of a status update only the part that can matter."""
        if subresource != "status":
            return self._writer.read_body(ctx, resource, obj)
        part = _status_part(obj)
        clean, unknown = decode(resource, part if ctx.owns_body else meta.copy(part))
        report_unknown(ctx, resource, unknown)
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
        current = self._served(resource, record) if record is not None else None
        new = fields.apply(ctx, resource, namespace, name, current, applied, subresource, force, self.clock)
        clean = patching.read_patched(ctx, resource, new)
        resource.strategy.default(clean)
        if record is None:
            if subresource:
                raise missing(resource, name)
            return await self._create_instead(ctx, resource, namespace, name, clean)
        return await self._writer.wait(
            self._writer.update(
                ctx, resource, namespace, name, clean, record, subresource, managed=True, patched=True
            )
        )

    async def _create_instead(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, clean: Obj
    ) -> Answer:
        self.authorize(ctx, "create", resource, namespace, name)
        metadata = private_metadata(clean)
        if metadata.get("uid"):
            raise StatusError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {resource.group_resource} "{name}": Precondition failed: UID in '
                f"precondition: {metadata['uid']}, UID in object meta: ",
                {
                    "name": name,
                    "kind": resource.plural,
                    **({"group": resource.group} if resource.group else {}),
                },
            )
        given = metadata.get("name") or ""
        if given != name:
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        metadata.pop("resourceVersion", None)
        return await self._writer.wait(self._writer.create(ctx, resource, namespace, clean))

    async def _ask(self, ctx: RequestContext, resource: Resource, namespace: str, obj: Obj) -> Answer:
        clean, unknown = decode(resource, obj)
        report_unknown(ctx, resource, unknown)
        if resource.kind == "Binding":
            name = meta.name_of(clean)
            return await self._writer.wait(self._pods.bind(ctx, namespace, name, clean))
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
        self._subresource(resource, subresource, "create")
        make = self._makers().get((resource.plural, subresource))
        if make is None:
            raise method_not_allowed(f"{resource.plural}/{subresource}", "create", resource.group)
        if not isinstance(obj, dict):
            raise bad_request("the body of the request has to be an object")
        made = make(ctx, resource, namespace, name, obj)
        return made if isinstance(made, Answer) else await self._writer.wait(made)

    def _makers(
        self,
    ) -> dict[tuple[str, str], Callable[[RequestContext, Resource, str, str, Obj], Planned | Answer]]:
        return {
            ("pods", "binding"): lambda ctx, _, ns, name, obj: self._pods.bind(ctx, ns, name, obj),
            ("pods", "eviction"): lambda ctx, pods, ns, name, obj: self._pods.evict(ctx, pods, ns, name, obj),
            ("serviceaccounts", "token"): lambda ctx, _, ns, name, obj: Answer(
                subresources.request_token(self.token_issuer, self.view, ns, name, obj), 201
            ),
        }

    async def _update_scale(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, key: Key, body: Obj
    ) -> Answer:
        scale = read_scale(ctx, resource, body)
        record = self.store.latest(key)
        if record is None:
            raise missing(resource, name)
        current = self._served(resource, record)
        new = rescaled(resource, namespace, name, current, scale, patched=False)
        return await self._store_scale(ctx, resource, namespace, name, new, record)

    async def _store_scale(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, new: Obj, record: Record
    ) -> Answer:
        plan = self._writer.update(ctx, resource, namespace, name, new, record, "scale", patched=True)
        if plan.answer is not None:
            assert resource.scale is not None
            return Answer(scale_of(resource.scale, plan.answer.obj))
        plan.render = lambda written: scale_answer(resource, written)
        return await self._writer.wait(plan)

    async def _wait_for_default_account(self, namespace: str, pod: Obj) -> None:
        """A namespace's default ServiceAccount is made by a controller a moment after the namespace."""
        name = (pod.get("spec") or {}).get("serviceAccountName") or "default"
        if name != "default" or self.view.get("serviceaccounts", namespace, name) is not None:
            return
        found = self.view.get("namespaces", "", namespace)
        if found is None or meta.is_deleting(found):
            return
        for _ in range(_DEFAULT_ACCOUNT_TRIES):
            await self.clock.sleep(_DEFAULT_ACCOUNT_PAUSE)
            if self.view.get("serviceaccounts", namespace, name) is not None:
                return


_SCALE = Resource("autoscaling", "v1", "Scale", "scales", definition="io.k8s.api.autoscaling.v1.Scale")


def _named(field_selector: str) -> str:
    """The object that a selector of one exact name is about: RBAC's resourceNames hold for it."""
    prefix = "metadata.name="
    if field_selector.startswith(prefix) and "," not in field_selector:
        return field_selector[len(prefix) :].lstrip("=")
    return ""


def _status_part(obj: Obj) -> Obj:
    return {field: obj[field] for field in ("apiVersion", "kind", "metadata", "status") if field in obj}


def _complete(clean: Obj, current: Obj) -> None:
    """What a status update can't change comes from the stored object, so that it need not be read again."""
    for field, value in current.items():
        if field not in clean and field != "status":
            clean[field] = value
