# ruff: noqa: E501 -- tables read better than wrapped sentences
"""The registry against what upstream's discovery documents say of every kind, typed in by hand."""

import pytest

from runtime.objects.kinds import builtin_registry
from runtime.objects.schema import type_of

ALL = "create delete deletecollection get list patch update watch"
RW = "get patch update"
PROXY = "create delete get patch update"

# group/version | kind | plural | singular | scope | short names | categories | verbs
KINDS = f"""
v1 | Binding | bindings | binding | ns | | | create
v1 | ComponentStatus | componentstatuses | componentstatus | cluster | cs | | get list
v1 | ConfigMap | configmaps | configmap | ns | cm | | {ALL}
v1 | Endpoints | endpoints | endpoints | ns | ep | | {ALL}
v1 | Event | events | event | ns | ev | | {ALL}
v1 | LimitRange | limitranges | limitrange | ns | limits | | {ALL}
v1 | Namespace | namespaces | namespace | cluster | ns | | create delete get list patch update watch
v1 | Node | nodes | node | cluster | no | | {ALL}
v1 | PersistentVolumeClaim | persistentvolumeclaims | persistentvolumeclaim | ns | pvc | | {ALL}
v1 | PersistentVolume | persistentvolumes | persistentvolume | cluster | pv | | {ALL}
v1 | Pod | pods | pod | ns | po | all | {ALL}
v1 | PodTemplate | podtemplates | podtemplate | ns | | | {ALL}
v1 | ReplicationController | replicationcontrollers | replicationcontroller | ns | rc | all | {ALL}
v1 | ResourceQuota | resourcequotas | resourcequota | ns | quota | | {ALL}
v1 | Secret | secrets | secret | ns | | | {ALL}
v1 | ServiceAccount | serviceaccounts | serviceaccount | ns | sa | | {ALL}
v1 | Service | services | service | ns | svc | all | {ALL}
apiregistration.k8s.io/v1 | APIService | apiservices | apiservice | cluster | | api-extensions | {ALL}
apps/v1 | ControllerRevision | controllerrevisions | controllerrevision | ns | | | {ALL}
apps/v1 | DaemonSet | daemonsets | daemonset | ns | ds | all | {ALL}
apps/v1 | Deployment | deployments | deployment | ns | deploy | all | {ALL}
apps/v1 | ReplicaSet | replicasets | replicaset | ns | rs | all | {ALL}
apps/v1 | StatefulSet | statefulsets | statefulset | ns | sts | all | {ALL}
events.k8s.io/v1 | Event | events | event | ns | ev | | {ALL}
authentication.k8s.io/v1 | SelfSubjectReview | selfsubjectreviews | selfsubjectreview | cluster | | | create
authentication.k8s.io/v1 | TokenReview | tokenreviews | tokenreview | cluster | | | create
authorization.k8s.io/v1 | LocalSubjectAccessReview | localsubjectaccessreviews | localsubjectaccessreview | ns | | | create
authorization.k8s.io/v1 | SelfSubjectAccessReview | selfsubjectaccessreviews | selfsubjectaccessreview | cluster | | | create
authorization.k8s.io/v1 | SelfSubjectRulesReview | selfsubjectrulesreviews | selfsubjectrulesreview | cluster | | | create
authorization.k8s.io/v1 | SubjectAccessReview | subjectaccessreviews | subjectaccessreview | cluster | | | create
autoscaling/v2 | HorizontalPodAutoscaler | horizontalpodautoscalers | horizontalpodautoscaler | ns | hpa | all | {ALL}
autoscaling/v1 | HorizontalPodAutoscaler | horizontalpodautoscalers | horizontalpodautoscaler | ns | hpa | all | {ALL}
batch/v1 | CronJob | cronjobs | cronjob | ns | cj | all | {ALL}
batch/v1 | Job | jobs | job | ns | | all | {ALL}
certificates.k8s.io/v1 | CertificateSigningRequest | certificatesigningrequests | certificatesigningrequest | cluster | csr | | {ALL}
networking.k8s.io/v1 | IngressClass | ingressclasses | ingressclass | cluster | | | {ALL}
networking.k8s.io/v1 | Ingress | ingresses | ingress | ns | ing | | {ALL}
networking.k8s.io/v1 | IPAddress | ipaddresses | ipaddress | cluster | ip | | {ALL}
networking.k8s.io/v1 | NetworkPolicy | networkpolicies | networkpolicy | ns | netpol | | {ALL}
networking.k8s.io/v1 | ServiceCIDR | servicecidrs | servicecidr | cluster | | | {ALL}
policy/v1 | PodDisruptionBudget | poddisruptionbudgets | poddisruptionbudget | ns | pdb | | {ALL}
rbac.authorization.k8s.io/v1 | ClusterRoleBinding | clusterrolebindings | clusterrolebinding | cluster | | | {ALL}
rbac.authorization.k8s.io/v1 | ClusterRole | clusterroles | clusterrole | cluster | | | {ALL}
rbac.authorization.k8s.io/v1 | RoleBinding | rolebindings | rolebinding | ns | | | {ALL}
rbac.authorization.k8s.io/v1 | Role | roles | role | ns | | | {ALL}
storage.k8s.io/v1 | CSIDriver | csidrivers | csidriver | cluster | | | {ALL}
storage.k8s.io/v1 | CSINode | csinodes | csinode | cluster | | | {ALL}
storage.k8s.io/v1 | CSIStorageCapacity | csistoragecapacities | csistoragecapacity | ns | | | {ALL}
storage.k8s.io/v1 | StorageClass | storageclasses | storageclass | cluster | sc | | {ALL}
storage.k8s.io/v1 | VolumeAttachment | volumeattachments | volumeattachment | cluster | | | {ALL}
storage.k8s.io/v1 | VolumeAttributesClass | volumeattributesclasses | volumeattributesclass | cluster | vac | | {ALL}
admissionregistration.k8s.io/v1 | MutatingAdmissionPolicy | mutatingadmissionpolicies | mutatingadmissionpolicy | cluster | | api-extensions | {ALL}
admissionregistration.k8s.io/v1 | MutatingAdmissionPolicyBinding | mutatingadmissionpolicybindings | mutatingadmissionpolicybinding | cluster | | api-extensions | {ALL}
admissionregistration.k8s.io/v1 | MutatingWebhookConfiguration | mutatingwebhookconfigurations | mutatingwebhookconfiguration | cluster | | api-extensions | {ALL}
admissionregistration.k8s.io/v1 | ValidatingAdmissionPolicy | validatingadmissionpolicies | validatingadmissionpolicy | cluster | | api-extensions | {ALL}
admissionregistration.k8s.io/v1 | ValidatingAdmissionPolicyBinding | validatingadmissionpolicybindings | validatingadmissionpolicybinding | cluster | | api-extensions | {ALL}
admissionregistration.k8s.io/v1 | ValidatingWebhookConfiguration | validatingwebhookconfigurations | validatingwebhookconfiguration | cluster | | api-extensions | {ALL}
apiextensions.k8s.io/v1 | CustomResourceDefinition | customresourcedefinitions | customresourcedefinition | cluster | crd crds | api-extensions | {ALL}
scheduling.k8s.io/v1 | PriorityClass | priorityclasses | priorityclass | cluster | pc | | {ALL}
coordination.k8s.io/v1 | Lease | leases | lease | ns | | | {ALL}
node.k8s.io/v1 | RuntimeClass | runtimeclasses | runtimeclass | cluster | | | {ALL}
discovery.k8s.io/v1 | EndpointSlice | endpointslices | endpointslice | ns | | | {ALL}
flowcontrol.apiserver.k8s.io/v1 | FlowSchema | flowschemas | flowschema | cluster | | | {ALL}
flowcontrol.apiserver.k8s.io/v1 | PriorityLevelConfiguration | prioritylevelconfigurations | prioritylevelconfiguration | cluster | | | {ALL}
resource.k8s.io/v1 | DeviceClass | deviceclasses | deviceclass | cluster | | | {ALL}
resource.k8s.io/v1 | ResourceClaim | resourceclaims | resourceclaim | ns | | | {ALL}
resource.k8s.io/v1 | ResourceClaimTemplate | resourceclaimtemplates | resourceclaimtemplate | ns | | | {ALL}
resource.k8s.io/v1 | ResourceSlice | resourceslices | resourceslice | cluster | | | {ALL}
"""

