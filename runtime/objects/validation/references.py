"""References from a pod to its own fields and resources, in environment variables and in volumes."""

from __future__ import annotations

from ..errors import Obj, invalid, required
from ..quantity import parse
from ..selectors import label_key_errors
from .meta import Errors, add, unsupported

ENV_PATHS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_DIVISORS = frozenset(("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"))


def check_field_selector(reference: Obj, paths: frozenset[str], path: str, errors: Errors) -> None:
    """A reference to a field of the pod itself (``validateObjectFieldSelector``)."""
    field = reference.get("fieldPath") or ""
    if not reference.get("apiVersion"):
        errors.append(required(f"{path}.apiVersion"))
    elif not field:
        errors.append(required(f"{path}.fieldPath"))
    elif field.endswith("']") and "['" in field:
        base, _, rest = field.partition("['")
        key = rest[:-2]
        if base == "metadata.annotations":
            add(errors, path, key, label_key_errors(key.lower()))
        elif base == "metadata.labels":
            add(errors, path, key, label_key_errors(key))
        else:
            errors.append(invalid(path, base, "does not support subscript"))
    elif field not in paths:
        known = ENV_PATHS | {"metadata.annotations", "metadata.labels"}
        if field in known:
            errors.append(unsupported(f"{path}.fieldPath", field, sorted(paths)))
        else:
            sentence = f"error converting fieldPath: field label not supported: {field}"
            errors.append(invalid(f"{path}.fieldPath", field, sentence))


def check_resource_selector(reference: Obj, path: str, errors: Errors, *, in_volume: bool) -> None:
    """A reference to a container's resource (``validateContainerResourceFieldSelector``)."""
    name = reference.get("resource") or ""
    if in_volume and not reference.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not name:
        errors.append(required(f"{path}.resource"))
    elif name not in RESOURCE_FIELDS and "hugepages-" not in name:
        errors.append(unsupported(f"{path}.resource", name, RESOURCE_FIELDS))
    divisor = reference.get("divisor")
    if not divisor or not parse(divisor):
        return
    what = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(
        name.partition(".")[2], ""
    )
    if what == "cpu" and divisor not in ("1m", "1"):
        sentence = "only divisor's values 1m and 1 are supported with the cpu resource"
        errors.append(invalid(f"{path}.divisor", name, sentence))
    elif what and what != "cpu" and divisor not in _DIVISORS:
        sentence = (
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the "
            f"{what} resource"
        )
        errors.append(invalid(f"{path}.divisor", name, sentence))
