"""What the kubelet asks of the API client and the event recorder, and nothing more.

The real ones are ``runtime.client``'s; naming the few methods that are used keeps the unit tests' stand-ins honest
and this room free of imports it does not need.
"""

from __future__ import annotations

from typing import Any, Protocol

from runtime.objects.errors import Obj


class APIClient(Protocol):
    """The part of ``runtime.client.Client`` the kubelet uses. Every method may raise StatusError."""

    async def get(self, resource: str, name: str, namespace: str = "") -> Obj:
        """One object."""
        ...

    async def create(self, obj: Obj, namespace: str = "") -> Obj:
        """Create; returns what was stored."""
        ...

    async def update(self, obj: Obj) -> Obj:
        """Replace."""
        ...

    async def update_status(self, obj: Obj) -> Obj:
        """Replace the status."""
        ...

    async def delete(
        self,
        resource: str,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> Any:
        """Delete."""
        ...

    async def create_subresource(
        self, resource: str, name: str, namespace: str, subresource: str, body: Obj
    ) -> Any:
        """POST to a subresource (``token``)."""
        ...


class Recorder(Protocol):
    """Where events go; never waits, never fails."""

    def event(self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Record one event about ``obj`` (or its part ``field_path``); type is Normal or Warning."""
        ...
