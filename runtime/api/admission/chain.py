"""The admission chain: small plugins that complete or refuse a write before it is stored.

Plugins are pure against a view of the store; what has to be undone when the write does not happen (an address
taken, a port reserved) or written together with it (a quota's usage) is noted on the request's attributes.
Mutating plugins run in the order of the chain, then the object is validated, then the validating ones run.
Webhooks would have their place in the API itself, around the synchronous part, because they wait for others;
nothing in this chain waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtime.api.context import RequestContext
from runtime.api.view import StoreView
from runtime.objects.errors import Obj, StatusError, forbidden
from runtime.objects.registry import Resource
from runtime.store import Change

CREATE = "CREATE"
UPDATE = "UPDATE"
DELETE = "DELETE"


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
    subresources: frozenset[str] = frozenset({""})

    def admit(self, a: Attributes) -> None:
        """Complete ``a.object``. Raises ``StatusError`` to refuse."""

    def validate(self, a: Attributes) -> None:
        """Check without changing. Raises ``StatusError`` to refuse."""

    def removed(self, obj: Obj) -> None:
        """An object of one of ``resources`` is gone for good."""


Step = Callable[[Attributes], None]


class Chain:
    """Plugins in order, looked up per kind of request so that a request costs one dictionary access."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._known: dict[tuple[str, str, str], tuple[tuple[Step, ...], tuple[Step, ...]]] = {}
        self._removed: dict[str, tuple[Callable[[Obj], None], ...]] = {}

    def steps(
        self, resource: str, subresource: str, operation: str
    ) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The mutating and the validating steps for a kind of request."""
        key = (resource, subresource, operation)
        known = self._known.get(key)
        if known is None:
            fitting = [
                plugin
                for plugin in self._plugins
                if (plugin.resources is None or resource in plugin.resources)
                and operation in plugin.operations
                and subresource in plugin.subresources
            ]
            known = self._known[key] = (
                tuple(plugin.admit for plugin in fitting if type(plugin).admit is not Plugin.admit),
                tuple(plugin.validate for plugin in fitting if type(plugin).validate is not Plugin.validate),
            )
        return known

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
