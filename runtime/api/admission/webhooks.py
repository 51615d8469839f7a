"""Admission webhooks: what somebody outside makes of a request, and whether they allow it.

After apiserver ``pkg/admission/plugin/webhook/{generic,mutating,validating}``. Mutating webhooks are asked one after
the other, in the order of their configurations' names, and once more where a later one (or a plugin) changed what
they had seen; validating ones are asked together. A webhook that can't be asked is judged by its failurePolicy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

from runtime.api.authorization import Authorizer
from runtime.api.serving import in_version
from runtime.api.webhooks import CallFailed, WebhookClient
from runtime.objects.apply import validate_managed_fields
from runtime.objects.errors import Obj, StatusError, bad_request, forbidden, internal
from runtime.objects.patch import apply_json_patch, why_refused
from runtime.objects.registry import Registry, Resource
from runtime.objects.selectors import SelectorError

from .asking import Asking, Failure
from .authorizing import AuthorizerValue
from .bound import in_matched, seen_request
from .chain import CREATE, OPERATIONS, Attributes, Plugin
from .matching import GROUP, exempt, matched_resource, namespace_matches, object_matches
from .reviews import Verdict, make_review, read_answer, rejection, review_version
from .rounds import Round, read_again

logger = logging.getLogger(__name__)

MUTATING = f"mutatingwebhookconfigurations.{GROUP}"
VALIDATING = f"validatingwebhookconfigurations.{GROUP}"
DEFAULT_SECONDS = 10
_SERVER_SET = ("uid", "creationTimestamp", "generation")
"""What a new object gets only after mutating admission."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of a configuration."""

    uid: str
    webhook: Obj

    @property
    def name(self) -> str:
        """Its name, as failures tell it."""
        return str(self.webhook["name"])

    @property
    def ignored(self) -> bool:
        """Whether the request goes on when it can't be asked."""
        return self.webhook.get("failurePolicy") == "Ignore"

    @property
    def again(self) -> bool:
        """Whether it wants to see what others made of the object."""
        return self.webhook.get("reinvocationPolicy") == "IfNeeded"


class _Webhooks(Plugin):
    """What both kinds have in common: whom a request concerns, and the call."""

    operations = OPERATIONS
    subresources = None
    outside = True
    mutating = False

    def __init__(self, registry: Registry, authorizer: Authorizer, client: WebhookClient) -> None:
        self._registry = registry
        self._authorizer = authorizer
        self._client = client

    def _hooks(self, a: Attributes) -> Iterator[Hook]:
        for configuration in a.view.list(self.configured[0]):
            name = configuration["metadata"]["name"]
            for index, webhook in enumerate(configuration.get("webhooks") or ()):
                yield Hook(f"{name}/{webhook['name']}/{index}", webhook)

    async def _asked(self, a: Attributes, hook: Hook) -> Resource | None:
        """The version in which a webhook is to be asked about the request; None if it is not.

        Raises:
            StatusError: that can't be told.
        """
        webhook = hook.webhook
        equivalent = webhook.get("matchPolicy") != "Exact"
        resource = matched_resource(a, self._registry, webhook.get("rules") or (), equivalent)
        if resource is None:
            return None
        try:
            if not namespace_matches(a, webhook.get("namespaceSelector")):
                return None
            if not object_matches(a, webhook.get("objectSelector")):
                return None
        except SelectorError as error:
            raise internal(str(error)) from error
        conditions = webhook.get("matchConditions")
        if conditions and not await self._conditions(a, hook, resource, conditions):
            return None
        return resource

    async def _conditions(self, a: Attributes, hook: Hook, resource: Resource, conditions: list[Obj]) -> bool:
        scope = {
            "object": await in_matched(a, resource, a.obj),
            "oldObject": await in_matched(a, resource, a.old),
            "request": seen_request(a, resource),
            "authorizer": AuthorizerValue(self._authorizer, a),
        }
        try:
            return Asking(scope, ()).conditions(conditions)
        except Failure as error:
            if hook.ignored:
                return False
            place = a.resource
            raise forbidden(place.plural, a.name, str(error), place.group) from error

    async def _call(
        self, a: Attributes, hook: Hook, resource: Resource, obj: Obj | None, old: Obj | None
    ) -> Verdict:
        """Ask one webhook.

        Raises:
            CallFailed: it can't be asked.
            StatusError: it refuses.
        """
        webhook = hook.webhook
        if a.ctx.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
        version = review_version(webhook.get("admissionReviewVersions") or ())
        uid, review = make_review(a, resource, version, obj, old)
        seconds = webhook.get("timeoutSeconds") or DEFAULT_SECONDS
        try:
            answer = await self._client.post(webhook.get("clientConfig") or {}, review, seconds)
        except CallFailed as error:
            raise CallFailed(f"failed to call webhook: {error}") from error
        try:
            verdict = read_answer(answer, uid, version, mutating=self.mutating)
        except CallFailed as error:
            raise CallFailed(f"received invalid webhook response: {error}") from error
        for key, value in verdict.annotations.items():
            a.ctx.annotations.setdefault(f"{hook.name}/{key}", value)
        for sentence in verdict.warnings:
            a.ctx.warn(sentence)
        if not verdict.allowed:
            raise rejection(hook.name, verdict.result)
        return verdict

    def _failed(self, hook: Hook, error: CallFailed) -> StatusError | None:
        """What the failure policy makes of a webhook that can't be asked."""
        sentence = f'failed calling webhook "{hook.name}": {error}'
        if hook.ignored:
            logger.warning("%s; the request goes on without it", sentence)
            return None
        return internal(sentence)


