"""AdmissionReview: what a webhook is told, and what its answer means.

After apiserver ``pkg/admission/plugin/webhook/request/admissionreview.go`` and ``webhook/errors/statuserror.go``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from runtime.api.names import new_uid
from runtime.api.webhooks import CallFailed
from runtime.objects.errors import Obj, StatusError, internal
from runtime.objects.registry import Resource

from .asking import request_of
from .chain import Attributes

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A webhook's answer, whichever version of the review it speaks."""

    allowed: bool
    patch: Any
    """The operations of a JSON patch; None for none."""
    warnings: list[str]
    annotations: dict[str, str]
    result: Obj | None


def review_version(versions: Iterable[str]) -> str:
    """The first version of the review that both sides know.

    Raises:
        CallFailed: there is none.
    """
    for version in versions:
        if version in VERSIONS:
            return version
    raise CallFailed(
        "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)"
    )


def make_review(
    a: Attributes, resource: Resource, version: str, obj: Obj | None, old: Obj | None
) -> tuple[str, Obj]:
    """The uid of a review, and the review: objects are in the version that ``resource`` is."""
    uid = new_uid()
    request = request_of(a, resource, uid)
    options = request.pop("options")
    dry_run = request.pop("dryRun")
    request |= {"object": obj, "oldObject": old, "dryRun": dry_run, "options": options}
    return uid, {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}


def read_answer(answer: Obj, uid: str, version: str, *, mutating: bool) -> Verdict:
    """What a webhook says.

    Raises:
        CallFailed: the answer is none to this review.
    """
    response = answer.get("response")
    if not isinstance(response, dict):
        raise CallFailed("webhook response was absent")
    patch, kind = response.get("patch"), response.get("patchType")
    if version == "v1":
        if response.get("uid", "") != uid:
            raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        expected = f"{GROUP}/v1, Kind=AdmissionReview"
        seen = f"{answer.get('apiVersion') or ''}, Kind={answer.get('kind') or ''}"
        if seen != expected:
            raise CallFailed(f"expected webhook response of {expected}, got {seen}")
        _check_patch(patch, kind, mutating=mutating)
    elif patch:
        kind = "JSONPatch"  # the older version did not say which
    if not mutating:
        patch = None
    if patch and kind != "JSONPatch":
        raise CallFailed(f'unsupported patch type "{kind}"')
    warnings, annotations = response.get("warnings"), response.get("auditAnnotations")
    result = response.get("status", response.get("result"))
    return Verdict(
        response.get("allowed") is True,
        _decode(patch) if patch else None,
        [one for one in warnings if isinstance(one, str)] if isinstance(warnings, list) else [],
        {str(key): str(value) for key, value in annotations.items()} if isinstance(annotations, dict) else {},
        result if isinstance(result, dict) else None,
    )


def _check_patch(patch: Any, kind: Any, *, mutating: bool) -> None:
    if not mutating:
        if patch:
            raise CallFailed("validating webhook may not return response.patch")
        if kind is not None:
            raise CallFailed("validating webhook may not return response.patchType")
        return
    if patch and kind is None:
        raise CallFailed("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise CallFailed("webhook returned response.patchType but not response.patch")
    if kind == "":
        raise CallFailed('webhook returned invalid response.patchType of ""')


def _decode(patch: Any) -> Any:
    """The operations of a patch.

    Raises:
        StatusError: 500, it can't be read.
    """
    if not isinstance(patch, str):
        raise CallFailed("response.patch is no text in base64")
    try:
        return orjson.loads(base64.b64decode(patch, validate=True))
    except (binascii.Error, ValueError) as error:
        raise internal(str(error)) from error


def rejection(webhook: str, result: Obj | None) -> StatusError:
    """A denial, in the webhook's own words, code and reason (``ToStatusErr``)."""
    given = result or {}
    denied = f'admission webhook "{webhook}" denied the request'
    code = given.get("code")
    if not isinstance(code, int) or isinstance(code, bool) or not 400 <= code <= 599:
        code = 400
    message, reason = given.get("message"), given.get("reason")
    if isinstance(message, str) and message:
        said = f"{denied}: {message}"
    elif isinstance(reason, str) and reason:
        said = f"{denied}: {reason}"
    else:
        said = f"{denied} without explanation"
    details = given.get("details")
    return StatusError(
        code,
        reason if isinstance(reason, str) else "",
        said,
        details if isinstance(details, dict) else None,
    )
