"""The rules of probes and lifecycle hooks (pkg/apis/core/validation/validation.go, ``validateProbe`` and below)."""

from __future__ import annotations

from typing import Any

from ..errors import Obj, forbidden_field, invalid, required
from .meta import Errors, add, non_negative, one_of
from .names import header_name, port_name, port_number

_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def check_port(port: Any, path: str, errors: Errors) -> None:
    """A port's number or name (``ValidatePortNumOrName``)."""
    if isinstance(port, str):
        add(errors, path, port, port_name(port))
    else:
        add(errors, path, port or 0, port_number(port or 0))


def check_handler(handler: Obj, path: str, errors: Errors, *, grace: int | None = None) -> None:
    """Exactly one way to act. ``grace`` bounds the seconds of a hook's sleep; probes have none."""
    count = 0
    for name in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        action = handler.get(name)
        if action is None:
            continue
        place = f"{path}.{name}"
        if count:
            errors.append(forbidden_field(place, "may not specify more than 1 handler type"))
            continue
        count += 1
        match name:
            case "exec":
                if not action.get("command"):
                    errors.append(required(f"{place}.command"))
            case "httpGet":
                if not action.get("path"):
                    errors.append(required(f"{place}.path"))
                check_port(action.get("port"), f"{place}.port", errors)
                one_of(action.get("scheme") or "-", ("HTTP", "HTTPS"), f"{place}.scheme", errors)
                for header in action.get("httpHeaders") or ():
                    value = header.get("name") or ""
                    add(errors, f"{place}.httpHeaders", value, header_name(value))
            case "tcpSocket":
                check_port(action.get("port"), f"{place}.port", errors)
            case "grpc":
                check_port(action.get("port") or 0, f"{place}.port", errors)
            case _:
                seconds = action.get("seconds") or 0
                if grace is not None and not 0 <= seconds <= grace:
                    errors.append(
                        invalid(
                            place,
                            seconds,
                            f"must be non-negative and less than terminationGracePeriodSeconds ({grace})",
                        )
                    )
    if not count:
        errors.append(required(path, "must specify a handler type"))


def check_probe(probe: Obj, kind: str, path: str, errors: Errors) -> None:
    """One probe; ``kind`` is livenessProbe, readinessProbe or startupProbe."""
    check_handler(probe, path, errors)
    for name in _COUNTS:
        non_negative(probe.get(name), f"{path}.{name}", errors)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None:
        if kind == "readinessProbe":
            place = f"{path}.terminationGracePeriodSeconds"
            errors.append(invalid(place, grace, "must not be set for readinessProbes"))
        elif grace <= 0:
            errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    threshold = probe.get("successThreshold", 1)
    if kind != "readinessProbe" and threshold != 1:
        errors.append(invalid(f"{path}.successThreshold", threshold, "must be 1"))


def check_lifecycle(lifecycle: Obj, grace: int | None, path: str, errors: Errors) -> None:
    """Hooks after the start and before the stop of a container."""
    for name in ("postStart", "preStop"):
        if name in lifecycle:
            check_handler(lifecycle[name], f"{path}.{name}", errors, grace=grace)
