"""Every failure has a name: API errors as ``v1.Status`` and field errors as Kubernetes words them.

The constructors follow apimachinery's ``pkg/api/errors`` and ``pkg/util/validation/field``: the same reasons,
codes and sentences, because clients match on them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Obj = dict[str, Any]
"""A Kubernetes object, or any JSON object inside one, as plain data."""


OMITTED: Final = object()
"""Stands for a value that an error does not show."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field.

    ``type`` is the cause's reason: FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
    FieldValueDuplicate, FieldValueForbidden, FieldValueTooLong, FieldValueTooMany, FieldValueNotFound,
    FieldValueTypeInvalid, InternalError.
    """

    type: str
    field: str
    detail: str = ""
    value: Any = None
    supported: tuple[str, ...] = ()

    def body(self) -> str:
        """The sentence without the field's path."""
        match self.type:
            case "FieldValueRequired":
                head = "Required value"
            case "FieldValueForbidden":
                head = "Forbidden"
            case "FieldValueTooLong":
                head = "Too long"
            case "InternalError":
                head = "Internal error"
            case _:
                word = {
                    "FieldValueInvalid": "Invalid value",
                    "FieldValueNotSupported": "Unsupported value",
                    "FieldValueDuplicate": "Duplicate value",
                    "FieldValueNotFound": "Not found",
                    "FieldValueTooMany": "Too many",
                    "FieldValueTypeInvalid": "Invalid value",
                }.get(self.type, "Invalid value")
                head = word if self.value is OMITTED else f"{word}: {render_value(self.value)}"
        detail = self.detail
        if self.supported and not detail:
            detail = "supported values: " + ", ".join(f'"{item}"' for item in self.supported)
        return f"{head}: {detail}" if detail else head

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"

    def cause(self) -> Obj:
        """The ``StatusCause`` for ``details.causes``."""
        return {"reason": self.type, "message": self.body(), "field": self.field}


def render_value(value: Any) -> str:
    """A value as field errors print it: strings quoted, the rest as JSON, null as ``null``."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str)


def required(field: str, detail: str = "") -> FieldError:
    """The field must be there."""
    return FieldError("FieldValueRequired", field, detail)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """The value can't be accepted."""
    return FieldError("FieldValueInvalid", field, detail, value)


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    """The value is none of the enumeration's."""
    return FieldError("FieldValueNotSupported", field, "", value, tuple(sorted(supported)))


def duplicate(field: str, value: Any) -> FieldError:
    """The value stands twice where it may stand once."""
    return FieldError("FieldValueDuplicate", field, "", value)


def forbidden_field(field: str, detail: str) -> FieldError:
    """The field may not be set here."""
    return FieldError("FieldValueForbidden", field, detail)


def too_long(field: str, value: Any, limit: int) -> FieldError:
    """The value is longer than allowed."""
    return FieldError("FieldValueTooLong", field, f"may not be more than {limit} bytes", value)


def not_found_field(field: str, value: Any) -> FieldError:
    """The value refers to something that is not there."""
    return FieldError("FieldValueNotFound", field, "", value)


class StatusError(Exception):
    """An API failure that carries its whole ``v1.Status``."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Obj | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.headers = headers or {}

    @property
    def status(self) -> Obj:
        """The ``v1.Status`` body."""
        body: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        if not self.reason:
            del body["reason"]
        return body


def qualified(resource: str, group: str) -> str:
    """A GroupResource as messages print it: ``pods`` or ``deployments.apps``."""
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str, **more: Any) -> Obj:
    details: Obj = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    details.update({key: value for key, value in more.items() if value})
    return details


def not_found(resource: str, name: str, group: str = "") -> StatusError:
    """404: no such object."""
    return StatusError(
        404, "NotFound", f'{qualified(resource, group)} "{name}" not found', _details(name, group, resource)
    )


def path_not_found() -> StatusError:
    """404: no such path, as the generic API server words it."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: str, name: str, group: str = "") -> StatusError:
    """409: the name is taken."""
    return StatusError(
        409,
        "AlreadyExists",
        f'{qualified(resource, group)} "{name}" already exists',
        _details(name, group, resource),
    )


def conflict(
    resource: str, name: str, why: str, group: str = "", causes: list[Obj] | None = None
) -> StatusError:
    """409: the write was made against another state than the stored one."""
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}',
        _details(name, group, resource, causes=causes),
    )


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def stale(resource: str, name: str, group: str = "") -> StatusError:
    """409: the resourceVersion given is not the newest."""
    return conflict(resource, name, STALE, group)


def invalid_object(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422: the object breaks its kind's rules; every rule broken is a cause with the field's path."""
    unique = list(dict.fromkeys(str(error) for error in errors))
    listed = unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"
    return StatusError(
        422,
        "Invalid",
        f'{qualified(kind, group)} "{name}" is invalid: {listed}',
        _details(name, group, kind, causes=[error.cause() for error in errors]),
    )


def bad_request(message: str) -> StatusError:
    """400: the request itself can't be read."""
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    """401: who is asking is not known."""
    return StatusError(401, "Unauthorized", message)


def forbidden(
    resource: str, name: str, why: str, group: str = "", causes: list[Obj] | None = None
) -> StatusError:
    """403: known, and not allowed (or refused by admission)."""
    if name:
        message = f'{qualified(resource, group)} "{name}" is forbidden: {why}'
    elif resource:
        message = f"{qualified(resource, group)} is forbidden: {why}"
    else:
        message = f"forbidden: {why}"
    return StatusError(403, "Forbidden", message, _details(name, group, resource, causes=causes))


def method_not_allowed(resource: str, verb: str, group: str = "") -> StatusError:
    """405: the resource has no such verb."""
    return StatusError(
        405,
        "MethodNotAllowed",
        f'{verb} is not supported on resources of kind "{qualified(resource, group)}"',
        _details("", group, resource),
    )


def not_acceptable(message: str) -> StatusError:
    """406: none of the asked-for representations exists."""
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(message: str) -> StatusError:
    """415: the body's media type can't be read."""
    return StatusError(415, "UnsupportedMediaType", message)


def too_large(limit: int) -> StatusError:
    """413: the body is over the limit, in bytes."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str) -> StatusError:
    """410: the resourceVersion or continue token is too old."""
    return StatusError(410, "Expired", message)


def too_many_requests(message: str, retry_after: int, causes: list[Obj] | None = None) -> StatusError:
    """429: later, please; ``retry_after`` in seconds."""
    details: Obj = {"retryAfterSeconds": retry_after} if retry_after else {}
    if causes:
        details["causes"] = causes
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return StatusError(429, "TooManyRequests", message, details, headers)


def internal(message: str) -> StatusError:
    """500: something of ours broke."""
    return StatusError(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"message": message}]},
    )


def unavailable(message: str) -> StatusError:
    """503: a part that is needed for the answer is not there."""
    return StatusError(503, "ServiceUnavailable", message)


def version_too_large(asked: int, current: int) -> StatusError:
    """504: the resourceVersion asked for lies in the future."""
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )
