"""What an action works on: the app, the place where the key was pressed and the objects under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubetui.live.objects import Obj, name_of, namespace_of, uid_of
from kubetui.live.target import Target

if TYPE_CHECKING:
    from textual.widget import Widget

    from kubetui.app import KubetuiApp


@dataclass(frozen=True, slots=True)
class Ref:
    """One object: how to reach it, and as much of it as is known (None: only its row)."""

    target: Target
    kind: str
    namespace: str
    name: str
    uid: str
    obj: Obj | None = field(default=None, compare=False, hash=False)

    @property
    def path(self) -> str:
        """Its URL path."""
        return self.target.item(self.name, self.namespace)

    def sub(self, name: str) -> str:
        """The URL path of a subresource."""
        return self.target.item(self.name, self.namespace, name)

    @property
    def word(self) -> str:
        """``deployment/web``, as kubectl takes it."""
        return f"{self.kind.lower()}/{self.name}"

    @property
    def flags(self) -> str:
        """`` -n default`` for namespaced objects."""
        return f" -n {self.namespace}" if self.namespace else ""

    @classmethod
    def of(cls, target: Target, obj: Obj) -> Ref:
        """The reference to a full object."""
        return cls(target, str(obj.get("kind") or ""), namespace_of(obj), name_of(obj), uid_of(obj), obj)


@dataclass(slots=True)
class Context:
    """One press of a key."""

    app: KubetuiApp
    places: list[str]
    refs: list[Ref]
    widget: Widget | None

    @property
    def ref(self) -> Ref:
        """The first object; actions that take objects are only run when there is one."""
        return self.refs[0]

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the objects."""
        return frozenset(r.kind for r in self.refs)


def one_of_each(refs: Iterable[Ref]) -> list[Ref]:
    """The first object of each resource and namespace: where thousands are marked, they stand for all."""
    found: dict[tuple[str, str, str], Ref] = {}
    for ref in refs:
        found.setdefault((ref.target.group, ref.target.resource, ref.namespace), ref)
    return list(found.values())
