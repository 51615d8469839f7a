"""The kinds of the core group (``/api/v1``), named and shaped as upstream's discovery lists them."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import Obj
from ..registry import Resource, ScalePaths, Subresource
from ..strategies import core as strategies
from ..strategies import pods as pod_strategies
from ..strategies.meta_only import STORED_ONLY
from .entry import ALL, CONNECT, CREATE, PROXY, READ_WRITE, WITHOUT_COLLECTION, entry, select, text_of

POD_SUBRESOURCES = (
    Subresource("attach", "PodAttachOptions", verbs=CONNECT),
    Subresource("binding", "Binding", verbs=CREATE),
    Subresource("ephemeralcontainers", "Pod", verbs=READ_WRITE),
    Subresource("eviction", "Eviction", "policy", "v1", CREATE),
    Subresource("exec", "PodExecOptions", verbs=CONNECT),
    Subresource("log", "Pod", verbs=("get",)),
    Subresource("portforward", "PodPortForwardOptions", verbs=CONNECT),
    Subresource("proxy", "PodProxyOptions", verbs=PROXY),
    Subresource("resize", "Pod", verbs=READ_WRITE),
)

POD_FIELDS = frozenset(
    {
        "spec.hostNetwork",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.nominatedNodeName",
        "status.phase",
        "status.podIP",
        "status.podIPs",
    }
)

REFERENCE_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def pod_fields(pod: Obj) -> Mapping[str, str]:
    """What field selectors may ask of a pod (registry/core/pod/strategy.go, ``ToSelectableFields``)."""
    spec = pod.get("spec") or {}
    status = pod.get("status") or {}
    addresses = status.get("podIPs")
    address = addresses[0].get("ip", "") if addresses else ""
    return {
        "spec.nodeName": spec.get("nodeName") or "",
        "spec.restartPolicy": spec.get("restartPolicy") or "",
        "spec.schedulerName": spec.get("schedulerName") or "",
        "spec.serviceAccountName": spec.get("serviceAccountName") or "",
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase") or "",
        "status.podIP": address,
        "status.podIPs": address,
        "status.nominatedNodeName": status.get("nominatedNodeName") or "",
    }


def event_fields(event: Obj) -> Mapping[str, str]:
    """What field selectors may ask of a core event (registry/core/event/strategy.go)."""
    involved = event.get("involvedObject") or {}
    found = {f"involvedObject.{name}": text_of(involved.get(name)) for name in REFERENCE_FIELDS}
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent")
    found["reason"] = text_of(event.get("reason"))
    found["reportingComponent"] = text_of(event.get("reportingComponent"))
    found["source"] = text_of(source)
    found["type"] = text_of(event.get("type"))
    return found


EVENT_FIELDS = frozenset(
    {f"involvedObject.{name}" for name in REFERENCE_FIELDS}
    | {"reason", "reportingComponent", "source", "type"}
)


def resources() -> list[Resource]:
    """All kinds of the group, in the order of discovery."""
    return [
        entry("", "v1", "Binding", "bindings", verbs=CREATE, stored=False),
        entry(
            "",
            "v1",
            "ComponentStatus",
            "componentstatuses",
            namespaced=False,
            short=("cs",),
            verbs=("get", "list"),
            strategy=STORED_ONLY,
            deprecated="v1 ComponentStatus is deprecated in v1.19+",
        ),
        entry("", "v1", "ConfigMap", "configmaps", short=("cm",), strategy=strategies.CONFIG_MAP),
        entry(
            "",
            "v1",
            "Endpoints",
            "endpoints",
            singular="endpoints",
            short=("ep",),
            strategy=strategies.ENDPOINTS,
            deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        entry(
            "",
            "v1",
            "Event",
            "events",
            short=("ev",),
            strategy=strategies.EVENT,
            fields=(event_fields, EVENT_FIELDS),
        ),
        entry("", "v1", "LimitRange", "limitranges", short=("limits",), strategy=strategies.LIMIT_RANGE),
        entry(
            "",
            "v1",
            "Namespace",
            "namespaces",
            namespaced=False,
            short=("ns",),
            verbs=WITHOUT_COLLECTION,
            status=True,
            more=(Subresource("finalize", "Namespace", verbs=("update",)),),
            strategy=strategies.NAMESPACE,
            fields=select("status.phase"),
        ),
        entry(
            "",
            "v1",
            "Node",
            "nodes",
            namespaced=False,
            short=("no",),
            status=True,
            more=(Subresource("proxy", "NodeProxyOptions", verbs=PROXY),),
            strategy=strategies.NODE,
            fields=select("spec.unschedulable", zero="false"),
        ),
        entry(
            "",
            "v1",
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            short=("pvc",),
            status=True,
            strategy=strategies.CLAIM,
        ),
        entry(
            "",
            "v1",
            "PersistentVolume",
            "persistentvolumes",
            namespaced=False,
            short=("pv",),
            status=True,
            strategy=strategies.VOLUME,
        ),
        entry(
            "",
            "v1",
            "Pod",
            "pods",
            short=("po",),
            categories=ALL,
            status=True,
            more=POD_SUBRESOURCES,
            strategy=pod_strategies.POD,
            fields=(pod_fields, POD_FIELDS),
        ),
        entry("", "v1", "PodTemplate", "podtemplates", strategy=pod_strategies.POD_TEMPLATE),
        entry(
            "",
            "v1",
            "ReplicationController",
            "replicationcontrollers",
            short=("rc",),
            categories=ALL,
            status=True,
            strategy=strategies.REPLICATION_CONTROLLER,
            fields=select("status.replicas", zero="0"),
            scale=ScalePaths(),
        ),
        entry(
            "",
            "v1",
            "ResourceQuota",
            "resourcequotas",
            short=("quota",),
            status=True,
            strategy=strategies.RESOURCE_QUOTA,
        ),
        entry("", "v1", "Secret", "secrets", strategy=strategies.SECRET, fields=select("type")),
        entry(
            "",
            "v1",
            "ServiceAccount",
            "serviceaccounts",
            short=("sa",),
            more=(Subresource("token", "TokenRequest", "authentication.k8s.io", "v1", CREATE),),
            strategy=strategies.SERVICE_ACCOUNT,
        ),
        entry(
            "",
            "v1",
            "Service",
            "services",
            short=("svc",),
            categories=ALL,
            status=True,
            more=(Subresource("proxy", "ServiceProxyOptions", verbs=PROXY),),
            strategy=strategies.SERVICE,
            fields=select("spec.clusterIP", "spec.type"),
        ),
    ]
