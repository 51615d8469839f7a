"""Describe pages in kubectl's layout, written for reading: what matters first, events last.

The main kinds have pages of their own (field names and order as in
``staging/src/k8s.io/kubectl/pkg/describe/describe.go``); every other kind gets its metadata, spec and status as
indented fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubetui.live.describe_pod import Page, pod_page, pod_template
from kubetui.live.events import event_view
from kubetui.live.lines import Line
from kubetui.live.objects import Obj, annotations_of, dig, labels_of, meta, name_of, namespace_of
from kubetui.live.rollout import budget
from kubetui.live.selection import selector_text
from kubetui.live.text import age, human_duration


def describe_object(obj: Obj, events: list[Obj], now: float) -> list[Line]:
    """The page of one object with its events."""
    page = Page(now)
    kind = str(obj.get("kind") or "")
    head(page, obj)
    _PAGES.get(kind, _generic)(page, obj)
    if kind not in ("Event", "ConfigMap", "Secret", "Namespace"):
        event_table(page, events)
    return page.lines


def head(page: Page, obj: Obj) -> None:
    """Name, namespace, labels, annotations, age, owners."""
    page.field("Name", name_of(obj))
    if namespace_of(obj):
        page.field("Namespace", namespace_of(obj))
    created = meta(obj).get("creationTimestamp")
    if created:
        page.field("Created", f"{age(created, page.now)} ago  ({created})")
    page.mapping("Labels", labels_of(obj), "=")
    hidden = {"kubectl.kubernetes.io/last-applied-configuration"}
    page.mapping("Annotations", {k: v for k, v in annotations_of(obj).items() if k not in hidden}, ": ")
    for reference in meta(obj).get("ownerReferences") or ():
        word = "Controlled By" if reference.get("controller") else "Owned By"
        page.field(word, f"{reference.get('kind')}/{reference.get('name')}")
    if meta(obj).get("deletionTimestamp"):
        page.field(
            "Status", f"Terminating (since {age(meta(obj)['deletionTimestamp'], page.now)})", style="warn"
        )
        page.field("Finalizers", ", ".join(meta(obj).get("finalizers") or ()) or "<none>")


def event_table(page: Page, events: list[Obj]) -> None:
    """Type, reason, age, source and message, oldest first."""
    page.blank()
    if not events:
        page.field("Events", "<none>")
        return
    page.title("Events")
    views = sorted((event_view(e) for e in events), key=lambda e: e.last)
    reason = min(28, max(len(v.reason) for v in views))
    source = min(24, max([len(v.source) for v in views] + [4]))
    page.spans((f"  {'Type':<8} {'Reason':<{reason}} {'Age':<18} {'From':<{source}} Message", "dim"))
    for view in views:
        old = human_duration(page.now - view.last)
        if view.count > 1:
            old = f"{old} (x{view.count} over {human_duration(page.now - view.first)})"
        tint = "warn" if view.warning else "text"
        page.spans(
            (f"  {view.type:<8} ", tint),
            (f"{view.reason:<{reason}} ", tint),
            (f"{old:<18} ", "dim"),
            (f"{view.source:<{source}} ", "dim"),
            (view.message.replace("\n", " "), tint),
        )


def conditions(page: Page, obj: Obj) -> None:
    """The conditions as a table, false ones in colour."""
    found = dig(obj, "status", "conditions", default=[])
    if not found:
        return
    page.title("Conditions")
    size = max(len(str(c.get("type"))) for c in found)
    reason = max([len(str(c.get("reason") or "")) for c in found] + [6])
    page.spans((f"  {'Type':<{size}}  {'Status':<7}  {'Reason':<{reason}}  Message", "dim"))
    for c in found:
        status = str(c.get("status"))
        bad = status == "False" or (str(c.get("type")).endswith("Pressure") and status == "True")
        page.spans(
            (f"  {c.get('type')!s:<{size}}  ", "text"),
            (f"{status:<7}  ", "warn" if bad else "ok"),
            (f"{c.get('reason') or ''!s:<{reason}}  ", "text"),
            (str(c.get("message") or "").replace("\n", " "), "dim"),
        )


def _deployment(page: Page, obj: Obj) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    page.field("Selector", selector_text(spec.get("selector")))
    page.field(
        "Replicas",
        f"{spec.get('replicas', 1)} desired | {status.get('updatedReplicas', 0)} updated | "
        f"{status.get('replicas', 0)} total | {status.get('availableReplicas', 0)} available | "
        f"{status.get('unavailableReplicas', 0)} unavailable",
    )
    page.field("StrategyType", dig(spec, "strategy", "type", default="RollingUpdate"))
    page.field("MinReadySeconds", spec.get("minReadySeconds", 0))
    rolling = dig(spec, "strategy", "rollingUpdate")
    if rolling:
        surge, unavailable = budget(obj)
        page.field(
            "RollingUpdate",
            f"{rolling.get('maxUnavailable', '25%')} max unavailable ({unavailable}), "
            f"{rolling.get('maxSurge', '25%')} max surge ({surge})",
        )
    if spec.get("paused"):
        page.field("Paused", "true", style="warn")
    pod_template(page, spec.get("template") or {})
    conditions(page, obj)


def _replicated(page: Page, obj: Obj) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    page.field("Selector", selector_text(spec.get("selector")))
    if obj.get("kind") == "DaemonSet":
        page.field("Desired Number of Nodes Scheduled", status.get("desiredNumberScheduled", 0))
        page.field("Current Number of Nodes Scheduled", status.get("currentNumberScheduled", 0))
        page.field("Number of Nodes Scheduled with Up-to-date Pods", status.get("updatedNumberScheduled", 0))
        page.field("Number of Nodes Scheduled with Available Pods", status.get("numberAvailable", 0))
    else:
        page.field("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
        page.field("Ready", status.get("readyReplicas", 0))
    if spec.get("updateStrategy"):
        page.field("Update Strategy", dig(spec, "updateStrategy", "type", default=""))
    if spec.get("serviceName"):
        page.field("Service", spec["serviceName"])
    pod_template(page, spec.get("template") or {})
    for claim in spec.get("volumeClaimTemplates") or ():
        page.field(
            "Volume Claim",
            f"{name_of(claim)}  {dig(claim, 'spec', 'resources', 'requests', 'storage', default='')}",
        )
    conditions(page, obj)


def _job(page: Page, obj: Obj) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    page.field("Selector", selector_text(spec.get("selector")))
    page.field("Parallelism", spec.get("parallelism", 1))
    page.field("Completions", spec.get("completions", "<unset>"))
    page.field("Completion Mode", spec.get("completionMode", "NonIndexed"))
    page.field("Suspend", str(bool(spec.get("suspend"))).lower())
    page.field("Backoff Limit", spec.get("backoffLimit", 6))
    if status.get("startTime"):
        page.field("Start Time", f"{status['startTime']}")
    if status.get("completionTime"):
        page.field("Completed At", f"{status['completionTime']}")
    page.field(
        "Pods Statuses",
        f"{status.get('active', 0)} Active ({status.get('ready', 0)} Ready) / "
        f"{status.get('succeeded', 0)} Succeeded / "
        f"{status.get('failed', 0)} Failed",
    )
    pod_template(page, spec.get("template") or {})
    conditions(page, obj)


def _cron_job(page: Page, obj: Obj) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    page.field("Schedule", spec.get("schedule", ""))
    page.field("Time Zone", spec.get("timeZone", "<unset>"))
    page.field("Concurrency Policy", spec.get("concurrencyPolicy", "Allow"))
    page.field("Suspend", str(bool(spec.get("suspend"))).lower())
    page.field("Successful Job History Limit", spec.get("successfulJobsHistoryLimit", 3))
    page.field("Failed Job History Limit", spec.get("failedJobsHistoryLimit", 1))
    page.field("Last Schedule Time", status.get("lastScheduleTime", "<unset>"))
    page.field("Active Jobs", ", ".join(str(j.get("name")) for j in status.get("active") or ()) or "<none>")
    pod_template(page, dig(spec, "jobTemplate", "spec", "template", default={}))


def _service(page: Page, obj: Obj) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    page.field("Selector", ",".join(f"{k}={v}" for k, v in (spec.get("selector") or {}).items()) or "<none>")
    page.field("Type", spec.get("type", "ClusterIP"))
    page.field("IP Families", ", ".join(spec.get("ipFamilies") or ()) or "<none>")
    page.field("IP", spec.get("clusterIP") or "<none>")
    if spec.get("externalName"):
        page.field("External Name", spec["externalName"])
    for point in dig(status, "loadBalancer", "ingress", default=[]):
        page.field("LoadBalancer Ingress", point.get("ip") or point.get("hostname"))
    for port in spec.get("ports") or ():
        name = port.get("name") or "<unset>"
        page.field("Port", f"{name}  {port.get('port')}/{port.get('protocol', 'TCP')}")
        page.field("TargetPort", f"{port.get('targetPort', port.get('port'))}/{port.get('protocol', 'TCP')}")
        if port.get("nodePort"):
            page.field("NodePort", f"{name}  {port['nodePort']}/{port.get('protocol', 'TCP')}")
    page.field("Session Affinity", spec.get("sessionAffinity", "None"))
    for key in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if spec.get(key):
            page.field(_words(key), spec[key])


def _node(page: Page, obj: Obj) -> None:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    taints = [
        f"{t.get('key')}{'=' + str(t['value']) if t.get('value') else ''}:{t.get('effect')}"
        for t in spec.get("taints") or ()
    ]
    page.field("Taints", ", ".join(taints) or "<none>")
    page.field(
        "Unschedulable",
        str(bool(spec.get("unschedulable"))).lower(),
        style="warn" if spec.get("unschedulable") else "text",
    )
    conditions(page, obj)
    page.title("Addresses")
    for address in status.get("addresses") or ():
        page.field(str(address.get("type")), address.get("address"), depth=1)
    for title in ("capacity", "allocatable"):
        page.title(title.capitalize())
        for key, value in (status.get(title) or {}).items():
            page.field(key, value, depth=1)
    page.title("System Info")
    for key, value in (status.get("nodeInfo") or {}).items():
        if not isinstance(value, dict):
            page.field(_words(key), value, depth=1)
    if spec.get("podCIDR"):
        page.field("PodCIDR", spec["podCIDR"])


def _config_map(page: Page, obj: Obj) -> None:
    page.blank()
    page.title("Data")
    for key, value in (obj.get("data") or {}).items():
        page.spans((f"  {key}", "yaml-key"))
        for part in str(value).split("\n"):
            page.spans((f"    {part}", "text"))
    for key, value in (obj.get("binaryData") or {}).items():
        page.spans((f"  {key}", "yaml-key"), (f"  {len(str(value)) * 3 // 4} bytes", "dim"))


def _secret(page: Page, obj: Obj) -> None:
    page.field("Type", obj.get("type", "Opaque"))
    page.blank()
    page.title("Data")
    for key, value in (obj.get("data") or {}).items():
        text = str(value)
        page.field(key, f"{len(text) * 3 // 4 - text.count('=', -2)} bytes", depth=1)


def _words(key: str) -> str:
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key)
    return text[:1].upper() + text[1:]


def _generic(page: Page, obj: Obj) -> None:
    for key, value in obj.items():
        if key not in ("apiVersion", "kind", "metadata"):
            _tree(page, key, value, 0)


def _tree(page: Page, key: str, value: Any, depth: int) -> None:
    if isinstance(value, Mapping):
        if not value:
            page.field(_words(key), "{}", depth=depth)
            return
        page.title(_words(key), depth)
        for inner, found in value.items():
            _tree(page, str(inner), found, depth + 1)
    elif isinstance(value, list):
        if value and all(not isinstance(v, dict | list) for v in value):
            page.field(_words(key), ", ".join(str(v) for v in value), depth=depth)
            return
        page.title(_words(key), depth)
        for index, found in enumerate(value):
            _tree(
                page,
                str(found.get("name") or index) if isinstance(found, dict) else str(index),
                found,
                depth + 1,
            )
    else:
        text = str(value).lower() if isinstance(value, bool) else "<none>" if value is None else str(value)
        page.field(_words(key), text, depth=depth)


_PAGES: dict[str, Callable[[Page, Obj], None]] = {
    "Pod": pod_page,
    "Deployment": _deployment,
    "ReplicaSet": _replicated,
    "StatefulSet": _replicated,
    "DaemonSet": _replicated,
    "ReplicationController": _replicated,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "Node": _node,
    "ConfigMap": _config_map,
    "Secret": _secret,
}
