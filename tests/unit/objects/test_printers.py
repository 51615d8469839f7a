from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.objects.printers import (
    PathError,
    compile_path,
    custom_printer,
    human_duration,
    printer_for,
    since,
)
from runtime.objects.printers.table import PRINTERS

NOW = datetime(2026, 1, 10, 12, 0, 0, tzinfo=UTC)
BORN = "2026-01-10T11:55:00Z"
META = {"name": "x", "namespace": "default", "creationTimestamp": BORN}

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-2, "<invalid>"),
        (-1.9, "0s"),
        (-0.5, "0s"),
        (0, "0s"),
        (1.9, "1s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE + 1, "10m"),
        (179 * MINUTE + 59, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + MINUTE, "3h1m"),
        (8 * HOUR - 1, "7h59m"),
        (8 * HOUR + 59 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY - 1, "7d23h"),
        (8 * DAY + 23 * HOUR, "8d"),
        (730 * DAY - 1, "729d"),
        (730 * DAY, "2y"),
        (731 * DAY, "2y1d"),
        (8 * 365 * DAY - 1, "7y364d"),
        (8 * 365 * DAY, "8y"),
        (20 * 365 * DAY, "20y"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == expected
    assert human_duration(seconds) == expected


def test_ages() -> None:
    assert since(BORN, NOW) == "5m"
    assert since("2026-01-10T11:59:30.123456Z", NOW) == "29s"
    assert since(None, NOW) == "<unknown>"
    assert since("yesterday", NOW) == "<invalid>"


def cells(group: str, kind: str, obj: dict[str, Any]) -> list[Any]:
    printer = printer_for(group, kind)
    row = printer.row({"metadata": META, **obj}, NOW)
    assert len(row) == len(printer.columns)
    return row


def pod(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any
) -> list[Any]:
    spec = {"containers": [{"name": "a", "image": "i"}], **(spec or {})}
    return cells("", "Pod", {"metadata": {**META, **metadata}, "spec": spec, "status": status or {}})


RUNNING = {"name": "a", "ready": True, "restartCount": 0, "state": {"running": {}}}
READY = [{"type": "Ready", "status": "True"}]


def terminated(**fields: Any) -> dict[str, Any]:
    return {"name": "a", "restartCount": 0, "state": {"terminated": fields}}


def waiting(reason: str, **fields: Any) -> dict[str, Any]:
    return {"name": "a", "restartCount": 0, "state": {"waiting": {"reason": reason}}, **fields}


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {"phase": "Pending"}, ["0/1", "Pending", "0"]),
        ({}, {"phase": "Failed", "reason": "Evicted"}, ["0/1", "Evicted", "0"]),
        (
            {},
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            ["0/1", "SchedulingGated", "0"],
        ),
        (
            {},
            {"phase": "Running", "containerStatuses": [RUNNING], "conditions": READY},
            ["1/1", "Running", "0"],
        ),
        (
            {},
            {"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]},
            ["0/1", "ContainerCreating", "0"],
        ),
        (
            {},
            {
                "phase": "Running",
                "containerStatuses": [
                    waiting(
                        "CrashLoopBackOff",
                        restartCount=3,
                        lastState={"terminated": {"finishedAt": "2026-01-10T11:59:50Z"}},
                    )
                ],
            },
            ["0/1", "CrashLoopBackOff", "3 (10s ago)"],
        ),
        (
            {},
            {"phase": "Succeeded", "containerStatuses": [terminated(exitCode=0, reason="Completed")]},
            ["0/1", "Completed", "0"],
        ),
        ({}, {"phase": "Failed", "containerStatuses": [terminated(exitCode=3)]}, ["0/1", "ExitCode:3", "0"]),
        (
            {},
            {"phase": "Failed", "containerStatuses": [terminated(exitCode=137, signal=9)]},
            ["0/1", "Signal:9", "0"],
        ),
        (
            {"containers": [{}, {}]},
            {
                "phase": "Running",
                "containerStatuses": [terminated(exitCode=0, reason="Completed"), RUNNING],
                "conditions": READY,
            },
            ["1/2", "Running", "0"],
        ),
        (
            {"containers": [{}, {}]},
            {"phase": "Running", "containerStatuses": [terminated(exitCode=0, reason="Completed"), RUNNING]},
            ["1/2", "NotReady", "0"],
        ),
        (
            {"containers": [{}, {}, {}]},
            {
                "phase": "Running",
                "containerStatuses": [
                    terminated(exitCode=0, reason="Completed"),
                    RUNNING,
                    terminated(exitCode=1, reason="Error"),
                ],
            },
            ["1/3", "Error", "0"],
        ),
        (
            {"initContainers": [{"name": "i"}, {"name": "j"}]},
            {"phase": "Pending", "initContainerStatuses": [waiting("PodInitializing", name="i")]},
            ["0/1", "Init:0/2", "0"],
        ),
        (
            {"initContainers": [{"name": "i"}, {"name": "j"}]},
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    terminated(exitCode=0),
                    {"name": "j", "restartCount": 2, "state": {"running": {}}},
                ],
                "containerStatuses": [waiting("PodInitializing")],
            },
            ["0/1", "Init:1/2", "2"],
        ),
        (
            {"initContainers": [{"name": "a"}]},
            {"phase": "Pending", "initContainerStatuses": [terminated(exitCode=2)]},
            ["0/1", "Init:ExitCode:2", "0"],
        ),
        (
            {"initContainers": [{"name": "a"}]},
            {"phase": "Pending", "initContainerStatuses": [terminated(exitCode=1, reason="Error")]},
            ["0/1", "Init:Error", "0"],
        ),
        (
            {"initContainers": [{"name": "a"}]},
            {"phase": "Pending", "initContainerStatuses": [waiting("ImagePullBackOff")]},
            ["0/1", "Init:ImagePullBackOff", "0"],
        ),
        (
            {"initContainers": [{"name": "a"}]},
            {
                "phase": "Pending",
                "initContainerStatuses": [terminated(exitCode=0)],
                "containerStatuses": [waiting("PodInitializing")],
            },
            ["0/1", "PodInitializing", "0"],
        ),
        (
            {"initContainers": [{"name": "s", "restartPolicy": "Always"}]},
            {
                "phase": "Running",
                "initContainerStatuses": [
                    {
                        "name": "s",
                        "restartCount": 1,
                        "started": True,
                        "ready": True,
                        "state": {"running": {}},
                        "lastState": {"terminated": {"finishedAt": "2026-01-10T11:58:00Z"}},
                    }
                ],
                "containerStatuses": [RUNNING],
                "conditions": READY,
            },
            ["2/2", "Running", "1 (2m ago)"],
        ),
        (
            {"initContainers": [{"name": "s", "restartPolicy": "Always"}]},
            {
                "phase": "Running",
                "initContainerStatuses": [waiting("CrashLoopBackOff", name="s", restartCount=4)],
                "containerStatuses": [RUNNING],
                "conditions": [*READY, {"type": "Initialized", "status": "True"}],
            },
            ["1/2", "Init:CrashLoopBackOff", "4"],
        ),
    ],
)
def test_pod_status(spec: dict[str, Any], status: dict[str, Any], expected: list[str]) -> None:
    assert pod(spec, status)[1:4] == expected


