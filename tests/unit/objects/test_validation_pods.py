# ruff: noqa: E501 -- tables read better than wrapped sentences
"""What the API server says about pods that can't be, in upstream's sentences."""

import time
from typing import Any

import pytest

from runtime.objects import meta

LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
C = {"name": "c", "image": "i"}


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [C], **spec}}


def c(**more: Any) -> dict[str, Any]:
    return pod(containers=[{**C, **more}])


def test_a_good_pod(kinds) -> None:
    good = pod(
        volumes=[{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}],
        containers=[
            {
                **C,
                "ports": [{"name": "http", "containerPort": 80}],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "x"}}],
                "volumeMounts": [
                    {"name": "v", "mountPath": "/v"},
                    {"name": "s", "mountPath": "/s", "subPath": "a/b"},
                ],
                "livenessProbe": {"exec": {"command": ["true"]}},
                "readinessProbe": {"tcpSocket": {"port": "http"}},
                "resources": {
                    "requests": {"cpu": "100m"},
                    "limits": {"cpu": "1", "memory": "1Gi", "example.com/gpu": 1},
                },
                "securityContext": {"runAsUser": 0},
            }
        ],
        initContainers=[
            {"name": "i", "image": "i"},
            {
                "name": "side",
                "image": "i",
                "restartPolicy": "Always",
                "startupProbe": {"exec": {"command": ["x"]}},
            },
        ],
        tolerations=[{"operator": "Exists"}, {"key": "a", "effect": "NoExecute", "tolerationSeconds": 3}],
        nodeSelector={"kubernetes.io/os": "linux"},
    )
    assert kinds.errors(good) == []


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(containers=[]), ["spec.containers: Required value"]),
        (pod(containers=[{"name": "c"}]), ["spec.containers[0].image: Required value"]),
        (pod(containers=[{"image": "i"}]), ["spec.containers[0].name: Required value"]),
        (pod(containers=[{"name": "A_b", "image": "i"}]), [f'spec.containers[0].name: Invalid value: "A_b": {LABEL}']),
        (pod(containers=[{"name": "a.b", "image": "i"}]), ['spec.containers[0].name: Invalid value: "a.b": must not contain dots']),
        (pod(containers=[C, C]), ['spec.containers[1].name: Duplicate value: "c"']),
        (pod(initContainers=[C]), ['spec.initContainers[0].name: Duplicate value: "c"']),
        (c(image=" i"), ['spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace']),
        (c(imagePullPolicy="Sometimes"), ['spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"']),
        (c(ports=[{"containerPort": 0}]), ["spec.containers[0].ports[0].containerPort: Required value"]),
        (c(ports=[{"containerPort": 70000}]), ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"]),
        (c(ports=[{"containerPort": 1, "protocol": "tcp"}]), ['spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"']),
        (c(ports=[{"containerPort": 1, "name": "this-is-far-too-long"}]), ['spec.containers[0].ports[0].name: Invalid value: "this-is-far-too-long": must be no more than 15 characters']),
        (c(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]), ['spec.containers[0].ports[1].name: Duplicate value: "a"']),
        (c(ports=[{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]), ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//5"']),
        (c(env=[{"value": "x"}]), ["spec.containers[0].env[0].name: Required value"]),
        (c(env=[{"name": "a=b"}]), ["spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='"]),
        (c(env=[{"name": "a", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]), ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty']),
        (c(env=[{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.bogus"}}}]), ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.bogus": error converting fieldPath: field label not supported: metadata.bogus']),
        (c(env=[{"name": "a", "valueFrom": {"configMapKeyRef": {"name": "x"}}}]), ["spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value"]),
        (c(envFrom=[{}]), ['spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`']),
        (c(volumeMounts=[{"name": "v", "mountPath": "/v"}]), ['spec.containers[0].volumeMounts[0].name: Not found: "v"']),
        (pod(volumes=[{"name": "v"}], containers=[{**C, "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/v"}]}]), ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique']),
        (pod(volumes=[{"name": "v"}], containers=[{**C, "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "/abs"}]}]), ['spec.containers[0].volumeMounts[0].subPath: Invalid value: "/abs": must be a relative path']),
        (pod(volumes=[{"name": "v"}], containers=[{**C, "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a/../b"}]}]), ["spec.containers[0].volumeMounts[0].subPath: Invalid value: \"a/../b\": must not contain '..'"]),
        (c(livenessProbe={}), ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
        (c(livenessProbe={"exec": {"command": ["x"]}, "successThreshold": 2}), ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"]),
        (c(readinessProbe={"httpGet": {"port": 80, "scheme": "ftp"}}), ['spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS"']),
        (c(readinessProbe={"tcpSocket": {"port": 0}}), ["spec.containers[0].readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        (c(readinessProbe={"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}}), ["spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"]),
        (c(readinessProbe={"exec": {"command": ["x"]}, "periodSeconds": -1}), ["spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0"]),
        (c(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1']),
        (c(resources={"requests": {"cpu": "-1"}}), ['spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0']),
        (c(resources={"limits": {"gpu": "1"}}), ['spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified', 'spec.containers[0].resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers', 'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified', 'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers']),
        (c(resources={"limits": {"example.com/gpu": "500m"}}), ['spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer', 'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "500m": must be an integer']),
        (c(securityContext={"runAsUser": -1}), ["spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"]),
        (pod(initContainers=[{"name": "i", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}}}]), ["spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"]),
        (pod(restartPolicy="Sometimes"), ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"']),
        (pod(dnsPolicy="None"), ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
        (pod(hostname="A.b"), [f'spec.hostname: Invalid value: "A.b": {LABEL}']),
        (pod(nodeName="A"), [f'spec.nodeName: Invalid value: "A": {SUBDOMAIN}']),
        (pod(activeDeadlineSeconds=0), ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]),
        (pod(tolerations=[{"key": "a", "operator": "Like"}]), ['spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"']),
        (pod(tolerations=[{"key": "a", "tolerationSeconds": 1}]), ["spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set"]),
        (pod(volumes=[{"name": "v"}, {"name": "v"}]), ['spec.volumes[1].name: Duplicate value: "v"']),
        (pod(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]), ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"]),
        (pod(volumes=[{"name": "v", "secret": {}}]), ["spec.volumes[0].secret.secretName: Required value"]),
        (pod(volumes=[{"name": "v", "configMap": {"name": "x", "items": [{"key": "k", "path": "../p"}]}}]), ["spec.volumes[0].configMap.items[0].path: Invalid value: \"../p\": must not contain '..'"]),
        (pod(volumes=[{"name": "v", "hostPath": {"path": "/x", "type": "Dir"}}]), ['spec.volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"']),
        (pod(volumes=[{"name": "v", "persistentVolumeClaim": {}}]), ["spec.volumes[0].persistentVolumeClaim.claimName: Required value"]),
        (pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}), ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term"]),
        (pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}}), None),
        (pod(topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]), ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"]),
        (pod(ephemeralContainers=[C]), None),
        (pod(hostPID=True, shareProcessNamespace=True), ["spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"]),
        (pod(schedulingGates=[{"name": "a.b/c"}], nodeName="n"), ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]),
    ],
)  # fmt: skip
def test_bad_pods(kinds, obj: dict, expected: list[str] | None) -> None:
    found = kinds.errors(obj)
    if expected is None:
        assert found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, ["metadata.name: Required value: name or generateName is required"]),
        ({"name": "A"}, [f'metadata.name: Invalid value: "A": {SUBDOMAIN}']),
        ({"name": "a" * 254}, ['metadata.name: Invalid value: "' + "a" * 254 + '": must be no more than 253 characters']),
        ({"name": "a", "labels": {"-a": "b"}}, None),
        ({"name": "a", "labels": {"a": "b" * 64}}, ['metadata.labels: Invalid value: "' + "b" * 64 + '": must be no more than 63 bytes']),
        ({"name": "a", "annotations": {"a": "b" * 262145}}, ["metadata.annotations: Too long: may not be more than 262144 bytes"]),
        ({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x"}]}, ['metadata.ownerReferences.uid: Invalid value: "": must not be empty']),
        ({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]}, ['metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set']),
    ],
)  # fmt: skip
def test_bad_metadata(kinds, metadata: dict, expected: list[str] | None) -> None:
    found = kinds.errors({**pod(), "metadata": metadata})
    if expected is None:
        assert found
    else:
        assert found == expected


def test_two_controllers(kinds) -> None:
    owner = {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u", "controller": True}
    found = kinds.errors({**pod(), "metadata": {"name": "a", "ownerReferences": [owner, owner]}})
    assert len(found) == 1
    assert found[0].endswith(
        'Only one reference can have Controller set to true. Found "true" in references for X/x and X/x'
    )


def test_what_may_change_in_a_pod(kinds) -> None:
    old = kinds.create(pod(tolerations=[{"key": "a", "operator": "Exists"}]))
    more = [*old["spec"]["tolerations"], {"key": "b", "operator": "Exists"}]
    for changes in (
        {"spec__containers__0__image": "j"},
        {"spec__activeDeadlineSeconds": 5},
        {"spec__tolerations": more},
        {"metadata__labels": {"x": "y"}},
    ):
        assert kinds.update(old, **changes)[1] == []


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"spec__containers__0__command": ["x"]}, "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"),
        ({"spec__nodeName": "n"}, "spec: Forbidden: pod updates may not change fields other than"),
        ({"spec__containers": []}, "spec.containers: Forbidden: pod updates may not add or remove containers"),
        ({"spec__tolerations": []}, "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"),
        ({"spec__containers__0__image": ""}, "spec.containers[0].image: Required value"),
        ({"spec__schedulingGates": [{"name": "a.b/c"}]}, "spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gates"),
        ({"metadata__uid": "other"}, 'metadata.uid: Invalid value: "other": field is immutable'),
    ],
)  # fmt: skip
def test_what_may_not_change_in_a_pod(kinds, changes: dict, start: str) -> None:
    old = kinds.create(pod(tolerations=[{"key": "a", "operator": "Exists"}]))
    found = kinds.update(old, **changes)[1]
    assert found[0].startswith(start)


