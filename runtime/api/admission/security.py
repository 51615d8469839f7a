"""Pod security levels: what a namespace's labels ask for is checked and said, never refused.

A workstation's cluster runs what its owner applies; a pod that a stricter cluster would refuse is worth a warning
here, whichever of the modes (``enforce``, ``warn``, ``audit``) the label names. The checks are those of
``k8s.io/pod-security-admission/policy``, in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runtime.objects.errors import Obj

from .chain import CREATE, UPDATE, Attributes, Plugin

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "warn", "audit")
_TEMPLATED = frozenset(
    {
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "jobs.batch",
        "replicationcontrollers",
    }
)
_BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_PROFILES = ("RuntimeDefault", "Localhost")


class PodSecurity(Plugin):
    """Warns of pods (and templates of pods) below their namespace's level."""

    resources = _TEMPLATED | {"pods", "cronjobs.batch"}
    operations = frozenset({CREATE, UPDATE})

    def validate(self, a: Attributes) -> None:
        """Add the warning."""
        namespace = a.view.get("namespaces", "", a.namespace)
        labels = namespace["metadata"].get("labels") if namespace else None
        if not labels:
            return
        levels = {labels.get(PREFIX + mode) for mode in MODES} & {"baseline", "restricted"}
        if not levels or (a.old is not None and _spec(a, a.old) == _spec(a, a.object)):
            return
        level = "restricted" if "restricted" in levels else "baseline"
        spec = _spec(a, a.object)
        problems = list(violations(spec, level))
        if problems:
            a.ctx.warn(f'would violate PodSecurity "{level}:latest": {", ".join(problems)}')


def _spec(a: Attributes, obj: Obj) -> Obj:
    spec: Obj = obj.get("spec") or {}
    if a.resource.plural == "pods":
        return spec
    if a.resource.plural == "cronjobs":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    inner: Obj = (spec.get("template") or {}).get("spec") or {}
    return inner


def violations(spec: Obj, level: str) -> Iterator[str]:
    """What a pod's spec does that the level (``baseline`` or ``restricted``) does not allow."""
    yield from _baseline(spec)
    if level == "restricted":
        yield from _restricted(spec)


def _containers(spec: Obj) -> list[Obj]:
    return [
        container
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(field) or ()
    ]


def _context(container: Obj) -> Obj:
    return container.get("securityContext") or {}


def _named(containers: list[Obj]) -> str:
    names = ", ".join(f'"{container.get("name", "")}"' for container in containers)
    return f"container {names}" if len(containers) == 1 else f"containers {names}"


def _failing(spec: Obj, test: Callable[[Obj], bool]) -> str:
    found = [container for container in _containers(spec) if test(container)]
    return _named(found) if found else ""


def _added(container: Obj) -> set[str]:
    return set((_context(container).get("capabilities") or {}).get("add") or ())


def _host_ports(container: Obj) -> list[int]:
    return [port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")]


def _baseline(spec: Obj) -> Iterator[str]:
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    if shared:
        yield f"host namespaces ({', '.join(shared)})"
    if found := _failing(spec, lambda c: bool(_context(c).get("privileged"))):
        yield f"privileged ({found} must not set securityContext.privileged=true)"
    if found := _failing(spec, lambda c: bool(_added(c) - _BASELINE_CAPABILITIES)):
        extra = sorted({name for c in _containers(spec) for name in _added(c) - _BASELINE_CAPABILITIES})
        listed = ", ".join(f'"{name}"' for name in extra)
        yield f"non-default capabilities ({found} must not include {listed} in securityContext.capabilities.add)"
    paths = [volume.get("name", "") for volume in spec.get("volumes") or () if "hostPath" in volume]
    if paths:
        listed = ", ".join(f'"{name}"' for name in paths)
        yield f"hostPath volumes (volume{'s' if len(paths) > 1 else ''} {listed})"
    if found := _failing(spec, lambda c: bool(_host_ports(c))):
        ports = sorted({port for c in _containers(spec) for port in _host_ports(c)})
        verb = "uses" if found.startswith("container ") else "use"
        noun = "hostPort" if len(ports) == 1 else "hostPorts"
        yield f"hostPort ({found} {verb} {noun} {', '.join(map(str, ports))})"
    if found := _failing(spec, lambda c: _context(c).get("procMount", "Default") != "Default"):
        yield f'procMount ({found} must not set securityContext.procMount to "Unmasked")'
    pod_profile = ((spec.get("securityContext") or {}).get("seccompProfile") or {}).get("type")
    found = _failing(spec, lambda c: (_context(c).get("seccompProfile") or {}).get("type") == "Unconfined")
    holder = " and ".join(part for part in ("pod" if pod_profile == "Unconfined" else "", found) if part)
    if holder:
        yield f'seccompProfile ({holder} must not set securityContext.seccompProfile.type to "Unconfined")'


def _restricted(spec: Obj) -> Iterator[str]:
    pod = spec.get("securityContext") or {}
    if found := _failing(spec, lambda c: _context(c).get("allowPrivilegeEscalation") is not False):
        yield (
            f"allowPrivilegeEscalation != false ({found} must set "
            "securityContext.allowPrivilegeEscalation=false)"
        )
    if found := _failing(
        spec, lambda c: "ALL" not in ((_context(c).get("capabilities") or {}).get("drop") or ())
    ):
        yield f'unrestricted capabilities ({found} must set securityContext.capabilities.drop=["ALL"])'
    odd = [
        (volume.get("name", ""), kind)
        for volume in spec.get("volumes") or ()
        for kind in volume
        if kind != "name" and kind not in _RESTRICTED_VOLUMES
    ]
    for name, kind in odd:
        yield f'restricted volume types (volume "{name}" uses restricted volume type "{kind}")'
    if not pod.get("runAsNonRoot") and (
        found := _failing(spec, lambda c: _context(c).get("runAsNonRoot") is not True)
    ):
        yield f"runAsNonRoot != true (pod or {found} must set securityContext.runAsNonRoot=true)"
    if pod.get("runAsUser") == 0:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    if found := _failing(spec, lambda c: _context(c).get("runAsUser") == 0):
        yield f"runAsUser=0 ({found} must not set runAsUser=0)"
    if (pod.get("seccompProfile") or {}).get("type") not in _PROFILES and (
        found := _failing(
            spec, lambda c: (_context(c).get("seccompProfile") or {}).get("type") not in _PROFILES
        )
    ):
        yield (
            f"seccompProfile (pod or {found} must set securityContext.seccompProfile.type to "
            '"RuntimeDefault" or "Localhost")'
        )
