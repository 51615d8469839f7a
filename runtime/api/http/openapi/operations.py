"""One operation of an OpenAPI document, and how both flavours write it.

Parameters of writes stand where they are used, because kubectl before 1.27 does not follow references; those of
lists are shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.objects.errors import Obj

from ..negotiation import JSON, PROTOBUF, YAML
from .schemas import Schemas

STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
WATCH_EVENT = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"
TEXT = "string"
"""The answer of an operation that is no object."""
PRODUCES = (JSON, YAML, PROTOBUF)
CUSTOM_PRODUCES = (JSON, YAML)
"""Custom resources have no protobuf."""
STREAMS = {JSON: f"{JSON};stream=watch", PROTOBUF: f"{PROTOBUF};stream=watch"}
ANYTHING = ("*/*",)


def query(name: str, kind: str, description: str) -> Obj:
    """A parameter in the query, as Swagger 2 writes it."""
    return {"name": name, "in": "query", "description": description, "type": kind, "uniqueItems": True}


PRETTY = query("pretty", "string", "If 'true', then the output is indented for people to read.")
DRY_RUN = query(
    "dryRun",
    "string",
    "When present, nothing is kept: the request is admitted, validated and answered, and then forgotten. "
    "The only directive is All, which processes all dry run stages.",
)
FIELD_MANAGER = query(
    "fieldManager",
    "string",
    "The name of whoever makes these changes, at most 128 printable characters. Required for apply requests.",
)
FIELD_VALIDATION = query(
    "fieldValidation",
    "string",
    "What becomes of unknown and duplicate fields: Ignore drops them, Warn (the default) answers with a warning "
    "for each, Strict fails the request with 400.",
)
FORCE = query(
    "force",
    "boolean",
    "Take over fields that others own. Only for apply requests.",
)
GRACE = query(
    "gracePeriodSeconds",
    "integer",
    "Seconds before the object is deleted; zero deletes at once. Without it, the default of the kind holds.",
)
IGNORE_READ_ERRORS = query(
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "boolean",
    "Delete objects that can't be read back from the store too. Not offered here: without effect.",
)
ORPHAN = query(
    "orphanDependents",
    "boolean",
    "Deprecated: use propagationPolicy. Whether dependents are left; only one of the two may be set.",
)
PROPAGATION = query(
    "propagationPolicy",
    "string",
    "What becomes of dependents: Orphan leaves them, Background deletes them afterwards, Foreground before.",
)
LIST_PARAMETERS: dict[str, Obj] = {
    entry["name"]: entry
    for entry in (
        query("allowWatchBookmarks", "boolean", "Allow watch events of type BOOKMARK."),
        query("continue", "string", "The token of the page before this one."),
        query(
            "fieldSelector",
            "string",
            "Restrict the list of returned objects to those with these field values.",
        ),
        query("labelSelector", "string", "Restrict the list of returned objects to those with these labels."),
        query("limit", "integer", "The most items to answer with; the rest follows with continue."),
        query("resourceVersion", "string", "Which version the answer may be served from."),
        query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
        query(
            "sendInitialEvents",
            "boolean",
            "Begin the watch with the objects there are, followed by a bookmark.",
        ),
        query("timeoutSeconds", "integer", "End the watch after so many seconds."),
        query(
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
    """x-kubernetes-action; empty for what is no resource."""
    identifier: str
    description: str
    kind: tuple[str, str, str] | None
    """Group, version and kind; None for what is no resource."""
    tag: str
    parameters: tuple[Obj, ...] = ()
    shared: tuple[str, ...] = ()
    """Names of :data:`LIST_PARAMETERS`."""
    body: str = ""
    consumes: tuple[str, ...] = ANYTHING
    produces: tuple[str, ...] = PRODUCES
    answer: str = STATUS
    """The definition of what is answered, or :data:`TEXT`."""
    codes: tuple[int, ...] = (200,)


def group_word(group: str) -> str:
    """A group as operation ids spell it: ``Core``, ``Apps``, ``RbacAuthorization``."""
    words = (group or "core").removesuffix(".k8s.io").split(".")
    return "".join(word[:1].upper() + word[1:] for word in words)


def tag_of(group: str, version: str = "") -> str:
    """What operations are sorted under: ``apps_v1``, ``rbacAuthorization_v1``, or for a group alone ``apps``."""
    word = group_word(group)
    word = word[:1].lower() + word[1:]
    return f"{word}_{version}" if version else word


def _extensions(operation: Operation) -> Obj:
    if operation.kind is None:
        return {}
    group, version, kind = operation.kind
    return {
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }


_CODES = {200: "OK", 201: "Created", 202: "Accepted", 401: "Unauthorized"}


def _answer(operation: Operation, schemas: Schemas) -> Obj:
    if not operation.answer:
        return {}
    return {"schema": {"type": TEXT} if operation.answer == TEXT else schemas.reference(operation.answer)}


def v3_parameter(parameter: Obj) -> Obj:
    """A parameter as OpenAPI 3 writes it."""
    schema: Obj = {"type": parameter["type"], "uniqueItems": True}
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "description": parameter["description"],
        "schema": schema,
    }


def v3_operation(operation: Operation, schemas: Schemas) -> Obj:
    """An operation as OpenAPI 3 writes it."""
    content: Obj = dict.fromkeys(operation.produces, _answer(operation, schemas))
    found: Obj = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.identifier,
    }
    parameters = [
        *(v3_parameter(parameter) for parameter in operation.parameters),
        *({"$ref": f"#/components/parameters/{name}"} for name in operation.shared),
    ]
    if parameters:
        found["parameters"] = parameters
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


def v2_operation(operation: Operation, schemas: Schemas) -> Obj:
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
    answer = _answer(operation, schemas)
    responses: Obj = {str(code): {"description": _CODES[code], **answer} for code in operation.codes}
    responses["401"] = {"description": _CODES[401]}
    found: Obj = {
        "description": operation.description,
        "consumes": list(operation.consumes),
        "produces": list(operation.produces),
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.identifier,
    }
    if parameters:
        found["parameters"] = parameters
    return {**found, "responses": responses, **_extensions(operation)}
