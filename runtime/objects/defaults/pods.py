"""Defaults of pods and pod templates.

Follows pkg/apis/core/v1/defaults.go and the generated walk of zz_generated.defaults.go. This runs for every pod that
is created, so it looks at each container once and asks only for what is there.
"""

from __future__ import annotations

from typing import Any

from ..errors import Obj
from ..quantity import Quantity, parse

DEFAULT_MODE = 420
"""0644, the mode of files in secret, configMap, downwardAPI and projected volumes."""

_VOLUME_DEFAULTS: dict[str, dict[str, Any]] = {
    "hostPath": {"type": ""},
    "secret": {"defaultMode": DEFAULT_MODE},
    "configMap": {"defaultMode": DEFAULT_MODE},
    "downwardAPI": {"defaultMode": DEFAULT_MODE},
    "projected": {"defaultMode": DEFAULT_MODE},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def fill(target: Obj, values: dict[str, Any]) -> None:
    """Set what is absent."""
    for name, value in values.items():
        target.setdefault(name, value)


def image_tag(image: str) -> str:
    """The tag of an image reference: ``latest`` when it has neither tag nor digest, empty for a bare digest.

    Follows pkg/util/parsers/parsers.go, ``ParseImageName``.
    """
    name, at, _ = image.partition("@")
    last = name.rpartition("/")[2]
    _, colon, tag = last.partition(":")
    if colon:
        return tag
    return "" if at else "latest"


def pull_policy(image: str) -> str:
    """``Always`` for what may change under its name, ``IfNotPresent`` for the rest."""
    return "Always" if image_tag(image) == "latest" else "IfNotPresent"


def round_to_milli(resources: Obj | None) -> None:
    """Round amounts finer than a thousandth up (``SetDefaults_ResourceList``)."""
    if resources:
        for name, amount in resources.items():
            if amount[-1:] in ("n", "u"):
                resources[name] = str(parse(f"{parse(amount).milli}m"))


def default_claim_spec(spec: Obj) -> None:
    """A PersistentVolumeClaimSpec, also where it is a template inside something else."""
    spec.setdefault("volumeMode", "Filesystem")
    resources = spec.get("resources")
    if resources:
        round_to_milli(resources.get("limits"))
        round_to_milli(resources.get("requests"))


def _field_selectors(items: list[Obj] | None) -> None:
    for item in items or ():
        if reference := item.get("fieldRef"):
            reference.setdefault("apiVersion", "v1")


def default_volume(volume: Obj) -> None:
    """One volume of a pod; one without any source is an emptyDir."""
    if len(volume) <= 1:
        volume["emptyDir"] = {}
        return
    for source, values in volume.items():
        if source in _VOLUME_DEFAULTS:
            fill(values, _VOLUME_DEFAULTS[source])
    if "downwardAPI" in volume:
        _field_selectors(volume["downwardAPI"].get("items"))
    elif "projected" in volume:
        for part in volume["projected"].get("sources") or ():
            if "downwardAPI" in part:
                _field_selectors(part["downwardAPI"].get("items"))
            if "serviceAccountToken" in part:
                part["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    elif "ephemeral" in volume:
        if template := volume["ephemeral"].get("volumeClaimTemplate"):
            default_claim_spec(template.setdefault("spec", {}))
    elif "image" in volume:
        image = volume["image"]
        if not image.get("pullPolicy"):
            image["pullPolicy"] = pull_policy(image.get("reference") or "")


def _default_http(action: Obj | None) -> None:
    if action is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_probe(probe: Obj) -> None:
    _default_http(probe.get("httpGet"))
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)


def default_container(container: Obj) -> None:
    """One container of any sort."""
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    if "terminationMessagePath" not in container:
        container["terminationMessagePath"] = "/dev/termination-log"
    if "terminationMessagePolicy" not in container:
        container["terminationMessagePolicy"] = "File"
    for port in container.get("ports") or ():
        if "protocol" not in port:
            port["protocol"] = "TCP"
    for variable in container.get("env") or ():
        if source := variable.get("valueFrom"):
            if "fieldRef" in source:
                source["fieldRef"].setdefault("apiVersion", "v1")
            if "fileKeyRef" in source:
                source["fileKeyRef"].setdefault("optional", False)
    if resources := container.get("resources"):
        round_to_milli(resources.get("limits"))
        round_to_milli(resources.get("requests"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _default_probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook.get("httpGet"))


def default_pod_spec(spec: Obj) -> None:
    """What pods and pod templates have in common."""
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # the deprecated name of the same field is kept equal
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            default_container(container)
    if "overhead" in spec:
        round_to_milli(spec["overhead"])


def default_pod(pod: Obj) -> None:
    """A pod: requests from limits, host ports from container ports, then what templates get too.

    A negative grace period is taken as one second, in pods alone: a template keeps what it says.
    """
    spec = pod.setdefault("spec", {})
    grace = spec.get("terminationGracePeriodSeconds")
    if isinstance(grace, int) and grace < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind) or ():
            resources = container.get("resources")
            if resources and (limits := resources.get("limits")):
                requests = resources.setdefault("requests", {})
                for name, amount in limits.items():
                    requests.setdefault(name, amount)
    if "resources" in spec:
        _default_pod_resources(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for kind in ("containers", "initContainers"):
            for container in spec.get(kind) or ():
                for port in container.get("ports") or ():
                    if not port.get("hostPort") and port.get("containerPort"):
                        port["hostPort"] = port["containerPort"]
    default_pod_spec(spec)


def _supported(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def container_totals(spec: Obj, kind: str) -> dict[str, Quantity]:
    """What all containers ask for together: ``kind`` is ``requests`` or ``limits``.

    Follows component-helpers/resource/helpers.go: containers and sidecars add up; an init container counts beside
    the sidecars started before it; the larger of both phases is what the pod needs.
    """
    running: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _add(running, _amounts(container, kind))
    sidecars: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(running, amounts)
            _add(sidecars, amounts)
            amounts = sidecars
        else:
            together = dict(sidecars)
            _add(together, amounts)
            amounts = together
        for name, amount in amounts.items():
            if name not in peak or peak[name] < amount:
                peak[name] = amount
    for name, amount in peak.items():
        if name not in running or running[name] < amount:
            running[name] = amount
    return running


def _amounts(container: Obj, kind: str) -> dict[str, Quantity]:
    resources = container.get("resources") or {}
    return {name: parse(amount) for name, amount in (resources.get(kind) or {}).items()}


def _add(total: dict[str, Quantity], amounts: dict[str, Quantity]) -> None:
    for name, amount in amounts.items():
        total[name] = total[name] + amount if name in total else amount


def _default_pod_resources(spec: Obj) -> None:
    """Pod-level requests where only pod-level limits are given (``defaultPodRequests``)."""
    resources = spec["resources"]
    limits = resources.get("limits")
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name, amount in container_totals(spec, "requests").items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, str(amount))
    for name, amount in limits.items():
        if _supported(name):
            requests.setdefault(name, amount)
    if requests:
        resources["requests"] = requests