def test_pods_that_go() -> None:
    gone = "2026-01-10T11:59:59Z"
    assert pod(status={"phase": "Running"}, deletionTimestamp=gone)[2] == "Terminating"
    assert pod(status={"phase": "Running", "reason": "NodeLost"}, deletionTimestamp=gone)[2] == "Unknown"
    assert pod(status={"phase": "Succeeded"}, deletionTimestamp=gone)[2] == "Succeeded"


def test_pod_wide() -> None:
    assert pod()[4:] == ["5m", "<none>", "<none>", "<none>", "<none>"]
    assert pod(
        {"nodeName": "n", "readinessGates": [{"conditionType": "A"}, {"conditionType": "B"}]},
        {
            "podIPs": [{"ip": "10.0.0.1"}],
            "nominatedNodeName": "m",
            "conditions": [{"type": "B", "status": "True"}],
        },
    )[5:] == ["10.0.0.1", "n", "m", "1/2"]


TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:2"}]}}
SELECTOR = {"matchLabels": {"app": "x"}}

ROWS: list[tuple[str, str, dict[str, Any], list[Any]]] = [
    (
        "apps",
        "Deployment",
        {
            "spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE},
            "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
        },
        ["x", "2/3", 1, 2, "5m", "a,b", "i:1,j:2", "app=x"],
    ),
    (
        "apps",
        "ReplicaSet",
        {"spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}, "status": {"replicas": 2}},
        ["x", 3, 2, 0, "5m", "a,b", "i:1,j:2", "app=x"],
    ),
    (
        "",
        "ReplicationController",
        {"spec": {"replicas": 1, "selector": {"a": "b"}, "template": TEMPLATE}},
        ["x", 1, 0, 0, "5m", "a,b", "i:1,j:2", "a=b"],
    ),
    (
        "apps",
        "StatefulSet",
        {"spec": {"replicas": 2, "template": TEMPLATE}, "status": {"readyReplicas": 1}},
        ["x", "1/2", "5m", "a,b", "i:1,j:2"],
    ),
    (
        "apps",
        "DaemonSet",
        {
            "spec": {"selector": SELECTOR, "template": TEMPLATE},
            "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1},
        },
        ["x", 3, 2, 1, 0, 0, "<none>", "5m", "a,b", "i:1,j:2", "app=x"],
    ),
    (
        "batch",
        "Job",
        {
            "spec": {"completions": 3, "template": TEMPLATE, "selector": SELECTOR},
            "status": {"succeeded": 1, "startTime": "2026-01-10T11:59:00Z"},
        },
        ["x", "Running", "1/3", "60s", "5m", "a,b", "i:1,j:2", "app=x"],
    ),
    (
        "batch",
        "Job",
        {
            "spec": {"parallelism": 2, "template": TEMPLATE},
            "status": {
                "succeeded": 1,
                "startTime": BORN,
                "completionTime": "2026-01-10T11:55:07Z",
                "conditions": [{"type": "Complete", "status": "True"}],
            },
        },
        ["x", "Complete", "1/1 of 2", "7s", "5m", "a,b", "i:1,j:2", "<none>"],
    ),
    (
        "batch",
        "Job",
        {"spec": {"template": TEMPLATE}, "status": {"conditions": [{"type": "Suspended", "status": "True"}]}},
        ["x", "Suspended", "0/1", "", "5m", "a,b", "i:1,j:2", "<none>"],
    ),
    (
        "batch",
        "CronJob",
        {
            "spec": {
                "schedule": "* * * * *",
                "suspend": False,
                "jobTemplate": {"spec": {"template": TEMPLATE}},
            },
            "status": {"active": [{}], "lastScheduleTime": "2026-01-10T11:59:00Z"},
        },
        ["x", "* * * * *", "<none>", "False", 1, "60s", "5m", "a,b", "i:1,j:2", "<none>"],
    ),
    (
        "",
        "Service",
        {
            "spec": {
                "type": "NodePort",
                "clusterIPs": ["10.96.0.1"],
                "ports": [
                    {"port": 80, "nodePort": 30080, "protocol": "TCP"},
                    {"port": 53, "protocol": "UDP"},
                ],
                "selector": {"a": "b"},
            }
        },
        ["x", "NodePort", "10.96.0.1", "<none>", "80:30080/TCP,53/UDP", "5m", "a=b"],
    ),
    (
        "",
        "Service",
        {
            "spec": {
                "type": "LoadBalancer",
                "clusterIP": "10.96.0.1",
                "ports": [{"port": 80, "protocol": "TCP"}],
            }
        },
        ["x", "LoadBalancer", "10.96.0.1", "<pending>", "80/TCP", "5m", "<none>"],
    ),
    (
        "",
        "Service",
        {
            "spec": {"type": "LoadBalancer", "externalIPs": ["1.2.3.4"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "127.1.0.2"}, {"hostname": "a.b"}]}},
        },
        ["x", "LoadBalancer", "<none>", "127.1.0.2,a.b,1.2.3.4", "<none>", "5m", "<none>"],
    ),
    (
        "",
        "Service",
        {"spec": {"type": "ExternalName", "externalName": "example.com"}},
        ["x", "ExternalName", "<none>", "example.com", "<none>", "5m", "<none>"],
    ),
    (
        "",
        "Endpoints",
        {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(1, 6)], "ports": [{"port": 80}]}]},
        ["x", "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...", "5m"],
    ),
    ("", "Endpoints", {}, ["x", "<none>", "5m"]),
    (
        "",
        "Endpoints",
        {
            "subsets": [
                {"addresses": [{"ip": "10.0.0.1"}]},
                {"addresses": [{"ip": "::1"}], "ports": [{"port": 1}]},
            ]
        },
        ["x", "10.0.0.1,[::1]:1", "5m"],
    ),
    (
        "discovery.k8s.io",
        "EndpointSlice",
        {
            "addressType": "IPv4",
            "ports": [{"port": 80}, {"name": "web"}, {}, {}],
            "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}],
        },
        ["x", "IPv4", "80,web,* + 1 more...", "10.0.0.1,10.0.0.2", "5m"],
    ),
    (
        "networking.k8s.io",
        "Ingress",
        {
            "spec": {
                "ingressClassName": "c",
                "rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}],
                "tls": [{}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
        },
        ["x", "c", "a,b,c + 1 more...", "127.0.0.1", "80, 443", "5m"],
    ),
    ("networking.k8s.io", "Ingress", {"spec": {"rules": [{}]}}, ["x", "<none>", "*", "", "80", "5m"]),
    (
        "networking.k8s.io",
        "IngressClass",
        {"spec": {"controller": "c", "parameters": {"kind": "K", "apiGroup": "g.io", "name": "n"}}},
        ["x", "c", "K.g.io/n", "5m"],
    ),
    (
        "networking.k8s.io",
        "IPAddress",
        {"spec": {"parentRef": {"resource": "services", "namespace": "d", "name": "s"}}},
        ["x", "services/d/s"],
    ),
    ("networking.k8s.io", "NetworkPolicy", {"spec": {"podSelector": {}}}, ["x", "<none>", "5m"]),
    (
        "",
        "Node",
        {
            "metadata": {
                **META,
                "labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""},
            },
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
                "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian"},
            },
        },
        [
            "x",
            "Ready,SchedulingDisabled",
            "control-plane,worker",
            "5m",
            "v1.36.0",
            "10.0.0.9",
            "<none>",
            "Debian",
            "<unknown>",
            "<unknown>",
        ],
    ),
    (
        "",
        "Node",
        {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
        ["x", "NotReady", "<none>", "5m", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
    ),
    ("", "Namespace", {"status": {"phase": "Active"}}, ["x", "Active", "5m"]),
    ("", "ConfigMap", {"data": {"a": "b"}, "binaryData": {"c": "d"}}, ["x", 2, "5m"]),
    ("", "Secret", {"type": "Opaque", "data": {"a": "b"}}, ["x", "Opaque", 1, "5m"]),
    ("", "ServiceAccount", {}, ["x", "5m"]),
    (
        "",
        "Event",
        {
            "type": "Warning",
            "reason": "BackOff",
            "message": " Back-off \n",
            "count": 4,
            "firstTimestamp": BORN,
            "lastTimestamp": "2026-01-10T11:59:50Z",
            "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{a}"},
            "source": {"component": "kubelet", "host": "n"},
        },
        ["10s", "Warning", "BackOff", "pod/p", "spec.containers{a}", "kubelet, n", "Back-off", "5m", 4, "x"],
    ),
    (
        "events.k8s.io",
        "Event",
        {
            "type": "Normal",
            "reason": "Scheduled",
            "note": "ok",
            "eventTime": "2026-01-10T11:59:50.000000Z",
            "regarding": {"kind": "Pod", "name": "p"},
            "reportingController": "default-scheduler",
        },
        ["10s", "Normal", "Scheduled", "pod/p", "", "default-scheduler", "ok", "10s", 1, "x"],
    ),
    (
        "",
        "Event",
        {"eventTime": BORN, "series": {"count": 7, "lastObservedTime": "2026-01-10T11:59:59.500000Z"}},
        ["0s", "", "", "", "", "", "", "5m", 7, "x"],
    ),
    (
        "",
        "ResourceQuota",
        {
            "status": {
                "hard": {"requests.cpu": "1", "limits.cpu": "2000m", "pods": "4"},
                "used": {"pods": "1"},
            }
        },
        ["x", "pods: 1/4, requests.cpu: 0/1", "limits.cpu: 0/2", "5m"],
    ),
    (
        "",
        "PersistentVolume",
        {
            "spec": {
                "capacity": {"storage": "1024Mi"},
                "accessModes": ["ReadOnlyMany", "ReadWriteOnce", "ReadOnlyMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": "d", "name": "c"},
                "storageClassName": "fast",
            },
            "status": {"phase": "Bound"},
        },
        ["x", "1Gi", "RWO,ROX", "Retain", "Bound", "d/c", "fast", "<unset>", "", "5m", "<unset>"],
    ),
    (
        "",
        "PersistentVolumeClaim",
        {"spec": {"storageClassName": "fast", "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}},
        ["x", "Pending", "", "", "", "fast", "<unset>", "5m", "Filesystem"],
    ),
    (
        "",
        "PersistentVolumeClaim",
        {
            "metadata": {**META, "deletionTimestamp": BORN},
            "spec": {"volumeName": "v"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOncePod"]},
        },
        ["x", "Terminating", "v", "1Gi", "RWOP", "", "<unset>", "5m", "<unset>"],
    ),
    (
        "storage.k8s.io",
        "StorageClass",
        {
            "metadata": {**META, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
        },
        ["x (default)", "p", "Delete", "Immediate", False, "5m"],
    ),
    (
        "storage.k8s.io",
        "CSIDriver",
        {"spec": {"tokenRequests": [{"audience": "a"}]}},
        ["x", True, False, False, "a", False, "<none>", "5m"],
    ),
    ("coordination.k8s.io", "Lease", {"spec": {"holderIdentity": "n"}}, ["x", "n", "5m"]),
    (
        "policy",
        "PodDisruptionBudget",
        {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}},
        ["x", "50%", "N/A", 2, "5m"],
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                "minReplicas": 1,
                "maxReplicas": 5,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": 80},
                        },
                    },
                    {"type": "Pods", "pods": {"target": {"averageValue": "1k"}}},
                    {"type": "External", "external": {"target": {"value": "30"}}},
                ],
            },
            "status": {
                "currentReplicas": 2,
                "currentMetrics": [{"type": "Resource", "resource": {"current": {"averageUtilization": 20}}}],
            },
        },
        ["x", "Deployment/d", "cpu: 20%/80%, <unknown>/1k + 1 more...", "1", 5, 2, "5m"],
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        {
            "spec": {
                "scaleTargetRef": {"kind": "D", "name": "d"},
                "targetCPUUtilizationPercentage": 50,
                "maxReplicas": 3,
            }
        },
        ["x", "D/d", "cpu: <unknown>/50%", "<unset>", 3, 0, "5m"],
    ),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        {
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "Group", "name": "g"},
                {"kind": "Group", "name": "h"},
                {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
            ],
        },
        ["x", "ClusterRole/r", "5m", "u", "g, h", "n/s"],
    ),
    (
        "certificates.k8s.io",
        "CertificateSigningRequest",
        {
            "spec": {"signerName": "s", "username": "u", "expirationSeconds": 3600},
            "status": {"conditions": [{"type": "Approved"}], "certificate": "x"},
        },
        ["x", "5m", "s", "u", "60m", "Approved,Issued"],
    ),
    (
        "apps",
        "ControllerRevision",
        {
            "metadata": {
                **META,
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}
                ],
            },
            "revision": 2,
        },
        ["x", "daemonset.apps/d", 2, "5m"],
    ),
    ("scheduling.k8s.io", "PriorityClass", {"value": 7}, ["x", 7, False, "5m", ""]),
    (
        "flowcontrol.apiserver.k8s.io",
        "PriorityLevelConfiguration",
        {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {}}}},
        ["x", "Limited", 5, "<none>", "<none>", "<none>", "5m"],
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
        {"spec": {"policyName": "p", "paramRef": {"name": "n"}}},
        ["x", "p", "*/n", "5m"],
    ),
    ("rbac.authorization.k8s.io", "ClusterRole", {}, ["x", BORN]),
]


