"""The rules of device claims, classes and slices (pkg/apis/resource/validation); expressions are not compiled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import Obj, duplicate, invalid, required
from .affinity import check_node_selector
from .meta import Errors, add, check_meta, check_meta_update, immutable, one_of
from .names import label, subdomain

MODES = ("All", "ExactCount")
MOST_REQUESTS = 32
"""Requests of a claim, and in the same way selectors, constraints and configurations."""
MOST_ALTERNATIVES = 8
MOST_DEVICES = 128
DRIVER_LENGTH = 63


def _at_most(items: list[Any], limit: int, path: str, errors: Errors) -> None:
    if len(items) > limit:
        errors.append(invalid(path, len(items), f"must have at most {limit} items"))


def _named(items: list[Obj], path: str, errors: Errors) -> None:
    """Names that are there, are labels, and stand once."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = item.get("name") or ""
        add(errors, f"{path}[{index}].name", name, label(name))
        if name in seen:
            errors.append(duplicate(f"{path}[{index}].name", name))
        seen.add(name)


def _driver(name: str, path: str, errors: Errors) -> None:
    if not name:
        errors.append(required(path))
        return
    if len(name) > DRIVER_LENGTH:
        errors.append(invalid(path, name, f"must be no more than {DRIVER_LENGTH} characters"))
    add(errors, path, name, subdomain(name.lower()))


def _selectors(selectors: list[Obj], path: str, errors: Errors) -> None:
    _at_most(selectors, MOST_REQUESTS, path, errors)
    for index, selector in enumerate(selectors):
        if selector.get("cel") is None:
            errors.append(required(f"{path}[{index}].cel"))
        elif not selector["cel"].get("expression"):
            errors.append(required(f"{path}[{index}].cel.expression"))


def _wanted(request: Obj, path: str, errors: Errors) -> None:
    """Which devices, and how many: an exact request, or one of several alternatives."""
    name = request.get("deviceClassName") or ""
    if not name:
        errors.append(required(f"{path}.deviceClassName"))
    else:
        add(errors, f"{path}.deviceClassName", name, subdomain(name))
    _selectors(request.get("selectors") or [], f"{path}.selectors", errors)
    mode, count = request.get("allocationMode") or "", request.get("count") or 0
    one_of(mode, MODES, f"{path}.allocationMode", errors)
    if mode == "All" and count:
        sentence = "must not be specified when allocationMode is 'All'"
        errors.append(invalid(f"{path}.count", count, sentence))
    elif mode == "ExactCount" and count <= 0:
        errors.append(invalid(f"{path}.count", count, "must be greater than zero"))


def _request(request: Obj, path: str, errors: Errors) -> None:
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable") or []
    choice = "exactly one of `exactly` or `firstAvailable` is required"
    if exactly is None and not alternatives:
        errors.append(required(path, choice))
    elif exactly is not None and alternatives:
        errors.append(invalid(path, None, f"{choice}, but multiple fields are set"))
    elif exactly is not None:
        _wanted(exactly, f"{path}.exactly", errors)
    else:
        _at_most(alternatives, MOST_ALTERNATIVES, f"{path}.firstAvailable", errors)
        _named(alternatives, f"{path}.firstAvailable", errors)
        for index, one in enumerate(alternatives):
            _wanted(one, f"{path}.firstAvailable[{index}]", errors)


def _known(requests: Iterable[Obj]) -> set[str]:
    """What constraints and configurations may name: requests, and alternatives as ``request/alternative``."""
    found: set[str] = set()
    for request in requests:
        name = request.get("name") or ""
        found.add(name)
        found.update(f"{name}/{one.get('name', '')}" for one in request.get("firstAvailable") or ())
    return found


def _references(names: list[str], known: set[str], path: str, errors: Errors) -> None:
    _at_most(names, MOST_REQUESTS, path, errors)
    sentence = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
    for index, name in enumerate(names):
        if name not in known:
            errors.append(invalid(f"{path}[{index}]", name, sentence))


def _configurations(entries: list[Obj], path: str, errors: Errors) -> None:
    _at_most(entries, MOST_REQUESTS, path, errors)
    for index, entry in enumerate(entries):
        opaque = entry.get("opaque")
        if opaque is None:
            errors.append(required(f"{path}[{index}].opaque"))
            continue
        _driver(opaque.get("driver") or "", f"{path}[{index}].opaque.driver", errors)
        if opaque.get("parameters") is None:
            errors.append(required(f"{path}[{index}].opaque.parameters"))


