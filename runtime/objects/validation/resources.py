"""Quantities and resource lists: what containers, quotas, limits and volumes ask for.

Follows pkg/apis/core/validation/validation.go (``ValidateResourceRequirements`` and its helpers).
"""

from __future__ import annotations

from ..errors import Obj, duplicate, forbidden_field, invalid, not_found_field, required
from ..quantity import parse
from ..selectors import label_key_errors
from .meta import Errors, add
from .names import NEGATIVE

STANDARD = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "requests.storage",
        "services.nodeports",
        "services.loadbalancers",
    }
)
FOR_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
OVERCOMMITTED = FOR_CONTAINERS
INTEGERS = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
NOT_INTEGER = "must be an integer"


def is_huge_page(name: str) -> bool:
    """``hugepages-2Mi`` and the like."""
    return name.startswith("hugepages-")


def is_native(name: str) -> bool:
    """Without a domain, or in kubernetes.io's."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource of somebody else's (``IsExtendedResourceName``)."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not label_key_errors(f"requests.{name}")


def check_name(name: str, path: str, errors: Errors) -> None:
    """A resource's name anywhere (``validateResourceName``)."""
    if name in STANDARD:
        return
    found = label_key_errors(name)
    add(errors, path, name, found)
    if not found and "/" not in name and not is_huge_page(name):
        errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))


def check_container_name(name: str, path: str, errors: Errors) -> None:
    """A resource's name in a container (``validateContainerResourceName``)."""
    if name in FOR_CONTAINERS:
        return
    check_name(name, path, errors)
    if "/" not in name:
        if not is_huge_page(name):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))


def check_amount(name: str, value: str, path: str, errors: Errors) -> None:
    """Zero or more, whole where only whole makes sense (``ValidateResourceQuantityValue``)."""
    amount = parse(value)
    if amount.nano < 0:
        errors.append(invalid(path, value, NEGATIVE))
    if (name in INTEGERS or is_extended(name)) and amount.nano % 10**9:
        errors.append(invalid(path, value, NOT_INTEGER))


def check_amounts(amounts: Obj | None, path: str, errors: Errors) -> None:
    """A resource list with names and amounts that are good anywhere."""
    for name, value in (amounts or {}).items():
        place = f"{path}[{name}]"
        check_name(name, place, errors)
        check_amount(name, value, place, errors)


def check_requirements(
    resources: Obj, path: str, errors: Errors, claims: frozenset[str] = frozenset()
) -> None:
    """A container's requests and limits, and that the one is not above the other."""
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    has_basis = has_huge_pages = False
    for name, value in limits.items():
        place = f"{path}.limits[{name}]"
        check_container_name(name, place, errors)
        check_amount(name, value, place, errors)
        has_huge_pages = has_huge_pages or is_huge_page(name)
        has_basis = has_basis or name in ("cpu", "memory")
    for name, value in requests.items():
        place = f"{path}.requests[{name}]"
        check_container_name(name, place, errors)
        check_amount(name, value, place, errors)
        has_huge_pages = has_huge_pages or is_huge_page(name)
        has_basis = has_basis or name in ("cpu", "memory")
        if name in limits:
            limit = limits[name]
            if name not in OVERCOMMITTED:
                if parse(value) != parse(limit):
                    errors.append(
                        invalid(f"{path}.requests", value, f"must be equal to {name} limit of {limit}")
                    )
            elif value != limit and parse(value) > parse(limit):
                sentence = f"must be less than or equal to {name} limit of {limit}"
                errors.append(invalid(f"{path}.requests", value, sentence))
        elif name not in OVERCOMMITTED:
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    if has_huge_pages and not has_basis:
        errors.append(forbidden_field(path, "HugePages require cpu or memory"))
    seen: set[str] = set()
    for index, claim in enumerate(resources.get("claims") or ()):
        name = claim.get("name") or ""
        place = f"{path}.claims[{index}]"
        if not name:
            errors.append(required(f"{place}.name"))
            continue
        if name not in claims:
            errors.append(not_found_field(f"{place}.name", name))
        if name in seen:
            errors.append(duplicate(f"{place}.name", name))
        seen.add(name)
