"""The paths of an OpenAPI document: every operation of every kind, with its parameters and extensions.

kubectl decides from these whether the server validates fields and dry-runs (a PATCH operation of the kind with the
parameter), and which patch types it takes. Parameters of writes stand where they are used, because kubectl
before 1.27 does not follow references; those of lists are shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runtime.objects.errors import Obj
from runtime.objects.registry import Resource, Subresource
from runtime.objects.schema import definition_of

from ..negotiation import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from .schemas import PATCH, Schemas

STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
WATCH_EVENT = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"
PRODUCES = ["application/json", "application/yaml"]
STREAM = "application/json;stream=watch"
PATCHES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]

METHODS = {"get": "get", "update": "put", "create": "post", "patch": "patch", "delete": "delete"}
_VERB_WORDS = {"get": "read", "update": "replace", "create": "create", "patch": "patch", "delete": "delete"}


def _query(name: str, kind: str, description: str) -> Obj:
    return {"name": name, "in": "query", "description": description, "type": kind, "uniqueItems": True}


PRETTY = _query("pretty", "string", "If 'true', then the output is indented for people to read.")
DRY_RUN = _query(
    "dryRun",
    "string",
    "When present, nothing is kept: the request is admitted, validated and answered, and then forgotten. "
    "The only directive is All, which processes all dry run stages.",
)
FIELD_MANAGER = _query(
    "fieldManager",
    "string",
    "The name of whoever makes these changes, at most 128 printable characters. Required for apply requests.",
)
FIELD_VALIDATION = _query(
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields: Ignore drops them, Warn (the default) answers with a warning "
    "for each, Strict fails the request with 400.",
)
FORCE = _query(
    "force",
    "boolean",
    "Take over fields that others own. Only for apply requests.",
)
GRACE = _query(
    "gracePeriodSeconds",
    "integer",
    "Seconds before the object is deleted; zero deletes at once. Without it, the default of the kind holds.",
)
PROPAGATION = _query(
    "propagationPolicy",
    "string",
    "What becomes of dependents: Orphan leaves them, Background deletes them afterwards, Foreground before.",
)
LIST_PARAMETERS: dict[str, Obj] = {
    entry["name"]: entry
    for entry in (
        _query("allowWatchBookmarks", "boolean", "Allow watch events of type BOOKMARK."),
        _query("continue", "string", "The token of the page before this one."),
        _query(
            "fieldSelector",
            "string",
            "Restrict the list of returned objects to those with these field values.",
        ),
        _query(
            "labelSelector", "string", "Restrict the list of returned objects to those with these labels."
        ),
        _query("limit", "integer", "The most items to answer with; the rest follows with continue."),
        _query("resourceVersion", "string", "Which version the answer may be served from."),
        _query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
        _query(
            "sendInitialEvents",
            "boolean",
            "Begin the watch with the objects there are, followed by a bookmark.",
        ),
        _query("timeoutSeconds", "integer", "End the watch after so many seconds."),
        _query(
            "watch",
            "boolean",
            "Watch for changes to the described resources: answer with a stream of them in place of a list.",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, in neither flavour yet."""

    method: str
    action: str
    """x-kubernetes-action."""
    identifier: str
    description: str
    kind: tuple[str, str, str]
    parameters: tuple[Obj, ...]
    shared: tuple[str, ...] = ()
    """Names of :data:`LIST_PARAMETERS`."""
    body: str = ""
    consumes: tuple[str, ...] = ()
    answer: str = STATUS
    codes: tuple[int, ...] = (200,)
    streams: bool = False


def group_word(group: str) -> str:
    """A group as operation ids spell it: ``Core``, ``Apps``, ``RbacAuthorization``."""
    words = (group or "core").removesuffix(".k8s.io").split(".")
    return "".join(word[:1].upper() + word[1:] for word in words)


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


def _subresource(
    resource: Resource, sub: Subresource, scope: str, path: str, named: Obj
) -> Iterator[tuple[str, Obj, list[Operation]]]:
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
                (PRETTY, DRY_RUN, GRACE, PROPAGATION),
                tuple(name for name in LIST_PARAMETERS if name not in ("allowWatchBookmarks", "watch")),
                body=DELETE_OPTIONS,
                consumes=("*/*",),
            )
        )
    return operations


def _prefix(resource: Resource) -> str:
    return group_word(resource.group) + resource.version[:1].upper() + resource.version[1:]


