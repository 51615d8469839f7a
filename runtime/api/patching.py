"""PATCH: a stored object and a change in one of four languages make a new object.

apiserver ``endpoints/handlers/patch.go``. Because nothing waits between reading the newest state and submitting
the result, a patch can only conflict when its author demands a resourceVersion.
"""

from __future__ import annotations

from typing import Any

import orjson

from runtime.objects.depth import DEPTH_LIMIT, too_deep
from runtime.objects.errors import (
    FieldError,
    Obj,
    StatusError,
    bad_request,
    invalid,
    invalid_object,
    required,
    unsupported_media_type,
)
from runtime.objects.patch import apply_json_patch, apply_merge_patch, apply_strategic_merge
from runtime.objects.registry import Resource
from runtime.objects.schema import decode, find_unrestorable

from .context import RequestContext
from .metadata import check_kind

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_SHORT = {"json": JSON_PATCH, "merge": MERGE_PATCH, "strategic": STRATEGIC_PATCH, "apply": APPLY_PATCH}
_UNKNOWN_FORMAT = "the body of the request was in an unknown format - accepted media types include: "
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def patch_type_of(name: str, resource: Resource) -> str:
    """The media type of a patch, from itself or from ``json``, ``merge``, ``strategic``, ``apply``.

    Raises:
        StatusError: 415 for any other, and for a strategic merge patch of a kind whose lists have no merge keys.
    """
    media_type = _SHORT.get(name, name)
    accepted: tuple[str, ...] = PATCH_TYPES
    if resource.custom is not None or resource.type_info.kind != "struct":
        accepted = tuple(one for one in PATCH_TYPES if one != STRATEGIC_PATCH)
    if media_type not in accepted:
        raise unsupported_media_type(f"{_UNKNOWN_FORMAT}{', '.join(accepted)}")
    return media_type


def check_patch_options(ctx: RequestContext, media_type: str, force: bool | None) -> None:
    """An apply needs a field manager; only an apply may force (``ValidatePatchOptions``).

    Raises:
        StatusError: 422.
    """
    errors: list[FieldError] = []
    if media_type == APPLY_PATCH:
        if not ctx.field_manager:
            errors.append(required("fieldManager", "is required for apply patch"))
    elif force:
        errors.append(FieldError("FieldValueForbidden", "force", "may not be specified for non-apply patch"))
    if errors:
        raise invalid_object("PatchOptions", "meta.k8s.io", "", errors)


def read_patch(body: bytes | Any, media_type: str) -> Any:
    """The patch as data.

    Raises:
        StatusError: 400, it can't be read.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        return body
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if media_type == APPLY_PATCH:
            raise bad_request(f"error decoding YAML: {error}") from None
        raise bad_request(f"error decoding patch: {error}") from None


def apply_patch(resource: Resource, current: Obj, patch: Any, media_type: str) -> Obj:
    """What the patch makes of the object; parts that did not change are shared.

    Raises:
        StatusError: 400 or 422, the patch does not fit.
    """
    if media_type == JSON_PATCH:
        return apply_json_patch(current, patch)
    if media_type == MERGE_PATCH:
        return apply_merge_patch(current, patch)
    return apply_strategic_merge(current, patch, resource.type_info)


def read_patched(ctx: RequestContext, resource: Resource, patched: Obj, *, patch: Any = None) -> Obj:
    """A private, typed copy of a patched object.

    Args:
        ctx: the request.
        resource: the kind.
        patched: what the patch made of the object.
        patch: a strategic merge patch, which is what errors show then; of the other types they show the result.

    Raises:
        StatusError: 422, the patch made something that the kind can't be.
    """

    def shown() -> str:
        return orjson.dumps(patched).decode() if patch is None else _go_text(patch)

    text = _text(patched)
    # Few objects have so many brackets; of those that have, nearly all are wide rather than deep.
    if not text or (text.count(b"{") + text.count(b"[") > DEPTH_LIMIT and too_deep(patched)):
        raise bad_request(f"the patched object is nested deeper than {DEPTH_LIMIT} levels")
    if not isinstance(patched, dict) or not isinstance(patched.get("metadata", {}), dict):
        raise _unfit(shown(), "the patch made an object that can't be read")
    private = orjson.loads(text)
    check_kind(resource, private)
    try:
        clean, unknown = decode(resource, private)
    except StatusError as error:
        why = find_unrestorable(resource.type_info, private) if patch is not None else ""
        raise _unfit(
            shown(), why or error.message.partition(f" cannot be handled as a {resource.kind}: ")[2]
        ) from None
    if (ctx.repeated or unknown) and ctx.field_validation != "Ignore":
        if ctx.field_validation == "Strict":
            raise _unfit(shown(), f"strict decoding error: {ctx.repeated.errors(resource, unknown)}")
        for problem in ctx.repeated.warnings(resource, unknown):
            ctx.warn(problem)
    return clean


def _text(patched: Any) -> bytes:
    """The object as JSON; nothing where it is too deep for that."""
    try:
        return orjson.dumps(patched)
    except orjson.JSONEncodeError:
        if too_deep(patched):
            return b""
        raise


def _go_text(value: Any) -> str:
    """A value as Go's ``%+v`` prints it."""
    match value:
        case dict():
            return "map[" + " ".join(f"{key}:{_go_text(value[key])}" for key in sorted(value)) + "]"
        case list():
            return "[" + " ".join(map(_go_text, value)) + "]"
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
    return str(value)


def _unfit(shown: str, why: str) -> StatusError:
    error = invalid_object("", "", "", [invalid("patch", shown, why)])
    # upstream leaves the kind out of this one sentence
    error.message = error.message.lstrip()
    return error