# group/version | plural/subresource | kind | its group/version | verbs
SUBRESOURCES = f"""
v1 | namespaces/finalize | Namespace | v1 | update
v1 | namespaces/status | Namespace | v1 | {RW}
v1 | nodes/proxy | NodeProxyOptions | v1 | {PROXY}
v1 | nodes/status | Node | v1 | {RW}
v1 | persistentvolumeclaims/status | PersistentVolumeClaim | v1 | {RW}
v1 | persistentvolumes/status | PersistentVolume | v1 | {RW}
v1 | pods/attach | PodAttachOptions | v1 | create get
v1 | pods/binding | Binding | v1 | create
v1 | pods/ephemeralcontainers | Pod | v1 | {RW}
v1 | pods/eviction | Eviction | policy/v1 | create
v1 | pods/exec | PodExecOptions | v1 | create get
v1 | pods/log | Pod | v1 | get
v1 | pods/portforward | PodPortForwardOptions | v1 | create get
v1 | pods/proxy | PodProxyOptions | v1 | {PROXY}
v1 | pods/resize | Pod | v1 | {RW}
v1 | pods/status | Pod | v1 | {RW}
v1 | replicationcontrollers/scale | Scale | autoscaling/v1 | {RW}
v1 | replicationcontrollers/status | ReplicationController | v1 | {RW}
v1 | resourcequotas/status | ResourceQuota | v1 | {RW}
v1 | serviceaccounts/token | TokenRequest | authentication.k8s.io/v1 | create
v1 | services/proxy | ServiceProxyOptions | v1 | {PROXY}
v1 | services/status | Service | v1 | {RW}
apiregistration.k8s.io/v1 | apiservices/status | APIService | apiregistration.k8s.io/v1 | {RW}
apps/v1 | daemonsets/status | DaemonSet | apps/v1 | {RW}
apps/v1 | deployments/scale | Scale | autoscaling/v1 | {RW}
apps/v1 | deployments/status | Deployment | apps/v1 | {RW}
apps/v1 | replicasets/scale | Scale | autoscaling/v1 | {RW}
apps/v1 | replicasets/status | ReplicaSet | apps/v1 | {RW}
apps/v1 | statefulsets/scale | Scale | autoscaling/v1 | {RW}
apps/v1 | statefulsets/status | StatefulSet | apps/v1 | {RW}
autoscaling/v2 | horizontalpodautoscalers/status | HorizontalPodAutoscaler | autoscaling/v2 | {RW}
autoscaling/v1 | horizontalpodautoscalers/status | HorizontalPodAutoscaler | autoscaling/v1 | {RW}
batch/v1 | cronjobs/status | CronJob | batch/v1 | {RW}
batch/v1 | jobs/status | Job | batch/v1 | {RW}
certificates.k8s.io/v1 | certificatesigningrequests/approval | CertificateSigningRequest | certificates.k8s.io/v1 | {RW}
certificates.k8s.io/v1 | certificatesigningrequests/status | CertificateSigningRequest | certificates.k8s.io/v1 | {RW}
networking.k8s.io/v1 | ingresses/status | Ingress | networking.k8s.io/v1 | {RW}
networking.k8s.io/v1 | servicecidrs/status | ServiceCIDR | networking.k8s.io/v1 | {RW}
policy/v1 | poddisruptionbudgets/status | PodDisruptionBudget | policy/v1 | {RW}
storage.k8s.io/v1 | volumeattachments/status | VolumeAttachment | storage.k8s.io/v1 | {RW}
admissionregistration.k8s.io/v1 | validatingadmissionpolicies/status | ValidatingAdmissionPolicy | admissionregistration.k8s.io/v1 | {RW}
apiextensions.k8s.io/v1 | customresourcedefinitions/status | CustomResourceDefinition | apiextensions.k8s.io/v1 | {RW}
flowcontrol.apiserver.k8s.io/v1 | flowschemas/status | FlowSchema | flowcontrol.apiserver.k8s.io/v1 | {RW}
flowcontrol.apiserver.k8s.io/v1 | prioritylevelconfigurations/status | PriorityLevelConfiguration | flowcontrol.apiserver.k8s.io/v1 | {RW}
resource.k8s.io/v1 | resourceclaims/status | ResourceClaim | resource.k8s.io/v1 | {RW}
"""

