"""What Kubernetes fills in, kind by kind."""

from typing import Any

import pytest

from runtime.objects.defaults.pods import container_totals, image_tag

CONTAINER = {"name": "c", "image": "nginx"}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER]}}
SELECTOR = {"matchLabels": {"app": "x"}}


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [CONTAINER], **spec},
    }


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {"selector": SELECTOR, "template": TEMPLATE, **spec},
    }


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("nginx", "latest"),
        ("nginx:latest", "latest"),
        ("nginx:1.25", "1.25"),
        ("localhost:5000/nginx", "latest"),
        ("localhost:5000/nginx:1", "1"),
        ("nginx@sha256:abc", ""),
        ("nginx:1@sha256:abc", "1"),
    ],
)
def test_image_tag(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_pod(kinds) -> None:
    assert kinds.read(pod())["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({}, {"emptyDir": {}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"name": "s", "defaultMode": 0}}, {"configMap": {"name": "s", "defaultMode": 0}}),
        (
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {
                "downwardAPI": {
                    "defaultMode": 420,
                    "items": [{"path": "p", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}],
                }
            },
        ),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }
            },
        ),
        ({"image": {"reference": "x"}}, {"image": {"reference": "x", "pullPolicy": "Always"}}),
    ],
)
def test_volumes(kinds, volume: dict, expected: dict) -> None:
    found = kinds.read(pod(volumes=[{"name": "v", **volume}]))["spec"]["volumes"]
    assert found == [{"name": "v", **expected}]


def test_probe_ports_and_field_references(kinds) -> None:
    container = {
        **CONTAINER,
        "ports": [{"containerPort": 80}],
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "readinessProbe": {"httpGet": {"port": 80}},
        "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
    }
    found = kinds.read(pod(containers=[container]))["spec"]["containers"][0]
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert found["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert found["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "failureThreshold": 3,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }
    assert found["lifecycle"]["preStop"]["httpGet"] == {"path": "/", "port": 80, "scheme": "HTTP"}


def test_requests_from_limits_in_pods_only(kinds) -> None:
    limited = {
        **CONTAINER,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
    }
    found = kinds.read(pod(containers=[limited]))["spec"]["containers"][0]["resources"]
    assert found["requests"] == {"cpu": "100m", "memory": "1Gi"}
    template = {"spec": {"containers": [limited]}, "metadata": {"labels": {"app": "x"}}}
    spec = kinds.read(workload("Deployment", template=template))["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "100m"}
    assert "enableServiceLinks" not in spec


def test_a_negative_grace_period_is_one_second_in_pods_only(kinds) -> None:
    assert kinds.read(pod(terminationGracePeriodSeconds=-1))["spec"]["terminationGracePeriodSeconds"] == 1
    inside = {"terminationGracePeriodSeconds": -1, "containers": [CONTAINER]}
    template = {"spec": inside, "metadata": {"labels": {"app": "x"}}}
    found = kinds.read(workload("Deployment", template=template))["spec"]["template"]["spec"]
    assert found["terminationGracePeriodSeconds"] == -1


def test_host_network_takes_the_ports(kinds) -> None:
    found = kinds.read(pod(hostNetwork=True, containers=[{**CONTAINER, "ports": [{"containerPort": 80}]}]))
    assert found["spec"]["containers"][0]["ports"][0]["hostPort"] == 80


def test_service_account_has_two_names(kinds) -> None:
    assert kinds.read(pod(serviceAccountName="s"))["spec"]["serviceAccount"] == "s"
    assert kinds.read(pod(serviceAccount="s"))["spec"]["serviceAccountName"] == "s"


def test_amounts_finer_than_a_thousandth_round_up(kinds) -> None:
    tiny = {**CONTAINER, "resources": {"requests": {"cpu": "100u"}}}
    found = kinds.read(pod(containers=[tiny]))["spec"]["containers"][0]["resources"]
    assert found["requests"] == {"cpu": "1m"}


def test_pod_level_requests(kinds) -> None:
    found = kinds.read(
        pod(
            resources={"limits": {"cpu": "2", "memory": "1Gi"}},
            containers=[{**CONTAINER, "resources": {"requests": {"cpu": "100m"}}}],
        )
    )
    assert found["spec"]["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}


def test_container_totals() -> None:
    def container(cpu: str, **more: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("100m"), container("200m")],
        "initContainers": [container("500m"), container("50m", restartPolicy="Always"), container("400m")],
    }
    assert str(container_totals(spec, "requests")["cpu"]) == "500m"
    spec["initContainers"].append(container("600m"))
    assert str(container_totals(spec, "requests")["cpu"]) == "650m"


def test_deployment(kinds) -> None:
    spec = kinds.read(workload("Deployment"))["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    recreate = kinds.read(workload("Deployment", replicas=0, strategy={"type": "Recreate"}))["spec"]
    assert (recreate["replicas"], recreate["strategy"]) == (0, {"type": "Recreate"})


def test_daemon_set(kinds) -> None:
    spec = kinds.read(workload("DaemonSet"))["spec"]
    assert spec["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }
    assert spec["revisionHistoryLimit"] == 10


def test_stateful_set(kinds) -> None:
    claims = [{"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    spec = kinds.read(workload("StatefulSet", volumeClaimTemplates=claims))["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["volumeClaimTemplates"][0]["spec"]["volumeMode"] == "Filesystem"
    assert spec["volumeClaimTemplates"][0]["status"] == {"phase": "Pending"}


def test_job(kinds) -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [CONTAINER], "restartPolicy": "Never"},
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"template": template}}
    found = kinds.read(job)
    spec = {name: value for name, value in found["spec"].items() if name != "template"}
    assert spec == {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": False,
    }
    assert found["metadata"]["labels"] == {"a": "b"}
    job["spec"]["parallelism"] = 3
    assert "completions" not in kinds.read(job)["spec"]


def test_a_pod_condition_that_counts_is_true_unless_the_rule_says_otherwise(kinds) -> None:
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
    job = {"template": template, "podFailurePolicy": policy}
    alone = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": job}
    repeating = {**alone, "kind": "CronJob", "spec": {"schedule": "@daily", "jobTemplate": {"spec": job}}}
    for spec in (kinds.read(alone)["spec"], kinds.read(repeating)["spec"]["jobTemplate"]["spec"]):
        conditions = spec["podFailurePolicy"]["rules"][0]["onPodConditions"]
        assert conditions == [{"type": "DisruptionTarget", "status": "True"}]
    assert kinds.errors(alone) == [] and kinds.errors(repeating) == []


def test_cron_job_leaves_the_job_template_alone(kinds) -> None:
    template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}}
    found = kinds.read(
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": spec}
    )["spec"]
    assert (found["concurrencyPolicy"], found["suspend"]) == ("Allow", False)
    assert (found["successfulJobsHistoryLimit"], found["failedJobsHistoryLimit"]) == (3, 1)
    assert "backoffLimit" not in found["jobTemplate"]["spec"]
    assert found["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


def test_replication_controller_learns_from_its_template(kinds) -> None:
    found = kinds.read(
        {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": "a"},
            "spec": {"template": TEMPLATE},
        }
    )
    assert found["spec"]["selector"] == found["metadata"]["labels"] == {"app": "x"}
    assert found["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"ports": [{"port": 80}]},
            {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            },
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "targetPort": "http"}]},
            {
                "type": "NodePort",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "externalTrafficPolicy": "Cluster",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}],
            },
        ),
        (
            {"type": "LoadBalancer", "sessionAffinity": "ClientIP"},
            {
                "type": "LoadBalancer",
                "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                "internalTrafficPolicy": "Cluster",
                "externalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": True,
            },
        ),
        (
            {"type": "ExternalName", "externalName": "x.y"},
            {"type": "ExternalName", "externalName": "x.y", "sessionAffinity": "None"},
        ),
    ],
)
def test_service(kinds, spec: dict, expected: dict) -> None:
    found = kinds.read({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec})
    assert found["spec"] == expected


