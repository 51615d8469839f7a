"""Tables of what a cluster is made of beside workloads: nodes, namespaces, events, configuration, quotas, leases.

Follows kubernetes ``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..errors import Obj
from ..meta import labels_of
from ..registry import Column
from .duration import since
from .table import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    age,
    amount,
    boolean,
    condition_status,
    integer,
    name_of,
    part,
    prints,
    text,
    wide,
)

_ROLE_PREFIX = "node-role.kubernetes.io/"


def node_roles(node: Obj) -> str:
    """The ROLES cell of a node."""
    roles: set[str] = set()
    for label, value in labels_of(node).items():
        if label.startswith(_ROLE_PREFIX):
            roles.add(label.removeprefix(_ROLE_PREFIX))
        elif label == "kubernetes.io/role":
            roles.add(value)
    return ",".join(sorted(roles - {""})) or NONE


def node_status(node: Obj) -> str:
    """The STATUS cell of a node."""
    ready = condition_status(node, "Ready")
    status = "Unknown" if not ready else "Ready" if ready == "True" else "NotReady"
    return f"{status},SchedulingDisabled" if part(node, "spec").get("unschedulable") else status


def _address(node: Obj, kind: str) -> str:
    for address in part(node, "status").get("addresses") or ():
        if address.get("type") == kind:
            return str(address.get("address", ""))
    return NONE


@prints(
    ("", "Node"),
    columns=(
        NAME,
        text("Status", "The status of the node"),
        text("Roles", "The roles of the node"),
        AGE,
        text("Version", "The kubelet's version."),
        wide("Internal-IP", "The node's address inside the cluster."),
        wide("External-IP", "The node's address outside the cluster."),
        wide("OS-Image", "The operating system."),
        wide("Kernel-Version", "The kernel's version."),
        wide("Container-Runtime", "The container runtime and its version."),
    ),
)
def _node(node: Obj, now: datetime) -> list[Any]:
    info = part(part(node, "status"), "nodeInfo")
    return [
        name_of(node),
        node_status(node),
        node_roles(node),
        age(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


@prints(("", "Namespace"), columns=(NAME, text("Status", "The status of the namespace"), AGE))
def _namespace(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), part(obj, "status").get("phase", ""), age(obj, now)]


@prints(
    ("", "Event"),
    ("events.k8s.io", "Event"),
    columns=(
        text("Last Seen", "Time since it happened last."),
        text("Type", "Normal or Warning."),
        text("Reason", "Why it was recorded, in one word."),
        text("Object", "What it is about."),
        wide("Subobject", "The field of the object it is about."),
        wide("Source", "Who recorded it."),
        text("Message", "What happened."),
        wide("First Seen", "Time since it happened first."),
        wide("Count", "How often it happened."),
        Column("Name", "string", "name", NAME.description, 1),
    ),
)
def _event(event: Obj, now: datetime) -> list[Any]:
    """Rows of core and of events.k8s.io events, which carry the same facts under different names."""
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or event.get("deprecatedLastTimestamp") or first
    count = event.get("count") or event.get("deprecatedCount") or 1
    if series := event.get("series"):
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    about = event.get("involvedObject") or event.get("regarding") or {}
    kind, name = about.get("kind", "").lower(), about.get("name")
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = (
        source.get("component") or event.get("reportingController") or event.get("reportingComponent") or ""
    )
    host = source.get("host") or event.get("reportingInstance")
    return [
        since(last, now),
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        (event.get("message") or event.get("note") or "").strip(),
        since(first, now),
        count,
        name_of(event),
    ]


@prints(("", "ConfigMap"), columns=(NAME, text("Data", "The number of entries."), AGE))
def _config_map(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), len(part(obj, "data")) + len(part(obj, "binaryData")), age(obj, now)]


@prints(
    ("", "Secret"),
    columns=(NAME, text("Type", "What the secret is for."), text("Data", "The number of entries."), AGE),
)
def _secret(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("type", ""), len(part(obj, "data")), age(obj, now)]


@prints(("", "ServiceAccount"), columns=(NAME, AGE))
def _service_account(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), age(obj, now)]


@prints(
    ("", "ComponentStatus"),
    columns=(
        NAME,
        text("Status", "Status of the component conditions"),
        text("Message", "Message of the component conditions"),
        text("Error", "Error of the component conditions"),
    ),
)
def _component_status(obj: Obj, now: datetime) -> list[Any]:
    for condition in obj.get("conditions") or ():
        if condition.get("type") == "Healthy":
            status = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [name_of(obj), status, condition.get("message", ""), condition.get("error", "")]
    return [name_of(obj), "Unknown", "", ""]


@prints(
    ("", "ResourceQuota"),
    columns=(
        NAME,
        text("Request", "What may be requested, and how much of it is used."),
        text("Limit", "What limits may add up to, and how much of it is used."),
        AGE,
    ),
)
def _resource_quota(obj: Obj, now: datetime) -> list[Any]:
    status = part(obj, "status")
    hard, used = part(status, "hard"), part(status, "used")
    requests: list[str] = []
    limits: list[str] = []
    for resource in sorted(hard):
        column = limits if resource.startswith("limits.") else requests
        column.append(f"{resource}: {amount(used.get(resource))}/{amount(hard[resource])}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age(obj, now)]


@prints(
    ("coordination.k8s.io", "Lease"),
    columns=(NAME, text("Holder", "Who holds the lease."), AGE),
)
def _lease(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), part(obj, "spec").get("holderIdentity") or "", age(obj, now)]


@prints(
    ("coordination.k8s.io", "LeaseCandidate"),
    columns=(
        NAME,
        text("LeaseName", "The lease it would hold."),
        text("BinaryVersion", "The candidate's version."),
        text("EmulationVersion", "The version it behaves as."),
        AGE,
    ),
)
def _lease_candidate(obj: Obj, now: datetime) -> list[Any]:
    spec = part(obj, "spec")
    versions = [spec.get(key, "") for key in ("leaseName", "binaryVersion", "emulationVersion")]
    return [name_of(obj), *versions, age(obj, now)]


@prints(
    ("scheduling.k8s.io", "PriorityClass"),
    columns=(
        NAME,
        integer("Value", "The priority pods of this class get."),
        boolean("Global-Default", "Whether pods without a class get it."),
        AGE,
        text("PreemptionPolicy", "Whether its pods may displace others."),
    ),
)
def _priority_class(obj: Obj, now: datetime) -> list[Any]:
    return [
        name_of(obj),
        obj.get("value") or 0,
        bool(obj.get("globalDefault")),
        age(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


@prints(("node.k8s.io", "RuntimeClass"), columns=(NAME, text("Handler", "The runtime's configuration."), AGE))
def _runtime_class(obj: Obj, now: datetime) -> list[Any]:
    return [name_of(obj), obj.get("handler", ""), age(obj, now)]


@prints(
    ("", "Status"),
    columns=(
        text("Status", "Success or Failure."),
        text("Reason", "Why, in one word."),
        text("Message", "Why, for people."),
    ),
)
def _status(obj: Obj, now: datetime) -> list[Any]:
    return [obj.get("status", ""), obj.get("reason", ""), obj.get("message", "")]


@prints(
    ("apiregistration.k8s.io", "APIService"),
    columns=(
        NAME,
        text("Service", "The reference to the service that hosts this API endpoint."),
        text("Available", "Whether this service is available."),
        AGE,
    ),
)
def _api_service(obj: Obj, now: datetime) -> list[Any]:
    service = part(obj, "spec").get("service")
    where = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
    available = "Unknown"
    for condition in part(obj, "status").get("conditions") or ():
        if condition.get("type") == "Available":
            available, reason = condition.get("status", ""), condition.get("reason")
            if available != "True" and reason:
                available = f"{available} ({reason})"
    return [name_of(obj), where, available, age(obj, now)]
