"""The paths of a kind in an OpenAPI document: every operation with its parameters and extensions.

kubectl decides from these whether the server validates fields and dry-runs (a PATCH operation of the kind with the
parameter), and which patch types it takes; generators of clients make a method of each operation.
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.api.deleting import RETURNS_DELETED
from runtime.objects.errors import Obj
from runtime.objects.registry import Resource, Subresource
from runtime.objects.schema import definition_of

from ..negotiation import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from .connects import connects, log_operation
from .operations import (
    CUSTOM_PRODUCES,
    DELETE_OPTIONS,
    DRY_RUN,
    FIELD_MANAGER,
    FIELD_VALIDATION,
    FORCE,
    GRACE,
    IGNORE_READ_ERRORS,
    LIST_PARAMETERS,
    ORPHAN,
    PRETTY,
    PRODUCES,
    PROPAGATION,
    STATUS,
    STREAMS,
    WATCH_EVENT,
    Operation,
    group_word,
    tag_of,
)
from .schemas import PATCH

PATCHES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]
METHODS = {"get": "get", "update": "put", "create": "post", "patch": "patch", "delete": "delete"}
_VERB_WORDS = {"get": "read", "update": "replace", "create": "create", "patch": "patch", "delete": "delete"}
_DELETES = (PRETTY, DRY_RUN, GRACE, IGNORE_READ_ERRORS, ORPHAN, PROPAGATION)


def definition_for(resource: Resource) -> str:
    """The schema's name of a kind, or ""."""
    return resource.definition or definition_of(*resource.gvk)


def list_definition_for(resource: Resource) -> str:
    """The schema's name of a kind's list, or ""."""
    if resource.custom is not None:
        return resource.custom.list_model
    return definition_of(resource.group, resource.version, resource.kind + "List")


def resource_paths(resource: Resource) -> Iterator[tuple[str, Obj, list[Operation]]]:
    """Every path of a kind: the template, its path parameters by name, its operations."""
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    inside = f"{base}/namespaces/{{namespace}}" if resource.namespaced else base
    scope = "Namespaced" if resource.namespaced else ""
    within: Obj = {"namespace": "object name and auth scope, such as for teams and projects"}
    within = within if resource.namespaced else {}
    collection = f"{inside}/{resource.plural}"
    operations = _collection(resource, scope)
    if operations:
        yield collection, within, operations
    if resource.namespaced and "list" in resource.verbs:
        everywhere = _list(resource, "", "ForAllNamespaces")
        yield f"{base}/{resource.plural}", {}, [everywhere]
    named: Obj = {"name": f"name of the {resource.kind}", **within}
    item = [
        _write(resource, verb, scope, resource.kind, definition_for(resource), resource.gvk)
        for verb in ("get", "update", "delete", "patch")
        if verb in resource.verbs
    ]
    if item:
        yield f"{collection}/{{name}}", named, item
    for sub in resource.subresources:
        yield from _subresource(resource, sub, scope, f"{collection}/{{name}}/{sub.name}", named)
    if "watch" in resource.verbs and resource.custom is None:
        yield from _watches(resource, base, scope, within)


def _watches(
    resource: Resource, base: str, scope: str, within: Obj
) -> Iterator[tuple[str, Obj, list[Operation]]]:
    """The paths that watched before lists took ``watch=true``: deprecated, served all the same."""
    inside = f"{base}/watch/namespaces/{{namespace}}" if scope else f"{base}/watch"
    prefix, kind = _prefix(resource), resource.kind
    if scope:
        everywhere = _watch(resource, "watchlist", f"watch{prefix}{kind}ListForAllNamespaces")
        yield f"{base}/watch/{resource.plural}", {}, [everywhere]
    listed = _watch(resource, "watchlist", f"watch{prefix}{scope}{kind}List")
    yield f"{inside}/{resource.plural}", within, [listed]
    if "get" in resource.verbs:
        named = {"name": f"name of the {kind}", **within}
        yield (
            f"{inside}/{resource.plural}/{{name}}",
            named,
            [_watch(resource, "watch", f"watch{prefix}{scope}{kind}")],
        )


def _watch(resource: Resource, action: str, identifier: str) -> Operation:
    return Operation(
        "get",
        action,
        identifier,
        f"watch changes of objects of kind {resource.kind}. Deprecated: list them with the watch parameter.",
        resource.gvk,
        _tag(resource),
        (PRETTY,),
        tuple(LIST_PARAMETERS),
        produces=_streamed(resource),
        answer=WATCH_EVENT,
    )


