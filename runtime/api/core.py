"""What every operation of the API needs: collaborators, who may, where an object is, how a write is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakSet

from runtime.objects import meta
from runtime.objects.clock import Clock
from runtime.objects.errors import (
    Obj,
    StatusError,
    bad_request,
    method_not_allowed,
    path_not_found,
    stale,
)
from runtime.objects.registry import Registry, Resource, Subresource
from runtime.store import Key, Record, Store, VersionMismatch

from .admission import default_chain, well_known_addresses
from .admission.chain import CONNECT, Attributes, Chain
from .authorization import Authorizer
from .compaction import Compaction
from .computed import Computed
from .context import MASTERS, Answer, RequestContext, TokenIssuer
from .conversion import Conversions
from .definitions import DEFINITIONS, Definitions
from .expiry import EVENTS, EventExpiry
from .metadata import private_metadata
from .node import Nodes
from .reviews import Reviews
from .rules import Request
from .serving import served_by_now
from .subresources import PodSubresources
from .view import StoreView
from .watching import WatchStream
from .webhooks import WebhookClient
from .writing import Planned, Writer, missing

_DEFAULT_ACCOUNT_TRIES = 10
_DEFAULT_ACCOUNT_PAUSE = 0.1
"""How often and how long a pod waits for its new namespace's default ServiceAccount, in seconds."""
_SETTLE_SECONDS = 0.0005
_ATTEMPTS = 16
"""How often a write begins again because another one came while a webhook was asked about it."""


class Core:
    """What operations are made of. See :class:`runtime.api.api.API` for the arguments."""

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
        reserved_addresses: tuple[str, ...] | None = None,
    ) -> None:
        self.registry = registry
        self.store = store
        self.clock = clock
        self.nodes = nodes
        self.service_cidr = service_cidr
        self.view = StoreView(store)
        self.authorizer = Authorizer(self.view)
        if reserved_addresses is None:
            reserved_addresses = well_known_addresses(service_cidr)
        hooks = WebhookClient(self.view, nodes)
        self._chain = admission or default_chain(
            clock, service_cidr, reserved_addresses, registry, self.authorizer, hooks
        )
        self._custom_watches: WeakSet[WatchStream] = WeakSet()
        definitions = Definitions(registry, store, Conversions(hooks), self._end_watches)
        definitions.load()
        self._chain.reload(self.view)
        followers = dict.fromkeys(self._chain.configured, lambda _: self._chain.reload(self.view))
        self._writer = Writer(
            store,
            clock,
            self._chain,
            self.view,
            self.authorizer,
            followers={**followers, DEFINITIONS: definitions.follow},
        )
        self._pods = PodSubresources(store, self.view, clock, self._writer)
        self.expiry = EventExpiry(store, clock)
        self.compaction = Compaction(store)
        self._reviews = Reviews(self.authorizer, token_issuer)
        self.computed: dict[str, Computed] = {}
        """Who answers for resources that are not stored, by group resource."""

    def _end_watches(self, definition: str) -> None:
        """Let clients list again what a CustomResourceDefinition, named by its uid, describes in another way now."""
        for stream in list(self._custom_watches):
            if stream.defined_by == definition:
                stream.close()

    @property
    def token_issuer(self) -> TokenIssuer | None:
        """Who signs and reads ServiceAccount tokens."""
        return self._reviews.issuer

    @token_issuer.setter
    def token_issuer(self, issuer: TokenIssuer | None) -> None:
        self._reviews.issuer = issuer

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
        if MASTERS in ctx.user.groups:
            return
        if not resource.group and resource.plural == "namespaces" and name:
            namespace = name  # a namespace is judged as if it were inside itself (apiserver's RequestInfo)
        self.authorizer.require(
            ctx.user, Request(verb, resource.group, resource.plural, subresource, namespace, name)
        )

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
    async def _served(resource: Resource, record: Record) -> Obj:
        return (await served_by_now(resource, record)).obj

    def _may_wait(self, resource: Resource) -> bool:
        """Whether a write may have to ask a webhook, so that what it needs to begin again has to be kept."""
        return resource.convert is not None or self._chain.asks_outside

    async def _until_stored(
        self, resource: Resource, name: str, attempt: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Write; from the newest state again where somebody else wrote while a webhook was asked.

        Raises:
            StatusError: 409 when others write all the time, and whatever is wrong.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await attempt()
            except VersionMismatch:
                continue
        raise stale(resource.plural, name, resource.group)

    async def admit_connect(
        self,
        ctx: RequestContext,
        resource: Resource,
        subresource: str,
        namespace: str,
        name: str,
        options: Obj,
    ) -> None:
        """Ask admission about an exec, attach, port-forward or proxy; ``options`` are its PodExecOptions and so on.

        Raises:
            StatusError: it is refused.
        """
        a = Attributes(ctx, CONNECT, resource, subresource, namespace, name, options, None, self.view)
        a.kind = ("", "v1", options["kind"])
        await self._chain.ask(a)

    async def _carry_out(self, key: Key, plan: Callable[[], Awaitable[Planned]]) -> Answer:
        """Plan a write and wait for it; a refusal is told when what it was refused for can be seen."""
        if key.resource == EVENTS:
            self.expiry.attend()
        try:
            planned = await plan()
        except StatusError as error:
            if error.code in (404, 409):
                await self._settled(key)
            raise
        return await self._writer.wait(planned)

    async def _not_there(self, resource: Resource, key: Key) -> StatusError:
        await self._settled(key)
        return missing(resource, key.name)

    async def _settled(self, key: Key) -> None:
        """Wait until the newest state of an object is durable and so visible to readers.

        Writers decide on states that readers don't see yet. Told at once, a client that reads again and tries again
        would meet the same old state, and in this process it would do so without ever letting the disk finish.
        """
        while self.store.latest(key) is not self.store.get(key):  # noqa: ASYNC110
            await asyncio.sleep(_SETTLE_SECONDS)

    async def _create_instead(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        clean: Obj,
        *,
        managed: bool = False,
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
        key = self._key(resource, namespace, name)
        return await self._carry_out(
            key, lambda: self._writer.create(ctx, resource, namespace, clean, managed=managed)
        )

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