def _list(resource: Resource, scope: str, suffix: str) -> Operation:
    return Operation(
        "get",
        "list",
        f"list{_prefix(resource)}{scope}{resource.kind}{suffix}",
        f"list or watch objects of kind {resource.kind}",
        resource.gvk,
        (PRETTY,),
        tuple(LIST_PARAMETERS),
        answer=list_definition_for(resource),
        streams=True,
    )


def _write(
    resource: Resource, verb: str, scope: str, word: str, definition: str, kind: tuple[str, str, str]
) -> Operation:
    named = {"get": "read the specified", "update": "replace the specified", "create": "create a"}.get(
        verb, f"{verb} the specified" if verb != "patch" else "partially update the specified"
    )
    parameters: tuple[Obj, ...] = (PRETTY,)
    body, consumes, codes = "", (), (200,)  # type: str, tuple[str, ...], tuple[int, ...]
    answer = definition
    match verb:
        case "create":
            parameters += (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
            body, consumes, codes = definition, ("*/*",), (200, 201, 202)
        case "update":
            parameters += (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)
            body, consumes, codes = definition, ("*/*",), (200, 201)
        case "patch":
            parameters += (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE)
            # Custom resources have no merge keys that strategic merge could go by.
            types = [one for one in PATCHES if resource.custom is None or one != STRATEGIC_PATCH]
            body, consumes, codes = PATCH, tuple(types), (200, 201)
        case "delete":
            parameters += (DRY_RUN, GRACE, PROPAGATION)
            body, consumes, codes, answer = DELETE_OPTIONS, ("*/*",), (200, 202), STATUS
    return Operation(
        METHODS[verb],
        {"get": "get", "update": "put", "create": "post"}.get(verb, verb),
        f"{_VERB_WORDS[verb]}{_prefix(resource)}{scope}{word}",
        f"{named} {word}",
        kind,
        parameters,
        body=body,
        consumes=consumes,
        answer=answer,
        codes=codes,
    )


def _extensions(operation: Operation) -> Obj:
    group, version, kind = operation.kind
    return {
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }


def _tag(resource: Resource) -> str:
    group = (resource.group or "core").removesuffix(".k8s.io").replace(".", "_")
    return f"{group[:1].lower()}{group[1:]}_{resource.version}"


_CODES = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}


def v3_parameter(parameter: Obj) -> Obj:
    """A parameter as OpenAPI 3 writes it."""
    schema: Obj = {"type": parameter["type"], "uniqueItems": True}
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "description": parameter["description"],
        "schema": schema,
    }


def v3_operation(resource: Resource, operation: Operation, schemas: Schemas) -> Obj:
    """An operation as OpenAPI 3 writes it."""
    answer: Obj = {"schema": schemas.reference(operation.answer)} if operation.answer else {}
    content: Obj = dict.fromkeys(PRODUCES, answer)
    if operation.streams:
        content[STREAM] = answer
    found: Obj = {
        "tags": [_tag(resource)],
        "description": operation.description,
        "operationId": operation.identifier,
        "parameters": [
            *(v3_parameter(parameter) for parameter in operation.parameters),
            *({"$ref": f"#/components/parameters/{name}"} for name in operation.shared),
        ],
    }
    if operation.body:
        schema = {"schema": schemas.reference(operation.body)}
        found["requestBody"] = {
            "content": dict.fromkeys(operation.consumes, schema),
            "required": operation.method in ("post", "put", "patch"),
        }
    responses: Obj = {
        str(code): {"description": _CODES[code], "content": content} for code in operation.codes
    }
    responses["401"] = {"description": _CODES[401]}
    return {**found, "responses": responses, **_extensions(operation)}


def v2_operation(resource: Resource, operation: Operation, schemas: Schemas) -> Obj:
    """An operation as Swagger 2 writes it."""
    parameters: list[Any] = []
    if operation.body:
        parameters.append(
            {
                "name": "body",
                "in": "body",
                "required": operation.method in ("post", "put", "patch"),
                "schema": schemas.reference(operation.body),
            }
        )
    parameters += operation.parameters
    parameters += [{"$ref": f"#/parameters/{name}"} for name in operation.shared]
    answer: Obj = {"schema": schemas.reference(operation.answer)} if operation.answer else {}
    responses: Obj = {str(code): {"description": _CODES[code], **answer} for code in operation.codes}
    responses["401"] = {"description": _CODES[401]}
    return {
        "description": operation.description,
        "consumes": list(operation.consumes) or ["*/*"],
        "produces": [*PRODUCES, STREAM] if operation.streams else PRODUCES,
        "schemes": ["https"],
        "tags": [_tag(resource)],
        "operationId": operation.identifier,
        "parameters": parameters,
        "responses": responses,
        **_extensions(operation),
    }
