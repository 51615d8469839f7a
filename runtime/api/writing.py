"""The write path: from a decoded request to one transaction of the store.

Everything from reading the newest state to handing over the transaction happens without waiting, so that two
writers can't come between each other and nothing has to be tried again; only the disk is waited for. The exception
are writes that webhooks are asked about: the coroutines here give up the loop for those alone, and what they submit
is checked against the version they started from. Follows apiserver ``pkg/registry/generic/registry/store.go`` and
``rest/{create,update}.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import orjson

from runtime.objects import meta
from runtime.objects.apply import is_noop
from runtime.objects.clock import Clock, format_time
from runtime.objects.custom import with_condition
from runtime.objects.errors import (
    FieldError,
    Obj,
    StatusError,
    already_exists,
    forbidden,
    internal,
    invalid_object,
    not_found,
    required,
    too_large,
    unavailable,
)
from runtime.objects.registry import Resource, Strategy
from runtime.objects.schema import decode, strict_error
from runtime.store import Change, Key, Record, Store, StoreError, StoreFull, VersionMismatch

from . import deleting, fields
from .admission.chain import CREATE, DELETE, NO_STEPS, UPDATE, Attributes, Chain, run
from .authorization import RBAC_GROUP, Authorizer, EscalationCheck
from .context import Answer, RequestContext
from .metadata import (
    changed_identity,
    check_name,
    check_uid,
    check_version,
    drop_duplicate_owners,
    keep_server_owned,
    private_metadata,
    settle_namespace,
)
from .names import MAX_ATTEMPTS, generate_name, new_uid
from .serving import served_by_now, stored_by_now
from .view import StoreView

MAX_OBJECT_BYTES = 1_572_864
"""The largest object that is stored: etcd's request limit, 1.5 MiB."""
_WORTH_MEASURING = 1_048_576
_MAIN = ("", "scale")
"""Changes that the whole object's own rules judge."""
Hook = Callable[[], None]


@dataclass(slots=True)
class Planned:
    """A write that was decided: an answer that is there already, or one that waits for the disk."""

    answer: Answer | None = None
    future: asyncio.Future[list[Record]] | None = None
    code: int = 200
    undo: list[Hook] = field(default_factory=list)
    done: list[Hook] = field(default_factory=list)
    render: Callable[[Record], Answer] | None = None
    """Makes the answer from the written record where it is not the record itself."""