REGISTRY = builtin_registry()


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def test_no_kind_is_missing_and_none_is_extra() -> None:
    expected = {(row[0], row[1]) for row in rows(KINDS)}
    assert {(one.api_version, one.kind) for one in REGISTRY} == expected


@pytest.mark.parametrize("row", rows(KINDS), ids=lambda row: f"{row[0]}/{row[1]}")
def test_kind(row: list[str]) -> None:
    api_version, kind, plural, singular, scope, short, categories, verbs = row
    found = REGISTRY.by_kind(api_version, kind)
    assert found is not None
    assert (found.plural, found.singular) == (plural, singular)
    assert found.namespaced == (scope == "ns")
    assert found.short_names == tuple(short.split())
    assert found.categories == tuple(categories.split())
    assert sorted(found.verbs) == sorted(verbs.split())
    assert REGISTRY.by_path(found.group, found.version, plural) is found
    assert type_of(found.definition).kind == "struct"
    assert (found.printer is not None) == ("list" in found.verbs)


def test_subresources() -> None:
    found = {
        (one.api_version, f"{one.plural}/{sub.name}"): (
            sub.kind,
            f"{sub.group}/{sub.version}" if sub.group else sub.version,
            sorted(sub.verbs),
        )
        for one in REGISTRY
        for sub in one.subresources
    }
    expected = {(row[0], row[1]): (row[2], row[3], sorted(row[4].split())) for row in rows(SUBRESOURCES)}
    assert found == expected


