"""The roles and bindings that every cluster starts with, as data.

Facts from ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy`` (its test data lists them one by one). The roles of
upstream's separate controller processes are left out: the controllers of this cluster live in the server and are
``system:masters``.
"""

from __future__ import annotations

from runtime.objects.errors import Obj

RBAC_V1 = "rbac.authorization.k8s.io/v1"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BOOTSTRAPPING = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"

_READ = "get list watch"
_WRITE = "create delete deletecollection patch update"
_ALL = "create delete deletecollection get list patch update watch"
_EVENTS = ("create patch update", ",events.k8s.io", "events")
_REVIEWS = (
    ("create", "authentication.k8s.io", "tokenreviews"),
    ("create", "authorization.k8s.io", "subjectaccessreviews"),
)

Rule = tuple[str, str, str] | tuple[str, str, str, str]
"""Verbs (by blanks), groups (by commas; an empty one is the core), resources (by blanks), names (by blanks)."""

_SCALED = "deployments deployments/scale replicasets replicasets/scale"
_APPS_WRITE = f"daemonsets deployments/rollback {_SCALED} statefulsets statefulsets/scale"
_APPS_READ = (
    f"controllerrevisions daemonsets daemonsets/status {_SCALED} deployments/status replicasets/status "
    "statefulsets statefulsets/scale statefulsets/status"
)
_EXTENSIONS_WRITE = (
    f"daemonsets deployments/rollback {_SCALED} ingresses networkpolicies replicationcontrollers/scale"
)
_EXTENSIONS_READ = (
    f"daemonsets daemonsets/status {_SCALED} deployments/status replicasets/status ingresses ingresses/status "
    "networkpolicies replicationcontrollers/scale"
)
_DISCOVERY = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"
_HEALTH = "/healthz /livez /readyz /version /version/"


def _signer(name: str) -> tuple[Rule, ...]:
    return (("approve", "certificates.k8s.io", "signers", f"kubernetes.io/{name}"),)


_CERTIFICATES = "system:certificates.k8s.io:"