def test_the_difference_is_shown(kinds) -> None:
    old = kinds.create(pod())
    found = kinds.update(old, spec__hostname="other")[1]
    assert '+  "hostname": "other"' in found[0]


def test_status_never_comes_back_from_the_dead(kinds) -> None:
    old = kinds.create(pod(restartPolicy="Never"))
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]
    new = meta.copy(old)
    new["status"]["containerStatuses"][0]["state"] = {"running": {}}
    strategy = kinds.resource(old).strategy
    found = [str(error) for error in strategy.validate_status_update(new, old)]
    assert found == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]
    old["spec"]["restartPolicy"] = "OnFailure"
    assert strategy.validate_status_update(new, old) == []


def test_a_status_update_changes_the_status_only(kinds) -> None:
    old = kinds.create(pod())
    new = meta.copy(old)
    new["spec"]["nodeName"] = "n"
    new["metadata"]["labels"] = {"a": "b"}
    new["metadata"]["ownerReferences"] = [{"uid": "x"}]
    new["status"] = {"phase": "Running"}
    kinds.resource(old).strategy.prepare_for_status_update(new, old)
    assert new["spec"] == old["spec"]
    assert new["metadata"]["labels"] == {"a": "b"}
    assert "ownerReferences" not in new["metadata"]
    assert new["status"] == {"phase": "Running", "qosClass": "BestEffort"}


