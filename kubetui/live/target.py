"""Which collection of objects, and its URL. Free of any network library: the screen starts without one."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Target:
    """A collection: which resource, where, and which of its objects."""

    group: str
    version: str
    resource: str
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    table: bool = False
    whole: bool = False  # a table's rows carry the whole object, not only its metadata

    @property
    def path(self) -> str:
        """The collection's URL path."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespace:
            base += f"/namespaces/{quote(self.namespace, safe='')}"
        return f"{base}/{self.resource}"

    def item(self, name: str, namespace: str = "", subresource: str = "") -> str:
        """The URL path of one object of this collection, in ``namespace`` where the target spans all."""
        space = namespace or self.namespace
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if space:
            base += f"/namespaces/{quote(space, safe='')}"
        path = f"{base}/{self.resource}/{quote(name, safe=':')}"
        return f"{path}/{subresource}" if subresource else path

    @property
    def group_resource(self) -> str:
        """``deployments.apps``, ``pods``."""
        return f"{self.resource}.{self.group}" if self.group else self.resource