def _subresource(
    resource: Resource, sub: Subresource, scope: str, path: str, named: Obj
) -> Iterator[tuple[str, Obj, list[Operation]]]:
    prefix, tag = _prefix(resource), _tag(resource)
    if sub.kind.endswith("Options"):
        yield from connects(resource, sub, prefix, scope, tag, path, named)
        return
    if sub.name == "log":
        yield path, named, [log_operation(resource, prefix, scope, tag)]
        return
    own = sub.kind == resource.kind
    kind = resource.gvk if own else (sub.group, sub.version, sub.kind)
    definition = definition_for(resource) if own else definition_of(*kind)
    word = resource.kind + sub.name[:1].upper() + sub.name[1:]
    operations = [
        _write(resource, verb, scope, word, definition, kind)
        for verb in ("get", "update", "create", "delete", "patch")
        if verb in sub.verbs
    ]
    if operations:
        yield path, named, operations


def _collection(resource: Resource, scope: str) -> list[Operation]:
    operations = []
    if "list" in resource.verbs:
        operations.append(_list(resource, scope, ""))
    if "create" in resource.verbs:
        definition = definition_for(resource)
        operations.append(_write(resource, "create", scope, resource.kind, definition, resource.gvk))
    if "deletecollection" in resource.verbs:
        operations.append(
            Operation(
                "delete",
                "deletecollection",
                f"delete{_prefix(resource)}Collection{scope}{resource.kind}",
                f"delete collection of {resource.kind}",
                resource.gvk,
                _tag(resource),
                _DELETES,
                tuple(name for name in LIST_PARAMETERS if name not in ("allowWatchBookmarks", "watch")),
                body=DELETE_OPTIONS,
                produces=_produces(resource),
            )
        )
    return operations


def _prefix(resource: Resource) -> str:
    return group_word(resource.group) + resource.version[:1].upper() + resource.version[1:]


def _tag(resource: Resource) -> str:
    return tag_of(resource.group, resource.version)


def _produces(resource: Resource) -> tuple[str, ...]:
    return PRODUCES if resource.custom is None else CUSTOM_PRODUCES


def _streamed(resource: Resource) -> tuple[str, ...]:
    plain = _produces(resource)
    return (*plain, *(STREAMS[one] for one in plain if one in STREAMS))


def _list(resource: Resource, scope: str, suffix: str) -> Operation:
    return Operation(
        "get",
        "list",
        f"list{_prefix(resource)}{scope}{resource.kind}{suffix}",
        f"list or watch objects of kind {resource.kind}",
        resource.gvk,
        _tag(resource),
        (PRETTY,),
        tuple(LIST_PARAMETERS),
        produces=_streamed(resource),
        answer=list_definition_for(resource),
    )


def _write(
    resource: Resource, verb: str, scope: str, word: str, definition: str, kind: tuple[str, str, str]
) -> Operation:
    named = {"get": "read the specified", "update": "replace the specified", "create": "create a"}.get(
        verb, f"{verb} the specified" if verb != "patch" else "partially update the specified"
    )
    parameters: tuple[Obj, ...] = (PRETTY,)
    body, consumes, codes = "", ("*/*",), (200,)  # type: str, tuple[str, ...], tuple[int, ...]
    answer = definition
    match verb:
        case "create":
            parameters += (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
            body, codes = definition, (200, 201, 202)
        case "update":
            parameters += (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
            body, codes = definition, (200, 201)
        case "patch":
            parameters += (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE)
            # Custom resources have no merge keys that strategic merge could go by.
            types = [one for one in PATCHES if resource.custom is None or one != STRATEGIC_PATCH]
            body, consumes, codes = PATCH, tuple(types), (200, 201)
        case "delete":
            parameters = _DELETES
            body, codes = DELETE_OPTIONS, (200, 202)
            answer = definition if resource.group_resource in RETURNS_DELETED else STATUS
    return Operation(
        METHODS[verb],
        {"get": "get", "update": "put", "create": "post"}.get(verb, verb),
        f"{_VERB_WORDS[verb]}{_prefix(resource)}{scope}{word}",
        f"{named} {word}",
        kind,
        _tag(resource),
        parameters,
        body=body,
        consumes=consumes,
        produces=_produces(resource),
        answer=answer,
        codes=codes,
    )
