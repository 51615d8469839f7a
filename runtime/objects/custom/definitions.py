"""From a CustomResourceDefinition to the registry entries that serve it, one for each served version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

import orjson

from ..errors import Obj
from ..kinds.entry import SCALE, status_of, text_of
from ..meta import copy, is_deleting
from ..printers import PathError, compile_path, custom_printer
from ..registry import ALL_VERBS, Convert, Printer, Resource, ScalePaths, Subresource
from ..schema import TypeInfo
from ..versions import kind_aware, rank
from .conditions import is_true
from .openapi import Reference, model_name, published, published_list
from .reading import read_custom
from .strategy import CustomStrategy
from .structural import Structural, drop_nulls, embedded_metadata, fill_defaults, prune, type_info

_ANYTHING: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
"""The schema of a version that has none."""


class CustomKind:
    """What is particular to a custom resource in one version: its schema, and all that follows from it."""

    def __init__(self, definition: Obj, version: Obj, schemas: Mapping[str, Structural]) -> None:
        """``schemas``: those of all of the definition's versions by name, served or not."""
        spec = definition["spec"]
        self.uid: str = definition["metadata"]["uid"]
        self.storage_version = _storage_version(spec)
        self._gvk = (spec["group"], version["name"], spec["names"]["kind"])
        self._list_kind: str = spec["names"].get("listKind") or f"{self._gvk[2]}List"
        self._plural: str = spec["names"]["plural"]
        self.schema = schema = _schema(version)
        self._schemas = schemas
        self.structural = schemas[version["name"]]
        self.type_info: TypeInfo = type_info(self.structural, root=True)
        self.digest = sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).hexdigest()
        self.model = model_name(*self._gvk)
        self.list_model = model_name(self._gvk[0], self._gvk[1], self._list_kind)

    @property
    def list_kind(self) -> str:
        """The kind of lists."""
        return self._list_kind

    def read(self, obj: Obj) -> tuple[Obj, list[str]]:
        """A body, pruned and defaulted, and its unknown fields."""
        return read_custom(obj, self.structural, self._gvk)

    def settle(self, obj: Obj) -> Obj:
        """A stored object in this version, where versions differ in apiVersion alone."""
        return self.shown(self.settled(obj))

    def settled(self, obj: Obj) -> Obj:
        """A stored object as its own version's schema has it now, which may have changed since it was stored."""
        schema = self._schemas.get(str(obj.get("apiVersion") or "").rpartition("/")[2], self.structural)
        found = copy(obj)
        prune(found, schema, root=True)
        drop_nulls(found, schema)
        fill_defaults(found, schema)
        embedded_metadata(found, schema)
        return found

    def shown(self, obj: Obj) -> Obj:
        """An object of another version that was turned into this one: what this schema does not know is left out.

        This version's own defaults are for what is sent to it, not for what is read from it. The object is changed.
        """
        group, version, _ = self._gvk
        if len(self._schemas) > 1:
            prune(obj, self.structural, root=True)
            drop_nulls(obj, self.structural)
        obj["apiVersion"] = f"{group}/{version}"
        return obj

    def definitions(self, refer: Reference, *, v3: bool) -> dict[str, Callable[[], Obj]]:
        """The OpenAPI definitions of the kind and its list, by name; each made when it is asked for."""
        return {
            self.model: lambda: published(self.schema, self._gvk, refer, v3=v3),
            self.list_model: lambda: published_list(self._gvk, self._list_kind, self._plural, refer, v3=v3),
        }


def _schema(version: Obj) -> Obj | None:
    schema: Obj | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema


def _storage_version(spec: Obj) -> str:
    return next((str(one["name"]) for one in spec["versions"] if one.get("storage")), "")


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.removeprefix(".").split("."))


def _scale(version: Obj) -> ScalePaths | None:
    scale = (version.get("subresources") or {}).get("scale")
    if scale is None:
        return None
    selector = scale.get("labelSelectorPath")
    return ScalePaths(
        _path(scale["specReplicasPath"]),
        _path(scale["statusReplicasPath"]),
        _path(selector) if selector else (),
        demanded=True,
    )


