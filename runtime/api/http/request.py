"""What a URL asks for: verb, group, version, namespace, resource, name and subresource; and its options.

Paths are read as apiserver's ``endpoints/request/requestinfo.go`` reads them. Options are read as
apimachinery decodes them from a query: any word but ``false`` and ``0`` is true, a number that is none is 400, a
value outside its set is 422 under the name of the options' own kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from multidict import MultiMapping

from runtime.api.context import ListOptions, WatchOptions
from runtime.objects.errors import (
    FieldError,
    Obj,
    bad_request,
    forbidden_field,
    invalid,
    invalid_object,
    not_supported,
    required,
)

Query = MultiMapping[str] | Mapping[str, str]

METHOD_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
MANAGER_LIMIT = 128


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request's path, taken apart. ``verb`` of a collection is still ``get`` or ``delete``."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource, not decoded: the path that a proxy passes on."""
    watch: bool = False
    """The old ``/api/v1/watch/…`` form."""


@lru_cache(maxsize=4096)
def parse_path(method: str, raw_path: str) -> RequestInfo:
    """Take a path (percent-encoded, as it came) apart."""
    verb = METHOD_VERBS.get(method, "")
    raw = raw_path.strip("/").split("/")
    path, parts = raw_path, raw
    if "%" in raw_path:
        path, parts = unquote(raw_path), [unquote(part) for part in raw]
    group, index = "", 1
    if parts[0] == "apis" and len(parts) >= 4:
        group, index = parts[1], 2
    elif parts[0] != "api" or len(parts) < 3:
        return RequestInfo(path, method.lower())
    version = parts[index]
    index += 1
    watch = False
    if parts[index] == "watch" and len(parts) > index + 1:
        watch, index = True, index + 1
    namespace = ""
    if parts[index] == "namespaces" and len(parts) > index + 1:
        namespace = parts[index + 1]
        if len(parts) > index + 2 and parts[index + 2] not in NAMESPACE_SUBRESOURCES:
            index += 2
    here = parts[index:]
    rest = "/".join(raw[index + 3 :])
    return RequestInfo(
        path,
        verb,
        True,
        group,
        version,
        namespace,
        here[0],
        here[1] if len(here) > 1 else "",
        here[2] if len(here) > 2 else "",
        rest + "/" if rest and raw_path.endswith("/") else rest,
        watch,
    )