def test_ephemeral_containers_are_added_and_never_taken_back(kinds) -> None:
    old = kinds.create(pod())
    strategy = kinds.resource(old).strategy
    new = meta.copy(old)
    debugger = {"name": "d", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
    new["spec"]["ephemeralContainers"] = [debugger]
    new["spec"]["hostname"] = "other"
    strategy.prepare_for_subresource("ephemeralcontainers", new, old)
    assert "hostname" not in new["spec"]
    assert strategy.validate_subresource("ephemeralcontainers", new, old) == []
    found = strategy.validate_subresource("ephemeralcontainers", old, new)
    assert "may not be removed" in str(found[0])


def test_resize_changes_resources_only(kinds) -> None:
    limited = {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    old = kinds.create(c(resources=limited))
    strategy = kinds.resource(old).strategy
    new = meta.copy(old)
    new["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}
    new["spec"]["containers"][0]["image"] = "j"
    strategy.prepare_for_subresource("resize", new, old)
    assert new["spec"]["containers"][0]["image"] == "i"
    assert strategy.validate_subresource("resize", new, old) == []
    new["spec"]["containers"][0]["resources"] = {}
    assert "Pod QOS Class may not change" in str(strategy.validate_subresource("resize", new, old)[0])


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
        ({"requests": {"cpu": "1m"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_quality_of_service(kinds, resources: dict, expected: str) -> None:
    assert kinds.create(c(resources=resources))["status"] == {"phase": "Pending", "qosClass": expected}


def test_gates_are_told(kinds) -> None:
    status = kinds.create(pod(schedulingGates=[{"name": "a.b/c"}]))["status"]
    assert status["conditions"][0]["reason"] == "SchedulingGated"


def test_warnings(kinds) -> None:
    obj = kinds.create(c(env=[{"name": "A"}, {"name": "A"}], resources={"limits": {"memory": "100m"}}))
    obj["metadata"]["name"] = "a.b"
    obj["spec"]["nodeSelector"] = {"beta.kubernetes.io/os": "linux"}
    strategy = kinds.resource(obj).strategy
    assert strategy.warnings(obj, None) == [
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
    ]
    assert strategy.warnings(obj, obj) == []


def test_a_pod_is_checked_in_far_less_than_a_millisecond(kinds) -> None:
    obj = kinds.create(
        pod(volumes=[{"name": "v"}], containers=[{**C, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}])
    )
    strategy = kinds.resource(obj).strategy
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(100):
            strategy.validate(obj)
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 0.0003