def _selectable(version: Obj) -> tuple[Callable[[Obj], Mapping[str, str]] | None, frozenset[str]]:
    """The fields that may be selected by, and how they are found."""
    paths = {}
    for one in version.get("selectableFields") or ():
        try:
            paths[one["jsonPath"].removeprefix(".")] = compile_path(one["jsonPath"])
        except PathError:
            continue
    if not paths:
        return None, frozenset()

    def read(obj: Obj) -> Mapping[str, str]:
        return {name: text_of(next(iter(find(obj)), None)) for name, find in paths.items()}

    return read, frozenset(paths)


def _printer(version: Obj) -> Printer:
    try:
        return custom_printer(version.get("additionalPrinterColumns") or ())
    except PathError:
        return custom_printer()


def _deprecated(spec: Obj, version: Obj) -> str:
    """The warning of a deprecated version, its own or the one that names what to use instead."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    sentence = f"{group}/{version['name']} {kind} is deprecated"
    newer = kind_aware(
        [
            one["name"]
            for one in spec["versions"]
            if one.get("served") and not one.get("deprecated") and rank(one["name"]) < rank(version["name"])
        ]
    )
    return f"{sentence}; use {group}/{newer[0]} {kind}" if newer else sentence


def _to_storage(version: str, storage: str, group: str) -> Callable[[Obj], Obj] | None:
    if version == storage:
        return None
    api_version = f"{group}/{storage}"
    return lambda obj: {**obj, "apiVersion": api_version}


def resources_of(definition: Obj, convert: Convert | None = None) -> list[Resource]:
    """The entries of a definition whose names were accepted, the preferred version first.

    Args:
        definition: a stored CustomResourceDefinition.
        convert: who turns objects of one version into another; without it versions differ in apiVersion alone.
    """
    spec = definition["spec"]
    names: Obj = (definition.get("status") or {}).get("acceptedNames") or spec["names"]
    storage = _storage_version(spec)
    terminating = is_deleting(definition) or is_true(definition, "Terminating")
    found: dict[str, Resource] = {}
    schemas = {one["name"]: Structural(_schema(one) or _ANYTHING) for one in spec["versions"]}
    for version in spec["versions"]:
        if version.get("served"):
            custom = CustomKind(definition, version, schemas)
            found[version["name"]] = _resource(
                definition, version, names, storage, terminating, convert, custom
            )
    return [found[name] for name in kind_aware(list(found))]


def _resource(
    definition: Obj,
    version: Obj,
    names: Obj,
    storage: str,
    terminating: bool,
    convert: Convert | None,
    custom: CustomKind,
) -> Resource:
    spec: Obj = definition["spec"]
    group, name, kind = spec["group"], version["name"], spec["names"]["kind"]
    status = (version.get("subresources") or {}).get("status") is not None
    scale = _scale(version)
    selectable, selectable_names = _selectable(version)
    subresources: list[Subresource] = []
    if status:
        subresources.append(status_of(kind, group, name))
    if scale is not None:
        subresources.append(SCALE)
    namespaced = spec["scope"] == "Namespaced"
    return Resource(
        group,
        name,
        kind,
        spec["names"]["plural"],
        namespaced=namespaced,
        singular=names.get("singular") or kind.lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        verbs=ALL_VERBS,
        definition=custom.model,
        subresources=tuple(subresources),
        strategy=CustomStrategy(custom.structural, namespaced=namespaced, status=status, scale=scale),
        printer=_printer(version),
        selectable=selectable,
        selectable_names=selectable_names,
        scale=scale,
        from_storage=custom.settle,
        to_storage=_to_storage(name, storage, group),
        convert=convert,
        deprecated=_deprecated(spec, version),
        custom=custom,
        closed="create not allowed while custom resource definition is terminating" if terminating else "",
        listed=is_true(definition, "Established"),
    )
