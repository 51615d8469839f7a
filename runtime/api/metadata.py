"""What the server alone decides in ObjectMeta, on create and on update.

apiserver ``pkg/registry/rest/{create,update,meta}.go`` and ``endpoints/handlers/rest.go`` (name checks and owner
references that stand there twice).
"""

from __future__ import annotations

from runtime.objects.errors import FieldError, Obj, bad_request, conflict, invalid, invalid_object, stale
from runtime.objects.registry import Resource

from .context import RequestContext

SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def private_metadata(obj: Obj) -> Obj:
    """The object's metadata, made if it is missing."""
    metadata: Obj | None = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    return metadata


def check_kind(resource: Resource, obj: Obj) -> None:
    """Fill in apiVersion and kind where the body left them out.

    Raises:
        StatusError: 400, they are another kind's; 422 where a custom resource names another kind.
    """
    if not isinstance(obj, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
    kind = obj.get("kind") or resource.kind
    api_version = obj.get("apiVersion") or resource.api_version
    if kind != resource.kind and (resource.custom is None or api_version != resource.api_version):
        version = str(api_version).rpartition("/")[2]
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: no kind "{kind}" is registered '
            f'for version "{resource.api_version}"'
        )
    if api_version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if (
        kind != resource.kind
    ):  # the decoder of custom resources takes any kind; it is their validation that does not
        wrong = [invalid("kind", kind, f"must be {resource.kind}")]
        raise invalid_object(kind, resource.group, (obj.get("metadata") or {}).get("name") or "", wrong)
    obj["kind"], obj["apiVersion"] = kind, api_version


def settle_namespace(resource: Resource, namespace: str, metadata: Obj) -> None:
    """Give the object the request's namespace.

    Raises:
        StatusError: 400, the object names another one.
    """
    expected = namespace if resource.namespaced else ""
    given = metadata.get("namespace") or ""
    if given == expected:
        return
    if not given:
        metadata["namespace"] = expected
        return
    if not expected:
        metadata.pop("namespace", None)
        return
    raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_name(name: str, namespace: str, metadata: Obj) -> None:
    """The body's name has to be the URL's.

    Raises:
        StatusError: 400 otherwise.
    """
    given = metadata.get("name") or ""
    if not given:
        raise bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if namespace and metadata.get("namespace") and metadata["namespace"] != namespace:
        raise bad_request(
            f"the namespace of the object ({metadata['namespace']}) does not match the namespace on the request "
            f"({namespace})"
        )


def check_uid(resource: Resource, name: str, given: str, stored: str) -> None:
    """A uid in the body is a precondition.

    Raises:
        StatusError: 409 when it is another object's.
    """
    if given and given != stored:
        raise conflict(
            resource.plural,
            name,
            f"Precondition failed: UID in precondition: {given}, UID in object meta: {stored}",
            resource.group,
        )


def keep_server_owned(metadata: Obj, old: Obj) -> None:
    """An update can't touch what the server decided (``BeforeUpdate``)."""
    for field in SERVER_OWNED:
        if field in old:
            if field != "uid" or not metadata.get("uid"):
                metadata[field] = old[field]
        elif field != "uid":
            metadata.pop(field, None)
    if "generation" in old:
        metadata["generation"] = old["generation"]
    else:
        metadata.pop("generation", None)


def check_version(resource: Resource, name: str, metadata: Obj, current: str) -> None:
    """The resourceVersion rules of an update.

    Raises:
        StatusError: 409 for a stale one, 422 for none where the kind demands one, 400 for one that is no number.
    """
    given = metadata.get("resourceVersion") or ""
    if given == current:
        return
    if not given or given == "0":
        if resource.strategy.allow_unconditional_update:
            return
        raise invalid_object(
            resource.plural,
            resource.group,
            name,
            [invalid("metadata.resourceVersion", 0, "must be specified for an update")],
        )
    if not given.isascii() or not given.isdigit():
        raise bad_request(f'invalid resource version: "{given}"')
    raise stale(resource.plural, name, resource.group)


def changed_identity(metadata: Obj, old: Obj, found: list[FieldError]) -> list[FieldError]:
    """Errors for a uid that is not the stored one, unless the kind's own rules said so already."""
    if metadata["uid"] != old["uid"] and not any(error.field == "metadata.uid" for error in found):
        return [invalid("metadata.uid", metadata["uid"], "field is immutable")]
    return []


def drop_duplicate_owners(ctx: RequestContext, metadata: Obj) -> None:
    """An owner reference that stands twice is kept once, and said."""
    owners = metadata.get("ownerReferences")
    if not owners or len(owners) < 2:
        return
    kept: list[Obj] = []
    doubled: list[str] = []
    for owner in owners:
        if owner in kept:
            doubled.append(str(owner.get("uid", "")))
        else:
            kept.append(owner)
    if doubled:
        metadata["ownerReferences"] = kept
        ctx.warn(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and "
            f"may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
            f"{', '.join(doubled)}"
        )
