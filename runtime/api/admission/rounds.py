"""Asking again: whoever completed an object may want to see what others made of it after.

After apiserver ``pkg/admission/plugin/{webhook,policy}/mutating/reinvocationcontext.go``: mutating plugins are asked
a second time, once, when anything from outside changed the object; of webhooks and policies only those are asked
again that want to, and only if something changed after them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runtime.objects import meta
from runtime.objects.errors import Obj, StatusError, internal
from runtime.objects.registry import Resource
from runtime.objects.schema import decode

from .chain import Attributes


@dataclass(slots=True)
class Round:
    """What the second round has to know of the first, of one kind of plugin."""

    output: Obj | None = None
    before: set[Any] = field(default_factory=set)
    """Who was asked so far and wants to be asked again."""
    again: set[Any] = field(default_factory=set)
    """Those of them that something changed after."""

    def begin(self, a: Attributes) -> None:
        """Start a round; in the second, what other plugins changed meanwhile counts."""
        if a.round and self.output is not None and a.obj != self.output:
            self.changed()

    def skips(self, a: Attributes, key: Any) -> bool:
        """Whether this one is not asked in this round."""
        return bool(a.round) and key not in self.again

    def asked(self, a: Attributes, key: Any, *, changed: bool, again: bool) -> None:
        """One was asked: whether it changed the object, and whether it wants to see later changes."""
        if changed:
            self.changed()
            a.reinvoke = True
        if again:
            self.before.add(key)

    def changed(self) -> None:
        """Whoever saw the object before and wants to know is asked again."""
        self.again |= self.before
        self.before = set()

    def end(self, a: Attributes) -> None:
        """Remember the object as it is now."""
        self.output = meta.copy(a.obj) if a.obj is not None else None


def read_again(a: Attributes, resource: Resource, obj: Any) -> Obj:
    """What somebody made of an object, read and defaulted as a body would be; a private copy.

    Raises:
        StatusError: 500, it is no such object any more.
    """
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata", {}), dict):
        raise internal("the patched object is no object")
    made: Obj = meta.copy(obj)
    if a.kind is not None:
        return made
    if (made.get("apiVersion"), made.get("kind")) != (resource.api_version, resource.kind):
        raise internal(f"the patched object is no {resource.kind} of {resource.api_version}")
    try:
        made, _ = decode(resource, made)
    except StatusError as error:
        raise internal(error.message) from error
    resource.strategy.default(made)
    return made