@pytest.mark.parametrize(
    ("group", "kind", "obj", "expected"), ROWS, ids=[f"{r[1]}-{i}" for i, r in enumerate(ROWS)]
)
def test_rows(group: str, kind: str, obj: dict[str, Any], expected: list[Any]) -> None:
    assert cells(group, kind, obj) == expected


@pytest.mark.parametrize("key", sorted(PRINTERS))
def test_every_printer_bears_an_empty_object(key: tuple[str, str]) -> None:
    printer = PRINTERS[key]
    row = printer.row({"metadata": {"name": "x"}}, NOW)
    assert len(row) == len(printer.columns)
    assert all(isinstance(cell, str | int) for cell in row)


def test_columns_of_pods_and_events() -> None:
    assert [(c.name, c.priority) for c in printer_for("", "Pod").columns] == [
        ("Name", 0),
        ("Ready", 0),
        ("Status", 0),
        ("Restarts", 0),
        ("Age", 0),
        ("IP", 1),
        ("Node", 1),
        ("Nominated Node", 1),
        ("Readiness Gates", 1),
    ]
    assert [c.name for c in printer_for("", "Event").columns if not c.priority] == [
        "Last Seen",
        "Type",
        "Reason",
        "Object",
        "Message",
    ]


CRD = {
    "metadata": {**META, "labels": {"a.b/c": "label"}},
    "spec": {"replicas": 3, "ratio": 0.5, "on": True, "list": [{"n": 1}, {"n": 2}], "map": {"k": "v"}},
    "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("integer", ".spec.replicas", 3),
        ("number", ".spec.ratio", 0.5),
        ("boolean", ".spec.on", True),
        ("string", ".spec.on", "true"),
        ("string", ".spec.replicas", "3"),
        ("string", ".spec.map", '{"k":"v"}'),
        ("integer", ".spec.map", None),
        ("date", ".metadata.creationTimestamp", "5m"),
        ("date", ".metadata.name", "<invalid>"),
        ("string", ".missing.path", None),
        ("string", '.status.conditions[?(@.type=="Ready")].status', "True"),
        ("string", ".status.conditions[?(@.type=='Gone')].status", None),
        ("string", ".status.conditions[?(@.type!='Ready')].status", "False"),
        ("integer", ".spec.list[?(@.n==2)].n", 2),
        ("integer", ".spec.list[1].n", 2),
        ("integer", ".spec.list[-1].n", 2),
        ("integer", ".spec.list[*].n", 1),
        ("string", r".metadata.labels.a\.b/c", "label"),
        ("string", ".metadata.labels['a.b/c']", "label"),
        ("string", "{.spec.map.k}", "v"),
    ],
)
def test_custom_columns(kind: str, path: str, expected: Any) -> None:
    printer = custom_printer([{"name": "C", "type": kind, "jsonPath": path, "priority": 1}])
    assert [c.name for c in printer.columns] == ["Name", "C"]
    assert printer.row(CRD, NOW) == ["x", expected]


def test_custom_resources_without_columns_show_their_age() -> None:
    assert [c.name for c in custom_printer().columns] == ["Name", "Age"]
    assert custom_printer().row(CRD, NOW) == ["x", "5m"]


def test_unreadable_paths_are_refused() -> None:
    for path in (".a[", ".a[?(@.b~1)]", ".a]"):
        with pytest.raises(PathError):
            compile_path(path)
