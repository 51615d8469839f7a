"""The ``scale`` subresource: any kind with replicas, read and changed as a Scale.

Admission is asked about the Scale, not about what is scaled; validation looks at the whole object.
"""

from __future__ import annotations

from typing import Any

from runtime.objects.errors import Obj
from runtime.objects.registry import Resource
from runtime.store import Key, Record

from . import patching
from .admission.chain import UPDATE, Attributes
from .context import Answer, RequestContext
from .core import Core
from .subresources import read_scale, rescaled, scale_answer, scale_of
from .writing import Planned

_SCALE = Resource("autoscaling", "v1", "Scale", "scales", definition="io.k8s.api.autoscaling.v1.Scale")


class Scaling(Core):
    """What the API does with a Scale."""

    async def _update_scale(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, key: Key, body: Obj
    ) -> Answer:
        scale = read_scale(ctx, resource, body)
        record = self.store.latest(key)
        if record is None:
            raise await self._not_there(resource, key)
        current = await self._served(resource, record)
        new = rescaled(resource, namespace, name, current, scale, patched=False)
        return await self._store_scale(ctx, resource, namespace, name, new, current, record)

    async def _patch_scale(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        media_type: str,
        current: Obj,
        record: Record,
    ) -> Answer:
        assert resource.scale is not None
        patched = patching.apply_patch(_SCALE, scale_of(resource.scale, current), patch, media_type)
        wanted = read_scale(ctx, resource, patched)
        new = rescaled(resource, namespace, name, current, wanted, patched=True)
        return await self._store_scale(ctx, resource, namespace, name, new, current, record)

    async def _store_scale(
        self,
        ctx: RequestContext,
        resource: Resource,
        namespace: str,
        name: str,
        new: Obj,
        current: Obj,
        record: Record,
        *,
        managed: bool = False,
    ) -> Answer:
        paths = resource.scale
        assert paths is not None
        wanted = scale_of(paths, new)
        asked = Attributes(
            ctx, UPDATE, resource, "scale", namespace, name, wanted, scale_of(paths, current), self.view
        )
        asked.kind = ("autoscaling", "v1", "Scale")
        made = await self._chain.ask(asked)
        if made is not wanted:
            new = rescaled(resource, namespace, name, new, read_scale(ctx, resource, made), patched=True)

        async def plan() -> Planned:
            planned = await self._writer.update(
                ctx, resource, namespace, name, new, record, "scale", managed=managed, patched=True
            )
            if planned.answer is not None:
                return Planned(Answer(scale_of(paths, planned.answer.obj)))
            shown = planned.render
            planned.render = lambda written: scale_answer(
                resource,
                written if shown is None else Record(written.key, shown(written).obj, written.version),
            )
            return planned

        return await self._carry_out(record.key, plan)