class Writer:
    """Plans creates, updates and deletions, and waits for them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chain: Chain,
        view: StoreView,
        authorizer: Authorizer,
        followers: Mapping[str, Callable[[str], None]] | None = None,
    ) -> None:
        """``followers`` are told the names of a resource's objects that were written, before the writer is."""
        self._store = store
        self._clock = clock
        self._chain = chain
        self._view = view
        self._authorizer = authorizer
        self._escalation = EscalationCheck(authorizer)
        self._followers = followers or {}

    # -- reading bodies ------------------------------------------------------------------------------------

    def read_body(self, ctx: RequestContext, resource: Resource, obj: Obj) -> Obj:
        """A private, typed and defaulted copy of what a client sent.

        Raises:
            StatusError: 400 for wrong types, and for unknown fields when validation is Strict.
        """
        clean, unknown = decode(resource, obj if ctx.owns_body else meta.copy(obj))
        report_unknown(ctx, resource, unknown)
        resource.strategy.default(clean)
        return clean

    # -- create --------------------------------------------------------------------------------------------

    async def create(
        self, ctx: RequestContext, resource: Resource, namespace: str, obj: Obj, *, managed: bool = False
    ) -> Planned:
        """Plan the creation of a decoded object (which becomes the writer's); ``managed`` as in :meth:`update`.

        Raises:
            StatusError: whatever is wrong with it.
        """
        metadata = private_metadata(obj)
        versioned = bool(metadata.get("resourceVersion")) and not ctx.dry_run
        settle_namespace(resource, namespace, metadata)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"):
            metadata.pop(name, None)
        if resource.closed:
            raise forbidden(resource.plural, metadata.get("name") or "", resource.closed, resource.group)
        generated = not metadata.get("name")
        key = self._name(resource, namespace, metadata)
        metadata["uid"] = new_uid()
        now = self._clock.now()
        metadata["creationTimestamp"] = format_time(now)
        if resource.strategy.has_generation:
            metadata["generation"] = 1
        else:
            metadata.pop("generation", None)
        drop_duplicate_owners(ctx, metadata)
        if not managed:
            fields.track(ctx, resource, obj, None, "", now)
        a = Attributes(ctx, CREATE, resource, "", namespace, key.name, obj, None, self._view)
        a.generated = generated
        try:
            await self._admit_and_validate(a)
            if a.name != key.name:
                key = self._name(resource, namespace, a.object["metadata"])  # a webhook named it
            if not key.name:
                raise invalid_object(
                    resource.kind,
                    resource.group,
                    "",
                    [required("metadata.name", "name or generateName is required")],
                )
            if versioned:  # the store's own rule: after all others, and not reached by a dry run
                raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
            return self._submit(a, key, 0, 201)
        except (StatusError, asyncio.CancelledError):
            a.roll_back()
            raise
        except VersionMismatch:
            a.roll_back()
            raise self._taken(resource, key, metadata) from None

    def _name(self, resource: Resource, namespace: str, metadata: Obj) -> Key:
        place = resource.storage_resource
        scope = namespace if resource.namespaced else ""
        name = metadata.get("name")
        if name:
            return Key(place, scope, name)
        base = metadata.get("generateName") or ""
        if base:
            for _ in range(MAX_ATTEMPTS):
                key = Key(place, scope, generate_name(base))
                if self._store.latest(key) is None:
                    break
            metadata["name"] = key.name
            return key
        return Key(place, scope, "")

    def _taken(self, resource: Resource, key: Key, metadata: Obj) -> StatusError:
        error = already_exists(resource.plural, key.name, resource.group)
        if metadata.get("generateName"):
            return StatusError(
                409,
                "AlreadyExists",
                f"{error.message}, the server was not able to generate a unique name for the object",
                {**error.details, "retryAfterSeconds": 1},
            )
        existing = self._store.latest(key)
        if existing is not None and meta.is_deleting(existing.obj):
            return StatusError(
                409, "AlreadyExists", f"object is being deleted: {error.message}", error.details
            )
        return error

    # -- update --------------------------------------------------------------------------------------------

    async def update(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        new: Obj,
        record: Record,
        subresource: str = "",
        *,
        managed: bool = False,
        patched: bool = False,
    ) -> Planned:
        """Plan the change of a stored object to ``new`` (decoded, private to the writer).

        ``managed`` says that managedFields were settled already (by an apply), ``patched`` that ``new`` is the
        stored object with changes, not a client's whole idea of it.

        Raises:
            StatusError: whatever is wrong with it.
            VersionMismatch: somebody else wrote it while a webhook was asked.
        """
        old = (await served_by_now(resource, record)).obj
        old_metadata: Obj = old["metadata"]
        metadata = private_metadata(new)
        settle_namespace(resource, namespace, metadata)
        check_name(name, namespace if resource.namespaced else "", metadata)
        if not patched:
            check_uid(resource, name, metadata.get("uid") or "", old_metadata["uid"])
        check_version(resource, name, metadata, old_metadata["resourceVersion"])
        _prepare_update(ctx, resource, subresource, new, old)
        if not managed:
            fields.track(ctx, resource, new, old, subresource, self._clock.now())
        a = Attributes(ctx, UPDATE, resource, subresource, namespace, name, new, old, self._view)
        try:
            await self._admit_and_validate(a)
            return self.store_change(a, record)
        except (StatusError, VersionMismatch, asyncio.CancelledError):
            a.roll_back()
            raise

    def store_change(self, a: Attributes, record: Record) -> Planned:
        """Write ``a.object`` in place of ``record``; nothing if nothing changed; remove it if nothing holds it."""
        new, old = a.object, a.old
        assert old is not None
        if deleting.emptied(a.resource, new, old):
            return self._remove(a, record, Answer(new))
        if is_noop(old, new):
            a.roll_back()
            return Planned(Answer.of(record) if a.resource.from_storage is None else Answer(old))
        return self._submit(a, record.key, record.version, 200, len(record.json))

    # -- delete --------------------------------------------------------------------------------------------

    async def delete(
        self,
        ctx: RequestContext,
        resource: Resource,
        record: Record,
        options: Obj,
        changes: Sequence[Change] = (),
        condition: Obj | None = None,
        *,
        admitted: bool = False,
    ) -> Planned:
        """Plan a deletion with checked DeleteOptions, and further ``changes`` in the same transaction.

        ``condition`` says in the status of an object that is still there for a while why it goes. ``admitted`` says
        that admission was asked about what the deletion is part of (an eviction).

        Raises:
            StatusError: 409 for a failed precondition, 403 from admission.
            VersionMismatch: somebody else wrote it while a webhook was asked.
        """
        old = (await served_by_now(resource, record)).obj
        deleting.check_preconditions(resource, old["metadata"], options)
        key = record.key
        a = Attributes(ctx, DELETE, resource, "", key.namespace, key.name, None, old, self._view)
        a.options = options
        a.changes.extend(changes)
        if not admitted:
            steps = self._chain.steps(resource.group_resource, "", DELETE)
            if steps.mutate:
                await self._chain.mutate(a, steps)
            if steps.check:
                await run(steps.check, a)
        decision = deleting.decide(resource, old, options, self._clock.now())
        if decision.metadata is not None:
            new = {**old, "metadata": decision.metadata}
            if decision.phase:
                new["status"] = {**(old.get("status") or {}), "phase": decision.phase}
            for entry in (decision.condition, condition):
                if entry is not None:
                    new["status"] = with_condition(new.get("status") or {}, entry)
            new["metadata"] = dict(decision.metadata)
            a.obj = new
            if resource.convert is not None:
                a.stored = {**record.obj, "metadata": dict(decision.metadata)}
            code = 202 if options.get("orphanDependents") is False else 200
            return self._submit(a, key, record.version, code)
        if decision.remove:
            return self._remove(a, record, None)
        return Planned(Answer.of(record) if _answers_with_object(resource) else Answer(old))

    def _remove(self, a: Attributes, record: Record, answer: Answer | None) -> Planned:
        resource, old = a.resource, a.old
        assert old is not None
        if answer is None:
            gone = deleting.success(resource, old["metadata"])
            answer = Answer.of(record) if _answers_with_object(resource) else Answer(gone)
        if a.ctx.dry_run:
            return Planned(answer)
        future = self._send([Change(record.key, None, record.version), *a.changes])
        done = list(a.done)
        for hook in self._chain.removal_hooks(resource.group_resource):
            done.append(partial(hook, record.obj))
        final = answer
        done = self._afterwards(resource, record.key.name, done)
        return Planned(None, future, 200, a.undo, done, lambda _: final)

    # -- common --------------------------------------------------------------------------------------------

    async def _admit_and_validate(self, a: Attributes) -> None:
        steps = self._chain.steps(a.resource.group_resource, a.subresource, a.operation)
        if a.subresource == "scale":
            steps = NO_STEPS  # admission was asked about the Scale, not about what is scaled
        if steps.mutate:
            given = a.obj
            await self._chain.mutate(a, steps)
            a.generated = False
            if a.obj is not given:
                self._settle_mutated(a)
        if steps.last:
            await run(steps.last, a)
        resource, new, old = a.resource, a.object, a.old
        strategy = resource.strategy
        errors: list[FieldError]
        if old is None:
            strategy.prepare_for_create(new)  # the first status counts in what admission added
            errors = strategy.validate(new)
        elif a.subresource in _MAIN:
            errors = strategy.validate_update(new, old)
        else:
            errors = strategy.validate_subresource(a.subresource, new, old)
        if old is not None:
            errors = [*changed_identity(new["metadata"], old["metadata"], errors), *errors]
        if errors:
            raise invalid_object(resource.kind, resource.group, new["metadata"].get("name", ""), errors)
        for sentence in strategy.warnings(new, old):
            a.ctx.warn(sentence)
        if resource.group == RBAC_GROUP:
            self._escalation.check(a.ctx, resource, a.namespace, new, old)
        if resource.convert is not None:
            a.stored = await stored_by_now(resource, new)
        if steps.check:
            await run(steps.check, a)

    @staticmethod
    def _settle_mutated(a: Attributes) -> None:
        """What the server alone decides stays so, whatever somebody outside made of the object."""
        metadata = private_metadata(a.object)
        settle_namespace(a.resource, a.namespace, metadata)
        if a.old is not None:
            check_name(a.name, a.namespace if a.resource.namespaced else "", metadata)
            _prepare_update(a.ctx, a.resource, a.subresource, a.object, a.old)
        else:
            drop_duplicate_owners(a.ctx, metadata)
            a.name = metadata.get("name") or ""

    def _submit(self, a: Attributes, key: Key, expected: int, code: int, size_hint: int = 0) -> Planned:
        resource, obj = a.resource, a.object
        _check_size(a.ctx, obj, size_hint)
        if a.ctx.dry_run:
            current = self._store.latest(key)
            if (current.version if current else 0) != expected:
                raise VersionMismatch(key, current)
            a.roll_back()
            return Planned(Answer(obj, code))
        if a.stored is not None:
            stored = a.stored
        else:
            stored = obj if resource.to_storage is None else resource.to_storage(obj)
        if stored is not obj:
            stored = {**stored, "metadata": dict(stored["metadata"])}
        future = self._send([Change(key, stored, expected), *a.changes])
        done = self._afterwards(resource, key.name, a.done)
        return Planned(None, future, code, a.undo, done, _renderer(a, code))

    def _send(self, changes: list[Change]) -> asyncio.Future[list[Record]]:
        try:
            return self._store.submit(changes)
        except VersionMismatch:
            raise
        except StoreError as error:
            raise store_failure(error) from error
        except (TypeError, ValueError) as error:
            raise internal(f"the object can't be written as JSON: {error}") from error

    def _afterwards(self, resource: Resource, name: str, done: list[Hook]) -> list[Hook]:
        """What follows a write: the hooks of admission, and of those who keep something that it changes."""
        if resource.group == RBAC_GROUP:
            return [*done, self._authorizer.invalidate]
        follower = self._followers.get(resource.group_resource)
        if follower is not None:
            return [*done, partial(follower, name)]
        return done

    async def wait(self, planned: Planned) -> Answer:
        """The answer, once the disk has the write.

        Raises:
            StatusError: 503, the disk took nothing.
        """
        if planned.future is None:
            assert planned.answer is not None
            return planned.answer
        self._store.push()
        if planned.undo or planned.done:
            # What has to follow a write follows it even if the client has gone away meanwhile.
            record = await asyncio.shield(asyncio.ensure_future(_finish(planned, planned.future)))
        else:
            try:
                record = (await planned.future)[0]
            except StoreError as error:
                raise store_failure(error) from error
        return planned.render(record) if planned.render is not None else Answer.of(record, planned.code)


