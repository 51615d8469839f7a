# ruff: noqa: E501 -- tables read better than wrapped sentences
"""What the API server says about everything that is no workload, and how services keep what they were given."""

import base64
from typing import Any

import pytest

from runtime.objects.selectors import label_key_errors

MOMENT = "2026-01-01T00:00:00.000000Z"
QUALIFIED = label_key_errors("")
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def core(kind: str, **members: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **members}


def service(**spec: Any) -> dict[str, Any]:
    return core("Service", spec={"ports": [{"port": 80}], **spec})


def of(group: str, kind: str, name: str = "a", **members: Any) -> dict[str, Any]:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, **members}


def ingress(path: dict[str, Any]) -> dict[str, Any]:
    return of("networking.k8s.io", "Ingress", spec={"rules": [{"host": "a.b", "http": {"paths": [path]}}]})


def volume(**spec: Any) -> dict[str, Any]:
    whole = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    return core("PersistentVolume", spec={**whole, **spec})


def claim(**spec: Any) -> dict[str, Any]:
    return core(
        "PersistentVolumeClaim",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec},
    )


def role(**rule: Any) -> dict[str, Any]:
    return of("rbac.authorization.k8s.io", "Role", "a:b", rules=[rule])


def binding(**members: Any) -> dict[str, Any]:
    return of(
        "rbac.authorization.k8s.io", "RoleBinding", **{"roleRef": {"kind": "Role", "name": "r"}, **members}
    )


def crd(**spec: Any) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    names = {"plural": "foos", "kind": "Foo"}
    return of(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "foos.a.b",
        spec={"group": "a.b", "scope": "Namespaced", "names": names, "versions": [version], **spec},
    )


def hook(**members: Any) -> dict[str, Any]:
    one = {
        "name": "a.b.c",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://h/p"},
        **members,
    }
    return of("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", webhooks=[one])


BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
RBAC = "rbac.authorization.k8s.io"
GOOD = [
    service(),
    service(type="NodePort", ports=[{"name": "a", "port": 80, "nodePort": 30000}, {"name": "b", "port": 81}]),
    service(clusterIP="None", ports=[]),
    core("Service", spec={"type": "ExternalName", "externalName": "a.b."}),
    core("ConfigMap", data={"a.b_c-d": "x"}, binaryData={"e": "AAAA"}),
    core("Secret", type="kubernetes.io/tls", stringData={"tls.crt": "", "tls.key": ""}),
    core("Namespace"),
    core("Node", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]}),
    core("ServiceAccount"),
    core("Event", involvedObject={"kind": "Node", "name": "n"}),
    core("ResourceQuota", spec={"hard": {"pods": 1, "count/deployments.apps": 2, "requests.nvidia.com/gpu": 1}}),
    core("PersistentVolume", spec={"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}),
    claim(),
    ingress({"path": "/", "pathType": "Prefix", "backend": BACKEND}),
    of("networking.k8s.io", "NetworkPolicy", spec={"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]}),
    of("networking.k8s.io", "IngressClass", spec={"controller": "a.b/c"}),
    of("discovery.k8s.io", "EndpointSlice", addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 80}]),
    of("coordination.k8s.io", "Lease", spec={"leaseDurationSeconds": 15}),
    of("storage.k8s.io", "StorageClass", provisioner="a/b"),
    role(apiGroups=[""], resources=["pods"], verbs=["get"]),
    binding(subjects=[{"kind": "ServiceAccount", "name": "default"}]),
    of(RBAC, "ClusterRole", "system:x", rules=[{"nonResourceURLs": ["/healthz"], "verbs": ["get"]}]),
    crd(),
    hook(),
]  # fmt: skip


@pytest.mark.parametrize("obj", GOOD, ids=lambda obj: obj["kind"])
def test_good_ones(kinds, obj: dict) -> None:
    assert kinds.errors(obj) == []
    old = kinds.create(obj)
    assert kinds.update(old) == (old, [])


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (service(ports=[]), ["spec.ports: Required value"]),
        (service(ports=[{"port": 80}, {"port": 81}]), ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"]),
        (service(ports=[{"port": 0}]), ["spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive", "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"]),
        (service(ports=[{"port": 80, "nodePort": 30000}]), ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]),
        (service(type="Magic"), ['spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"']),
        (service(type="LoadBalancer", clusterIP="None"), ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"]),
        (service(clusterIP="300.1.1.1"), ['spec.clusterIPs[0]: Invalid value: "300.1.1.1": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']),
        (service(sessionAffinity="Cookie"), ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"']),
        (service(externalTrafficPolicy="Local"), ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services']),
        (core("Service", spec={"type": "ExternalName"}), ["spec.externalName: Required value"]),
        (core("Service", spec={"type": "ExternalName", "externalName": "a", "clusterIP": "10.0.0.1"}), ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"]),
        ({**service(), "metadata": {"name": "1a"}}, ["metadata.name: Invalid value: \"1a\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"]),
        (core("ConfigMap", data={"a b": "x"}), ["data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"]),
        (core("ConfigMap", data={"..a": "x"}), ["data[..a]: Invalid value: \"..a\": must not start with '..'"]),
        (core("ConfigMap", data={"a": "x"}, binaryData={"a": "AAAA"}), ['data[a]: Invalid value: "a": duplicate of key present in binaryData']),
        (core("ConfigMap", data={"a": "x" * (1024 * 1024 + 1)}), ["[]: Too long: may not be more than 1048576 bytes"]),
        (core("Secret", data={"a": base64.b64encode(bytes(1024 * 1024)).decode()}), []),
        (core("Secret", data={"a": base64.b64encode(bytes(1024 * 1024 - 1)).decode(), "b": "AA==", "c": None}), []),
        (core("Secret", data={"a": base64.b64encode(bytes(1024 * 1024)).decode(), "b": "AA=="}), ["data: Too long: may not be more than 1048576 bytes"]),
        (core("ConfigMap", binaryData={"a": None, "b": "AAAA"}), []),
        (core("Secret", type="kubernetes.io/dockercfg", data={".dockercfg": None}), ['data[.dockercfg]: Invalid value: "<secret contents redacted>": unexpected end of JSON input']),
        (core("Secret", type="kubernetes.io/tls", data={"tls.crt": ""}), ["data[tls.key]: Required value"]),
        (core("Secret", type="kubernetes.io/service-account-token"), ["metadata.annotations[kubernetes.io/service-account.name]: Required value"]),
        (core("Secret", type="kubernetes.io/ssh-auth"), ["data[%s][ssh-privatekey]: Required value"]),
        (core("Secret", type="kubernetes.io/basic-auth"), ["data[%s][username]: Required value", "data[%s][password]: Required value"]),
        (core("Secret", type="kubernetes.io/dockercfg", data={".dockercfg": base64.b64encode(b"bad").decode()}), ['data[.dockercfg]: Invalid value: "<secret contents redacted>": invalid character \'b\' looking for beginning of value']),
        (core("Secret", type="kubernetes.io/dockercfg", data={".dockercfg": base64.b64encode(b"[]").decode()}), ['data[.dockercfg]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}']),
        (service(type="LoadBalancer", ports=[{"port": 10250}]), ["spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"]),
        (service(loadBalancerSourceRanges=["10.0.0.0/8"]), ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"]),
        ({**service(), "metadata": {"name": "a", "annotations": {SOURCE_RANGES: "10.0.0.0/8"}}}, [f"metadata.annotations[{SOURCE_RANGES}]: Forbidden: may only be used when `type` is 'LoadBalancer'"]),
        ({**service(type="LoadBalancer"), "metadata": {"name": "a", "annotations": {SOURCE_RANGES: "10.0.0.0/8, x"}}}, [f'metadata.annotations[{SOURCE_RANGES}]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']),
        (core("Endpoints", subsets=[{"addresses": [{"ip": "224.0.0.5"}], "ports": [{"port": 1}]}]), ['subsets[0].addresses[0].ip: Invalid value: "224.0.0.5": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)']),
        (core("Endpoints", subsets=[{"addresses": [{"ip": "ff02::1", "nodeName": "A"}], "ports": [{"port": 1}]}]), None),
        (core("LimitRange", spec={"limits": [{"type": "Foo"}]}), ['spec.limits[0].type: Invalid value: "Foo": must be a standard limit type or fully qualified']),
        (core("LimitRange", spec={"limits": [{"type": "PersistentVolumeClaim"}]}), ["spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"]),
        (core("LimitRange", spec={"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "4"}, "maxLimitRequestRatio": {"cpu": "3"}}]}), ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000']),
        (core("LimitRange", spec={"limits": [{"type": "Container", "min": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}, "default": {"cpu": "3"}}]}), ['spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1']),
        (core("ResourceQuota", spec={"hard": {"storage": "1"}}), ['spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota']),
        (core("ResourceQuota", spec={"hard": {"pods": "1"}, "scopes": ["Terminating", "NotTerminating"]}), ['spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes']),
        (core("ResourceQuota", spec={"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}), ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource']),
        (volume(capacity={}), ["spec.capacity: Required value", 'spec.capacity: Unsupported value: {}: supported values: "storage"']),
        (volume(hostPath={"path": "/a/.."}), None),
        (volume(hostPath={"path": "//"}, persistentVolumeReclaimPolicy="Recycle"), ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"]),
        (of("networking.k8s.io", "NetworkPolicy", spec={"podSelector": {}, "ingress": [{"ports": [{"protocol": "X", "port": 1}]}]}), ['spec.ingress[0].ports[0].protocol: Unsupported value: "X": supported values: "TCP", "UDP", "SCTP"']),
        (core("Secret", type="kubernetes.io/dockerconfigjson", stringData={"x": ""}), ["data[.dockerconfigjson]: Required value"]),
        ({**core("Namespace"), "metadata": {"name": "a.b"}}, ['metadata.name: Invalid value: "a.b": must not contain dots']),
        ({**core("Namespace"), "metadata": {"name": "a", "namespace": "b"}}, ["metadata.namespace: Forbidden: not allowed on this type"]),
        (core("Node", spec={"taints": [{"key": "a", "effect": "Never"}]}), ['spec.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"']),
        (core("Event", involvedObject={"namespace": "other"}), ['involvedObject.namespace: Invalid value: "other": does not match event.namespace']),
        (core("LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}), None),
        (core("ResourceQuota", spec={"hard": {"pods": "1500m"}}), ['spec.hard[pods]: Invalid value: "1500m": must be an integer']),
        (claim(accessModes=[]), ["spec.accessModes: Required value: at least 1 access mode is required"]),
        (claim(accessModes=["Some"]), ['spec.accessModes: Unsupported value: "Some": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"']),
        (claim(resources={}), ["spec.resources[storage]: Required value"]),
        (core("PersistentVolume", spec={"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}), ["spec: Required value: must specify a volume type"]),
        (ingress({"path": "x", "pathType": "Prefix", "backend": BACKEND}), ['spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path']),
        (ingress({"path": "/", "backend": BACKEND}), ["spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"]),
        (ingress({"path": "/", "pathType": "Exact", "backend": {"service": {"name": "s"}}}), ["spec.rules[0].http.paths[0].backend.service: Required value: port name or number is required"]),
        (of("networking.k8s.io", "Ingress", spec={}), ["spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"]),
        (of("networking.k8s.io", "NetworkPolicy", spec={"podSelector": {}, "ingress": [{"from": [{}]}]}), ["spec.ingress[0].from[0]: Required value: must specify a peer"]),
        (of("networking.k8s.io", "NetworkPolicy", spec={"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]}), ['spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`']),
        (of("discovery.k8s.io", "EndpointSlice", endpoints=[]), ["addressType: Required value"]),
        (of("discovery.k8s.io", "EndpointSlice", addressType="IPv4", endpoints=[{"addresses": []}]), ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
        (of("coordination.k8s.io", "Lease", spec={"leaseDurationSeconds": 0}), ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        (of("storage.k8s.io", "StorageClass", provisioner="a", volumeBindingMode="Later"), ['volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"']),
        (role(apiGroups=[""], resources=["pods"]), ["rules[0].verbs: Required value: verbs must contain at least one value"]),
        (role(resources=["pods"], verbs=["get"]), ["rules[0].apiGroups: Required value: resource rules must supply at least one api group"]),
        (role(nonResourceURLs=["/x"], verbs=["get"]), ['rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs']),
        (binding(roleRef={"kind": "Rule", "name": "r"}), ['roleRef.kind: Unsupported value: "Rule": supported values: "Role", "ClusterRole"']),
        (binding(subjects=[{"kind": "Robot", "name": "x"}]), ['subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"']),
        ({**role(apiGroups=[""], resources=["pods"], verbs=["get"]), "metadata": {"name": "a/b"}}, ["metadata.name: Invalid value: \"a/b\": may not contain '/'"]),
        (crd(group="nodots"), ['metadata.name: Invalid value: "foos.a.b": must be spec.names.plural+"."+spec.group', 'spec.group: Invalid value: "nodots": should be a domain with at least one dot']),
        (crd(versions=[]), ["spec.versions: Invalid value: []: must have exactly one version marked as storage version"]),
        (crd(versions=[{"name": "v1", "served": True, "storage": True}]), ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]),
        (hook(name="short"), ['webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots']),
        (hook(clientConfig={}), ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"]),
        (hook(sideEffects=None), ["webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"]),
        (hook(timeoutSeconds=60), ["webhooks[0].timeoutSeconds: Invalid value: 60: the timeout value must be between 1 and 30 seconds"]),
        (of("events.k8s.io", "Event", regarding={"namespace": "default"}, type="Odd"), ["eventTime: Required value", 'type: Invalid value: "": has invalid value: Odd']),
        (of("events.k8s.io", "Event", regarding={}, type="Normal", eventTime=MOMENT, note="x" * 1025, series={"count": 1}), ["reportingController: Required value", f'reportingController: Invalid value: "": {QUALIFIED[0]}', f'reportingController: Invalid value: "": {QUALIFIED[1]}', "reportingInstance: Required value", "action: Required value", "reason: Required value", 'message: Invalid value: "": can have at most 1024 characters', 'series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"]),
        (core("Event", eventTime=MOMENT, reportingComponent="a/b", reportingInstance="x", action="a", reason="x" * 129), ['reason: Invalid value: "": can have at most 128 characters']),
        (of("certificates.k8s.io", "CertificateSigningRequest", spec={"request": base64.b64encode(b"x").decode(), "signerName": "a.b/c", "usages": ["client auth"]}), ['spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST']),
        (of("authorization.k8s.io", "SelfSubjectAccessReview", spec={}), ["spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"]),
    ],
)  # fmt: skip
def test_bad_ones(kinds, obj: dict, expected: list[str] | None) -> None:
    found = kinds.errors(obj)
    if expected is None:
        assert found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("obj", "changes", "expected"),
    [
        (core("ConfigMap", data={"a": "b"}, immutable=True), {"data": {"a": "c"}}, ["data: Forbidden: field is immutable when `immutable` is set"]),
        (core("ConfigMap", data={"a": "b"}, immutable=True), {"immutable": None}, ["immutable: Forbidden: field is immutable when `immutable` is set"]),
        (core("Secret"), {"type": "x"}, ['type: Invalid value: "x": field is immutable']),
        (core("Node"), {"spec__unschedulable": True, "metadata__labels": {"a": "b"}}, []),
        (core("Node", spec={"podCIDRs": ["10.0.0.0/24"]}), {"spec__podCIDRs": ["10.1.0.0/24"]}, ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']),
        (claim(), {"spec__accessModes": ["ReadWriteMany"]}, ['spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n {\n   "accessModes": [\n-    "ReadWriteOnce"\n+    "ReadWriteMany"\n   ],\n   "resources": {']),
        (claim(), {"spec__volumeName": "v"}, []),
        (of("storage.k8s.io", "StorageClass", provisioner="a"), {"provisioner": "b"}, ["provisioner: Forbidden: updates to provisioner are forbidden."]),
        (binding(), {"roleRef__name": "other"}, ['roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"other"}: cannot change roleRef']),
        (of("scheduling.k8s.io", "PriorityClass", value=1), {"value": 2}, ["value: Forbidden: may not be changed in an update."]),
        (of("discovery.k8s.io", "EndpointSlice", addressType="IPv4"), {"addressType": "IPv6"}, ['addressType: Invalid value: "IPv6": field is immutable']),
    ],
)  # fmt: skip
def test_changes(kinds, obj: dict, changes: dict, expected: list[str]) -> None:
    assert kinds.update(kinds.create(obj), **changes)[1] == expected


def test_no_new_finalizers_on_the_way_out(kinds) -> None:
    old = kinds.create(core("ConfigMap"))
    old["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert kinds.update(old, metadata__finalizers=["a.b/c"])[1] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"a.b/c"}'
    ]


def test_string_data_becomes_data(kinds) -> None:
    found = kinds.create(core("Secret", data={"a": "AAAA", "b": "AAAA"}, stringData={"a": "hello"}))
    assert found["data"] == {"a": "aGVsbG8=", "b": "AAAA"}
    assert "stringData" not in found


def test_namespaces_are_born_held(kinds) -> None:
    old = kinds.create(core("Namespace"))
    assert (old["spec"], old["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    new, errors = kinds.update(old, spec__finalizers=[], status__phase="Terminating")
    assert (new["spec"], new["status"], errors) == (old["spec"], old["status"], [])
    new["spec"] = {}
    kinds.resource(old).strategy.prepare_for_subresource("finalize", new, old)
    assert new["spec"] == {}


def test_a_generated_namespace_is_labelled_too(kinds) -> None:
    obj = kinds.read({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "n-"}})
    obj["metadata"]["name"] = "n-x"
    kinds.resource(obj).strategy.prepare_for_create(obj)
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n-x"}
    assert kinds.update(obj, metadata__labels={})[0]["metadata"]["labels"] == {
        "kubernetes.io/metadata.name": "n-x"
    }


def test_nodes_bring_their_status(kinds) -> None:
    assert kinds.create(core("Node", status={"capacity": {"cpu": "1"}}))["status"]["capacity"] == {"cpu": "1"}


def test_services_keep_what_they_were_given(kinds) -> None:
    old = kinds.create(
        service(type="NodePort", clusterIP="10.96.0.1", ports=[{"port": 80, "nodePort": 30001}])
    )
    assert old["spec"]["clusterIPs"] == ["10.96.0.1"]
    bare = kinds.create(service(type="NodePort"))["spec"]
    new, errors = kinds.update(old, spec=bare)
    assert errors == []
    assert (new["spec"]["clusterIP"], new["spec"]["clusterIPs"]) == ("10.96.0.1", ["10.96.0.1"])
    assert new["spec"]["ports"][0]["nodePort"] == 30001
    assert kinds.update(old, spec__clusterIP="10.96.0.2")[1] == [
        'spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set'
    ]


def test_a_change_of_type_takes_its_fields_along(kinds) -> None:
    old = kinds.create(
        service(type="NodePort", clusterIP="10.96.0.1", ports=[{"port": 80, "nodePort": 30001}])
    )
    new, errors = kinds.update(old, spec__type="ClusterIP")
    assert errors == []
    assert "nodePort" not in new["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in new["spec"]
    new, errors = kinds.update(old, spec__type="ExternalName", spec__externalName="a.b")
    assert errors == []
    assert "clusterIP" not in new["spec"]


def test_bound_claims_may_grow(kinds) -> None:
    old = kinds.create(claim())
    grown = {"requests": {"storage": "2Gi"}}
    assert len(kinds.update(old, spec__resources=grown)[1]) == 1
    old["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    assert kinds.update(old, spec__resources=grown)[1] == []
    assert len(kinds.update(old, spec__resources={"requests": {"storage": "512Mi"}})[1]) == 1


def test_stored_versions_are_remembered(kinds) -> None:
    old = kinds.create(crd())
    assert old["status"]["storedVersions"] == ["v1"]
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [
        {"name": "v1", "served": True, "storage": False, "schema": schema},
        {"name": "v2", "served": True, "storage": True, "schema": schema},
    ]
    new, errors = kinds.update(old, spec__versions=versions)
    assert (new["status"]["storedVersions"], errors) == (["v1", "v2"], [])


def test_approval_and_status_change_their_own_part(kinds) -> None:
    old = kinds.create(of("certificates.k8s.io", "CertificateSigningRequest", spec={"signerName": "a.b/c"}))
    strategy = kinds.resource(old).strategy
    approved = {"type": "Approved", "status": "True"}
    new = {
        **old,
        "metadata": dict(old["metadata"]),
        "status": {"conditions": [approved], "certificate": "AAAA"},
    }
    strategy.prepare_for_subresource("approval", new, old)
    assert new["status"] == {"conditions": [approved]}
    assert strategy.validate_subresource("approval", new, old) == []
    nothing = {**new, "status": {}}
    strategy.prepare_for_subresource("approval", nothing, new)
    assert 'may not remove a condition of type "Approved"' in str(
        strategy.validate_subresource("approval", nothing, new)[0]
    )
    denied = {**new, "status": {"conditions": [{"type": "Denied", "status": "True"}]}}
    assert 'updates may not remove a condition of type "Approved"' in str(
        strategy.validate_subresource("approval", denied, new)[0]
    )


def test_what_an_event_says_may_change(kinds) -> None:
    event = kinds.create(
        of(
            "events.k8s.io",
            "Event",
            regarding={"namespace": "default"},
            type="Normal",
            note="first",
            reportingController="c",
            reportingInstance="i",
            action="a",
            reason="r",
            eventTime=MOMENT,
        )
    )
    assert kinds.resource(event).strategy.validate(event) == []
    assert kinds.update(event, note="second", series={"count": 2, "lastObservedTime": MOMENT})[1] == []
    assert kinds.update(event, action=None)[1] == ["action: Required value"]


@pytest.mark.parametrize(
    ("group", "kind", "keeps"),
    [
        ("certificates.k8s.io", "CertificateSigningRequest", False),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema", True),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", True),
        ("storage.k8s.io", "VolumeAttachment", True),
        ("apiregistration.k8s.io", "APIService", True),
    ],
)
def test_metadata_that_comes_with_a_status(kinds, group: str, kind: str, keeps: bool) -> None:
    """Some kinds take annotations along with a status, others leave all metadata as it was."""
    old = kinds.create(of(group, kind))
    new = {**old, "metadata": {**old["metadata"], "annotations": {"a": "b"}}}
    kinds.resource(old).strategy.prepare_for_subresource("status", new, old)
    assert ("annotations" not in new["metadata"]) is keeps


def test_events_have_two_faces(kinds) -> None:
    text = of(
        "events.k8s.io",
        "Event",
        regarding={"name": "x"},
        note="n",
        reportingController="c",
        eventTime="2026-01-01T00:00:00.000000Z",
    )
    event = kinds.create(text)
    resource = kinds.resource(event)
    stored = resource.to_storage(event)
    assert (stored["apiVersion"], stored["involvedObject"], stored["message"]) == ("v1", {"name": "x"}, "n")
    assert stored["reportingComponent"] == "c"
    back = resource.from_storage(stored)
    assert back["regarding"] == {"name": "x"}
    assert back["note"] == "n"


def test_autoscalers_have_two_faces(kinds) -> None:
    spec = {
        "maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "a"},
        "targetCPUUtilizationPercentage": 70,
    }
    old_face = kinds.create(
        {
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"},
            "spec": spec,
        }
    )
    resource = kinds.resource(old_face)
    stored = resource.to_storage(old_face)
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"][0]["resource"]["target"] == {
        "type": "Utilization",
        "averageUtilization": 70,
    }
    pods = {
        "type": "Pods",
        "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}},
    }
    stored["spec"]["metrics"].append(pods)
    stored["spec"]["behavior"] = {"scaleUp": {"selectPolicy": "Max", "policies": []}}
    shown = resource.from_storage(stored)
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 70
    assert "autoscaling.alpha.kubernetes.io/metrics" in shown["metadata"]["annotations"]
    again = resource.to_storage(shown)
    assert again["spec"]["metrics"] == stored["spec"]["metrics"]
    assert again["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Max"
    assert "annotations" not in again["metadata"]