_ROLES: dict[str, tuple[Rule, ...]] = {
    "cluster-admin": (("*", "*", "*"),),
    "system:aggregate-to-admin": (
        ("create", "authorization.k8s.io", "localsubjectaccessreviews"),
        (_ALL, "rbac.authorization.k8s.io", "rolebindings roles"),
    ),
    "system:aggregate-to-edit": (
        (_READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        ("impersonate", "", "serviceaccounts"),
        (_WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
        ("create", "", "pods/eviction"),
        (
            _WRITE,
            "",
            "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale "
            "secrets serviceaccounts services services/proxy",
        ),
        ("create", "", "serviceaccounts/token"),
        (_WRITE, "apps", _APPS_WRITE),
        (_WRITE, "autoscaling", "horizontalpodautoscalers"),
        (_WRITE, "batch", "cronjobs jobs"),
        (_WRITE, "extensions", _EXTENSIONS_WRITE),
        (_WRITE, "policy", "poddisruptionbudgets"),
        (_WRITE, "networking.k8s.io", "ingresses networkpolicies"),
        (_ALL, "coordination.k8s.io", "leases"),
        (_WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
    ),
    "system:aggregate-to-view": (
        (
            _READ,
            "",
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
            "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status",
        ),
        (
            _READ,
            "",
            "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
            "resourcequotas resourcequotas/status",
        ),
        (_READ, "", "namespaces"),
        (_READ, "discovery.k8s.io", "endpointslices"),
        (_READ, "apps", _APPS_READ),
        (_READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
        (_READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        (_READ, "extensions", _EXTENSIONS_READ),
        (_READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
        (_READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
        (_READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
    ),
    "system:auth-delegator": _REVIEWS,
    "system:basic-user": (
        ("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        ("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    f"{_CERTIFICATES}certificatesigningrequests:nodeclient": (
        ("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),
    ),
    f"{_CERTIFICATES}certificatesigningrequests:selfnodeclient": (
        ("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),
    ),
    f"{_CERTIFICATES}kube-apiserver-client-approver": _signer("kube-apiserver-client"),
    f"{_CERTIFICATES}kube-apiserver-client-kubelet-approver": _signer("kube-apiserver-client-kubelet"),
    f"{_CERTIFICATES}kubelet-serving-approver": _signer("kubelet-serving"),
    f"{_CERTIFICATES}legacy-unknown-approver": _signer("legacy-unknown"),
    "system:discovery": (),
    "system:kube-controller-manager": (
        _EVENTS,
        ("create", "coordination.k8s.io", "leases"),
        ("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
        ("create", "", "secrets serviceaccounts"),
        ("delete", "", "secrets"),
        ("get", "", "configmaps namespaces secrets serviceaccounts"),
        ("update", "", "secrets serviceaccounts"),
        *_REVIEWS,
        ("list watch", "*", "*"),
        ("create", "", "serviceaccounts/token"),
    ),
    "system:kube-dns": (("list watch", "", "endpoints services"),),
    "system:kube-scheduler": (
        _EVENTS,
        ("create", "coordination.k8s.io", "leases"),
        ("get list watch update", "coordination.k8s.io", "leases", "kube-scheduler"),
        (_READ, "", "nodes"),
        ("delete get list watch", "", "pods"),
        ("create", "", "bindings pods/binding"),
        ("patch update", "", "pods/status"),
        (_READ, "", "replicationcontrollers services"),
        (_READ, "apps,extensions", "replicasets"),
        (_READ, "apps", "statefulsets"),
        (_READ, "policy", "poddisruptionbudgets"),
        (_READ, "", "persistentvolumeclaims persistentvolumes"),
        *_REVIEWS,
        (_READ, "storage.k8s.io", "csinodes csidrivers csistoragecapacities"),
        (f"{_READ} patch update", "resource.k8s.io", "resourceclaims"),
        ("patch update", "resource.k8s.io", "resourceclaims/status"),
        (_READ, "resource.k8s.io", "deviceclasses resourceslices"),
        (_READ, "", "namespaces"),
    ),
    "system:kubelet-api-admin": (
        (_READ, "", "nodes"),
        ("proxy", "", "nodes"),
        ("*", "", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
    ),
    "system:monitoring": (),
    "system:node": (
        ("create", "authentication.k8s.io", "tokenreviews"),
        ("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
        (_READ, "", "services"),
        (f"create {_READ}", "", "nodes"),
        ("patch update", "", "nodes/status"),
        ("patch update", "", "nodes"),
        ("create patch update", "", "events"),
        (_READ, "", "pods"),
        ("create delete", "", "pods"),
        ("patch update", "", "pods/status"),
        ("create", "", "pods/eviction"),
        (_READ, "", "configmaps secrets"),
        ("get", "", "persistentvolumeclaims persistentvolumes"),
        ("get", "", "endpoints"),
        (f"create {_READ}", "certificates.k8s.io", "certificatesigningrequests"),
        ("create delete get patch update", "coordination.k8s.io", "leases"),
        ("get", "storage.k8s.io", "volumeattachments"),
        ("create", "", "serviceaccounts/token"),
        ("get patch update", "", "persistentvolumeclaims/status"),
        (_READ, "storage.k8s.io", "csidrivers"),
        ("create delete get patch update", "storage.k8s.io", "csinodes"),
        (_READ, "node.k8s.io", "runtimeclasses"),
    ),
    "system:node-bootstrapper": ((f"create {_READ}", "certificates.k8s.io", "certificatesigningrequests"),),
    "system:node-problem-detector": (("get", "", "nodes"), ("patch", "", "nodes/status"), _EVENTS),
    "system:node-proxier": (
        ("list watch", "", "endpoints services"),
        (_READ, "", "nodes"),
        _EVENTS,
        ("list watch", "discovery.k8s.io", "endpointslices"),
    ),
    "system:persistent-volume-provisioner": (
        (f"create delete {_READ}", "", "persistentvolumes"),
        (f"{_READ} update", "", "persistentvolumeclaims"),
        (_READ, "storage.k8s.io", "storageclasses"),
        ("watch", "", "events"),
        _EVENTS,
    ),
    "system:public-info-viewer": (),
    "system:service-account-issuer-discovery": (),
    "system:volume-scheduler": (
        (f"{_READ} patch update", "", "persistentvolumes"),
        (_READ, "storage.k8s.io", "storageclasses"),
        (f"{_READ} patch update", "", "persistentvolumeclaims"),
    ),
}

_URLS: dict[str, tuple[str, str]] = {
    "cluster-admin": ("*", "*"),
    "system:discovery": ("get", _DISCOVERY),
    "system:monitoring": (
        "get",
        "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*",
    ),
    "system:public-info-viewer": ("get", _HEALTH),
    "system:service-account-issuer-discovery": ("get", "/.well-known/openid-configuration /openid/v1/jwks"),
}

_LABELS: dict[str, str] = {
    "edit": "admin",
    "view": "edit",
    "system:aggregate-to-admin": "admin",
    "system:aggregate-to-edit": "edit",
    "system:aggregate-to-view": "view",
}
"""Role → the aggregated role that it is part of."""

_GROUP, _USER = "Group", "User"
_BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "cluster-admin": ((_GROUP, "system:masters"),),
    "system:monitoring": ((_GROUP, "system:monitoring"),),
    "system:discovery": ((_GROUP, "system:authenticated"),),
    "system:basic-user": ((_GROUP, "system:authenticated"),),
    "system:public-info-viewer": ((_GROUP, "system:authenticated"), (_GROUP, "system:unauthenticated")),
    "system:node-proxier": ((_USER, "system:kube-proxy"),),
    "system:kube-controller-manager": ((_USER, "system:kube-controller-manager"),),
    "system:kube-scheduler": ((_USER, "system:kube-scheduler"),),
    "system:volume-scheduler": ((_USER, "system:kube-scheduler"),),
    "system:node": ((_GROUP, "system:nodes"),),
    "system:service-account-issuer-discovery": ((_GROUP, "system:serviceaccounts"),),
}


def _rule(rule: Rule) -> Obj:
    built: Obj = {"verbs": rule[0].split(), "apiGroups": rule[1].split(","), "resources": rule[2].split()}
    if len(rule) == 4:
        built["resourceNames"] = rule[3].split()
    return built


def _metadata(name: str) -> Obj:
    labels = dict(BOOTSTRAPPING)
    if name in _LABELS:
        labels[AGGREGATE + _LABELS[name]] = "true"
    return {"name": name, "labels": labels, "annotations": {AUTOUPDATE: "true"}}


def cluster_roles() -> list[Obj]:
    """The ClusterRoles of a new cluster.

    ``admin``, ``edit`` and ``view`` are aggregated; their rules are given as the aggregation controller will
    compute them, so that they hold from the first moment.
    """
    roles: list[Obj] = []
    for name, rules in _ROLES.items():
        built = [_rule(rule) for rule in rules]
        if name in _URLS:
            verbs, urls = _URLS[name]
            built.append({"verbs": verbs.split(), "nonResourceURLs": urls.split()})
        roles.append(
            {"apiVersion": RBAC_V1, "kind": "ClusterRole", "metadata": _metadata(name), "rules": built}
        )
    by_name = {role["metadata"]["name"]: role for role in roles}
    for name in ("view", "edit", "admin"):
        selector = {AGGREGATE + name: "true"}
        parts = sorted(part for part, target in _LABELS.items() if target == name)
        rules_of_parts = [rule for part in parts for rule in by_name[part]["rules"]]
        by_name[name] = {
            "apiVersion": RBAC_V1,
            "kind": "ClusterRole",
            "metadata": _metadata(name),
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": selector}]},
            "rules": rules_of_parts,
        }
        roles.append(by_name[name])
    return roles


def cluster_role_bindings() -> list[Obj]:
    """The ClusterRoleBindings of a new cluster."""
    return [
        {
            "apiVersion": RBAC_V1,
            "kind": "ClusterRoleBinding",
            "metadata": _metadata(name) | {"labels": dict(BOOTSTRAPPING)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [
                {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}
                for kind, subject in subjects
            ],
        }
        for name, subjects in _BINDINGS.items()
    ]
