"""What every pod gets on its way in: an identity, tolerations, a priority, a runtime.

``plugin/pkg/admission/{serviceaccount,defaulttolerationseconds,priority,runtimeclass}`` in upstream's order.
"""

from __future__ import annotations

from typing import Any

from runtime.api.names import random_suffix
from runtime.objects.errors import Obj

from .chain import CREATE, UPDATE, Attributes, Plugin

PODS = frozenset({"pods"})
TOKEN_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_EXPIRATION_SECONDS = 3607
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
RUNTIME_CLASSES = "runtimeclasses.node.k8s.io"
TOLERATION_SECONDS = 300

_TOKEN_SOURCES: list[Obj] = [
    {"serviceAccountToken": {"expirationSeconds": TOKEN_EXPIRATION_SECONDS, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
            ]
        }
    },
]
_MANY_CONTAINERS = ("containers", "initContainers")


class ServiceAccountAdmission(Plugin):
    """Sets the pod's ServiceAccount, its pull secrets, and mounts the account's token."""

    resources = PODS

    def admit(self, a: Attributes) -> None:
        """Complete the pod's identity."""
        pod = a.object
        spec = pod["spec"]
        if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or ()):
            self._check_mirror(a, spec)
            return
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = name
        spec["serviceAccount"] = name
        account = a.view.get("serviceaccounts", a.namespace, name)
        if account is None:
            raise a.deny(
                f'error looking up service account {a.namespace}/{name}: serviceaccount "{name}" not found'
            )
        annotations = account["metadata"].get("annotations")
        if annotations and annotations.get(ENFORCE_MOUNTABLE, "").lower() in ("1", "t", "true"):
            self._limit_secrets(a, account, spec)
        mounts = spec.get("automountServiceAccountToken")
        if mounts is None:
            mounts = account.get("automountServiceAccountToken", True)
        if mounts:
            _mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    @staticmethod
    def _check_mirror(a: Attributes, spec: Obj) -> None:
        if spec.get("serviceAccountName"):
            raise a.deny("a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            if "secret" in volume:
                raise a.deny("a mirror pod may not reference secrets")

    @staticmethod
    def _limit_secrets(a: Attributes, account: Obj, spec: Obj) -> None:
        name = account["metadata"]["name"]
        allowed = {reference.get("name") for reference in account.get("secrets") or ()}
        for volume in spec.get("volumes") or ():
            secret = (volume.get("secret") or {}).get("secretName")
            if secret and secret not in allowed:
                raise a.deny(
                    f'volume with secret.secretName="{secret}" is not allowed because service account {name} '
                    "does not reference that secret"
                )
        for field in _MANY_CONTAINERS:
            for container in spec.get(field) or ():
                for env in container.get("env") or ():
                    secret = ((env.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
                    if secret and secret not in allowed:
                        raise a.deny(
                            f"container {container.get('name')} with envVar {env.get('name')} referencing "
                            f'secret.secretName="{secret}" is not allowed because service account {name} '
                            "does not reference that secret"
                        )
        pulls = {reference.get("name") for reference in account.get("imagePullSecrets") or ()}
        for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
            if reference.get("name") not in pulls:
                raise a.deny(
                    f'imagePullSecrets[{index}].name="{reference.get("name")}" is not allowed because service '
                    f"account {name} does not reference that imagePullSecret"
                )


def _mount_token(spec: Obj) -> None:
    volumes: list[Obj] = spec.get("volumes") or []
    volume_name = ""
    for volume in volumes:
        if volume.get("name", "").startswith("kube-api-access-"):
            volume_name = volume["name"]
            break
    wanted = False
    chosen = volume_name or f"kube-api-access-{random_suffix()}"
    for field in _MANY_CONTAINERS:
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts")
            if mounts and any(mount.get("mountPath") == TOKEN_MOUNT_PATH for mount in mounts):
                continue
            mount = {"name": chosen, "readOnly": True, "mountPath": TOKEN_MOUNT_PATH}
            if mounts:
                mounts.append(mount)
            else:
                container["volumeMounts"] = [mount]
            wanted = True
    if wanted and not volume_name:
        volumes.append({"name": chosen, "projected": {"sources": _TOKEN_SOURCES, "defaultMode": 420}})
        spec["volumes"] = volumes


class DefaultTolerationSeconds(Plugin):
    """Pods outlive a node that is not ready or unreachable by 300 seconds unless they say otherwise."""

    resources = PODS
    operations = frozenset({CREATE, UPDATE})

    def admit(self, a: Attributes) -> None:
        """Add the two tolerations where neither they nor wider ones are there.

        An update that leaves them out gets them back, which is why it may list other ones alone.
        """
        tolerations: list[Obj] = a.object["spec"].get("tolerations") or []
        missing = [
            key
            for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
            if not any(_tolerates(toleration, key) for toleration in tolerations)
        ]
        if missing:
            a.object["spec"]["tolerations"] = tolerations + [
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": TOLERATION_SECONDS,
                }
                for key in missing
            ]


def _tolerates(toleration: Obj, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


class PriorityAdmission(Plugin):
    """Turns priorityClassName into the number the scheduler sorts by; keeps one default class."""

    resources = frozenset({"pods", PRIORITY_CLASSES})
    operations = frozenset({CREATE, UPDATE})

    def admit(self, a: Attributes) -> None:
        """Set priority and preemptionPolicy of a new pod; an update that leaves them out means the same ones."""
        if a.resource.plural != "pods":
            return
        spec = a.object["spec"]
        if a.old is not None:
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and field in a.old["spec"]:
                    spec[field] = a.old["spec"][field]
            return
        name = spec.get("priorityClassName")
        if name:
            found = a.view.get(PRIORITY_CLASSES, "", name)
            if found is None:
                raise a.deny(f"no PriorityClass with name {name} was found")
        else:
            found = _default_class(a)
            if found:
                spec["priorityClassName"] = found["metadata"]["name"]
        priority = found.get("value", 0) if found else 0
        policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
        given = spec.get("priority")
        if given is not None and given != priority:
            raise a.deny(
                f"the integer value of priority ({given}) must not be provided in pod spec; priority admission "
                f"controller computed {priority} from the given PriorityClass name"
            )
        if spec.get("preemptionPolicy") and spec["preemptionPolicy"] != policy:
            raise a.deny(
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod "
                f"spec; priority admission controller computed {policy} from the given PriorityClass name"
            )
        spec["priority"] = priority
        spec["preemptionPolicy"] = policy

    def validate(self, a: Attributes) -> None:
        """Only one PriorityClass may be the default."""
        if a.resource.plural == "pods" or not a.object.get("globalDefault"):
            return
        default = _default_class(a)
        if default and default["metadata"]["name"] != a.object["metadata"]["name"]:
            raise a.deny(
                f"PriorityClass {default['metadata']['name']} is already marked as default. "
                "Only one default can exist"
            )


def _default_class(a: Attributes) -> Obj | None:
    """The class with globalDefault and the lowest value."""
    best: Obj | None = None
    for candidate in a.view.list(PRIORITY_CLASSES):
        if candidate.get("globalDefault") and (best is None or candidate["value"] < best["value"]):
            best = candidate
    return best


class RuntimeClassAdmission(Plugin):
    """Adds what a RuntimeClass costs and where it may run."""

    resources = PODS

    def admit(self, a: Attributes) -> None:
        """Copy overhead and scheduling from the class."""
        spec = a.object["spec"]
        name = spec.get("runtimeClassName")
        if not name:
            if spec.get("overhead"):
                raise a.deny(
                    "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                )
            return
        found = a.view.get(RUNTIME_CLASSES, "", name)
        if found is None:
            raise a.deny(f'pod rejected: RuntimeClass "{name}" not found')
        fixed: dict[str, Any] | None = (found.get("overhead") or {}).get("podFixed")
        if spec.get("overhead") and spec["overhead"] != fixed:
            raise a.deny("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        if fixed:
            spec["overhead"] = dict(fixed)
        scheduling = found.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                raise a.deny(
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {selector[key]}"
                )
            selector[key] = value
        if selector:
            spec["nodeSelector"] = selector
        tolerations = spec.get("tolerations") or []
        for toleration in scheduling.get("tolerations") or ():
            if toleration not in tolerations:
                tolerations.append(dict(toleration))
        if tolerations:
            spec["tolerations"] = tolerations