class ValidatingWebhooks(_Webhooks):
    """Asks all validating webhooks that a request concerns, together."""

    configured = (VALIDATING,)

    def validate(self, a: Attributes) -> Awaitable[None] | None:
        """Refuse what a webhook refuses."""
        return self._dispatch(a) if not exempt(a) else None

    async def _dispatch(self, a: Attributes) -> None:
        calls = []
        for hook in self._hooks(a):
            resource = await self._asked(a, hook)
            if resource is not None:
                obj = await in_matched(a, resource, a.obj)
                old = await in_matched(a, resource, a.old)
                calls.append(self._ask(a, hook, resource, obj, old))
        if not calls:
            return
        for found in await asyncio.gather(*calls):
            if found is not None:
                raise found

    async def _ask(
        self, a: Attributes, hook: Hook, resource: Resource, obj: Obj | None, old: Obj | None
    ) -> StatusError | None:
        try:
            await self._call(a, hook, resource, obj, old)
        except CallFailed as error:
            return self._failed(hook, error)
        except StatusError as error:
            return error
        return None


class MutatingWebhooks(_Webhooks):
    """Has mutating webhooks complete what a request is about."""

    configured = (MUTATING,)
    mutating = True

    def admit(self, a: Attributes) -> Awaitable[None] | None:
        """Change the object as the webhooks say."""
        return self._dispatch(a) if not exempt(a) else None

    async def _dispatch(self, a: Attributes) -> None:
        state: Round = a.memory.setdefault(MUTATING, Round())
        state.begin(a)
        for hook in self._hooks(a):
            resource = await self._asked(a, hook)
            if resource is None or state.skips(a, hook.uid):
                continue
            changed = await self._mutate(a, hook, resource)
            state.asked(a, hook.uid, changed=changed, again=hook.again)
        state.end(a)

    async def _mutate(self, a: Attributes, hook: Hook, resource: Resource) -> bool:
        """Ask one webhook and do as it says; whether that changed anything.

        Raises:
            StatusError: it refuses, or can't be asked.
        """
        shown = None if a.obj is None else await in_matched(a, resource, unfinished(a, a.obj))
        old = await in_matched(a, resource, a.old)
        try:
            verdict = await self._call(a, hook, resource, shown, old)
        except CallFailed as error:
            failure = self._failed(hook, error)
            if failure is not None:
                raise failure from error
            return False
        if not verdict.patch:
            return False
        if shown is None or a.obj is None:
            what = f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this'
            raise internal(f"{what} operation")
        patched = _patched(a, resource, shown, verdict.patch)
        if patched == shown:
            return False
        a.obj = finished(a, a.obj, await into_request(a, resource, patched))
        return True


def unfinished(a: Attributes, obj: Obj) -> Obj:
    """A new object before the server has given it an identity, as mutating webhooks see it."""
    if a.operation != CREATE or a.kind is not None:
        return obj
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _SERVER_SET}
    if a.generated:
        metadata.pop("name", None)
    return {**obj, "metadata": metadata}


def finished(a: Attributes, before: Obj, obj: Obj) -> Obj:
    """The object that a webhook made of another, with what the server had given it, to be changed by others."""
    if a.kind is not None:
        return obj
    given: Obj = before["metadata"]
    metadata = obj["metadata"] = dict(obj.get("metadata") or {})
    if validate_managed_fields(metadata.get("managedFields")):
        metadata["managedFields"] = given.get("managedFields")
        if metadata["managedFields"] is None:
            del metadata["managedFields"]
    if a.operation == CREATE:
        metadata.update({key: given[key] for key in _SERVER_SET if key in given})
        if not metadata.get("name") and given.get("name"):
            metadata["name"] = given["name"]
    return obj


def _patched(a: Attributes, resource: Resource, obj: Obj, patch: Any) -> Obj:
    """The object with a webhook's patch.

    Raises:
        StatusError: 500, the patch does not fit.
    """
    try:
        patched = apply_json_patch(obj, patch)
    except StatusError as error:
        raise internal(why_refused(error)) from error
    return read_again(a, resource, patched)


async def into_request(a: Attributes, resource: Resource, obj: Obj) -> Obj:
    """An object of the version that was matched in the request's own.

    Raises:
        StatusError: 500, a conversion webhook failed.
    """
    return obj if a.kind is not None else await in_version(resource, a.resource, obj)
