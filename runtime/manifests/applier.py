"""Talking to the API about one document: try it, apply it, remove it, and say what is wrong at which line.

Documents are applied with server-side apply as field manager ``kubetui-manifests``, by force: a field removed from
a file is removed from the object, and fields that the file does not name keep whoever owns them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from runtime.client import Client
from runtime.objects.errors import Obj, StatusError
from runtime.objects.registry import Registry

from .documents import Document
from .errors import ManifestError
from .sources import FILE_ANNOTATION, PRUNE_ANNOTATION, Entry, Identity

MANAGER = "kubetui-manifests"
_NEVER_PRUNED = ("Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition")
_TYPED = re.compile(r"failed to create typed patch object \(.*?\): (.*)", re.S)
_UNDECLARED = re.compile(r"^\.(.+): field not declared in schema$", re.M)
_FIELDS = (
    re.compile(r'unknown field "([^"]+)"'),
    re.compile(r"Go struct field \w*?\.?([\w.\[\]]+) of type"),
    re.compile(r"(?:^|\s)\.([a-z][^:\s]*(?:\[[^\]]*\][^:\s]*)*): ", re.M),
)


Promised = dict[tuple[str, str], tuple[str, bool]]
"""apiVersion and kind → group resource, and whether it has namespaces."""


def promised_kinds(documents: Sequence[Document]) -> Promised:
    """The kinds that the CustomResourceDefinitions among the documents define."""
    found: Promised = {}
    for document in documents:
        obj = document.obj
        spec = obj.get("spec")
        if obj["kind"] != "CustomResourceDefinition" or not isinstance(spec, dict):
            continue
        names, versions = spec.get("names"), spec.get("versions")
        if not isinstance(names, dict) or not isinstance(versions, list):
            continue
        for version in versions:
            if isinstance(version, dict) and version.get("served"):
                api_version = f"{spec.get('group')}/{version.get('name')}"
                place = f"{names.get('plural')}.{spec.get('group')}"
                found[(api_version, str(names.get("kind")))] = (place, spec.get("scope") == "Namespaced")
    return found


class UnknownKind(ManifestError):
    """No kind of this name is served (yet)."""


class Applier:
    """One document at a time, for one field manager."""

    def __init__(self, client: Client, registry: Registry, default_namespace: str) -> None:
        self._client = client
        self._registry = registry
        self._namespace = default_namespace

    def identify(self, document: Document, promised: Promised) -> tuple[Identity, str]:
        """Which object a document is about, and its group resource.

        Args:
            document: the document.
            promised: the kinds that definitions beside it will bring, see :func:`promised_kinds`.

        Raises:
            ManifestError: the kind is not known, or its scope does not fit.
        """
        obj = document.obj
        resource = self._registry.by_kind(obj["apiVersion"], obj["kind"])
        if resource is not None and resource.stored:
            group_resource, namespaced = resource.group_resource, resource.namespaced
        elif (obj["apiVersion"], obj["kind"]) in promised:
            group_resource, namespaced = promised[(obj["apiVersion"], obj["kind"])]
        else:
            raise UnknownKind(
                f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"',
                document.line_of("kind"),
            )
        namespace = obj["metadata"].get("namespace") or ""
        if namespaced:
            namespace = namespace or self._namespace
        elif namespace:
            raise ManifestError(
                f"metadata.namespace: a {obj['kind']} has no namespace",
                document.line_of("metadata.namespace"),
            )
        group = obj["apiVersion"].rpartition("/")[0]
        return Identity(group, obj["kind"], namespace, obj["metadata"]["name"]), group_resource

    def served(self, entry: Entry) -> bool:
        """Whether the entry's kind is there already, or its definition has yet to bring it."""
        return self._registry.find(entry.resource) is not None

    async def apply(self, path: Path, entry: Entry, *, dry_run: bool = False) -> Obj:
        """Apply a document (or only try it); returns the object as it is then.

        Raises:
            ManifestError: the server refused it for good; names the line.
            StatusError: it could not be applied now, and may be later.
        """
        document = entry.document
        assert document is not None
        meta = document.obj["metadata"]
        annotations = {**(meta.get("annotations") or {}), FILE_ANNOTATION: str(path)}
        body = {**document.obj, "metadata": {**meta, "annotations": annotations}}
        if entry.identity.namespace:
            body["metadata"]["namespace"] = entry.identity.namespace
        try:
            return await self._client.apply(body, field_manager=MANAGER, force=True, dry_run=dry_run)
        except StatusError as error:
            if error.code in (400, 413, 415, 422):
                raise ManifestError(_sentence(error), _line(error, document)) from error
            raise

    async def live(self, entry: Entry) -> Obj | None:
        """The object as it is now; None when it is not there."""
        try:
            return await self._client.get(entry.resource, entry.identity.name, entry.identity.namespace)
        except StatusError as error:
            if error.code == 404:
                return None
            raise

    async def prune(self, path: Path, entry: Entry) -> str:
        """Remove an object whose document is gone, if it is still this file's; says why not, or nothing."""
        live = await self.live(entry)
        if live is None:
            return ""
        annotations = live["metadata"].get("annotations") or {}
        if annotations.get(FILE_ANNOTATION) != str(path):
            return "it belongs to another file now"
        if entry.uid and live["metadata"].get("uid") != entry.uid:
            return "it was made anew by somebody else"
        if entry.identity.kind in _NEVER_PRUNED and annotations.get(PRUNE_ANNOTATION) != "true":
            return f"a {entry.identity.kind} is kept unless it is annotated {PRUNE_ANNOTATION}=true"
        try:
            await self._client.delete(
                entry.resource,
                entry.identity.name,
                entry.identity.namespace,
                uid=live["metadata"]["uid"],
                propagation_policy="Background",
            )
        except StatusError as error:
            if error.code != 404:
                raise
        return ""


def _sentence(error: StatusError) -> str:
    """The server's message without the object's name in front: the pane shows that already."""
    causes = error.details.get("causes") or []
    if error.reason == "Invalid" and causes:
        sentences = [": ".join(filter(None, (cause.get("field"), cause["message"]))) for cause in causes]
        return "; ".join(dict.fromkeys(sentences))
    typed = _TYPED.search(error.message)
    if typed:
        return _UNDECLARED.sub(r'unknown field "\1"', typed.group(1))
    return error.message


def _line(error: StatusError, document: Document) -> int:
    for cause in error.details.get("causes") or []:
        if cause.get("field"):
            return document.line_of(cause["field"])
    for pattern in _FIELDS:
        found = pattern.search(error.message)
        if found:
            return document.line_of(found.group(1))
    return document.line