def _claim_spec(spec: Obj, path: str, errors: Errors) -> None:
    devices = spec.get("devices") or {}
    requests = devices.get("requests") or []
    path = f"{path}.devices"
    _at_most(requests, MOST_REQUESTS, f"{path}.requests", errors)
    _named(requests, f"{path}.requests", errors)
    for index, request in enumerate(requests):
        _request(request, f"{path}.requests[{index}]", errors)
    known = _known(requests)
    constraints = devices.get("constraints") or []
    _at_most(constraints, MOST_REQUESTS, f"{path}.constraints", errors)
    for index, constraint in enumerate(constraints):
        here = f"{path}.constraints[{index}]"
        _references(constraint.get("requests") or [], known, f"{here}.requests", errors)
        if constraint.get("matchAttribute") is None and constraint.get("distinctAttribute") is None:
            errors.append(required(f"{here}.matchAttribute"))
    entries = devices.get("config") or []
    _configurations(entries, f"{path}.config", errors)
    for index, entry in enumerate(entries):
        _references(entry.get("requests") or [], known, f"{path}.config[{index}].requests", errors)


def check_claim(obj: Obj) -> Errors:
    """A new ResourceClaim (``ValidateResourceClaim``)."""
    errors: Errors = []
    check_meta(obj, errors)
    _claim_spec(obj.get("spec") or {}, "spec", errors)
    return errors


def check_claim_update(new: Obj, old: Obj) -> Errors:
    """What is claimed stays as it is."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("spec"), old.get("spec"), "spec", errors)
    return errors


def check_claim_status(new: Obj, old: Obj) -> Errors:
    """An allocation stays as it is while there is one; who it is reserved for needs it."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    status, before = new.get("status") or {}, old.get("status") or {}
    if status.get("allocation") is not None and before.get("allocation") is not None:
        immutable(status["allocation"], before["allocation"], "status.allocation", errors)
    reserved = status.get("reservedFor") or []
    if reserved and status.get("allocation") is None:
        errors.append(
            invalid("status.reservedFor", reserved, "may not be specified when `allocated` is not set")
        )
    for index, consumer in enumerate(reserved):
        for name in ("resource", "name", "uid"):
            if not consumer.get(name):
                errors.append(required(f"status.reservedFor[{index}].{name}"))
    return errors


def check_template(obj: Obj) -> Errors:
    """A new ResourceClaimTemplate (``ValidateResourceClaimTemplate``)."""
    errors: Errors = []
    check_meta(obj, errors)
    _claim_spec((obj.get("spec") or {}).get("spec") or {}, "spec.spec", errors)
    return errors


def check_template_update(new: Obj, old: Obj) -> Errors:
    """A template stays as it is."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    immutable(new.get("spec"), old.get("spec"), "spec", errors)
    return errors


def check_class(obj: Obj) -> Errors:
    """A new DeviceClass (``ValidateDeviceClass``)."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    spec = obj.get("spec") or {}
    _selectors(spec.get("selectors") or [], "spec.selectors", errors)
    _configurations(spec.get("config") or [], "spec.config", errors)
    return errors


def check_class_update(new: Obj, old: Obj) -> Errors:
    """A changed DeviceClass."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    return errors + [one for one in check_class(new) if not one.field.startswith("metadata")]


def check_slice(obj: Obj) -> Errors:
    """A new ResourceSlice (``ValidateResourceSlice``)."""
    errors: Errors = []
    check_meta(obj, errors, namespaced=False)
    spec = obj.get("spec") or {}
    _driver(spec.get("driver") or "", "spec.driver", errors)
    pool = spec.get("pool") or {}
    if not pool.get("name"):
        errors.append(required("spec.pool.name"))
    else:
        for piece in pool["name"].split("/"):
            add(errors, "spec.pool.name", piece, subdomain(piece))
    if pool.get("resourceSliceCount", 0) <= 0:
        count = pool.get("resourceSliceCount", 0)
        errors.append(invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    if pool.get("generation", 0) < 0:
        sentence = "must be greater than or equal to zero"
        errors.append(invalid("spec.pool.generation", pool["generation"], sentence))
    if spec.get("nodeSelector") is not None:
        check_node_selector(spec["nodeSelector"], "spec.nodeSelector", errors)
    names = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
    given = [f"`{name}`" for name in names if spec.get(name)]
    choice = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
    if not given:
        errors.append(required("spec", choice))
    elif len(given) > 1:
        errors.append(invalid("spec", f"{{{', '.join(given)}}}", f"{choice}, but multiple fields are set"))
    devices = spec.get("devices") or []
    _at_most(devices, MOST_DEVICES, "spec.devices", errors)
    _named(devices, "spec.devices", errors)
    return errors


def check_slice_update(new: Obj, old: Obj) -> Errors:
    """Whose slice it is stays as it is."""
    errors: Errors = []
    check_meta_update(new, old, errors)
    errors += [one for one in check_slice(new) if not one.field.startswith("metadata")]
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    name, was = ((one.get("pool") or {}).get("name") for one in (spec, before))
    immutable(name, was, "spec.pool.name", errors)
    for member in ("driver", "nodeName"):
        immutable(spec.get(member), before.get(member), f"spec.{member}", errors)
    return errors
