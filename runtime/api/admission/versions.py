"""The stored version of a custom resource, where only a conversion webhook knows it.

No admission: what is about to be stored is turned into its stored version here, as the last thing that may have to
wait, so that nothing comes between counting quotas and the write itself.
"""

from __future__ import annotations

from collections.abc import Awaitable

from .chain import CREATE, UPDATE, Attributes, Plugin


class StorageVersion(Plugin):
    """Has the object converted for the store."""

    operations = frozenset({CREATE, UPDATE})
    subresources = None

    def validate(self, a: Attributes) -> Awaitable[None] | None:
        """Ask for the stored version if it is another than the request's."""
        custom = a.resource.custom
        if a.resource.convert is None or custom is None or a.kind is not None:
            return None
        if custom.storage_version == a.resource.version:
            return None
        return self._convert(a, f"{a.resource.group}/{custom.storage_version}")

    @staticmethod
    async def _convert(a: Attributes, api_version: str) -> None:
        assert a.resource.convert is not None
        (a.stored,) = await a.resource.convert([a.object], api_version)