def test_autoscaler(kinds) -> None:
    spec = {
        "maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "a"},
        "behavior": {"scaleUp": {"selectPolicy": "Min"}},
    }
    found = kinds.read(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"},
            "spec": spec,
        }
    )["spec"]
    assert found["minReplicas"] == 1
    assert found["metrics"] == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }
    ]
    assert found["behavior"]["scaleUp"]["selectPolicy"] == "Min"
    assert len(found["behavior"]["scaleUp"]["policies"]) == 2
    assert "stabilizationWindowSeconds" not in found["behavior"]["scaleDown"]


@pytest.mark.parametrize(
    ("obj", "path", "expected"),
    [
        ({"apiVersion": "v1", "kind": "Secret"}, ("type",), "Opaque"),
        (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}},
            ("metadata", "labels", "kubernetes.io/metadata.name"),
            "n",
        ),
        (
            {"apiVersion": "v1", "kind": "PersistentVolume"},
            ("spec", "persistentVolumeReclaimPolicy"),
            "Retain",
        ),
        ({"apiVersion": "v1", "kind": "PersistentVolumeClaim"}, ("spec", "volumeMode"), "Filesystem"),
        (
            {"apiVersion": "v1", "kind": "Node", "status": {"capacity": {"cpu": 4}}},
            ("status", "allocatable"),
            {"cpu": "4"},
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "spec": {"limits": [{"type": "Container", "max": {"cpu": 1}}]},
            },
            ("spec", "limits", 0, "defaultRequest"),
            {"cpu": "1"},
        ),
        (
            {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "p"},
            ("volumeBindingMode",),
            "Immediate",
        ),
        (
            {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"},
            ("preemptionPolicy",),
            "PreemptLowerPriority",
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"egress": [{}]}},
            ("spec", "policyTypes"),
            ["Ingress", "Egress"],
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"},
            ("spec", "policyTypes"),
            ["Ingress"],
        ),
        (
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "roleRef": {"name": "x", "kind": "Role"},
            },
            ("roleRef", "apiGroup"),
            "rbac.authorization.k8s.io",
        ),
        (
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "ports": [{"port": 1}]},
            ("ports", 0, "protocol"),
            "TCP",
        ),
        (
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "webhooks": [{"name": "a"}],
            },
            ("webhooks", 0, "reinvocationPolicy"),
            "Never",
        ),
        (
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "spec": {"names": {"kind": "Foo"}},
            },
            ("spec", "names", "listKind"),
            "FooList",
        ),
    ],
)
def test_others(kinds, obj: dict, path: tuple, expected: Any) -> None:
    found: Any = kinds.read(obj)
    for step in path:
        found = found[step]
    assert found == expected


def test_defaulting_twice_changes_nothing(kinds) -> None:
    for obj in (
        pod(volumes=[{"name": "v"}]),
        workload("Deployment"),
        workload("StatefulSet"),
        workload("DaemonSet"),
    ):
        once = kinds.read(obj)
        assert kinds.read(once) == once
