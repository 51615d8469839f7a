"""Building registry entries: the parts every kind has in common, so that the tables of kinds stay tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import Obj
from ..printers import printer_for
from ..registry import ALL_VERBS, Resource, ScalePaths, Strategy, Subresource
from ..schema import definition_of

READ_WRITE = ("get", "patch", "update")
CREATE = ("create",)
CONNECT = ("create", "get")
PROXY = ("create", "delete", "get", "patch", "update")
WITHOUT_COLLECTION = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
ALL = ("all",)
API_EXTENSIONS = ("api-extensions",)

SCALE = Subresource("scale", "Scale", "autoscaling", "v1", READ_WRITE)

Fields = Callable[[Obj], Mapping[str, str]]


def status_of(kind: str, group: str = "", version: str = "v1") -> Subresource:
    """The ``status`` subresource of a kind."""
    return Subresource("status", kind, group, version, READ_WRITE)


def select(*names: str, zero: str = "") -> tuple[Fields, frozenset[str]]:
    """Selectable fields read straight from the object.

    Args:
        names: dotted paths, which are the selectors' names too.
        zero: what an absent value compares as (numbers are ``0``).
    """
    steps = tuple((name, tuple(name.split("."))) for name in names)

    def read(obj: Obj) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for name, path in steps:
            value: Any = obj
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            found[name] = text_of(value) or zero
        return found

    return read, frozenset(names)


def text_of(value: Any) -> str:
    """A field's value as field selectors compare it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def entry(
    group: str,
    version: str,
    kind: str,
    plural: str,
    *,
    namespaced: bool = True,
    singular: str = "",
    short: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = ALL_VERBS,
    status: bool = False,
    more: tuple[Subresource, ...] = (),
    strategy: Strategy | None = None,
    fields: tuple[Fields, frozenset[str]] | None = None,
    scale: ScalePaths | None = None,
    stored: bool = True,
    storage: str = "",
    to_storage: Callable[[Obj], Obj] | None = None,
    from_storage: Callable[[Obj], Obj] | None = None,
    deprecated: str = "",
) -> Resource:
    """One registry entry; subresources come out sorted by name, as discovery lists them."""
    subresources = list(more)
    if status:
        subresources.append(status_of(kind, group, version))
    if scale is not None:
        subresources.append(SCALE)
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        namespaced=namespaced,
        singular=singular or kind.lower(),
        short_names=short,
        categories=categories,
        verbs=verbs,
        definition=definition_of(group, version, kind),
        subresources=tuple(sorted(subresources, key=lambda one: one.name)),
        strategy=strategy or Strategy(),
        printer=printer_for(group, kind) if "list" in verbs else None,
        selectable=fields[0] if fields else None,
        selectable_names=fields[1] if fields else frozenset(),
        scale=scale,
        stored=stored,
        storage=storage,
        to_storage=to_storage,
        from_storage=from_storage,
        deprecated=deprecated,
    )
