"""The paths of an OpenAPI document that are no resources: discovery, the version, who signs tokens.

Each is a document of its own below ``/openapi/v3``, as the group versions are.
"""

from __future__ import annotations

from runtime.objects.registry import Resource

from ..negotiation import JSON
from .operations import PRODUCES, TEXT, Operation, group_word, tag_of

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_VERSION = "io.k8s.apimachinery.pkg.version.Info"

_FIXED = {
    "api": Operation(
        "get",
        "",
        "getCoreAPIVersions",
        "get available API versions",
        None,
        "core",
        consumes=PRODUCES,
        answer=_META + "APIVersions",
    ),
    "apis": Operation(
        "get",
        "",
        "getAPIVersions",
        "get available API versions",
        None,
        "apis",
        consumes=PRODUCES,
        answer=_META + "APIGroupList",
    ),
    "version": Operation(
        "get",
        "",
        "getCodeVersion",
        "get the version information for this server",
        None,
        "version",
        consumes=(JSON,),
        produces=(JSON,),
        answer=_VERSION,
    ),
    ".well-known/openid-configuration": Operation(
        "get",
        "",
        "getServiceAccountIssuerOpenIDConfiguration",
        "get who issues service account tokens: the OpenID discovery document",
        None,
        "WellKnown",
        produces=(JSON,),
        answer=TEXT,
    ),
    "openid/v1/jwks": Operation(
        "get",
        "",
        "getServiceAccountIssuerOpenIDKeyset",
        "get the keys that service account tokens are verified with, as a JSON Web Key Set",
        None,
        "openid",
        produces=("application/jwk-set+json",),
        answer=TEXT,
    ),
}


def template(path: str, operation: Operation) -> str:
    """The path as documents write it: discovery's with a slash at the end."""
    return f"/{path}" if operation.answer == TEXT else f"/{path}/"


def plain_operations(resources: list[Resource]) -> dict[str, Operation]:
    """Every plain path that the kinds make and those that are always there, without slashes around."""
    found = dict(_FIXED)
    for resource in resources:
        if resource.custom is None and resource.group:
            found.setdefault(f"apis/{resource.group}", _group(resource.group))
    return found


def _group(group: str) -> Operation:
    return Operation(
        "get",
        "",
        f"get{group_word(group)}APIGroup",
        "get information of a group",
        None,
        tag_of(group),
        consumes=PRODUCES,
        answer=_META + "APIGroup",
    )


def kinds_operation(group: str, version: str) -> Operation:
    """Discovery of one group version."""
    return Operation(
        "get",
        "",
        f"get{group_word(group)}{version[:1].upper()}{version[1:]}APIResources",
        "get available resources",
        None,
        tag_of(group, version),
        consumes=PRODUCES,
        answer=_META + "APIResourceList",
    )
