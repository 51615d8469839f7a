"""managedFields on the write path: who set which field, kept up to date with every write."""

from __future__ import annotations

from runtime.objects.clock import Clock
from runtime.objects.errors import Obj, unsupported_media_type
from runtime.objects.registry import Resource

from .context import RequestContext


def track_create(ctx: RequestContext, resource: Resource, obj: Obj, now: str) -> None:
    """Note the fields of a new object as its creator's."""


def track_update(
    ctx: RequestContext, resource: Resource, new: Obj, old: Obj, subresource: str, now: str
) -> None:
    """Note the fields that a change touched as its author's."""


def ignore_timestamps(new: Obj, old: Obj) -> None:
    """A change of nothing but managedFields' times is no change."""


def apply(
    ctx: RequestContext,
    resource: Resource,
    namespace: str,
    name: str,
    current: Obj | None,
    applied: Obj,
    subresource: str,
    force: bool,
    clock: Clock,
) -> Obj:
    """What an apply makes of the object."""
    raise unsupported_media_type("server-side apply is not served yet")