def test_groups_in_the_order_of_discovery() -> None:
    groups = REGISTRY.groups()
    assert list(groups)[:7] == [
        "",
        "apiregistration.k8s.io",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
    ]
    assert groups["autoscaling"] == ["v2", "v1"]


def test_reviews_are_not_stored_and_have_no_store() -> None:
    unstored = {one.kind for one in REGISTRY if not one.stored}
    assert unstored == {
        "Binding",
        "SelfSubjectReview",
        "TokenReview",
        "LocalSubjectAccessReview",
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    }


def test_one_store_for_both_versions() -> None:
    events = REGISTRY.by_kind("events.k8s.io/v1", "Event")
    core = REGISTRY.by_kind("v1", "Event")
    assert events is not None and core is not None
    assert events.storage_resource == core.storage_resource == "events"
    hpas = [one for one in REGISTRY if one.plural == "horizontalpodautoscalers"]
    assert {one.storage_resource for one in hpas} == {"horizontalpodautoscalers.autoscaling"}


def test_a_registry_is_a_value() -> None:
    first, second = builtin_registry(), builtin_registry()
    pods = first.find("pods")
    assert pods is not None
    first.remove(pods)
    assert first.find("pods") is None
    assert second.find("pods") is not None


@pytest.mark.parametrize(
    ("kind", "obj", "expected"),
    [
        (
            ("v1", "Pod"),
            {
                "spec": {"nodeName": "n", "hostNetwork": True},
                "status": {"phase": "Running", "podIPs": [{"ip": "1.2.3.4"}]},
            },
            {
                "spec.nodeName": "n",
                "spec.hostNetwork": "true",
                "status.phase": "Running",
                "status.podIP": "1.2.3.4",
            },
        ),
        (("v1", "Pod"), {}, {"spec.hostNetwork": "false", "spec.nodeName": "", "status.phase": ""}),
        (("v1", "Node"), {"spec": {"unschedulable": True}}, {"spec.unschedulable": "true"}),
        (("v1", "Node"), {"spec": {}}, {"spec.unschedulable": "false"}),
        (("v1", "Secret"), {"type": "Opaque"}, {"type": "Opaque"}),
        (("apps/v1", "ReplicaSet"), {"status": {}}, {"status.replicas": "0"}),
        (
            ("v1", "Event"),
            {
                "involvedObject": {"name": "x", "uid": "u"},
                "source": {"component": "c"},
                "reason": "r",
                "type": "Normal",
            },
            {
                "involvedObject.name": "x",
                "involvedObject.uid": "u",
                "source": "c",
                "reason": "r",
                "type": "Normal",
            },
        ),
        (
            ("events.k8s.io/v1", "Event"),
            {"regarding": {"name": "x"}, "reportingController": "c"},
            {"regarding.name": "x", "reportingController": "c"},
        ),
        (
            ("events.k8s.io/v1", "Event"),
            {"involvedObject": {"name": "x"}, "reportingComponent": "c"},
            {"regarding.name": "x", "reportingController": "c"},
        ),
    ],
)
def test_selectable_fields(kind: tuple[str, str], obj: dict, expected: dict) -> None:
    resource = REGISTRY.by_kind(*kind)
    assert resource is not None and resource.selectable is not None
    found = resource.selectable(obj)
    assert set(found) == resource.selectable_names
    assert {name: found[name] for name in expected} == expected
