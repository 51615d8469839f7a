"""managedFields on the write path: who set which field, kept up to date with every write.

The arithmetic is :mod:`runtime.objects.apply`; here is what it has to be told of a request. Follows apiserver
``endpoints/handlers/fieldmanager``.
"""

from __future__ import annotations

from datetime import datetime

from runtime.objects.apply import Paths, apply_patch, set_managed_fields, track_update
from runtime.objects.errors import Obj, bad_request
from runtime.objects.registry import Resource

from .context import RequestContext
from .subresources import read_scale


def _reset(resource: Resource, subresource: str) -> Paths | None:
    """A kind without /status owns its status like any other field."""
    return () if not subresource and resource.subresource("status") is None else None


def track(
    ctx: RequestContext, resource: Resource, new: Obj, old: Obj | None, subresource: str, now: datetime
) -> None:
    """Note what the request's manager set or changed (``old`` None: created) in ``new``'s managedFields."""
    entries = track_update(
        old,
        new,
        resource.type_info,
        ctx.manager,
        now=now,
        api_version=resource.api_version,
        subresource=subresource,
        reset=_reset(resource, subresource),
    )
    set_managed_fields(new, entries)


def apply(
    ctx: RequestContext,
    resource: Resource,
    current: Obj | None,
    applied: Obj,
    subresource: str,
    now: datetime,
    *,
    force: bool,
) -> Obj:
    """What an apply makes of the object (None: there is none), managedFields included.

    Raises:
        StatusError: 400 for a configuration that does not fit, 409 for fields that others hold.
    """
    if not isinstance(applied, dict):
        raise bad_request("error decoding patch: the configuration must be an object")
    if subresource == "scale":
        applied = _scale_configuration(ctx, resource, applied)
    return apply_patch(
        current,
        applied,
        resource.type_info,
        ctx.manager,
        now=now,
        api_version=resource.api_version,
        kind=resource.kind,
        force=force,
        subresource=subresource,
        reset=_reset(resource, subresource),
    )


def _scale_configuration(ctx: RequestContext, resource: Resource, applied: Obj) -> Obj:
    """An applied Scale as a configuration of the object that it scales."""
    scale = read_scale(ctx, resource, applied)
    configuration: Obj = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": scale.get("metadata") or {},
    }
    replicas = (scale.get("spec") or {}).get("replicas")
    if replicas is not None and resource.scale is not None:
        inner = configuration
        *path, last = resource.scale.spec_replicas
        for step in path:
            inner = inner.setdefault(step, {})
        inner[last] = replicas
    return configuration
