"""The admission chain: small plugins that complete or refuse a write before it is stored.

Plugins are pure against a view of the store; what has to be undone when the write does not happen (an address
taken, a port reserved) or written together with it (a quota's usage) is noted on the request's attributes.
Mutating plugins run in the order of the chain, then the object is validated, then the validating ones run.

A plugin that has to ask somebody else (a webhook) gives back what has to be awaited. All others are done when they
return, so that a write that nobody outside is asked about never lets go of the loop between reading the newest
state and submitting its own; one that was held up is checked against the version it read and, if need be, begins
again (:meth:`runtime.api.core.Core._until_stored`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.api.context import RequestContext
from runtime.api.view import StoreView
from runtime.objects.errors import Obj, StatusError, forbidden
from runtime.objects.registry import Resource
from runtime.store import Change

CREATE = "CREATE"
UPDATE = "UPDATE"
DELETE = "DELETE"
CONNECT = "CONNECT"
OPERATIONS = frozenset({CREATE, UPDATE, DELETE, CONNECT})

GVK = tuple[str, str, str]


@dataclass(slots=True)
class Attributes:
    """One write, as plugins see it (apiserver ``admission.Attributes``).

    ``obj`` is a private copy that mutating plugins may change; it is None for a deletion. ``old`` is a stored
    object and may not be changed; it is None for a creation.
    """

    ctx: RequestContext
    operation: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    obj: Obj | None
    old: Obj | None
    view: StoreView
    changes: list[Change] = field(default_factory=list)
    """Further changes for the same transaction."""
    undo: list[Callable[[], None]] = field(default_factory=list)
    """What to call when the write does not happen."""
    done: list[Callable[[], None]] = field(default_factory=list)
    """What to call when the write is durable."""
    kind: GVK | None = None
    """Of ``obj`` where it is not the resource's own kind: a Scale, a Binding, the options of an exec."""
    options: Obj | None = None
    """What a deletion was asked for with (DeleteOptions)."""
    generated: bool = False
    """The name was made from generateName, and the object is still being completed by who does not know it."""
    round: int = 0
    """1 while the mutating plugins are asked for the second time."""
    reinvoke: bool = False
    """Something outside changed the object: the mutating plugins are to be asked once more."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What plugins remember of the first round, by plugin."""
    stored: Obj | None = None
    """``obj`` as it will be stored, where another version was asked from a webhook."""

    @property
    def gvk(self) -> GVK:
        """Group, version and kind of ``obj``."""
        return self.kind or self.resource.gvk

    @property
    def object(self) -> Obj:
        """``obj`` where there must be one."""
        assert self.obj is not None
        return self.obj

    def deny(self, why: str, causes: list[Obj] | None = None) -> StatusError:
        """403 in admission's sentence (``admission.NewForbidden``)."""
        name = self.name
        if not name:
            metadata = (self.obj or {}).get("metadata", {})
            name = metadata.get("name") or metadata.get("generateName") or "Unknown"
        return forbidden(self.resource.plural, name, why, self.resource.group, causes)

    def roll_back(self) -> None:
        """Give back what plugins took."""
        for undo in reversed(self.undo):
            undo()
        self.undo.clear()


class Plugin:
    """One admission plugin. Overrides :meth:`admit`, :meth:`validate` or both."""

    resources: frozenset[str] | None = None
    """The group resources it cares for; None for all."""
    operations: frozenset[str] = frozenset({CREATE})
    subresources: frozenset[str] | None = frozenset({""})
    """The subresources it cares for; None for all."""
    configured: tuple[str, ...] = ()
    """The resources whose objects say what it does, if there are such: without one of each it is left out."""
    outside = False
    """It asks somebody outside of this process."""
    last = False
    """Its ``admit`` is no admission but the kind's own preparation: once, after everybody else's."""

    def admit(self, a: Attributes) -> Awaitable[None] | None:
        """Complete ``a.object``. Raises ``StatusError`` to refuse."""
        return None

    def validate(self, a: Attributes) -> Awaitable[None] | None:
        """Check without changing. Raises ``StatusError`` to refuse."""
        return None

    def removed(self, obj: Obj) -> None:
        """An object of one of ``resources`` is gone for good."""


Step = Callable[[Attributes], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Steps:
    """What is done about one kind of request."""

    mutate: tuple[Step, ...]
    last: tuple[Step, ...]
    check: tuple[Step, ...]


NO_STEPS = Steps((), (), ())


class Chain:
    """Plugins in order, looked up per kind of request so that a request costs one dictionary access."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._missing: set[str] = set()
        self.asks_outside = False
        """Whether there is a webhook that a write might have to wait for."""
        self._known: dict[tuple[str, str, str], Steps] = {}
        self._removed: dict[str, tuple[Callable[[Obj], None], ...]] = {}

    @property
    def configured(self) -> frozenset[str]:
        """The resources whose objects say what plugins do: :meth:`reload` is to be called when any was written."""
        return frozenset(name for plugin in self._plugins for name in plugin.configured)

    def reload(self, view: StoreView) -> None:
        """See which plugins have something to do."""
        self._missing = {name for name in self.configured if not view.count(name)}
        self.asks_outside = any(plugin.outside and self._active(plugin) for plugin in self._plugins)
        self._known.clear()

    def _active(self, plugin: Plugin) -> bool:
        return self._missing.isdisjoint(plugin.configured)

    def steps(self, resource: str, subresource: str, operation: str) -> Steps:
        """The mutating and the validating steps for a kind of request."""
        key = (resource, subresource, operation)
        known = self._known.get(key)
        if known is None:
            fitting = [
                plugin
                for plugin in self._plugins
                if self._active(plugin)
                and (plugin.resources is None or resource in plugin.resources)
                and operation in plugin.operations
                and (plugin.subresources is None or subresource in plugin.subresources)
            ]
            mutating = [plugin for plugin in fitting if type(plugin).admit is not Plugin.admit]
            known = self._known[key] = Steps(
                tuple(plugin.admit for plugin in mutating if not plugin.last),
                tuple(plugin.admit for plugin in mutating if plugin.last),
                tuple(plugin.validate for plugin in fitting if type(plugin).validate is not Plugin.validate),
            )
        return known

    async def mutate(self, a: Attributes, steps: Steps) -> None:
        """Complete the object, once more where something outside changed it.

        Raises:
            StatusError: it is refused.
        """
        await run(steps.mutate, a)
        if a.reinvoke:
            a.round = 1
            await run(steps.mutate, a)

    async def ask(self, a: Attributes) -> Obj:
        """Admit what is no object of its own resource; gives what mutating plugins made of ``a.obj``.

        Raises:
            StatusError: it is refused.
        """
        steps = self.steps(a.resource.group_resource, a.subresource, a.operation)
        if steps.mutate:
            await self.mutate(a, steps)
        if steps.check:
            await run(steps.check, a)
        return a.object

    def removal_hooks(self, resource: str) -> tuple[Callable[[Obj], None], ...]:
        """Whom to tell when an object of the resource is gone: the plugins that hold something for it."""
        hooks = self._removed.get(resource)
        if hooks is None:
            hooks = self._removed[resource] = tuple(
                plugin.removed
                for plugin in self._plugins
                if plugin.resources is not None
                and resource in plugin.resources
                and type(plugin).removed is not Plugin.removed
            )
        return hooks


async def run(steps: tuple[Step, ...], a: Attributes) -> None:
    """Take steps in order; waits only where one has to."""
    for step in steps:
        waiting = step(a)
        if waiting is not None:
            await waiting
