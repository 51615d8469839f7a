"""What the downward API can say of a pod, for environment variables and for files alike.

Follows ``pkg/fieldpath`` and ``pkg/api/v1/resource/helpers.go``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runtime.kubelet.resources import bytes_of, ceil_divide, cores
from runtime.objects.errors import Obj

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


class FieldFailure(Exception):
    """A field path or resource name that means nothing."""


def format_map(pairs: Mapping[str, str]) -> str:
    """Labels or annotations as the downward API writes them into a file: sorted ``key="value"`` lines."""
    return "\n".join(f"{key}={_quote(pairs[key])}" for key in sorted(pairs))


def _quote(text: str) -> str:
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif char == "\r":
            out.append("\\r")
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(
                f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
            )
    out.append('"')
    return "".join(out)


def pod_field(
    pod: Obj,
    path: str,
    *,
    node_name: str = "",
    host_ips: Sequence[str] = (),
    pod_ips: Sequence[str] = (),
) -> str:
    """The value of ``fieldRef.fieldPath``.

    Raises:
        FieldFailure: the path is none of those the downward API knows.
    """
    meta = pod["metadata"]
    match path:
        case "metadata.name":
            return str(meta.get("name", ""))
        case "metadata.namespace":
            return str(meta.get("namespace", ""))
        case "metadata.uid":
            return str(meta.get("uid", ""))
        case "metadata.labels":
            return format_map(meta.get("labels") or {})
        case "metadata.annotations":
            return format_map(meta.get("annotations") or {})
        case "spec.nodeName":
            return node_name or str(pod["spec"].get("nodeName", ""))
        case "spec.serviceAccountName":
            return str(pod["spec"].get("serviceAccountName", ""))
        case "status.hostIP":
            return host_ips[0] if host_ips else ""
        case "status.hostIPs":
            return ",".join(host_ips)
        case "status.podIP":
            return pod_ips[0] if pod_ips else ""
        case "status.podIPs":
            return ",".join(pod_ips)
    match_ = _SUBSCRIPT.match(path)
    if match_:
        return str((meta.get(match_.group(1)) or {}).get(match_.group(2), ""))
    raise FieldFailure(f"unsupported fieldPath: {path}")


def resource_field(pod: Obj, container: Obj, reference: Obj, allocatable: Mapping[str, float]) -> str:
    """The value of a ``resourceFieldRef``, divided and rounded up.

    A limit that is not set is the node's allocatable, as upstream's MergeContainerResourceLimits has it.

    Raises:
        FieldFailure: no such container or resource.
    """
    name = reference.get("containerName")
    if name and name != container.get("name"):
        for candidate in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
            if candidate["name"] == name:
                container = candidate
                break
        else:
            raise FieldFailure(f"container {name} not found")
    which, _, resource = str(reference["resource"]).partition(".")
    if which not in ("limits", "requests") or not resource:
        raise FieldFailure(f"unsupported container resource : {reference['resource']}")
    resources = container.get("resources") or {}
    quantity = (resources.get(which) or {}).get(resource)
    divisor = str(reference.get("divisor") or "1")
    if divisor == "0":
        divisor = "1"
    if quantity is None:
        amount = allocatable.get(resource, 0.0) if which == "limits" else 0.0
    elif resource == "cpu":
        amount = cores(quantity)
    else:
        amount = float(bytes_of(quantity))
    return str(ceil_divide(amount, divisor))
