"""Which custom resources are served: the registry follows the CustomResourceDefinitions that are stored.

A definition is served from the moment its names are accepted, as upstream's handler does
(apiextensions-apiserver ``pkg/apiserver/customresource_handler.go``), until it is gone; discovery tells of it once
it is established (``customresource_discovery_controller.go``). Whoever writes a definition
gets the answer when the registry has followed, so nobody is told of a kind that is not there yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.objects.custom import is_true, resources_of
from runtime.objects.errors import Obj
from runtime.objects.meta import is_deleting
from runtime.objects.registry import Registry
from runtime.store import Key, Store

from .conversion import Conversions

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Definitions:
    """Keeps the registry's custom resources what the stored definitions say."""

    def __init__(
        self, registry: Registry, store: Store, conversions: Conversions, changed: Callable[[str], None]
    ) -> None:
        """``changed`` is told the uid of a definition whose kind is served in another way now, or no more."""
        self._registry = registry
        self._changed = changed
        self._store = store
        self._conversions = conversions
        self._served: dict[str, tuple[str, tuple[Any, Any, bool, bool]]] = {}
        """Name → the uid that is served, and what was served of it."""

    def load(self) -> None:
        """Serve what was served before the last stop."""
        for record in self._store.list(DEFINITIONS):
            self.follow(record.key.name)

    def follow(self, name: str) -> None:
        """Take note of what has become of a definition."""
        record = self._store.latest(Key(DEFINITIONS, "", name))
        definition = record.obj if record is not None else None
        known = self._served.get(name)
        if definition is None or not (
            is_true(definition, "NamesAccepted") or is_true(definition, "Established")
        ):
            if known is not None:
                del self._served[name]
                self._registry.serve_custom(known[0], ())
                self._changed(known[0])
            return
        uid: str = definition["metadata"]["uid"]
        what = _relevant(definition)
        if known == (uid, what):
            return
        if known is not None and known[0] != uid:
            self._registry.serve_custom(known[0], ())
        self._served[name] = (uid, what)
        self._registry.serve_custom(uid, resources_of(definition, self._conversions.of(definition)))
        if known is not None and (known[0] != uid or known[1][:2] != what[:2]):
            self._changed(known[0])


def _relevant(definition: Obj) -> tuple[Any, Any, bool, bool]:
    """What the entries are made from: the first two say what is served, the others whether it takes anything new and
    whether discovery tells of it."""
    names = (definition.get("status") or {}).get("acceptedNames")
    leaving = is_deleting(definition) or is_true(definition, "Terminating")
    return definition["spec"], names, leaving, is_true(definition, "Established")
