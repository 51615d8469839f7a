"""What is accepted and probably not meant: sentences for the Warning header.

Follows pkg/api/pod/warnings.go and the strategies of the kinds that hold templates.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Obj
from ..quantity import parse
from .names import label

_OLD_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_OLD_VOLUMES = {
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def name_warning(name: str, used_in: str) -> list[str]:
    """A name that is no DNS label and becomes part of host names."""
    found = label(name) if name else ()
    if not found:
        return []
    listed = " ".join(found)
    return [
        f"metadata.name: this is used in {used_in}, which can result in surprising behavior; "
        f"a DNS label is recommended: [{listed}]"
    ]


def _env(variables: Sequence[Obj], path: str, found: list[str]) -> None:
    names: set[str] = set()
    for index, variable in enumerate(variables):
        name = variable.get("name") or ""
        if name in names:
            found.append(
                f'{path}[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
            )
        names.add(name)


def _ports(ports: Sequence[Obj], path: str, found: list[str]) -> None:
    seen: dict[tuple[object, object, object], int] = {}
    for index, port in enumerate(ports):
        key = (port.get("containerPort"), port.get("protocol"), port.get("hostPort") or port.get("hostIP"))
        if key in seen:
            found.append(f"{path}[{index}]: duplicate port definition with {path}[{seen[key]}]")
        seen.setdefault(key, index)


def _memory(resources: Obj, path: str, found: list[str]) -> None:
    for part in ("limits", "requests"):
        for name in ("memory", "ephemeral-storage"):
            amount = (resources.get(part) or {}).get(name)
            if amount is not None and amount.endswith("m") and parse(amount).nano % 10**9:
                found.append(
                    f'{path}.{part}[{name}]: fractional byte value "{amount}" is invalid, must be an integer'
                )


def spec_warnings(spec: Obj, path: str) -> list[str]:
    """What is doubtful in a pod's spec; ``path`` is ``spec`` or ``spec.template.spec``."""
    found: list[str] = []
    for key in spec.get("nodeSelector") or ():
        if key in _OLD_NODE_LABELS:
            found.append(f"{path}.nodeSelector[{key}]: {_OLD_NODE_LABELS[key]}")
    for index, volume in enumerate(spec.get("volumes") or ()):
        for kind in volume:
            if kind in _OLD_VOLUMES:
                found.append(f"{path}.volumes[{index}].{kind}: {_OLD_VOLUMES[kind]}")
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            found.append(f'{path}.imagePullSecrets[{index}].name: invalid empty name ""')
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            place = f"{path}.{kind}[{index}]"
            if len(container.get("env") or ()) > 1:
                _env(container["env"], f"{place}.env", found)
            if len(container.get("ports") or ()) > 1:
                _ports(container["ports"], f"{place}.ports", found)
            if container.get("resources"):
                _memory(container["resources"], f"{place}.resources", found)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        sentence = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{path}.terminationGracePeriodSeconds: {sentence}")
    return found


def pod_warnings(pod: Obj, old: Obj | None) -> list[str]:
    """What is doubtful in a new or changed pod."""
    if old is not None and old.get("spec") == pod.get("spec"):
        return []
    found = spec_warnings(pod.get("spec") or {}, "spec")
    if old is None:
        found += name_warning((pod.get("metadata") or {}).get("name") or "", "the Pod's hostname")
    return found


def template_warnings(obj: Obj, old: Obj | None) -> list[str]:
    """What is doubtful in a new or changed template of pods."""
    template = (obj.get("spec") or {}).get("template") or {}
    if old is not None:
        if template == ((old.get("spec") or {}).get("template") or {}):
            return []
        return spec_warnings(template.get("spec") or {}, "spec.template.spec")
    found: list[str] = []
    if obj.get("kind") != "DaemonSet":
        name = (obj.get("metadata") or {}).get("name") or ""
        found += name_warning(name, "Pod names and hostnames")
    return found + spec_warnings(template.get("spec") or {}, "spec.template.spec")


def cron_job_warnings(obj: Obj, old: Obj | None) -> list[str]:
    """What is doubtful in a new or changed CronJob."""
    spec = ((obj.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    found: list[str] = []
    if old is None:
        name = (obj.get("metadata") or {}).get("name") or ""
        found += name_warning(name, "Pod names and hostnames")
    elif (obj.get("spec") or {}).get("jobTemplate") == (old.get("spec") or {}).get("jobTemplate"):
        return []
    return found + spec_warnings(pod, "spec.jobTemplate.spec.template.spec")