def flag(query: Query, name: str) -> bool:
    """A boolean option: present with any value but ``false`` or ``0``."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0", "")


def number(query: Query, name: str) -> int | None:
    """A whole-number option.

    Raises:
        StatusError: 400, it is none.
    """
    value = query.get(name)
    if not value:
        return None
    try:
        found = int(value)
    except ValueError:
        found = None
    if found is None or not -(2**63) <= found < 2**63 or value != value.strip():
        raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax')
    return found


def list_options(query: Query) -> ListOptions:
    """metav1.ListOptions of a list or a deletecollection.

    Raises:
        StatusError: 400, a number is none.
    """
    number(query, "timeoutSeconds")  # a list takes as long as it takes, but what can't be read is refused
    return ListOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        limit=number(query, "limit") or 0,
        continue_=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        send_initial_events=_given(query, "sendInitialEvents"),
    )


def _given(query: Query, name: str) -> bool | None:
    """A boolean option, or None where it was not given."""
    return flag(query, name) if query.get(name) else None


def watch_options(query: Query, name: str = "") -> WatchOptions:
    """metav1.ListOptions of a watch; ``name`` narrows it to one object (the old ``/watch/`` paths).

    A watch that starts at no version, or at any, is one that asks for initial events (apimachinery's
    ``SetListOptionsDefaults``), so it too is told where they end if it takes bookmarks.

    Raises:
        StatusError: 400, a number is none.
    """
    field_selector = query.get("fieldSelector", "")
    if name:
        field_selector = ",".join(part for part in (field_selector, f"metadata.name={name}") if part)
    match, initial = query.get("resourceVersionMatch", ""), _given(query, "sendInitialEvents")
    if initial is None and not match and query.get("resourceVersion", "") in ("", "0"):
        match, initial = "NotOlderThan", True
    return WatchOptions(
        label_selector=query.get("labelSelector", ""),
        field_selector=field_selector,
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=match,
        send_initial_events=initial,
        continue_=query.get("continue", ""),
        allow_bookmarks=flag(query, "allowWatchBookmarks"),
        timeout_seconds=number(query, "timeoutSeconds"),
    )


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The options that create, update and patch share."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool = False


NO_OPTIONS = WriteOptions()


def write_options(query: MultiMapping[str], kind: str, patch: str = "") -> WriteOptions:
    """The options of a write.

    Args:
        query: the URL's query.
        kind: ``CreateOptions``, ``UpdateOptions`` or ``PatchOptions``, named in errors.
        patch: the patch type, for ``PatchOptions``.

    Raises:
        StatusError: 422.
    """
    if not query and patch != "apply":
        return NO_OPTIONS
    errors: list[FieldError] = []
    dry_run = [value for value in query.getall("dryRun", []) if value]
    errors += dry_run_errors(dry_run)
    manager = query.get("fieldManager", "")
    if len(manager) > MANAGER_LIMIT:
        errors.append(
            FieldError(
                "FieldValueTooLong", "fieldManager", f"may not be more than {MANAGER_LIMIT} bytes", manager
            )
        )
    elif not manager.isprintable():
        errors.append(invalid("fieldManager", manager, "should only contain printable characters"))
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        errors.append(not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    force = flag(query, "force")
    if patch == "apply":
        if not manager:
            errors.append(required("fieldManager", "is required for apply patch"))
    elif patch and "force" in query:
        errors.append(forbidden_field("force", "may not be specified for non-apply patch"))
    if errors:
        raise invalid_object(kind, "meta.k8s.io", "", errors)
    return WriteOptions(bool(dry_run), manager, validation or "Warn", force)


def dry_run_errors(values: list[str]) -> list[FieldError]:
    """What is wrong with a list of dryRun directives."""
    return [not_supported("dryRun", value, ("All",)) for value in values if value != "All"]


def delete_options(query: MultiMapping[str], body: Obj | None) -> Obj:
    """metav1.DeleteOptions: the body's, or without one the query's.

    Raises:
        StatusError: 400 for what can't be read, 422 for a dryRun other than All.
    """
    options: Obj
    if body is not None:
        kind = body.get("kind")
        if kind not in (None, "", "DeleteOptions"):
            raise bad_request(
                f'the object provided is unrecognized (must be of type DeleteOptions): "{kind}" is none'
            )
        options = {key: value for key, value in body.items() if key not in ("kind", "apiVersion")}
    else:
        options = {}
        seconds = number(query, "gracePeriodSeconds")
        if seconds is not None:
            options["gracePeriodSeconds"] = seconds
        if "orphanDependents" in query:
            options["orphanDependents"] = flag(query, "orphanDependents")
        if query.get("propagationPolicy"):
            options["propagationPolicy"] = query["propagationPolicy"]
        if query.get("ignoreStoreReadErrorWithClusterBreakingPotential"):
            options["ignoreStoreReadErrorWithClusterBreakingPotential"] = flag(
                query, "ignoreStoreReadErrorWithClusterBreakingPotential"
            )
        dry_run: Any = [value for value in query.getall("dryRun", []) if value]
        if dry_run:
            options["dryRun"] = dry_run
    given = options.get("dryRun") or []
    if not isinstance(given, list) or any(not isinstance(value, str) for value in given):
        raise bad_request("dryRun: expected a list of strings")
    errors = dry_run_errors(given)
    if errors:
        raise invalid_object("DeleteOptions", "meta.k8s.io", "", errors)
    return options