async def _finish(planned: Planned, future: asyncio.Future[list[Record]]) -> Record:
    try:
        record = (await future)[0]
    except StoreError as error:
        for undo in reversed(planned.undo):
            undo()
        raise store_failure(error) from error
    for done in planned.done:
        done()
    return record


def store_failure(error: StoreError) -> StatusError:
    """A write that the disk refused, as clients are told."""
    if isinstance(error, StoreFull):
        return unavailable(f"the state folder has no room left: {error}")
    return unavailable(f"the state can't be written: {error}")


def missing(resource: Resource, name: str) -> StatusError:
    """404 for one object."""
    return not_found(resource.plural, name, resource.group)


def report_unknown(ctx: RequestContext, resource: Resource, problems: list[str]) -> None:
    """Repeated and unknown fields become an error, warnings or nothing, as fieldValidation says.

    Raises:
        StatusError: 400 when Strict.
    """
    if not (problems or ctx.repeated) or ctx.field_validation == "Ignore":
        return
    if ctx.field_validation == "Strict":
        raise strict_error(resource, ctx.repeated.errors(resource, problems))
    for problem in ctx.repeated.warnings(resource, problems):
        ctx.warn(problem)


def _prepare_update(ctx: RequestContext, resource: Resource, subresource: str, new: Obj, old: Obj) -> None:
    """Make a changed object ready: what a client may not set is as it was, and the generation counts."""
    metadata, old_metadata = new["metadata"], old["metadata"]
    metadata["resourceVersion"] = old_metadata["resourceVersion"]
    keep_server_owned(metadata, old_metadata)
    drop_duplicate_owners(ctx, metadata)
    strategy = resource.strategy
    if subresource in _MAIN:
        strategy.prepare_for_update(new, old)
    else:
        strategy.prepare_for_subresource(subresource, new, old)
    if subresource != "status" and strategy.has_generation and _spec_changed(strategy, new, old):
        new["metadata"]["generation"] = old_metadata.get("generation", 0) + 1


def _renderer(a: Attributes, code: int) -> Callable[[Record], Answer] | None:
    convert = a.resource.from_storage
    if convert is None:
        return None
    if a.stored is not None:
        obj = a.object  # another conversion could only say the same
        return lambda record: Answer(
            {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(record.version)}}, code
        )
    return lambda record: Answer(convert(record.obj), code)


def _answers_with_object(resource: Resource) -> bool:
    return resource.group_resource in deleting.RETURNS_DELETED


def _spec_changed(strategy: Strategy, new: Obj, old: Obj) -> bool:
    apart = ("metadata",) if strategy.generation_counts_status else ("metadata", "status")
    for name, value in new.items():
        if name not in apart and old.get(name) != value:
            return True
    return any(name not in new for name in old if name not in apart)


def _check_size(ctx: RequestContext, obj: Obj, hint: int) -> None:
    """Measure only what may be too large: rendering every object twice would cost more than the limit is worth."""
    if ctx.body_size + hint > _WORTH_MEASURING and len(orjson.dumps(obj)) > MAX_OBJECT_BYTES:
        raise too_large(MAX_OBJECT_BYTES)
