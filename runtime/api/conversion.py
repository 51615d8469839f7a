"""Conversion webhooks: custom resources in another version than the stored one, asked from who defines them.

After apiextensions-apiserver ``pkg/apiserver/conversion/webhook_converter.go``: what a ConversionReview says, how the
answer is checked, and which metadata a converter may touch (labels and annotations). Many objects go in one review.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from runtime.objects import meta
from runtime.objects.errors import Obj
from runtime.objects.registry import Convert
from runtime.objects.validation.meta import Errors, check_annotations, check_labels

from .names import new_uid
from .serving import conversion_failed
from .webhooks import CallFailed, WebhookClient

GROUP = "apiextensions.k8s.io"
VERSIONS = ("v1", "v1beta1")
SECONDS = 30.0
"""How long a converter may take (the client's own limit: a definition has no timeoutSeconds)."""
REVIEW_OBJECTS = 200
"""Objects in one review."""


class Conversions:
    """Makes the converters of definitions whose strategy is Webhook."""

    def __init__(self, client: WebhookClient) -> None:
        self._client = client

    def of(self, definition: Obj) -> Convert | None:
        """Who converts the instances of a definition; None where versions differ in apiVersion alone."""
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy") != "Webhook":
            return None
        return partial(self._convert, conversion.get("webhook") or {})

    async def _convert(self, webhook: Obj, objects: Sequence[Obj], api_version: str) -> list[Obj]:
        """Objects in another version; those that have it are left as they are.

        Raises:
            StatusError: 500, the webhook gave none.
        """
        waiting = [index for index, obj in enumerate(objects) if obj.get("apiVersion") != api_version]
        result = list(objects)
        for start in range(0, len(waiting), REVIEW_OBJECTS):
            part = waiting[start : start + REVIEW_OBJECTS]
            made = await self._review(webhook, [objects[index] for index in part], api_version)
            for index, obj in zip(part, made, strict=True):
                result[index] = obj
        return result

    async def _review(self, webhook: Obj, objects: list[Obj], api_version: str) -> list[Obj]:
        about = f"conversion webhook for {_kind_of(objects[0])}"
        version = next((one for one in webhook.get("conversionReviewVersions") or () if one in VERSIONS), "")
        if not version:
            raise conversion_failed("no supported conversion review versions")
        uid = new_uid()
        review: Obj = {
            "kind": "ConversionReview",
            "apiVersion": f"{GROUP}/{version}",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        try:
            answer = await self._client.post(webhook.get("clientConfig") or {}, review, SECONDS)
            converted = _converted(answer, version, uid)
        except CallFailed as error:
            raise conversion_failed(f"{about} failed: {error}") from error
        if len(converted) != len(objects):
            count = f"{len(converted)} objects, expected {len(objects)}"
            raise conversion_failed(f"{about} returned {count}")
        return [
            _checked(f"{about} returned invalid", index, before, after, api_version)
            for index, (before, after) in enumerate(zip(objects, converted, strict=True))
        ]


def _kind_of(obj: Obj) -> str:
    return f"{obj.get('apiVersion')}, Kind={obj.get('kind')}"


def _converted(answer: Obj, version: str, uid: str) -> list[Any]:
    """The objects of an answer.

    Raises:
        CallFailed: it has none.
    """
    if version == "v1":
        expected = f"{GROUP}/v1, Kind=ConversionReview"
        if _kind_of(answer) != expected:
            raise CallFailed(f"expected webhook response of {expected}, got {_kind_of(answer)}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise CallFailed("no response provided")
    if version == "v1" and response.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result")
    result = result if isinstance(result, dict) else {}
    if result.get("status") != "Success":
        said = result.get("message")
        raise CallFailed(said or f"response.result.status was '{result.get('status') or ''}', not 'Success'")
    objects = response.get("convertedObjects") or []
    if not isinstance(objects, list):
        raise CallFailed("response.convertedObjects is no list")
    return objects


def _checked(about: str, index: int, before: Obj, after: Any, api_version: str) -> Obj:
    """A converted object with the metadata that a converter can't change put back.

    Raises:
        StatusError: 500, it is not the object that was sent.
    """
    place = f"{about} converted object at index {index}: "
    if not isinstance(after, dict):
        raise conversion_failed(f"{place}it is no object")
    if after.get("apiVersion") != api_version:
        seen = f"invalid groupVersion (expected {api_version}, received {after.get('apiVersion') or ''})"
        raise conversion_failed(place + seen)
    if after.get("kind") != before.get("kind"):
        seen = f"invalid kind (expected {before.get('kind')}, received {after.get('kind') or ''})"
        raise conversion_failed(place + seen)
    metadata, said = before.get("metadata") or {}, after.get("metadata")
    if isinstance(said, dict):
        for name, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
            one, other = metadata.get(name) or "", said.get(name) or ""
            if one != other:
                raise conversion_failed(f"{place}must have the same {word}: {one} != {other}")
    place = f"{about} metadata in object at index {index}: "
    if "metadata" not in after:
        raise conversion_failed(f"{place}missing metadata in converted object")
    if not isinstance(said, dict):
        raise conversion_failed(f"{place}invalid metadata in converted object")
    restored: Obj = meta.copy(metadata)
    for name in ("labels", "annotations"):
        values = said.get(name)
        restored.pop(name, None)
        if values is None:
            continue
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise conversion_failed(f"{place}invalid metadata.{name} in converted object")
        if values != metadata.get(name):
            errors: Errors = []
            check = check_labels if name == "labels" else check_annotations
            check(values, f"metadata.{name}", errors)
            if errors:
                raise conversion_failed(place + str(errors[0]))
        restored[name] = values
    return {**after, "metadata": restored}
