"""The OpenAPI documents of a registry, made when first asked for and kept while the registry is the same.

Writing a document takes up to some hundred milliseconds, so it happens on a thread: watches and leases go on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson

from runtime.objects.errors import Obj
from runtime.objects.registry import Registry, Resource

from .gnostic import encode_document
from .operations import LIST_PARAMETERS, WATCH_EVENT, Operation, v2_operation, v3_operation, v3_parameter
from .paths import resource_paths
from .plain import kinds_operation, plain_operations, template
from .schemas import Schemas

NOTHING: Mapping[str, Obj] = {}
SECURITY = {
    "BearerToken": {
        "type": "apiKey",
        "name": "authorization",
        "in": "header",
        "description": "Bearer Token authentication",
    }
}


def _path_parameter(name: str, description: str) -> Obj:
    return {
        "name": name,
        "in": "path",
        "description": description,
        "required": True,
        "type": "string",
        "uniqueItems": True,
    }


def _discovery(resources: list[Resource]) -> dict[str, Operation]:
    """Discovery of every group version that has a kind of our own."""
    found: dict[str, Operation] = {}
    for resource in resources:
        if resource.custom is None:
            path = group_version_path(resource.group, resource.version)
            found.setdefault(f"/{path}/", kinds_operation(resource.group, resource.version))
    return found


def build_v3(resources: list[Resource], version: str) -> Obj:
    """The OpenAPI 3 document of one group version."""
    schemas = Schemas(v3=True)
    paths: Obj = {}
    for resource in resources:
        if resource.custom is not None:
            schemas.add_custom(resource.custom)
        for path, parameters, operations in resource_paths(resource):
            item: Obj = {operation.method: v3_operation(operation, schemas) for operation in operations}
            if parameters:
                item["parameters"] = [
                    {**v3_parameter(_path_parameter(name, text)), "required": True}
                    for name, text in parameters.items()
                ]
            paths[path] = item
    for path, operation in _discovery(resources).items():
        paths[path] = {operation.method: v3_operation(operation, schemas)}
    return _document_v3(paths, schemas, version, extra=(WATCH_EVENT,), parameters=LIST_PARAMETERS)


def build_v3_plain(path: str, operation: Operation, version: str) -> Obj:
    """The OpenAPI 3 document of one path that is no resource."""
    schemas = Schemas(v3=True)
    paths = {template(path, operation): {operation.method: v3_operation(operation, schemas)}}
    return _document_v3(paths, schemas, version)


def _document_v3(
    paths: Obj,
    schemas: Schemas,
    version: str,
    *,
    extra: tuple[str, ...] = (),
    parameters: Mapping[str, Obj] = NOTHING,
) -> Obj:
    components: Obj = {"schemas": schemas.collect(extra), "securitySchemes": SECURITY}
    if parameters:
        components["parameters"] = {name: v3_parameter(one) for name, one in parameters.items()}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": dict(sorted(paths.items())),
        "components": components,
    }


def build_v2(resources: list[Resource], version: str) -> Obj:
    """The Swagger 2 document of all kinds."""
    schemas = Schemas(v3=False)
    paths: Obj = {}
    for resource in resources:
        if resource.custom is not None:
            schemas.add_custom(resource.custom)
        for path, parameters, operations in resource_paths(resource):
            item: Obj = {operation.method: v2_operation(operation, schemas) for operation in operations}
            if parameters:
                item["parameters"] = [_path_parameter(name, text) for name, text in parameters.items()]
            paths[path] = item
    plain = {template(path, operation): operation for path, operation in plain_operations(resources).items()}
    for path, operation in (plain | _discovery(resources)).items():
        paths[path] = {operation.method: v2_operation(operation, schemas)}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": dict(sorted(paths.items())),
        "definitions": schemas.collect((WATCH_EVENT,)),
        "parameters": LIST_PARAMETERS,
        "securityDefinitions": SECURITY,
        "security": [{"BearerToken": []}],
    }


def group_version_path(group: str, version: str) -> str:
    """``api/v1`` or ``apis/apps/v1``: a group version's place below ``/openapi/v3``."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


class OpenAPI:
    """All documents of one registry."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry = registry
        self._version = version
        self._built_for: list[Resource] = []
        self._documents: dict[str, asyncio.Future[bytes]] = {}

    def _current(self) -> list[Resource]:
        resources = [resource for resource in self._registry if resource.listed]
        same = len(resources) == len(self._built_for) and all(
            a is b for a, b in zip(resources, self._built_for, strict=True)
        )
        if not same:
            self._built_for = resources
            self._documents.clear()
        return resources

    async def _document(self, key: str, build: Callable[[], bytes]) -> bytes:
        known = self._documents.get(key)
        if known is None or known.cancelled() or (known.done() and known.exception() is not None):
            known = asyncio.ensure_future(asyncio.to_thread(build))
            self._documents[key] = known
        return await asyncio.shield(known)

    def index(self) -> Obj:
        """``/openapi/v3``: where each group version's document is.

        The hash in the address is of the kinds that the document describes, so that it can be given out
        without writing all documents; it changes when they do.
        """
        groups: dict[str, list[str]] = {}
        for resource in self._current():
            path = group_version_path(resource.group, resource.version)
            subresources = [sub.name for sub in resource.subresources]
            groups.setdefault(path, []).append(
                f"{resource.kind}/{resource.plural}/{resource.verbs}/{subresources}"
                f"/{resource.custom.digest if resource.custom is not None else ''}"
            )
        for path, operation in plain_operations(self._built_for).items():
            groups.setdefault(path, []).append(operation.identifier)
        paths: dict[str, Any] = {}
        for path, kinds in sorted(groups.items()):
            text = "\n".join([self._version, *sorted(kinds)])
            digest = hashlib.sha256(text.encode()).hexdigest().upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": paths}

    async def v3(self, path: str) -> bytes | None:
        """The document of ``apis/apps/v1``; None when nothing is served there."""
        resources = [
            resource
            for resource in self._current()
            if group_version_path(resource.group, resource.version) == path
        ]
        if not resources:
            operation = plain_operations(self._built_for).get(path)
            if operation is None:
                return None
            return orjson.dumps(build_v3_plain(path, operation, self._version))
        return await self._document(path, lambda: orjson.dumps(build_v3(resources, self._version)))

    async def v2_json(self) -> bytes:
        """``/openapi/v2`` as JSON."""
        resources = self._current()
        return await self._document("v2", lambda: orjson.dumps(build_v2(resources, self._version)))

    async def v2_protobuf(self) -> bytes:
        """``/openapi/v2`` as ``openapi.v2.Document``."""
        resources = self._current()
        return await self._document("pb", partial(_encode, resources, self._version))


def _encode(resources: list[Resource], version: str) -> bytes:
    return encode_document(build_v2(resources, version))
