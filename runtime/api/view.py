"""The newest state of the store, as admission and authorization read it.

Reads of one object include writes that are still on their way to disk, because a decision is made from what will
be there when it takes effect.
"""

from __future__ import annotations

from runtime.objects.errors import Obj
from runtime.store import Key, Record, Store


class StoreView:
    """Reading without asking who reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, resource: str, namespace: str, name: str) -> Record | None:
        """The newest record of ``pods`` or ``deployments.apps``, or None."""
        return self._store.latest(Key(resource, namespace, name))

    def get(self, resource: str, namespace: str, name: str) -> Obj | None:
        """The newest object; not to be changed."""
        record = self._store.latest(Key(resource, namespace, name))
        return record.obj if record else None

    def list(self, resource: str, namespace: str = "") -> list[Obj]:
        """All durable objects of a resource (in one namespace); not to be changed."""
        return [record.obj for record in self._store.list(resource, namespace)]

    def count(self, resource: str) -> int:
        """How many objects of a resource there are."""
        return self._store.count(resource)
